/* agents/dreamer_v3_audit.c: every number of some updates, handed over by name. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agents/dreamer_v3.h"
#include "reverie/plan.h"

enum { OBSERVATION, ACTION, REWARD, FIRST, LAST, TERMINAL, DETER, STOCH, LED, POSTERIOR, PRIOR, DRAWN, INPUTS };

typedef struct input {
    const char *name;
    const float *values; /* of all updates */
    int64_t rows, cols;  /* of one */
    rv_array *array;
} input;

typedef struct audit {
    rv_dreamer_v3 *agent;
    const rv_dreamer_v3_audit_batch *batch;
    rv_dreamer_v3_take take;
    void *user;
    input inputs[INPUTS];
    rv_dreamer_v3_value values[RV_DREAMER_V3_VALUES];
    rv_array *outputs[RV_DREAMER_V3_VALUES];
    int count; /* of outputs */
    rv_graph *graph;
    rv_plan *plan;
    float *before;       /* all weights, one behind the other, before the update */
    float *host, *spare; /* for any one result */
    int64_t largest;
} audit;

static rv_status fail(audit *a, rv_status status, const char *what, const char *why) {
    return rv_dreamer_v3_fail(a->agent, status, what, why ? why : "no memory");
}

/* ---- inputs ---- */

static void describe(audit *a) {
    const rv_dreamer_v3_audit_batch *in = a->batch;
    const rv_dreamer_v3_options *o = &a->agent->options;
    const rv_rssm *rssm = rv_sequence_model_rssm(a->agent->model);
    const int64_t sequences = in->sequences, rows = in->steps * sequences, action = o->model.action_size;
    const int64_t deter = rssm->options.deter, stoch = rv_rssm_stoch_size(rssm), variables = rssm->options.stoch;
    const bool categorical = o->actor == RV_ACTOR_CATEGORICAL;
    const int64_t drawn = categorical ? action / a->agent->actor.options.classes : action;
    const input all[INPUTS] = {
        [OBSERVATION] = {"observation", in->observation, rows, o->model.observation_size, NULL},
        [ACTION] = {"action", in->action, rows, action, NULL},
        [REWARD] = {"reward", in->reward, rows, 1, NULL},
        [FIRST] = {"is_first", in->is_first, rows, 1, NULL},
        [LAST] = {"is_last", in->is_last, rows, 1, NULL},
        [TERMINAL] = {"is_terminal", in->is_terminal, rows, 1, NULL},
        [DETER] = {"carry/deter", in->carry_deter, sequences, deter, NULL},
        [STOCH] = {"carry/stoch", in->carry_stoch, sequences, stoch, NULL},
        [LED] = {"carry/action", in->carry_action, sequences, action, NULL},
        [POSTERIOR] = {"noise/posterior", in->noise_posterior, rows, variables, NULL},
        [PRIOR] = {"noise/prior", in->noise_prior, o->horizon * rows, variables, NULL},
        [DRAWN] = {"noise/action", in->noise_action, (o->horizon + 1) * rows, drawn, NULL},
    };
    memcpy(a->inputs, all, sizeof all);
}

static rv_status make_array(audit *a, const char *name, int64_t rows, int64_t cols, rv_array **array) {
    rv_status status = rv_array_create(a->agent->device, RV_F32, rows, cols, name, array);
    if (status != RV_OK) return fail(a, status, name, *array ? rv_array_message(*array) : NULL);
    if (rows * cols > a->largest) a->largest = rows * cols;
    return RV_OK;
}

static rv_status write_input(audit *a, int index, int64_t update) {
    const input *in = &a->inputs[index];
    rv_status status = rv_array_write(in->array, 0, in->rows, in->values + update * in->rows * in->cols);
    return status == RV_OK ? RV_OK : fail(a, status, in->name, rv_array_message(in->array));
}

static rv_status make_inputs(audit *a) {
    rv_status status = RV_OK;
    for (int i = 0; i < INPUTS && status == RV_OK; i++) {
        input *in = &a->inputs[i];
        if (!in->values) return fail(a, RV_INVALID_ARGUMENT, in->name, "is NULL");
        status = make_array(a, in->name, in->rows, in->cols, &in->array);
        if (status == RV_OK) status = write_input(a, i, 0);
    }
    return status;
}

/* ---- the plan ---- */

