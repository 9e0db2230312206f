/* tests/support/case_run.h: one case of the table on one device.
 *
 *     rv_case_run run;
 *     if (rv_case_open(&run, device, item, RV_CASE_FORWARD, NULL) == RV_OK && rv_case_execute(&run) == RV_OK)
 *         values = rv_case_read(&run, 0);
 *     rv_case_close(&run);
 *
 * Forward records the case and stores its outputs. Gradient takes loss = sum of output * weight over
 * all f32 outputs, with fixed random weights, and its outputs are the gradients of the differentiable
 * inputs in order. Loss stores that loss alone.
 */
#ifndef RV_TESTS_CASE_RUN_H
#define RV_TESTS_CASE_RUN_H

#include "reverie/plan.h"
#include "tests/cases/cases.h"

typedef enum rv_case_mode { RV_CASE_FORWARD, RV_CASE_GRADIENT, RV_CASE_LOSS } rv_case_mode;

typedef struct rv_case_run {
    const rv_case *item;
    rv_device *device;
    rv_plan *plan;
    rv_array *input[RV_CASE_MAX_INPUTS];
    rv_array *weight[RV_CASE_MAX_OUTPUTS];
    rv_array *output[RV_CASE_MAX_INPUTS];
    int output_count;
    /* on cpu:double: the memory behind the f32 arrays; NULL elsewhere */
    double *exact[RV_CASE_MAX_INPUTS], *exact_output[RV_CASE_MAX_INPUTS];
    char message[640]; /* of what went wrong */
} rv_case_run;

/* Makes arrays, graph and plan. Whatever the status, the run must be closed. */
rv_status rv_case_open(rv_case_run *run, rv_device *device, const rv_case *item, rv_case_mode mode,
                       const rv_plan_options *options);
rv_status rv_case_execute(rv_case_run *run);
void rv_case_close(rv_case_run *run);

/* An output as doubles, whatever its type; the caller frees it. NULL where reading failed. */
double *rv_case_read(rv_case_run *run, int output);
int64_t rv_case_output_count(const rv_case_run *run, int output);

/* The number of inputs whose gradient is taken; 0: none. */
int rv_case_differentiable(const rv_case *item);

/* Bytes the case must move at least: its own formula, or inputs and outputs once. */
double rv_case_bytes(const rv_case_run *run);

#endif
