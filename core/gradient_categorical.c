/* core/gradient_categorical.c: gradients of categorical variables: one launch each. */
#include "core/gradient_rules.h"

static rv_shape shape_of(rv_tensor x) { return (rv_shape){RV_F32, rv_tensor_rows(x), rv_tensor_cols(x)}; }
static rv_tensor flowing(rv_tensor dout) { return dout.id ? dout : RV_NONE; }

/* The drawn one-hot is held fixed in log_prob; through value flows p's own gradient. */
RV_GRADIENT_RULE(sample_categorical) {
    rv_shape shape = shape_of(context->in[0]);
    rv_tensor dlog_prob = flowing(context->dout[1]);
    rv_tensor inputs[] = {context->in[0], dlog_prob.graph ? context->out[0] : RV_NONE, flowing(context->dout[0]), dlog_prob,
                          flowing(context->dout[2])};
    din[0] = rv_append(context->graph, RV_OP_CATEGORICAL_BACKWARD, inputs, 5, (rv_shape[]){shape, shape}, 2,
                       context->attributes);
}

RV_GRADIENT_RULE(categorical_log_prob) {
    rv_shape shape = shape_of(context->in[0]);
    rv_tensor dlog_prob = flowing(context->dout[0]);
    rv_tensor inputs[] = {context->in[0], dlog_prob.graph ? context->in[1] : RV_NONE, RV_NONE, dlog_prob,
                          flowing(context->dout[1])};
    din[0] = rv_append(context->graph, RV_OP_CATEGORICAL_BACKWARD, inputs, 5, (rv_shape[]){shape, shape}, 2,
                       context->attributes);
    if (dlog_prob.graph) din[1] = rv_output(din[0], 1);
}

RV_GRADIENT_RULE(kl_categorical) {
    rv_shape shape = shape_of(context->in[0]);
    rv_tensor inputs[] = {context->in[0], context->in[1], context->dout[0]};
    din[0] = rv_append(context->graph, RV_OP_KL_CATEGORICAL_BACKWARD, inputs, 3, (rv_shape[]){shape, shape}, 2,
                       context->attributes);
    din[1] = rv_output(din[0], 1);
}
