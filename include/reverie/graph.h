/* reverie/graph.h: record a graph of ops.
 *
 *     rv_graph *graph;
 *     rv_graph_create(device, &graph);
 *     rv_tensor x = rv_read(graph, observations);             // [B, 4]
 *     rv_tensor y = rv_linear1(x, rv_read(graph, w), rv_read(graph, b), RV_SILU);
 *     rv_store(result, y);
 *     rv_plan_create(graph, NULL, &plan);                     // asks the status, once
 *     rv_graph_destroy(graph);
 *
 * A tensor is a handle to a value with rows and columns. A wrong shape or type gives a
 * poisoned tensor, and poison flows through every op like NaN; the first message, with
 * the op, the shapes and the label, is kept, and rv_plan_create answers with it.
 *
 * Arrays change only by stores. Reads and stores of one array take effect in the order in
 * which they were recorded: a value read before a store is the old one, however late it is used.
 */
#ifndef REVERIE_GRAPH_H
#define REVERIE_GRAPH_H

#include "reverie/array.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_graph rv_graph;

typedef struct rv_tensor {
    rv_graph *graph;
    uint32_t id; /* 0: poisoned, or "none" where an input is optional */
} rv_tensor;

/* "None" for optional inputs. */
#ifdef __cplusplus
#define RV_NONE (rv_tensor{})
#else
#define RV_NONE ((rv_tensor){0})
#endif

RV_API rv_status rv_graph_create(rv_device *device, rv_graph **graph);
RV_API void rv_graph_destroy(rv_graph *graph);

/* Status and message of the first mistake in the recording. */
RV_API rv_status rv_graph_status(const rv_graph *graph);
RV_API const char *rv_graph_message(const rv_graph *graph);

/* For code that records on top of these functions: a mistake of its own, kept as "what: text" if it is the graph's
 * first. Returns a poisoned tensor. */
RV_API rv_tensor rv_graph_refuse(rv_graph *graph, rv_status status, const char *what, const char *format, ...)
    RV_PRINTF(4, 5);

/* Labels for messages and profiles: ops recorded between push and pop carry "outer/inner". */
RV_API void rv_graph_push(rv_graph *graph, const char *label);
RV_API void rv_graph_pop(rv_graph *graph);

/* Shape and type; 0 and RV_F32 for a poisoned tensor. */
RV_API int64_t rv_tensor_rows(rv_tensor tensor);
RV_API int64_t rv_tensor_cols(rv_tensor tensor);
RV_API rv_dtype rv_tensor_dtype(rv_tensor tensor);

/* The whole array as a tensor, or rows * cols elements of it from element `offset` on. */
RV_API rv_tensor rv_read(rv_graph *graph, rv_array *array);
RV_API rv_tensor rv_read_part(rv_graph *graph, rv_array *array, int64_t offset, int64_t rows, int64_t cols);

/* Stores a tensor into an array: all of it, from element `offset` on, or row r into row
 * index[r] (i32 [R, 1]; indices outside are dropped, of equal ones the last row wins).
 * With a non-finite flag set (rv_watch) the `_rows` form keeps the old rows. */
RV_API void rv_store(rv_array *array, rv_tensor tensor);
RV_API void rv_store_part(rv_array *array, int64_t offset, rv_tensor tensor);
RV_API void rv_store_rows(rv_array *array, rv_tensor tensor, rv_tensor index);

/* Appends the gradient of a [1, 1] loss to the graph: gradient[i] has the shape of wrt[i]
 * (zeros where the loss does not depend on it). Nothing flows back through stop[0..stop_count). */
RV_API rv_status rv_gradients(rv_tensor loss, const rv_tensor *wrt, int wrt_count, const rv_tensor *stop,
                              int stop_count, rv_tensor *gradient);

#ifdef __cplusplus
}
#endif
#endif
