/* experiments/run_config.h: the settings of a run, kept in its folder and compared when it goes on. */
#ifndef EXPERIMENTS_RUN_CONFIG_H
#define EXPERIMENTS_RUN_CONFIG_H

#include "experiments/options.h"
#include "experiments/run_folder.h"
#include "reverie/env.h"

/* A job's settings, of whatever kind. */
typedef struct run_config {
    const option_schema *schema;
    const void *settings;
    size_t settings_size;
    const option_origin *origins;
    const option_extras *extras;
    const char *passing; /* keys that change nothing in what is computed: a run goes on although they differ */
    const char *once;    /* keys that hold for one command: config.yaml leaves them out */
} run_config;

/* Writes config.yaml where the run is new, with the device's name in its first line; else refuses another config than
 * the run's. Prints what is wrong; an exit code. */
int run_config_check(const run_folder *run, const run_config *config, const char *device);

/* What changes what is computed, and the environment's options and sizes, as a JSON object in one line; free() it.
 * NULL: out of memory. */
char *run_config_text(const run_config *config, const rv_env_spaces *spaces);

/* A device's name without what leaves the bits alone: "cpu:isa=avx2,threads=2" -> "cpu:isa=avx2". */
void run_config_device(const char *name, char kind[64]);

/* The `job` of a run's config.yaml: "world_model" where it names none. Prints what is wrong; an exit code. */
int run_config_job(const char *folder, char *job, size_t size);

#endif
