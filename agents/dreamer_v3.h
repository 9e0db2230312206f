/* agents/dreamer_v3.h: what an agent is made of, for the files of agents/. */
#ifndef RV_AGENTS_DREAMER_V3_H
#define RV_AGENTS_DREAMER_V3_H

#include "reverie/dreamer_v3.h"

struct rv_dreamer_v3 {
    rv_device *device;
    char message[512];
    rv_dreamer_v3_options options;
    rv_sequence_model *model;
    rv_params *slow_params;
    rv_array *bins; /* [1, bins], or NULL */
    rv_actor actor;
    rv_critic critic, slow;
    rv_return_normaliser *normaliser;
};

/* Keeps "what: why" as the message and returns the status. */
rv_status rv_dreamer_v3_fail(rv_dreamer_v3 *agent, rv_status status, const char *what, const char *why);

#endif
