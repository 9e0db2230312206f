/* The CUDA backend's host side on the stand-in driver (standin.h; no hardware): opening, memory, programs, the kernel
 * cache, handles shared with a host program, and how each thing that can be missing is said. */
#include "tests/standin/use.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/internal.h"
#include "tests/support/train_step.h"

static rv_device *open_device(const char *resource) {
    rv_device *device;
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    return device;
}

static void refused(const char *resource, rv_status expected, const char *part) {
    rv_device *device;
    assert_status(rv_device_open(resource, NULL, &device), expected);
    assert_names(rv_device_message(device), part);
    rv_device_close(device);
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

static void names_and_lists(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda");
    assert_string_equal(rv_device_name(device), "cuda:0");
    assert_names(rv_device_description(device), "no hardware");
    assert_names(rv_device_description(device), "sm_90");
    rv_device_close(device);
    device = open_device("cuda:1,cublas=off");
    assert_string_equal(rv_device_name(device), "cuda:1,cublas=off");
    rv_device_close(device);

    rv_device_info list[8];
    assert_true(rv_device_list(list, 8) >= 3);
    for (int i = 0; i < 2; i++) {
        char resource[16];
        snprintf(resource, sizeof resource, "cuda:%d", i);
        assert_string_equal(list[i].resource, resource);
        assert_true(list[i].gpu && list[i].units == 132 && list[i].memory_bytes > 0);
        assert_names(list[i].version, "13.0");
    }
}

static void what_is_missing_is_said(void **unused) {
    (void)unused;
    refused("cuda:2", RV_NO_DEVICE, "shows 2 GPUs");
    control->devices(0, 9, 0);
    refused("cuda", RV_NO_DEVICE, "CUDA_VISIBLE_DEVICES");
    control->devices(1, 7, 0);
    refused("cuda:0", RV_UNSUPPORTED, "7.5");
    control->devices(1, 9, 0);
    control->plan_fault("cuInit", 1, 803);
    refused("cuda:0", RV_NO_DRIVER, "cuInit");
    control->plan_fault("cuDevicePrimaryCtxRetain", 1, RV_CU_OUT_OF_MEMORY);
    refused("cuda:0", RV_OUT_OF_MEMORY, "cuDevicePrimaryCtxRetain");
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static void too_much_memory(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda:0");
    rv_array *big, *small;
    assert_status(rv_array_create(device, RV_F32, 1 << 20, 1 << 12, "big", &big), RV_OUT_OF_MEMORY);
    assert_names(rv_array_message(big), "17179869184 bytes");
    assert_names(rv_array_message(big), "are free");
    rv_array_destroy(big);
    assert_ok(rv_array_create(device, RV_F32, 3, 5, "small", &small), rv_array_message(small));
    float seen[15];
    assert_ok(rv_array_read(small, 0, 3, seen), rv_array_message(small));
    for (int i = 0; i < 15; i++) assert_true(seen[i] == 0);
    rv_array_destroy(small);
    rv_device_close(device);
}

/* The stand-in copies when somebody waits; whoever keeps the caller's pointer reads what came later. */
static void uploads_keep_no_pointer(void **unused) {
    (void)unused;
    enum { ROWS = 400, COLS = 2501, COUNT = ROWS * COLS }; /* 4 MB: twice what uploads are staged in; rows of 10 kB */
    rv_device *device = open_device("cuda:0");
    rv_array *x;
    float *data = malloc(COUNT * sizeof *data), *seen = malloc(COUNT * sizeof *seen);
    assert_non_null(data);
    assert_non_null(seen);
    assert_ok(rv_array_create(device, RV_F32, ROWS, COLS, "x", &x), rv_array_message(x));
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLS; c++) data[c] = (float)(r * COLS + c);
        assert_ok(rv_array_write(x, r, 1, data), rv_array_message(x));
    }
    assert_ok(rv_array_read(x, 0, ROWS, seen), rv_array_message(x));
    for (int i = 0; i < COUNT; i++) assert_true(seen[i] == (float)i);
    for (int i = 0; i < COUNT; i++) data[i] = (float)-i;
    assert_ok(rv_array_write(x, 0, ROWS, data), rv_array_message(x));
    memset(data, 0xFF, COUNT * sizeof *data);
    assert_ok(rv_array_read(x, 0, ROWS, seen), rv_array_message(x));
    for (int i = 0; i < COUNT; i++) assert_true(seen[i] == (float)-i);
    free(data);
    free(seen);
    rv_array_destroy(x);
    rv_device_close(device);
}

