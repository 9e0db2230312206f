/* agents/acting.c: environments stepped for an agent, and what they give, in rows. */
#include "agents/acting.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reverie/random.h"

static rv_status fail(rv_acting *a, rv_status status, const char *why) {
    snprintf(a->message, sizeof a->message, "%.500s", why);
    return status;
}

static rv_status env_failed(rv_acting *a, rv_status status) { return fail(a, status, rv_env_message(a->env)); }

static rv_status array_failed(rv_acting *a, rv_status status, rv_array *array) {
    return status == RV_OK ? RV_OK : fail(a, status, array ? rv_array_message(array) : "no memory");
}

static int64_t given_width(const rv_acting *a) {
    return a->layout.sequences ? a->observation_size + 4 : 2 * a->observation_size + 3;
}

/* ---- making and destroying ---- */

static rv_status make_host(rv_acting *a, size_t bytes) {
    const size_t n = (size_t)a->count, o = (size_t)a->observation_size;
    const struct {
        void **memory;
        size_t bytes;
    } wanted[] = {
        {(void **)&a->action, n * (size_t)a->action_size * sizeof(float)},
        {(void **)&a->env_action, n * (size_t)a->spaces.action_size * sizeof(float)},
        {(void **)&a->result, n * (size_t)given_width(a) * sizeof(float)},
        {(void **)&a->after, n * o * sizeof(float)},
        {(void **)&a->led_to, n * o * sizeof(float)},
        {(void **)&a->reward, n * sizeof(float)},
        {(void **)&a->running, n * 2 * sizeof(float)},
        {(void **)&a->terminated, n},
        {(void **)&a->truncated, n},
        {(void **)&a->restarts, n},
        {(void **)&a->bytes, bytes},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].memory = rv_device_resize(a->device, NULL, wanted[i].bytes);
        if (!*wanted[i].memory) return fail(a, RV_OUT_OF_MEMORY, "no memory for the environments' rows");
        memset(*wanted[i].memory, 0, wanted[i].bytes);
    }
    return RV_OK;
}

