/* core/gradient_block.c: gradients of the block GRU's layers. */
#include "core/gradient_rules.h"

/* dx0 and, in one piece, what the blocks together send to the shared inputs. */
static void d_block_inputs(const rv_gradient_context *context, rv_tensor dpre, rv_tensor *din) {
    const int blocks = context->attributes->i[1], shared = context->input_count - 3;
    rv_tensor w = context->in[0], own = context->in[2], inputs[] = {dpre, w};
    int64_t rows = rv_tensor_rows(own), each = rv_tensor_cols(own) / blocks, rest = rv_tensor_rows(w) / blocks - each;
    rv_shape outputs[] = {{RV_F32, rows, rv_tensor_cols(own)}, {RV_F32, rows, rest}};
    rv_attributes attributes = {.i = {0, blocks, (int32_t)each}};
    din[2] =
        rv_append(context->graph, RV_OP_BLOCK_LINEAR_BACKWARD, inputs, 2, outputs, shared > 0 ? 2 : 1, &attributes);
    int64_t column = 0;
    for (int i = 3; i < context->input_count; i++) {
        int64_t cols = rv_tensor_cols(context->in[i]);
        din[i] = rv_slice_cols(rv_output(din[2], 1), column, cols);
        column += cols;
    }
}

RV_GRADIENT_RULE(block_linear) {
    rv_tensor dpre = rv_gradient_of_argument(context), dbias;
    bool inputs = false;
    for (int i = 2; i < context->input_count; i++) inputs = inputs || context->wanted[i];
    if (context->wanted[0] || context->wanted[1]) {
        din[0] = rv_block_linear_wgrad(dpre, context->in[2], context->in + 3, context->input_count - 3,
                                       context->attributes->i[1], &dbias);
        if (context->in[1].id) din[1] = dbias;
    }
    if (inputs) d_block_inputs(context, dpre, din);
}

RV_GRADIENT_RULE(block_gru) {
    rv_tensor gates = context->in[0], h = context->in[1], inputs[] = {context->dout[0], gates, h};
    rv_shape outputs[] = {{RV_F32, rv_tensor_rows(gates), rv_tensor_cols(gates)},
                          {RV_F32, rv_tensor_rows(h), rv_tensor_cols(h)}};
    din[0] = rv_append(context->graph, RV_OP_BLOCK_GRU_BACKWARD, inputs, 3, outputs, 2, context->attributes);
    din[1] = rv_output(din[0], 1);
}
