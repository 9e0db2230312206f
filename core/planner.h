/* core/planner.h: from a graph to an order of work with a place for every value.
 *
 * plan.c drives: hazards.c decides which stores are forwarded into their producers and which
 * reads must be copied; joins.c, which joined rows are written where they belong; schedule.c orders the items into regions; arena.c places the values.
 */
#ifndef RV_CORE_PLANNER_H
#define RV_CORE_PLANNER_H

#include "core/internal.h"

typedef enum rv_item_kind {
    RV_ITEM_OP,    /* the node's own op */
    RV_ITEM_READ,  /* copies an array's old contents aside, because a store comes before the last use */
    RV_ITEM_OLD,   /* copies what STORE_ROWS will change, where it cannot change the array in place */
    RV_ITEM_STORE  /* copies a value into an array, where the producer could not write there */
} rv_item_kind;

/* One launch to be. */
typedef struct rv_item {
    uint32_t node;
    rv_item_kind kind;
    int64_t rows;     /* of the result; -1: not row-independent */
    int32_t region;
    int32_t blocked;  /* the last region it must not join; -1: none */
    uint32_t waiting; /* producers not yet scheduled */
} rv_item;

typedef struct rv_edge {
    uint32_t from, to; /* items */
    bool aligned;      /* row r of `to` needs only row r of `from` */
} rv_edge;

/* Where a root value lives. */
typedef struct rv_place {
    bool used;        /* somebody reads it */
    uint32_t last_use; /* the last node that does */
    bool copied;      /* a READ that is copied aside */
    rv_array *array;  /* NULL: in the arena */
    int64_t offset;   /* elements in the array */
    uint32_t into;    /* the CONCAT_ROWS' result that it is a part of; 0: none */
    int64_t before;   /* elements of that before it */
    uint32_t alias;   /* the root whose memory it shares; itself when its own */
    int32_t first, last; /* regions in which it lives; an alias' are merged into its target */
    uint32_t chunk;
    size_t bytes, address; /* in bytes, within the chunk */
} rv_place;

typedef struct rv_planner {
    rv_device *device;
    const rv_graph *graph;
    rv_error *error;
    bool keep_order, regions;
    bool *needed;      /* by node */
    bool *forwarded;   /* by STORE node */
    bool *joined;      /* by CONCAT_ROWS node: its inputs are written into its result */
    rv_place *places;  /* by value; only roots matter */
    rv_item *items;
    uint32_t item_count, item_capacity;
    uint32_t *order;   /* items in the order of their launches */
    uint32_t *position; /* where in it, by item */
    int32_t region_count;
    rv_edge *edges;
    uint32_t edge_count, edge_capacity;
    size_t *chunks;    /* bytes of each part of the arena */
    uint32_t chunk_count;
} rv_planner;

/* Row r of the item needs only row r of that input, also in memory. */
bool rv_item_aligned(const rv_planner *planner, const rv_item *item, int input);
/* The op may write output `output` over input `input` of equal shape, element by element. */
bool rv_in_place(uint32_t op, int input, int output);

/* The root shares its memory with parts of it, or with what it is a part of. */
bool rv_is_joined(const rv_planner *planner, uint32_t root);

rv_status rv_planner_hazards(rv_planner *planner);  /* needed, places[].array and copied, forwarded */
void rv_planner_join(rv_planner *planner);          /* joined, places[].into */
rv_status rv_planner_schedule(rv_planner *planner); /* items, edges, order, regions */
rv_status rv_planner_place(rv_planner *planner);    /* lifetimes, in-place, addresses */

double rv_launch_flops(const rv_launch *launch);

#endif
