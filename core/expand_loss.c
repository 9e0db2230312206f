/* core/expand_loss.c: samples, likelihoods and divergences in basic ops. */
#include "core/expand.h"

static rv_tensor half(rv_tensor x) { return rv_affine(x, 0.5f, 0); }

/* x + constant: a float beside what it lacks of the constant, which only counts where f32 is held as double. */
static rv_tensor shift(rv_tensor x, double constant) {
    float most = (float)constant;
    return rv_affine(rv_affine(x, 1, most), 1, (float)(constant - (double)most));
}

/* log(2 pi) / 2 for each column of x */
static double normalizer(rv_tensor x) { return 0.91893853320467274 * (double)rv_tensor_cols(x); }

/* value = mean + exp(logvar / 2) noise; log p(value) = -(noise^2 + logvar + log(2 pi)) / 2;
 * kl = (exp(logvar) + mean^2 - 1 - logvar) / 2 */
RV_EXPANSION(sample_normal) {
    (void)graph, (void)input_count;
    rv_tensor mean = in[0], logvar = in[1];
    rv_tensor noise =
        rv_normal_stream(in[2], attributes->stream, attributes->t, rv_tensor_rows(mean), rv_tensor_cols(mean));
    out[0] = rv_add(mean, rv_mul(rv_exp(half(logvar)), noise));
    out[1] = shift(rv_sum(rv_affine(rv_add(rv_square(noise), logvar), -0.5f, 0), RV_COLS), -normalizer(mean));
    out[2] = rv_sum(rv_affine(rv_sub(rv_add(rv_exp(logvar), rv_square(mean)), logvar), 0.5f, -0.5f), RV_COLS);
}

static rv_tensor add_some(rv_tensor sum, rv_tensor more) { return sum.graph ? rv_add(sum, more) : more; }

/* dmean = dvalue + dkl mean; dlogvar = (dvalue std noise - dlog_prob + dkl (exp(logvar) - 1)) / 2 */
RV_EXPANSION(sample_normal_backward) {
    (void)input_count;
    rv_tensor mean = in[0], logvar = in[1], dvalue = in[3], dlog_prob = in[4], dkl = in[5];
    int64_t rows = rv_tensor_rows(mean), cols = rv_tensor_cols(mean);
    rv_tensor dmean = RV_NONE, dlogvar = RV_NONE;
    if (dvalue.graph) {
        rv_tensor noise = rv_normal_stream(in[2], attributes->stream, attributes->t, rows, cols);
        dmean = dvalue;
        dlogvar = half(rv_mul(dvalue, rv_mul(rv_exp(half(logvar)), noise)));
    }
    if (dlog_prob.graph) dlogvar = add_some(dlogvar, rv_broadcast(rv_affine(dlog_prob, -0.5f, 0), rows, cols));
    if (dkl.graph) {
        dmean = add_some(dmean, rv_mul(mean, dkl));
        dlogvar = add_some(dlogvar, rv_mul(rv_affine(rv_exp(logvar), 0.5f, -0.5f), dkl));
    }
    out[0] = dmean.graph ? dmean : rv_fill(graph, rows, cols, 0);
    out[1] = dlogvar.graph ? dlogvar : rv_fill(graph, rows, cols, 0);
}

/* ---- KL(p || q) = sum (exp(lp - lq) + (mp - mq)^2 exp(-lq) - 1 + lq - lp) / 2 ---- */

RV_EXPANSION(kl_normal) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor difference = rv_sub(in[0], in[2]), log_ratio = rv_sub(in[1], in[3]);
    rv_tensor distance = rv_mul(rv_square(difference), rv_exp(rv_neg(in[3])));
    rv_tensor twice = rv_sub(rv_add(rv_exp(log_ratio), distance), log_ratio);
    out[0] = rv_sum(rv_affine(twice, 0.5f, -0.5f), RV_COLS);
}

RV_EXPANSION(kl_normal_backward) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor difference = rv_sub(in[0], in[2]), ratio = rv_exp(rv_sub(in[1], in[3])), dy = in[4];
    rv_tensor scaled = rv_mul(difference, rv_exp(rv_neg(in[3])));
    out[0] = rv_mul(scaled, dy);
    out[1] = rv_mul(rv_affine(ratio, 0.5f, -0.5f), dy);
    out[2] = rv_neg(out[0]);
    out[3] = rv_mul(rv_affine(rv_add(ratio, rv_mul(scaled, difference)), -0.5f, 0.5f), dy);
}

/* ---- likelihoods ---- */

RV_EXPANSION(mse) {
    (void)graph, (void)attributes, (void)input_count;
    out[0] = rv_mean(rv_square(rv_sub(in[0], in[1])), RV_COLS);
}

RV_EXPANSION(mse_backward) {
    (void)attributes, (void)input_count;
    rv_tensor cols = rv_fill(graph, 1, 1, (float)rv_tensor_cols(in[0]));
    out[0] = rv_mul(rv_sub(in[0], in[1]), rv_div(rv_affine(in[2], 2, 0), cols));
}

/* (logvar + (target - mean)^2 exp(-logvar) + log(2 pi)) / 2 */
RV_EXPANSION(gaussian_nll) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor distance = rv_mul(rv_square(rv_sub(in[0], in[2])), rv_exp(rv_neg(in[1])));
    out[0] = shift(rv_sum(half(rv_add(distance, in[1])), RV_COLS), normalizer(in[0]));
}

RV_EXPANSION(gaussian_nll_backward) {
    (void)graph, (void)attributes, (void)input_count;
    rv_tensor difference = rv_sub(in[0], in[2]), dy = in[3];
    rv_tensor scaled = rv_mul(difference, rv_exp(rv_neg(in[1])));
    out[0] = rv_mul(scaled, dy);
    out[1] = rv_mul(rv_affine(rv_mul(scaled, difference), -0.5f, 0.5f), dy);
}

RV_EXPANSION(bernoulli_nll) {
    (void)graph, (void)attributes, (void)input_count;
    out[0] = rv_sum(rv_sub(rv_softplus(in[0]), rv_mul(in[1], in[0])), RV_COLS);
}

RV_EXPANSION(bernoulli_nll_backward) {
    (void)graph, (void)attributes, (void)input_count;
    out[0] = rv_mul(rv_sub(rv_sigmoid(in[0]), in[1]), in[2]);
    out[1] = rv_neg(rv_mul(in[0], in[2]));
}
