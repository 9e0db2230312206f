/* tests/cases/cases.h: the one case table.
 *
 *     rv_case_list *list = rv_cases_create();
 *     for (int i = 0; i < list->count; i++) use(&list->items[i]);
 *     rv_cases_destroy(list);
 *
 * A case is an op (or a few) with attributes, inputs and bounds: "gru_cell/b7_i33_h65".
 * From the same row come: device = reference, fused = expansion, gradient = finite
 * differences, guards intact, and the benchmark. A family of cases is one function in
 * cases_*.c that adds its rows; tests/support/case_run.h records and runs one on a device.
 */
#ifndef RV_TESTS_CASES_H
#define RV_TESTS_CASES_H

#include <stdbool.h>

#include "reverie/ops.h"

enum { RV_CASE_MAX_INPUTS = 12, RV_CASE_MAX_OUTPUTS = 4 };

/* How an input is filled; a and b are its two parameters. */
typedef enum rv_case_fill {
    RV_CASE_NORMAL,   /* mean a, standard deviation b */
    RV_CASE_UNIFORM,  /* inside (a, b) */
    RV_CASE_AWAY,     /* either sign, magnitude inside (a, b): away from a kink or pole at 0 */
    RV_CASE_WHOLE,    /* whole numbers in [a, b]; all types */
    RV_CASE_CONSTANT, /* a */
    RV_CASE_ASCENDING, /* whole numbers from a to b, ascending over the rows */
    RV_CASE_STEPS,    /* by column, in even steps from a to b */
    RV_CASE_BINS,     /* by column, rv_symexp_bins */
    RV_CASE_STATE,    /* noise state i32 [1, 4]: seed a, update b */
    RV_CASE_SPECIAL   /* NaN, infinities, zeros, subnormals and extremes in turn */
} rv_case_fill;

typedef struct rv_case_input {
    rv_dtype dtype;
    int64_t rows, cols;
    rv_case_fill fill;
    double a, b;
    bool differentiable;
} rv_case_input;

enum {
    RV_CASE_EXACT = 1,       /* bits equal the reference's */
    RV_CASE_RELATIVE = 2,    /* bound each element against its own magnitude only */
    RV_CASE_NO_STRIDE = 4,   /* has no twin whose inputs are slices of wider arrays */
    RV_CASE_NO_GRADIENT = 8, /* no gradient is taken */
    RV_CASE_BENCH = 16,      /* timed by reverie-bench */
    RV_CASE_LARGE = 32,      /* too large for the tests: bench only */
    RV_CASE_STRIDED = 64,    /* the twin: every input is a slice of a wider array */
    RV_CASE_NAN = 128,       /* may answer NaN: special inputs */
    RV_CASE_TALL = 256,      /* so many rows that devices cut them; no finite differences are taken */
    RV_CASE_FREEZE = 512     /* draws: finite differences are taken of the expansion, where what is drawn can be frozen */
};

typedef struct rv_case rv_case;

/* What a case's function records from: in[i] is input i, array[i] the array behind it (whose
 * columns are more where the case is strided). */
typedef struct rv_case_recording {
    const rv_case *item;
    rv_graph *graph;
    const rv_tensor *in;
    rv_array *const *array;
} rv_case_recording;

/* Records the case and gives its outputs, output_count tensors. */
typedef void (*rv_case_record)(const rv_case_recording *recording, rv_tensor *out);

struct rv_case {
    char name[96];
    rv_case_record record;
    int input_count, output_count;
    rv_case_input input[RV_CASE_MAX_INPUTS];
    int i[6];        /* attributes, as the family uses them */
    float f[6];
    unsigned flags;
    double nmse, element; /* bounds; 0: those of single ops in float32 */
    double absolute;      /* an error that does not count; for chains whose results may cancel */
    double flops, bytes;                   /* work of the forward pass; bytes 0: inputs and outputs once */
    double gradient_flops, gradient_bytes; /* of forward and gradient together; 0: not given */
};

/* Bounds of single ops in float32 against cpu:reference: normalised mean square error of an output,
 * and of each element relative to |reference| + root mean square of the reference. */
#define RV_CASE_NMSE 1e-11
#define RV_CASE_ELEMENT 1e-5

typedef struct rv_case_list {
    rv_case *items;
    int count, capacity;
} rv_case_list;

/* All families, and after them the strided twins. NULL: out of memory. */
rv_case_list *rv_cases_create(void);
void rv_cases_destroy(rv_case_list *list);

/* Appends a case; the pointer holds until the next call. Names are printf's. */
rv_case *rv_case_add(rv_case_list *list, rv_case_record record, int output_count, const char *format, ...)
    RV_PRINTF(4, 5);

/* Appends an input and returns it. */
rv_case_input *rv_case_input_add(rv_case *item, rv_dtype dtype, int64_t rows, int64_t cols, rv_case_fill fill, double a,
                                 double b);

/* The commonest ones: f32, differentiable, standard normal, and the same filled otherwise. */
void rv_case_value(rv_case *item, int64_t rows, int64_t cols);
void rv_case_values(rv_case *item, int64_t rows, int64_t cols, rv_case_fill fill, double a, double b);
/* f32 without a gradient; i32 whole numbers in [low, high]; a noise state. */
void rv_case_constant(rv_case *item, int64_t rows, int64_t cols, rv_case_fill fill, double a, double b);
void rv_case_index(rv_case *item, int64_t rows, int64_t cols, int64_t low, int64_t high);
void rv_case_state(rv_case *item, uint32_t seed, uint32_t update);

/* Host elements of an input (float, int32_t, uint8_t by its type), the same on every device. */
void rv_case_fill_input(const rv_case *item, int index, void *out);

/* The families; adding one is a line here and a file. */
#define RV_CASE_FAMILIES(X) \
    X(map1) X(map2) X(shape) X(store) X(reduce) X(matmul) X(linear) X(norm) X(gru) X(block) X(scan) X(noise) X(likelihood) X(optimiser) \
    X(random) X(categorical) X(twohot) X(return)
#define RV_CASE_DECLARE(family) void rv_cases_##family(rv_case_list *list);
RV_CASE_FAMILIES(RV_CASE_DECLARE)
#undef RV_CASE_DECLARE

#endif
