/* agents/dreamer_run.c: acting, learning in between, and what came of it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agents/dreamer.h"

/* ---- plans ---- */

rv_tensor rv_dreamer_act(rv_graph *graph, rv_dreamer *d, rv_tensor observation, rv_tensor noise) {
    static const char *const watched[] = {"observation", "action"};
    rv_watch(observation, &watched[0], 1);
    rv_tensor latent = rv_world_model_encode(graph, d->model, observation).mean;
    rv_actor_policy policy = rv_actor_forward(graph, &d->actor, &latent, 1);
    rv_tensor action = noise.graph ? rv_actor_draw(policy, noise, "act", 0).action : rv_actor_mode(policy);
    rv_watch(action, &watched[1], 1);
    return action;
}

void rv_dreamer_record_act(rv_graph *graph, rv_dreamer *d) {
    rv_tensor noise = rv_random_state(graph, d->act_noise);
    rv_store(d->acting.chosen, rv_dreamer_act(graph, d, rv_read(graph, d->acting.observation), noise));
    rv_random_advance(graph, d->act_noise);
}

void rv_dreamer_record_keep(rv_graph *graph, rv_dreamer *d) { rv_acting_record(graph, &d->acting, d->replay); }

rv_status rv_dreamer_make_plan(rv_dreamer *d, void (*record)(rv_graph *, rv_dreamer *), rv_plan **plan) {
    rv_graph *graph;
    rv_status status = rv_graph_create(d->device, &graph);
    if (status != RV_OK) {
        rv_dreamer_fail(d, status, "graph", rv_graph_message(graph));
    } else {
        record(graph, d);
        status = rv_plan_create(graph, NULL, plan);
        if (status != RV_OK) rv_dreamer_fail(d, status, "plan", rv_plan_message(*plan));
    }
    rv_graph_destroy(graph);
    return status;
}

static rv_status run_plan(rv_dreamer *d, rv_plan *plan, const char *what) {
    rv_status status = rv_plan_run(plan);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, what, rv_plan_message(plan));
}

static rv_status check_health(rv_dreamer *d, const char *what) {
    const char *bad;
    rv_status status = rv_device_health(d->device, &bad);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, what, rv_device_message(d->device));
}

/* ---- normalisers, from what the prefill gave ---- */

/* All rows of a field that are filled, stream after stream. */
static rv_status read_field(rv_dreamer *d, int field, int64_t filled, float *to) {
    rv_array *array = rv_replay_array(d->replay, field);
    const int64_t stream = rv_replay_stream_rows(d->replay);
    rv_status status = RV_OK;
    for (int64_t i = 0; i < d->acting.count && status == RV_OK; i++) {
        status = rv_array_read(array, i * stream, filled, to);
        to += filled * rv_array_cols(array);
    }
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "replay", rv_array_message(array));
}

static rv_status normalise(rv_dreamer *d) {
    int64_t rows;
    rv_status status = rv_replay_filled(d->replay, &rows);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "replay", rv_replay_message(d->replay));
    const int64_t o = d->acting.observation_size;
    float *seen = rv_device_resize(d->device, NULL, (size_t)(rows * (2 * o + 1)) * sizeof *seen);
    if (!seen) return rv_dreamer_fail(d, RV_OUT_OF_MEMORY, "normalisers", "no memory");
    float *led_to = seen + rows * o, *reward = led_to + rows * o;
    const int64_t filled = rows / d->acting.count;
    status = read_field(d, RV_SEEN, filled, seen);
    if (status == RV_OK) status = read_field(d, RV_LED_TO, filled, led_to);
    if (status == RV_OK) status = read_field(d, RV_REWARDED, filled, reward);
    if (status == RV_OK) {
        const rv_transitions data = {.steps = rows,
                                     .observation_size = o,
                                     .action_size = d->acting.action_size,
                                     .observation = seen,
                                     .next_observation = led_to,
                                     .reward = reward};
        status = rv_world_model_normalise_by(d->model, &data);
        if (status != RV_OK) rv_dreamer_fail(d, status, "normalisers", rv_world_model_message(d->model));
    }
    rv_device_resize(d->device, seen, 0);
    if (status == RV_OK) d->counters[RV_NORMALISED] = 1;
    return status;
}

/* ---- the loop ---- */

static bool filling(const rv_dreamer *d) { return rv_dreamer_steps(d) < d->options.prefill; }

