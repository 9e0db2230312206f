/* models/trainer.c: batch, losses, gradients, optimiser, counters and metrics as one plan. */
#include "models/trainer.h"

#include <stdio.h>
#include <string.h>

rv_status rv_trainer_fail(rv_trainer *trainer, rv_status status, const char *what, const char *why) {
    snprintf(trainer->message, sizeof trainer->message, "trainer: %s: %.400s", what, why);
    return status;
}

rv_status rv_trainer_make_array(rv_trainer *trainer, rv_dtype dtype, int64_t rows, int64_t cols, const char *name, rv_array **array) {
    rv_status status = rv_array_create(trainer->device, dtype, rows, cols, name, array);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, name, rv_array_message(*array));
}

rv_status rv_trainer_write(rv_trainer *trainer, rv_array *array, const void *row) {
    rv_status status = rv_array_write(array, 0, 1, row);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, rv_array_name(array), rv_array_message(array));
}

static rv_status make_random(rv_trainer *trainer, rv_random **random) {
    rv_status status = rv_random_create(trainer->device, trainer->options.seed, random);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "random state", rv_device_message(trainer->device));
}

static void fill_defaults(rv_trainer_options *options) {
    if (options->batch == 0) options->batch = 64;
    if (options->learning_rate == 0) options->learning_rate = 1e-3f;
    if (options->clip == 0) options->clip = 100;
    if (options->kl_weight == 0) options->kl_weight = 1e-4f;
    if (options->kl_weight < 0) options->kl_weight = 0;
    if (options->window == 0) options->window = 1;
    if (options->prediction_weight == 0 && options->window > 1) options->prediction_weight = 1;
    if (options->validation_batch == 0) options->validation_batch = 1024;
}

/* ---- arrays ---- */

static rv_status upload(rv_trainer *trainer, const rv_transitions *data, int64_t batch, rv_trainer_data *to) {
    if (trainer->sequence) return rv_trainer_upload_sequences(trainer, data, batch, to);
    return rv_trainer_upload(trainer, data, batch, to);
}

static rv_status make_validation(rv_trainer *trainer) {
    const rv_transitions *data = trainer->options.validation;
    const int64_t batch = data->steps < trainer->options.validation_batch ? data->steps : trainer->options.validation_batch;
    const float nothing_yet[2] = {1e30f, 0};
    rv_status status = upload(trainer, data, batch, &trainer->validation);
    if (status == RV_OK) {
        status = rv_trainer_make_array(trainer, RV_F32, 1, trainer->metric_count, "trainer/validation", &trainer->validation_result);
    }
    if (status == RV_OK) status = rv_trainer_make_array(trainer, RV_F32, 1, 2, "trainer/patience", &trainer->patience);
    if (status == RV_OK) status = rv_trainer_write(trainer, trainer->patience, nothing_yet);
    return status == RV_OK ? make_random(trainer, &trainer->validation_random) : status;
}

static rv_status make_arrays(rv_trainer *trainer, const rv_transitions *data) {
    rv_status status = upload(trainer, data, 0, &trainer->training);
    if (status == RV_OK) status = rv_trainer_make_array(trainer, RV_F32, 1, 1, "trainer/learning_rate", &trainer->learning_rate);
    if (status == RV_OK) {
        status = rv_trainer_make_array(trainer, RV_F32, RV_METRIC_ROWS, trainer->metric_count, "trainer/metrics", &trainer->metrics);
    }
    if (status == RV_OK) status = rv_trainer_write(trainer, trainer->learning_rate, &trainer->options.learning_rate);
    if (status == RV_OK) status = make_random(trainer, &trainer->random);
    return status == RV_OK && trainer->options.validation ? make_validation(trainer) : status;
}

/* ---- the plans ---- */

static rv_tensor constant(rv_graph *graph, float value) { return rv_fill(graph, 1, 1, value); }

static rv_tensor kl_weight(rv_graph *graph, const rv_trainer *trainer, rv_tensor updates) {
    float weight = trainer->options.kl_weight;
    if (trainer->options.kl_warmup <= 0) return constant(graph, weight);
    return rv_clamp(rv_affine(rv_cast(updates, RV_F32), weight / (float)trainer->options.kl_warmup, 0), 0, weight);
}

/* Of the update that is counted next: warm-up min(1, (updates + 1) / warmup) times decay (1 + cos(pi updates / decay)) / 2. */
static rv_tensor learning_rate(rv_graph *graph, const rv_trainer *trainer, rv_tensor updates) {
    const float warmup = (float)trainer->options.learning_rate_warmup, decay = (float)trainer->options.learning_rate_decay;
    const float pi = 3.14159265f;
    rv_tensor rate = rv_read(graph, trainer->learning_rate), count = rv_cast(updates, RV_F32);
    if (warmup > 0) rate = rv_mul(rate, rv_clamp(rv_affine(count, 1 / warmup, 1 / warmup), 0, 1));
    if (decay > 0) rate = rv_mul(rate, rv_affine(rv_cos(rv_clamp(rv_affine(count, pi / decay, 0), 0, pi)), 0.5f, 0.5f));
    return rate;
}

