/* envs/wrap.c: what wrappers share, and those that change actions, rewards and ends. */
#include "envs/wrap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/wrappers.h"

/* ---- passing everything on ---------------------------------------------------------------------------- */

static void pass_destroy(void *state) {
    rv_wrapper *wrapper = state;
    if (wrapper->release) wrapper->release(wrapper);
    free(wrapper->own);
    free(wrapper);
}

static void pass_spaces(const void *state, rv_env_spaces *spaces) { *spaces = ((const rv_wrapper *)state)->spaces; }

static void pass_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    rv_wrapper *wrapper = state;
    wrapper->in->reset(wrapper->in_state, mask, seed, observation);
}

static void pass_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    rv_wrapper *wrapper = state;
    wrapper->in->step(wrapper->in_state, action, next, reward, terminated, truncated);
}

static size_t pass_state_size(const void *state) {
    const rv_wrapper *wrapper = state;
    return wrapper->own_size + wrapper->in->state_size(wrapper->in_state);
}

static void pass_save(const void *state, void *bytes) {
    const rv_wrapper *wrapper = state;
    if (wrapper->own_size) memcpy(bytes, wrapper->own, wrapper->own_size);
    wrapper->in->save(wrapper->in_state, (uint8_t *)bytes + wrapper->own_size);
}

static int pass_load(void *state, const void *bytes, float *observation) {
    rv_wrapper *wrapper = state;
    if (wrapper->valid && !wrapper->valid(wrapper, bytes)) return 1;
    if (wrapper->in->load(wrapper->in_state, (const uint8_t *)bytes + wrapper->own_size, observation) != 0) return 1;
    if (wrapper->own_size) memcpy(wrapper->own, bytes, wrapper->own_size);
    return 0;
}

static void pass_scripted(const void *state, int64_t rows, const float *observation, float *action) {
    const rv_wrapper *wrapper = state;
    wrapper->in->scripted(wrapper->in_state, rows, observation, action);
}

void *rv_wrapper_begin(rv_env **env, const char *name, size_t size, size_t own_size, rv_status *status) {
    *status = env && *env ? RV_OK : RV_INVALID_ARGUMENT;
    if (*status != RV_OK) return NULL;
    rv_env *inner = *env;
    own_size = (own_size + 7) / 8 * 8; /* what follows in a saved state stays aligned */
    if (!inner->terminated) {
        *status = rv_env_fail(inner, RV_WRONG_STATE, "%s: the environment was not made", name);
        return NULL;
    }
    rv_wrapper *wrapper = calloc(1, size);
    void *own = wrapper && own_size ? calloc(1, own_size) : NULL;
    if (!wrapper || (own_size && !own)) {
        free(wrapper);
        *status = rv_env_fail(inner, RV_OUT_OF_MEMORY, "%s: no memory", name);
        return NULL;
    }
    snprintf(wrapper->name, sizeof wrapper->name, "%s(%s)", name, inner->table->name);
    wrapper->table = (rv_env_table){
        .abi = RV_ENV_ABI, .size = sizeof(rv_env_table), .name = wrapper->name, .text = inner->table->text,
        .destroy = pass_destroy, .spaces = pass_spaces, .reset = pass_reset, .step = pass_step,
        .state_size = pass_state_size, .save = pass_save, .load = pass_load,
        .scripted = inner->table->scripted ? pass_scripted : NULL};
    wrapper->in = inner->table;
    wrapper->in_state = inner->state;
    wrapper->spaces = inner->spaces;
    wrapper->count = inner->count;
    wrapper->own = own;
    wrapper->own_size = own_size;
    return wrapper;
}

rv_status rv_wrapper_finish(rv_env **env, rv_wrapper *wrapper, const double *parameters, int parameter_count) {
    rv_status status = rv_env_wrap(env, &wrapper->table, wrapper, parameters, parameter_count);
    if (status != RV_OK) pass_destroy(wrapper);
    return status;
}

static rv_status refuse(rv_env **env, const char *text) {
    return env && *env ? rv_env_fail(*env, RV_INVALID_ARGUMENT, "%s", text) : RV_INVALID_ARGUMENT;
}

/* ---- time limit ------------------------------------------------------------------------------------------ */

typedef struct time_limit {
    rv_wrapper wrapper; /* own: int64_t [count], steps of the episode that runs */
    int64_t limit;
} time_limit;

