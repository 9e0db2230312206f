/* experiments/world_model_sequence.c: `reverie train rssm`: its options, and the model that they say. */
#include <string.h>

#include "experiments/program.h"
#include "experiments/world_model_job.h"

#define S world_model_settings

static const option options[] = {
    RUN_OPTIONS(S, "rssm", "default dreamer_v3 planet memory",
                "default predicts observations closely, dreamer_v3 and planet have published models, memory is a test",
                "run/rssm", "of data, weights and batches"),
    ENVIRONMENT_OPTIONS(S, "continuous_cartpole"),
    DATA_OPTIONS(S),
    OPTION_CHOICE(S, sequence.model, "model.size", "tiny", SEQUENCE_SIZES, "sizes of the model (docs/rssm.md)"),
    OPTION_CHOICE(S, sequence.latent, "model.latent", "gaussian", "auto categorical gaussian",
                  "auto: as model.size has it"),
    OPTION_CHOICE(S, sequence.core, "model.core", "auto", "auto block_gru gru", "auto: as model.size has it"),
    OPTION_CHOICE(S, sequence.reward, "model.reward", "auto", "auto twohot number",
                  "how a reward is predicted; auto: as model.size has it"),
    SEQUENCE_OPTIONS(S, sequence.sizes, "as model.size has it"),
    OPTION_FLAG(S, sequence.symlog, "model.symlog", "true", "see observations as symlog(observation)"),
    OPTION_NUMBER(S, sequence.free_nats, "loss.free_nats", "0.1", 0, 1e6, "divergences below are free"),
    OPTION_FLAG(S, sequence.free_mean, "loss.free_mean", "false", "the mean's, not each row's"),
    OPTION_NUMBER(S, sequence.dyn, "loss.dyn", "1", 0, 1e6, "weight of the divergence that moves the prior"),
    OPTION_NUMBER(S, sequence.rep, "loss.rep", "0.1", 0, 1e6, "weight of the one that moves the posterior"),
    OPTION_NUMBER(S, sequence.reconstruction, "loss.reconstruction", "3000", 0, 1e6, "weight of the reconstruction"),
    OPTION_NUMBER(S, sequence.reward_scale, "loss.reward", "1", 0, 1e6, "weight of the reward"),
    OPTION_NUMBER(S, sequence.continue_scale, "loss.continue", "1", 0, 1e6, "weight of the continuation"),
    OPTION_WHOLE(S, train_steps, "train.steps", "4000", 1, 1e9, "updates"),
    OPTION_WHOLE(S, batch, "train.batch", "16", 1, 1048576, "sequences an update"),
    OPTION_WHOLE(S, window, "train.length", "32", 1, 65536, "observations in a row that a sequence is"),
    OPTION_CHOICE(S, sequence.optimiser, "train.optimiser", "laprop", "laprop adamw", "LaProp with AGC, or AdamW"),
    OPTION_NUMBER(S, learning_rate, "train.learning_rate", "2e-3", 1e-9, 10, "of the optimiser"),
    OPTION_WHOLE(S, learning_rate_warmup, "train.learning_rate_warmup", "100", 0, 1e9,
                 "updates over which it grows to that"),
    OPTION_FLAG(S, learning_rate_decay, "train.learning_rate_decay", "true",
                "it falls along half a cosine, to 0 at the last update"),
    OPTION_NUMBER(S, weight_decay, "train.weight_decay", "0", 0, 10, "of AdamW"),
    OPTION_NUMBER(S, clip, "train.clip", "1000", 1e-6, 1e9, "bound of the gradient's norm"),
    HELD_OUT_OPTIONS(S),
    OPTION_WHOLE(S, sequence.context, "eval.context", "16", 1, 65536,
                 "observations that the model sees before it predicts alone; fewer where an episode begins"),
    LOG_OPTIONS(S, "20", 1024, "updates"),
};
_Static_assert(sizeof options / sizeof *options <= OPTION_MAX, "OPTION_MAX is too small");

static const char *const dreamer_v3[][2] = {
    {"model.latent", "categorical"}, {"loss.free_nats", "1"},     {"loss.reconstruction", "1"},
    {"train.length", "64"},          {"train.learning_rate", "4e-5"}, {"train.learning_rate_warmup", "1000"},
    {"train.learning_rate_decay", "false"},
};
static const char *const planet[][2] = {
    {"model.size", "planet"},     {"loss.rep", "1"},           {"loss.free_nats", "3"},
    {"loss.reconstruction", "1"}, {"train.optimiser", "adamw"}, {"train.learning_rate", "1e-3"},
};
/* What test_sequence_trainer.c has; episodes of 20 steps. */
static const char *const memory[][2] = {
    {"env.name", "sequence"}, {"env.memory_size", "5"}, {"data.policy", "random"}, {"data.steps", "20000"},
    {"model.size", "planet"}, {"model.deter", "64"},    {"model.hidden", "32"},    {"model.units", "32"},
    {"model.stoch", "8"},     {"loss.rep", "1"},        {"loss.free_nats", "3"},   {"loss.reward", "10"},
    {"loss.reconstruction", "1"},
    {"train.length", "21"},   {"train.steps", "1500"},  {"train.learning_rate", "3e-3"},
    {"train.learning_rate_decay", "false"},             {"eval.episodes", "32"},   {"eval.steps", "20"},
    {"eval.horizon", "15"},
};
static const option_named named[] = {
    {"dreamer_v3", "categorical latents, and how DreamerV3 weighs and learns", sizeof dreamer_v3 / sizeof *dreamer_v3,
     dreamer_v3},
    {"planet", "a Gaussian latent on a GRU, squared reward error, AdamW", sizeof planet / sizeof *planet, planet},
    {"memory", "predicts the rewards of `sequence`, which are for the cue of five steps before",
     sizeof memory / sizeof *memory, memory},
};

