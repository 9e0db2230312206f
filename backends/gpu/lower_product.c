/* backends/gpu/lower_product.c: everything that is a product: matmul, linear, block linear and their gradients. */
#include "backends/gpu/lower_product.h"

#include <limits.h>

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t pieces_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

/* ---- which tiles ------------------------------------------------------------------------------------------------ */

/* Large tiles read less and work at a higher rate, small ones are more and keep every unit busy. `rate`: of what a
 * unit can do; estimates, from the loads that a lane's multiply-adds share. */
static const struct {
    rv_gpu_function function, weights;
    int64_t size;
    double rate;
} tiles[] = {{RV_GPU_product_128, RV_GPU_weights_128, 128, 0.8},
             {RV_GPU_product_64, RV_GPU_weights_64, 64, 0.65},
             {RV_GPU_product_16, RV_GPU_weights_16, 16, 0.2}};
enum { TILES = sizeof tiles / sizeof *tiles };

static int64_t tiled_cols(const rv_gpu_stage *stage, int64_t last, int64_t size) {
    return (stage->extra[1] * pieces_of(stage->extra[2], size) + pieces_of(last, size)) * size;
}

void rv_gpu_product_grid(const rv_gpu *gpu, rv_gpu_stage *stage, int64_t rows, int64_t last, rv_gpu_product_form form) {
    stage->rows = rows;
    stage->cols = stage->extra[1] * (int64_t)stage->extra[2] + last;
    stage->function = RV_GPU_product_slices;
    rv_gpu_grid_rows(stage, 1);
    if (form == RV_GPU_SLICES) return;
    int best = 0;
    double shortest = 0; /* rounds of the whole device times what a round costs */
    for (int t = 0; t < TILES; t++) {
        const int64_t size = tiles[t].size, groups = pieces_of(rows, size) * (tiled_cols(stage, last, size) / size);
        const double time = (double)(pieces_of(groups, gpu->units) * size * size) / tiles[t].rate;
        if (t > 0 && time >= shortest) continue;
        best = t;
        shortest = time;
    }
    stage->function = form == RV_GPU_WEIGHTS ? tiles[best].weights : tiles[best].function;
    if (stage->cols > 0) stage->cols = tiled_cols(stage, last, tiles[best].size);
    rv_gpu_grid_tiles(stage, tiles[best].size, tiles[best].size);
}

static int weights_tile(rv_gpu_function function) {
    int t = 0;
    while (t < TILES && tiles[t].weights != function) t++;
    return t;
}

bool rv_gpu_is_weights(const rv_gpu_stage *stage) { return weights_tile(stage->function) < TILES; }

