/* models/world_model.c: VAE, dynamics, reward and continue model on one set of weights, with their normalisers. */
#include "models/world_model.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static rv_status fail(rv_world_model *model, rv_status status, const char *what, const char *why) {
    snprintf(model->message, sizeof model->message, "world model: %s: %.400s", what, why);
    return status;
}

static rv_sizes or_default(rv_sizes given, int64_t first, int64_t second) {
    return given.count ? given : (rv_sizes){2, {first, second}};
}

static void fill_defaults(rv_world_model_options *options) {
    if (options->latent_size == 0) options->latent_size = 32;
    if (options->activation == RV_LINEAR) options->activation = RV_SILU;
    options->vae_hidden = or_default(options->vae_hidden, 128, 64);
    options->dynamics_hidden = or_default(options->dynamics_hidden, 128, 64);
    options->reward_hidden = or_default(options->reward_hidden, 64, 32);
    options->continue_hidden = or_default(options->continue_hidden, 64, 32);
}

static rv_status add_weights(rv_world_model *model, uint64_t seed) {
    const rv_world_model_options *o = &model->options;
    int flags = (o->deterministic ? 0 : RV_DYNAMICS_STOCHASTIC) | (o->absolute ? 0 : RV_DYNAMICS_RESIDUAL);
    rv_status status = rv_params_create(model->device, &model->params);
    if (status == RV_OK) {
        if (o->inference) rv_params_values_only(model->params);
        model->vae = rv_vae_add(model->params, "vae", o->observation_size, o->latent_size, o->vae_hidden, o->activation);
        if (o->linear_path) rv_vae_add_linear_path(model->params, "vae", &model->vae);
        model->dynamics = rv_dynamics_add(model->params, "dynamics", o->latent_size, o->action_size, o->dynamics_hidden, o->activation, flags);
        model->reward = rv_reward_add(model->params, "reward", o->latent_size, o->action_size, o->reward_hidden, o->activation);
        if (o->continues) {
            model->going_on = rv_continue_add(model->params, "continue", o->latent_size, o->action_size, o->continue_hidden, o->activation);
        }
        status = rv_params_commit(model->params, seed);
    }
    return status == RV_OK ? RV_OK : fail(model, status, "weights", rv_params_message(model->params));
}

static const char *const normaliser_names[RV_NORMALISER_ROWS] = {"normaliser/mean", "normaliser/scale", "normaliser/change",
                                                                 "normaliser/reward_mean", "normaliser/reward_scale"};

static rv_status fill(rv_world_model *model, rv_array *array, float value) {
    int64_t count = rv_array_rows(array) * rv_array_cols(array);
    float *values = rv_device_resize(model->device, NULL, (size_t)count * sizeof *values);
    if (!values) return fail(model, RV_OUT_OF_MEMORY, rv_array_name(array), "no memory");
    for (int64_t i = 0; i < count; i++) values[i] = value;
    rv_status status = rv_array_write(array, 0, rv_array_rows(array), values);
    rv_device_resize(model->device, values, 0);
    return status == RV_OK ? RV_OK : fail(model, status, rv_array_name(array), rv_array_message(array));
}

static rv_status add_array(rv_world_model *model, int64_t rows, int64_t cols, const char *name, float value, rv_array **array) {
    rv_status status = rv_array_create(model->device, RV_F32, rows, cols, name, array);
    if (status != RV_OK) return fail(model, status, name, rv_array_message(*array));
    return value == 0 ? RV_OK : fill(model, *array, value);
}

static rv_status add_normalisers(rv_world_model *model) {
    const int64_t size = model->options.observation_size;
    rv_status status = RV_OK;
    for (int row = 0; row < RV_NORMALISER_ROWS && status == RV_OK; row++) {
        float value = row == RV_MEAN || row == RV_REWARD_MEAN ? 0.0f : 1.0f;
        status = add_array(model, 1, row < RV_REWARD_MEAN ? size : 1, normaliser_names[row], value, &model->normaliser[row]);
    }
    if (status == RV_OK && model->options.calibrated) {
        status = add_array(model, RV_STRETCH_STEPS, size, "stretch", 1, &model->stretch);
        if (status == RV_OK) status = add_array(model, RV_STRETCH_STEPS, size, "noise", 0, &model->noise);
    }
    return status;
}

rv_status rv_world_model_create(rv_device *device, const rv_world_model_options *options, uint64_t seed, rv_world_model **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_world_model *model = *out = rv_device_resize(device, NULL, sizeof *model);
    if (!model) return RV_OUT_OF_MEMORY;
    *model = (rv_world_model){.device = device};
    if (!options || options->size == 0) return fail(model, RV_INVALID_ARGUMENT, "options", "set size to sizeof(rv_world_model_options)");
    memcpy(&model->options, options, options->size < sizeof model->options ? options->size : sizeof model->options);
    rv_world_model_options *o = &model->options;
    fill_defaults(o);
    if (o->observation_size < 1 || o->action_size < 1 || o->latent_size < 1) {
        return fail(model, RV_INVALID_ARGUMENT, "options", "observation_size, action_size and latent_size must be at least 1");
    }
    rv_status status = add_weights(model, seed);
    return status == RV_OK ? add_normalisers(model) : status;
}

