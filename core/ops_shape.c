/* core/ops_shape.c: fills, broadcasts, views, concats, gather and scatter. */
#include "core/record.h"

rv_tensor rv_fill(rv_graph *graph, int64_t rows, int64_t cols, float value) {
    if (!graph) return RV_NONE;
    rv_check check = {graph, "fill", graph->value_count > 0};
    rv_check_size(&check, rows, cols);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.f = {value}};
    return rv_append_one(graph, RV_OP_FILL, NULL, 0, RV_F32, rows, cols, &attributes);
}

rv_tensor rv_copy(rv_tensor x, int64_t rows, int64_t cols) {
    rv_check check = rv_check_inputs("broadcast", &x, 1, 0);
    rv_check_size(&check, rows, cols);
    bool fits =
        (rv_tensor_rows(x) == rows || rv_tensor_rows(x) == 1) && (rv_tensor_cols(x) == cols || rv_tensor_cols(x) == 1);
    if (!fits) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH,
                        "x is " RV_SHAPE ", wanted is " RV_SHAPE "; only 1 row or 1 column can be repeated",
                        RV_SHAPE_OF(x), (long long)rows, (long long)cols);
    }
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(x.graph, RV_OP_COPY, &x, 1, rv_tensor_dtype(x), rows, cols, NULL);
}

rv_tensor rv_broadcast(rv_tensor x, int64_t rows, int64_t cols) {
    bool same = x.graph && x.id && rv_tensor_rows(x) == rows && rv_tensor_cols(x) == cols;
    return same ? x : rv_copy(x, rows, cols);
}

/* ---- views ---- */

static void check_slice(rv_check *check, rv_tensor x, int64_t first, int64_t count, int64_t least, int64_t size,
                        const char *axis) {
    if (first >= 0 && count >= least && first <= size && count <= size - first) return;
    rv_check_refuse(check, RV_SHAPE_MISMATCH, "%lld %s from %lld on are not inside x " RV_SHAPE, (long long)count, axis,
                    (long long)first, RV_SHAPE_OF(x));
}

rv_tensor rv_slice_cols(rv_tensor x, int64_t first, int64_t count) {
    rv_check check = rv_check_inputs("slice_cols", &x, 1, 0);
    check_slice(&check, x, first, count, 1, rv_tensor_cols(x), "columns");
    if (!check.ok) return rv_check_failed(&check);
    if (count == rv_tensor_cols(x)) return x;
    return rv_append_view(x, rv_tensor_rows(x), count, first, rv_value_of(x)->stride, false);
}

rv_tensor rv_slice_rows(rv_tensor x, int64_t first, int64_t count) {
    rv_check check = rv_check_inputs("slice_rows", &x, 1, 0);
    check_slice(&check, x, first, count, 0, rv_tensor_rows(x), "rows");
    if (!check.ok) return rv_check_failed(&check);
    if (count == rv_tensor_rows(x)) return x;
    int64_t stride = rv_value_of(x)->stride;
    return rv_append_view(x, count, rv_tensor_cols(x), first * stride, stride, false);
}

rv_tensor rv_reshape(rv_tensor x, int64_t rows, int64_t cols) {
    rv_check check = rv_check_inputs("reshape", &x, 1, 0);
    rv_check_size(&check, rows, cols);
    size_t count;
    if (check.ok && (!rv_mul_size((size_t)rows, (size_t)cols, &count) ||
                     count != (size_t)(rv_tensor_rows(x) * rv_tensor_cols(x)))) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH, "x is " RV_SHAPE ", which " RV_SHAPE " does not hold exactly",
                        RV_SHAPE_OF(x), (long long)rows, (long long)cols);
    }
    if (!check.ok) return rv_check_failed(&check);
    int64_t x_rows = rv_tensor_rows(x), x_cols = rv_tensor_cols(x);
    if (rows == x_rows && cols == x_cols) return x;
    bool gaps = rv_value_of(x)->stride != x_cols && x_rows > 1;
    return rv_append_view(gaps ? rv_copy(x, x_rows, x_cols) : x, rows, cols, 0, cols, false);
}

rv_tensor rv_stop_gradient(rv_tensor x) {
    rv_check check = rv_check_inputs("stop_gradient", &x, 1, 0);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_view(x, rv_tensor_rows(x), rv_tensor_cols(x), 0, rv_value_of(x)->stride, true);
}

/* ---- copies ---- */

/* Type and all but the joined size must be equal to the first input's. */
static rv_tensor concat(const char *name, rv_op op, const rv_tensor *x, int count) {
    int most = rv_op_info_get(op)->inputs_max;
    if (!x || count < 1 || count > most) {
        return x && count > 0
                   ? rv_poison(x[0].graph, RV_INVALID_ARGUMENT, name, "%d inputs; it takes 1 to %d", count, most)
                   : RV_NONE;
    }
    bool cols = op == RV_OP_CONCAT_COLS;
    rv_check check = rv_check_inputs(name, x, count, 0);
    int64_t total = 0;
    for (int i = 0; i < count && check.ok; i++) {
        char input[16] = {'x', (char)('0' + i), 0};
        rv_check_type(&check, input, x[i], rv_tensor_dtype(x[0]));
        rv_check_shape(&check, input, x[i], cols ? rv_tensor_rows(x[0]) : RV_ANY, cols ? RV_ANY : rv_tensor_cols(x[0]));
        total += cols ? rv_tensor_cols(x[i]) : rv_tensor_rows(x[i]); /* eight sizes of real values: no overflow */
    }
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(check.graph, op, x, count, rv_tensor_dtype(x[0]), cols ? rv_tensor_rows(x[0]) : total,
                         cols ? total : rv_tensor_cols(x[0]), NULL);
}

rv_tensor rv_concat_cols(const rv_tensor *x, int count) { return concat("concat_cols", RV_OP_CONCAT_COLS, x, count); }
rv_tensor rv_concat_rows(const rv_tensor *x, int count) { return concat("concat_rows", RV_OP_CONCAT_ROWS, x, count); }

rv_tensor rv_transpose(rv_tensor x) {
    rv_check check = rv_check_inputs("transpose", &x, 1, 0);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(x.graph, RV_OP_TRANSPOSE, &x, 1, rv_tensor_dtype(x), rv_tensor_cols(x), rv_tensor_rows(x),
                         NULL);
}

rv_tensor rv_gather(rv_tensor table, rv_tensor index) {
    rv_tensor inputs[] = {table, index};
    rv_check check = rv_check_inputs("gather", inputs, 2, 0);
    rv_check_type(&check, "index", index, RV_I32);
    rv_check_shape(&check, "index", index, RV_ANY, 1);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(table.graph, RV_OP_GATHER, inputs, 2, rv_tensor_dtype(table), rv_tensor_rows(index),
                         rv_tensor_cols(table), NULL);
}

rv_tensor rv_scatter_add(rv_tensor x, rv_tensor index, int64_t rows) {
    rv_tensor inputs[] = {x, index};
    rv_check check = rv_check_inputs("scatter_add", inputs, 2, 0);
    rv_check_type(&check, "x", x, RV_F32);
    rv_check_type(&check, "index", index, RV_I32);
    rv_check_shape(&check, "index", index, rv_tensor_rows(x), 1);
    if (check.ok) rv_check_size(&check, rows, rv_tensor_cols(x));
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(x.graph, RV_OP_SCATTER_ADD, inputs, 2, RV_F32, rows, rv_tensor_cols(x), NULL);
}
