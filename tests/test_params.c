/* Weight sets: layout, initial weights, gradients in place, AdamW against double arithmetic, averages, health. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

static rv_test_devices devices;

static rv_device *open_device(const char *name) {
    rv_device *device;
    assert_ok(rv_device_open(name, NULL, &device), rv_device_message(device));
    return device;
}

static rv_params *create(rv_device *device) {
    rv_params *params;
    assert_ok(rv_params_create(device, &params), rv_device_message(device));
    return params;
}

/* ---- layout and names ---- */

static void test_layout(void **state) {
    (void)state;
    rv_device *device = open_device("cpu:reference");
    rv_params *params = create(device);
    static const struct {
        const char *name;
        int64_t rows, cols, offset;
    } weights[] = {{"a", 4, 4, 0}, {"b", 1, 1, 16}, {"c", 3, 11, 32}, {"d", 1, 16, 80}, {"e", 17, 1, 96}};
    for (int i = 0; i < 5; i++) {
        const int64_t rows = weights[i].rows, cols = weights[i].cols;
        assert_int_equal(rv_params_add(params, weights[i].name, rows, cols, RV_INIT_CONSTANT, 2.5f), i);
    }
    assert_null(rv_params_array(params, RV_VALUE));
    assert_ok(rv_params_commit(params, 0), rv_params_message(params));
    assert_int_equal(rv_params_count(params), 5);
    assert_int_equal(rv_params_size(params), 16 + 1 + 33 + 16 + 17);
    for (int part = RV_VALUE; part <= RV_MOMENT2; part++) {
        rv_array *array = rv_params_array(params, (rv_params_part)part);
        assert_int_equal(rv_array_rows(array), 1);
        assert_int_equal(rv_array_cols(array), 128);
    }
    float flat[128];
    assert_ok(rv_array_read(rv_params_array(params, RV_VALUE), 0, 1, flat), "flat");
    for (int i = 0; i < 5; i++) {
        int64_t rows, cols;
        assert_int_equal(rv_params_find(params, weights[i].name), i);
        assert_string_equal(rv_params_name(params, i), weights[i].name);
        assert_ok(rv_params_shape(params, i, &rows, &cols), "shape");
        assert_true(rows == weights[i].rows && cols == weights[i].cols);
        assert_int_equal(rv_params_offset(params, i), weights[i].offset);
        const int64_t end = i < 4 ? weights[i + 1].offset : 128;
        for (int64_t k = weights[i].offset; k < end; k++) {
            assert_true(flat[k] == (k < weights[i].offset + rows * cols ? 2.5f : 0.0f));
        }
    }
    int32_t updates = -1;
    assert_ok(rv_array_read(rv_params_updates(params), 0, 1, &updates), "updates");
    assert_int_equal(updates, 0);
    rv_params_destroy(params);
    rv_device_close(device);
}

static void test_get_and_set(void **state) {
    (void)state;
    rv_device *device = open_device("cpu:reference");
    rv_params *params = create(device);
    rv_params_add(params, "a", 2, 3, RV_INIT_CONSTANT, 1.0f);
    rv_params_add(params, "b", 1, 5, RV_INIT_CONSTANT, 2.0f);
    float values[5] = {5, 6, 7, 8, 9}, got[6];
    assert_status(rv_params_get(params, 0, RV_VALUE, got), RV_WRONG_STATE);
    assert_ok(rv_params_commit(params, 0), rv_params_message(params));
    for (int part = RV_VALUE; part <= RV_MOMENT2; part++) {
        assert_ok(rv_params_set(params, 1, (rv_params_part)part, values), rv_params_message(params));
        assert_ok(rv_params_get(params, 1, (rv_params_part)part, got), rv_params_message(params));
        assert_memory_equal(got, values, sizeof values);
        assert_ok(rv_params_get(params, 0, (rv_params_part)part, got), rv_params_message(params));
        for (int i = 0; i < 6; i++) assert_true(got[i] == (part == RV_VALUE ? 1.0f : 0.0f));
    }
    assert_status(rv_params_get(params, 2, RV_VALUE, got), RV_INVALID_ARGUMENT);
    assert_status(rv_params_get(params, -1, RV_VALUE, got), RV_INVALID_ARGUMENT);
    assert_status(rv_params_get(params, 0, (rv_params_part)4, got), RV_INVALID_ARGUMENT);
    assert_status(rv_params_set(params, 0, RV_VALUE, NULL), RV_INVALID_ARGUMENT);
    assert_status(rv_params_get(NULL, 0, RV_VALUE, got), RV_INVALID_ARGUMENT);
    rv_params_destroy(params);
    rv_device_close(device);
}