static void time_limit_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    rv_wrapper *wrapper = state;
    int64_t *steps = wrapper->own;
    for (int64_t i = 0; i < wrapper->count; i++) {
        if (!mask || mask[i]) steps[i] = 0;
    }
    pass_reset(state, mask, seed, observation);
}

static void time_limit_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    time_limit *limit = state;
    int64_t *steps = limit->wrapper.own;
    pass_step(state, action, next, reward, terminated, truncated);
    for (int64_t i = 0; i < limit->wrapper.count; i++) truncated[i] = truncated[i] || ++steps[i] >= limit->limit;
}

rv_status rv_env_wrap_time_limit(rv_env **env, int64_t steps) {
    rv_status status;
    if (steps < 1) return refuse(env, "time_limit: at least 1 step is needed");
    const size_t count = env && *env ? (size_t)(*env)->count : 0;
    time_limit *limit = rv_wrapper_begin(env, "time_limit", sizeof *limit, count * sizeof(int64_t), &status);
    if (!limit) return status;
    limit->limit = steps;
    limit->wrapper.table.reset = time_limit_reset;
    limit->wrapper.table.step = time_limit_step;
    const double parameter = (double)steps;
    return rv_wrapper_finish(env, &limit->wrapper, &parameter, 1);
}

/* ---- action repeat ----------------------------------------------------------------------------------------- */

typedef struct action_repeat {
    rv_wrapper wrapper;
    int64_t times;
    float *next, *reward; /* of one step inside: [count, observation_size], [count] */
    uint8_t *terminated, *truncated;
} action_repeat;

static void action_repeat_release(rv_wrapper *wrapper) {
    action_repeat *repeat = (action_repeat *)wrapper;
    free(repeat->next);
    free(repeat->reward);
    free(repeat->terminated);
    free(repeat->truncated);
}

/* Rows that have ended are stepped on with the others, and nothing of it is kept: so a row's random state does not
 * depend on its neighbours. */
static void action_repeat_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    action_repeat *repeat = state;
    const int64_t size = repeat->wrapper.spaces.observation_size;
    pass_step(state, action, next, reward, terminated, truncated);
    for (int64_t k = 1; k < repeat->times; k++) {
        pass_step(state, action, repeat->next, repeat->reward, repeat->terminated, repeat->truncated);
        for (int64_t i = 0; i < repeat->wrapper.count; i++) {
            if (terminated[i] || truncated[i]) continue;
            memcpy(next + i * size, repeat->next + i * size, (size_t)size * sizeof(float));
            reward[i] += repeat->reward[i];
            terminated[i] = repeat->terminated[i];
            truncated[i] = repeat->truncated[i];
        }
    }
}

static void action_repeat_spaces(const void *state, rv_env_spaces *spaces) {
    pass_spaces(state, spaces);
    spaces->step_seconds *= (double)((const action_repeat *)state)->times;
}

rv_status rv_env_wrap_action_repeat(rv_env **env, int64_t times) {
    rv_status status;
    if (times < 1 || times > 10000) return refuse(env, "action_repeat: the times must lie between 1 and 10000");
    action_repeat *repeat = rv_wrapper_begin(env, "action_repeat", sizeof *repeat, 0, &status);
    if (!repeat) return status;
    const size_t count = (size_t)repeat->wrapper.count;
    repeat->times = times;
    repeat->wrapper.release = action_repeat_release;
    repeat->wrapper.table.step = action_repeat_step;
    repeat->wrapper.table.spaces = action_repeat_spaces;
    repeat->next = calloc(count, (size_t)repeat->wrapper.spaces.observation_size * sizeof(float));
    repeat->reward = calloc(count, sizeof(float));
    repeat->terminated = calloc(count, 1);
    repeat->truncated = calloc(count, 1);
    if (!repeat->next || !repeat->reward || !repeat->terminated || !repeat->truncated) {
        pass_destroy(repeat);
        return rv_env_fail(*env, RV_OUT_OF_MEMORY, "action_repeat: no memory");
    }
    const double parameter = (double)times;
    return rv_wrapper_finish(env, &repeat->wrapper, &parameter, 1);
}

/* ---- action rescale ----------------------------------------------------------------------------------------- */

typedef struct action_rescale {
    rv_wrapper wrapper;
    double low, high;
    float *lows, *highs; /* [action_size] */
    float *action;       /* [count, action_size], for the environment inside */
} action_rescale;

