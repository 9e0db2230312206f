/* models/trainer.c: batch, losses, gradients, optimiser, counters and metrics as one plan. */
#include "reverie/trainer.h"

#include <stdio.h>
#include <string.h>

enum { METRIC_ROWS = 1024 }; /* updates that can pass before the host must look */

static const char *const metric_names[RV_TRAINER_METRICS] = {"loss", "reconstruction", "kl", "dynamics", "reward", "gradient_norm"};

struct rv_trainer {
    rv_device *device;
    rv_world_model *model;
    char message[512];
    rv_trainer_options options;
    rv_array *data;          /* [N, 2 O + A + 1]: observation | next observation | action | reward */
    rv_array *data_rows;     /* i32 [1, 1]: N */
    rv_array *learning_rate; /* [1, 1] */
    rv_array *metrics;       /* [METRIC_ROWS, RV_TRAINER_METRICS], row = update mod METRIC_ROWS */
    rv_random *random;
    rv_plan *plan;
    int64_t steps, seen; /* updates run, and those whose metrics were given out */
};

static rv_status fail(rv_trainer *trainer, rv_status status, const char *what, const char *why) {
    snprintf(trainer->message, sizeof trainer->message, "trainer: %s: %.400s", what, why);
    return status;
}

static void fill_defaults(rv_trainer_options *options) {
    if (options->batch == 0) options->batch = 64;
    if (options->learning_rate == 0) options->learning_rate = 1e-3f;
    if (options->clip == 0) options->clip = 100;
    if (options->kl_weight == 0) options->kl_weight = 1e-4f;
    if (options->kl_weight < 0) options->kl_weight = 0;
}

/* ---- arrays ---- */

static rv_status make_array(rv_trainer *trainer, rv_dtype dtype, int64_t rows, int64_t cols, const char *name, rv_array **array) {
    rv_status status = rv_array_create(trainer->device, dtype, rows, cols, name, array);
    return status == RV_OK ? RV_OK : fail(trainer, status, name, rv_array_message(*array));
}

static rv_status upload(rv_trainer *trainer, const rv_transitions *data) {
    enum { BLOCK = 256 };
    int64_t o = data->observation_size, a = data->action_size, width = 2 * o + a + 1;
    float *block = rv_device_resize(trainer->device, NULL, BLOCK * (size_t)width * sizeof *block);
    if (!block) return fail(trainer, RV_OUT_OF_MEMORY, "data", "no memory");
    rv_status status = RV_OK;
    for (int64_t first = 0; first < data->steps && status == RV_OK; first += BLOCK) {
        int64_t count = data->steps - first < BLOCK ? data->steps - first : BLOCK;
        for (int64_t i = 0; i < count; i++) {
            float *row = block + i * width;
            int64_t t = first + i;
            memcpy(row, data->observation + t * o, (size_t)o * sizeof *row);
            memcpy(row + o, data->next_observation + t * o, (size_t)o * sizeof *row);
            memcpy(row + 2 * o, data->action + t * a, (size_t)a * sizeof *row);
            row[2 * o + a] = data->reward[t];
        }
        status = rv_array_write(trainer->data, first, count, block);
    }
    rv_device_resize(trainer->device, block, 0);
    return status == RV_OK ? RV_OK : fail(trainer, status, "data", rv_array_message(trainer->data));
}

static rv_status make_arrays(rv_trainer *trainer, const rv_transitions *data) {
    int64_t width = 2 * data->observation_size + data->action_size + 1;
    int32_t rows = (int32_t)data->steps;
    rv_status status = make_array(trainer, RV_F32, data->steps, width, "trainer/data", &trainer->data);
    if (status == RV_OK) status = make_array(trainer, RV_I32, 1, 1, "trainer/data_rows", &trainer->data_rows);
    if (status == RV_OK) status = make_array(trainer, RV_F32, 1, 1, "trainer/learning_rate", &trainer->learning_rate);
    if (status == RV_OK) status = make_array(trainer, RV_F32, METRIC_ROWS, RV_TRAINER_METRICS, "trainer/metrics", &trainer->metrics);
    if (status == RV_OK) status = upload(trainer, data);
    if (status == RV_OK) status = rv_array_write(trainer->data_rows, 0, 1, &rows);
    if (status == RV_OK) status = rv_array_write(trainer->learning_rate, 0, 1, &trainer->options.learning_rate);
    if (status == RV_OK) status = rv_random_create(trainer->device, trainer->options.seed, &trainer->random);
    return status;
}

/* ---- the plan ---- */

