/* tests/test_health.c: what is not finite is seen within the step and named, and nothing it touched is kept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "tests/support/suite.h"
#include "tests/support/train_step.h"

static const char *const resources[] = {"cpu", "cpu:reference", "check:cpu"};

static rv_train_step step;
static rv_device *device;

static int open_step(void **state) {
    assert_ok(rv_device_open(*state, NULL, &device), rv_device_message(device));
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    return 0;
}

static int close_step(void **state) {
    (void)state;
    rv_train_step_close(&step);
    rv_device_close(device);
    return 0;
}

/* Weights, moments, update count, target and replay as they are now. */
typedef struct kept {
    float *values;
    size_t count;
} kept;

enum { MOST = 1 << 16 };

static kept keep(void) {
    rv_array *arrays[] = {rv_params_array(step.params, RV_VALUE), rv_params_array(step.params, RV_MOMENT1),
                          rv_params_array(step.params, RV_MOMENT2), rv_params_array(step.target, RV_VALUE),
                          step.replay, rv_params_updates(step.params)};
    kept all = {malloc(MOST * sizeof(float)), 0};
    assert_non_null(all.values);
    for (int i = 0; i < 6; i++) {
        assert_ok(rv_array_read(arrays[i], 0, rv_array_rows(arrays[i]), all.values + all.count),
                  rv_array_message(arrays[i]));
        all.count += (size_t)(rv_array_rows(arrays[i]) * rv_array_cols(arrays[i]));
        assert_true(all.count <= MOST);
    }
    return all;
}

static bool unchanged(kept before) {
    kept now = keep();
    bool same = memcmp(before.values, now.values, before.count * sizeof(float)) == 0;
    free(now.values);
    return same;
}

/* Steps with something bad in place; the flag must name it and everything must stay. Then the
 * cause goes, the flag stays until it is cleared, and training goes on. */
static void injure(const char *expected, void (*hurt)(void), void (*heal)(void)) {
    assert_ok(rv_train_step_run(&step), step.message);
    assert_status(rv_device_health(device, NULL), RV_OK);
    kept before = keep();
    hurt();
    const char *name = NULL;
    assert_ok(rv_train_step_run(&step), step.message);
    assert_status(rv_device_health(device, &name), RV_NON_FINITE);
    assert_string_equal(name, expected);
    assert_names(rv_device_message(device), expected);
    heal();
    assert_true(unchanged(before));
    assert_ok(rv_train_step_run(&step), step.message); /* sticky: also after the cause is gone */
    assert_status(rv_device_health(device, &name), RV_NON_FINITE);
    assert_string_equal(name, expected);
    assert_true(unchanged(before));
    assert_ok(rv_device_health_clear(device), rv_device_message(device));
    assert_ok(rv_train_step_run(&step), step.message);
    assert_status(rv_device_health(device, &name), RV_OK);
    assert_false(unchanged(before));
    kept after = keep();
    for (size_t i = 0; i + 1 < after.count; i++) assert_true(isfinite(after.values[i]));
    free(after.values);
    free(before.values);
}

static float observations[RV_TRAIN_STEP_BATCH * RV_TRAIN_STEP_WIDTH];
static float injected;

static void hurt_observations(void) {
    assert_ok(rv_array_read(step.observations, 0, RV_TRAIN_STEP_BATCH, observations), "");
    float bad[RV_TRAIN_STEP_WIDTH];
    memcpy(bad, observations + 17 * RV_TRAIN_STEP_WIDTH, sizeof bad);
    bad[3] = injected;
    assert_ok(rv_array_write(step.observations, 17, 1, bad), "");
}
static void heal_observations(void) {
    assert_ok(rv_array_write(step.observations, 0, RV_TRAIN_STEP_BATCH, observations), "");
}

static void test_observation(void **state) {
    (void)state;
    injected = NAN;
    injure("observation", hurt_observations, heal_observations);
    injected = -INFINITY;
    injure("observation", hurt_observations, heal_observations);
}

