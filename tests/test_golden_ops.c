/* tests/test_golden_ops.c: fused ops, their gradients and optimiser steps against PyTorch in float64 (golden/ops.py,
 * golden/ops_dreamer.py). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/internal.h"
#include "reverie/scan.h"
#include "reverie/ops_dreamer.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

typedef struct golden {
    const char *item, *name;
    int rows, cols;
    const double *values;
} golden;

static const golden goldens[] = {
#include "tests/golden/ops.h"
#include "tests/golden/ops_dreamer.h"
};
enum { GOLDENS = sizeof goldens / sizeof *goldens, MAX_ARRAYS = 48, MAX_ELEMENTS = 128 };

static const char *resource; /* of the device the tests run on */
static int expand;           /* rv_plan_options.expand */

static const golden *find(const char *item, const char *name) {
    for (int i = 0; i < GOLDENS; i++) {
        if (strcmp(goldens[i].item, item) == 0 && strcmp(goldens[i].name, name) == 0) return &goldens[i];
    }
    fail_msg("no golden %s %s", item, name);
    return NULL;
}

/* ---- arrays with the golden's inputs, and outputs to compare with it --------------------------------------- */

typedef struct lab {
    const char *item;
    rv_device *device;
    rv_graph *graph;
    rv_plan *plan;
    rv_array *arrays[MAX_ARRAYS];
    const golden *wanted[MAX_ARRAYS]; /* NULL: an input */
    int count;
} lab;

static lab open_lab(const char *item) {
    lab l = {.item = item};
    assert_int_equal(rv_device_open(resource, NULL, &l.device), RV_OK);
    assert_int_equal(rv_graph_create(l.device, &l.graph), RV_OK);
    return l;
}

static rv_array *array_of(lab *l, const golden *g, bool filled) {
    float values[MAX_ELEMENTS];
    assert_true(l->count < MAX_ARRAYS && g->rows * g->cols <= MAX_ELEMENTS);
    rv_array **array = &l->arrays[l->count];
    assert_int_equal(rv_array_create(l->device, RV_F32, g->rows, g->cols, g->name, array), RV_OK);
    for (int i = 0; i < g->rows * g->cols; i++) values[i] = (float)g->values[i];
    if (filled) assert_int_equal(rv_array_write(*array, 0, g->rows, values), RV_OK);
    l->wanted[l->count++] = filled ? NULL : g;
    return *array;
}

static rv_tensor input(lab *l, const char *name) { return rv_read(l->graph, array_of(l, find(l->item, name), true)); }

static void expect(lab *l, const char *name, rv_tensor x) {
    assert_ok(rv_graph_status(l->graph), rv_graph_message(l->graph));
    rv_store(array_of(l, find(l->item, name), false), x);
}

/* What golden/ops.py's finish() does. */
static void expect_with_gradients(lab *l, const rv_tensor *outputs, const char *const *output_names, int output_count,
                                  const rv_tensor *inputs, const char *const *input_names, int input_count) {
    rv_tensor loss = RV_NONE, gradients[8];
    char name[64];
    for (int i = 0; i < output_count; i++) {
        expect(l, output_names[i], outputs[i]);
        snprintf(name, sizeof name, "weight_%s", output_names[i]);
        const rv_tensor part = rv_sum(rv_mul(outputs[i], input(l, name)), RV_ALL);
        loss = i ? rv_add(loss, part) : part;
    }
    assert_int_equal(rv_gradients(loss, inputs, input_count, NULL, 0, gradients), RV_OK);
    for (int i = 0; i < input_count; i++) {
        snprintf(name, sizeof name, "d_%s", input_names[i]);
        expect(l, name, gradients[i]);
    }
}

static void compare(lab *l, int index) {
    const golden *g = l->wanted[index];
    const int count = g->rows * g->cols;
    const double bound = strcmp(resource, "cpu:double") == 0 ? 2e-7 : 1e-5; /* reading rounds to f32 */
    float got[MAX_ELEMENTS];
    double square = 0;
    assert_int_equal(rv_array_read(l->arrays[index], 0, g->rows, got), RV_OK);
    for (int i = 0; i < count; i++) square += g->values[i] * g->values[i] / count;
    for (int i = 0; i < count; i++) {
        const double off = fabs((double)got[i] - g->values[i]), allowed = bound * (fabs(g->values[i]) + sqrt(square));
        if (!(off <= allowed)) {
            fail_msg("%s: %s %s[%d] is %.9g, should be %.9g", resource, g->item, g->name, i, (double)got[i], g->values[i]);
        }
    }
}

