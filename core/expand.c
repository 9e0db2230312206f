/* core/expand.c: the definition of every fused op in basic ops, and graphs rewritten by it. */
#include "core/expand.h"

#include <stdio.h>

static const rv_expand_fn expansions[RV_OP_COUNT] = {
    [RV_OP_LINEAR] = rv_expand_linear,
    [RV_OP_LINEAR_WGRAD] = rv_expand_linear_wgrad,
    [RV_OP_LAYER_NORM] = rv_expand_layer_norm,
    [RV_OP_LAYER_NORM_BACKWARD] = rv_expand_layer_norm_backward,
    [RV_OP_RMS_NORM] = rv_expand_rms_norm,
    [RV_OP_RMS_NORM_BACKWARD] = rv_expand_rms_norm_backward,
    [RV_OP_NORM_WGRAD] = rv_expand_norm_wgrad,
    [RV_OP_GRU_CELL] = rv_expand_gru_cell,
    [RV_OP_GRU_CELL_BACKWARD] = rv_expand_gru_cell_backward,
    [RV_OP_BLOCK_LINEAR] = rv_expand_block_linear,
    [RV_OP_BLOCK_LINEAR_BACKWARD] = rv_expand_block_linear_backward,
    [RV_OP_BLOCK_LINEAR_WGRAD] = rv_expand_block_linear_wgrad,
    [RV_OP_BLOCK_GRU] = rv_expand_block_gru,
    [RV_OP_BLOCK_GRU_BACKWARD] = rv_expand_block_gru_backward,
    [RV_OP_SAMPLE_NORMAL] = rv_expand_sample_normal,
    [RV_OP_SAMPLE_NORMAL_BACKWARD] = rv_expand_sample_normal_backward,
    [RV_OP_KL_NORMAL] = rv_expand_kl_normal,
    [RV_OP_KL_NORMAL_BACKWARD] = rv_expand_kl_normal_backward,
    [RV_OP_MSE] = rv_expand_mse,
    [RV_OP_MSE_BACKWARD] = rv_expand_mse_backward,
    [RV_OP_GAUSSIAN_NLL] = rv_expand_gaussian_nll,
    [RV_OP_GAUSSIAN_NLL_BACKWARD] = rv_expand_gaussian_nll_backward,
    [RV_OP_BERNOULLI_NLL] = rv_expand_bernoulli_nll,
    [RV_OP_BERNOULLI_NLL_BACKWARD] = rv_expand_bernoulli_nll_backward,
    [RV_OP_SAMPLE_CATEGORICAL] = rv_expand_sample_categorical,
    [RV_OP_CATEGORICAL_LOG_PROB] = rv_expand_categorical_log_prob,
    [RV_OP_CATEGORICAL_BACKWARD] = rv_expand_categorical_backward,
    [RV_OP_KL_CATEGORICAL] = rv_expand_kl_categorical,
    [RV_OP_KL_CATEGORICAL_BACKWARD] = rv_expand_kl_categorical_backward,
    [RV_OP_TWOHOT_NLL] = rv_expand_twohot_nll,
    [RV_OP_TWOHOT_NLL_BACKWARD] = rv_expand_twohot_nll_backward,
    [RV_OP_TWOHOT_MEAN] = rv_expand_twohot_mean,
    [RV_OP_LAMBDA_RETURN] = rv_expand_lambda_return,
    [RV_OP_LAMBDA_RETURN_BACKWARD] = rv_expand_lambda_return_backward,
    [RV_OP_CUMPROD] = rv_expand_cumprod,
    [RV_OP_GLOBAL_NORM] = rv_expand_global_norm,
    [RV_OP_ADAMW] = rv_expand_adamw,
    [RV_OP_SEGMENT_NORMS] = rv_expand_segment_norms,
    [RV_OP_LAPROP] = rv_expand_laprop,
    [RV_OP_EMA] = rv_expand_ema,
};

/* Fused ops stand last in ops.def: a new one that is missing above is named here. */
_Static_assert(RV_OP_EMA == RV_OP_COUNT - 1, "a fused op without its expansion");

rv_expand_fn rv_expand_get(rv_op op) { return (unsigned)op < RV_OP_COUNT ? expansions[op] : NULL; }

/* ---- rv_graph_expand ---- */

typedef struct rewrite {
    const rv_graph *from;
    rv_graph *to;
    rv_tensor *now; /* by value of `from`: what stands for it in `to` */
    bool (*keep)(void *user, uint32_t op, const rv_attributes *attributes);
    void *user;
} rewrite;

