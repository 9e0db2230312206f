/* tests/test_golden.c: results and gradients are PyTorch's, from tests/golden/torch.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "tests/golden/torch.h"
#include "tests/support/compare.h"
#include "tests/support/suite.h"

enum { B = GOLDEN_B, I = GOLDEN_I, H = GOLDEN_H, C = GOLDEN_C, MOST_INPUTS = 6, MOST_ELEMENTS = 128 };

typedef rv_tensor (*golden_fn)(const rv_tensor *in);

static rv_tensor gru(const rv_tensor *in) { return rv_gru_cell(in[0], in[1], in[2], in[3], in[4], in[5]); }
static rv_tensor linear(const rv_tensor *in) { return rv_linear1(in[0], in[1], in[2], RV_SILU); }
static rv_tensor pair(const rv_tensor *in) {
    return rv_linear(in, 2, in[2], in[3], RV_GELU);
} /* two inputs side by side */
static rv_tensor layer_norm(const rv_tensor *in) { return rv_layer_norm(in[0], in[1], in[2], 1e-3f, RV_SILU); }
static rv_tensor rms_norm(const rv_tensor *in) { return rv_rms_norm(in[0], in[1], 1e-3f, RV_SILU); }
static rv_tensor gelu(const rv_tensor *in) { return rv_gelu(in[0]); }
static rv_tensor elu(const rv_tensor *in) { return rv_elu(in[0]); }
static rv_tensor softplus(const rv_tensor *in) { return rv_softplus(in[0]); }
static rv_tensor softmax(const rv_tensor *in) { return rv_softmax(in[0]); }
static rv_tensor log_softmax(const rv_tensor *in) { return rv_log_softmax(in[0]); }
static rv_tensor bernoulli_nll(const rv_tensor *in) { return rv_bernoulli_nll(in[0], in[1]); }
static rv_tensor gaussian_nll(const rv_tensor *in) { return rv_gaussian_nll(in[0], in[1], in[2]); }
static rv_tensor kl_normal(const rv_tensor *in) { return rv_kl_normal(in[0], in[1], in[2], in[3]); }
static rv_tensor mse(const rv_tensor *in) { return rv_mse(in[0], in[1]); }

typedef struct golden_input {
    int rows, cols;
    const double *value, *gradient;
} golden_input;

typedef struct golden {
    const char *name;
    golden_fn record;
    int rows, cols;
    const double *weight, *result;
    int input_count;
    golden_input in[MOST_INPUTS];
} golden;

#define IN(rows, cols, op, input) {rows, cols, op##_##input, op##_d_##input}
#define OP(op, rows, cols) #op, op, rows, cols, op##_weight, op##_result

static const golden goldens[] = {
    {OP(gru, B, H), 6,
     {IN(B, I, gru, x), IN(B, H, gru, h), IN(I, 3 * H, gru, w_x), IN(H, 3 * H, gru, w_h), IN(1, 3 * H, gru, b_x),
      IN(1, 3 * H, gru, b_h)}},
    {OP(linear, B, H), 3, {IN(B, I, linear, x), IN(I, H, linear, w), IN(1, H, linear, b)}},
    {OP(pair, B, H), 4, {IN(B, I, pair, a), IN(B, C, pair, b), IN(I + C, H, pair, w), IN(1, H, pair, bias)}},
    {OP(layer_norm, B, C), 3, {IN(B, C, layer_norm, x), IN(1, C, layer_norm, scale), IN(1, C, layer_norm, bias)}},
    {OP(rms_norm, B, C), 2, {IN(B, C, rms_norm, x), IN(1, C, rms_norm, scale)}},
    {OP(gelu, B, C), 1, {IN(B, C, gelu, x)}},
    {OP(elu, B, C), 1, {IN(B, C, elu, x)}},
    {OP(softplus, B, C), 1, {IN(B, C, softplus, x)}},
    {OP(softmax, B, C), 1, {IN(B, C, softmax, x)}},
    {OP(log_softmax, B, C), 1, {IN(B, C, log_softmax, x)}},
    {OP(bernoulli_nll, B, 1), 2, {IN(B, C, bernoulli_nll, logits), IN(B, C, bernoulli_nll, target)}},
    {OP(gaussian_nll, B, 1), 3,
     {IN(B, C, gaussian_nll, mean), IN(B, C, gaussian_nll, logvar), IN(B, C, gaussian_nll, target)}},
    {OP(kl_normal, B, 1), 4,
     {IN(B, C, kl_normal, mean_p), IN(B, C, kl_normal, logvar_p), IN(B, C, kl_normal, mean_q),
      IN(B, C, kl_normal, logvar_q)}},
    {OP(mse, B, 1), 2, {IN(B, C, mse, p), IN(B, C, mse, t)}},
};

static rv_device *device;
static double bound; /* of each element, relative to itself and the rms */

static rv_array *array_of(int rows, int cols, const double *values) {
    rv_array *array;
    float single[MOST_ELEMENTS];
    assert_ok(rv_array_create(device, RV_F32, rows, cols, "golden", &array), "");
    for (int i = 0; values && i < rows * cols; i++) single[i] = (float)values[i];
    if (values) assert_ok(rv_array_write(array, 0, rows, single), "");
    return array;
}

