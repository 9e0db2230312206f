/* core/fold.c: elementwise recording with constants folded. */
#include "core/fold.h"

#include <string.h>

static bool is_constant(const rv_node *node) { return node->op == RV_OP_FILL && node->attributes.i[0] == 1; }

bool rv_fold_constant(rv_tensor x, float *value) {
    if (!x.graph || x.id == 0) return false;
    const rv_node *node = &x.graph->nodes[rv_value_of(x)->node];
    if (!is_constant(node)) return false;
    *value = node->attributes.f[0];
    return true;
}

rv_tensor rv_fold_fill(rv_graph *graph, int64_t rows, int64_t cols, float value) {
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const rv_node *node = &graph->nodes[i];
        if (!is_constant(node) || memcmp(&node->attributes.f[0], &value, sizeof value) != 0) continue;
        const rv_value *known = &graph->values[node->first_output];
        if (known->rows == rows && known->cols == cols) return (rv_tensor){graph, node->first_output};
    }
    rv_attributes attributes = {.f = {value}, .i = {1}};
    return rv_append_one(graph, RV_OP_FILL, NULL, 0, RV_F32, rows, cols, &attributes);
}

rv_tensor rv_fold_scale(rv_tensor x, float scale) {
    float value;
    if (rv_fold_constant(x, &value)) return rv_fold_fill(x.graph, rv_tensor_rows(x), rv_tensor_cols(x), scale * value);
    return scale == 1.0f ? x : rv_affine(x, scale, 0);
}

/* One of the two is a constant: the other's values change and its shape perhaps. */
static rv_tensor mul_constant(rv_tensor x, float scale, int64_t rows, int64_t cols) {
    return rv_fold_broadcast(rv_fold_scale(x, scale), rows, cols);
}

rv_tensor rv_fold_mul(rv_tensor a, rv_tensor b) {
    float value;
    int64_t rows, cols;
    bool fit = rv_broadcast_shape(a, b, &rows, &cols);
    if (fit && rv_fold_constant(b, &value)) return mul_constant(a, value, rows, cols);
    if (fit && rv_fold_constant(a, &value)) return mul_constant(b, value, rows, cols);
    return rv_mul(a, b);
}

rv_tensor rv_fold_add(rv_tensor a, rv_tensor b) {
    float x, y;
    int64_t rows, cols;
    bool fit = rv_broadcast_shape(a, b, &rows, &cols), a_fills = rv_fold_constant(a, &x),
         b_fills = rv_fold_constant(b, &y);
    if (fit && a_fills && b_fills) return rv_fold_fill(a.graph, rows, cols, x + y);
    if (fit && a_fills && x == 0.0f) return rv_fold_broadcast(b, rows, cols);
    if (fit && b_fills && y == 0.0f) return rv_fold_broadcast(a, rows, cols);
    return rv_add(a, b);
}

rv_tensor rv_fold_broadcast(rv_tensor x, int64_t rows, int64_t cols) {
    float value;
    if (rv_fold_constant(x, &value) && (rv_tensor_rows(x) != rows || rv_tensor_cols(x) != cols)) {
        return rv_fold_fill(x.graph, rows, cols, value);
    }
    return rv_broadcast(x, rows, cols);
}
