/* Devices beside one another: lists, handles of their memory, dispatch counts, and two devices of two threads. */
#include "tests/support/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/devices.h"
#include "tests/support/train_step.h"

/* ---- lists ----------------------------------------------------------------------------------------------- */

static void every_device_of_the_list_opens(void **unused) {
    (void)unused;
    rv_device_info list[32];
    const int count = rv_device_list(list, 32);
    assert_in_range(count, 1, 32);
    assert_int_equal(rv_device_list(NULL, 0), count);
    assert_string_equal(list[count - 1].resource, "cpu"); /* best first */
    for (int i = 0; i < count; i++) {
        rv_device *device;
        assert_true(list[i].name[0] && list[i].version[0] && list[i].units > 0);
        assert_ok(rv_device_open(list[i].resource, NULL, &device), rv_device_message(device));
        rv_device_close(device);
    }
}

/* ---- handles ---------------------------------------------------------------------------------------------- */

static void handles_lead_to_the_memory(void **state) {
    rv_device *device;
    rv_array *x, *wrapped;
    void *handle;
    const float data[4] = {1, 2, 3, 4};
    float seen[4] = {0};
    assert_ok(rv_device_open(*state, NULL, &device), rv_device_message(device));
    assert_ok(rv_array_create(device, RV_F32, 2, 2, "x", &x), rv_array_message(x));
    assert_ok(rv_array_write(x, 0, 2, data), rv_array_message(x));
    assert_ok(rv_array_native(x, &handle), rv_array_message(x));
    assert_memory_equal(handle, data, sizeof data);
    /* what it gives, it takes: the same memory under another name */
    assert_ok(rv_array_wrap(device, RV_F32, 2, 2, "wrapped", handle, &wrapped), rv_array_message(wrapped));
    assert_ok(rv_array_write(x, 1, 1, data), rv_array_message(x));
    assert_ok(rv_array_read(wrapped, 0, 2, seen), rv_array_message(wrapped));
    assert_true(seen[2] == 1 && seen[3] == 2);
    assert_ok(rv_array_native(wrapped, &handle), "");
    rv_array_destroy(wrapped);
    assert_ok(rv_array_read(x, 0, 2, seen), rv_array_message(x)); /* still ours */
    assert_status(rv_array_native(x, NULL), RV_INVALID_ARGUMENT);
    assert_status(rv_array_native(NULL, &handle), RV_INVALID_ARGUMENT);
    rv_array_destroy(x);
    rv_device_close(device);
}

static void guarded_memory_has_no_handle(void **unused) {
    (void)unused;
    _Alignas(64) static float memory[64];
    rv_device *device;
    rv_array *x;
    void *handle = &device;
    assert_ok(rv_device_open("check:cpu", NULL, &device), rv_device_message(device));
    assert_ok(rv_array_create(device, RV_F32, 2, 2, "x", &x), rv_array_message(x));
    assert_status(rv_array_native(x, &handle), RV_UNSUPPORTED);
    assert_names(rv_array_message(x), "rv_array_native x: check:cpu");
    assert_null(handle);
    rv_array_destroy(x);
    assert_ok(rv_array_wrap(device, RV_F32, 8, 8, "mine", memory, &x), rv_array_message(x));
    assert_ok(rv_array_native(x, &handle), rv_array_message(x));
    assert_ptr_equal(handle, memory);
    rv_array_destroy(x);
    rv_device_close(device);
}

/* A backend that says nothing of its own gets what the plan has. */
static void dispatches_are_at_most_launches(void **unused) {
    (void)unused;
    static const char *const names[] = {"cpu:reference", "null", "check:cpu", "fault:run=9:cpu"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rv_device *device;
        rv_train_step step;
        rv_plan_report report = {.size = sizeof report};
        assert_ok(rv_device_open(names[i], NULL, &device), rv_device_message(device));
        assert_ok(rv_train_step_open(&step, device, 1), step.message);
        assert_ok(rv_plan_report_get(step.plan, &report), "");
        assert_true(report.launches > 0);
        assert_int_equal(report.dispatches, report.launches);
        rv_train_step_close(&step);
        rv_device_close(device);
    }
}

/* ---- threads ----------------------------------------------------------------------------------------------- */

typedef struct work {
    const char *resource;
    uint64_t hash;
    rv_status status;
    char message[640];
} work;

static void *train(void *argument) {
    work *w = argument;
    rv_device *device;
    rv_train_step step;
    (void)rv_device_list(NULL, 0); /* while others open theirs */
    w->status = rv_device_open(w->resource, NULL, &device);
    if (w->status != RV_OK) {
        snprintf(w->message, sizeof w->message, "%s", rv_device_message(device));
        rv_device_close(device);
        return NULL;
    }
    w->status = rv_train_step_open(&step, device, 1);
    for (int i = 0; i < 5 && w->status == RV_OK; i++) w->status = rv_train_step_run(&step);
    if (w->status == RV_OK) w->hash = rv_train_step_hash(&step);
    snprintf(w->message, sizeof w->message, "%s", step.message);
    rv_train_step_close(&step);
    rv_device_close(device);
    return NULL;
}

/* Each thread's device computes what it computes alone. */
static void threads_do_not_disturb(const char *first, const char *second) {
    work alone[2] = {{.resource = first}, {.resource = second}}, together[2] = {alone[0], alone[1]};
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        train(&alone[i]);
        assert_ok(alone[i].status, alone[i].message);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&thread[i], NULL, train, &together[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_ok(together[i].status, together[i].message);
        assert_true(together[i].hash == alone[i].hash);
    }
}

static void two_devices_of_two_threads(void **unused) {
    (void)unused;
    threads_do_not_disturb("cpu:threads=2", "cpu:reference");
    threads_do_not_disturb("cpu:threads=2", "cpu:threads=2");
}

static void with_a_gpu_backend(void **state) {
    work w = {.resource = *state};
    train(&w);
    if (rv_device_absent(w.status)) {
        print_message("%s: %s\n", w.resource, w.message);
        skip();
    }
    threads_do_not_disturb(*state, "cpu:threads=2");
    threads_do_not_disturb(*state, *state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_of_the_list_opens),
        {"handles on cpu", handles_lead_to_the_memory, NULL, NULL, "cpu"},
        {"handles on cpu:reference", handles_lead_to_the_memory, NULL, NULL, "cpu:reference"},
        {"handles on null", handles_lead_to_the_memory, NULL, NULL, "null"},
        {"handles through fault:", handles_lead_to_the_memory, NULL, NULL, "fault:run=1:cpu"},
        cmocka_unit_test(guarded_memory_has_no_handle),
        cmocka_unit_test(dispatches_are_at_most_launches),
        cmocka_unit_test(two_devices_of_two_threads),
        {"with opencl:0", with_a_gpu_backend, NULL, NULL, "opencl:0"},
        {"with cuda:0", with_a_gpu_backend, NULL, NULL, "cuda:0"},
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
