/* core/gradient_contract.c: gradients of matmul, linear, the norms and the GRU cell. */
#include "core/gradient_rules.h"

RV_GRADIENT_RULE(matmul) {
    int ta = context->attributes->i[0], tb = context->attributes->i[1];
    rv_tensor a = context->in[0], b = context->in[1], dy = context->dout[0];
    if (context->wanted[0]) din[0] = ta ? rv_matmul(b, dy, tb, 1) : rv_matmul(dy, b, 0, !tb);
    if (context->wanted[1]) din[1] = tb ? rv_matmul(dy, a, 1, ta) : rv_matmul(a, dy, !ta, 0);
}

rv_tensor rv_gradient_of_argument(const rv_gradient_context *context) {
    if (context->dout[1].id) rv_gradient_refused(context, NULL);
    rv_activation activation = (rv_activation)context->attributes->i[0];
    return rv_gradient_of_activation(activation, context->dout[0], context->out[0], context->out[1]);
}

/* One matmul for each run of neighbouring inputs that are wanted: their gradients are views of it. */
static void d_linear_inputs(const rv_gradient_context *context, rv_tensor dpre, rv_tensor *din) {
    int64_t first = 0; /* row of w */
    for (int i = 2; i < context->input_count;) {
        int end = i;
        int64_t count = 0;
        while (end < context->input_count && context->wanted[end]) count += rv_tensor_cols(context->in[end++]);
        if (end == i) {
            first += rv_tensor_cols(context->in[i++]);
            continue;
        }
        rv_tensor dx = rv_matmul(dpre, rv_slice_rows(context->in[0], first, count), 0, 1);
        int64_t column = 0;
        for (; i < end; i++) {
            int64_t cols = rv_tensor_cols(context->in[i]);
            din[i] = rv_slice_cols(dx, column, cols);
            column += cols;
        }
        first += count;
    }
}

RV_GRADIENT_RULE(linear) {
    rv_tensor dpre = rv_gradient_of_argument(context), dbias;
    if (context->wanted[0] || context->wanted[1]) {
        din[0] = rv_linear_wgrad(dpre, context->in + 2, context->input_count - 2, &dbias);
        if (context->in[1].id) din[1] = dbias;
    }
    d_linear_inputs(context, dpre, din);
}

/* dscale and dbias in one launch; mean is RV_NONE for the RMS norm. */
static void d_norm_weights(const rv_gradient_context *context, rv_tensor dpre, rv_tensor mean, rv_tensor rstd,
                           rv_tensor *din) {
    bool bias = context->input_count > 2 && context->wanted[2];
    if (!context->wanted[1] && !bias) return;
    rv_shape row = {RV_F32, 1, rv_tensor_cols(context->in[0])};
    rv_tensor inputs[] = {dpre, context->in[0], mean, rstd};
    din[1] = rv_append(context->graph, RV_OP_NORM_WGRAD, inputs, 4, (rv_shape[]){row, row}, 2, NULL);
    if (bias) din[2] = rv_output(din[1], 1);
}

RV_GRADIENT_RULE(layer_norm) {
    rv_tensor dpre = rv_gradient_of_argument(context), mean = context->out[2],
              rstd = context->out[3];
    rv_tensor x = context->in[0], inputs[] = {dpre, x, context->in[1], mean, rstd};
    d_norm_weights(context, dpre, mean, rstd, din);
    if (!context->wanted[0]) return;
    din[0] = rv_append_one(context->graph, RV_OP_LAYER_NORM_BACKWARD, inputs, 5, RV_F32, rv_tensor_rows(x),
                           rv_tensor_cols(x), NULL);
}

RV_GRADIENT_RULE(rms_norm) {
    rv_tensor dpre = rv_gradient_of_argument(context), rstd = context->out[2];
    rv_tensor x = context->in[0], inputs[] = {dpre, x, context->in[1], rstd};
    d_norm_weights(context, dpre, RV_NONE, rstd, din);
    if (!context->wanted[0]) return;
    din[0] = rv_append_one(context->graph, RV_OP_RMS_NORM_BACKWARD, inputs, 4, RV_F32, rv_tensor_rows(x),
                           rv_tensor_cols(x), NULL);
}

RV_GRADIENT_RULE(gru_cell) {
    rv_tensor x = context->in[0], h = context->in[1];
    int64_t rows = rv_tensor_rows(x), hidden = rv_tensor_cols(h);
    rv_tensor inputs[] = {context->dout[0], h, context->out[1], context->in[2], context->in[3], x};
    rv_shape dx = {RV_F32, rows, rv_tensor_cols(x)}, dh = {RV_F32, rows, hidden}, gates = {RV_F32, rows, 3 * hidden};
    rv_tensor first =
        rv_append(context->graph, RV_OP_GRU_CELL_BACKWARD, inputs, 6, (rv_shape[]){dx, dh, gates, gates}, 4, NULL);
    din[0] = first;
    din[1] = rv_output(first, 1);
    if (context->wanted[2] || context->wanted[4]) din[2] = rv_linear_wgrad(rv_output(first, 2), &x, 1, &din[4]);
    if (context->wanted[3] || context->wanted[5]) din[3] = rv_linear_wgrad(rv_output(first, 3), &h, 1, &din[5]);
}
