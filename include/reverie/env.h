/* reverie/env.h: environments, many at once.
 *
 *     rv_env *env;
 *     rv_env_setting settings[] = {{"force", 10.0}, {"max_steps", 500}};
 *     rv_env_create("continuous_cartpole", 64, settings, 2, &env);
 *     rv_env_reset(env, seed, observation);                    // environment i by seed + i
 *     for (;;) {
 *         act(observation, action);                            // yours
 *         rv_env_step(env, action, &result);                   // all 64
 *     }
 *     rv_env_destroy(env);
 *
 * Episodes restart by themselves, within the step that ends one: `result.next_observation` is
 * where the step led, also at an episode's end, and `result.observation` is what to act on next.
 * The two differ only where an episode ended.
 *
 * An environment is one table of functions (rv_env_table) over a batch of `count` equal
 * environments: physics and nothing else. The library owns restarts, checks options and actions,
 * and holds the batch together. All rows are row-major: [count, size].
 *
 * An rv_env belongs to one thread at a time.
 */
#ifndef REVERIE_ENV_H
#define REVERIE_ENV_H

#include "reverie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what an environment is --------------------------------------------------------------- */

#define RV_ENV_ABI 1

/* What goes in and out. All pointers belong to the environment and live as long as it does. */
typedef struct rv_env_spaces {
    size_t size;                               /* sizeof(rv_env_spaces), set by the caller */
    int64_t observation_size;                  /* columns, at least 1 */
    const float *observation_low;              /* bounds per column, infinite where there are none */
    const float *observation_high;
    const char *const *observation_names;
    int64_t action_size;                       /* columns, at least 1 */
    int64_t action_choices;                    /* 0: continuous; n: whole numbers 0 .. n - 1 */
    const float *action_low, *action_high;     /* finite; actions are clipped to them */
    const char *const *action_names;
    double step_seconds;                       /* of simulated time; 0: none */
} rv_env_spaces;

/* An option of an environment: "force", 10, between 0.1 and 100. Whole numbers where `whole` is 1. */
typedef struct rv_env_option {
    const char *name;
    double standard, low, high;
    int whole;
    const char *text; /* what it is, with its unit */
} rv_env_option;

/* One environment. Functions that answer int give 0, or anything else when out of memory or given bytes
 * that no save wrote. `state` is the environment's own: `count` environments, each with its random state. */
typedef struct rv_env_table {
    uint32_t abi;  /* RV_ENV_ABI */
    uint32_t size; /* sizeof(rv_env_table) */
    const char *name, *text;
    const rv_env_option *options;
    int option_count;

    /* `options` holds one checked value for each of the table's options, in its order. */
    int (*create)(const double *options, int64_t count, void **state);
    void (*destroy)(void *state);
    void (*spaces)(const void *state, rv_env_spaces *spaces);

    /* Begins an episode in each environment i with mask[i] != 0 (mask NULL: in all), with random state
     * from seed[i] (seed NULL: goes on with the one it has), and writes those rows of the observation. */
    void (*reset)(void *state, const uint8_t *mask, const uint64_t *seed, float *observation);

    /* Steps every environment; actions are finite and within bounds. Writes where it led, the reward, and
     * apart from each other whether the episode ended for good (terminated) or was cut short (truncated), as 0 or 1.
     * An environment that ended may be stepped on before its reset (by rv_env_wrap_action_repeat); what it then
     * gives is thrown away. */
    void (*step)(void *state, const float *action, float *next_observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated);

    /* All that a later step depends on, as bytes; load also writes the observations. */
    size_t (*state_size)(const void *state);
    void (*save)(const void *state, void *bytes);
    int (*load)(void *state, const void *bytes, float *observation);

    /* Optional: a policy written by hand that keeps an episode going; rows of actions from rows of
     * observations. Actions may lie out of bounds. */
    void (*scripted)(const void *state, int64_t rows, const float *observation, float *action);
} rv_env_table;

/* ---- the environments that are built in ----------------------------------------------------- */

/* Fills up to `capacity` entries and returns how many there are. */
RV_API int rv_env_list(const rv_env_table **list, int capacity);

