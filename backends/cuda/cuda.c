/* backends/cuda/cuda.c: the CUDA backend's table: opening, closing, listing. */
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

enum { LOWEST_ARCH = 75, ALIGNMENT = 256 };

extern const char rv_gpu_text_dialect_cuda[];

/* ---- the resource string ------------------------------------------------------------------------------------ */

typedef struct rv_spec {
    int ordinal; /* -1: not given */
    rv_cuda_products products;
} rv_spec;

static rv_status bad_spec(const rv_services *services, const char *spec, rv_error *error) {
    return services->fail(error, RV_INVALID_ARGUMENT,
                          "cuda: \"%.80s\" is not understood; allowed are cuda, cuda:N, and behind them ,cublas=off or ,cublas=always "
                          "(cuda:cublas=off without a number)",
                          spec);
}

static bool parse_word(const char *word, size_t length, rv_spec *parsed) {
    if (length == 10 && memcmp(word, "cublas=off", length) == 0) parsed->products = RV_CUDA_PRODUCTS_OURS;
    else if (length == 13 && memcmp(word, "cublas=always", length) == 0) parsed->products = RV_CUDA_PRODUCTS_LIBRARY;
    else return false;
    return true;
}

static rv_status parse(const rv_services *services, const char *spec, rv_spec *parsed, rv_error *error) {
    *parsed = (rv_spec){.ordinal = -1};
    const char *word = spec;
    if (*word >= '0' && *word <= '9') {
        parsed->ordinal = 0;
        for (; *word >= '0' && *word <= '9' && parsed->ordinal < 10000; word++) parsed->ordinal = 10 * parsed->ordinal + (*word - '0');
        if (*word == ',') word++;
        else if (*word) return bad_spec(services, spec, error);
        else return RV_OK;
    }
    if (!*spec) return RV_OK;
    for (;; word++) {
        const size_t length = strcspn(word, ",");
        if (!parse_word(word, length, parsed)) return bad_spec(services, spec, error);
        word += length;
        if (!*word) return RV_OK;
    }
}

/* ---- finding devices ------------------------------------------------------------------------------------------ */

/* Before there is a device: a message with the error's name. */
static rv_status check_early(const rv_services *services, const rv_cuda_driver *driver, rv_cu_result result, const char *call,
                             rv_error *error) {
    if (result == RV_CU_SUCCESS) return RV_OK;
    const char *name = NULL;
    if (driver->cuGetErrorName(result, &name) != RV_CU_SUCCESS || !name) name = "an unknown error";
    bool lost;
    const rv_status status = rv_cuda_status(result, &lost);
    if (status == RV_NO_DEVICE) {
        return services->fail(error, status, "cuda: the driver is there but shows no GPU (%s answered %s): see what nvidia-smi says, "
                              "whether CUDA_VISIBLE_DEVICES hides it, and whether the container was given it", call, name);
    }
    if (status == RV_NO_DRIVER) {
        return services->fail(error, status, "cuda: %s answered %s: libcuda.so.1 and the kernel's driver do not belong together; install "
                              "one version of both and restart", call, name);
    }
    return services->fail(error, status, "cuda: %s answered %s", call, name);
}

#define EARLY(services, driver, error, name, ...) check_early((services), (driver), (driver)->name(__VA_ARGS__), #name, (error))

static rv_status start_driver(const rv_services *services, rv_cuda_driver *driver, int *count, rv_error *error) {
    *count = 0;
    rv_status status = rv_cuda_load_driver(services, driver, error);
    if (status == RV_OK) status = EARLY(services, driver, error, cuInit, 0);
    if (status == RV_OK) status = EARLY(services, driver, error, cuDeviceGetCount, count);
    if (status == RV_OK && *count == 0) status = check_early(services, driver, RV_CU_NO_DEVICE, "cuDeviceGetCount", error);
    return status;
}

/* ---- what the lowering is told ------------------------------------------------------------------------------- */

