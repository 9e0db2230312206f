/* core/hazards.c: arrays as values: when a store can happen in its producer, when a read must be copied.
 *
 * Every access of an array has a position: the index of the node that does it. A store whose
 * producer writes straight into the array happens at the producer, otherwise at the store itself. It
 * may move to the producer only if nobody after the producer still wants the old contents.
 */
#include "core/planner.h"

static const rv_value *root_of(const rv_planner *planner, uint32_t value) {
    const rv_graph *graph = planner->graph;
    return &graph->values[graph->values[value].root];
}

static void mark_needed(rv_planner *planner) {
    const rv_graph *graph = planner->graph;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const rv_node *node = &graph->nodes[i];
        if (node->op == RV_NODE_STORE) planner->needed[i] = true;
        if (!planner->needed[i]) continue;
        for (int k = 0; k < node->input_count; k++) {
            if (!node->input[k]) continue;
            planner->needed[graph->values[node->input[k]].node] = true;
            if (node->op == RV_NODE_VIEW) continue;
            rv_place *place = &planner->places[graph->values[node->input[k]].root];
            if (!place->used) place->last_use = i;
            place->used = true;
        }
    }
}

static int64_t count_of(const rv_value *value) { return value->rows * value->cols; }

static bool overlap(int64_t a, int64_t a_count, int64_t b, int64_t b_count) { return a < b + b_count && b < a + a_count; }

static bool places_overlap(const rv_planner *planner, uint32_t root, const rv_array *array, int64_t offset, int64_t count) {
    const rv_place *place = &planner->places[root];
    return place->array == array && !place->copied &&
           overlap(place->offset, count_of(&planner->graph->values[root]), offset, count);
}

bool rv_in_place(uint32_t op, int input, int output) {
    switch (op) {
    case RV_OP_MAP1:
    case RV_OP_MAP2:
    case RV_OP_WHERE:
    case RV_OP_COPY:
    case RV_OP_STORE_ROWS:
    case RV_OP_EMA:
    case RV_OP_WATCH:
        return output == 0 && (op == RV_OP_WATCH ? input == 1 : op == RV_OP_MAP2 ? input < 2 : op == RV_OP_WHERE || input == 0);
    case RV_OP_ADAMW:
    case RV_OP_LAPROP:
        return (output == 0 && input == 0) || (output == 1 && input == 2) || (output == 2 && input == 3);
    default:
        return false;
    }
}

/* Does the producer read [offset, offset + count) of the array in a way that writing it there would spoil? */
static bool producer_conflicts(const rv_planner *planner, const rv_node *producer, int output, const rv_array *array, int64_t offset) {
    const rv_graph *graph = planner->graph;
    const rv_value *made = &graph->values[producer->first_output + (uint32_t)output];
    for (int k = 0; k < producer->input_count; k++) {
        if (!producer->input[k]) continue;
        const rv_value *read = &graph->values[producer->input[k]];
        if (!places_overlap(planner, read->root, array, offset, count_of(made))) continue;
        bool same = planner->places[read->root].offset + read->offset == offset && read->rows == made->rows &&
                    read->cols == made->cols && read->stride == made->stride;
        if (!same || !rv_in_place(producer->op, k, output)) return true;
    }
    return false;
}

/* Somebody after `position` wants what an earlier access left in [offset, offset + count). */
static bool wanted_after(const rv_planner *planner, uint32_t position, uint32_t store, const rv_array *array, int64_t offset, int64_t count) {
    const rv_graph *graph = planner->graph;
    for (uint32_t i = 0; i < store; i++) {
        const rv_node *node = &graph->nodes[i];
        if (!planner->needed[i]) continue;
        if (node->op == RV_NODE_STORE) {
            /* another store between: moving before it would turn the two round */
            if (node->array == array && i > position && overlap(node->offset, count_of(&graph->values[node->input[0]]), offset, count)) return true;
            continue;
        }
        for (int k = 0; k < node->output_count; k++) {
            uint32_t root = node->first_output + (uint32_t)k;
            if (graph->values[root].root != root || !planner->places[root].used) continue;
            /* a read that is copied aside is copied where it stands */
            const rv_place *place = &planner->places[root];
            if (place->copied && place->array == array && i > position && overlap(place->offset, count_of(&graph->values[root]), offset, count)) return true;
            if (places_overlap(planner, root, array, offset, count) && planner->places[root].last_use > position) return true;
        }
    }
    return false;
}

