/* experiments/dreamer_settings.c: the options of `reverie train dreamer`. */
#include "experiments/config_file.h"
#include "experiments/dreamer_job.h"
#include "experiments/program.h"

#define S dreamer_settings

static const option options[] = {
    OPTION_CHOICE(S, what, "job", "dreamer", "dreamer", "what to train"),
    OPTION_CHOICE(S, config, "config", "default", "default course",
                  "values to begin with: default is tuned, course is the notebook's"),
    OPTION_WHOLE(S, seed, "seed", "0", 0, 9e18, "of environments, weights and noise"),
    OPTION_TEXT(S, device, "device", "auto", "where to compute; `reverie devices` lists them"),
    OPTION_TEXT(S, out, "out", "run/dreamer", "folder of the run"),
    OPTION_FLAG(S, fresh, "fresh", "false", "replace the run that the folder holds"),
    OPTION_FLAG(S, dry_run, "dry_run", "false", "say what it would take, and do nothing"),
    OPTION_CHOICE(S, progress, "progress", "auto", "auto bar plain none", "how to show progress"),
    OPTION_TEXT(S, env.name, "env.name", "continuous_pendulum",
                "environment; further env. options are its own, see below"),
    OPTION_WHOLE(S, env.time_limit, "wrap.time_limit", "0", 0, 1e9,
                 "steps after which an episode is cut; 0: as the environment has it"),
    OPTION_WHOLE(S, env.action_repeat, "wrap.action_repeat", "1", 1, 10000,
                 "steps of the environment under each action"),
    OPTION_WHOLE(S, env.frame_stack, "wrap.frame_stack", "1", 1, 1024, "last observations side by side"),
    OPTION_NUMBER(S, env.reward_scale, "wrap.reward_scale", "1", -1e9, 1e9, "factor of the rewards"),
    OPTION_WHOLE(S, environments, "train.environments", "1", 1, 65536, "environments at once"),
    OPTION_WHOLE(S, steps, "train.steps", "6000", 1, 2e9, "environment steps, over all of them"),
    OPTION_WHOLE(S, prefill, "train.prefill", "1000", 1, 1e9, "of those the first, with random actions"),
    OPTION_WHOLE(S, update_every, "train.update_every", "1", 1, 1e6, "environment steps .."),
    OPTION_WHOLE(S, updates_each, "train.updates_each", "1", 1, 1e6, ".. that bring so many updates"),
    OPTION_WHOLE(S, replay, "replay.capacity", "1000000", 1, 1e9,
                 "steps kept at most; there is never room for more than train.steps"),
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
    OPTION_FLAG(S, deterministic, "model.deterministic", "false", "predict the next latent as a point"),
    OPTION_FLAG(S, absolute, "model.absolute", "false", "predict the next latent itself, not its change"),
    OPTION_WHOLE(S, batch, "train.batch", "64", 1, 65536, "windows of an update, for the world model"),
    OPTION_WHOLE(S, window, "train.window", "4", 1, RV_WINDOW_MAX, "steps in a row that a window is"),
    OPTION_NUMBER(S, prediction_weight, "train.prediction_weight", "10", 0, 1e6,
                  "weight of the open-loop error within a window"),
    OPTION_NUMBER(S, kl_weight, "train.kl_weight", "1e-5", 0, 1e3, "weight of the KL divergence"),
    OPTION_NUMBER(S, learning_rate, "train.learning_rate", "1e-3", 1e-9, 10, "of the world model's AdamW"),
    OPTION_FLAG(S, learning_rate_decay, "train.learning_rate_decay", "true",
                "all three fall along half a cosine, to 0 at the last update"),
    OPTION_NUMBER(S, clip, "train.clip", "1000", 1e-6, 1e9, "bound of the world model's gradient"),
    OPTION_WHOLE(S, trajectories, "imagine.trajectories", "128", 1, 65536, "imagined in an update"),
    OPTION_WHOLE(S, horizon, "imagine.horizon", "15", 1, 1000, "steps of each"),
    OPTION_FLAG(S, draw_latents, "imagine.draw", "false", "latents are drawn there, not the dynamics' means"),
    OPTION_NUMBER(S, gamma, "return.gamma", "0.997", 1e-6, 1, "discount of a step"),
    OPTION_NUMBER(S, lambda, "return.lambda", "0.95", 0, 1, "how far returns look beyond the critic's value"),
    OPTION_FLAG(S, normalise_returns, "return.normalise", "true", "divide them by the range of most of them"),
    OPTION_SIZES(S, actor_hidden, "actor.hidden", "128,64", 1, 65536, "layers of the actor"),
    OPTION_CHOICE(S, gradient, "actor.gradient", "auto", "auto dynamics reinforce",
                  "auto: reinforce for actions that are choices, else through the dynamics"),
    OPTION_NUMBER(S, entropy, "actor.entropy", "3e-4", 0, 1e3, "weight of the entropy"),
    OPTION_NUMBER(S, actor_rate, "actor.learning_rate", "1e-3", 1e-9, 10, "of its AdamW"),
    OPTION_NUMBER(S, actor_clip, "actor.clip", "100", 1e-6, 1e9, "bound of its gradient"),
    OPTION_SIZES(S, critic_hidden, "critic.hidden", "128,64", 1, 65536, "layers of the critic"),
    OPTION_FLAG(S, normed, "model.rms_norm", "true", "RMSNorm in the layers of actor and critic"),
    OPTION_WHOLE(S, critic_bins, "critic.bins", "63", 0, 10001, "an odd number: two-hot; 0: the value as one number"),
    OPTION_NUMBER(S, critic_rate, "critic.learning_rate", "1e-3", 1e-9, 10, "of its AdamW"),
    OPTION_NUMBER(S, critic_clip, "critic.clip", "100", 1e-6, 1e9, "bound of its gradient"),
    OPTION_NUMBER(S, slow_rate, "critic.slow_rate", "0.02", 1e-6, 1, "how fast the slow critic follows"),
    OPTION_WHOLE(S, eval_episodes, "eval.episodes", "100", 1, 65536, "at the end, in fresh environments"),
    OPTION_FLAG(S, eval_drawn, "eval.drawn", "false", "with drawn actions, not the policy's mode"),
    OPTION_WHOLE(S, log_every, "log.every", "250", 1, 1000000, "environment steps between lines of metrics.jsonl"),
    OPTION_NUMBER(S, save_seconds, "save.seconds", "30", 0, 1e6,
                  "seconds between checkpoints; 0: after every line of metrics"),
};
_Static_assert(sizeof options / sizeof *options <= OPTION_MAX, "OPTION_MAX is too small");

