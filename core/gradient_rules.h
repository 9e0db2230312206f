/* core/gradient_rules.h: the rule of each op, for the table in gradient.c.
 *
 * A rule gives din[i] for the inputs that are wanted; where it costs nothing it may give others too. */
#ifndef RV_CORE_GRADIENT_RULES_H
#define RV_CORE_GRADIENT_RULES_H

#include "core/fold.h"

#define RV_GRADIENT_RULE(name) void rv_gradient_##name(const rv_gradient_context *context, rv_tensor *din)

RV_GRADIENT_RULE(map1);
RV_GRADIENT_RULE(map2);
RV_GRADIENT_RULE(where);
RV_GRADIENT_RULE(copy);
RV_GRADIENT_RULE(transpose);
RV_GRADIENT_RULE(concat_cols);
RV_GRADIENT_RULE(concat_rows);
RV_GRADIENT_RULE(gather);
RV_GRADIENT_RULE(scatter_add);
RV_GRADIENT_RULE(reduce);
RV_GRADIENT_RULE(softmax);
RV_GRADIENT_RULE(matmul);
RV_GRADIENT_RULE(linear);
RV_GRADIENT_RULE(layer_norm);
RV_GRADIENT_RULE(rms_norm);
RV_GRADIENT_RULE(gru_cell);
RV_GRADIENT_RULE(block_linear);
RV_GRADIENT_RULE(block_gru);
RV_GRADIENT_RULE(sample_normal);
RV_GRADIENT_RULE(kl_normal);
RV_GRADIENT_RULE(mse);
RV_GRADIENT_RULE(gaussian_nll);
RV_GRADIENT_RULE(bernoulli_nll);
RV_GRADIENT_RULE(sample_categorical);
RV_GRADIENT_RULE(categorical_log_prob);
RV_GRADIENT_RULE(kl_categorical);
RV_GRADIENT_RULE(twohot_nll);
RV_GRADIENT_RULE(twohot_mean);
RV_GRADIENT_RULE(lambda_return);
RV_GRADIENT_RULE(cumprod);
RV_GRADIENT_RULE(global_norm);

/* For ops that are themselves part of a gradient or an update: says so instead of giving zeros. */
RV_GRADIENT_RULE(refused);

/* dy through an activation whose result is y and whose argument was pre. */
rv_tensor rv_gradient_of_activation(rv_activation activation, rv_tensor dy, rv_tensor y, rv_tensor slope);

/* Of an op that ends in an activation (i[0]) and gives y and slope: what flows to the activation's argument.
 * The slope is part of a gradient, and has none of its own. */
rv_tensor rv_gradient_of_argument(const rv_gradient_context *context);

#endif
