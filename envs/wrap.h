/* envs/wrap.h: what every wrapper shares: a state that begins with an rv_wrapper, and functions that pass everything on. */
#ifndef RV_ENVS_WRAP_H
#define RV_ENVS_WRAP_H

#include "envs/internal.h"

typedef struct rv_wrapper {
    rv_env_table table;       /* of the environment outside */
    char name[160];
    const rv_env_table *in;   /* of the one inside */
    void *in_state;
    rv_env_spaces spaces;     /* of the one inside */
    int64_t count;
    void (*release)(struct rv_wrapper *wrapper); /* what the wrapper has beyond this struct; or NULL */
    void *own;                /* bytes that belong to the saved state, */
    size_t own_size;          /* or none */
    bool (*valid)(const struct rv_wrapper *wrapper, const void *own); /* whether loaded bytes can be; or NULL */
} rv_wrapper;

/* A zeroed state of `size` bytes that passes everything on to *env, and `own_size` bytes to be saved with it.
 * NULL, with the status and a message in *env, where *env was not made or there is no memory. */
void *rv_wrapper_begin(rv_env **env, const char *name, size_t size, size_t own_size, rv_status *status);

/* Puts the wrapper round *env, or frees it again. */
rv_status rv_wrapper_finish(rv_env **env, rv_wrapper *wrapper, const double *parameters, int parameter_count);

#endif
