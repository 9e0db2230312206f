/* backends/gpu/lower_loss.c: divergences and likelihoods. */
#include "backends/gpu/lowerings.h"

RV_GPU_BY_TEAMS(kl_normal)
RV_GPU_BY_TEAMS(mse)
RV_GPU_BY_TEAMS(gaussian_nll)
RV_GPU_BY_TEAMS(bernoulli_nll)

RV_GPU_BY_ELEMENTS(kl_normal_backward)
RV_GPU_BY_ELEMENTS(gaussian_nll_backward)
RV_GPU_BY_ELEMENTS(bernoulli_nll_backward)

/* The domain may become one long row, so the kernel cannot ask it for the mean's width. */
RV_GPU_LOWERING(mse_backward) {
    (void)gpu;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_mse_backward);
    stage->attributes.f[0] = 2.0f / (float)launch->input[0].cols;
    rv_gpu_grid_elements(stage, slices);
    return true;
}