static rv_status make_arrays(rv_acting *a, size_t bytes) {
    const struct {
        rv_array **array;
        rv_dtype dtype;
        int64_t rows, cols;
        const char *name;
    } wanted[] = {
        {&a->given, RV_F32, a->count, given_width(a), "given"},
        {&a->chosen, RV_F32, a->count, a->action_size, "action"},
        {&a->observation, RV_F32, a->count, a->layout.sequences ? 0 : a->observation_size, "observation"},
        {&a->deter, RV_F32, a->count, a->layout.deter, "deter"},
        {&a->stoch, RV_F32, a->count, a->layout.stoch, "stoch"},
        {&a->saved_bytes, RV_U8, 1, (int64_t)bytes, "environments"},
        {&a->saved_counters, RV_I32, 1, RV_ACTING_COUNTERS, "counters"},
        {&a->saved_recent, RV_F32, 1, 2 * RV_RECENT, "recent"},
        {&a->saved_running, RV_F32, a->count, 2, "running"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (wanted[i].cols == 0) continue;
        rv_status status = rv_array_create(a->device, wanted[i].dtype, wanted[i].rows, wanted[i].cols, wanted[i].name,
                                           wanted[i].array);
        if (status != RV_OK) return array_failed(a, status, *wanted[i].array);
    }
    return RV_OK;
}

/* ---- rows as the layout has them ---- */

static void pack_transition(rv_acting *a, int64_t i) {
    const int64_t o = a->observation_size;
    float *row = a->result + i * given_width(a);
    memcpy(row, a->led_to + i * o, (size_t)o * sizeof *row);
    row[o] = a->reward[i];
    row[o + 1] = a->terminated[i] ? 1.0f : 0.0f;
    row[o + 2] = a->terminated[i] || a->truncated[i] ? 1.0f : 0.0f;
    memcpy(row + o + 3, a->after + i * o, (size_t)o * sizeof *row);
}

static void pack_sequence(rv_acting *a, int64_t i) {
    const int64_t o = a->observation_size;
    const bool first = a->restarts[i], last = !first && (a->terminated[i] || a->truncated[i]);
    float *row = a->result + i * given_width(a);
    memcpy(row, (first ? a->after : a->led_to) + i * o, (size_t)o * sizeof *row);
    row[o] = first ? 0 : a->reward[i];
    row[o + 1] = first ? 1.0f : 0.0f;
    row[o + 2] = last ? 1.0f : 0.0f;
    row[o + 3] = !first && a->terminated[i] ? 1.0f : 0.0f;
}

static void pack(rv_acting *a) {
    for (int64_t i = 0; i < a->count; i++) {
        if (a->layout.sequences) pack_sequence(a, i);
        else pack_transition(a, i);
    }
}

static void find_restarts(rv_acting *a) {
    const int64_t last = a->observation_size + 2;
    for (int64_t i = 0; a->layout.sequences && i < a->count; i++)
        a->restarts[i] = a->result[i * given_width(a) + last] != 0;
}

static rv_status upload(rv_acting *a) {
    return array_failed(a, rv_array_write(a->given, 0, a->count, a->result), a->given);
}

static rv_status begin_episodes(rv_acting *a, uint64_t seed) {
    rv_status status = rv_env_reset(a->env, seed, a->after);
    if (status != RV_OK) return env_failed(a, status);
    memset(a->restarts, a->layout.sequences, (size_t)a->count);
    pack(a);
    find_restarts(a);
    if (a->observation) {
        status = rv_array_write(a->observation, 0, a->count, a->after);
        if (status != RV_OK) return array_failed(a, status, a->observation);
    }
    return upload(a);
}

rv_status rv_acting_create(rv_acting *a, rv_device *device, rv_env *env, rv_acting_layout layout, uint64_t seed) {
    *a = (rv_acting){.device = device, .layout = layout, .env = env, .count = rv_env_count(env)};
    a->spaces.size = sizeof a->spaces;
    rv_status status = rv_env_spaces_get(env, &a->spaces);
    if (status != RV_OK) return env_failed(a, status);
    a->observation_size = a->spaces.observation_size;
    a->action_size = rv_actor_action_size(&a->spaces);
    const size_t bytes = rv_env_state_size(env);
    status = make_host(a, bytes);
    if (status == RV_OK) status = make_arrays(a, bytes);
    return status == RV_OK ? begin_episodes(a, seed) : status;
}

void rv_acting_destroy(rv_acting *a) {
    if (!a->device) return;
    void *const memory[] = {a->action,  a->env_action, a->result,    a->after,    a->led_to, a->reward,
                            a->running, a->terminated, a->truncated, a->restarts, a->bytes};
    rv_array *const arrays[] = {a->given,       a->chosen,         a->observation,  a->deter,
                                a->stoch,       a->saved_bytes,    a->saved_counters, a->saved_recent,
                                a->saved_running};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) rv_device_resize(a->device, memory[i], 0);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) rv_array_destroy(arrays[i]);
    *a = (rv_acting){0};
}

/* ---- acting ---- */

rv_status rv_acting_random(rv_acting *a, uint64_t seed) {
    const int64_t choices = a->spaces.action_choices, size = a->spaces.action_size;
    const uint32_t round = (uint32_t)a->counters[RV_ROUNDS];
    float *uniform = a->env_action;
    rv_random_uniform(seed, round, "acting/random", 0, a->count, size, uniform);
    for (int64_t i = 0; i < a->count * size; i++) {
        if (!choices) a->action[i] = 2 * uniform[i] - 1;
        int64_t choice = (int64_t)(uniform[i] * (float)choices);
        if (choice >= choices) choice = choices - 1;
        for (int64_t k = 0; k < choices; k++) a->action[i * choices + k] = k == choice;
    }
    return array_failed(a, rv_array_write(a->chosen, 0, a->count, a->action), a->chosen);
}