/* The one of that name, or NULL. */
RV_API const rv_env_table *rv_env_find(const char *name);

/* ---- a batch of environments ---------------------------------------------------------------- */

typedef struct rv_env rv_env;

typedef struct rv_env_setting {
    const char *name;
    double value;
} rv_env_setting;

/* Makes `count` environments of that name, or of a table of your own, which must live on. A name that holds a '/' is
 * the path of a plugin (reverie/plugin.h, with its errors). Options not named take their standard value.
 * On failure *env still is an object that holds the message and must be destroyed.
 * Errors: NOT_FOUND (the name, or an option; the message names the nearest), INVALID_ARGUMENT (a value out of
 * range, count below 1, a table of another ABI), TOO_LARGE, OUT_OF_MEMORY. */
RV_API rv_status rv_env_create(const char *name, int64_t count, const rv_env_setting *settings, int setting_count,
                               rv_env **env);
RV_API rv_status rv_env_create_from(const rv_env_table *table, int64_t count, const rv_env_setting *settings,
                                    int setting_count, rv_env **env);
RV_API void rv_env_destroy(rv_env *env); /* NULL is fine */

RV_API const char *rv_env_message(const rv_env *env);
RV_API const rv_env_table *rv_env_table_of(const rv_env *env);
RV_API int64_t rv_env_count(const rv_env *env);
RV_API rv_status rv_env_spaces_get(const rv_env *env, rv_env_spaces *spaces);

/* Begins an episode everywhere: environment i draws from seed + i on. observation [count, observation_size]. */
RV_API rv_status rv_env_reset(rv_env *env, uint64_t seed, float *observation);

/* Begins an episode where mask[i] != 0, from seeds[i], or from the random state as it is where seeds is NULL;
 * the other rows of the observation stay as they are. mask NULL: everywhere. */
RV_API rv_status rv_env_reset_some(rv_env *env, const uint8_t *mask, const uint64_t *seeds, float *observation);

/* Where one step led. NULL where something is not wanted. */
typedef struct rv_env_result {
    float *observation;      /* [count, observation_size]: what to act on next */
    float *next_observation; /* [count, observation_size]: where the step led */
    float *reward;           /* [count] */
    uint8_t *terminated;     /* [count]: ended for good; value beyond is 0 */
    uint8_t *truncated;      /* [count]: cut short, by a time limit for one; both may be set */
} rv_env_result;

/* Steps every environment with action [count, action_size], clipped to the bounds, and begins a new episode
 * where one ended. Errors: NON_FINITE (an action; nothing moved), WRONG_STATE (never reset). */
RV_API rv_status rv_env_step(rv_env *env, const float *action, rv_env_result *result);

/* The whole state as bytes; after a load every later step equals the one after the save.
 * load's observation [count, observation_size] may be NULL.
 * Errors: INVALID_ARGUMENT (size), BAD_FILE (bytes of another environment, or damaged), WRONG_STATE. */
RV_API size_t rv_env_state_size(const rv_env *env);
RV_API rv_status rv_env_save(rv_env *env, void *bytes, size_t size);
RV_API rv_status rv_env_load(rv_env *env, const void *bytes, size_t size, float *observation);

/* The scripted policy's actions, clipped, for rows of observations. Errors: UNSUPPORTED where there is none. */
RV_API rv_status rv_env_scripted(rv_env *env, int64_t rows, const float *observation, float *action);

/* ---- for authors: a small explicit random state, one for each environment ------------------- */

/* splitmix64 (Steele, Lea and Flood, 2014). Neighbouring seeds give unrelated sequences. */
static inline uint64_t rv_env_random_bits(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static inline uint64_t rv_env_random_seed(uint64_t seed) {
    uint64_t state = seed;
    return rv_env_random_bits(&state);
}
/* Uniform in [low, high), 53 bits. */
static inline double rv_env_random_uniform(uint64_t *state, double low, double high) {
    return low + (high - low) * ((double)(rv_env_random_bits(state) >> 11) * 0x1p-53);
}

#ifdef __cplusplus
}
#endif
#endif
