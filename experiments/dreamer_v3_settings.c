/* experiments/dreamer_v3_settings.c: `reverie train dreamer_v3`: its options, and the agent that they say. */
#include <stdlib.h>

#include "experiments/agent_job.h"
#include "reverie/dreamer_v3_agent.h"

#define S agent_settings

/* 0 is replaced by complete(). */
static const option options[] = {
    RUN_OPTIONS(S, "dreamer_v3", "default tiny memory dmc_proprio debug",
                "a recipe of dreamer_v3_agent.h; a 0 below is the recipe's value, or else DreamerV3's",
                "run/dreamer_v3", "of environments, weights and noise"),
    ENVIRONMENT_OPTIONS(S, "dmc_pendulum_swingup"),
    AGENT_OPTIONS(0, "0", "0", "0"),
    OPTION_WHOLE(S, prefill, "train.start", "0", 0, 1e9, "of those the first, after which it begins to learn"),
    OPTION_WHOLE(S, v3.ratio, "train.ratio", "0", 0, 1e6, "rows that are replayed for each that is acted"),
    OPTION_WHOLE(S, batch, "train.batch", "0", 0, 65536, "sequences of an update"),
    OPTION_WHOLE(S, v3.length, "train.length", "0", 0, 65536, "observations in a row that a sequence is"),
    OPTION_NUMBER(S, v3.learning_rate, "train.learning_rate", "0", 0, 10, "of LaProp, for all networks"),
    OPTION_WHOLE(S, v3.warmup, "train.warmup", "0", -1, 1e9, "updates over which it grows to that; -1: none"),
    OPTION_WHOLE(S, v3.decay, "train.decay", "0", 0, 1e9,
                 "it falls along half a cosine, to 0 at this update; 0: as the recipe, which mostly is not at all"),
    OPTION_CHOICE(S, v3.model, "model.size", "recipe", "recipe " SEQUENCE_SIZES, "sizes of the model (docs/rssm.md)"),
    SEQUENCE_OPTIONS(S, v3.sizes, "as model.size has it"),
    OPTION_NUMBER(S, v3.free_nats, "loss.free_nats", "0", -1, 1e6, "divergences below are free; -1: none are"),
    OPTION_NUMBER(S, v3.rep, "loss.rep", "0", 0, 1e6, "weight of the divergence that moves the posterior"),
    OPTION_NUMBER(S, v3.reconstruction, "loss.reconstruction", "0", 0, 1e6, "weight of the reconstruction"),
    OPTION_NUMBER(S, v3.reward, "loss.reward", "0", 0, 1e6, "weight of the reward"),
    OPTION_WHOLE(S, horizon, "imagine.horizon", "0", 0, 1000, "steps of an imagined trajectory"),
    OPTION_NUMBER(S, v3.return_horizon, "return.horizon", "0", -1, 1e9,
                  "steps that count: the discount is 1 - 1 / horizon; -1: no discount"),
    OPTION_NUMBER(S, v3.lambda, "return.lambda", "0", -1, 1,
                  "how far returns look beyond the critic's value; -1: not at all"),
    OPTION_NUMBER(S, v3.entropy, "actor.entropy", "0", -1, 1e3, "weight of the entropy; -1: none"),
    OPTION_NUMBER(S, v3.slow_rate, "critic.slow_rate", "0", 0, 1, "how fast the slow critic follows"),
    AGENT_EVAL_OPTIONS("1000"),
};
_Static_assert(sizeof options / sizeof *options <= OPTION_MAX, "OPTION_MAX is too small");

/* The values are the recipe's. */
static const char *const memory[][2] = {{"env.name", "sequence"}, {"env.memory_size", "5"}, {"env.steps", "20"}};
static const option_named named[] = {
    {"tiny", "small networks, for CPUs; what default is", 0, NULL},
    {"memory", "learns `sequence`, where rewards are for the cue of five steps before", sizeof memory / sizeof *memory,
     memory},
    {"dmc_proprio", "size1m with the published constants", 0, NULL},
    {"debug", "networks of a few weights, for tests", 0, NULL},
};
static const char *const configs[] = {"default", "tiny", "memory", "dmc_proprio", "debug"}; /* in the option's order */

/* ---- recipes ----------------------------------------------------------------------------------------------------- */

static void fill(int64_t *setting, int64_t recipe, int64_t published) {
    if (*setting == 0) *setting = recipe ? recipe : published;
}

static void fill_number(double *setting, float recipe, double published) {
    char text[32];
    if (*setting != 0) return;
    snprintf(text, sizeof text, "%.6g", (double)recipe); /* as it was written, not as a float has it */
    *setting = recipe != 0 ? strtod(text, NULL) : published;
}

