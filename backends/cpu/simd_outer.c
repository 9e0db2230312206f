/* backends/cpu/simd_outer.c: products that contract over rows: linear_wgrad, matmul of a transposed matrix.
 *
 * The result is cut into blocks; a block goes through all rows, CHAIN of them at a time, so that every output
 * is one fixed chain of sums whoever computes it. Blocks are the step's pieces. Of very many rows a block takes a
 * segment, so that memory is read once and in order; what the segments give is added up at the end, in their order.
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
    int64_t first, last; /* rows of this segment; all are `depth` */
    float *y, *sums; /* sums: NULL, or of d over the rows */
    int64_t y_stride;
} outer;

/* A block is large enough to be worth handing out and to use what it loads several times, and there are enough of them. */
enum { CHAIN = 128 }; /* rows of one chain of multiply-adds */
enum { BLOCK_ROWS_MAX = 128, BLOCK_COLS_MAX = 4 * PANEL, BLOCK_WORK = 1 << 18, BLOCKS_ENOUGH = 32 };
enum { SEGMENT = 2048, SEGMENTS_MAX = 8 }; /* rows of one, at least */

typedef struct blocks {
    int64_t rows, cols; /* of a block */
} blocks;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t count_blocks(const outer *o, blocks b) {
    int64_t rows = 0;
    for (int i = 0; i < o->parts; i++) rows += ceil_div(o->x_cols[i], b.rows);
    return rows * ceil_div(o->cols, b.cols);
}

/* As many as keep what they leave behind small beside what they read. */
static int64_t segment_count(const outer *o) {
    const int64_t most = o->depth / SEGMENT;
    return most < 2 ? 1 : most < SEGMENTS_MAX ? most : SEGMENTS_MAX;
}

static blocks block_size(const outer *o) {
    blocks b = {32, PANEL};
    if (segment_count(o) > 1) return (blocks){BLOCK_ROWS_MAX, BLOCK_COLS_MAX};
    while (b.rows * b.cols * o->depth < BLOCK_WORK || count_blocks(o, b) > BLOCKS_ENOUGH) {
        if (b.cols <= b.rows && b.cols < BLOCK_COLS_MAX) b.cols *= 2;
        else if (b.rows < BLOCK_ROWS_MAX) b.rows *= 2;
        else if (b.cols < BLOCK_COLS_MAX) b.cols *= 2;
        else break;
    }
    return b;
}

static int64_t block_count(const outer *o) { return count_blocks(o, block_size(o)); }

enum { AHEAD = 8, FULL_ROWS = PANEL_VECTORS == 4 ? 6 : TILE_ROWS }; /* rows of a tile as wide as a panel */

/* Columns of d, zeros beyond the last, side by side. */
static void copy_panel(const float *d, int64_t stride, int64_t rows, int64_t width, float *to) {
    for (int64_t r = 0; r < rows; r++, d += stride, to += PANEL) {
        if (r + AHEAD < rows) __builtin_prefetch(d + AHEAD * stride);
        for (int64_t c = 0; c < PANEL; c += LANES) vstore(to + c, c < width ? vload_part(d + c, width - c) : vset(0));
    }
}

/* Columns of x, as many as a tile has rows side by side, so that a tile finds what it reads in few cache lines. */
static void copy_tiles(const float *x, int64_t stride, int64_t depth, int64_t rows, float *to) {
    for (int64_t k = 0; k < depth; k++, x += stride) {
        if (k + AHEAD < depth)
            for (int64_t c = 0; c < rows; c += 16) __builtin_prefetch(x + AHEAD * stride + c);
        for (int64_t c = 0; c < rows; c += FULL_ROWS)
            memcpy(to + c * depth + k * FULL_ROWS, x + c, sizeof(float) * (size_t)(rows - c < FULL_ROWS ? rows - c : FULL_ROWS));
    }
}

/* One block: rows [row, row + rows) of part's share of y, columns [column, column + cols), and the thread's memory for it. */
typedef struct block {
    const outer *o;
    int part;
    int64_t row, rows, column, cols, y_row;
    const float *x, *tiles; /* the block's columns of x, from row k on, and what copy_tiles makes of them, or NULL */
    float *ragged, *panel; /* results of a ragged panel; a panel's d */
} block;

