/* backends/cpu/simd_matmul.c: matrix products by rows: linear, matmul, and the layout of weights. */
#include "backends/cpu/simd_activation.h"
#include "backends/cpu/simd_matmul.h"

#include <string.h>

/* ---- weights in panels ------------------------------------------------------------------------------ */

static int64_t pack_cols(const rv_pack *pack) { return pack->packing == RV_PACK_TRANSPOSED ? pack->rows : pack->cols; }
static int64_t pack_depth(const rv_pack *pack) { return pack->packing == RV_PACK_TRANSPOSED ? pack->cols : pack->rows; }

static int64_t pack_width(const rv_pack *pack) { return pack->packing == RV_PACK_GATES ? 3 * LANES : PANEL; }

int64_t RV_NAME(rv_pack_panels)(const rv_pack *pack) {
    if (pack->packing == RV_PACK_GATES) return (pack->cols / 3 + LANES - 1) / LANES;
    return (pack_cols(pack) + PANEL - 1) / PANEL;
}

size_t RV_NAME(rv_pack_size)(const rv_pack *pack) {
    return (size_t)(RV_NAME(rv_pack_panels)(pack) * pack_width(pack) * pack_depth(pack));
}

enum { AHEAD = 16 }; /* rows: far apart in memory, they come one by one unless asked for early */

/* Columns [0, cols) of `rows` rows, at most `width`, rows `width` apart; the last vector is filled up with zeros. */
static void copy_columns(const float *from, int64_t rows, int64_t cols, int64_t stride, float *to, int64_t width) {
    if (cols >= PANEL && width == PANEL) {
        for (int64_t r = 0; r < rows; r++, from += stride, to += width) {
            if (r + AHEAD < rows)
                UNROLL for (int c = 0; c < PANEL; c += 16) __builtin_prefetch(from + AHEAD * stride + c);
            UNROLL for (int c = 0; c < PANEL; c += LANES) vstore(to + c, vload(from + c));
        }
        return;
    }
    for (int64_t r = 0; r < rows; r++, from += stride, to += width) {
        for (int64_t c = 0; c < cols && c < width; c += LANES) vstore(to + c, vload_part(from + c, cols - c));
    }
}

