/* tests/opencl/calls.c: OpenCL's entry points, counted and made to fail. */
#define _GNU_SOURCE
#include "tests/opencl/calls.h"

#include <dlfcn.h>
#include <string.h>

int64_t rv_calls[RV_OPENCL_CALL_COUNT], rv_calls_live;
const char *rv_calls_text;

static const int objects[] = {
#define RV_CALL_OBJECTS(name, objects) objects,
    RV_OPENCL_CALLS(RV_CALL_OBJECTS)};

const char *rv_call_name(rv_opencl_call call) {
    static const char *const names[] = {
#define RV_CALL_NAME(name, objects) #name,
        RV_OPENCL_CALLS(RV_CALL_NAME)};
    return names[call];
}

/* ---- planned failures --------------------------------------------------------------------------------- */

static struct {
    rv_opencl_call call; /* RV_OPENCL_CALL_COUNT: any */
    int64_t left;        /* calls until it happens */
    cl_int code;
    bool done;
} plan;

void rv_calls_fail(rv_opencl_call call, int64_t n, cl_int code) {
    plan.call = call;
    plan.left = n;
    plan.code = code;
    plan.done = false;
}

void rv_calls_fail_any(int64_t n, cl_int code) { rv_calls_fail(RV_OPENCL_CALL_COUNT, n, code); }
bool rv_calls_failed(void) { return plan.done; }

/* Counts a call; the code that it must answer, CL_SUCCESS: make it. */
static cl_int note(rv_opencl_call call) {
    rv_calls[call]++;
    if (plan.left == 0 || objects[call] < 0 || (plan.call != call && plan.call != RV_OPENCL_CALL_COUNT)) return CL_SUCCESS;
    if (--plan.left > 0) return CL_SUCCESS;
    plan.done = true;
    return plan.code;
}

/* A pointer to data becomes one to a function only by way of memory. */
#define NEXT(name)                                            \
    __typeof__(&name) next = NULL;                            \
    void *const found = dlsym(RTLD_NEXT, #name);              \
    memcpy(&next, &found, sizeof next)

#define EXPORTED __attribute__((visibility("default")))

/* Calls that answer a code. */
#define CALL(name, parameters, arguments)            \
    EXPORTED cl_int name parameters {                \
        NEXT(name);                                  \
        cl_int code = note(RV_CALL_##name);          \
        if (code != CL_SUCCESS) return code;         \
        code = next arguments;                       \
        if (code == CL_SUCCESS) rv_calls_live += objects[RV_CALL_##name]; \
        return code;                                 \
    }

/* Calls that answer an object, and the code through their last parameter. */
#define MAKE(type, name, parameters, arguments)      \
    EXPORTED type name parameters {                  \
        NEXT(name);                                  \
        const cl_int code = note(RV_CALL_##name);    \
        if (code != CL_SUCCESS) {                    \
            *answer = code;                          \
            return NULL;                             \
        }                                            \
        type object = next arguments;                \
        if (object) rv_calls_live += objects[RV_CALL_##name]; \
        return object;                               \
    }

CALL(clGetPlatformIDs, (cl_uint n, cl_platform_id *list, cl_uint *count), (n, list, count))
CALL(clGetPlatformInfo, (cl_platform_id p, cl_platform_info what, size_t size, void *to, size_t *used), (p, what, size, to, used))
CALL(clGetDeviceIDs, (cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *list, cl_uint *count), (p, type, n, list, count))
CALL(clGetDeviceInfo, (cl_device_id d, cl_device_info what, size_t size, void *to, size_t *used), (d, what, size, to, used))

MAKE(cl_context, clCreateContext,
     (const cl_context_properties *properties, cl_uint n, const cl_device_id *list,
      void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *answer),
     (properties, n, list, notify, user, answer))
CALL(clRetainContext, (cl_context c), (c))
CALL(clReleaseContext, (cl_context c), (c))
MAKE(cl_command_queue, clCreateCommandQueue, (cl_context c, cl_device_id d, cl_command_queue_properties properties, cl_int *answer),
     (c, d, properties, answer))
CALL(clRetainCommandQueue, (cl_command_queue q), (q))
CALL(clReleaseCommandQueue, (cl_command_queue q), (q))
CALL(clGetCommandQueueInfo, (cl_command_queue q, cl_command_queue_info what, size_t size, void *to, size_t *used),
     (q, what, size, to, used))

MAKE(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *answer),
     (c, flags, size, host, answer))
CALL(clRetainMemObject, (cl_mem m), (m))
CALL(clReleaseMemObject, (cl_mem m), (m))
CALL(clGetMemObjectInfo, (cl_mem m, cl_mem_info what, size_t size, void *to, size_t *used), (m, what, size, to, used))

MAKE(cl_program, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **texts, const size_t *lengths, cl_int *answer),
     (c, rv_calls_text ? 1 : n, rv_calls_text ? &rv_calls_text : texts, rv_calls_text ? NULL : lengths, answer))
MAKE(cl_program, clCreateProgramWithBinary,
     (cl_context c, cl_uint n, const cl_device_id *devices, const size_t *sizes, const unsigned char **binaries, cl_int *each,
      cl_int *answer),
     (c, n, devices, sizes, binaries, each, answer))
CALL(clReleaseProgram, (cl_program p), (p))
CALL(clBuildProgram,
     (cl_program p, cl_uint n, const cl_device_id *list, const char *options, void(CL_CALLBACK *notify)(cl_program, void *), void *user),
     (p, n, list, options, notify, user))
CALL(clGetProgramInfo, (cl_program p, cl_program_info what, size_t size, void *to, size_t *used), (p, what, size, to, used))
CALL(clGetProgramBuildInfo, (cl_program p, cl_device_id d, cl_program_build_info what, size_t size, void *to, size_t *used),
     (p, d, what, size, to, used))

MAKE(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *answer), (p, name, answer))
CALL(clReleaseKernel, (cl_kernel k), (k))
CALL(clSetKernelArg, (cl_kernel k, cl_uint at, size_t size, const void *value), (k, at, size, value))
CALL(clGetKernelWorkGroupInfo, (cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t size, void *to, size_t *used),
     (k, d, what, size, to, used))

CALL(clEnqueueFillBuffer,
     (cl_command_queue q, cl_mem m, const void *pattern, size_t width, size_t at, size_t size, cl_uint n, const cl_event *behind,
      cl_event *event),
     (q, m, pattern, width, at, size, n, behind, event))
CALL(clEnqueueReadBuffer,
     (cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t size, void *to, cl_uint n, const cl_event *behind, cl_event *event),
     (q, m, wait, at, size, to, n, behind, event))
CALL(clEnqueueWriteBuffer,
     (cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t size, const void *from, cl_uint n, const cl_event *behind,
      cl_event *event),
     (q, m, wait, at, size, from, n, behind, event))
CALL(clEnqueueNDRangeKernel,
     (cl_command_queue q, cl_kernel k, cl_uint dimensions, const size_t *offset, const size_t *global, const size_t *local, cl_uint n,
      const cl_event *behind, cl_event *event),
     (q, k, dimensions, offset, global, local, n, behind, event))
MAKE(void *, clEnqueueMapBuffer,
     (cl_command_queue q, cl_mem m, cl_bool wait, cl_map_flags flags, size_t at, size_t size, cl_uint n, const cl_event *behind,
      cl_event *event, cl_int *answer),
     (q, m, wait, flags, at, size, n, behind, event, answer))
CALL(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))
CALL(clFlush, (cl_command_queue q), (q))
CALL(clFinish, (cl_command_queue q), (q))
