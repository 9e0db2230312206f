/* envs/env.c: the batch round an environment's table: options, actions, restarts, saved state. */
#include "reverie/env.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envs/internal.h"
#include "envs/table.h"
#include "reverie/plugin.h"

static const rv_env_table *const tables[] = {
    &rv_env_continuous_cartpole,
    &rv_env_continuous_pendulum,
    &rv_env_cartpole,
    &rv_env_dmc_pendulum_swingup,
    &rv_env_dmc_cartpole_balance,
    &rv_env_dmc_cartpole_balance_sparse,
    &rv_env_dmc_cartpole_swingup,
    &rv_env_dmc_cartpole_swingup_sparse,
    &rv_env_sequence,
};
enum { TABLE_COUNT = sizeof tables / sizeof *tables, MAX_OPTIONS = 64 };

#define fail rv_env_fail
rv_status rv_env_fail(rv_env *env, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(env->message, sizeof env->message, format, arguments);
    va_end(arguments);
    return status;
}

static uint64_t hash(uint64_t h, const void *bytes, size_t size) { /* FNV-1a, 64 bit */
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++) h = (h ^ byte[i]) * UINT64_C(1099511628211);
    return h;
}
static const uint64_t hash_start = UINT64_C(14695981039346656037);

/* ---- the list ---------------------------------------------------------------------------------- */

int rv_env_list(const rv_env_table **list, int capacity) {
    for (int i = 0; i < TABLE_COUNT && i < capacity; i++) list[i] = tables[i];
    return TABLE_COUNT;
}

const rv_env_table *rv_env_find(const char *name) {
    for (int i = 0; name && i < TABLE_COUNT; i++) {
        if (strcmp(tables[i]->name, name) == 0) return tables[i];
    }
    return NULL;
}

/* ---- create -------------------------------------------------------------------------------------- */

static int option_index(const rv_env_table *table, const char *name) {
    for (int i = 0; i < table->option_count; i++) {
        if (strcmp(table->options[i].name, name) == 0) return i;
    }
    return -1;
}

/* How many edits lead from one word to the other; for words under 64 letters. */
static size_t distance(const char *a, const char *b) {
    size_t row[64], length = strlen(b);
    if (length >= 64) return SIZE_MAX;
    for (size_t j = 0; j <= length; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j + 1] + 1 < best) best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[length];
}

static rv_status unknown_option(rv_env *env, const char *name) {
    const rv_env_option *nearest = NULL;
    size_t least = SIZE_MAX;
    for (int i = 0; i < env->table->option_count; i++) {
        size_t d = distance(name, env->table->options[i].name);
        if (d < least) {
            least = d;
            nearest = &env->table->options[i];
        }
    }
    if (!nearest) return fail(env, RV_NOT_FOUND, "%s has no options, so no \"%s\"", env->table->name, name);
    return fail(env, RV_NOT_FOUND, "%s has no option \"%s\"; the nearest is \"%s\"", env->table->name, name, nearest->name);
}

static rv_status take_settings(rv_env *env, const rv_env_setting *settings, int setting_count, double *values) {
    for (int i = 0; i < env->table->option_count; i++) values[i] = env->table->options[i].standard;
    for (int i = 0; i < setting_count; i++) {
        if (!settings[i].name) return fail(env, RV_INVALID_ARGUMENT, "setting %d has no name", i);
        int index = option_index(env->table, settings[i].name);
        if (index < 0) return unknown_option(env, settings[i].name);
        const rv_env_option *option = &env->table->options[index];
        double value = settings[i].value;
        if (!(value >= option->low && value <= option->high)) {
            return fail(env, RV_INVALID_ARGUMENT, "%s: %s is %g, must lie between %g and %g", env->table->name,
                        option->name, value, option->low, option->high);
        }
        if (option->whole && value != floor(value)) {
            return fail(env, RV_INVALID_ARGUMENT, "%s: %s is %g, must be a whole number", env->table->name, option->name, value);
        }
        values[index] = value;
    }
    return RV_OK;
}

