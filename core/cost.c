/* core/cost.c: arithmetic of the contractions, as reports and backends weigh it. */
#include "core/planner.h"

double rv_launch_flops(const rv_launch *launch) {
    const rv_operand *in = launch->input, *out = launch->output;
    double rows = (double)out[0].rows, cols = (double)out[0].cols;
    switch (launch->op) {
    case RV_OP_MATMUL:
        return 2 * rows * cols * (double)(launch->attributes.i[0] ? in[0].rows : in[0].cols);
    case RV_OP_LINEAR:
        return 2 * (double)in[2].rows * (double)in[0].rows * (double)in[0].cols;
    case RV_OP_LINEAR_WGRAD: {
        double k = 0;
        for (int i = 1; i < launch->input_count; i++) k += (double)in[i].cols;
        return 2 * (double)in[0].rows * (double)in[0].cols * k;
    }
    case RV_OP_BLOCK_LINEAR:
        return 2 * (double)in[2].rows * (double)in[0].rows * (double)in[0].cols;
    case RV_OP_BLOCK_LINEAR_BACKWARD: {
        double blocks = launch->attributes.i[1], own = blocks * (double)launch->attributes.i[2];
        double rest = (double)in[1].rows - own;
        return 2 * (double)in[0].rows * (double)in[1].cols * ((out[0].buffer ? own : 0) + (out[1].buffer ? rest : 0));
    }
    case RV_OP_BLOCK_LINEAR_WGRAD:
        return 2 * (double)in[0].rows * (double)out[0].rows * (double)out[0].cols;
    case RV_OP_GRU_CELL:
        return 2 * (double)in[1].rows * 3 * (double)in[1].cols * (double)(in[0].cols + in[1].cols);
    case RV_OP_GRU_CELL_BACKWARD:
        return 2 * (double)in[1].rows * 3 * (double)in[1].cols * (double)((launch->output[0].buffer ? in[5].cols : 0) + in[1].cols);
    default:
        return 0;
    }
}
