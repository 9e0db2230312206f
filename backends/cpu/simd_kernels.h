/* backends/cpu/simd_kernels.h: the ops that have a fast kernel. */
#ifndef RV_BACKENDS_CPU_SIMD_KERNELS_H
#define RV_BACKENDS_CPU_SIMD_KERNELS_H

#include "backends/cpu/fast.h"
#include "backends/cpu/simd.h"

/* X(op, name) */
#define RV_FAST_OPS(X)                                                                                        \
    X(MAP1, map1) X(MAP2, map2) X(WHERE, where) X(FILL, fill) X(COPY, copy) X(CONCAT_COLS, concat_cols)       \
    X(GATHER, gather) X(REDUCE_COLS, reduce_cols) X(REDUCE_ROWS, reduce_rows) X(REDUCE_ALL, reduce_all)       \
    X(SOFTMAX, softmax) X(SOFTMAX_BACKWARD, softmax_backward) X(MATMUL, matmul) X(UNIFORM, uniform)           \
    X(NORMAL, normal) X(LINEAR, linear) X(LINEAR_WGRAD, linear_wgrad) X(LAYER_NORM, layer_norm)               \
    X(LAYER_NORM_BACKWARD, layer_norm_backward) X(RMS_NORM, rms_norm) X(RMS_NORM_BACKWARD, rms_norm_backward) \
    X(NORM_WGRAD, norm_wgrad) X(SAMPLE_NORMAL, sample_normal)                                                 \
    X(SAMPLE_NORMAL_BACKWARD, sample_normal_backward) X(KL_NORMAL, kl_normal)                                 \
    X(KL_NORMAL_BACKWARD, kl_normal_backward) X(MSE, mse) X(MSE_BACKWARD, mse_backward)                       \
    X(GAUSSIAN_NLL, gaussian_nll) X(GAUSSIAN_NLL_BACKWARD, gaussian_nll_backward)                             \
    X(BERNOULLI_NLL, bernoulli_nll) X(BERNOULLI_NLL_BACKWARD, bernoulli_nll_backward)                         \
    X(GLOBAL_NORM, global_norm) X(ADAMW, adamw) X(EMA, ema) X(GRU_CELL, gru_cell)                             \
    X(GRU_CELL_BACKWARD, gru_cell_backward) X(BLOCK_LINEAR, block_linear)                                     \
    X(BLOCK_LINEAR_BACKWARD, block_linear_backward) X(BLOCK_LINEAR_WGRAD, block_linear_wgrad)                 \
    X(BLOCK_GRU, block_gru) X(BLOCK_GRU_BACKWARD, block_gru_backward) X(SEGMENT_NORMS, segment_norms)         \
    X(LAPROP, laprop)                                                                                         \
    X(CATEGORICAL, categorical) X(SAMPLE_CATEGORICAL, sample_categorical)                                     \
    X(CATEGORICAL_LOG_PROB, categorical_log_prob) X(CATEGORICAL_BACKWARD, categorical_backward)               \
    X(KL_CATEGORICAL, kl_categorical) X(KL_CATEGORICAL_BACKWARD, kl_categorical_backward)                     \
    X(TWOHOT_NLL, twohot_nll) X(TWOHOT_NLL_BACKWARD, twohot_nll_backward) X(TWOHOT_MEAN, twohot_mean)         \
    X(LAMBDA_RETURN, lambda_return) X(LAMBDA_RETURN_BACKWARD, lambda_return_backward) X(CUMPROD, cumprod)

#define RV_DECLARE_KERNEL(op, name) extern const rv_kernel RV_NAME(rv_##name##_kernel);
RV_FAST_OPS(RV_DECLARE_KERNEL)
#undef RV_DECLARE_KERNEL

#endif
