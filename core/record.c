/* core/record.c: the checks of the constructors' shape rules, and small recordings that many share. */
#include "core/record.h"

#include <stdio.h>

rv_check rv_check_inputs(const char *op, const rv_tensor *inputs, int count, uint32_t optional) {
    bool poisoned;
    rv_check check = {.op = op};
    check.graph = rv_graph_of(inputs, count, op, &poisoned);
    check.ok = check.graph && !poisoned;
    for (int i = 0; i < count; i++) {
        if (!inputs[i].graph && !(optional >> i & 1)) {
            rv_check_refuse(&check, RV_INVALID_ARGUMENT, "input %d is missing", i);
        }
    }
    return check;
}

void rv_check_refuse(rv_check *check, rv_status status, const char *format, ...) {
    if (!check->ok) return;
    char text[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    check->ok = false;
    rv_poison(check->graph, status, check->op, "%s", text);
}

rv_tensor rv_check_failed(const rv_check *check) { return (rv_tensor){check->graph, 0}; }

const char *rv_dtype_name(rv_dtype dtype) {
    static const char *const names[] = {"f32", "i32", "u8"};
    return names[dtype];
}

void rv_check_type(rv_check *check, const char *name, rv_tensor x, rv_dtype dtype) {
    if (!check->ok || !x.graph || rv_tensor_dtype(x) == dtype) return;
    rv_check_refuse(check, RV_TYPE_MISMATCH, "%s is %s, %s would fit (rv_cast)", name,
                    rv_dtype_name(rv_tensor_dtype(x)), rv_dtype_name(dtype));
}

/* "[64, any]" */
static const char *wanted_shape(char *text, size_t size, int64_t rows, int64_t cols) {
    if (rows == RV_ANY)
        snprintf(text, size, "[any, %lld]", (long long)cols);
    else if (cols == RV_ANY)
        snprintf(text, size, "[%lld, any]", (long long)rows);
    else
        snprintf(text, size, RV_SHAPE, (long long)rows, (long long)cols);
    return text;
}

void rv_check_shape(rv_check *check, const char *name, rv_tensor x, int64_t rows, int64_t cols) {
    if (!check->ok || !x.graph) return;
    if ((rows == RV_ANY || rv_tensor_rows(x) == rows) && (cols == RV_ANY || rv_tensor_cols(x) == cols)) return;
    char wanted[64];
    rv_check_refuse(check, RV_SHAPE_MISMATCH, "%s is " RV_SHAPE ", %s would fit", name, RV_SHAPE_OF(x),
                    wanted_shape(wanted, sizeof wanted, rows, cols));
}

void rv_check_size(rv_check *check, int64_t rows, int64_t cols) {
    if (rows >= 0 && cols >= 1) return;
    rv_check_refuse(check, RV_INVALID_ARGUMENT, "a result of " RV_SHAPE " cannot be; rows start at 0, columns at 1",
                    (long long)rows, (long long)cols);
}

static bool broadcast_size(int64_t a, int64_t b, int64_t *size) {
    *size = a == 1 ? b : a;
    return a == b || a == 1 || b == 1;
}

bool rv_broadcast_shape(rv_tensor a, rv_tensor b, int64_t *rows, int64_t *cols) {
    bool rows_fit = broadcast_size(rv_tensor_rows(a), rv_tensor_rows(b), rows);
    return broadcast_size(rv_tensor_cols(a), rv_tensor_cols(b), cols) && rows_fit;
}

rv_tensor rv_append_one(rv_graph *graph, rv_op op, const rv_tensor *inputs, int count, rv_dtype dtype, int64_t rows,
                        int64_t cols, const rv_attributes *attributes) {
    return rv_append(graph, op, inputs, count, &(rv_shape){dtype, rows, cols}, 1, attributes);
}

rv_tensor rv_activate(rv_activation activation, rv_tensor pre) {
    static const rv_map maps[] = {
        [RV_RELU] = RV_MAP_RELU,       [RV_ELU] = RV_MAP_ELU,           [RV_TANH] = RV_MAP_TANH,
        [RV_SIGMOID] = RV_MAP_SIGMOID, [RV_SOFTPLUS] = RV_MAP_SOFTPLUS, [RV_SILU] = RV_MAP_SILU,
        [RV_GELU] = RV_MAP_GELU,
    };
    _Static_assert(sizeof maps / sizeof *maps == RV_ACTIVATION_COUNT, "an activation without its map");
    return activation == RV_LINEAR ? pre : rv_map1(maps[activation], pre, 0, 0);
}

rv_view_kind rv_view_kind_of(const rv_graph *graph, const rv_node *view, int64_t *first) {
    const rv_value *seen = &graph->values[view->input[0]], *value = &graph->values[view->first_output];
    int64_t offset = value->offset - seen->offset;
    *first = 0;
    if (seen->rows == value->rows && seen->cols == value->cols) return RV_VIEW_SAME;
    if (seen->rows * seen->cols == value->rows * value->cols) return RV_VIEW_RESHAPE;
    if (seen->rows == value->rows) {
        *first = offset;
        return RV_VIEW_COLS;
    }
    *first = offset / seen->stride;
    return RV_VIEW_ROWS;
}

enum { CONCAT_MAX = 8 };

static rv_tensor join(const rv_tensor *x, int count, rv_tensor (*concat)(const rv_tensor *, int)) {
    if (count == 1) return x[0];
    if (count <= CONCAT_MAX) return concat(x, count);
    int part = CONCAT_MAX; /* each of up to eight parts takes a power of eight */
    while (part * CONCAT_MAX < count) part *= CONCAT_MAX;
    rv_tensor parts[CONCAT_MAX];
    int part_count = 0;
    for (int i = 0; i < count; i += part)
        parts[part_count++] = join(x + i, count - i < part ? count - i : part, concat);
    return concat(parts, part_count);
}

rv_tensor rv_join_cols(const rv_tensor *x, int count) { return join(x, count, rv_concat_cols); }

/* Successive row slices of one tensor are a slice of it; *first is its first row. */
static bool successive(const rv_tensor *x, int count, rv_tensor *of, int64_t *first) {
    int64_t next = 0;
    for (int i = 0; i < count; i++) {
        if (!x[i].graph || x[i].id == 0) return false;
        const rv_graph *graph = x[i].graph;
        const rv_node *view = &graph->nodes[graph->values[x[i].id].node];
        int64_t row;
        if (view->op != RV_NODE_VIEW || view->attributes.i[0]) return false;
        if (rv_view_kind_of(graph, view, &row) != RV_VIEW_ROWS) return false;
        if (i == 0) *of = (rv_tensor){x[i].graph, view->input[0]}, *first = row;
        else if (view->input[0] != of->id || row != next) return false;
        next = row + rv_tensor_rows(x[i]);
    }
    return true;
}

/* The same join recorded before, if there is one: what a scan gives is often also what its weights' gradients read. */
static rv_tensor concat_rows(const rv_tensor *x, int count) {
    rv_graph *graph = x[0].graph;
    for (uint32_t i = graph ? graph->node_count : 0; i-- > 0;) {
        const rv_node *node = &graph->nodes[i];
        bool same = node->op == RV_OP_CONCAT_ROWS && node->input_count == count;
        for (int k = 0; k < count && same; k++) same = x[k].graph == graph && x[k].id && node->input[k] == x[k].id;
        if (same) return (rv_tensor){graph, node->first_output};
    }
    return rv_concat_rows(x, count);
}

rv_tensor rv_join_rows(const rv_tensor *x, int count) {
    rv_tensor of = RV_NONE;
    int64_t first = 0, rows = 0;
    if (!successive(x, count, &of, &first)) return join(x, count, concat_rows);
    for (int i = 0; i < count; i++) rows += rv_tensor_rows(x[i]);
    return rv_slice_rows(of, first, rows);
}
