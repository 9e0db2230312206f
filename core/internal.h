/* core/internal.h: the objects behind the handles, for core/ and its tests. */
#ifndef RV_CORE_INTERNAL_H
#define RV_CORE_INTERNAL_H

#include "core/backend.h"
#include "reverie/checkpoint.h"
#include "reverie/plan.h"
#include "reverie/random.h"

/* ---- status.c: memory, checked arithmetic; rv_fail is declared in backend.h ----------------- */

/* Host memory through the device's allocator. alloc zeroes; both give NULL when there is none. */
void *rv_alloc(rv_device *device, size_t count, size_t size);
void *rv_resize(rv_device *device, void *memory, size_t count, size_t size);
void rv_free(rv_device *device, void *memory);
char *rv_copy_text(rv_device *device, const char *text);

/* *out = a * b (a + b); false where it does not fit. */
bool rv_mul_size(size_t a, size_t b, size_t *out);
bool rv_add_size(size_t a, size_t b, size_t *out);

/* Grows a list to hold one more: `if (!rv_grow(device, (void **)&list, &capacity, count, sizeof *list)) ...`. */
bool rv_grow(rv_device *device, void **list, uint32_t *capacity, uint32_t count, size_t size);

/* ---- device.c ------------------------------------------------------------------------------- */

struct rv_device {
    rv_error error;
    rv_allocator allocator;
    rv_log_fn log;
    void *log_user;
    rv_services services;
    const rv_backend *backend;
    void *state;
    rv_caps caps;
    int references;       /* itself and every object made on it */
    uint64_t arrays_gone; /* counts destroyed arrays, so that plans look again */
    rv_array *health;     /* i32 [1, 1]: 0, or 1 + index of a name; NULL until the first rv_watch or gated op */
    char **names;         /* of watched values */
    uint32_t name_count, name_capacity;
};

void rv_device_retain(rv_device *device);
void rv_device_release(rv_device *device);
rv_array *rv_device_health_array(rv_device *device); /* made at first use; NULL: out of memory */

struct rv_array {
    rv_device *device;
    rv_error error;
    char *name;
    rv_buffer *buffer;
    rv_dtype dtype;
    int64_t rows, cols;
    int references; /* the handle's and each plan's */
    bool gone;
};
void rv_array_retain(rv_array *array);
void rv_array_release(rv_array *array);

/* ---- graph.c ---------------------------------------------------------------------------------- */

/* Beside the ops, three kinds of node never become a launch of their own. */
enum {
    RV_NODE_READ = RV_OP_COUNT, /* array, offset -> value */
    RV_NODE_VIEW,               /* value -> the same memory seen otherwise; attributes.i[0] = 1: stop_gradient */
    RV_NODE_STORE,              /* value -> array, offset */
    RV_NODE_COUNT
};

typedef struct rv_value {
    uint32_t node, output;    /* which output of which node */
    rv_dtype dtype;
    int64_t rows, cols;
    uint32_t root;            /* the value whose memory this is: itself unless a view */
    int64_t offset, stride;   /* in elements, within the root; own memory: 0, cols */
} rv_value;

typedef struct rv_node {
    uint32_t op; /* rv_op or RV_NODE_… */
    int input_count, output_count;
    uint32_t input[RV_MAX_INPUTS]; /* value ids; 0: absent */
    uint32_t first_output;         /* outputs are first_output, first_output + 1, … */
    rv_attributes attributes;
    rv_array *array; /* READ, STORE */
    int64_t offset;  /* READ, STORE: in elements of the array */
    uint32_t label;  /* into graph->labels; 0: none */
} rv_node;

struct rv_graph {
    rv_device *device;
    rv_error error;
    rv_node *nodes;
    uint32_t node_count, node_capacity;
    rv_value *values; /* values[0] is the poisoned one */
    uint32_t value_count, value_capacity;
    char **labels;
    uint32_t label_count, label_capacity;
    char scope[192]; /* the label in force */
};

typedef struct rv_shape {
    rv_dtype dtype;
    int64_t rows, cols;
} rv_shape;

/* Poisons: keeps the message if it is the first, with op name and label in front, and returns {graph, 0}. */
rv_tensor rv_poison(rv_graph *graph, rv_status status, const char *op, const char *format, ...) RV_PRINTF(4, 5);

/* The graph of some tensors: the first one that has one. NULL and a poisoned graph (WRONG_DEVICE /
 * INVALID_ARGUMENT) where they differ. *poisoned = one of them is poisoned; RV_NONEs are skipped. */
rv_graph *rv_graph_of(const rv_tensor *tensors, int count, const char *op, bool *poisoned);

