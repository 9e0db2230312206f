/* tests/test_reference.c: the corners of the ops' meaning, in numbers written by hand, on every CPU device.
 *
 * cpu:reference is what everything else is compared with; here it is compared with what ops.h promises.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/ops.h"
#include "reverie/plan.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

/* ---- a graph of a few arrays, recorded, run and read --------------------------------------------------- */

enum { MAX_ARRAYS = 16 };

typedef struct lab {
    rv_device *device;
    rv_graph *graph;
    rv_array *arrays[MAX_ARRAYS];
    int count;
} lab;

static const char *resource; /* of the device the tests run on */

static lab lab_open(void) {
    lab l = {0};
    assert_int_equal(rv_device_open(resource, NULL, &l.device), RV_OK);
    assert_int_equal(rv_graph_create(l.device, &l.graph), RV_OK);
    return l;
}

static rv_array *lab_array(lab *l, rv_dtype dtype, int64_t rows, int64_t cols, const void *data) {
    assert_true(l->count < MAX_ARRAYS);
    rv_array **array = &l->arrays[l->count++];
    assert_int_equal(rv_array_create(l->device, dtype, rows, cols, "lab", array), RV_OK);
    if (data && rows) assert_int_equal(rv_array_write(*array, 0, rows, data), RV_OK);
    return *array;
}

static rv_tensor lab_read(lab *l, rv_dtype dtype, int64_t rows, int64_t cols, const void *data) {
    return rv_read(l->graph, lab_array(l, dtype, rows, cols, data));
}

/* Stores x into a new array, whose elements a later lab_run leaves to be read. */
static rv_array *lab_keep(lab *l, rv_tensor x) {
    assert_int_equal(rv_graph_status(l->graph), RV_OK);
    rv_array *array = lab_array(l, rv_tensor_dtype(x), rv_tensor_rows(x), rv_tensor_cols(x), NULL);
    rv_store(array, x);
    return array;
}

static void lab_run(lab *l) {
    rv_plan *plan;
    assert_int_equal(rv_plan_create(l->graph, NULL, &plan), RV_OK);
    assert_int_equal(rv_plan_run(plan), RV_OK);
    rv_plan_destroy(plan);
}

static void lab_close(lab *l) {
    for (int i = 0; i < l->count; i++) rv_array_destroy(l->arrays[i]);
    rv_graph_destroy(l->graph);
    rv_device_close(l->device);
}

/* Equal, NaN to NaN, zeros with their signs. */
static void expect_f32(rv_array *array, const float *wanted) {
    const int64_t rows = rv_array_rows(array), cols = rv_array_cols(array);
    float got[64];
    assert_true(rows * cols <= 64);
    assert_int_equal(rv_array_read(array, 0, rows, got), RV_OK);
    for (int64_t i = 0; i < rows * cols; i++) {
        const bool same = isnan(wanted[i]) ? isnan(got[i]) : got[i] == wanted[i] && !signbit(got[i]) == !signbit(wanted[i]);
        if (!same) fail_msg("%s: element %d is %.9g, should be %.9g", resource, (int)i, (double)got[i], (double)wanted[i]);
    }
}

static void expect_i32(rv_array *array, const int32_t *wanted) {
    int32_t got[64];
    assert_int_equal(rv_array_read(array, 0, rv_array_rows(array), got), RV_OK);
    assert_memory_equal(got, wanted, sizeof *got * (size_t)(rv_array_rows(array) * rv_array_cols(array)));
}

/* ---- elements --------------------------------------------------------------------------------------- */

static void casts_go_towards_zero_and_stop_at_the_end(void **state) {
    (void)state;
    lab l = lab_open();
    const float x[8] = {-2.9f, 2.9f, -0.5f, 1e20f, -1e20f, NAN, 300, -300};
    const int32_t whole[4] = {-5, 255, 256, 16777217};
    rv_tensor f = lab_read(&l, RV_F32, 1, 8, x), n = lab_read(&l, RV_I32, 1, 4, whole);
    rv_array *to_i32 = lab_keep(&l, rv_cast(f, RV_I32));
    rv_array *to_u8 = lab_keep(&l, rv_cast(rv_cast(f, RV_U8), RV_I32));
    rv_array *narrow = lab_keep(&l, rv_cast(rv_cast(n, RV_U8), RV_I32));
    lab_run(&l);
    expect_i32(to_i32, (int32_t[]){-2, 2, 0, INT32_MAX, INT32_MIN, 0, 300, -300});
    expect_i32(to_u8, (int32_t[]){0, 2, 0, 255, 0, 0, 255, 0});
    expect_i32(narrow, (int32_t[]){0, 255, 255, 255});
    lab_close(&l);
}

