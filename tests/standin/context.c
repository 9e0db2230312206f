/* tests/standin/context.c: the stand-in's devices, contexts, modules and errors. See standin.h. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/standin/standin.h"

#define DECLARE(name, arguments) STANDIN_API unsigned name arguments;
RV_CU_LIST(DECLARE)

/* ---- counting, faults ------------------------------------------------------------------------------------ */

enum { MOST_DEVICES = 4 };

#define COUNT_ONE(name, arguments) +1
#define NAME_OF(name, arguments) #name,
enum { FUNCTIONS = 0 RV_CU_LIST(COUNT_ONE) };
static const char *const names[FUNCTIONS] = {RV_CU_LIST(NAME_OF)};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int64_t calls[FUNCTIONS], all_calls, objects;
static struct {
    const char *name;
    int64_t left; /* calls until it happens; 0: never */
    unsigned code;
} planned;
static int device_count = 2, device_major = 9, device_minor = 0;
static struct CUctx_st contexts[MOST_DEVICES];
static __thread CUcontext stack[16];
static __thread int depth;

static int index_of(const char *name) {
    for (int i = 0; i < FUNCTIONS; i++) {
        if (strcmp(names[i], name) == 0) return i;
    }
    abort(); /* a test's own mistake */
}

/* What leaves a real context useless. */
static bool kills(unsigned code) { return code == 214 || (code >= 700 && code <= 719 && code != 701 && code != 704 && code != 705); }

unsigned standin_enter(const char *name) {
    pthread_mutex_lock(&lock);
    calls[index_of(name)]++;
    all_calls++;
    if (planned.left == 0 || (planned.name && strcmp(planned.name, name) != 0) || --planned.left > 0) return 0;
    if (kills(planned.code) && depth > 0) stack[depth - 1]->dead = planned.code;
    return planned.code;
}

void standin_leave(unsigned *fault) {
    (void)fault;
    pthread_mutex_unlock(&lock);
}

void standin_made(int64_t count) { objects += count; }

static void control_reset(void) {
    memset(calls, 0, sizeof calls);
    all_calls = 0;
    planned.left = 0;
    device_count = 2;
    device_major = 9;
    device_minor = 0;
}

static void control_plan_fault(const char *name, int64_t nth, unsigned code) {
    planned.name = name ? names[index_of(name)] : NULL;
    planned.left = nth;
    planned.code = code;
}

static int64_t control_calls(const char *name) { return name ? calls[index_of(name)] : all_calls; }
static int64_t control_live(void) { return objects; }
static int control_depth(void) { return depth; }

static void control_devices(int count, int major, int minor) {
    device_count = count < MOST_DEVICES ? count : MOST_DEVICES;
    device_major = major;
    device_minor = minor;
}

bool standin_is_idle;
static void control_idle(bool idle) { standin_is_idle = idle; }

const standin_control standin = {control_reset, control_plan_fault, control_calls, control_live, control_depth, control_devices, control_idle};

/* ---- errors, devices --------------------------------------------------------------------------------------- */

unsigned cuGetErrorName(rv_cu_result error, const char **text) {
    switch (error) {
    case STANDIN_INVALID_VALUE: *text = "CUDA_ERROR_INVALID_VALUE"; break;
    case STANDIN_OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case RV_CU_NO_DEVICE: *text = "CUDA_ERROR_NO_DEVICE"; break;
    case STANDIN_INVALID_IMAGE: *text = "CUDA_ERROR_INVALID_IMAGE"; break;
    case STANDIN_INVALID_CONTEXT: *text = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case STANDIN_NOT_FOUND: *text = "CUDA_ERROR_NOT_FOUND"; break;
    case STANDIN_ILLEGAL_ADDRESS: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case STANDIN_LAUNCH_FAILED: *text = "CUDA_ERROR_LAUNCH_FAILED"; break;
    default: *text = NULL; return STANDIN_INVALID_VALUE;
    }
    return STANDIN_SUCCESS;
}

unsigned cuGetErrorString(rv_cu_result error, const char **text) {
    (void)error;
    *text = "said by the stand-in";
    return STANDIN_SUCCESS;
}

unsigned cuInit(unsigned flags) {
    STANDIN_ENTER(cuInit);
    return flags ? STANDIN_INVALID_VALUE : device_count == 0 ? RV_CU_NO_DEVICE : STANDIN_SUCCESS;
}

unsigned cuDriverGetVersion(int *version) {
    STANDIN_ENTER(cuDriverGetVersion);
    *version = 13000;
    return STANDIN_SUCCESS;
}

unsigned cuDeviceGetCount(int *count) {
    STANDIN_ENTER(cuDeviceGetCount);
    *count = device_count;
    return STANDIN_SUCCESS;
}

unsigned cuDeviceGet(CUdevice *device, int ordinal) {
    STANDIN_ENTER(cuDeviceGet);
    *device = ordinal;
    return ordinal < 0 || ordinal >= device_count ? STANDIN_INVALID_DEVICE : STANDIN_SUCCESS;
}

unsigned cuDeviceGetName(char *name, int length, CUdevice device) {
    STANDIN_ENTER(cuDeviceGetName);
    (void)device;
    snprintf(name, (size_t)length, "stand-in for tests, no hardware");
    return STANDIN_SUCCESS;
}

unsigned cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    STANDIN_ENTER(cuDeviceTotalMem_v2);
    (void)device;
    *bytes = (size_t)4 << 30;
    return STANDIN_SUCCESS;
}

