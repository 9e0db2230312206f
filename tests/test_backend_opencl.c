/* OpenCL: what it answers to misuse and failure, what a run costs, what the cache saves. */
#define _GNU_SOURCE
#include "tests/support/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reverie/ops.h"
#include "reverie/plan.h"
#include "tests/opencl/calls.h"
#include "tests/support/allocator.h"

enum { ROWS = 37, COLS = 5, COUNT = ROWS * COLS, DEPTH = 3 };

static bool absent; /* no OpenCL device here: every test is skipped */

/* ---- a device with something to run --------------------------------------------------------------------- */

static char log_text[4096];

static void keep_log(void *user, rv_log_level level, const char *text) {
    (void)user, (void)level;
    const size_t used = strlen(log_text);
    snprintf(log_text + used, sizeof log_text - used, "%s\n", text);
}

typedef struct work {
    rv_counting counting;
    rv_device *device;
    rv_array *x, *y, *runs;
    rv_plan *plan;
    rv_status status; /* of the last call, and what its object said */
    char message[600];
} work;

static rv_status keep(work *w, const char *message) {
    if (w->status != RV_OK) snprintf(w->message, sizeof w->message, "%s", message);
    return w->status;
}
#define TRY(w, call, message) ((w)->status = (call), keep(w, message))

/* y = a chain of functions of x, plus how often it ran. */
static rv_status record(work *w) {
    rv_graph *graph;
    if (TRY(w, rv_graph_create(w->device, &graph), "opencl: graph") != RV_OK) return w->status;
    rv_tensor v = rv_read(graph, w->x);
    for (int i = 0; i < DEPTH; i++) v = rv_affine(rv_tanh(v), 1.5f, 0.1f);
    const rv_tensor runs = rv_affine(rv_read(graph, w->runs), 1, 1);
    rv_store(w->y, rv_add(v, rv_cast(runs, RV_F32)));
    rv_store(w->runs, runs);
    TRY(w, rv_plan_create(graph, NULL, &w->plan), rv_plan_message(w->plan));
    rv_graph_destroy(graph);
    return w->status;
}

static void fill_x(float *x) {
    for (int i = 0; i < COUNT; i++) x[i] = 0.01f * (float)(i - COUNT / 2);
}

static rv_status begin(work *w) {
    *w = (work){.plan = NULL};
    log_text[0] = 0;
    float x[COUNT];
    fill_x(x);
    rv_device_options options = rv_counting_options(&w->counting);
    options.log = keep_log;
    rv_status status = TRY(w, rv_device_open("opencl:0,cache=on", &options, &w->device), rv_device_message(w->device));
    if (status == RV_OK) status = TRY(w, rv_array_create(w->device, RV_F32, ROWS, COLS, "x", &w->x), rv_array_message(w->x));
    if (status == RV_OK) status = TRY(w, rv_array_create(w->device, RV_F32, ROWS, COLS, "y", &w->y), rv_array_message(w->y));
    if (status == RV_OK) status = TRY(w, rv_array_create(w->device, RV_I32, 1, 1, "runs", &w->runs), rv_array_message(w->runs));
    if (status == RV_OK) status = TRY(w, rv_array_write(w->x, 0, ROWS, x), rv_array_message(w->x));
    return status == RV_OK ? record(w) : status;
}

static rv_status run(work *w) { return TRY(w, rv_plan_run(w->plan), rv_plan_message(w->plan)); }
static rv_status read_y(work *w, float *y) { return TRY(w, rv_array_read(w->y, 0, ROWS, y), rv_array_message(w->y)); }

static void end(work *w) {
    rv_plan_destroy(w->plan);
    rv_array_destroy(w->x);
    rv_array_destroy(w->y);
    rv_array_destroy(w->runs);
    rv_device_close(w->device);
    assert_int_equal(w->counting.live, 0);
}

static int no_planned_failures(void **unused) {
    (void)unused;
    rv_calls_fail(0, 0, CL_SUCCESS);
    rv_calls_text = NULL;
    return 0;
}

#define NEEDS_A_DEVICE \
    if (absent) skip()

/* ---- resource strings ------------------------------------------------------------------------------------- */

static void expect_open(const char *resource, rv_status expected, const char *part) {
    rv_device *device;
    const rv_status status = rv_device_open(resource, NULL, &device);
    assert_status(status, expected);
    assert_names(status == RV_OK ? rv_device_name(device) : rv_device_message(device), part);
    rv_device_close(device);
}

