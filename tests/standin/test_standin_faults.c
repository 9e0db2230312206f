/* Each call of the driver fails in turn, in each way that matters, while a small training step is opened, run, profiled
 * and read on the stand-in (standin.h; no hardware). Every time: a typed status with words, nothing left behind, a
 * lost device stays lost, another device never notices, and a new one works. */
#include "tests/standin/use.h"

#include <string.h>

#include "tests/support/allocator.h"
#include "tests/support/train_step.h"

/* Opens a device, trains, profiles, reads; the first status that is not RV_OK. */
static rv_status work(rv_device *device, char message[512]) {
    rv_train_step step;
    rv_status status = rv_train_step_open(&step, device, 1);
    if (status == RV_OK) status = rv_train_step_run(&step);
    if (status == RV_OK && (status = rv_plan_profile(step.plan)) != RV_OK) {
        snprintf(step.message, sizeof step.message, "%.500s", rv_plan_message(step.plan));
    }
    float loss;
    if (status == RV_OK && (status = rv_array_read(step.loss, 0, 1, &loss)) != RV_OK) {
        snprintf(step.message, sizeof step.message, "%.500s", rv_array_message(step.loss));
    }
    snprintf(message, 512, "%.511s", step.message);
    rv_train_step_close(&step);
    if (status == RV_OK && (status = rv_device_sync(device)) != RV_OK) snprintf(message, 512, "%s", rv_device_message(device));
    return status;
}

/* The whole with the nth call failing; nth 0: none. How many calls there were. */
static int64_t attempt(int64_t nth, unsigned code, rv_status *status) {
    rv_counting counting = {.fail_at = 0};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    char message[512];
    control->reset();
    if (nth) control->plan_fault(NULL, nth, code);
    *status = rv_device_open("cuda:0", &options, &device);
    snprintf(message, sizeof message, "%s", rv_device_message(device));
    if (*status == RV_OK) *status = work(device, message);
    const int64_t calls = control->calls(NULL);
    if (*status != RV_OK && !message[0]) fail_msg("call %d: %s without words", (int)nth, rv_status_text(*status));
    rv_device_close(device);
    if (counting.live) fail_msg("call %d: %d blocks of host memory are left", (int)nth, (int)counting.live);
    if (control->live() || control->depth()) fail_msg("call %d: %d objects, %d contexts are left", (int)nth, (int)control->live(), control->depth());
    return calls;
}

typedef struct fault {
    unsigned code;
    rv_status meaning;
} fault;

static void every_call(void **state) {
    const fault *fault = *state;
    rv_status status;
    control->idle(true); /* what comes out does not matter here */
    attempt(0, 0, &status); /* everything is in the cache from now on */
    const int64_t all = attempt(0, 0, &status);
    assert_status(status, RV_OK);
    assert_true(all > 200);
    int64_t noticed = 0;
    for (int64_t n = 1; n <= all; n++) {
        attempt(n, fault->code, &status);
        /* RV_OK: the call was one that gives something back, or has another way */
        if (status != RV_OK && status != fault->meaning) fail_msg("call %d of %d fails with %u: %s", (int)n, (int)all, fault->code, rv_status_text(status));
        noticed += status != RV_OK;
    }
    print_message("%d of %d calls fail the job\n", (int)noticed, (int)all);
    assert_true(noticed > all / 2); /* the others give back, or ask for what has a default */
    attempt(0, 0, &status);
    assert_status(status, RV_OK);
    control->idle(false);
}

static void a_lost_device_stays_lost_alone(void **unused) {
    (void)unused;
    rv_device *device, *other;
    rv_train_step step, beside;
    assert_ok(rv_device_open("cuda:0", NULL, &device), rv_device_message(device));
    assert_ok(rv_device_open("cuda:1", NULL, &other), rv_device_message(other));
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    assert_ok(rv_train_step_open(&beside, other, 1), beside.message);
    control->plan_fault("cuGraphLaunch", 1, STANDIN_ILLEGAL_ADDRESS);
    assert_status(rv_train_step_run(&step), RV_DEVICE_LOST);
    assert_names(step.message, "cuGraphLaunch");
    assert_names(step.message, "CUDA_ERROR_ILLEGAL_ADDRESS");
    for (int i = 0; i < 3; i++) {
        assert_status(rv_train_step_run(&step), RV_DEVICE_LOST);
        assert_names(step.message, "cuGraphLaunch"); /* what it was, not what came of it */
        assert_status(rv_device_sync(device), RV_DEVICE_LOST);
        assert_ok(rv_train_step_run(&beside), beside.message);
    }
    assert_true(rv_train_step_hash(&step) == 0);
    assert_true(rv_train_step_hash(&beside) != 0);
    rv_train_step_close(&step);
    rv_device_close(device);
    assert_ok(rv_train_step_run(&beside), beside.message);
    rv_train_step_close(&beside);
    rv_device_close(other);
    assert_ok(rv_device_open("cuda:0", NULL, &device), rv_device_message(device));
    rv_device_close(device);
}

int main(void) {
    static fault faults[] = {{RV_CU_OUT_OF_MEMORY, RV_OUT_OF_MEMORY}, {STANDIN_LAUNCH_FAILED, RV_DEVICE_LOST},
                             {STANDIN_INVALID_VALUE, RV_INTERNAL}};
    const struct CMUnitTest tests[] = {
        standin_test(a_lost_device_stays_lost_alone),
        {"out of memory at every call", every_call, standin_fresh, standin_clean, &faults[0]},
        {"launch failed at every call", every_call, standin_fresh, standin_clean, &faults[1]},
        {"invalid value at every call", every_call, standin_fresh, standin_clean, &faults[2]},
    };
    if (!standin_find()) return 1;
    return cmocka_run_group_tests_name("faults of the driver, on the stand-in", tests, NULL, NULL);
}
