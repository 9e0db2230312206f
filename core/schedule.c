/* core/schedule.c: the order of launches and the regions they fall into.
 *
 * A list scheduler: as long as something fits into the open region, the earliest recorded such item
 * goes in; then the next region opens. Row-independent work is preferred to work over whole arrays, so
 * that a forward and backward pass through activations becomes one region and all weight gradients, which it
 * leaves behind, another.
 */
#include "core/planner.h"

static const rv_node *node_of(const rv_planner *planner, const rv_item *item) { return &planner->graph->nodes[item->node]; }

/* ---- items ---- */

static bool add_item(rv_planner *planner, uint32_t node, rv_item_kind kind, int64_t rows) {
    if (!rv_grow(planner->device, (void **)&planner->items, &planner->item_capacity, planner->item_count, sizeof *planner->items)) return false;
    planner->items[planner->item_count++] = (rv_item){.node = node, .kind = kind, .rows = rows, .region = -1, .blocked = -1};
    return true;
}

static int64_t rows_of(const rv_planner *planner, const rv_node *node) {
    const rv_op_info *info = rv_op_info_get((rv_op)node->op);
    bool whole = info->rows == RV_ROWS_WHOLE || (node->op == RV_OP_MATMUL && node->attributes.i[0]);
    return whole ? -1 : planner->graph->values[node->first_output].rows;
}

static bool any_output_used(const rv_planner *planner, const rv_node *node) {
    for (int k = 0; k < node->output_count; k++) {
        if (planner->places[node->first_output + (uint32_t)k].used) return true;
    }
    return false;
}

static bool make_items(rv_planner *planner) {
    const rv_graph *graph = planner->graph;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const rv_node *node = &graph->nodes[i];
        bool fine = true;
        if (!planner->needed[i] || planner->joined[i]) continue;
        if (node->op == RV_NODE_READ) {
            if (planner->places[node->first_output].copied) fine = add_item(planner, i, RV_ITEM_READ, -1);
        } else if (node->op == RV_NODE_STORE) {
            const rv_value *value = &graph->values[node->input[0]];
            if (!planner->forwarded[i]) fine = add_item(planner, i, RV_ITEM_STORE, value->rows);
        } else if (node->op < RV_OP_COUNT && any_output_used(planner, node)) {
            bool aside = node->op == RV_OP_STORE_ROWS && !planner->places[node->first_output].array;
            if (aside) fine = add_item(planner, i, RV_ITEM_OLD, -1);
            fine = fine && add_item(planner, i, RV_ITEM_OP, rows_of(planner, node));
        }
        if (!fine) return false;
    }
    return true;
}

/* ---- edges ---- */

bool rv_item_aligned(const rv_planner *planner, const rv_item *item, int input) {
    const rv_graph *graph = planner->graph;
    const rv_node *node = node_of(planner, item);
    if (item->rows < 0) return false;
    if (item->kind == RV_ITEM_OP && (rv_op_info_get((rv_op)node->op)->whole >> input & 1)) return false;
    const rv_value *value = &graph->values[node->input[input]], *root = &graph->values[value->root];
    return value->rows == item->rows && root->rows == item->rows && value->stride == root->stride && value->offset < root->stride;
}

static bool add_edge(rv_planner *planner, uint32_t from, uint32_t to, bool aligned) {
    if (from == to) return true;
    if (!rv_grow(planner->device, (void **)&planner->edges, &planner->edge_capacity, planner->edge_count, sizeof *planner->edges)) return false;
    planner->edges[planner->edge_count++] = (rv_edge){from, to, aligned};
    return true;
}

/* One item's touch of an array. */
typedef struct rv_access {
    uint32_t item;
    const rv_array *array;
    int64_t offset, count;
    bool write;
} rv_access;

typedef struct rv_accesses {
    rv_access *list;
    uint32_t count, capacity;
} rv_accesses;

static bool add_access(rv_planner *planner, rv_accesses *accesses, uint32_t item, const rv_array *array, int64_t offset, int64_t count, bool write) {
    if (!rv_grow(planner->device, (void **)&accesses->list, &accesses->capacity, accesses->count, sizeof *accesses->list)) return false;
    accesses->list[accesses->count++] = (rv_access){item, array, offset, count, write};
    return true;
}

static bool touch(rv_planner *planner, rv_accesses *accesses, uint32_t item, uint32_t root, bool write) {
    const rv_place *place = &planner->places[root];
    const rv_value *value = &planner->graph->values[root];
    if (!place->array || (place->copied && !write)) return true;
    return add_access(planner, accesses, item, place->array, place->offset, value->rows * value->cols, write);
}

