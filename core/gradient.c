/* core/gradient.c: reverse-mode differentiation: a walk back over the nodes that appends to the graph. */
#include "core/gradient_rules.h"
#include "core/stack.h"

#include <stdio.h>
#include <string.h>

static const rv_gradient_fn rules[] = {
    [RV_OP_MAP1] = rv_gradient_map1,
    [RV_OP_MAP2] = rv_gradient_map2,
    [RV_OP_WHERE] = rv_gradient_where,
    [RV_OP_FILL] = NULL,
    [RV_OP_COPY] = rv_gradient_copy,
    [RV_OP_TRANSPOSE] = rv_gradient_transpose,
    [RV_OP_CONCAT_COLS] = rv_gradient_concat_cols,
    [RV_OP_CONCAT_ROWS] = rv_gradient_concat_rows,
    [RV_OP_GATHER] = rv_gradient_gather,
    [RV_OP_SCATTER_ADD] = rv_gradient_scatter_add,
    [RV_OP_STORE_ROWS] = NULL,
    [RV_OP_REDUCE_COLS] = rv_gradient_reduce,
    [RV_OP_REDUCE_ROWS] = rv_gradient_reduce,
    [RV_OP_REDUCE_ALL] = rv_gradient_reduce,
    [RV_OP_EXTREME_BACKWARD] = rv_gradient_refused,
    [RV_OP_SOFTMAX] = rv_gradient_softmax,
    [RV_OP_SOFTMAX_BACKWARD] = rv_gradient_refused,
    [RV_OP_QUANTILE] = NULL,
    [RV_OP_MATMUL] = rv_gradient_matmul,
    [RV_OP_UNIFORM] = NULL,
    [RV_OP_NORMAL] = NULL,
    [RV_OP_UNIFORM_INDEX] = NULL,
    [RV_OP_CATEGORICAL] = NULL,
    [RV_OP_WATCH] = NULL,
    [RV_OP_LINEAR] = rv_gradient_linear,
    [RV_OP_LINEAR_WGRAD] = rv_gradient_refused,
    [RV_OP_LAYER_NORM] = rv_gradient_layer_norm,
    [RV_OP_LAYER_NORM_BACKWARD] = rv_gradient_refused,
    [RV_OP_RMS_NORM] = rv_gradient_rms_norm,
    [RV_OP_RMS_NORM_BACKWARD] = rv_gradient_refused,
    [RV_OP_NORM_WGRAD] = rv_gradient_refused,
    [RV_OP_GRU_CELL] = rv_gradient_gru_cell,
    [RV_OP_GRU_CELL_BACKWARD] = rv_gradient_refused,
    [RV_OP_BLOCK_LINEAR] = rv_gradient_block_linear,
    [RV_OP_BLOCK_LINEAR_BACKWARD] = rv_gradient_refused,
    [RV_OP_BLOCK_LINEAR_WGRAD] = rv_gradient_refused,
    [RV_OP_BLOCK_GRU] = rv_gradient_block_gru,
    [RV_OP_BLOCK_GRU_BACKWARD] = rv_gradient_refused,
    [RV_OP_SAMPLE_NORMAL] = rv_gradient_sample_normal,
    [RV_OP_SAMPLE_NORMAL_BACKWARD] = rv_gradient_refused,
    [RV_OP_KL_NORMAL] = rv_gradient_kl_normal,
    [RV_OP_KL_NORMAL_BACKWARD] = rv_gradient_refused,
    [RV_OP_MSE] = rv_gradient_mse,
    [RV_OP_MSE_BACKWARD] = rv_gradient_refused,
    [RV_OP_GAUSSIAN_NLL] = rv_gradient_gaussian_nll,
    [RV_OP_GAUSSIAN_NLL_BACKWARD] = rv_gradient_refused,
    [RV_OP_BERNOULLI_NLL] = rv_gradient_bernoulli_nll,
    [RV_OP_BERNOULLI_NLL_BACKWARD] = rv_gradient_refused,
    [RV_OP_SAMPLE_CATEGORICAL] = rv_gradient_sample_categorical,
    [RV_OP_CATEGORICAL_LOG_PROB] = rv_gradient_categorical_log_prob,
    [RV_OP_CATEGORICAL_BACKWARD] = rv_gradient_refused,
    [RV_OP_KL_CATEGORICAL] = rv_gradient_kl_categorical,
    [RV_OP_KL_CATEGORICAL_BACKWARD] = rv_gradient_refused,
    [RV_OP_TWOHOT_NLL] = rv_gradient_twohot_nll,
    [RV_OP_TWOHOT_NLL_BACKWARD] = rv_gradient_refused,
    [RV_OP_TWOHOT_MEAN] = rv_gradient_twohot_mean,
    [RV_OP_LAMBDA_RETURN] = rv_gradient_lambda_return,
    [RV_OP_LAMBDA_RETURN_BACKWARD] = rv_gradient_refused,
    [RV_OP_CUMPROD] = rv_gradient_cumprod,
    [RV_OP_GLOBAL_NORM] = rv_gradient_global_norm,
    [RV_OP_ADAMW] = rv_gradient_refused,
    [RV_OP_SEGMENT_NORMS] = rv_gradient_refused,
    [RV_OP_LAPROP] = rv_gradient_refused,
    [RV_OP_EMA] = rv_gradient_refused,
};
_Static_assert(sizeof rules / sizeof *rules == RV_OP_COUNT, "an op without its line here");

