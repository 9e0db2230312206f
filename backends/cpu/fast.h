/* backends/cpu/fast.h: what the fast device (fast*.c) and its kernels (simd_*.c) share.
 *
 * A launch becomes a step: its kernel, and how much of it there is to do. Units are rows where the op
 * treats rows independently (any cut of them gives the same bits), else pieces that the kernel numbers
 * itself, by shapes only; `finish` then puts the pieces together.
 */
#ifndef RV_BACKENDS_CPU_FAST_H
#define RV_BACKENDS_CPU_FAST_H

#include "backends/cpu/cpu.h"
#include "backends/cpu/pool.h"

typedef struct rv_step rv_step;

/* Does units [first, last) of a step; scratch is RV_SCRATCH bytes, 64-byte aligned, the thread's own. */
typedef void (*rv_kernel_fn)(const rv_step *step, int64_t first, int64_t last, void *scratch);

enum { RV_SCRATCH = 512 << 10 };

/* A weight laid out as the kernels like to read it: panels of columns, each [rows][width], padded with
 * zeros. TRANSPOSED: of the transposed matrix. GATES: a panel holds the same columns of each third. */
typedef enum rv_packing { RV_PACK_NONE, RV_PACK_PANELS, RV_PACK_TRANSPOSED, RV_PACK_GATES } rv_packing;

typedef struct rv_pack {
    const float *from;
    int64_t rows, cols, stride; /* of what is read */
    rv_packing packing;
    float *to;
    int64_t step; /* the first that reads it */
    bool early;   /* nothing before that step writes what is read: it may be packed at the start */
} rv_pack;

enum { RV_MAX_PACKS = 2 };

struct rv_step {
    rv_kernel_fn run, finish; /* finish: NULL, or called once all units are done, with no units */
    int64_t units;
    bool whole;                        /* units are pieces, not rows */
    int64_t pack[RV_MAX_PACKS];        /* in program->packs; -1: none */
    const float *packed[RV_MAX_PACKS]; /* NULL: read the weight where it is */
    float *partial;                    /* what the pieces leave for finish */
    const struct rv_kernel *kernel;    /* NULL: the reference function runs */
    rv_reference_fn reference;
    double ns;                         /* a guess at the time of all of it on one thread */
    rv_launch launch;
};

/* One op's fast form. */
typedef struct rv_kernel {
    rv_kernel_fn run, finish;
    uint32_t integers;                            /* bits of inputs that are i32; all else must be f32 */
    bool (*accepts)(const rv_launch *launch);     /* NULL: right types are enough */
    int64_t (*pieces)(const rv_launch *launch);   /* of ops that are whole; NULL: one */
    int64_t (*partials)(const rv_launch *launch); /* floats behind step->partial; NULL: none */
    /* the input to pack, and how, for each of step->packed; NULL: none */
    void (*packs)(const rv_launch *launch, int input[RV_MAX_PACKS], rv_packing packing[RV_MAX_PACKS]);
    bool elementwise;     /* may be seen as one long column where nothing is broadcast */
    float ns_per_element; /* of results, beside moving them: a guess that decides about waking threads */
} rv_kernel;

/* An instruction set's kernels. */
typedef struct rv_kernels {
    const rv_kernel *op[RV_OP_COUNT]; /* NULL: none */
    int64_t (*pack_panels)(const rv_pack *pack);
    size_t (*pack_size)(const rv_pack *pack);                       /* floats */
    void (*pack_run)(const rv_pack *pack, int64_t first, int64_t last); /* panels */
} rv_kernels;

extern const rv_kernels rv_kernels_baseline;
#if defined(__x86_64__)
extern const rv_kernels rv_kernels_avx2, rv_kernels_avx512;
#endif

struct rv_fast {
    rv_pool *pool;
    const rv_kernels *kernels;
    char *scratch; /* RV_SCRATCH a thread */
    void *scratch_owned;
};

/* Tasks that have no order among them. */
typedef enum rv_section_kind {
    RV_SECTION_ROWS,   /* slices of rows, each through all steps of the section */
    RV_SECTION_PIECES, /* pieces of steps */
    RV_SECTION_PACKS   /* panels of packs */
} rv_section_kind;

typedef struct rv_section {
    rv_section_kind kind;
    int64_t first, count;      /* steps */
    int64_t rows, slice;       /* ROWS */
    int64_t first_task, tasks; /* PIECES, PACKS: in program->tasks */
    bool parallel;             /* worth waking the other threads */
} rv_section;

typedef struct rv_task {
    int64_t of, first, last; /* a step's units or a pack's panels */
} rv_task;

struct rv_fast_program {
    const rv_kernels *kernels;
    int threads;
    int64_t step_count, section_count, task_count, pack_count;
    rv_step *steps;
    rv_section *sections; /* in order; packs stand before the steps that read them */
    rv_task *tasks;
    rv_pack *packs;
    float *memory; /* packs and partials */
    void *memory_owned;
};

/* Slices of a section of rows. */
void rv_fast_cut_rows(const rv_fast_program *program, rv_section *section);

/* Row `row`, the only one where there is one; NULL: absent. */
static inline float *rv_row(const rv_operand *operand, int64_t row) {
    return operand->buffer ? rv_f32(operand) + (operand->rows == 1 ? 0 : row) * operand->stride : NULL;
}

#endif
