/* tests/test_ops_shapes.c: every op's rule of shapes and types: what it gives, what it refuses and
 * how the message says so; poison, missing inputs and inputs of another device at every position. */
#include "tests/support/suite.h"

#include <string.h>

#include "core/internal.h"
#include "reverie/ops_dreamer.h"

static rv_device *device, *other_device;
static rv_graph *graph, *other_graph;
static rv_array *table; /* f32 [8, 3] */

/* Inputs of the ops below. Counted, so that one of them can be replaced. */
static int input_number, replaced; /* replaced: -1 none */
static rv_tensor replacement;

static rv_tensor input(rv_dtype dtype, int64_t rows, int64_t cols) {
    rv_tensor x = rv_cast(rv_fill(graph, rows, cols, 1.0f), dtype);
    return input_number++ == replaced ? replacement : x;
}
static rv_tensor f(int64_t rows, int64_t cols) { return input(RV_F32, rows, cols); }
static rv_tensor n(int64_t rows, int64_t cols) { return input(RV_I32, rows, cols); }
static rv_tensor u(int64_t rows, int64_t cols) { return input(RV_U8, rows, cols); }

static rv_tensor sample(rv_tensor mean, rv_tensor logvar, rv_tensor state, int output) {
    rv_normal_sample s = rv_sample_normal(mean, logvar, state, "z", 0);
    return output == 0 ? s.value : output == 1 ? s.log_prob : s.kl;
}

static rv_tensor classes(rv_tensor logits, rv_tensor state, int output) {
    rv_categorical_sample s = rv_sample_categorical(logits, 3, 0.01f, state, "z", 0);
    return output == 0 ? s.value : output == 1 ? s.log_prob : s.entropy;
}

static rv_tensor adamw(rv_tensor value, rv_tensor gradient, rv_tensor m, rv_tensor v, rv_tensor lr, rv_tensor updates,
                       rv_tensor norm) {
    rv_tensor out[3];
    rv_adamw(value, gradient, m, v, lr, updates, norm, 0.9f, 0.999f, 1e-8f, 0, 1, out);
    return out[2];
}

static rv_tensor laprop(rv_tensor value, rv_tensor gradient, rv_tensor lr, rv_tensor updates, rv_tensor norms,
                        rv_tensor owner, float agc) {
    rv_tensor out[3], moment = rv_fill(graph, 1, 12, 1);
    rv_laprop((rv_tensor[]){value, gradient, moment, moment, lr, updates, norms, owner},
              &(rv_laprop_settings){0.9, 0.999, 1e-20f, 0, agc, 1e-3f}, out);
    return out[2];
}

static rv_tensor wgrad(rv_tensor dpre, rv_tensor x0, rv_tensor x1) {
    rv_tensor dbias;
    return rv_linear_wgrad(dpre, (rv_tensor[]){x0, x1}, 2, &dbias);
}

/* Ops without a result give a [1, 1], poisoned where the graph is. */
static rv_tensor after(void) {
    return rv_graph_status(graph) == RV_OK ? rv_fill(graph, 1, 1, 0) : (rv_tensor){graph, 0};
}
static rv_tensor store_rows(rv_tensor x, rv_tensor index) {
    rv_store_rows(table, x, index);
    return after();
}
static rv_tensor watch(rv_tensor x, int count) {
    rv_watch(x, (const char *const[]){"a", "b", "c"}, count);
    return after();
}

