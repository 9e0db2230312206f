/* agents/linear.h: one step by least squares: next observation = [observation | action | 1] W, and
 * reward = [observation | action | their squares | 1] W. */
#ifndef RV_AGENTS_LINEAR_H
#define RV_AGENTS_LINEAR_H

#include "reverie/dataset.h"

typedef struct rv_linear_fit {
    int64_t observation_size, action_size, inputs, outputs;
    double *weight; /* [inputs, outputs] */
} rv_linear_fit;

/* Least squares over all transitions, by the normal equations in float64 with a trace of ridge.
 * Errors: OUT_OF_MEMORY. */
rv_status rv_linear_fit_make(const rv_transitions *data, rv_linear_fit *fit);
rv_status rv_reward_fit_make(const rv_transitions *data, rv_linear_fit *fit);
void rv_linear_fit_release(rv_linear_fit *fit);

/* What it says of one step -> output [outputs]. */
void rv_linear_fit_predict(const rv_linear_fit *fit, const float *observation, const float *action, double *output);

/* observation [O] moves to the next one under action [A]. `scratch` holds O doubles. */
void rv_linear_fit_step(const rv_linear_fit *fit, double *observation, const float *action, double *scratch);

#endif
