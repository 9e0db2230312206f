/* backends/gpu/lower_shape.c: moving elements. Their operands differ in shape, so domains stay as they are. */
#include "backends/gpu/lowerings.h"

/* About RV_GPU_PART_ELEMENTS elements a group; slices: whole rows. */
static bool blocks(const rv_launch *launch, bool slices, rv_gpu_stages *stages, rv_gpu_function function) {
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, function);
    const int64_t cols = slices || stage->cols < RV_GPU_PART_ELEMENTS ? stage->cols : RV_GPU_PART_ELEMENTS;
    rv_gpu_grid_tiles(stage, RV_GPU_PART_ELEMENTS / cols, cols);
    return true;
}

RV_GPU_LOWERING(concat_cols) { return (void)gpu, blocks(launch, slices, stages, RV_GPU_concat_cols); }
RV_GPU_LOWERING(concat_rows) { return (void)gpu, !slices && blocks(launch, false, stages, RV_GPU_concat_rows); }
RV_GPU_LOWERING(gather) { return (void)gpu, blocks(launch, slices, stages, RV_GPU_gather); }

RV_GPU_LOWERING(transpose) {
    (void)gpu;
    if (!slices) rv_gpu_grid_tiles(rv_gpu_stage_add(stages, launch, RV_GPU_transpose), 32, 32);
    return !slices;
}

RV_GPU_LOWERING(scatter_add) {
    (void)gpu;
    if (slices) return false;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_scatter_add);
    const int64_t cols = stage->cols < RV_LANES ? stage->cols : RV_LANES;
    rv_gpu_grid_tiles(stage, RV_LANES / cols, cols);
    return true;
}

/* Its domain are the rows that are stored. */
RV_GPU_LOWERING(store_rows) {
    (void)gpu;
    if (slices) return false;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_store_rows);
    stage->rows = launch->input[1].rows;
    rv_gpu_grid_rows(stage, RV_LANES / 32);
    return true;
}
