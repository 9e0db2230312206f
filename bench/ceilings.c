/* bench/ceilings.c: the rates that shares are taken of.
 *
 * Nothing here comes from the library: the loops choose their instruction set at run time by
 * themselves, so that a kernel compiled for too little shows as a small share.
 */
#include "bench/bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { WINDOWS = 31 };
static const double WINDOW_SECONDS = 0.001;

/* ---- fused multiply-add -------------------------------------------------------------------- */

/* Twelve chains hide a latency of four cycles on up to three ports. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { CHAIN_COUNT = 12 };

#define DECLARE(i) x##i = START(1.0f + i), /* equal chains would be merged into one */
#define STEP(i) x##i = FMA(x##i, a, b);
#define TOTAL(i) +LANE(x##i)

/* flop done in `turns` turns; *keep keeps the compiler from dropping them. */
typedef double (*fma_loop)(int64_t turns, float *keep);

#if defined(__x86_64__)
#define START _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define LANE _mm512_cvtss_f32
__attribute__((target("avx512f"))) static double fma_avx512(int64_t turns, float *keep) {
    __m512 a = _mm512_set1_ps(0.5f + *keep * 1e-9f), b = _mm512_set1_ps(0.25f), CHAINS(DECLARE) end = b;
    for (int64_t i = 0; i < turns; i++) { CHAINS(STEP) }
    *keep = LANE(end) CHAINS(TOTAL);
    return (double)turns * CHAIN_COUNT * 16 * 2;
}
#undef START
#undef FMA
#undef LANE

#define START _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define LANE _mm256_cvtss_f32
__attribute__((target("avx2,fma"))) static double fma_avx2(int64_t turns, float *keep) {
    __m256 a = _mm256_set1_ps(0.5f + *keep * 1e-9f), b = _mm256_set1_ps(0.25f), CHAINS(DECLARE) end = b;
    for (int64_t i = 0; i < turns; i++) { CHAINS(STEP) }
    *keep = LANE(end) CHAINS(TOTAL);
    return (double)turns * CHAIN_COUNT * 8 * 2;
}
#undef START
#undef FMA
#undef LANE
#endif

/* Multiply and add apart: the best there is without the instruction. */
typedef float four __attribute__((vector_size(16)));
#define START(x) {x, x, x, x}
#define FMA(x, a, b) ((x) * (a) + (b))
#define LANE(x) ((x)[0])
static double fma_baseline(int64_t turns, float *keep) {
    float factor = 0.5f + *keep * 1e-9f;
    four a = {factor, factor, factor, factor}, b = {0.25f, 0.25f, 0.25f, 0.25f}, CHAINS(DECLARE) end = b;
    for (int64_t i = 0; i < turns; i++) { CHAINS(STEP) }
    *keep = LANE(end) CHAINS(TOTAL);
    return (double)turns * CHAIN_COUNT * 4 * 2;
}

static fma_loop fma_choose(const char **name) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        *name = "avx512";
        return fma_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *name = "avx2";
        return fma_avx2;
    }
#endif
    *name = "baseline";
    return fma_baseline;
}

const char *bench_ceiling_isa(void) {
    const char *name;
    fma_choose(&name);
    return name;
}

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct worker {
    pthread_barrier_t *start;
    char *memory; /* two halves to copy between; NULL: multiply and add */
    size_t bytes;
    float keep;
    double rate; /* the result */
} worker;

/* One piece of work, some tens of microseconds (a copy of a large buffer takes what it takes). */
static double piece(worker *self, fma_loop loop) {
    if (!self->memory) return loop(4096, &self->keep);
    size_t half = self->bytes / 2;
    memcpy(self->memory + half, self->memory, half);
    memcpy(self->memory, self->memory + half, half);
    __asm__ volatile("" ::"r"(self->memory) : "memory"); /* the copies count as used */
    return 4.0 * (double)half;
}

static void *worker_main(void *user) {
    worker *self = user;
    const char *name;
    fma_loop loop = fma_choose(&name);
    double rates[WINDOWS];
    piece(self, loop);
    pthread_barrier_wait(self->start);
    int windows = self->bytes > (8 << 20) ? WINDOWS / 4 : WINDOWS; /* a window is one pass at least */
    for (int i = 0; i < windows; i++) {
        double start = bench_now(), end, done = 0;
        do {
            done += piece(self, loop);
            end = bench_now();
        } while (end - start < WINDOW_SECONDS);
        rates[i] = done / (end - start);
    }
    self->rate = bench_percentile(rates, windows, 0.9);
    return NULL;
}

/* Runs one worker a thread, this one included, each with its share of the memory. */
static double run_workers(int threads, char *memory, size_t bytes_each) {
    worker workers[BENCH_MAX_THREADS];
    pthread_t handles[BENCH_MAX_THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){.start = &start, .memory = memory ? memory + bytes_each * (size_t)i : NULL, .bytes = bytes_each};
        /* without all of them the others would wait for ever, and nothing can be measured */
        if (i > 0 && pthread_create(&handles[i], NULL, worker_main, &workers[i]) != 0) exit(1);
    }
    worker_main(&workers[0]);
    double rate = workers[0].rate;
    for (int i = 1; i < threads; i++) {
        pthread_join(handles[i], NULL);
        rate += workers[i].rate;
    }
    pthread_barrier_destroy(&start);
    return rate;
}

static int clamp_threads(int threads) { return threads < 1 ? 1 : threads > BENCH_MAX_THREADS ? BENCH_MAX_THREADS : threads; }

double bench_fma_peak(int threads) { return run_workers(clamp_threads(threads), NULL, 0); }

double bench_copy_rate(int threads, double bytes) {
    threads = clamp_threads(threads);
    double most = 256.0 * 1024 * 1024, least = 32.0 * 1024 * threads;
    bytes = bytes > most ? most : bytes < least ? least : bytes;
    size_t each = (size_t)(bytes / threads) & ~(size_t)127;
    char *memory = aligned_alloc(128, each * (size_t)threads);
    if (!memory) return 0;
    memset(memory, 1, each * (size_t)threads);
    double rate = run_workers(threads, memory, each);
    free(memory);
    return rate;
}

int bench_cores(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > BENCH_MAX_THREADS ? BENCH_MAX_THREADS : (int)count;
}