static void run_lab(lab *l) {
    const rv_plan_options options = {.size = sizeof options, .expand = expand};
    const rv_status status = rv_plan_create(l->graph, &options, &l->plan);
    assert_ok(status, rv_plan_message(l->plan));
    assert_ok(rv_plan_run(l->plan), rv_plan_message(l->plan));
}

static void close_lab(lab *l) {
    for (int i = 0; i < l->count; i++) {
        if (l->wanted[i]) compare(l, i);
    }
    rv_plan_destroy(l->plan);
    for (int i = 0; i < l->count; i++) rv_array_destroy(l->arrays[i]);
    rv_graph_destroy(l->graph);
    rv_device_close(l->device);
}

/* ---- the items ------------------------------------------------------------------------------------------ */

static void gru_cell(void **state) {
    (void)state;
    lab l = open_lab("gru_cell");
    static const char *const names[] = {"x", "h", "w_x", "w_h", "b_x", "b_h"}, *const next[] = {"next"};
    rv_tensor in[6];
    for (int i = 0; i < 6; i++) in[i] = input(&l, names[i]);
    const rv_tensor out = rv_gru_cell(in[0], in[1], in[2], in[3], in[4], in[5]);
    expect_with_gradients(&l, &out, next, 1, in, names, 6);
    run_lab(&l);
    close_lab(&l);
}

static void layer_norm(void **state) {
    (void)state;
    lab l = open_lab("layer_norm");
    static const char *const names[] = {"x", "scale", "bias"}, *const y[] = {"y"};
    const rv_tensor in[3] = {input(&l, "x"), input(&l, "scale"), input(&l, "bias")};
    const rv_tensor out = rv_layer_norm(in[0], in[1], in[2], 1e-3f, RV_SILU);
    expect_with_gradients(&l, &out, y, 1, in, names, 3);
    run_lab(&l);
    close_lab(&l);
}

static void rms_norm(void **state) {
    (void)state;
    lab l = open_lab("rms_norm");
    static const char *const names[] = {"x", "scale"}, *const y[] = {"y"};
    const rv_tensor in[2] = {input(&l, "x"), input(&l, "scale")};
    const rv_tensor out = rv_rms_norm(in[0], in[1], 1e-3f, RV_SILU);
    expect_with_gradients(&l, &out, y, 1, in, names, 2);
    run_lab(&l);
    close_lab(&l);
}

static void linear(void **state) {
    (void)state;
    lab l = open_lab("linear");
    static const char *const names[] = {"a", "b", "w", "bias"}, *const y[] = {"y"};
    const rv_tensor in[4] = {input(&l, "a"), input(&l, "b"), input(&l, "w"), input(&l, "bias")};
    const rv_tensor out = rv_linear(in, 2, in[2], in[3], RV_GELU);
    expect_with_gradients(&l, &out, y, 1, in, names, 4);
    run_lab(&l);
    close_lab(&l);
}

static void likelihoods(void **state) {
    (void)state;
    lab l = open_lab("likelihoods");
    static const char *const names[] = {"mean", "logvar", "other", "other_logvar", "target"};
    static const char *const outputs[] = {"gaussian", "kl", "mse", "bernoulli"};
    rv_tensor in[5];
    for (int i = 0; i < 5; i++) in[i] = input(&l, names[i]);
    const rv_tensor out[4] = {rv_gaussian_nll(in[0], in[1], in[4]), rv_kl_normal(in[0], in[1], in[2], in[3]),
                              rv_mse(in[0], in[4]), rv_bernoulli_nll(in[0], in[4])};
    expect_with_gradients(&l, out, outputs, 4, in, names, 5);
    run_lab(&l);
    close_lab(&l);
}

static void softmax(void **state) {
    (void)state;
    lab l = open_lab("softmax");
    static const char *const names[] = {"x"}, *const outputs[] = {"y", "log"};
    const rv_tensor x = input(&l, "x"), out[2] = {rv_softmax(x), rv_log_softmax(x)};
    expect_with_gradients(&l, out, outputs, 2, &x, names, 1);
    run_lab(&l);
    close_lab(&l);
}