/* The first mistake is what the commit answers with, and the set can still be destroyed. */
static void expect_refused(const char *names, rv_status expected, int (*mistake)(rv_params *)) {
    rv_device *device = open_device("cpu:reference");
    rv_params *params = create(device);
    assert_int_equal(rv_params_add(params, "good", 1, 1, RV_INIT_ZERO, 0.0f), 0);
    assert_int_equal(mistake(params), -1);
    assert_int_equal(rv_params_add(params, "good", 1, 1, RV_INIT_ZERO, 0.0f), -1); /* a later one */
    assert_status(rv_params_commit(params, 0), expected);
    assert_names(rv_params_message(params), names);
    rv_graph *graph;
    assert_ok(rv_graph_create(device, &graph), "graph");
    assert_int_equal(rv_param(graph, params, 0).id, 0);
    assert_status(rv_graph_status(graph), RV_WRONG_STATE);
    rv_graph_destroy(graph);
    rv_params_destroy(params);
    rv_device_close(device);
}

static int add_twice(rv_params *params) { return rv_params_add(params, "good", 2, 2, RV_INIT_ZERO, 0); }
static int add_unnamed(rv_params *params) { return rv_params_add(params, "", 2, 2, RV_INIT_ZERO, 0); }
static int add_null(rv_params *params) { return rv_params_add(params, NULL, 2, 2, RV_INIT_ZERO, 0); }
static int add_control(rv_params *params) { return rv_params_add(params, "a\x1b[2J", 2, 2, RV_INIT_ZERO, 0); }
static int add_no_rows(rv_params *params) { return rv_params_add(params, "w", 0, 2, RV_INIT_ZERO, 0); }
static int add_no_cols(rv_params *params) { return rv_params_add(params, "w", 2, -1, RV_INIT_ZERO, 0); }
static int add_large(rv_params *params) { return rv_params_add(params, "w", INT64_MAX, INT64_MAX, RV_INIT_ZERO, 0); }
static int add_init(rv_params *params) { return rv_params_add(params, "w", 2, 2, (rv_init)6, 0); }

static void test_mistakes(void **state) {
    (void)state;
    expect_refused("taken", RV_INVALID_ARGUMENT, add_twice);
    expect_refused("bytes", RV_INVALID_ARGUMENT, add_unnamed);
    expect_refused("bytes", RV_INVALID_ARGUMENT, add_null);
    expect_refused("bytes", RV_INVALID_ARGUMENT, add_control);
    expect_refused("rows and columns", RV_INVALID_ARGUMENT, add_no_rows);
    expect_refused("rows and columns", RV_INVALID_ARGUMENT, add_no_cols);
    expect_refused("addressed", RV_TOO_LARGE, add_large);
    expect_refused("initialisation", RV_INVALID_ARGUMENT, add_init);

    rv_device *device = open_device("cpu:reference");
    rv_params *params = create(device);
    assert_status(rv_params_commit(params, 0), RV_INVALID_ARGUMENT);
    assert_names(rv_params_message(params), "no weight");
    rv_params_add(params, "w", 1, 1, RV_INIT_ZERO, 0);
    assert_ok(rv_params_commit(params, 0), rv_params_message(params));
    assert_status(rv_params_commit(params, 0), RV_WRONG_STATE);
    assert_int_equal(rv_params_add(params, "v", 1, 1, RV_INIT_ZERO, 0), -1);
    rv_params_destroy(params);
    rv_params_destroy(NULL);
    assert_status(rv_params_create(NULL, &params), RV_INVALID_ARGUMENT);
    rv_device_close(device);
}

/* ---- initial weights ---- */

enum { FAN = 100, WIDTH = 300 };

