/* core/expand_block.c: the block GRU's layers in basic ops. */
#include "core/expand.h"
#include "core/gradient_rules.h"

enum { INPUTS_MAX = 4 };

/* What block g sees: its columns of the own input, and the shared ones. */
static rv_tensor inputs_of(const rv_tensor *x, int count, int blocks, int g) {
    int64_t each = rv_tensor_cols(x[0]) / blocks;
    rv_tensor seen[INPUTS_MAX] = {rv_slice_cols(x[0], g * each, each)};
    for (int i = 1; i < count; i++) seen[i] = x[i];
    return rv_join_cols(seen, count);
}

RV_EXPANSION(block_linear) {
    (void)graph;
    const int blocks = attributes->i[1];
    int64_t inner = rv_tensor_rows(in[0]) / blocks;
    rv_tensor parts[RV_BLOCKS_MAX];
    for (int g = 0; g < blocks; g++) {
        rv_tensor w = rv_slice_rows(in[0], g * inner, inner);
        parts[g] = rv_matmul(inputs_of(in + 2, input_count - 2, blocks, g), w, 0, 0);
    }
    rv_tensor pre = rv_join_cols(parts, blocks);
    if (in[1].graph) pre = rv_add(pre, in[1]);
    rv_expand_activation(attributes, pre, out);
}

RV_EXPANSION(block_linear_backward) {
    (void)graph, (void)input_count;
    const int blocks = attributes->i[1];
    const int64_t each = attributes->i[2];
    int64_t inner = rv_tensor_rows(in[1]) / blocks, n = rv_tensor_cols(in[0]) / blocks;
    rv_tensor own[RV_BLOCKS_MAX], shared = RV_NONE;
    for (int g = 0; g < blocks; g++) {
        rv_tensor dpre = rv_slice_cols(in[0], g * n, n), w = rv_slice_rows(in[1], g * inner, inner);
        own[g] = rv_matmul(dpre, rv_slice_rows(w, 0, each), 0, 1);
        if (inner == each) continue;
        rv_tensor more = rv_matmul(dpre, rv_slice_rows(w, each, inner - each), 0, 1);
        shared = g ? rv_add(shared, more) : more;
    }
    out[0] = rv_join_cols(own, blocks);
    if (inner > each) out[1] = shared;
}

RV_EXPANSION(block_linear_wgrad) {
    (void)graph;
    const int blocks = attributes->i[1];
    int64_t n = rv_tensor_cols(in[0]) / blocks;
    rv_tensor parts[RV_BLOCKS_MAX];
    for (int g = 0; g < blocks; g++) {
        parts[g] = rv_matmul(inputs_of(in + 1, input_count - 1, blocks, g), rv_slice_cols(in[0], g * n, n), 1, 0);
    }
    out[0] = rv_join_rows(parts, blocks);
    out[1] = rv_sum(in[0], RV_ROWS);
}

/* ---- gates: seen as a row a block, the three of them lie side by side ---- */

typedef struct gates {
    int64_t rows, cols, each;
    rv_tensor sum, reset, candidate, update, h; /* [rows blocks, each]; sum: the candidate's before reset and tanh */
} gates;

static gates gates_of(rv_tensor y, rv_tensor h, int blocks) {
    gates g = {.rows = rv_tensor_rows(h), .cols = rv_tensor_cols(h), .each = rv_tensor_cols(h) / blocks};
    rv_tensor by_block = rv_reshape(y, g.rows * blocks, 3 * g.each);
    g.h = rv_reshape(h, g.rows * blocks, g.each);
    g.reset = rv_sigmoid(rv_slice_cols(by_block, 0, g.each));
    g.sum = rv_slice_cols(by_block, g.each, g.each);
    g.candidate = rv_tanh(rv_mul(g.reset, g.sum));
    g.update = rv_sigmoid(rv_affine(rv_slice_cols(by_block, 2 * g.each, g.each), 1, -1));
    return g;
}

RV_EXPANSION(block_gru) {
    (void)graph, (void)input_count;
    gates g = gates_of(in[0], in[1], attributes->i[1]);
    rv_tensor next = rv_add(rv_mul(g.update, g.candidate), rv_mul(rv_affine(g.update, -1, 1), g.h));
    out[0] = rv_reshape(next, g.rows, g.cols);
}

RV_EXPANSION(block_gru_backward) {
    (void)graph, (void)input_count;
    const int blocks = attributes->i[1];
    gates g = gates_of(in[1], in[2], blocks);
    rv_tensor d = rv_reshape(in[0], g.rows * blocks, g.each);
    rv_tensor dupdate = rv_map2(RV_MAP_D_SIGMOID, rv_mul(d, rv_sub(g.candidate, g.h)), g.update, 0, 0);
    rv_tensor dcandidate = rv_map2(RV_MAP_D_TANH, rv_mul(d, g.update), g.candidate, 0, 0);
    rv_tensor dreset = rv_map2(RV_MAP_D_SIGMOID, rv_mul(dcandidate, g.sum), g.reset, 0, 0);
    rv_tensor dy = rv_concat_cols((rv_tensor[]){dreset, rv_mul(dcandidate, g.reset), dupdate}, 3);
    out[0] = rv_reshape(dy, g.rows, 3 * g.cols);
    out[1] = rv_reshape(rv_mul(d, rv_affine(g.update, -1, 1)), g.rows, g.cols);
}