int64_t rv_dreamer_updates_due(const rv_dreamer_options *options, int64_t steps) {
    const int64_t learning = steps - options->prefill;
    return learning > 0 ? learning / options->update_every * options->updates_each : 0;
}

static rv_status act(rv_dreamer *d) {
    if (!filling(d)) return run_plan(d, d->act_plan, "act");
    rv_status status = rv_acting_random(&d->acting, d->options.seed);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "act", d->acting.message);
}

static rv_status step(rv_dreamer *d) {
    char what[64];
    bool finite = true;
    rv_status status = act(d);
    if (status != RV_OK) return status;
    snprintf(what, sizeof what, "step %lld", (long long)rv_dreamer_steps(d) + 1);
    status = rv_acting_step(&d->acting, &finite);
    if (status == RV_NON_FINITE) { /* the actions, which the plan has named */
        rv_status named = check_health(d, what);
        return named == RV_OK ? rv_dreamer_fail(d, status, what, d->acting.message) : named;
    }
    if (status != RV_OK) return rv_dreamer_fail(d, status, what, d->acting.message);
    status = run_plan(d, d->keep_plan, "replay");
    return status == RV_OK && !finite ? check_health(d, what) : status;
}

static rv_status learn(rv_dreamer *d) {
    rv_status status = RV_OK;
    if (!filling(d) && !d->counters[RV_NORMALISED]) status = normalise(d);
    const int64_t due = rv_dreamer_updates_due(&d->options, rv_dreamer_steps(d));
    while (status == RV_OK && d->counters[RV_UPDATES] < due) {
        status = run_plan(d, d->train_plan, "update");
        if (status == RV_OK) d->counters[RV_UPDATES]++;
    }
    return status;
}

rv_status rv_dreamer_run(rv_dreamer *d, int64_t steps) {
    if (!d || steps < 0) return RV_INVALID_ARGUMENT;
    if (!d->train_plan) return RV_WRONG_STATE;
    const int64_t rounds = (steps + d->acting.count - 1) / d->acting.count;
    const int64_t left = d->options.steps - rv_dreamer_steps(d);
    if (rounds > (left + d->acting.count - 1) / d->acting.count)
        return rv_dreamer_fail(d, RV_WRONG_STATE, "run", "that would go beyond the options' steps");
    rv_status status = RV_OK;
    for (int64_t i = 0; i < rounds && status == RV_OK; i++) {
        status = step(d);
        if (status == RV_OK) status = learn(d);
    }
    return status == RV_OK ? check_health(d, "run") : status;
}

/* ---- metrics ---- */

static rv_status mean_metrics(rv_dreamer *d, float mean[RV_DREAMER_METRICS]) {
    const int32_t updates = d->counters[RV_UPDATES];
    int32_t count = updates - d->counters[RV_METRICS_SEEN];
    if (count > RV_DREAMER_ROWS) count = RV_DREAMER_ROWS;
    double sums[RV_DREAMER_METRICS] = {0};
    float row[RV_DREAMER_METRICS];
    for (int32_t i = updates - count; i < updates; i++) {
        rv_status status = rv_array_read(d->metrics, i % RV_DREAMER_ROWS, 1, row);
        if (status != RV_OK) return rv_dreamer_fail(d, status, "metrics", rv_array_message(d->metrics));
        for (int m = 0; m < d->metric_count; m++) sums[m] += row[m];
    }
    for (int m = 0; m < d->metric_count; m++) mean[m] = count > 0 ? (float)(sums[m] / count) : NAN;
    d->counters[RV_METRICS_SEEN] = updates;
    return RV_OK;
}

rv_status rv_dreamer_metrics(rv_dreamer *d, rv_metric metrics[RV_DREAMER_METRICS]) {
    if (!d || !metrics) return RV_INVALID_ARGUMENT;
    float mean[RV_DREAMER_METRICS], last[2];
    rv_status status = check_health(d, "metrics");
    if (status == RV_OK) status = mean_metrics(d, mean);
    if (status != RV_OK) return status;
    rv_acting_recent(&d->acting, &last[0], &last[1]);
    const int count = d->metric_count;
    for (int m = 0; m < RV_DREAMER_METRICS; m++) {
        metrics[m] = m < count ? (rv_metric){d->metric_name[m], mean[m]} : (rv_metric){"", 0};
    }
    metrics[count] = (rv_metric){"return", last[0]};
    metrics[count + 1] = (rv_metric){"length", last[1]};
    return RV_OK;
}

/* ---- evaluation ---- */