void rv_world_model_destroy(rv_world_model *model) {
    if (!model) return;
    rv_world_model gone = *model;
    rv_device_resize(model->device, model, 0); /* first: with its last object a closed device goes too */
    rv_params_destroy(gone.params);
    for (int row = 0; row < RV_NORMALISER_ROWS; row++) rv_array_destroy(gone.normaliser[row]);
    rv_array_destroy(gone.stretch);
    rv_array_destroy(gone.noise);
}

const char *rv_world_model_message(const rv_world_model *model) { return model ? model->message : "no world model"; }
const rv_world_model_options *rv_world_model_options_get(const rv_world_model *model) { return model ? &model->options : NULL; }
rv_params *rv_world_model_params(rv_world_model *model) { return model ? model->params : NULL; }
rv_device *rv_world_model_device(const rv_world_model *model) { return model ? model->device : NULL; }

rv_array *rv_world_model_stretch(rv_world_model *model) { return model ? model->stretch : NULL; }
rv_array *rv_world_model_noise(rv_world_model *model) { return model ? model->noise : NULL; }

/* ---- normalisers ---- */

/* Mean and standard deviation of a column of rows `size` wide, less that of another one where it is given. */
static void column_moments(const float *values, const float *less, int64_t rows, int64_t size, int64_t column, float *mean, float *deviation) {
    double sum = 0, square = 0;
    for (int64_t i = column; i < rows * size; i += size) sum += (double)values[i] - (less ? (double)less[i] : 0);
    double centre = sum / (double)rows;
    for (int64_t i = column; i < rows * size; i += size) {
        double off = (double)values[i] - (less ? (double)less[i] : 0) - centre;
        square += off * off;
    }
    *mean = (float)centre;
    *deviation = (float)sqrt(square / (double)rows);
}

static rv_status write_normaliser(rv_world_model *model, int row, const float *values) {
    rv_array *array = model->normaliser[row];
    const rv_status status = rv_array_write(array, 0, 1, values);
    return status == RV_OK ? RV_OK : fail(model, status, "normaliser", rv_array_message(array));
}

static rv_status normalise_observations(rv_world_model *model, const rv_transitions *data, float *mean) {
    const int64_t size = data->observation_size;
    float *scale = mean + size, *change = scale + size, ignored;
    for (int64_t c = 0; c < size; c++) {
        column_moments(data->observation, NULL, data->steps, size, c, &mean[c], &scale[c]);
        scale[c] = fmaxf(scale[c], 1e-3f);
        if (!data->next_observation) continue;
        column_moments(data->next_observation, data->observation, data->steps, size, c, &ignored, &change[c]);
        change[c] = fmaxf(change[c], 1e-3f * scale[c]); /* what never changes need not be exact beyond measure */
    }
    rv_status status = write_normaliser(model, RV_MEAN, mean);
    if (status == RV_OK) status = write_normaliser(model, RV_SCALE, scale);
    return status == RV_OK && data->next_observation ? write_normaliser(model, RV_CHANGE, change) : status;
}

static rv_status normalise_rewards(rv_world_model *model, const rv_transitions *data) {
    float mean, scale;
    if (!data->reward) return RV_OK;
    column_moments(data->reward, NULL, data->steps, 1, 0, &mean, &scale);
    if (scale < 1e-3f) scale = 1; /* a constant reward is learnt as it is, less its mean */
    rv_status status = write_normaliser(model, RV_REWARD_MEAN, &mean);
    return status == RV_OK ? write_normaliser(model, RV_REWARD_SCALE, &scale) : status;
}

rv_status rv_world_model_normalise_by(rv_world_model *model, const rv_transitions *data) {
    if (!model) return RV_INVALID_ARGUMENT;
    if (!data || data->steps < 1) return fail(model, RV_INVALID_ARGUMENT, "normaliser", "there is no data");
    const int64_t size = model->options.observation_size;
    if (data->observation_size != size) return fail(model, RV_SHAPE_MISMATCH, "normaliser", "the data has observations of another size");
    float *rows = rv_device_resize(model->device, NULL, 3 * (size_t)size * sizeof *rows);
    if (!rows) return fail(model, RV_OUT_OF_MEMORY, "normaliser", "no memory");
    rv_status status = normalise_observations(model, data, rows);
    if (status == RV_OK) status = normalise_rewards(model, data);
    rv_device_resize(model->device, rows, 0);
    return status;
}

