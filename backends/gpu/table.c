/* backends/gpu/table.c: how each op is lowered. An op that is missing here has no kernel: its expansion runs. */
#include "backends/gpu/lowerings.h"

static const rv_gpu_lowering lowerings[RV_OP_COUNT] = {
    [RV_OP_MAP1] = rv_gpu_lower_map1,
    [RV_OP_MAP2] = rv_gpu_lower_map2,
    [RV_OP_WHERE] = rv_gpu_lower_where,
    [RV_OP_FILL] = rv_gpu_lower_fill,
    [RV_OP_COPY] = rv_gpu_lower_copy,
    [RV_OP_REDUCE_COLS] = rv_gpu_lower_reduce_cols,
    [RV_OP_REDUCE_ROWS] = rv_gpu_lower_reduce_rows,
    [RV_OP_REDUCE_ALL] = rv_gpu_lower_reduce_all,
    [RV_OP_EXTREME_BACKWARD] = rv_gpu_lower_extreme_backward,
    [RV_OP_WATCH] = rv_gpu_lower_watch,
    [RV_OP_SOFTMAX] = rv_gpu_lower_softmax,
    [RV_OP_SOFTMAX_BACKWARD] = rv_gpu_lower_softmax_backward,
    [RV_OP_QUANTILE] = rv_gpu_lower_quantile,
    [RV_OP_GLOBAL_NORM] = rv_gpu_lower_global_norm,
    [RV_OP_ADAMW] = rv_gpu_lower_adamw,
    [RV_OP_EMA] = rv_gpu_lower_ema,
    [RV_OP_TRANSPOSE] = rv_gpu_lower_transpose,
    [RV_OP_CONCAT_COLS] = rv_gpu_lower_concat_cols,
    [RV_OP_CONCAT_ROWS] = rv_gpu_lower_concat_rows,
    [RV_OP_GATHER] = rv_gpu_lower_gather,
    [RV_OP_SCATTER_ADD] = rv_gpu_lower_scatter_add,
    [RV_OP_STORE_ROWS] = rv_gpu_lower_store_rows,
    [RV_OP_KL_NORMAL] = rv_gpu_lower_kl_normal,
    [RV_OP_KL_NORMAL_BACKWARD] = rv_gpu_lower_kl_normal_backward,
    [RV_OP_MSE] = rv_gpu_lower_mse,
    [RV_OP_MSE_BACKWARD] = rv_gpu_lower_mse_backward,
    [RV_OP_GAUSSIAN_NLL] = rv_gpu_lower_gaussian_nll,
    [RV_OP_GAUSSIAN_NLL_BACKWARD] = rv_gpu_lower_gaussian_nll_backward,
    [RV_OP_BERNOULLI_NLL] = rv_gpu_lower_bernoulli_nll,
    [RV_OP_BERNOULLI_NLL_BACKWARD] = rv_gpu_lower_bernoulli_nll_backward,
    [RV_OP_UNIFORM] = rv_gpu_lower_uniform,
    [RV_OP_NORMAL] = rv_gpu_lower_normal,
    [RV_OP_UNIFORM_INDEX] = rv_gpu_lower_uniform_index,
    [RV_OP_SAMPLE_NORMAL] = rv_gpu_lower_sample_normal,
    [RV_OP_SAMPLE_NORMAL_BACKWARD] = rv_gpu_lower_sample_normal_backward,
    [RV_OP_MATMUL] = rv_gpu_lower_matmul,
    [RV_OP_LINEAR] = rv_gpu_lower_linear,
    [RV_OP_LINEAR_WGRAD] = rv_gpu_lower_linear_wgrad,
    [RV_OP_BLOCK_LINEAR] = rv_gpu_lower_block_linear,
    [RV_OP_BLOCK_LINEAR_BACKWARD] = rv_gpu_lower_block_linear_backward,
    [RV_OP_BLOCK_LINEAR_WGRAD] = rv_gpu_lower_block_linear_wgrad,
    [RV_OP_LAYER_NORM] = rv_gpu_lower_layer_norm,
    [RV_OP_LAYER_NORM_BACKWARD] = rv_gpu_lower_layer_norm_backward,
    [RV_OP_RMS_NORM] = rv_gpu_lower_rms_norm,
    [RV_OP_RMS_NORM_BACKWARD] = rv_gpu_lower_rms_norm_backward,
    [RV_OP_NORM_WGRAD] = rv_gpu_lower_norm_wgrad,
    [RV_OP_GRU_CELL] = rv_gpu_lower_gru_cell,
    [RV_OP_GRU_CELL_BACKWARD] = rv_gpu_lower_gru_cell_backward,
    [RV_OP_BLOCK_GRU] = rv_gpu_lower_block_gru,
    [RV_OP_BLOCK_GRU_BACKWARD] = rv_gpu_lower_block_gru_backward,
};

rv_gpu_lowering rv_gpu_lowering_of(rv_op op) { return (unsigned)op < RV_OP_COUNT ? lowerings[op] : NULL; }

bool rv_gpu_supports(rv_op op, const rv_attributes *attributes) {
    (void)attributes;
    return rv_gpu_lowering_of(op) != NULL;
}
