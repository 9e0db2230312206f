/* backends/gpu/table.c: how each op is lowered. An op that is missing here has no kernel: its expansion runs. */
#include "backends/gpu/lowerings.h"

static const rv_gpu_lowering lowerings[RV_OP_COUNT] = {
    [RV_OP_MAP1] = rv_gpu_lower_map1,
    [RV_OP_MAP2] = rv_gpu_lower_map2,
    [RV_OP_WHERE] = rv_gpu_lower_where,
    [RV_OP_FILL] = rv_gpu_lower_fill,
    [RV_OP_COPY] = rv_gpu_lower_copy,
};

rv_gpu_lowering rv_gpu_lowering_of(rv_op op) { return (unsigned)op < RV_OP_COUNT ? lowerings[op] : NULL; }

bool rv_gpu_supports(rv_op op, const rv_attributes *attributes) {
    (void)attributes;
    return rv_gpu_lowering_of(op) != NULL;
}
