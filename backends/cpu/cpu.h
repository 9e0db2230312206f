/* backends/cpu/cpu.h: what the CPU backend's files share.
 *
 * One backend, three kinds of device. `reference` and `double` run every launch by its
 * reference function, one after another. `fast` (fast.c) cuts regions into slices of rows,
 * runs them on its own threads, and takes the reference function of an op that has no fast one.
 */
#ifndef RV_BACKENDS_CPU_H
#define RV_BACKENDS_CPU_H

#include "backends/host.h"

typedef enum rv_cpu_kind { RV_CPU_FAST, RV_CPU_REFERENCE, RV_CPU_DOUBLE } rv_cpu_kind;

/* Instruction sets that the fast kernels are compiled for, each one containing those before it. */
typedef enum rv_cpu_isa { RV_CPU_BASELINE, RV_CPU_AVX2, RV_CPU_AVX512, RV_CPU_ISA_COUNT } rv_cpu_isa;

typedef struct rv_fast rv_fast; /* fast.c's own: threads, packed weights, scratch */

typedef struct rv_cpu {
    rv_services services;
    rv_cpu_kind kind;
    rv_cpu_isa isa;  /* fast: the one asked for, else the best that this machine has */
    int threads;     /* fast: the number asked for, else one a core; 1 otherwise */
    size_t l2_bytes; /* of one core; 0: unknown */
    rv_fast *fast;   /* made by rv_fast_open; NULL on the other kinds */
} rv_cpu;

/* ---- reference functions (reference.c) ------------------------------------------------------ */

/* Computes rows [first, last) of every output. Ops that are RV_ROWS_WHOLE compute everything,
 * whatever first and last say. */
typedef void (*rv_reference_fn)(const rv_launch *launch, int64_t first, int64_t last);

/* Never NULL; as_double: for memory that holds f32 as double. */
rv_reference_fn rv_reference_get(rv_op op, bool as_double);

/* Rows that a launch computes: those of its first output that anybody reads. */
static inline int64_t rv_launch_rows(const rv_launch *launch) {
    for (int i = 0; i < launch->output_count; i++)
        if (launch->output[i].buffer) return launch->output[i].rows;
    return 0;
}

/* ---- the fast device (fast.c) ----------------------------------------------------------------- */

/* Starts the threads (cpu->threads of them, the caller's included) and sets cpu->fast.
 * On failure cpu->fast is NULL. close takes NULL. */
rv_status rv_fast_open(rv_cpu *cpu, rv_error *error);
void rv_fast_close(rv_cpu *cpu);

/* The launches are copied; what they point to (buffers, labels) outlives the program. */
typedef struct rv_fast_program rv_fast_program;
rv_status rv_fast_prepare(rv_cpu *cpu, const rv_launch *launches, int64_t count, rv_error *error,
                          rv_fast_program **program);
rv_status rv_fast_run(rv_cpu *cpu, rv_fast_program *program, int64_t first, int64_t count, rv_error *error);
void rv_fast_release(rv_cpu *cpu, rv_fast_program *program);

#endif
