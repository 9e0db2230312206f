/* core/ops_contract.c: matmul, and linear with its weights' gradient. */
#include "core/record.h"

rv_tensor rv_matmul(rv_tensor a, rv_tensor b, int transpose_a, int transpose_b) {
    rv_tensor inputs[] = {a, b};
    rv_check check = rv_check_inputs("matmul", inputs, 2, 0);
    rv_check_type(&check, "a", a, RV_F32);
    rv_check_type(&check, "b", b, RV_F32);
    int64_t m = transpose_a ? rv_tensor_cols(a) : rv_tensor_rows(a),
            a_inner = transpose_a ? rv_tensor_rows(a) : rv_tensor_cols(a);
    int64_t n = transpose_b ? rv_tensor_rows(b) : rv_tensor_cols(b),
            b_inner = transpose_b ? rv_tensor_cols(b) : rv_tensor_rows(b);
    if (a_inner != b_inner) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH,
                        "a is " RV_SHAPE "%s, b is " RV_SHAPE "%s; the inner sizes %lld and %lld must match",
                        RV_SHAPE_OF(a), transpose_a ? " transposed" : "", RV_SHAPE_OF(b),
                        transpose_b ? " transposed" : "", (long long)a_inner, (long long)b_inner);
    }
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.i = {transpose_a != 0, transpose_b != 0}};
    return rv_append_one(a.graph, RV_OP_MATMUL, inputs, 2, RV_F32, m, n, &attributes);
}

/* Inputs side by side: equal rows; returns the sum of their columns. */
static int64_t check_side_by_side(rv_check *check, const rv_tensor *x, int count) {
    int64_t cols = 0;
    for (int i = 0; i < count && check->ok; i++) {
        char name[] = {'x', (char)('0' + i), 0};
        rv_check_type(check, name, x[i], RV_F32);
        rv_check_shape(check, name, x[i], rv_tensor_rows(x[0]), RV_ANY);
        cols += rv_tensor_cols(x[i]);
    }
    return cols;
}

enum { LINEAR_MAX = 4 };

rv_tensor rv_linear(const rv_tensor *x, int count, rv_tensor w, rv_tensor bias, rv_activation activation) {
    if (!x || count < 1 || count > LINEAR_MAX) {
        return rv_poison(w.graph, RV_INVALID_ARGUMENT, "linear", "%d inputs; it takes 1 to %d", x ? count : 0,
                         (int)LINEAR_MAX);
    }
    rv_tensor inputs[2 + LINEAR_MAX] = {w, bias};
    for (int i = 0; i < count; i++) inputs[2 + i] = x[i];
    rv_check check = rv_check_inputs("linear", inputs, 2 + count, 2);
    rv_check_type(&check, "w", w, RV_F32);
    rv_check_type(&check, "bias", bias, RV_F32);
    int64_t inner = check_side_by_side(&check, x, count), n = rv_tensor_cols(w);
    if (inner != rv_tensor_rows(w)) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH, "x is [%lld, %lld]%s, w is " RV_SHAPE "; w needs %lld rows",
                        (long long)rv_tensor_rows(x[0]), (long long)inner, count > 1 ? " side by side" : "",
                        RV_SHAPE_OF(w), (long long)inner);
    }
    rv_check_shape(&check, "bias", bias, 1, n);
    if ((unsigned)activation >= RV_ACTIVATION_COUNT)
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "%d is no activation", (int)activation);
    if (!check.ok) return rv_check_failed(&check);
    rv_shape y = {RV_F32, rv_tensor_rows(x[0]), n};
    rv_attributes attributes = {.i = {activation}};
    return rv_append(check.graph, RV_OP_LINEAR, inputs, 2 + count, (rv_shape[]){y, y}, 2, &attributes);
}

rv_tensor rv_linear1(rv_tensor x, rv_tensor w, rv_tensor bias, rv_activation activation) {
    return rv_linear(&x, 1, w, bias, activation);
}

rv_tensor rv_linear_wgrad(rv_tensor dpre, const rv_tensor *x, int count, rv_tensor *dbias) {
    rv_tensor inputs[1 + LINEAR_MAX] = {dpre};
    for (int i = 0; i < count; i++) inputs[1 + i] = x[i];
    rv_check check = rv_check_inputs("linear_wgrad", inputs, 1 + count, 0);
    rv_check_type(&check, "dpre", dpre, RV_F32);
    int64_t inner = check_side_by_side(&check, x, count), n = rv_tensor_cols(dpre);
    rv_check_shape(&check, "dpre", dpre, rv_tensor_rows(x[0]), RV_ANY);
    if (!check.ok) return *dbias = rv_check_failed(&check);
    rv_shape outputs[] = {{RV_F32, inner, n}, {RV_F32, 1, n}};
    rv_tensor dw = rv_append(check.graph, RV_OP_LINEAR_WGRAD, inputs, 1 + count, outputs, 2, NULL);
    *dbias = rv_output(dw, 1);
    return dw;
}
