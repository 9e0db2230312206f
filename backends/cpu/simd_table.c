/* backends/cpu/simd_table.c: the kernels of one instruction set. An op without one runs its reference function. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_matmul.h"

#define KERNEL(op, name) [RV_OP_##op] = &RV_NAME(rv_##name##_kernel),

const rv_kernels RV_NAME(rv_kernels) = {
    .op = {RV_FAST_OPS(KERNEL)},
    .pack_panels = RV_NAME(rv_pack_panels),
    .pack_size = RV_NAME(rv_pack_size),
    .pack_run = RV_NAME(rv_pack_run),
};
