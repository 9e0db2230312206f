/* backends/cuda/driver.h: the entry points of the driver, NVRTC and cuBLAS that this backend uses, declared here and
 * loaded at run time, so that it builds and opens without a toolkit. tests/cuda_signatures.c holds every line
 * against NVIDIA's own headers.
 */
#ifndef RV_CUDA_DRIVER_H
#define RV_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/backend.h"

/* ---- the driver (libcuda) -------------------------------------------------------------------------------- */

typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;

/* Enumerations there, of the same bits; the results that matter here stand in errors.c. */
typedef unsigned rv_cu_result, rv_cu_choice;

enum {
    RV_CU_SUCCESS = 0,
    RV_CU_OUT_OF_MEMORY = 2,
    RV_CU_NO_DEVICE = 100,
    RV_CU_STREAM_NON_BLOCKING = 1,
    RV_CU_EVENT_DISABLE_TIMING = 2,
    RV_CU_CAPTURE_RELAXED = 2,
    RV_CU_POINTER_MEMORY_TYPE = 2,
    RV_CU_POINTER_DEVICE_ORDINAL = 9,
    RV_CU_MEMORYTYPE_DEVICE = 2,
    RV_CU_ATTRIBUTE_SHARED_BYTES = 8,
    RV_CU_ATTRIBUTE_CLOCK_KHZ = 13,
    RV_CU_ATTRIBUTE_MULTIPROCESSORS = 16,
    RV_CU_ATTRIBUTE_MAJOR = 75,
    RV_CU_ATTRIBUTE_MINOR = 76
};

/* X(name, arguments); all give an rv_cu_result. */
#define RV_CU_LIST(X)                                                                                               \
    X(cuInit, (unsigned flags))                                                                                     \
    X(cuGetErrorName, (rv_cu_result error, const char **text))                                                      \
    X(cuGetErrorString, (rv_cu_result error, const char **text))                                                    \
    X(cuDriverGetVersion, (int *version))                                                                           \
    X(cuDeviceGetCount, (int *count))                                                                               \
    X(cuDeviceGet, (CUdevice * device, int ordinal))                                                                \
    X(cuDeviceGetName, (char *name, int length, CUdevice device))                                                   \
    X(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                                        \
    X(cuDeviceGetAttribute, (int *value, rv_cu_choice attribute, CUdevice device))                                  \
    X(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                             \
    X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                              \
    X(cuCtxPushCurrent_v2, (CUcontext context))                                                                     \
    X(cuCtxPopCurrent_v2, (CUcontext * context))                                                                    \
    X(cuCtxGetDevice, (CUdevice * device))                                                                          \
    X(cuMemGetInfo_v2, (size_t *free, size_t *total))                                                               \
    X(cuMemAlloc_v2, (CUdeviceptr * memory, size_t bytes))                                                          \
    X(cuMemFree_v2, (CUdeviceptr memory))                                                                           \
    X(cuMemHostAlloc, (void **memory, size_t bytes, unsigned flags))                                                \
    X(cuMemFreeHost, (void *memory))                                                                                \
    X(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))                      \
    X(cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))                            \
    X(cuMemsetD8Async, (CUdeviceptr to, unsigned char byte, size_t bytes, CUstream stream))                         \
    X(cuPointerGetAttribute, (void *value, rv_cu_choice attribute, CUdeviceptr memory))                             \
    X(cuStreamCreate, (CUstream * stream, unsigned flags))                                                          \
    X(cuStreamDestroy_v2, (CUstream stream))                                                                        \
    X(cuStreamSynchronize, (CUstream stream))                                                                       \
    X(cuStreamBeginCapture_v2, (CUstream stream, rv_cu_choice mode))                                                \
    X(cuStreamEndCapture, (CUstream stream, CUgraph *graph))                                                        \
    X(cuEventCreate, (CUevent * event, unsigned flags))                                                             \
    X(cuEventDestroy_v2, (CUevent event))                                                                           \
    X(cuEventRecord, (CUevent event, CUstream stream))                                                              \
    X(cuEventSynchronize, (CUevent event))                                                                          \
    X(cuModuleLoadData, (CUmodule * module, const void *image))                                                     \
    X(cuModuleUnload, (CUmodule module))                                                                            \
    X(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name))                              \
    X(cuLaunchKernel, (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,    \
                       unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void **arguments, \
                       void **extra))                                                                               \
    X(cuGraphInstantiateWithFlags, (CUgraphExec * exec, CUgraph graph, unsigned long long flags))                   \
    X(cuGraphUpload, (CUgraphExec exec, CUstream stream))                                                           \
    X(cuGraphLaunch, (CUgraphExec exec, CUstream stream))                                                           \
    X(cuGraphExecDestroy, (CUgraphExec exec))                                                                       \
    X(cuGraphDestroy, (CUgraph graph))