static rv_world_model_batch draw_batch(rv_graph *graph, rv_trainer *trainer, rv_tensor state) {
    const rv_world_model_options *sizes = rv_world_model_options_get(trainer->model);
    int64_t o = sizes->observation_size, a = sizes->action_size;
    rv_graph_push(graph, "batch");
    rv_tensor index = rv_uniform_index(state, "batch", 0, trainer->options.batch, 1, rv_read(graph, trainer->data_rows));
    rv_tensor rows = rv_gather(rv_read(graph, trainer->data), index);
    rv_graph_pop(graph);
    return (rv_world_model_batch){.observation = rv_slice_cols(rows, 0, o),
                                  .next_observation = rv_slice_cols(rows, o, o),
                                  .action = rv_slice_cols(rows, 2 * o, a),
                                  .reward = rv_slice_cols(rows, 2 * o + a, 1)};
}

static rv_tensor kl_weight(rv_graph *graph, const rv_trainer *trainer, rv_tensor updates) {
    float weight = trainer->options.kl_weight;
    if (trainer->options.kl_warmup <= 0) return rv_fill(graph, 1, 1, weight);
    return rv_clamp(rv_affine(rv_cast(updates, RV_F32), weight / (float)trainer->options.kl_warmup, 0), 0, weight);
}

static void record(rv_graph *graph, rv_trainer *trainer) {
    rv_params *params = rv_world_model_params(trainer->model);
    rv_tensor state = rv_random_state(graph, trainer->random);
    rv_tensor updates = rv_read(graph, rv_params_updates(params));
    rv_world_model_batch batch = draw_batch(graph, trainer, state);
    rv_world_model_losses losses = rv_world_model_loss(graph, trainer->model, batch, kl_weight(graph, trainer, updates), state);

    rv_params_gradients(graph, params, losses.total, NULL, 0);
    rv_graph_push(graph, "optimiser");
    /* Norm and metrics before the step: rv_watch must see them first. */
    rv_tensor norm = rv_params_norm(graph, params);
    rv_tensor metrics[RV_TRAINER_METRICS] = {losses.total, losses.reconstruction, losses.kl, losses.dynamics, losses.reward, norm};
    rv_tensor row = rv_concat_cols(metrics, RV_TRAINER_METRICS);
    rv_watch(row, metric_names, RV_TRAINER_METRICS);
    rv_store_rows(trainer->metrics, row, rv_mod(updates, rv_cast(rv_fill(graph, 1, 1, METRIC_ROWS), RV_I32)));
    rv_params_adamw(graph, params, rv_read(graph, trainer->learning_rate), norm, trainer->options.clip, &trainer->options.adamw);
    rv_random_advance(graph, trainer->random);
    rv_graph_pop(graph);
}

static rv_status make_plan(rv_trainer *trainer) {
    rv_graph *graph;
    rv_status status = rv_graph_create(trainer->device, &graph);
    if (status == RV_OK) {
        record(graph, trainer);
        status = rv_plan_create(graph, NULL, &trainer->plan);
        if (status != RV_OK) fail(trainer, status, "plan", rv_plan_message(trainer->plan));
    } else {
        fail(trainer, status, "graph", rv_graph_message(graph));
    }
    rv_graph_destroy(graph);
    return status;
}

static rv_status check(rv_trainer *trainer, const rv_transitions *data) {
    const rv_world_model_options *sizes = rv_world_model_options_get(trainer->model);
    if (!data || data->steps < 1) return fail(trainer, RV_INVALID_ARGUMENT, "data", "there is none; collect some first");
    if (data->steps > INT32_MAX) return fail(trainer, RV_TOO_LARGE, "data", "more than 2^31 - 1 steps");
    if (trainer->options.batch < 1) return fail(trainer, RV_INVALID_ARGUMENT, "options", "batch must be at least 1");
    if (data->observation_size != sizes->observation_size || data->action_size != sizes->action_size) {
        snprintf(trainer->message, sizeof trainer->message,
                 "trainer: the data has observations of %lld and actions of %lld, the model %lld and %lld", (long long)data->observation_size,
                 (long long)data->action_size, (long long)sizes->observation_size, (long long)sizes->action_size);
        return RV_SHAPE_MISMATCH;
    }
    return RV_OK;
}

