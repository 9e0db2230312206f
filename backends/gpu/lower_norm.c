/* backends/gpu/lower_norm.c: layer norm, RMS norm, and their gradients. */
#include "backends/gpu/lowerings.h"

static bool by_rows(rv_gpu_stage *stage, int64_t cols) {
    rv_gpu_grid_rows(stage, rv_gpu_team_rows(cols));
    return true;
}

RV_GPU_LOWERING(layer_norm) {
    (void)gpu, (void)slices;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_norm);
    stage->extra[0] = 1;
    return by_rows(stage, launch->input[0].cols);
}

/* x, scale -> y, slope, rstd: as the layer norm's, but for the bias and the mean. */
RV_GPU_LOWERING(rms_norm) {
    (void)gpu, (void)slices;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_norm);
    stage->out[3] = stage->out[2];
    stage->out[2].buffer = NULL;
    return by_rows(stage, launch->input[0].cols);
}

RV_GPU_LOWERING(layer_norm_backward) {
    (void)gpu, (void)slices;
    return by_rows(rv_gpu_stage_add(stages, launch, RV_GPU_norm_backward), launch->input[1].cols);
}

RV_GPU_LOWERING(rms_norm_backward) {
    (void)gpu, (void)slices;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_norm_backward);
    stage->in[4] = stage->in[3];
    stage->in[3].buffer = NULL;
    return by_rows(stage, launch->input[1].cols);
}

/* Pieces of at least 64 rows, at most 64 of them: by the shape alone. */
RV_GPU_LOWERING(norm_wgrad) {
    (void)gpu, (void)slices;
    const int64_t rows = launch->input[0].rows, cols = launch->input[0].cols;
    const int64_t each = rows > 64 * 64 ? (rows + 63) / 64 : 64, pieces = rows > each ? (rows + each - 1) / each : 1;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_norm_wgrad), *fold = NULL;
    stage->extra[0] = (int)each;
    stage->rows = pieces;
    stage->cols = cols;
    if (pieces > 1) {
        fold = rv_gpu_stage_add(stages, launch, RV_GPU_product_fold);
        for (int k = 0; k < RV_GPU_INPUTS; k++) fold->in[k].buffer = NULL;
        fold->extra[0] = (int)pieces;
        fold->rows = 0;
        for (int k = 0; k < 2; k++) {
            if (!launch->output[k].buffer) continue;
            stage->out[k] = fold->in[k] = rv_gpu_scratch(stages, RV_F32, pieces, cols);
            fold->rows++;
        }
        rv_gpu_grid_tiles(fold, 1, RV_LANES);
    }
    rv_gpu_grid_tiles(stage, 1, cols < RV_LANES ? cols : RV_LANES);
    if (cols > 0 && cols < RV_LANES) stage->part_rows = RV_LANES / cols;
    return true;
}