/* The recipe's model, or that of the size which is asked for. */
static rv_sequence_model_options model_of(const agent_settings *s) {
    rv_sequence_model_options model = rv_dreamer_v3_recipe_find(configs[s->config])->options.learner.model;
    if (s->v3.model > 0) rv_sequence_model_preset(rv_sequence_model_preset_name(s->v3.model - 1), &model);
    return model;
}

static void complete(void *settings) {
    agent_settings *s = settings;
    const rv_dreamer_v3_recipe *recipe = rv_dreamer_v3_recipe_find(configs[s->config]);
    const rv_dreamer_v3_agent_options *o = &recipe->options;
    const rv_sequence_model_options model = model_of(s);
    const int64_t repeat = s->env.action_repeat;
    fill(&s->environments, recipe->environments, 1);
    fill(&s->steps, o->steps * repeat, 1100000 * repeat);
    fill(&s->replay, o->replay, 5000000);
    fill(&s->prefill, o->start * repeat, 2048 * repeat);
    fill(&s->v3.ratio, o->train_ratio, 1024);
    fill(&s->batch, o->batch, 16);
    fill(&s->v3.length, o->length, 64);
    fill_number(&s->v3.learning_rate, o->learner.learning_rate, 4e-5);
    fill(&s->v3.warmup, o->learner.warmup, 1000);
    fill(&s->v3.decay, o->learner.decay, 0);
    sequence_sizes_fill(&s->v3.sizes, &model);
    fill_number(&s->v3.free_nats, model.kl.free_nats, 1);
    fill_number(&s->v3.rep, model.kl.rep_scale, 0.1);
    fill_number(&s->v3.reconstruction, model.reconstruction_scale, 1);
    fill_number(&s->v3.reward, model.reward_scale, 1);
    fill(&s->horizon, o->learner.horizon, 15);
    fill_number(&s->v3.return_horizon, model.horizon, 333);
    fill_number(&s->v3.lambda, o->learner.lambda, 0.95);
    fill_number(&s->v3.entropy, o->learner.entropy, 3e-4);
    fill_number(&s->v3.slow_rate, o->learner.slow_rate, 0.02);
}

const option_schema dreamer_v3_schema = {options, sizeof options / sizeof *options, "env.", named,
                                         sizeof named / sizeof *named, complete};

/* ---- the agent --------------------------------------------------------------------------------------------------- */

static rv_dreamer_v3_agent_options agent_options(const agent_settings *s, int64_t steps, int64_t start) {
    rv_dreamer_v3_agent_options o = rv_dreamer_v3_recipe_find(configs[s->config])->options;
    o.learner.model = model_of(s);
    sequence_sizes_set(&s->v3.sizes, &o.learner.model);
    o.learner.model.kl.free_nats = (float)s->v3.free_nats;
    o.learner.model.kl.rep_scale = (float)s->v3.rep;
    o.learner.model.reconstruction_scale = (float)s->v3.reconstruction;
    o.learner.model.reward_scale = (float)s->v3.reward;
    o.learner.model.horizon = (float)s->v3.return_horizon;
    o.learner.horizon = s->horizon;
    o.learner.lambda = (float)s->v3.lambda;
    o.learner.entropy = (float)s->v3.entropy;
    o.learner.slow_rate = (float)s->v3.slow_rate;
    o.learner.learning_rate = (float)s->v3.learning_rate;
    o.learner.warmup = s->v3.warmup;
    o.learner.decay = s->v3.decay;
    o.steps = steps;
    o.batch = s->batch;
    o.length = s->v3.length;
    o.train_ratio = s->v3.ratio;
    o.start = start;
    o.replay = s->replay;
    o.seed = (uint64_t)s->seed;
    return o;
}

static rv_status create(const agent_settings *s, int64_t steps, int64_t start, rv_device *device, rv_env *env,
                        rv_agent **agent) {
    const rv_dreamer_v3_agent_options o = agent_options(s, steps, start);
    return rv_dreamer_v3_agent_create(device, env, &o, agent);
}

static rv_status replay_bytes(const agent_settings *s, int64_t steps, int64_t start, const rv_env_spaces *spaces,
                              int64_t *bytes) {
    const rv_dreamer_v3_agent_options o = agent_options(s, steps, start);
    return rv_dreamer_v3_agent_replay_bytes(&o, spaces, s->environments, bytes);
}

static int weights(rv_agent *agent, agent_weights list[AGENT_WEIGHTS]) {
    rv_dreamer_v3 *learner = rv_dreamer_v3_agent_learner(agent);
    list[0] = (agent_weights){"", rv_dreamer_v3_params(learner), true};
    list[1] = (agent_weights){"", rv_dreamer_v3_slow_params(learner), false};
    return 2;
}

const agent_kind dreamer_v3_kind = {
    "dreamer_v3",
    "DreamerV3: an agent that acts in an environment, learns a world model with a memory from what it sees\n"
    "(recurrent state-space model), and in that imagines trajectories on which actor and critic learn.",
    &dreamer_v3_schema, create, replay_bytes, weights};
