/* tests/support/differences.h: the gradient of a loss against central differences, on cpu:double.
 *
 *     rv_tensor loss = ...;                                  // [1, 1]
 *     check_differences(graph, params, loss, 1e-6, 1);
 */
#ifndef RV_TESTS_DIFFERENCES_H
#define RV_TESTS_DIFFERENCES_H

#include <math.h>

#include "backends/host.h"
#include "core/internal.h"
#include "tests/support/suite.h"

/* What an array on cpu:double holds. */
static inline double *doubles_of(rv_array *array) { return (double *)(void *)array->buffer->memory; }

static inline double difference_at(rv_plan *loss, const rv_array *value, double *weight) {
    const double base = *weight, step = 1e-6;
    double ends[2];
    for (int side = 0; side < 2; side++) {
        *weight = base + (side ? -step : step);
        assert_ok(rv_plan_run(loss), "");
        ends[side] = *(const double *)(const void *)value->buffer->memory;
    }
    *weight = base;
    return (ends[0] - ends[1]) / (2 * step);
}

/* Of every weight of a set: within 1e-7 and `relative` of the difference. Analytic gradients are those of the plain
 * plan; differences are taken by one whose draws and stopped values stay as they were. All of them together are more
 * than `flow`. */
static inline void check_differences(rv_graph *graph, rv_params *params, rv_tensor wanted, double relative,
                                     double flow) {
    rv_plan *loss, *gradient;
    rv_array *value, *flat = rv_params_array(params, RV_VALUE);
    assert_ok(rv_graph_status(graph), rv_graph_message(graph));
    assert_ok(rv_array_create(graph->device, RV_F32, 1, 1, "loss", &value), "loss");
    rv_store(value, wanted);
    const rv_plan_options literal = {.size = sizeof literal, .expand = 1, .keep_order = 1};
    assert_ok(rv_plan_create(graph, &literal, &loss), rv_plan_message(loss));
    assert_ok(rv_params_gradients(graph, params, wanted, NULL, 0), rv_graph_message(graph));
    assert_ok(rv_plan_create(graph, NULL, &gradient), rv_plan_message(gradient));
    assert_ok(rv_plan_run(gradient), rv_plan_message(gradient));
    assert_ok(rv_plan_run(loss), rv_plan_message(loss));
    rv_plan_freeze(loss, true);
    const double *analytic = doubles_of(rv_params_array(params, RV_GRADIENT));
    for (int64_t i = 0; i < rv_array_cols(flat); i++) {
        const double numeric = difference_at(loss, value, doubles_of(flat) + i);
        flow -= fabs(numeric);
        if (!(fabs(numeric - analytic[i]) <= 1e-7 + relative * fabs(numeric)))
            fail_msg("weight %d: %.10g, differences %.10g", (int)i, analytic[i], numeric);
    }
    assert_true(flow < 0);
    rv_plan_destroy(loss);
    rv_plan_destroy(gradient);
    rv_array_destroy(value);
}

#endif
