/* models/sequence_model.c: encoder, RSSM, decoder and heads on one set of weights. */
#include "models/sequence_model.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static rv_status fail(rv_sequence_model *model, rv_status status, const char *what, const char *why) {
    snprintf(model->message, sizeof model->message, "sequence model: %s: %.400s", what, why);
    return status;
}

/* ---- options ---- */

static void default_count(int *count, int value) {
    if (*count == 0) *count = value;
}

static void default_scale(float *scale, float value) {
    if (*scale == 0) *scale = value;
    if (*scale < 0) *scale = 0;
}

static void fill_defaults(rv_sequence_model_options *o) {
    if (o->units == 0) o->units = 64;
    default_count(&o->encoder_layers, 3);
    default_count(&o->decoder_layers, 3);
    default_count(&o->reward_layers, 1);
    default_count(&o->continue_layers, 1);
    if (o->activation == RV_LINEAR) o->activation = RV_SILU;
    if (o->bins == 0) o->bins = 255;
    if (o->bins < 0) o->bins = 0;
    if (o->horizon == 0) o->horizon = 333;
    default_scale(&o->reconstruction_scale, 1);
    default_scale(&o->reward_scale, 1);
    default_scale(&o->continue_scale, 1);
    o->rssm.size = sizeof o->rssm;
    o->kl.size = sizeof o->kl;
    o->rssm.action_size = o->action_size;
    o->rssm.token_size = o->units;
}

static bool good_layers(int layers) { return layers >= 1 && layers < RV_LAYERS_MAX; }

/* NULL: there is none. */
static const char *mistake_of(const rv_sequence_model_options *o) {
    const int layers[] = {o->encoder_layers, o->decoder_layers, o->reward_layers, o->continue_layers};
    if (o->observation_size < 1 || o->action_size < 1) return "observation_size and action_size must be at least 1";
    if (o->units < 1) return "units must be at least 1";
    for (int i = 0; i < 4; i++) {
        if (!good_layers(layers[i])) return "layers must be 1 to RV_LAYERS_MAX - 1";
    }
    if (o->bins != 0 && (o->bins < 3 || o->bins % 2 == 0 || o->bins > INT32_MAX))
        return "bins must be odd, 3 or more; below 0: none";
    if (o->horizon > 0 && o->horizon < 1) return "horizon must be 1 or more; below 0: none";
    return NULL;
}

/* ---- making and destroying ---- */

static void add_weights(rv_sequence_model *model) {
    const rv_sequence_model_options *o = &model->options;
    const rv_activation activation = o->activation;
    rv_params *params = model->params;
    if (o->inference) rv_params_values_only(params);
    model->encoder = rv_mlp_add_normed(params, "enc", o->observation_size, rv_sizes_of(o->encoder_layers, o->units), 0,
                                       activation, 1);
    model->rssm = rv_rssm_add(params, "", &o->rssm);
    model->options.rssm = model->rssm.options; /* with its defaults */
    const int64_t feature = o->rssm.deter + rv_rssm_stoch_size(&model->rssm);
    model->decoder = rv_mlp_add_normed(params, "dec", feature, rv_sizes_of(o->decoder_layers, o->units),
                                       o->observation_size, activation, 1);
    model->reward = rv_mlp_add_normed(params, "rew", feature, rv_sizes_of(o->reward_layers, o->units),
                                      o->bins ? o->bins : 1, activation, o->reward_outscale);
    model->going_on =
        rv_mlp_add_normed(params, "con", feature, rv_sizes_of(o->continue_layers, o->units), 1, activation, 1);
}

static rv_status make_bins(rv_sequence_model *model) {
    const int64_t count = model->options.bins;
    rv_status status = rv_array_create(model->device, RV_F32, 1, count, "bins", &model->bins);
    if (status != RV_OK) return fail(model, status, "bins", rv_array_message(model->bins));
    float *values = rv_device_resize(model->device, NULL, (size_t)count * sizeof *values);
    if (!values) return fail(model, RV_OUT_OF_MEMORY, "bins", "no memory");
    status = rv_symexp_bins(count, values);
    if (status == RV_OK) status = rv_array_write(model->bins, 0, 1, values);
    rv_device_resize(model->device, values, 0);
    return status == RV_OK ? RV_OK : fail(model, status, "bins", rv_array_message(model->bins));
}

