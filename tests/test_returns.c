/* tests/test_returns.c: returns written out step by step, the two layouts, the normaliser: its state and its flag. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/returns.h"
#include "tests/support/allocator.h"
#include "tests/support/suite.h"

enum { B = 5, T = 11, MOST = 8 };

typedef struct rig {
    rv_device *device;
    rv_graph *graph;
    rv_plan *plan;
    rv_return_normaliser *normaliser;
    rv_array *input[MOST], *output[MOST];
    int inputs, outputs;
} rig;

static void open_on(rig *r, rv_device *device) {
    *r = (rig){.device = device};
    assert_ok(rv_return_normaliser_create(device, NULL, &r->normaliser), rv_return_normaliser_message(r->normaliser));
    assert_ok(rv_graph_create(device, &r->graph), "graph");
}

static void open_rig(rig *r) {
    rv_device *device;
    assert_ok(rv_device_open("cpu:threads=1", NULL, &device), rv_device_message(device));
    open_on(r, device);
}

static void close_rig(rig *r) {
    rv_plan_destroy(r->plan);
    rv_graph_destroy(r->graph);
    for (int i = 0; i < r->inputs; i++) rv_array_destroy(r->input[i]);
    for (int i = 0; i < r->outputs; i++) rv_array_destroy(r->output[i]);
    rv_return_normaliser_destroy(r->normaliser);
    rv_device_close(r->device);
}

static rv_tensor input(rig *r, int64_t rows, int64_t cols, const float *values) {
    rv_array **array = &r->input[r->inputs++];
    assert_ok(rv_array_create(r->device, RV_F32, rows, cols, "input", array), "input");
    assert_ok(rv_array_write(*array, 0, rows, values), "input");
    return rv_read(r->graph, *array);
}

static void keep(rig *r, rv_tensor x) {
    assert_ok(rv_graph_status(r->graph), rv_graph_message(r->graph));
    rv_array **array = &r->output[r->outputs++];
    assert_ok(rv_array_create(r->device, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), "output", array), "output");
    rv_store(*array, x);
}

static void run(rig *r) {
    if (!r->plan) assert_ok(rv_plan_create(r->graph, NULL, &r->plan), rv_plan_message(r->plan));
    assert_ok(rv_plan_run(r->plan), rv_plan_message(r->plan));
}

static const float *result(rig *r, int index, float *out) {
    assert_ok(rv_array_read(r->output[index], 0, rv_array_rows(r->output[index]), out), "output");
    return out;
}

static void near(double actual, double expected, const char *what, int index) {
    if (!(fabs(actual - expected) <= 1e-5 * (1 + fabs(expected))))
        fail_msg("%s %d: %.9g, not %.9g", what, index, actual, expected);
}

/* Time-major to rows and back; a list of columns beside one another. */
static void layouts(void **state) {
    (void)state;
    rig r;
    float flat[T * B], seen[T * B];
    for (int i = 0; i < T * B; i++) flat[i] = (float)i;
    open_rig(&r);
    rv_tensor x = input(&r, T * B, 1, flat), rows = rv_returns_by_row(x, T), step[T];
    for (int t = 0; t < T; t++) step[t] = rv_slice_rows(x, t * B, B);
    keep(&r, rows);
    keep(&r, rv_returns_by_time(rows));
    keep(&r, rv_returns_join(step, T)); /* more than one concat takes */
    keep(&r, rv_returns_join(step, 1));
    run(&r);
    result(&r, 0, seen);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++) assert_true(seen[b * T + t] == flat[t * B + b]);
    }
    float joined[T * B];
    assert_memory_equal(result(&r, 2, joined), seen, sizeof seen);
    assert_memory_equal(result(&r, 1, seen), flat, sizeof flat);
    assert_memory_equal(result(&r, 3, seen), flat, B * sizeof *flat);
    close_rig(&r);
}

