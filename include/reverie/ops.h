/* reverie/ops.h: the ops that a graph records.
 *
 *     rv_tensor h = rv_linear1(x, w1, b1, RV_SILU);                       // [B, H]
 *     rv_tensor y = rv_linear1(h, w2, b2, RV_LINEAR);                     // [B, C]
 *     rv_tensor loss = rv_mean(rv_mse(y, target), RV_ALL);                // [1, 1]
 *
 * Every function takes tensors of one graph and appends one op. Shapes are [rows, cols];
 * f32 unless said otherwise. A wrong shape or type poisons the result (graph.h).
 *
 * Broadcast: where two or three inputs are combined elementwise, one with 1 row is repeated
 * over the rows and one with 1 column over the columns; everything else must match.
 *
 * [exp.] marks fused ops: each has an expansion in basic ops that defines it
 * (rv_plan_options.expand), and a kernel of its own on every backend.
 */
#ifndef REVERIE_OPS_H
#define REVERIE_OPS_H

#include "reverie/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- elementwise, one input ---------------------------------------------------------- */

RV_API rv_tensor rv_neg(rv_tensor x);
RV_API rv_tensor rv_abs(rv_tensor x);      /* gradient sign(x), 0 at 0 */
RV_API rv_tensor rv_sign(rv_tensor x);     /* -1, 0, 1; no gradient */
RV_API rv_tensor rv_exp(rv_tensor x);
RV_API rv_tensor rv_log(rv_tensor x);
RV_API rv_tensor rv_sqrt(rv_tensor x);
RV_API rv_tensor rv_square(rv_tensor x);
RV_API rv_tensor rv_reciprocal(rv_tensor x);
RV_API rv_tensor rv_sin(rv_tensor x);
RV_API rv_tensor rv_cos(rv_tensor x);
RV_API rv_tensor rv_tanh(rv_tensor x);
RV_API rv_tensor rv_sigmoid(rv_tensor x);
RV_API rv_tensor rv_softplus(rv_tensor x); /* log(1 + exp(x)) */
RV_API rv_tensor rv_silu(rv_tensor x);     /* x sigmoid(x) */
RV_API rv_tensor rv_relu(rv_tensor x);     /* gradient 0 at 0 */
RV_API rv_tensor rv_elu(rv_tensor x);      /* x, or exp(x) - 1 below 0 */
RV_API rv_tensor rv_gelu(rv_tensor x);     /* tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
RV_API rv_tensor rv_symlog(rv_tensor x);   /* sign(x) log(1 + |x|), DreamerV3 */
RV_API rv_tensor rv_symexp(rv_tensor x);   /* sign(x) (exp(|x|) - 1) */
RV_API rv_tensor rv_clamp(rv_tensor x, float low, float high); /* gradient 1 inside and on the bounds, else 0 */
RV_API rv_tensor rv_affine(rv_tensor x, float scale, float offset); /* scale x + offset; also i32 with whole numbers */
RV_API rv_tensor rv_cast(rv_tensor x, rv_dtype to); /* f32, i32, u8 among each other, towards zero; gradient f32 only */

/* ---- elementwise, two and three inputs, with broadcast ------------------------------- */

RV_API rv_tensor rv_add(rv_tensor a, rv_tensor b); /* add, sub, mul, min, max, less…: f32 or i32 */
RV_API rv_tensor rv_sub(rv_tensor a, rv_tensor b);
RV_API rv_tensor rv_mul(rv_tensor a, rv_tensor b);
RV_API rv_tensor rv_div(rv_tensor a, rv_tensor b); /* f32 */
RV_API rv_tensor rv_mod(rv_tensor a, rv_tensor b); /* i32, floor: result in [0, b) for b > 0; 0 for b = 0 */
RV_API rv_tensor rv_min(rv_tensor a, rv_tensor b); /* a tie's gradient goes to a */
RV_API rv_tensor rv_max(rv_tensor a, rv_tensor b);
RV_API rv_tensor rv_less(rv_tensor a, rv_tensor b);    /* 1 or 0, f32; no gradient */
RV_API rv_tensor rv_equal(rv_tensor a, rv_tensor b);   /* 1 or 0, f32; no gradient */
RV_API rv_tensor rv_where(rv_tensor condition, rv_tensor a, rv_tensor b); /* a where condition != 0, else b */

