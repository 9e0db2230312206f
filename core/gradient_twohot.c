/* core/gradient_twohot.c: gradients of heads over bins. */
#include "core/gradient_rules.h"

RV_GRADIENT_RULE(twohot_nll) {
    rv_tensor logits = context->in[0], inputs[] = {logits, context->in[1], context->in[2], context->dout[0]};
    rv_shape shape = {RV_F32, rv_tensor_rows(logits), rv_tensor_cols(logits)}, column = {RV_F32, shape.rows, 1};
    din[0] = rv_append(context->graph, RV_OP_TWOHOT_NLL_BACKWARD, inputs, 4, (rv_shape[]){shape, column}, 2, NULL);
    din[1] = rv_output(din[0], 1);
}

/* Of softmax(logits) times bins; rarely asked for, so of ops that are there. */
RV_GRADIENT_RULE(twohot_mean) {
    rv_tensor p = rv_softmax(context->in[0]), inputs[] = {p, rv_mul(context->dout[0], context->in[1])};
    rv_attributes attributes = {0};
    din[0] = rv_append_one(context->graph, RV_OP_SOFTMAX_BACKWARD, inputs, 2, RV_F32, rv_tensor_rows(p),
                           rv_tensor_cols(p), &attributes);
}