static void whole_numbers_wrap(void **state) {
    (void)state;
    lab l = lab_open();
    const int32_t a[6] = {INT32_MAX, INT32_MIN, 65536, -7, 7, 5}, b[6] = {1, -1, 65537, 3, -3, 0};
    rv_tensor x = lab_read(&l, RV_I32, 1, 6, a), y = lab_read(&l, RV_I32, 1, 6, b);
    rv_array *sum = lab_keep(&l, rv_add(x, y)), *product = lab_keep(&l, rv_mul(x, y));
    rv_array *affine = lab_keep(&l, rv_affine(x, 2, 1)), *less = lab_keep(&l, rv_less(x, y));
    lab_run(&l);
    expect_i32(sum, (int32_t[]){INT32_MIN, INT32_MAX, 131073, -4, 4, 5});
    expect_i32(product, (int32_t[]){INT32_MAX, INT32_MIN, 65536, -21, -21, 0});
    expect_i32(affine, (int32_t[]){-1, 1, 131073, -13, 15, 11});
    expect_f32(less, (float[]){0, 1, 1, 1, 0, 0});
    lab_close(&l);
}

static void mod_floors(void **state) {
    (void)state;
    lab l = lab_open();
    const int32_t a[6] = {-7, 7, 6, -1, INT32_MIN, 5}, b[6] = {3, 3, 3, INT32_MAX, 7, 0};
    rv_array *mod = lab_keep(&l, rv_mod(lab_read(&l, RV_I32, 2, 3, a), lab_read(&l, RV_I32, 2, 3, b)));
    lab_run(&l);
    expect_i32(mod, (int32_t[]){2, 1, 0, INT32_MAX - 1, 5, 0});
    lab_close(&l);
}

static void nan_is_not_lost(void **state) {
    (void)state;
    lab l = lab_open();
    const float a[4] = {NAN, 1, -1, INFINITY}, b[4] = {1, NAN, 2, NAN};
    rv_tensor x = lab_read(&l, RV_F32, 1, 4, a), y = lab_read(&l, RV_F32, 1, 4, b);
    rv_array *max = lab_keep(&l, rv_max(x, y)), *min = lab_keep(&l, rv_min(x, y));
    rv_array *relu = lab_keep(&l, rv_relu(x)), *clamp = lab_keep(&l, rv_clamp(x, -0.5f, 0.5f));
    rv_array *largest = lab_keep(&l, rv_reduce_max(x, RV_ALL)), *smallest = lab_keep(&l, rv_reduce_min(x, RV_COLS));
    rv_array *where = lab_keep(&l, rv_where(x, y, x));
    lab_run(&l);
    expect_f32(max, (float[]){NAN, NAN, 2, NAN});
    expect_f32(min, (float[]){NAN, NAN, -1, NAN});
    expect_f32(relu, (float[]){NAN, 1, 0, INFINITY});
    expect_f32(clamp, (float[]){NAN, 0.5f, -0.5f, 0.5f});
    expect_f32(largest, (float[]){NAN});
    expect_f32(smallest, (float[]){NAN});
    expect_f32(where, (float[]){1, NAN, 2, NAN}); /* NaN is not 0 */
    lab_close(&l);
}

static void extremes_of_functions(void **state) {
    (void)state;
    lab l = lab_open();
    const float x[5] = {-INFINITY, -200, 0, 200, INFINITY};
    rv_tensor t = lab_read(&l, RV_F32, 1, 5, x);
    rv_array *softplus = lab_keep(&l, rv_softplus(t)), *sigmoid = lab_keep(&l, rv_sigmoid(t)), *tanh = lab_keep(&l, rv_tanh(t));
    rv_array *elu = lab_keep(&l, rv_elu(t)), *sign = lab_keep(&l, rv_sign(t)), *softmax = lab_keep(&l, rv_softmax(rv_slice_cols(t, 1, 3)));
    lab_run(&l);
    expect_f32(sigmoid, (float[]){0, 0, 0.5f, 1, 1});
    expect_f32(tanh, (float[]){-1, -1, 0, 1, 1});
    expect_f32(softplus, (float[]){0, 0, 0.693147182f, 200, INFINITY});
    expect_f32(elu, (float[]){-1, -1, 0, 200, INFINITY});
    expect_f32(sign, (float[]){-1, -1, 0, 1, 1});
    expect_f32(softmax, (float[]){0, 0, 1});
    lab_close(&l);
}