static bool all_finite(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static void count_episodes(rv_acting *a, int64_t i) {
    float *running = a->running + 2 * i;
    running[0] += a->reward[i];
    running[1] += 1;
    if (!a->terminated[i] && !a->truncated[i]) return;
    memcpy(a->recent + 2 * a->counters[RV_RECENT_NEXT], running, 2 * sizeof *running);
    a->counters[RV_RECENT_NEXT] = (a->counters[RV_RECENT_NEXT] + 1) % RV_RECENT;
    a->counters[RV_EPISODES]++;
    running[0] = running[1] = 0;
}

/* Where an episode ended a step before. */
static rv_status restart(rv_acting *a) {
    if (!memchr(a->restarts, 1, (size_t)a->count)) return RV_OK;
    rv_status status = rv_env_reset_some(a->env, a->restarts, NULL, a->after);
    return status == RV_OK ? RV_OK : env_failed(a, status);
}

rv_status rv_acting_step(rv_acting *a, bool *finite) {
    rv_status status = rv_array_read(a->chosen, 0, a->count, a->action);
    if (status != RV_OK) return array_failed(a, status, a->chosen);
    rv_actor_to_env(&a->spaces, a->count, a->action, a->env_action);
    rv_env_result result = {a->after, a->led_to, a->reward, a->terminated, a->truncated};
    status = rv_env_step(a->env, a->env_action, &result);
    if (status != RV_OK) return env_failed(a, status);
    status = restart(a);
    if (status != RV_OK) return status;
    for (int64_t i = 0; i < a->count; i++) {
        if (!a->restarts[i]) count_episodes(a, i);
    }
    pack(a);
    find_restarts(a);
    a->counters[RV_ROUNDS]++;
    *finite = all_finite(a->result, a->count * given_width(a));
    return upload(a);
}

void rv_acting_recent(const rv_acting *a, float *mean_return, float *mean_length) {
    const int32_t all = a->counters[RV_EPISODES], count = all < RV_RECENT ? all : RV_RECENT;
    double sums[2] = {0, 0};
    for (int i = 0; i < count; i++) {
        sums[0] += a->recent[2 * i];
        sums[1] += a->recent[2 * i + 1];
    }
    *mean_return = count ? (float)(sums[0] / count) : NAN;
    *mean_length = count ? (float)(sums[1] / count) : NAN;
}

/* ---- checkpoint ---- */

rv_status rv_acting_checkpoint(rv_acting *a, rv_checkpoint *checkpoint, const char *prefix) {
    rv_array *const arrays[] = {a->given,       a->chosen,         a->observation,  a->deter,
                                a->stoch,       a->saved_bytes,    a->saved_counters, a->saved_recent,
                                a->saved_running};
    rv_status status = RV_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == RV_OK; i++) {
        if (!arrays[i]) continue;
        char full[256];
        snprintf(full, sizeof full, "%.100s%.100s", prefix, rv_array_name(arrays[i]));
        status = rv_checkpoint_add_array(checkpoint, full, arrays[i]);
    }
    return status == RV_OK ? RV_OK : fail(a, status, rv_checkpoint_message(checkpoint));
}

rv_status rv_acting_stow(rv_acting *a) {
    rv_status status = rv_env_save(a->env, a->bytes, rv_env_state_size(a->env));
    if (status != RV_OK) return env_failed(a, status);
    status = array_failed(a, rv_array_write(a->saved_bytes, 0, 1, a->bytes), a->saved_bytes);
    if (status == RV_OK) {
        status = array_failed(a, rv_array_write(a->saved_counters, 0, 1, a->counters), a->saved_counters);
    }
    if (status == RV_OK) status = array_failed(a, rv_array_write(a->saved_recent, 0, 1, a->recent), a->saved_recent);
    if (status != RV_OK) return status;
    return array_failed(a, rv_array_write(a->saved_running, 0, a->count, a->running), a->saved_running);
}

static bool valid(const int32_t counters[RV_ACTING_COUNTERS]) {
    return counters[RV_ROUNDS] >= 0 && counters[RV_EPISODES] >= 0 && counters[RV_RECENT_NEXT] >= 0 &&
           counters[RV_RECENT_NEXT] < RV_RECENT;
}

rv_status rv_acting_restore(rv_acting *a) {
    int32_t counters[RV_ACTING_COUNTERS];
    rv_status status = array_failed(a, rv_array_read(a->saved_bytes, 0, 1, a->bytes), a->saved_bytes);
    if (status == RV_OK) {
        status = array_failed(a, rv_array_read(a->saved_counters, 0, 1, counters), a->saved_counters);
    }
    if (status == RV_OK) status = array_failed(a, rv_array_read(a->saved_recent, 0, 1, a->recent), a->saved_recent);
    if (status == RV_OK) {
        status = array_failed(a, rv_array_read(a->saved_running, 0, a->count, a->running), a->saved_running);
    }
    if (status == RV_OK) status = array_failed(a, rv_array_read(a->given, 0, a->count, a->result), a->given);
    if (status != RV_OK) return status;
    if (!valid(counters)) return fail(a, RV_BAD_FILE, "the counters of the environments are out of range");
    status = rv_env_load(a->env, a->bytes, rv_env_state_size(a->env), NULL);
    if (status != RV_OK) return env_failed(a, status);
    memcpy(a->counters, counters, sizeof counters);
    find_restarts(a);
    return RV_OK;
}
