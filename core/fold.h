/* core/fold.h: elementwise recording with constants folded, for gradients.
 *
 * A gradient starts from a constant 1, and most of what happens to it first is scaling and
 * repeating. Folded, that costs no launch and no op over a single row between others over many.
 * Only a gradient's own fills fold (attributes.i[0] = 1): what a program records stays a value that
 * one can differentiate by, also a second time. */
#ifndef RV_CORE_FOLD_H
#define RV_CORE_FOLD_H

#include "core/record.h"

/* A gradient's constant; the earlier one where there is one alike. */
rv_tensor rv_fold_fill(rv_graph *graph, int64_t rows, int64_t cols, float value);
rv_tensor rv_fold_scale(rv_tensor x, float scale);
rv_tensor rv_fold_mul(rv_tensor a, rv_tensor b);
rv_tensor rv_fold_add(rv_tensor a, rv_tensor b);
rv_tensor rv_fold_broadcast(rv_tensor x, int64_t rows, int64_t cols);

/* The value of a gradient's constant. */
bool rv_fold_constant(rv_tensor x, float *value);

#endif
