/* A plugin with one planted fault, chosen by FAULT_...: each must be found by `reverie env-check`. Without one it is
 * sound: a point pushed to and fro on a line, which a little noise moves. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reverie/env.h>

typedef struct point {
    double x, speed;
    int64_t steps;
    uint64_t random;
} point;

typedef struct line {
    int64_t count;
    point *at;
    double wind; /* never saved */
} line;

uint64_t calls; /* of all batches together */

static int create(const double *options, int64_t count, void **state) {
    (void)options;
    line *all = *state = calloc(1, sizeof *all);
    if (!all) return 1;
    all->count = count;
    all->at = calloc((size_t)count, sizeof *all->at);
    return all->at == NULL;
}

static void destroy(void *state) {
    free(((line *)state)->at);
    free(state);
}

static void spaces(const void *state, rv_env_spaces *out) {
    static const float low[] = {-2, -2}, high[] = {2, 2}, left = -1, right = 1;
    (void)state;
    out->observation_size = 2;
    out->observation_low = low;
    out->observation_high = high;
    out->observation_names = NULL;
    out->action_size = 1;
    out->action_choices = 0;
    out->action_low = &left;
    out->action_high = &right;
    out->action_names = NULL;
    out->step_seconds = 0.1;
}

static void observe(const line *all, int64_t i, float *observation) {
    observation[2 * i] = (float)all->at[i].x;
    observation[2 * i + 1] = (float)all->at[i].speed;
}

static void reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    line *all = state;
    for (int64_t i = 0; i < all->count; i++) {
        point *p = &all->at[i];
#ifdef FAULT_MASK
        if (mask && !mask[i]) p->speed = 0;
#endif
        if (mask && !mask[i]) continue;
        if (seed) p->random = rv_env_random_seed(seed[i]);
#ifdef FAULT_SEEDS
        if (seed) p->random = seed[i];
        p->x = (double)(p->random % 4096) / 4096.0;
#else
        p->x = rv_env_random_uniform(&p->random, -1, 1);
#endif
#ifdef FAULT_SEED_IGNORED
        p->x = seed ? 0.5 : 0.25;
        p->random = 1;
#endif
#ifdef FAULT_RESET_NAN
        if (i == 3 && !seed) p->x = NAN;
#endif
        p->speed = 0;
        p->steps = 0;
        observe(all, i, observation);
    }
#ifdef FAULT_RESET_CANARY
    observation[2 * all->count] = 0;
#endif
}

static double noise(line *all, int64_t i) {
#ifdef FAULT_SHARED_RANDOM
    i = 0;
#endif
#ifdef FAULT_NONDETERMINISTIC
    return 1e-3 * (double)(calls++ % 1000);
#endif
    return rv_env_random_uniform(&all->at[i].random, -0.01, 0.01);
}

static void step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    line *all = state;
#ifdef FAULT_CRASH
    if (++calls == 500) raise(SIGSEGV);
#endif
#ifdef FAULT_EXIT
    if (++calls == 500) exit(0);
#endif
#ifdef FAULT_ACTION
    ((float *)(uintptr_t)action)[0] = 0;
#endif
    for (int64_t i = 0; i < all->count; i++) {
        point *p = &all->at[i];
        p->speed = fmin(fmax(p->speed + 0.1 * (double)action[i] + noise(all, i), -2), 2);
#ifdef FAULT_NOT_SAVED
        all->wind += 1e-3;
        p->speed = fmin(p->speed + 1e-3 * sin(all->wind / (double)all->count), 2);
#endif
        p->x += 0.1 * p->speed;
        terminated[i] = fabs(p->x) > 1.75;
        truncated[i] = ++p->steps >= 150;
        reward[i] = (float)-p->x;
#ifdef FAULT_BOUNDS
        if (p->steps == 149) p->speed = 2.5;
#else
        p->x = fmin(fmax(p->x, -2), 2);
#endif
#ifdef FAULT_NAN
        if (p->steps == 40) reward[i] = (float)sqrt(-p->x * p->x - 1.0);
#endif
#ifdef FAULT_FLAG
        if (p->steps == 40) truncated[i] = 2;
#endif
        observe(all, i, next);
    }
#ifdef FAULT_CANARY
    reward[all->count] = 0;
#endif
#ifdef FAULT_CANARY_BEFORE
    terminated[-1] = 0;
#endif
}

static size_t state_size(const void *state) { return (size_t)((const line *)state)->count * sizeof(point); }

static void save(const void *state, void *bytes) {
    const line *all = state;
    memcpy(bytes, all->at, state_size(state));
#ifdef FAULT_SAVE_BEYOND
    memset((uint8_t *)bytes + state_size(state), 0, 8);
#endif
#ifdef FAULT_SAVE_UNWRITTEN
    memset(bytes, (int)(calls++ & 0x7f), 1);
#endif
}

static int load(void *state, const void *bytes, float *observation) {
    line *all = state;
    memcpy(all->at, bytes, state_size(state));
    for (int64_t i = 0; i < all->count; i++) {
#ifdef FAULT_LOAD_RANDOM
        all->at[i].random = 0;
#endif
        observe(all, i, observation);
    }
#ifdef FAULT_LOAD_REFUSES
    return 1;
#endif
    return 0;
}

#ifdef FAULT_ABI
enum { ABI = RV_ENV_ABI + 1 };
#else
enum { ABI = RV_ENV_ABI };
#endif

#ifdef FAULT_NO_TABLE
#define rv_env_exported another_name
#endif
RV_API const rv_env_table rv_env_exported = {
    .abi = ABI, .size = sizeof(rv_env_table), .name = "line", .text = "a point on a line", .create = create, .destroy = destroy,
    .spaces = spaces, .reset = reset, .step = step, .state_size = state_size, .save = save, .load = load,
};
