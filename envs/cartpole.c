/* envs/cartpole.c: a pole balanced on a cart that is pushed sideways.
 *
 * Barto, Sutton and Anderson (1983) in Gymnasium's form: explicit Euler with 0.02 s steps, positions
 * advanced by the old velocities. continuous_cartpole pushes with `force` times an action in [-1, 1],
 * cartpole (Gymnasium's CartPole-v1) with `force` to the left (0) or right (1). Reward 1 a step, the failing one included; |x| > 2.4 m or |theta| > 12 degrees terminates, `max_steps` truncates.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "envs/table.h"

enum { X, X_DOT, THETA, THETA_DOT, DIMS };
enum { FORCE, MAX_STEPS, X_LIMIT, THETA_LIMIT, START, OPTION_COUNT };

static const double gravity = 9.8, mass_cart = 1.0, mass_pole = 0.1, half_length = 0.5, tau = 0.02;

static const rv_env_option options[] = {
    {"force", 10.0, 0.01, 1000.0, 0, "force of a full push, in newtons"},
    {"max_steps", 500, 1, 1e9, 1, "steps after which an episode is truncated"},
    {"x_limit", 2.4, 0.1, 1000.0, 0, "distance from the middle that terminates, in metres"},
    {"theta_limit", 12.0, 0.1, 1e6, 0, "angle from upright that terminates, in degrees"},
    {"start", 0.05, 0.0, 10.0, 0, "every coordinate starts uniformly within +- this"},
};
_Static_assert(sizeof options / sizeof *options == OPTION_COUNT, "one line an option");

typedef struct cartpole {
    int64_t count;
    bool continuous;
    double option[OPTION_COUNT];
    double theta_limit;  /* radians */
    double *at[DIMS];    /* [count] each */
    int64_t *steps;      /* of the episode that runs */
    uint64_t *random;
    float observation_low[DIMS], observation_high[DIMS];
    void *memory;
} cartpole;

static int create(bool continuous, const double *values, int64_t count, void **state) {
    cartpole *env = calloc(1, sizeof *env);
    if (!env) return 1;
    env->memory = calloc((size_t)count, DIMS * sizeof(double) + sizeof(int64_t) + sizeof(uint64_t));
    if (!env->memory) {
        free(env);
        return 1;
    }
    env->count = count;
    env->continuous = continuous;
    memcpy(env->option, values, sizeof env->option);
    for (int d = 0; d < DIMS; d++) env->at[d] = (double *)env->memory + (size_t)d * (size_t)count;
    env->steps = (int64_t *)(env->at[DIMS - 1] + count);
    env->random = (uint64_t *)(env->steps + count);
    env->theta_limit = values[THETA_LIMIT] * 2.0 * M_PI / 360.0;
    /* twice the limits, so that the failing observation is inside, as in Gymnasium */
    const float high[DIMS] = {(float)(2 * values[X_LIMIT]), INFINITY, (float)(2 * env->theta_limit), INFINITY};
    for (int d = 0; d < DIMS; d++) {
        env->observation_high[d] = high[d];
        env->observation_low[d] = -high[d];
    }
    *state = env;
    return 0;
}

static int create_continuous(const double *values, int64_t count, void **state) { return create(true, values, count, state); }
static int create_discrete(const double *values, int64_t count, void **state) { return create(false, values, count, state); }

static void destroy(void *state) {
    cartpole *env = state;
    free(env->memory);
    free(env);
}

static void spaces(const void *state, rv_env_spaces *out) {
    static const char *const observation_names[DIMS] = {"cart position", "cart velocity", "pole angle",
                                                        "pole angular velocity"};
    static const char *const action_names[] = {"push"};
    static const float minus_one = -1.0f, zero = 0.0f, one = 1.0f;
    const cartpole *env = state;
    out->observation_size = DIMS;
    out->observation_low = env->observation_low;
    out->observation_high = env->observation_high;
    out->observation_names = observation_names;
    out->action_size = 1;
    out->action_choices = env->continuous ? 0 : 2;
    out->action_low = env->continuous ? &minus_one : &zero;
    out->action_high = &one;
    out->action_names = action_names;
    out->step_seconds = tau;
}

static void observe(const cartpole *env, int64_t i, float *observation) {
    for (int d = 0; d < DIMS; d++) observation[i * DIMS + d] = (float)env->at[d][i];
}