rv_gradient_fn rv_gradient_get(uint32_t op) { return op < RV_OP_COUNT ? rules[op] : NULL; }

RV_GRADIENT_RULE(refused) {
    (void)din;
    rv_poison(context->graph, RV_UNSUPPORTED, "rv_gradients",
              "the loss depends on a gradient, an update or a D_ map, and those have none of their own; "
              "rv_stop_gradient cuts them off");
}

/* ---- the walk ---- */

/* What flows to a value: into all of it, or into the rows or columns that a view of it showed. */
typedef struct contribution {
    rv_tensor gradient;
    int64_t first;
    rv_view_kind kind; /* SAME, COLS or ROWS */
    uint32_t next;     /* of the same value; 0: none */
} contribution;

typedef struct walk {
    rv_graph *graph;
    rv_device *device;
    uint32_t node_count, value_count; /* of the graph as it was before */
    bool *wanted, *stopped, *asked;   /* by value: a gradient is needed; it goes no further; the caller asks for it */
    uint32_t *newest;                 /* by value: its last contribution */
    contribution *contributions;      /* 0 is none */
    uint32_t count, capacity;
    rv_tensor *pieces; /* room to join contributions */
    uint32_t piece_capacity;
    rv_stacks stacks;
} walk;

static rv_status no_memory(walk *walk) {
    rv_poison(walk->graph, RV_OUT_OF_MEMORY, "rv_gradients", "no memory for the walk back");
    return RV_OUT_OF_MEMORY;
}

static void walk_end(walk *walk) {
    rv_free(walk->device, walk->wanted);
    rv_free(walk->device, walk->stopped);
    rv_free(walk->device, walk->asked);
    rv_free(walk->device, walk->newest);
    rv_free(walk->device, walk->contributions);
    rv_free(walk->device, walk->pieces);
    rv_free(walk->device, walk->stacks.nodes);
}

static bool walk_begin(walk *walk, rv_graph *graph) {
    *walk = (struct walk){.graph = graph,
                          .device = graph->device,
                          .node_count = graph->node_count,
                          .value_count = graph->value_count};
    walk->wanted = rv_alloc(walk->device, walk->value_count, sizeof *walk->wanted);
    walk->stopped = rv_alloc(walk->device, walk->value_count, sizeof *walk->stopped);
    walk->asked = rv_alloc(walk->device, walk->value_count, sizeof *walk->asked);
    walk->newest = rv_alloc(walk->device, walk->value_count, sizeof *walk->newest);
    bool room = rv_grow(walk->device, (void **)&walk->contributions, &walk->capacity, 0, sizeof *walk->contributions);
    walk->count = 1;
    return room && walk->wanted && walk->stopped && walk->asked && walk->newest;
}