/* ---- programs -------------------------------------------------------------------------------------------------- */

static void a_replay_is_one_call(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda:0");
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    control->reset();
    for (int i = 1; i <= 5; i++) {
        assert_ok(rv_train_step_run(&step), step.message);
        assert_int_equal(control->calls("cuGraphLaunch"), i);
        assert_int_equal(control->calls(NULL), 3 * i); /* and the context comes and goes */
    }
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_report_get(step.plan, &report), "report");
    assert_in_range(report.dispatches, 1, report.launches);
    assert_ok(rv_device_health(device, NULL), rv_device_message(device));
    rv_train_step_close(&step);
    rv_device_close(device);
}

static uint64_t hash_after(rv_device *device, int plan, int runs) {
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, plan), step.message);
    for (int i = 0; i < runs; i++) assert_ok(rv_train_step_run(&step), step.message);
    const uint64_t hash = rv_train_step_hash(&step);
    assert_true(hash != 0);
    rv_train_step_close(&step);
    return hash;
}

static void replays_equal_separate_plans(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda:0"), *other = open_device("cuda:1");
    const uint64_t replayed = hash_after(device, 1, 4);
    assert_true(hash_after(device, 0, 4) == replayed);
    assert_true(hash_after(other, 1, 4) == replayed);
    assert_true(hash_after(other, 1, 3) != replayed);
    rv_device_close(other);
    rv_device_close(device);
}

/* Profiles run launch by launch and change nothing but what a run changes. */
static void a_profile_is_a_run(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda:0");
    const uint64_t expected = hash_after(device, 1, 2);
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    assert_ok(rv_plan_profile(step.plan), rv_plan_message(step.plan));
    assert_ok(rv_train_step_run(&step), step.message);
    assert_true(rv_train_step_hash(&step) == expected);
    rv_train_step_close(&step);
    rv_device_close(device);
}

typedef struct elsewhere {
    rv_train_step step;
    rv_status status;
} elsewhere;

static void *run_there(void *data) {
    elsewhere *e = data;
    e->status = rv_train_step_run(&e->step);
    return NULL;
}

static void the_thread_may_change(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda:0");
    const uint64_t expected = hash_after(device, 1, 2);
    elsewhere e;
    assert_ok(rv_train_step_open(&e.step, device, 1), e.step.message);
    assert_ok(rv_train_step_run(&e.step), e.step.message);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_there, &e), 0);
    pthread_join(thread, NULL);
    assert_ok(e.status, e.step.message);
    assert_true(rv_train_step_hash(&e.step) == expected);
    rv_train_step_close(&e.step);
    rv_device_close(device);
}

/* ---- the kernel cache ------------------------------------------------------------------------------------------ */

static char old_cache[512], own_cache[64];

/* A cache of its own, empty. */
static int fresh_cache(void **unused) {
    const char *old = getenv("XDG_CACHE_HOME");
    snprintf(old_cache, sizeof old_cache, "%s", old ? old : "");
    snprintf(own_cache, sizeof own_cache, "/tmp/standin-cache-XXXXXX");
    if (!mkdtemp(own_cache) || setenv("XDG_CACHE_HOME", own_cache, 1) != 0) return 1;
    return standin_fresh(unused);
}

/* Calls fn with every entry of the cache. */
static int entries(void (*fn)(const char *path)) {
    char folder[96], path[512];
    snprintf(folder, sizeof folder, "%s/reverie", own_cache);
    DIR *list = opendir(folder);
    int count = 0;
    for (const struct dirent *entry; list && (entry = readdir(list));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        fn(path);
        count++;
    }
    if (list) closedir(list);
    return count;
}

static void remove_entry(const char *path) { unlink(path); }
static void leave_entry(const char *path) { (void)path; }

static void damage_entry(const char *path) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, -5, SEEK_END);
    fputs("wrong", file);
    fclose(file);
}

