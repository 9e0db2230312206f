/* backends/gpu/lower_noise.c: draws and samples. Blocks of four columns are never cut. */
#include "backends/gpu/lowerings.h"

/* About RV_GPU_PART_ELEMENTS elements a group, whole fours of columns; slices: whole rows. */
static void grid_blocks(rv_gpu_stage *stage, bool slices) {
    const int64_t cols = slices || stage->cols < RV_GPU_PART_ELEMENTS ? stage->cols : RV_GPU_PART_ELEMENTS;
    rv_gpu_grid_tiles(stage, RV_GPU_PART_ELEMENTS / cols, cols);
}

/* Where rows are whole fours without gaps, the blocks of all rows are those of one long row. */
static bool draw(const rv_launch *launch, bool slices, rv_gpu_stages *stages, rv_gpu_function function) {
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, function);
    if (stage->cols % 4 != 0) {
        grid_blocks(stage, slices);
        return true;
    }
    stage->in[0].buffer = NULL; /* read whole */
    rv_gpu_grid_elements(stage, slices);
    stage->in[0] = launch->input[0];
    return true;
}

RV_GPU_LOWERING(uniform) { return (void)gpu, draw(launch, slices, stages, RV_GPU_uniform); }
RV_GPU_LOWERING(normal) { return (void)gpu, draw(launch, slices, stages, RV_GPU_normal); }
RV_GPU_LOWERING(uniform_index) { return (void)gpu, draw(launch, slices, stages, RV_GPU_uniform_index); }

RV_GPU_LOWERING(sample_normal) {
    (void)gpu, (void)slices;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_sample_normal);
    stage->cols = launch->input[0].cols;
    rv_gpu_grid_rows(stage, rv_gpu_team_rows(stage->cols));
    return true;
}

RV_GPU_LOWERING(sample_normal_backward) {
    (void)gpu;
    grid_blocks(rv_gpu_stage_add(stages, launch, RV_GPU_sample_normal_backward), slices);
    return true;
}
