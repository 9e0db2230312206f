/* models/world_model.h: what a world model is made of, for the files of models/. */
#ifndef RV_MODELS_WORLD_MODEL_H
#define RV_MODELS_WORLD_MODEL_H

#include "reverie/world_model.h"

/* The model sees (observation - mean) / scale; change is the standard deviation of one step's change. */
typedef enum rv_normaliser_row {
    RV_MEAN = 0, RV_SCALE, RV_CHANGE, RV_REWARD_MEAN, RV_REWARD_SCALE, RV_NORMALISER_ROWS
} rv_normaliser_row;

struct rv_world_model {
    rv_device *device;
    char message[512];
    rv_world_model_options options;
    rv_params *params;
    rv_array *normaliser[RV_NORMALISER_ROWS]; /* [1, O], those of the reward [1, 1] */
    rv_array *stretch, *noise;                /* [RV_STRETCH_STEPS, O], or NULL */
    rv_vae vae;
    rv_dynamics dynamics;
    rv_reward reward;
    rv_continue going_on;
};

/* Observations in the model's own units. */
rv_tensor rv_world_model_normalise(rv_graph *graph, rv_world_model *model, rv_tensor observation);

#endif
