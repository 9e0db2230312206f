/* core/backend.h: what a backend is given and what it must do.
 *
 * The core records, differentiates, expands, schedules and places; what reaches a backend
 * is a list of launches whose operands are addresses. A backend holds memory and runs
 * lists. It is one table of functions; it never sees a graph, a tensor or an array.
 */
#ifndef RV_CORE_BACKEND_H
#define RV_CORE_BACKEND_H

#include <stdarg.h>
#include <stdbool.h>

#include "reverie/array.h"
#include "reverie/ops.h"

/* ---- ops -------------------------------------------------------------------------------- */

typedef enum rv_op {
#define RV_OP(name, text, inputs_min, inputs_max, outputs, level, rows, whole) RV_OP_##name,
#include "core/ops.def"
#undef RV_OP
    RV_OP_COUNT
} rv_op;

/* How an op treats rows, and so how a backend may cut it. */
typedef enum rv_rows_rule {
    RV_ROWS_INDEPENDENT, /* row r of every output needs row r of the row inputs and all of the others (rv_launch.row_inputs) */
    RV_ROWS_WHOLE        /* anything else: reductions over rows, contractions over rows, scalars' tails */
} rv_rows_rule;

typedef enum rv_level { RV_BASIC, RV_FUSED } rv_level;

/* Functions of the MAP1, MAP2 ops; X(name, text). Those marked "of y" take the op's result. */
#define RV_MAP1_LIST(X)                                                                                        \
    X(NEG, "neg") X(ABS, "abs") X(SIGN, "sign") X(EXP, "exp") X(LOG, "log") X(SQRT, "sqrt") X(SQUARE, "square") \
    X(RECIPROCAL, "reciprocal") X(SIN, "sin") X(COS, "cos") X(TANH, "tanh") X(SIGMOID, "sigmoid")              \
    X(SOFTPLUS, "softplus") X(SILU, "silu") X(RELU, "relu") X(ELU, "elu") X(GELU, "gelu") X(SYMLOG, "symlog")  \
    X(SYMEXP, "symexp") X(CLAMP, "clamp") X(AFFINE, "affine") X(CAST, "cast")
#define RV_MAP2_LIST(X)                                                                                      \
    X(ADD, "add") X(SUB, "sub") X(MUL, "mul") X(DIV, "div") X(MOD, "mod") X(MIN, "min") X(MAX, "max")        \
    X(LESS, "less") X(LESS_EQUAL, "less_equal") X(EQUAL, "equal")                                            \
    X(D_RELU, "d_relu") /* gradients: f(dy, y or x) */                                                       \
    X(D_ELU, "d_elu") X(D_TANH, "d_tanh") X(D_SIGMOID, "d_sigmoid") X(D_SOFTPLUS, "d_softplus") /* of y */   \
    X(D_SILU, "d_silu") X(D_GELU, "d_gelu") X(D_SYMLOG, "d_symlog") X(D_SYMEXP, "d_symexp") /* of x */       \
    X(D_CLAMP, "d_clamp") /* of x, bounds in f[0], f[1] */

#define RV_MAP_ENUM(name, text) RV_MAP_##name,
typedef enum rv_map { RV_MAP1_LIST(RV_MAP_ENUM) RV_MAP1_END, RV_MAP1_LAST = RV_MAP1_END - 1, RV_MAP2_LIST(RV_MAP_ENUM) RV_MAP_COUNT } rv_map;
#undef RV_MAP_ENUM

typedef enum rv_reduction { RV_REDUCE_SUM, RV_REDUCE_MEAN, RV_REDUCE_MAX, RV_REDUCE_MIN } rv_reduction;

/* Attributes: plain data, compared and copied as a whole. ops.def says what each op keeps where. */
typedef struct rv_attributes {
    float f[6];
    int32_t i[4];
    uint32_t stream, t; /* noise: hash of the draw's name, time index */
} rv_attributes;

/* ---- launches ---------------------------------------------------------------------------- */

enum { RV_MAX_INPUTS = 10, RV_MAX_OUTPUTS = 6 };

typedef struct rv_buffer rv_buffer; /* the backend's own */

/* rows x cols elements at buffer + offset; row r begins stride elements after row r - 1.
 * buffer NULL: an optional input that is absent, or an output that nobody reads. */
typedef struct rv_operand {
    rv_buffer *buffer;
    size_t offset; /* in elements */
    int64_t rows, cols, stride;
    rv_dtype dtype;
    bool temporary; /* in the plan's arena, not in an array */
} rv_operand;

typedef struct rv_launch {
    rv_op op;
    int input_count, output_count;
    rv_operand input[RV_MAX_INPUTS], output[RV_MAX_OUTPUTS];
    rv_attributes attributes;
    uint32_t row_inputs; /* bit i: input i is cut along with the rows (RV_ROWS_INDEPENDENT) */
    int32_t region;      /* launches of one region follow one another; see below */
    double flops, bytes;
    const char *label;
} rv_launch;

