/* core/stack.c: see stack.h. */
#include "core/stack.h"

#include <stdio.h>
#include <string.h>

#include "core/record.h"

enum { FEWEST = 4 }; /* fewer are not worth the joining */

static const rv_node *node_of(rv_tensor x) { return &x.graph->nodes[rv_value_of(x)->node]; }

/* Every output is a sum over the rows of all inputs together. */
static bool sums_rows(const rv_node *node) {
    switch (node->op) {
    case RV_OP_LINEAR_WGRAD:
    case RV_OP_BLOCK_LINEAR_WGRAD:
    case RV_OP_NORM_WGRAD: return true;
    case RV_OP_MATMUL: return node->attributes.i[0] && !node->attributes.i[1];
    case RV_OP_REDUCE_ROWS: return node->attributes.i[0] == RV_REDUCE_SUM;
    default: return false;
    }
}

/* The two differ in nothing but their inputs' rows. */
static bool alike(rv_tensor x, rv_tensor y) {
    const rv_node *a = node_of(x), *b = node_of(y);
    if (a->op != b->op || a->input_count != b->input_count || x.id - a->first_output != y.id - b->first_output)
        return false;
    if (memcmp(&a->attributes, &b->attributes, sizeof a->attributes) != 0) return false;
    for (int i = 0; i < a->input_count; i++) {
        if (!a->input[i] != !b->input[i]) return false;
        if (x.graph->values[a->input[i]].cols != x.graph->values[b->input[i]].cols) return false;
    }
    return true;
}

/* ---- one op for many ---- */

static rv_tensor joined_input(const rv_tensor *terms, uint32_t count, int input, rv_tensor *room) {
    rv_graph *graph = terms[0].graph;
    if (!node_of(terms[0])->input[input]) return RV_NONE;
    for (uint32_t i = 0; i < count; i++) room[i] = (rv_tensor){graph, node_of(terms[i])->input[input]};
    return rv_join_rows(room, (int)count);
}

/* The joined op's first output; it carries the label of the first. */
static rv_tensor join_ops(const rv_tensor *terms, uint32_t count, rv_tensor *room) {
    rv_graph *graph = terms[0].graph;
    const rv_node node = *node_of(terms[0]); /* a copy: recording moves the nodes */
    char scope[sizeof graph->scope];
    memcpy(scope, graph->scope, sizeof scope);
    snprintf(graph->scope, sizeof graph->scope, "%s", node.label ? graph->labels[node.label] : "");
    rv_tensor inputs[RV_MAX_INPUTS];
    rv_shape outputs[RV_MAX_OUTPUTS];
    for (int i = 0; i < node.input_count; i++) inputs[i] = joined_input(terms, count, i, room);
    for (int i = 0; i < node.output_count; i++) {
        const rv_value *value = &graph->values[node.first_output + (uint32_t)i];
        outputs[i] = (rv_shape){value->dtype, value->rows, value->cols};
    }
    rv_tensor first =
        rv_append(graph, (rv_op)node.op, inputs, node.input_count, outputs, node.output_count, &node.attributes);
    memcpy(graph->scope, scope, sizeof scope);
    return first;
}

/* ---- what was joined before ---- */

static bool stands_for(const uint32_t *entry, const rv_tensor *terms, uint32_t count) {
    if (entry[0] != count) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (entry[2 + i] != rv_value_of(terms[i])->node) return false;
    }
    return true;
}

static uint32_t find_joined(const rv_stacks *stacks, const rv_tensor *terms, uint32_t count) {
    for (uint32_t at = 0; at < stacks->count; at += 2 + stacks->nodes[at]) {
        if (stands_for(stacks->nodes + at, terms, count)) return stacks->nodes[at + 1];
    }
    return 0;
}

static bool remember(rv_stacks *stacks, const rv_tensor *terms, uint32_t count, uint32_t first) {
    rv_device *device = terms[0].graph->device;
    for (uint32_t i = 0; i < 2 + count; i++) {
        if (!rv_grow(device, (void **)&stacks->nodes, &stacks->capacity, stacks->count, sizeof *stacks->nodes))
            return false;
        stacks->nodes[stacks->count++] = i == 0 ? count : i == 1 ? first : rv_value_of(terms[i - 2])->node;
    }
    return true;
}

/* The sum of terms that are alike; {graph, 0} without memory. */
static rv_tensor join(rv_stacks *stacks, const rv_tensor *terms, uint32_t count, rv_tensor *room) {
    rv_graph *graph = terms[0].graph;
    const uint32_t output = terms[0].id - node_of(terms[0])->first_output;
    uint32_t first = find_joined(stacks, terms, count);
    if (!first) {
        first = join_ops(terms, count, room).id;
        if (!first || !remember(stacks, terms, count, first)) return (rv_tensor){graph, 0};
    }
    return (rv_tensor){graph, first + output};
}

uint32_t rv_stack_terms(rv_stacks *stacks, rv_tensor *terms, uint32_t count) {
    if (count < FEWEST) return count;
    rv_device *device = terms[0].graph->device;
    rv_tensor *group = rv_alloc(device, 2 * (size_t)count, sizeof *group);
    if (!group) return 0;
    bool fine = true;
    uint32_t left = 0;
    for (; left < count && fine; left++) {
        const rv_tensor first = terms[left];
        uint32_t members = 0, others = left;
        for (uint32_t i = left; i < count && sums_rows(node_of(first)); i++) {
            if (alike(first, terms[i])) group[members++] = terms[i];
        }
        if (members < FEWEST) continue;
        for (uint32_t i = left; i < count; i++) {
            if (i == left || !alike(first, terms[i])) terms[others++] = terms[i];
        }
        count = others;
        terms[left] = join(stacks, group, members, group + members);
        fine = terms[left].id != 0;
    }
    rv_free(device, group);
    return fine ? left : 0;
}
