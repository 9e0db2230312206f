/* backends/gpu/gpu.h: what CUDA and OpenCL share: from launches to dispatches.
 *
 *     rv_gpu_plan plan;
 *     rv_gpu_lower(&gpu, launches, count, true, &plan, error);
 *     ... build plan.source[...], bind and enqueue plan.dispatch[...] in order ...
 *     rv_gpu_plan_free(&gpu, &plan);
 *
 * Kernel text (kernels/ *.k) holds device functions only, all with one signature:
 *
 *     DEVICE void NAME(const rv_args *args, const rv_bases *bases, const rv_part *part, LOCAL float *scratch)
 *
 * A function computes one part of its op's domain with one work-group of RV_LANES work-items; parts are independent. The
 * kernels around them are generated (emit.c), in three forms:
 *   single    one launch, one part a group, its rv_args passed by value;
 *   slices    a region of row-independent launches (core/backend.h): a group runs all of them for its rows, one after
 *             the other, with barriers in between;
 *   together  independent launches in one dispatch: each takes a range of the groups.
 * The last two read what to do from a table in device memory and switch by function: one program serves every plan, where
 * sizes as literals would be compiled anew for each, for seconds.
 */
#ifndef RV_BACKENDS_GPU_H
#define RV_BACKENDS_GPU_H

#include "core/backend.h"

/* the dialect's words that args.h needs, on the host */
#define GLOBAL
typedef int64_t INDEX;
typedef unsigned int uint;
#include "backends/gpu/args.h"
#undef GLOBAL

/* ---- the device functions ------------------------------------------------------------------ */

typedef enum rv_gpu_family {
#define RV_GPU_FAMILY(name) RV_GPU_FAMILY_##name,
#include "backends/gpu/functions.def"

    RV_GPU_FAMILIES
} rv_gpu_family;

typedef enum rv_gpu_function {
#define RV_GPU_FUNCTION(name, family, inputs, outputs, scratch, rows) RV_GPU_##name,
#include "backends/gpu/functions.def"

    RV_GPU_FUNCTIONS
} rv_gpu_function;

typedef struct rv_gpu_function_info {
    const char *name;
    rv_gpu_family family;
    int inputs, outputs; /* pointers that the function takes */
    int scratch;         /* floats of local memory; more than 0: it has barriers */
    int rows;            /* 1: slices can hold it */
} rv_gpu_function_info;
extern const rv_gpu_function_info rv_gpu_functions[RV_GPU_FUNCTIONS];

/* The embedded text of the dialects (by backend), of args.h + common.k, and of a family. */
extern const char rv_gpu_text_common[];
const char *rv_gpu_family_text(rv_gpu_family family);
const char *rv_gpu_family_name(rv_gpu_family family);

/* ---- what a device tells, and what it gets --------------------------------------------------- */

typedef struct rv_gpu {
    const rv_services *services;
    const char *dialect;       /* text in front of everything */
    int units;                 /* compute units: work-groups that run at once */
    double launch_seconds;     /* what one more dispatch costs */
    double unit_flops;         /* of one work-group alone, float32 multiply-adds counted as two */
    double unit_bandwidth;     /* bytes a second one work-group reads from cache */
    size_t local_bytes;        /* local memory of a work-group */
    bool no_barrier_branches;  /* barriers in a branch that whole groups take, beside other branches, go wrong */
} rv_gpu;

/* A product C = op(A) op(B) that the device's own library may do instead of our kernel: row-major, strides in
 * elements; operands are buffers of the dispatch. */
typedef struct rv_gpu_gemm {
    bool valid, transpose_a, transpose_b;
    int64_t m, n, k;
    rv_operand a, b, c;
} rv_gpu_gemm;

typedef struct rv_gpu_dispatch {
    int source;                             /* index into plan.source */
    char kernel[48];                        /* its kernel */
    bool batched;                           /* the argument behind the buffers: an rv_batch, else an rv_args */
    rv_args args;
    rv_batch batch;
    int buffer_count;                       /* the kernel's first arguments, GLOBAL char * each */
    rv_buffer *buffer[RV_GPU_MAX_BUFFERS + 1];  /* NULL: absent operand (pass any); RV_GPU_SCRATCH, RV_GPU_TABLE */
    uint32_t groups;                        /* work-groups of RV_LANES work-items; never 0 */
    int64_t first, count;                   /* the launches it belongs to: [first, first + count) */
    rv_gpu_gemm gemm;
} rv_gpu_dispatch;

/* Stands for scratch memory that lives from one dispatch of a launch to the next. */
#define RV_GPU_SCRATCH ((rv_buffer *)(void *)&rv_gpu_scratch_mark)
extern const char rv_gpu_scratch_mark;
/* Stands for a copy of the plan's table in device memory. */
#define RV_GPU_TABLE ((rv_buffer *)(void *)&rv_gpu_table_mark)
extern const char rv_gpu_table_mark;

typedef struct rv_gpu_source {
    char name[160]; /* for messages: "family map", "slices", "together product_64" */
    char *text;
    size_t length;
} rv_gpu_source;

typedef struct rv_gpu_plan {
    rv_gpu_dispatch *dispatch;
    int64_t dispatch_count, dispatch_capacity;
    rv_gpu_source *source; /* equal texts appear once; programs are best kept by a hash of the text */
    int source_count, source_capacity;
    rv_entry *table;
    int64_t entry_count, entry_capacity;
    size_t scratch_bytes;
} rv_gpu_plan;

/* Lowers launches. merge: whole regions may become one dispatch; without, every launch has dispatches of its own.
 * Errors: UNSUPPORTED, TOO_LARGE (more than 2^31 - 1 rows, columns or elements between rows), OUT_OF_MEMORY. */
rv_status rv_gpu_lower(const rv_gpu *gpu, const rv_launch *launches, int64_t count, bool merge, rv_gpu_plan *plan,
                       rv_error *error);
void rv_gpu_plan_free(const rv_gpu *gpu, rv_gpu_plan *plan);

bool rv_gpu_supports(rv_op op, const rv_attributes *attributes);

/* The program of one family with a single kernel op_NAME for each of its functions. */
rv_status rv_gpu_family_source(const rv_gpu *gpu, rv_gpu_family family, rv_gpu_source *source, rv_error *error);

#endif