static void imagined(void **state) {
    (void)state;
    rig r;
    float reward[B * T], on[B * T], value[B * T], target[B * T], weight[B * T];
    rv_random_normal(1, 0, "reward", 0, B, T, reward);
    rv_random_uniform(1, 0, "on", 0, B, T, on);
    rv_random_normal(1, 0, "value", 0, B, T, value);
    open_rig(&r);
    rv_imagined_returns made =
        rv_returns_imagined(input(&r, B, T, reward), input(&r, B, T, on), input(&r, B, T, value), 0.8f);
    keep(&r, made.target);
    keep(&r, made.weight);
    run(&r);
    result(&r, 0, target);
    result(&r, 1, weight);
    for (int b = 0; b < B; b++) {
        double next = (double)value[b * T + T - 1], product = 1;
        for (int t = T - 2; t >= 0; t--) {
            const int at = b * T + t + 1;
            next = (double)reward[at] + (double)on[at] * (0.2 * (double)value[at] + 0.8 * next);
            near((double)target[b * (T - 1) + t], next, "target", t);
        }
        for (int t = 0; t < T - 1; t++) {
            product *= (double)on[b * T + t];
            near((double)weight[b * (T - 1) + t], product, "weight", t);
        }
    }
    close_rig(&r);
}

/* An episode that ends for good at step 4 of row 0, one that is cut at step 6 of row 1. */
static void replayed(void **state) {
    (void)state;
    rig r;
    float reward[B * T], terminal[B * T] = {0}, last[B * T] = {0}, boot[B * T], target[B * T];
    rv_random_normal(1, 0, "reward", 0, B, T, reward);
    rv_random_normal(1, 0, "boot", 0, B, T, boot);
    terminal[4] = last[4] = last[T + 6] = 1;
    open_rig(&r);
    keep(&r, rv_returns_replayed(input(&r, B, T, reward), input(&r, B, T, terminal), input(&r, B, T, last),
                                 input(&r, B, T, boot), 0.99f, 0.9f));
    run(&r);
    result(&r, 0, target);
    for (int b = 0; b < B; b++) {
        double next = (double)boot[b * T + T - 1];
        for (int t = T - 2; t >= 0; t--) {
            const int at = b * T + t + 1;
            const double d = 0.99 * (1 - (double)terminal[at]), l = 0.9 * (1 - (double)last[at]);
            next = (double)reward[at] + d * ((1 - l) * (double)boot[at] + l * next);
            near((double)target[b * (T - 1) + t], next, "target", t);
        }
    }
    assert_true(target[3] == reward[4]); /* nothing follows an end */
    near((double)target[T - 1 + 5], (double)(reward[T + 6] + 0.99f * boot[T + 6]), "cut", 0); /* a cut is looked past */
    close_rig(&r);
}

/* ---- the normaliser ---- */

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(const float *values, int count, double q) {
    float sorted[B * T];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    const double at = q * (count - 1);
    const int below = (int)at;
    return (double)sorted[below] + (at - below) * ((double)sorted[below + 1] - (double)sorted[below]);
}

static void upload(rig *r, uint32_t step, float scale, float *values) {
    rv_random_normal(2, step, "returns", 0, B, T, values);
    for (int i = 0; i < B * T; i++) values[i] *= scale;
    assert_ok(rv_array_write(r->input[0], 0, B, values), "returns");
}

static void record_normaliser(rig *r) {
    const float zeros[B * T] = {0};
    rv_return_scale scale = rv_returns_normalise(r->graph, r->normaliser, input(r, B, T, zeros));
    rv_returns_keep(r->graph, r->normaliser, scale);
    keep(r, scale.low);
    keep(r, scale.high);
    keep(r, scale.scale);
}

