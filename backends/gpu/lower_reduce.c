/* backends/gpu/lower_reduce.c: reductions, softmax, quantile, watch. What is large is folded in two stages. */
#include <limits.h>

#include "backends/gpu/lowerings.h"

static int64_t parts_of(int64_t count, int64_t size) { return count > 0 ? (count + size - 1) / size : 1; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Elements a group folds, rows of 32 columns: from what keeps it busy up to what leaves the second stage few parts. */
static int64_t chunk_elements(int64_t count) { return most(4096, parts_of(count, 2048)); }
static int64_t chunk_rows(int64_t rows) { return rows <= 256 ? most(rows, 1) : most(128, parts_of(rows, 512)); }

/* A stage over `chunks` of `size`, one a group. A size that does not fit leaves a domain that is refused. */
static void over_chunks(rv_gpu_stage *stage, int64_t chunks, int64_t size) {
    stage->rows = size <= INT_MAX ? chunks : (int64_t)INT_MAX + 1;
    stage->cols = 1;
    stage->extra[0] = (int)size;
    rv_gpu_grid_rows(stage, 1);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

RV_GPU_BY_TEAMS(reduce_cols)
RV_GPU_BY_TEAMS(softmax)
RV_GPU_BY_TEAMS(softmax_backward)

/* ---- all, and columns ---------------------------------------------------------------------------------------- */

typedef struct whole_fold {
    bool squares, root;
    float divisor; /* 0: none */
} whole_fold;

static bool fold_whole(const rv_launch *launch, rv_gpu_stages *stages, whole_fold fold) {
    const rv_operand *x = &launch->input[0];
    const int64_t count = x->rows * x->cols, size = chunk_elements(count), chunks = parts_of(count, size);
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_reduce_all);
    over_chunks(stage, chunks, size);
    stage->extra[1] = fold.squares;
    if (chunks > 1) {
        const rv_operand folded = rv_gpu_scratch(stages, RV_F32, chunks, 1);
        stage->out[0] = folded;
        stage->attributes.f[0] = 0;
        stage = rv_gpu_stage_add(stages, launch, RV_GPU_reduce_all);
        over_chunks(stage, 1, chunks);
        stage->in[0] = folded;
    }
    stage->extra[2] = fold.root;
    stage->attributes.f[0] = fold.divisor;
    return true;
}

static float divisor(const rv_launch *launch, int64_t count) {
    return launch->attributes.i[0] == RV_REDUCE_MEAN ? (float)count : 0.0f;
}

RV_GPU_LOWERING(reduce_all) {
    const int64_t count = launch->input[0].rows * launch->input[0].cols;
    return (void)gpu, !slices && fold_whole(launch, stages, (whole_fold){.divisor = divisor(launch, count)});
}

RV_GPU_LOWERING(global_norm) {
    return (void)gpu, !slices && fold_whole(launch, stages, (whole_fold){.squares = true, .root = true});
}

static void over_columns(rv_gpu_stage *stage, int64_t chunks, int64_t size) {
    stage->rows = chunks;
    stage->extra[0] = size <= INT_MAX ? (int)size : 0;
    rv_gpu_grid_tiles(stage, 1, 32);
}

RV_GPU_LOWERING(reduce_rows) {
    const rv_operand *x = &launch->input[0];
    (void)gpu;
    if (slices) return false;
    if (x->cols == 1) return fold_whole(launch, stages, (whole_fold){.divisor = divisor(launch, x->rows)});
    const int64_t size = chunk_rows(x->rows), chunks = parts_of(x->rows, size);
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_reduce_rows);
    over_columns(stage, chunks, size);
    if (chunks > 1) {
        const rv_operand folded = rv_gpu_scratch(stages, RV_F32, chunks, x->cols);
        stage->out[0] = folded;
        stage = rv_gpu_stage_add(stages, launch, RV_GPU_reduce_rows);
        over_columns(stage, 1, chunks);
        stage->in[0] = folded;
    }
    stage->attributes.f[0] = divisor(launch, x->rows);
    return true;
}

/* ---- the first one --------------------------------------------------------------------------------------------- */

/* Where each chunk has its first element: i32 [chunks, 1]. */
static rv_operand find_first(const rv_launch *launch, rv_gpu_stages *stages, bool equal, int64_t chunks, int64_t size) {
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_find_first);
    over_chunks(stage, chunks, size);
    stage->extra[1] = equal;
    return stage->out[0] = rv_gpu_scratch(stages, RV_I32, chunks, 1);
}

RV_GPU_LOWERING(watch) {
    const rv_operand *x = &launch->input[0];
    const int64_t count = x->rows * x->cols, most_at_once = 16384;
    (void)gpu;
    if (slices) return false;
    const int64_t size = count <= most_at_once ? most(count, 1) : chunk_elements(count), chunks = parts_of(count, size);
    rv_operand found = {.buffer = NULL};
    if (chunks > 1) found = find_first(launch, stages, false, chunks, size);
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_watch);
    over_chunks(stage, 1, size);
    stage->in[2] = found;
    return true;
}

static bool extreme_of_all(const rv_launch *launch, rv_gpu_stages *stages) {
    const rv_operand *x = &launch->input[0];
    const int64_t count = x->rows * x->cols, size = chunk_elements(count), chunks = parts_of(count, size);
    const rv_operand found = find_first(launch, stages, true, chunks, size);
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_extreme_spread);
    over_chunks(stage, chunks, size);
    stage->in[3] = found;
    return true;
}

RV_GPU_LOWERING(extreme_backward) {
    const rv_operand *x = &launch->input[0], *y = &launch->input[1];
    (void)gpu;
    if (slices) return false;
    if (y->rows == x->rows && y->cols == 1) return rv_gpu_lower_by_teams(launch, stages, RV_GPU_extreme_in_rows);
    if (y->cols == 1) return extreme_of_all(launch, stages);
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_extreme_in_cols);
    rv_gpu_grid_tiles(stage, stage->rows, 32);
    return true;
}

/* ---- quantile ----------------------------------------------------------------------------------------------- */

/* Which elements it lies between is known here, in double as everywhere; the device only selects them. */
RV_GPU_LOWERING(quantile) {
    const rv_operand *x = &launch->input[0];
    const int64_t count = x->rows * x->cols;
    (void)gpu;
    if (slices) return false;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_quantile);
    over_chunks(stage, 1, count);
    stage->extra[0] = -1;
    stage->attributes.f[1] = 0;
    if (count == 0) return true;
    const double place = (double)launch->attributes.f[0] * (double)(count - 1);
    const int64_t below = (int64_t)place < count - 1 ? (int64_t)place : count - 1;
    stage->extra[0] = (int)below;
    stage->attributes.f[1] = (float)(place - (double)below);
    return true;
}
