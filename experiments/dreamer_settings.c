/* experiments/dreamer_settings.c: `reverie train dreamer`: its options, and the agent that they say. */
#include "experiments/agent_job.h"
#include "reverie/dreamer.h"

#define S agent_settings

static const option options[] = {
    RUN_OPTIONS(S, "dreamer", "default course", "default is tuned, course is the notebook's", "run/dreamer",
                "of environments, weights and noise"),
    ENVIRONMENT_OPTIONS(S, "continuous_pendulum"),
    AGENT_OPTIONS(1, "1", "16000", "1000000"),
    OPTION_WHOLE(S, prefill, "train.prefill", "1000", 1, 1e9, "of those the first, with random actions"),
    OPTION_WHOLE(S, dreamer.update_every, "train.update_every", "2", 1, 1e6, "actions .."),
    OPTION_WHOLE(S, dreamer.updates_each, "train.updates_each", "1", 1, 1e6, ".. that bring so many updates"),
    VAE_OPTIONS(S),
    OPTION_WHOLE(S, batch, "train.batch", "64", 1, 65536, "windows of an update, for the world model"),
    OPTION_WHOLE(S, dreamer.window, "train.window", "4", 1, RV_WINDOW_MAX, "steps in a row that a window is"),
    OPTION_NUMBER(S, dreamer.prediction_weight, "train.prediction_weight", "10", 0, 1e6,
                  "weight of the open-loop error within a window"),
    OPTION_NUMBER(S, dreamer.kl_weight, "train.kl_weight", "1e-5", 0, 1e3, "weight of the KL divergence"),
    OPTION_NUMBER(S, dreamer.learning_rate, "train.learning_rate", "1e-3", 1e-9, 10, "of the world model's AdamW"),
    OPTION_FLAG(S, dreamer.learning_rate_decay, "train.learning_rate_decay", "true",
                "all three fall along half a cosine, to 0 at the last update"),
    OPTION_NUMBER(S, dreamer.clip, "train.clip", "1000", 1e-6, 1e9, "bound of the world model's gradient"),
    OPTION_WHOLE(S, dreamer.trajectories, "imagine.trajectories", "64", 1, 65536, "imagined in an update"),
    OPTION_WHOLE(S, horizon, "imagine.horizon", "15", 1, 1000, "steps of each"),
    OPTION_FLAG(S, dreamer.draw_latents, "imagine.draw", "false", "latents are drawn there, not the dynamics' means"),
    OPTION_NUMBER(S, dreamer.gamma, "return.gamma", "0.995", 1e-6, 1, "discount of a step"),
    OPTION_NUMBER(S, dreamer.lambda, "return.lambda", "0.95", 0, 1, "how far returns look beyond the critic's value"),
    OPTION_FLAG(S, dreamer.normalise_returns, "return.normalise", "true", "divide them by the range of most of them"),
    OPTION_SIZES(S, dreamer.actor_hidden, "actor.hidden", "128,64", 1, 65536, "layers of the actor"),
    OPTION_CHOICE(S, dreamer.gradient, "actor.gradient", "auto", "auto dynamics reinforce",
                  "auto: reinforce for actions that are choices, else through the dynamics"),
    OPTION_NUMBER(S, dreamer.entropy, "actor.entropy", "3e-3", 0, 1e3, "weight of the entropy"),
    OPTION_NUMBER(S, dreamer.actor_rate, "actor.learning_rate", "1e-3", 1e-9, 10, "of its AdamW"),
    OPTION_NUMBER(S, dreamer.actor_clip, "actor.clip", "100", 1e-6, 1e9, "bound of its gradient"),
    OPTION_SIZES(S, dreamer.critic_hidden, "critic.hidden", "128,64", 1, 65536, "layers of the critic"),
    OPTION_FLAG(S, dreamer.normed, "model.rms_norm", "true", "RMSNorm in the layers of actor and critic"),
    OPTION_WHOLE(S, dreamer.critic_bins, "critic.bins", "0", 0, 10001,
                 "an odd number: two-hot; 0: the value as one number"),
    OPTION_FLAG(S, dreamer.symlog_value, "critic.symlog", "true", "as one number it is learnt as its symlog"),
    OPTION_NUMBER(S, dreamer.critic_rate, "critic.learning_rate", "1e-3", 1e-9, 10, "of its AdamW"),
    OPTION_NUMBER(S, dreamer.critic_clip, "critic.clip", "100", 1e-6, 1e9, "bound of its gradient"),
    OPTION_NUMBER(S, dreamer.slow_rate, "critic.slow_rate", "0.05", 1e-6, 1, "how fast the slow critic follows"),
    AGENT_EVAL_OPTIONS("250"),
};
_Static_assert(sizeof options / sizeof *options <= OPTION_MAX, "OPTION_MAX is too small");

