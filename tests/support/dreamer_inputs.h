/* tests/support/dreamer_inputs.h: weights, batch and noise of the size1m golden file, from the formulas in docs/audit.md.
 *
 *     float *w = malloc(rows * cols * sizeof *w);
 *     dreamer_weight("dyn/hidden/weight", rows, cols, w);
 *     dreamer_batch("observation", T * B, 24, w);
 */
#ifndef RV_TESTS_DREAMER_INPUTS_H
#define RV_TESTS_DREAMER_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/golden_file.h"

/* The sizes behind tests/golden/dreamer/size1m_expected.safetensors. */
enum {
    GOLDEN_DETER = 512, GOLDEN_HIDDEN = 64, GOLDEN_STOCH = 32, GOLDEN_CLASSES = 4, GOLDEN_BLOCKS = 8, GOLDEN_UNITS = 64,
    GOLDEN_BINS = 255, GOLDEN_OBSERVATION = 24, GOLDEN_ACTION = 6, GOLDEN_SEQUENCES = 4, GOLDEN_STEPS = 8,
    GOLDEN_HORIZON = 15, GOLDEN_UPDATES = 10
};

/* Inside (0, 1), exact in float. */
double dreamer_uniform(const char *name, uint64_t i);

/* out[rows * cols] */
void dreamer_weight(const char *name, int64_t rows, int64_t cols, float *out);

/* Batch, carry and noise by their names in the file; of noise, before the redrawn ones are put in. */
void dreamer_batch(const char *name, int64_t rows, int64_t cols, float *out);

/* Puts those in that the golden file had drawn again; false: its lists do not fit. */
bool dreamer_redraw(const golden_file *file, const char *name, int64_t count, float *x);

#endif
