/* core/ops_noise.c: draws by name. */
#include "core/record.h"

void rv_check_draw(rv_check *check, rv_tensor state, const char *name) {
    rv_check_type(check, "state", state, RV_I32);
    rv_check_shape(check, "state", state, 1, 4);
    if (!name || !name[0]) rv_check_refuse(check, RV_INVALID_ARGUMENT, "a draw needs a name");
}

static rv_tensor draw(const char *op_name, rv_op op, rv_tensor state, const char *name, uint32_t t, int64_t rows,
                      int64_t cols) {
    rv_check check = rv_check_inputs(op_name, &state, 1, 0);
    rv_check_draw(&check, state, name);
    rv_check_size(&check, rows, cols);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.stream = rv_hash_name(name), .t = t};
    return rv_append_one(state.graph, op, &state, 1, RV_F32, rows, cols, &attributes);
}

rv_tensor rv_uniform(rv_tensor state, const char *name, uint32_t t, int64_t rows, int64_t cols) {
    return draw("uniform", RV_OP_UNIFORM, state, name, t, rows, cols);
}

rv_tensor rv_normal(rv_tensor state, const char *name, uint32_t t, int64_t rows, int64_t cols) {
    return draw("normal", RV_OP_NORMAL, state, name, t, rows, cols);
}

rv_tensor rv_normal_stream(rv_tensor state, uint32_t stream, uint32_t t, int64_t rows, int64_t cols) {
    rv_attributes attributes = {.stream = stream, .t = t};
    return rv_append_one(state.graph, RV_OP_NORMAL, &state, 1, RV_F32, rows, cols, &attributes);
}

rv_tensor rv_uniform_index(rv_tensor state, const char *name, uint32_t t, int64_t rows, int64_t cols, rv_tensor limit) {
    rv_tensor inputs[] = {state, limit};
    rv_check check = rv_check_inputs("uniform_index", inputs, 2, 0);
    rv_check_draw(&check, state, name);
    rv_check_size(&check, rows, cols);
    rv_check_type(&check, "limit", limit, RV_I32);
    rv_check_shape(&check, "limit", limit, 1, 1);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.stream = rv_hash_name(name), .t = t};
    return rv_append_one(state.graph, RV_OP_UNIFORM_INDEX, inputs, 2, RV_I32, rows, cols, &attributes);
}

rv_normal_sample rv_sample_normal(rv_tensor mean, rv_tensor logvar, rv_tensor state, const char *name, uint32_t t) {
    rv_tensor inputs[] = {mean, logvar, state};
    rv_check check = rv_check_inputs("sample_normal", inputs, 3, 0);
    rv_check_type(&check, "mean", mean, RV_F32);
    rv_check_type(&check, "logvar", logvar, RV_F32);
    rv_check_shape(&check, "logvar", logvar, rv_tensor_rows(mean), rv_tensor_cols(mean));
    rv_check_draw(&check, state, name);
    rv_tensor value = rv_check_failed(&check);
    if (check.ok) {
        rv_shape shape = {RV_F32, rv_tensor_rows(mean), rv_tensor_cols(mean)}, column = {RV_F32, shape.rows, 1};
        rv_attributes attributes = {.stream = rv_hash_name(name), .t = t};
        value =
            rv_append(check.graph, RV_OP_SAMPLE_NORMAL, inputs, 3, (rv_shape[]){shape, column, column}, 3, &attributes);
    }
    return (rv_normal_sample){value, rv_output(value, 1), rv_output(value, 2)};
}
