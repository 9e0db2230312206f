/* tests/test_torture.c: every allocation of whole jobs fails in turn, once and from then on. Each time: a typed
 * status or success, no crash, everything can be destroyed, nothing is left; and without the fault it works again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/checkpoint.h"
#include "tests/support/allocator.h"
#include "tests/support/case_run.h"
#include "tests/support/suite.h"
#include "tests/support/train_step.h"

/* A job opens everything, works, and closes everything; its first status that is not RV_OK, else RV_OK. */
typedef rv_status (*job)(rv_device *device);

static rv_status train(rv_device *device) {
    rv_train_step step;
    rv_status status = rv_train_step_open(&step, device, 1);
    for (int i = 0; i < 2 && status == RV_OK; i++) status = rv_train_step_run(&step);
    if (status == RV_OK) status = rv_device_health(device, NULL);
    rv_train_step_close(&step);
    return status;
}

static rv_status checkpoint(rv_device *device) {
    rv_train_step step;
    rv_checkpoint *file = NULL;
    rv_status status = rv_train_step_open(&step, device, 0);
    if (status == RV_OK) status = rv_checkpoint_create(device, &file);
    if (status == RV_OK) status = rv_checkpoint_add_params(file, "model/", step.params);
    if (status == RV_OK) status = rv_checkpoint_add_array(file, "random", rv_random_array(step.random));
    if (status == RV_OK) status = rv_checkpoint_set(file, "config", "{\"a\": 1}");
    if (status == RV_OK) status = rv_checkpoint_save(file, "torture.safetensors");
    if (status == RV_OK) status = rv_checkpoint_load(file, "torture.safetensors");
    rv_checkpoint_destroy(file);
    rv_train_step_close(&step);
    return status;
}

/* Expansion, gradients, strided inputs: three cases of the table. */
static rv_status expand(rv_device *device) {
    static const char *const names[] = {"gru_cell/b7_i33_h65/strided", "linear/gelu/b65_x4_k61_n33", "concat_cols/8"};
    rv_plan_options options = {.size = sizeof options, .expand = 1};
    rv_case_list *cases = rv_cases_create();
    rv_status status = RV_OK;
    for (int i = 0; i < cases->count && status == RV_OK; i++) {
        for (int k = 0; k < 3 && status == RV_OK; k++) {
            if (strcmp(cases->items[i].name, names[k]) != 0) continue;
            rv_case_run run;
            status = rv_case_open(&run, device, &cases->items[i], RV_CASE_GRADIENT, &options);
            if (status == RV_OK) status = rv_case_execute(&run);
            rv_case_close(&run);
        }
    }
    rv_cases_destroy(cases);
    return status;
}

/* One run with the fault in place. The number of allocations asked for. */
static int64_t attempt(const char *resource, job work, int64_t fail_at, bool from_then_on, rv_status *status) {
    rv_counting counting = {.fail_at = fail_at, .from_then_on = from_then_on};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    *status = rv_device_open(resource, &options, &device);
    if (*status != RV_OK && device) assert_true(strlen(rv_device_message(device)) > 0);
    if (*status == RV_OK) *status = work(device);
    rv_device_close(device);
    if (counting.live != 0) fail_msg("%d blocks left after allocation %d failed", (int)counting.live, (int)fail_at);
    return counting.calls;
}

/* Work that can do without a block may succeed; else memory is what is said to be missing. */
static bool acceptable(rv_status status) { return status == RV_OK || status == RV_OUT_OF_MEMORY; }

static void torture(const char *resource, job work) {
    rv_status status;
    int64_t count = attempt(resource, work, 0, false, &status);
    assert_status(status, RV_OK);
    assert_true(count > 20);
    for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
        int failures = 0;
        for (int64_t n = 1; n <= count; n++) {
            attempt(resource, work, n, from_then_on, &status);
            if (!acceptable(status)) fail_msg("allocation %d of %d: %s", (int)n, (int)count, rv_status_text(status));
            failures += status == RV_OUT_OF_MEMORY;
        }
        /* the test bites: nearly every block is needed */
        if (failures < count / 2) fail_msg("only %d of %d failures were noticed", failures, (int)count);
    }
    attempt(resource, work, 0, false, &status);
    assert_status(status, RV_OK);
}

static void test_train(void **state) { torture(*state, train); }
static void test_expand(void **state) { torture(*state, expand); }
static void test_checkpoint(void **state) {
    torture(*state, checkpoint);
    unlink("torture.safetensors");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"train on cpu", test_train, NULL, NULL, "cpu:threads=2"},
        {"train on cpu:reference", test_train, NULL, NULL, "cpu:reference"},
        {"train on check:cpu:reference", test_train, NULL, NULL, "check:cpu:reference"},
        {"expand on cpu:reference", test_expand, NULL, NULL, "cpu:reference"},
        {"checkpoint on cpu:reference", test_checkpoint, NULL, NULL, "cpu:reference"},
    };
    return cmocka_run_group_tests_name("torture", tests, NULL, NULL);
}