const option_schema sequence_schema = {options, sizeof options / sizeof *options, "env.", named,
                                       sizeof named / sizeof *named, NULL};

/* ---- model and trainer ------------------------------------------------------------------------------------------- */

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message && message[0] ? message : rv_status_text(status));
}

static void set_sizes(const sequence_settings *s, rv_sequence_model_options *sizes) {
    rv_sequence_model_preset(rv_sequence_model_preset_name(s->model), sizes);
    if (s->latent > 0) sizes->rssm.latent = s->latent == 1 ? RV_LATENT_CATEGORICAL : RV_LATENT_GAUSSIAN;
    if (s->core > 0) sizes->rssm.core = s->core == 1 ? RV_CORE_BLOCK_GRU : RV_CORE_GRU;
    if (s->reward == 1 && sizes->bins < 0) sizes->bins = 0;
    if (s->reward == 2) sizes->bins = -1;
    sequence_sizes_set(&s->sizes, sizes);
}

static rv_sequence_model_options model_options(const world_model_job *job) {
    const sequence_settings *s = &job->settings.sequence;
    rv_sequence_model_options sizes = {.size = sizeof sizes,
                                       .observation_size = job->spaces.observation_size,
                                       .action_size = job->spaces.action_size,
                                       .raw = !s->symlog,
                                       .reconstruction_scale = setting_or_none(s->reconstruction),
                                       .reward_scale = setting_or_none(s->reward_scale),
                                       .continue_scale = setting_or_none(s->continue_scale)};
    set_sizes(s, &sizes);
    sizes.kl = (rv_rssm_loss_options){.size = sizeof sizes.kl,
                                      .free_nats = setting_or_none(s->free_nats),
                                      .free_mean = s->free_mean,
                                      .dyn_scale = setting_or_none(s->dyn),
                                      .rep_scale = setting_or_none(s->rep)};
    return sizes;
}

static int make_model(world_model_job *job, const rv_transitions *data) {
    const rv_sequence_model_options sizes = model_options(job);
    char weights[32];
    (void)data;
    rv_status status = rv_sequence_model_create(job->device, &sizes, &job->sequence);
    if (status == RV_OK) status = rv_sequence_model_commit(job->sequence, (uint64_t)job->settings.seed);
    if (status != RV_OK) return failed(status, rv_sequence_model_message(job->sequence));
    const rv_rssm *rssm = rv_sequence_model_rssm(job->sequence);
    printf("model       %s weights, deterministic state of %lld, latent of %lld\n",
           progress_count(rv_params_size(rv_sequence_model_params(job->sequence)), weights),
           (long long)rssm->options.deter, (long long)rv_rssm_stoch_size(rssm));
    return EXIT_OK;
}

static int make_trainer(world_model_job *job, const rv_transitions *data, const rv_transitions *validation) {
    const world_model_settings *s = &job->settings;
    const rv_sequence_trainer_options training = {
        .size = sizeof training,
        .batch = s->batch,
        .steps = s->window,
        .learning_rate = (float)s->learning_rate,
        .learning_rate_warmup = s->learning_rate_warmup > 0 ? s->learning_rate_warmup : -1,
        .learning_rate_decay = s->learning_rate_decay ? s->train_steps : 0,
        .optimiser = (rv_optimiser)s->sequence.optimiser,
        .adamw = {.weight_decay = (float)s->weight_decay},
        .clip = (float)s->clip,
        .seed = (uint64_t)s->seed,
        .validation = validation};
    rv_status status = rv_sequence_trainer_create(job->sequence, data, &training, &job->trainer);
    return status == RV_OK ? EXIT_OK : failed(status, rv_trainer_message(job->trainer));
}

static rv_status checkpoint(world_model_job *job) {
    return rv_sequence_model_checkpoint(job->sequence, "model/", job->checkpoint);
}

static rv_params *params(world_model_job *job) { return rv_sequence_model_params(job->sequence); }

static rv_status evaluate(world_model_job *job, const rv_transitions *train, const rv_dataset *held_out,
                          const rv_evaluate_options *options, rv_evaluation **evaluation) {
    return rv_evaluate_sequence_model(job->sequence, train, held_out, options, evaluation);
}

const world_model_kind sequence_kind = {
    "rssm",
    "recurrent state-space model",
    "Collects data in an environment, trains a world model with a memory on it (recurrent state-space model with\n"
    "decoder, reward and continue head), evaluates it on held-out episodes, and leaves metrics, plots and a\n"
    "checkpoint in a folder.",
    &sequence_schema,
    make_model,
    make_trainer,
    NULL,
    checkpoint,
    params,
    evaluate,
    NULL};
