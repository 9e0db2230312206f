/* backends/gpu/lower_update.c: what updates weights. Their scalars stay on the device. */
#include "backends/gpu/lowerings.h"

RV_GPU_LOWERING(adamw) {
    (void)gpu;
    if (!slices) rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, RV_GPU_adamw), false);
    return !slices;
}

RV_GPU_LOWERING(ema) {
    (void)gpu;
    if (!slices) rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, RV_GPU_ema), false);
    return !slices;
}