/* The metrics, as trainer->metric_name names them, that of the gradient's norm left out. */
static void record_losses(rv_graph *graph, rv_trainer *trainer, const rv_trainer_data *data, rv_tensor index,
                          rv_tensor weight, rv_tensor state, rv_tensor row[RV_TRAINER_METRICS]) {
    if (trainer->sequence) {
        rv_trainer_sequence_losses(graph, trainer, data, index, state, row);
        return;
    }
    rv_world_model_losses losses = rv_trainer_losses(graph, trainer, data, index, weight, state);
    const rv_tensor always[RV_METRIC_NORM] = {losses.total, losses.reconstruction, losses.kl, losses.dynamics,
                                              losses.reward};
    memcpy(row, always, sizeof always);
    int count = RV_METRIC_NORM + 1;
    if (losses.prediction.graph) row[count++] = losses.prediction;
    if (losses.continues.graph) row[count++] = losses.continues;
}

static void name_metrics(rv_trainer *trainer) {
    static const char *const transitions[] = {"loss", "reconstruction", "kl", "dynamics", "reward", "gradient_norm"};
    static const char *const sequences[] = {"loss",   "reconstruction", "dyn",     "rep",
                                            "reward", "gradient_norm",  "continue"};
    const char *const *names = trainer->sequence ? sequences : transitions;
    const int count = trainer->sequence ? RV_METRIC_NORM + 2 : RV_METRIC_NORM + 1;
    for (int m = 0; m < RV_TRAINER_METRICS; m++) trainer->metric_name[m] = m < count ? names[m] : "";
    trainer->metric_count = count;
    if (trainer->sequence) return;
    if (trainer->windows) trainer->metric_name[trainer->metric_count++] = "prediction";
    if (rv_world_model_options_get(trainer->model)->continues) trainer->metric_name[trainer->metric_count++] = "continue";
}

static void record_step(rv_graph *graph, rv_trainer *trainer, rv_tensor rate, rv_tensor norm) {
    const rv_sequence_trainer_options *options = &trainer->sequence_options;
    const bool laprop = trainer->sequence && options->optimiser == RV_OPTIMISER_LAPROP;
    if (laprop) rv_params_laprop(graph, trainer->params, rate, &options->laprop);
    else rv_params_adamw(graph, trainer->params, rate, norm, trainer->options.clip, &trainer->options.adamw);
}

static void record_training(rv_graph *graph, rv_trainer *trainer) {
    rv_params *params = trainer->params;
    rv_tensor metrics[RV_TRAINER_METRICS];
    rv_tensor state = rv_random_state(graph, trainer->random);
    rv_tensor updates = rv_read(graph, rv_params_updates(params));
    rv_graph_push(graph, "batch");
    rv_tensor index = rv_uniform_index(state, "batch", 0, trainer->options.batch, 1, rv_read(graph, trainer->training.row_count));
    rv_graph_pop(graph);
    record_losses(graph, trainer, &trainer->training, index, kl_weight(graph, trainer, updates), state, metrics);

    rv_params_gradients(graph, params, metrics[0], NULL, 0);
    rv_graph_push(graph, "optimiser");
    /* Norm and metrics before the step: rv_watch must see them first. */
    rv_tensor norm = metrics[RV_METRIC_NORM] = rv_params_norm(graph, params);
    static const char *const weights = "weights";
    rv_watch(rv_params_weight_norm(graph, params), &weights, 1);
    rv_tensor row = rv_concat_cols(metrics, trainer->metric_count);
    rv_watch(row, trainer->metric_name, trainer->metric_count);
    rv_store_rows(trainer->metrics, row, rv_mod(updates, rv_cast(constant(graph, RV_METRIC_ROWS), RV_I32)));
    record_step(graph, trainer, learning_rate(graph, trainer, updates), norm);
    rv_random_advance(graph, trainer->random);
    rv_graph_pop(graph);
}

static void record_validation(rv_graph *graph, rv_trainer *trainer) {
    rv_tensor state = rv_random_state(graph, trainer->validation_random);
    rv_tensor metrics[RV_TRAINER_METRICS], index = rv_read(graph, trainer->validation.index);
    rv_tensor weight = constant(graph, trainer->options.kl_weight);
    record_losses(graph, trainer, &trainer->validation, index, weight, state, metrics);
    metrics[RV_METRIC_NORM] = constant(graph, 0);
    rv_store(trainer->validation_result, rv_concat_cols(metrics, trainer->metric_count));
}

static rv_status make_plan(rv_trainer *trainer, void (*record)(rv_graph *, rv_trainer *), rv_plan **plan) {
    rv_graph *graph;
    rv_status status = rv_graph_create(trainer->device, &graph);
    if (status == RV_OK) {
        record(graph, trainer);
        status = rv_plan_create(graph, NULL, plan);
        if (status != RV_OK) rv_trainer_fail(trainer, status, "plan", rv_plan_message(*plan));
    } else {
        rv_trainer_fail(trainer, status, "graph", rv_graph_message(graph));
    }
    rv_graph_destroy(graph);
    return status;
}

