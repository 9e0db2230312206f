/* agents/evaluator.h: where open-loop predictions begin and what is true there, for evaluation and calibration. */
#ifndef RV_AGENTS_EVALUATOR_H
#define RV_AGENTS_EVALUATOR_H

#include <stdbool.h>

#include "agents/rollout.h"
#include "reverie/evaluate.h"

typedef struct rv_evaluator {
    rv_predictor model;
    rv_evaluate_options options;
    const rv_transitions *train;
    rv_transitions held;  /* out */
    int64_t *start;       /* [starts]: a held-out step each, with `horizon` steps of its episode ahead */
    rv_evaluation *out;
} rv_evaluator;

/* Up to `wanted` starts, spread evenly; *count says how many there are. NULL: out of memory. free() it. */
int64_t *rv_evaluator_pick_starts(const rv_dataset *held_out, int64_t horizon, int64_t wanted, int64_t *count);

/* The truth k steps after a start: what the k-th step from it led to; k = 0 is the start itself. */
const float *rv_evaluator_truth(const rv_transitions *held, int64_t start, int64_t k);

/* Inputs of a rollout: row r begins at start[r / samples], with the steps before it in its episode as context. What
 * would lie before the episode is zeros, and the episode begins anew after it. */
void rv_evaluator_fill(const rv_transitions *held, const int64_t *start, int64_t samples, rv_rollout *rollout);

/* For qsort over floats; the q-quantile of sorted ones with linear interpolation, as numpy has it. */
int rv_ascending(const void *a, const void *b);
double rv_sorted_quantile(const float *sorted, int64_t count, double q);

#endif
