/* core/gradient_return.c: gradients over rows of time. */
#include "core/gradient_rules.h"
#include "reverie/ops_dreamer.h"

RV_GRADIENT_RULE(lambda_return) {
    rv_tensor value = context->in[2], inputs[] = {context->in[1], value, context->out[0], context->dout[0]};
    rv_shape steps = {RV_F32, rv_tensor_rows(value), rv_tensor_cols(value) - 1}, states = {RV_F32, steps.rows, steps.cols + 1};
    din[0] = rv_append(context->graph, RV_OP_LAMBDA_RETURN_BACKWARD, inputs, 4, (rv_shape[]){steps, steps, states}, 3,
                       context->attributes);
    for (int i = 1; i < 3; i++) din[i] = rv_output(din[0], i);
}

/* One column later, and zeros in the last. */
static rv_tensor later(rv_tensor x) {
    rv_tensor zero = rv_fold_fill(x.graph, rv_tensor_rows(x), 1, 0);
    if (rv_tensor_cols(x) == 1) return zero;
    return rv_concat_cols((rv_tensor[]){rv_slice_cols(x, 1, rv_tensor_cols(x) - 1), zero}, 2);
}

/* dx_k = (product before k) s_k with s_k = dy_k + x_{k+1} s_{k+1}: a return with lambda 1. Exclusive: dy a column later. */
RV_GRADIENT_RULE(cumprod) {
    rv_tensor x = context->in[0], dy = context->attributes->i[0] ? later(context->dout[0]) : context->dout[0];
    rv_tensor nothing = rv_fold_fill(context->graph, rv_tensor_rows(x), rv_tensor_cols(x) + 1, 0);
    rv_tensor sums = rv_lambda_return(dy, later(x), nothing, 1);
    din[0] = rv_mul(rv_cumprod(x, 1), sums);
}