/* A weight overwritten from outside: the loss shows it; healing is writing the weight again. */
static float weight[RV_TRAIN_STEP_HIDDEN * RV_TRAIN_STEP_WIDTH];
static void hurt_weight(void) {
    int index = rv_params_find(step.params, "decoder/1/weight");
    assert_ok(rv_params_get(step.params, index, RV_VALUE, weight), "");
    float good = weight[9];
    weight[9] = injected;
    assert_ok(rv_params_set(step.params, index, RV_VALUE, weight), "");
    weight[9] = good;
}
static void heal_weight(void) {
    assert_ok(rv_params_set(step.params, rv_params_find(step.params, "decoder/1/weight"), RV_VALUE, weight), "");
}

static void test_weight(void **state) {
    (void)state;
    injected = NAN;
    injure("loss", hurt_weight, heal_weight);
    injected = INFINITY;
    injure("loss", hurt_weight, heal_weight);
}

/* Large enough that the loss is finite and the gradient's square is not. */
static void hurt_scale(void) {
    assert_ok(rv_array_read(step.observations, 0, RV_TRAIN_STEP_BATCH, observations), "");
    float large[RV_TRAIN_STEP_BATCH * RV_TRAIN_STEP_WIDTH];
    for (int i = 0; i < RV_TRAIN_STEP_BATCH * RV_TRAIN_STEP_WIDTH; i++) large[i] = observations[i] * 3e18f;
    assert_ok(rv_array_write(step.observations, 0, RV_TRAIN_STEP_BATCH, large), "");
}

static void test_gradient(void **state) {
    (void)state;
    kept before = keep();
    hurt_scale();
    assert_ok(rv_train_step_run(&step), step.message);
    const char *name = NULL;
    float loss;
    assert_ok(rv_array_read(step.loss, 0, 1, &loss), "");
    rv_status status = rv_device_health(device, &name);
    /* the global norm is kept from overflow, or it is flagged: never a silent update by what is not finite */
    if (status == RV_NON_FINITE) {
        assert_true(strcmp(name, "gradient") == 0 || strcmp(name, "loss") == 0);
        assert_true(unchanged(before));
    } else {
        kept after = keep();
        for (size_t i = 0; i + 1 < after.count; i++) assert_true(isfinite(after.values[i]));
        free(after.values);
    }
    free(before.values);
}

/* One name a column: the message says which. */
static void test_names_of_columns(void **state) {
    (void)state;
    static const char *const names[] = {"angle", "speed", "force"};
    rv_array *x, *counted;
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_array_create(device, RV_F32, 5, 3, "x", &x), "");
    assert_ok(rv_array_create(device, RV_F32, 5, 3, "copy", &counted), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_tensor y = rv_read(graph, x);
    rv_watch(y, names, 3);
    rv_store(counted, rv_neg(y)); /* a plain store is not gated */
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    for (int column = 2; column >= 0; column--) {
        float values[15] = {0};
        values[2 * 3 + column] = column == 1 ? INFINITY : NAN;
        values[4 * 3 + (column + 1) % 3] = NAN; /* a later row does not count */
        assert_ok(rv_array_write(x, 0, 5, values), "");
        assert_ok(rv_device_health_clear(device), "");
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        const char *name = NULL;
        assert_status(rv_device_health(device, &name), RV_NON_FINITE);
        assert_string_equal(name, names[column]);
    }
    float out[15];
    assert_ok(rv_array_read(counted, 0, 5, out), "");
    assert_true(isnan(out[6]));
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(x);
    rv_array_destroy(counted);
}

int main(void) {
    int failed = 0;
    for (int d = 0; d < 3; d++) {
        void *resource = (void *)resources[d];
        const struct CMUnitTest tests[] = {
            {"observation", test_observation, open_step, close_step, resource},
            {"weight", test_weight, open_step, close_step, resource},
            {"gradient", test_gradient, open_step, close_step, resource},
            {"names of columns", test_names_of_columns, open_step, close_step, resource},
        };
        failed += cmocka_run_group_tests_name(resources[d], tests, NULL, NULL);
    }
    return failed;
}