/* Draws one weight of [100, 300]; `before` other weights stand in front of it. */
static void draw(rv_init init, float scale, uint64_t seed, int before, float *out) {
    rv_device *device = open_device("cpu:reference");
    rv_params *params = create(device);
    if (before) rv_params_add(params, "another", 7, 3, RV_INIT_NORMAL, 1.0f);
    const int weight = rv_params_add(params, "layer/weight", FAN, WIDTH, init, scale);
    assert_ok(rv_params_commit(params, seed), rv_params_message(params));
    assert_ok(rv_params_get(params, weight, RV_VALUE, out), rv_params_message(params));
    rv_params_destroy(params);
    rv_device_close(device);
}

static void expect_spread(const float *x, double deviation, double bound) {
    double sum = 0, square = 0, largest = 0;
    const int n = FAN * WIDTH;
    for (int i = 0; i < n; i++) {
        sum += x[i];
        square += (double)x[i] * x[i];
        largest = fmax(largest, fabs(x[i]));
    }
    assert_true(fabs(sum / n) < 5 * deviation / sqrt(n));
    assert_true(fabs(sqrt(square / n) / deviation - 1) < 0.02);
    assert_true(largest <= bound * (1 + 1e-6) && largest > 0.98 * fmin(bound, 3 * deviation));
}

static void test_initial_weights(void **state) {
    (void)state;
    static float x[FAN * WIDTH], y[FAN * WIDTH];
    draw(RV_INIT_UNIFORM, 0.5f, 3, 0, x);
    expect_spread(x, 0.5 / sqrt(3), 0.5);
    rv_random_uniform(3, 0, "layer/weight", 0, FAN, WIDTH, y);
    for (int i = 0; i < FAN * WIDTH; i++) assert_true(x[i] == (2.0f * y[i] - 1.0f) * 0.5f);
    draw(RV_INIT_FAN_IN, 2.0f, 3, 0, x);
    expect_spread(x, 0.2 / sqrt(3), 0.2);
    draw(RV_INIT_NORMAL, 3.0f, 3, 0, x);
    expect_spread(x, 3.0, 18.0);
    draw(RV_INIT_TRUNCATED, 1.0f, 3, 0, x);
    expect_spread(x, 0.1, 0.22736); /* 1.1368 is 1 / the deviation of a normal cut at 2 */
    /* a weight depends on seed and name alone */
    draw(RV_INIT_TRUNCATED, 1.0f, 3, 1, y);
    assert_memory_equal(x, y, sizeof x);
    draw(RV_INIT_TRUNCATED, 1.0f, 4, 0, y);
    int equal = 0;
    for (int i = 0; i < FAN * WIDTH; i++) equal += x[i] == y[i];
    assert_true(equal < 10);
}

/* ---- a training step ---- */

typedef struct trainer {
    rv_device *device;
    rv_params *params;
    rv_array *x, *rate, *norm, *watched;
    rv_plan *plan;
} trainer;

enum { BATCH = 6, INPUTS = 3, OUTPUTS = 5 };

static void train_open(trainer *t, const char *name, float clip, const rv_adamw_options *options) {
    t->device = open_device(name);
    t->params = create(t->device);
    const int w = rv_params_add(t->params, "w", INPUTS, OUTPUTS, RV_INIT_NORMAL, 1.0f);
    const int b = rv_params_add(t->params, "b", 1, OUTPUTS, RV_INIT_NORMAL, 1.0f);
    rv_params_add(t->params, "unused", 2, 2, RV_INIT_NORMAL, 1.0f);
    assert_ok(rv_params_commit(t->params, 9), rv_params_message(t->params));
    assert_ok(rv_array_create(t->device, RV_F32, BATCH, INPUTS, "x", &t->x), "x");
    assert_ok(rv_array_create(t->device, RV_F32, 1, 1, "rate", &t->rate), "rate");
    assert_ok(rv_array_create(t->device, RV_F32, 1, 1, "norm", &t->norm), "norm");
    assert_ok(rv_array_create(t->device, RV_F32, 1, 1, "watched", &t->watched), "watched");
    float x[BATCH * INPUTS], rate = 0.01f;
    rv_random_normal(1, 0, "x", 0, BATCH, INPUTS, x);
    assert_ok(rv_array_write(t->x, 0, BATCH, x), "x");
    assert_ok(rv_array_write(t->rate, 0, 1, &rate), "rate");
    rv_graph *graph;
    assert_ok(rv_graph_create(t->device, &graph), "graph");
    const char *watched = "watched";
    rv_watch(rv_read(graph, t->watched), &watched, 1);
    rv_tensor weight = rv_param(graph, t->params, w), bias = rv_param(graph, t->params, b);
    rv_tensor y = rv_linear1(rv_read(graph, t->x), weight, bias, RV_SILU);
    rv_tensor loss = rv_sum(rv_square(y), RV_ALL);
    assert_ok(rv_params_gradients(graph, t->params, loss, NULL, 0), rv_graph_message(graph));
    rv_store(t->norm, rv_params_adamw(graph, t->params, rv_read(graph, t->rate), RV_NONE, clip, options));
    assert_ok(rv_plan_create(graph, NULL, &t->plan), rv_plan_message(t->plan));
    rv_graph_destroy(graph);
}

