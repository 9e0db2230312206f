/* backends/gpu/lower_update.c: what updates weights. Their scalars stay on the device. */
#include "backends/gpu/lowerings.h"

RV_GPU_LOWERING(adamw) {
    (void)gpu;
    if (!slices) rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, RV_GPU_adamw), false);
    return !slices;
}

/* Pieces that a segment is cut into: by the size of all of them, as the host does not know whose is whose. */
static int64_t pieces_of(int64_t count) {
    const int64_t most = 64, pieces = count / 65536 + 1;
    return pieces < most ? pieces : most;
}

RV_GPU_LOWERING(segment_norms) {
    const int64_t segments = launch->output[0].rows, pieces = pieces_of(launch->input[0].cols);
    (void)gpu;
    if (slices) return false;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_segment_squares);
    stage->cols = pieces;
    rv_gpu_grid_tiles(stage, 1, 1);
    stage->extra[0] = (int)pieces;
    stage->extra[1] = pieces == 1;
    if (pieces == 1) return true;
    const rv_operand squares = rv_gpu_scratch(stages, RV_F32, segments, 2 * pieces);
    stage->out[0] = squares;
    stage = rv_gpu_stage_add(stages, launch, RV_GPU_segment_roots);
    for (int k = 0; k < launch->input_count; k++) stage->in[k] = (rv_operand){.buffer = NULL};
    stage->in[0] = squares;
    stage->extra[0] = (int)pieces;
    rv_gpu_grid_rows(stage, RV_LANES / 2);
    return true;
}

RV_GPU_LOWERING(laprop) {
    (void)gpu;
    if (!slices) rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, RV_GPU_laprop), false);
    return !slices;
}

RV_GPU_LOWERING(ema) {
    (void)gpu;
    if (!slices) rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, RV_GPU_ema), false);
    return !slices;
}