/* X(name, recording, rows, cols, type): what fits. */
#define FITTING(X)                                                                                                     \
    X(neg, rv_neg(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(abs, rv_abs(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(sign, rv_sign(f(4, 3)), 4, 3, RV_F32)                                                                            \
    X(exp, rv_exp(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(log, rv_log(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(sqrt, rv_sqrt(f(4, 3)), 4, 3, RV_F32)                                                                            \
    X(square, rv_square(f(4, 3)), 4, 3, RV_F32)                                                                        \
    X(reciprocal, rv_reciprocal(f(4, 3)), 4, 3, RV_F32)                                                                \
    X(sin, rv_sin(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(cos, rv_cos(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(tanh, rv_tanh(f(4, 3)), 4, 3, RV_F32)                                                                            \
    X(sigmoid, rv_sigmoid(f(4, 3)), 4, 3, RV_F32)                                                                      \
    X(softplus, rv_softplus(f(4, 3)), 4, 3, RV_F32)                                                                    \
    X(silu, rv_silu(f(4, 3)), 4, 3, RV_F32)                                                                            \
    X(relu, rv_relu(f(4, 3)), 4, 3, RV_F32)                                                                            \
    X(elu, rv_elu(f(4, 3)), 4, 3, RV_F32)                                                                              \
    X(gelu, rv_gelu(f(4, 3)), 4, 3, RV_F32)                                                                            \
    X(symlog, rv_symlog(f(4, 3)), 4, 3, RV_F32)                                                                        \
    X(symexp, rv_symexp(f(0, 3)), 0, 3, RV_F32)                                                                        \
    X(clamp, rv_clamp(f(4, 3), -1, 1), 4, 3, RV_F32)                                                                   \
    X(affine, rv_affine(f(4, 3), 2, 1), 4, 3, RV_F32)                                                                  \
    X(affine_i32, rv_affine(n(4, 3), 2, -1), 4, 3, RV_I32)                                                             \
    X(cast, rv_cast(u(4, 3), RV_F32), 4, 3, RV_F32)                                                                    \
    X(add, rv_add(f(4, 3), f(1, 3)), 4, 3, RV_F32)                                                                     \
    X(add_i32, rv_add(n(4, 1), n(1, 3)), 4, 3, RV_I32)                                                                 \
    X(sub, rv_sub(f(1, 1), f(4, 3)), 4, 3, RV_F32)                                                                     \
    X(mul, rv_mul(f(4, 1), f(4, 3)), 4, 3, RV_F32)                                                                     \
    X(div, rv_div(f(4, 3), f(1, 1)), 4, 3, RV_F32)                                                                     \
    X(mod, rv_mod(n(4, 1), n(1, 1)), 4, 1, RV_I32)                                                                     \
    X(min, rv_min(f(0, 3), f(1, 3)), 0, 3, RV_F32)                                                                     \
    X(max, rv_max(n(4, 3), n(4, 3)), 4, 3, RV_I32)                                                                     \
    X(less, rv_less(n(4, 3), n(4, 3)), 4, 3, RV_F32)                                                                   \
    X(equal, rv_equal(f(4, 3), f(4, 1)), 4, 3, RV_F32)                                                                 \
    X(where, rv_where(f(4, 1), f(1, 3), f(1, 1)), 4, 3, RV_F32)                                                        \
    X(broadcast, rv_broadcast(n(4, 1), 4, 7), 4, 7, RV_I32)                                                            \
    X(slice_cols, rv_slice_cols(u(4, 3), 1, 2), 4, 2, RV_U8)                                                           \
    X(slice_rows, rv_slice_rows(f(4, 3), 4, 0), 0, 3, RV_F32)                                                          \
    X(reshape, rv_reshape(f(4, 3), 2, 6), 2, 6, RV_F32)                                                                \
    X(reshape_slice, rv_reshape(rv_slice_cols(f(4, 3), 0, 2), 2, 4), 2, 4, RV_F32)                                     \
    X(concat_cols, rv_concat_cols((rv_tensor[]){f(4, 3), f(4, 1)}, 2), 4, 4, RV_F32)                                   \
    X(concat_rows, rv_concat_rows((rv_tensor[]){n(4, 3), n(0, 3)}, 2), 4, 3, RV_I32)                                   \
    X(transpose, rv_transpose(f(4, 3)), 3, 4, RV_F32)                                                                  \
    X(gather, rv_gather(u(9, 3), n(4, 1)), 4, 3, RV_U8)                                                                \
    X(scatter_add, rv_scatter_add(f(4, 3), n(4, 1), 9), 9, 3, RV_F32)                                                  \
    X(stop_gradient, rv_stop_gradient(n(4, 3)), 4, 3, RV_I32)                                                          \
    X(sum_rows, rv_sum(f(4, 3), RV_ROWS), 1, 3, RV_F32)                                                                \
    X(mean_cols, rv_mean(f(4, 3), RV_COLS), 4, 1, RV_F32)                                                              \
    X(max_all, rv_reduce_max(f(4, 3), RV_ALL), 1, 1, RV_F32)                                                           \
    X(min_rows, rv_reduce_min(f(4, 3), RV_ROWS), 1, 3, RV_F32)                                                         \
    X(softmax, rv_softmax(f(4, 3)), 4, 3, RV_F32)                                                                      \
    X(log_softmax, rv_log_softmax(f(4, 3)), 4, 3, RV_F32)                                                              \
    X(quantile, rv_quantile(f(4, 3), 0.95f), 1, 1, RV_F32)                                                             \
    X(matmul, rv_matmul(f(4, 3), f(3, 5), 0, 0), 4, 5, RV_F32)                                                         \
    X(matmul_tn, rv_matmul(f(3, 4), f(3, 5), 1, 0), 4, 5, RV_F32)                                                      \
    X(matmul_nt, rv_matmul(f(4, 3), f(5, 3), 0, 1), 4, 5, RV_F32)                                                      \
    X(matmul_tt, rv_matmul(f(3, 4), f(5, 3), 1, 1), 4, 5, RV_F32)                                                      \
    X(linear, rv_linear((rv_tensor[]){f(4, 3), f(4, 2)}, 2, f(5, 6), f(1, 6), RV_SILU), 4, 6, RV_F32)                  \
    X(linear1, rv_linear1(f(0, 3), f(3, 6), f(1, 6), RV_RELU), 0, 6, RV_F32)                                           \
    X(linear_wgrad, wgrad(f(4, 6), f(4, 3), f(4, 2)), 5, 6, RV_F32)                                                    \
    X(layer_norm, rv_layer_norm(f(4, 3), f(1, 3), f(1, 3), 1e-5f, RV_TANH), 4, 3, RV_F32)                              \
    X(rms_norm, rv_rms_norm(f(4, 3), f(1, 3), 1e-5f, RV_LINEAR), 4, 3, RV_F32)                                         \
    X(gru_cell, rv_gru_cell(f(4, 3), f(4, 5), f(3, 15), f(5, 15), f(1, 15), f(1, 15)), 4, 5, RV_F32)                   \
    X(uniform, rv_uniform(n(1, 4), "u", 0, 4, 3), 4, 3, RV_F32)                                                        \
    X(normal, rv_normal(n(1, 4), "e", 0, 4, 3), 4, 3, RV_F32)                                                          \
    X(uniform_index, rv_uniform_index(n(1, 4), "i", 0, 4, 1, n(1, 1)), 4, 1, RV_I32)                                   \
    X(sample_value, sample(f(4, 3), f(4, 3), n(1, 4), 0), 4, 3, RV_F32)                                                \
    X(sample_log_prob, sample(f(4, 3), f(4, 3), n(1, 4), 1), 4, 1, RV_F32)                                             \
    X(sample_kl, sample(f(4, 3), f(4, 3), n(1, 4), 2), 4, 1, RV_F32)                                                   \
    X(kl_normal, rv_kl_normal(f(4, 3), f(4, 3), f(4, 3), f(4, 3)), 4, 1, RV_F32)                                       \
    X(mse, rv_mse(f(4, 3), f(4, 3)), 4, 1, RV_F32)                                                                     \
    X(gaussian_nll, rv_gaussian_nll(f(4, 3), f(4, 3), f(4, 3)), 4, 1, RV_F32)                                          \
    X(bernoulli_nll, rv_bernoulli_nll(f(4, 3), f(4, 3)), 4, 1, RV_F32)                                                 \
    X(sample_classes, classes(f(4, 6), n(1, 4), 0), 4, 6, RV_F32)                                                      \
    X(sample_classes_log_prob, classes(f(4, 6), n(1, 4), 1), 4, 1, RV_F32)                                             \
    X(sample_classes_entropy, classes(f(4, 6), n(1, 4), 2), 4, 1, RV_F32)                                              \
    X(categorical_log_prob, rv_categorical_log_prob(f(4, 6), 3, 0.01f, f(4, 6)), 4, 1, RV_F32)                         \
    X(categorical_entropy, rv_categorical_entropy(f(4, 6), 6, 0), 4, 1, RV_F32)                                        \
    X(categorical_mode, rv_categorical_mode(f(4, 6), 1), 4, 6, RV_F32)                                                 \
    X(kl_categorical, rv_kl_categorical(f(4, 6), f(4, 6), 2, 1), 4, 1, RV_F32)                                         \
    X(free_nats, rv_free_nats(f(4, 1), 1), 4, 1, RV_F32)                                                               \
    X(twohot_nll, rv_twohot_nll(f(4, 7), f(4, 1), f(1, 7)), 4, 1, RV_F32)                                              \
    X(twohot_mean, rv_twohot_mean(f(4, 2), f(1, 2)), 4, 1, RV_F32)                                                     \
    X(lambda_return, rv_lambda_return(f(4, 3), f(4, 3), f(4, 4), 0.95f), 4, 3, RV_F32)                                 \
    X(cumprod, rv_cumprod(f(4, 3), 0), 4, 3, RV_F32)                                                                   \
    X(cumprod_exclusive, rv_cumprod(f(4, 1), 1), 4, 1, RV_F32)                                                         \
    X(global_norm, rv_global_norm(f(4, 3)), 1, 1, RV_F32)                                                              \
    X(block_linear, rv_block_linear(f(4, 6), (rv_tensor[]){f(4, 5), f(4, 2)}, 2, 3, f(27, 7), f(1, 21), RV_SILU), 4,   \
      21, RV_F32)                                                                                                      \
    X(block_linear_own, rv_block_linear(f(4, 6), NULL, 0, 2, f(6, 5), f(1, 10), RV_TANH), 4, 10, RV_F32)               \
    X(block_gru, rv_block_gru(f(4, 18), f(4, 6), 3), 4, 6, RV_F32)                                                     \
    X(adamw, adamw(f(1, 9), f(1, 9), f(1, 9), f(1, 9), f(1, 1), n(1, 1), f(1, 1)), 1, 9, RV_F32)                       \
    X(segment_norms, rv_segment_norms(f(1, 12), f(1, 12), n(4, 1), 2), 2, 2, RV_F32)                                   \
    X(laprop, laprop(f(1, 12), f(1, 12), f(1, 1), n(1, 1), f(2, 2), n(4, 1), 0.3f), 1, 12, RV_F32)                     \
    X(ema, rv_ema(f(1, 9), f(1, 9), 0.5f), 1, 9, RV_F32)                                                               \
    X(store_rows, store_rows(f(4, 3), n(4, 1)), 1, 1, RV_F32)                                                          \
    X(watch, watch(f(4, 3), 3), 1, 1, RV_F32)                                                                          \
    X(watch_one, watch(f(4, 7), 1), 1, 1, RV_F32)

/* X(name, recording, status, op, part): what is refused, the op and a part of the message. */
#define REFUSED(X)                                                                                                     \
    X(exp_type, rv_exp(n(4, 3)), TYPE_MISMATCH, "exp", "x is i32, f32 would fit")                                      \
    X(affine_whole, rv_affine(n(4, 3), 0.5f, 0), INVALID_ARGUMENT, "affine", "scale 0.5")                              \
    X(clamp_order, rv_clamp(f(4, 3), 1, -1), INVALID_ARGUMENT, "clamp", "low 1")                                       \
    X(cast_type, rv_cast(f(4, 3), (rv_dtype)7), INVALID_ARGUMENT, "cast", "7 is no type")                              \
    X(add_shape, rv_add(f(4, 3), f(3, 4)), SHAPE_MISMATCH, "add", "a is [4, 3], b is [3, 4]")                          \
    X(add_zero, rv_add(f(0, 3), f(2, 3)), SHAPE_MISMATCH, "add", "a is [0, 3], b is [2, 3]")                           \
    X(add_type, rv_add(f(4, 3), n(4, 3)), TYPE_MISMATCH, "add", "b is i32, f32 would fit")                             \
    X(div_type, rv_div(n(4, 3), n(4, 3)), TYPE_MISMATCH, "div", "a is i32")                                            \
    X(mod_type, rv_mod(f(4, 3), f(4, 3)), TYPE_MISMATCH, "mod", "a is f32, i32 would fit")                             \
    X(less_type, rv_less(u(4, 3), u(4, 3)), TYPE_MISMATCH, "less", "a is u8")                                          \
    X(where_shape, rv_where(f(4, 3), f(2, 3), f(1, 1)), SHAPE_MISMATCH, "where", "a is [2, 3]")                        \
    X(where_type, rv_where(n(4, 3), f(4, 3), f(1, 1)), TYPE_MISMATCH, "where", "condition is i32")                     \
    X(fill_rows, rv_fill(graph, -1, 3, 0), INVALID_ARGUMENT, "fill", "[-1, 3]")                                        \
    X(fill_cols, rv_fill(graph, 3, 0, 0), INVALID_ARGUMENT, "fill", "[3, 0]")                                          \
    X(fill_large, rv_fill(graph, INT64_MAX / 2, 3, 0), TOO_LARGE, "fill", "4611686018427387903")                       \
    X(broadcast_shape, rv_broadcast(f(4, 3), 8, 3), SHAPE_MISMATCH, "broadcast", "x is [4, 3], wanted is [8, 3]")      \
    X(slice_outside, rv_slice_cols(f(4, 3), 2, 2), SHAPE_MISMATCH, "slice_cols", "2 columns from 2 on")                \
    X(slice_negative, rv_slice_rows(f(4, 3), -1, 2), SHAPE_MISMATCH, "slice_rows", "from -1 on")                       \
    X(slice_overflow, rv_slice_rows(f(4, 3), 1, INT64_MAX), SHAPE_MISMATCH, "slice_rows", "x [4, 3]")                  \
    X(slice_none, rv_slice_cols(f(4, 3), 0, 0), SHAPE_MISMATCH, "slice_cols", "0 columns")                             \
    X(reshape_count, rv_reshape(f(4, 3), 5, 2), SHAPE_MISMATCH, "reshape", "x is [4, 3], which [5, 2]")                \
    X(reshape_overflow, rv_reshape(f(4, 3), INT64_MAX, 12), SHAPE_MISMATCH, "reshape", "x is [4, 3]")                  \
    X(concat_cols_shape, rv_concat_cols((rv_tensor[]){f(4, 3), f(5, 1)}, 2), SHAPE_MISMATCH, "concat_cols",            \
      "x1 is [5, 1], [4, any] would fit")                                                                              \
    X(concat_rows_shape, rv_concat_rows((rv_tensor[]){f(4, 3), f(4, 1)}, 2), SHAPE_MISMATCH, "concat_rows",            \
      "x1 is [4, 1], [any, 3] would fit")                                                                              \
    X(concat_type, rv_concat_cols((rv_tensor[]){f(4, 3), n(4, 3)}, 2), TYPE_MISMATCH, "concat_cols", "x1 is i32")      \
    X(concat_count, rv_concat_cols((rv_tensor[]){f(4, 3)}, 9), INVALID_ARGUMENT, "concat_cols", "9 inputs")            \
    X(gather_type, rv_gather(f(9, 3), f(4, 1)), TYPE_MISMATCH, "gather", "index is f32, i32 would fit")                \
    X(gather_shape, rv_gather(f(9, 3), n(1, 4)), SHAPE_MISMATCH, "gather", "index is [1, 4], [any, 1] would fit")      \
    X(scatter_shape, rv_scatter_add(f(4, 3), n(5, 1), 9), SHAPE_MISMATCH, "scatter_add", "[4, 1] would fit")           \
    X(scatter_rows, rv_scatter_add(f(4, 3), n(4, 1), -9), INVALID_ARGUMENT, "scatter_add", "[-9, 3]")                  \
    X(sum_axis, rv_sum(f(4, 3), (rv_axis)3), INVALID_ARGUMENT, "sum", "3 is no axis")                                  \
    X(mean_type, rv_mean(u(4, 3), RV_ALL), TYPE_MISMATCH, "mean", "x is u8")                                           \
    X(softmax_type, rv_softmax(n(4, 3)), TYPE_MISMATCH, "softmax", "x is i32")                                         \
    X(quantile_range, rv_quantile(f(4, 3), 1.5f), INVALID_ARGUMENT, "quantile", "q is 1.5")                            \
    X(matmul_shape, rv_matmul(f(4, 3), f(4, 5), 0, 0), SHAPE_MISMATCH, "matmul", "a is [4, 3], b is [4, 5]")           \
    X(matmul_transposed, rv_matmul(f(4, 3), f(3, 5), 1, 0), SHAPE_MISMATCH, "matmul", "a is [4, 3] transposed")        \
    X(linear_w, rv_linear1(f(4, 3), f(4, 6), f(1, 6), RV_RELU), SHAPE_MISMATCH, "linear", "w is [4, 6]; w needs 3")    \
    X(linear_bias, rv_linear1(f(4, 3), f(3, 6), f(1, 5), RV_RELU), SHAPE_MISMATCH, "linear",                           \
      "bias is [1, 5], [1, 6] would fit")                                                                              \
    X(linear_rows, rv_linear((rv_tensor[]){f(4, 3), f(5, 3)}, 2, f(6, 6), f(1, 6), RV_RELU), SHAPE_MISMATCH, "linear", \
      "x1 is [5, 3], [4, any] would fit")                                                                              \
    X(linear_count, rv_linear((rv_tensor[]){f(4, 3)}, 5, f(3, 6), f(1, 6), RV_RELU), INVALID_ARGUMENT, "linear",       \
      "5 inputs; it takes 1 to 4")                                                                                     \
    X(linear_activation, rv_linear1(f(4, 3), f(3, 6), f(1, 6), (rv_activation)99), INVALID_ARGUMENT, "linear", "99")   \
    X(wgrad_rows, wgrad(f(5, 6), f(4, 3), f(4, 2)), SHAPE_MISMATCH, "linear_wgrad", "dpre is [5, 6]")                  \
    X(layer_norm_scale, rv_layer_norm(f(4, 3), f(1, 4), f(1, 3), 0, RV_RELU), SHAPE_MISMATCH, "layer_norm",            \
      "scale is [1, 4], [1, 3] would fit")                                                                             \
    X(layer_norm_eps, rv_layer_norm(f(4, 3), f(1, 3), f(1, 3), -1, RV_RELU), INVALID_ARGUMENT, "layer_norm",           \
      "eps is -1")                                                                                                     \
    X(rms_norm_scale, rv_rms_norm(f(4, 3), f(3, 1), 0, RV_RELU), SHAPE_MISMATCH, "rms_norm", "scale is [3, 1]")        \
    X(gru_weights, rv_gru_cell(f(4, 3), f(4, 5), f(3, 15), f(5, 5), f(1, 15), f(1, 15)), SHAPE_MISMATCH, "gru_cell",   \
      "w_h is [5, 5], [5, 15] would fit")                                                                              \
    X(block_linear_rows, rv_block_linear(f(4, 6), NULL, 0, 2, f(5, 5), RV_NONE, RV_LINEAR), SHAPE_MISMATCH,            \
      "block_linear", "w is [5, 5]")                                                                                   \
    X(block_linear_own, rv_block_linear(f(4, 7), NULL, 0, 2, f(6, 5), RV_NONE, RV_LINEAR), SHAPE_MISMATCH,             \
      "block_linear", "own is [4, 7]; a multiple of 2")                                                                \
    X(block_linear_shared, rv_block_linear(f(4, 6), (rv_tensor[]){f(3, 1)}, 1, 2, f(8, 5), RV_NONE, RV_LINEAR),        \
      SHAPE_MISMATCH, "block_linear", "shared 0 is [3, 1], [4, any]")                                                  \
    X(block_linear_many, rv_block_linear(f(4, 6), NULL, 4, 2, f(6, 5), RV_NONE, RV_LINEAR), INVALID_ARGUMENT,          \
      "block_linear", "0 to 3")                                                                                        \
    X(block_linear_none, rv_block_linear(f(4, 6), NULL, 0, 0, f(6, 5), RV_NONE, RV_LINEAR), INVALID_ARGUMENT,          \
      "block_linear", "0 blocks; 1 to 64")                                                                             \
    X(block_linear_bias, rv_block_linear(f(4, 6), NULL, 0, 2, f(6, 5), f(1, 5), RV_LINEAR), SHAPE_MISMATCH,            \
      "block_linear", "bias is [1, 5], [1, 10]")                                                                       \
    X(block_gru_gates, rv_block_gru(f(4, 12), f(4, 6), 2), SHAPE_MISMATCH, "block_gru", "gates is [4, 12], [4, 18]")   \
    X(block_gru_blocks, rv_block_gru(f(4, 18), f(4, 6), 4), SHAPE_MISMATCH, "block_gru", "h is [4, 6]; a multiple")    \
    X(gru_state, rv_gru_cell(f(4, 3), f(7, 5), f(3, 15), f(5, 15), f(1, 15), f(1, 15)), SHAPE_MISMATCH, "gru_cell",    \
      "h is [7, 5], [4, any] would fit")                                                                               \
    X(normal_state, rv_normal(n(1, 3), "e", 0, 4, 3), SHAPE_MISMATCH, "normal", "state is [1, 3]")                     \
    X(normal_name, rv_normal(n(1, 4), "", 0, 4, 3), INVALID_ARGUMENT, "normal", "name")                                \
    X(normal_size, rv_normal(n(1, 4), "e", 0, 4, 0), INVALID_ARGUMENT, "normal", "[4, 0]")                             \
    X(uniform_type, rv_uniform(f(1, 4), "u", 0, 4, 3), TYPE_MISMATCH, "uniform", "state is f32")                       \
    X(index_limit, rv_uniform_index(n(1, 4), "i", 0, 4, 1, f(1, 1)), TYPE_MISMATCH, "uniform_index", "limit is f32")   \
    X(sample_shape, sample(f(4, 3), f(4, 2), n(1, 4), 0), SHAPE_MISMATCH, "sample_normal",                             \
      "logvar is [4, 2], [4, 3] would fit")                                                                            \
    X(kl_shape, rv_kl_normal(f(4, 3), f(4, 3), f(1, 3), f(4, 3)), SHAPE_MISMATCH, "kl_normal", "mean_q is [1, 3]")     \
    X(mse_shape, rv_mse(f(4, 3), f(4, 1)), SHAPE_MISMATCH, "mse", "target is [4, 1], [4, 3] would fit")                \
    X(gaussian_type, rv_gaussian_nll(f(4, 3), f(4, 3), n(4, 3)), TYPE_MISMATCH, "gaussian_nll", "target is i32")       \
    X(bernoulli_type, rv_bernoulli_nll(f(4, 3), u(4, 3)), TYPE_MISMATCH, "bernoulli_nll", "target is u8")              \
    X(classes_divide, classes(f(4, 7), n(1, 4), 0), SHAPE_MISMATCH, "sample_categorical", "[4, 7], which 3 classes")   \
    X(classes_state, classes(f(4, 6), n(4, 1), 0), SHAPE_MISMATCH, "sample_categorical", "state is [4, 1]")            \
    X(classes_given, classes(f(4, 6), f(4, 3), 0), SHAPE_MISMATCH, "sample_categorical", "uniforms is [4, 3], [4, 2]")   \
    X(classes_name, rv_sample_categorical(f(4, 6), 3, 0, n(1, 4), "", 0).value, INVALID_ARGUMENT,                      \
      "sample_categorical", "name")                                                                                    \
    X(classes_none, rv_categorical_mode(f(4, 6), 0), SHAPE_MISMATCH, "categorical_mode", "0 classes")                  \
    X(classes_onehot, rv_categorical_log_prob(f(4, 6), 3, 0, f(4, 3)), SHAPE_MISMATCH, "categorical_log_prob",         \
      "onehot is [4, 3], [4, 6] would fit")                                                                            \
    X(classes_unimix, rv_categorical_entropy(f(4, 6), 3, 1.5f), INVALID_ARGUMENT, "categorical_entropy", "unimix is 1.5")\
    X(kl_categorical_shape, rv_kl_categorical(f(4, 6), f(1, 6), 3, 0), SHAPE_MISMATCH, "kl_categorical",               \
      "logits_q is [1, 6], [4, 6] would fit")                                                                          \
    X(kl_categorical_type, rv_kl_categorical(f(4, 6), n(4, 6), 3, 0), TYPE_MISMATCH, "kl_categorical", "logits_q is i32")\
    X(nats_negative, rv_free_nats(f(4, 1), -1), INVALID_ARGUMENT, "free_nats", "nats is -1")                           \
    X(twohot_bins, rv_twohot_nll(f(4, 7), f(4, 1), f(7, 1)), SHAPE_MISMATCH, "twohot_nll", "bins is [7, 1], [1, 7]")   \
    X(twohot_target, rv_twohot_nll(f(4, 7), f(1, 1), f(1, 7)), SHAPE_MISMATCH, "twohot_nll", "target is [1, 1], [4, 1]")\
    X(twohot_one, rv_twohot_mean(f(4, 1), f(1, 1)), SHAPE_MISMATCH, "twohot_mean", "2 bins or more")                   \
    X(return_value, rv_lambda_return(f(4, 3), f(4, 3), f(4, 3), 1), SHAPE_MISMATCH, "lambda_return",                   \
      "value is [4, 3], [4, 4] would fit")                                                                             \
    X(return_lambda, rv_lambda_return(f(4, 3), f(4, 3), f(4, 4), 2), INVALID_ARGUMENT, "lambda_return", "lambda is 2") \
    X(cumprod_type, rv_cumprod(n(4, 3), 0), TYPE_MISMATCH, "cumprod", "x is i32, f32 would fit")                       \
    X(norm_type, rv_global_norm(n(4, 3)), TYPE_MISMATCH, "global_norm", "x is i32")                                    \
    X(adamw_shape, adamw(f(1, 9), f(1, 8), f(1, 9), f(1, 9), f(1, 1), n(1, 1), f(1, 1)), SHAPE_MISMATCH, "adamw",      \
      "gradient is [1, 8], [1, 9] would fit")                                                                          \
    X(segments_owner, rv_segment_norms(f(1, 12), f(1, 12), n(5, 1), 2), SHAPE_MISMATCH, "segment_norms",               \
      "owner is [5, 1]; its rows must divide 12")                                                                      \
    X(segments_none, rv_segment_norms(f(1, 12), f(1, 12), n(4, 1), 0), INVALID_ARGUMENT, "segment_norms",              \
      "0 segments")                                                                                                    \
    X(segments_type, rv_segment_norms(f(1, 12), f(1, 12), f(4, 1), 2), TYPE_MISMATCH, "segment_norms", "owner is f32") \
    X(laprop_shape, laprop(f(1, 12), f(1, 9), f(1, 1), n(1, 1), f(2, 2), n(4, 1), 0.3f), SHAPE_MISMATCH, "laprop",     \
      "gradient is [1, 9]")                                                                                            \
    X(laprop_norms, laprop(f(1, 12), f(1, 12), f(1, 1), n(1, 1), f(2, 1), n(4, 1), 0.3f), SHAPE_MISMATCH, "laprop",    \
      "norms is [2, 1]")                                                                                               \
    X(laprop_agc, laprop(f(1, 12), f(1, 12), f(1, 1), n(1, 1), f(2, 2), n(4, 1), -1), INVALID_ARGUMENT, "laprop",      \
      "agc -1")                                                                                                        \
    X(adamw_type, adamw(f(1, 9), f(1, 9), f(1, 9), f(1, 9), f(1, 1), f(1, 1), f(1, 1)), TYPE_MISMATCH, "adamw",        \
      "updates is f32, i32 would fit")                                                                                 \
    X(ema_rate, rv_ema(f(1, 9), f(1, 9), 2), INVALID_ARGUMENT, "ema", "rate is 2")                                     \
    X(ema_shape, rv_ema(f(1, 9), f(9, 1), 1), SHAPE_MISMATCH, "ema", "source is [9, 1], [1, 9] would fit")             \
    X(store_rows_shape, store_rows(f(4, 2), n(4, 1)), SHAPE_MISMATCH, "store_rows", "is [4, 2], [any, 3] would fit")   \
    X(store_rows_type, store_rows(n(4, 3), n(4, 1)), TYPE_MISMATCH, "store_rows", "is i32, f32 would fit")             \
    X(store_rows_index, store_rows(f(4, 3), n(3, 1)), SHAPE_MISMATCH, "store_rows", "index is [3, 1]")                 \
    X(watch_names, watch(f(4, 3), 2), SHAPE_MISMATCH, "watch", "x is [4, 3], 2 names")                                 \
    X(watch_type, watch(n(4, 3), 1), TYPE_MISMATCH, "watch", "x is i32")

#define RECORD_FITTING(name, recording, rows, cols, dtype) static rv_tensor fitting_##name(void) { return recording; }
FITTING(RECORD_FITTING)
#define RECORD_REFUSED(name, recording, status, op, part) static rv_tensor refused_##name(void) { return recording; }
REFUSED(RECORD_REFUSED)

typedef struct fitting {
    const char *name;
    rv_tensor (*record)(void);
    int64_t rows, cols;
    rv_dtype dtype;
} fitting;
#define FITTING_ROW(name, recording, rows, cols, dtype) {#name, fitting_##name, rows, cols, dtype},
static const fitting fittings[] = {FITTING(FITTING_ROW)};
enum { FITTING_COUNT = sizeof fittings / sizeof *fittings };

typedef struct refused {
    const char *name;
    rv_tensor (*record)(void);
    rv_status status;
    const char *op, *part;
} refused;
#define REFUSED_ROW(name, recording, status, op, part) {#name, refused_##name, RV_##status, op, part},
static const refused refusals[] = {REFUSED(REFUSED_ROW)};
enum { REFUSED_COUNT = sizeof refusals / sizeof *refusals };

/* Records with input `which` replaced; -1: none. */
static rv_tensor record_with(rv_tensor (*record)(void), int which, rv_tensor instead) {
    input_number = 0;
    replaced = which;
    replacement = instead;
    rv_tensor result = record();
    replaced = -1;
    return result;
}

static void begin(void) { assert_ok(rv_graph_create(device, &graph), rv_device_message(device)); }
static void end(void) { rv_graph_destroy(graph); }

static void test_fitting(void **state) {
    (void)state;
    for (int i = 0; i < FITTING_COUNT; i++) {
        const fitting *item = &fittings[i];
        begin();
        rv_tensor y = record_with(item->record, -1, RV_NONE);
        if (rv_graph_status(graph) != RV_OK || !y.id) fail_msg("%s: %s", item->name, rv_graph_message(graph));
        if (rv_tensor_rows(y) != item->rows || rv_tensor_cols(y) != item->cols || rv_tensor_dtype(y) != item->dtype) {
            fail_msg("%s gives [%lld, %lld] of type %d", item->name, (long long)rv_tensor_rows(y),
                     (long long)rv_tensor_cols(y), (int)rv_tensor_dtype(y));
        }
        end();
    }
}

static void test_refused(void **state) {
    (void)state;
    for (int i = 0; i < REFUSED_COUNT; i++) {
        const refused *item = &refusals[i];
        begin();
        rv_graph_push(graph, "encoder");
        rv_graph_push(graph, "0");
        rv_tensor y = record_with(item->record, -1, RV_NONE);
        const char *message = rv_graph_message(graph);
        if (y.id || rv_graph_status(graph) != item->status) fail_msg("%s: \"%s\"", item->name, message);
        assert_names(message, item->op);
        assert_names(message, item->part);
        assert_names(message, "encoder/0");
        end();
    }
}

/* Every input of every op: poison goes through and keeps the first message. */
static void test_poison_flows(void **state) {
    (void)state;
    for (int i = 0; i < FITTING_COUNT; i++) {
        for (int which = 0, count = 1; which < count; which++) {
            begin();
            rv_tensor poison = rv_slice_rows(rv_fill(graph, 1, 1, 0), 5, 5);
            assert_int_equal(poison.id, 0);
            rv_tensor y = record_with(fittings[i].record, which, poison);
            count = input_number;
            if (y.id) fail_msg("%s: poison of input %d is lost", fittings[i].name, which);
            assert_ptr_equal(y.graph, graph);
            assert_names(rv_graph_message(graph), "slice_rows");
            end();
        }
    }
}

static void test_missing_inputs(void **state) {
    (void)state;
    int optional = 0;
    for (int i = 0; i < FITTING_COUNT; i++) {
        for (int which = 0, count = 1; which < count; which++) {
            begin();
            rv_tensor y = record_with(fittings[i].record, which, RV_NONE);
            count = input_number;
            if (count > 1 && y.id) optional++; /* alone, a missing input has no graph to poison */
            else if (count > 1) assert_status(rv_graph_status(graph), RV_INVALID_ARGUMENT);
            end();
        }
    }
    assert_int_equal(optional, 5); /* the biases of linear, linear1, layer_norm and two block_linears */
}

/* Of ops with several inputs, each one from a graph on another device and from another graph. */
static void test_other_graphs(void **state) {
    (void)state;
    for (int foreign = 0; foreign < 2; foreign++) {
        for (int i = 0; i < FITTING_COUNT; i++) {
            for (int which = 0, count = 1; which < count; which++) {
                begin();
                assert_ok(rv_graph_create(foreign ? other_device : device, &other_graph), "");
                rv_tensor y = record_with(fittings[i].record, which, rv_fill(other_graph, 1, 1, 0));
                count = input_number;
                rv_status status = rv_graph_status(graph), other_status = rv_graph_status(other_graph);
                if (count > 1) {
                    if (y.id) fail_msg("%s: input %d may be of another graph", fittings[i].name, which);
                    assert_status(status, foreign ? RV_WRONG_DEVICE : RV_INVALID_ARGUMENT);
                    assert_status(other_status, foreign ? RV_WRONG_DEVICE : RV_INVALID_ARGUMENT);
                    assert_names(rv_graph_message(graph), "another graph");
                }
                rv_graph_destroy(other_graph);
                end();
            }
        }
    }
}

/* The table above is of use only where it is whole: all ops, with their gradients'. */
static void test_every_op(void **state) {
    (void)state;
    static bool met[RV_OP_COUNT];
    begin();
    for (int i = 0; i < FITTING_COUNT; i++) {
        rv_tensor x[16], y, gradient[16];
        int first = (int)graph->value_count;
        y = record_with(fittings[i].record, -1, RV_NONE);
        int count = 0;
        for (int id = first; id < (int)graph->value_count && count < 16; id++) {
            rv_tensor value = {graph, (uint32_t)id};
            if (graph->nodes[graph->values[id].node].op == RV_OP_FILL) x[count++] = value;
        }
        bool update = strcmp(fittings[i].name, "adamw") == 0 || strcmp(fittings[i].name, "ema") == 0 ||
                      strcmp(fittings[i].name, "linear_wgrad") == 0 ||
                      strcmp(fittings[i].name, "segment_norms") == 0 || strcmp(fittings[i].name, "laprop") == 0;
        if (rv_tensor_dtype(y) != RV_F32 || update) continue;
        assert_ok(rv_gradients(rv_sum(y, RV_ALL), x, count, NULL, 0, gradient), rv_graph_message(graph));
        for (int k = 0; k < count; k++) {
            assert_int_equal(rv_tensor_rows(gradient[k]), rv_tensor_rows(x[k]));
            assert_int_equal(rv_tensor_cols(gradient[k]), rv_tensor_cols(x[k]));
        }
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].op < RV_OP_COUNT) met[graph->nodes[i].op] = true;
    }
    for (int op = 0; op < RV_OP_COUNT; op++) {
        if (!met[op]) fail_msg("no row for %s", rv_op_info_get((rv_op)op)->name);
    }
    end();
}

/* Names are registered once, in a row, and shared by graphs that watch the same. */
static void test_watch_names(void **state) {
    (void)state;
    begin();
    uint32_t before = device->name_count;
    rv_tensor x = rv_fill(graph, 2, 2, 0);
    for (int i = 0; i < 3; i++) rv_watch(x, (const char *const[]){"loss", "kl"}, 2);
    assert_int_equal(device->name_count, before + 2);
    rv_watch(x, (const char *const[]){"kl"}, 1);
    assert_int_equal(device->name_count, before + 2);
    const rv_node *watch = NULL;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].op == RV_OP_WATCH) watch = &graph->nodes[i];
    }
    assert_non_null(watch);
    assert_int_equal(watch->attributes.i[0], 1 + before + 1);
    assert_int_equal(watch->attributes.i[1], 0);
    end();
}

int main(void) {
    if (rv_device_open("cpu:reference", NULL, &device) != RV_OK) return 1;
    if (rv_device_open("null", NULL, &other_device) != RV_OK) return 1;
    if (rv_array_create(device, RV_F32, 8, 3, "table", &table) != RV_OK) return 1;
    replaced = -1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fitting),      cmocka_unit_test(test_refused),        cmocka_unit_test(test_poison_flows),
        cmocka_unit_test(test_other_graphs), cmocka_unit_test(test_missing_inputs), cmocka_unit_test(test_every_op),
        cmocka_unit_test(test_watch_names),
    };
    int failed = cmocka_run_group_tests_name("ops_shapes", tests, NULL, NULL);
    rv_array_destroy(table);
    rv_device_close(other_device);
    rv_device_close(device);
    return failed;
}
