/* core/expand.h: the definition of each fused op, for the table in expand.c. */
#ifndef RV_CORE_EXPAND_H
#define RV_CORE_EXPAND_H

#include "core/record.h"

#define RV_EXPANSION(name)                                                                                             \
    void rv_expand_##name(rv_graph *graph, const rv_attributes *attributes, const rv_tensor *in, int input_count,      \
                          rv_tensor *out)

RV_EXPANSION(linear);
RV_EXPANSION(linear_wgrad);
RV_EXPANSION(layer_norm);
RV_EXPANSION(layer_norm_backward);
RV_EXPANSION(rms_norm);
RV_EXPANSION(rms_norm_backward);
RV_EXPANSION(norm_wgrad);
RV_EXPANSION(gru_cell);
RV_EXPANSION(gru_cell_backward);
RV_EXPANSION(block_linear);
RV_EXPANSION(block_linear_backward);
RV_EXPANSION(block_linear_wgrad);
RV_EXPANSION(block_gru);
RV_EXPANSION(block_gru_backward);
RV_EXPANSION(sample_normal);
RV_EXPANSION(sample_normal_backward);
RV_EXPANSION(kl_normal);
RV_EXPANSION(kl_normal_backward);
RV_EXPANSION(mse);
RV_EXPANSION(mse_backward);
RV_EXPANSION(gaussian_nll);
RV_EXPANSION(gaussian_nll_backward);
RV_EXPANSION(bernoulli_nll);
RV_EXPANSION(bernoulli_nll_backward);
RV_EXPANSION(sample_categorical);
RV_EXPANSION(categorical_log_prob);
RV_EXPANSION(categorical_backward);
RV_EXPANSION(kl_categorical);
RV_EXPANSION(kl_categorical_backward);
RV_EXPANSION(twohot_nll);
RV_EXPANSION(twohot_nll_backward);
RV_EXPANSION(twohot_mean);
RV_EXPANSION(lambda_return);
RV_EXPANSION(lambda_return_backward);
RV_EXPANSION(cumprod);
RV_EXPANSION(global_norm);
RV_EXPANSION(adamw);
RV_EXPANSION(segment_norms);
RV_EXPANSION(laprop);
RV_EXPANSION(ema);

/* activation(pre) and its slope, by attributes->i[0]. */
void rv_expand_activation(const rv_attributes *attributes, rv_tensor pre, rv_tensor *out);

#endif
