/* experiments/jobs.h: what can be trained. */
#ifndef EXPERIMENTS_JOBS_H
#define EXPERIMENTS_JOBS_H

#include "experiments/agent_job.h"
#include "experiments/world_model_job.h"

typedef struct job {
    const char *name, *text;
    const option_schema *schema;
    const world_model_kind *model; /* one of both */
    const agent_kind *agent;
} job;

/* The first is what a file without `job` means. */
const job *job_list(int *count);
const job *job_find(const char *name); /* NULL: there is none */

/* A job's settings, of whichever kind. */
typedef union job_settings {
    world_model_settings world_model;
    agent_settings agent;
} job_settings;

#endif