rv_status rv_sequence_model_create(rv_device *device, const rv_sequence_model_options *options,
                                   rv_sequence_model **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_sequence_model *model = *out = rv_device_resize(device, NULL, sizeof *model);
    if (!model) return RV_OUT_OF_MEMORY;
    *model = (rv_sequence_model){.device = device};
    if (!options || options->size == 0)
        return fail(model, RV_INVALID_ARGUMENT, "options", "set size to sizeof(rv_sequence_model_options)");
    memcpy(&model->options, options, options->size < sizeof model->options ? options->size : sizeof model->options);
    fill_defaults(&model->options);
    const char *mistake = mistake_of(&model->options);
    if (mistake) return fail(model, RV_INVALID_ARGUMENT, "options", mistake);
    rv_status status = rv_params_create(device, &model->params);
    if (status != RV_OK) return fail(model, status, "weights", rv_device_message(device));
    add_weights(model);
    return model->options.bins ? make_bins(model) : RV_OK;
}

rv_status rv_sequence_model_commit(rv_sequence_model *model, uint64_t seed) {
    if (!model) return RV_INVALID_ARGUMENT;
    if (!model->params) return RV_WRONG_STATE;
    rv_status status = rv_params_commit(model->params, seed);
    return status == RV_OK ? RV_OK : fail(model, status, "weights", rv_params_message(model->params));
}

void rv_sequence_model_destroy(rv_sequence_model *model) {
    if (!model) return;
    rv_sequence_model gone = *model;
    rv_device_resize(model->device, model, 0); /* first: with its last object a closed device goes too */
    rv_params_destroy(gone.params);
    rv_array_destroy(gone.bins);
}

const char *rv_sequence_model_message(const rv_sequence_model *model) {
    return model ? model->message : "no sequence model";
}
const rv_sequence_model_options *rv_sequence_model_options_get(const rv_sequence_model *model) {
    return model ? &model->options : NULL;
}
rv_params *rv_sequence_model_params(rv_sequence_model *model) { return model ? model->params : NULL; }
rv_device *rv_sequence_model_device(const rv_sequence_model *model) { return model ? model->device : NULL; }
const rv_rssm *rv_sequence_model_rssm(const rv_sequence_model *model) { return model ? &model->rssm : NULL; }

rv_status rv_sequence_model_checkpoint(rv_sequence_model *model, const char *prefix, rv_checkpoint *checkpoint) {
    if (!model || !prefix || !checkpoint) return RV_INVALID_ARGUMENT;
    return rv_checkpoint_add_params(checkpoint, prefix, model->params);
}

/* ---- networks ---- */

static rv_tensor run(rv_graph *graph, const char *label, const rv_mlp *network, rv_tensor a, rv_tensor b) {
    rv_graph_push(graph, label);
    rv_tensor y = rv_mlp_forward(graph, network, (rv_tensor[]){a, b}, b.graph ? 2 : 1);
    rv_graph_pop(graph);
    return y;
}

rv_tensor rv_sequence_model_encode(rv_graph *graph, rv_sequence_model *model, rv_tensor observation) {
    return run(graph, "encode", &model->encoder, model->options.raw ? observation : rv_symlog(observation), RV_NONE);
}

rv_tensor rv_sequence_model_reconstruct(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state) {
    return run(graph, "decode", &model->decoder, state.stoch, state.deter);
}

rv_tensor rv_sequence_model_decode(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state) {
    rv_tensor learnt = rv_sequence_model_reconstruct(graph, model, state);
    return model->options.raw ? learnt : rv_symexp(learnt);
}

rv_tensor rv_sequence_model_reward_logits(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state) {
    return run(graph, "reward", &model->reward, state.deter, state.stoch);
}

rv_tensor rv_sequence_model_reward(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state) {
    rv_tensor logits = rv_sequence_model_reward_logits(graph, model, state);
    return model->bins ? rv_twohot_mean(logits, rv_sequence_model_bins(graph, model)) : logits;
}

rv_tensor rv_sequence_model_continue_logit(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state) {
    return run(graph, "continue", &model->going_on, state.deter, state.stoch);
}

rv_tensor rv_sequence_model_bins(rv_graph *graph, rv_sequence_model *model) {
    return model->bins ? rv_read(graph, model->bins) : RV_NONE;
}
