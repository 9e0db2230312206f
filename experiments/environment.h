/* experiments/environment.h: the environment that a job's settings name, wrapped as they say. */
#ifndef EXPERIMENTS_ENVIRONMENT_H
#define EXPERIMENTS_ENVIRONMENT_H

#include "experiments/options.h"
#include "reverie/env.h"

typedef struct environment_settings {
    const char *name;
    int64_t time_limit, action_repeat, frame_stack; /* 0, 1, 1: none */
    double reward_scale;                            /* 1: none */
} environment_settings;

/* `count` of them with the options in `extras`, to which the standard values of the others are added. Prints what is
 * wrong, with where the option was written; an exit code. *env may have to be destroyed whatever that is. */
int environment_make(const environment_settings *settings, option_extras *extras, int64_t count, rv_env **env);

/* Every environment with its options, for a job's help. */
void environment_print_all(void);

#endif