static rv_status check_table(rv_env *env) {
    const rv_env_table *table = env->table;
    if (table->abi != RV_ENV_ABI || table->size < sizeof(rv_env_table)) {
        return fail(env, RV_INVALID_ARGUMENT, "the environment's table is of ABI %u and size %u, this library knows ABI %d and size %zu",
                    table->abi, table->size, RV_ENV_ABI, sizeof(rv_env_table));
    }
    if (!table->name || !table->create || !table->destroy || !table->spaces || !table->reset || !table->step ||
        !table->state_size || !table->save || !table->load || table->option_count < 0 || table->option_count > MAX_OPTIONS) {
        return fail(env, RV_INVALID_ARGUMENT, "the environment's table lacks a name or a function, or has over %d options", MAX_OPTIONS);
    }
    return RV_OK;
}

static rv_status check_spaces(rv_env *env) {
    const rv_env_spaces *s = &env->spaces;
    const int64_t limit = 1 << 24;
    if (s->observation_size < 1 || s->observation_size > limit || s->action_size < 1 || s->action_size > limit ||
        !s->observation_low || !s->observation_high || !s->action_low || !s->action_high) {
        return fail(env, RV_INVALID_ARGUMENT, "%s: sizes must lie between 1 and %lld, and bounds be there", env->table->name,
                    (long long)limit);
    }
    if (env->count > INT64_MAX / 16 / s->observation_size || env->count > INT64_MAX / 16 / s->action_size) {
        return fail(env, RV_TOO_LARGE, "%s: %lld environments are too many", env->table->name, (long long)env->count);
    }
    for (int64_t a = 0; a < s->action_size; a++) {
        if (!isfinite(s->action_low[a]) || !isfinite(s->action_high[a]) || s->action_low[a] > s->action_high[a]) {
            return fail(env, RV_INVALID_ARGUMENT, "%s: the bounds of action %lld are not a range", env->table->name, (long long)a);
        }
        if (s->action_choices != 0 && (s->action_low[a] != 0.0f || s->action_high[a] != (float)(s->action_choices - 1))) {
            return fail(env, RV_INVALID_ARGUMENT, "%s: of %lld choices, action %lld must lie between 0 and %lld", env->table->name,
                        (long long)s->action_choices, (long long)a, (long long)s->action_choices - 1);
        }
    }
    return RV_OK;
}

static bool allocate_buffers(rv_env *env) {
    size_t count = (size_t)env->count;
    env->action = calloc(count, (size_t)env->spaces.action_size * sizeof(float));
    env->next_observation = calloc(count, (size_t)env->spaces.observation_size * sizeof(float));
    env->reward = calloc(count, sizeof(float));
    env->terminated = calloc(count, 3);
    if (!env->action || !env->next_observation || !env->reward || !env->terminated) return false;
    env->truncated = env->terminated + count;
    env->ended = env->truncated + count;
    return true;
}

static rv_status take_spaces(rv_env *env) {
    env->spaces.size = sizeof env->spaces;
    env->table->spaces(env->state, &env->spaces);
    env->spaces.size = sizeof env->spaces;
    rv_status status = check_spaces(env);
    if (status == RV_OK && !allocate_buffers(env)) {
        status = fail(env, RV_OUT_OF_MEMORY, "no memory for %lld environments", (long long)env->count);
    }
    return status;
}

static rv_env *allocate(const rv_env_table *table, int64_t count) {
    rv_env *env = calloc(1, sizeof *env);
    if (env) {
        env->table = table;
        env->count = count;
    }
    return env;
}

