/* backends/gpu/lower_map.c: elementwise ops. */
#include "backends/gpu/lowerings.h"

RV_GPU_LOWERING(map1) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_map1); }
RV_GPU_LOWERING(map2) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_map2); }
RV_GPU_LOWERING(where) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_where); }
RV_GPU_LOWERING(fill) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_fill); }
RV_GPU_LOWERING(copy) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_copy); }
