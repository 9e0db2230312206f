/* tests/test_conformance.c: every case, forward and gradient, on every device equals cpu:reference.
 *
 *     test_conformance [DEVICE ...]        or REVERIE_DEVICES="cpu opencl:0"
 *
 * RV_CASES="gather softmax/r7" takes only the cases whose names begin with one of the words.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "tests/support/case_run.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

static rv_test_devices devices;
static rv_case_list *cases;

/* What the reference answers, by case and mode; outputs NULL where the mode does not apply. */
typedef struct expected {
    double *output[2][RV_CASE_MAX_INPUTS];
    int output_count[2];
} expected;
static expected *references;
static bool reached[RV_OP_COUNT], reached_map[RV_MAP_COUNT];

/* Among those that RV_CASES asks for; without it all are. */
static bool is_asked_for(const rv_case *item) {
    const char *names = getenv("RV_CASES");
    if (!names) return true;
    for (size_t length; *(names += strspn(names, " ")); names += length) {
        length = strcspn(names, " ");
        if (strncmp(item->name, names, length) == 0) return true;
    }
    return false;
}

static bool applies(const rv_case *item, rv_case_mode mode) {
    if (!is_asked_for(item)) return false;
    if (item->flags & RV_CASE_LARGE) return false;
    if (RV_SLOW_RUN && (item->flags & RV_CASE_TALL) && (item->flags & RV_CASE_STRIDED)) return false;
    return mode == RV_CASE_FORWARD || rv_case_differentiable(item) > 0;
}

/* The bounds of a case's gradient: sums are rounded, so never exact. */
static rv_case with_bounds_of(const rv_case *item, rv_case_mode mode) {
    rv_case bounds = *item;
    if (mode == RV_CASE_GRADIENT) bounds.flags &= ~(unsigned)RV_CASE_EXACT;
    return bounds;
}

static void note_ops(const rv_plan *plan) {
    rv_plan_report report = {.size = sizeof report};
    assert_int_equal(rv_plan_report_get(plan, &report), RV_OK);
    for (int64_t i = 0; i < report.launches; i++) {
        rv_launch_info info = {.size = sizeof info};
        assert_int_equal(rv_plan_launch(plan, i, &info), RV_OK);
        for (int op = 0; op < RV_OP_COUNT; op++) {
            if (strcmp(info.op, rv_op_info_get((rv_op)op)->name) == 0) reached[op] = true;
        }
        /* elementwise launches go by their function's name */
        for (int map = 0; map < RV_MAP_COUNT; map++) {
            if (strcmp(info.op, rv_map_name((rv_map)map)) != 0) continue;
            reached_map[map] = reached[map < RV_MAP1_END ? RV_OP_MAP1 : RV_OP_MAP2] = true;
        }
    }
}

static int compute_reference(rv_device *device, int index, rv_case_mode mode) {
    rv_case_run run;
    rv_status status = rv_case_open(&run, device, &cases->items[index], mode, NULL);
    if (status == RV_OK) status = rv_case_execute(&run);
    if (status == RV_OK) {
        note_ops(run.plan);
        references[index].output_count[mode] = run.output_count;
        for (int k = 0; k < run.output_count; k++) references[index].output[mode][k] = rv_case_read(&run, k);
    } else {
        print_error("%s%s: %s\n", cases->items[index].name, mode ? " gradient" : "", run.message);
    }
    rv_case_close(&run);
    return status != RV_OK;
}

static void test_reference(void **state) {
    (void)state;
    rv_device *device;
    assert_ok(rv_device_open("cpu:reference", NULL, &device), rv_device_message(device));
    int failures = 0;
    for (int i = 0; i < cases->count; i++) {
        for (int mode = 0; mode < 2; mode++) {
            if (applies(&cases->items[i], mode)) failures += compute_reference(device, i, mode);
        }
    }
    rv_device_close(device);
    assert_int_equal(failures, 0);
}

static void test_every_op_is_reached(void **state) {
    (void)state;
    if (getenv("RV_CASES")) skip();
    int missing = 0;
    for (int op = 0; op < RV_OP_COUNT; op++) {
        if (reached[op]) continue;
        print_error("no case reaches %s\n", rv_op_info_get((rv_op)op)->name);
        missing++;
    }
    for (int map = 0; map < RV_MAP_COUNT; map++) {
        if (reached_map[map]) continue;
        print_error("no case reaches %s\n", rv_map_name((rv_map)map));
        missing++;
    }
    assert_int_equal(missing, 0);
}

/* A plan runs again with the same answer, whatever the first run left in its memory. */
static rv_status execute_twice(rv_case_run *run) {
    rv_status status = rv_case_execute(run);
    return status == RV_OK ? rv_case_execute(run) : status;
}