static bool flows_through(const rv_node *node) {
    if (node->op == RV_NODE_VIEW) return node->attributes.i[0] != 1;
    return rv_gradient_get(node->op) != NULL;
}

/* Forward: which values depend on what is asked for, and so need a gradient. */
static void find_wanted(walk *walk) {
    const rv_graph *graph = walk->graph;
    for (uint32_t i = 0; i < walk->node_count; i++) {
        const rv_node *node = &graph->nodes[i];
        bool any = false;
        for (int k = 0; k < node->input_count; k++) any = any || walk->wanted[node->input[k]];
        bool through = any && flows_through(node);
        for (int k = 0; k < node->output_count; k++) {
            uint32_t id = node->first_output + (uint32_t)k;
            walk->wanted[id] =
                graph->values[id].dtype == RV_F32 && (walk->asked[id] || (through && !walk->stopped[id]));
        }
    }
}

static rv_status contribute(walk *walk, uint32_t value, rv_view_kind kind, int64_t first, rv_tensor gradient) {
    if (!walk->wanted[value] || !gradient.graph || gradient.id == 0) return RV_OK;
    if (!rv_grow(walk->device, (void **)&walk->contributions, &walk->capacity, walk->count,
                 sizeof *walk->contributions)) {
        return no_memory(walk);
    }
    walk->contributions[walk->count] = (contribution){gradient, first, kind, walk->newest[value]};
    walk->newest[value] = walk->count++;
    return RV_OK;
}

/* ---- joining what flows to one value ---- */

static bool add_piece(walk *walk, uint32_t *count, rv_tensor piece) {
    if (!rv_grow(walk->device, (void **)&walk->pieces, &walk->piece_capacity, *count, sizeof *walk->pieces))
        return false;
    walk->pieces[(*count)++] = piece;
    return true;
}

static int64_t extent(const contribution *piece) {
    return piece->kind == RV_VIEW_COLS ? rv_tensor_cols(piece->gradient) : rv_tensor_rows(piece->gradient);
}

/* The contribution that begins soonest at or after `from`; NULL: none is left. */
static contribution *next_piece(walk *walk, uint32_t value, rv_view_kind kind, int64_t from) {
    contribution *best = NULL;
    for (uint32_t i = walk->newest[value]; i; i = walk->contributions[i].next) {
        contribution *piece = &walk->contributions[i];
        if (piece->kind != kind || !piece->gradient.id || piece->first < from) continue;
        if (!best || piece->first < best->first) best = piece;
    }
    return best;
}

static rv_tensor zeros(walk *walk, rv_view_kind kind, const rv_value *shape, int64_t count) {
    return kind == RV_VIEW_COLS ? rv_fold_fill(walk->graph, shape->rows, count, 0)
                                : rv_fold_fill(walk->graph, count, shape->cols, 0);
}

/* Takes, from the value's contributions of this kind, a layer: as many as lie side by side without
 * overlap, from first to last. Joined with zeros in the gaps it is a gradient of the whole value.
 * The usual case, each column of a value shown by one slice, is so a single concat. */
static rv_tensor take_layer(walk *walk, uint32_t value, rv_view_kind kind) {
    const rv_value shape = walk->graph->values[value]; /* a copy: recording moves the values */
    int64_t size = kind == RV_VIEW_COLS ? shape.cols : shape.rows, from = 0;
    uint32_t count = 0;
    bool room = true;
    for (contribution *piece; room && (piece = next_piece(walk, value, kind, from)) != NULL;) {
        int64_t first = piece->first, end = first + extent(piece);
        rv_tensor gradient = piece->gradient;
        piece->gradient = RV_NONE;
        if (first > from) room = add_piece(walk, &count, zeros(walk, kind, &shape, first - from));
        room = room && add_piece(walk, &count, gradient);
        from = end;
    }
    if (room && from < size) room = add_piece(walk, &count, zeros(walk, kind, &shape, size - from));
    if (!room) {
        no_memory(walk);
        return (rv_tensor){walk->graph, 0};
    }
    return kind == RV_VIEW_COLS ? rv_join_cols(walk->pieces, (int)count) : rv_join_rows(walk->pieces, (int)count);
}