static rv_status create(rv_env *env, const rv_env_setting *settings, int setting_count) {
    double values[MAX_OPTIONS];
    rv_status status = check_table(env);
    if (status == RV_OK) status = take_settings(env, settings, setting_count, values);
    if (status != RV_OK) return status;
    if (env->count < 1) return fail(env, RV_INVALID_ARGUMENT, "%lld environments: at least 1 is needed", (long long)env->count);
    if (env->count > INT32_MAX) return fail(env, RV_TOO_LARGE, "%lld environments are too many", (long long)env->count);
    if (env->table->create(values, env->count, &env->state) != 0) {
        env->state = NULL;
        return fail(env, RV_OUT_OF_MEMORY, "no memory for %lld environments %s", (long long)env->count, env->table->name);
    }
    env->identity = hash(hash_start, env->table->name, strlen(env->table->name));
    env->identity = hash(env->identity, &env->count, sizeof env->count);
    env->identity = hash(env->identity, values, (size_t)env->table->option_count * sizeof *values);
    return take_spaces(env);
}

rv_status rv_env_wrap(rv_env **env, const rv_env_table *table, void *state, const double *parameters, int parameter_count) {
    rv_env *inner = *env, *outer = allocate(table, inner->count);
    if (!outer) return fail(inner, RV_OUT_OF_MEMORY, "no memory for %s", table->name);
    outer->state = state;
    outer->inner = inner;
    outer->identity = hash(hash(inner->identity, table->name, strlen(table->name)), parameters, (size_t)parameter_count * sizeof *parameters);
    rv_status status = take_spaces(outer);
    if (status != RV_OK) {
        fail(inner, status, "%s", outer->message);
        outer->state = NULL;
        outer->inner = NULL;
        rv_env_destroy(outer);
        return status;
    }
    *env = outer;
    return RV_OK;
}

rv_status rv_env_create_from(const rv_env_table *table, int64_t count, const rv_env_setting *settings,
                             int setting_count, rv_env **env) {
    if (!env) return RV_INVALID_ARGUMENT;
    *env = allocate(table, count);
    if (!*env) return RV_OUT_OF_MEMORY;
    if (!table) return fail(*env, RV_INVALID_ARGUMENT, "no table given");
    return create(*env, settings, settings ? setting_count : 0);
}

static rv_status create_from_plugin(rv_env *env, const char *path, const rv_env_setting *settings, int setting_count) {
    rv_status status = rv_env_plugin_open(path, &env->plugin);
    if (status != RV_OK) return fail(env, status, "%s", rv_env_plugin_message(env->plugin));
    env->table = rv_env_plugin_table(env->plugin);
    return create(env, settings, setting_count);
}

rv_status rv_env_create(const char *name, int64_t count, const rv_env_setting *settings, int setting_count,
                        rv_env **env) {
    if (!env) return RV_INVALID_ARGUMENT;
    const rv_env_table *table = rv_env_find(name);
    if (table) return rv_env_create_from(table, count, settings, setting_count, env);
    *env = allocate(NULL, count);
    if (!*env) return RV_OUT_OF_MEMORY;
    if (name && strchr(name, '/')) return create_from_plugin(*env, name, settings, settings ? setting_count : 0);
    const size_t length = name ? strlen(name) : 0;
    if (length > 3 && strcmp(name + length - 3, ".so") == 0) {
        return fail(*env, RV_NOT_FOUND, "no environment \"%.64s\"; a plugin in the current folder is ./%.64s", name, name);
    }
    const rv_env_table *nearest = tables[0];
    for (int i = 1; name && i < TABLE_COUNT; i++) {
        if (distance(name, tables[i]->name) < distance(name, nearest->name)) nearest = tables[i];
    }
    return fail(*env, RV_NOT_FOUND, "no environment \"%.64s\"; the nearest is \"%s\"", name ? name : "", nearest->name);
}

void rv_env_destroy(rv_env *env) {
    if (!env) return;
    if (env->state) env->table->destroy(env->state);
    rv_env_destroy(env->inner);
    rv_env_plugin_close(env->plugin);
    free(env->action);
    free(env->next_observation);
    free(env->reward);
    free(env->terminated);
    free(env);
}

const char *rv_env_message(const rv_env *env) { return env ? env->message : "out of memory"; }
const rv_env_table *rv_env_table_of(const rv_env *env) { return env->table; }
int64_t rv_env_count(const rv_env *env) { return env->count; }

