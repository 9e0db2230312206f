/* core/stack.h: sums over rows of one kind that are added up become one sum over all their rows.
 *
 * A weight used at every step of a sequence gets a gradient from each: dw = x0^T d0 + x1^T d1 + .. Joined, that is one
 * product, [x0; x1; ..]^T [d0; d1; ..]: it writes dw once instead of once a step, and is large enough to be fast.
 */
#ifndef RV_CORE_STACK_H
#define RV_CORE_STACK_H

#include "core/internal.h"

/* What was joined already: a weight's and its bias's gradients are outputs of the same ops. */
typedef struct rv_stacks {
    uint32_t *nodes; /* for each: count, the first output of the joined op, then the nodes it stands for */
    uint32_t count, capacity;
} rv_stacks;

/* Replaces, among the `count` terms of a sum, those that can be joined; returns how many are left, 0 without memory. */
uint32_t rv_stack_terms(rv_stacks *stacks, rv_tensor *terms, uint32_t count);

#endif
