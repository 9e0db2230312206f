/* envs/wrap_observation.c: wrappers that change what is seen: frame stack, normalisation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envs/wrap.h"
#include "reverie/wrappers.h"

static bool wanted(const uint8_t *mask, int64_t i) { return !mask || mask[i]; }

/* ---- frame stack --------------------------------------------------------------------------------------------- */

typedef struct frame_stack {
    rv_wrapper wrapper; /* own: float [count, frames * size], what was shown last */
    int64_t frames, size;
    float *frame; /* [count, size], from the environment inside */
    float *low, *high;
    const char **names;
    char (*texts)[96];
} frame_stack;

static void frame_stack_release(rv_wrapper *wrapper) {
    frame_stack *stack = (frame_stack *)wrapper;
    free(stack->frame);
    free(stack->low);
    free(stack->high);
    free(stack->names);
    free(stack->texts);
}

static void frame_stack_spaces(const void *state, rv_env_spaces *spaces) {
    const frame_stack *stack = state;
    *spaces = stack->wrapper.spaces;
    spaces->observation_size = stack->frames * stack->size;
    spaces->observation_low = stack->low;
    spaces->observation_high = stack->high;
    spaces->observation_names = stack->names;
}

static void show(frame_stack *stack, int64_t i, float *observation) {
    const int64_t total = stack->frames * stack->size;
    memcpy(observation + i * total, (float *)stack->wrapper.own + i * total, (size_t)total * sizeof(float));
}

static void frame_stack_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    frame_stack *stack = state;
    const int64_t total = stack->frames * stack->size;
    stack->wrapper.in->reset(stack->wrapper.in_state, mask, seed, stack->frame);
    for (int64_t i = 0; i < stack->wrapper.count; i++) {
        if (!wanted(mask, i)) continue;
        float *seen = (float *)stack->wrapper.own + i * total;
        for (int64_t f = 0; f < stack->frames; f++) {
            memcpy(seen + f * stack->size, stack->frame + i * stack->size, (size_t)stack->size * sizeof(float));
        }
        show(stack, i, observation);
    }
}

static void frame_stack_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    frame_stack *stack = state;
    const int64_t size = stack->size, total = stack->frames * size;
    stack->wrapper.in->step(stack->wrapper.in_state, action, stack->frame, reward, terminated, truncated);
    for (int64_t i = 0; i < stack->wrapper.count; i++) {
        float *seen = (float *)stack->wrapper.own + i * total;
        memmove(seen, seen + size, (size_t)(total - size) * sizeof(float));
        memcpy(seen + total - size, stack->frame + i * size, (size_t)size * sizeof(float));
        show(stack, i, next);
    }
}

static int frame_stack_load(void *state, const void *bytes, float *observation) {
    frame_stack *stack = state;
    rv_wrapper *wrapper = &stack->wrapper;
    if (wrapper->in->load(wrapper->in_state, (const uint8_t *)bytes + wrapper->own_size, stack->frame) != 0) return 1;
    memcpy(wrapper->own, bytes, wrapper->own_size);
    for (int64_t i = 0; i < wrapper->count; i++) show(stack, i, observation);
    return 0;
}

static void frame_stack_scripted(const void *state, int64_t rows, const float *observation, float *action) {
    const frame_stack *stack = state;
    const rv_wrapper *wrapper = &stack->wrapper;
    for (int64_t i = 0; i < rows; i++) { /* the newest frame comes last */
        const float *newest = observation + (i + 1) * stack->frames * stack->size - stack->size;
        wrapper->in->scripted(wrapper->in_state, 1, newest, action + i * wrapper->spaces.action_size);
    }
}

static bool frame_stack_allocate(frame_stack *stack) {
    const rv_env_spaces *s = &stack->wrapper.spaces;
    const int64_t total = stack->frames * stack->size;
    stack->frame = calloc((size_t)stack->wrapper.count, (size_t)stack->size * sizeof(float));
    stack->low = calloc((size_t)total, sizeof(float));
    stack->high = calloc((size_t)total, sizeof(float));
    stack->names = s->observation_names ? calloc((size_t)total, sizeof *stack->names) : NULL;
    stack->texts = s->observation_names ? calloc((size_t)total, sizeof *stack->texts) : NULL;
    if (!stack->frame || !stack->low || !stack->high || (s->observation_names && (!stack->names || !stack->texts))) return false;
    for (int64_t c = 0; c < total; c++) {
        const long long age = stack->frames - 1 - c / stack->size;
        stack->low[c] = s->observation_low[c % stack->size];
        stack->high[c] = s->observation_high[c % stack->size];
        if (!stack->names) continue;
        snprintf(stack->texts[c], sizeof *stack->texts, age ? "%.64s, %lld before" : "%.64s", s->observation_names[c % stack->size], age);
        stack->names[c] = stack->texts[c];
    }
    return true;
}

