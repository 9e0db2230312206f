/* core/expand_contract.c: linear, the norms and the GRU cell in basic ops. */
#include "core/expand.h"
#include "core/gradient_rules.h"

/* d activation(x) / d x at x = pre, y = activation(pre). */
static rv_tensor slope_of(rv_activation activation, rv_tensor pre, rv_tensor y) {
    rv_tensor one = rv_fill(pre.graph, rv_tensor_rows(pre), rv_tensor_cols(pre), 1);
    if (activation == RV_SILU) return rv_map2(RV_MAP_D_SILU, one, pre, 0, 0);
    if (activation == RV_GELU) return rv_map2(RV_MAP_D_GELU, one, pre, 0, 0);
    return rv_gradient_of_activation(activation, one, y, RV_NONE);
}

void rv_expand_activation(const rv_attributes *attributes, rv_tensor pre, rv_tensor *out) {
    rv_activation activation = (rv_activation)attributes->i[0];
    out[0] = rv_activate(activation, pre);
    out[1] = slope_of(activation, pre, out[0]);
}

RV_EXPANSION(linear) {
    (void)graph;
    rv_tensor pre = rv_matmul(rv_join_cols(in + 2, input_count - 2), in[0], 0, 0);
    if (in[1].graph) pre = rv_add(pre, in[1]);
    rv_expand_activation(attributes, pre, out);
}

RV_EXPANSION(linear_wgrad) {
    (void)graph, (void)attributes;
    out[0] = rv_matmul(rv_join_cols(in + 1, input_count - 1), in[0], 1, 0);
    out[1] = rv_sum(in[0], RV_ROWS);
}

/* ---- norms ---- */

static rv_tensor reciprocal_root(rv_tensor mean_square, float eps) {
    return rv_reciprocal(rv_sqrt(rv_affine(mean_square, 1, eps)));
}

RV_EXPANSION(layer_norm) {
    (void)graph, (void)input_count;
    rv_tensor x = in[0], mean = rv_mean(x, RV_COLS), centred = rv_sub(x, mean);
    rv_tensor rstd = reciprocal_root(rv_mean(rv_square(centred), RV_COLS), attributes->f[0]);
    rv_tensor pre = rv_mul(rv_mul(centred, rstd), in[1]);
    if (in[2].graph) pre = rv_add(pre, in[2]);
    rv_expand_activation(attributes, pre, out);
    out[2] = mean;
    out[3] = rstd;
}

RV_EXPANSION(layer_norm_backward) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor dpre = in[0], x = in[1], scale = in[2], mean = in[3], rstd = in[4];
    rv_tensor normed = rv_mul(rv_sub(x, mean), rstd), d = rv_mul(dpre, scale);
    rv_tensor along = rv_mul(normed, rv_mean(rv_mul(d, normed), RV_COLS));
    out[0] = rv_mul(rv_sub(rv_sub(d, rv_mean(d, RV_COLS)), along), rstd);
}

RV_EXPANSION(rms_norm) {
    (void)graph, (void)input_count;
    rv_tensor x = in[0], rstd = reciprocal_root(rv_mean(rv_square(x), RV_COLS), attributes->f[0]);
    rv_tensor pre = rv_mul(rv_mul(x, rstd), in[1]);
    rv_expand_activation(attributes, pre, out);
    out[2] = rstd;
}

RV_EXPANSION(rms_norm_backward) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor dpre = in[0], x = in[1], scale = in[2], rstd = in[3];
    rv_tensor normed = rv_mul(x, rstd), d = rv_mul(dpre, scale);
    out[0] = rv_mul(rv_sub(d, rv_mul(normed, rv_mean(rv_mul(d, normed), RV_COLS))), rstd);
}

RV_EXPANSION(norm_wgrad) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor dpre = in[0], x = in[1], mean = in[2], rstd = in[3];
    rv_tensor normed = rv_mul(mean.graph ? rv_sub(x, mean) : x, rstd);
    out[0] = rv_sum(rv_mul(dpre, normed), RV_ROWS);
    out[1] = rv_sum(dpre, RV_ROWS);
}

/* ---- GRU cell ---- */

RV_EXPANSION(gru_cell) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor x = in[0], h = in[1];
    int64_t hidden = rv_tensor_cols(h);
    rv_tensor from_x = rv_add(rv_matmul(x, in[2], 0, 0), in[4]), from_h = rv_add(rv_matmul(h, in[3], 0, 0), in[5]);
    rv_tensor gates = rv_sigmoid(rv_add(rv_slice_cols(from_x, 0, 2 * hidden), rv_slice_cols(from_h, 0, 2 * hidden)));
    rv_tensor r = rv_slice_cols(gates, 0, hidden), z = rv_slice_cols(gates, hidden, hidden);
    rv_tensor candidate = rv_slice_cols(from_h, 2 * hidden, hidden);
    rv_tensor n = rv_tanh(rv_add(rv_slice_cols(from_x, 2 * hidden, hidden), rv_mul(r, candidate)));
    out[0] = rv_add(rv_mul(rv_affine(z, -1, 1), n), rv_mul(z, h));
    out[1] = rv_concat_cols((rv_tensor[]){gates, n, candidate}, 3);
}

RV_EXPANSION(gru_cell_backward) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor dy = in[0], h = in[1], saved = in[2];
    int64_t hidden = rv_tensor_cols(h);
    rv_tensor r = rv_slice_cols(saved, 0, hidden), z = rv_slice_cols(saved, hidden, hidden);
    rv_tensor n = rv_slice_cols(saved, 2 * hidden, hidden), candidate = rv_slice_cols(saved, 3 * hidden, hidden);
    rv_tensor dn = rv_map2(RV_MAP_D_TANH, rv_mul(dy, rv_affine(z, -1, 1)), n, 0, 0);
    rv_tensor dz = rv_map2(RV_MAP_D_SIGMOID, rv_mul(dy, rv_sub(h, n)), z, 0, 0);
    rv_tensor dr = rv_map2(RV_MAP_D_SIGMOID, rv_mul(dn, candidate), r, 0, 0);
    out[2] = rv_concat_cols((rv_tensor[]){dr, dz, dn}, 3);
    out[3] = rv_concat_cols((rv_tensor[]){dr, dz, rv_mul(dn, r)}, 3);
    out[0] = rv_matmul(out[2], in[3], 0, 1);
    out[1] = rv_add(rv_mul(dy, z), rv_matmul(out[3], in[4], 0, 1));
}
