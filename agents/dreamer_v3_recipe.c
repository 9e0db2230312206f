/* agents/dreamer_v3_recipe.c: settings of DreamerV3 agents by name. */
#include "agents/dreamer_v3_agent.h"
#include "agents/internal.h"

#define MODEL(deter_, hidden_, stoch_, classes_, blocks_, units_)          \
    .size = sizeof(rv_sequence_model_options), .units = units_,            \
    .rssm = {.size = sizeof(rv_rssm_options), .deter = deter_, .hidden = hidden_, .stoch = stoch_, \
             .classes = classes_, .blocks = blocks_}

#define TINY                                                                                   \
    .environments = 1,                                                                         \
    .options = {.size = sizeof(rv_dreamer_v3_agent_options),                                   \
                .learner = {.size = sizeof(rv_dreamer_v3_options),                             \
                            .model = {MODEL(128, 64, 16, 8, 4, 64), .bins = 63},               \
                            .entropy = 5e-4f,                                                  \
                            .learning_rate = 3e-4f,                                            \
                            .warmup = 500},                                                    \
                .steps = 50000,                                                                \
                .batch = 8,                                                                    \
                .length = 16,                                                                  \
                .train_ratio = 64,                                                             \
                .start = 500,                                                                  \
                .replay = 1000000}

static const rv_dreamer_v3_recipe recipes[] = {
    {.name = "default", .text = "tiny", TINY},
    {.name = "tiny", .text = "a small agent that learns in tens of minutes on a CPU", TINY},
    {
        .name = "memory",
        .text = "a Gaussian state on a plain GRU that learns `sequence`, whose rewards are for cues long gone",
        .environments = 1,
        .options = {.size = sizeof(rv_dreamer_v3_agent_options),
                    .learner = {.size = sizeof(rv_dreamer_v3_options),
                                .model = {.size = sizeof(rv_sequence_model_options),
                                          .units = 32,
                                          .rssm = {.size = sizeof(rv_rssm_options),
                                                   .core = RV_CORE_GRU,
                                                   .latent = RV_LATENT_GAUSSIAN,
                                                   .deter = 64,
                                                   .hidden = 32,
                                                   .stoch = 8,
                                                   .classes = 32, /* without meaning here, and the default */
                                                   .blocks = 1},
                                          .bins = -1,
                                          .reward_scale = 10,
                                          .kl = {.size = sizeof(rv_rssm_loss_options),
                                                 .free_nats = 3,
                                                 .dyn_scale = 1,
                                                 .rep_scale = 1}},
                                .entropy = 5e-4f,
                                .learning_rate = 1e-3f,
                                .warmup = 500,
                                .decay = 3714},
                    .steps = 20000,
                    .batch = 16,
                    .length = 21,
                    .train_ratio = 64,
                    .start = 500,
                    .replay = 1000000},
    },
    {
        .name = "dmc_proprio",
        .text = "size1m and the constants of the published configuration of that name",
        .environments = 16,
        .options = {.size = sizeof(rv_dreamer_v3_agent_options),
                    .learner = {.size = sizeof(rv_dreamer_v3_options),
                                .model = {MODEL(512, 64, 32, 4, 8, 64)},
                                .learning_rate = 4e-5f,
                                .warmup = 1000},
                    .steps = 1100000,
                    .batch = 16,
                    .length = 64,
                    .train_ratio = 1024,
                    .start = 2048,
                    .replay = 5000000},
    },
    {
        .name = "debug",
        .text = "networks of a few weights, for tests",
        .environments = 2,
        .options = {.size = sizeof(rv_dreamer_v3_agent_options),
                    .learner = {.size = sizeof(rv_dreamer_v3_options),
                                .model = {MODEL(8, 3, 2, 4, 4, 8), .bins = 5},
                                .horizon = 3,
                                .learning_rate = 4e-4f,
                                .warmup = 10},
                    .steps = 1000,
                    .batch = 4,
                    .length = 8,
                    .train_ratio = 8,
                    .start = 40,
                    .replay = 1000},
    },
};

const rv_dreamer_v3_recipe *rv_dreamer_v3_recipe_list(int *count) {
    if (count) *count = (int)(sizeof recipes / sizeof *recipes);
    return recipes;
}

const rv_dreamer_v3_recipe *rv_dreamer_v3_recipe_find(const char *name) {
    return rv_find_named(name, recipes, sizeof recipes / sizeof *recipes, sizeof *recipes);
}

/* ---- options ---- */

static void or_default(int64_t *given, int64_t value) {
    if (*given == 0) *given = value;
}

void rv_dreamer_v3_agent_fill_defaults(rv_dreamer_v3_agent_options *o) {
    or_default(&o->steps, 1100000);
    or_default(&o->batch, 16);
    or_default(&o->length, 64);
    or_default(&o->train_ratio, 1024);
    or_default(&o->start, 2048);
    or_default(&o->replay, 5000000);
}

/* Numbers above 2^31 are refused, so that the products below fit. */
static bool whole(int64_t number, int64_t least) { return number >= least && number <= INT32_MAX; }

const char *rv_dreamer_v3_agent_mistake(const rv_dreamer_v3_agent_options *o, int64_t environments) {
    if (!whole(o->steps, 1)) return "steps must lie between 1 and 2^31 - 1";
    if (!whole(o->batch, 1)) return "batch must lie between 1 and 2^31 - 1";
    if (!whole(o->length, 2)) return "length must lie between 2 and 2^31 - 1";
    if (o->length > INT32_MAX / o->batch - 1) return "batch and length together are too large";
    if (!whole(o->train_ratio, 1)) return "train_ratio must lie between 1 and 2^31 - 1";
    if (o->steps * o->train_ratio / (o->batch * o->length) > INT32_MAX) return "train_ratio gives too many updates";
    if (!whole(o->start, 1) || o->start / environments < o->length + 1)
        return "start must be length + 1 in every environment";
    if (o->replay / environments < o->length + 1) return "replay must hold length + 1 in every environment";
    return NULL;
}