static void action_rescale_release(rv_wrapper *wrapper) {
    action_rescale *rescale = (action_rescale *)wrapper;
    free(rescale->lows);
    free(rescale->highs);
    free(rescale->action);
}

static void action_rescale_spaces(const void *state, rv_env_spaces *spaces) {
    const action_rescale *rescale = state;
    pass_spaces(state, spaces);
    spaces->action_low = rescale->lows;
    spaces->action_high = rescale->highs;
}

static void action_rescale_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    action_rescale *rescale = state;
    const rv_env_spaces *s = &rescale->wrapper.spaces;
    for (int64_t i = 0; i < rescale->wrapper.count * s->action_size; i++) {
        const float low = s->action_low[i % s->action_size], high = s->action_high[i % s->action_size];
        const double share = ((double)action[i] - rescale->low) / (rescale->high - rescale->low);
        rescale->action[i] = fminf(fmaxf((float)((double)low + share * ((double)high - (double)low)), low), high);
    }
    pass_step(state, rescale->action, next, reward, terminated, truncated);
}

static void action_rescale_scripted(const void *state, int64_t rows, const float *observation, float *action) {
    const action_rescale *rescale = state;
    const rv_env_spaces *s = &rescale->wrapper.spaces;
    pass_scripted(state, rows, observation, action);
    for (int64_t i = 0; i < rows * s->action_size; i++) {
        const double low = (double)s->action_low[i % s->action_size], high = (double)s->action_high[i % s->action_size];
        const double share = high > low ? ((double)action[i] - low) / (high - low) : 0.0;
        action[i] = (float)(rescale->low + share * (rescale->high - rescale->low));
    }
}

rv_status rv_env_wrap_action_rescale(rv_env **env, float low, float high) {
    rv_status status;
    if (!isfinite(low) || !isfinite(high) || !(low < high)) return refuse(env, "action_rescale: low and high must be a range");
    action_rescale *rescale = rv_wrapper_begin(env, "action_rescale", sizeof *rescale, 0, &status);
    if (!rescale) return status;
    const size_t size = (size_t)rescale->wrapper.spaces.action_size;
    rescale->wrapper.release = action_rescale_release;
    if (rescale->wrapper.spaces.action_choices) {
        pass_destroy(rescale);
        return rv_env_fail(*env, RV_UNSUPPORTED, "action_rescale: the actions of %s are choices", (*env)->table->name);
    }
    rescale->low = (double)low;
    rescale->high = (double)high;
    rescale->lows = calloc(size, sizeof(float));
    rescale->highs = calloc(size, sizeof(float));
    rescale->action = calloc((size_t)rescale->wrapper.count, size * sizeof(float));
    if (!rescale->lows || !rescale->highs || !rescale->action) {
        pass_destroy(rescale);
        return rv_env_fail(*env, RV_OUT_OF_MEMORY, "action_rescale: no memory");
    }
    for (size_t a = 0; a < size; a++) {
        rescale->lows[a] = low;
        rescale->highs[a] = high;
    }
    rescale->wrapper.table.spaces = action_rescale_spaces;
    rescale->wrapper.table.step = action_rescale_step;
    if (rescale->wrapper.table.scripted) rescale->wrapper.table.scripted = action_rescale_scripted;
    const double parameters[] = {rescale->low, rescale->high};
    return rv_wrapper_finish(env, &rescale->wrapper, parameters, 2);
}

/* ---- reward scale ------------------------------------------------------------------------------------------- */

typedef struct reward_scale {
    rv_wrapper wrapper;
    double scale;
} reward_scale;

static void reward_scale_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    reward_scale *scale = state;
    pass_step(state, action, next, reward, terminated, truncated);
    for (int64_t i = 0; i < scale->wrapper.count; i++) reward[i] = (float)(scale->scale * (double)reward[i]);
}

rv_status rv_env_wrap_reward_scale(rv_env **env, double factor) {
    rv_status status;
    if (!isfinite(factor)) return refuse(env, "reward_scale: the scale is not finite");
    reward_scale *scale = rv_wrapper_begin(env, "reward_scale", sizeof *scale, 0, &status);
    if (!scale) return status;
    scale->scale = factor;
    scale->wrapper.table.step = reward_scale_step;
    return rv_wrapper_finish(env, &scale->wrapper, &factor, 1);
}
