/* tests/cuda_signatures.c: every entry point that backends/cuda/driver.h declares has the type that NVIDIA's headers
 * give it. Only compiled (-fsyntax-only), and only where a toolkit is; a wrong argument is a compile error.
 */
#include <cublas_v2.h>
#include <cuda.h>
#include <nvrtc.h>

#include "backends/cuda/driver.h"

/* In C an enumeration and unsigned are compatible types here, and so are pointers to functions of them. */
#define ASSIGN(name, arguments) entries->name = name;

void rv_check_driver(rv_cuda_driver *entries);
void rv_check_driver(rv_cuda_driver *entries) { RV_CU_LIST(ASSIGN) }

void rv_check_nvrtc(rv_cuda_nvrtc *entries);
void rv_check_nvrtc(rv_cuda_nvrtc *entries) { RV_NVRTC_LIST(ASSIGN) }

void rv_check_cublas(rv_cuda_cublas *entries);
void rv_check_cublas(rv_cuda_cublas *entries) { RV_CUBLAS_LIST(ASSIGN) }

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs)
SAME(RV_CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(RV_CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
SAME(RV_CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(RV_CU_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING);
SAME(RV_CU_CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED);
SAME(RV_CU_POINTER_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(RV_CU_POINTER_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(RV_CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_DEVICE);
SAME(RV_CU_ATTRIBUTE_SHARED_BYTES, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
SAME(RV_CU_ATTRIBUTE_CLOCK_KHZ, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
SAME(RV_CU_ATTRIBUTE_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(RV_CU_ATTRIBUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(RV_CU_ATTRIBUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(RV_NVRTC_COMPILATION, NVRTC_ERROR_COMPILATION);
SAME(RV_CUBLAS_OP_T, CUBLAS_OP_T);
SAME(RV_CUBLAS_PEDANTIC_MATH, CUBLAS_PEDANTIC_MATH);
SAME(RV_CUBLAS_ATOMICS_NOT_ALLOWED, CUBLAS_ATOMICS_NOT_ALLOWED);
