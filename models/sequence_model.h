/* models/sequence_model.h: what a sequence model is made of, for the files of models/. */
#ifndef RV_MODELS_SEQUENCE_MODEL_H
#define RV_MODELS_SEQUENCE_MODEL_H

#include "reverie/sequence_model.h"

struct rv_sequence_model {
    rv_device *device;
    char message[512];
    rv_sequence_model_options options;
    rv_params *params;
    rv_array *bins; /* [1, bins], or NULL */
    rv_mlp encoder, decoder, reward, going_on;
    rv_rssm rssm;
};

#endif
