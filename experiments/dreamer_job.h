/* experiments/dreamer_job.h: the parts of `reverie train dreamer`, and of what is done with its runs. */
#ifndef EXPERIMENTS_DREAMER_JOB_H
#define EXPERIMENTS_DREAMER_JOB_H

#include "experiments/environment.h"
#include "experiments/history.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "experiments/run_config.h"
#include "experiments/run_folder.h"
#include "experiments/tensorboard.h"
#include "reverie/dreamer.h"

typedef struct dreamer_settings {
    int what, config;
    int64_t seed;
    const char *device, *out;
    bool fresh, dry_run;
    int progress;
    environment_settings env;
    int64_t environments, steps, prefill, replay, update_every, updates_each;
    int64_t latent;
    option_sizes vae_hidden, dynamics_hidden, reward_hidden, continue_hidden, actor_hidden, critic_hidden;
    bool linear_path, continues, normalise_reward, deterministic, absolute, normed, learning_rate_decay;
    int64_t batch, window;
    double prediction_weight, kl_weight, learning_rate, clip;
    int64_t trajectories, horizon;
    bool draw_latents, normalise_returns;
    double gamma, lambda;
    int gradient;
    double entropy, actor_rate, actor_clip;
    int64_t critic_bins;
    double critic_rate, critic_clip, slow_rate;
    int64_t eval_episodes;
    bool eval_drawn;
    int64_t log_every;
    double save_seconds;
} dreamer_settings;

extern const option_schema dreamer_schema;
extern const char dreamer_once[];

/* Everything that one run makes; all zero before, and released as a whole. */
typedef struct dreamer_job {
    dreamer_settings settings;
    option_list list; /* holds the settings' texts */
    option_origin origins[OPTION_MAX];
    option_extras env_options;
    run_folder run;
    tensorboard *events;
    rv_device *device;
    rv_env *env;
    rv_env_spaces spaces;
    rv_agent *dreamer;
    rv_checkpoint *checkpoint;
    history history;
    bool interrupted;
    double begun, train_seconds, evaluate_seconds;
    double saved; /* when the checkpoint was written */
} dreamer_job;

/* Returns of episodes in fresh environments. */
typedef struct dreamer_returns {
    int64_t count;
    double *value; /* [count] */
    double mean, deviation, low, high; /* of a sample (n - 1); 95 % confidence interval of the mean */
} dreamer_returns;

int train_dreamer(const char *file, int argc, char **argv);
void dreamer_release(dreamer_job *job);

/* ---- settings: dreamer_settings.c ---- */

int dreamer_read_settings(dreamer_job *job, const char *file, int argc, char **argv);
run_config dreamer_run_config(const dreamer_job *job);
rv_dreamer_options dreamer_options(const dreamer_settings *settings);

/* ---- set up: dreamer_setup.c. Exit codes, having printed what is wrong. ---- */

int dreamer_make_env(dreamer_job *job); /* and fills env_options with the standard values */
int dreamer_make(dreamer_job *job);     /* the dreamer, and the checkpoint that describes it */
int dreamer_load(dreamer_job *job, const char *path);
int dreamer_dry_run(dreamer_job *job);

/* Makes everything that a run's folder describes, with its weights, for a command that uses it; `device` wins over the
 * run's where it is not NULL. */
int dreamer_open_run(dreamer_job *job, const char *folder, const char *device);

/* ---- report: dreamer_report.c ---- */

/* Acts so many episodes, one in each of as many fresh environments; the seeds are never training's. */
int dreamer_evaluate(dreamer_job *job, int64_t episodes, int64_t seed, bool drawn, dreamer_returns *returns);
void dreamer_print_returns(const dreamer_returns *returns);
int dreamer_write_summary(dreamer_job *job, const dreamer_returns *returns);

/* The learning curve, from the run's metrics alone; `returns` may be NULL. */
int dreamer_plot(const char *folder, const char *title, const history *history, const dreamer_returns *returns);

/* `reverie eval RUN` of such a run. */
int dreamer_eval(const char *folder, int argc, char **argv);
void dreamer_eval_help(void);

#endif
