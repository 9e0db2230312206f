/* backends/cpu/simd_block.c: the block GRU's layers: a product a block, and the gates. The weights' gradient is in
 * simd_outer.c. */
#include "backends/cpu/simd_activation.h"
#include "backends/cpu/simd_math.h"
#include "backends/cpu/simd_matmul.h"

enum { TURNED_ROWS = 128 }; /* up to so many rows every slice turns w for itself, as matmul does */

static void block_linear_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const rv_launch *l = &step->launch;
    const rv_operand *w = &l->input[0], *x = &l->input[2], *y = &l->output[0], *slope = &l->output[1];
    const int64_t blocks = l->attributes.i[1], inner = w->rows / blocks, each = x->cols / blocks, n = w->cols;
    for (int64_t g = 0; g < blocks; g++) {
        product p = {.parts = l->input_count - 2, .depth = inner, .cols = n, .w = rv_f32(w) + g * inner * w->stride,
                     .w_stride = w->stride, .y = rv_f32(y) + g * n, .y_stride = y->stride,
                     .slope_stride = slope->stride, .activation = (rv_activation)l->attributes.i[0]};
        if (l->input[1].buffer) p.bias = rv_f32(&l->input[1]) + g * n;
        if (slope->buffer) p.slope = rv_f32(slope) + g * n;
        for (int i = 0; i < p.parts; i++)
            p.part[i] = (tile_part){rv_f32(&x[i]), x[i].rows == 1 ? 0 : x[i].stride, 1, x[i].cols};
        p.part[0].a += g * each;
        p.part[0].depth = each;
        RV_NAME(rv_product_run)(&p, first, last, scratch);
    }
}

static bool block_linear_accepts(const rv_launch *l) {
    return l->output[0].buffer && (!l->output[1].buffer || has_slope((rv_activation)l->attributes.i[0]));
}

const rv_kernel RV_NAME(rv_block_linear_kernel) = {.run = block_linear_run, .accepts = block_linear_accepts};

/* y (+)= block g's dpre times the transpose of its rows [row, row + cols) of w */
static void back_product(const rv_step *step, int64_t g, int64_t row, int64_t cols, float *y, int64_t y_stride,
                         bool add, int64_t first, int64_t last, void *scratch) {
    const rv_operand *dpre = &step->launch.input[0], *w = &step->launch.input[1];
    const int64_t n = w->cols, at = g * (w->rows / step->launch.attributes.i[1]) + row;
    const product p = {.part = {{rv_f32(dpre) + g * n, dpre->rows == 1 ? 0 : dpre->stride, 1, n}}, .parts = 1,
                       .depth = n, .cols = cols, .w = rv_f32(w) + at * w->stride, .w_stride = w->stride,
                       .packed = step->packed[0] ? step->packed[0] + at * n : NULL, .transposed = true,
                       .y = y, .y_stride = y_stride, .add = add};
    RV_NAME(rv_product_run)(&p, first, last, scratch);
}

static void block_linear_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const rv_launch *l = &step->launch;
    const rv_operand *own = &l->output[0], *shared = l->output_count > 1 ? &l->output[1] : NULL;
    const int64_t blocks = l->attributes.i[1], each = l->attributes.i[2];
    for (int64_t g = 0; g < blocks; g++) {
        if (own->buffer)
            back_product(step, g, 0, each, rv_f32(own) + g * each, own->stride, false, first, last, scratch);
        if (shared && shared->buffer)
            back_product(step, g, each, shared->cols, rv_f32(shared), shared->stride, g > 0, first, last, scratch);
    }
}

/* One pack of all of w serves where its parts begin with a panel. */
static void block_linear_backward_packs(const rv_launch *l, int input[RV_MAX_PACKS], rv_packing packing[RV_MAX_PACKS]) {
    const int64_t each = l->attributes.i[2], inner = l->input[1].rows / l->attributes.i[1];
    const bool pays = l->input[0].rows > TURNED_ROWS && each % PANEL == 0 && inner % PANEL == 0;
    input[0] = 1;
    packing[0] = pays ? RV_PACK_TRANSPOSED : RV_PACK_NONE;
}

const rv_kernel RV_NAME(rv_block_linear_backward_kernel) = {.run = block_linear_backward_run,
                                                            .packs = block_linear_backward_packs};

/* ---- gates ------------------------------------------------------------------------------------------------ */

typedef struct gates {
    vf reset, sum, candidate, update;
} gates;

/* Of n units from y on, a block's reset columns; `step` from one gate to the next. */
INLINE gates gates_of(const float *y, int64_t step, int64_t n) {
    gates g = {.reset = vsigmoid(vload_part(y, n)), .sum = vload_part(y + step, n)};
    g.candidate = vtanh(g.reset * g.sum);
    g.update = vsigmoid(vload_part(y + 2 * step, n) - 1.0f);
    return g;
}

static void block_gru_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t cols = l->input[1].cols, each = cols / l->attributes.i[1];
    for (int64_t row = first; row < last; row++) {
        const float *y = rv_row(&l->input[0], row), *h = rv_row(&l->input[1], row);
        float *next = rv_row(&l->output[0], row);
        for (int64_t block = 0; block < cols; block += each) {
            for (int64_t c = 0; c < each; c += LANES) {
                const int64_t n = each - c;
                const gates g = gates_of(y + 3 * block + c, each, n);
                const vf kept = (1.0f - g.update) * vload_part(h + block + c, n);
                vstore_part(next + block + c, vfma(g.update, g.candidate, kept), n);
            }
        }
    }
}
const rv_kernel RV_NAME(rv_block_gru_kernel) = {.run = block_gru_run, .ns_per_element = 0.5f};

static void block_gru_back(const rv_launch *l, int64_t row, int64_t block, int64_t each) {
    const float *d = rv_row(&l->input[0], row) + block, *y = rv_row(&l->input[1], row) + 3 * block;
    const float *h = rv_row(&l->input[2], row) + block;
    float *dy = rv_row(&l->output[0], row), *dh = rv_row(&l->output[1], row);
    for (int64_t c = 0; c < each; c += LANES) {
        const int64_t n = each - c;
        const gates g = gates_of(y + c, each, n);
        const vf dnext = vload_part(d + c, n), rest = 1.0f - g.update;
        if (dh) vstore_part(dh + block + c, dnext * rest, n);
        if (!dy) continue;
        const vf dsum = dnext * g.update * (1.0f - g.candidate * g.candidate);
        float *const to = dy + 3 * block + c;
        vstore_part(to, dsum * g.sum * g.reset * (1.0f - g.reset), n);
        vstore_part(to + each, dsum * g.reset, n);
        vstore_part(to + 2 * each, dnext * (g.candidate - vload_part(h + c, n)) * g.update * rest, n);
    }
}

static void block_gru_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t cols = l->input[2].cols, each = cols / l->attributes.i[1];
    for (int64_t row = first; row < last; row++)
        for (int64_t block = 0; block < cols; block += each) block_gru_back(l, row, block, each);
}
const rv_kernel RV_NAME(rv_block_gru_backward_kernel) = {.run = block_gru_backward_run, .ns_per_element = 0.5f};
