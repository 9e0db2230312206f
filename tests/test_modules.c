/* Modules: which are loaded and which are refused, in which words; and what "auto" takes of planted ones.
 *
 * The build has planted cuda.so and opencl.so in this program's own folder of modules, and files with one thing wrong
 * each in RV_MODULES_DIR (modules/fake.c). */
#include "tests/support/suite.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/modules.h"
#include "tests/modules/fake.h"
#include "tests/support/allocator.h"

/* ---- one file -------------------------------------------------------------------------------------------- */

static void expect_load(const char *path, const char *name, rv_status status, const char *words) {
    const rv_backend *backend;
    rv_error error = {0};
    rv_status got = rv_module_load(path, name, "it needs what is not there", &backend, &error);
    if (got != status) fail_msg("%s: %s: %s", path, rv_status_text(got), error.text);
    assert_int_equal(backend != NULL, status == RV_OK);
    if (status == RV_OK) return;
    assert_names(error.text, words);
    assert_names(error.text, name);
}

static void only_whole_modules_are_loaded(void **unused) {
    (void)unused;
    expect_load(RV_MODULES_DIR "/NONE.so", "fake", RV_OK, "");
    expect_load(RV_MODULES_DIR "/NONE.so", "fake", RV_OK, ""); /* as often as it is asked for */
    expect_load(RV_MODULES_DIR "/NONE.so", "other", RV_BAD_FILE, "holds the backend \"fake\"");
    expect_load(RV_MODULES_DIR "/ABI.so", "fake", RV_BAD_FILE, "build it anew");
    expect_load(RV_MODULES_DIR "/SIZE.so", "fake", RV_BAD_FILE, "build it anew");
    expect_load(RV_MODULES_DIR "/NO_TABLE.so", "fake", RV_BAD_FILE, "exports no " RV_MODULE_SYMBOL);
    expect_load(RV_MODULES_DIR "/ABSENT.so", "fake", RV_NO_DRIVER, "libreverie_absent.so");
    expect_load(RV_MODULES_DIR "/ABSENT.so", "fake", RV_NO_DRIVER, "it needs what is not there");
    expect_load(RV_MODULES_DIR "/nowhere.so", "fake", RV_NO_DRIVER, "install reverie's fake module");
    expect_load(RV_MODULES_DIR, "fake", RV_BAD_FILE, "no file");
}

static void copy(const char *from, const char *to) {
    char line[2 * PATH_MAX];
    snprintf(line, sizeof line, "cp '%s' '%s'", from, to);
    assert_int_equal(system(line), 0);
}

static void only_unspoilt_files_are_loaded(void **unused) {
    (void)unused;
    const mode_t refused[] = {0775, 0757, 0777, 0720};
    copy(RV_MODULES_DIR "/NONE.so", "./copy.so");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(chmod("./copy.so", refused[i]), 0);
        expect_load("./copy.so", "fake", RV_IO_FAILED, "chmod go-w");
    }
    assert_int_equal(chmod("./copy.so", 0755), 0);
    if (geteuid() == 0 && chown("./copy.so", 12345, 12345) == 0) { /* nobody else may give files away */
        expect_load("./copy.so", "fake", RV_IO_FAILED, "another user (12345)");
        assert_int_equal(chown("./copy.so", 0, 0), 0);
    }
    expect_load("./copy.so", "fake", RV_OK, "");
    unlink("./copy.so");
    FILE *file = fopen("./words.so", "w");
    assert_non_null(file);
    fputs("no shared object", file);
    fclose(file);
    assert_int_equal(chmod("./words.so", 0755), 0);
    expect_load("./words.so", "fake", RV_NO_DRIVER, "does not load");
    unlink("./words.so");
}

/* Beside this program, wherever one stands and whatever is there. */
static void no_folder_but_our_own(void **unused) {
    (void)unused;
    char folder[PATH_MAX], here[PATH_MAX];
    rv_error error = {0};
    assert_status(rv_module_folder(folder, sizeof folder, &error), RV_OK);
    assert_string_equal(folder, RV_MODULES_DIR "/reverie-backends");
    assert_non_null(getcwd(here, sizeof here));
    assert_true(strcmp(here, RV_MODULES_DIR) != 0);
    assert_status(rv_module_folder(folder, 8, &error), RV_NO_DRIVER);
    assert_names(error.text, "too long");
    mkdir("reverie-backends", 0755);
    copy(RV_MODULES_DIR "/NONE.so", "reverie-backends/fake.so");
    const rv_backend *backend;
    assert_status(rv_module_find("fake", "", &backend, &error), RV_NO_DRIVER);
    unlink("reverie-backends/fake.so");
    rmdir("reverie-backends");
}

/* ---- auto -------------------------------------------------------------------------------------------------- */

static fake_control *cuda, *opencl;

/* The planted modules' switches; NULL where the registry was told that the build left a backend out. */
static int find_planted(void **unused) {
    (void)unused;
    rv_backend_info list[8];
    const int count = rv_backend_list(list, 8);
    for (int i = 0; i < count; i++) {
        if (!list[i].built_in || strcmp(list[i].name, "cpu") == 0) continue;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/reverie-backends/%s.so", RV_MODULES_DIR, list[i].name);
        void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        fake_control *control = module ? dlsym(module, "fake_module") : NULL;
        if (!control) return -1;
        *(strcmp(list[i].name, "cuda") == 0 ? &cuda : &opencl) = control;
    }
    return 0;
}

static void plant(fake_control cuda_has, fake_control opencl_has) {
    *cuda = cuda_has;
    *opencl = opencl_has;
}

