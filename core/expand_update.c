/* core/expand_update.c: the optimiser and averages in basic ops. */
#include <math.h>

#include "core/expand.h"

RV_EXPANSION(global_norm) {
    (void)graph, (void)attributes, (void)input_count;
    out[0] = rv_sqrt(rv_sum(rv_square(in[0]), RV_ALL));
}

/* 1 - beta^updates, as -(exp(updates log beta) - 1): early on beta^updates is close to 1. */
static rv_tensor bias_correction(rv_tensor updates, double beta) {
    return rv_neg(rv_elu(rv_affine(rv_cast(updates, RV_F32), (float)log(beta), 0)));
}

/* The old value where the non-finite flag is set. */
static rv_tensor unless_sick(rv_tensor health, rv_tensor old, rv_tensor new) {
    return rv_where(rv_cast(health, RV_F32), old, new);
}

RV_EXPANSION(adamw) {
    (void)input_count;
    rv_tensor value = in[0], gradient = in[1], m = in[2], v = in[3], lr = in[4], updates = in[5], norm = in[6],
              health = in[7];
    const float beta1 = attributes->f[0], beta2 = attributes->f[1], eps = attributes->f[2], clip = attributes->f[4];
    if (clip > 0) {
        rv_tensor scale = rv_div(rv_fill(graph, 1, 1, clip), rv_affine(norm, 1, 1e-6f));
        gradient = rv_mul(gradient, rv_clamp(scale, 0, 1));
    }
    rv_tensor new_m = rv_add(rv_affine(m, beta1, 0), rv_affine(gradient, 1 - beta1, 0));
    rv_tensor new_v = rv_add(rv_affine(v, beta2, 0), rv_affine(rv_square(gradient), 1 - beta2, 0));
    rv_tensor step = rv_div(lr, bias_correction(updates, (double)beta1));
    rv_tensor root = rv_div(rv_sqrt(new_v), rv_sqrt(bias_correction(updates, (double)beta2)));
    rv_tensor decayed = rv_mul(value, rv_affine(lr, -attributes->f[3], 1));
    rv_tensor moved = rv_sub(decayed, rv_mul(step, rv_div(new_m, rv_affine(root, 1, eps))));
    out[0] = unless_sick(health, value, moved);
    out[1] = unless_sick(health, m, new_m);
    out[2] = unless_sick(health, v, new_v);
}

static rv_tensor norms_of(rv_tensor x, rv_tensor owner, int64_t segments) {
    int64_t groups = rv_tensor_rows(owner);
    rv_tensor square = rv_square(rv_reshape(x, groups, rv_tensor_cols(x) / groups));
    return rv_sqrt(rv_scatter_add(rv_sum(square, RV_COLS), owner, segments));
}

RV_EXPANSION(segment_norms) {
    (void)graph, (void)input_count;
    const int64_t segments = attributes->i[0];
    out[0] = rv_concat_cols((rv_tensor[]){norms_of(in[0], in[2], segments), norms_of(in[1], in[2], segments)}, 2);
}

/* Each segment's gradient divided by max(1, norm / (agc max(smallest, value's norm))). */
static rv_tensor clip_by_segment(rv_tensor gradient, rv_tensor norms, rv_tensor owner, float agc, float smallest) {
    int64_t groups = rv_tensor_rows(owner), size = rv_tensor_cols(gradient);
    rv_tensor floor = rv_fill(gradient.graph, 1, 1, smallest), one = rv_fill(gradient.graph, 1, 1, 1);
    rv_tensor most = rv_affine(rv_max(rv_slice_cols(norms, 0, 1), floor), agc, 0);
    rv_tensor scale = rv_reciprocal(rv_max(rv_div(rv_slice_cols(norms, 1, 1), most), one));
    rv_tensor scaled = rv_mul(rv_reshape(gradient, groups, size / groups), rv_gather(scale, owner));
    return rv_reshape(scaled, 1, size);
}

RV_EXPANSION(laprop) {
    (void)graph, (void)input_count;
    rv_tensor value = in[0], gradient = in[1], m = in[2], v = in[3], lr = in[4], updates = in[5], health = in[8];
    const float *f = attributes->f;
    const double beta1 = 1 - (double)f[0], beta2 = 1 - (double)f[1];
    if (f[4] > 0) gradient = clip_by_segment(gradient, in[6], in[7], f[4], f[5]);
    rv_tensor new_v = rv_add(rv_affine(v, (float)beta2, 0), rv_affine(rv_square(gradient), f[1], 0));
    rv_tensor root = rv_sqrt(rv_div(new_v, bias_correction(updates, beta2)));
    rv_tensor direction = rv_div(gradient, rv_affine(root, 1, f[2]));
    rv_tensor new_m = rv_add(rv_affine(m, (float)beta1, 0), rv_affine(direction, f[0], 0));
    rv_tensor step = rv_add(rv_div(new_m, bias_correction(updates, beta1)), rv_affine(value, f[3], 0));
    out[0] = unless_sick(health, value, rv_sub(value, rv_mul(lr, step)));
    out[1] = unless_sick(health, m, new_m);
    out[2] = unless_sick(health, v, new_v);
}

RV_EXPANSION(ema) {
    (void)graph, (void)input_count;
    rv_tensor moved = rv_add(in[0], rv_affine(rv_sub(in[1], in[0]), attributes->f[0], 0));
    out[0] = unless_sick(in[2], in[0], moved);
}