/* ---- making and destroying ---- */

static rv_status check_data(rv_trainer *trainer, const rv_transitions *data) {
    const rv_world_model_options *sizes = rv_world_model_options_get(trainer->model);
    if (!data || data->steps < 1) return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "data", "there is none; collect some first");
    if (data->steps > INT32_MAX) return rv_trainer_fail(trainer, RV_TOO_LARGE, "data", "more than 2^31 - 1 steps");
    if (data->observation_size != sizes->observation_size || data->action_size != sizes->action_size) {
        snprintf(trainer->message, sizeof trainer->message,
                 "trainer: the data has observations of %lld and actions of %lld, the model %lld and %lld", (long long)data->observation_size,
                 (long long)data->action_size, (long long)sizes->observation_size, (long long)sizes->action_size);
        return RV_SHAPE_MISMATCH;
    }
    return RV_OK;
}

static rv_status check(rv_trainer *trainer, const rv_transitions *data) {
    const rv_trainer_options *options = &trainer->options;
    if (options->batch < 1 || options->validation_batch < 1) {
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "options", "batch and validation_batch must be at least 1");
    }
    if (options->window < 1 || options->window > RV_WINDOW_MAX) {
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "options", "window must lie between 1 and RV_WINDOW_MAX");
    }
    rv_status status = check_data(trainer, data);
    return status == RV_OK && options->validation ? check_data(trainer, options->validation) : status;
}

rv_trainer *rv_trainer_begin(rv_device *device) {
    rv_trainer *trainer = rv_device_resize(device, NULL, sizeof *trainer);
    if (trainer) *trainer = (rv_trainer){.device = device};
    return trainer;
}

rv_status rv_trainer_finish(rv_trainer *trainer, const rv_transitions *data) {
    name_metrics(trainer);
    rv_status status = make_arrays(trainer, data);
    if (status == RV_OK) status = make_plan(trainer, record_training, &trainer->plan);
    if (status == RV_OK && trainer->options.validation) status = make_plan(trainer, record_validation, &trainer->validation_plan);
    trainer->options.validation = NULL; /* the caller's, and copied */
    if (status != RV_OK && !trainer->message[0]) rv_trainer_fail(trainer, status, "create", rv_status_text(status));
    return status;
}

rv_status rv_trainer_create(rv_world_model *model, const rv_transitions *data, const rv_trainer_options *options, rv_trainer **out) {
    if (out) *out = NULL;
    if (!model || !out) return RV_INVALID_ARGUMENT;
    rv_trainer *trainer = *out = rv_trainer_begin(rv_world_model_device(model));
    if (!trainer) return RV_OUT_OF_MEMORY;
    trainer->model = model;
    trainer->params = rv_world_model_params(model);
    if (options) memcpy(&trainer->options, options, options->size < sizeof trainer->options ? options->size : sizeof trainer->options);
    fill_defaults(&trainer->options);
    trainer->windows = trainer->options.window > 1 || trainer->options.prediction_weight > 0;
    trainer->flags = trainer->windows || rv_world_model_options_get(model)->continues;
    if (trainer->options.prediction_weight < 0) trainer->options.prediction_weight = 0;
    rv_status status = check(trainer, data);
    return status == RV_OK ? rv_trainer_finish(trainer, data) : status;
}

void rv_trainer_destroy(rv_trainer *trainer) {
    if (!trainer) return;
    rv_trainer gone = *trainer;
    rv_device_resize(trainer->device, gone.history, 0);
    rv_device_resize(trainer->device, trainer, 0); /* first: with its last object a closed device goes too */
    rv_plan_destroy(gone.plan);
    rv_plan_destroy(gone.validation_plan);
    rv_random_destroy(gone.random);
    rv_random_destroy(gone.validation_random);
    rv_trainer_data_destroy(&gone.training);
    rv_trainer_data_destroy(&gone.validation);
    rv_array *const arrays[] = {gone.learning_rate, gone.metrics, gone.offsets, gone.validation_result, gone.patience};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) rv_array_destroy(arrays[i]);
}

const char *rv_trainer_message(const rv_trainer *trainer) { return trainer ? trainer->message : "no trainer"; }
rv_plan *rv_trainer_plan(rv_trainer *trainer) { return trainer ? trainer->plan : NULL; }
int64_t rv_trainer_steps(const rv_trainer *trainer) { return trainer ? trainer->steps : 0; }
int rv_trainer_metric_count(const rv_trainer *trainer) { return trainer ? trainer->metric_count : 0; }

const char *rv_trainer_metric_name(const rv_trainer *trainer, int index) {
    return trainer && index >= 0 && index < trainer->metric_count ? trainer->metric_name[index] : "";
}
