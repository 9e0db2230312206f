/* core/arena.c: lifetimes, in-place, and an address for every value.
 *
 * Lifetimes are counted in regions: within one, slices of rows run at different times. Addresses
 * are given greedily, the largest value first, at the lowest place that is free all its life.
 */
#include <stdlib.h>

#include "core/planner.h"

enum { GUARD = 128 }; /* bytes on either side of a value on check: devices */

static bool in_arena(const rv_place *place) { return place->used && (!place->array || place->copied); }

static void live(rv_planner *planner, uint32_t root, int32_t region) {
    rv_place *place = &planner->places[root];
    if (place->first < 0) place->first = region;
    if (place->last < region) place->last = region;
}

static uint32_t whole_of(const rv_planner *planner, uint32_t root) {
    while (planner->places[root].into) root = planner->places[root].into;
    return root;
}

/* What parts are written into lives from the first part's making to the last one's use. */
static void live_with_whole(rv_planner *planner, uint32_t part) {
    const rv_place *place = &planner->places[part];
    if (!place->into || place->first < 0) return;
    const uint32_t whole = whole_of(planner, part);
    rv_place *all = &planner->places[whole];
    if (all->first < 0 || place->first < all->first) all->first = place->first;
    if (place->last > all->last) all->last = place->last;
}

static void find_lifetimes(rv_planner *planner) {
    const rv_graph *graph = planner->graph;
    for (uint32_t v = 0; v < graph->value_count; v++) planner->places[v].first = planner->places[v].last = -1;
    for (uint32_t p = 0; p < planner->item_count; p++) {
        const rv_item *item = &planner->items[planner->order[p]];
        const rv_node *node = &graph->nodes[item->node];
        for (int k = 0; k < node->input_count; k++) {
            if (node->input[k]) live(planner, graph->values[node->input[k]].root, item->region);
        }
        for (int k = 0; k < node->output_count; k++) live(planner, node->first_output + (uint32_t)k, item->region);
    }
    for (uint32_t v = 1; v < graph->value_count; v++) live_with_whole(planner, v);
    if (!planner->keep_order) return;
    for (uint32_t v = 0; v < graph->value_count; v++) {
        planner->places[v].first = 0;
        planner->places[v].last = planner->region_count;
    }
}

/* ---- in place ---- */

/* What reads a root: the last position in the order, and the last region that does so not row by row. */
typedef struct rv_readers {
    uint32_t last;
    int32_t across;
} rv_readers;

static void find_readers(const rv_planner *planner, rv_readers *readers) {
    const rv_graph *graph = planner->graph;
    for (uint32_t v = 0; v < graph->value_count; v++) readers[v] = (rv_readers){0, -1};
    for (uint32_t p = 0; p < planner->item_count; p++) {
        const rv_item *item = &planner->items[planner->order[p]];
        const rv_node *node = &graph->nodes[item->node];
        for (int k = 0; k < node->input_count; k++) {
            if (!node->input[k]) continue;
            rv_readers *reader = &readers[graph->values[node->input[k]].root];
            reader->last = p;
            if (!rv_item_aligned(planner, item, k)) reader->across = item->region;
        }
    }
}

static bool whole_of_root(const rv_graph *graph, const rv_value *value) {
    const rv_value *root = &graph->values[value->root];
    return value->offset == 0 && value->rows == root->rows && value->cols == root->cols && value->stride == root->stride;
}

/* Another input sees other elements of that root at the same time: a column of it repeated, say. */
static bool seen_otherwise(const rv_graph *graph, const rv_node *node, uint32_t root) {
    for (int k = 0; k < node->input_count; k++) {
        const rv_value *in = &graph->values[node->input[k]];
        if (node->input[k] && in->root == root && !whole_of_root(graph, in)) return true;
    }
    return false;
}

static uint32_t target_of(const rv_planner *planner, uint32_t root) {
    while (planner->places[root].alias != root) root = planner->places[root].alias;
    return root;
}

static void share_dying_input(rv_planner *planner, uint32_t position, const rv_readers *readers) {
    const rv_graph *graph = planner->graph;
    const rv_item *item = &planner->items[planner->order[position]];
    const rv_node *node = &graph->nodes[item->node];
    uint32_t out = node->first_output;
    if (item->kind != RV_ITEM_OP || item->rows < 0 || node->output_count != 1 || !in_arena(&planner->places[out]) ||
        rv_is_joined(planner, out)) {
        return;
    }
    for (int k = 0; k < node->input_count; k++) {
        if (!node->input[k] || !rv_in_place(node->op, k, 0)) continue;
        const rv_value *in = &graph->values[node->input[k]], *made = &graph->values[out];
        const rv_place *place = &planner->places[in->root];
        bool same = whole_of_root(graph, in) && in->rows == made->rows && in->cols == made->cols && in->dtype == made->dtype;
        bool dying = in_arena(place) && !rv_is_joined(planner, in->root) && readers[in->root].last == position && readers[in->root].across < item->region;
        if (!same || !dying || seen_otherwise(graph, node, in->root)) continue;
        uint32_t target = target_of(planner, in->root);
        planner->places[out].alias = target;
        if (planner->places[target].last < planner->places[out].last) planner->places[target].last = planner->places[out].last;
        return;
    }
}

static rv_status share_memory(rv_planner *planner) {
    if (planner->keep_order) return RV_OK;
    rv_readers *readers = rv_alloc(planner->device, planner->graph->value_count, sizeof *readers);
    if (!readers) return rv_fail(planner->error, RV_OUT_OF_MEMORY, "no memory to place values");
    find_readers(planner, readers);
    for (uint32_t p = 0; p < planner->item_count; p++) share_dying_input(planner, p, readers);
    rv_free(planner->device, readers);
    return RV_OK;
}

