/* The stand-in bites: what a driver and a GPU would not forgive, it does not forgive either; and the compile path. */
#include "tests/standin/use.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cuda/compile.h"

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static const rv_services services = {.size = sizeof services, .resize = resize, .fail = rv_fail};
static rv_cuda_nvrtc nvrtc;

/* ---- compiling ----------------------------------------------------------------------------------------------- */

static const char head[] = "#define KERNEL extern \"C\" __global__ void __launch_bounds__(256)\n";

static rv_cuda_image compile(int arch, const char *body) {
    char text[2048];
    rv_cuda_image image;
    rv_error error = {0};
    snprintf(text, sizeof text, "%s%s", head, body);
    assert_ok(rv_cuda_compile(&services, &nvrtc, arch, "test", text, &image, &error), error.text);
    return image;
}

static void the_device_s_own_architecture_or_the_nearest(void **unused) {
    (void)unused;
    static const struct {
        int device;
        const char *arch;
    } cases[] = {{75, "sm_75"}, {87, "sm_86"}, {90, "sm_90"}, {103, "sm_100"}, {110, "compute_100"}, {130, "compute_120"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_cuda_image image = compile(cases[i].device, "KERNEL nothing(int x) {}\n");
        assert_string_equal(image.arch, cases[i].arch);
        assert_true(image.data && image.bytes > 0);
        rv_cuda_image_free(&services, &image);
    }
    rv_cuda_image image;
    rv_error error = {0};
    assert_status(rv_cuda_compile(&services, &nvrtc, 70, "test", "", &image, &error), RV_BUILD_FAILED);
    assert_names(error.text, "sm_70");
    rv_cuda_image_free(&services, &image);
}

static void a_wrong_text_is_explained(void **unused) {
    (void)unused;
    rv_cuda_image image;
    rv_error error = {0};
    const char *text = "#warning this comes first\nint f() { return 1; }\nint g() { return missing; }\n";
    assert_status(rv_cuda_compile(&services, &nvrtc, 90, "family test", text, &image, &error), RV_BUILD_FAILED);
    assert_names(error.text, "family test");
    assert_names(error.text, "sm_90");
    assert_names(error.text, "missing");
    assert_names(image.log, "missing");
    assert_null(image.data);
    assert_null(strstr(error.text, "this comes first")); /* errors before warnings */
    rv_cuda_image_free(&services, &image);
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

typedef struct bench {
    CUcontext context;
    CUstream stream;
    CUmodule module;
    CUdeviceptr memory;
} bench;

enum { GROUPS = 3, LANES = 256, WORDS = GROUPS * LANES };

static void begin(bench *b, const char *body) {
    rv_cuda_image image = compile(90, body);
    assert_int_equal(driver.cuInit(0), 0);
    assert_int_equal(driver.cuDevicePrimaryCtxRetain(&b->context, 0), 0);
    assert_int_equal(driver.cuCtxPushCurrent_v2(b->context), 0);
    assert_int_equal(driver.cuStreamCreate(&b->stream, RV_CU_STREAM_NON_BLOCKING), 0);
    assert_int_equal(driver.cuModuleLoadData(&b->module, image.data), 0);
    assert_int_equal(driver.cuMemAlloc_v2(&b->memory, WORDS * sizeof(int)), 0);
    assert_int_equal(driver.cuMemsetD8Async(b->memory, 0, WORDS * sizeof(int), b->stream), 0);
    rv_cuda_image_free(&services, &image);
}

/* What waiting for the kernel answers; its memory is in words. */
static unsigned run(bench *b, int words[WORDS]) {
    CUfunction kernel;
    int factor = 3;
    void *arguments[] = {&b->memory, &factor};
    assert_int_equal(driver.cuModuleGetFunction(&kernel, b->module, "test"), 0);
    assert_int_equal(driver.cuLaunchKernel(kernel, GROUPS, 1, 1, LANES, 1, 1, 0, b->stream, arguments, NULL), 0);
    factor = 0; /* was copied */
    assert_int_equal(driver.cuMemcpyDtoHAsync_v2(words, b->memory, WORDS * sizeof(int), b->stream), 0);
    return driver.cuStreamSynchronize(b->stream);
}

static void end(bench *b) {
    driver.cuMemFree_v2(b->memory);
    driver.cuModuleUnload(b->module);
    driver.cuStreamDestroy_v2(b->stream);
    driver.cuCtxPopCurrent_v2(&b->context);
    driver.cuDevicePrimaryCtxRelease_v2(0);
}

static void barriers_keep_lanes_in_step(void **unused) {
    (void)unused;
    int words[WORDS];
    bench b;
    begin(&b, "KERNEL test(int *out, int factor) {\n"
              "    __shared__ int all[256];\n"
              "    all[threadIdx.x] = (int)threadIdx.x;\n"
              "    __syncthreads();\n"
              "    out[blockIdx.x * 256 + threadIdx.x] = factor * all[255 - threadIdx.x] + (int)blockIdx.x;\n"
              "}\n");
    assert_int_equal(run(&b, words), 0);
    for (int i = 0; i < WORDS; i++) assert_int_equal(words[i], 3 * (255 - i % LANES) + i / LANES);
    end(&b);
}

static void a_missing_barrier_shows(void **unused) {
    (void)unused;
    int words[WORDS], wrong = 0;
    bench b;
    begin(&b, "KERNEL test(int *out, int factor) {\n"
              "    __shared__ int all[256];\n"
              "    all[threadIdx.x] = (int)threadIdx.x;\n"
              "    out[blockIdx.x * 256 + threadIdx.x] = all[255 - threadIdx.x];\n"
              "}\n");
    assert_int_equal(run(&b, words), 0);
    for (int i = 0; i < WORDS; i++) wrong += words[i] != 255 - i % LANES;
    assert_true(wrong >= WORDS / 4);
    end(&b);
}

static void a_barrier_that_not_all_reach_kills_the_context(void **unused) {
    (void)unused;
    int words[WORDS];
    bench b;
    begin(&b, "KERNEL test(int *out, int factor) {\n"
              "    if (threadIdx.x < 100) __syncthreads();\n"
              "    out[threadIdx.x] = factor;\n"
              "}\n");
    assert_int_equal(run(&b, words), STANDIN_LAUNCH_FAILED);
    assert_int_equal(driver.cuStreamSynchronize(b.stream), STANDIN_LAUNCH_FAILED); /* for good */
    end(&b);
}

static void a_write_behind_memory_kills_the_context(void **unused) {
    (void)unused;
    int words[WORDS];
    bench b;
    begin(&b, "KERNEL test(int *out, int factor) { out[blockIdx.x * 256 + threadIdx.x + 1] = factor; }\n");
    assert_int_equal(run(&b, words), STANDIN_ILLEGAL_ADDRESS);
    end(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        standin_test(the_device_s_own_architecture_or_the_nearest),
        standin_test(a_wrong_text_is_explained),
        standin_test(barriers_keep_lanes_in_step),
        standin_test(a_missing_barrier_shows),
        standin_test(a_barrier_that_not_all_reach_kills_the_context),
        standin_test(a_write_behind_memory_kills_the_context),
    };
    if (!standin_find() || !rv_cuda_load_nvrtc(&nvrtc)) return 1;
    return cmocka_run_group_tests_name("stand-in, no hardware", tests, NULL, NULL);
}
