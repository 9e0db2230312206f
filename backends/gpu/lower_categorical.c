/* backends/gpu/lower_categorical.c: categorical variables, teams of lanes a row. */
#include "backends/gpu/lowerings.h"

/* As many rows a group as it has at once: the numbers of kernels/categorical.k's variables_of. */
static bool by_variables(const rv_launch *launch, rv_gpu_stages *stages, rv_gpu_function function) {
    const int64_t classes = launch->attributes.i[0], count = launch->input[0].cols / classes;
    const int64_t team = RV_LANES / rv_gpu_team_rows(classes);
    int64_t row_team = team;
    while (row_team < 64 && row_team / team < count) row_team *= 2;
    rv_gpu_grid_rows(rv_gpu_stage_add(stages, launch, function), RV_LANES / row_team);
    return true;
}

RV_GPU_LOWERING(categorical) {
    const bool draws = launch->input[1].buffer || launch->input[2].buffer;
    (void)gpu, (void)slices;
    return by_variables(launch, stages, draws ? RV_GPU_categorical_draw : RV_GPU_categorical_mode);
}

#define BY_VARIABLES(name, function) \
    RV_GPU_LOWERING(name) { return (void)gpu, (void)slices, by_variables(launch, stages, RV_GPU_##function); }

BY_VARIABLES(sample_categorical, categorical_draw)
BY_VARIABLES(categorical_log_prob, categorical_log_prob)
BY_VARIABLES(categorical_backward, categorical_backward)
BY_VARIABLES(kl_categorical, kl_categorical)
BY_VARIABLES(kl_categorical_backward, kl_categorical_backward)
