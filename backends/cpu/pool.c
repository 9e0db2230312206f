/* backends/cpu/pool.c: see pool.h.
 *
 * One 64-bit word is the whole protocol: its upper half counts pieces of work, its lower half the
 * tasks that nobody has taken yet. A task is taken by a compare-exchange that lowers it, so a thread that wakes late
 * can neither take a task of the next piece nor miss one of its own; what describes the work is
 * written before the word and read only by the holder of a task.
 */
#include "backends/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { RV_POOL_WATCH = 2000, RV_POOL_PATIENCE = 4000 }; /* pauses, some 20 to 40 ns each */

typedef struct rv_pool_worker {
    pthread_t thread;
    rv_pool *pool;
    int index;
} rv_pool_worker;

struct rv_pool {
    const rv_services *services;
    int threads, started; /* started: workers that run */
    rv_pool_worker *workers;

    _Alignas(64) _Atomic uint64_t claim; /* piece of work << 32 | tasks not taken */
    _Alignas(64) _Atomic int64_t unfinished;
    _Alignas(64) rv_pool_fn run;
    void *work;
    int64_t tasks;

    _Atomic int sleepers;
    _Atomic bool closing;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    void *owned; /* what resize gave */
};

static inline void rv_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Takes tasks of the piece of work `piece` until none is left. */
static void rv_pool_work(rv_pool *pool, uint32_t piece, int worker) {
    uint64_t claim = atomic_load_explicit(&pool->claim, memory_order_acquire);
    while ((uint32_t)(claim >> 32) == piece && (uint32_t)claim) {
        if (!atomic_compare_exchange_weak_explicit(&pool->claim, &claim, claim - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        pool->run(pool->work, pool->tasks - (int64_t)(uint32_t)claim, worker);
        atomic_fetch_sub_explicit(&pool->unfinished, 1, memory_order_release);
        claim = atomic_load_explicit(&pool->claim, memory_order_acquire);
    }
}

/* Waits for a piece of work other than `seen`: watches a while, then sleeps. */
static uint64_t rv_pool_wait(rv_pool *pool, uint32_t seen) {
    uint64_t claim;
    for (int i = 0; i < RV_POOL_WATCH; i++) {
        claim = atomic_load_explicit(&pool->claim, memory_order_acquire);
        if ((uint32_t)(claim >> 32) != seen || atomic_load_explicit(&pool->closing, memory_order_relaxed)) return claim;
        rv_pause();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while ((uint32_t)((claim = atomic_load(&pool->claim)) >> 32) == seen && !atomic_load(&pool->closing))
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
    return claim;
}

static void *rv_pool_worker_main(void *user) {
    rv_pool_worker *worker = user;
    rv_pool *pool = worker->pool;
    uint32_t seen = 0;
    while (!atomic_load(&pool->closing)) {
        seen = (uint32_t)(rv_pool_wait(pool, seen) >> 32);
        rv_pool_work(pool, seen, worker->index);
    }
    return NULL;
}

static void rv_pool_wake(rv_pool *pool) {
    if (!atomic_load(&pool->sleepers)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void rv_pool_run_some(rv_pool *pool, rv_pool_fn run, void *work, int64_t first, uint32_t tasks) {
    pool->run = run;
    pool->work = work;
    pool->tasks = first + tasks;
    atomic_store_explicit(&pool->unfinished, tasks, memory_order_relaxed);
    const uint32_t piece = (uint32_t)(atomic_load_explicit(&pool->claim, memory_order_relaxed) >> 32) + 1;
    atomic_store(&pool->claim, (uint64_t)piece << 32 | tasks);
    rv_pool_wake(pool);
    rv_pool_work(pool, piece, 0);
    for (int i = 0; atomic_load_explicit(&pool->unfinished, memory_order_acquire); i++) {
        if (i < RV_POOL_PATIENCE) rv_pause();
        else sched_yield();
    }
}

void rv_pool_run(rv_pool *pool, rv_pool_fn run, void *work, int64_t tasks) {
    const int64_t most = 1 << 30;
    if (pool->threads == 1 || tasks == 1) {
        for (int64_t task = 0; task < tasks; task++) run(work, task, 0);
        return;
    }
    for (int64_t first = 0; first < tasks; first += most)
        rv_pool_run_some(pool, run, work, first, (uint32_t)(tasks - first < most ? tasks - first : most));
}

/* ---- open and close ------------------------------------------------------------------------------ */

void rv_pool_close(rv_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->closing, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    const rv_services *services = pool->services;
    services->resize(services->user, pool->workers, 0);
    services->resize(services->user, pool->owned, 0);
}

static bool rv_pool_start(rv_pool *pool) {
    for (int i = 0; i < pool->threads - 1; i++) {
        pool->workers[i] = (rv_pool_worker){.pool = pool, .index = i + 1};
        if (pthread_create(&pool->workers[i].thread, NULL, rv_pool_worker_main, &pool->workers[i])) return false;
        pool->started++;
    }
    return true;
}

rv_status rv_pool_open(const rv_services *services, int threads, rv_error *error, rv_pool **pool) {
    *pool = NULL;
    char *owned = services->resize(services->user, NULL, sizeof(rv_pool) + 64);
    rv_pool_worker *workers = services->resize(services->user, NULL, (size_t)threads * sizeof *workers);
    if (!owned || !workers) {
        if (owned) services->resize(services->user, owned, 0);
        if (workers) services->resize(services->user, workers, 0);
        return services->fail(error, RV_OUT_OF_MEMORY, "no memory for %d threads", threads);
    }
    rv_pool *made = (rv_pool *)(void *)(((uintptr_t)owned + 63) & ~(uintptr_t)63);
    *made = (rv_pool){.services = services, .threads = threads, .workers = workers, .owned = owned};
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->wake, NULL);
    if (!rv_pool_start(made)) {
        const int started = made->started;
        rv_pool_close(made);
        return services->fail(error, RV_OUT_OF_MEMORY, "only %d of %d threads could be started", started + 1, threads);
    }
    *pool = made;
    return RV_OK;
}
