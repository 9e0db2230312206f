/* backends/cpu/pool.c: see pool.h.
 *
 * Every thread has a share of the tasks, the same one each time, so that what it wrote last is in its own cache; a
 * thread that is done helps the others. A share is one 64-bit word: its upper half counts pieces of work, its lower
 * half the tasks that nobody has taken yet. A task is taken by a compare-exchange that lowers it, so a thread that
 * wakes late can neither take a task of the next piece nor miss one of its own; what describes the work is
 * written before the words and read only by the holder of a task.
 */
#include "backends/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { RV_POOL_WATCH = 2000, RV_POOL_PATIENCE = 4000 }; /* pauses, some 20 to 40 ns each */

typedef struct rv_pool_worker {
    _Alignas(64) _Atomic uint64_t share; /* piece of work << 32 | tasks not taken */
    pthread_t thread;
    rv_pool *pool;
    int index;
} rv_pool_worker;

struct rv_pool {
    const rv_services *services;
    int threads, started; /* started: threads that run, beside the caller's */

    _Alignas(64) _Atomic uint32_t piece; /* the newest piece of work */
    _Alignas(64) _Atomic int64_t unfinished;
    _Alignas(64) rv_pool_fn run;
    void *work;
    int64_t first, tasks;

    _Atomic int sleepers;
    _Atomic bool closing;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    void *owned; /* what resize gave */
    rv_pool_worker workers[]; /* the first is whoever calls rv_pool_run */
};

static inline void rv_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Where a thread's share ends; it begins where the one before ends. */
static int64_t rv_pool_share_end(const rv_pool *pool, int index) { return pool->first + pool->tasks * (index + 1) / pool->threads; }

/* Takes tasks of one share until none of the piece of work `piece` is left there. */
static void rv_pool_take(rv_pool *pool, uint32_t piece, int owner, int worker) {
    _Atomic uint64_t *const share = &pool->workers[owner].share;
    uint64_t claim = atomic_load_explicit(share, memory_order_acquire);
    while ((uint32_t)(claim >> 32) == piece && (uint32_t)claim) {
        if (!atomic_compare_exchange_weak_explicit(share, &claim, claim - 1, memory_order_acq_rel, memory_order_acquire)) continue;
        pool->run(pool->work, rv_pool_share_end(pool, owner) - (int64_t)(uint32_t)claim, worker);
        atomic_fetch_sub_explicit(&pool->unfinished, 1, memory_order_release);
        claim = atomic_load_explicit(share, memory_order_acquire);
    }
}

static void rv_pool_work(rv_pool *pool, uint32_t piece, int worker) {
    for (int i = 0; i < pool->threads; i++) rv_pool_take(pool, piece, (worker + i) % pool->threads, worker);
}

/* Waits for a piece of work other than `seen`: watches a while, then sleeps. */
static uint32_t rv_pool_wait(rv_pool *pool, uint32_t seen) {
    uint32_t piece;
    for (int i = 0; i < RV_POOL_WATCH; i++) {
        piece = atomic_load_explicit(&pool->piece, memory_order_acquire);
        if (piece != seen || atomic_load_explicit(&pool->closing, memory_order_relaxed)) return piece;
        rv_pause();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while ((piece = atomic_load(&pool->piece)) == seen && !atomic_load(&pool->closing))
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
    return piece;
}

static void *rv_pool_worker_main(void *user) {
    rv_pool_worker *worker = user;
    rv_pool *pool = worker->pool;
    uint32_t seen = 0;
    while (!atomic_load(&pool->closing)) {
        seen = rv_pool_wait(pool, seen);
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
    pool->first = first;
    pool->tasks = tasks;
    atomic_store_explicit(&pool->unfinished, tasks, memory_order_relaxed);
    const uint32_t piece = atomic_load_explicit(&pool->piece, memory_order_relaxed) + 1;
    for (int i = 0; i < pool->threads; i++) {
        const uint64_t share = (uint64_t)(rv_pool_share_end(pool, i) - rv_pool_share_end(pool, i - 1));
        atomic_store_explicit(&pool->workers[i].share, (uint64_t)piece << 32 | share, memory_order_release);
    }
    atomic_store(&pool->piece, piece);
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
    for (int i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    const rv_services *services = pool->services;
    services->resize(services->user, pool->owned, 0);
}

static bool rv_pool_start(rv_pool *pool) {
    for (int i = 1; i < pool->threads; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i;
        if (pthread_create(&pool->workers[i].thread, NULL, rv_pool_worker_main, &pool->workers[i])) return false;
        pool->started++;
    }
    return true;
}

rv_status rv_pool_open(const rv_services *services, int threads, rv_error *error, rv_pool **pool) {
    *pool = NULL;
    const size_t size = sizeof(rv_pool) + (size_t)threads * sizeof(rv_pool_worker);
    char *owned = services->resize(services->user, NULL, size + 64);
    if (!owned) return services->fail(error, RV_OUT_OF_MEMORY, "no memory for %d threads", threads);
    rv_pool *made = (rv_pool *)(void *)(((uintptr_t)owned + 63) & ~(uintptr_t)63);
    memset(made, 0, size);
    made->services = services;
    made->threads = threads;
    made->owned = owned;
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