rv_status rv_world_model_normaliser(rv_world_model *model, float *mean, float *scale) {
    if (!model) return RV_INVALID_ARGUMENT;
    rv_status status = rv_array_read(model->normaliser[RV_MEAN], 0, 1, mean);
    if (status == RV_OK) status = rv_array_read(model->normaliser[RV_SCALE], 0, 1, scale);
    return status == RV_OK ? RV_OK : fail(model, status, "normaliser", rv_array_message(model->normaliser[RV_MEAN]));
}

static rv_status checkpoint_array(rv_checkpoint *checkpoint, const char *prefix, const char *name, rv_array *array) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return rv_checkpoint_add_array(checkpoint, full, array);
}

rv_status rv_world_model_checkpoint(rv_world_model *model, const char *prefix, rv_checkpoint *checkpoint) {
    if (!model || !prefix || !checkpoint) return RV_INVALID_ARGUMENT;
    rv_status status = rv_checkpoint_add_params(checkpoint, prefix, model->params);
    for (int row = 0; row < RV_NORMALISER_ROWS && status == RV_OK; row++) {
        status = checkpoint_array(checkpoint, prefix, normaliser_names[row], model->normaliser[row]);
    }
    if (status == RV_OK && model->stretch) status = checkpoint_array(checkpoint, prefix, "stretch", model->stretch);
    return status == RV_OK && model->noise ? checkpoint_array(checkpoint, prefix, "noise", model->noise) : status;
}

/* ---- forward ---- */

static rv_tensor normaliser(rv_graph *graph, rv_world_model *model, rv_normaliser_row row) {
    return rv_read(graph, model->normaliser[row]);
}

rv_tensor rv_world_model_normalise(rv_graph *graph, rv_world_model *model, rv_tensor observation) {
    return rv_div(rv_sub(observation, normaliser(graph, model, RV_MEAN)), normaliser(graph, model, RV_SCALE));
}

rv_gaussian rv_world_model_encode(rv_graph *graph, rv_world_model *model, rv_tensor observation) {
    return rv_vae_encode(graph, &model->vae, rv_world_model_normalise(graph, model, observation));
}

rv_tensor rv_world_model_decode(rv_graph *graph, rv_world_model *model, rv_tensor latent) {
    rv_tensor normalised = rv_vae_decode(graph, &model->vae, latent);
    return rv_add(rv_mul(normalised, normaliser(graph, model, RV_SCALE)), normaliser(graph, model, RV_MEAN));
}

rv_world_model_step rv_world_model_predict(rv_graph *graph, rv_world_model *model, rv_tensor latent, rv_tensor action) {
    rv_world_model_step step = {.latent = rv_dynamics_predict(graph, &model->dynamics, latent, action),
                                .reward = rv_reward_predict(graph, &model->reward, latent, action)};
    if (model->options.normalise_reward) {
        step.reward = rv_add(rv_mul(step.reward, normaliser(graph, model, RV_REWARD_SCALE)), normaliser(graph, model, RV_REWARD_MEAN));
    }
    if (model->options.continues) step.continues = rv_continue_predict(graph, &model->going_on, latent, action);
    return step;
}

/* mean + stretch (drawn - mean) + noise, all decoded */
static rv_tensor calibrated(rv_graph *graph, rv_world_model *model, int t, rv_tensor mean, rv_tensor drawn, rv_tensor state) {
    const int64_t size = model->options.observation_size;
    const int64_t row = (t < RV_STRETCH_STEPS ? t : RV_STRETCH_STEPS - 1) * size;
    rv_tensor centre = rv_world_model_decode(graph, model, mean);
    rv_tensor off = rv_mul(rv_sub(rv_world_model_decode(graph, model, drawn), centre), rv_read_part(graph, model->stretch, row, 1, size));
    rv_tensor noise = rv_normal(state, "rollout noise", (uint32_t)t, rv_tensor_rows(mean), size);
    return rv_add(rv_add(centre, off), rv_mul(noise, rv_read_part(graph, model->noise, row, 1, size)));
}

void rv_world_model_rollout(rv_graph *graph, rv_world_model *model, rv_tensor observation, const rv_tensor *actions, int steps,
                            rv_tensor state, rv_tensor *observations, rv_tensor *rewards) {
    rv_graph_push(graph, "rollout");
    const bool draw = state.graph && !model->options.deterministic;
    const bool calibrate = draw && model->stretch && observations;
    rv_tensor latent = rv_world_model_encode(graph, model, observation).mean, mean = latent;
    for (int t = 0; t < steps; t++) {
        rv_world_model_step next = rv_world_model_predict(graph, model, latent, actions[t]);
        latent = draw ? rv_sample_normal(next.latent.mean, next.latent.logvar, state, "rollout", (uint32_t)t).value : next.latent.mean;
        if (calibrate) mean = rv_dynamics_predict(graph, &model->dynamics, mean, actions[t]).mean;
        if (observations) {
            observations[t] = calibrate ? calibrated(graph, model, t, mean, latent, state) : rv_world_model_decode(graph, model, latent);
        }
        if (rewards) rewards[t] = next.reward;
    }
    rv_graph_pop(graph);
}
