/* backends/cpu/simd_gru.c: the GRU cell and its gradient.
 *
 * Forward, a tile is a few rows of LANES hidden units with all three gates: its sums never leave the cache
 * before the gates are made of them. Backward, the gates' slopes come first, then two products with
 * the transposed weights.
 */
#include "backends/cpu/simd_math.h"
#include "backends/cpu/simd_matmul.h"

enum { RESET, UPDATE, NEW, GATES };
enum { WIDTH = GATES * LANES, CHAIN = 128, BLOCK_ROWS = 64, WEIGHT_FLOATS = 3 << 16 };

/* One weight as the tiles read it: for units [unit, unit + LANES), gate g's vector of row k is at
 * at[k * stride + g * gap]. */
typedef struct gate_weight {
    const float *at;
    int64_t stride, gap;
} gate_weight;

static gate_weight weight_at(const rv_operand *w, const float *packed, int64_t unit) {
    if (packed) return (gate_weight){packed + unit / LANES * w->rows * WIDTH, WIDTH, LANES};
    return (gate_weight){rv_f32(w) + unit, w->stride, w->cols / GATES};
}

/* The biases of some units, gate after gate, LANES apart. */
static void gather_bias(const rv_operand *b, int64_t hidden, int64_t unit, int64_t count, float *to) {
    const float *from = rv_f32(b);
    for (int g = 0; g < GATES; g++)
        vstore(to + g * LANES, from ? vload_part(from + g * hidden + unit, count) : vset(0));
}

/* sums[row][gate] = x w + bias for rows [first, last): CHAIN of k at a time, whose part of w stays in L1 */
static void gate_sums(const rv_operand *x, int64_t first, int64_t last, gate_weight w, const float *bias, float *sums) {
    const int64_t stride = x->rows == 1 ? 0 : x->stride;
    int64_t k = 0;
    do {
        const int64_t depth = x->cols - k < CHAIN ? x->cols - k : CHAIN;
        tile t = {.part = {{rv_row(x, first) + k, stride, 1, depth}}, .parts = 1, .b = w.at + k * w.stride, .b_stride = w.stride,
                  .b_gap = w.gap, .c = sums, .c_stride = WIDTH, .bias = bias, .bias_gap = LANES, .add = k > 0};
        for (int64_t row = first; row < last;) {
            const int height = tile_height(last - row, GATES);
            tile_run(&t, height, GATES);
            t.part[0].a += height * stride;
            t.c += height * WIDTH;
            row += height;
        }
        k += depth;
    } while (k < x->cols);
}

/* h' and what the gradient keeps, of one row's units. */
INLINE void make_gates(const rv_launch *l, int64_t row, int64_t unit, int64_t n, const float *from_x, const float *from_h) {
    const rv_operand *h = &l->input[1];
    const vf reset = vsigmoid(vload(from_x) + vload(from_h));
    const vf update = vsigmoid(vload(from_x + LANES) + vload(from_h + LANES));
    const vf sum = vload(from_h + NEW * LANES);
    const vf candidate = vtanh(vfma(reset, sum, vload(from_x + NEW * LANES)));
    if (l->output[0].buffer) {
        const vf old = vload_part(rv_row(h, row) + unit, n);
        vstore_part(rv_row(&l->output[0], row) + unit, vfma(update, old, (1.0f - update) * candidate), n);
    }
    if (l->output[1].buffer) {
        float *saved = rv_row(&l->output[1], row) + unit;
        const vf kept[4] = {reset, update, candidate, sum};
        UNROLL for (int i = 0; i < 4; i++) vstore_part(saved + i * h->cols, kept[i], n);
    }
}

/* Rows [first, last) of units [unit, end). */
static void gru_block(const rv_step *step, int64_t first, int64_t last, int64_t unit, int64_t end, float *scratch) {
    const rv_launch *l = &step->launch;
    const int64_t hidden = l->input[1].cols;
    float *const from_x = scratch, *const from_h = from_x + BLOCK_ROWS * WIDTH;
    for (; unit < end; unit += LANES) {
        float bias[2][WIDTH];
        for (int i = 0; i < 2; i++) gather_bias(&l->input[4 + i], hidden, unit, hidden - unit, bias[i]);
        gate_sums(&l->input[0], first, last, weight_at(&l->input[2], step->packed[0], unit), bias[0], from_x);
        gate_sums(&l->input[1], first, last, weight_at(&l->input[3], step->packed[1], unit), bias[1], from_h);
        for (int64_t row = first; row < last; row++)
            make_gates(l, row, unit, hidden - unit, from_x + (row - first) * WIDTH, from_h + (row - first) * WIDTH);
    }
}

/* Some units' weights stay in L2 while all rows pass by, BLOCK_ROWS of them at a time. */
static void gru_cell_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const int64_t depth = step->launch.input[0].cols + step->launch.input[1].cols, hidden = step->launch.input[1].cols;
    const int64_t fit = WEIGHT_FLOATS / (depth * WIDTH), share = (fit > 1 ? fit : 1) * LANES;
    for (int64_t unit = 0; unit < hidden; unit += share)
        for (int64_t row = first; row < last; row += BLOCK_ROWS)
            gru_block(step, row, row + BLOCK_ROWS < last ? row + BLOCK_ROWS : last, unit,
                      unit + share < hidden ? unit + share : hidden, scratch);
}

