/* agents/recipe.c: one table of constants. */
#include "reverie/recipe.h"

#include <string.h>

#include "agents/internal.h"

static const rv_world_model_recipe recipes[] = {
    {
        .name = "default",
        .text = "tuned: learns from windows of transitions, its bands calibrated",
        .data_steps = 40000,
        .data_policy = RV_POLICY_MIXED,
        .validation = 0.1,
        .updates = 20000,
        .model = {.size = sizeof(rv_world_model_options),
                  .latent_size = 16,
                  .vae_hidden = {2, {128, 64}},
                  .dynamics_hidden = {2, {128, 64}},
                  .reward_hidden = {2, {64, 32}},
                  .activation = RV_SILU,
                  .linear_path = 1,
                  .continues = 1,
                  .continue_hidden = {2, {64, 32}},
                  .normalise_reward = 1,
                  .calibrated = 1},
        .trainer = {.size = sizeof(rv_trainer_options),
                    .batch = 64,
                    .learning_rate = 2e-3f,
                    .clip = 1000,
                    .kl_weight = 1e-5f,
                    .kl_warmup = 1000,
                    .adamw = {.beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0},
                    .learning_rate_warmup = 200,
                    .learning_rate_decay = 20000,
                    .window = 8,
                    .prediction_weight = 30,
                    .validation_batch = 1024},
    },
    {
        .name = "course",
        .text = "the constants of the course's notebook",
        .data_steps = 5000,
        .data_policy = RV_POLICY_MIXED,
        .validation = 0,
        .updates = 1000,
        .model = {.size = sizeof(rv_world_model_options),
                  .latent_size = 32,
                  .vae_hidden = {2, {128, 64}},
                  .dynamics_hidden = {2, {128, 64}},
                  .reward_hidden = {2, {64, 32}},
                  .activation = RV_SILU},
        .trainer = {.size = sizeof(rv_trainer_options),
                    .batch = 64,
                    .learning_rate = 1e-3f,
                    .clip = 100,
                    .kl_weight = 1e-4f,
                    .adamw = {.beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0},
                    .window = 1},
    },
};

const rv_world_model_recipe *rv_world_model_recipe_list(int *count) {
    if (count) *count = (int)(sizeof recipes / sizeof *recipes);
    return recipes;
}

const rv_world_model_recipe *rv_world_model_recipe_find(const char *name) {
    return rv_find_named(name, recipes, sizeof recipes / sizeof *recipes, sizeof *recipes);
}

const void *rv_find_named(const char *name, const void *list, size_t count, size_t stride) {
    for (size_t i = 0; name && i < count; i++) {
        const char *other;
        const void *at = (const char *)list + i * stride;
        memcpy(&other, at, sizeof other);
        if (strcmp(other, name) == 0) return at;
    }
    return NULL;
}