static void train_close(trainer *t) {
    rv_plan_destroy(t->plan);
    rv_array_destroy(t->watched);
    rv_array_destroy(t->norm);
    rv_array_destroy(t->rate);
    rv_array_destroy(t->x);
    rv_params_destroy(t->params);
    rv_device_close(t->device);
}

enum { FLAT = 48 }; /* 15 in 16, 5 in 16, 4 in 16 */

static void read_flat(trainer *t, rv_params_part part, float *out) {
    assert_int_equal(rv_array_cols(rv_params_array(t->params, part)), FLAT);
    assert_ok(rv_array_read(rv_params_array(t->params, part), 0, 1, out), "flat");
}

/* torch.optim.AdamW and clip_grad_norm_ in double, fed with the device's own gradients. */
static void follow_adamw(const char *name, float clip, const rv_adamw_options *options) {
    const rv_adamw_options none = {0}, *o = options ? options : &none;
    const double beta1 = o->beta1 != 0.0f ? o->beta1 : 0.9f, beta2 = o->beta2 != 0.0f ? o->beta2 : 0.999f;
    const double eps = o->eps ? o->eps : 1e-8, rate = 0.01f;
    trainer t;
    train_open(&t, name, clip, options);
    float value[FLAT], gradient[FLAT];
    double p[FLAT], m[FLAT] = {0}, v[FLAT] = {0};
    read_flat(&t, RV_VALUE, value);
    for (int i = 0; i < FLAT; i++) p[i] = value[i];
    for (int step = 1; step <= 20; step++) {
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
        read_flat(&t, RV_GRADIENT, gradient);
        double square = 0;
        for (int i = 0; i < FLAT; i++) square += (double)gradient[i] * gradient[i];
        float norm;
        assert_ok(rv_array_read(t.norm, 0, 1, &norm), "norm");
        assert_true(norm > 0 && fabs(norm / sqrt(square) - 1) < 1e-6);
        const double scale = clip > 0 ? fmin(1.0, clip / (sqrt(square) + 1e-6)) : 1.0;
        read_flat(&t, RV_VALUE, value);
        for (int i = 0; i < FLAT; i++) {
            const double g = gradient[i] * scale;
            m[i] = beta1 * m[i] + (1 - beta1) * g;
            v[i] = beta2 * v[i] + (1 - beta2) * g * g;
            p[i] -= rate * o->weight_decay * p[i];
            p[i] -= rate * (m[i] / (1 - pow(beta1, step))) / (sqrt(v[i] / (1 - pow(beta2, step))) + eps);
            if (fabs(value[i] - p[i]) > 2e-6 * (fabs(p[i]) + 1)) {
                fail_msg("%s: step %d, weight %d: %.9g, not %.9g", name, step, i, value[i], p[i]);
            }
        }
        /* what lies between the weights stays zero */
        assert_true(value[15] == 0.0f && value[21] == 0.0f && value[36] == 0.0f && gradient[15] == 0.0f);
        int32_t updates;
        assert_ok(rv_array_read(rv_params_updates(t.params), 0, 1, &updates), "updates");
        assert_int_equal(updates, step);
    }
    train_close(&t);
}

/* Opens it once to see whether it is there. */
static bool present(int i) {
    bool absent;
    rv_device *device = rv_device_open_for_test(&devices, i, &absent);
    rv_device_close(device);
    if (!absent) assert_non_null(device);
    return !absent;
}

