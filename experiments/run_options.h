/* experiments/run_options.h: option lines that several training jobs have, for the settings S with fields of these
 * names. */
#ifndef EXPERIMENTS_RUN_OPTIONS_H
#define EXPERIMENTS_RUN_OPTIONS_H

#include "experiments/environment.h"
#include "experiments/options.h"
#include "reverie/sequence_model.h"
#include "reverie/world_model.h"

/* Keys that hold for one command, and so change nothing in a run: config.yaml leaves the first out. */
#define RUN_ONCE "fresh dry_run"
#define RUN_PASSING "config device out progress save.seconds " RUN_ONCE

#define RUN_OPTIONS(S, job, configs, configs_text, folder, seed_text)                                                 \
    OPTION_CHOICE(S, what, "job", job, job, "what to train"),                                                         \
        OPTION_CHOICE(S, config, "config", "default", configs, "values to begin with: " configs_text),                \
        OPTION_WHOLE(S, seed, "seed", "0", 0, 9e18, seed_text),                                                       \
        OPTION_TEXT(S, device, "device", "auto", "where to compute; `reverie devices` lists them"),                   \
        OPTION_TEXT(S, out, "out", folder, "folder of the run"),                                                      \
        OPTION_FLAG(S, fresh, "fresh", "false", "replace the run that the folder holds"),                             \
        OPTION_FLAG(S, dry_run, "dry_run", "false", "say what it would take, and do nothing"),                        \
        OPTION_CHOICE(S, progress, "progress", "auto", "auto bar plain none", "how to show progress")

/* of `environment_settings env` */
#define ENVIRONMENT_OPTIONS(S, standard)                                                                              \
    OPTION_TEXT(S, env.name, "env.name", standard, "environment; further env. options are its own, see below"),       \
        OPTION_WHOLE(S, env.time_limit, "wrap.time_limit", "0", 0, 1e9,                                               \
                     "steps after which an episode is cut; 0: as the environment has it"),                            \
        OPTION_WHOLE(S, env.action_repeat, "wrap.action_repeat", "1", 1, 10000,                                       \
                     "steps of the environment under each action"),                                                   \
        OPTION_WHOLE(S, env.frame_stack, "wrap.frame_stack", "1", 1, 1024, "last observations side by side"),         \
        OPTION_NUMBER(S, env.reward_scale, "wrap.reward_scale", "1", -1e9, 1e9, "factor of the rewards")

#define LOG_OPTIONS(S, standard, most, every_text)                                                                    \
    OPTION_WHOLE(S, log_every, "log.every", standard, 1, most, every_text " between lines of metrics.jsonl"),         \
        OPTION_NUMBER(S, save_seconds, "save.seconds", "30", 0, 1e6,                                                  \
                      "seconds between checkpoints; 0: after every line of metrics")

/* ---- sizes of a VAE world model ---- */

typedef struct vae_settings {
    int64_t latent;
    option_sizes vae_hidden, dynamics_hidden, reward_hidden, continue_hidden;
    bool linear_path, continues, normalise_reward, deterministic, absolute;
} vae_settings;

/* of `vae_settings vae` */
#define VAE_OPTIONS(S)                                                                                                \
    OPTION_WHOLE(S, vae.latent, "model.latent", "16", 1, 65536, "size of the latent"),                                \
        OPTION_SIZES(S, vae.vae_hidden, "model.vae_hidden", "128,64", 1, 65536,                                       \
                     "layers of the encoder; the decoder's are reversed"),                                            \
        OPTION_SIZES(S, vae.dynamics_hidden, "model.dynamics_hidden", "128,64", 1, 65536, "layers of the dynamics"),  \
        OPTION_SIZES(S, vae.reward_hidden, "model.reward_hidden", "64,32", 1, 65536, "layers of the reward model"),   \
        OPTION_FLAG(S, vae.linear_path, "model.linear_path", "true",                                                  \
                    "a linear layer beside those of encoder and decoder"),                                            \
        OPTION_FLAG(S, vae.continues, "model.continue", "true",                                                       \
                    "with a continue model, that predicts whether an episode goes on"),                               \
        OPTION_SIZES(S, vae.continue_hidden, "model.continue_hidden", "64,32", 1, 65536, "its layers"),               \
        OPTION_FLAG(S, vae.normalise_reward, "model.normalise_reward", "true",                                        \
                    "learn rewards less their mean, over their deviation"),                                           \
        OPTION_FLAG(S, vae.deterministic, "model.deterministic", "false", "predict the next latent as a point"),      \
        OPTION_FLAG(S, vae.absolute, "model.absolute", "false", "predict the next latent itself, not its change")

/* What they say; sizes of the environment are left to the caller. */
rv_world_model_options vae_options(const vae_settings *settings);
rv_sizes option_sizes_of(const option_sizes *sizes);

/* ---- sizes of a sequence model ---- */

#define SEQUENCE_SIZES "tiny size1m size12m size25m size50m size100m size200m size400m debug planet"

typedef struct sequence_sizes {
    int64_t deter, hidden, stoch, classes, blocks, units; /* 0: of a preset */
} sequence_sizes;

/* of `sequence_sizes sizes` */
#define SEQUENCE_OPTIONS(S, sizes, zero)                                                                              \
    OPTION_WHOLE(S, sizes.deter, "model.deter", "0", 0, 65536, "size of the deterministic state; 0: " zero),          \
        OPTION_WHOLE(S, sizes.hidden, "model.hidden", "0", 0, 65536, "width of the layers round it; 0: " zero),       \
        OPTION_WHOLE(S, sizes.stoch, "model.stoch", "0", 0, 65536, "latent variables; 0: " zero),                     \
        OPTION_WHOLE(S, sizes.classes, "model.classes", "0", 0, 65536,                                                \
                     "of each, where they are categorical; 0: " zero),                                                \
        OPTION_WHOLE(S, sizes.blocks, "model.blocks", "0", 0, 65536, "of the block GRU; 0: " zero),                   \
        OPTION_WHOLE(S, sizes.units, "model.units", "0", 0, 65536, "width of encoder, decoder and heads; 0: " zero)

/* Takes what is 0 from the model; sets what is not 0 in it. */
void sequence_sizes_fill(sequence_sizes *sizes, const rv_sequence_model_options *model);
void sequence_sizes_set(const sequence_sizes *sizes, rv_sequence_model_options *model);

/* Where 0 means none in a setting, there it means the default. */
static inline float setting_or_none(double value) { return value > 0 ? (float)value : -1.0f; }

#endif