static rv_tensor add_up(rv_tensor sum, rv_tensor more) {
    if (!more.graph || !more.id) return sum;
    return sum.id ? rv_fold_add(sum, more) : more;
}

/* The sum of what flows to all of a value, the newest first: the first step of a sequence. */
static rv_tensor gather_whole(walk *walk, uint32_t value) {
    rv_tensor sum = {walk->graph, 0};
    uint32_t count = 0;
    for (uint32_t i = walk->newest[value]; i; i = walk->contributions[i].next) {
        if (walk->contributions[i].kind != RV_VIEW_SAME) continue;
        if (!add_piece(walk, &count, walk->contributions[i].gradient)) {
            no_memory(walk);
            return sum;
        }
    }
    if (count == 0) return sum;
    const uint32_t left = rv_stack_terms(&walk->stacks, walk->pieces, count);
    if (left == 0) no_memory(walk);
    for (uint32_t i = 0; i < left; i++) sum = add_up(sum, walk->pieces[i]);
    return sum;
}

/* The gradient of a value once all its users are behind; {graph, 0} where nothing flows. */
static rv_tensor gather_value(walk *walk, uint32_t value) {
    rv_tensor sum = {walk->graph, 0};
    if (!walk->newest[value]) return sum;
    sum = gather_whole(walk, value);
    if (walk->graph->error.status != RV_OK) return (rv_tensor){walk->graph, 0};
    for (rv_view_kind kind = RV_VIEW_COLS; kind <= RV_VIEW_ROWS; kind++) {
        while (next_piece(walk, value, kind, 0)) {
            rv_tensor layer = take_layer(walk, value, kind);
            if (!layer.id) return layer;
            sum = add_up(sum, layer);
        }
    }
    /* kept as the only contribution, should it be asked for again */
    walk->newest[value] = 0;
    return contribute(walk, value, RV_VIEW_SAME, 0, sum) == RV_OK ? sum : (rv_tensor){walk->graph, 0};
}

/* ---- nodes ---- */

static rv_status walk_view(walk *walk, const rv_node *node) {
    uint32_t input = node->input[0];
    int64_t first, rows = walk->graph->values[input].rows, cols = walk->graph->values[input].cols;
    rv_view_kind kind = rv_view_kind_of(walk->graph, node, &first);
    if (!walk->wanted[input] || walk->stopped[node->first_output]) return RV_OK;
    rv_tensor gradient = gather_value(walk, node->first_output);
    if (!gradient.id) return walk->graph->error.status;
    if (kind == RV_VIEW_RESHAPE) return contribute(walk, input, RV_VIEW_SAME, 0, rv_reshape(gradient, rows, cols));
    if (rv_tensor_rows(gradient) == 0) return RV_OK;
    return contribute(walk, input, kind, first, gradient);
}

static rv_status walk_op(walk *walk, const rv_node *node) {
    rv_graph *graph = walk->graph;
    rv_gradient_context context = {.graph = graph, .attributes = &node->attributes, .input_count = node->input_count};
    bool any_wanted = false, any_flows = false;
    for (int i = 0; i < node->input_count; i++) {
        uint32_t id = node->input[i];
        context.in[i] = (rv_tensor){id ? graph : NULL, id};
        context.wanted[i] = walk->wanted[id];
        any_wanted = any_wanted || context.wanted[i];
    }
    for (int i = 0; i < node->output_count; i++) {
        uint32_t id = node->first_output + (uint32_t)i;
        context.out[i] = (rv_tensor){graph, id};
        context.dout[i] = any_wanted && !walk->stopped[id] ? gather_value(walk, id) : (rv_tensor){graph, 0};
        any_flows = any_flows || context.dout[i].id;
    }
    if (!any_wanted || !any_flows) return graph->error.status;
    rv_tensor din[RV_MAX_INPUTS] = {{0}};
    rv_gradient_get(node->op)(&context, din);
    for (int i = 0; i < node->input_count; i++) {
        if (context.wanted[i] && contribute(walk, node->input[i], RV_VIEW_SAME, 0, din[i]) != RV_OK) break;
    }
    return graph->error.status;
}