/* Adds rows [k, k + depth) of x and d to one panel. */
static void add_panel(const block *b, int64_t column, int64_t k, int64_t depth) {
    const outer *const o = b->o;
    const int64_t width = o->cols - column < PANEL ? o->cols - column : PANEL;
    const bool ragged = width % LANES != 0;
    tile t = {.parts = 1, .b = o->d + k * o->d_stride + column, .b_stride = o->d_stride, .b_gap = LANES, .add = k > o->first};
    if (o->packed) {
        t.b = o->packed + (column / PANEL * o->depth + k) * PANEL;
        t.b_stride = PANEL;
    } else if (ragged || (b->rows > 32 && o->d_stride > 256)) { /* rows far apart and read often: bring them together */
        copy_panel(t.b, t.b_stride, depth, width, b->panel);
        t.b = b->panel;
        t.b_stride = PANEL;
    }
    t.c = ragged ? b->ragged : o->y + b->y_row * o->y_stride + column;
    t.c_stride = ragged ? PANEL : o->y_stride;
    const int vectors = (int)((width + LANES - 1) / LANES);
    const bool tiles = b->tiles && vectors == PANEL_VECTORS;
    for (int64_t done = 0; done < b->rows;) {
        const int64_t left = b->rows - done;
        const int height = !tiles ? tile_height(left, vectors) : left < FULL_ROWS ? (int)left : FULL_ROWS;
        t.part[0] = tiles ? (tile_part){b->tiles + done * depth, 1, FULL_ROWS, depth}
                          : (tile_part){b->x + done, 1, o->x_stride[b->part], depth};
        tile_run(&t, height, vectors);
        t.c += height * t.c_stride;
        done += height;
    }
    if (ragged && k + depth >= o->last)
        for (int64_t r = 0; r < b->rows; r++)
            memcpy(o->y + (b->y_row + r) * o->y_stride + column, b->ragged + r * PANEL, (size_t)width * sizeof(float));
}

static void run_block(block *b, float *scratch) {
    const outer *const o = b->o;
    const bool gather = o->x_stride[b->part] > 256 && (b->cols > PANEL || segment_count(o) > 1);
    int64_t k = o->first;
    b->ragged = scratch;
    b->panel = b->ragged + BLOCK_ROWS_MAX * PANEL;
    float *const tiles = b->panel + CHAIN * PANEL;
    do {
        const int64_t depth = o->last - k < CHAIN ? o->last - k : CHAIN;
        b->x = o->x[b->part] + k * o->x_stride[b->part] + b->row;
        b->tiles = gather ? tiles : NULL;
        if (gather) copy_tiles(b->x, o->x_stride[b->part], depth, b->rows, tiles);
        for (int64_t c = b->column; c < b->column + b->cols; c += PANEL) add_panel(b, c, k, depth);
        k += depth;
    } while (k < o->last);
}