rv_status rv_env_wrap_frame_stack(rv_env **env, int64_t frames) {
    rv_status status;
    if (!env || !*env) return RV_INVALID_ARGUMENT;
    if (frames < 1 || frames > 1024) return rv_env_fail(*env, RV_INVALID_ARGUMENT, "frame_stack: the frames must lie between 1 and 1024");
    const int64_t size = (*env)->spaces.observation_size;
    if (size > (1 << 24) / frames || (*env)->count > (INT64_C(1) << 40) / (size * frames + 1)) {
        return rv_env_fail(*env, RV_TOO_LARGE, "frame_stack: %lld frames are too many", (long long)frames);
    }
    frame_stack *stack = rv_wrapper_begin(env, "frame_stack", sizeof *stack, (size_t)((*env)->count * size * frames) * sizeof(float), &status);
    if (!stack) return status;
    stack->frames = frames;
    stack->size = size;
    stack->wrapper.release = frame_stack_release;
    stack->wrapper.table.spaces = frame_stack_spaces;
    stack->wrapper.table.reset = frame_stack_reset;
    stack->wrapper.table.step = frame_stack_step;
    stack->wrapper.table.load = frame_stack_load;
    if (stack->wrapper.table.scripted) stack->wrapper.table.scripted = frame_stack_scripted;
    if (!frame_stack_allocate(stack)) {
        stack->wrapper.table.destroy(stack);
        return rv_env_fail(*env, RV_OUT_OF_MEMORY, "frame_stack: no memory");
    }
    const double parameter = (double)frames;
    return rv_wrapper_finish(env, &stack->wrapper, &parameter, 1);
}

/* ---- normalisation ------------------------------------------------------------------------------------------- */

/* own: header, then double mean[size], squares[size] (sums of squared differences from the mean), then
 * float shown[count, size], so that a load shows what was shown. */
typedef struct statistics {
    double count;
    uint64_t frozen;
} statistics;

typedef struct normaliser {
    rv_wrapper wrapper;
    int64_t size;
    double clip;
    float *low, *high;
    float *row; /* one observation in its own units, for the policy inside */
} normaliser;

static statistics *header_of(const normaliser *n) { return n->wrapper.own; }
static double *mean_of(const normaliser *n) { return (double *)(header_of(n) + 1); }
static double *squares_of(const normaliser *n) { return mean_of(n) + n->size; }
static float *shown_of(const normaliser *n) { return (float *)(squares_of(n) + n->size); }

static void normaliser_release(rv_wrapper *wrapper) {
    normaliser *n = (normaliser *)wrapper;
    free(n->low);
    free(n->high);
    free(n->row);
}

static void normaliser_spaces(const void *state, rv_env_spaces *spaces) {
    const normaliser *n = state;
    *spaces = n->wrapper.spaces;
    spaces->observation_low = n->low;
    spaces->observation_high = n->high;
}

/* Takes the rows of the mask into the statistics, one after another (Welford, 1962). */
static void take(normaliser *n, const uint8_t *mask, const float *observation) {
    statistics *s = header_of(n);
    double *mean = mean_of(n), *squares = squares_of(n);
    for (int64_t i = 0; !s->frozen && i < n->wrapper.count; i++) {
        if (!wanted(mask, i)) continue;
        s->count += 1.0;
        for (int64_t d = 0; d < n->size; d++) {
            const double value = (double)observation[i * n->size + d], before = value - mean[d];
            mean[d] += before / s->count;
            squares[d] += before * (value - mean[d]);
        }
    }
}

static double deviation(const normaliser *n, int64_t d) {
    const double count = header_of(n)->count;
    return sqrt((count > 0.0 ? squares_of(n)[d] / count : 1.0) + 1e-8);
}

static void normalise(normaliser *n, const uint8_t *mask, float *observation) {
    for (int64_t d = 0; d < n->size; d++) {
        const double mean = mean_of(n)[d], scale = 1.0 / deviation(n, d), clip = n->clip > 0.0 ? n->clip : INFINITY;
        for (int64_t i = 0; i < n->wrapper.count; i++) {
            if (!wanted(mask, i)) continue;
            float *value = &observation[i * n->size + d];
            *value = (float)fmin(fmax(((double)*value - mean) * scale, -clip), clip);
            shown_of(n)[i * n->size + d] = *value;
        }
    }
}

static void normaliser_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    normaliser *n = state;
    n->wrapper.in->reset(n->wrapper.in_state, mask, seed, observation);
    take(n, mask, observation);
    normalise(n, mask, observation);
}

static void normaliser_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    normaliser *n = state;
    n->wrapper.in->step(n->wrapper.in_state, action, next, reward, terminated, truncated);
    take(n, NULL, next);
    normalise(n, NULL, next);
}

static bool normaliser_valid(const rv_wrapper *wrapper, const void *own) {
    const normaliser *n = (const normaliser *)wrapper;
    statistics s;
    memcpy(&s, own, sizeof s);
    if (!(s.count >= 0.0) || !isfinite(s.count) || s.frozen > 1) return false;
    for (int64_t d = 0; d < 2 * n->size; d++) {
        double value;
        memcpy(&value, (const uint8_t *)own + sizeof s + (size_t)d * sizeof value, sizeof value);
        if (!isfinite(value) || (d >= n->size && value < 0.0)) return false;
    }
    return true;
}

