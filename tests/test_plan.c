/* tests/test_plan.c: what a plan promises beside its results: reports, memory, profiles, no work on the host. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "tests/support/allocator.h"
#include "tests/support/suite.h"
#include "tests/support/train_step.h"

static rv_plan_report report_of(const rv_plan *plan) {
    rv_plan_report report = {.size = sizeof report};
    assert_status(rv_plan_report_get(plan, &report), RV_OK);
    return report;
}

/* A deep chain over wide rows: most values may share memory. */
static rv_plan *chain(rv_device *device, rv_array *x, int length, const rv_plan_options *options) {
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(device, &graph), "");
    rv_tensor y = rv_read(graph, x);
    for (int i = 0; i < length; i++) {
        rv_tensor mean = rv_mean(y, RV_COLS); /* recorded first with every compiler */
        y = rv_sub(rv_tanh(rv_affine(y, 1.1f, 0.1f)), mean);
    }
    rv_store(x, y);
    assert_ok(rv_plan_create(graph, options, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    return plan;
}

static void test_memory_is_shared(void **state) {
    (void)state;
    rv_device *device;
    rv_array *x;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    assert_ok(rv_array_create(device, RV_F32, 65, 33, "x", &x), "");
    rv_plan_options ordered = {.size = sizeof ordered, .keep_order = 1};
    rv_plan *shared = chain(device, x, 20, NULL), *apart = chain(device, x, 20, &ordered);
    rv_plan_report small = report_of(shared), large = report_of(apart);
    assert_int_equal(small.launches, 80);
    assert_true(small.regions >= 1 && small.regions <= small.launches);
    assert_true(small.arena_bytes < small.value_bytes / 4);
    assert_true(large.arena_bytes >= large.value_bytes);
    assert_int_equal(rv_plan_launch(shared, 80, &(rv_launch_info){.size = sizeof(rv_launch_info)}),
                     RV_INVALID_ARGUMENT);
    assert_int_equal(rv_plan_launch(shared, -1, &(rv_launch_info){.size = sizeof(rv_launch_info)}),
                     RV_INVALID_ARGUMENT);
    rv_plan_destroy(shared);
    rv_plan_destroy(apart);
    rv_array_destroy(x);
    rv_device_close(device);
}

/* Where one allocation holds only so much, the arena is split, and a value beyond it refused. */
static void test_largest_allocation(void **state) {
    (void)state;
    rv_device *device;
    rv_array *x;
    assert_ok(rv_device_open("cpu:reference", NULL, &device), "");
    float values[2][64 * 16], expected[64 * 16];
    for (int i = 0; i < 64 * 16; i++) values[0][i] = (float)(i % 13) * 0.1f;
    assert_ok(rv_array_create(device, RV_F32, 64, 16, "x", &x), "");
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) device->caps.largest_allocation = 64 * 16 * 4 + 64;
        assert_ok(rv_array_write(x, 0, 64, values[0]), "");
        rv_plan *plan = chain(device, x, 6, &(rv_plan_options){.size = sizeof(rv_plan_options), .keep_order = 1});
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        assert_ok(rv_array_read(x, 0, 64, pass ? values[1] : expected), "");
        rv_plan_destroy(plan);
    }
    assert_memory_equal(values[1], expected, sizeof expected);
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(device, &graph), "");
    rv_store(x, rv_slice_rows(rv_exp(rv_fill(graph, 66, 16, 1)), 0, 64));
    rv_plan_options ordered = {.size = sizeof ordered, .keep_order = 1};
    assert_status(rv_plan_create(graph, &ordered, &plan), RV_TOO_LARGE);
    assert_names(rv_plan_message(plan), "[66, 16]");
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(x);
    rv_device_close(device);
}