static rv_status check_made(rv_env *env) {
    return env->terminated ? RV_OK : fail(env, RV_WRONG_STATE, "the environment was not made");
}

rv_status rv_env_spaces_get(const rv_env *env, rv_env_spaces *out) {
    size_t size = out->size;
    if (!env->terminated) return RV_WRONG_STATE;
    if (size == 0 || size > sizeof env->spaces) return RV_INVALID_ARGUMENT;
    memcpy(out, &env->spaces, size);
    out->size = size;
    return RV_OK;
}

/* ---- reset and step --------------------------------------------------------------------------------- */

rv_status rv_env_reset(rv_env *env, uint64_t seed, float *observation) {
    rv_status status = check_made(env);
    if (status != RV_OK) return status;
    uint64_t *seeds = calloc((size_t)env->count, sizeof *seeds);
    if (!seeds) return fail(env, RV_OUT_OF_MEMORY, "no memory for seeds");
    for (int64_t i = 0; i < env->count; i++) seeds[i] = seed + (uint64_t)i;
    status = rv_env_reset_some(env, NULL, seeds, observation);
    free(seeds);
    return status;
}

rv_status rv_env_reset_some(rv_env *env, const uint8_t *mask, const uint64_t *seeds, float *observation) {
    rv_status status = check_made(env);
    if (status != RV_OK) return status;
    if (!observation) return fail(env, RV_INVALID_ARGUMENT, "reset: no observation to write to");
    if (!env->running && (mask || !seeds)) {
        return fail(env, RV_WRONG_STATE, "reset: the first one must be of all environments and name their seeds");
    }
    env->table->reset(env->state, mask, seeds, observation);
    env->running = true;
    return RV_OK;
}

/* Whether all rows of one column lie within bounds (which a NaN does not) and are whole where they must be. */
static inline bool column_fits(const float *action, int64_t rows, int64_t stride, float low, float high, bool whole) {
    int outside = 0;
    for (int64_t i = 0; i < rows; i++) outside |= !(action[i * stride] >= low) | !(action[i * stride] <= high);
    for (int64_t i = 0; whole && i < rows; i++) outside |= action[i * stride] != floorf(action[i * stride]);
    return !outside;
}

static bool actions_fit(const rv_env *env, const float *action) {
    const rv_env_spaces *s = &env->spaces;
    const bool whole = s->action_choices != 0;
    if (s->action_size == 1) return column_fits(action, env->count, 1, *s->action_low, *s->action_high, whole); /* fast */
    for (int64_t a = 0; a < s->action_size; a++) {
        if (!column_fits(action + a, env->count, s->action_size, s->action_low[a], s->action_high[a], whole)) return false;
    }
    return true;
}

/* Clips the actions into env->action. */
static rv_status clip_actions(rv_env *env, const float *action) {
    const int64_t size = env->spaces.action_size;
    for (int64_t a = 0; a < size; a++) {
        const float low = env->spaces.action_low[a], high = env->spaces.action_high[a];
        for (int64_t i = a; i < env->count * size; i += size) {
            float value = action[i];
            if (!isfinite(value)) {
                return fail(env, RV_NON_FINITE, "action %lld of environment %lld is %f", (long long)a, (long long)(i / size), (double)value);
            }
            if (env->spaces.action_choices && value != floorf(value)) {
                return fail(env, RV_INVALID_ARGUMENT, "action %lld of environment %lld is %g, must be a whole number",
                            (long long)a, (long long)(i / size), (double)value);
            }
            env->action[i] = value < low ? low : value > high ? high : value;
        }
    }
    return RV_OK;
}

static bool any_ended(int64_t count, const uint8_t *terminated, const uint8_t *truncated, uint8_t *restrict ended) {
    uint8_t any = 0;
    for (int64_t i = 0; i < count; i++) any |= terminated[i] | truncated[i];
    for (int64_t i = 0; any && i < count; i++) ended[i] = (terminated[i] | truncated[i]) != 0;
    return any != 0;
}