rv_status rv_trainer_create(rv_world_model *model, const rv_transitions *data, const rv_trainer_options *options, rv_trainer **out) {
    if (out) *out = NULL;
    if (!model || !out) return RV_INVALID_ARGUMENT;
    rv_device *device = rv_world_model_device(model);
    rv_trainer *trainer = *out = rv_device_resize(device, NULL, sizeof *trainer);
    if (!trainer) return RV_OUT_OF_MEMORY;
    *trainer = (rv_trainer){.device = device, .model = model};
    if (options) memcpy(&trainer->options, options, options->size < sizeof trainer->options ? options->size : sizeof trainer->options);
    fill_defaults(&trainer->options);
    rv_status status = check(trainer, data);
    if (status == RV_OK) status = make_arrays(trainer, data);
    if (status == RV_OK) status = make_plan(trainer);
    if (status != RV_OK && !trainer->message[0]) fail(trainer, status, "create", rv_status_text(status));
    return status;
}

void rv_trainer_destroy(rv_trainer *trainer) {
    if (!trainer) return;
    rv_trainer gone = *trainer;
    rv_device_resize(trainer->device, trainer, 0); /* first: with its last object a closed device goes too */
    rv_plan_destroy(gone.plan);
    rv_random_destroy(gone.random);
    rv_array_destroy(gone.data);
    rv_array_destroy(gone.data_rows);
    rv_array_destroy(gone.learning_rate);
    rv_array_destroy(gone.metrics);
}

const char *rv_trainer_message(const rv_trainer *trainer) { return trainer ? trainer->message : "no trainer"; }
rv_plan *rv_trainer_plan(rv_trainer *trainer) { return trainer ? trainer->plan : NULL; }
int64_t rv_trainer_steps(const rv_trainer *trainer) { return trainer ? trainer->steps : 0; }

/* ---- running ---- */

rv_status rv_trainer_run(rv_trainer *trainer, int64_t steps) {
    if (!trainer || steps < 0) return RV_INVALID_ARGUMENT;
    if (!trainer->plan) return RV_WRONG_STATE;
    for (int64_t i = 0; i < steps; i++) {
        rv_status status = rv_plan_run(trainer->plan);
        if (status != RV_OK) return fail(trainer, status, "step", rv_plan_message(trainer->plan));
        trainer->steps++;
    }
    return RV_OK;
}

rv_status rv_trainer_metrics(rv_trainer *trainer, rv_metric metrics[RV_TRAINER_METRICS]) {
    if (!trainer || !metrics) return RV_INVALID_ARGUMENT;
    if (trainer->steps == trainer->seen) return fail(trainer, RV_WRONG_STATE, "metrics", "no update since they were last read");
    const char *bad;
    rv_status status = rv_device_health(trainer->device, &bad);
    if (status != RV_OK) return fail(trainer, status, "metrics", rv_device_message(trainer->device));
    int64_t count = trainer->steps - trainer->seen;
    if (count > METRIC_ROWS) count = METRIC_ROWS;
    /* the weights' own count, for they may have been loaded since */
    int32_t updates;
    status = rv_array_read(rv_params_updates(rv_world_model_params(trainer->model)), 0, 1, &updates);
    if (status == RV_OK && updates < count) count = updates;
    if (status == RV_OK && count == 0) return fail(trainer, RV_WRONG_STATE, "metrics", "the device counted no update");
    double sums[RV_TRAINER_METRICS] = {0};
    for (int64_t i = updates - count; i < updates && status == RV_OK; i++) {
        float row[RV_TRAINER_METRICS];
        status = rv_array_read(trainer->metrics, i % METRIC_ROWS, 1, row);
        for (int m = 0; m < RV_TRAINER_METRICS && status == RV_OK; m++) sums[m] += row[m];
    }
    if (status != RV_OK) return fail(trainer, status, "metrics", rv_array_message(trainer->metrics));
    for (int m = 0; m < RV_TRAINER_METRICS; m++) metrics[m] = (rv_metric){metric_names[m], (float)(sums[m] / (double)count)};
    trainer->seen = trainer->steps;
    return RV_OK;
}

rv_status rv_trainer_checkpoint(rv_trainer *trainer, rv_checkpoint *checkpoint) {
    if (!trainer || !checkpoint) return RV_INVALID_ARGUMENT;
    rv_status status = rv_world_model_checkpoint(trainer->model, "model/", checkpoint);
    if (status == RV_OK) status = rv_checkpoint_add_array(checkpoint, "trainer/random", rv_random_array(trainer->random));
    if (status == RV_OK) status = rv_checkpoint_add_array(checkpoint, "trainer/learning_rate", trainer->learning_rate);
    return status == RV_OK ? RV_OK : fail(trainer, status, "checkpoint", rv_checkpoint_message(checkpoint));
}
