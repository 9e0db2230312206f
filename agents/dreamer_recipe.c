/* agents/dreamer_recipe.c: the settings under which a dreamer is known to learn. */
#include "agents/dreamer.h"
#include "agents/internal.h"

static const rv_dreamer_recipe recipes[] = {
    {
        .name = "default",
        .text = "tuned: windows of transitions, symlog critic, normalised returns",
        .options = {.size = sizeof(rv_dreamer_options),
                    .model = {.size = sizeof(rv_world_model_options),
                              .latent_size = 16,
                              .vae_hidden = {2, {128, 64}},
                              .dynamics_hidden = {2, {128, 64}},
                              .reward_hidden = {2, {64, 32}},
                              .activation = RV_SILU,
                              .linear_path = 1,
                              .continues = 1,
                              .continue_hidden = {2, {64, 32}},
                              .normalise_reward = 1},
                    .actor_hidden = {2, {128, 64}},
                    .critic_hidden = {2, {128, 64}},
                    .critic_bins = -1,
                    .symlog_value = 1,
                    .steps = 16000,
                    .prefill = 1000,
                    .replay = 1000000,
                    .update_every = 2,
                    .updates_each = 1,
                    .batch = 64,
                    .window = 4,
                    .prediction_weight = 10,
                    .kl_weight = 1e-5f,
                    .imagined = 64,
                    .horizon = 15,
                    .gradient = RV_DREAMER_BY_KIND,
                    .gamma = 0.995f,
                    .lambda = 0.95f,
                    .entropy_weight = 3e-3f,
                    .slow_rate = 0.05f,
                    .model_rate = 1e-3f,
                    .actor_rate = 1e-3f,
                    .critic_rate = 1e-3f,
                    .model_clip = 1000,
                    .actor_clip = 100,
                    .critic_clip = 100},
    },
    {
        .name = "course",
        .text = "the constants of the course's notebook",
        .options = {.size = sizeof(rv_dreamer_options),
                    .model = {.size = sizeof(rv_world_model_options),
                              .latent_size = 32,
                              .vae_hidden = {2, {128, 64}},
                              .dynamics_hidden = {2, {128, 64}},
                              .reward_hidden = {2, {64, 32}},
                              .activation = RV_SILU},
                    .actor_hidden = {2, {128, 64}},
                    .critic_hidden = {2, {128, 64}},
                    .plain = 1,
                    .critic_bins = -1,
                    .steps = 20000,
                    .prefill = 5000,
                    .replay = 1000000,
                    .update_every = 2,
                    .updates_each = 1,
                    .batch = 64,
                    .window = 1,
                    .prediction_weight = -1,
                    .kl_weight = 1e-4f,
                    .imagined = 64,
                    .horizon = 10,
                    .draw_latents = 1,
                    .gradient = RV_DREAMER_BY_KIND,
                    .gamma = 0.99f,
                    .lambda = 0.95f,
                    .entropy_weight = 1e-3f,
                    .raw_returns = 1,
                    .slow_rate = 0.02f,
                    .model_rate = 1e-4f,
                    .actor_rate = 1e-4f,
                    .critic_rate = 1e-4f,
                    .constant_rates = 1,
                    .model_clip = 100,
                    .actor_clip = 100,
                    .critic_clip = 100},
    },
};

const rv_dreamer_recipe *rv_dreamer_recipe_list(int *count) {
    if (count) *count = (int)(sizeof recipes / sizeof *recipes);
    return recipes;
}

const rv_dreamer_recipe *rv_dreamer_recipe_find(const char *name) {
    return rv_find_named(name, recipes, sizeof recipes / sizeof *recipes, sizeof *recipes);
}

/* ---- options ---- */

static void or_default(int64_t *given, int64_t value) {
    if (*given == 0) *given = value;
}

static void or_default_number(float *given, float value) {
    if (*given == 0) *given = value;
}

void rv_dreamer_fill_defaults(rv_dreamer_options *o) {
    const rv_dreamer_options *d = &recipes[0].options;
    if (o->model.size == 0) o->model.size = sizeof o->model;
    if (o->actor_hidden.count == 0) o->actor_hidden = d->actor_hidden;
    if (o->critic_hidden.count == 0) o->critic_hidden = d->critic_hidden;
    int64_t *const whole[] = {&o->critic_bins, &o->steps,  &o->prefill, &o->replay,   &o->update_every,
                              &o->updates_each, &o->batch, &o->window,  &o->imagined, &o->horizon};
    const int64_t standard[] = {d->critic_bins, d->steps,  d->prefill, d->replay,   d->update_every,
                                d->updates_each, d->batch, d->window,  d->imagined, d->horizon};
    float *const number[] = {&o->prediction_weight, &o->kl_weight,  &o->gamma,       &o->lambda,
                             &o->entropy_weight,    &o->slow_rate,  &o->model_rate,  &o->actor_rate,
                             &o->critic_rate,       &o->model_clip, &o->actor_clip,  &o->critic_clip};
    const float standard_number[] = {d->prediction_weight, d->kl_weight,  d->gamma,      d->lambda,
                                     d->entropy_weight,    d->slow_rate,  d->model_rate, d->actor_rate,
                                     d->critic_rate,       d->model_clip, d->actor_clip, d->critic_clip};
    _Static_assert(sizeof whole / sizeof *whole == sizeof standard / sizeof *standard, "one each");
    _Static_assert(sizeof number / sizeof *number == sizeof standard_number / sizeof *standard_number, "one each");
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) or_default(whole[i], standard[i]);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) or_default_number(number[i], standard_number[i]);
}

const char *rv_dreamer_mistake(const rv_dreamer_options *o) {
    if (o->window < 1 || o->window > RV_WINDOW_MAX) return "window must lie between 1 and RV_WINDOW_MAX";
    if (o->steps < 1 || o->steps > INT32_MAX) return "steps must lie between 1 and 2^31 - 1";
    if (o->prefill < 1 || o->replay < 1) return "prefill and replay must be at least 1";
    if (o->prefill > o->replay) return "the replay must hold the prefill";
    if (o->update_every < 1 || o->updates_each < 1) return "update_every and updates_each must be at least 1";
    if (o->updates_each > INT32_MAX / o->steps) return "updates_each is too large";
    if (o->batch < 1 || o->imagined < 1 || o->horizon < 1) return "batch, imagined and horizon must be at least 1";
    if (!(o->gamma > 0 && o->gamma <= 1)) return "gamma must lie above 0 and at most at 1";
    if (!(o->lambda <= 1)) return "lambda must be at most 1";
    if (!(o->slow_rate > 0 && o->slow_rate <= 1)) return "slow_rate must lie above 0 and at most at 1";
    if (!(o->model_rate > 0 && o->actor_rate > 0 && o->critic_rate > 0)) return "learning rates must be above 0";
    if (o->gradient < RV_DREAMER_BY_KIND || o->gradient > RV_DREAMER_REINFORCE) return "no such gradient";
    return NULL;
}