typedef struct evaluation {
    rv_dreamer *dreamer;
    rv_acting acting;
    rv_random *noise; /* NULL: the mode */
    rv_plan *plan;
} evaluation;

static rv_status record_evaluation(evaluation *e) {
    rv_graph *graph;
    rv_dreamer *d = e->dreamer;
    rv_status status = rv_graph_create(d->device, &graph);
    if (status == RV_OK) {
        rv_tensor noise = e->noise ? rv_random_state(graph, e->noise) : RV_NONE;
        rv_tensor seen = rv_slice_cols(rv_read(graph, e->acting.given), e->acting.observation_size + 3,
                                       e->acting.observation_size);
        rv_store(e->acting.chosen, rv_dreamer_act(graph, d, seen, noise));
        if (e->noise) rv_random_advance(graph, e->noise);
        status = rv_plan_create(graph, NULL, &e->plan);
        if (status != RV_OK) rv_dreamer_fail(d, status, "evaluation", rv_plan_message(e->plan));
    }
    rv_graph_destroy(graph);
    return status;
}

/* The first observations, where a step's are read from. */
static rv_status write_first(evaluation *e) {
    rv_acting *a = &e->acting;
    const int64_t o = a->observation_size, width = 2 * o + 3;
    for (int64_t i = 0; i < a->count; i++)
        memcpy(a->result + i * width + o + 3, a->after + i * o, (size_t)o * sizeof *a->result);
    return rv_array_write(a->given, 0, a->count, a->result);
}

static rv_status act_episodes(evaluation *e, double *returns, uint8_t *ended) {
    enum { MOST_STEPS = 1000000 };
    rv_acting *a = &e->acting;
    int64_t running = a->count;
    memset(ended, 0, (size_t)a->count);
    for (int64_t i = 0; i < a->count; i++) returns[i] = 0;
    for (int64_t t = 0; running > 0; t++) {
        bool finite = true;
        if (t == MOST_STEPS) return rv_dreamer_fail(e->dreamer, RV_WRONG_STATE, "evaluation", "it does not end");
        rv_status status = run_plan(e->dreamer, e->plan, "evaluation");
        if (status != RV_OK) return status;
        status = rv_acting_step(a, &finite);
        if (status != RV_OK) return rv_dreamer_fail(e->dreamer, status, "evaluation", a->message);
        if (!finite) return rv_dreamer_fail(e->dreamer, RV_NON_FINITE, "evaluation", "what an environment gave");
        for (int64_t i = 0; i < a->count; i++) {
            if (ended[i]) continue;
            returns[i] += (double)a->reward[i];
            ended[i] = a->terminated[i] || a->truncated[i];
            running -= ended[i];
        }
    }
    return RV_OK;
}

static rv_status evaluate(evaluation *e, rv_env *env, uint64_t seed, int drawn, double *returns) {
    rv_dreamer *d = e->dreamer;
    rv_status status = rv_acting_create(&e->acting, d->device, env, seed);
    if (status == RV_OK) status = write_first(e);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "evaluation", e->acting.message);
    if (e->acting.observation_size != d->acting.observation_size || e->acting.action_size != d->acting.action_size)
        return rv_dreamer_fail(d, RV_SHAPE_MISMATCH, "evaluation", "its spaces are not those of training");
    if (drawn) status = rv_random_create(d->device, seed, &e->noise);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "evaluation", rv_status_text(status));
    status = record_evaluation(e);
    uint8_t *ended = rv_device_resize(d->device, NULL, (size_t)e->acting.count);
    if (status == RV_OK && !ended) status = rv_dreamer_fail(d, RV_OUT_OF_MEMORY, "evaluation", "no memory");
    if (status == RV_OK) status = act_episodes(e, returns, ended);
    rv_device_resize(d->device, ended, 0);
    return status;
}

rv_status rv_dreamer_evaluate(rv_dreamer *d, rv_env *env, uint64_t seed, int drawn, double *returns) {
    if (!d || !env || !returns) return RV_INVALID_ARGUMENT;
    if (!d->counters[RV_NORMALISED])
        return rv_dreamer_fail(d, RV_WRONG_STATE, "evaluation", "nothing is learnt before the prefill's end");
    rv_status status = check_health(d, "evaluation");
    evaluation e = {.dreamer = d};
    if (status == RV_OK) status = evaluate(&e, env, seed, drawn, returns);
    rv_plan_destroy(e.plan);
    rv_random_destroy(e.noise);
    rv_acting_destroy(&e.acting);
    return status;
}
