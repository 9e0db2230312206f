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

/* lower_product.c */
RV_GPU_LOWERING(matmul);
RV_GPU_LOWERING(linear);
RV_GPU_LOWERING(linear_wgrad);
RV_GPU_LOWERING(block_linear);
RV_GPU_LOWERING(block_linear_backward);
RV_GPU_LOWERING(block_linear_wgrad);

/* lower_norm.c */
RV_GPU_LOWERING(layer_norm);
RV_GPU_LOWERING(layer_norm_backward);
RV_GPU_LOWERING(rms_norm);
RV_GPU_LOWERING(rms_norm_backward);
RV_GPU_LOWERING(norm_wgrad);

/* lower_gru.c */
RV_GPU_LOWERING(gru_cell);
RV_GPU_LOWERING(gru_cell_backward);
RV_GPU_LOWERING(block_gru);
RV_GPU_LOWERING(block_gru_backward);

#endif