static void test_adamw(void **state) {
    (void)state;
    const rv_adamw_options options = {.beta1 = 0.8f, .beta2 = 0.95f, .eps = 1e-3f, .weight_decay = 0.1f};
    for (int i = 0; i < devices.count; i++) {
        if (!present(i)) continue;
        follow_adamw(devices.names[i], 0.0f, NULL);
        follow_adamw(devices.names[i], 0.5f, &options);
        follow_adamw(devices.names[i], 1e9f, NULL);
    }
}

/* The gradients are written into the flat array by the ops that make them. */
static void test_gradients_in_place(void **state) {
    (void)state;
    trainer t;
    train_open(&t, "cpu", 1.0f, NULL);
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_report_get(t.plan, &report), "report");
    int wgrads = 0;
    for (int64_t i = 0; i < report.launches; i++) {
        rv_launch_info launch = {.size = sizeof launch};
        assert_ok(rv_plan_launch(t.plan, i, &launch), "launch");
        assert_string_not_equal(launch.op, "copy");
        wgrads += strcmp(launch.op, "linear_wgrad") == 0;
    }
    assert_int_equal(wgrads, 1);
    /* and they are right: d/db sum(silu(xw + b)^2), by hand */
    float w[INPUTS * OUTPUTS], b[OUTPUTS], db[OUTPUTS], unused[4], x[BATCH * INPUTS];
    assert_ok(rv_params_get(t.params, 0, RV_VALUE, w), "w");
    assert_ok(rv_params_get(t.params, 1, RV_VALUE, b), "b");
    assert_ok(rv_array_read(t.x, 0, BATCH, x), "x");
    assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
    assert_ok(rv_params_get(t.params, 1, RV_GRADIENT, db), "db");
    for (int col = 0; col < OUTPUTS; col++) {
        double expected = 0;
        for (int row = 0; row < BATCH; row++) {
            double z = b[col];
            for (int k = 0; k < INPUTS; k++) z += (double)x[row * INPUTS + k] * w[k * OUTPUTS + col];
            const double s = 1 / (1 + exp(-z));
            expected += 2 * z * s * (s + z * s * (1 - s));
        }
        assert_true(fabs(db[col] - expected) < 1e-4 * (fabs(expected) + 1));
    }
    assert_ok(rv_params_get(t.params, 2, RV_GRADIENT, unused), "unused");
    for (int i = 0; i < 4; i++) assert_true(unused[i] == 0.0f);
    train_close(&t);
}

/* With the flag set neither weights nor moments nor the count move; cleared, they do again. */
static void test_health(void **state) {
    (void)state;
    for (int i = 0; i < devices.count; i++) {
        if (!present(i)) continue;
        trainer t;
        train_open(&t, devices.names[i], 1.0f, NULL);
        float before[3][FLAT], after[FLAT], bad = INFINITY, good = 0.0f;
        static const rv_params_part parts[3] = {RV_VALUE, RV_MOMENT1, RV_MOMENT2};
        int32_t updates;
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
        for (int k = 0; k < 3; k++) read_flat(&t, parts[k], before[k]);
        assert_ok(rv_array_write(t.watched, 0, 1, &bad), "watched");
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
        assert_ok(rv_array_write(t.watched, 0, 1, &good), "watched");
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan)); /* it is sticky */
        for (int k = 0; k < 3; k++) {
            read_flat(&t, parts[k], after);
            assert_memory_equal(after, before[k], sizeof after);
        }
        assert_ok(rv_array_read(rv_params_updates(t.params), 0, 1, &updates), "updates");
        assert_int_equal(updates, 1);
        const char *name;
        assert_status(rv_device_health(t.device, &name), RV_NON_FINITE);
        assert_string_equal(name, "watched");
        assert_ok(rv_device_health_clear(t.device), "clear");
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
        read_flat(&t, RV_VALUE, after);
        assert_true(memcmp(after, before[0], sizeof after) != 0);
        assert_ok(rv_array_read(rv_params_updates(t.params), 0, 1, &updates), "updates");
        assert_int_equal(updates, 2);
        train_close(&t);
    }
}

/* ---- averages ---- */

