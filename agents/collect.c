/* agents/collect.c: acts in a batch of environments and keeps whole episodes. */
#include "reverie/collect.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agents/internal.h"
#include "reverie/random.h"

typedef struct collection {
    rv_env *env;
    rv_collect_options options;
    rv_dataset *dataset;
    rv_env_spaces spaces;
    int64_t count;           /* environments */
    int64_t steps, episodes; /* recorded; ended by themselves */
    rv_policy *policy;       /* [count]: of the episode that runs */
    int64_t length;          /* of an episode at most; 0: as long as it lasts */
    int64_t begun;           /* episodes, where they are counted (length > 0) */
    uint8_t *cut, *idle;     /* [count]: is to begin anew; has no episode to record */
    int64_t taken[2];        /* steps so far of the random and of the scripted policy */
    rv_dataset **running;    /* [count]: the episode that runs */
    float *observation, *next_observation, *action, *scripted, *noise, *reward;
    uint8_t *terminated, *truncated;
} collection;

static bool allocate(collection *c) {
    const size_t n = (size_t)c->count, o = (size_t)c->spaces.observation_size, a = (size_t)c->spaces.action_size;
    c->policy = calloc(n, sizeof *c->policy);
    c->running = calloc(n, sizeof *c->running);
    c->observation = calloc(n, o * sizeof(float));
    c->next_observation = calloc(n, o * sizeof(float));
    c->action = calloc(n, a * sizeof(float));
    c->scripted = calloc(n, a * sizeof(float));
    c->noise = calloc(n, a * sizeof(float));
    c->reward = calloc(n, sizeof(float));
    c->terminated = calloc(n, 1);
    c->truncated = calloc(n, 1);
    c->cut = calloc(n, 1);
    c->idle = calloc(n, 1);
    if (!c->policy || !c->running || !c->observation || !c->next_observation || !c->action || !c->scripted ||
        !c->noise || !c->reward || !c->terminated || !c->truncated || !c->cut || !c->idle) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (rv_dataset_create((int64_t)o, (int64_t)a, &c->running[i]) != RV_OK) return false;
    }
    return true;
}

static void release(collection *c) {
    for (int64_t i = 0; c->running && i < c->count; i++) rv_dataset_destroy(c->running[i]);
    free(c->policy);
    free(c->running);
    free(c->observation);
    free(c->next_observation);
    free(c->action);
    free(c->scripted);
    free(c->noise);
    free(c->reward);
    free(c->terminated);
    free(c->truncated);
    free(c->cut);
    free(c->idle);
}

static rv_policy choose_policy(const collection *c) {
    if (c->options.policy != RV_POLICY_MIXED) return c->options.policy;
    return c->taken[RV_POLICY_RANDOM] <= c->taken[RV_POLICY_SCRIPTED] ? RV_POLICY_RANDOM : RV_POLICY_SCRIPTED;
}

static rv_status env_failed(collection *c, rv_status status) {
    return rv_dataset_fail(c->dataset, status, "%s", rv_env_message(c->env));
}

/* An action from a uniform number: of choices, one of them. */
static float random_action(const collection *c, int64_t column, float uniform) {
    const float low = c->spaces.action_low[column], high = c->spaces.action_high[column];
    if (!c->spaces.action_choices) return low + (high - low) * uniform;
    const float choice = low + floorf(uniform * (high - low + 1.0f));
    return choice < high ? choice : high;
}

/* Draws depend on seed, round, environment and action column only. */
static rv_status act(collection *c, uint32_t round) {
    const int64_t n = c->count, a = c->spaces.action_size;
    const float *low = c->spaces.action_low, *high = c->spaces.action_high;
    rv_random_uniform(c->options.seed, round, "collect/random", 0, n, a, c->action);
    for (int64_t i = 0; i < n * a; i++) c->action[i] = random_action(c, i % a, c->action[i]);
    if (c->options.policy == RV_POLICY_RANDOM) return RV_OK;

    rv_status status = rv_env_scripted(c->env, n, c->observation, c->scripted);
    if (status != RV_OK) return env_failed(c, status);
    if (c->spaces.action_choices) {
        rv_random_uniform(c->options.seed, round, "collect/noise", 0, n, a, c->noise);
        for (int64_t i = 0; i < n * a; i++) {
            if (c->policy[i / a] == RV_POLICY_SCRIPTED && (double)c->noise[i] >= c->options.noise) c->action[i] = c->scripted[i];
        }
        return RV_OK;
    }
    rv_random_normal(c->options.seed, round, "collect/noise", 0, n, a, c->noise);
    for (int64_t i = 0; i < n * a; i++) {
        if (c->policy[i / a] != RV_POLICY_SCRIPTED) continue;
        float noise = (float)c->options.noise * 0.5f * (high[i % a] - low[i % a]) * c->noise[i];
        float action = c->scripted[i] + noise;
        c->action[i] = action < low[i % a] ? low[i % a] : action > high[i % a] ? high[i % a] : action;
    }
    return RV_OK;
}

static bool enough(const collection *c) { return c->steps >= c->options.steps && c->episodes >= c->options.episodes; }

/* Whether environment i has another episode to record. */
static void begin_episode(collection *c, int64_t i) {
    c->idle[i] = c->length > 0 && c->begun == c->options.episodes;
    c->begun += !c->idle[i];
    c->policy[i] = choose_policy(c);
}