/* float32 lanes of a multiprocessor, by architecture. */
static int lanes_of(int arch) { return arch == 75 || arch == 80 ? 64 : 128; }

/* Estimates, not yet measured on hardware; with the figures of an H100 (132 multiprocessors at 1.98 GHz) they give
 * 507 GFLOP/s and 47 GB/s a multiprocessor. Only the choice of what is merged depends on them, never a result. */
static void describe(rv_cuda *cuda, int units, int clock_khz, int shared_bytes) {
    const double hertz = clock_khz > 0 ? 1e3 * clock_khz : 1.5e9; /* newer drivers may not say */
    cuda->gpu = (rv_gpu){.services = &cuda->services,
                         .dialect = rv_gpu_text_dialect_cuda,
                         .units = units > 0 ? units : 1,
                         .launch_seconds = 2e-6, /* a small kernel as a node of a graph */
                         .unit_flops = 2.0 * lanes_of(10 * cuda->major + cuda->minor) * hertz,
                         .unit_bandwidth = 24.0 * hertz, /* bytes a clock from the L2 cache */
                         .local_bytes = (size_t)shared_bytes};
}

static rv_status look_at_device(rv_cuda *cuda, rv_error *error) {
    int units = 0, clock_khz = 0, shared_bytes = 0;
    const struct {
        rv_cu_choice attribute;
        int *value;
    } wanted[] = {{RV_CU_ATTRIBUTE_MAJOR, &cuda->major},
                  {RV_CU_ATTRIBUTE_MINOR, &cuda->minor},
                  {RV_CU_ATTRIBUTE_MULTIPROCESSORS, &units},
                  {RV_CU_ATTRIBUTE_CLOCK_KHZ, &clock_khz},
                  {RV_CU_ATTRIBUTE_SHARED_BYTES, &shared_bytes}};
    rv_status status = RV_CUDA_CALL(cuda, error, cuDeviceGet, &cuda->device, cuda->ordinal);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuDeviceGetName, cuda->device_name, sizeof cuda->device_name, cuda->device);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuDeviceTotalMem_v2, &cuda->memory_bytes, cuda->device);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuDriverGetVersion, &cuda->cuda_version);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && status == RV_OK; i++) {
        status = RV_CUDA_CALL(cuda, error, cuDeviceGetAttribute, wanted[i].value, wanted[i].attribute, cuda->device);
    }
    if (status != RV_OK) return status;
    if (10 * cuda->major + cuda->minor < LOWEST_ARCH) {
        return cuda->services.fail(error, RV_UNSUPPORTED, "cuda:%d: %s has compute capability %d.%d; 7.5 (Turing) is the lowest",
                                   cuda->ordinal, cuda->device_name, cuda->major, cuda->minor);
    }
    describe(cuda, units, clock_khz, shared_bytes);
    return RV_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void cuda_close(void *state) {
    rv_cuda *cuda = state;
    if (!cuda) return;
    const rv_services services = cuda->services;
    if (rv_cuda_enter_quietly(cuda)) {
        if (!cuda->lost[0] && (cuda->stream || !cuda->retained)) cuda->driver.cuStreamSynchronize(cuda->stream);
        rv_cuda_blas_close(cuda);
        rv_cuda_staging_close(cuda);
        if (cuda->capture) cuda->driver.cuStreamDestroy_v2(cuda->capture);
        if (cuda->retained && cuda->stream) cuda->driver.cuStreamDestroy_v2(cuda->stream);
        rv_cuda_modules_close(cuda);
        rv_cuda_leave(cuda);
    } else {
        rv_cuda_modules_close(cuda);
    }
    if (cuda->retained) cuda->driver.cuDevicePrimaryCtxRelease_v2(cuda->device);
    rv_gpu_cache_close(&cuda->cache);
    rv_cuda_unload_cublas(&cuda->blas.entries);
    rv_cuda_unload_nvrtc(&cuda->nvrtc);
    rv_cuda_unload_driver(&cuda->driver);
    services.resize(services.user, cuda, 0);
}