static rv_dreamer_v3_losses record_update(audit *a) {
    rv_tensor x[INPUTS];
    for (int i = 0; i < INPUTS; i++) x[i] = rv_read(a->graph, a->inputs[i].array);
    const rv_sequence_batch batch = {.steps = a->batch->steps,
                                     .observation = x[OBSERVATION],
                                     .action = x[ACTION],
                                     .reward = x[REWARD],
                                     .is_first = x[FIRST],
                                     .is_last = x[LAST],
                                     .is_terminal = x[TERMINAL],
                                     .start = {x[DETER], x[STOCH]},
                                     .start_action = x[LED]};
    const rv_dreamer_v3_noise noise = {.posterior = x[POSTERIOR], .prior = x[PRIOR], .action = x[DRAWN]};
    return rv_dreamer_v3_learn(a->graph, a->agent, &batch, noise).losses;
}

static rv_status make_plan(audit *a) {
    rv_status status = rv_graph_create(a->agent->device, &a->graph);
    if (status != RV_OK) return fail(a, status, "graph", a->graph ? rv_graph_message(a->graph) : NULL);
    const rv_dreamer_v3_losses losses = record_update(a);
    if (rv_graph_status(a->graph) != RV_OK)
        return fail(a, rv_graph_status(a->graph), "update", rv_graph_message(a->graph));
    a->count = rv_dreamer_v3_list(&losses, a->values);
    for (int i = 0; i < a->count && status == RV_OK; i++) {
        rv_tensor x = a->values[i].tensor;
        status = make_array(a, a->values[i].name, rv_tensor_rows(x), rv_tensor_cols(x), &a->outputs[i]);
        if (status == RV_OK) rv_store(a->outputs[i], x);
    }
    if (status == RV_OK) status = rv_plan_create(a->graph, NULL, &a->plan);
    if (status != RV_OK && a->plan) return fail(a, status, "plan", rv_plan_message(a->plan));
    return status;
}

/* ---- results ---- */

static rv_status give(audit *a, int64_t update, const char *group, const char *name, int64_t rows, int64_t cols,
                      const float *values) {
    char full[320];
    snprintf(full, sizeof full, "update/%lld/%s%s", (long long)update, group, name);
    return a->take(a->user, full, rows, cols, values) == 0 ? RV_OK
                                                           : fail(a, RV_CANCELLED, full, "cancelled by the caller");
}

static rv_status give_values(audit *a, int64_t update) {
    rv_status status = RV_OK;
    for (int i = 0; i < a->count && status == RV_OK; i++) {
        rv_array *array = a->outputs[i];
        const int64_t rows = rv_array_rows(array), cols = rv_array_cols(array);
        status = rv_array_read(array, 0, rows, a->host);
        if (status != RV_OK) return fail(a, status, a->values[i].name, rv_array_message(array));
        status = give(a, update, "", a->values[i].name, rows, cols, a->host);
    }
    return status;
}

static double norm_of(const float *x, int64_t count) {
    double square = 0;
    for (int64_t i = 0; i < count; i++) square += (double)x[i] * (double)x[i];
    return sqrt(square);
}

/* The gradient as the optimiser clips it (rv_params_laprop). */
static void clip(const audit *a, const float *gradient, const float *weight, int64_t count, float *clipped) {
    const float given = a->agent->options.laprop.agc;
    const double agc = given == 0 ? 0.3 : (double)given;
    const double most = agc * fmax(1e-3, norm_of(weight, count)), over = norm_of(gradient, count) / most;
    for (int64_t i = 0; i < count; i++)
        clipped[i] = agc > 0 && over > 1 ? (float)((double)gradient[i] / over) : gradient[i];
}

static rv_status give_weight(audit *a, rv_params *params, int index, int64_t update, float *before) {
    static const struct {
        const char *group;
        rv_params_part part;
    } parts[] = {{"gradient/", RV_GRADIENT}, {"moment1/", RV_MOMENT1}, {"moment2/", RV_MOMENT2}, {"weight/", RV_VALUE}};
    const char *name = rv_params_name(params, index);
    int64_t rows, cols;
    rv_status status = rv_params_shape(params, index, &rows, &cols);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == RV_OK; i++) {
        if (!rv_params_array(params, parts[i].part)) continue; /* the slow critic has values alone */
        status = rv_params_get(params, index, parts[i].part, a->host);
        if (status != RV_OK) return fail(a, status, name, rv_params_message(params));
        status = give(a, update, parts[i].group, name, rows, cols, a->host);
        if (status != RV_OK || parts[i].part != RV_GRADIENT) continue;
        clip(a, a->host, before, rows * cols, a->spare);
        status = give(a, update, "clipped/", name, rows, cols, a->spare);
    }
    if (status == RV_OK && before) memcpy(before, a->host, (size_t)(rows * cols) * sizeof *before);
    return status;
}