/* Keeps environment i's step, and its episode when that has ended. */
static rv_status record(collection *c, int64_t i) {
    const int64_t o = c->spaces.observation_size, a = c->spaces.action_size;
    rv_transition transition = {c->observation + i * o,      c->action + i * a, c->reward[i],
                                c->next_observation + i * o, c->terminated[i],  c->truncated[i]};
    rv_status status = rv_dataset_append(c->running[i], &transition);
    if (status != RV_OK) {
        return rv_dataset_fail(c->dataset, status, "environment %lld: %s", (long long)i, rv_dataset_message(c->running[i]));
    }
    c->steps++;
    c->taken[c->policy[i]]++;
    if (!c->terminated[i] && !c->truncated[i]) {
        if (rv_dataset_steps(c->running[i]) != c->length) return RV_OK;
        rv_dataset_cut(c->running[i]);
        c->cut[i] = 1;
    }

    c->episodes++;
    status = rv_dataset_append_range(c->dataset, c->running[i], 0, rv_dataset_steps(c->running[i]));
    rv_dataset_clear(c->running[i]);
    begin_episode(c, i);
    return status;
}

static rv_status collect_round(collection *c, uint32_t round, float *after) {
    const size_t bytes = (size_t)c->count * (size_t)c->spaces.observation_size * sizeof(float);
    rv_env_result result = {after, c->next_observation, c->reward, c->terminated, c->truncated};
    rv_status status = act(c, round);
    if (status != RV_OK) return status;
    status = rv_env_step(c->env, c->action, &result);
    if (status != RV_OK) return env_failed(c, status);
    bool any = false;
    memset(c->cut, 0, (size_t)c->count);
    for (int64_t i = 0; status == RV_OK && i < c->count && !enough(c); i++) {
        if (!c->idle[i]) status = record(c, i);
        any |= c->cut[i];
    }
    if (status == RV_OK && any && rv_env_reset_some(c->env, c->cut, NULL, after) != RV_OK) return env_failed(c, RV_INTERNAL);
    memcpy(c->observation, after, bytes);
    return status;
}

static rv_status collect(collection *c, float *after) {
    rv_status status = rv_env_reset(c->env, c->options.seed, c->observation);
    if (status != RV_OK) return env_failed(c, status);
    for (int64_t i = 0; i < c->count; i++) {
        begin_episode(c, i);
        if (c->options.policy == RV_POLICY_MIXED) c->policy[i] = (rv_policy)(i % 2);
    }
    for (uint32_t round = 0; status == RV_OK && !enough(c); round++) {
        if (round == UINT32_MAX) return RV_TOO_LARGE;
        status = collect_round(c, round, after);
        if (status == RV_OK && round % 256 == 255 && c->options.progress &&
            c->options.progress(c->options.user, c->steps, c->episodes)) {
            status = RV_CANCELLED;
        }
    }
    for (int64_t i = 0; status == RV_OK && i < c->count; i++) { /* episodes that the end of collection cuts */
        rv_dataset_cut(c->running[i]);
        status = rv_dataset_append_range(c->dataset, c->running[i], 0, rv_dataset_steps(c->running[i]));
    }
    return status;
}

static bool valid(const rv_collect_options *options) {
    return options && options->size == sizeof *options && options->steps >= 0 && options->episodes >= 0 &&
           options->policy >= RV_POLICY_RANDOM && options->policy <= RV_POLICY_MIXED && options->noise < 1e6;
}

static rv_status run(rv_env *env, const rv_collect_options *options, int64_t length, rv_dataset *dataset) {
    collection c = {.env = env, .options = *options, .length = length, .dataset = dataset, .count = rv_env_count(env)};
    if (c.options.steps == 0 && length == 0) c.options.steps = 5000;
    c.options.noise = c.options.noise == 0.0 ? 0.3 : c.options.noise < 0.0 ? 0.0 : c.options.noise;
    c.spaces.size = sizeof c.spaces;
    rv_status status = rv_env_spaces_get(env, &c.spaces);
    if (status != RV_OK) return rv_dataset_fail(dataset, status, "collect: the environment was not made");
    rv_transitions shape = rv_dataset_transitions(dataset);
    if (shape.observation_size != c.spaces.observation_size || shape.action_size != c.spaces.action_size) {
        return rv_dataset_fail(dataset, RV_SHAPE_MISMATCH, "collect: the dataset is for %lld and %lld columns, the environment has %lld and %lld",
                               (long long)shape.observation_size, (long long)shape.action_size,
                               (long long)c.spaces.observation_size, (long long)c.spaces.action_size);
    }
    float *after = calloc((size_t)c.count, (size_t)c.spaces.observation_size * sizeof(float));
    status = after && allocate(&c) ? collect(&c, after) : rv_dataset_fail(dataset, RV_OUT_OF_MEMORY, "collect: no memory");
    free(after);
    release(&c);
    return status;
}

rv_status rv_collect_world_model_data(rv_env *env, const rv_collect_options *options, rv_dataset *dataset) {
    if (!env || !dataset) return RV_INVALID_ARGUMENT;
    if (!valid(options)) return rv_dataset_fail(dataset, RV_INVALID_ARGUMENT, "collect: the options are not valid");
    return run(env, options, 0, dataset);
}

rv_status rv_collect_sequence_data(rv_env *env, int64_t episodes, int64_t episode_length, const rv_collect_options *options,
                                   rv_dataset *dataset) {
    if (!env || !dataset) return RV_INVALID_ARGUMENT;
    rv_collect_options used = options ? *options : (rv_collect_options){.size = sizeof used};
    if (!valid(&used) || used.steps || used.episodes) return rv_dataset_fail(dataset, RV_INVALID_ARGUMENT, "collect: the options are not valid");
    if (episodes < 1 || episode_length < 1) return rv_dataset_fail(dataset, RV_INVALID_ARGUMENT, "collect: at least one episode of one step is needed");
    used.episodes = episodes;
    return run(env, &used, episode_length, dataset);
}