/* Numbers of an H100, so that the lowering chooses what it would choose there. */
unsigned cuDeviceGetAttribute(int *value, rv_cu_choice attribute, CUdevice device) {
    STANDIN_ENTER(cuDeviceGetAttribute);
    (void)device;
    switch (attribute) {
    case RV_CU_ATTRIBUTE_MAJOR: *value = device_major; break;
    case RV_CU_ATTRIBUTE_MINOR: *value = device_minor; break;
    case RV_CU_ATTRIBUTE_MULTIPROCESSORS: *value = 132; break;
    case RV_CU_ATTRIBUTE_CLOCK_KHZ: *value = 1980000; break;
    case RV_CU_ATTRIBUTE_SHARED_BYTES: *value = 49152; break;
    default: return STANDIN_INVALID_VALUE;
    }
    return STANDIN_SUCCESS;
}

/* ---- contexts ------------------------------------------------------------------------------------------------ */

CUcontext standin_current(void) { return depth > 0 && stack[depth - 1]->users > 0 ? stack[depth - 1] : NULL; }

unsigned cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    STANDIN_ENTER(cuDevicePrimaryCtxRetain);
    if (device < 0 || device >= device_count) return STANDIN_INVALID_DEVICE;
    *context = &contexts[device];
    (*context)->ordinal = device;
    if ((*context)->users++ == 0) (*context)->dead = 0;
    standin_made(1);
    return STANDIN_SUCCESS;
}

unsigned cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    STANDIN_FAULT(cuDevicePrimaryCtxRelease_v2);
    if (device < 0 || device >= MOST_DEVICES || contexts[device].users == 0) return STANDIN_INVALID_CONTEXT;
    standin_made(-1);
    if (--contexts[device].users == 0) {
        standin_forget(&contexts[device]);
        standin_free_memory_of(&contexts[device]);
    }
    return fault;
}

unsigned cuCtxPushCurrent_v2(CUcontext context) {
    STANDIN_ENTER(cuCtxPushCurrent_v2);
    if (!context || context->users == 0 || depth == sizeof stack / sizeof *stack) return STANDIN_INVALID_CONTEXT;
    stack[depth++] = context;
    return STANDIN_SUCCESS;
}

unsigned cuCtxPopCurrent_v2(CUcontext *context) {
    STANDIN_FAULT(cuCtxPopCurrent_v2);
    if (depth == 0) return STANDIN_INVALID_CONTEXT;
    *context = stack[--depth];
    return fault;
}

unsigned cuCtxGetDevice(CUdevice *device) {
    STANDIN_CONTEXT(cuCtxGetDevice);
    *device = context->ordinal;
    return STANDIN_SUCCESS;
}

/* ---- modules --------------------------------------------------------------------------------------------------- */

/* An image is this head and a shared object (nvrtc.c). */
typedef struct image_head {
    char magic[8];
    uint64_t bytes;
} image_head;

/* The loader wants a file; this one has no name. It stays open while the module lives, as the loader knows objects by
 * their path. */
static bool open_object(CUmodule module, const char *image, size_t bytes) {
    module->file = memfd_create("standin", MFD_CLOEXEC);
    if (module->file < 0) return false;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", module->file);
    if (write(module->file, image, bytes) == (ssize_t)bytes) module->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return module->object != NULL;
}

static void free_module(CUmodule module) {
    if (module->object) dlclose(module->object);
    if (module->file >= 0) close(module->file);
    free(module);
}

static bool find_parts(CUmodule module) {
    char **shared = dlsym(module->object, "standin_shared");
    module->thread = dlsym(module->object, "threadIdx");
    module->block = dlsym(module->object, "blockIdx");
    module->block_size = dlsym(module->object, "blockDim");
    module->grid_size = dlsym(module->object, "gridDim");
    module->wait = dlsym(module->object, "standin_wait");
    if (!shared || !module->thread || !module->block || !module->block_size || !module->grid_size || !module->wait) return false;
    memcpy(module->shared, shared, sizeof module->shared);
    return true;
}

static CUfunction functions; /* of all modules */

unsigned cuModuleLoadData(CUmodule *out, const void *image) {
    STANDIN_CONTEXT(cuModuleLoadData);
    image_head head;
    memcpy(&head, image, sizeof head);
    if (memcmp(head.magic, "standin", sizeof head.magic) != 0) return STANDIN_INVALID_IMAGE;
    CUmodule module = calloc(1, sizeof *module);
    if (!module) return STANDIN_OUT_OF_MEMORY;
    module->context = context;
    if (!open_object(module, (const char *)image + sizeof head, head.bytes) || !find_parts(module)) {
        free_module(module);
        return STANDIN_INVALID_IMAGE;
    }
    standin_made(1);
    *out = module;
    return STANDIN_SUCCESS;
}

unsigned cuModuleUnload(CUmodule module) {
    STANDIN_FAULT(cuModuleUnload);
    standin_finish(module->context);
    for (CUfunction *at = &functions; *at;) {
        CUfunction function = *at;
        if (function->module != module) {
            at = &function->next;
            continue;
        }
        *at = function->next;
        free(function);
    }
    free_module(module);
    standin_made(-1);
    return fault;
}

unsigned cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name) {
    STANDIN_CONTEXT(cuModuleGetFunction);
    char symbol[128];
    snprintf(symbol, sizeof symbol, "standin_kernel_%s", name);
    const standin_kernel *kernel = dlsym(module->object, symbol);
    if (!kernel) return STANDIN_NOT_FOUND;
    CUfunction function = malloc(sizeof *function);
    if (!function) return STANDIN_OUT_OF_MEMORY;
    *function = (struct CUfunc_st){.module = module, .kernel = kernel, .next = functions};
    *out = functions = function;
    return STANDIN_SUCCESS;
}
