/* core/gradient_map.c: gradients of the elementwise ops. */
#include <float.h>
#include <math.h>

#include "core/gradient_rules.h"

rv_tensor rv_gradient_of_activation(rv_activation activation, rv_tensor dy, rv_tensor y, rv_tensor slope) {
    switch (activation) {
    case RV_RELU: return rv_map2(RV_MAP_D_RELU, dy, y, 0, 0);
    case RV_ELU: return rv_map2(RV_MAP_D_ELU, dy, y, 0, 0);
    case RV_TANH: return rv_map2(RV_MAP_D_TANH, dy, y, 0, 0);
    case RV_SIGMOID: return rv_map2(RV_MAP_D_SIGMOID, dy, y, 0, 0);
    case RV_SOFTPLUS: return rv_map2(RV_MAP_D_SOFTPLUS, dy, y, 0, 0);
    case RV_SILU:
    case RV_GELU: return rv_mul(dy, slope);
    default: return dy; /* linear */
    }
}

static rv_tensor d_map1(rv_map map, const float *f, rv_tensor dy, rv_tensor x, rv_tensor y) {
    switch ((int)map) {
    case RV_MAP_NEG: return rv_fold_scale(dy, -1);
    case RV_MAP_ABS: return rv_fold_mul(dy, rv_sign(x));
    case RV_MAP_EXP: return rv_fold_mul(dy, y);
    case RV_MAP_LOG: return rv_div(dy, x);
    case RV_MAP_SQRT: return rv_div(rv_fold_scale(dy, 0.5f), y);
    case RV_MAP_SQUARE: return rv_fold_mul(rv_fold_scale(dy, 2), x);
    case RV_MAP_RECIPROCAL: return rv_fold_mul(rv_fold_scale(dy, -1), rv_square(y));
    case RV_MAP_SIN: return rv_fold_mul(dy, rv_cos(x));
    case RV_MAP_COS: return rv_fold_mul(rv_fold_scale(dy, -1), rv_sin(x));
    case RV_MAP_TANH: return rv_map2(RV_MAP_D_TANH, dy, y, 0, 0);
    case RV_MAP_SIGMOID: return rv_map2(RV_MAP_D_SIGMOID, dy, y, 0, 0);
    case RV_MAP_SOFTPLUS: return rv_map2(RV_MAP_D_SOFTPLUS, dy, y, 0, 0);
    case RV_MAP_SILU: return rv_map2(RV_MAP_D_SILU, dy, x, 0, 0);
    case RV_MAP_RELU: return rv_map2(RV_MAP_D_RELU, dy, y, 0, 0);
    case RV_MAP_ELU: return rv_map2(RV_MAP_D_ELU, dy, y, 0, 0);
    case RV_MAP_GELU: return rv_map2(RV_MAP_D_GELU, dy, x, 0, 0);
    case RV_MAP_SYMLOG: return rv_map2(RV_MAP_D_SYMLOG, dy, x, 0, 0);
    case RV_MAP_SYMEXP: return rv_map2(RV_MAP_D_SYMEXP, dy, x, 0, 0);
    case RV_MAP_CLAMP: return rv_map2(RV_MAP_D_CLAMP, dy, x, f[0], f[1]);
    case RV_MAP_AFFINE: return rv_fold_scale(dy, f[0]);
    default: return RV_NONE; /* sign, cast */
    }
}

RV_GRADIENT_RULE(map1) {
    din[0] = d_map1((rv_map)context->attributes->i[0], context->attributes->f, context->dout[0], context->in[0],
                    context->out[0]);
}

/* The derivatives as of equal shapes; the rule sums what was broadcast. */
static rv_tensor d_map2(rv_map map, int input, rv_tensor dy, rv_tensor a, rv_tensor b, rv_tensor y) {
    bool first = input == 0;
    switch ((int)map) {
    case RV_MAP_ADD: return dy;
    case RV_MAP_SUB: return first ? dy : rv_fold_scale(dy, -1);
    case RV_MAP_MUL: return rv_fold_mul(dy, first ? b : a);
    case RV_MAP_DIV: return first ? rv_div(dy, b) : rv_fold_scale(rv_fold_mul(rv_div(dy, b), y), -1);
    case RV_MAP_MIN: return rv_fold_mul(dy, first ? rv_map2(RV_MAP_LESS_EQUAL, a, b, 0, 0) : rv_less(b, a));
    case RV_MAP_MAX: return rv_fold_mul(dy, first ? rv_map2(RV_MAP_LESS_EQUAL, b, a, 0, 0) : rv_less(a, b));
    default: return RV_NONE; /* compares */
    }
}

static bool is_derivative(rv_map map) { return map >= RV_MAP_D_RELU; }

RV_GRADIENT_RULE(map2) {
    rv_map map = (rv_map)context->attributes->i[0];
    if (is_derivative(map)) {
        rv_gradient_refused(context, din);
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (!context->wanted[i]) continue;
        rv_tensor d = d_map2(map, i, context->dout[0], context->in[0], context->in[1], context->out[0]);
        din[i] = rv_unbroadcast(d, rv_tensor_rows(context->in[i]), rv_tensor_cols(context->in[i]));
    }
}

RV_GRADIENT_RULE(where) {
    rv_tensor zero = rv_fold_fill(context->graph, 1, 1, 0), condition = context->in[0], dy = context->dout[0];
    for (int i = 1; i < 3; i++) {
        if (!context->wanted[i]) continue;
        rv_tensor d = i == 1 ? rv_where(condition, dy, zero) : rv_where(condition, zero, dy);
        din[i] = rv_unbroadcast(d, rv_tensor_rows(context->in[i]), rv_tensor_cols(context->in[i]));
    }
}

/* x / norm, and 0 where all of x is 0. */
RV_GRADIENT_RULE(global_norm) {
    rv_tensor norm = rv_clamp(context->out[0], FLT_MIN, INFINITY);
    din[0] = rv_fold_mul(rv_div(context->dout[0], norm), context->in[0]);
}