/* A last vector of units must not run over into the next gate; and many rows pay for bringing the gates together. */
static void gru_cell_packs(const rv_launch *l, int input[RV_MAX_PACKS], rv_packing packing[RV_MAX_PACKS]) {
    const int64_t hidden = l->input[1].cols;
    const bool pays = l->input[1].rows >= 128 && hidden >= 128;
    for (int i = 0; i < 2; i++) {
        input[i] = 2 + i;
        packing[i] = pays || hidden % LANES ? RV_PACK_GATES : RV_PACK_NONE;
    }
}
const rv_kernel RV_NAME(rv_gru_cell_kernel) = {.run = gru_cell_run, .packs = gru_cell_packs, .ns_per_element = 0.3f};

/* ---- backward --------------------------------------------------------------------------------------------- */

/* Where the slopes of the sums go: the outputs, or memory of our own where nobody wants them. */
static float *slopes_at(const rv_step *step, int which, int64_t *stride) {
    const rv_operand *out = &step->launch.output[2 + which], *h = &step->launch.input[1];
    if (out->buffer) {
        *stride = out->stride;
        return rv_f32(out);
    }
    *stride = GATES * h->cols;
    const int64_t size = *stride * h->rows;
    return step->partial + (which == 1 && !step->launch.output[2].buffer ? size : 0);
}

static int64_t gru_cell_backward_partials(const rv_launch *l) {
    return (!l->output[2].buffer + !l->output[3].buffer) * GATES * l->input[1].rows * l->input[1].cols;
}

static void slopes_row(const rv_launch *l, int64_t row, float *from_x, float *from_h) {
    const int64_t hidden = l->input[1].cols;
    const float *dnext = rv_row(&l->input[0], row), *h = rv_row(&l->input[1], row), *saved = rv_row(&l->input[2], row);
    for (int64_t c = 0; c < hidden; c += LANES) {
        const int64_t n = hidden - c;
        const vf d = vload_part(dnext + c, n), old = vload_part(h + c, n);
        const vf reset = vload_part(saved + c, n), update = vload_part(saved + hidden + c, n);
        const vf candidate = vload_part(saved + 2 * hidden + c, n), sum = vload_part(saved + 3 * hidden + c, n);
        const vf dcandidate = d * (1.0f - update) * (1.0f - candidate * candidate);
        const vf dreset = dcandidate * sum * reset * (1.0f - reset);
        const vf dupdate = d * (old - candidate) * update * (1.0f - update);
        float *const at[2] = {from_x + c, from_h + c};
        for (int i = 0; i < 2; i++) {
            vstore_part(at[i], dreset, n);
            vstore_part(at[i] + hidden, dupdate, n);
            vstore_part(at[i] + 2 * hidden, i ? dcandidate * reset : dcandidate, n);
        }
    }
}

/* dh += dh' z */
static void add_direct(const rv_launch *l, int64_t row) {
    const int64_t hidden = l->input[1].cols;
    const float *dnext = rv_row(&l->input[0], row), *update = rv_row(&l->input[2], row) + hidden;
    float *dh = rv_row(&l->output[1], row);
    for (int64_t c = 0; c < hidden; c += LANES) {
        const int64_t n = hidden - c;
        vstore_part(dh + c, vfma(vload_part(dnext + c, n), vload_part(update + c, n), vload_part(dh + c, n)), n);
    }
}

static void back_product(const rv_step *step, int which, const float *slopes, int64_t stride, int64_t first, int64_t last, void *scratch) {
    const rv_operand *out = &step->launch.output[which], *w = &step->launch.input[3 + which];
    if (!out->buffer) return;
    const product p = {.part = {{slopes, stride, 1, w->cols}}, .parts = 1, .depth = w->cols, .cols = w->rows,
                       .packed = step->packed[which], .y = rv_f32(out), .y_stride = out->stride};
    RV_NAME(rv_product_run)(&p, first, last, scratch);
}

static void gru_cell_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const rv_launch *l = &step->launch;
    int64_t stride_x, stride_h;
    float *const from_x = slopes_at(step, 0, &stride_x), *const from_h = slopes_at(step, 1, &stride_h);
    for (int64_t row = first; row < last; row++) slopes_row(l, row, from_x + row * stride_x, from_h + row * stride_h);
    back_product(step, 0, from_x, stride_x, first, last, scratch);
    back_product(step, 1, from_h, stride_h, first, last, scratch);
    for (int64_t row = first; row < last && l->output[1].buffer; row++) add_direct(l, row);
}

static void gru_cell_backward_packs(const rv_launch *l, int input[RV_MAX_PACKS], rv_packing packing[RV_MAX_PACKS]) {
    for (int i = 0; i < 2; i++) {
        input[i] = 3 + i;
        packing[i] = l->output[i].buffer ? RV_PACK_TRANSPOSED : RV_PACK_NONE;
    }
}
const rv_kernel RV_NAME(rv_gru_cell_backward_kernel) = {
    .run = gru_cell_backward_run, .packs = gru_cell_backward_packs, .partials = gru_cell_backward_partials, .ns_per_element = 0.2f};