static int normaliser_load(void *state, const void *bytes, float *observation) {
    normaliser *n = state;
    rv_wrapper *wrapper = &n->wrapper;
    if (!normaliser_valid(wrapper, bytes)) return 1;
    if (wrapper->in->load(wrapper->in_state, (const uint8_t *)bytes + wrapper->own_size, observation) != 0) return 1;
    memcpy(wrapper->own, bytes, wrapper->own_size);
    memcpy(observation, shown_of(n), (size_t)(wrapper->count * n->size) * sizeof(float));
    return 0;
}

static void normaliser_scripted(const void *state, int64_t rows, const float *observation, float *action) {
    const normaliser *n = state;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t d = 0; d < n->size; d++) {
            n->row[d] = (float)((double)observation[i * n->size + d] * deviation(n, d) + mean_of(n)[d]);
        }
        n->wrapper.in->scripted(n->wrapper.in_state, 1, n->row, action + i * n->wrapper.spaces.action_size);
    }
}

rv_status rv_env_wrap_normalise(rv_env **env, double clip) {
    rv_status status;
    if (!env || !*env) return RV_INVALID_ARGUMENT;
    if (!(clip >= 0.0)) return rv_env_fail(*env, RV_INVALID_ARGUMENT, "normalise: the clip must not be negative");
    const int64_t size = (*env)->spaces.observation_size;
    const size_t own = sizeof(statistics) + 2 * (size_t)size * sizeof(double) + (size_t)((*env)->count * size) * sizeof(float);
    normaliser *n = rv_wrapper_begin(env, "normalise", sizeof *n, own, &status);
    if (!n) return status;
    n->size = size;
    n->clip = clip;
    n->wrapper.release = normaliser_release;
    n->wrapper.table.spaces = normaliser_spaces;
    n->wrapper.table.reset = normaliser_reset;
    n->wrapper.table.step = normaliser_step;
    n->wrapper.table.load = normaliser_load;
    if (n->wrapper.table.scripted) n->wrapper.table.scripted = normaliser_scripted;
    n->low = calloc((size_t)size, sizeof(float));
    n->high = calloc((size_t)size, sizeof(float));
    n->row = calloc((size_t)size, sizeof(float));
    if (!n->low || !n->high || !n->row) {
        n->wrapper.table.destroy(n);
        return rv_env_fail(*env, RV_OUT_OF_MEMORY, "normalise: no memory");
    }
    for (int64_t d = 0; d < size; d++) {
        n->high[d] = clip > 0.0 ? (float)clip : INFINITY;
        n->low[d] = -n->high[d];
    }
    return rv_wrapper_finish(env, &n->wrapper, &clip, 1);
}

/* The outermost normaliser, or NULL after saying that there is none. */
static normaliser *find(rv_env *env) {
    for (rv_env *at = env; at; at = at->inner) {
        if (at->table && at->table->step == normaliser_step) return at->state;
    }
    if (env) rv_env_fail(env, RV_NOT_FOUND, "the environment has no normaliser: rv_env_wrap_normalise makes one");
    return NULL;
}

rv_status rv_env_normaliser_freeze(rv_env *env, int frozen) {
    normaliser *n = find(env);
    if (!n) return RV_NOT_FOUND;
    header_of(n)->frozen = frozen != 0;
    return RV_OK;
}

rv_status rv_env_normaliser_get(rv_env *env, double *mean, double *variance, double *count) {
    const normaliser *n = find(env);
    if (!n) return RV_NOT_FOUND;
    const double taken = header_of(n)->count;
    for (int64_t d = 0; d < n->size; d++) {
        if (mean) mean[d] = mean_of(n)[d];
        if (variance) variance[d] = taken > 0.0 ? squares_of(n)[d] / taken : 1.0;
    }
    if (count) *count = taken;
    return RV_OK;
}

rv_status rv_env_normaliser_set(rv_env *env, const double *mean, const double *variance, double count) {
    normaliser *n = find(env);
    if (!n) return RV_NOT_FOUND;
    if (!mean || !variance || !(count > 0.0) || !isfinite(count)) {
        return rv_env_fail(env, RV_INVALID_ARGUMENT, "normaliser: mean, variance and a count above 0 are needed");
    }
    for (int64_t d = 0; d < n->size; d++) {
        if (!isfinite(mean[d]) || !isfinite(variance[d] * count) || variance[d] < 0.0) {
            return rv_env_fail(env, RV_INVALID_ARGUMENT, "normaliser: mean or variance of column %lld cannot be", (long long)d);
        }
    }
    for (int64_t d = 0; d < n->size; d++) {
        mean_of(n)[d] = mean[d];
        squares_of(n)[d] = variance[d] * count;
    }
    header_of(n)->count = count;
    return RV_OK;
}
