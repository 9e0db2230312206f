/* bench/dreamer.c: one whole update of the course's Dreamer, as an agent runs it: windows drawn from the replay, the
 * world model, 64 imagined trajectories, actor and critic, three optimisers, the slow critic, metrics. */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "reverie/dreamer.h"

enum { SEED = 7, OBSERVATION = 3, ROWS = 4096, METRICS = 13 }; /* ROWS: in the replay before the first step that brings an update */

static const char *const fields[] = {"observation", "action", "reward", "next_observation"};
enum { FIELDS = sizeof fields / sizeof *fields };

static void fail_agent(bench_workload *workload) {
    bench_workload_fail(workload, "agent", workload->agent ? rv_agent_message(workload->agent) : "out of memory");
}

static rv_dreamer_options options_of(void) {
    rv_dreamer_options options = rv_dreamer_recipe_find("course")->options;
    options.steps = ROWS + 1;
    options.prefill = ROWS;
    options.update_every = 1;
    options.seed = SEED;
    return options;
}

/* Random steps fill the replay; the weights are still those that the first update finds. */
static void make_agent(bench_workload *workload) {
    const rv_dreamer_options options = options_of();
    if (rv_env_create("continuous_pendulum", 1, NULL, 0, &workload->env) != RV_OK) {
        bench_workload_fail(workload, "environment", "could not be made");
    } else if (rv_dreamer_create(workload->device, workload->env, &options, &workload->agent) != RV_OK ||
               rv_agent_run(workload->agent, ROWS) != RV_OK) {
        fail_agent(workload);
    }
}

static void add_params(bench_workload *workload, const char *prefix) {
    bench_workload_add_weights(workload, rv_world_model_params(rv_dreamer_model(workload->agent)), RV_VALUE, prefix);
    bench_workload_add_weights(workload, rv_dreamer_actor_params(workload->agent), RV_VALUE, prefix);
    bench_workload_add_weights(workload, rv_dreamer_critic_params(workload->agent), RV_VALUE, prefix);
}

/* ---- what the peers are given -------------------------------------------------------------------------------------- */

/* The rows of one field in the replay. */
static void add_field(bench_workload *workload, const char *name) {
    rv_replay *replay = rv_agent_replay(workload->agent);
    rv_array *array = rv_replay_array(replay, rv_replay_find(replay, name));
    const int64_t rows = ROWS + 1, cols = array ? rv_array_cols(array) : 0;
    char full[64];
    snprintf(full, sizeof full, "data/%s", name);
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    if (values && array && rv_array_read(array, 0, rows, values) == RV_OK)
        bench_workload_filled(workload, full, rows, cols, values);
    else bench_workload_fail(workload, full, "cannot be read");
    free(values);
}

/* Of the observations' change in one of the random steps: the standard deviation, by which a prediction's error counts. */
static void add_change(bench_workload *workload, const char *name) {
    static float now[ROWS * OBSERVATION], next[ROWS * OBSERVATION];
    rv_replay *replay = rv_agent_replay(workload->agent);
    float change[OBSERVATION];
    rv_array_read(rv_replay_array(replay, rv_replay_find(replay, "observation")), 0, ROWS, now);
    rv_array_read(rv_replay_array(replay, rv_replay_find(replay, "next_observation")), 0, ROWS, next);
    for (int c = 0; c < OBSERVATION; c++) {
        double sum = 0, square = 0;
        for (int i = c; i < ROWS * OBSERVATION; i += OBSERVATION) {
            const double d = (double)next[i] - (double)now[i];
            sum += d;
            square += d * d;
        }
        change[c] = (float)sqrt(square / ROWS - sum / ROWS * (sum / ROWS));
    }
    bench_workload_filled(workload, name, 1, OBSERVATION, change);
}

/* The rows that the first update draws. */
static void add_rows(bench_workload *workload, const char *name, const char *draw, int64_t count) {
    float rows[1024];
    uint32_t bits[1024];
    rv_random_bits(SEED, 0, draw, 0, 1, count, bits);
    for (int64_t i = 0; i < count; i++) rows[i] = (float)((uint64_t)bits[i] * (ROWS + 1) >> 32);
    bench_workload_filled(workload, name, 1, count, rows);
}

static void add_inputs(bench_workload *workload) {
    const rv_dreamer_options *o = rv_dreamer_options_get(workload->agent);
    const int64_t latent = o->model.latent_size, action = o->model.action_size;
    float mean[OBSERVATION], scale[OBSERVATION];
    for (int i = 0; i < FIELDS; i++) add_field(workload, fields[i]);
    if (rv_world_model_normaliser(rv_dreamer_model(workload->agent), mean, scale) != RV_OK) fail_agent(workload);
    bench_workload_filled(workload, "mean", 1, OBSERVATION, mean);
    bench_workload_filled(workload, "scale", 1, OBSERVATION, scale);
    add_change(workload, "change");
    add_rows(workload, "rows/batch", "batch/start", o->batch);
    add_rows(workload, "rows/start", "start/start", o->imagined);
    bench_workload_add_noise(workload, "noise/posterior", SEED, "posterior", 1, o->batch, latent, false);
    bench_workload_add_noise(workload, "noise/action", SEED, "imagine/action", o->horizon, o->imagined, action, false);
    bench_workload_add_noise(workload, "noise/latent", SEED, "imagine/latent", o->horizon, o->imagined, latent, false);
}

static void describe(bench_workload *workload) {
    const rv_dreamer_options *o = rv_dreamer_options_get(workload->agent);
    snprintf(workload->settings, sizeof workload->settings,
             "{\"batch\": %d, \"imagined\": %d, \"horizon\": %d, \"latent\": %d, \"kl_weight\": %.9g, \"gamma\": %.9g, "
             "\"lambda\": %.9g, \"entropy_weight\": %.9g, \"slow_rate\": %.9g, \"learning_rate\": %.9g, \"clip\": %.9g, "
             "\"beta1\": 0.9, \"beta2\": 0.999, \"eps\": 1e-8}",
             (int)o->batch, (int)o->imagined, (int)o->horizon, (int)o->model.latent_size, o->kl_weight, o->gamma,
             o->lambda, o->entropy_weight, o->slow_rate, o->model_rate, o->model_clip);
}

/* ---- the workload --------------------------------------------------------------------------------------------------- */

/* The step that brings the first update. */
static bool run_first(bench_workload *workload) {
    if (rv_agent_run(workload->agent, 1) == RV_OK && rv_agent_updates(workload->agent) == 1) return true;
    fail_agent(workload);
    return false;
}

static void add_results(bench_workload *workload) {
    rv_metric metrics[RV_AGENT_METRICS];
    float values[METRICS];
    add_inputs(workload);
    if (rv_agent_metrics(workload->agent, metrics) != RV_OK) fail_agent(workload);
    if (workload->error[0]) return;
    for (int i = 0; i < METRICS; i++) values[i] = metrics[i].value;
    bench_workload_filled(workload, "metrics", 1, METRICS, values);
    add_params(workload, "after/");
}

void bench_dreamer_update(bench_workload *workload, const int64_t *size) {
    (void)size; /* the course's */
    workload->first = run_first;
    workload->results = add_results;
    make_agent(workload);
    if (workload->error[0]) return;
    add_params(workload, "before/");
    describe(workload);
    workload->plan = rv_agent_train_plan(workload->agent);
    bench_workload_count_flops(workload);
}
