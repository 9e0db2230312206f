/* tests/test_laprop.c: rv_params_laprop over a set of weights: against double arithmetic a weight at a time, what a
 * set flag keeps, what it refuses. */
#include <math.h>
#include <string.h>

#include "core/internal.h"
#include "reverie/ops.h"
#include "reverie/params.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

static rv_test_devices devices;

enum { BATCH = 6, INPUTS = 3, OUTPUTS = 50, WEIGHTS = 4, FLAT = 160 + 64 + 16 + 16, STEPS = 10 };
static const int64_t shapes[WEIGHTS][2] = {{INPUTS, OUTPUTS}, {1, OUTPUTS}, {1, 1}, {2, 3}}; /* the last is not used */
static const int offsets[WEIGHTS + 1] = {0, 160, 224, 240, 256};

typedef struct trainer {
    rv_device *device;
    rv_params *params;
    rv_array *x, *norm, *watched;
    rv_plan *plan;
} trainer;

static rv_array *array(rv_device *device, int64_t rows, int64_t cols, const char *name) {
    rv_array *made;
    assert_ok(rv_array_create(device, RV_F32, rows, cols, name, &made), name);
    return made;
}

static void train_open(trainer *t, const char *resource, const rv_laprop_options *options) {
    static const char *const names[WEIGHTS] = {"w", "b", "gain", "unused"};
    assert_ok(rv_device_open(resource, NULL, &t->device), rv_device_message(t->device));
    assert_ok(rv_params_create(t->device, &t->params), "");
    for (int i = 0; i < WEIGHTS; i++)
        rv_params_add(t->params, names[i], shapes[i][0], shapes[i][1], RV_INIT_NORMAL, i == 1 ? 1e-5f : 1);
    assert_ok(rv_params_commit(t->params, 9), rv_params_message(t->params));
    t->x = array(t->device, BATCH, INPUTS, "x");
    t->norm = array(t->device, 1, 1, "norm");
    t->watched = array(t->device, 1, 1, "watched");
    float x[BATCH * INPUTS];
    rv_random_normal(1, 0, "x", 0, BATCH, INPUTS, x);
    assert_ok(rv_array_write(t->x, 0, BATCH, x), "x");
    rv_graph *graph;
    assert_ok(rv_graph_create(t->device, &graph), "graph");
    const char *watched = "watched";
    rv_watch(rv_read(graph, t->watched), &watched, 1);
    rv_tensor y =
        rv_linear1(rv_read(graph, t->x), rv_param(graph, t->params, 0), rv_param(graph, t->params, 1), RV_SILU);
    rv_tensor loss = rv_sum(rv_square(rv_mul(y, rv_param(graph, t->params, 2))), RV_ALL);
    assert_ok(rv_params_gradients(graph, t->params, loss, NULL, 0), rv_graph_message(graph));
    rv_store(t->norm, rv_params_laprop(graph, t->params, rv_fill(graph, 1, 1, 0.01f), options));
    assert_ok(rv_plan_create(graph, NULL, &t->plan), rv_plan_message(t->plan));
    rv_graph_destroy(graph);
}

static void train_close(trainer *t) {
    rv_plan_destroy(t->plan);
    rv_array_destroy(t->watched);
    rv_array_destroy(t->norm);
    rv_array_destroy(t->x);
    rv_params_destroy(t->params);
    rv_device_close(t->device);
}

static void read_flat(trainer *t, rv_params_part part, float *out) {
    assert_int_equal(rv_array_cols(rv_params_array(t->params, part)), FLAT);
    assert_ok(rv_array_read(rv_params_array(t->params, part), 0, 1, out), "flat");
}

static int read_updates(trainer *t) {
    int32_t updates;
    assert_ok(rv_array_read(rv_params_updates(t->params), 0, 1, &updates), "updates");
    return updates;
}

static double norm_of(const double *x, int64_t count) {
    double square = 0;
    for (int64_t i = 0; i < count; i++) square += x[i] * x[i];
    return sqrt(square);
}

/* One weight's step in double, with the device's own gradient. */
static void step_weight(const rv_laprop_options *o, int step, int64_t count, const float *gradient, double *p,
                        double *m, double *v) {
    double g[INPUTS * OUTPUTS];
    for (int64_t i = 0; i < count; i++) g[i] = (double)gradient[i];
    const double over = norm_of(g, count) / ((double)o->agc * fmax((double)1e-3f, norm_of(p, count)));
    const double clip = o->agc > 0 ? fmax(1, over) : 1, beta1 = o->beta1, beta2 = o->beta2,
                 lr = (double)0.01f;
    for (int64_t i = 0; i < count; i++) {
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] / clip * g[i] / clip;
        const double root = sqrt(v[i] / (1 - pow(beta2, step)));
        m[i] = beta1 * m[i] + (1 - beta1) * g[i] / clip / (root + (double)o->eps);
        p[i] -= lr * (m[i] / (1 - pow(beta1, step)) + (double)o->weight_decay * p[i]);
    }
}

