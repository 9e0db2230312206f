/* tests/gpu/probe.c: the program reverie-gpu-probe: what a CUDA device can do at best, and whether its random words are
 * cuRAND's. Kernels of its own, compiled and launched as the backend does; bench/gpu_check runs it.
 *
 *     reverie-gpu-probe ceilings [--quick]      lines "name value unit"
 *     reverie-gpu-probe curand INCLUDE_FOLDER   words of curand_Philox4x32_10 against ours
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/cuda/compile.h"
#include "core/internal.h"
#include "core/noise_common.h"

enum { LANES = 256, SAMPLES = 11 };

/* ---- a device ------------------------------------------------------------------------------------------------ */

typedef struct probe {
    rv_cuda_driver driver;
    rv_cuda_nvrtc nvrtc;
    CUdevice device;
    CUstream stream;
    CUmodule module;
    int arch, units;
    bool quick;
} probe;

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return memory ? realloc(memory, bytes) : calloc(1, bytes);
    free(memory);
    return NULL;
}
static const rv_services services = {.size = sizeof services, .resize = resize, .fail = rv_fail};

static bool good(probe *p, unsigned result, const char *call) {
    const char *text = "";
    if (result == RV_CU_SUCCESS) return true;
    p->driver.cuGetErrorString(result, &text);
    fprintf(stderr, "%s: %s\n", call, text);
    return false;
}
#define CALL(p, name, ...) good((p), (p)->driver.name(__VA_ARGS__), #name)

static bool open_device(probe *p) {
    rv_error error = {0};
    CUcontext context;
    int major = 0, minor = 0;
    char name[128] = "";
    if (rv_cuda_load_driver(&services, &p->driver, &error) != RV_OK) return fprintf(stderr, "%s\n", error.text), false;
    if (!rv_cuda_load_nvrtc(&p->nvrtc)) return fprintf(stderr, "no NVRTC: %s\n", rv_cuda_get_nvrtc), false;
    if (!CALL(p, cuInit, 0) || !CALL(p, cuDeviceGet, &p->device, 0) || !CALL(p, cuDevicePrimaryCtxRetain, &context, p->device) ||
        !CALL(p, cuCtxPushCurrent_v2, context) || !CALL(p, cuStreamCreate, &p->stream, RV_CU_STREAM_NON_BLOCKING)) return false;
    p->driver.cuDeviceGetName(name, sizeof name, p->device);
    p->driver.cuDeviceGetAttribute(&major, RV_CU_ATTRIBUTE_MAJOR, p->device);
    p->driver.cuDeviceGetAttribute(&minor, RV_CU_ATTRIBUTE_MINOR, p->device);
    p->driver.cuDeviceGetAttribute(&p->units, RV_CU_ATTRIBUTE_MULTIPROCESSORS, p->device);
    p->arch = 10 * major + minor;
    fprintf(stderr, "%s, sm_%d, %d multiprocessors\n", name, p->arch, p->units);
    return p->units > 0;
}

static void close_device(probe *p) {
    CUcontext context;
    if (!p->stream) return;
    if (p->module) p->driver.cuModuleUnload(p->module);
    p->driver.cuStreamDestroy_v2(p->stream);
    p->driver.cuCtxPopCurrent_v2(&context);
    p->driver.cuDevicePrimaryCtxRelease_v2(p->device);
}

static bool load(probe *p, const char *text) {
    rv_cuda_image image;
    rv_error error = {0};
    const rv_status status = rv_cuda_compile(&services, &p->nvrtc, p->arch, "probe", text, &image, &error);
    if (status != RV_OK) fprintf(stderr, "%s\n", error.text);
    const bool fine = status == RV_OK && CALL(p, cuModuleLoadData, &p->module, image.data);
    rv_cuda_image_free(&services, &image);
    return fine;
}

/* ---- timing: `nodes` launches of one kernel as a graph, replayed -------------------------------------------------- */

typedef struct work {
    const char *kernel;
    int groups, nodes;
    void **arguments;
} work;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static CUgraphExec record(probe *p, const work *w) {
    CUfunction function;
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    if (!CALL(p, cuModuleGetFunction, &function, p->module, w->kernel) ||
        !CALL(p, cuStreamBeginCapture_v2, p->stream, RV_CU_CAPTURE_RELAXED)) return NULL;
    bool fine = true;
    for (int i = 0; i < w->nodes && fine; i++) {
        fine = CALL(p, cuLaunchKernel, function, (unsigned)w->groups, 1, 1, LANES, 1, 1, 0, p->stream, w->arguments, NULL);
    }
    fine = CALL(p, cuStreamEndCapture, p->stream, &graph) && fine;
    if (!fine || !CALL(p, cuGraphInstantiateWithFlags, &exec, graph, 0)) exec = NULL;
    if (graph) p->driver.cuGraphDestroy(graph);
    return exec;
}

