/* backends/cpu/simd_outer.c: products that contract over rows: linear_wgrad, matmul of a transposed matrix.
 *
 * The result is cut into blocks; a block goes through all rows, DEPTH of them at a time, so that every output
 * is one fixed chain of sums whoever computes it. Blocks are the step's pieces.
 */
#include "backends/cpu/simd_matmul.h"

#include <string.h>

/* y = [x0 | x1 ..]^T d */
typedef struct outer {
    const float *x[4];
    int64_t x_cols[4], x_stride[4];
    int parts;
    const float *d, *packed; /* packed: d in panels */
    int64_t d_stride, depth, cols;
    float *y, *sums; /* sums: NULL, or of d over the rows */
    int64_t y_stride;
} outer;

enum { BLOCK_ROWS_MAX = 512, BLOCK_COLS_MAX = 128, BLOCK_WORK = 1 << 18 }; /* work: multiply-adds of a piece worth handing out */

typedef struct blocks {
    int64_t rows, cols; /* of a block */
} blocks;

static blocks block_size(int64_t depth) {
    blocks b = {32, PANEL};
    while (b.rows * b.cols * depth < BLOCK_WORK && b.rows < BLOCK_ROWS_MAX) {
        if (b.cols < BLOCK_COLS_MAX && b.cols <= b.rows) b.cols *= 2;
        else b.rows *= 2;
    }
    return b;
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t block_count(const outer *o) {
    const blocks b = block_size(o->depth);
    int64_t rows = 0;
    for (int i = 0; i < o->parts; i++) rows += ceil_div(o->x_cols[i], b.rows);
    return rows * ceil_div(o->cols, b.cols);
}

/* Columns of d, zeros beyond the last, side by side. */
static void copy_panel(const float *d, int64_t stride, int64_t rows, int64_t width, float *to) {
    for (int64_t r = 0; r < rows; r++, d += stride, to += PANEL)
        for (int64_t c = 0; c < PANEL; c += LANES) vstore(to + c, c < width ? vload_part(d + c, width - c) : vset(0));
}

/* Adds rows [k, k + depth) to a block's panel. */
static void outer_panel(const outer *o, int part, int64_t row, int64_t rows, int64_t column, int64_t k, int64_t depth,
                        float *scratch) {
    const int64_t width = o->cols - column < PANEL ? o->cols - column : PANEL;
    const bool ragged = width % LANES != 0;
    float *const local = scratch, *const panel = scratch + BLOCK_ROWS_MAX * PANEL; /* results of a ragged panel; its d */
    tile t = {.parts = 1, .b = o->d + k * o->d_stride + column, .b_stride = o->d_stride, .b_gap = LANES, .add = k > 0};
    if (o->packed) {
        t.b = o->packed + (column / PANEL * o->depth + k) * PANEL;
        t.b_stride = PANEL;
    } else if (ragged || rows * o->d_stride > 32768) { /* rows far apart and read often: bring them together */
        copy_panel(t.b, t.b_stride, depth, width, panel);
        t.b = panel;
        t.b_stride = PANEL;
    }
    float *const y = ragged ? local : o->y + column;
    t.c_stride = ragged ? PANEL : o->y_stride;
    int64_t y_row = row;
    for (int i = 0; i < part; i++) y_row += o->x_cols[i];
    t.c = ragged ? y : y + y_row * o->y_stride;
    const float *const x = o->x[part] + k * o->x_stride[part] + row;
    const int vectors = (int)((width + LANES - 1) / LANES);
    for (int64_t done = 0; done < rows;) {
        const int height = tile_height(rows - done, vectors);
        t.part[0] = (tile_part){x + done, 1, o->x_stride[part], depth};
        tile_run(&t, height, vectors);
        t.c += height * t.c_stride;
        done += height;
    }
    if (ragged && k + depth >= o->depth)
        for (int64_t r = 0; r < rows; r++)
            memcpy(o->y + (y_row + r) * o->y_stride + column, local + r * PANEL, (size_t)width * sizeof *local);
}

/* Column sums of d: chains of DEPTH rows, as the products are. */
static void outer_sums(const outer *o, int64_t column, int64_t cols) {
    for (int64_t c = column; c < column + cols; c += 4 * LANES) {
        vf total[4] = {{0}};
        const int64_t left = column + cols - c;
        for (int64_t k = 0; k < o->depth; k += DEPTH) {
            vf sum[4] = {{0}};
            const int64_t end = k + DEPTH < o->depth ? k + DEPTH : o->depth;
            if (left >= 4 * LANES) {
                for (int64_t r = k; r < end; r++)
                    UNROLL for (int j = 0; j < 4; j++) sum[j] += vload(o->d + r * o->d_stride + c + j * LANES);
            } else {
                for (int64_t r = k; r < end; r++)
                    for (int j = 0; j * LANES < left; j++)
                        sum[j] += vload_part(o->d + r * o->d_stride + c + j * LANES, left - j * LANES);
            }
            for (int j = 0; j < 4; j++) total[j] += sum[j];
        }
        for (int j = 0; j < 4 && j * LANES < left; j++) vstore_part(o->sums + c + j * LANES, total[j], left - j * LANES);
    }
}

static void outer_run(const outer *o, int64_t first, int64_t last, float *scratch) {
    const blocks b = block_size(o->depth);
    const int64_t across = ceil_div(o->cols, b.cols);
    for (int64_t piece = first; piece < last; piece++) {
        int64_t down = piece / across;
        const int64_t column = piece % across * b.cols;
        const int64_t cols = o->cols - column < b.cols ? o->cols - column : b.cols;
        if (o->sums && down == 0) outer_sums(o, column, cols);
        if (!o->y) continue;
        int part = 0;
        for (; down >= ceil_div(o->x_cols[part], b.rows); part++) down -= ceil_div(o->x_cols[part], b.rows);
        const int64_t row = down * b.rows, rows = o->x_cols[part] - row < b.rows ? o->x_cols[part] - row : b.rows;
        int64_t k = 0;
        do {
            const int64_t depth = o->depth - k < DEPTH ? o->depth - k : DEPTH;
            for (int64_t c = column; c < column + cols; c += PANEL) outer_panel(o, part, row, rows, c, k, depth, scratch);
            k += depth;
        } while (k < o->depth);
    }
}

/* ---- linear_wgrad: dpre, x0 .. -> dw, dbias ----------------------------------------------------------------- */

static outer wgrad_of(const rv_launch *l) {
    const rv_operand *d = &l->input[0], *dw = &l->output[0];
    outer o = {.parts = l->input_count - 1, .d = rv_f32(d), .d_stride = d->stride, .depth = d->rows, .cols = d->cols,
               .y = rv_f32(dw), .y_stride = dw->stride, .sums = rv_f32(&l->output[1])};
    for (int i = 0; i < o.parts; i++) {
        const rv_operand *x = &l->input[1 + i];
        o.x[i] = rv_f32(x);
        o.x_cols[i] = x->cols;
        o.x_stride[i] = x->stride;
    }
    return o;
}

static int64_t wgrad_pieces(const rv_launch *l) {
    const outer o = wgrad_of(l);
    return block_count(&o);
}

static void wgrad_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const outer o = wgrad_of(&step->launch);
    outer_run(&o, first, last, scratch);
}

const rv_kernel RV_NAME(rv_linear_wgrad_kernel) = {.run = wgrad_run, .pieces = wgrad_pieces};

/* ---- matmul with a transposed: y = a^T b ----------------------------------------------------------------------- */

static outer matmul_of(const rv_launch *l, const float *packed) {
    const rv_operand *a = &l->input[0], *b = &l->input[1], *y = &l->output[0];
    return (outer){.x = {rv_f32(a)}, .x_cols = {a->cols}, .x_stride = {a->stride}, .parts = 1, .d = rv_f32(b),
                   .packed = packed, .d_stride = b->stride, .depth = a->rows, .cols = y->cols, .y = rv_f32(y),
                   .y_stride = y->stride};
}

int64_t RV_NAME(rv_outer_matmul_pieces)(const rv_launch *l) {
    const outer o = matmul_of(l, NULL);
    return block_count(&o);
}

void RV_NAME(rv_outer_matmul)(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const outer o = matmul_of(&step->launch, step->packed[0]);
    outer_run(&o, first, last, scratch);
}
