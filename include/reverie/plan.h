/* reverie/plan.h: give every value a place, lower every op to launches, run them.
 *
 *     rv_plan *plan;
 *     if (rv_plan_create(graph, NULL, &plan) != RV_OK) fprintf(stderr, "%s\n", rv_plan_message(plan));
 *     for (int step = 0; step < 1000; step++) rv_plan_run(plan);
 *     rv_plan_destroy(plan);
 *
 * A plan is immutable: shapes, addresses and launches are fixed. Running it allocates
 * nothing, waits for nothing and reads nothing from the host. What changes from step to
 * step lives in device arrays that the plan itself advances.
 */
#ifndef REVERIE_PLAN_H
#define REVERIE_PLAN_H

#include "reverie/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_plan rv_plan;

typedef struct rv_plan_options {
    size_t size;    /* sizeof(rv_plan_options) */
    int expand;     /* 1: replace every fused op by its expansion (tests, new backends) */
    int keep_order; /* 1: launch in recorded order, share no memory between values */
} rv_plan_options;

typedef struct rv_plan_report {
    size_t size; /* sizeof(rv_plan_report), set by the caller */
    int64_t launches;
    int64_t regions;      /* parallel sections that the launches run in */
    int64_t values;       /* values that needed memory of their own */
    int64_t arena_bytes;  /* memory of the plan */
    int64_t value_bytes;  /* what the values would take without reuse */
    double flops;         /* arithmetic of the contractions, a run */
    int64_t dispatches;   /* what a run hands to the device; launches, where a backend makes nothing less of them */
} rv_plan_report;

/* Makes the plan of everything the graph stores. The graph may be destroyed afterwards.
 * Errors: whatever the recording did wrong, UNSUPPORTED (an op without kernel and expansion),
 * OUT_OF_MEMORY, TOO_LARGE. On failure *plan still holds the message. */
RV_API rv_status rv_plan_create(rv_graph *graph, const rv_plan_options *options, rv_plan **plan);
RV_API void rv_plan_destroy(rv_plan *plan);

/* Runs the plan once. Errors: OBJECT_GONE (an array it uses was destroyed), DEVICE_LOST. */
RV_API rv_status rv_plan_run(rv_plan *plan);

RV_API const char *rv_plan_message(const rv_plan *plan);
RV_API rv_status rv_plan_report_get(const rv_plan *plan, rv_plan_report *report);

/* One launch: its op, label, output shape, region, arithmetic, and the seconds of the last rv_plan_profile. */
typedef struct rv_launch_info {
    size_t size; /* sizeof(rv_launch_info), set by the caller */
    const char *op, *label;
    int64_t rows, cols, region;
    double flops, bytes, seconds;
} rv_launch_info;
RV_API rv_status rv_plan_launch(const rv_plan *plan, int64_t index, rv_launch_info *info);

/* Runs the plan once, launch by launch, and times each. */
RV_API rv_status rv_plan_profile(rv_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