/* Median seconds of one replay, 0 where it failed; a sample is enough replays for 5 ms. */
static double seconds(probe *p, const work *w) {
    CUgraphExec exec = record(p, w);
    double sample[SAMPLES];
    int replays = 1;
    bool fine = exec != NULL;
    for (int i = -2; i < SAMPLES && fine; i++) {
        const double start = now();
        for (int k = 0; k < replays && fine; k++) fine = CALL(p, cuGraphLaunch, exec, p->stream);
        fine = fine && CALL(p, cuStreamSynchronize, p->stream);
        const double each = (now() - start) / replays;
        if (i < 0) replays = p->quick ? 1 : (int)(5e-3 / (each + 1e-9)) + 1; /* the first runs load and warm up */
        else sample[i] = each;
    }
    if (exec) p->driver.cuGraphExecDestroy(exec);
    if (!fine) return 0;
    qsort(sample, SAMPLES, sizeof *sample, by_value);
    return sample[SAMPLES / 2];
}

/* ---- ceilings ---------------------------------------------------------------------------------------------------- */

static const char ceiling_text[] =
    "#define KERNEL extern \"C\" __global__ void __launch_bounds__(256)\n"
    "KERNEL nothing() {}\n"
    "KERNEL touch(float *x) { const int i = (int)threadIdx.x; x[i] = x[i] + 1.0f; }\n" /* each waits for the one before */
    "KERNEL copy(float4 *to, const float4 *from, int count) {\n"
    "    for (int i = (int)(blockIdx.x * 256u + threadIdx.x); i < count; i += (int)(gridDim.x * 256u)) to[i] = from[i];\n"
    "}\n"
    "KERNEL fma_chains(float *y, int rounds) {\n" /* sixteen chains a lane hide the latency */
    "    float a[16], x = (float)threadIdx.x * 1e-3f;\n"
    "#pragma unroll\n"
    "    for (int j = 0; j < 16; j++) a[j] = (float)j;\n"
    "    for (int i = 0; i < rounds; i++) {\n"
    "#pragma unroll\n"
    "        for (int j = 0; j < 16; j++) a[j] = __fmaf_rn(a[j], 0.999f, x);\n"
    "    }\n"
    "#pragma unroll\n"
    "    for (int j = 1; j < 16; j++) a[0] += a[j];\n"
    "    y[blockIdx.x * 256u + threadIdx.x] = a[0];\n"
    "}\n"
    "KERNEL exponentials(float *y, int rounds) {\n"
    "    float x = (float)threadIdx.x * 1e-3f;\n"
    "    for (int i = 0; i < rounds; i++) x = exp2(x) * 0.25f;\n"
    "    y[blockIdx.x * 256u + threadIdx.x] = x;\n"
    "}\n";

static void say(const char *name, double value, const char *unit) { printf("%s %.5g %s\n", name, value, unit); }

static bool copies(probe *p) {
    const struct {
        const char *name;
        int quads;
    } sizes[] = {{"copy_16MiB", 1 << 20}, {"copy_1GiB", p->quick ? 1 << 12 : 1 << 26}};
    for (int i = 0; i < 2; i++) {
        CUdeviceptr to, from;
        int quads = p->quick ? 1 << 12 : sizes[i].quads;
        const size_t bytes = 16 * (size_t)quads;
        if (!CALL(p, cuMemAlloc_v2, &to, bytes)) return false;
        if (!CALL(p, cuMemAlloc_v2, &from, bytes)) return p->driver.cuMemFree_v2(to), false;
        p->driver.cuMemsetD8Async(from, 0, bytes, p->stream);
        void *arguments[] = {&to, &from, &quads};
        const double each = seconds(p, &(work){"copy", p->quick ? 2 : 16 * p->units, 1, arguments});
        p->driver.cuMemFree_v2(to);
        p->driver.cuMemFree_v2(from);
        if (each <= 0) return false;
        say(sizes[i].name, 2e-9 * (double)bytes / each, "GB/s"); /* read and written */
    }
    return true;
}

static bool arithmetic(probe *p) {
    CUdeviceptr y;
    int groups = p->quick ? 2 : 8 * p->units, rounds = p->quick ? 4 : 4096;
    if (!CALL(p, cuMemAlloc_v2, &y, sizeof(float) * LANES * (size_t)groups)) return false;
    void *arguments[] = {&y, &rounds};
    const double fma = seconds(p, &(work){"fma_chains", groups, 1, arguments});
    const double exponential = seconds(p, &(work){"exponentials", groups, 1, arguments});
    p->driver.cuMemFree_v2(y);
    if (fma <= 0 || exponential <= 0) return false;
    const double lanes = (double)groups * LANES * rounds;
    say("fma", 1e-9 * 32 * lanes / fma, "GFLOP/s");
    say("exp2", 1e-9 * lanes / exponential, "G/s"); /* one dependent chain a lane */
    return true;
}