/* ---- rows by index ------------------------------------------------------------------------------------ */

static void gather_clamps_its_index(void **state) {
    (void)state;
    lab l = lab_open();
    const float table[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t bytes[3] = {7, 8, 9};
    const int32_t index[4] = {2, -5, 99, 1};
    rv_tensor i = lab_read(&l, RV_I32, 4, 1, index);
    rv_array *rows = lab_keep(&l, rv_gather(lab_read(&l, RV_F32, 3, 2, table), i));
    rv_array *u8 = lab_keep(&l, rv_cast(rv_gather(lab_read(&l, RV_U8, 3, 1, bytes), i), RV_I32));
    rv_array *nothing = lab_keep(&l, rv_gather(lab_read(&l, RV_F32, 0, 2, NULL), i));
    lab_run(&l);
    expect_f32(rows, (float[]){5, 6, 1, 2, 5, 6, 3, 4});
    expect_i32(u8, (int32_t[]){9, 7, 9, 8});
    expect_f32(nothing, (float[8]){0});
    lab_close(&l);
}

static void scatter_adds_what_meets(void **state) {
    (void)state;
    lab l = lab_open();
    const float x[8] = {1, 10, 2, 20, 4, 40, 8, 80};
    const int32_t index[4] = {1, -3, 1, 7};
    rv_tensor i = lab_read(&l, RV_I32, 4, 1, index), t = lab_read(&l, RV_F32, 4, 2, x);
    rv_array *sums = lab_keep(&l, rv_scatter_add(t, i, 4));
    lab_run(&l);
    expect_f32(sums, (float[]){2, 20, 5, 50, 0, 0, 8, 80});
    lab_close(&l);
}

static void stored_rows(void **state) {
    (void)state;
    lab l = lab_open();
    const float old[6] = {1, 2, 3, 4, 5, 6}, x[8] = {10, 11, 20, 21, 30, 31, 40, 41};
    const int32_t index[4] = {2, 0, 2, 3}; /* 3 is outside; the second 2 wins */
    rv_array *array = lab_array(&l, RV_F32, 3, 2, old);
    rv_store_rows(array, lab_read(&l, RV_F32, 4, 2, x), lab_read(&l, RV_I32, 4, 1, index));
    lab_run(&l);
    expect_f32(array, (float[]){20, 21, 3, 4, 30, 31});
    lab_close(&l);
}

/* ---- reductions --------------------------------------------------------------------------------------- */

static void reductions_of_nothing(void **state) {
    (void)state;
    lab l = lab_open();
    rv_tensor x = lab_read(&l, RV_F32, 0, 2, NULL);
    rv_array *sum = lab_keep(&l, rv_sum(x, RV_ROWS)), *mean = lab_keep(&l, rv_mean(x, RV_ALL));
    rv_array *max = lab_keep(&l, rv_reduce_max(x, RV_ROWS)), *min = lab_keep(&l, rv_reduce_min(x, RV_ALL));
    rv_array *median = lab_keep(&l, rv_quantile(x, 0.5f));
    lab_run(&l);
    expect_f32(sum, (float[]){0, 0});
    expect_f32(mean, (float[]){0});
    expect_f32(max, (float[]){-INFINITY, -INFINITY});
    expect_f32(min, (float[]){INFINITY});
    expect_f32(median, (float[]){0});
    lab_close(&l);
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sorted, and between the two neighbours of q (n - 1). */
static float quantile_of(const float *x, int count, float q) {
    float sorted[1000];
    memcpy(sorted, x, sizeof *x * (size_t)count);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    const double place = (double)q * (count - 1);
    const int below = (int)place;
    const float low = sorted[below], high = sorted[below + 1 < count ? below + 1 : below];
    const float rise = high - low, part = rise * (float)(place - below);
    return low + part;
}

static void quantiles_are_exact(void **state) {
    (void)state;
    const float shares[] = {0, 0.05f, 0.25f, 0.5f, 0.95f, 0.999f, 1};
    const int counts[] = {1, 2, 3, 33, 1000};
    float x[1000];
    uint32_t bits = 12345;
    for (int i = 0; i < 1000; i++) {
        bits = bits * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)bits * (i % 3 ? 1e-9f : 1e-3f); /* both signs, far apart */
        if (i % 7 == 0) x[i] = 2.5f;                           /* and equal ones */
    }
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
            lab l = lab_open();
            rv_array *got = lab_keep(&l, rv_quantile(lab_read(&l, RV_F32, 1, counts[c], x), shares[s]));
            lab_run(&l);
            const float wanted = quantile_of(x, counts[c], shares[s]);
            expect_f32(got, &wanted);
            lab_close(&l);
        }
    }
}

