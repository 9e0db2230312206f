/* core/ops_return.c: rows of time: returns and running products. */
#include "core/record.h"
#include "reverie/ops_dreamer.h"

rv_tensor rv_lambda_return(rv_tensor reward, rv_tensor going_on, rv_tensor value, float lambda) {
    static const char *const names[] = {"reward", "going_on", "value"};
    rv_tensor inputs[] = {reward, going_on, value};
    rv_check check = rv_check_inputs("lambda_return", inputs, 3, 0);
    int64_t rows = rv_tensor_rows(reward), steps = rv_tensor_cols(reward);
    for (int i = 0; i < 3; i++) {
        rv_check_type(&check, names[i], inputs[i], RV_F32);
        rv_check_shape(&check, names[i], inputs[i], rows, i < 2 ? steps : steps + 1);
    }
    if (!(lambda >= 0 && lambda <= 1))
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "lambda is %g; 0 to 1 would fit", (double)lambda);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.f = {lambda, 1 - lambda}};
    return rv_append_one(check.graph, RV_OP_LAMBDA_RETURN, inputs, 3, RV_F32, rows, steps, &attributes);
}

rv_tensor rv_cumprod(rv_tensor x, int exclusive) {
    rv_check check = rv_check_inputs("cumprod", &x, 1, 0);
    rv_check_type(&check, "x", x, RV_F32);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.i = {exclusive != 0}};
    return rv_append_one(x.graph, RV_OP_CUMPROD, &x, 1, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), &attributes);
}
