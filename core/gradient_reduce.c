/* core/gradient_reduce.c: gradients of reductions and softmax. */
#include "core/gradient_rules.h"

RV_GRADIENT_RULE(reduce) {
    rv_tensor x = context->in[0], dy = context->dout[0];
    int64_t rows = rv_tensor_rows(x), cols = rv_tensor_cols(x);
    rv_reduction reduction = (rv_reduction)context->attributes->i[0];
    if (reduction == RV_REDUCE_MEAN) {
        int64_t reduced = rv_tensor_rows(dy) * rv_tensor_cols(dy), all = rows * cols;
        dy = rv_fold_scale(dy, all > 0 && reduced > 0 ? (float)((double)reduced / (double)all) : 0.0f);
    } else if (reduction != RV_REDUCE_SUM) {
        rv_tensor inputs[] = {x, context->out[0], dy};
        din[0] = rv_append_one(context->graph, RV_OP_EXTREME_BACKWARD, inputs, 3, RV_F32, rows, cols, NULL);
        return;
    }
    din[0] = rv_fold_broadcast(dy, rows, cols);
}

RV_GRADIENT_RULE(softmax) {
    rv_tensor y = context->out[0], inputs[] = {y, context->dout[0]};
    din[0] = rv_append_one(context->graph, RV_OP_SOFTMAX_BACKWARD, inputs, 2, RV_F32, rv_tensor_rows(y),
                           rv_tensor_cols(y), context->attributes);
}
