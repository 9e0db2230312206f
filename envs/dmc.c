/* envs/dmc.c: a batch of one task of the DeepMind Control Suite: clock, random states, saved state. */
#include "envs/dmc.h"

#include <stdlib.h>
#include <string.h>

const rv_env_option rv_dmc_options[] = {
    {"max_steps", 1000, 1, 1e9, 1, "steps after which an episode is truncated"},
};

typedef struct dmc {
    const rv_dmc_task *task;
    int64_t count, max_steps;
    double *at;       /* [coordinates][count] */
    int64_t *steps;   /* of the episode that runs */
    uint64_t *random;
    void *memory;     /* all three, so that saving is a copy */
} dmc;

static size_t row_size(const rv_dmc_task *task) {
    return (size_t)task->coordinates * sizeof(double) + sizeof(int64_t) + sizeof(uint64_t);
}

int rv_dmc_create(const rv_dmc_task *task, const double *options, int64_t count, void **state) {
    dmc *env = calloc(1, sizeof *env);
    if (!env) return 1;
    env->memory = calloc((size_t)count, row_size(task));
    if (!env->memory) {
        free(env);
        return 1;
    }
    env->task = task;
    env->count = count;
    env->max_steps = (int64_t)options[RV_DMC_MAX_STEPS];
    env->at = env->memory;
    env->steps = (int64_t *)(env->at + task->coordinates * count);
    env->random = (uint64_t *)(env->steps + count);
    *state = env;
    return 0;
}

void rv_dmc_destroy(void *state) {
    dmc *env = state;
    free(env->memory);
    free(env);
}

void rv_dmc_spaces(const void *state, rv_env_spaces *spaces) {
    static const float minus_one = -1.0f, one = 1.0f;
    const rv_dmc_task *task = ((const dmc *)state)->task;
    spaces->observation_size = task->observed;
    spaces->observation_low = task->observation_low;
    spaces->observation_high = task->observation_high;
    spaces->observation_names = task->observation_names;
    spaces->action_size = 1;
    spaces->action_choices = 0;
    spaces->action_low = &minus_one;
    spaces->action_high = &one;
    spaces->action_names = task->action_names;
    spaces->step_seconds = task->step_seconds;
}

static void get(const dmc *env, int64_t i, double *at) {
    for (int c = 0; c < env->task->coordinates; c++) at[c] = env->at[c * env->count + i];
}

/* Keeps row i and shows it. */
static void put(dmc *env, int64_t i, const double *at, float *observation) {
    for (int c = 0; c < env->task->coordinates; c++) env->at[c * env->count + i] = at[c];
    env->task->observe(at, observation + i * env->task->observed);
}

void rv_dmc_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    dmc *env = state;
    double at[RV_DMC_COORDINATES_MAX];
    for (int64_t i = 0; i < env->count; i++) {
        if (mask && !mask[i]) continue;
        if (seed) env->random[i] = rv_env_random_seed(seed[i]);
        env->task->start(&env->random[i], at);
        env->steps[i] = 0;
        put(env, i, at, observation);
    }
}

void rv_dmc_step(void *state, const float *action, float *next_observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated) {
    dmc *env = state;
    double at[RV_DMC_COORDINATES_MAX];
    for (int64_t i = 0; i < env->count; i++) {
        get(env, i, at);
        reward[i] = (float)env->task->step(at, (double)action[i]);
        put(env, i, at, next_observation);
        terminated[i] = 0;
        truncated[i] = ++env->steps[i] >= env->max_steps;
    }
}

size_t rv_dmc_state_size(const void *state) {
    const dmc *env = state;
    return (size_t)env->count * row_size(env->task);
}

void rv_dmc_save(const void *state, void *bytes) { memcpy(bytes, ((const dmc *)state)->memory, rv_dmc_state_size(state)); }

int rv_dmc_load(void *state, const void *bytes, float *observation) {
    dmc *env = state;
    double at[RV_DMC_COORDINATES_MAX];
    for (int64_t i = 0; i < env->task->coordinates * env->count; i++) {
        memcpy(at, (const uint8_t *)bytes + (size_t)i * sizeof *at, sizeof *at);
        if (!isfinite(*at)) return 1;
    }
    memcpy(env->memory, bytes, rv_dmc_state_size(state));
    for (int64_t i = 0; i < env->count; i++) {
        get(env, i, at);
        env->task->observe(at, observation + i * env->task->observed);
    }
    return 0;
}
