/* core/gradient_loss.c: gradients of samples, likelihoods and divergences: one launch each. */
#include "core/gradient_rules.h"

static rv_shape shape_of(rv_tensor x) { return (rv_shape){RV_F32, rv_tensor_rows(x), rv_tensor_cols(x)}; }

RV_GRADIENT_RULE(sample_normal) {
    rv_shape shape = shape_of(context->in[0]);
    rv_tensor inputs[6];
    for (int i = 0; i < 3; i++) {
        inputs[i] = context->in[i];
        inputs[3 + i] = context->dout[i].id ? context->dout[i] : RV_NONE;
    }
    din[0] = rv_append(context->graph, RV_OP_SAMPLE_NORMAL_BACKWARD, inputs, 6, (rv_shape[]){shape, shape}, 2,
                       context->attributes);
    din[1] = rv_output(din[0], 1);
}

/* The op's inputs and dy. */
static rv_tensor backward(const rv_gradient_context *context, rv_op op, int outputs) {
    rv_shape shape = shape_of(context->in[0]), shapes[4] = {shape, shape, shape, shape};
    rv_tensor inputs[5];
    for (int i = 0; i < context->input_count; i++) inputs[i] = context->in[i];
    inputs[context->input_count] = context->dout[0];
    return rv_append(context->graph, op, inputs, context->input_count + 1, shapes, outputs, NULL);
}

RV_GRADIENT_RULE(kl_normal) {
    rv_tensor first = backward(context, RV_OP_KL_NORMAL_BACKWARD, 4);
    for (int i = 0; i < 4; i++) din[i] = rv_output(first, i);
}

RV_GRADIENT_RULE(mse) {
    din[0] = backward(context, RV_OP_MSE_BACKWARD, 1);
    if (context->wanted[1]) din[1] = rv_neg(din[0]);
}

RV_GRADIENT_RULE(gaussian_nll) {
    din[0] = backward(context, RV_OP_GAUSSIAN_NLL_BACKWARD, 2);
    din[1] = rv_output(din[0], 1);
    if (context->wanted[2]) din[2] = rv_neg(din[0]);
}

RV_GRADIENT_RULE(bernoulli_nll) {
    din[0] = backward(context, RV_OP_BERNOULLI_NLL_BACKWARD, 2);
    din[1] = rv_output(din[0], 1);
}