static int drop_cache(void **unused) {
    char folder[96];
    entries(remove_entry);
    snprintf(folder, sizeof folder, "%s/reverie", own_cache);
    rmdir(folder);
    rmdir(own_cache);
    if (*old_cache) setenv("XDG_CACHE_HOME", old_cache, 1);
    else unsetenv("XDG_CACHE_HOME");
    return standin_clean(unused);
}

/* Compilations that a whole training step took; its result goes into *hash. */
static int64_t compiled_for_a_step(uint64_t *hash) {
    const int64_t before = compiler->compiled;
    rv_device *device = open_device("cuda:0");
    *hash = hash_after(device, 1, 1);
    rv_device_close(device);
    return compiler->compiled - before;
}

static void images_are_kept_on_disk(void **unused) {
    (void)unused;
    uint64_t first, again;
    const int64_t all = compiled_for_a_step(&first);
    assert_true(all > 0);
    assert_int_equal(entries(leave_entry), all + 1); /* and the mark that there are some */
    assert_int_equal(compiled_for_a_step(&again), 0);
    assert_true(again == first);
    entries(damage_entry);
    assert_int_equal(compiled_for_a_step(&again), all);
    assert_true(again == first);
    assert_int_equal(compiled_for_a_step(&again), 0); /* mended */
    control->plan_fault("cuModuleLoadData", 1, STANDIN_INVALID_IMAGE); /* whole, but not to the driver's liking */
    assert_int_equal(compiled_for_a_step(&again), 1);
    assert_true(again == first);
}

static char heard[4096];
static void hear(void *user, rv_log_level level, const char *text) {
    (void)user, (void)level;
    strncat(heard, text, sizeof heard - strlen(heard) - 1);
}

static void a_failed_build_says_why(void **unused) {
    (void)unused;
    const rv_device_options options = {.size = sizeof options, .log = hear};
    rv_device *device;
    rv_train_step step;
    assert_ok(rv_device_open("cuda:0", &options, &device), rv_device_message(device));
    compiler->refuse = true;
    heard[0] = 0;
    assert_status(rv_train_step_open(&step, device, 1), RV_BUILD_FAILED);
    assert_names(step.message, "asked for by a test");
    assert_names(heard, "asked for by a test"); /* the whole of it */
    rv_train_step_close(&step);
    assert_int_equal(entries(leave_entry), 0);
    compiler->refuse = false;
    assert_true(hash_after(device, 1, 1) != 0);
    rv_device_close(device);
}

/* ---- handles ----------------------------------------------------------------------------------------------------- */

enum { COUNT = 12 };

static void double_it(rv_device *device, rv_array *x) {
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(device, &graph), "graph");
    rv_store(x, rv_add(rv_read(graph, x), rv_read(graph, x)));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
}

static void wrong_memory(rv_device *device, CUdeviceptr memory, rv_status expected) {
    rv_array *x;
    assert_status(rv_array_wrap(device, RV_F32, 1, COUNT, "wrong", (void *)(uintptr_t)memory, &x), expected);
    assert_true(rv_array_message(x)[0]);
    rv_array_destroy(x);
}

