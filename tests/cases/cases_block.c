/* tests/cases/cases_block.c: block_linear and block_gru. */
#include "tests/cases/cases.h"

/* i: activation, blocks, bias; inputs: own, w, [bias], shared .. */
static void record_block_linear(const rv_case_recording *r, rv_tensor *out) {
    const int *i = r->item->i;
    out[0] = rv_block_linear(r->in[0], r->in + 2 + i[2], r->item->input_count - 2 - i[2], i[1], r->in[1],
                             i[2] ? r->in[2] : RV_NONE, (rv_activation)i[0]);
}

static void record_block_gru(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_block_gru(r->in[0], r->in[1], r->item->i[1]);
}

/* DreamerV3's core from [h, x0, x1, x2] on: block linear, norm, block linear, gates. */
static void record_core(const rv_case_recording *r, rv_tensor *out) {
    const int blocks = r->item->i[1];
    rv_tensor v = rv_block_linear(r->in[0], r->in + 5, 3, blocks, r->in[1], r->in[2], RV_LINEAR);
    v = rv_rms_norm(v, r->in[3], 1e-4f, RV_SILU);
    out[0] = rv_block_gru(rv_block_linear(v, NULL, 0, blocks, r->in[4], RV_NONE, RV_LINEAR), r->in[0], blocks);
}

typedef struct sizes {
    rv_activation activation;
    int bias, blocks;
    int64_t rows, each, shared, n; /* each: own columns of a block; n: results of a block */
} sizes;

static rv_case *add_linear(rv_case_list *list, sizes s) {
    static const int64_t cols[3] = {7, 1, 20};
    rv_case *item = rv_case_add(list, record_block_linear, 1, "block_linear/a%d_bias%d/b%d_g%d_d%d_x%d_n%d",
                                (int)s.activation, s.bias, (int)s.rows, s.blocks, (int)s.each, (int)s.shared, (int)s.n);
    int64_t inner = s.each;
    for (int64_t i = 0; i < s.shared; i++) inner += cols[i];
    rv_case_value(item, s.rows, s.blocks * s.each);
    rv_case_values(item, s.blocks * inner, s.n, RV_CASE_NORMAL, 0, 0.3);
    if (s.bias) rv_case_value(item, 1, s.blocks * s.n);
    for (int64_t i = 0; i < s.shared; i++) rv_case_value(item, s.rows, cols[i]);
    item->i[0] = s.activation;
    item->i[1] = s.blocks;
    item->i[2] = s.bias;
    item->flops = 2.0 * (double)(s.rows * s.blocks * inner * s.n);
    item->gradient_flops = 3 * item->flops;
    return item;
}

static rv_case *add_gru(rv_case_list *list, int64_t rows, int blocks, int64_t each) {
    rv_case *item = rv_case_add(list, record_block_gru, 1, "block_gru/b%d_g%d_d%d", (int)rows, blocks, (int)each);
    rv_case_value(item, rows, 3 * blocks * each);
    rv_case_value(item, rows, blocks * each);
    item->i[1] = blocks;
    item->bytes = 4.0 * (double)(5 * rows * blocks * each);
    item->gradient_bytes = 2.2 * item->bytes;
    return item;
}

static rv_case *add_core(rv_case_list *list, int64_t rows, int blocks, int64_t deter, int64_t hidden) {
    rv_case *item =
        rv_case_add(list, record_core, 1, "block_core/b%d_g%d_h%d_x%d", (int)rows, blocks, (int)deter, (int)hidden);
    int64_t inner = deter + 3 * blocks * hidden, each = deter / blocks;
    rv_case_value(item, rows, deter);
    rv_case_values(item, inner, each, RV_CASE_NORMAL, 0, 0.1);
    rv_case_value(item, 1, deter);
    rv_case_values(item, 1, deter, RV_CASE_NORMAL, 1, 0.2);
    rv_case_values(item, deter, 3 * each, RV_CASE_NORMAL, 0, 0.1);
    for (int i = 0; i < 3; i++) rv_case_value(item, rows, hidden);
    item->i[1] = blocks;
    item->flops = 2.0 * (double)(rows * each * (inner + 3 * deter));
    item->gradient_flops = 3 * item->flops;
    return item;
}

void rv_cases_block(rv_case_list *list) {
    for (int activation = 0; activation < RV_ACTIVATION_COUNT; activation++) {
        add_linear(list, (sizes){(rv_activation)activation, 1, 3, 7, 5, 3, 7});
    }
    for (int shared = 0; shared <= 3; shared++) {
        for (int bias = 0; bias < 2; bias++) {
            add_linear(list, (sizes){RV_SILU, bias, 8, 33, 7, shared, 20});
            add_linear(list, (sizes){RV_TANH, bias, 1, 13, 33, shared, 65});
            add_linear(list, (sizes){RV_LINEAR, bias, 2, 1, 1, shared, 1});
            add_linear(list, (sizes){RV_ELU, bias, 5, 0, 3, shared, 2});
        }
    }
    add_linear(list, (sizes){RV_SILU, 1, 4, 700, 65, 3, 33})->flags = RV_CASE_TALL;
    add_linear(list, (sizes){RV_GELU, 0, 8, 300, 64, 0, 64})->flags = RV_CASE_TALL; /* whole panels: packed */
    add_linear(list, (sizes){RV_SILU, 1, 2, 4100, 3, 1, 5})->flags = RV_CASE_TALL; /* weights' gradients in segments */
    static const int64_t shapes[][3] = {{7, 3, 5},  {1, 1, 1},   {33, 8, 7}, {0, 2, 3},
                                        {5, 2, 65}, {13, 1, 33}, {2, 8, 64}};
    for (int s = 0; s < 7; s++) add_gru(list, shapes[s][0], (int)shapes[s][1], shapes[s][2]);
    add_gru(list, 3000, 8, 9)->flags = RV_CASE_TALL;
    add_core(list, 5, 4, 8, 3);
    add_core(list, 0, 2, 6, 2);
    add_core(list, 16, 8, 512, 64)->flags = RV_CASE_BENCH | RV_CASE_TALL;
    add_core(list, 1024, 8, 512, 64)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add_core(list, 16, 8, 2048, 256)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add_gru(list, 1024, 8, 64)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
}
