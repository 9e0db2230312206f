/* envs/internal.h: a batch of environments, and how one is put round another. */
#ifndef RV_ENVS_INTERNAL_H
#define RV_ENVS_INTERNAL_H

#include <stdbool.h>

#include "reverie/env.h"

struct rv_env {
    const rv_env_table *table;
    void *state;
    int64_t count;
    rv_env_spaces spaces;
    uint64_t identity;       /* hash of name, count and options: whose bytes a saved state is */
    bool running;            /* was reset or loaded */
    float *action;           /* [count, action_size], clipped */
    float *next_observation; /* where the caller does not want them */
    float *reward;
    uint8_t *terminated, *truncated, *ended;
    rv_env *inner;           /* of a wrapped environment: the one inside, its own */
    struct rv_env_plugin *plugin; /* that the table comes from, where this environment opened it */
    char message[512];
};

/* Keeps a message in the environment and returns the status. */
rv_status rv_env_fail(rv_env *env, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

/* Makes *env an environment of this table and state with the old *env inside, which it owns from then on; the
 * parameters are part of what a saved state belongs to. On failure *env stays as it was, but for its message. */
rv_status rv_env_wrap(rv_env **env, const rv_env_table *table, void *state, const double *parameters, int parameter_count);

#endif