/* Averages from 0 on, used after their update; small spans count as 1. */
static void normalised(void **state) {
    (void)state;
    rig r;
    float values[B * T], low, high, scale, stored;
    double expected_low = 0, expected_high = 0;
    bool small = false, large = false;
    open_rig(&r);
    record_normaliser(&r);
    for (uint32_t step = 0; step < 30; step++) {
        upload(&r, step, 4, values);
        run(&r);
        expected_low = 0.99 * expected_low + 0.01 * quantile(values, B * T, 0.05);
        expected_high = 0.99 * expected_high + 0.01 * quantile(values, B * T, 0.95);
        near((double)*result(&r, 0, &low), expected_low, "low", (int)step);
        near((double)*result(&r, 1, &high), expected_high, "high", (int)step);
        near((double)*result(&r, 2, &scale), fmax(1, expected_high - expected_low), "scale", (int)step);
        assert_ok(rv_array_read(rv_return_normaliser_low(r.normaliser), 0, 1, &stored), "low");
        assert_true(stored == low);
        assert_ok(rv_array_read(rv_return_normaliser_high(r.normaliser), 0, 1, &stored), "high");
        assert_true(stored == high);
        small = small || scale == 1;
        large = large || scale > 1.5f;
    }
    assert_true(small && large);
    close_rig(&r);
}

static void kept_from_nan(void **state) {
    (void)state;
    rig r;
    float values[B * T], before[2], after[2];
    const char *name;
    open_rig(&r);
    record_normaliser(&r);
    for (uint32_t step = 0; step < 4; step++) {
        upload(&r, step, 4, values);
        if (step == 1) {
            values[7] = NAN;
            assert_ok(rv_array_write(r.input[0], 0, B, values), "returns");
        }
        assert_ok(rv_array_read(rv_return_normaliser_low(r.normaliser), 0, 1, &before[0]), "low");
        assert_ok(rv_array_read(rv_return_normaliser_high(r.normaliser), 0, 1, &before[1]), "high");
        run(&r);
        assert_ok(rv_array_read(rv_return_normaliser_low(r.normaliser), 0, 1, &after[0]), "low");
        assert_ok(rv_array_read(rv_return_normaliser_high(r.normaliser), 0, 1, &after[1]), "high");
        const bool sick = step == 1 || step == 2;
        assert_true((memcmp(before, after, sizeof before) == 0) == sick);
        assert_status(rv_device_health(r.device, &name), sick ? RV_NON_FINITE : RV_OK);
        if (sick) assert_string_equal(name, "returns");
        if (step == 2) assert_ok(rv_device_health_clear(r.device), "clear");
    }
    close_rig(&r);
}

static rv_checkpoint *checkpoint_of(rig *r) {
    rv_checkpoint *file;
    assert_ok(rv_checkpoint_create(r->device, &file), "checkpoint");
    assert_ok(rv_return_normaliser_checkpoint(r->normaliser, file, "returns/"),
              rv_return_normaliser_message(r->normaliser));
    return file;
}

/* Saved after half of the steps and loaded elsewhere, it goes on to the same bits. */
static void resumed(void **state) {
    (void)state;
    rig r[2];
    float values[B * T], expected[2], actual[2];
    open_rig(&r[0]);
    open_rig(&r[1]);
    for (int i = 0; i < 2; i++) record_normaliser(&r[i]);
    for (uint32_t step = 0; step < 10; step++) {
        for (int i = 0; i < 2; i++) {
            upload(&r[i], step, 3, values);
            if (step >= 5 || i == 0) run(&r[i]);
        }
        if (step != 4) continue;
        rv_checkpoint *from = checkpoint_of(&r[0]), *to = checkpoint_of(&r[1]);
        assert_ok(rv_checkpoint_save(from, "returns.safetensors"), rv_checkpoint_message(from));
        assert_ok(rv_checkpoint_load(to, "returns.safetensors"), rv_checkpoint_message(to));
        rv_checkpoint_destroy(from);
        rv_checkpoint_destroy(to);
    }
    for (int i = 0; i < 2; i++) {
        float *both = i ? actual : expected;
        assert_ok(rv_array_read(rv_return_normaliser_low(r[i].normaliser), 0, 1, &both[0]), "low");
        assert_ok(rv_array_read(rv_return_normaliser_high(r[i].normaliser), 0, 1, &both[1]), "high");
    }
    assert_memory_equal(actual, expected, sizeof actual);
    assert_true(expected[0] < 0 && expected[1] > 0);
    unlink("returns.safetensors");
    close_rig(&r[0]);
    close_rig(&r[1]);
}

