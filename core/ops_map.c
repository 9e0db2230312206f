/* core/ops_map.c: elementwise ops of one, two and three inputs. */
#include <math.h>

#include "core/record.h"

static bool is_whole(float value) { return floorf(value) == value && fabsf(value) < 2147483648.0f; }

rv_tensor rv_map1(rv_map map, rv_tensor x, float a, float b) {
    rv_check check = rv_check_inputs(rv_map_name(map), &x, 1, 0);
    bool integer = map == RV_MAP_AFFINE && rv_tensor_dtype(x) == RV_I32;
    if (!integer) rv_check_type(&check, "x", x, RV_F32);
    if (integer && !(is_whole(a) && is_whole(b))) {
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "x is i32, so scale %g and offset %g must be whole numbers",
                        (double)a, (double)b);
    }
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.f = {a, b}, .i = {map, integer ? (int32_t)a : 0, integer ? (int32_t)b : 0}};
    return rv_append_one(x.graph, RV_OP_MAP1, &x, 1, rv_tensor_dtype(x), rv_tensor_rows(x), rv_tensor_cols(x),
                         &attributes);
}

rv_tensor rv_neg(rv_tensor x) { return rv_map1(RV_MAP_NEG, x, 0, 0); }
rv_tensor rv_abs(rv_tensor x) { return rv_map1(RV_MAP_ABS, x, 0, 0); }
rv_tensor rv_sign(rv_tensor x) { return rv_map1(RV_MAP_SIGN, x, 0, 0); }
rv_tensor rv_exp(rv_tensor x) { return rv_map1(RV_MAP_EXP, x, 0, 0); }
rv_tensor rv_log(rv_tensor x) { return rv_map1(RV_MAP_LOG, x, 0, 0); }
rv_tensor rv_sqrt(rv_tensor x) { return rv_map1(RV_MAP_SQRT, x, 0, 0); }
rv_tensor rv_square(rv_tensor x) { return rv_map1(RV_MAP_SQUARE, x, 0, 0); }
rv_tensor rv_reciprocal(rv_tensor x) { return rv_map1(RV_MAP_RECIPROCAL, x, 0, 0); }
rv_tensor rv_sin(rv_tensor x) { return rv_map1(RV_MAP_SIN, x, 0, 0); }
rv_tensor rv_cos(rv_tensor x) { return rv_map1(RV_MAP_COS, x, 0, 0); }
rv_tensor rv_tanh(rv_tensor x) { return rv_map1(RV_MAP_TANH, x, 0, 0); }
rv_tensor rv_sigmoid(rv_tensor x) { return rv_map1(RV_MAP_SIGMOID, x, 0, 0); }
rv_tensor rv_softplus(rv_tensor x) { return rv_map1(RV_MAP_SOFTPLUS, x, 0, 0); }
rv_tensor rv_silu(rv_tensor x) { return rv_map1(RV_MAP_SILU, x, 0, 0); }
rv_tensor rv_relu(rv_tensor x) { return rv_map1(RV_MAP_RELU, x, 0, 0); }
rv_tensor rv_elu(rv_tensor x) { return rv_map1(RV_MAP_ELU, x, 0, 0); }
rv_tensor rv_gelu(rv_tensor x) { return rv_map1(RV_MAP_GELU, x, 0, 0); }
rv_tensor rv_symlog(rv_tensor x) { return rv_map1(RV_MAP_SYMLOG, x, 0, 0); }
rv_tensor rv_symexp(rv_tensor x) { return rv_map1(RV_MAP_SYMEXP, x, 0, 0); }
rv_tensor rv_affine(rv_tensor x, float scale, float offset) { return rv_map1(RV_MAP_AFFINE, x, scale, offset); }

rv_tensor rv_clamp(rv_tensor x, float low, float high) {
    if (x.graph && !(low <= high)) {
        return rv_poison(x.graph, RV_INVALID_ARGUMENT, "clamp", "low %g is not below high %g", (double)low,
                         (double)high);
    }
    return rv_map1(RV_MAP_CLAMP, x, low, high);
}

