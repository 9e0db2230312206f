/* experiments/world_model_job.h: the parts of `reverie train world_model` and `reverie train rssm`, and of what is done
 * with their runs. */
#ifndef EXPERIMENTS_WORLD_MODEL_JOB_H
#define EXPERIMENTS_WORLD_MODEL_JOB_H

#include "experiments/figures.h"
#include "experiments/progress.h"
#include "experiments/run_options.h"
#include "experiments/run_record.h"
#include "reverie/collect.h"
#include "reverie/evaluate.h"
#include "reverie/sequence_trainer.h"

/* Of a sequence model. */
typedef struct sequence_settings {
    int model, latent, core, reward; /* names of them; 0 of the last three: as the model has it */
    sequence_sizes sizes;
    bool symlog;
    double free_nats, dyn, rep, reconstruction, reward_scale, continue_scale;
    bool free_mean;
    int optimiser;
    int64_t context;
} sequence_settings;

typedef struct world_model_settings {
    int what, config;
    int64_t seed;
    const char *device, *out;
    bool fresh, dry_run, data_save;
    int progress;
    environment_settings env;
    const char *data_file; /* NULL: collect */
    int64_t data_steps, data_episodes, data_environments;
    int data_policy;
    double data_noise, validation;
    vae_settings vae;
    sequence_settings sequence;
    bool calibrated, learning_rate_decay;
    int64_t train_steps, batch, window, kl_warmup, learning_rate_warmup, patience;
    double learning_rate, clip, kl_weight, weight_decay, prediction_weight;
    int64_t eval_episodes, eval_steps, eval_horizon;
    double eval_noise;
    int64_t log_every;
    double save_seconds;
} world_model_settings;

/* Option lines of every world model. */
#define DATA_OPTIONS(S)                                                                                               \
    OPTION_TEXT(S, data_file, "data.file", NULL, "an NPZ file of transitions to train on, instead of collecting"),    \
        OPTION_FLAG(S, data_save, "data.save", "false", "keep what is trained on as data.npz in the run folder"),     \
        OPTION_WHOLE(S, data_steps, "data.steps", "40000", 1, 1e9, "steps to collect"),                               \
        OPTION_WHOLE(S, data_episodes, "data.episodes", "0", 0, 1e9, "episodes to collect at least"),                 \
        OPTION_WHOLE(S, data_environments, "data.environments", "8", 1, 65536, "environments at once"),               \
        OPTION_CHOICE(S, data_policy, "data.policy", "mixed", "random scripted mixed", "how to act"),                 \
        OPTION_NUMBER(S, data_noise, "data.noise", "0.3", 0, 10,                                                      \
                      "noise of the scripted policy, as a share of half the action's range"),                         \
        OPTION_NUMBER(S, validation, "data.validation", "0.1", 0, 0.9,                                                \
                      "share of the data that is not trained on but validates")
#define HELD_OUT_OPTIONS(S)                                                                                           \
    OPTION_WHOLE(S, patience, "train.patience", "0", 0, 1e9,                                                          \
                 "lines of metrics without a lower validation loss until it stops; 0: never"),                        \
        OPTION_WHOLE(S, eval_episodes, "eval.episodes", "8", 1, 65536,                                                \
                     "held-out episodes, of the scripted policy where there is one"),                                 \
        OPTION_WHOLE(S, eval_steps, "eval.steps", "250", 1, 1e6, "steps of each"),                                    \
        OPTION_WHOLE(S, eval_horizon, "eval.horizon", "50", 1, 10000, "steps to predict open loop"),                  \
        OPTION_NUMBER(S, eval_noise, "eval.noise", "0.3", 0, 10, "noise of the policy there")

/* Keys that change nothing in what a run computes: a run goes on although they differ. (The device is compared as it
 * was resolved.) */
#define WORLD_MODEL_PASSING RUN_PASSING " data.save"

typedef struct world_model_job world_model_job;

/* What one kind of world model differs in from another. Those that return int are exit codes and print what is wrong;
 * messages of the others are the model's. */
typedef struct world_model_kind {
    const char *name, *title, *text; /* the job; what it trains; what it does, for its help */
    const option_schema *schema;
    int (*make_model)(world_model_job *job, const rv_transitions *data);
    int (*make_trainer)(world_model_job *job, const rv_transitions *data, const rv_transitions *validation);
    int (*finish)(world_model_job *job);             /* after training; NULL: nothing */
    rv_status (*checkpoint)(world_model_job *job);   /* adds the model without its trainer */
    rv_params *(*params)(world_model_job *job);
    rv_status (*evaluate)(world_model_job *job, const rv_transitions *train, const rv_dataset *held_out,
                          const rv_evaluate_options *options, rv_evaluation **evaluation);
    int (*points)(world_model_job *job, figure_points *points); /* latents of the held-out data; NULL: none */
} world_model_kind;

extern const world_model_kind vae_kind, sequence_kind;
extern const option_schema world_model_schema, sequence_schema;

/* Everything that one run makes; all zero but its kind before, and released as a whole. */
struct world_model_job {
    const world_model_kind *kind;
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
    rv_world_model *model; /* one of these two */
    rv_sequence_model *sequence;
    rv_trainer *trainer;
    rv_checkpoint *checkpoint;
    rv_evaluation *evaluation;
    history history;
    int64_t base; /* updates before this process */
    bool interrupted;
    double begun, collect_seconds, train_seconds, evaluate_seconds, plot_seconds; /* begun: on the clock */
    double saved;                                                                 /* when the checkpoint was written */
};

void world_model_release(world_model_job *job);

int train_world_model(const world_model_kind *kind, const char *file, int argc, char **argv);
run_config world_model_run_config(const world_model_job *job);

/* ---- set up: world_model_setup.c. Exit codes, having printed what is wrong. ---- */

int world_model_make_envs(world_model_job *job); /* and fills env_options with the standard values */
int world_model_make_env(world_model_job *job, int64_t count, rv_env **env);
int world_model_collect(world_model_job *job);   /* data, validation and held_out, and their hash */

/* As many episodes of the policy of evaluation, of at most so many steps, into a new dataset. */
int world_model_collect_episodes(world_model_job *job, rv_env *env, int64_t episodes, int64_t steps, uint64_t seed,
                                 rv_dataset **data);
int world_model_load_data(world_model_job *job); /* data.file, where there is one */
int world_model_save_data(world_model_job *job); /* as data.npz, where it is asked for */
int world_model_make_trained(world_model_job *job); /* model and trainer, on the data */
int world_model_make_checkpoint(world_model_job *job);
int world_model_evaluate(world_model_job *job, const rv_dataset *held_out, const rv_evaluate_options *options,
                         rv_evaluation **evaluation);

/* Makes everything that a run's folder describes, with its weights, for a command that uses it, of whatever kind; a
 * device that the settings name already wins over the run's. */
int world_model_open_run(world_model_job *job, const char *folder);

int world_model_dry_run(world_model_job *job);

/* ---- going on: world_model_resume.c ---- */

int world_model_resume(world_model_job *job);       /* weights, counters and metrics of the last checkpoint, if any */
int64_t world_model_updates(const world_model_job *job);

/* ---- report: world_model_report.c ---- */

void world_model_print_evaluation(const world_model_job *job, const rv_evaluation *evaluation);
int world_model_write_summary(world_model_job *job);
int world_model_plot(const char *folder, const figure_text *text, const history *history,
                     const rv_evaluation *evaluation, const figure_points *points);
int world_model_write_figures(world_model_job *job); /* evaluation.json, and the plots from it */

#endif