#define RV_CUDA_ENTRY(name, arguments) unsigned(*name) arguments;

typedef struct rv_cuda_driver {
    void *library;
    RV_CU_LIST(RV_CUDA_ENTRY)
} rv_cuda_driver;

/* ---- NVRTC ----------------------------------------------------------------------------------------------- */

typedef struct _nvrtcProgram *nvrtcProgram;

enum { RV_NVRTC_COMPILATION = 6 };

#define RV_NVRTC_LIST(X)                                                                                           \
    X(nvrtcVersion, (int *major, int *minor))                                                                      \
    X(nvrtcGetNumSupportedArchs, (int *count))                                                                     \
    X(nvrtcGetSupportedArchs, (int *archs))                                                                        \
    X(nvrtcCreateProgram, (nvrtcProgram * program, const char *text, const char *name, int headers,                \
                           const char *const *header, const char *const *include_name))                            \
    X(nvrtcDestroyProgram, (nvrtcProgram * program))                                                               \
    X(nvrtcCompileProgram, (nvrtcProgram program, int options, const char *const *option))                         \
    X(nvrtcGetCUBINSize, (nvrtcProgram program, size_t *bytes))                                                    \
    X(nvrtcGetCUBIN, (nvrtcProgram program, char *cubin))                                                          \
    X(nvrtcGetPTXSize, (nvrtcProgram program, size_t *bytes))                                                      \
    X(nvrtcGetPTX, (nvrtcProgram program, char *ptx))                                                              \
    X(nvrtcGetProgramLogSize, (nvrtcProgram program, size_t *bytes))                                               \
    X(nvrtcGetProgramLog, (nvrtcProgram program, char *log))

typedef struct rv_cuda_nvrtc {
    void *library; /* NULL: there is none */
    RV_NVRTC_LIST(RV_CUDA_ENTRY)
} rv_cuda_nvrtc;

/* ---- cuBLAS ---------------------------------------------------------------------------------------------- */

typedef struct cublasContext *cublasHandle_t;

enum { RV_CUBLAS_OP_N = 0, RV_CUBLAS_OP_T = 1, RV_CUBLAS_PEDANTIC_MATH = 2, RV_CUBLAS_ATOMICS_NOT_ALLOWED = 0 };

#define RV_CUBLAS_LIST(X)                                                                                         \
    X(cublasCreate_v2, (cublasHandle_t * handle))                                                                 \
    X(cublasDestroy_v2, (cublasHandle_t handle))                                                                  \
    X(cublasGetVersion_v2, (cublasHandle_t handle, int *version))                                                 \
    X(cublasSetStream_v2, (cublasHandle_t handle, CUstream stream))                                               \
    X(cublasSetWorkspace_v2, (cublasHandle_t handle, void *workspace, size_t bytes))                              \
    X(cublasSetMathMode, (cublasHandle_t handle, rv_cu_choice mode))                                              \
    X(cublasSetAtomicsMode, (cublasHandle_t handle, rv_cu_choice mode))                                           \
    X(cublasSgemm_v2, (cublasHandle_t handle, rv_cu_choice op_a, rv_cu_choice op_b, int m, int n, int k,          \
                       const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta,   \
                       float *c, int ldc))

typedef struct rv_cuda_cublas {
    void *library; /* NULL: there is none */
    RV_CUBLAS_LIST(RV_CUDA_ENTRY)
} rv_cuda_cublas;

#undef RV_CUDA_ENTRY

/* ---- loading ---------------------------------------------------------------------------------------------- */

/* Errors: NO_DRIVER with what is missing and how to get it; nothing stays loaded then. */
rv_status rv_cuda_load_driver(const rv_services *services, rv_cuda_driver *driver, rv_error *error);
void rv_cuda_unload_driver(rv_cuda_driver *driver);

/* False, and library NULL, where there is none that has all of it. */
bool rv_cuda_load_nvrtc(rv_cuda_nvrtc *nvrtc);
void rv_cuda_unload_nvrtc(rv_cuda_nvrtc *nvrtc);
bool rv_cuda_load_cublas(rv_cuda_cublas *cublas);
void rv_cuda_unload_cublas(rv_cuda_cublas *cublas);

/* What helps where NVRTC is missing: the end of a sentence. */
extern const char rv_cuda_get_nvrtc[];

#endif
