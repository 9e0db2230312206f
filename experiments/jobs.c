/* experiments/jobs.c */
#include "experiments/jobs.h"

#include <string.h>

static const job jobs[] = {
    {"world_model", "VAE, latent dynamics and reward model of an environment, from collected data", &world_model_schema,
     &vae_kind, NULL},
    {"rssm", "a world model with a memory: recurrent state-space model, from collected data", &sequence_schema,
     &sequence_kind, NULL},
    {"dreamer", "an agent that learns to act in imagination, on such a world model", &dreamer_schema, NULL,
     &dreamer_kind},
    {"dreamer_v3", "DreamerV3: such an agent on a world model with a memory", &dreamer_v3_schema, NULL,
     &dreamer_v3_kind},
};
enum { JOB_COUNT = sizeof jobs / sizeof *jobs };

const job *job_list(int *count) {
    *count = JOB_COUNT;
    return jobs;
}

const job *job_find(const char *name) {
    for (int i = 0; i < JOB_COUNT; i++) {
        if (strcmp(jobs[i].name, name) == 0) return &jobs[i];
    }
    return NULL;
}
