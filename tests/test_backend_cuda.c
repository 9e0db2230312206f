/* CUDA where nothing is there to run it: what is missing is said, and how to get it. What the backend does with a driver
 * is tested on the stand-in (tests/standin) and, where there is a GPU, by the suites that every device passes. */
#include "tests/support/suite.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

static bool has_driver; /* then the first test has nothing to say */

static rv_status open_cuda(const char *resource, char message[512]) {
    rv_device *device;
    const rv_status status = rv_device_open(resource, NULL, &device);
    strncpy(message, rv_device_message(device), 511);
    message[511] = 0;
    rv_device_close(device);
    return status;
}

static void no_driver_is_said(void **unused) {
    (void)unused;
    char message[512];
    if (has_driver) skip();
    assert_status(open_cuda("cuda", message), RV_NO_DRIVER);
    assert_names(message, "libcuda.so.1");
    assert_names(message, "install");
    assert_status(open_cuda("cuda:3,cublas=off", message), RV_NO_DRIVER);
    assert_status(open_cuda("check:cuda:0", message), RV_NO_DRIVER);
}

static void what_is_not_understood_is_said(void **unused) {
    (void)unused;
    static const char *const wrong[] = {"cuda:x", "cuda:0x", "cuda:0,", "cuda:-1", "cuda:0,cublas", "cuda:cublas=on", "cuda:0,,cublas=off"};
    char message[512];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(open_cuda(wrong[i], message), RV_INVALID_ARGUMENT);
        assert_names(message, strchr(wrong[i], ':') + 1);
        assert_names(message, "cublas=off"); /* what is allowed */
    }
}

static void the_list_says_it_too(void **unused) {
    (void)unused;
    rv_backend_info list[8];
    const int count = rv_backend_list(list, 8);
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].name, "cuda") != 0) continue;
        assert_true(list[i].built_in);
        if (!has_driver) {
            assert_false(list[i].available);
            assert_names(list[i].text, "libcuda.so.1");
        }
        return;
    }
    fail_msg("no line for cuda");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_driver_is_said),
        cmocka_unit_test(what_is_not_understood_is_said),
        cmocka_unit_test(the_list_says_it_too),
    };
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    has_driver = driver != NULL;
    if (driver) dlclose(driver);
    char message[512];
    if (open_cuda("cuda", message) == RV_NOT_BUILT_IN) return 0; /* this build has no CUDA backend */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