static void no_allocations(void **state) {
    (void)state;
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    rig r;
    assert_ok(rv_device_open("cpu:threads=1", &options, &device), rv_device_message(device));
    open_on(&r, device);
    record_normaliser(&r);
    run(&r);
    const int64_t before = counting.calls;
    for (int i = 0; i < 5; i++) run(&r);
    assert_int_equal(counting.calls, before);
    close_rig(&r);
    assert_int_equal(counting.live, 0);
}

/* Creating with every allocation failing once. */
static void torture(void **state) {
    (void)state;
    int64_t count = 1;
    for (int64_t fail_at = 0; fail_at <= count; fail_at++) {
        rv_counting counting = {.fail_at = fail_at};
        rv_device_options options = rv_counting_options(&counting);
        rv_device *device;
        rv_return_normaliser *normaliser = NULL;
        rv_status status = rv_device_open("cpu:reference", &options, &device);
        if (status == RV_OK) status = rv_return_normaliser_create(device, NULL, &normaliser);
        rv_return_normaliser_destroy(normaliser);
        rv_device_close(device);
        assert_status(status, fail_at ? RV_OUT_OF_MEMORY : RV_OK);
        assert_int_equal(counting.live, 0);
        if (!fail_at) count = counting.calls;
    }
    assert_true(count > 6);
}

/* ---- misuse ---- */

static void refused(void **state) {
    (void)state;
    static const struct {
        rv_status status;
        const char *part;
    } expected[] = {{RV_SHAPE_MISMATCH, "55, 1] are not 4 steps"},
                    {RV_SHAPE_MISMATCH, "not 0 steps"},
                    {RV_SHAPE_MISMATCH, "input 1 is [5, 10]"},
                    {RV_SHAPE_MISMATCH, "2 columns or more"},
                    {RV_SHAPE_MISMATCH, "input 3 is"},
                    {RV_INVALID_ARGUMENT, "normaliser is NULL"}};
    for (int i = 0; i < 6; i++) {
        rig r;
        open_rig(&r);
        rv_tensor x = rv_fill(r.graph, B, T, 1), narrow = rv_slice_cols(x, 0, T - 1), one = rv_slice_cols(x, 0, 1);
        rv_tensor made = RV_NONE;
        if (i < 2) made = rv_returns_by_row(rv_reshape(x, B * T, 1), i ? 0 : 4);
        if (i == 2) made = rv_returns_imagined(x, narrow, x, 0.9f).target;
        if (i == 3) made = rv_returns_imagined(one, one, one, 0.9f).weight;
        if (i == 4) made = rv_returns_replayed(x, x, x, narrow, 0.9f, 0.9f);
        if (i == 5) made = rv_returns_normalise(r.graph, NULL, x).scale;
        assert_int_equal(made.id, 0);
        assert_status(rv_graph_status(r.graph), expected[i].status);
        assert_names(rv_graph_message(r.graph), expected[i].part);
        close_rig(&r);
    }
    static const rv_return_normaliser_options wrong[] = {
        {.low = -1}, {.low = 0.9f, .high = 0.5f}, {.high = 1.5f}, {.rate = 2}, {.smallest = -1}};
    rv_device *device;
    assert_ok(rv_device_open("cpu", NULL, &device), rv_device_message(device));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_return_normaliser *normaliser;
        rv_return_normaliser_options options = wrong[i];
        options.size = sizeof options;
        assert_status(rv_return_normaliser_create(device, &options, &normaliser), RV_INVALID_ARGUMENT);
        assert_names(rv_return_normaliser_message(normaliser), "would fit");
        rv_return_normaliser_destroy(normaliser);
    }
    rv_device_close(device);
    rv_return_normaliser_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),        cmocka_unit_test(imagined),      cmocka_unit_test(replayed),
        cmocka_unit_test(normalised),     cmocka_unit_test(kept_from_nan), cmocka_unit_test(resumed),
        cmocka_unit_test(no_allocations), cmocka_unit_test(torture),       cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests_name("returns", tests, NULL, NULL);
}
