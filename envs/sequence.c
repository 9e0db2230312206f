/* envs/sequence.c: remember what was shown a while ago: a test of memory, with known best results.
 *
 * Ours. Step t = 0, 1, ... of an episode shows cue c_t, drawn uniformly from [-1, 1]^k and from nothing that came before.
 * The action a_t is chosen on seeing c_t and answers c_(t - m), m = `memory_size`:
 *     reward_t = 1 - mean over k of (a_t - c_(t - m))^2   for t >= m,       0 for t < m
 * It comes out of the step that takes a_t, together with c_(t + 1). With m = 0 the cue in sight is answered. The
 * observation is the cue alone: what was shown before, and how long ago, is for the agent to remember. Every episode is
 * truncated after `steps` steps and none terminates; the cue that the last step leads to is never answered.
 *
 * For m >= 1 and t >= m, who remembers everything gets 1 a step. Who sees one observation at a time can do no better than
 * a = 0, which gets 2/3 on average; and nobody can then foretell the reward of a known action a, drawn uniformly, better
 * than by 2/3 - mean of a^2, with a mean squared error of 8 / (15 k).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envs/table.h"

enum { MEMORY_SIZE, CUE_SIZE, STEPS, OPTION_COUNT };

static const rv_env_option options[] = {
    {"memory_size", 5, 0, 1000, 1, "m: the action of a step answers the cue of so many steps before"},
    {"k", 1, 1, 1000, 1, "numbers in a cue, and in an action"},
    {"steps", 20, 1, 1e9, 1, "steps after which an episode is truncated; only those from m on are rewarded"},
};
_Static_assert(sizeof options / sizeof *options == OPTION_COUNT, "one line an option");

typedef char column_name[16];

typedef struct sequence {
    int64_t count, memory, size, max_steps; /* memory: m; size: k */
    int64_t *steps;   /* [count], of the episode that runs */
    uint64_t *random; /* [count] */
    float *cue;       /* [count, m + 1, k]: cue t lies in slot t mod (m + 1), so the next one takes the oldest's */
    void *saved;      /* all three, so that saving is a copy */
    float *low, *high;   /* [k] */
    const char **names;  /* [2 k]: the observation's, the action's */
    column_name *texts;
} sequence;

static void destroy(void *state) {
    sequence *env = state;
    free(env->saved);
    free(env->low);
    free(env->names);
    free(env->texts);
    free(env);
}

static size_t row_size(const sequence *env) {
    return sizeof *env->steps + sizeof *env->random + (size_t)((env->memory + 1) * env->size) * sizeof *env->cue;
}

static void name_columns(sequence *env) {
    for (int64_t c = 0; c < env->size; c++) {
        env->low[c] = -1.0f;
        env->high[c] = 1.0f;
        snprintf(env->texts[c], sizeof *env->texts, "cue %d", (int)c);
        snprintf(env->texts[env->size + c], sizeof *env->texts, "answer %d", (int)c);
    }
    for (int64_t c = 0; c < 2 * env->size; c++) env->names[c] = env->texts[c];
}

static int create(const double *values, int64_t count, void **state) {
    sequence *env = calloc(1, sizeof *env);
    if (!env) return 1;
    env->count = count;
    env->memory = (int64_t)values[MEMORY_SIZE];
    env->size = (int64_t)values[CUE_SIZE];
    env->max_steps = (int64_t)values[STEPS];
    env->saved = calloc((size_t)count, row_size(env));
    env->low = calloc(2 * (size_t)env->size, sizeof *env->low);
    env->names = calloc(2 * (size_t)env->size, sizeof *env->names);
    env->texts = calloc(2 * (size_t)env->size, sizeof *env->texts);
    if (!env->saved || !env->low || !env->names || !env->texts) {
        destroy(env);
        return 1;
    }
    env->steps = env->saved;
    env->random = (uint64_t *)(env->steps + count);
    env->cue = (float *)(env->random + count);
    env->high = env->low + env->size;
    name_columns(env);
    *state = env;
    return 0;
}

