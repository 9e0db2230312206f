/* tests/support/train_step.c: a small whole training step as one plan. */
#include "tests/support/train_step.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/compare.h"

enum {
    BATCH = RV_TRAIN_STEP_BATCH,
    WIDTH = RV_TRAIN_STEP_WIDTH,
    HIDDEN = RV_TRAIN_STEP_HIDDEN,
    LATENT = 5,
    REPLAY = 400
};

static rv_status explain(rv_train_step *step, rv_status status, const char *message) {
    snprintf(step->message, sizeof step->message, "%s: %.500s", rv_status_text(status), message);
    return status;
}

static rv_status add_weights(rv_params *params, uint64_t seed) {
    static const struct {
        const char *name;
        int rows, cols;
    } layers[] = {{"encoder/0", WIDTH, HIDDEN},
                  {"mean", HIDDEN, LATENT},
                  {"logvar", HIDDEN, LATENT},
                  {"decoder/0", LATENT, HIDDEN},
                  {"decoder/1", HIDDEN, WIDTH}};
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/weight", layers[i].name);
        rv_params_add(params, name, layers[i].rows, layers[i].cols, RV_INIT_FAN_IN, 1);
        snprintf(name, sizeof name, "%s/bias", layers[i].name);
        rv_params_add(params, name, 1, layers[i].cols, RV_INIT_ZERO, 0);
    }
    rv_params_add(params, "norm/scale", 1, HIDDEN, RV_INIT_CONSTANT, 1);
    return rv_params_commit(params, seed);
}

static rv_tensor weight(rv_graph *graph, rv_params *params, const char *name) {
    return rv_param(graph, params, rv_params_find(params, name));
}

static rv_tensor layer(rv_graph *graph, rv_params *params, rv_tensor x, const char *name, rv_activation activation) {
    char full[64];
    snprintf(full, sizeof full, "%s/weight", name);
    rv_tensor w = weight(graph, params, full);
    snprintf(full, sizeof full, "%s/bias", name);
    return rv_linear1(x, w, weight(graph, params, full), activation);
}

static void record(rv_train_step *step, rv_graph *graph) {
    static const char *const names[] = {"observation"}, *const loss_names[] = {"loss"},
                             *const gradient_names[] = {"gradient"};
    rv_params *params = step->params;
    rv_tensor x = rv_read(graph, step->observations);
    rv_watch(x, names, 1);
    rv_graph_push(graph, "encoder");
    rv_tensor hidden = layer(graph, params, x, "encoder/0", RV_LINEAR);
    hidden = rv_rms_norm(hidden, weight(graph, params, "norm/scale"), 1e-5f, RV_SILU);
    rv_graph_pop(graph);
    rv_tensor logvar = rv_clamp(layer(graph, params, hidden, "logvar", RV_LINEAR), -6, 2);
    rv_normal_sample z = rv_sample_normal(layer(graph, params, hidden, "mean", RV_LINEAR), logvar,
                                          rv_random_state(graph, step->random), "latent", 0);
    rv_graph_push(graph, "decoder");
    rv_tensor decoded =
        layer(graph, params, layer(graph, params, z.value, "decoder/0", RV_ELU), "decoder/1", RV_LINEAR);
    rv_graph_pop(graph);
    rv_tensor loss = rv_mean(rv_add(rv_mse(decoded, x), rv_affine(z.kl, 0.1f, 0)), RV_ALL);
    rv_watch(loss, loss_names, 1);
    rv_params_gradients(graph, params, loss, NULL, 0);
    rv_tensor norm = rv_params_norm(graph, params);
    rv_watch(norm, gradient_names, 1);
    rv_params_adamw(graph, params, rv_read(graph, step->rate), norm, 1.0f, NULL);
    rv_store(step->norm, norm);
    rv_params_ema(graph, step->target, params, 0.05f);
    rv_store_rows(step->replay, decoded, rv_read(graph, step->slots));
    rv_store(step->loss, loss);
    rv_random_advance(graph, step->random);
}

