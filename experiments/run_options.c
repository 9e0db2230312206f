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

void sequence_sizes_fill(sequence_sizes *sizes, const rv_sequence_model_options *model) {
    const rv_rssm_options *r = &model->rssm;
    if (sizes->deter == 0) sizes->deter = r->deter;
    if (sizes->hidden == 0) sizes->hidden = r->hidden;
    if (sizes->stoch == 0) sizes->stoch = r->stoch;
    if (sizes->classes == 0) sizes->classes = r->classes;
    if (sizes->blocks == 0) sizes->blocks = r->blocks;
    if (sizes->units == 0) sizes->units = model->units;
}

void sequence_sizes_set(const sequence_sizes *sizes, rv_sequence_model_options *model) {
    sequence_sizes all = *sizes;
    sequence_sizes_fill(&all, model);
    model->rssm.deter = all.deter;
    model->rssm.hidden = all.hidden;
    model->rssm.stoch = all.stoch;
    model->rssm.classes = all.classes;
    model->rssm.blocks = all.blocks;
    model->units = all.units;
}