/* ---- shape --------------------------------------------------------------------------- */

RV_API rv_tensor rv_fill(rv_graph *graph, int64_t rows, int64_t cols, float value);
RV_API rv_tensor rv_broadcast(rv_tensor x, int64_t rows, int64_t cols); /* from 1 row and / or 1 column, any type */
RV_API rv_tensor rv_slice_cols(rv_tensor x, int64_t first, int64_t count); /* a view, any type */
RV_API rv_tensor rv_slice_rows(rv_tensor x, int64_t first, int64_t count); /* a view, any type */
RV_API rv_tensor rv_reshape(rv_tensor x, int64_t rows, int64_t cols);      /* row-major, any type; a view where x has no gaps */
RV_API rv_tensor rv_concat_cols(const rv_tensor *x, int count); /* 1 to 8 inputs of equal rows, any type; copies */
RV_API rv_tensor rv_concat_rows(const rv_tensor *x, int count); /* 1 to 8 inputs of equal columns, any type; copies */
RV_API rv_tensor rv_transpose(rv_tensor x); /* any type */
RV_API rv_tensor rv_gather(rv_tensor table, rv_tensor index); /* row index[r] of table, any type; index i32 [R, 1], clamped into it */
RV_API rv_tensor rv_scatter_add(rv_tensor x, rv_tensor index, int64_t rows); /* gather's gradient: [rows, cols], added in row order */
RV_API rv_tensor rv_stop_gradient(rv_tensor x);

/* ---- reductions: fixed trees, the same bits on every run ------------------------------- */

typedef enum rv_axis { RV_ROWS = 0, RV_COLS = 1, RV_ALL = 2 } rv_axis; /* the axis that goes */

RV_API rv_tensor rv_sum(rv_tensor x, rv_axis over);  /* over rows -> [1, C], over cols -> [R, 1], all -> [1, 1] */
RV_API rv_tensor rv_mean(rv_tensor x, rv_axis over); /* of nothing: 0 */
RV_API rv_tensor rv_reduce_max(rv_tensor x, rv_axis over); /* gradient to the first of equal ones; of nothing: -inf */
RV_API rv_tensor rv_reduce_min(rv_tensor x, rv_axis over); /* of nothing: +inf */
RV_API rv_tensor rv_softmax(rv_tensor x);     /* over each row */
RV_API rv_tensor rv_log_softmax(rv_tensor x);

/* The q-quantile of all elements with linear interpolation (numpy's default), exact, [1, 1]; no gradient. */
RV_API rv_tensor rv_quantile(rv_tensor x, float q);

/* ---- contractions ---------------------------------------------------------------------- */

/* op(a) [M, K] times op(b) [K, N], op = transpose where the flag is 1. */
RV_API rv_tensor rv_matmul(rv_tensor a, rv_tensor b, int transpose_a, int transpose_b);

typedef enum rv_activation {
    RV_LINEAR = 0, RV_RELU, RV_ELU, RV_TANH, RV_SIGMOID, RV_SOFTPLUS, RV_SILU, RV_GELU, RV_ACTIVATION_COUNT
} rv_activation;

/* [exp.] activation([x0 | x1 | ..] w + bias), one to four inputs side by side that are never
 * joined in memory. w [sum of their columns, N], bias [1, N] or RV_NONE. */
RV_API rv_tensor rv_linear(const rv_tensor *x, int count, rv_tensor w, rv_tensor bias, rv_activation activation);
RV_API rv_tensor rv_linear1(rv_tensor x, rv_tensor w, rv_tensor bias, rv_activation activation);

/* [exp.] activation((x - mean) / sqrt(variance + eps) * scale + bias) over each row;
 * scale [1, C], bias [1, C] or RV_NONE. Ba et al., 2016; torch.nn.LayerNorm. */
RV_API rv_tensor rv_layer_norm(rv_tensor x, rv_tensor scale, rv_tensor bias, float eps, rv_activation activation);

/* [exp.] activation(x / sqrt(mean(x^2) + eps) * scale) over each row. Zhang and Sennrich, 2019. */
RV_API rv_tensor rv_rms_norm(rv_tensor x, rv_tensor scale, float eps, rv_activation activation);