/* The notebook's constants, where they are not the default's; as in the recipe of that name (dreamer.h). */
static const char *const course[][2] = {
    {"train.steps", "20000"},
    {"train.prefill", "5000"},
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
    {"imagine.horizon", "10"},
    {"imagine.draw", "true"},
    {"return.gamma", "0.99"},
    {"return.normalise", "false"},
    {"actor.entropy", "1e-3"},
    {"actor.learning_rate", "1e-4"},
    {"critic.symlog", "false"},
    {"critic.slow_rate", "0.02"},
    {"critic.learning_rate", "1e-4"},
};
static const option_named named[] = {
    {"course", "the constants of the course's notebook", sizeof course / sizeof *course, course},
};

const option_schema dreamer_schema = {options, sizeof options / sizeof *options, "env.", named,
                                      sizeof named / sizeof *named, NULL};

static rv_dreamer_options agent_options(const agent_settings *s, int64_t steps, int64_t prefill) {
    const dreamer_settings *d = &s->dreamer;
    return (rv_dreamer_options){
        .size = sizeof(rv_dreamer_options),
        .model = vae_options(&s->vae),
        .actor_hidden = option_sizes_of(&d->actor_hidden),
        .critic_hidden = option_sizes_of(&d->critic_hidden),
        .plain = !d->normed,
        .critic_bins = d->critic_bins > 0 ? d->critic_bins : -1,
        .symlog_value = d->symlog_value,
        .steps = steps,
        .prefill = prefill,
        .replay = s->replay,
        .update_every = d->update_every,
        .updates_each = d->updates_each,
        .batch = s->batch,
        .window = d->window,
        .prediction_weight = setting_or_none(d->prediction_weight),
        .kl_weight = setting_or_none(d->kl_weight),
        .imagined = d->trajectories,
        .horizon = s->horizon,
        .draw_latents = d->draw_latents,
        .gradient = (rv_dreamer_gradient)d->gradient,
        .gamma = (float)d->gamma,
        .lambda = setting_or_none(d->lambda),
        .entropy_weight = setting_or_none(d->entropy),
        .raw_returns = !d->normalise_returns,
        .slow_rate = (float)d->slow_rate,
        .model_rate = (float)d->learning_rate,
        .actor_rate = (float)d->actor_rate,
        .critic_rate = (float)d->critic_rate,
        .constant_rates = !d->learning_rate_decay,
        .model_clip = (float)d->clip,
        .actor_clip = (float)d->actor_clip,
        .critic_clip = (float)d->critic_clip,
        .seed = (uint64_t)s->seed,
    };
}

static rv_status create(const agent_settings *s, int64_t steps, int64_t prefill, rv_device *device, rv_env *env,
                        rv_agent **agent) {
    const rv_dreamer_options options = agent_options(s, steps, prefill);
    return rv_dreamer_create(device, env, &options, agent);
}

static rv_status replay_bytes(const agent_settings *s, int64_t steps, int64_t prefill, const rv_env_spaces *spaces,
                              int64_t *bytes) {
    const rv_dreamer_options options = agent_options(s, steps, prefill);
    return rv_dreamer_replay_bytes(&options, spaces, s->environments, bytes);
}

static int weights(rv_agent *agent, agent_weights list[AGENT_WEIGHTS]) {
    list[0] = (agent_weights){"model", rv_world_model_params(rv_dreamer_model(agent)), true};
    list[1] = (agent_weights){"actor", rv_dreamer_actor_params(agent), true};
    list[2] = (agent_weights){"critic", rv_dreamer_critic_params(agent), true};
    return 3;
}

const agent_kind dreamer_kind = {
    "dreamer",
    "An agent that acts in an environment, learns a world model from what it sees (variational autoencoder, latent\n"
    "dynamics, reward model), and in that imagines trajectories on which actor and critic learn.",
    &dreamer_schema, create, replay_bytes, weights};