static rv_status make_plan(rv_train_step *step, rv_plan **plan) {
    rv_graph *graph;
    *plan = NULL;
    rv_status status = rv_graph_create(step->device, &graph);
    if (status == RV_OK) {
        record(step, graph);
        status = rv_plan_create(graph, NULL, plan);
        if (status != RV_OK) explain(step, status, rv_plan_message(*plan));
    }
    rv_graph_destroy(graph);
    return status;
}

static rv_status make_arrays(rv_train_step *step) {
    float values[BATCH * WIDTH];
    int32_t slots[BATCH];
    rv_random_normal(3, 0, "observations", 0, BATCH, WIDTH, values);
    for (int i = 0; i < BATCH; i++) slots[i] = (i * 7) % REPLAY;
    rv_status status[] = {rv_array_create(step->device, RV_F32, BATCH, WIDTH, "observations", &step->observations),
                          rv_array_create(step->device, RV_F32, 1, 1, "rate", &step->rate),
                          rv_array_create(step->device, RV_F32, 1, 1, "loss", &step->loss),
                          rv_array_create(step->device, RV_F32, 1, 1, "norm", &step->norm),
                          rv_array_create(step->device, RV_F32, REPLAY, WIDTH, "replay", &step->replay),
                          rv_array_create(step->device, RV_I32, BATCH, 1, "slots", &step->slots),
                          rv_array_write(step->observations, 0, BATCH, values),
                          rv_array_write(step->rate, 0, 1, &(float){3e-3f}),
                          rv_array_write(step->slots, 0, BATCH, slots)};
    for (size_t i = 0; i < sizeof status / sizeof *status; i++) {
        if (status[i] != RV_OK) return explain(step, status[i], "arrays of the step");
    }
    return RV_OK;
}

rv_status rv_train_step_open(rv_train_step *step, rv_device *device, int plan) {
    *step = (rv_train_step){.device = device};
    rv_status status = rv_params_create(device, &step->params);
    if (status == RV_OK) status = rv_params_create(device, &step->target);
    if (status == RV_OK) status = add_weights(step->params, 5);
    if (status == RV_OK) status = add_weights(step->target, 6);
    if (status == RV_OK) status = rv_random_create(device, 77, &step->random);
    if (status != RV_OK) return explain(step, status, rv_params_message(step->params));
    status = make_arrays(step);
    return status == RV_OK && plan ? make_plan(step, &step->plan) : status;
}

rv_status rv_train_step_run(rv_train_step *step) {
    rv_plan *plan = step->plan;
    rv_status status = plan ? RV_OK : make_plan(step, &plan);
    if (status == RV_OK) {
        status = rv_plan_run(plan);
        if (status != RV_OK) explain(step, status, rv_plan_message(plan));
    }
    if (plan != step->plan) rv_plan_destroy(plan);
    return status;
}

void rv_train_step_close(rv_train_step *step) {
    rv_plan_destroy(step->plan);
    rv_params_destroy(step->params);
    rv_params_destroy(step->target);
    rv_random_destroy(step->random);
    rv_array *arrays[] = {step->observations, step->rate, step->loss, step->norm, step->replay, step->slots};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) rv_array_destroy(arrays[i]);
    *step = (rv_train_step){0};
}

static int hash_array(uint64_t *hash, rv_array *array) {
    size_t bytes = (size_t)(rv_array_rows(array) * rv_array_cols(array)) * 4;
    void *memory = malloc(bytes);
    rv_status status = memory ? rv_array_read(array, 0, rv_array_rows(array), memory) : RV_OUT_OF_MEMORY;
    if (status == RV_OK) *hash = rv_hash_bytes(*hash, memory, bytes);
    free(memory);
    return status == RV_OK;
}

uint64_t rv_train_step_hash(rv_train_step *step) {
    uint64_t hash = RV_HASH_START;
    rv_array *arrays[] = {rv_params_array(step->params, RV_VALUE),   rv_params_array(step->params, RV_GRADIENT),
                          rv_params_array(step->params, RV_MOMENT1), rv_params_array(step->params, RV_MOMENT2),
                          rv_params_updates(step->params),           rv_params_array(step->target, RV_VALUE),
                          rv_random_array(step->random),             step->loss,
                          step->norm,                                step->replay};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if (!hash_array(&hash, arrays[i])) return 0;
    }
    return hash;
}
