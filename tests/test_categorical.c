/* tests/test_categorical.c: what the cases cannot see of categorical variables, two-hot heads and returns: that draws follow
 * their probabilities, and the exact values promised. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/ops_dreamer.h"
#include "reverie/plan.h"
#include "reverie/random.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

static const char *resource;
enum { MOST_ARRAYS = 12 };

typedef struct lab {
    rv_device *device;
    rv_graph *graph;
    rv_array *arrays[MOST_ARRAYS];
    int count;
} lab;

static lab lab_open(void) {
    lab l = {0};
    assert_ok(rv_device_open(resource, NULL, &l.device), rv_device_message(l.device));
    assert_ok(rv_graph_create(l.device, &l.graph), rv_device_message(l.device));
    return l;
}

static rv_array *lab_array(lab *l, rv_dtype dtype, int64_t rows, int64_t cols, const void *values) {
    assert_true(l->count < MOST_ARRAYS);
    rv_array **array = &l->arrays[l->count++];
    assert_ok(rv_array_create(l->device, dtype, rows, cols, "array", array), rv_array_message(*array));
    if (values) assert_ok(rv_array_write(*array, 0, rows, values), rv_array_message(*array));
    return *array;
}

static rv_tensor lab_read(lab *l, int64_t rows, int64_t cols, const float *values) {
    return rv_read(l->graph, lab_array(l, RV_F32, rows, cols, values));
}

static rv_tensor lab_state(lab *l, int32_t seed) {
    return rv_read(l->graph, lab_array(l, RV_I32, 1, 4, (int32_t[]){seed, 0, 0, 0}));
}

static rv_array *lab_keep(lab *l, rv_tensor x) {
    assert_ok(rv_graph_status(l->graph), rv_graph_message(l->graph));
    rv_array *array = lab_array(l, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), NULL);
    rv_store(array, x);
    return array;
}

static void lab_run(lab *l) {
    rv_plan *plan;
    assert_ok(rv_plan_create(l->graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
}

static void lab_get(rv_array *array, float *out) {
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), out), rv_array_message(array));
}

static void expect(rv_array *array, const float *wanted) {
    float got[64];
    const int64_t count = rv_array_rows(array) * rv_array_cols(array);
    assert_true(count <= 64);
    lab_get(array, got);
    for (int64_t i = 0; i < count; i++) {
        if (got[i] != wanted[i] && !(isnan(got[i]) && isnan(wanted[i])))
            fail_msg("%s: [%d] is %.9g, should be %.9g", resource, (int)i, (double)got[i], (double)wanted[i]);
    }
}

static void lab_close(lab *l) {
    for (int i = 0; i < l->count; i++) rv_array_destroy(l->arrays[i]);
    rv_graph_destroy(l->graph);
    rv_device_close(l->device);
}

/* ---- draws ---------------------------------------------------------------------------------------------- */

/* Counts of classes over many rows against p, as chi-square; each of the variables by itself. */
static void draws_follow_their_probabilities(void **state) {
    (void)state;
    enum { ROWS = 20000, VARIABLES = 3, CLASSES = 7, COLS = VARIABLES * CLASSES };
    const double unimix = 0.1;
    float logits[COLS];
    rv_random_normal(3, 0, "logits", 0, 1, COLS, logits);
    lab l = lab_open();
    rv_tensor x = rv_broadcast(lab_read(&l, 1, COLS, logits), ROWS, COLS);
    rv_array *drawn = lab_keep(&l, rv_sample_categorical(x, CLASSES, (float)unimix, lab_state(&l, 12), "classes", 0).value);
    lab_run(&l);
    float *values = malloc(sizeof *values * ROWS * COLS);
    assert_non_null(values);
    lab_get(drawn, values);
    double counts[COLS] = {0};
    for (int r = 0; r < ROWS; r++) {
        for (int v = 0; v < VARIABLES; v++) {
            float sum = 0;
            for (int c = 0; c < CLASSES; c++) {
                const float y = values[r * COLS + v * CLASSES + c];
                assert_true(y == 0.0f || y == 1.0f);
                counts[v * CLASSES + c] += (double)y;
                sum += y;
            }
            assert_true(sum == 1.0f);
        }
    }
    for (int v = 0; v < VARIABLES; v++) {
        double total = 0, square = 0;
        for (int c = 0; c < CLASSES; c++) total += exp((double)logits[v * CLASSES + c]);
        for (int c = 0; c < CLASSES; c++) {
            const double p = (1 - unimix) * exp((double)logits[v * CLASSES + c]) / total + unimix / CLASSES, wanted = p * ROWS;
            square += (counts[v * CLASSES + c] - wanted) * (counts[v * CLASSES + c] - wanted) / wanted;
        }
        if (square > 30) fail_msg("variable %d: chi-square %g of 6 degrees", v, square); /* 1 in 25 000 */
    }
    free(values);
    lab_close(&l);
}