static void the_host_program_s_context_stream_and_memory(void **unused) {
    (void)unused;
    CUcontext context, popped;
    CUstream stream;
    CUdeviceptr memory;
    float data[COUNT], seen[COUNT], *pinned = malloc(sizeof seen);
    assert_non_null(pinned);
    assert_int_equal(driver.cuDevicePrimaryCtxRetain(&context, 1), 0);
    assert_int_equal(driver.cuCtxPushCurrent_v2(context), 0);
    assert_int_equal(driver.cuStreamCreate(&stream, RV_CU_STREAM_NON_BLOCKING), 0);
    assert_int_equal(driver.cuMemAlloc_v2(&memory, sizeof data), 0);
    for (int i = 0; i < COUNT; i++) data[i] = (float)i;
    assert_int_equal(driver.cuMemcpyHtoDAsync_v2(memory, data, sizeof data, stream), 0);
    const int64_t before = control->live();

    const rv_native native = {.size = sizeof native, .context = context, .queue = stream};
    rv_device_options options = {.size = sizeof options, .native = &native};
    rv_device *device;
    rv_array *x, *own;
    void *handle;
    assert_ok(rv_device_open("cuda", &options, &device), rv_device_message(device));
    assert_string_equal(rv_device_name(device), "cuda:1");
    assert_int_equal(control->depth(), 1); /* the host program's own stays */
    assert_ok(rv_array_wrap(device, RV_F32, 1, COUNT, "x", (void *)(uintptr_t)memory, &x), rv_array_message(x));
    assert_ok(rv_array_native(x, &handle), rv_array_message(x));
    assert_true((CUdeviceptr)(uintptr_t)handle == memory);
    double_it(device, x); /* behind the upload, in the same stream */
    assert_int_equal(driver.cuMemcpyDtoHAsync_v2(seen, memory, sizeof seen, stream), 0);
    assert_int_equal(driver.cuStreamSynchronize(stream), 0);
    for (int i = 0; i < COUNT; i++) assert_true(seen[i] == 2 * data[i]);

    /* and the other way: ours, written by the host program */
    assert_ok(rv_array_create(device, RV_F32, 1, COUNT, "own", &own), rv_array_message(own));
    assert_ok(rv_array_native(own, &handle), rv_array_message(own));
    assert_int_equal(driver.cuMemcpyHtoDAsync_v2((CUdeviceptr)(uintptr_t)handle, data, sizeof data, stream), 0);
    double_it(device, own);
    assert_ok(rv_array_read(own, 0, 1, seen), rv_array_message(own));
    for (int i = 0; i < COUNT; i++) assert_true(seen[i] == 2 * data[i]);

    wrong_memory(device, memory + 4, RV_INVALID_ARGUMENT);
    wrong_memory(device, (CUdeviceptr)(uintptr_t)pinned & ~(CUdeviceptr)15, RV_UNSUPPORTED);
    rv_array_destroy(own);
    rv_array_destroy(x);
    rv_device_close(device);
    assert_int_equal(control->live(), before);
    assert_int_equal(control->depth(), 1);

    rv_device *wrong;
    assert_status(rv_device_open("cuda:0", &options, &wrong), RV_INVALID_ARGUMENT);
    assert_names(rv_device_message(wrong), "device 1");
    rv_device_close(wrong);
    const rv_native nothing = {.size = sizeof nothing};
    options.native = &nothing;
    assert_status(rv_device_open("cuda:0", &options, &wrong), RV_INVALID_ARGUMENT);
    rv_device_close(wrong);

    /* what was the host program's is still there */
    assert_int_equal(driver.cuStreamSynchronize(stream), 0);
    assert_int_equal(driver.cuMemFree_v2(memory), 0);
    assert_int_equal(driver.cuStreamDestroy_v2(stream), 0);
    assert_int_equal(driver.cuCtxPopCurrent_v2(&popped), 0);
    assert_int_equal(driver.cuDevicePrimaryCtxRelease_v2(1), 0);
    free(pinned);
}

static void memory_of_another_gpu(void **unused) {
    (void)unused;
    rv_device *device = open_device("cuda:0"), *other = open_device("cuda:1");
    rv_array *x;
    void *handle;
    assert_ok(rv_array_create(other, RV_F32, 1, COUNT, "x", &x), rv_array_message(x));
    assert_ok(rv_array_native(x, &handle), rv_array_message(x));
    wrong_memory(device, (CUdeviceptr)(uintptr_t)handle, RV_UNSUPPORTED);
    rv_array_destroy(x);
    rv_device_close(other);
    rv_device_close(device);
}

#define cache_test(function) cmocka_unit_test_setup_teardown(function, fresh_cache, drop_cache)

int main(void) {
    const struct CMUnitTest tests[] = {
        standin_test(names_and_lists),
        standin_test(what_is_missing_is_said),
        standin_test(too_much_memory),
        standin_test(uploads_keep_no_pointer),
        standin_test(a_replay_is_one_call),
        standin_test(replays_equal_separate_plans),
        standin_test(a_profile_is_a_run),
        standin_test(the_thread_may_change),
        cache_test(images_are_kept_on_disk),
        cache_test(a_failed_build_says_why),
        standin_test(the_host_program_s_context_stream_and_memory),
        standin_test(memory_of_another_gpu),
    };
    if (!standin_find()) return 1;
    return cmocka_run_group_tests_name("cuda on the stand-in, no hardware", tests, NULL, NULL);
}
