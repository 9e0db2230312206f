/* core/ops_norm.c: layer norm, RMS norm, the GRU cell. */
#include "core/record.h"

static void check_norm(rv_check *check, rv_tensor x, rv_tensor scale, rv_tensor bias, float eps,
                       rv_activation activation) {
    rv_check_type(check, "x", x, RV_F32);
    rv_check_type(check, "scale", scale, RV_F32);
    rv_check_type(check, "bias", bias, RV_F32);
    rv_check_shape(check, "scale", scale, 1, rv_tensor_cols(x));
    rv_check_shape(check, "bias", bias, 1, rv_tensor_cols(x));
    if (!(eps >= 0.0f)) rv_check_refuse(check, RV_INVALID_ARGUMENT, "eps is %g; 0 or more would fit", (double)eps);
    if ((unsigned)activation >= RV_ACTIVATION_COUNT)
        rv_check_refuse(check, RV_INVALID_ARGUMENT, "%d is no activation", (int)activation);
}

rv_tensor rv_layer_norm(rv_tensor x, rv_tensor scale, rv_tensor bias, float eps, rv_activation activation) {
    rv_tensor inputs[] = {x, scale, bias};
    rv_check check = rv_check_inputs("layer_norm", inputs, 3, 4);
    check_norm(&check, x, scale, bias, eps, activation);
    if (!check.ok) return rv_check_failed(&check);
    rv_shape y = {RV_F32, rv_tensor_rows(x), rv_tensor_cols(x)}, column = {RV_F32, y.rows, 1};
    rv_attributes attributes = {.f = {eps}, .i = {activation}};
    return rv_append(x.graph, RV_OP_LAYER_NORM, inputs, 3, (rv_shape[]){y, y, column, column}, 4, &attributes);
}

rv_tensor rv_rms_norm(rv_tensor x, rv_tensor scale, float eps, rv_activation activation) {
    rv_tensor inputs[] = {x, scale};
    rv_check check = rv_check_inputs("rms_norm", inputs, 2, 0);
    check_norm(&check, x, scale, RV_NONE, eps, activation);
    if (!check.ok) return rv_check_failed(&check);
    rv_shape y = {RV_F32, rv_tensor_rows(x), rv_tensor_cols(x)}, column = {RV_F32, y.rows, 1};
    rv_attributes attributes = {.f = {eps}, .i = {activation}};
    return rv_append(x.graph, RV_OP_RMS_NORM, inputs, 2, (rv_shape[]){y, y, column}, 3, &attributes);
}

rv_tensor rv_gru_cell(rv_tensor x, rv_tensor h, rv_tensor w_x, rv_tensor w_h, rv_tensor b_x, rv_tensor b_h) {
    static const char *const names[] = {"x", "h", "w_x", "w_h", "b_x", "b_h"};
    rv_tensor inputs[] = {x, h, w_x, w_h, b_x, b_h};
    rv_check check = rv_check_inputs("gru_cell", inputs, 6, 0);
    for (int i = 0; i < 6; i++) rv_check_type(&check, names[i], inputs[i], RV_F32);
    int64_t rows = rv_tensor_rows(x), hidden = rv_tensor_cols(h);
    rv_check_shape(&check, "h", h, rows, RV_ANY);
    rv_check_shape(&check, "w_x", w_x, rv_tensor_cols(x), 3 * hidden);
    rv_check_shape(&check, "w_h", w_h, hidden, 3 * hidden);
    rv_check_shape(&check, "b_x", b_x, 1, 3 * hidden);
    rv_check_shape(&check, "b_h", b_h, 1, 3 * hidden);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append(x.graph, RV_OP_GRU_CELL, inputs, 6,
                     (rv_shape[]){{RV_F32, rows, hidden}, {RV_F32, rows, 4 * hidden}}, 2, NULL);
}
