/* backends/gpu/lower_map.c: elementwise ops. */
#include "backends/gpu/lowerings.h"

static bool elementwise(const rv_launch *launch, bool slices, rv_gpu_stages *stages, rv_gpu_function function) {
    rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, function), slices);
    return true;
}

RV_GPU_LOWERING(map1) { return (void)gpu, elementwise(launch, slices, stages, RV_GPU_map1); }
RV_GPU_LOWERING(map2) { return (void)gpu, elementwise(launch, slices, stages, RV_GPU_map2); }
RV_GPU_LOWERING(where) { return (void)gpu, elementwise(launch, slices, stages, RV_GPU_where); }
RV_GPU_LOWERING(fill) { return (void)gpu, elementwise(launch, slices, stages, RV_GPU_fill); }
RV_GPU_LOWERING(copy) { return (void)gpu, elementwise(launch, slices, stages, RV_GPU_copy); }