/* [exp.] One step of torch.nn.GRUCell: x [B, I], h [B, H], w_x [I, 3H], w_h [H, 3H], b_x and b_h [1, 3H],
 * gates in the order reset, update, new (torch's matrices transposed):
 * r = s(x Wr + br + h Ur + cr), z likewise, n = tanh(x Wn + bn + r (h Un + cn)), h' = (1 - z) n + z h. */
RV_API rv_tensor rv_gru_cell(rv_tensor x, rv_tensor h, rv_tensor w_x, rv_tensor w_h, rv_tensor b_x, rv_tensor b_h);

/* [exp.] DreamerV3's BlockLinear: `blocks` linear layers side by side that also share inputs.
 * Block g sees its own columns of `own` [B, blocks * D] (the g-th D of them) and all of the 0 to 3
 * `shared` inputs [B, ..], K columns together, and gives the g-th N / blocks columns of the result [B, N]:
 * activation([own_g | shared0 | ..] w_g + bias_g). w [blocks * K, N / blocks] holds the blocks' matrices
 * [K, N / blocks] one below the other, bias [1, N] or RV_NONE; blocks 1 to 64. Nothing is joined in memory.
 * RV_INIT_TRUNCATED over w's rows is then the reference's initialiser, whose fan-in is the full input size. */
RV_API rv_tensor rv_block_linear(rv_tensor own, const rv_tensor *shared, int shared_count, int blocks, rv_tensor w,
                                 rv_tensor bias, rv_activation activation);

/* [exp.] The gates of DreamerV3's block GRU: gates [B, 3 D] from a block linear, each block's columns split into
 * reset | candidate | update, h [B, D]; blocks must divide D. r = s(reset), c = tanh(r candidate),
 * u = s(update - 1), h' = u c + (1 - u) h, [B, D]. Hafner et al., 2023 (rssm.py: _core). */
RV_API rv_tensor rv_block_gru(rv_tensor gates, rv_tensor h, int blocks);

/* ---- noise (random.h); `state` is rv_random_state, no gradient ------------------------- */

RV_API rv_tensor rv_uniform(rv_tensor state, const char *name, uint32_t t, int64_t rows, int64_t cols);
RV_API rv_tensor rv_normal(rv_tensor state, const char *name, uint32_t t, int64_t rows, int64_t cols);
/* i32 in [0, limit), limit i32 [1, 1] (at least 1): floor(bits * limit / 2^32). */
RV_API rv_tensor rv_uniform_index(rv_tensor state, const char *name, uint32_t t, int64_t rows, int64_t cols, rv_tensor limit);

/* [exp.] value = mean + exp(logvar / 2) * normal(state, name, t), all [B, Z]; log_prob [B, 1] of the value
 * under that normal; kl [B, 1] from it to the standard normal (Kingma and Welling, 2014, appendix B).
 * Gradients flow to mean and logvar through all three; what is not used is not computed. */
typedef struct rv_normal_sample {
    rv_tensor value, log_prob, kl;
} rv_normal_sample;
RV_API rv_normal_sample rv_sample_normal(rv_tensor mean, rv_tensor logvar, rv_tensor state, const char *name, uint32_t t);

/* ---- likelihoods and divergences: [B, C] -> [B, 1], sums over the columns --------------- */

RV_API rv_tensor rv_kl_normal(rv_tensor mean_p, rv_tensor logvar_p, rv_tensor mean_q, rv_tensor logvar_q); /* [exp.] KL(p || q) */
RV_API rv_tensor rv_mse(rv_tensor prediction, rv_tensor target);                   /* [exp.] mean over the columns of (p - t)^2 */
RV_API rv_tensor rv_gaussian_nll(rv_tensor mean, rv_tensor logvar, rv_tensor target); /* [exp.] with the constant log(2 pi) / 2 */
RV_API rv_tensor rv_bernoulli_nll(rv_tensor logits, rv_tensor target);             /* [exp.] softplus(l) - t l */

/* ---- health ------------------------------------------------------------------------------ */

/* Sets the device's sticky flag when an element of x is NaN or infinite, unless it is set already;
 * its name becomes names[column], or names[0] where name_count is 1. Ops recorded afterwards that
 * honour the flag (rv_params_adamw, rv_params_ema, rv_store_rows) then keep the old values. */
RV_API void rv_watch(rv_tensor x, const char *const *names, int name_count);

#ifdef __cplusplus
}
#endif
#endif