static rv_status give_weights(audit *a, int64_t update) {
    rv_params *params = rv_dreamer_v3_params(a->agent), *slow = a->agent->slow_params;
    float *before = a->before;
    rv_status status = RV_OK;
    for (int i = 0; i < rv_params_count(params) && status == RV_OK; i++) {
        int64_t rows, cols;
        status = give_weight(a, params, i, update, before);
        if (rv_params_shape(params, i, &rows, &cols) == RV_OK) before += rows * cols;
    }
    for (int i = 0; i < rv_params_count(slow) && status == RV_OK; i++) status = give_weight(a, slow, i, update, NULL);
    return status;
}

/* ---- all of it ---- */

static rv_status make_memory(audit *a) {
    rv_params *params = rv_dreamer_v3_params(a->agent);
    rv_device *device = a->agent->device;
    int64_t rows, cols, at = 0;
    rv_status status = RV_OK;
    for (int i = 0; i < rv_params_count(params); i++) {
        if (rv_params_shape(params, i, &rows, &cols) == RV_OK && rows * cols > a->largest) a->largest = rows * cols;
    }
    a->before = rv_device_resize(device, NULL, (size_t)rv_params_size(params) * sizeof *a->before);
    a->host = rv_device_resize(device, NULL, (size_t)a->largest * sizeof *a->host);
    a->spare = rv_device_resize(device, NULL, (size_t)a->largest * sizeof *a->spare);
    if (!a->before || !a->host || !a->spare) return fail(a, RV_OUT_OF_MEMORY, "results", NULL);
    for (int i = 0; i < rv_params_count(params) && status == RV_OK; i++) {
        status = rv_params_get(params, i, RV_VALUE, a->before + at);
        if (rv_params_shape(params, i, &rows, &cols) == RV_OK) at += rows * cols;
    }
    return status == RV_OK ? RV_OK : fail(a, status, "weights", rv_params_message(params));
}

static rv_status make_update(audit *a, int64_t update) {
    const char *bad;
    rv_status status = RV_OK;
    for (int i = POSTERIOR; i < INPUTS && status == RV_OK; i++) status = write_input(a, i, update);
    if (status != RV_OK) return status;
    status = rv_plan_run(a->plan);
    if (status != RV_OK) return fail(a, status, "update", rv_plan_message(a->plan));
    status = rv_device_health(a->agent->device, &bad);
    if (status == RV_NON_FINITE) return fail(a, status, bad, "is NaN or infinite");
    if (status != RV_OK) return fail(a, status, "update", rv_device_message(a->agent->device));
    status = give_values(a, update);
    return status == RV_OK ? give_weights(a, update) : status;
}

static void destroy(audit *a) {
    for (int i = 0; i < INPUTS; i++) rv_array_destroy(a->inputs[i].array);
    for (int i = 0; i < RV_DREAMER_V3_VALUES; i++) rv_array_destroy(a->outputs[i]);
    rv_plan_destroy(a->plan);
    rv_graph_destroy(a->graph);
    rv_device_resize(a->agent->device, a->before, 0);
    rv_device_resize(a->agent->device, a->host, 0);
    rv_device_resize(a->agent->device, a->spare, 0);
}

rv_status rv_dreamer_v3_audit(rv_dreamer_v3 *agent, const rv_dreamer_v3_audit_batch *batch, rv_dreamer_v3_take take,
                              void *user) {
    if (!agent) return RV_INVALID_ARGUMENT;
    audit a = {.agent = agent, .batch = batch, .take = take, .user = user};
    if (!batch || batch->size < sizeof *batch || !take)
        return fail(&a, RV_INVALID_ARGUMENT, "audit", "needs a batch, with its size set, and where to take results");
    if (batch->sequences < 1 || batch->steps < 2 || batch->updates < 1)
        return fail(&a, RV_INVALID_ARGUMENT, "audit", "needs 1 sequence, 2 steps and 1 update at least");
    if (batch->steps > INT32_MAX / batch->sequences) return fail(&a, RV_TOO_LARGE, "audit", "too many rows");
    describe(&a);
    rv_status status = make_inputs(&a);
    if (status == RV_OK) status = make_plan(&a);
    if (status == RV_OK) status = make_memory(&a);
    for (int64_t u = 0; u < batch->updates && status == RV_OK; u++) status = make_update(&a, u);
    destroy(&a);
    return status;
}