/* Gradients carry the label of the op they are of. */
static rv_status walk_back(walk *walk) {
    rv_graph *graph = walk->graph;
    char scope[sizeof graph->scope];
    memcpy(scope, graph->scope, sizeof scope);
    rv_status status = graph->error.status;
    for (uint32_t i = walk->node_count; i-- > 0 && status == RV_OK;) {
        const rv_node node = graph->nodes[i]; /* a copy: recording moves the nodes */
        if (!flows_through(&node)) continue;
        snprintf(graph->scope, sizeof graph->scope, "%s", node.label ? graph->labels[node.label] : "");
        status = node.op == RV_NODE_VIEW ? walk_view(walk, &node) : walk_op(walk, &node);
    }
    memcpy(graph->scope, scope, sizeof scope);
    return status;
}

/* ---- rv_gradients ---- */

static rv_status walk_gradients(walk *walk, rv_tensor loss, const rv_tensor *wrt, int wrt_count, const rv_tensor *stop,
                                int stop_count, rv_tensor *gradient) {
    for (int i = 0; i < wrt_count; i++) walk->asked[wrt[i].id] = true;
    for (int i = 0; i < stop_count; i++) walk->stopped[stop[i].id] = true;
    find_wanted(walk);
    rv_status status = contribute(walk, loss.id, RV_VIEW_SAME, 0, rv_fold_fill(walk->graph, 1, 1, 1));
    if (status == RV_OK) status = walk_back(walk);
    for (int i = 0; i < wrt_count && status == RV_OK; i++) {
        gradient[i] = gather_value(walk, wrt[i].id);
        if (!gradient[i].id) gradient[i] = rv_fold_fill(walk->graph, rv_tensor_rows(wrt[i]), rv_tensor_cols(wrt[i]), 0);
        status = walk->graph->error.status;
    }
    return status;
}

static void check_gradients(rv_check *check, rv_tensor loss, const rv_tensor *tensors, int count, const char *what) {
    for (int i = 0; i < count; i++) {
        if (!tensors[i].graph || (check->ok && tensors[i].graph != loss.graph)) {
            rv_check_refuse(check, RV_INVALID_ARGUMENT, "%s[%d] is not of the loss's graph", what, i);
        } else if (!tensors[i].id) {
            check->ok = false;
        }
    }
}

rv_status rv_gradients(rv_tensor loss, const rv_tensor *wrt, int wrt_count, const rv_tensor *stop, int stop_count,
                       rv_tensor *gradient) {
    rv_graph *graph = loss.graph;
    if (!gradient || (wrt_count > 0 && !wrt) || wrt_count < 0 || stop_count < 0 || (stop_count > 0 && !stop)) {
        rv_poison(graph, RV_INVALID_ARGUMENT, "rv_gradients", "a list is missing");
        return RV_INVALID_ARGUMENT;
    }
    for (int i = 0; i < wrt_count; i++) gradient[i] = (rv_tensor){graph, 0};
    rv_check check = rv_check_inputs("rv_gradients", &loss, 1, 0);
    rv_check_type(&check, "loss", loss, RV_F32);
    rv_check_shape(&check, "loss", loss, 1, 1);
    check_gradients(&check, loss, wrt, wrt_count, "wrt");
    check_gradients(&check, loss, stop, stop_count, "stop");
    for (int i = 0; i < wrt_count && check.ok; i++) rv_check_type(&check, "wrt", wrt[i], RV_F32);
    if (!check.ok) return graph && graph->error.status != RV_OK ? graph->error.status : RV_INVALID_ARGUMENT;
    walk walk;
    rv_status status = walk_begin(&walk, graph)
                           ? walk_gradients(&walk, loss, wrt, wrt_count, stop, stop_count, gradient)
                           : no_memory(&walk);
    walk_end(&walk);
    if (status != RV_OK) {
        for (int i = 0; i < wrt_count; i++) gradient[i] = (rv_tensor){graph, 0};
    }
    return status;
}