static void keep(void *user, rv_log_level level, const char *text) {
    assert_int_equal(level, RV_LOG_INFO);
    assert_string_equal((char *)user, ""); /* one line */
    snprintf(user, 1024, "%s", text);
}

/* Opens "auto"; what it chose begins with `name`, and its line names each of `words`. */
static void expect_auto(const char *resource, const char *name, const char *const words[3]) {
    char said[1024] = "";
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    options.log = keep;
    options.log_user = said;
    rv_device *device;
    assert_ok(rv_device_open(resource, &options, &device), rv_device_message(device));
    assert_int_equal(strncmp(rv_device_name(device), name, strlen(name)), 0);
    assert_int_equal(strncmp(said, "auto chose ", 11), 0);
    assert_null(strchr(said, '\n'));
    for (int i = 0; i < 3 && words[i]; i++) assert_names(said, words[i]);
    rv_device_close(device);
    assert_int_equal(counting.live, 0);
    assert_int_equal(cuda->opened, cuda->closed);
    assert_int_equal(opencl->opened, opencl->closed);
}

static void auto_takes_the_first_gpu_that_opens(void **unused) {
    (void)unused;
    if (!cuda || !opencl) skip();
    plant((fake_control){2, 3, 0, 0, 0, 0}, (fake_control){1, 1, 0, 0, 0, 0});
    expect_auto("auto", "cuda:0", (const char *[3]){"auto chose cuda:0 (planted)"});
    assert_int_equal(opencl->opened, 0);
    plant((fake_control){2, 3, 1, 0, 0, 0}, (fake_control){1, 1, 0, 0, 0, 0}); /* the first one is broken */
    expect_auto("auto", "cuda:1", (const char *[3]){"cuda:1"});
    plant((fake_control){2, 3, 3, 0, 0, 0}, (fake_control){3, 4, 0, 0, 0, 0}); /* both; and two CPUs before OpenCL's GPU */
    expect_auto("auto", "opencl:2", (const char *[3]){"opencl:2", "not cuda: device 0 is broken"});
    plant((fake_control){0}, (fake_control){2, 0, 0, 0, 0, 0});
    expect_auto("auto", "cpu", (const char *[3]){"not cuda: nothing planted", "not opencl: no GPU among its devices, 2", "auto chose cpu"});
    plant((fake_control){0}, (fake_control){1, 1, 1, 0, 0, 0});
    expect_auto("auto", "cpu", (const char *[3]){"not cuda: nothing", "not opencl: device 0 is broken", NULL});
    expect_auto("fault:run=1:auto", "fault:run=1:cpu", (const char *[3]){"auto chose cpu"});
}

static void lists_name_every_device(void **unused) {
    (void)unused;
    if (!cuda || !opencl) skip();
    rv_device_info list[8];
    rv_backend_info backends[3];
    plant((fake_control){1, 1, 0, 0, 0, 0}, (fake_control){2, 2, 0, 0, 0, 0});
    assert_int_equal(rv_device_list(NULL, 0), 4);
    assert_int_equal(rv_device_list(list, 2), 4);
    assert_int_equal(rv_device_list(list, 8), 4);
    const char *const resources[] = {"cuda:0", "opencl:0", "opencl:1", "cpu"};
    for (int i = 0; i < 4; i++) {
        rv_device *device;
        assert_string_equal(list[i].resource, resources[i]);
        assert_int_equal(list[i].gpu, i == 0 || i == 2);
        assert_ok(rv_device_open(list[i].resource, NULL, &device), rv_device_message(device));
        rv_device_close(device);
    }
    plant((fake_control){0}, (fake_control){0});
    assert_int_equal(rv_device_list(list, 8), 1);
    assert_int_equal(rv_backend_list(backends, 3), 3);
    assert_true(backends[0].built_in && !backends[0].available);
    assert_string_equal(backends[0].text, "nothing planted; plant something");
}

static void native_handles_reach_the_backend(void **unused) {
    (void)unused;
    if (!cuda || !opencl) skip();
    plant((fake_control){0}, (fake_control){1, 1, 0, 0, 0, 0});
    const char *const passes[] = {"opencl:0", "opencl", "check:opencl:0", "fault:run=1:check:opencl"};
    const char *const refuses[] = {"auto", "cpu", "cpu:reference", "null", "check:cpu", "fault:run=1:auto"};
    rv_native native = {.size = sizeof native};
    rv_device_options options = {.size = sizeof options, .native = &native};
    rv_device *device;
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        assert_ok(rv_device_open(passes[i], &options, &device), rv_device_message(device));
        rv_device_close(device);
    }
    assert_int_equal(opencl->native, sizeof passes / sizeof *passes);
    for (size_t i = 0; i < sizeof refuses / sizeof *refuses; i++) {
        assert_status(rv_device_open(refuses[i], &options, &device), RV_INVALID_ARGUMENT);
        assert_names(rv_device_message(device), "options->native");
        rv_device_close(device);
    }
    native.size = 0;
    assert_status(rv_device_open("opencl", &options, &device), RV_INVALID_ARGUMENT);
    assert_names(rv_device_message(device), "native->size");
    rv_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_modules_are_loaded),
        cmocka_unit_test(only_unspoilt_files_are_loaded),
        cmocka_unit_test(no_folder_but_our_own),
        cmocka_unit_test(auto_takes_the_first_gpu_that_opens),
        cmocka_unit_test(lists_name_every_device),
        cmocka_unit_test(native_handles_reach_the_backend),
    };
    return cmocka_run_group_tests_name("modules", tests, find_planted, NULL);
}