static void resources_are_read_strictly(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    expect_open("opencl", RV_OK, "opencl:0");
    expect_open("opencl:", RV_OK, "opencl:0");
    expect_open("opencl:0,cache=on,clblast=off", RV_OK, "opencl:0,clblast=off,cache=on");
    expect_open("opencl:cache=off", RV_OK, "opencl:0,cache=off");
    expect_open("opencl:999", RV_NO_DEVICE, "the last one is \"opencl:");
    static const char *const wrong[] = {"opencl:x", "opencl:-1", "opencl:0,", "opencl:,0", "opencl:0,clblast=maybe", "opencl:cache", "opencl:99999", "opencl:0 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) expect_open(wrong[i], RV_INVALID_ARGUMENT, "is not understood");
    assert_int_equal(rv_calls_live, 0);
}

/* The driver's loader finds nothing: another process, as it looks once. */
static void without_a_driver_the_text_says_what_helps(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    fflush(stdout);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
        execl("/proc/self/exe", "test_backend_opencl", "--without-driver", (char *)NULL);
        _exit(9);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int without_driver(void) {
    rv_device *device;
    rv_backend_info list[8];
    const rv_status status = rv_device_open("opencl:0", NULL, &device);
    const bool good = (status == RV_NO_DRIVER || status == RV_NO_DEVICE) && strstr(rv_device_message(device), "pocl-opencl-icd");
    if (!good) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_device_message(device));
    rv_device_close(device);
    bool listed = false;
    const int count = rv_backend_list(list, 8);
    for (int i = 0; i < count && i < 8; i++) listed = listed || (strcmp(list[i].name, "opencl") == 0 && !list[i].available && list[i].text[0]);
    return good && listed ? 0 : 1;
}

/* ---- what a run costs ---------------------------------------------------------------------------------------- */

static int64_t dispatches(const work *w) {
    rv_plan_report report = {.size = sizeof report};
    assert_int_equal(rv_plan_report_get(w->plan, &report), RV_OK);
    return report.dispatches;
}

static void runs_enqueue_kernels_and_nothing_else(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    work w;
    int64_t before[RV_OPENCL_CALL_COUNT];
    enum { RUNS = 20 };
    assert_ok(begin(&w), w.message);
    assert_ok(run(&w), w.message);
    memcpy(before, rv_calls, sizeof before);
    const int64_t allocations = w.counting.calls;
    for (int i = 0; i < RUNS; i++) assert_ok(run(&w), w.message);
    assert_int_equal(w.counting.calls, allocations);
    for (int call = 0; call < RV_OPENCL_CALL_COUNT; call++) {
        const int64_t made = rv_calls[call] - before[call];
        const int64_t expected = call == RV_CALL_clEnqueueNDRangeKernel ? RUNS * dispatches(&w) : call == RV_CALL_clFlush ? RUNS : 0;
        if (made != expected) fail_msg("%s: %lld calls in %d runs", rv_call_name((rv_opencl_call)call), (long long)made, RUNS);
    }
    end(&w);
    assert_int_equal(rv_calls_live, 0);
}

/* Launch by launch (a profile) gives the bits of a whole run, whatever was merged. */
static void parts_of_a_run_make_the_whole(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    work whole, parts;
    float expected[COUNT], y[COUNT];
    assert_ok(begin(&whole), whole.message);
    assert_ok(begin(&parts), parts.message);
    for (int i = 0; i < 3; i++) {
        assert_ok(run(&whole), whole.message);
        assert_ok(TRY(&parts, rv_plan_profile(parts.plan), rv_plan_message(parts.plan)), parts.message);
    }
    assert_ok(read_y(&whole, expected), whole.message);
    assert_ok(read_y(&parts, y), parts.message);
    assert_memory_equal(y, expected, sizeof y);
    end(&whole);
    end(&parts);
}

static void replays_equal_plans_made_anew(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    work replayed, anew;
    float expected[COUNT], y[COUNT];
    assert_ok(begin(&replayed), replayed.message);
    assert_ok(begin(&anew), anew.message);
    for (int i = 0; i < 50; i++) {
        assert_ok(run(&replayed), replayed.message);
        if (i > 0) assert_ok(record(&anew), anew.message);
        assert_ok(run(&anew), anew.message);
        rv_plan_destroy(anew.plan);
        anew.plan = NULL;
    }
    assert_ok(read_y(&replayed, expected), replayed.message);
    assert_ok(read_y(&anew, y), anew.message);
    assert_memory_equal(y, expected, sizeof y);
    int32_t runs = 0;
    assert_ok(rv_array_read(replayed.runs, 0, 1, &runs), "");
    assert_int_equal(runs, 50);
    end(&replayed);
    end(&anew);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void more_than_the_device_has_is_an_answer(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    rv_device *device;
    rv_device_info info;
    rv_array *x;
    assert_true(rv_device_list(&info, 1) > 0);
    assert_ok(rv_device_open("opencl:0", NULL, &device), rv_device_message(device));
    cl_device_id id = NULL;
    cl_platform_id platform;
    cl_ulong largest = 0;
    assert_int_equal(clGetPlatformIDs(1, &platform, NULL), CL_SUCCESS);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &id, NULL), CL_SUCCESS);
    assert_int_equal(clGetDeviceInfo(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof largest, &largest, NULL), CL_SUCCESS);
    const int64_t rows = (int64_t)(largest >> 20) + 3072; /* of 1 MiB: 3 GiB more than one buffer can have */
    assert_status(rv_array_create(device, RV_F32, rows, 1 << 18, "huge", &x), RV_OUT_OF_MEMORY);
    assert_names(rv_array_message(x), "no memory for");
    assert_names(rv_array_message(x), "the device has");
    rv_array_destroy(x);
    /* drivers that only look when memory is used: the first use is ours */
    const rv_opencl_call when[] = {RV_CALL_clCreateBuffer, RV_CALL_clEnqueueFillBuffer, RV_CALL_clFinish};
    const cl_int codes[] = {CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_RESOURCES, CL_OUT_OF_HOST_MEMORY};
    for (int i = 0; i < 9; i++) {
        rv_calls_fail(when[i / 3], 1, codes[i % 3]);
        assert_status(rv_array_create(device, RV_F32, 3, 3, "x", &x), RV_OUT_OF_MEMORY);
        assert_true(rv_calls_failed());
        assert_names(rv_array_message(x), "48 bytes"); /* in whole pieces of 16 */
        rv_array_destroy(x);
    }
    assert_ok(rv_array_create(device, RV_F32, 3, 3, "x", &x), rv_array_message(x)); /* the device lives */
    rv_array_destroy(x);
    rv_device_close(device);
}

