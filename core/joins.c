/* core/joins.c: rows that are joined need no copying where each part can be written at its place in the whole.
 *
 * A CONCAT_ROWS whose inputs are all values of their own in the arena becomes no launch: its result is one block, and
 * its inputs are parts of it. A scan's stacked outputs and what its weights' gradients read come about this way.
 */
#include "core/planner.h"

/* An op makes the value in memory of its own, and the root is no part of something else; a view must show all of it. */
static bool can_be_part(const rv_planner *planner, uint32_t value) {
    const rv_graph *graph = planner->graph;
    const rv_value *seen = &graph->values[value], *root = &graph->values[seen->root];
    const rv_place *place = &planner->places[seen->root];
    const int64_t count = seen->rows * seen->cols;
    const bool all =
        seen->offset == 0 && count == root->rows * root->cols && (seen->stride == seen->cols || seen->rows == 1);
    return all && count > 0 && !place->array && !place->into && graph->nodes[root->node].op < RV_OP_COUNT;
}

static bool can_join(const rv_planner *planner, const rv_node *node) {
    const rv_value *values = planner->graph->values;
    const rv_place *whole = &planner->places[node->first_output];
    if (node->op != RV_OP_CONCAT_ROWS || !whole->used || whole->array) return false;
    for (int k = 0; k < node->input_count; k++) {
        if (!can_be_part(planner, node->input[k])) return false;
        for (int j = 0; j < k; j++) {
            if (values[node->input[j]].root == values[node->input[k]].root) return false;
        }
    }
    return true;
}

void rv_planner_join(rv_planner *planner) {
    const rv_graph *graph = planner->graph;
    for (uint32_t i = 0; i < graph->node_count && !planner->keep_order; i++) {
        const rv_node *node = &graph->nodes[i];
        if (!planner->needed[i] || !can_join(planner, node)) continue;
        planner->joined[i] = true;
        int64_t before = 0;
        for (int k = 0; k < node->input_count; k++) {
            const rv_value *part = &graph->values[node->input[k]];
            planner->places[part->root].into = node->first_output;
            planner->places[part->root].before = before;
            before += part->rows * part->cols;
        }
    }
}

bool rv_is_joined(const rv_planner *planner, uint32_t root) {
    return planner->places[root].into || planner->joined[planner->graph->values[root].node];
}