/* Column sums of d: chains of CHAIN rows, as the products are. */
static void outer_sums(const outer *o, int64_t column, int64_t cols) {
    for (int64_t c = column; c < column + cols; c += 4 * LANES) {
        vf total[4] = {{0}};
        const int64_t left = column + cols - c;
        for (int64_t k = o->first; k < o->last; k += CHAIN) {
            vf sum[4] = {{0}};
            const int64_t end = k + CHAIN < o->last ? k + CHAIN : o->last;
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

static void run_pieces(const outer *o, int64_t first, int64_t last, float *scratch) {
    const blocks size = block_size(o);
    const int64_t across = ceil_div(o->cols, size.cols);
    for (int64_t piece = first; piece < last; piece++) {
        int64_t down = piece / across;
        block b = {.o = o, .column = piece % across * size.cols};
        b.cols = o->cols - b.column < size.cols ? o->cols - b.column : size.cols;
        if (o->sums && down == 0) outer_sums(o, b.column, b.cols);
        if (!o->y) continue;
        for (; down >= ceil_div(o->x_cols[b.part], size.rows); b.part++) {
            down -= ceil_div(o->x_cols[b.part], size.rows);
            b.y_row += o->x_cols[b.part];
        }
        b.row = down * size.rows;
        b.rows = o->x_cols[b.part] - b.row < size.rows ? o->x_cols[b.part] - b.row : size.rows;
        b.y_row += b.row;
        run_block(&b, scratch);
    }
}

/* ---- segments: pieces are blocks of the first one, then of the second ------------------------------------------ */

static int64_t outer_rows(const outer *o) {
    int64_t rows = 0;
    for (int i = 0; i < o->parts; i++) rows += o->x_cols[i];
    return rows;
}

static int64_t outer_pieces(const outer *o) { return segment_count(o) * block_count(o); }

/* What a segment leaves: its sums, then its y. */
static int64_t left_behind(const outer *o) { return (outer_rows(o) + 1) * o->cols; }

static int64_t outer_partials(const outer *o) {
    const int64_t segments = segment_count(o);
    return segments > 1 ? segments * left_behind(o) : 0;
}

static outer segment_of(const outer *whole, int64_t at, float *partial) {
    const int64_t segments = segment_count(whole), size = ceil_div(ceil_div(whole->depth, segments), CHAIN) * CHAIN;
    outer o = *whole;
    o.first = at * size;
    o.last = o.first + size < o.depth ? o.first + size : o.depth;
    if (segments == 1) return o;
    partial += at * left_behind(whole);
    if (o.sums) o.sums = partial;
    if (o.y) o.y = partial + o.cols;
    o.y_stride = o.cols;
    return o;
}

static void outer_run(const outer *whole, int64_t first, int64_t last, float *partial, float *scratch) {
    const int64_t each = block_count(whole);
    while (first < last) {
        const int64_t at = first / each, end = (at + 1) * each < last ? (at + 1) * each : last;
        const outer o = segment_of(whole, at, partial);
        run_pieces(&o, first - at * each, end - at * each, scratch);
        first = end;
    }
}

static void add_segments(const float *from, int64_t segments, int64_t apart, int64_t cols, float *to) {
    for (int64_t c = 0; c < cols; c += LANES) {
        vf sum = vload_part(from + c, cols - c);
        for (int64_t s = 1; s < segments; s++) sum += vload_part(from + s * apart + c, cols - c);
        vstore_part(to + c, sum, cols - c);
    }
}

static void outer_finish(const outer *o, const float *partial) {
    const int64_t segments = segment_count(o), apart = left_behind(o), rows = outer_rows(o);
    if (segments == 1) return;
    if (o->sums) add_segments(partial, segments, apart, o->cols, o->sums);
    for (int64_t r = 0; r < rows && o->y; r++)
        add_segments(partial + (r + 1) * o->cols, segments, apart, o->cols, o->y + r * o->y_stride);
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
    return outer_pieces(&o);
}

static int64_t wgrad_partials(const rv_launch *l) {
    const outer o = wgrad_of(l);
    return outer_partials(&o);
}

static void wgrad_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const outer o = wgrad_of(&step->launch);
    outer_run(&o, first, last, step->partial, scratch);
}

static void wgrad_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    const outer o = wgrad_of(&step->launch);
    outer_finish(&o, step->partial);
}

const rv_kernel RV_NAME(rv_linear_wgrad_kernel) = {
    .run = wgrad_run, .finish = wgrad_finish, .pieces = wgrad_pieces, .partials = wgrad_partials};

/* ---- block_linear_wgrad: dpre, x0 .. -> dw, dbias: the same, block after block ------------------------------- */

static outer block_wgrad_of(const rv_launch *l, int64_t g) {
    outer o = wgrad_of(l);
    const int64_t blocks = l->attributes.i[1], inner = l->output[0].rows / blocks;
    o.x_cols[0] /= blocks;
    o.x[0] += g * o.x_cols[0];
    o.cols /= blocks;
    o.d += g * o.cols;
    if (o.y) o.y += g * inner * o.y_stride;
    if (o.sums) o.sums += g * o.cols;
    return o;
}

static int64_t block_wgrad_pieces(const rv_launch *l) {
    const outer o = block_wgrad_of(l, 0);
    return l->attributes.i[1] * outer_pieces(&o);
}

static int64_t block_wgrad_partials(const rv_launch *l) {
    const outer o = block_wgrad_of(l, 0);
    return l->attributes.i[1] * outer_partials(&o);
}

static void block_wgrad_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const int64_t each = block_wgrad_pieces(&step->launch) / step->launch.attributes.i[1];
    while (first < last) {
        const int64_t g = first / each, end = (g + 1) * each < last ? (g + 1) * each : last;
        const outer o = block_wgrad_of(&step->launch, g);
        outer_run(&o, first - g * each, end - g * each, step->partial + g * outer_partials(&o), scratch);
        first = end;
    }
}

static void block_wgrad_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    for (int64_t g = 0; g < step->launch.attributes.i[1]; g++) {
        const outer o = block_wgrad_of(&step->launch, g);
        outer_finish(&o, step->partial + g * outer_partials(&o));
    }
}

const rv_kernel RV_NAME(rv_block_linear_wgrad_kernel) = {.run = block_wgrad_run, .finish = block_wgrad_finish,
                                                         .pieces = block_wgrad_pieces, .partials = block_wgrad_partials};

/* ---- matmul with a transposed: y = a^T b ----------------------------------------------------------------------- */

static outer matmul_of(const rv_launch *l, const float *packed) {
    const rv_operand *a = &l->input[0], *b = &l->input[1], *y = &l->output[0];
    return (outer){.x = {rv_f32(a)}, .x_cols = {a->cols}, .x_stride = {a->stride}, .parts = 1, .d = rv_f32(b),
                   .packed = packed, .d_stride = b->stride, .depth = a->rows, .cols = y->cols, .y = rv_f32(y),
                   .y_stride = y->stride};
}

int64_t RV_NAME(rv_outer_matmul_pieces)(const rv_launch *l) {
    const outer o = matmul_of(l, NULL);
    return outer_pieces(&o);
}

int64_t RV_NAME(rv_outer_matmul_partials)(const rv_launch *l) {
    const outer o = matmul_of(l, NULL);
    return outer_partials(&o);
}

void RV_NAME(rv_outer_matmul)(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const outer o = matmul_of(&step->launch, step->packed[0]);
    outer_run(&o, first, last, step->partial, scratch);
}

void RV_NAME(rv_outer_matmul_finish)(const rv_step *step) {
    const outer o = matmul_of(&step->launch, NULL);
    outer_finish(&o, step->partial);
}