/* The uniforms are those of a draw as wide as there are variables. */
static void uniforms_are_by_name(void **state) {
    (void)state;
    enum { ROWS = 33, VARIABLES = 5, CLASSES = 4, COLS = VARIABLES * CLASSES };
    static const float zeros[ROWS * COLS];
    float uniforms[ROWS * VARIABLES], drawn[ROWS * COLS];
    lab l = lab_open();
    rv_tensor x = lab_read(&l, ROWS, COLS, zeros);
    rv_array *value = lab_keep(&l, rv_sample_categorical(x, CLASSES, 0, lab_state(&l, 8), "latent", 3).value);
    lab_run(&l);
    lab_get(value, drawn);
    rv_random_uniform(8, 0, "latent", 3, ROWS, VARIABLES, uniforms);
    for (int i = 0; i < ROWS * VARIABLES; i++) assert_true(drawn[i * CLASSES + (int)(uniforms[i] * CLASSES)] == 1.0f);
    lab_close(&l);
}

/* Without unimix a class that is out of reach stays so, wherever it stands; NaN is not hidden behind a one-hot. */
static void impossible_classes_and_nan(void **state) {
    (void)state;
    enum { ROWS = 500, CLASSES = 5 };
    const float logits[CLASSES] = {-INFINITY, 1, -200, 2, -INFINITY}, bad[4] = {0, NAN, 1, 2};
    lab l = lab_open();
    rv_tensor state_tensor = lab_state(&l, 4), x = rv_broadcast(lab_read(&l, 1, CLASSES, logits), ROWS, CLASSES);
    rv_array *drawn = lab_keep(&l, rv_sum(rv_sample_categorical(x, CLASSES, 0, state_tensor, "z", 0).value, RV_ROWS));
    rv_tensor sick = lab_read(&l, 1, 4, bad);
    rv_array *value = lab_keep(&l, rv_sample_categorical(sick, 2, 0.01f, state_tensor, "z", 0).value);
    rv_array *mode = lab_keep(&l, rv_categorical_mode(sick, 2));
    lab_run(&l);
    float sums[CLASSES], two[4];
    lab_get(drawn, sums);
    assert_true(sums[0] == 0 && sums[2] == 0 && sums[4] == 0 && sums[1] > 50 && sums[3] > 250);
    lab_get(value, two);
    assert_true(isnan(two[0]) && isnan(two[1]) && two[2] + two[3] == 1);
    expect(mode, (float[]){NAN, NAN, 0, 1});
    lab_close(&l);
}

static void modes(void **state) {
    (void)state;
    lab l = lab_open();
    const float logits[6] = {1, 3, 3, -1, -2, -1};
    rv_tensor x = lab_read(&l, 1, 6, logits);
    rv_array *three = lab_keep(&l, rv_categorical_mode(x, 3)), *one = lab_keep(&l, rv_categorical_mode(x, 1));
    rv_array *masked = lab_keep(&l, rv_categorical_mode(lab_read(&l, 1, 3, (float[]){-INFINITY, -7, -INFINITY}), 3));
    lab_run(&l);
    expect(three, (float[]){0, 1, 0, 1, 0, 0});
    expect(one, (float[]){1, 1, 1, 1, 1, 1});
    expect(masked, (float[]){0, 1, 0});
    lab_close(&l);
}

/* ---- free nats, heads, returns ------------------------------------------------------------------------------ */

static void free_nats_stop_the_gradient(void **state) {
    (void)state;
    lab l = lab_open();
    rv_tensor kl = lab_read(&l, 3, 1, (float[]){0.5f, 2, NAN}), gradient;
    rv_tensor y = rv_free_nats(kl, 1);
    assert_ok(rv_gradients(rv_sum(rv_slice_rows(y, 0, 2), RV_ALL), &kl, 1, NULL, 0, &gradient), rv_graph_message(l.graph));
    rv_array *values = lab_keep(&l, y), *slopes = lab_keep(&l, gradient);
    lab_run(&l);
    expect(values, (float[]){1, 2, NAN});
    expect(slopes, (float[]){0, 1, 0});
    lab_close(&l);
}