static void follow(const char *resource, const rv_laprop_options *given, const rv_laprop_options *meant) {
    trainer t;
    train_open(&t, resource, given);
    float value[FLAT], gradient[FLAT], start[FLAT], norm;
    double p[FLAT], m[FLAT] = {0}, v[FLAT] = {0}, all[FLAT], moved = 0;
    read_flat(&t, RV_VALUE, start);
    for (int i = 0; i < FLAT; i++) p[i] = (double)start[i];
    for (int step = 1; step <= STEPS; step++) {
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
        read_flat(&t, RV_GRADIENT, gradient);
        read_flat(&t, RV_VALUE, value);
        for (int i = 0; i < FLAT; i++) all[i] = (double)gradient[i];
        assert_ok(rv_array_read(t.norm, 0, 1, &norm), "norm");
        assert_true(norm > 0 && fabs((double)norm / norm_of(all, FLAT) - 1) < 1e-6);
        for (int w = 0; w < WEIGHTS; w++) {
            const int at = offsets[w];
            const int64_t count = shapes[w][0] * shapes[w][1];
            step_weight(meant, step, count, gradient + at, p + at, m + at, v + at);
            for (int64_t i = at + count; i < offsets[w + 1]; i++) assert_true(value[i] == 0.0f && gradient[i] == 0.0f);
        }
        for (int i = 0; i < FLAT; i++) {
            const double bound = 2e-5 * (fabs(p[i]) + 0.1);
            if (fabs((double)value[i] - p[i]) > bound)
                fail_msg("%s: step %d, weight %d: %.9g, not %.9g", resource, step, i, (double)value[i], p[i]);
        }
        assert_int_equal(read_updates(&t), step);
    }
    for (int i = 0; i < FLAT; i++) moved = fmax(moved, fabs(p[i] - (double)start[i]));
    assert_true(moved > 0.05); /* a missing optimiser would not pass */
    train_close(&t);
}

static void test_follows(void **state) {
    const char *resource = devices.names[*(int *)*state];
    bool absent;
    rv_device_close(rv_device_open_for_test(&devices, *(int *)*state, &absent));
    if (absent) skip();
    const rv_laprop_options defaults = {0.9f, 0.999f, 1e-20f, 0, 0.3f}, other = {0.8f, 0.95f, 1e-3f, 0.1f, 0.05f},
                            unclipped = {0.9f, 0.999f, 1e-20f, 0, -1};
    follow(resource, NULL, &defaults);
    follow(resource, &other, &other);
    follow(resource, &unclipped, &unclipped);
}

/* Once the flag is set, values, moments and the count stay. */
static void test_sick(void **state) {
    (void)state;
    trainer t;
    train_open(&t, "cpu", NULL);
    assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
    float before[FLAT], after[FLAT], bad = NAN;
    for (int part = RV_VALUE; part <= RV_MOMENT2; part++) {
        read_flat(&t, part, before);
        assert_ok(rv_array_write(t.watched, 0, 1, &bad), "watched");
        assert_ok(rv_plan_run(t.plan), rv_plan_message(t.plan));
        read_flat(&t, part, after);
        assert_true(part == RV_GRADIENT || memcmp(before, after, sizeof before) == 0);
    }
    assert_int_equal(read_updates(&t), 1);
    train_close(&t);
}

/* Two launches for all weights, both in place. */
static void test_launches(void **state) {
    (void)state;
    trainer t;
    train_open(&t, "cpu", NULL);
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_report_get(t.plan, &report), "report");
    int counts[3] = {0};
    for (int64_t i = 0; i < report.launches; i++) {
        static const char *const names[3] = {"segment_norms", "laprop", "copy"};
        rv_launch_info launch = {.size = sizeof launch};
        assert_ok(rv_plan_launch(t.plan, i, &launch), "launch");
        for (int k = 0; k < 3; k++) counts[k] += strcmp(launch.op, names[k]) == 0;
    }
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 0);
    train_close(&t);
}

static void test_refused(void **state) {
    (void)state;
    rv_device *device;
    rv_params *bare, *values;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    assert_ok(rv_params_create(device, &bare), "");
    assert_ok(rv_params_create(device, &values), "");
    rv_params_add(values, "w", 2, 2, RV_INIT_ZERO, 0);
    rv_params_values_only(values);
    assert_ok(rv_params_commit(values, 1), rv_params_message(values));
    rv_params *const sets[3] = {NULL, bare, values};
    for (int i = 0; i < 3; i++) {
        rv_graph *graph;
        assert_ok(rv_graph_create(device, &graph), "");
        assert_int_equal(rv_params_laprop(graph, sets[i], rv_fill(graph, 1, 1, 0), NULL).id, 0);
        assert_int_equal(rv_graph_status(graph), i ? RV_WRONG_STATE : RV_INVALID_ARGUMENT);
        rv_graph_destroy(graph);
    }
    rv_params_destroy(values);
    rv_params_destroy(bare);
    static const rv_laprop_options wrong[] = {{.beta1 = 1}, {.beta2 = -0.5}, {.eps = -1}, {.weight_decay = -1}};
    for (int i = 0; i < 4; i++) {
        rv_params *params;
        rv_graph *graph;
        assert_ok(rv_params_create(device, &params), "");
        rv_params_add(params, "w", 2, 2, RV_INIT_ZERO, 0);
        assert_ok(rv_params_commit(params, 1), "");
        assert_ok(rv_graph_create(device, &graph), "");
        rv_params_laprop(graph, params, rv_fill(graph, 1, 1, 0), &wrong[i]);
        assert_int_equal(rv_graph_status(graph), RV_INVALID_ARGUMENT);
        assert_non_null(strstr(rv_graph_message(graph), "laprop"));
        rv_graph_destroy(graph);
        rv_params_destroy(params);
    }
    rv_device_close(device);
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu cpu:reference check:cpu cpu:isa=baseline");
    enum { OWN = 3 };
    struct CMUnitTest tests[RV_MAX_DEVICES + OWN] = {cmocka_unit_test(test_sick), cmocka_unit_test(test_launches),
                                                     cmocka_unit_test(test_refused)};
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        tests[OWN + i] = (struct CMUnitTest){devices.names[i], test_follows, NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("laprop", tests, (size_t)(OWN + devices.count), NULL, NULL);
}
