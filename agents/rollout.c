/* agents/rollout.c: rows of open-loop predictions, and the latents of observations. */
#include "agents/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/evaluate.h"

/* ---- what predicts ---------------------------------------------------------------------------------------------- */

rv_device *rv_predictor_device(const rv_predictor *p) {
    return p->sequence ? rv_sequence_model_device(p->sequence) : rv_world_model_device(p->world);
}

int64_t rv_predictor_observation_size(const rv_predictor *p) {
    return p->sequence ? rv_sequence_model_options_get(p->sequence)->observation_size
                       : rv_world_model_options_get(p->world)->observation_size;
}

int64_t rv_predictor_action_size(const rv_predictor *p) {
    return p->sequence ? rv_sequence_model_options_get(p->sequence)->action_size
                       : rv_world_model_options_get(p->world)->action_size;
}

/* ---- a rollout ---------------------------------------------------------------------------------------------------- */

static rv_status fail(rv_rollout *r, rv_status status, const char *text) {
    snprintf(r->message, sizeof r->message, "rollout: %.200s", text);
    return status;
}

static rv_status make_arrays(rv_rollout *r, rv_device *device, int64_t o, int64_t a) {
    const struct {
        rv_array **array;
        float **host;
        int64_t rows, cols;
        const char *name;
    } wanted[] = {
        {&r->device_observation, &r->observation, r->context * r->rows, o, "rollout/observation"},
        {&r->device_first, &r->is_first, r->context * r->rows, 1, "rollout/is_first"},
        {&r->device_action, &r->action, (r->context - 1 + r->horizon) * r->rows, a, "rollout/action"},
        {&r->device_predicted, &r->predicted, r->horizon * r->rows, o, "rollout/predicted"},
        {&r->device_reward, &r->reward, r->horizon * r->rows, 1, "rollout/reward"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        rv_status status = rv_array_create(device, RV_F32, wanted[i].rows, wanted[i].cols, wanted[i].name, wanted[i].array);
        if (status != RV_OK) return fail(r, status, rv_array_message(*wanted[i].array));
        *wanted[i].host = calloc((size_t)wanted[i].rows, (size_t)wanted[i].cols * sizeof(float));
        if (!*wanted[i].host) return fail(r, RV_OUT_OF_MEMORY, "no memory");
    }
    return RV_OK;
}

static rv_status record_world(rv_rollout *r, rv_graph *graph, rv_world_model *model, int64_t o, int64_t a) {
    rv_tensor *tensors = calloc((size_t)r->horizon, 3 * sizeof *tensors);
    if (!tensors) return fail(r, RV_OUT_OF_MEMORY, "no memory");
    rv_tensor *actions = tensors, *observations = tensors + r->horizon, *rewards = observations + r->horizon;
    rv_tensor state = r->random ? rv_random_state(graph, r->random) : RV_NONE;
    for (int64_t t = 0; t < r->horizon; t++) actions[t] = rv_read_part(graph, r->device_action, t * r->rows * a, r->rows, a);
    rv_world_model_rollout(graph, model, rv_read(graph, r->device_observation), actions, (int)r->horizon, state, observations, rewards);
    for (int64_t t = 0; t < r->horizon; t++) {
        rv_store_part(r->device_predicted, t * r->rows * o, observations[t]);
        rv_store_part(r->device_reward, t * r->rows, rewards[t]);
    }
    free(tensors);
    return RV_OK;
}

static rv_status record_sequence(rv_rollout *r, rv_graph *graph, rv_sequence_model *model, int64_t a) {
    const int64_t before = (r->context - 1) * r->rows;
    rv_rssm_noise seen = {0}, imagined = {0};
    if (r->random) {
        rv_tensor state = rv_random_state(graph, r->random);
        seen = (rv_rssm_noise){.state = state, .name = "rollout/posterior"};
        imagined = (rv_rssm_noise){.state = state, .name = "rollout/prior"};
    }
    rv_sequence_batch context = {.steps = r->context,
                                 .observation = rv_read(graph, r->device_observation),
                                 .action = rv_read_part(graph, r->device_action, 0, r->context * r->rows, a),
                                 .is_first = rv_read(graph, r->device_first)};
    rv_tensor actions = rv_read_part(graph, r->device_action, before * a, r->horizon * r->rows, a);
    rv_sequence_step next = rv_sequence_model_open_loop(graph, model, &context, actions, r->horizon, seen, imagined);
    rv_store(r->device_predicted, next.observation);
    rv_store(r->device_reward, next.reward);
    return RV_OK;
}

static rv_status record(rv_rollout *r, rv_graph *graph, const rv_predictor *p) {
    const int64_t o = rv_predictor_observation_size(p), a = rv_predictor_action_size(p);
    return p->sequence ? record_sequence(r, graph, p->sequence, a) : record_world(r, graph, p->world, o, a);
}

static rv_status make_plan(rv_rollout *r, const rv_predictor *p) {
    rv_graph *graph;
    rv_status status = rv_graph_create(rv_predictor_device(p), &graph);
    if (status != RV_OK) fail(r, status, rv_status_text(status));
    if (status == RV_OK) status = record(r, graph, p);
    if (status == RV_OK) {
        status = rv_plan_create(graph, NULL, &r->plan);
        if (status != RV_OK) fail(r, status, rv_plan_message(r->plan));
    }
    rv_graph_destroy(graph);
    return status;
}

rv_status rv_rollout_make(rv_rollout *r, const rv_predictor *p, int64_t rows, int64_t horizon, bool sampled,
                          uint64_t seed) {
    rv_device *device = rv_predictor_device(p);
    *r = (rv_rollout){.rows = rows, .context = p->context, .horizon = horizon};
    rv_status status = make_arrays(r, device, rv_predictor_observation_size(p), rv_predictor_action_size(p));
    if (status == RV_OK && sampled) {
        status = rv_random_create(device, seed, &r->random);
        if (status != RV_OK) fail(r, status, rv_status_text(status));
    }
    return status == RV_OK ? make_plan(r, p) : status;
}

rv_status rv_rollout_run(rv_rollout *r) {
    rv_status status = rv_array_write(r->device_observation, 0, r->context * r->rows, r->observation);
    if (status == RV_OK) status = rv_array_write(r->device_first, 0, r->context * r->rows, r->is_first);
    if (status == RV_OK) {
        status = rv_array_write(r->device_action, 0, (r->context - 1 + r->horizon) * r->rows, r->action);
    }
    if (status != RV_OK) return fail(r, status, "writing its inputs failed");
    status = rv_plan_run(r->plan);
    if (status != RV_OK) return fail(r, status, rv_plan_message(r->plan));
    status = rv_array_read(r->device_predicted, 0, r->horizon * r->rows, r->predicted);
    if (status == RV_OK) status = rv_array_read(r->device_reward, 0, r->horizon * r->rows, r->reward);
    return status == RV_OK ? RV_OK : fail(r, status, "reading its results failed");
}

void rv_rollout_release(rv_rollout *r) {
    rv_plan_destroy(r->plan);
    rv_random_destroy(r->random);
    rv_array_destroy(r->device_observation);
    rv_array_destroy(r->device_first);
    rv_array_destroy(r->device_action);
    rv_array_destroy(r->device_predicted);
    rv_array_destroy(r->device_reward);
    free(r->observation);
    free(r->is_first);
    free(r->action);
    free(r->predicted);
    free(r->reward);
}

/* ---- latents ------------------------------------------------------------------------------------------- */

rv_status rv_evaluate_latents(rv_world_model *model, const float *observation, int64_t count, float *latent) {
    if (!model || !observation || !latent || count < 1) return RV_INVALID_ARGUMENT;
    const rv_world_model_options *sizes = rv_world_model_options_get(model);
    rv_array *in = NULL, *out = NULL;
    rv_graph *graph = NULL;
    rv_plan *plan = NULL;
    rv_device *device = rv_world_model_device(model);
    rv_status status = rv_array_create(device, RV_F32, count, sizes->observation_size, "latents/observation", &in);
    if (status == RV_OK) status = rv_array_create(device, RV_F32, count, sizes->latent_size, "latents/latent", &out);
    if (status == RV_OK) status = rv_graph_create(device, &graph);
    if (status == RV_OK) {
        rv_store(out, rv_world_model_encode(graph, model, rv_read(graph, in)).mean);
        status = rv_plan_create(graph, NULL, &plan);
    }
    if (status == RV_OK) status = rv_array_write(in, 0, count, observation);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(out, 0, count, latent);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(in);
    rv_array_destroy(out);
    return status;
}
