/* tests/opencl/calls.h: the OpenCL calls that a test program's process makes, counted and made to fail.
 *
 * The program exports functions of OpenCL's own names, so that the module finds them in front of the loader's; they
 * count, and go on to the loader (calls.c). */
#ifndef RV_TESTS_OPENCL_CALLS_H
#define RV_TESTS_OPENCL_CALLS_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdbool.h>
#include <stdint.h>

/* X(name, what it does to the number of objects that live) */
#define RV_OPENCL_CALLS(X)                                                                                           \
    X(clGetPlatformIDs, 0) X(clGetPlatformInfo, 0) X(clGetDeviceIDs, 0) X(clGetDeviceInfo, 0) X(clCreateContext, 1)  \
    X(clRetainContext, 1) X(clReleaseContext, -1) X(clCreateCommandQueue, 1) X(clRetainCommandQueue, 1)              \
    X(clReleaseCommandQueue, -1) X(clGetCommandQueueInfo, 0) X(clCreateBuffer, 1) X(clRetainMemObject, 1)            \
    X(clReleaseMemObject, -1) X(clGetMemObjectInfo, 0) X(clCreateProgramWithSource, 1)                               \
    X(clCreateProgramWithBinary, 1) X(clReleaseProgram, -1) X(clBuildProgram, 0) X(clGetProgramInfo, 0)              \
    X(clGetProgramBuildInfo, 0) X(clCreateKernel, 1) X(clReleaseKernel, -1) X(clSetKernelArg, 0)                     \
    X(clGetKernelWorkGroupInfo, 0) X(clEnqueueFillBuffer, 0) X(clEnqueueReadBuffer, 0) X(clEnqueueWriteBuffer, 0)    \
    X(clEnqueueNDRangeKernel, 0) X(clEnqueueMapBuffer, 0) X(clWaitForEvents, 0) X(clFlush, 0) X(clFinish, 0)

typedef enum rv_opencl_call {
#define RV_CALL_ENUM(name, objects) RV_CALL_##name,
    RV_OPENCL_CALLS(RV_CALL_ENUM)
#undef RV_CALL_ENUM
    RV_OPENCL_CALL_COUNT
} rv_opencl_call;

extern int64_t rv_calls[RV_OPENCL_CALL_COUNT]; /* made so far */
extern int64_t rv_calls_live;                  /* objects created or retained and not released */

/* The n-th call of a kind from now on answers `code` instead of being made; 0: none does. */
void rv_calls_fail(rv_opencl_call call, int64_t n, cl_int code);
/* The n-th call of all kinds that can fail; true once it was reached. */
void rv_calls_fail_any(int64_t n, cl_int code);
bool rv_calls_failed(void);

/* Every text of a program becomes this one; NULL: its own. */
extern const char *rv_calls_text;

const char *rv_call_name(rv_opencl_call call);

#endif
