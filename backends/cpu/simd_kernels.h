/* backends/cpu/simd_kernels.h: the ops that have a fast kernel. */
#ifndef RV_BACKENDS_CPU_SIMD_KERNELS_H
#define RV_BACKENDS_CPU_SIMD_KERNELS_H

#include "backends/cpu/fast.h"
#include "backends/cpu/simd.h"

/* X(op, name) */
#define RV_FAST_OPS(X)                                                             \
    X(MATMUL, matmul) X(LINEAR, linear) X(LINEAR_WGRAD, linear_wgrad)

#define RV_DECLARE_KERNEL(op, name) extern const rv_kernel RV_NAME(rv_##name##_kernel);
RV_FAST_OPS(RV_DECLARE_KERNEL)
#undef RV_DECLARE_KERNEL

#endif