/* The value itself is still wanted after a later store into the same place. */
static bool overwritten_early(const rv_planner *planner, uint32_t store, uint32_t root, const rv_array *array, int64_t offset, int64_t count) {
    const rv_graph *graph = planner->graph;
    uint32_t last = planner->places[root].last_use;
    for (uint32_t i = store + 1; i <= last; i++) {
        const rv_node *node = &graph->nodes[i];
        if (node->op == RV_NODE_STORE && node->array == array &&
            overlap(node->offset, count_of(&graph->values[node->input[0]]), offset, count)) {
            return true;
        }
    }
    return false;
}

static bool can_forward(const rv_planner *planner, uint32_t store) {
    const rv_graph *graph = planner->graph;
    const rv_node *node = &graph->nodes[store];
    const rv_value *value = &graph->values[node->input[0]], *root = root_of(planner, node->input[0]);
    const rv_node *producer = &graph->nodes[root->node];
    if (planner->keep_order || producer->op >= RV_OP_COUNT) return false;
    if (planner->places[value->root].array) return false; /* lives in another array already */
    bool whole = value->offset == 0 && count_of(value) == count_of(root) && value->stride == value->cols;
    if (!whole || count_of(value) == 0) return false;
    if (producer_conflicts(planner, producer, (int)root->output, node->array, node->offset)) return false;
    /* STORE_ROWS changes its first input where it lies: only the array itself will do */
    if (producer->op == RV_OP_STORE_ROWS) {
        const rv_value *old = &graph->values[producer->input[0]];
        const rv_place *place = &planner->places[old->root];
        if (place->array != node->array || place->copied || place->offset + old->offset != node->offset) return false;
    }
    int64_t count = count_of(value);
    return !wanted_after(planner, root->node, store, node->array, node->offset, count) &&
           !overwritten_early(planner, store, value->root, node->array, node->offset, count);
}

/* The stored value is a part of that read which lies elsewhere than it goes to: a move within the array. */
static bool moves(const rv_planner *planner, uint32_t root, const rv_node *store) {
    const rv_value *value = &planner->graph->values[store->input[0]];
    bool same = planner->places[root].offset + value->offset == store->offset && (value->stride == value->cols || value->rows == 1);
    return value->root == root && !same;
}

/* Reads that are still wanted after a store into them are copied aside, and so is what the store moves. */
static void copy_late_reads(rv_planner *planner, uint32_t store) {
    const rv_graph *graph = planner->graph;
    const rv_node *node = &graph->nodes[store];
    int64_t count = count_of(&graph->values[node->input[0]]);
    for (uint32_t i = 0; i < store; i++) {
        const rv_node *read = &graph->nodes[i];
        if (read->op != RV_NODE_READ || !planner->needed[i]) continue;
        uint32_t root = read->first_output;
        if (!places_overlap(planner, root, node->array, node->offset, count)) continue;
        if (planner->places[root].last_use > store || moves(planner, root, node)) {
            planner->places[root].copied = true;
        }
    }
}

rv_status rv_planner_hazards(rv_planner *planner) {
    const rv_graph *graph = planner->graph;
    for (uint32_t v = 1; v < graph->value_count; v++) planner->places[v].alias = v;
    mark_needed(planner);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const rv_node *node = &graph->nodes[i];
        if (node->op != RV_NODE_READ) continue;
        planner->places[node->first_output].array = node->array;
        planner->places[node->first_output].offset = node->offset;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const rv_node *node = &graph->nodes[i];
        if (node->op != RV_NODE_STORE) continue;
        copy_late_reads(planner, i);
        if (can_forward(planner, i)) {
            rv_place *place = &planner->places[graph->values[node->input[0]].root];
            place->array = node->array;
            place->offset = node->offset;
            planner->forwarded[i] = true;
        }
    }
    return RV_OK;
}
