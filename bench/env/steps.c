/* bench/env/steps.c: how many environment steps a second the batch interface makes, restarts included.
 *
 *     reverie-bench-env [NAME] [ENVIRONMENTS] [THREADS]
 *
 * The environments are shared out over the threads, an rv_env each. A sample is so many steps that every
 * episode of a pendulum ends and begins again once in it.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reverie/env.h"

enum { STEPS = 200, REPEATS = 5, SAMPLES = 25, THREADS_MAX = 64 };

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    rv_env *env;
    int64_t count;
    float *action;
    rv_env_result result;
    rv_status status;
    double busy; /* seconds that the thread has computed */
} worker;

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Whole cache lines: vector code stores them at once. */
static void *lines(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory) memset(memory, 0, (bytes + 63) / 64 * 64);
    return memory;
}

static int prepare(worker *w, const char *name, int64_t count) {
    rv_env_spaces spaces = {.size = sizeof spaces};
    w->count = count;
    if (rv_env_create(name, count, NULL, 0, &w->env) != RV_OK || rv_env_spaces_get(w->env, &spaces) != RV_OK) {
        fprintf(stderr, "%s\n", rv_env_message(w->env));
        return 1;
    }
    const size_t n = (size_t)count;
    w->action = lines(n * (size_t)spaces.action_size * sizeof(float));
    w->result = (rv_env_result){.observation = lines(n * (size_t)spaces.observation_size * sizeof(float)),
                                .reward = lines(n * sizeof(float)), .terminated = lines(n), .truncated = lines(n)};
    if (!w->action || !w->result.observation || !w->result.reward || !w->result.terminated || !w->result.truncated) return 1;
    for (int64_t i = 0; i < count * spaces.action_size; i++) {
        const float share = (float)(0.5 + 0.5 * sin(0.7 * (double)i));
        const float low = spaces.action_low[i % spaces.action_size], high = spaces.action_high[i % spaces.action_size];
        w->action[i] = spaces.action_choices ? floorf(share * 0.999f * (float)spaces.action_choices) : low + (high - low) * share;
    }
    return rv_env_reset(w->env, 1, w->result.observation) != RV_OK;
}

static void *work(void *argument) {
    worker *w = argument;
    const double begun = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int sample = 0; sample < SAMPLES + 1; sample++) {
        pthread_barrier_wait(w->barrier);
        for (int s = 0; s < STEPS * REPEATS && w->status == RV_OK; s++) w->status = rv_env_step(w->env, w->action, &w->result);
        pthread_barrier_wait(w->barrier);
    }
    w->busy = seconds(CLOCK_THREAD_CPUTIME_ID) - begun;
    return NULL;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "continuous_pendulum";
    const long count = argc > 2 ? atol(argv[2]) : 65536, threads = argc > 3 ? atol(argv[3]) : 2;
    static worker workers[THREADS_MAX];
    pthread_barrier_t barrier;
    if (threads < 1 || threads > THREADS_MAX || count < threads) return fprintf(stderr, "usage: reverie-bench-env [NAME] [ENVIRONMENTS] [THREADS]\n"), 2;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (long t = 0; t < threads; t++) {
        workers[t].barrier = &barrier;
        if (prepare(&workers[t], name, count / threads) != 0) return 1;
    }
    for (long t = 0; t < threads; t++) {
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0) return 1;
    }
    double rate[SAMPLES];
    for (int sample = 0; sample < SAMPLES + 1; sample++) { /* the first warms up */
        pthread_barrier_wait(&barrier);
        double begun = seconds(CLOCK_MONOTONIC);
        pthread_barrier_wait(&barrier);
        if (sample > 0) rate[sample - 1] = (double)(count / threads * threads) * STEPS * REPEATS / (seconds(CLOCK_MONOTONIC) - begun);
    }
    int code = 0;
    double busy = 0;
    for (long t = 0; t < threads; t++) {
        pthread_join(workers[t].thread, NULL);
        busy += workers[t].busy;
        if (workers[t].status != RV_OK) code = fprintf(stderr, "%s\n", rv_env_message(workers[t].env)) > 0;
    }
    qsort(rate, SAMPLES, sizeof *rate, by_size);
    printf("%s, %ld environments on %ld threads: median %.3f G steps/s, p10 %.3f, p90 %.3f, best %.3f; %.3f a second of one core\n", name, count, threads,
           rate[SAMPLES / 2] / 1e9, rate[SAMPLES / 10] / 1e9, rate[SAMPLES - 1 - SAMPLES / 10] / 1e9, rate[SAMPLES - 1] / 1e9,
           (double)(count / threads * threads) * STEPS * REPEATS * (SAMPLES + 1) / busy / 1e9);
    for (long t = 0; t < threads; t++) {
        rv_env_destroy(workers[t].env);
        free(workers[t].action);
        free(workers[t].result.observation);
        free(workers[t].result.reward);
        free(workers[t].result.terminated);
        free(workers[t].result.truncated);
    }
    pthread_barrier_destroy(&barrier);
    return code;
}