static bool launches(probe *p) {
    CUdeviceptr x;
    const int nodes = p->quick ? 5 : 200;
    if (!CALL(p, cuMemAlloc_v2, &x, sizeof(float) * LANES)) return false;
    p->driver.cuMemsetD8Async(x, 0, sizeof(float) * LANES, p->stream);
    void *arguments[] = {&x};
    const double empty = seconds(p, &(work){"nothing", 1, nodes, NULL});
    const double small = seconds(p, &(work){"touch", 1, nodes, arguments});
    const double replay = seconds(p, &(work){"nothing", 1, 1, NULL});
    p->driver.cuMemFree_v2(x);
    if (empty <= 0 || small <= 0 || replay <= 0) return false;
    say("graph_node_empty", 1e6 * empty / nodes, "us");
    say("graph_node_1KiB", 1e6 * small / nodes, "us");
    say("graph_replay_of_one", 1e6 * replay, "us"); /* replayed back to back */
    return true;
}

static bool ceilings(probe *p) { return load(p, ceiling_text) && copies(p) && arithmetic(p) && launches(p); }

/* ---- cuRAND ---------------------------------------------------------------------------------------------------------- */

enum { BLOCKS = 4096 }; /* of four words */

static const char curand_text[] =
    "#define QUALIFIERS static __forceinline__ __device__\n"
    "#include <curand_philox4x32_x.h>\n"
    "extern \"C\" __global__ void __launch_bounds__(256) words(uint4 *y, const uint4 *counter, uint2 key, int count) {\n"
    "    const int i = (int)(blockIdx.x * 256u + threadIdx.x);\n"
    "    if (i < count) y[i] = curand_Philox4x32_10(counter[i], key);\n"
    "}\n";

/* With cuRAND's headers, which the backend's own programs never need. */
static bool load_curand(probe *p, const char *folder) {
    char include[600], arch[40];
    const char *options[] = {include, arch, "--std=c++17"};
    nvrtcProgram program;
    size_t bytes = 0;
    snprintf(include, sizeof include, "--include-path=%s", folder);
    snprintf(arch, sizeof arch, "--gpu-architecture=sm_%d", p->arch);
    if (p->nvrtc.nvrtcCreateProgram(&program, curand_text, "curand", 0, NULL, NULL) != 0) return false;
    bool fine = p->nvrtc.nvrtcCompileProgram(program, 3, options) == 0 && p->nvrtc.nvrtcGetCUBINSize(program, &bytes) == 0;
    char *image = malloc(bytes + 1), log[4000] = "";
    if (!fine && p->nvrtc.nvrtcGetProgramLogSize(program, &bytes) == 0 && bytes < sizeof log) p->nvrtc.nvrtcGetProgramLog(program, log);
    fine = fine && image && p->nvrtc.nvrtcGetCUBIN(program, image) == 0 && CALL(p, cuModuleLoadData, &p->module, image);
    if (!fine) fprintf(stderr, "cuRAND's kernel does not load: %s\n", log);
    free(image);
    p->nvrtc.nvrtcDestroyProgram(&program);
    return fine;
}

static bool curand(probe *p, const char *folder) {
    static uint32_t counter[4 * BLOCKS], theirs[4 * BLOCKS];
    struct {
        uint32_t x, y;
    } key = {0xdeadbeefu, 0x01234567u};
    int count = BLOCKS;
    uint32_t state = 1;
    for (int i = 0; i < 4 * BLOCKS; i++) counter[i] = state = state * 1664525u + 1013904223u;
    CUdeviceptr y, x;
    CUfunction function;
    if (!load_curand(p, folder) || !CALL(p, cuMemAlloc_v2, &y, sizeof theirs) || !CALL(p, cuMemAlloc_v2, &x, sizeof counter)) return false;
    void *arguments[] = {&y, &x, &key, &count};
    if (!CALL(p, cuMemcpyHtoDAsync_v2, x, counter, sizeof counter, p->stream) ||
        !CALL(p, cuModuleGetFunction, &function, p->module, "words") ||
        !CALL(p, cuLaunchKernel, function, BLOCKS / LANES, 1, 1, LANES, 1, 1, 0, p->stream, arguments, NULL) ||
        !CALL(p, cuMemcpyDtoHAsync_v2, theirs, y, sizeof theirs, p->stream) || !CALL(p, cuStreamSynchronize, p->stream)) return false;
    int different = 0;
    for (int i = 0; i < BLOCKS; i++) {
        rv_philox(key.x, key.y, &counter[4 * i]);
        different += memcmp(&counter[4 * i], &theirs[4 * i], 16) != 0;
    }
    printf("curand: %d of %d blocks of four words differ\n", different, BLOCKS);
    return different == 0;
}

int main(int argc, char **argv) {
    probe p = {.quick = argc > 2 && strcmp(argv[2], "--quick") == 0};
    const bool wants_ceilings = argc > 1 && strcmp(argv[1], "ceilings") == 0;
    if (!wants_ceilings && !(argc == 3 && strcmp(argv[1], "curand") == 0)) {
        fputs("usage: reverie-gpu-probe ceilings [--quick] | curand INCLUDE_FOLDER\n", stderr);
        return 2;
    }
    const bool fine = open_device(&p) && (wants_ceilings ? ceilings(&p) : curand(&p, argv[2]));
    close_device(&p);
    return fine ? 0 : 1;
}