/* Four steps in one plan, the gradient's norm clipped as torch.nn.utils.clip_grad_norm_ does. */
static void adamw(void **state) {
    (void)state;
    lab l = open_lab("adamw");
    enum { STEPS = 4 };
    const golden *start = find("adamw", "value");
    rv_tensor now[3] = {input(&l, "value"), rv_fill(l.graph, 1, start->cols, 0), rv_fill(l.graph, 1, start->cols, 0)};
    for (int step = 0; step < STEPS; step++) {
        char name[32];
        snprintf(name, sizeof name, "gradient_%d", step);
        const rv_tensor gradient = input(&l, name), lr = rv_fill(l.graph, 1, 1, 0.02f);
        const rv_tensor updates = rv_cast(rv_fill(l.graph, 1, 1, (float)(step + 1)), RV_I32);
        rv_tensor next[3];
        rv_adamw(now[0], gradient, now[1], now[2], lr, updates, rv_global_norm(gradient), 0.9f, 0.99f, 1e-5f, 0.1f, 1.5f, next);
        memcpy(now, next, sizeof now);
        snprintf(name, sizeof name, "value_%d", step);
        expect(&l, name, now[0]);
    }
    expect(&l, "m", now[1]);
    expect(&l, "v", now[2]);
    run_lab(&l);
    close_lab(&l);
}

static void categorical(void **state) {
    (void)state;
    enum { CLASSES = 5 };
    lab l = open_lab("categorical");
    static const char *const names[] = {"logits", "other", "onehot"}, *const outputs[] = {"log_prob", "entropy", "kl"};
    const rv_tensor in[3] = {input(&l, "logits"), input(&l, "other"), input(&l, "onehot")};
    const rv_tensor out[3] = {rv_categorical_log_prob(in[0], CLASSES, 0.01f, in[2]), rv_categorical_entropy(in[0], CLASSES, 0.01f),
                              rv_kl_categorical(in[0], in[1], CLASSES, 0.01f)};
    expect_with_gradients(&l, out, outputs, 3, in, names, 3);
    run_lab(&l);
    close_lab(&l);
}

static void categorical_draw(void **state) {
    (void)state;
    lab l = open_lab("draw");
    static const char *const names[] = {"logits"}, *const outputs[] = {"value"};
    rv_random *random;
    assert_int_equal(rv_random_create(l.device, 5, &random), RV_OK);
    const rv_tensor logits = input(&l, "logits");
    const rv_tensor value = rv_sample_categorical(logits, 4, 0.01f, rv_random_state(l.graph, random), "latent", 2).value;
    expect_with_gradients(&l, &value, outputs, 1, &logits, names, 1);
    run_lab(&l);
    rv_random_destroy(random); /* the plan holds what it reads */
    close_lab(&l);
}

static void twohot(void **state) {
    (void)state;
    lab l = open_lab("twohot");
    static const char *const names[] = {"logits", "target"}, *const nll[] = {"nll"}, *const small[] = {"small"}, *const mean[] = {"mean"};
    const golden *bins_wanted = find("twohot", "bins");
    float made[16];
    assert_int_equal(rv_symexp_bins(bins_wanted->cols, made), RV_OK);
    for (int k = 0; k < bins_wanted->cols; k++) assert_true(fabs((double)made[k] - bins_wanted->values[k]) <= 1e-7 * fabs(bins_wanted->values[k]));
    const rv_tensor bins = input(&l, "bins"), in[2] = {input(&l, "logits"), input(&l, "target")}, other = input(&l, "small");
    const rv_tensor out[2] = {rv_twohot_nll(in[0], in[1], bins), rv_twohot_mean(other, bins)};
    expect_with_gradients(&l, &out[0], nll, 1, in, names, 2);
    expect_with_gradients(&l, &out[1], mean, 1, &other, small, 1);
    run_lab(&l);
    close_lab(&l);
}

static void returns(void **state) {
    (void)state;
    lab l = open_lab("returns");
    static const char *const names[] = {"reward", "value", "going_on"}, *const outputs[] = {"lambda", "weight"};
    const rv_tensor in[3] = {input(&l, "reward"), input(&l, "value"), input(&l, "going_on")};
    const rv_tensor out[2] = {rv_lambda_return(in[0], in[2], in[1], 0.95f), rv_cumprod(in[2], 0)};
    expect_with_gradients(&l, out, outputs, 2, in, names, 3);
    run_lab(&l);
    close_lab(&l);
}