/* Appends a node; returns its first output (outputs follow by id), poisoned when out of memory.
 * `outputs` gives types and shapes; inputs may hold RV_NONE. */
rv_tensor rv_append(rv_graph *graph, rv_op op, const rv_tensor *inputs, int input_count, const rv_shape *outputs,
                    int output_count, const rv_attributes *attributes);

/* A view: rows x cols elements from `offset` (relative to x) on, rows `stride` apart. */
rv_tensor rv_append_view(rv_tensor x, int64_t rows, int64_t cols, int64_t offset, int64_t stride, bool stop);

/* Output `index` of the node that made x's first output. */
rv_tensor rv_output(rv_tensor first, int index);

/* The value behind a tensor that is not poisoned. */
const rv_value *rv_value_of(rv_tensor tensor);

uint32_t rv_hash_name(const char *name); /* FNV-1a, 32 bit */

/* ---- ops that only the core records (ops_*.c) --------------------------------------------------- */

rv_tensor rv_map1(rv_map map, rv_tensor x, float a, float b);
rv_tensor rv_map2(rv_map map, rv_tensor a, rv_tensor b, float low, float high);
rv_tensor rv_copy(rv_tensor x, int64_t rows, int64_t cols);
rv_tensor rv_linear_wgrad(rv_tensor dpre, const rv_tensor *x, int count, rv_tensor *dbias);
rv_tensor rv_block_linear_wgrad(rv_tensor dpre, rv_tensor own, const rv_tensor *shared, int shared_count, int blocks,
                                rv_tensor *dbias);
rv_tensor rv_global_norm(rv_tensor x);
void rv_adamw(rv_tensor value, rv_tensor gradient, rv_tensor m, rv_tensor v, rv_tensor lr, rv_tensor updates, rv_tensor norm,
              float beta1, float beta2, float eps, float weight_decay, float clip, rv_tensor out[3]);
rv_tensor rv_segment_norms(rv_tensor a, rv_tensor b, rv_tensor owner, int segments);
typedef struct rv_laprop_settings {
    double beta1, beta2;
    float eps, weight_decay, agc, smallest;
} rv_laprop_settings;
/* in: value, gradient, m, v, lr, updates, norms, owner */
void rv_laprop(const rv_tensor in[8], const rv_laprop_settings *settings, rv_tensor out[3]);
rv_tensor rv_ema(rv_tensor target, rv_tensor source, float rate);
rv_tensor rv_health(rv_graph *graph); /* the flag as it is now, i32 [1, 1] */

/* ---- params.c ------------------------------------------------------------------------------------- */

/* Where a weight begins in the flat arrays, in floats. */
int64_t rv_params_offset(const rv_params *params, int index);

/* ---- gradient.c, expand.c: two tables over the ops ------------------------------------------------ */

/* d loss / d outputs -> d loss / d inputs. dout[i] is {graph, 0} where nothing flows; din comes zeroed
 * ({NULL, 0}: no gradient). Input values may be used; tensors of inputs and outputs are given. */
typedef struct rv_gradient_context {
    rv_graph *graph;
    const rv_attributes *attributes;
    rv_tensor in[RV_MAX_INPUTS], out[RV_MAX_OUTPUTS], dout[RV_MAX_OUTPUTS];
    bool wanted[RV_MAX_INPUTS]; /* somebody needs this input's gradient */
    int input_count;
} rv_gradient_context;
typedef void (*rv_gradient_fn)(const rv_gradient_context *context, rv_tensor *din);
rv_gradient_fn rv_gradient_get(uint32_t op); /* NULL: no gradient flows through it */

/* Sums a gradient down to the shape that was broadcast. */
rv_tensor rv_unbroadcast(rv_tensor gradient, int64_t rows, int64_t cols);

/* Records the op's definition in basic ops; out[i] for every output. */
typedef void (*rv_expand_fn)(rv_graph *graph, const rv_attributes *attributes, const rv_tensor *in, int input_count,
                             rv_tensor *out);
rv_expand_fn rv_expand_get(rv_op op); /* NULL: basic */

/* A copy of a graph in which each op for which `keep` is false is replaced by its expansion, and each
 * stop_gradient view (op = RV_NODE_VIEW, attributes.i[0] = 1) for which it is by a COPY with i[0] = 1. */
rv_status rv_graph_expand(const rv_graph *graph, bool (*keep)(void *user, uint32_t op, const rv_attributes *attributes), void *user,
                          rv_graph **expanded);

/* ---- schedule.c, plan.c ----------------------------------------------------------------------------- */

/* Tests only: while frozen, stop_gradient copies keep the values of the last unfrozen run.
 * Needs rv_plan_options.keep_order. */
void rv_plan_freeze(rv_plan *plan, bool frozen);

#endif
