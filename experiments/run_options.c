/* experiments/run_options.c */
#include "experiments/run_options.h"

rv_sizes option_sizes_of(const option_sizes *from) {
    rv_sizes to = {.count = from->count};
    for (int i = 0; i < from->count; i++) to.size[i] = from->size[i];
    return to;
}

rv_world_model_options vae_options(const vae_settings *s) {
    return (rv_world_model_options){.size = sizeof(rv_world_model_options),
                                    .latent_size = s->latent,
                                    .vae_hidden = option_sizes_of(&s->vae_hidden),
                                    .dynamics_hidden = option_sizes_of(&s->dynamics_hidden),
                                    .reward_hidden = option_sizes_of(&s->reward_hidden),
                                    .deterministic = s->deterministic,
                                    .absolute = s->absolute,
                                    .linear_path = s->linear_path,
                                    .continues = s->continues,
                                    .continue_hidden = option_sizes_of(&s->continue_hidden),
                                    .normalise_reward = s->normalise_reward};
}
