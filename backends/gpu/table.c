/* backends/gpu/table.c: how each op is lowered. An op that is missing here has no kernel: its expansion runs. */
#include "backends/gpu/lowerings.h"

static const rv_gpu_lowering lowerings[RV_OP_COUNT] = {
    [RV_OP_MAP1] = rv_gpu_lower_map1,
    [RV_OP_MAP2] = rv_gpu_lower_map2,
    [RV_OP_WHERE] = rv_gpu_lower_where,
    [RV_OP_FILL] = rv_gpu_lower_fill,
    [RV_OP_COPY] = rv_gpu_lower_copy,
    [RV_OP_MATMUL] = rv_gpu_lower_matmul,
    [RV_OP_LINEAR] = rv_gpu_lower_linear,
    [RV_OP_LINEAR_WGRAD] = rv_gpu_lower_linear_wgrad,
    [RV_OP_BLOCK_LINEAR] = rv_gpu_lower_block_linear,
    [RV_OP_BLOCK_LINEAR_BACKWARD] = rv_gpu_lower_block_linear_backward,
    [RV_OP_BLOCK_LINEAR_WGRAD] = rv_gpu_lower_block_linear_wgrad,
    [RV_OP_LAYER_NORM] = rv_gpu_lower_layer_norm,
    [RV_OP_LAYER_NORM_BACKWARD] = rv_gpu_lower_layer_norm_backward,
    [RV_OP_RMS_NORM] = rv_gpu_lower_rms_norm,
    [RV_OP_RMS_NORM_BACKWARD] = rv_gpu_lower_rms_norm_backward,
    [RV_OP_NORM_WGRAD] = rv_gpu_lower_norm_wgrad,
    [RV_OP_GRU_CELL] = rv_gpu_lower_gru_cell,
    [RV_OP_GRU_CELL_BACKWARD] = rv_gpu_lower_gru_cell_backward,
    [RV_OP_BLOCK_GRU] = rv_gpu_lower_block_gru,
    [RV_OP_BLOCK_GRU_BACKWARD] = rv_gpu_lower_block_gru_backward,
};

rv_gpu_lowering rv_gpu_lowering_of(rv_op op) { return (unsigned)op < RV_OP_COUNT ? lowerings[op] : NULL; }

bool rv_gpu_supports(rv_op op, const rv_attributes *attributes) {
    (void)attributes;
    return rv_gpu_lowering_of(op) != NULL;
}
