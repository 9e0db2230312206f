/* core/gradient_shape.c: gradients of what moves values without changing them. */
#include "core/gradient_rules.h"

rv_tensor rv_unbroadcast(rv_tensor gradient, int64_t rows, int64_t cols) {
    if (!gradient.graph || gradient.id == 0) return gradient;
    int64_t from_rows = rv_tensor_rows(gradient), from_cols = rv_tensor_cols(gradient);
    bool over_rows = from_rows != rows, over_cols = from_cols != cols;
    if (!over_rows && !over_cols) return gradient;
    float value;
    if (rv_fold_constant(gradient, &value)) {
        float repeats = (float)(over_rows ? from_rows : 1) * (float)(over_cols ? from_cols : 1);
        return rv_fold_fill(gradient.graph, rows, cols, value * repeats);
    }
    return rv_sum(gradient, over_rows && over_cols ? RV_ALL : over_rows ? RV_ROWS : RV_COLS);
}

RV_GRADIENT_RULE(copy) {
    if (context->attributes->i[0] == 1) return; /* a stop_gradient */
    din[0] = rv_unbroadcast(context->dout[0], rv_tensor_rows(context->in[0]), rv_tensor_cols(context->in[0]));
}

RV_GRADIENT_RULE(transpose) { din[0] = rv_transpose(context->dout[0]); }

RV_GRADIENT_RULE(concat_cols) {
    int64_t first = 0;
    for (int i = 0; i < context->input_count; i++) {
        int64_t count = rv_tensor_cols(context->in[i]);
        if (context->wanted[i]) din[i] = rv_slice_cols(context->dout[0], first, count);
        first += count;
    }
}

RV_GRADIENT_RULE(concat_rows) {
    int64_t first = 0;
    for (int i = 0; i < context->input_count; i++) {
        int64_t count = rv_tensor_rows(context->in[i]);
        if (context->wanted[i]) din[i] = rv_slice_rows(context->dout[0], first, count);
        first += count;
    }
}

RV_GRADIENT_RULE(gather) { din[0] = rv_scatter_add(context->dout[0], context->in[1], rv_tensor_rows(context->in[0])); }
RV_GRADIENT_RULE(scatter_add) { din[0] = rv_gather(context->dout[0], context->in[1]); }
