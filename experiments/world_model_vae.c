/* experiments/world_model_vae.c: `reverie train world_model`: its options, and the model that they say. */
#include <stdlib.h>
#include <string.h>

#include "experiments/program.h"
#include "experiments/world_model_job.h"

#define S world_model_settings

static const option options[] = {
    RUN_OPTIONS(S, "world_model", "default course", "default is tuned, course is the notebook's", "run/world_model",
                "of data, weights and batches"),
    ENVIRONMENT_OPTIONS(S, "continuous_cartpole"),
    DATA_OPTIONS(S),
    VAE_OPTIONS(S),
    OPTION_FLAG(S, calibrated, "model.calibrated", "true",
                "stretch drawn predictions until their bands hold on further episodes like the held-out ones"),
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
    HELD_OUT_OPTIONS(S),
    LOG_OPTIONS(S, "20", 1024, "updates"),
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
                                          sizeof named / sizeof *named, NULL};

/* ---- model and trainer ------------------------------------------------------------------------------------------- */

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message && message[0] ? message : rv_status_text(status));
}

static int make_model(world_model_job *job, const rv_transitions *data) {
    const world_model_settings *s = &job->settings;
    rv_world_model_options sizes = vae_options(&s->vae);
    sizes.observation_size = job->spaces.observation_size;
    sizes.action_size = job->spaces.action_size;
    sizes.calibrated = s->calibrated;
    rv_status status = rv_world_model_create(job->device, &sizes, (uint64_t)s->seed, &job->model);
    if (status == RV_OK) status = rv_world_model_normalise_by(job->model, data);
    if (status != RV_OK) return failed(status, rv_world_model_message(job->model));
    char weights[32];
    printf("model       %s weights, latent of %lld\n",
           progress_count(rv_params_size(rv_world_model_params(job->model)), weights), (long long)s->vae.latent);
    return EXIT_OK;
}

static int make_trainer(world_model_job *job, const rv_transitions *data, const rv_transitions *validation) {
    const world_model_settings *s = &job->settings;
    rv_trainer_options training = {.size = sizeof training,
                                   .batch = s->batch,
                                   .learning_rate = (float)s->learning_rate,
                                   .clip = (float)s->clip,
                                   .kl_weight = setting_or_none(s->kl_weight),
                                   .kl_warmup = s->kl_warmup,
                                   .learning_rate_warmup = s->learning_rate_warmup,
                                   .learning_rate_decay = s->learning_rate_decay ? s->train_steps : 0,
                                   .window = s->window,
                                   .prediction_weight = setting_or_none(s->prediction_weight),
                                   .validation = validation,
                                   .adamw = {.weight_decay = (float)s->weight_decay},
                                   .seed = (uint64_t)s->seed};
    rv_status status = rv_trainer_create(job->model, data, &training, &job->trainer);
    return status == RV_OK ? EXIT_OK : failed(status, rv_trainer_message(job->trainer));
}

static rv_status checkpoint(world_model_job *job) {
    return rv_world_model_checkpoint(job->model, "model/", job->checkpoint);
}

static rv_params *params(world_model_job *job) { return rv_world_model_params(job->model); }

static rv_status evaluate(world_model_job *job, const rv_transitions *train, const rv_dataset *held_out,
                          const rv_evaluate_options *options, rv_evaluation **evaluation) {
    return rv_evaluate_world_model(job->model, train, held_out, options, evaluation);
}

/* ---- calibration: on episodes of its own, collected as the held-out ones ---------------------------------------- */

static int64_t longest_episode(const rv_dataset *data) {
    int64_t longest = 0;
    for (int64_t i = 0; i < rv_dataset_episodes(data); i++) {
        int64_t first, length;
        rv_dataset_episode(data, i, &first, &length);
        if (length > longest) longest = length;
    }
    return longest;
}

static int calibrate_on(world_model_job *job, const rv_dataset *data) {
    int64_t horizon = job->settings.eval_horizon < RV_STRETCH_STEPS ? job->settings.eval_horizon : RV_STRETCH_STEPS;
    if (longest_episode(data) < horizon) horizon = longest_episode(data);
    const rv_evaluate_options options = {
        .size = sizeof options, .horizon = horizon, .seed = (uint64_t)job->settings.seed};
    rv_status status = rv_calibrate_world_model(job->model, data, &options);
    return status == RV_OK ? EXIT_OK : failed(status, rv_world_model_message(job->model));
}

static int finish(world_model_job *job) {
    if (!job->settings.calibrated) return EXIT_OK;
    const world_model_settings *s = &job->settings;
    const uint64_t seed =
        (uint64_t)s->seed + (UINT64_C(1) << 62); /* far from those of training and of any evaluation */
    rv_env *env = NULL;
    rv_dataset *data = NULL;
    int code = world_model_make_env(job, s->eval_episodes, &env);
    if (code == EXIT_OK) code = world_model_collect_episodes(job, env, s->eval_episodes, s->eval_steps, seed, &data);
    if (code == EXIT_OK) code = calibrate_on(job, data);
    rv_dataset_destroy(data);
    rv_env_destroy(env);
    return code;
}

/* ---- latents ---------------------------------------------------------------------------------------------------- */

static int points(world_model_job *job, figure_points *points) {
    enum { POINTS = 800 };
    rv_transitions data = rv_dataset_transitions(job->held_out);
    const int64_t count = data.steps < POINTS ? data.steps : POINTS, o = data.observation_size,
                  z = job->settings.vae.latent;
    float *observation = calloc((size_t)count, (size_t)(o + z) * sizeof *observation),
          *latent = observation ? observation + count * o : NULL;
    if (!observation) return program_fail(EXIT_DEVICE, "no memory for a plot");
    for (int64_t i = 0; i < count; i++) {
        memcpy(observation + i * o, data.observation + i * data.steps / count * o, (size_t)o * sizeof *observation);
    }
    rv_status status = rv_evaluate_latents(job->model, observation, count, latent);
    int code = status == RV_OK ? EXIT_OK : program_fail(program_code(status), "latents: %s", rv_status_text(status));
    if (code == EXIT_OK && !figure_points_make(points, latent, z, observation, o, count)) {
        code = program_fail(EXIT_DEVICE, "no memory for a plot");
    }
    free(observation);
    return code;
}

const world_model_kind vae_kind = {
    "world_model",
    "world model",
    "Collects data in an environment, trains a world model on it (variational autoencoder, latent dynamics,\n"
    "reward model), evaluates it on held-out episodes, and leaves metrics, plots and a checkpoint in a folder.",
    &world_model_schema,
    make_model,
    make_trainer,
    finish,
    checkpoint,
    params,
    evaluate,
    points};