rv_tensor rv_cast(rv_tensor x, rv_dtype to) {
    rv_check check = rv_check_inputs("cast", &x, 1, 0);
    if (to != RV_F32 && to != RV_I32 && to != RV_U8)
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "%d is no type", (int)to);
    if (!check.ok) return rv_check_failed(&check);
    if (rv_tensor_dtype(x) == to) return x;
    rv_attributes attributes = {.i = {RV_MAP_CAST}};
    return rv_append_one(x.graph, RV_OP_MAP1, &x, 1, to, rv_tensor_rows(x), rv_tensor_cols(x), &attributes);
}

/* ---- two inputs ---- */

static bool takes_integers(rv_map map) {
    switch ((int)map) {
    case RV_MAP_ADD:
    case RV_MAP_SUB:
    case RV_MAP_MUL:
    case RV_MAP_MIN:
    case RV_MAP_MAX:
    case RV_MAP_LESS:
    case RV_MAP_LESS_EQUAL:
    case RV_MAP_EQUAL:
    case RV_MAP_MOD: return true;
    default: return false;
    }
}

static bool compares(rv_map map) { return map == RV_MAP_LESS || map == RV_MAP_LESS_EQUAL || map == RV_MAP_EQUAL; }

rv_tensor rv_map2(rv_map map, rv_tensor a, rv_tensor b, float low, float high) {
    rv_tensor inputs[] = {a, b};
    rv_check check = rv_check_inputs(rv_map_name(map), inputs, 2, 0);
    bool integer = map == RV_MAP_MOD || (takes_integers(map) && rv_tensor_dtype(a) == RV_I32);
    rv_dtype dtype = integer ? RV_I32 : RV_F32;
    rv_check_type(&check, "a", a, dtype);
    rv_check_type(&check, "b", b, dtype);
    int64_t rows, cols;
    if (!rv_broadcast_shape(a, b, &rows, &cols)) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH,
                        "a is " RV_SHAPE ", b is " RV_SHAPE "; rows and columns must match or be 1", RV_SHAPE_OF(a),
                        RV_SHAPE_OF(b));
    }
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.f = {low, high}, .i = {map}};
    return rv_append_one(a.graph, RV_OP_MAP2, inputs, 2, compares(map) ? RV_F32 : dtype, rows, cols, &attributes);
}

rv_tensor rv_add(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_ADD, a, b, 0, 0); }
rv_tensor rv_sub(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_SUB, a, b, 0, 0); }
rv_tensor rv_mul(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_MUL, a, b, 0, 0); }
rv_tensor rv_div(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_DIV, a, b, 0, 0); }
rv_tensor rv_mod(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_MOD, a, b, 0, 0); }
rv_tensor rv_min(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_MIN, a, b, 0, 0); }
rv_tensor rv_max(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_MAX, a, b, 0, 0); }
rv_tensor rv_less(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_LESS, a, b, 0, 0); }
rv_tensor rv_equal(rv_tensor a, rv_tensor b) { return rv_map2(RV_MAP_EQUAL, a, b, 0, 0); }

/* ---- three inputs ---- */

static bool widen(rv_tensor x, int64_t *rows, int64_t *cols) {
    int64_t x_rows = rv_tensor_rows(x), x_cols = rv_tensor_cols(x);
    if (*rows == 1) *rows = x_rows;
    if (*cols == 1) *cols = x_cols;
    return (x_rows == 1 || x_rows == *rows) && (x_cols == 1 || x_cols == *cols);
}

rv_tensor rv_where(rv_tensor condition, rv_tensor a, rv_tensor b) {
    rv_tensor inputs[] = {condition, a, b};
    rv_check check = rv_check_inputs("where", inputs, 3, 0);
    rv_check_type(&check, "condition", condition, RV_F32);
    rv_check_type(&check, "a", a, RV_F32);
    rv_check_type(&check, "b", b, RV_F32);
    int64_t rows = 1, cols = 1;
    if (!(widen(condition, &rows, &cols) && widen(a, &rows, &cols) && widen(b, &rows, &cols))) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH,
                        "condition is " RV_SHAPE ", a is " RV_SHAPE ", b is " RV_SHAPE
                        "; rows and columns must match or be 1",
                        RV_SHAPE_OF(condition), RV_SHAPE_OF(a), RV_SHAPE_OF(b));
    }
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(a.graph, RV_OP_WHERE, inputs, 3, RV_F32, rows, cols, NULL);
}
