/* experiments/world_model_job.h: the parts of `reverie train world_model`. */
#ifndef EXPERIMENTS_WORLD_MODEL_JOB_H
#define EXPERIMENTS_WORLD_MODEL_JOB_H

#include "experiments/figures.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "experiments/run_folder.h"
#include "reverie/collect.h"
#include "reverie/evaluate.h"
#include "reverie/trainer.h"

typedef struct world_model_settings {
    int64_t seed;
    const char *device, *out, *env;
    bool fresh;
    int progress;
    int64_t data_steps, data_episodes, data_environments;
    int data_policy;
    double data_noise;
    int64_t latent;
    option_sizes vae_hidden, dynamics_hidden, reward_hidden;
    bool deterministic, absolute;
    int64_t train_steps, batch, kl_warmup;
    double learning_rate, clip, kl_weight, weight_decay;
    int64_t eval_episodes, eval_steps, eval_horizon;
    double eval_noise;
    int64_t log_every;
} world_model_settings;

extern const option world_model_options[];
extern const int world_model_option_count;

/* Everything that one run makes; all zero before, and released as a whole. */
typedef struct world_model_job {
    world_model_settings settings;
    option_extras env_options;
    run_folder run;
    rv_device *device;
    rv_env *env, *held_out_env;
    rv_env_spaces spaces;
    rv_dataset *data, *held_out;
    rv_world_model *model;
    rv_trainer *trainer;
    rv_checkpoint *checkpoint;
    rv_evaluation *evaluation;
    history history;
    bool interrupted;
    double begun, collect_seconds, train_seconds, evaluate_seconds, plot_seconds; /* begun: on the clock */
    double saved;                                                                 /* when the checkpoint was written */
} world_model_job;

/* The settings and the environment's options as a JSON object in one line; free() it. NULL: out of memory. */
char *world_model_config(const world_model_job *job);

/* report.c: the table of results on stdout; summary.json; the plots. Exit codes. */
void world_model_print_results(const world_model_job *job);
int world_model_write_summary(const world_model_job *job);
int world_model_plot(world_model_job *job);

#endif
