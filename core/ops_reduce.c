/* core/ops_reduce.c: reductions, softmax, quantile. */
#include "core/record.h"

static rv_tensor reduce(const char *name, rv_reduction reduction, rv_tensor x, rv_axis over) {
    rv_check check = rv_check_inputs(name, &x, 1, 0);
    rv_check_type(&check, "x", x, RV_F32);
    if (over != RV_ROWS && over != RV_COLS && over != RV_ALL) {
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "%d is no axis; RV_ROWS, RV_COLS or RV_ALL would fit", (int)over);
    }
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.i = {reduction}};
    rv_op op = over == RV_ROWS ? RV_OP_REDUCE_ROWS : over == RV_COLS ? RV_OP_REDUCE_COLS : RV_OP_REDUCE_ALL;
    return rv_append_one(x.graph, op, &x, 1, RV_F32, over == RV_COLS ? rv_tensor_rows(x) : 1,
                         over == RV_ROWS ? rv_tensor_cols(x) : 1, &attributes);
}

rv_tensor rv_sum(rv_tensor x, rv_axis over) { return reduce("sum", RV_REDUCE_SUM, x, over); }
rv_tensor rv_mean(rv_tensor x, rv_axis over) { return reduce("mean", RV_REDUCE_MEAN, x, over); }
rv_tensor rv_reduce_max(rv_tensor x, rv_axis over) { return reduce("reduce_max", RV_REDUCE_MAX, x, over); }
rv_tensor rv_reduce_min(rv_tensor x, rv_axis over) { return reduce("reduce_min", RV_REDUCE_MIN, x, over); }

static rv_tensor softmax(const char *name, int32_t logarithm, rv_tensor x) {
    rv_check check = rv_check_inputs(name, &x, 1, 0);
    rv_check_type(&check, "x", x, RV_F32);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.i = {logarithm}};
    return rv_append_one(x.graph, RV_OP_SOFTMAX, &x, 1, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), &attributes);
}

rv_tensor rv_softmax(rv_tensor x) { return softmax("softmax", 0, x); }
rv_tensor rv_log_softmax(rv_tensor x) { return softmax("log_softmax", 1, x); }

rv_tensor rv_quantile(rv_tensor x, float q) {
    rv_check check = rv_check_inputs("quantile", &x, 1, 0);
    rv_check_type(&check, "x", x, RV_F32);
    if (!(q >= 0.0f && q <= 1.0f)) rv_check_refuse(&check, RV_INVALID_ARGUMENT, "q is %g; 0 to 1 would fit", (double)q);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.f = {q}};
    return rv_append_one(x.graph, RV_OP_QUANTILE, &x, 1, RV_F32, 1, 1, &attributes);
}
