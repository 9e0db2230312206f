/* bench/bench.h: what the parts of reverie-bench share. */
#ifndef RV_BENCH_H
#define RV_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reverie/agent.h"
#include "reverie/dreamer_v3.h"
#include "reverie/ops.h"
#include "reverie/params.h"
#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/sequence_model.h"
#include "reverie/trainer.h"
#include "tests/support/case_run.h"

/* ---- measure.c: time a piece of work ------------------------------------------------------ */

/* One call of the work; false: it failed and the measurement is void. */
typedef bool (*bench_work)(void *user);

/* How a piece of work is timed: warm up, find how many calls make a sample long enough, take samples. */
typedef struct bench_protocol {
    int warm_calls;        /* at least so many calls ... */
    double warm_seconds;   /* ... and so many seconds before the first sample */
    double sample_seconds; /* the least a sample takes */
    int samples;
} bench_protocol;

extern const bench_protocol BENCH_FULL, BENCH_QUICK;

/* Seconds a call: median, percentiles and least over the samples; `calls` in each sample. */
typedef struct bench_times {
    int64_t calls;
    int samples;
    double median, p10, p90, min;
} bench_times;

double bench_now(void); /* seconds of a clock that only goes forward */
bool bench_time(bench_work work, void *user, const bench_protocol *protocol, bench_times *times);
double bench_percentile(double *values, int count, double fraction); /* sorts them */

/* ---- ceilings.c: what the machine can do, by loops of the bench's own ------------------------ */

enum { BENCH_MAX_THREADS = 256 };

/* Rates of `threads` threads together, 90th percentile of some 30 short windows; 0: out of memory.
 * flop/s: independent chains of the widest fused multiply-add there is.
 * byte/s, read and written together: memcpy over `bytes` of source and destination, shared out over the threads,
 * so in the caches that hold so much; at least 32 KiB a thread, at most 256 MiB together. */
double bench_fma_peak(int threads);
double bench_copy_rate(int threads, double bytes);
const char *bench_ceiling_isa(void); /* "avx512", "avx2", "baseline" */
int bench_cores(void);

/* ---- workloads.c, train_step.c, imagine.c, dreamer.c, rssm.c, dreamer_v3.c: the work that peers do too - */

enum { BENCH_MAX_ARRAYS = 128 };

/* A plan with everything it needs. The named arrays are its inputs and results: they are what is
 * written to a file for the peers, and what is compared with another device's. */
typedef struct bench_workload bench_workload;
struct bench_workload {
    rv_device *device;
    rv_array *arrays[BENCH_MAX_ARRAYS];
    int array_count;
    rv_random *random;
    rv_world_model *model; /* train_step's, with its trainer, whose plan it is then */
    rv_trainer *trainer;
    rv_sequence_model *sequence_model; /* the RSSM's */
    rv_dreamer_v3 *dreamer_v3;
    rv_params *actor;                  /* imagine's */
    rv_env *env;                       /* the agent's */
    rv_agent *agent;                   /* dreamer_update's, whose plan it is then */
    rv_plan *plan;
    bool (*first)(bench_workload *workload);   /* NULL, or what the first run is in place of the plan's */
    void (*results)(bench_workload *workload); /* NULL, or adds arrays of what the first run left */
    double flops, bytes; /* the least that the task takes, a run */
    int64_t launches, dispatches;
    char settings[512];  /* what a peer must know beside the arrays, as JSON; goes into the file */
    char error[600];     /* "" unless something failed */
};

int bench_workload_count(void);
const char *bench_workload_name(int index);

/* Creates workload `index` on a device and runs nothing; the caller looks at ->error. NULL: no memory. */
bench_workload *bench_workload_create(int index, rv_device *device);
void bench_workload_destroy(bench_workload *workload);
bool bench_workload_run(void *workload); /* a bench_work: runs the plan once and waits */

/* The first run, after which the named arrays hold its results. */
bool bench_workload_first_run(bench_workload *workload);

/* The first run, and its inputs and results as a safetensors file. */
bool bench_workload_dump(bench_workload *workload, const char *path);

/* For those that make workloads: keep the first message; a named array, zero, filled with values or
 * with scale * normal(name); gives NULL after an error. */
void bench_workload_fail(bench_workload *workload, const char *what, const char *message);
rv_array *bench_workload_array(bench_workload *workload, const char *name, int64_t rows, int64_t cols);
rv_array *bench_workload_filled(bench_workload *workload, const char *name, int64_t rows, int64_t cols, const float *values);
rv_array *bench_workload_normal(bench_workload *workload, const char *name, int64_t rows, int64_t cols, float scale);
rv_graph *bench_workload_graph(bench_workload *workload);
bool bench_workload_plan(bench_workload *workload, rv_graph *graph); /* makes the plan, destroys the graph */
void bench_workload_count_flops(bench_workload *workload);           /* those of the plan */

/* Every weight (its gradient) of a set as prefix + name. */
void bench_workload_add_weights(bench_workload *workload, rv_params *params, rv_params_part part, const char *prefix);

/* What draws `draw` of update 0 gives at times 0, 1 .., `rows` rows each, step below step. */
void bench_workload_add_noise(bench_workload *workload, const char *name, uint64_t seed, const char *draw, int64_t steps,
                              int64_t rows, int64_t cols, bool uniform);

void bench_train_step(bench_workload *workload);

/* size: trajectories, steps. */
void bench_imagine(bench_workload *workload, const int64_t *size);
void bench_imagine_gradient(bench_workload *workload, const int64_t *size);

/* size: sequences (states), steps. */
void bench_rssm_observe(bench_workload *workload, const int64_t *size); /* losses and gradients */
void bench_rssm_imagine(bench_workload *workload, const int64_t *size);
void bench_dreamer_update(bench_workload *workload, const int64_t *size);
void bench_dreamer_v3_update(bench_workload *workload, const int64_t *size);

/* ---- gate.c: no time without the right result ---------------------------------------------------- */

/* Runs the case on the device with its outputs poisoned before, and on cpu:reference, and compares. False: `why` says
 * where they differ. The run stays open for timing either way; the caller closes it. */
bool bench_gate_case(rv_case_run *run, rv_device *device, rv_device *reference, const rv_case *item, rv_case_mode mode,
                     char *why, size_t size);

/* The same for a workload: every named array after one run. */
bool bench_gate_workload(bench_workload *workload, int index, rv_device *reference, char *why, size_t size);

/* ---- serve.c ------------------------------------------------------------------------------------- */

/* Answers bench/compare on standard input and output (bench/peers/serve.py says how). */
int bench_serve(rv_device *device);

#endif