/* Elements [first, last) of a joined value, which no item makes: edges from the makers of those parts. */
static bool part_edges(rv_planner *planner, const uint32_t *producer, uint32_t root, int64_t first, int64_t last, uint32_t to) {
    const rv_graph *graph = planner->graph;
    const rv_node *node = &graph->nodes[graph->values[root].node];
    if (!planner->joined[graph->values[root].node]) return !producer[root] || add_edge(planner, producer[root] - 1, to, false);
    for (int k = 0; k < node->input_count; k++) {
        const rv_value *part = &graph->values[node->input[k]];
        const int64_t count = part->rows * part->cols;
        if (first < count && last > 0 && !part_edges(planner, producer, part->root, first, last, to)) return false;
        first -= count;
        last -= count;
    }
    return true;
}

static bool input_edges(rv_planner *planner, const uint32_t *producer, uint32_t item, int input) {
    const rv_value *value = &planner->graph->values[node_of(planner, &planner->items[item])->input[input]];
    const uint32_t from = producer[value->root];
    if (from) return add_edge(planner, from - 1, item, rv_item_aligned(planner, &planner->items[item], input));
    const int64_t end = value->offset + (value->rows - 1) * value->stride + value->cols;
    return value->rows == 0 || part_edges(planner, producer, value->root, value->offset, end, item);
}

/* Edges along values, and the list of array accesses in recorded order. `producer` maps roots to 1 + item. */
static bool value_edges(rv_planner *planner, uint32_t *producer, rv_accesses *accesses) {
    const rv_graph *graph = planner->graph;
    for (uint32_t i = 0; i < planner->item_count; i++) {
        const rv_item *item = &planner->items[i];
        const rv_node *node = node_of(planner, item);
        if (item->kind == RV_ITEM_READ) {
            const rv_value *value = &graph->values[node->first_output];
            if (!add_access(planner, accesses, i, node->array, node->offset, value->rows * value->cols, false)) return false;
            producer[node->first_output] = i + 1;
            continue;
        }
        for (int k = 0; k < node->input_count; k++) {
            if (!node->input[k] || (item->kind == RV_ITEM_OLD && k > 0)) continue;
            if (!input_edges(planner, producer, i, k)) return false;
            if (!touch(planner, accesses, i, graph->values[node->input[k]].root, false)) return false;
        }
        if (item->kind == RV_ITEM_STORE) {
            const rv_value *value = &graph->values[node->input[0]];
            if (!add_access(planner, accesses, i, node->array, node->offset, value->rows * value->cols, true)) return false;
        }
        if (item->kind == RV_ITEM_OLD && !add_edge(planner, i, i + 1, false)) return false;
        if (item->kind != RV_ITEM_OP) continue;
        for (int k = 0; k < node->output_count; k++) {
            producer[node->first_output + (uint32_t)k] = i + 1;
            if (!touch(planner, accesses, i, node->first_output + (uint32_t)k, true)) return false;
        }
    }
    return true;
}

/* Overlapping accesses of which one writes keep their order. */
static bool array_edges(rv_planner *planner, const rv_accesses *accesses) {
    for (uint32_t b = 0; b < accesses->count; b++) {
        for (uint32_t a = 0; a < b; a++) {
            const rv_access *first = &accesses->list[a], *second = &accesses->list[b];
            if (first->array != second->array || !(first->write || second->write)) continue;
            if (first->offset >= second->offset + second->count || second->offset >= first->offset + first->count) continue;
            if (!add_edge(planner, first->item, second->item, false)) return false;
        }
    }
    return true;
}

static bool make_edges(rv_planner *planner) {
    uint32_t *producer = rv_alloc(planner->device, planner->graph->value_count, sizeof *producer);
    rv_accesses accesses = {0};
    bool fine = producer && value_edges(planner, producer, &accesses) && array_edges(planner, &accesses);
    rv_free(planner->device, accesses.list);
    rv_free(planner->device, producer);
    return fine;
}

/* ---- order ---- */

typedef struct rv_scheduler {
    rv_planner *planner;
    uint32_t *first_edge; /* by item, into `sorted` */
    rv_edge *sorted;      /* by from */
    uint32_t *ready;      /* items, in recorded order */
    uint32_t ready_count;
    uint32_t done;
    int64_t rows; /* of the open region */
} rv_scheduler;