static void infinite_neighbours_of_a_quantile(void **state) {
    (void)state;
    lab l = lab_open();
    const float x[3] = {INFINITY, -INFINITY, 4};
    rv_tensor t = lab_read(&l, RV_F32, 3, 1, x);
    rv_array *low = lab_keep(&l, rv_quantile(t, 0)), *middle = lab_keep(&l, rv_quantile(t, 0.5f)), *high = lab_keep(&l, rv_quantile(t, 1));
    lab_run(&l);
    expect_f32(low, (float[]){-INFINITY});
    expect_f32(middle, (float[]){4});
    expect_f32(high, (float[]){INFINITY});
    lab_close(&l);
}

/* ---- health --------------------------------------------------------------------------------------------- */

static void the_first_bad_column_is_named(void **state) {
    (void)state;
    lab l = lab_open();
    const char *name = NULL;
    const float good[6] = {1, 2, 3, 4, 5, 6}, bad[6] = {1, 2, 3, 4, INFINITY, NAN};
    const char *const names[3] = {"first", "second", "third"};
    rv_array *array = lab_array(&l, RV_F32, 2, 3, good), *kept = lab_array(&l, RV_F32, 2, 3, good);
    const int32_t index[2] = {1, 0};
    rv_tensor x = rv_read(l.graph, array);
    rv_watch(x, names, 3);
    rv_store_rows(kept, x, lab_read(&l, RV_I32, 2, 1, index));
    lab_run(&l);
    assert_int_equal(rv_device_health(l.device, &name), RV_OK);
    expect_f32(kept, (float[]){4, 5, 6, 1, 2, 3});
    assert_int_equal(rv_array_write(array, 0, 2, bad), RV_OK);
    lab_run(&l);
    assert_int_equal(rv_device_health(l.device, &name), RV_NON_FINITE);
    assert_string_equal(name, "second");
    expect_f32(kept, (float[]){4, 5, 6, 1, 2, 3}); /* the rows stay what they were */
    assert_int_equal(rv_array_write(array, 0, 2, good), RV_OK);
    lab_run(&l);
    assert_int_equal(rv_device_health(l.device, &name), RV_NON_FINITE); /* sticky */
    assert_int_equal(rv_device_health_clear(l.device), RV_OK);
    lab_run(&l);
    assert_int_equal(rv_device_health(l.device, &name), RV_OK);
    lab_close(&l);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(casts_go_towards_zero_and_stop_at_the_end),
        cmocka_unit_test(whole_numbers_wrap),
        cmocka_unit_test(mod_floors),
        cmocka_unit_test(nan_is_not_lost),
        cmocka_unit_test(extremes_of_functions),
        cmocka_unit_test(gather_clamps_its_index),
        cmocka_unit_test(scatter_adds_what_meets),
        cmocka_unit_test(stored_rows),
        cmocka_unit_test(reductions_of_nothing),
        cmocka_unit_test(quantiles_are_exact),
        cmocka_unit_test(infinite_neighbours_of_a_quantile),
        cmocka_unit_test(the_first_bad_column_is_named),
    };
    rv_test_devices devices;
    rv_devices_from(&devices, argc, argv, "cpu:reference cpu cpu:isa=baseline check:cpu check:cpu:reference");
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
