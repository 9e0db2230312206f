/* models/world_model.c: VAE, dynamics and reward on one set of weights, with the observations' normaliser. */
#include "reverie/world_model.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct rv_world_model {
    rv_device *device;
    char message[512];
    rv_world_model_options options;
    rv_params *params;
    rv_array *mean, *scale; /* [1, O]; the model sees (observation - mean) / scale */
    rv_vae vae;
    rv_dynamics dynamics;
    rv_reward reward;
};

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
}

static rv_status add_weights(rv_world_model *model, uint64_t seed) {
    const rv_world_model_options *o = &model->options;
    int flags = (o->deterministic ? 0 : RV_DYNAMICS_STOCHASTIC) | (o->absolute ? 0 : RV_DYNAMICS_RESIDUAL);
    rv_status status = rv_params_create(model->device, &model->params);
    if (status == RV_OK) {
        model->vae = rv_vae_add(model->params, "vae", o->observation_size, o->latent_size, o->vae_hidden, o->activation);
        model->dynamics = rv_dynamics_add(model->params, "dynamics", o->latent_size, o->action_size, o->dynamics_hidden, o->activation, flags);
        model->reward = rv_reward_add(model->params, "reward", o->latent_size, o->action_size, o->reward_hidden, o->activation);
        status = rv_params_commit(model->params, seed);
    }
    return status == RV_OK ? RV_OK : fail(model, status, "weights", rv_params_message(model->params));
}

static rv_status write_normaliser(rv_world_model *model, const float *mean, const float *scale) {
    rv_status status = rv_array_write(model->mean, 0, 1, mean);
    if (status == RV_OK) status = rv_array_write(model->scale, 0, 1, scale);
    return status == RV_OK ? RV_OK : fail(model, status, "normaliser", rv_array_message(model->scale));
}

static rv_status add_normaliser(rv_world_model *model) {
    int64_t size = model->options.observation_size;
    rv_status status = rv_array_create(model->device, RV_F32, 1, size, "normaliser/mean", &model->mean);
    if (status != RV_OK) return fail(model, status, "normaliser", rv_array_message(model->mean));
    status = rv_array_create(model->device, RV_F32, 1, size, "normaliser/scale", &model->scale);
    if (status != RV_OK) return fail(model, status, "normaliser", rv_array_message(model->scale));
    float *one = rv_device_resize(model->device, NULL, (size_t)size * sizeof *one);
    if (!one) return fail(model, RV_OUT_OF_MEMORY, "normaliser", "no memory");
    for (int64_t i = 0; i < size; i++) one[i] = 1;
    status = rv_array_write(model->scale, 0, 1, one);
    rv_device_resize(model->device, one, 0);
    return status == RV_OK ? RV_OK : fail(model, status, "normaliser", rv_array_message(model->scale));
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
    return status == RV_OK ? add_normaliser(model) : status;
}

void rv_world_model_destroy(rv_world_model *model) {
    if (!model) return;
    rv_world_model gone = *model;
    rv_device_resize(model->device, model, 0); /* first: with its last object a closed device goes too */
    rv_params_destroy(gone.params);
    rv_array_destroy(gone.mean);
    rv_array_destroy(gone.scale);
}

const char *rv_world_model_message(const rv_world_model *model) { return model ? model->message : "no world model"; }
const rv_world_model_options *rv_world_model_options_get(const rv_world_model *model) { return model ? &model->options : NULL; }
rv_params *rv_world_model_params(rv_world_model *model) { return model ? model->params : NULL; }
rv_device *rv_world_model_device(const rv_world_model *model) { return model ? model->device : NULL; }

/* ---- normaliser ---- */

rv_status rv_world_model_normalise_by(rv_world_model *model, const rv_transitions *data) {
    if (!model) return RV_INVALID_ARGUMENT;
    if (!data || data->steps < 1) return fail(model, RV_INVALID_ARGUMENT, "normaliser", "there is no data");
    int64_t size = model->options.observation_size;
    if (data->observation_size != size) return fail(model, RV_SHAPE_MISMATCH, "normaliser", "the data has observations of another size");
    float *mean = rv_device_resize(model->device, NULL, 2 * (size_t)size * sizeof *mean);
    if (!mean) return fail(model, RV_OUT_OF_MEMORY, "normaliser", "no memory");
    float *scale = mean + size;
    for (int64_t c = 0; c < size; c++) {
        double sum = 0, square = 0;
        for (int64_t r = 0; r < data->steps; r++) sum += data->observation[r * size + c];
        double centre = sum / (double)data->steps;
        for (int64_t r = 0; r < data->steps; r++) {
            double off = data->observation[r * size + c] - centre;
            square += off * off;
        }
        mean[c] = (float)centre;
        scale[c] = (float)fmax(sqrt(square / (double)data->steps), 1e-3);
    }
    rv_status status = write_normaliser(model, mean, scale);
    rv_device_resize(model->device, mean, 0);
    return status;
}

