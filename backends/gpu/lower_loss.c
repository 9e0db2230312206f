/* backends/gpu/lower_loss.c: divergences and likelihoods. */
#include "backends/gpu/lowerings.h"

RV_GPU_LOWERING(kl_normal) { return (void)gpu, (void)slices, rv_gpu_lower_by_teams(launch, stages, RV_GPU_kl_normal); }
RV_GPU_LOWERING(mse) { return (void)gpu, (void)slices, rv_gpu_lower_by_teams(launch, stages, RV_GPU_mse); }
RV_GPU_LOWERING(gaussian_nll) { return (void)gpu, (void)slices, rv_gpu_lower_by_teams(launch, stages, RV_GPU_gaussian_nll); }
RV_GPU_LOWERING(bernoulli_nll) { return (void)gpu, (void)slices, rv_gpu_lower_by_teams(launch, stages, RV_GPU_bernoulli_nll); }

RV_GPU_LOWERING(kl_normal_backward) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_kl_normal_backward); }
RV_GPU_LOWERING(gaussian_nll_backward) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_gaussian_nll_backward); }
RV_GPU_LOWERING(bernoulli_nll_backward) { return (void)gpu, rv_gpu_lower_by_elements(launch, slices, stages, RV_GPU_bernoulli_nll_backward); }

/* The domain may become one long row, so the kernel cannot ask it for the mean's width. */
RV_GPU_LOWERING(mse_backward) {
    (void)gpu;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_mse_backward);
    stage->attributes.f[0] = 2.0f / (float)launch->input[0].cols;
    rv_gpu_grid_elements(stage, slices);
    return true;
}
