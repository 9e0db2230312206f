/* envs/continuous_pendulum.c: a pendulum swung up by a torque too weak to lift it.
 *
 * Gymnasium's Pendulum-v1: a rod of 1 kg and 1 m, semi-implicit Euler with 0.05 s steps. The reward is
 * -(theta^2 + 0.1 theta_dot^2 + 0.001 torque^2) of the state before the step, theta from upright in [-pi, pi].
 * Never terminates; `max_steps` truncates.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "envs/pendulum.h"
#include "envs/table.h"

enum { GRAVITY, MAX_STEPS, OPTION_COUNT };

static const rv_env_option options[] = {
    {"gravity", 10.0, 0.0, 1000.0, 0, "acceleration of gravity, in m/s^2"},
    {"max_steps", 200, 1, 1e9, 1, "steps after which an episode is truncated"},
};
_Static_assert(sizeof options / sizeof *options == OPTION_COUNT, "one line an option");

/* The fastest loops that this processor runs. */
static const rv_pendulum_code *code(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) {
        return &rv_pendulum_code_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &rv_pendulum_code_avx2;
#endif
    return &rv_pendulum_code_baseline;
}

static int create(const double *values, int64_t count, void **state) {
    rv_pendulum *env = calloc(1, sizeof *env);
    if (!env) return 1;
    const size_t rows = ((size_t)count + 7) / 8 * 8; /* so that every array begins on a cache line */
    env->memory = aligned_alloc(64, 5 * rows * sizeof(double));
    if (!env->memory) {
        free(env);
        return 1;
    }
    memset(env->memory, 0, 5 * rows * sizeof(double));
    env->count = count;
    env->gravity = values[GRAVITY];
    env->max_steps = (int64_t)values[MAX_STEPS];
    env->theta = env->memory;
    env->theta_dot = env->theta + rows;
    env->sine = env->theta_dot + rows;
    env->random = (uint64_t *)(env->sine + rows);
    env->end = (int64_t *)(env->random + rows);
    *state = env;
    return 0;
}

static void destroy(void *state) {
    rv_pendulum *env = state;
    free(env->memory);
    free(env);
}

static void spaces(const void *state, rv_env_spaces *out) {
    static const char *const observation_names[] = {"cos angle", "sin angle", "angular velocity"};
    static const float observation_low[] = {-1.0f, -1.0f, -8.0f}, observation_high[] = {1.0f, 1.0f, 8.0f};
    static const char *const action_names[] = {"torque"};
    static const float action_low[] = {-2.0f}, action_high[] = {2.0f};
    (void)state;
    out->observation_size = RV_PENDULUM_OBSERVED;
    out->observation_low = observation_low;
    out->observation_high = observation_high;
    out->observation_names = observation_names;
    out->action_size = 1;
    out->action_choices = 0;
    out->action_low = action_low;
    out->action_high = action_high;
    out->action_names = action_names;
    out->step_seconds = 0.05;
}

static void reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    code()->reset(state, mask, seed, observation);
}

static void step(void *state, const float *action, float *next_observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated) {
    code()->step(state, action, next_observation, reward, terminated, truncated);
}

/* ---- saved state: one record a row ------------------------------------------------------------------ */

typedef struct row {
    double theta, theta_dot;
    int64_t steps; /* of the episode that runs */
    uint64_t random;
} row;

static size_t state_size(const void *state) { return (size_t)((const rv_pendulum *)state)->count * sizeof(row); }

static void save(const void *state, void *bytes) {
    const rv_pendulum *env = state;
    for (int64_t i = 0; i < env->count; i++) {
        const row saved = {env->theta[i], env->theta_dot[i], env->clock - env->end[i] + env->max_steps, env->random[i]};
        memcpy((uint8_t *)bytes + (size_t)i * sizeof saved, &saved, sizeof saved);
    }
}

static int load(void *state, const void *bytes, float *observation) {
    rv_pendulum *env = state;
    const double half_turn = 3.1415926535897967; /* a rounding above pi */
    row saved;
    for (int64_t i = 0; i < env->count; i++) {
        memcpy(&saved, (const uint8_t *)bytes + (size_t)i * sizeof saved, sizeof saved);
        if (!(fabs(saved.theta) <= half_turn && fabs(saved.theta_dot) <= 8.0) || saved.steps < 0 || saved.steps > INT32_MAX) return 1;
    }
    env->clock = 0;
    for (int64_t i = 0; i < env->count; i++) {
        memcpy(&saved, (const uint8_t *)bytes + (size_t)i * sizeof saved, sizeof saved);
        env->theta[i] = saved.theta;
        env->theta_dot[i] = saved.theta_dot;
        env->random[i] = saved.random;
        env->end[i] = env->max_steps - saved.steps;
    }
    code()->observe(env, observation);
    return 0;
}

/* Astrom and Furuta (2000): pump energy until there is enough to stand upright, then hold. */
static void scripted(const void *state, int64_t rows, const float *observation, float *action) {
    const float pull = 1.5f * (float)((const rv_pendulum *)state)->gravity;
    for (int64_t i = 0; i < rows; i++) {
        const float *at = observation + i * RV_PENDULUM_OBSERVED;
        const float cosine = at[0], sine = at[1], speed = at[2];
        const float missing = pull * (1.0f - cosine) - 0.5f * speed * speed; /* energy, per moment of inertia */
        if (cosine > 0.9f) action[i] = -(pull / 3.0f + 5.0f) * sine - 2.0f * speed;
        else action[i] = missing * (speed < 0.0f ? -1.0f : 1.0f);
    }
}

const rv_env_table rv_env_continuous_pendulum = {
    .abi = RV_ENV_ABI,
    .size = sizeof(rv_env_table),
    .name = "continuous_pendulum",
    .text = "swing a pendulum up and hold it there with a torque of up to 2 N m",
    .options = options,
    .option_count = OPTION_COUNT,
    .create = create,
    .destroy = destroy,
    .spaces = spaces,
    .reset = reset,
    .step = step,
    .state_size = state_size,
    .save = save,
    .load = load,
    .scripted = scripted,
};