static void gru_sequence(void **state) {
    static const char *const items[] = {"gru_sequence", "gru_resets"};
    static const char *const names[] = {"x", "h", "w_x", "w_h", "b_x", "b_h"}, *const states[] = {"states"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        lab l = open_lab(items[i]);
        rv_tensor in[6], reset = i ? input(&l, "reset") : RV_NONE;
        for (int k = 0; k < 6; k++) in[k] = input(&l, names[k]);
        const rv_tensor out = rv_gru_sequence(in[0], in[1], reset, in[2], in[3], in[4], in[5]);
        expect_with_gradients(&l, &out, states, 1, in, names, 6);
        run_lab(&l);
        close_lab(&l);
    }
}

static void block_core(void **state) {
    (void)state;
    enum { BLOCKS = 2 };
    static const char *const names[] = {"h", "w", "bias", "scale", "gates", "x0", "x1", "x2"}, *const next[] = {"next"};
    lab l = open_lab("block_core");
    rv_tensor in[8];
    for (int i = 0; i < 8; i++) in[i] = input(&l, names[i]);
    rv_tensor v = rv_block_linear(in[0], in + 5, 3, BLOCKS, in[1], in[2], RV_LINEAR);
    v = rv_rms_norm(v, in[3], 1e-4f, RV_SILU);
    const rv_tensor out = rv_block_gru(rv_block_linear(v, NULL, 0, BLOCKS, in[4], RV_NONE, RV_LINEAR), in[0], BLOCKS);
    expect_with_gradients(&l, &out, next, 1, in, names, 8);
    run_lab(&l);
    close_lab(&l);
}

/* Ten steps in one plan: three weights, of which one is clipped always, one hardly ever and one is small. */
static void laprop(void **state) {
    (void)state;
    enum { STEPS = 10, WEIGHTS = 3 };
    const rv_laprop_settings settings = {(double)0.9f, (double)0.99f, 1e-20f, 0.1f, 0.3f, 1e-3f};
    lab l = open_lab("laprop");
    const golden *start = find("laprop", "value");
    rv_tensor owner = rv_cast(input(&l, "owner"), RV_I32), lr = rv_fill(l.graph, 1, 1, 0.02f), zero = rv_fill(l.graph, 1, start->cols, 0);
    rv_tensor now[3] = {input(&l, "value"), zero, zero};
    for (int step = 1; step <= STEPS; step++) {
        char name[32];
        snprintf(name, sizeof name, "gradient_%d", step);
        const rv_tensor gradient = input(&l, name), updates = rv_cast(rv_fill(l.graph, 1, 1, (float)step), RV_I32);
        const rv_tensor norms = rv_segment_norms(now[0], gradient, owner, WEIGHTS);
        rv_laprop((rv_tensor[]){now[0], gradient, now[1], now[2], lr, updates, norms, owner}, &settings, now);
        snprintf(name, sizeof name, "value_%d", step);
        expect(&l, name, now[0]);
    }
    expect(&l, "m", now[1]);
    expect(&l, "v", now[2]);
    run_lab(&l);
    close_lab(&l);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gru_cell), cmocka_unit_test(layer_norm),  cmocka_unit_test(rms_norm), cmocka_unit_test(linear),
        cmocka_unit_test(softmax),  cmocka_unit_test(likelihoods), cmocka_unit_test(adamw),
        cmocka_unit_test(gru_sequence), cmocka_unit_test(block_core), cmocka_unit_test(laprop),
        cmocka_unit_test(categorical), cmocka_unit_test(categorical_draw), cmocka_unit_test(twohot), cmocka_unit_test(returns),
    };
    rv_test_devices devices;
    rv_devices_from(&devices, argc, argv, "cpu:double cpu:reference cpu check:cpu");
    int failures = 0;
    for (int i = 0; i < devices.count; i++) {
        bool skip;
        rv_device *device = rv_device_open_for_test(&devices, i, &skip);
        failures += !device && !skip;
        rv_device_close(device);
        resource = devices.names[i];
        for (expand = 0; device && expand < 2; expand++) failures += cmocka_run_group_tests_name(resource, tests, NULL, NULL);
    }
    return failures;
}