/* A square of LANES x LANES: lane j of row i becomes lane i of row j. log2(LANES) perfect shuffles do it. */
INLINE void turn_square(vf *row, float *to, int64_t to_rows, int64_t to_stride) {
    vf next[LANES];
    UNROLL for (int done = 1; done < LANES; done *= 2) {
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = vinterleave_low(row[i], row[i + LANES / 2]);
            next[2 * i + 1] = vinterleave_high(row[i], row[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++) row[i] = next[i];
    }
    UNROLL for (int i = 0; i < LANES; i++)
        if (i < to_rows) vstore(to + i * to_stride, row[i]);
}

static void transpose_square(const float *from, int64_t stride, float *to) {
    vf row[LANES];
    UNROLL for (int i = 0; i < LANES; i++) row[i] = vload(from + i * stride);
    turn_square(row, to, LANES, PANEL);
}

/* Fewer rows or columns than a square has: zeros for the rows that are not there. */
static void transpose_part(const float *from, int64_t rows, int64_t cols, int64_t stride, float *to) {
    vf row[LANES];
    UNROLL for (int i = 0; i < LANES; i++) row[i] = i < rows ? vload_part(from + i * stride, cols) : vset(0);
    turn_square(row, to, cols, PANEL);
}

/* Up to PANEL rows of `cols` become the columns of one panel; its last vector is filled up with zeros. */
static void transpose_panel(const float *from, int64_t rows, int64_t cols, int64_t stride, float *to) {
    for (int64_t i = 0; i < PANEL && i < rows; i += LANES) {
        for (int64_t k = 0; k < cols; k += LANES) {
            const float *const square = from + i * stride + k;
            if (i + LANES <= rows && k + LANES <= cols) transpose_square(square, stride, to + k * PANEL + i);
            else transpose_part(square, rows - i, cols - k, stride, to + k * PANEL + i);
        }
    }
}

/* The gates' panels, all of them for a few rows before the next few: a row's pages are visited once. */
static void pack_gates(const rv_pack *pack, int64_t first, int64_t last) {
    const int64_t width = 3 * LANES, depth = pack->rows, hidden = pack->cols / 3;
    for (int64_t k = 0; k < depth; k += 16) {
        for (int64_t panel = first; panel < last; panel++) {
            const int64_t unit = panel * LANES;
            float *to = pack->to + (panel * depth + k) * width;
            for (int64_t row = k; row < k + 16 && row < depth; row++, to += width)
                for (int g = 0; g < 3; g++)
                    vstore(to + g * LANES, vload_part(pack->from + row * pack->stride + g * hidden + unit, hidden - unit));
        }
    }
}

void RV_NAME(rv_pack_run)(const rv_pack *pack, int64_t first, int64_t last) {
    const int64_t depth = pack_depth(pack);
    if (pack->packing == RV_PACK_GATES) {
        pack_gates(pack, first, last);
        return;
    }
    for (int64_t panel = first; panel < last; panel++) {
        const int64_t column = panel * PANEL;
        float *const to = pack->to + column * depth;
        if (pack->packing == RV_PACK_TRANSPOSED)
            transpose_panel(pack->from + column * pack->stride, pack->rows - column, depth, pack->stride, to);
        else copy_columns(pack->from + column, depth, pack->cols - column, pack->stride, to, PANEL);
    }
}

/* ---- y = activation([x0 | x1 ..] w + bias), by rows -------------------------------------------------------- */

enum { BLOCK_ROWS = 256 }; /* rows that share a panel's chunk in L1 */
enum { FAR = 512, SHARED_ROWS = 24 }; /* rows of w so far apart are worth bringing together for so many rows of x */
enum { TURNED_ROWS = 128 };           /* up to so many rows of x, every slice turns w for itself */

/* The parts of one pass over k: all inputs where together they are at most DEPTH deep, else a piece of one. */
typedef struct pass {
    int input;
    int64_t k;     /* where the next pass begins in the input */
    int64_t depth; /* of this pass */
} pass;

static bool next_pass(const product *p, pass *at, tile *t) {
    if (p->depth <= DEPTH) {
        if (at->input) return false;
        for (int i = 0; i < p->parts; i++) t->part[i] = p->part[i];
        t->parts = at->input = p->parts;
        at->depth = p->depth;
        return true;
    }
    while (at->input < p->parts && at->k >= p->part[at->input].depth) at->input++, at->k = 0;
    if (at->input >= p->parts) return false;
    t->part[0] = p->part[at->input];
    t->part[0].a += at->k;
    const int64_t left = t->part[0].depth - at->k;
    t->part[0].depth = at->depth = left < DEPTH ? left : DEPTH;
    t->parts = 1;
    at->k += at->depth;
    return true;
}

/* Rows of w that will be wanted soon: asked for a few at a time, between tiles. */
typedef struct soon {
    const float *w;
    int64_t stride, rows;
} soon;

static void ask(soon *s, int64_t count) {
    for (; count > 0 && s->rows > 0; count--, s->rows--, s->w += s->stride)
        UNROLL for (int c = 0; c < PANEL; c += 16) __builtin_prefetch(s->w + c);
}

static void run_tiles(tile *t, int64_t rows, int vectors, soon *s) {
    const int64_t share = s->rows ? s->rows * tile_rows[vectors - 1] / rows + 1 : 0;
    for (int64_t row = 0; row < rows;) {
        const int height = tile_height(rows - row, vectors);
        tile_run(t, height, vectors);
        ask(s, share);
        for (int i = 0; i < t->parts; i++) t->part[i].a += height * t->part[i].row_stride;
        t->c += height * t->c_stride;
        row += height;
    }
}

/* One panel of columns for rows that are few enough; everything is at the first of them. The sums go to y,
 * and the activation happens there. A ragged panel is summed in memory of our own, and w is read from a copy of the
 * chunk where its rows are ragged, far apart or to be turned. */
static void product_panel(const product *p, int64_t panel, int64_t rows, float *scratch) {
    const int64_t column = panel * PANEL, left = p->cols - column, width = left < PANEL ? left : PANEL;
    const int vectors = (int)((width + LANES - 1) / LANES);
    const bool ragged = width % LANES != 0, copied = !p->packed && (p->transposed || ragged || (p->w_stride >= FAR && rows >= SHARED_ROWS));
    float *const y = p->y + column, *const sums = scratch, *const chunk = sums + BLOCK_ROWS * PANEL;
    float bias[PANEL] = {0};
    if (p->bias) memcpy(bias, p->bias + column, (size_t)width * sizeof *bias);
    tile t = {.b_gap = LANES, .bias = bias, .bias_gap = LANES, .add = p->add};
    const bool turned = !p->packed && p->transposed;
    const float *w = p->packed ? p->packed + panel * PANEL * p->depth : p->w + (turned ? column * p->w_stride : column);
    const int64_t w_stride = p->packed ? PANEL : p->w_stride;
    int64_t rest = p->depth;
    if (p->add && ragged)
        for (int64_t r = 0; r < rows; r++) memcpy(sums + r * PANEL, y + r * p->y_stride, (size_t)width * sizeof *y);
    for (pass at = {0}; next_pass(p, &at, &t); t.add = 1) {
        t.b = w;
        t.b_stride = w_stride;
        t.c = ragged ? sums : y;
        t.c_stride = ragged ? PANEL : p->y_stride;
        w += turned ? at.depth : at.depth * w_stride;
        rest -= at.depth;
        soon s = {0};
        if (copied) {
            if (turned) transpose_panel(t.b, width, at.depth, w_stride, chunk);
            else copy_columns(t.b, at.depth, width, w_stride, chunk, PANEL);
            t.b = chunk;
            t.b_stride = PANEL;
            if (turned) s = (soon){0};
            else if (rest) s = (soon){w, w_stride, rest < DEPTH ? rest : DEPTH};
            else if (left >= 2 * PANEL) s = (soon){p->w + column + PANEL, w_stride, p->depth < DEPTH ? p->depth : DEPTH};
        }
        run_tiles(&t, rows, vectors, &s);
    }
    if (ragged)
        for (int64_t r = 0; r < rows; r++) memcpy(y + r * p->y_stride, sums + r * PANEL, (size_t)width * sizeof *y);
    if (p->slope) activate_slope(p->activation, y, p->y_stride, p->slope + column, p->slope_stride, rows, width);
    else activate(p->activation, y, p->y_stride, y, p->y_stride, rows, width);
}

void RV_NAME(rv_product_run)(const product *whole, int64_t first, int64_t last, void *scratch) {
    for (int64_t row = first; row < last; row += BLOCK_ROWS) {
        const int64_t rows = last - row < BLOCK_ROWS ? last - row : BLOCK_ROWS;
        product p = *whole;
        for (int i = 0; i < p.parts; i++) p.part[i].a += row * p.part[i].row_stride;
        if (p.slope) p.slope += row * p.slope_stride;
        p.y += row * p.y_stride;
        for (int64_t panel = 0; panel * PANEL < p.cols; panel++) product_panel(&p, panel, rows, scratch);
    }
}

/* ---- the ops -------------------------------------------------------------------------------------------- */

static void linear_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const rv_launch *l = &step->launch;
    const rv_operand *w = &l->input[0], *y = &l->output[0], *slope = &l->output[1];
    product p = {.parts = l->input_count - 2, .depth = w->rows, .cols = w->cols, .w = rv_f32(w), .w_stride = w->stride,
                 .packed = step->packed[0], .bias = rv_f32(&l->input[1]), .y = rv_f32(y), .y_stride = y->stride,
                 .slope = rv_f32(slope), .slope_stride = slope->stride, .activation = (rv_activation)l->attributes.i[0]};
    for (int i = 0; i < p.parts; i++) {
        const rv_operand *x = &l->input[2 + i];
        p.part[i] = (tile_part){rv_f32(x), x->rows == 1 ? 0 : x->stride, 1, x->cols};
    }
    RV_NAME(rv_product_run)(&p, first, last, scratch);
}