/* Small and large ones, overwritten at once, more of them than any area holds. */
static void uploads_keep_no_pointer(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    enum { PIECES = 300, LARGE = 1 << 18 };
    const int sizes[] = {1, 7, 5000, LARGE};
    rv_device *device;
    float *data = malloc(LARGE * sizeof *data);
    assert_non_null(data);
    assert_ok(rv_device_open("opencl:0", NULL, &device), rv_device_message(device));
    for (int s = 0; s < 4; s++) {
        const int pieces = sizes[s] == LARGE ? 5 : PIECES;
        rv_array *x;
        assert_ok(rv_array_create(device, RV_F32, pieces, sizes[s], "x", &x), rv_array_message(x));
        for (int i = 0; i < pieces; i++) {
            for (int k = 0; k < sizes[s]; k++) data[k] = (float)(i + k);
            assert_ok(rv_array_write(x, i, 1, data), rv_array_message(x));
        }
        for (int i = 0; i < pieces; i++) {
            assert_ok(rv_array_read(x, i, 1, data), rv_array_message(x));
            assert_true(data[0] == (float)i && data[sizes[s] - 1] == (float)(i + sizes[s] - 1));
        }
        rv_array_destroy(x);
    }
    rv_device_close(device);
    free(data);
}

/* ---- builds and the cache ---------------------------------------------------------------------------------------- */

static char cache[600]; /* XDG_CACHE_HOME */

/* Does something to every entry; how many there were. */
static int for_entries(void (*act)(const char *path)) {
    char folder[700], path[1024];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/reverie", cache);
    DIR *all = opendir(folder);
    for (struct dirent *entry; all && (entry = readdir(all));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (act) act(path);
        count++;
    }
    if (all) closedir(all);
    return count;
}

static void remove_entry(const char *path) { remove(path); }