/* The notebook's constants, where they are not the default's; as in the recipe of that name (dreamer.h). */
static const char *const course[][2] = {
    {"train.steps", "20000"},
    {"train.prefill", "5000"},
    {"train.update_every", "2"},
    {"model.latent", "32"},
    {"model.linear_path", "false"},
    {"model.continue", "false"},
    {"model.normalise_reward", "false"},
    {"model.rms_norm", "false"},
    {"train.window", "1"},
    {"train.prediction_weight", "0"},
    {"train.kl_weight", "1e-4"},
    {"train.learning_rate", "1e-4"},
    {"train.learning_rate_decay", "false"},
    {"train.clip", "100"},
    {"imagine.trajectories", "64"},
    {"imagine.horizon", "10"},
    {"imagine.draw", "true"},
    {"return.gamma", "0.99"},
    {"return.normalise", "false"},
    {"actor.entropy", "1e-3"},
    {"actor.learning_rate", "1e-4"},
    {"critic.bins", "0"},
    {"critic.learning_rate", "1e-4"},
};
static const option_named named[] = {
    {"course", "the constants of the course's notebook", sizeof course / sizeof *course, course},
};

const option_schema dreamer_schema = {options, sizeof options / sizeof *options, "env.", named,
                                      sizeof named / sizeof *named};

const char dreamer_once[] = "fresh dry_run";
static const char passing[] = "config device out fresh dry_run progress save.seconds eval.episodes eval.drawn";

int dreamer_read_settings(dreamer_job *job, const char *file, int argc, char **argv) {
    int code = file ? config_read_file(file, &job->list) : EXIT_OK;
    if (code == EXIT_OK) code = options_from_arguments(&dreamer_schema, argc, argv, &job->list);
    if (code == EXIT_OK) {
        code = options_apply(&dreamer_schema, &job->list, &job->settings, job->origins, &job->env_options);
    }
    return code;
}

run_config dreamer_run_config(const dreamer_job *job) {
    return (run_config){&dreamer_schema,   &job->settings, sizeof job->settings, job->origins,
                        &job->env_options, passing,        dreamer_once};
}

static rv_sizes sizes(const option_sizes *from) {
    rv_sizes to = {.count = from->count};
    for (int i = 0; i < from->count; i++) to.size[i] = from->size[i];
    return to;
}

/* Where 0 means none here, there it means the default. */
static float or_none(double value) { return value > 0 ? (float)value : -1.0f; }

rv_dreamer_options dreamer_options(const dreamer_settings *s) {
    return (rv_dreamer_options){
        .size = sizeof(rv_dreamer_options),
        .model = {.size = sizeof(rv_world_model_options),
                  .latent_size = s->latent,
                  .vae_hidden = sizes(&s->vae_hidden),
                  .dynamics_hidden = sizes(&s->dynamics_hidden),
                  .reward_hidden = sizes(&s->reward_hidden),
                  .activation = RV_SILU,
                  .deterministic = s->deterministic,
                  .absolute = s->absolute,
                  .linear_path = s->linear_path,
                  .continues = s->continues,
                  .continue_hidden = sizes(&s->continue_hidden),
                  .normalise_reward = s->normalise_reward},
        .actor_hidden = sizes(&s->actor_hidden),
        .critic_hidden = sizes(&s->critic_hidden),
        .plain = !s->normed,
        .critic_bins = s->critic_bins > 0 ? s->critic_bins : -1,
        .steps = s->steps,
        .prefill = s->prefill,
        .replay = s->replay,
        .update_every = s->update_every,
        .updates_each = s->updates_each,
        .batch = s->batch,
        .window = s->window,
        .prediction_weight = or_none(s->prediction_weight),
        .kl_weight = or_none(s->kl_weight),
        .imagined = s->trajectories,
        .horizon = s->horizon,
        .draw_latents = s->draw_latents,
        .gradient = (rv_dreamer_gradient)s->gradient,
        .gamma = (float)s->gamma,
        .lambda = or_none(s->lambda),
        .entropy_weight = or_none(s->entropy),
        .raw_returns = !s->normalise_returns,
        .slow_rate = (float)s->slow_rate,
        .model_rate = (float)s->learning_rate,
        .actor_rate = (float)s->actor_rate,
        .critic_rate = (float)s->critic_rate,
        .constant_rates = !s->learning_rate_decay,
        .model_clip = (float)s->clip,
        .actor_clip = (float)s->actor_clip,
        .critic_clip = (float)s->critic_clip,
        .seed = (uint64_t)s->seed,
    };
}