static void test_launches_describe_themselves(void **state) {
    (void)state;
    rv_device *device;
    rv_array *a, *b, *c;
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    assert_ok(rv_array_create(device, RV_F32, 7, 33, "a", &a), "");
    assert_ok(rv_array_create(device, RV_F32, 33, 65, "b", &b), "");
    assert_ok(rv_array_create(device, RV_F32, 7, 65, "c", &c), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_graph_push(graph, "decoder");
    rv_store(c, rv_matmul(rv_read(graph, a), rv_read(graph, b), 0, 0));
    rv_graph_pop(graph);
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    rv_plan_report report = report_of(plan);
    assert_int_equal(report.launches, 1); /* the product is written where it is stored */
    assert_int_equal(report.values, 0);
    assert_true(report.flops == 2.0 * 7 * 33 * 65);
    rv_launch_info info = {.size = sizeof info};
    assert_status(rv_plan_launch(plan, 0, &info), RV_OK);
    assert_string_equal(info.op, "matmul");
    assert_string_equal(info.label, "decoder");
    assert_int_equal(info.rows, 7);
    assert_int_equal(info.cols, 65);
    assert_true(info.flops == report.flops);
    assert_true(info.bytes == 4.0 * (7 * 33 + 33 * 65 + 7 * 65));
    assert_true(info.seconds == 0);
    assert_ok(rv_plan_profile(plan), rv_plan_message(plan));
    assert_status(rv_plan_launch(plan, 0, &info), RV_OK);
    assert_true(info.seconds > 0);
    rv_plan_destroy(plan);
    rv_array_destroy(a);
    rv_array_destroy(b);
    rv_array_destroy(c);
    rv_device_close(device);
}

static void test_nothing_stored(void **state) {
    (void)state;
    rv_device *device;
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_exp(rv_fill(graph, 3, 4, 1));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_int_equal(report_of(plan).launches, 0);
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_plan_profile(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_device_close(device);
}

/* Callers compiled with a smaller struct get what they know of; size 0 is a mistake. */
static void test_sizes_of_structs(void **state) {
    (void)state;
    rv_device *device;
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_plan_options nothing = {0};
    assert_status(rv_plan_create(graph, &nothing, &plan), RV_INVALID_ARGUMENT);
    rv_plan_destroy(plan);
    assert_ok(rv_plan_create(graph, NULL, &plan), "");
    rv_plan_report report = {.size = offsetof(rv_plan_report, regions), .regions = 77};
    assert_status(rv_plan_report_get(plan, &report), RV_OK);
    assert_int_equal(report.regions, 77);
    report.size = 0;
    assert_status(rv_plan_report_get(plan, &report), RV_INVALID_ARGUMENT);
    assert_status(rv_plan_report_get(NULL, &report), RV_INVALID_ARGUMENT);
    assert_status(rv_plan_report_get(plan, NULL), RV_INVALID_ARGUMENT);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_device_close(device);
}

/* A run allocates nothing and, once everything is closed, nothing is left. */
static void test_runs_allocate_nothing(void **state) {
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    rv_train_step step;
    assert_ok(rv_device_open(*state, &options, &device), rv_device_message(device));
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    assert_ok(rv_train_step_run(&step), step.message);
    int64_t calls = counting.calls;
    assert_true(calls > 0);
    for (int i = 0; i < 10; i++) assert_ok(rv_train_step_run(&step), step.message);
    assert_int_equal(counting.calls, calls);
    rv_train_step_close(&step);
    rv_device_close(device);
    assert_int_equal(counting.live, 0);
}

/* The null device plans and replays like any other, and computes nothing. */
static void test_null_device(void **state) {
    (void)state;
    rv_device *device;
    rv_train_step step;
    assert_ok(rv_device_open("null", NULL, &device), rv_device_message(device));
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    assert_true(report_of(step.plan).launches > 10);
    for (int i = 0; i < 100; i++) assert_ok(rv_train_step_run(&step), step.message);
    float loss = 5;
    assert_ok(rv_array_read(step.loss, 0, 1, &loss), "");
    assert_true(loss == 0);
    rv_train_step_close(&step);
    rv_device_close(device);
}

/* Memory of the caller's: written and read where it lies. */
static void test_wrapped_memory(void **state) {
    (void)state;
    rv_device *device;
    rv_array *x;
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    float *memory = aligned_alloc(64, 64 * sizeof *memory);
    assert_non_null(memory);
    for (int i = 0; i < 64; i++) memory[i] = (float)i;
    assert_ok(rv_array_wrap(device, RV_F32, 8, 8, "mine", memory, &x), rv_array_message(x));
    assert_ok(rv_graph_create(device, &graph), "");
    rv_store(x, rv_affine(rv_read(graph, x), 2, 1));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_device_sync(device), "");
    for (int i = 0; i < 64; i++) assert_true(memory[i] == 2 * (float)i + 1);
    memory[5] = -1;
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_device_sync(device), "");
    assert_true(memory[5] == -1);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(x);
    assert_true(memory[5] == -1); /* still ours */
    assert_status(rv_array_wrap(device, RV_F32, 8, 8, "null", NULL, &x), RV_INVALID_ARGUMENT);
    rv_array_destroy(x);
    free(memory);
    rv_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_shared),
        cmocka_unit_test(test_largest_allocation),
        cmocka_unit_test(test_launches_describe_themselves),
        cmocka_unit_test(test_nothing_stored),
        cmocka_unit_test(test_sizes_of_structs),
        {"runs allocate nothing on cpu", test_runs_allocate_nothing, NULL, NULL, "cpu"},
        {"runs allocate nothing on cpu:reference", test_runs_allocate_nothing, NULL, NULL, "cpu:reference"},
        cmocka_unit_test(test_null_device),
        cmocka_unit_test(test_wrapped_memory),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