static void reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    cartpole *env = state;
    const double start = env->option[START];
    for (int64_t i = 0; i < env->count; i++) {
        if (mask && !mask[i]) continue;
        if (seed) env->random[i] = rv_env_random_seed(seed[i]);
        for (int d = 0; d < DIMS; d++) env->at[d][i] = rv_env_random_uniform(&env->random[i], -start, start);
        env->steps[i] = 0;
        observe(env, i, observation);
    }
}

static void step(void *state, const float *action, float *next_observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated) {
    const double mass = mass_cart + mass_pole, mass_length = mass_pole * half_length;
    cartpole *env = state;
    const double force = env->option[FORCE], x_limit = env->option[X_LIMIT], theta_limit = env->theta_limit;
    const int64_t max_steps = (int64_t)env->option[MAX_STEPS];
    for (int64_t i = 0; i < env->count; i++) {
        const double theta = env->at[THETA][i], theta_dot = env->at[THETA_DOT][i], x_dot = env->at[X_DOT][i];
        const double sine = sin(theta), cosine = cos(theta);
        const double direction = env->continuous ? (double)action[i] : action[i] > 0.0f ? 1.0 : -1.0;
        const double push = (force * direction + mass_length * (theta_dot * theta_dot) * sine) / mass;
        const double theta_acceleration =
            (gravity * sine - cosine * push) / (half_length * (4.0 / 3.0 - mass_pole * (cosine * cosine) / mass));
        const double x_acceleration = push - mass_length * theta_acceleration * cosine / mass;

        env->at[X][i] += tau * x_dot;
        env->at[X_DOT][i] += tau * x_acceleration;
        env->at[THETA][i] += tau * theta_dot;
        env->at[THETA_DOT][i] += tau * theta_acceleration;
        env->steps[i]++;

        observe(env, i, next_observation);
        reward[i] = 1.0f;
        terminated[i] = fabs(env->at[X][i]) > x_limit || fabs(env->at[THETA][i]) > theta_limit;
        truncated[i] = env->steps[i] >= max_steps;
    }
}

/* The state is one block of count rows of everything, so that saving is a copy. */
static size_t state_size(const void *state) {
    const cartpole *env = state;
    return (size_t)env->count * (DIMS * sizeof(double) + sizeof(int64_t) + sizeof(uint64_t));
}

static void save(const void *state, void *bytes) {
    memcpy(bytes, ((const cartpole *)state)->memory, state_size(state));
}

static int load(void *state, const void *bytes, float *observation) {
    cartpole *env = state;
    for (int64_t i = 0; i < DIMS * env->count; i++) {
        double coordinate;
        memcpy(&coordinate, (const uint8_t *)bytes + (size_t)i * sizeof coordinate, sizeof coordinate);
        if (!isfinite(coordinate)) return 1;
    }
    memcpy(env->memory, bytes, state_size(state));
    for (int64_t i = 0; i < env->count; i++) observe(env, i, observation);
    return 0;
}

/* State feedback: push towards where the pole leans, and gently towards the middle. */
static void scripted(const void *state, int64_t rows, const float *observation, float *action) {
    static const float gain[DIMS] = {0.1f, 0.2f, 3.0f, 0.6f}; /* at a force of 10 */
    const cartpole *env = state;
    const float scale = 10.0f / (float)env->option[FORCE];
    for (int64_t i = 0; i < rows; i++) {
        float push = 0.0f;
        for (int d = 0; d < DIMS; d++) push += gain[d] * observation[i * DIMS + d];
        action[i] = env->continuous ? scale * push : push > 0.0f ? 1.0f : 0.0f;
    }
}

const rv_env_table rv_env_continuous_cartpole = {
    .abi = RV_ENV_ABI,
    .size = sizeof(rv_env_table),
    .name = "continuous_cartpole",
    .text = "balance a pole on a cart by pushing it with a force of 10 N times the action",
    .options = options,
    .option_count = OPTION_COUNT,
    .create = create_continuous,
    .destroy = destroy,
    .spaces = spaces,
    .reset = reset,
    .step = step,
    .state_size = state_size,
    .save = save,
    .load = load,
    .scripted = scripted,
};

const rv_env_table rv_env_cartpole = {
    .abi = RV_ENV_ABI,
    .size = sizeof(rv_env_table),
    .name = "cartpole",
    .text = "balance a pole on a cart by pushing it to the left (0) or right (1) with 10 N",
    .options = options,
    .option_count = OPTION_COUNT,
    .create = create_discrete,
    .destroy = destroy,
    .spaces = spaces,
    .reset = reset,
    .step = step,
    .state_size = state_size,
    .save = save,
    .load = load,
    .scripted = scripted,
};
