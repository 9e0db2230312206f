/* backends/gpu/lowerings.h: the lowering of every op, by file. */
#ifndef RV_GPU_LOWERINGS_H
#define RV_GPU_LOWERINGS_H

#include "backends/gpu/lower.h"

#define RV_GPU_LOWERING(name) bool rv_gpu_lower_##name(const rv_gpu *gpu, const rv_launch *launch, bool slices, rv_gpu_stages *stages)

/* lower_map.c */
RV_GPU_LOWERING(map1);
RV_GPU_LOWERING(map2);
RV_GPU_LOWERING(where);
RV_GPU_LOWERING(fill);
RV_GPU_LOWERING(copy);

#endif