static void damage_entry(const char *path) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 200, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, 200, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* One device that runs once: how many of its programs were built from text. */
static int64_t texts_built(float *y) {
    work w;
    const int64_t before = rv_calls[RV_CALL_clCreateProgramWithSource];
    assert_ok(begin(&w), w.message);
    assert_ok(run(&w), w.message);
    assert_ok(read_y(&w, y), w.message);
    end(&w);
    return rv_calls[RV_CALL_clCreateProgramWithSource] - before;
}

static void kernels_are_built_once(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    float expected[COUNT], y[COUNT];
    for_entries(remove_entry);
    const int64_t texts = texts_built(expected);
    assert_true(texts > 0);
    assert_int_equal(for_entries(NULL), texts);
    assert_int_equal(texts_built(y), 0);
    assert_memory_equal(y, expected, sizeof y);
    for_entries(damage_entry);
    assert_int_equal(texts_built(y), texts); /* rebuilt, in silence */
    assert_string_equal(log_text, "");
    assert_memory_equal(y, expected, sizeof y);
    assert_int_equal(texts_built(y), 0); /* and replaced */
    rv_calls_fail(RV_CALL_clCreateProgramWithBinary, 1, CL_INVALID_BINARY); /* a driver that takes it no more */
    assert_int_equal(texts_built(y), 1);
    assert_memory_equal(y, expected, sizeof y);
}

static void without_a_cache_everything_runs(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    char folder[700];
    float y[COUNT];
    snprintf(folder, sizeof folder, "%s/reverie", cache);
    assert_true(texts_built(y) >= 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_true(texts_built(y) > 0);
    assert_names(log_text, "others may write into it");
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(texts_built(y), 0);
}

static void a_build_that_fails_shows_the_log(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    work w;
    for_entries(remove_entry);
    rv_calls_text = "#error a planted mistake\n";
    assert_status(begin(&w), RV_BUILD_FAILED);
    assert_names(w.message, "did not build");
    assert_names(w.message, "a planted mistake");
    assert_names(log_text, "a planted mistake");
    end(&w);
    assert_int_equal(for_entries(NULL), 0);
    assert_int_equal(rv_calls_live, 0);
}

/* ---- failures ------------------------------------------------------------------------------------------------------ */

static void a_lost_device_stays_lost(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    work w, other;
    float y[COUNT];
    assert_ok(begin(&other), other.message);
    assert_ok(begin(&w), w.message);
    rv_calls_fail(RV_CALL_clEnqueueNDRangeKernel, 1, CL_OUT_OF_RESOURCES);
    assert_status(run(&w), RV_DEVICE_LOST);
    assert_names(w.message, "CL_OUT_OF_RESOURCES");
    assert_status(run(&w), RV_DEVICE_LOST);
    assert_names(w.message, "close it and open it again");
    assert_status(read_y(&w, y), RV_DEVICE_LOST);
    assert_status(rv_array_write(w.x, 0, ROWS, y), RV_DEVICE_LOST);
    assert_status(rv_device_sync(w.device), RV_DEVICE_LOST);
    rv_plan_destroy(w.plan);
    w.plan = NULL;
    assert_status(record(&w), RV_DEVICE_LOST);
    assert_ok(run(&other), other.message); /* others go on */
    assert_ok(read_y(&other, y), other.message);
    end(&w);
    end(&other);
    assert_int_equal(rv_calls_live, 0);
}

static rv_status everything(work *w, float *y) {
    rv_status status = begin(w);
    if (status == RV_OK) status = run(w);
    if (status == RV_OK) status = TRY(w, rv_plan_profile(w->plan), rv_plan_message(w->plan));
    return status == RV_OK ? read_y(w, y) : status;
}

/* Each call in turn answers an error: a typed status with a text, or the right result; nothing leaks. */
static void every_call_can_fail(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    const cl_int codes[] = {CL_OUT_OF_HOST_MEMORY, CL_OUT_OF_RESOURCES, CL_INVALID_VALUE};
    float expected[COUNT], y[COUNT];
    work w;
    for_entries(remove_entry);
    assert_ok(everything(&w, expected), w.message);
    end(&w);
    for (int c = 0; c < 3; c++) {
        int64_t n = 1, answered = 0;
        for (bool reached = true; reached; n++) {
            if (n % 40 == 0) for_entries(remove_entry); /* so that calls of both ways fail */
            rv_calls_fail_any(n, codes[c]);
            const rv_status status = everything(&w, y);
            reached = rv_calls_failed();
            if (status == RV_OK) assert_memory_equal(y, expected, sizeof y);
            else assert_names(w.message, "opencl: ");
            answered += status != RV_OK;
            rv_calls_fail(0, 0, CL_SUCCESS);
            end(&w);
            assert_int_equal(rv_calls_live, 0);
        }
        assert_true(n > 30 && answered > n / 2);
    }
}

/* ---- CLBlast --------------------------------------------------------------------------------------------------------- */

/* y = transpose(a) b, with K rows each. */
static int64_t multiply(const char *resource, float *y) {
    enum { M = 21, N = 34, K = 55 };
    rv_device *device;
    rv_array *a, *b, *c;
    rv_graph *graph;
    rv_plan *plan;
    float data[K * N];
    for (int i = 0; i < K * N; i++) data[i] = (float)(i % 17 - 8); /* sums are whole numbers: exact in any order */
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    assert_ok(rv_array_create(device, RV_F32, K, M, "a", &a), rv_array_message(a));
    assert_ok(rv_array_create(device, RV_F32, K, N, "b", &b), rv_array_message(b));
    assert_ok(rv_array_create(device, RV_F32, M, N, "c", &c), rv_array_message(c));
    assert_ok(rv_array_write(a, 0, K, data), rv_array_message(a));
    assert_ok(rv_array_write(b, 0, K, data), rv_array_message(b));
    assert_ok(rv_graph_create(device, &graph), "graph");
    rv_store(c, rv_matmul(rv_read(graph, a), rv_read(graph, b), 1, 0));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    rv_plan_report report = {.size = sizeof report};
    assert_int_equal(rv_plan_report_get(plan, &report), RV_OK);
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_array_read(c, 0, M, y), rv_array_message(c));
    rv_plan_destroy(plan);
    rv_array_destroy(a);
    rv_array_destroy(b);
    rv_array_destroy(c);
    rv_device_close(device);
    return report.dispatches;
}