rv_status rv_world_model_normaliser(rv_world_model *model, float *mean, float *scale) {
    if (!model) return RV_INVALID_ARGUMENT;
    rv_status status = rv_array_read(model->mean, 0, 1, mean);
    if (status == RV_OK) status = rv_array_read(model->scale, 0, 1, scale);
    return status == RV_OK ? RV_OK : fail(model, status, "normaliser", rv_array_message(model->mean));
}

static rv_tensor normalise(rv_graph *graph, rv_world_model *model, rv_tensor observation) {
    return rv_div(rv_sub(observation, rv_read(graph, model->mean)), rv_read(graph, model->scale));
}

rv_status rv_world_model_checkpoint(rv_world_model *model, const char *prefix, rv_checkpoint *checkpoint) {
    if (!model || !prefix || !checkpoint) return RV_INVALID_ARGUMENT;
    char name[256];
    rv_status status = rv_checkpoint_add_params(checkpoint, prefix, model->params);
    snprintf(name, sizeof name, "%snormaliser/mean", prefix);
    if (status == RV_OK) status = rv_checkpoint_add_array(checkpoint, name, model->mean);
    snprintf(name, sizeof name, "%snormaliser/scale", prefix);
    if (status == RV_OK) status = rv_checkpoint_add_array(checkpoint, name, model->scale);
    return status;
}

/* ---- forward ---- */

rv_gaussian rv_world_model_encode(rv_graph *graph, rv_world_model *model, rv_tensor observation) {
    return rv_vae_encode(graph, &model->vae, normalise(graph, model, observation));
}

rv_tensor rv_world_model_decode(rv_graph *graph, rv_world_model *model, rv_tensor latent) {
    rv_tensor normalised = rv_vae_decode(graph, &model->vae, latent);
    return rv_add(rv_mul(normalised, rv_read(graph, model->scale)), rv_read(graph, model->mean));
}

rv_world_model_step rv_world_model_predict(rv_graph *graph, rv_world_model *model, rv_tensor latent, rv_tensor action) {
    return (rv_world_model_step){.latent = rv_dynamics_predict(graph, &model->dynamics, latent, action),
                                 .reward = rv_reward_predict(graph, &model->reward, latent, action)};
}

void rv_world_model_rollout(rv_graph *graph, rv_world_model *model, rv_tensor observation, const rv_tensor *actions, int steps,
                            rv_tensor state, rv_tensor *observations, rv_tensor *rewards) {
    rv_graph_push(graph, "rollout");
    rv_tensor latent = rv_world_model_encode(graph, model, observation).mean;
    for (int t = 0; t < steps; t++) {
        rv_world_model_step next = rv_world_model_predict(graph, model, latent, actions[t]);
        bool draw = state.graph && next.latent.logvar.graph;
        latent = draw ? rv_sample_normal(next.latent.mean, next.latent.logvar, state, "rollout", (uint32_t)t).value : next.latent.mean;
        if (observations) observations[t] = rv_world_model_decode(graph, model, latent);
        if (rewards) rewards[t] = next.reward;
    }
    rv_graph_pop(graph);
}

rv_world_model_losses rv_world_model_loss(rv_graph *graph, rv_world_model *model, rv_world_model_batch batch, rv_tensor kl_weight,
                                          rv_tensor state) {
    rv_world_model_losses losses;
    rv_tensor observation = normalise(graph, model, batch.observation);
    rv_gaussian posterior = rv_vae_encode(graph, &model->vae, observation);
    rv_normal_sample latent = rv_vae_reparameterise(posterior, state, "posterior", 0);
    rv_graph_push(graph, "target");
    rv_gaussian target = rv_world_model_encode(graph, model, batch.next_observation);
    rv_graph_pop(graph);
    rv_world_model_step next = rv_world_model_predict(graph, model, latent.value, batch.action);

    rv_graph_push(graph, "loss");
    losses.reconstruction = rv_mean(rv_mse(rv_vae_decode(graph, &model->vae, latent.value), observation), RV_ALL);
    losses.kl = rv_mean(latent.kl, RV_ALL);
    losses.dynamics = rv_mean(rv_dynamics_loss(next.latent, rv_stop_gradient(target.mean)), RV_ALL);
    losses.reward = rv_mean(rv_mse(next.reward, batch.reward), RV_ALL);
    losses.total = rv_add(rv_add(losses.reconstruction, rv_mul(kl_weight, losses.kl)), rv_add(losses.dynamics, losses.reward));
    rv_graph_pop(graph);
    return losses;
}
