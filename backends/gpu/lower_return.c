/* backends/gpu/lower_return.c: rows of time, a lane a row; heads over bins, a team a row. */
#include "backends/gpu/lowerings.h"

/* few rows a group: what a row's steps take hardly depends on how many rows go beside it */
enum { ROWS = 32 };

static bool by_rows(const rv_launch *launch, rv_gpu_stages *stages, rv_gpu_function function) {
    rv_gpu_grid_rows(rv_gpu_stage_add(stages, launch, function), ROWS);
    return true;
}

RV_GPU_LOWERING(lambda_return) { return (void)gpu, (void)slices, by_rows(launch, stages, RV_GPU_lambda_return); }
RV_GPU_LOWERING(lambda_return_backward) {
    return (void)gpu, (void)slices, by_rows(launch, stages, RV_GPU_lambda_return_backward);
}
RV_GPU_LOWERING(cumprod) { return (void)gpu, (void)slices, by_rows(launch, stages, RV_GPU_cumprod); }

RV_GPU_BY_TEAMS(twohot_nll)
RV_GPU_BY_TEAMS(twohot_nll_backward)
RV_GPU_BY_TEAMS(twohot_mean)