static int differs(const char *name, const char *what, int number, rv_array *array, const double *expected) {
    float single[MOST_ELEMENTS];
    double got[MOST_ELEMENTS];
    char why[200];
    int64_t count = rv_array_rows(array) * rv_array_cols(array);
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), single), "");
    for (int64_t i = 0; i < count; i++) got[i] = (double)single[i];
    if (rv_compare_within(got, expected, count, bound * bound, bound, why, sizeof why)) return 0;
    print_error("%s: %s, %s %d: %s\n", rv_device_name(device), name, what, number, why);
    return 1;
}

static void run(rv_graph *graph, int expand) {
    rv_plan *plan;
    rv_plan_options options = {.size = sizeof options, .expand = expand};
    assert_ok(rv_plan_create(graph, &options, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
}

static int check(const golden *g, int expand) {
    rv_graph *graph;
    rv_array *arrays[MOST_INPUTS], *gradients[MOST_INPUTS], *weight = array_of(g->rows, g->cols, g->weight);
    rv_array *result = array_of(g->rows, g->cols, NULL);
    rv_tensor in[MOST_INPUTS], gradient[MOST_INPUTS];
    assert_ok(rv_graph_create(device, &graph), "");
    for (int i = 0; i < g->input_count; i++) {
        arrays[i] = array_of(g->in[i].rows, g->in[i].cols, g->in[i].value);
        gradients[i] = array_of(g->in[i].rows, g->in[i].cols, NULL);
        in[i] = rv_read(graph, arrays[i]);
    }
    rv_tensor out = g->record(in), loss = rv_sum(rv_mul(out, rv_read(graph, weight)), RV_ALL);
    rv_store(result, out);
    assert_ok(rv_gradients(loss, in, g->input_count, NULL, 0, gradient), rv_graph_message(graph));
    for (int i = 0; i < g->input_count; i++) rv_store(gradients[i], gradient[i]);
    run(graph, expand);
    int failures = differs(g->name, "result", 0, result, g->result);
    for (int i = 0; i < g->input_count; i++) {
        failures += differs(g->name, "gradient", i, gradients[i], g->in[i].gradient);
        rv_array_destroy(arrays[i]);
        rv_array_destroy(gradients[i]);
    }
    rv_array_destroy(weight);
    rv_array_destroy(result);
    return failures;
}

static void test_ops(void **state) {
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        for (int expand = 0; expand < 2; expand++) failures += check(&goldens[i], expand);
    }
    assert_int_equal(failures, 0);
}

/* Five steps through params.h, as a program takes them. */
static void test_adamw(void **state) {
    (void)state;
    rv_params *params;
    rv_graph *graph;
    rv_plan *plan;
    float single[GOLDEN_N];
    assert_ok(rv_params_create(device, &params), "");
    rv_params_add(params, "weight", 1, GOLDEN_N, RV_INIT_ZERO, 0);
    assert_ok(rv_params_commit(params, 1), rv_params_message(params));
    for (int i = 0; i < GOLDEN_N; i++) single[i] = (float)adamw_value[i];
    assert_ok(rv_params_set(params, 0, RV_VALUE, single), rv_params_message(params));
    rv_array *rate = array_of(1, 1, (double[]){(double)0.01f}), *norm = array_of(1, 1, NULL);
    assert_ok(rv_graph_create(device, &graph), "");
    rv_adamw_options options = {.weight_decay = 0.1f};
    rv_store(norm, rv_params_adamw(graph, params, rv_read(graph, rate), RV_NONE, 1, &options));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_array *value = array_of(1, GOLDEN_N, NULL);
    int failures = 0;
    for (int step = 0; step < GOLDEN_STEPS; step++) {
        for (int i = 0; i < GOLDEN_N; i++) single[i] = (float)adamw_gradients[step * GOLDEN_N + i];
        assert_ok(rv_params_set(params, 0, RV_GRADIENT, single), "");
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        assert_ok(rv_params_get(params, 0, RV_VALUE, single), "");
        assert_ok(rv_array_write(value, 0, 1, single), "");
        failures += differs("adamw", "value after step", step, value, adamw_values + step * GOLDEN_N);
        failures += differs("adamw", "norm in step", step, norm, adamw_norms + step);
    }
    assert_ok(rv_params_get(params, 0, RV_MOMENT1, single), "");
    assert_ok(rv_array_write(value, 0, 1, single), "");
    failures += differs("adamw", "moment", 1, value, adamw_moment1);
    assert_ok(rv_params_get(params, 0, RV_MOMENT2, single), "");
    assert_ok(rv_array_write(value, 0, 1, single), "");
    failures += differs("adamw", "moment", 2, value, adamw_moment2);
    int32_t updates;
    assert_ok(rv_array_read(rv_params_updates(params), 0, 1, &updates), "");
    assert_int_equal(updates, GOLDEN_STEPS);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(value);
    rv_array_destroy(norm);
    rv_array_destroy(rate);
    rv_params_destroy(params);
    assert_int_equal(failures, 0);
}

int main(void) {
    /* cpu:double is right to what a float read from it can show */
    static const struct {
        const char *resource;
        double bound;
    } devices[] = {{"cpu:double", 2e-7}, {"cpu:reference", 2e-6}, {"cpu", 5e-6}, {"check:cpu", 5e-6}};
    int failed = 0;
    for (int d = 0; d < 4; d++) {
        if (rv_device_open(devices[d].resource, NULL, &device) != RV_OK) return 1;
        bound = devices[d].bound;
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_ops), cmocka_unit_test(test_adamw)};
        failed += cmocka_run_group_tests_name(devices[d].resource, tests, NULL, NULL);
        rv_device_close(device);
    }
    return failed;
}
