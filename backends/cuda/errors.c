/* backends/cuda/errors.c: what the driver's errors mean, and entering and leaving the context. */
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

typedef struct rv_meaning {
    rv_cu_result result; /* as in cuda.h */
    rv_status status;
    bool lost; /* the context is useless afterwards: every later call gives the same */
} rv_meaning;

static const rv_meaning meanings[] = {
    {RV_CU_OUT_OF_MEMORY, RV_OUT_OF_MEMORY, false},
    {4, RV_DEVICE_LOST, true},       /* DEINITIALIZED */
    {34, RV_NO_DRIVER, false},       /* STUB_LIBRARY */
    {36, RV_NO_DRIVER, false},       /* CALL_REQUIRES_NEWER_DRIVER */
    {46, RV_NO_DEVICE, false},       /* DEVICE_UNAVAILABLE */
    {RV_CU_NO_DEVICE, RV_NO_DEVICE, false},
    {101, RV_NO_DEVICE, false},      /* INVALID_DEVICE */
    {102, RV_NO_DEVICE, false},      /* DEVICE_NOT_LICENSED */
    {200, RV_BUILD_FAILED, false},   /* INVALID_IMAGE */
    {201, RV_DEVICE_LOST, true},     /* INVALID_CONTEXT */
    {209, RV_BUILD_FAILED, false},   /* NO_BINARY_FOR_GPU */
    {214, RV_DEVICE_LOST, true},     /* ECC_UNCORRECTABLE */
    {218, RV_BUILD_FAILED, false},   /* INVALID_PTX */
    {220, RV_DEVICE_LOST, true},     /* NVLINK_UNCORRECTABLE */
    {221, RV_BUILD_FAILED, false},   /* JIT_COMPILER_NOT_FOUND */
    {222, RV_BUILD_FAILED, false},   /* UNSUPPORTED_PTX_VERSION */
    {223, RV_BUILD_FAILED, false},   /* JIT_COMPILATION_DISABLED */
    {226, RV_DEVICE_LOST, true},     /* CONTAINED */
    {300, RV_BUILD_FAILED, false},   /* INVALID_SOURCE */
    {500, RV_BUILD_FAILED, false},   /* NOT_FOUND: a kernel that its program lacks */
    {700, RV_DEVICE_LOST, true},     /* ILLEGAL_ADDRESS */
    {701, RV_UNSUPPORTED, false},    /* LAUNCH_OUT_OF_RESOURCES */
    {702, RV_DEVICE_LOST, true},     /* LAUNCH_TIMEOUT */
    {709, RV_DEVICE_LOST, true},     /* CONTEXT_IS_DESTROYED */
    {710, RV_DEVICE_LOST, true},     /* ASSERT */
    {714, RV_DEVICE_LOST, true},     /* HARDWARE_STACK_ERROR */
    {715, RV_DEVICE_LOST, true},     /* ILLEGAL_INSTRUCTION */
    {716, RV_DEVICE_LOST, true},     /* MISALIGNED_ADDRESS */
    {717, RV_DEVICE_LOST, true},     /* INVALID_ADDRESS_SPACE */
    {718, RV_DEVICE_LOST, true},     /* INVALID_PC */
    {719, RV_DEVICE_LOST, true},     /* LAUNCH_FAILED */
    {801, RV_UNSUPPORTED, false},    /* NOT_SUPPORTED */
    {802, RV_NO_DEVICE, false},      /* SYSTEM_NOT_READY */
    {803, RV_NO_DRIVER, false},      /* SYSTEM_DRIVER_MISMATCH */
    {804, RV_NO_DRIVER, false},      /* COMPAT_NOT_SUPPORTED_ON_DEVICE */
    {806, RV_DEVICE_LOST, true},     /* MPS_RPC_FAILURE */
    {812, RV_DEVICE_LOST, true},     /* MPS_CLIENT_TERMINATED */
    {999, RV_DEVICE_LOST, true},     /* UNKNOWN */
};

/* Whatever else comes (INVALID_VALUE and the like) is a mistake of ours. */
rv_status rv_cuda_status(rv_cu_result result, bool *lost) {
    *lost = false;
    if (result == RV_CU_SUCCESS) return RV_OK;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (meanings[i].result != result) continue;
        *lost = meanings[i].lost;
        return meanings[i].status;
    }
    return RV_INTERNAL;
}

static rv_status say_lost(rv_cuda *cuda, rv_error *error) {
    return cuda->services.fail(error, RV_DEVICE_LOST,
                               "cuda:%d was lost: %s; close it; the process and other devices go on, but CUDA may want a new process "
                               "before this device can be opened again",
                               cuda->ordinal, cuda->lost);
}

rv_status rv_cuda_check(rv_cuda *cuda, rv_cu_result result, const char *call, rv_error *error) {
    if (result == RV_CU_SUCCESS) return RV_OK;
    const char *name = NULL, *text = NULL;
    if (cuda->driver.cuGetErrorName(result, &name) != RV_CU_SUCCESS || !name) name = "an unknown error";
    if (cuda->driver.cuGetErrorString(result, &text) != RV_CU_SUCCESS || !text) text = "no text";
    bool lost;
    const rv_status status = rv_cuda_status(result, &lost);
    if (lost && !cuda->lost[0]) snprintf(cuda->lost, sizeof cuda->lost, "%s answered %s (%.80s)", call, name, text);
    if (!error) return status;
    if (lost) return say_lost(cuda, error);
    return cuda->services.fail(error, status, "cuda:%d: %s answered %s (%.200s)", cuda->ordinal, call, name, text);
}

rv_status rv_cuda_enter(rv_cuda *cuda, rv_error *error) {
    if (cuda->lost[0]) return say_lost(cuda, error);
    return RV_CUDA_CALL(cuda, error, cuCtxPushCurrent_v2, cuda->context);
}

bool rv_cuda_enter_quietly(rv_cuda *cuda) {
    return cuda->context && cuda->driver.cuCtxPushCurrent_v2(cuda->context) == RV_CU_SUCCESS;
}

void rv_cuda_leave(rv_cuda *cuda) {
    CUcontext popped;
    cuda->driver.cuCtxPopCurrent_v2(&popped);
}
