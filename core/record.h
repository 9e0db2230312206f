/* core/record.h: what constructors, gradients and expansions share when they record.
 *
 *     rv_check check = rv_check_inputs("mse", inputs, 2, 0);
 *     rv_check_type(&check, "prediction", inputs[0], RV_F32);
 *     rv_check_shape(&check, "target", inputs[1], rows, cols);
 *     if (!check.ok) return rv_check_failed(&check);
 *
 * The first check that fails poisons the graph with its message; those after it say nothing.
 */
#ifndef RV_CORE_RECORD_H
#define RV_CORE_RECORD_H

#include "core/internal.h"

/* A tensor's shape in a message: rv_check_refuse(&check, status, "x is " RV_SHAPE, RV_SHAPE_OF(x)). */
#define RV_SHAPE "[%lld, %lld]"
#define RV_SHAPE_OF(x) (long long)rv_tensor_rows(x), (long long)rv_tensor_cols(x)

enum { RV_ANY = -1 }; /* a size that does not matter */
enum { RV_BLOCKS_MAX = 64 }; /* of the block GRU's layers */

typedef struct rv_check {
    rv_graph *graph;
    const char *op;
    bool ok;
} rv_check;

/* All inputs of one graph, none poisoned, none missing but those whose bit in `optional` is set. */
rv_check rv_check_inputs(const char *op, const rv_tensor *inputs, int count, uint32_t optional);
void rv_check_type(rv_check *check, const char *name, rv_tensor x, rv_dtype dtype);
void rv_check_shape(rv_check *check, const char *name, rv_tensor x, int64_t rows, int64_t cols);
/* A shape that the caller asks for: rows from 0, columns from 1 on. */
void rv_check_size(rv_check *check, int64_t rows, int64_t cols);
/* What a draw depends on: the noise state and its own name. */
void rv_check_draw(rv_check *check, rv_tensor state, const char *name);
void rv_check_refuse(rv_check *check, rv_status status, const char *format, ...) RV_PRINTF(3, 4);
rv_tensor rv_check_failed(const rv_check *check);

const char *rv_dtype_name(rv_dtype dtype);

/* The shape of elementwise a, b; false where they do not fit. */
bool rv_broadcast_shape(rv_tensor a, rv_tensor b, int64_t *rows, int64_t *cols);

/* Appends an op with one output. */
rv_tensor rv_append_one(rv_graph *graph, rv_op op, const rv_tensor *inputs, int count, rv_dtype dtype, int64_t rows,
                        int64_t cols, const rv_attributes *attributes);

/* activation(pre); pre itself where it is linear. */
rv_tensor rv_activate(rv_activation activation, rv_tensor pre);

/* The whole draw by its hash, for expansions. */
rv_tensor rv_normal_stream(rv_tensor state, uint32_t stream, uint32_t t, int64_t rows, int64_t cols);

/* One-hot classes by a draw's hash or of given uniforms; with neither the likeliest ones. For expansions. */
rv_tensor rv_categorical(rv_tensor logits, rv_tensor state, rv_tensor uniforms, const rv_attributes *attributes);

/* How a view sees its input. */
typedef enum rv_view_kind { RV_VIEW_SAME, RV_VIEW_RESHAPE, RV_VIEW_COLS, RV_VIEW_ROWS } rv_view_kind;
rv_view_kind rv_view_kind_of(const rv_graph *graph, const rv_node *view, int64_t *first); /* first row or column */

/* Joins any number of tensors, through several concats where they are more than one takes. */
rv_tensor rv_join_cols(const rv_tensor *x, int count);
rv_tensor rv_join_rows(const rv_tensor *x, int count);

#endif