/* The core asks for the slopes of silu and gelu alone, and never for a slope without y. */
static bool linear_accepts(const rv_launch *l) {
    return l->output[0].buffer && (!l->output[1].buffer || has_slope((rv_activation)l->attributes.i[0]));
}

const rv_kernel RV_NAME(rv_linear_kernel) = {.run = linear_run, .accepts = linear_accepts};

static void matmul_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const rv_launch *l = &step->launch;
    const rv_operand *a = &l->input[0], *b = &l->input[1], *y = &l->output[0];
    if (l->attributes.i[0]) {
        RV_NAME(rv_outer_matmul)(step, first, last, scratch);
        return;
    }
    const product p = {.part = {{rv_f32(a), a->rows == 1 ? 0 : a->stride, 1, a->cols}}, .parts = 1, .depth = a->cols,
                       .cols = y->cols, .w = rv_f32(b), .w_stride = b->stride, .packed = step->packed[0],
                       .transposed = l->attributes.i[1], .y = rv_f32(y), .y_stride = y->stride};
    RV_NAME(rv_product_run)(&p, first, last, scratch);
}

/* With few rows every slice turns the weight in its own cache: a copy for all would come from another core's. */
static void matmul_packs(const rv_launch *l, int input[RV_MAX_PACKS], rv_packing packing[RV_MAX_PACKS]) {
    const bool shared = l->attributes.i[1] && (l->attributes.i[0] || rv_launch_rows(l) > TURNED_ROWS);
    input[0] = 1;
    packing[0] = shared ? RV_PACK_TRANSPOSED : RV_PACK_NONE;
}

/* Of a transposed matrix alone; other products are rows, which have no pieces. */
static int64_t matmul_partials(const rv_launch *l) { return l->attributes.i[0] ? RV_NAME(rv_outer_matmul_partials)(l) : 0; }

static void matmul_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    RV_NAME(rv_outer_matmul_finish)(step);
}

const rv_kernel RV_NAME(rv_matmul_kernel) = {.run = matmul_run, .finish = matmul_finish, .packs = matmul_packs,
                                             .pieces = RV_NAME(rv_outer_matmul_pieces), .partials = matmul_partials};