static rv_tensor copy_stop(const rewrite *rewrite, const rv_node *node, rv_tensor x) {
    if (node->attributes.i[0] != 1) return x;
    if (rewrite->keep(rewrite->user, RV_NODE_VIEW, &node->attributes)) return rv_stop_gradient(x);
    return rv_append_one(rewrite->to, RV_OP_COPY, &x, 1, rv_tensor_dtype(x), rv_tensor_rows(x), rv_tensor_cols(x),
                         &node->attributes);
}

static void copy_view(rewrite *rewrite, const rv_node *node) {
    const rv_value *value = &rewrite->from->values[node->first_output];
    rv_tensor x = rewrite->now[node->input[0]], *y = &rewrite->now[node->first_output];
    int64_t first;
    switch (rv_view_kind_of(rewrite->from, node, &first)) {
    case RV_VIEW_SAME: *y = copy_stop(rewrite, node, x); break;
    case RV_VIEW_RESHAPE: *y = rv_reshape(x, value->rows, value->cols); break;
    case RV_VIEW_COLS: *y = rv_slice_cols(x, first, value->cols); break;
    case RV_VIEW_ROWS: *y = rv_slice_rows(x, first, value->rows); break;
    }
}

static void copy_op(rewrite *rewrite, const rv_node *node, const rv_tensor *inputs) {
    rv_shape outputs[RV_MAX_OUTPUTS];
    for (int i = 0; i < node->output_count; i++) {
        const rv_value *value = &rewrite->from->values[node->first_output + (uint32_t)i];
        outputs[i] = (rv_shape){value->dtype, value->rows, value->cols};
    }
    rv_tensor first = rv_append(rewrite->to, (rv_op)node->op, inputs, node->input_count, outputs, node->output_count,
                                &node->attributes);
    for (int i = 0; i < node->output_count; i++) rewrite->now[node->first_output + (uint32_t)i] = rv_output(first, i);
}

static void rewrite_op(rewrite *rewrite, const rv_node *node) {
    rv_op op = (rv_op)node->op;
    rv_tensor inputs[RV_MAX_INPUTS];
    for (int i = 0; i < node->input_count; i++) inputs[i] = node->input[i] ? rewrite->now[node->input[i]] : RV_NONE;
    if (rewrite->keep(rewrite->user, node->op, &node->attributes)) {
        copy_op(rewrite, node, inputs);
    } else if (rv_expand_get(op)) {
        rv_expand_get(op)(rewrite->to, &node->attributes, inputs, node->input_count, &rewrite->now[node->first_output]);
    } else {
        rv_poison(rewrite->to, RV_UNSUPPORTED, rv_op_info_get(op)->name,
                  "device %s has no kernel for it, and it has no expansion", rewrite->to->device->caps.name);
    }
}

static void rewrite_node(rewrite *rewrite, const rv_node *node) {
    rv_graph *to = rewrite->to;
    snprintf(to->scope, sizeof to->scope, "%s", node->label ? rewrite->from->labels[node->label] : "");
    if (node->op == RV_NODE_READ) {
        const rv_value *value = &rewrite->from->values[node->first_output];
        rewrite->now[node->first_output] = rv_read_part(to, node->array, node->offset, value->rows, value->cols);
    } else if (node->op == RV_NODE_STORE) {
        rv_store_part(node->array, node->offset, rewrite->now[node->input[0]]);
    } else if (node->op == RV_NODE_VIEW) {
        copy_view(rewrite, node);
    } else {
        rewrite_op(rewrite, node);
    }
}

rv_status rv_graph_expand(const rv_graph *graph, bool (*keep)(void *user, uint32_t op, const rv_attributes *attributes),
                          void *user, rv_graph **expanded) {
    rewrite rewrite = {.from = graph, .keep = keep, .user = user};
    rv_status status = rv_graph_create(graph->device, expanded);
    if (status != RV_OK) return status;
    rewrite.to = *expanded;
    rewrite.now = rv_alloc(graph->device, graph->value_count, sizeof *rewrite.now);
    if (!rewrite.now)
        rv_poison(rewrite.to, RV_OUT_OF_MEMORY, "rv_graph_expand", "no memory for %u values", graph->value_count);
    for (uint32_t i = 0; i < graph->node_count && rewrite.to->error.status == RV_OK; i++)
        rewrite_node(&rewrite, &graph->nodes[i]);
    rv_free(graph->device, rewrite.now);
    return rewrite.to->error.status;
}
