/* agents/linear.h: one step by linear regression, next observation = [observation | action | 1] W. */
#ifndef RV_AGENTS_LINEAR_H
#define RV_AGENTS_LINEAR_H

#include "reverie/dataset.h"

typedef struct rv_linear_fit {
    int64_t observation_size, action_size;
    double *weight; /* [observation_size + action_size + 1, observation_size] */
} rv_linear_fit;

/* Least squares over all transitions, by the normal equations in float64 with a trace of ridge.
 * Errors: OUT_OF_MEMORY. */
rv_status rv_linear_fit_make(const rv_transitions *data, rv_linear_fit *fit);
void rv_linear_fit_release(rv_linear_fit *fit);

/* observation [O] moves to the next one under action [A]. `scratch` holds O doubles. */
void rv_linear_fit_step(const rv_linear_fit *fit, double *observation, const float *action, double *scratch);

#endif