static bool sort_edges(rv_scheduler *scheduler) {
    rv_planner *planner = scheduler->planner;
    rv_device *device = planner->device;
    uint32_t n = planner->item_count;
    scheduler->first_edge = rv_alloc(device, n + 2, sizeof *scheduler->first_edge);
    scheduler->sorted = rv_alloc(device, planner->edge_count, sizeof *scheduler->sorted);
    scheduler->ready = rv_alloc(device, n, sizeof *scheduler->ready);
    if (!scheduler->first_edge || !scheduler->sorted || !scheduler->ready) return false;
    for (uint32_t e = 0; e < planner->edge_count; e++) {
        scheduler->first_edge[planner->edges[e].from + 2]++;
        planner->items[planner->edges[e].to].waiting++;
    }
    for (uint32_t i = 2; i <= n + 1; i++) scheduler->first_edge[i] += scheduler->first_edge[i - 1];
    for (uint32_t e = 0; e < planner->edge_count; e++) {
        scheduler->sorted[scheduler->first_edge[planner->edges[e].from + 1]++] = planner->edges[e];
    }
    return true;
}

/* Keeps the ready list in recorded order, which is the order of item numbers. */
static void make_ready(rv_scheduler *scheduler, uint32_t item) {
    uint32_t at = scheduler->ready_count++;
    for (; at > 0 && scheduler->ready[at - 1] > item; at--) scheduler->ready[at] = scheduler->ready[at - 1];
    scheduler->ready[at] = item;
}

static void take(rv_scheduler *scheduler, uint32_t at) {
    rv_planner *planner = scheduler->planner;
    uint32_t taken = scheduler->ready[at];
    scheduler->ready_count--;
    for (uint32_t i = at; i < scheduler->ready_count; i++) scheduler->ready[i] = scheduler->ready[i + 1];
    rv_item *item = &planner->items[taken];
    item->region = planner->region_count - 1;
    planner->position[taken] = scheduler->done;
    planner->order[scheduler->done++] = taken;
    for (uint32_t e = scheduler->first_edge[taken]; e < scheduler->first_edge[taken + 1]; e++) {
        const rv_edge *edge = &scheduler->sorted[e];
        rv_item *next = &planner->items[edge->to];
        if (!edge->aligned || item->rows < 0 || item->rows != next->rows) next->blocked = item->region;
        if (--next->waiting == 0) make_ready(scheduler, edge->to);
    }
}

/* The earliest ready item that may join the open region; ready_count where there is none. */
static uint32_t joining(const rv_scheduler *scheduler) {
    const rv_planner *planner = scheduler->planner;
    for (uint32_t i = 0; i < scheduler->ready_count; i++) {
        const rv_item *item = &planner->items[scheduler->ready[i]];
        if (item->rows == scheduler->rows && item->blocked < planner->region_count - 1) return i;
    }
    return scheduler->ready_count;
}

/* Scalars first (they are cheap and others wait for them), then rows, then whole arrays. */
static uint32_t opening(const rv_scheduler *scheduler) {
    const rv_item *items = scheduler->planner->items;
    for (uint32_t i = 0; i < scheduler->ready_count; i++) {
        if (items[scheduler->ready[i]].rows == 1) return i;
    }
    for (uint32_t i = 0; i < scheduler->ready_count; i++) {
        if (items[scheduler->ready[i]].rows >= 0) return i;
    }
    return 0;
}

static rv_status order_items(rv_scheduler *scheduler) {
    rv_planner *planner = scheduler->planner;
    for (uint32_t i = 0; i < planner->item_count; i++) {
        if (planner->items[i].waiting == 0) make_ready(scheduler, i);
    }
    while (scheduler->ready_count > 0) {
        uint32_t at = planner->regions && planner->region_count > 0 ? joining(scheduler) : scheduler->ready_count;
        if (at == scheduler->ready_count) {
            /* without regions every launch is its own, in recorded order */
            at = planner->regions ? opening(scheduler) : 0;
            planner->region_count++;
            scheduler->rows = planner->items[scheduler->ready[at]].rows;
        }
        take(scheduler, at);
    }
    if (scheduler->done != planner->item_count) return rv_fail(planner->error, RV_INTERNAL, "the plan's dependencies form a circle");
    return RV_OK;
}

rv_status rv_planner_schedule(rv_planner *planner) {
    rv_device *device = planner->device;
    rv_scheduler scheduler = {.planner = planner};
    bool fine = make_items(planner) && make_edges(planner);
    if (fine) {
        planner->order = rv_alloc(device, planner->item_count, sizeof *planner->order);
        planner->position = rv_alloc(device, planner->item_count, sizeof *planner->position);
        fine = planner->order && planner->position && sort_edges(&scheduler);
    }
    rv_status status = fine ? order_items(&scheduler) : rv_fail(planner->error, RV_OUT_OF_MEMORY, "no memory to schedule the plan");
    rv_free(device, scheduler.first_edge);
    rv_free(device, scheduler.sorted);
    rv_free(device, scheduler.ready);
    return status;
}
