/* core/expand_return.c: rows of time in basic ops, column by column. */
#include "core/expand.h"

static rv_tensor column(rv_tensor x, int64_t t) { return rv_slice_cols(x, t, 1); }

static rv_tensor beside(rv_tensor left, rv_tensor right) {
    if (!left.graph) return right;
    return right.graph ? rv_concat_cols((rv_tensor[]){left, right}, 2) : left;
}

/* (1 - lambda) value + lambda next */
static rv_tensor mixed(const rv_attributes *attributes, rv_tensor value, rv_tensor next) {
    return rv_add(rv_affine(value, attributes->f[1], 0), rv_affine(next, attributes->f[0], 0));
}

RV_EXPANSION(lambda_return) {
    (void)graph, (void)input_count;
    rv_tensor reward = in[0], going_on = in[1], value = in[2], all = RV_NONE;
    int64_t steps = rv_tensor_cols(reward);
    rv_tensor next = column(value, steps);
    for (int64_t t = steps; t-- > 0;) {
        next = rv_add(column(reward, t), rv_mul(column(going_on, t), mixed(attributes, column(value, t + 1), next)));
        all = beside(next, all);
    }
    out[0] = all;
}

RV_EXPANSION(lambda_return_backward) {
    (void)input_count;
    rv_tensor going_on = in[0], value = in[1], returns = in[2], dy = in[3], g = column(dy, 0), through = RV_NONE;
    int64_t steps = rv_tensor_cols(going_on);
    const float lambda = attributes->f[0], rest = attributes->f[1];
    out[0] = out[1] = RV_NONE;
    out[2] = rv_fill(graph, rv_tensor_rows(value), 1, 0);
    for (int64_t t = 0; t < steps; t++) {
        bool last = t + 1 == steps;
        if (t > 0) g = rv_add(column(dy, t), rv_affine(through, lambda, 0));
        through = rv_mul(g, column(going_on, t));
        rv_tensor next = last ? column(value, steps) : column(returns, t + 1);
        out[0] = beside(out[0], g);
        out[1] = beside(out[1], rv_mul(g, mixed(attributes, column(value, t + 1), next)));
        out[2] = beside(out[2], last ? mixed(attributes, through, through) : rv_affine(through, rest, 0));
    }
}

RV_EXPANSION(cumprod) {
    (void)input_count;
    rv_tensor x = in[0], product = attributes->i[0] ? rv_fill(graph, rv_tensor_rows(x), 1, 1) : column(x, 0), all = product;
    for (int64_t t = 1; t < rv_tensor_cols(x); t++) {
        product = rv_mul(product, column(x, attributes->i[0] ? t - 1 : t));
        all = beside(all, product);
    }
    out[0] = all;
}
