/* experiments/world_model_job.h: the parts of `reverie train world_model`, and of what is done with its runs. */
#ifndef EXPERIMENTS_WORLD_MODEL_JOB_H
#define EXPERIMENTS_WORLD_MODEL_JOB_H

#include "experiments/environment.h"
#include "experiments/figures.h"
#include "experiments/history.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "experiments/run_config.h"
#include "experiments/run_folder.h"
#include "experiments/tensorboard.h"
#include "reverie/collect.h"
#include "reverie/evaluate.h"
#include "reverie/trainer.h"

typedef struct world_model_settings {
    int what, config;
    int64_t seed;
    const char *device, *out, *env;
    bool fresh, dry_run, data_save;
    int progress;
    int64_t time_limit, action_repeat, frame_stack;
    double reward_scale;
    const char *data_file; /* NULL: collect */
    int64_t data_steps, data_episodes, data_environments;
    int data_policy;
    double data_noise, validation;
    int64_t latent;
    option_sizes vae_hidden, dynamics_hidden, reward_hidden, continue_hidden;
    bool deterministic, absolute, linear_path, continues, normalise_reward, calibrated, learning_rate_decay;
    int64_t train_steps, batch, window, kl_warmup, learning_rate_warmup, patience;
    double learning_rate, clip, kl_weight, weight_decay, prediction_weight;
    int64_t eval_episodes, eval_steps, eval_horizon;
    double eval_noise;
    int64_t log_every;
    double save_seconds;
} world_model_settings;

extern const option_schema world_model_schema;

/* Keys that change nothing in what a run computes: a run goes on although they differ. (The device is compared as it
 * was resolved.) */
extern const char world_model_passing[];
extern const char world_model_once[]; /* keys that hold for one command: config.yaml leaves them out */

/* Everything that one run makes; all zero before, and released as a whole. */
typedef struct world_model_job {
    world_model_settings settings;
    option_list list; /* holds the settings' texts */
    option_origin origins[OPTION_MAX];
    option_extras env_options;
    run_folder run;
    tensorboard *events;
    rv_device *device;
    rv_env *env, *held_out_env;
    rv_env_spaces spaces;
    rv_dataset *data, *validation, *held_out; /* validation: NULL where none is wanted */
    char data_hash[65];
    rv_world_model *model;
    rv_trainer *trainer;
    rv_checkpoint *checkpoint;
    rv_evaluation *evaluation;
    history history;
    int64_t base; /* updates before this process */
    bool interrupted;
    double begun, collect_seconds, train_seconds, evaluate_seconds, plot_seconds; /* begun: on the clock */
    double saved;                                                                 /* when the checkpoint was written */
} world_model_job;

void world_model_release(world_model_job *job);

/* ---- settings: world_model_settings.c ---- */

/* The file (NULL: none), then the arguments. */
int world_model_read_settings(world_model_job *job, const char *file, int argc, char **argv);

run_config world_model_run_config(const world_model_job *job);
char *world_model_config(const world_model_job *job); /* run_config_text of it */

/* ---- set up: world_model_setup.c. Exit codes, having printed what is wrong. ---- */

int world_model_make_envs(world_model_job *job); /* and fills env_options with the standard values */
int world_model_make_env(world_model_job *job, int64_t count, rv_env **env);
int world_model_collect(world_model_job *job);   /* data, validation and held_out, and their hash */

/* As many episodes of the policy of evaluation, of at most so many steps, into a new dataset. */
int world_model_collect_episodes(world_model_job *job, rv_env *env, int64_t episodes, int64_t steps, uint64_t seed,
                                 rv_dataset **data);
int world_model_load_data(world_model_job *job); /* data.file, where there is one */
int world_model_save_data(world_model_job *job); /* as data.npz, where it is asked for */
int world_model_make_model(world_model_job *job, const rv_transitions *data);
int world_model_make_trainer(world_model_job *job, const rv_transitions *data);
void world_model_device_kind(const world_model_job *job, char kind[64]);
int world_model_make_checkpoint(world_model_job *job);
int world_model_calibrate(world_model_job *job); /* on episodes of its own, collected as the held-out ones */
int world_model_evaluate(world_model_job *job, const rv_dataset *held_out, const rv_evaluate_options *options,
                         rv_evaluation **evaluation);

/* Makes everything that a run's folder describes, with its weights, for a command that uses it; a device that the
 * settings name already wins over the run's. */
int world_model_open_run(world_model_job *job, const char *folder);

int world_model_dry_run(world_model_job *job);

/* ---- going on: world_model_resume.c ---- */

int world_model_check_config(world_model_job *job); /* refuses another config; writes config.yaml where there is none */
int world_model_resume(world_model_job *job);       /* weights, counters and metrics of the last checkpoint, if any */
int64_t world_model_updates(const world_model_job *job);

/* SHA-256 over checkpoint, data, environment states and metrics without times. */
int world_model_state_hash(world_model_job *job, char text[65]);

/* ---- report: world_model_report.c ---- */

void world_model_print_evaluation(const world_model_job *job, const rv_evaluation *evaluation);
int world_model_write_summary(world_model_job *job);
int world_model_plot(const char *folder, const figure_text *text, const history *history,
                     const rv_evaluation *evaluation, const figure_points *points);
int world_model_write_figures(world_model_job *job); /* evaluation.json, and the plots from it */

#endif