static rv_params *constant_set(rv_device *device, float value, int64_t cols) {
    rv_params *params = create(device);
    rv_params_add(params, "w", 3, cols, RV_INIT_CONSTANT, value);
    rv_params_add(params, "b", 1, 2, RV_INIT_CONSTANT, -value);
    assert_ok(rv_params_commit(params, 0), rv_params_message(params));
    return params;
}

static void test_ema(void **state) {
    (void)state;
    for (int i = 0; i < devices.count; i++) {
        if (!present(i)) continue;
        rv_device *device = open_device(devices.names[i]);
        rv_params *target = constant_set(device, 1.0f, 7), *source = constant_set(device, 3.0f, 7);
        rv_graph *graph;
        rv_plan *plan;
        assert_ok(rv_graph_create(device, &graph), "graph");
        rv_params_ema(graph, target, source, 0.25f);
        assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
        rv_graph_destroy(graph);
        float w[21], b[2];
        double expected = 1.0;
        for (int step = 0; step < 3; step++) {
            assert_ok(rv_plan_run(plan), rv_plan_message(plan));
            expected += 0.25 * (3.0 - expected);
            assert_ok(rv_params_get(target, 0, RV_VALUE, w), "w");
            assert_ok(rv_params_get(target, 1, RV_VALUE, b), "b");
            for (int k = 0; k < 21; k++) assert_true(fabs(w[k] - expected) < 1e-6);
            for (int k = 0; k < 2; k++) assert_true(fabs(b[k] + expected) < 1e-6);
            assert_ok(rv_params_get(source, 0, RV_VALUE, w), "w");
            assert_true(w[0] == 3.0f);
        }
        rv_plan_destroy(plan);
        rv_params_destroy(source);
        rv_params_destroy(target);
        rv_device_close(device);
    }
}

static void test_recording_mistakes(void **state) {
    (void)state;
    rv_device *device = open_device("cpu:reference"), *elsewhere = open_device("cpu:reference");
    rv_params *one = constant_set(device, 1.0f, 7), *two = constant_set(device, 1.0f, 8);
    rv_params *foreign = constant_set(elsewhere, 1.0f, 7);
    const struct {
        rv_status status;
        const char *names;
    } expected[] = {
        {RV_SHAPE_MISMATCH, "sets differ"}, {RV_INVALID_ARGUMENT, "no weight 2"}, {RV_INVALID_ARGUMENT, "NULL"},
        {RV_WRONG_DEVICE, "device"},        {RV_INVALID_ARGUMENT, "clip"},        {RV_INVALID_ARGUMENT, "clip"},
    };
    for (int i = 0; i < 6; i++) {
        rv_graph *graph;
        assert_ok(rv_graph_create(device, &graph), "graph");
        rv_tensor rate = rv_fill(graph, 1, 1, 0.1f);
        if (i == 0) rv_params_ema(graph, one, two, 0.5f);
        if (i == 1) assert_int_equal(rv_param(graph, one, 2).id, 0);
        if (i == 2) assert_int_equal(rv_param(graph, NULL, 0).id, 0);
        if (i == 3) assert_int_equal(rv_param(graph, foreign, 0).id, 0);
        if (i == 4) rv_params_adamw(graph, one, rate, RV_NONE, -1.0f, NULL);
        if (i == 5) rv_params_adamw(graph, one, rate, RV_NONE, NAN, NULL);
        assert_status(rv_graph_status(graph), expected[i].status);
        assert_names(rv_graph_message(graph), expected[i].names);
        rv_graph_destroy(graph);
    }
    assert_int_equal(rv_param(NULL, one, 0).id, 0);
    rv_params_destroy(foreign);
    rv_params_destroy(two);
    rv_params_destroy(one);
    rv_device_close(elsewhere);
    rv_device_close(device);
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu cpu:isa=baseline cpu:reference check:cpu");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),          cmocka_unit_test(test_get_and_set),
        cmocka_unit_test(test_mistakes),        cmocka_unit_test(test_initial_weights),
        cmocka_unit_test(test_adamw),           cmocka_unit_test(test_gradients_in_place),
        cmocka_unit_test(test_health),          cmocka_unit_test(test_ema),
        cmocka_unit_test(test_recording_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