/* ---- addresses ---- */

typedef struct rv_block {
    uint32_t root;
    size_t bytes;
} rv_block;

static int larger_first(const void *a, const void *b) {
    const rv_block *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->root < y->root ? -1 : x->root > y->root;
}

static rv_status measure(rv_planner *planner, uint32_t root, size_t *bytes) {
    const rv_value *value = &planner->graph->values[root];
    const rv_caps *caps = &planner->device->caps;
    size_t need = (size_t)value->rows * (size_t)value->cols * caps->element_bytes[value->dtype];
    if (need == 0) need = 1;
    need = (need + caps->alignment - 1) / caps->alignment * caps->alignment;
    if (caps->guard) need += 2 * ((GUARD + caps->alignment - 1) / caps->alignment * caps->alignment);
    if (need > caps->largest_allocation) {
        return rv_fail(planner->error, RV_TOO_LARGE, "a value of [%lld, %lld] needs %zu bytes; %s allocates at most %zu at once",
                       (long long)value->rows, (long long)value->cols, need, caps->name, caps->largest_allocation);
    }
    *bytes = need;
    return RV_OK;
}

/* Lowest address in a chunk at which the block is free all its life; `placed` is sorted by address. */
static size_t lowest_gap(const rv_planner *planner, const uint32_t *placed, uint32_t count, uint32_t chunk, const rv_place *block, uint32_t *at) {
    size_t address = 0;
    for (uint32_t i = 0; i < count; i++) {
        const rv_place *other = &planner->places[placed[i]];
        if (other->chunk != chunk || other->last < block->first || block->last < other->first) continue;
        if (address + block->bytes <= other->address) break;
        if (other->address + other->bytes > address) address = other->address + other->bytes;
    }
    for (*at = 0; *at < count && planner->places[placed[*at]].address < address;) ++*at;
    return address;
}

static rv_status place_block(rv_planner *planner, uint32_t root, uint32_t *placed, uint32_t count) {
    rv_place *block = &planner->places[root];
    for (block->chunk = 0;; block->chunk++) {
        uint32_t at;
        size_t address = lowest_gap(planner, placed, count, block->chunk, block, &at);
        if (address + block->bytes > planner->device->caps.largest_allocation) continue;
        if (block->chunk == planner->chunk_count) {
            size_t *chunks = rv_resize(planner->device, planner->chunks, planner->chunk_count + 1, sizeof *chunks);
            if (!chunks) return rv_fail(planner->error, RV_OUT_OF_MEMORY, "no memory to place values");
            planner->chunks = chunks;
            planner->chunks[planner->chunk_count++] = 0;
        }
        if (planner->chunks[block->chunk] < address + block->bytes) planner->chunks[block->chunk] = address + block->bytes;
        block->address = address;
        for (uint32_t i = count; i > at; i--) placed[i] = placed[i - 1];
        placed[at] = root;
        return RV_OK;
    }
}

static void place_parts(rv_planner *planner) {
    for (uint32_t root = 1; root < planner->graph->value_count; root++) {
        rv_place *place = &planner->places[root];
        if (!place->into) continue;
        int64_t before = 0;
        for (uint32_t part = root; planner->places[part].into; part = planner->places[part].into) before += planner->places[part].before;
        const rv_place *whole = &planner->places[whole_of(planner, root)];
        place->chunk = whole->chunk;
        place->address = whole->address + (size_t)before * planner->device->caps.element_bytes[planner->graph->values[root].dtype];
    }
}

static rv_status place_blocks(rv_planner *planner, rv_block *blocks, uint32_t *placed) {
    uint32_t count = 0;
    for (uint32_t root = 1; root < planner->graph->value_count; root++) {
        rv_place *place = &planner->places[root];
        if (place->first < 0 || !in_arena(place) || planner->graph->values[root].root != root || place->alias != root || place->into) continue;
        rv_status status = measure(planner, root, &place->bytes);
        if (status != RV_OK) return status;
        blocks[count++] = (rv_block){root, place->bytes};
    }
    qsort(blocks, count, sizeof *blocks, larger_first);
    for (uint32_t i = 0; i < count; i++) {
        rv_status status = place_block(planner, blocks[i].root, placed, i);
        if (status != RV_OK) return status;
    }
    size_t lead = planner->device->caps.guard ? (GUARD + planner->device->caps.alignment - 1) / planner->device->caps.alignment * planner->device->caps.alignment : 0;
    for (uint32_t i = 0; i < count; i++) planner->places[blocks[i].root].address += lead;
    for (uint32_t root = 1; root < planner->graph->value_count; root++) {
        uint32_t target = target_of(planner, root);
        if (target == root) continue;
        planner->places[root].chunk = planner->places[target].chunk;
        planner->places[root].address = planner->places[target].address;
    }
    place_parts(planner);
    return RV_OK;
}

rv_status rv_planner_place(rv_planner *planner) {
    find_lifetimes(planner);
    rv_status status = share_memory(planner);
    if (status != RV_OK) return status;
    rv_block *blocks = rv_alloc(planner->device, planner->graph->value_count, sizeof *blocks);
    uint32_t *placed = rv_alloc(planner->device, planner->graph->value_count, sizeof *placed);
    if (blocks && placed) status = place_blocks(planner, blocks, placed);
    else status = rv_fail(planner->error, RV_OUT_OF_MEMORY, "no memory to place values");
    rv_free(planner->device, blocks);
    rv_free(planner->device, placed);
    return status;
}