static bool check_outputs(rv_case_run *run, rv_case_mode mode, const expected *reference, char *why, size_t size) {
    rv_case bounds = with_bounds_of(run->item, mode);
    bool doubles = run->device->caps.element_bytes[RV_F32] == sizeof(double);
    for (int k = 0; k < run->output_count; k++) {
        double *actual = rv_case_read(run, k);
        rv_case used = bounds;
        /* doubles are not the reference's floats to the bit */
        if (doubles && rv_array_dtype(run->output[k]) == RV_F32) used.flags &= ~(unsigned)RV_CASE_EXACT;
        bool same =
            actual && rv_compare(&used, actual, reference->output[mode][k], rv_case_output_count(run, k), why, size);
        if (!actual) snprintf(why, size, "%s", run->message);
        free(actual);
        if (!same) return false;
    }
    return true;
}

static int check_case(rv_device *device, int index, rv_case_mode mode) {
    const rv_case *item = &cases->items[index];
    rv_case_run run;
    char why[700] = "";
    rv_status status = rv_case_open(&run, device, item, mode, NULL);
    if (status == RV_OK) status = execute_twice(&run);
    bool good = status == RV_OK && run.output_count == references[index].output_count[mode];
    if (good) good = check_outputs(&run, mode, &references[index], why, sizeof why);
    if (!good) {
        print_error("%s: %s%s: %s\n", rv_device_name(device), item->name, mode ? " gradient" : "",
                    status == RV_OK ? why : run.message);
    }
    rv_case_close(&run);
    return !good;
}

static void test_device(void **state) {
    int index = *(int *)*state;
    bool skip_device;
    rv_device *device = rv_device_open_for_test(&devices, index, &skip_device);
    if (skip_device) skip();
    assert_non_null(device);
    int failures = 0, checks = 0;
    for (int i = 0; i < cases->count; i++) {
        for (int mode = 0; mode < 2; mode++) {
            if (!references[i].output_count[mode]) continue;
            if (strcmp(devices.names[index], "cpu:double") == 0 && (cases->items[i].flags & RV_CASE_NAN)) continue;
            failures += check_case(device, i, mode);
            checks++;
        }
    }
    print_message("%s: %d checks, %d failed\n", rv_device_name(device), checks, failures);
    rv_device_close(device);
    assert_int_equal(failures, 0);
}

/* The comparison itself: an error of a tf32 product's size must not pass as float32. */
static void test_bounds_bite(void **state) {
    (void)state;
    rv_case item = {.name = "bounds"};
    double reference[64], actual[64];
    char why[200];
    for (int i = 0; i < 64; i++) actual[i] = reference[i] = 1.0 + i * 0.01;
    assert_true(rv_compare(&item, actual, reference, 64, why, sizeof why));
    for (int i = 0; i < 64; i++) actual[i] = reference[i] * (1 + (i % 2 ? 3e-4 : -3e-4)); /* half a unit of 10 bits */
    assert_false(rv_compare(&item, actual, reference, 64, why, sizeof why));
    for (int i = 0; i < 64; i++) actual[i] = reference[i] * (1 + 5e-6); /* each near enough, all together not */
    assert_false(rv_compare(&item, actual, reference, 64, why, sizeof why));
    for (int i = 0; i < 64; i++) actual[i] = i == 9 ? NAN : reference[i];
    assert_false(rv_compare(&item, actual, reference, 64, why, sizeof why));
    item.flags = RV_CASE_EXACT;
    for (int i = 0; i < 64; i++) actual[i] = reference[i];
    assert_true(rv_compare(&item, actual, reference, 64, why, sizeof why));
    actual[63] = nextafter(actual[63], 9);
    assert_false(rv_compare(&item, actual, reference, 64, why, sizeof why));
}

int main(int argc, char **argv) {
    const char *all =
        "cpu cpu:threads=1 cpu:isa=baseline cpu:isa=avx2 cpu:isa=avx512 cpu:double check:cpu check:cpu:reference";
    rv_devices_from(&devices, argc, argv, RV_SLOW_RUN ? "cpu:threads=3 cpu:isa=baseline check:cpu" : all);
    cases = rv_cases_create();
    references = calloc((size_t)cases->count, sizeof *references);
    struct CMUnitTest tests[RV_MAX_DEVICES + 3] = {cmocka_unit_test(test_bounds_bite), cmocka_unit_test(test_reference),
                                                   cmocka_unit_test(test_every_op_is_reached)};
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        tests[3 + i] = (struct CMUnitTest){devices.names[i], test_device, NULL, NULL, &numbers[i]};
    }
    int failed = _cmocka_run_group_tests("conformance", tests, (size_t)(3 + devices.count), NULL, NULL);
    for (int i = 0; i < cases->count; i++) {
        for (int k = 0; k < 2 * RV_CASE_MAX_INPUTS; k++)
            free(references[i].output[k / RV_CASE_MAX_INPUTS][k % RV_CASE_MAX_INPUTS]);
    }
    free(references);
    rv_cases_destroy(cases);
    return failed;
}
