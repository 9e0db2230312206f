/* experiments/agent_job.h: the parts of `reverie train dreamer` and `dreamer_v3`, and of what is done with such runs. */
#ifndef EXPERIMENTS_AGENT_JOB_H
#define EXPERIMENTS_AGENT_JOB_H

#include "experiments/json_out.h"
#include "experiments/progress.h"
#include "experiments/run_options.h"
#include "experiments/run_record.h"
#include "reverie/agent.h"

/* Of a Dreamer on the VAE world model. */
typedef struct dreamer_settings {
    int64_t update_every, updates_each;
    option_sizes actor_hidden, critic_hidden;
    bool normed, learning_rate_decay;
    int64_t window;
    double prediction_weight, kl_weight, learning_rate, clip;
    int64_t trajectories;
    bool draw_latents, normalise_returns;
    double gamma, lambda;
    int gradient;
    double entropy, actor_rate, actor_clip;
    int64_t critic_bins;
    bool symlog_value;
    double critic_rate, critic_clip, slow_rate;
} dreamer_settings;

/* Of DreamerV3. */
typedef struct dreamer_v3_settings {
    int model; /* a size's name; 0: the recipe's */
    sequence_sizes sizes;
    int64_t ratio, length, warmup, decay;
    double learning_rate, return_horizon, lambda, entropy, slow_rate;
    double free_nats, rep, reconstruction, reward;
} dreamer_v3_settings;

typedef struct agent_settings {
    int what, config;
    int64_t seed;
    const char *device, *out;
    bool fresh, dry_run;
    int progress;
    environment_settings env;
    int64_t environments, steps, prefill, replay, batch, horizon;
    vae_settings vae;
    dreamer_settings dreamer;
    dreamer_v3_settings v3;
    int64_t eval_episodes;
    int eval_policy; /* agent_policy */
    double stop_return;
    int64_t log_every;
    double save_seconds;
} agent_settings;

typedef enum agent_policy { POLICY_MEAN, POLICY_SAMPLE } agent_policy;
#define AGENT_POLICIES "mean sample"

/* Option lines of every agent; steps are the simulator's. */
#define AGENT_OPTIONS(least, of_environments, of_steps, of_replay)                                                    \
    OPTION_WHOLE(agent_settings, environments, "train.environments", of_environments, least, 65536,                   \
                 "environments at once"),                                                                             \
        OPTION_WHOLE(agent_settings, steps, "train.steps", of_steps, least, 2e9,                                      \
                     "environment steps, over all of them; each that an action is repeated for counts"),              \
        OPTION_WHOLE(agent_settings, replay, "replay.capacity", of_replay, least, 1e9,                                \
                     "actions kept at most, with what they led to; there is never room for more than train.steps holds")

/* Keys that change nothing in what an agent learns. */
#define AGENT_PASSING RUN_PASSING " eval.episodes eval.policy"

#define AGENT_EVAL_OPTIONS(every)                                                                                     \
    OPTION_WHOLE(agent_settings, eval_episodes, "eval.episodes", "100", 1, 65536,                                     \
                 "at the end, in fresh environments"),                                                                \
        OPTION_CHOICE(agent_settings, eval_policy, "eval.policy", "mean", AGENT_POLICIES,                             \
                      "how to act there: mean is the policy's mode, sample draws"),                                   \
        OPTION_NUMBER(agent_settings, stop_return, "stop.return", "1e30", -1e30, 1e30,                                \
                      "below 1e30: judge 20 fresh episodes at each line of metrics, end where their mean is this"),   \
        LOG_OPTIONS(agent_settings, every, 1000000, "environment steps")

/* A set of weights, for those who list them. */
typedef struct agent_weights {
    const char *name; /* before the names of the set; "": none */
    rv_params *params;
    bool trained; /* has gradients and moments */
} agent_weights;
enum { AGENT_WEIGHTS = 4 };

/* What one kind of agent differs in from another. Steps are those of the agent: what the settings say, over
 * wrap.action_repeat. */
typedef struct agent_kind {
    const char *name, *text; /* the job; what it is, for its help */
    const option_schema *schema;
    rv_status (*create)(const agent_settings *settings, int64_t steps, int64_t prefill, rv_device *device, rv_env *env,
                        rv_agent **agent);
    rv_status (*replay_bytes)(const agent_settings *settings, int64_t steps, int64_t prefill,
                              const rv_env_spaces *spaces, int64_t *bytes);
    int (*weights)(rv_agent *agent, agent_weights list[AGENT_WEIGHTS]);
} agent_kind;

extern const agent_kind dreamer_kind, dreamer_v3_kind;
extern const option_schema dreamer_schema, dreamer_v3_schema;

/* Everything that one run makes; all zero but its kind before, and released as a whole. */
typedef struct agent_job {
    const agent_kind *kind;
    agent_settings settings;
    option_list list; /* holds the settings' texts */
    option_origin origins[OPTION_MAX];
    option_extras env_options;
    run_folder run;
    tensorboard *events;
    rv_device *device;
    rv_env *env;
    rv_env_spaces spaces;
    rv_agent *agent;
    rv_checkpoint *checkpoint;
    history history;
    bool interrupted;
    double begun, train_seconds, evaluate_seconds;
    double saved; /* when the checkpoint was written */
} agent_job;

/* Returns of episodes in fresh environments. */
typedef struct agent_returns {
    int64_t count, seed, steps; /* steps: of the simulator, learnt from before */
    agent_policy policy;
    double *value;           /* [count] */
    double mean, deviation;  /* of a sample (n - 1) */
    double low, high;        /* 95 % confidence interval of the mean by Student's t; NaN of a single episode */
    double least, most;
} agent_returns;

int train_agent(const agent_kind *kind, const char *file, int argc, char **argv);

/* ---- set up: agent_setup.c. Exit codes, having printed what is wrong. ---- */

void agent_job_release(agent_job *job);
run_config agent_run_config(const agent_job *job);
int agent_make_env(agent_job *job); /* and fills env_options with the standard values */
int agent_make(agent_job *job);     /* the agent, and the checkpoint that describes it */
int agent_load(agent_job *job, const char *path);
int agent_dry_run(agent_job *job);
int64_t agent_job_steps(const agent_job *job); /* of the simulator, so far */

/* Makes everything that a run's folder describes, with its weights, for a command that uses it; `device` wins over the
 * run's where it is not NULL. */
int agent_open_run(agent_job *job, const char *folder, const char *device);

/* ---- returns: agent_returns.c ---- */

/* Acts so many episodes, one in each of as many fresh environments; the seeds are never training's. */
int agent_evaluate(agent_job *job, int64_t episodes, int64_t seed, agent_policy policy, agent_returns *returns);
const char *agent_policy_text(agent_policy policy);
void agent_print_returns(const agent_returns *returns);
void agent_list_returns(json_out *out, const agent_returns *returns);

/* RUN/evaluation.json; reading gives only the environment, mean and steps. */
int agent_write_evaluation(const agent_job *job, const agent_returns *returns);
int agent_read_evaluation(const run_folder *run, char env[64], agent_returns *returns);

/* `reverie eval RUN` of such a run. */
int agent_eval(const agent_kind *kind, const char *folder, int argc, char **argv);
void agent_eval_help(void);

/* ---- report: agent_report.c ---- */

int agent_write_summary(agent_job *job, const agent_returns *returns);

/* The learning curve in a few lines: seconds, steps, returns; nothing where there are none. */
void agent_print_curve(const history *history);

/* The same drawn, from the run's metrics alone; `returns` may be NULL. */
int agent_plot(const char *folder, const char *title, const history *history, const agent_returns *returns);

#endif