void rv_gpu_weights_like(rv_gpu_stage *stage, const rv_gpu_stage *other) {
    const int t = weights_tile(other->function);
    stage->function = other->function;
    if (stage->cols > 0) stage->cols = tiled_cols(stage, 0, tiles[t].size);
    rv_gpu_grid_tiles(stage, tiles[t].size, tiles[t].size);
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

rv_gpu_stage *rv_gpu_product_add(rv_gpu_stages *stages, rv_gpu_product_kind kind, int64_t blocks, int64_t cols) {
    rv_gpu_stage *stage = &stages->stage[stages->count++];
    *stage = (rv_gpu_stage){.extra = {kind, (int)blocks, (int)cols, 0}};
    stage->attributes.i[2] = 1;
    return stage;
}

static rv_operand output(const rv_launch *launch, int k) {
    return k < launch->output_count ? launch->output[k] : (rv_operand){.buffer = NULL};
}

static int64_t rows_of(const rv_launch *launch) { return launch->output[launch->output[0].buffer ? 0 : 1].rows; }

RV_GPU_LOWERING(matmul) {
    const rv_operand *a = &launch->input[0], *b = &launch->input[1], *y = &launch->output[0];
    const bool ta = launch->attributes.i[0], tb = launch->attributes.i[1];
    const rv_gpu_product_form form = ta && !tb ? RV_GPU_WEIGHTS : RV_GPU_TILES;
    rv_gpu_stage *stage = rv_gpu_product_add(stages, RV_GPU_SIDE_BY_SIDE, 1, y->cols);
    stage->in[0] = *b;
    stage->in[2] = *a;
    stage->out[0] = *y;
    stage->attributes.i[1] = ta | tb << 1;
    stage->extra[3] = INT_MAX;
    stage->gemm = (rv_gpu_gemm){true, ta, tb, y->rows, y->cols, ta ? a->rows : a->cols, *a, *b, *y};
    rv_gpu_product_grid(gpu, stage, y->rows, 0, slices ? RV_GPU_SLICES : form);
    return !(slices && ta);
}

/* LINEAR, BLOCK_LINEAR: w, [bias], x0 .. -> y, slope. */
static bool side_by_side(const rv_gpu *gpu, const rv_launch *launch, bool slices, rv_gpu_stages *stages,
                         int64_t blocks) {
    const rv_operand *w = &launch->input[0];
    rv_gpu_stage *stage = rv_gpu_product_add(stages, RV_GPU_SIDE_BY_SIDE, blocks, w->cols);
    for (int k = 0; k < launch->input_count; k++) stage->in[k] = launch->input[k];
    for (int k = 0; k < 2; k++) stage->out[k] = launch->output[k];
    stage->attributes.i[0] = launch->attributes.i[0];
    stage->attributes.i[2] = (int32_t)blocks;
    const bool plain = blocks == 1 && launch->input_count == 3 && !launch->input[1].buffer && !launch->output[1].buffer;
    if (plain && launch->attributes.i[0] == RV_LINEAR) {
        const rv_operand *x = &launch->input[2], *y = &launch->output[0];
        stage->gemm = (rv_gpu_gemm){true, false, false, y->rows, y->cols, x->cols, *x, *w, *y};
    }
    rv_gpu_product_grid(gpu, stage, rows_of(launch), 0, slices ? RV_GPU_SLICES : RV_GPU_TILES);
    return true;
}

RV_GPU_LOWERING(linear) { return side_by_side(gpu, launch, slices, stages, 1); }
RV_GPU_LOWERING(block_linear) { return side_by_side(gpu, launch, slices, stages, launch->attributes.i[1]); }

RV_GPU_LOWERING(block_linear_backward) {
    const rv_operand own = output(launch, 0), shared = output(launch, 1);
    const int32_t blocks = launch->attributes.i[1], each = launch->attributes.i[2];
    rv_gpu_stage *stage = rv_gpu_product_add(stages, RV_GPU_BACK, own.buffer ? blocks : 0, each);
    stage->in[0] = launch->input[1];
    stage->in[2] = launch->input[0];
    stage->out[0] = own;
    stage->out[1] = shared;
    stage->attributes.i[2] = blocks;
    rv_gpu_product_grid(gpu, stage, launch->input[0].rows, shared.buffer ? shared.cols : 0,
                        slices ? RV_GPU_SLICES : RV_GPU_TILES);
    return true;
}

/* ---- the weights' gradients -------------------------------------------------------------------------------------- */

/* Rows that one piece of the sum takes; the whole sum where its tiles alone keep a large device busy, or it is so short
 * that folding the pieces costs what they save. By shapes alone: the bits are the same on devices of any size. */
static int64_t piece_rows(int64_t rows, int64_t inner, int64_t cols, int64_t blocks) {
    const int64_t busy = 128, shortest = 512, whole = 1024, tile = 64;
    const int64_t groups = most(pieces_of(inner, tile) * pieces_of(cols, tile) * blocks, 1);
    const int64_t pieces = rows > whole ? most(least(busy / groups, rows / shortest), 1) : 1;
    return most(pieces_of(pieces_of(rows, pieces), tile) * tile, tile);
}

/* LINEAR_WGRAD, BLOCK_LINEAR_WGRAD: dpre, x0 .. -> dw, dbias. */
static bool weights(const rv_gpu *gpu, const rv_launch *launch, rv_gpu_stages *stages, int64_t blocks) {
    const rv_operand *dpre = &launch->input[0], *dw = &launch->output[0], *dbias = &launch->output[1];
    int64_t inner = launch->input[1].cols / blocks;
    for (int k = 2; k < launch->input_count; k++) inner += launch->input[k].cols;
    const int64_t cols = dpre->cols / blocks, rows = piece_rows(dpre->rows, inner, cols, blocks);
    const int64_t pieces = most(pieces_of(dpre->rows, rows), 1);
    rv_gpu_stage *stage = rv_gpu_product_add(stages, RV_GPU_SIDE_BY_SIDE, pieces * blocks, cols);
    stage->in[0] = *dpre;
    for (int k = 1; k < launch->input_count; k++) stage->in[1 + k] = launch->input[k];
    stage->attributes.i[2] = (int32_t)blocks;
    stage->extra[3] = (int)least(rows, INT_MAX);
    stage->out[0] = *dw;
    stage->out[1] = *dbias;
    if (blocks == 1 && pieces == 1 && launch->input_count == 2 && !dbias->buffer) {
        stage->gemm = (rv_gpu_gemm){true, true, false, dw->rows, dw->cols, dpre->rows, launch->input[1], *dpre, *dw};
    }
    if (pieces > 1) {
        if (dw->buffer) stage->out[0] = rv_gpu_scratch(stages, RV_F32, pieces * dw->rows, cols);
        if (dbias->buffer) stage->out[1] = rv_gpu_scratch(stages, RV_F32, pieces, dbias->cols);
    }
    rv_gpu_product_grid(gpu, stage, dw->buffer ? inner : 1, 0, RV_GPU_WEIGHTS);
    if (pieces == 1) return true;
    rv_gpu_stage *fold = &stages->stage[stages->count++];
    *fold = (rv_gpu_stage){.function = RV_GPU_product_fold, .extra = {(int)pieces}};
    for (int k = 0; k < 2; k++) {
        fold->in[k] = stage->out[k];
        fold->out[k] = launch->output[k];
    }
    fold->rows = (dw->buffer ? dw->rows : 0) + (dbias->buffer ? blocks : 0);
    fold->cols = cols;
    rv_gpu_grid_elements(fold, true);
    fold->part_rows = most(RV_GPU_PART_ELEMENTS / 8 / most(cols, 1), 1);
    return true;
}

RV_GPU_LOWERING(linear_wgrad) { return (void)slices, weights(gpu, launch, stages, 1); }
RV_GPU_LOWERING(block_linear_wgrad) { return (void)slices, weights(gpu, launch, stages, launch->attributes.i[1]); }
