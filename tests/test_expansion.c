/* tests/test_expansion.c: every fused op equals its expansion, forward and gradient. In double the two are
 * the same function to rounding; in float each within the bounds of a single op. */
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
static bool expanded_ops[RV_OP_COUNT];

/* Fused launches in a plan; marks them as met. */
static int fused_launches(const rv_plan *plan) {
    rv_plan_report report = {.size = sizeof report};
    assert_int_equal(rv_plan_report_get(plan, &report), RV_OK);
    int count = 0;
    for (int64_t i = 0; i < report.launches; i++) {
        rv_launch_info info = {.size = sizeof info};
        assert_int_equal(rv_plan_launch(plan, i, &info), RV_OK);
        for (int op = 0; op < RV_OP_COUNT; op++) {
            const rv_op_info *known = rv_op_info_get((rv_op)op);
            if (known->level != RV_FUSED || strcmp(info.op, known->name) != 0) continue;
            expanded_ops[op] = true;
            count++;
        }
    }
    return count;
}

static bool same_outputs(rv_case_run *fused, rv_case_run *expanded, rv_case_mode mode, char *why, size_t size) {
    rv_case bounds = *fused->item;
    if (mode == RV_CASE_GRADIENT) bounds.flags &= ~(unsigned)RV_CASE_EXACT;
    if (fused->device->caps.element_bytes[RV_F32] == sizeof(double)) {
        /* attributes (1 / columns, log 2 pi) are floats in an expansion, doubles in a kernel */
        bounds.nmse = 1e-15;
        bounds.element = 6e-8;
        bounds.absolute *= 1e-3;
    }
    bool same = true;
    for (int k = 0; k < fused->output_count && same; k++) {
        double *a = rv_case_read(fused, k), *b = rv_case_read(expanded, k);
        same = a && b && rv_compare(&bounds, b, a, rv_case_output_count(fused, k), why, size);
        free(a);
        free(b);
    }
    return same;
}

/* 1: failed, 0: equal, -1: nothing fused in it. */
static int check_case(rv_device *device, const rv_case *item, rv_case_mode mode) {
    rv_case_run fused, expanded = {0};
    char why[700] = "";
    rv_plan_options options = {.size = sizeof options, .expand = 1};
    int verdict = 1;
    if (rv_case_open(&fused, device, item, mode, NULL) != RV_OK || rv_case_execute(&fused) != RV_OK) {
        snprintf(why, sizeof why, "fused: %s", fused.message);
    } else if (fused_launches(fused.plan) == 0) {
        verdict = -1;
    } else if (rv_case_open(&expanded, device, item, mode, &options) != RV_OK || rv_case_execute(&expanded) != RV_OK) {
        snprintf(why, sizeof why, "expanded: %s", expanded.message);
    } else if (fused_launches(expanded.plan) != 0) {
        snprintf(why, sizeof why, "the expansion still holds a fused op");
    } else {
        verdict = !same_outputs(&fused, &expanded, mode, why, sizeof why);
    }
    if (verdict == 1) print_error("%s: %s%s: %s\n", rv_device_name(device), item->name, mode ? " gradient" : "", why);
    rv_case_close(&fused);
    rv_case_close(&expanded);
    return verdict;
}

static void test_device(void **state) {
    bool skip_device;
    rv_device *device = rv_device_open_for_test(&devices, *(int *)*state, &skip_device);
    if (skip_device) skip();
    assert_non_null(device);
    int failures = 0, checks = 0;
    for (int i = 0; i < cases->count; i++) {
        const rv_case *item = &cases->items[i];
        if (item->flags & (RV_CASE_LARGE | RV_CASE_STRIDED)) continue;
        for (int mode = 0; mode < 2; mode++) {
            if (mode == RV_CASE_GRADIENT && rv_case_differentiable(item) == 0) continue;
            int verdict = check_case(device, item, mode);
            checks += verdict >= 0;
            failures += verdict > 0;
        }
    }
    print_message("%s: %d cases with fused ops, %d failed\n", rv_device_name(device), checks, failures);
    rv_device_close(device);
    assert_int_equal(failures, 0);
}

static void test_every_fused_op_was_met(void **state) {
    (void)state;
    for (int op = 0; op < RV_OP_COUNT; op++) {
        const rv_op_info *known = rv_op_info_get((rv_op)op);
        if (known->level == RV_FUSED && !expanded_ops[op])
            fail_msg("no case compares %s with its expansion", known->name);
    }
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu:double cpu:reference cpu");
    cases = rv_cases_create();
    struct CMUnitTest tests[RV_MAX_DEVICES + 1];
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        tests[i] = (struct CMUnitTest){devices.names[i], test_device, NULL, NULL, &numbers[i]};
    }
    tests[devices.count] = (struct CMUnitTest)cmocka_unit_test(test_every_fused_op_was_met);
    int failed = _cmocka_run_group_tests("expansion", tests, (size_t)(devices.count + 1), NULL, NULL);
    rv_cases_destroy(cases);
    return failed;
}