rv_status rv_env_step(rv_env *env, const float *action, rv_env_result *result) {
    rv_status status = check_made(env);
    if (status != RV_OK) return status;
    if (!env->running) return fail(env, RV_WRONG_STATE, "step: reset comes first");
    if (!action || !result) return fail(env, RV_INVALID_ARGUMENT, "step: no action or no result given");
    if (!actions_fit(env, action)) {
        status = clip_actions(env, action);
        if (status != RV_OK) return status;
        action = env->action;
    }

    float *observation = result->observation ? result->observation : env->next_observation;
    float *next = result->next_observation ? result->next_observation : observation; /* nobody wants the two apart */
    float *reward = result->reward ? result->reward : env->reward;
    uint8_t *terminated = result->terminated ? result->terminated : env->terminated;
    uint8_t *truncated = result->truncated ? result->truncated : env->truncated;
    env->table->step(env->state, action, next, reward, terminated, truncated);

    if (observation != next) {
        memcpy(observation, next, (size_t)env->count * (size_t)env->spaces.observation_size * sizeof(float));
    }
    if (any_ended(env->count, terminated, truncated, env->ended)) env->table->reset(env->state, env->ended, NULL, observation);
    return RV_OK;
}

rv_status rv_env_scripted(rv_env *env, int64_t rows, const float *observation, float *action) {
    rv_status status = check_made(env);
    if (status != RV_OK) return status;
    if (!env->table->scripted) return fail(env, RV_UNSUPPORTED, "%s has no scripted policy", env->table->name);
    const int64_t size = env->spaces.action_size;
    env->table->scripted(env->state, rows, observation, action);
    for (int64_t i = 0; i < rows * size; i++) {
        action[i] = fminf(fmaxf(action[i], env->spaces.action_low[i % size]), env->spaces.action_high[i % size]);
    }
    return RV_OK;
}

/* ---- saved state ------------------------------------------------------------------------------------ */

typedef struct state_header {
    uint64_t identity, size, checksum;
} state_header;

size_t rv_env_state_size(const rv_env *env) {
    return env->terminated ? sizeof(state_header) + env->table->state_size(env->state) : 0;
}

rv_status rv_env_save(rv_env *env, void *bytes, size_t size) {
    rv_status status = check_made(env);
    if (status != RV_OK) return status;
    if (!env->running) return fail(env, RV_WRONG_STATE, "save: reset comes first");
    if (!bytes || size != rv_env_state_size(env)) {
        return fail(env, RV_INVALID_ARGUMENT, "save: the state takes %zu bytes, %zu given", rv_env_state_size(env), size);
    }
    uint8_t *body = (uint8_t *)bytes + sizeof(state_header);
    env->table->save(env->state, body);
    state_header header = {env->identity, size, hash(hash_start, body, size - sizeof header)};
    memcpy(bytes, &header, sizeof header);
    return RV_OK;
}

rv_status rv_env_load(rv_env *env, const void *bytes, size_t size, float *observation) {
    rv_status status = check_made(env);
    if (status != RV_OK) return status;
    if (!bytes || size != rv_env_state_size(env)) {
        return fail(env, RV_INVALID_ARGUMENT, "load: the state takes %zu bytes, %zu given", rv_env_state_size(env), size);
    }
    const uint8_t *body = (const uint8_t *)bytes + sizeof(state_header);
    state_header header;
    memcpy(&header, bytes, sizeof header);
    if (header.identity != env->identity || header.size != size) {
        return fail(env, RV_BAD_FILE, "load: the bytes are not a state of %lld environments %s with these options",
                    (long long)env->count, env->table->name);
    }
    if (header.checksum != hash(hash_start, body, size - sizeof header)) {
        return fail(env, RV_BAD_FILE, "load: the state is damaged");
    }
    if (env->table->load(env->state, body, observation ? observation : env->next_observation) != 0) {
        return fail(env, RV_BAD_FILE, "load: %s refused the state", env->table->name);
    }
    env->running = true;
    return RV_OK;
}
