/* experiments/world_model_settings.c: the options of `reverie train world_model`. */
#include <stdlib.h>

#include "experiments/config_file.h"
#include "experiments/program.h"
#include "experiments/world_model_job.h"

#define S world_model_settings

static const option options[] = {
    OPTION_CHOICE(S, what, "job", "world_model", "world_model", "what to train"),
    OPTION_CHOICE(S, config, "config", "default", "default course",
                  "values to begin with: default is tuned, course is the notebook's"),
    OPTION_WHOLE(S, seed, "seed", "0", 0, 9e18, "of data, weights and batches"),
    OPTION_TEXT(S, device, "device", "auto", "where to compute; `reverie devices` lists them"),
    OPTION_TEXT(S, out, "out", "run/world_model", "folder of the run"),
    OPTION_FLAG(S, fresh, "fresh", "false", "replace the run that the folder holds"),
    OPTION_FLAG(S, dry_run, "dry_run", "false", "say what it would take, and do nothing"),
    OPTION_CHOICE(S, progress, "progress", "auto", "auto bar plain none", "how to show progress"),
    OPTION_TEXT(S, env, "env.name", "continuous_cartpole", "environment; further env. options are its own, see below"),
    OPTION_WHOLE(S, time_limit, "wrap.time_limit", "0", 0, 1e9,
                 "steps after which an episode is cut; 0: as the environment has it"),
    OPTION_WHOLE(S, action_repeat, "wrap.action_repeat", "1", 1, 10000, "steps of the environment under each action"),
    OPTION_WHOLE(S, frame_stack, "wrap.frame_stack", "1", 1, 1024, "last observations side by side"),
    OPTION_NUMBER(S, reward_scale, "wrap.reward_scale", "1", -1e9, 1e9, "factor of the rewards"),
    OPTION_TEXT(S, data_file, "data.file", NULL, "an NPZ file of transitions to train on, instead of collecting"),
    OPTION_FLAG(S, data_save, "data.save", "false", "keep what is trained on as data.npz in the run folder"),
    OPTION_WHOLE(S, data_steps, "data.steps", "40000", 1, 1e9, "steps to collect"),
    OPTION_WHOLE(S, data_episodes, "data.episodes", "0", 0, 1e9, "episodes to collect at least"),
    OPTION_WHOLE(S, data_environments, "data.environments", "8", 1, 65536, "environments at once"),
    OPTION_CHOICE(S, data_policy, "data.policy", "mixed", "random scripted mixed", "how to act"),
    OPTION_NUMBER(S, data_noise, "data.noise", "0.3", 0, 10,
                  "noise of the scripted policy, as a share of half the action's range"),
    OPTION_NUMBER(S, validation, "data.validation", "0.1", 0, 0.9,
                  "share of the data that is not trained on but validates"),
    OPTION_WHOLE(S, latent, "model.latent", "16", 1, 65536, "size of the latent"),
    OPTION_SIZES(S, vae_hidden, "model.vae_hidden", "128,64", 1, 65536,
                 "layers of the encoder; the decoder's are reversed"),
    OPTION_SIZES(S, dynamics_hidden, "model.dynamics_hidden", "128,64", 1, 65536, "layers of the dynamics"),
    OPTION_SIZES(S, reward_hidden, "model.reward_hidden", "64,32", 1, 65536, "layers of the reward model"),
    OPTION_FLAG(S, linear_path, "model.linear_path", "true", "a linear layer beside those of encoder and decoder"),
    OPTION_FLAG(S, continues, "model.continue", "true",
                "with a continue model, that predicts whether an episode goes on"),
    OPTION_SIZES(S, continue_hidden, "model.continue_hidden", "64,32", 1, 65536, "its layers"),
    OPTION_FLAG(S, normalise_reward, "model.normalise_reward", "true",
                "learn rewards less their mean, over their deviation"),
    OPTION_FLAG(S, calibrated, "model.calibrated", "true",
                "stretch drawn predictions until their bands hold on further episodes like the held-out ones"),
    OPTION_FLAG(S, deterministic, "model.deterministic", "false", "predict the next latent as a point"),
    OPTION_FLAG(S, absolute, "model.absolute", "false", "predict the next latent itself, not its change"),
    OPTION_WHOLE(S, train_steps, "train.steps", "20000", 1, 1e9, "updates"),
    OPTION_WHOLE(S, batch, "train.batch", "64", 1, 1048576, "samples an update"),
    OPTION_WHOLE(S, window, "train.window", "8", 1, RV_WINDOW_MAX, "transitions in a row that a sample is"),
    OPTION_NUMBER(S, prediction_weight, "train.prediction_weight", "30", 0, 1e6,
                  "weight of the open-loop error within a window"),
    OPTION_NUMBER(S, learning_rate, "train.learning_rate", "2e-3", 1e-9, 10, "of AdamW"),
    OPTION_WHOLE(S, learning_rate_warmup, "train.learning_rate_warmup", "200", 0, 1e9,
                 "updates over which it grows to that"),
    OPTION_FLAG(S, learning_rate_decay, "train.learning_rate_decay", "true",
                "it falls along half a cosine, to 0 at the last update"),
    OPTION_NUMBER(S, weight_decay, "train.weight_decay", "0", 0, 10, "of AdamW"),
    OPTION_NUMBER(S, clip, "train.clip", "1000", 1e-6, 1e9, "bound of the gradient's norm"),
    OPTION_NUMBER(S, kl_weight, "train.kl_weight", "1e-5", 0, 1e3, "weight of the KL divergence"),
    OPTION_WHOLE(S, kl_warmup, "train.kl_warmup", "1000", 0, 1e9, "updates over which that weight grows"),
    OPTION_WHOLE(S, patience, "train.patience", "0", 0, 1e9,
                 "lines of metrics without a lower validation loss until it stops; 0: never"),
    OPTION_WHOLE(S, eval_episodes, "eval.episodes", "8", 1, 65536,
                 "held-out episodes, of the scripted policy where there is one"),
    OPTION_WHOLE(S, eval_steps, "eval.steps", "250", 1, 1e6, "steps of each"),
    OPTION_WHOLE(S, eval_horizon, "eval.horizon", "50", 1, 10000, "steps to predict open loop"),
    OPTION_NUMBER(S, eval_noise, "eval.noise", "0.3", 0, 10, "noise of the policy there"),
    OPTION_WHOLE(S, log_every, "log.every", "20", 1, 1024, "updates between lines of metrics.jsonl"),
    OPTION_NUMBER(S, save_seconds, "save.seconds", "30", 0, 1e6,
                  "seconds between checkpoints; 0: after every line of metrics"),
};
_Static_assert(sizeof options / sizeof *options <= OPTION_MAX, "OPTION_MAX is too small");