/* A region is a run of consecutive launches that may be cut by rows as one: all are
 * RV_ROWS_INDEPENDENT over the same number of rows, nothing that one of them reads whole
 * is written inside, and no memory is reused between them for another row layout, so that all of
 * them can run for one slice of rows before the next slice begins; or all are RV_ROWS_WHOLE and
 * none depends on another, so that they can run at once. Backends may ignore regions. */

/* ---- the table ---------------------------------------------------------------------------- */

#define RV_BACKEND_ABI 2

typedef struct rv_error {
    rv_status status;
    char text[512];
} rv_error;

/* Core services, handed to a backend when it is opened (a module must not link the library). */
typedef struct rv_services {
    uint32_t size;
    void *user;
    void *(*resize)(void *user, void *memory, size_t bytes); /* host memory; 0 bytes frees */
    void (*log)(void *user, rv_log_level level, const char *text);
    rv_status (*fail)(rv_error *error, rv_status status, const char *format, ...) RV_PRINTF(3, 4);
    const rv_native *native; /* the host program's own handles to open on (device.h), while open runs; else NULL */
} rv_services;

typedef struct rv_caps {
    size_t largest_allocation;  /* bytes */
    size_t alignment;           /* bytes, of every value's address but those of a join's parts and of views */
    size_t element_bytes[3];    /* by dtype; 8 for f32 on cpu:double */
    bool regions;               /* schedule for regions */
    bool guard;                 /* check: every value in its own guarded block */
    char name[64];              /* resolved resource string */
    char description[192];
} rv_caps;

typedef struct rv_program rv_program; /* the backend's prepared form of a list of launches */

typedef struct rv_backend {
    uint32_t abi, size;
    const char *name;

    /* spec is the resource string behind "name:", "" when there was none. On failure *state is NULL. */
    rv_status (*open)(const rv_services *services, const char *spec, rv_error *error, void **state);
    void (*close)(void *state);
    void (*caps)(void *state, rv_caps *caps);

    /* Memory. Sizes in bytes of the device's own elements; allocate zeroes. */
    rv_status (*allocate)(void *state, size_t bytes, rv_error *error, rv_buffer **buffer);
    rv_status (*wrap)(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer);
    void (*release)(void *state, rv_buffer *buffer);

    /* Host side elements are float, int32_t, uint8_t. download waits; upload keeps no pointer. */
    rv_status (*upload)(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data, rv_error *error);
    rv_status (*download)(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data, rv_error *error);
    /* Fills bytes [offset, offset + bytes) with a byte, in order with the launches. */
    rv_status (*fill)(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error);

    bool (*supports)(void *state, rv_op op, const rv_attributes *attributes);
    rv_status (*prepare)(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program);
    /* Runs launches [first, first + count) in order; does not wait. */
    rv_status (*run)(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error);
    void (*release_program)(void *state, rv_program *program);
    rv_status (*sync)(void *state, rv_error *error);

    /* ---- below: NULL where a backend has no answer ---- */

    /* Device number `index` without opening it, resource string, description and all; false behind the last one.
     * With index 0 and nothing there: false and *error says what is missing and how to get it. */
    bool (*list)(const rv_services *services, int index, rv_device_info *info, rv_error *error);
    /* The API's own handle of a buffer; NULL: none. wrap takes the same handle. */
    void *(*native)(void *state, rv_buffer *buffer);
    /* What a whole run of the program hands to the device: kernels and library calls. -1: no answer. */
    int64_t (*dispatches)(void *state, const rv_program *program);
} rv_backend;

/* What a module (backends/opencl, backends/cuda) exports, under the name RV_MODULE_SYMBOL. */
#define RV_MODULE_SYMBOL "rv_backend_module"

extern const rv_backend rv_backend_cpu, rv_backend_null, rv_backend_check, rv_backend_fault;

/* Opens a resource string (registry.c), for devices and for the wrappers, which find the device inside by it. "auto" takes
 * the first GPU that opens, else the CPU, and says in the log why nothing better. On failure *state is NULL. */
rv_status rv_registry_open(const rv_services *services, const char *resource, rv_error *error, const rv_backend **backend,
                           void **state);

/* services->fail, for what is linked into the library. Keeps a message and returns the status; the first message of
 * an object usually matters most, so callers that accumulate check error->status first. */
rv_status rv_fail(rv_error *error, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

/* What an op's line in ops.def says. */
typedef struct rv_op_info {
    const char *name;
    int inputs_min, inputs_max, outputs;
    rv_level level;
    rv_rows_rule rows;
    uint32_t whole; /* bits of inputs that every row needs entirely */
} rv_op_info;
const rv_op_info *rv_op_info_get(rv_op op);
const char *rv_map_name(rv_map map);

/* Elements of an operand; 0 where it is absent. */
static inline int64_t rv_operand_count(const rv_operand *operand) {
    return operand->buffer ? operand->rows * operand->cols : 0;
}

#endif