static void spaces(const void *state, rv_env_spaces *out) {
    const sequence *env = state;
    out->observation_size = out->action_size = env->size;
    out->observation_low = out->action_low = env->low;
    out->observation_high = out->action_high = env->high;
    out->observation_names = env->names;
    out->action_names = env->names + env->size;
    out->action_choices = 0;
    out->step_seconds = 0.0;
}

/* Cue `t` of environment i; those before t - m are gone. */
static float *cue(const sequence *env, int64_t i, int64_t t) {
    const int64_t slots = env->memory + 1;
    return env->cue + (i * slots + t % slots) * env->size;
}

/* Draws the cue of the step that comes, and shows it. */
static void show_next(sequence *env, int64_t i, float *observation) {
    float *next = cue(env, i, env->steps[i]);
    for (int64_t c = 0; c < env->size; c++) next[c] = (float)rv_env_random_uniform(&env->random[i], -1.0, 1.0);
    memcpy(observation + i * env->size, next, (size_t)env->size * sizeof *next);
}

static void reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    sequence *env = state;
    for (int64_t i = 0; i < env->count; i++) {
        if (mask && !mask[i]) continue;
        if (seed) env->random[i] = rv_env_random_seed(seed[i]);
        env->steps[i] = 0;
        memset(cue(env, i, 0), 0, (size_t)((env->memory + 1) * env->size) * sizeof *env->cue); /* nothing of before */
        show_next(env, i, observation);
    }
}

static double squared_error(const float *a, const float *b, int64_t size) {
    double sum = 0.0;
    for (int64_t c = 0; c < size; c++) {
        const double difference = (double)a[c] - (double)b[c];
        sum += difference * difference;
    }
    return sum / (double)size;
}

static void step(void *state, const float *action, float *next_observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated) {
    sequence *env = state;
    for (int64_t i = 0; i < env->count; i++) {
        const int64_t asked = env->steps[i] - env->memory;
        reward[i] = asked < 0 ? 0.0f : (float)(1.0 - squared_error(action + i * env->size, cue(env, i, asked), env->size));
        env->steps[i]++;
        terminated[i] = 0;
        truncated[i] = env->steps[i] >= env->max_steps;
        show_next(env, i, next_observation);
    }
}

/* ---- saved state: one block of count rows of everything ------------------------------------------------------ */

static size_t state_size(const void *state) {
    const sequence *env = state;
    return (size_t)env->count * row_size(env);
}

static void save(const void *state, void *bytes) { memcpy(bytes, ((const sequence *)state)->saved, state_size(state)); }

static int load(void *state, const void *bytes, float *observation) {
    sequence *env = state;
    const uint8_t *steps_of = bytes, *cue_of = steps_of + ((uint8_t *)env->cue - (uint8_t *)env->saved);
    for (int64_t i = 0; i < env->count; i++) {
        int64_t steps;
        memcpy(&steps, steps_of + (size_t)i * sizeof steps, sizeof steps);
        if (steps < 0 || steps > INT64_MAX / 2) return 1;
    }
    for (int64_t i = 0; i < env->count * (env->memory + 1) * env->size; i++) {
        float value;
        memcpy(&value, cue_of + (size_t)i * sizeof value, sizeof value);
        if (!(fabsf(value) <= 1.0f)) return 1;
    }
    memcpy(env->saved, bytes, state_size(state));
    for (int64_t i = 0; i < env->count; i++) {
        memcpy(observation + i * env->size, cue(env, i, env->steps[i]), (size_t)env->size * sizeof *observation);
    }
    return 0;
}

const rv_env_table rv_env_sequence = {
    .abi = RV_ENV_ABI,
    .size = sizeof(rv_env_table),
    .name = "sequence",
    .text = "remember: answer each step with the cue that was shown memory_size steps before",
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
};
