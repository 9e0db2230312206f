/* experiments/world_model_settings.c: the options of `reverie train world_model`. */
#include <stdlib.h>

#include "experiments/json.h"
#include "experiments/world_model_job.h"

#define S world_model_settings

const option world_model_options[] = {
    OPTION_WHOLE(S, seed, "seed", "0", 0, 9e18, "of data, weights and batches"),
    OPTION_TEXT(S, device, "device", "auto", "where to compute; `reverie devices` lists them"),
    OPTION_TEXT(S, out, "out", "run/world_model", "folder of the run"),
    OPTION_FLAG(S, fresh, "fresh", "replace the run that the folder holds"),
    OPTION_CHOICE(S, progress, "progress", "auto", "auto bar plain none", "how to show progress"),
    OPTION_TEXT(S, env, "env.name", "continuous_cartpole", "environment; further env. options are its own, see below"),
    OPTION_WHOLE(S, data_steps, "data.steps", "5000", 1, 1e9, "steps to collect"),
    OPTION_WHOLE(S, data_episodes, "data.episodes", "0", 0, 1e9, "episodes to collect at least"),
    OPTION_WHOLE(S, data_environments, "data.environments", "8", 1, 65536, "environments at once"),
    OPTION_CHOICE(S, data_policy, "data.policy", "mixed", "random scripted mixed", "how to act"),
    OPTION_NUMBER(S, data_noise, "data.noise", "0.3", 0, 10, "noise of the scripted policy, as a share of half the action's range"),
    OPTION_WHOLE(S, latent, "model.latent", "32", 1, 65536, "size of the latent"),
    OPTION_SIZES(S, vae_hidden, "model.vae_hidden", "128,64", 1, 65536, "layers of the encoder; the decoder's are reversed"),
    OPTION_SIZES(S, dynamics_hidden, "model.dynamics_hidden", "128,64", 1, 65536, "layers of the dynamics"),
    OPTION_SIZES(S, reward_hidden, "model.reward_hidden", "64,32", 1, 65536, "layers of the reward model"),
    OPTION_FLAG(S, deterministic, "model.deterministic", "predict the next latent as a point"),
    OPTION_FLAG(S, absolute, "model.absolute", "predict the next latent itself, not its change"),
    OPTION_WHOLE(S, train_steps, "train.steps", "1000", 1, 1e9, "updates"),
    OPTION_WHOLE(S, batch, "train.batch", "64", 1, 1048576, "transitions an update"),
    OPTION_NUMBER(S, learning_rate, "train.learning_rate", "1e-3", 1e-9, 10, "of AdamW"),
    OPTION_NUMBER(S, weight_decay, "train.weight_decay", "0", 0, 10, "of AdamW"),
    OPTION_NUMBER(S, clip, "train.clip", "100", 1e-6, 1e9, "bound of the gradient's norm"),
    OPTION_NUMBER(S, kl_weight, "train.kl_weight", "1e-4", 0, 1e3, "weight of the KL divergence"),
    OPTION_WHOLE(S, kl_warmup, "train.kl_warmup", "0", 0, 1e9, "updates over which that weight grows"),
    OPTION_WHOLE(S, eval_episodes, "eval.episodes", "8", 1, 65536, "held-out episodes, of the scripted policy where there is one"),
    OPTION_WHOLE(S, eval_steps, "eval.steps", "250", 1, 1e6, "steps of each"),
    OPTION_WHOLE(S, eval_horizon, "eval.horizon", "50", 1, 10000, "steps to predict open loop"),
    OPTION_NUMBER(S, eval_noise, "eval.noise", "0.3", 0, 10, "noise of the policy there"),
    OPTION_WHOLE(S, log_every, "log.every", "10", 1, 1024, "updates between lines of metrics.jsonl"),
};
const int world_model_option_count = sizeof world_model_options / sizeof *world_model_options;

char *world_model_config(const world_model_job *job) {
    char *text = NULL, key[96], value[1100];
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (!file) return NULL;
    json out = json_begin(file, false);
    for (int i = 0; i < world_model_option_count; i++) {
        const option *o = &world_model_options[i];
        options_value_text(o, &job->settings, value, sizeof value);
        json_text(&out, o->key, value);
    }
    for (int i = 0; i < job->env_options.count; i++) {
        snprintf(key, sizeof key, "env.%s", job->env_options.name[i]);
        json_number(&out, key, job->env_options.value[i]);
    }
    json_whole(&out, "observation_size", job->spaces.observation_size);
    json_whole(&out, "action_size", job->spaces.action_size);
    json_end(&out);
    if (fclose(file) == 0) return text;
    free(text);
    return NULL;
}