static void bins_are_symmetric(void **state) {
    (void)state;
    float bins[255];
    assert_int_equal(rv_symexp_bins(255, bins), RV_OK);
    assert_true(bins[127] == 0 && bins[254] == (float)expm1(20.0) && fabs((double)bins[128] - expm1(20.0 / 127)) < 1e-8);
    for (int k = 0; k < 255; k++) assert_true(bins[k] == -bins[254 - k] && (k == 0 || bins[k] > bins[k - 1]));
    assert_int_equal(rv_symexp_bins(254, bins), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_symexp_bins(1, bins), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_symexp_bins(255, NULL), RV_INVALID_ARGUMENT);
}

static void equal_logits_mean_zero(void **state) {
    (void)state;
    float bins[255], logits[255];
    for (int k = 0; k < 255; k++) logits[k] = 0.7f;
    static const int counts[] = {3, 5, 33, 63, 65, 255};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        assert_int_equal(rv_symexp_bins(counts[i], bins), RV_OK);
        lab l = lab_open();
        rv_array *mean = lab_keep(&l, rv_twohot_mean(lab_read(&l, 1, counts[i], logits), lab_read(&l, 1, counts[i], bins)));
        lab_run(&l);
        expect(mean, (float[]){0});
        lab_close(&l);
    }
}

/* Exactly on a bin, beyond the ends, between two: log(total) less what the two weigh. */
static void targets_at_the_ends(void **state) {
    (void)state;
    lab l = lab_open();
    const float target[6] = {-1, 0, 4, 99, -INFINITY, 2}, bins[3] = {-1, 0, 4}, row[3] = {2, 1, 0};
    rv_tensor logits = rv_broadcast(lab_read(&l, 1, 3, row), 6, 3), t = lab_read(&l, 6, 1, target);
    rv_tensor nll = rv_twohot_nll(logits, t, lab_read(&l, 1, 3, bins)), dtarget;
    assert_ok(rv_gradients(rv_sum(nll, RV_ALL), &t, 1, NULL, 0, &dtarget), rv_graph_message(l.graph));
    rv_array *values = lab_keep(&l, nll), *slopes = lab_keep(&l, dtarget);
    lab_run(&l);
    float got[6];
    lab_get(values, got);
    const double total = log(exp(2.0) + exp(1.0) + 1), hit[6] = {2, 1, 0, 0, 2, 0.5};
    for (int i = 0; i < 6; i++) assert_true(fabs((double)got[i] - (total - hit[i])) < 1e-6);
    expect(slopes, (float[]){1, 0.25f, 0, 0, 0, 0.25f});
    lab_close(&l);
}

/* An end cuts what lies behind it off; the last state's value stands in for the rest. */
static void returns_by_hand(void **state) {
    (void)state;
    lab l = lab_open();
    const float reward[3] = {1, 2, 3}, going_on[3] = {1, 0, 0.5f}, value[4] = {10, 20, 40, 8};
    rv_tensor r = lab_read(&l, 1, 3, reward), c = lab_read(&l, 1, 3, going_on), v = lab_read(&l, 1, 4, value);
    rv_array *half = lab_keep(&l, rv_lambda_return(r, c, v, 0.5f)), *all = lab_keep(&l, rv_lambda_return(r, c, v, 1));
    rv_array *one = lab_keep(&l, rv_lambda_return(r, c, v, 0)), *weight = lab_keep(&l, rv_cumprod(c, 0));
    rv_array *before = lab_keep(&l, rv_cumprod(r, 1));
    lab_run(&l);
    expect(half, (float[]){12, 2, 7});
    expect(all, (float[]){3, 2, 7});
    expect(one, (float[]){21, 2, 7});
    expect(weight, (float[]){1, 0, 0});
    expect(before, (float[]){1, 1, 2});
    lab_close(&l);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_their_probabilities), cmocka_unit_test(uniforms_are_by_name),
        cmocka_unit_test(impossible_classes_and_nan),       cmocka_unit_test(modes),
        cmocka_unit_test(free_nats_stop_the_gradient),      cmocka_unit_test(bins_are_symmetric),
        cmocka_unit_test(equal_logits_mean_zero),           cmocka_unit_test(targets_at_the_ends),
        cmocka_unit_test(returns_by_hand),
    };
    rv_test_devices devices;
    rv_devices_from(&devices, argc, argv, "cpu:reference cpu:double cpu cpu:isa=baseline cpu:isa=avx2 check:cpu");
    int failures = 0;
    for (int i = 0; i < devices.count; i++) {
        bool skip;
        rv_device *device = rv_device_open_for_test(&devices, i, &skip);
        failures += !device && !skip;
        rv_device_close(device);
        resource = devices.names[i];
        if (device) failures += cmocka_run_group_tests_name(resource, tests, NULL, NULL);
    }
    return failures;
}