/* The context's own device; a number in the resource string must be the same. */
static rv_status adopt_context(rv_cuda *cuda, const rv_native *native, rv_error *error) {
    if (!native->context) {
        return cuda->services.fail(error, RV_INVALID_ARGUMENT, "cuda: native handles without a CUcontext; give context and stream");
    }
    cuda->context = native->context;
    cuda->stream = native->queue; /* NULL is the default stream */
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    CUdevice device = 0;
    status = RV_CUDA_CALL(cuda, error, cuCtxGetDevice, &device);
    rv_cuda_leave(cuda);
    if (status != RV_OK) return status;
    if (cuda->ordinal >= 0 && device != cuda->ordinal) {
        return cuda->services.fail(error, RV_INVALID_ARGUMENT, "cuda:%d: the context given is of device %d", cuda->ordinal, device);
    }
    cuda->ordinal = device; /* the driver's handle of a device is its number */
    return RV_OK;
}

static rv_status retain_context(rv_cuda *cuda, rv_error *error) {
    const rv_status status = RV_CUDA_CALL(cuda, error, cuDevicePrimaryCtxRetain, &cuda->context, cuda->device);
    cuda->retained = status == RV_OK;
    return status;
}

static rv_status make_streams(rv_cuda *cuda, rv_error *error) {
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    if (cuda->retained) status = RV_CUDA_CALL(cuda, error, cuStreamCreate, &cuda->stream, RV_CU_STREAM_NON_BLOCKING);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuStreamCreate, &cuda->capture, RV_CU_STREAM_NON_BLOCKING);
    if (status == RV_OK) status = rv_cuda_staging_open(cuda, error);
    rv_cuda_leave(cuda);
    return status;
}

static rv_status find_compiler(rv_cuda *cuda, rv_error *error) {
    rv_gpu_cache_open(&cuda->cache, &cuda->services);
    rv_cuda_load_nvrtc(&cuda->nvrtc);
    if (rv_cuda_can_build(cuda)) return RV_OK;
    return cuda->services.fail(error, RV_NO_DRIVER, "cuda:%d (%.60s): the driver is there, but NVRTC, which compiles the kernels, is not: %s",
                               cuda->ordinal, cuda->device_name, rv_cuda_get_nvrtc);
}

static rv_status open_device(rv_cuda *cuda, const rv_spec *spec, rv_error *error) {
    int count;
    rv_status status = start_driver(&cuda->services, &cuda->driver, &count, error);
    if (status != RV_OK) return status;
    const rv_native *native = cuda->services.native;
    cuda->ordinal = spec->ordinal;
    if (native) status = adopt_context(cuda, native, error);
    else if (cuda->ordinal < 0) cuda->ordinal = 0;
    if (status == RV_OK && cuda->ordinal >= count) {
        return cuda->services.fail(error, RV_NO_DEVICE, "cuda:%d: the driver shows %d GPU%s, counted from 0", cuda->ordinal, count,
                                   count == 1 ? "" : "s");
    }
    if (status == RV_OK) status = look_at_device(cuda, error);
    if (status == RV_OK) status = find_compiler(cuda, error);
    if (status == RV_OK && !native) status = retain_context(cuda, error);
    if (status == RV_OK) status = make_streams(cuda, error);
    return status;
}

static rv_status cuda_open(const rv_services *services, const char *text, rv_error *error, void **state) {
    rv_spec spec;
    *state = NULL;
    rv_status status = parse(services, text, &spec, error);
    if (status != RV_OK) return status;
    rv_cuda *cuda = rv_cuda_host(services, 1, sizeof *cuda);
    if (!cuda) return services->fail(error, RV_OUT_OF_MEMORY, "cuda: no host memory for the device");
    cuda->services = *services;
    cuda->blas.products = spec.products;
    cuda->cache.folder = -1;
    status = open_device(cuda, &spec, error);
    cuda->services.native = NULL; /* the caller's, while open runs */
    if (status == RV_OK) *state = cuda;
    else cuda_close(cuda);
    return status;
}

