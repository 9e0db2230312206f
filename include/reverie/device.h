/* reverie/device.h: open a device by its resource string.
 *
 *     rv_device *device;
 *     if (rv_device_open("auto", NULL, &device) != RV_OK) {
 *         fprintf(stderr, "%s\n", rv_device_message(device));
 *     }
 *     rv_device_close(device);
 *
 * Resource strings
 *     "auto"              the first CUDA device that opens, else an OpenCL GPU, else the CPU; one line in
 *                         the log says which, and why nothing better
 *     "cpu"               the fast CPU backend, one thread a core
 *     "cpu:threads=2"     the same with so many threads; the bits do not depend on it
 *     "cpu:isa=avx2"      the same with code for that instruction set (baseline, avx2, avx512)
 *     "cpu:reference"     scalar C with double accumulators: slow, the oracle
 *     "cpu:double"        the reference functions with every f32 held as a double (gradient checks)
 *     "null"              does nothing: what is left is the host's own cost
 *     "opencl:0" "cuda:0" GPUs, where the backend is built in
 *     "opencl:0,cache=on" built kernels kept on disk, or not (off); by default unless the driver is PoCL, which keeps its own
 *     "opencl:0,clblast=on" plain products by CLBlast
 *     "check:RESOURCE"    RESOURCE with no memory reused, every value in a guarded block of
 *                         its own that is poisoned before its first and after its last use
 *     "fault:KIND=N:RESOURCE" RESOURCE whose N-th call of KIND fails; KIND is alloc, upload,
 *                         download, prepare, run, sync, or lost (from the N-th call of any kind on
 *                         everything fails); driver=1 and device=1 fail the opening as a missing driver
 *                         and a missing device do; several are joined by commas: "fault:run=3,sync=1:cpu"
 *
 * A device and every object made on it belong to one thread at a time. Different devices
 * run in parallel. There is no global state.
 */
#ifndef REVERIE_DEVICE_H
#define REVERIE_DEVICE_H

#include "reverie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_device rv_device;

/* resize(user, NULL, n) allocates, resize(user, p, n) resizes, resize(user, p, 0) frees
 * and returns NULL. Memory is aligned as malloc aligns it. Host memory only. */
typedef struct rv_allocator {
    void *(*resize)(void *user, void *memory, size_t bytes);
    void *user;
} rv_allocator;

typedef enum rv_log_level { RV_LOG_INFO = 0, RV_LOG_WARNING = 1 } rv_log_level;
typedef void (*rv_log_fn)(void *user, rv_log_level level, const char *text);

/* Handles that the host program already has; the device then works on them and leaves them open when it is
 * closed. OpenCL: cl_context, cl_command_queue (in order), cl_device_id. CUDA: CUcontext, CUstream; device unused. */
typedef struct rv_native {
    size_t size; /* sizeof(rv_native) */
    void *context, *queue, *device;
} rv_native;

/* Zero means default throughout; set size to sizeof(rv_device_options). */
typedef struct rv_device_options {
    size_t size;
    rv_allocator allocator; /* default: realloc and free */
    rv_log_fn log;          /* default: silent */
    void *log_user;
    const rv_native *native; /* with resource "opencl" or "cuda"; read while the device is opened */
} rv_device_options;

/* Opens `resource`. On failure *device still is an object that holds the message and
 * must be closed (NULL only when not even that much memory was there).
 * Errors: INVALID_ARGUMENT (unknown resource, native handles for a device that takes none), NOT_BUILT_IN, NO_DRIVER,
 * NO_DEVICE, OUT_OF_MEMORY; IO_FAILED, BAD_FILE (a module that may not or cannot be loaded). */
RV_API rv_status rv_device_open(const char *resource, const rv_device_options *options, rv_device **device);

/* Closes the device; its memory goes when the last object made on it is destroyed. NULL is fine. */
RV_API void rv_device_close(rv_device *device);

/* The last message, "" when nothing went wrong. Valid until the next call on the device. */
RV_API const char *rv_device_message(const rv_device *device);

/* The resource string as resolved ("cpu:threads=2") and a line that describes the device. */
RV_API const char *rv_device_name(const rv_device *device);
RV_API const char *rv_device_description(const rv_device *device);

/* Host memory through the device's allocator, as rv_allocator.resize gives it: for code that builds on the library. */
RV_API void *rv_device_resize(rv_device *device, void *memory, size_t bytes);

/* Waits for all work given to the device. */
RV_API rv_status rv_device_sync(rv_device *device);

/* The sticky non-finite flag (see rv_watch in ops.h). Waits for the device.
 * RV_OK: clean. NON_FINITE: *name is the first bad value's name, valid while the device is open. */
RV_API rv_status rv_device_health(rv_device *device, const char **name);
RV_API rv_status rv_device_health_clear(rv_device *device);

/* One entry a backend in the order that "auto" tries them; returns how many there are.
 * `available` is 0 where the backend or its device is missing, and text then says why and how to get it. */
typedef struct rv_backend_info {
    const char *name; /* "cpu", "opencl", "cuda" */
    int built_in;
    int available;
    char text[256];
} rv_backend_info;
RV_API int rv_backend_list(rv_backend_info *list, int capacity);

/* One entry a device of every backend that is there, in the same order; returns how many there are. */
typedef struct rv_device_info {
    char resource[32];     /* opens it: "opencl:0" */
    char name[128];        /* as the driver gives it */
    char version[128];     /* of driver and API */
    uint64_t memory_bytes; /* 0: unknown */
    int units;             /* cores or compute units */
    int gpu;               /* 1: a GPU, what "auto" looks for */
} rv_device_info;
RV_API int rv_device_list(rv_device_info *list, int capacity);

#ifdef __cplusplus
}
#endif
#endif
