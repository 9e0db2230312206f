/* backends/gpu/lowerings.h: the lowering of every op, by file. */
#ifndef RV_GPU_LOWERINGS_H
#define RV_GPU_LOWERINGS_H

#include "backends/gpu/lower.h"

#define RV_GPU_LOWERING(name) bool rv_gpu_lower_##name(const rv_gpu *gpu, const rv_launch *launch, bool slices, rv_gpu_stages *stages)

/* What most lowerings are: elementwise; a team a row of the first input (lower.c). */
bool rv_gpu_lower_by_elements(const rv_launch *launch, bool slices, rv_gpu_stages *stages, rv_gpu_function function);
bool rv_gpu_lower_by_teams(const rv_launch *launch, rv_gpu_stages *stages, rv_gpu_function function);

/* For an op that is called as its function is. */
#define RV_GPU_BY_ELEMENTS(name) \
    RV_GPU_LOWERING(name) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_##name); }
#define RV_GPU_BY_TEAMS(name) \
    RV_GPU_LOWERING(name) { return (void)gpu, (void)slices, rv_gpu_lower_by_teams(launch, stages, RV_GPU_##name); }

/* lower_map.c */
RV_GPU_LOWERING(map1);
RV_GPU_LOWERING(map2);
RV_GPU_LOWERING(where);
RV_GPU_LOWERING(fill);
RV_GPU_LOWERING(copy);

/* lower_reduce.c */
RV_GPU_LOWERING(reduce_cols);
RV_GPU_LOWERING(reduce_rows);
RV_GPU_LOWERING(reduce_all);
RV_GPU_LOWERING(global_norm);
RV_GPU_LOWERING(extreme_backward);
RV_GPU_LOWERING(watch);
RV_GPU_LOWERING(softmax);
RV_GPU_LOWERING(softmax_backward);
RV_GPU_LOWERING(quantile);

/* lower_update.c */
RV_GPU_LOWERING(adamw);
RV_GPU_LOWERING(segment_norms);
RV_GPU_LOWERING(laprop);
RV_GPU_LOWERING(ema);

/* lower_shape.c */
RV_GPU_LOWERING(transpose);
RV_GPU_LOWERING(concat_cols);
RV_GPU_LOWERING(concat_rows);
RV_GPU_LOWERING(gather);
RV_GPU_LOWERING(scatter_add);
RV_GPU_LOWERING(store_rows);

/* lower_loss.c */
RV_GPU_LOWERING(kl_normal);
RV_GPU_LOWERING(kl_normal_backward);
RV_GPU_LOWERING(mse);
RV_GPU_LOWERING(mse_backward);
RV_GPU_LOWERING(gaussian_nll);
RV_GPU_LOWERING(gaussian_nll_backward);
RV_GPU_LOWERING(bernoulli_nll);
RV_GPU_LOWERING(bernoulli_nll_backward);

/* lower_noise.c */
RV_GPU_LOWERING(uniform);
RV_GPU_LOWERING(normal);
RV_GPU_LOWERING(uniform_index);
RV_GPU_LOWERING(sample_normal);
RV_GPU_LOWERING(sample_normal_backward);

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

/* lower_categorical.c */
RV_GPU_LOWERING(categorical);
RV_GPU_LOWERING(sample_categorical);
RV_GPU_LOWERING(categorical_log_prob);
RV_GPU_LOWERING(categorical_backward);
RV_GPU_LOWERING(kl_categorical);
RV_GPU_LOWERING(kl_categorical_backward);

/* lower_return.c */
RV_GPU_LOWERING(lambda_return);
RV_GPU_LOWERING(lambda_return_backward);
RV_GPU_LOWERING(cumprod);
RV_GPU_LOWERING(twohot_nll);
RV_GPU_LOWERING(twohot_nll_backward);
RV_GPU_LOWERING(twohot_mean);

#endif
