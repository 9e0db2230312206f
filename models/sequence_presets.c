/* models/sequence_presets.c: sizes by name. */
#include <string.h>

#include "reverie/sequence_model.h"

typedef struct preset {
    const char *name;
    int64_t deter, hidden, stoch, classes, blocks, units;
} preset;

static const preset presets[] = {
    {"tiny", 128, 64, 16, 8, 4, 64},
    {"size1m", 512, 64, 32, 4, 8, 64},
    {"size12m", 2048, 256, 32, 16, 8, 256},
    {"size25m", 3072, 384, 32, 24, 8, 384},
    {"size50m", 4096, 512, 32, 32, 8, 512},
    {"size100m", 6144, 768, 32, 48, 8, 768},
    {"size200m", 8192, 1024, 32, 64, 8, 1024},
    {"size400m", 12288, 1536, 32, 96, 8, 1536},
    {"debug", 8, 3, 2, 4, 4, 8},
    {"planet", 200, 200, 30, 0, 0, 200},
};
enum { PRESETS = sizeof presets / sizeof *presets };

const char *rv_sequence_model_preset_name(int index) {
    return index >= 0 && index < PRESETS ? presets[index].name : NULL;
}

static void set_planet(rv_sequence_model_options *options) {
    options->rssm.core = RV_CORE_GRU;
    options->rssm.latent = RV_LATENT_GAUSSIAN;
    options->bins = -1;
    options->kl = (rv_rssm_loss_options){.size = sizeof options->kl, .dyn_scale = 1, .rep_scale = 1};
}

rv_status rv_sequence_model_preset(const char *name, rv_sequence_model_options *options) {
    if (!name || !options) return RV_INVALID_ARGUMENT;
    for (int i = 0; i < PRESETS; i++) {
        const preset *p = &presets[i];
        if (strcmp(name, p->name) != 0) continue;
        options->rssm = (rv_rssm_options){.size = sizeof options->rssm,
                                          .deter = p->deter,
                                          .hidden = p->hidden,
                                          .stoch = p->stoch,
                                          .classes = p->classes,
                                          .blocks = p->blocks};
        options->units = p->units;
        if (strcmp(name, "debug") == 0) options->bins = 5;
        if (strcmp(name, "planet") == 0) set_planet(options);
        return RV_OK;
    }
    return RV_NOT_FOUND;
}
