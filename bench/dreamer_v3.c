/* bench/dreamer_v3.c: one whole update of DreamerV3 at size1m: observe, imagine, learn, step. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7, ACTION = 1, OBSERVATION = 5, HORIZON = 15 };

static void make_agent(bench_workload *workload) {
    rv_dreamer_v3_options options = {.size = sizeof options, .critic_outscale = 1, .warmup = -1, .horizon = HORIZON};
    if (workload->error[0]) return;
    options.model.observation_size = OBSERVATION;
    options.model.action_size = ACTION;
    options.model.reward_outscale = 1; /* heads that start at zero would hide what they compute */
    rv_status status = rv_sequence_model_preset("size1m", &options.model);
    if (status == RV_OK) status = rv_dreamer_v3_create(workload->device, &options, SEED, &workload->dreamer_v3);
    if (status != RV_OK) bench_workload_fail(workload, "agent", rv_dreamer_v3_message(workload->dreamer_v3));
}

/* Flags [rows, 1]: 1 where a uniform lies below `share`. */
static rv_tensor flags(bench_workload *workload, rv_graph *graph, const char *name, int64_t rows, float share) {
    float *values = malloc((size_t)rows * sizeof *values);
    if (!values) bench_workload_fail(workload, name, "out of memory");
    if (workload->error[0]) return free(values), RV_NONE;
    rv_random_uniform(SEED, 0, name, 0, rows, 1, values);
    for (int64_t i = 0; i < rows; i++) values[i] = values[i] < share;
    rv_array *array = bench_workload_filled(workload, name, rows, 1, values);
    free(values);
    return array ? rv_read(graph, array) : RV_NONE;
}

static rv_tensor normals(bench_workload *workload, rv_graph *graph, const char *name, int64_t rows, int64_t cols) {
    rv_array *array = bench_workload_normal(workload, name, rows, cols, 1);
    return array ? rv_read(graph, array) : RV_NONE;
}

static rv_dreamer_v3_update record(bench_workload *workload, rv_graph *graph, int64_t sequences, int64_t steps) {
    const rv_rssm_options *o = &rv_dreamer_v3_options_get(workload->dreamer_v3)->model.rssm;
    const int64_t rows = sequences * steps;
    const rv_sequence_batch batch = {
        .steps = steps,
        .observation = normals(workload, graph, "observation", rows, OBSERVATION),
        .action = normals(workload, graph, "action", rows, ACTION),
        .reward = normals(workload, graph, "reward", rows, 1),
        .is_first = flags(workload, graph, "is_first", rows, 0.01f),
        .is_last = flags(workload, graph, "is_last", rows, 0.01f),
        .is_terminal = flags(workload, graph, "is_terminal", rows, 0.005f),
        .start = {normals(workload, graph, "carry/deter", sequences, o->deter),
                  normals(workload, graph, "carry/stoch", sequences, o->stoch * o->classes)},
        .start_action = normals(workload, graph, "carry/action", sequences, ACTION),
    };
    bench_workload_add_noise(workload, "noise/posterior", SEED, "posterior", steps, sequences, o->stoch, true);
    bench_workload_add_noise(workload, "noise/prior", SEED, "prior", HORIZON, rows, o->stoch, true);
    bench_workload_add_noise(workload, "noise/action", SEED, "action", HORIZON + 1, rows, ACTION, false);
    if (rv_random_create(workload->device, SEED, &workload->random) != RV_OK)
        bench_workload_fail(workload, "random", "could not be made");
    if (workload->error[0]) return (rv_dreamer_v3_update){.learning_rate = RV_NONE};
    const rv_dreamer_v3_noise noise = {.state = rv_random_state(graph, workload->random)};
    const rv_dreamer_v3_update update = rv_dreamer_v3_learn(graph, workload->dreamer_v3, &batch, noise);
    rv_random_advance(graph, workload->random);
    return update;
}

/* The losses of the model and of what it imagined: the gate and the peers compare them, and the gradient's norm. */
static void store_results(bench_workload *workload, const rv_dreamer_v3_update *update) {
    rv_dreamer_v3_value list[RV_DREAMER_V3_VALUES];
    rv_tensor losses[RV_DREAMER_V3_LOSSES - 1];
    rv_array *row = bench_workload_array(workload, "losses", 1, RV_DREAMER_V3_LOSSES - 1);
    rv_array *norm = bench_workload_array(workload, "gradient_norm", 1, 1);
    if (workload->error[0]) return;
    rv_dreamer_v3_list(&update->losses, list);
    for (int i = 0; i < RV_DREAMER_V3_LOSSES - 1; i++) losses[i] = list[i].tensor;
    rv_store(row, rv_concat_cols(losses, RV_DREAMER_V3_LOSSES - 1));
    rv_store(norm, update->gradient_norm);
}

void bench_dreamer_v3_update(bench_workload *workload, const int64_t *size) {
    make_agent(workload);
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    const rv_dreamer_v3_update update = record(workload, graph, size[0], size[1]);
    if (!workload->error[0]) store_results(workload, &update);
    bench_workload_add_weights(workload, rv_dreamer_v3_params(workload->dreamer_v3), RV_VALUE, "before/");
    bench_workload_add_weights(workload, rv_dreamer_v3_slow_params(workload->dreamer_v3), RV_VALUE, "before/");
    if (bench_workload_plan(workload, graph)) bench_workload_count_flops(workload);
    snprintf(workload->settings, sizeof workload->settings,
             "{\"sequences\": %d, \"steps\": %d, \"horizon\": %d, \"observation\": %d, \"action\": %d, "
             "\"learning_rate\": 4e-5}",
             (int)size[0], (int)size[1], HORIZON, OBSERVATION, ACTION);
}