/* The notebook's constants, where they are not the default's; as in the recipe of that name (recipe.h). */
static const char *const course[][2] = {
    {"data.steps", "5000"},
    {"data.validation", "0"},
    {"model.latent", "32"},
    {"model.linear_path", "false"},
    {"model.continue", "false"},
    {"model.normalise_reward", "false"},
    {"model.calibrated", "false"},
    {"train.steps", "1000"},
    {"train.window", "1"},
    {"train.prediction_weight", "0"},
    {"train.learning_rate", "1e-3"},
    {"train.learning_rate_warmup", "0"},
    {"train.learning_rate_decay", "false"},
    {"train.clip", "100"},
    {"train.kl_weight", "1e-4"},
    {"train.kl_warmup", "0"},
    {"log.every", "10"},
};
static const option_named named[] = {
    {"course", "the constants of the course's notebook", sizeof course / sizeof *course, course},
};

const option_schema world_model_schema = {options, sizeof options / sizeof *options, "env.", named,
                                          sizeof named / sizeof *named};

const char world_model_once[] = "fresh dry_run";
const char world_model_passing[] = "config device out fresh dry_run progress save.seconds data.save";

int world_model_read_settings(world_model_job *job, const char *file, int argc, char **argv) {
    int code = file ? config_read_file(file, &job->list) : EXIT_OK;
    if (code == EXIT_OK) code = options_from_arguments(&world_model_schema, argc, argv, &job->list);
    if (code == EXIT_OK) {
        code = options_apply(&world_model_schema, &job->list, &job->settings, job->origins, &job->env_options);
    }
    return code;
}

run_config world_model_run_config(const world_model_job *job) {
    return (run_config){&world_model_schema,  &job->settings,      sizeof job->settings, job->origins,
                        &job->env_options, world_model_passing, world_model_once};
}

char *world_model_config(const world_model_job *job) {
    const run_config config = world_model_run_config(job);
    return run_config_text(&config, &job->spaces);
}