/* ---- telling ------------------------------------------------------------------------------------------------------ */

static void cuda_caps(void *state, rv_caps *caps) {
    const rv_cuda *cuda = state;
    static const char *const products[] = {"", ",cublas=off", ",cublas=always"};
    *caps = (rv_caps){.largest_allocation = cuda->memory_bytes,
                      .alignment = ALIGNMENT,
                      .element_bytes = {sizeof(float), sizeof(int32_t), sizeof(uint8_t)},
                      .regions = true};
    snprintf(caps->name, sizeof caps->name, "cuda:%d%s", cuda->ordinal, products[cuda->blas.products]);
    snprintf(caps->description, sizeof caps->description, "%.100s, sm_%d%d, %d multiprocessors, %zu MiB, CUDA %d.%d", cuda->device_name,
             cuda->major, cuda->minor, cuda->gpu.units, cuda->memory_bytes >> 20, cuda->cuda_version / 1000, cuda->cuda_version % 1000 / 10);
}

/* 0 where the driver does not say. */
static int attribute(const rv_cuda_driver *driver, CUdevice device, rv_cu_choice which) {
    int value = 0;
    return driver->cuDeviceGetAttribute(&value, which, device) == RV_CU_SUCCESS ? value : 0;
}

static void fill_info(const rv_cuda_driver *driver, CUdevice device, int index, rv_device_info *info) {
    size_t total = 0;
    int version = 0;
    *info = (rv_device_info){.gpu = 1, .units = attribute(driver, device, RV_CU_ATTRIBUTE_MULTIPROCESSORS)};
    snprintf(info->resource, sizeof info->resource, "cuda:%d", index);
    if (driver->cuDeviceGetName(info->name, sizeof info->name, device) != RV_CU_SUCCESS) snprintf(info->name, sizeof info->name, "unknown");
    if (driver->cuDeviceTotalMem_v2(&total, device) == RV_CU_SUCCESS) info->memory_bytes = total;
    driver->cuDriverGetVersion(&version);
    snprintf(info->version, sizeof info->version, "driver for CUDA %d.%d, sm_%d%d", version / 1000, version % 1000 / 10,
             attribute(driver, device, RV_CU_ATTRIBUTE_MAJOR), attribute(driver, device, RV_CU_ATTRIBUTE_MINOR));
}

static bool cuda_list(const rv_services *services, int index, rv_device_info *info, rv_error *error) {
    rv_cuda_driver driver;
    int count;
    CUdevice device;
    rv_status status = start_driver(services, &driver, &count, error);
    const bool there = status == RV_OK && index < count;
    if (there) status = EARLY(services, &driver, error, cuDeviceGet, &device, index);
    if (there && status == RV_OK) fill_info(&driver, device, index, info);
    rv_cuda_unload_driver(&driver);
    return there && status == RV_OK;
}

static bool cuda_supports(void *state, rv_op op, const rv_attributes *attributes) {
    (void)state;
    return rv_gpu_supports(op, attributes);
}

RV_API extern const rv_backend rv_backend_module;

const rv_backend rv_backend_module = {
    .abi = RV_BACKEND_ABI,
    .size = sizeof(rv_backend),
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .caps = cuda_caps,
    .allocate = rv_cuda_allocate,
    .wrap = rv_cuda_wrap,
    .release = rv_cuda_release,
    .upload = rv_cuda_upload,
    .download = rv_cuda_download,
    .fill = rv_cuda_fill,
    .supports = cuda_supports,
    .prepare = rv_cuda_prepare,
    .run = rv_cuda_run,
    .release_program = rv_cuda_release_program,
    .sync = rv_cuda_sync,
    .list = cuda_list,
    .native = rv_cuda_native,
    .dispatches = rv_cuda_dispatches,
};