static void products_by_clblast_agree(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    rv_device *device;
    float ours[21 * 34], theirs[21 * 34];
    const rv_status status = rv_device_open("opencl:0,clblast=on", NULL, &device);
    if (status != RV_OK) {
        assert_status(status, RV_UNSUPPORTED);
        assert_names(rv_device_message(device), "libclblast1");
    }
    rv_device_close(device);
    if (status != RV_OK) skip();
    assert_int_equal(multiply("opencl:0", ours), 1);
    const int64_t kernels = rv_calls[RV_CALL_clCreateKernel];
    for (int i = 0; i < 2; i++) { /* the second device meets what CLBlast kept of the first */
        assert_int_equal(multiply("opencl:0,clblast=on", theirs), 1);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
    assert_true(rv_calls[RV_CALL_clCreateKernel] > kernels); /* CLBlast's own */
    rv_calls_live = 0;                                       /* which it releases by calls that are not counted */
}

/* ---- the program ----------------------------------------------------------------------------------------------------- */

static int look_for_a_device(void **unused) {
    (void)unused;
    char here[500];
    rv_device *device;
    if (!getcwd(here, sizeof here)) return -1;
    snprintf(cache, sizeof cache, "%s/cache", here);
    setenv("XDG_CACHE_HOME", cache, 1);
    const rv_status status = rv_device_open("opencl:0", NULL, &device);
    absent = status == RV_NO_DRIVER || status == RV_NO_DEVICE || status == RV_NOT_BUILT_IN;
    if (status != RV_OK) print_message("%s: %s\n", absent ? "skipped" : "failed", rv_device_message(device));
    rv_device_close(device);
    return status == RV_OK || absent ? 0 : -1;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--without-driver") == 0) return without_driver();
#define TEST(name) cmocka_unit_test_setup(name, no_planned_failures)
    const struct CMUnitTest tests[] = {
        TEST(resources_are_read_strictly),
        TEST(without_a_driver_the_text_says_what_helps),
        TEST(runs_enqueue_kernels_and_nothing_else),
        TEST(parts_of_a_run_make_the_whole),
        TEST(replays_equal_plans_made_anew),
        TEST(more_than_the_device_has_is_an_answer),
        TEST(uploads_keep_no_pointer),
        TEST(kernels_are_built_once),
        TEST(without_a_cache_everything_runs),
        TEST(a_build_that_fails_shows_the_log),
        TEST(a_lost_device_stays_lost),
        TEST(every_call_can_fail),
        TEST(products_by_clblast_agree),
    };
    return cmocka_run_group_tests_name("backend_opencl", tests, look_for_a_device, NULL);
}
