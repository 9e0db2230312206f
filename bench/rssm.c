/* bench/rssm.c: the RSSM at size1m: sequences observed and learnt from, and many states imagined on. */
#include "bench/bench.h"

#include <stdlib.h>

#include "reverie/sequence_model.h"

enum { SEED = 7, ACTION = 1, OBSERVATION = 5 };

static rv_sequence_model *make_model(bench_workload *workload) {
    rv_sequence_model_options options = {
        .size = sizeof options, .observation_size = OBSERVATION, .action_size = ACTION};
    if (workload->error[0]) return NULL;
    rv_status status = rv_sequence_model_preset("size1m", &options);
    if (status == RV_OK) status = rv_sequence_model_create(workload->device, &options, &workload->sequence_model);
    if (status == RV_OK) status = rv_sequence_model_commit(workload->sequence_model, SEED);
    if (status != RV_OK) bench_workload_fail(workload, "model", rv_sequence_model_message(workload->sequence_model));
    return status == RV_OK ? workload->sequence_model : NULL;
}

/* Uniforms in (0, 1): draws that every side makes alike. */
static rv_array *make_uniforms(bench_workload *workload, const char *name, int64_t rows, int64_t cols) {
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    if (!values) {
        bench_workload_fail(workload, name, "out of memory");
        return NULL;
    }
    rv_random_uniform(SEED, 0, name, 0, rows, cols, values);
    rv_array *array = bench_workload_filled(workload, name, rows, cols, values);
    free(values);
    return array;
}

static void finish(bench_workload *workload, rv_graph *graph) {
    if (bench_workload_plan(workload, graph)) bench_workload_count_flops(workload);
}

void bench_rssm_observe(bench_workload *workload, const int64_t *size) {
    const int64_t batch = size[0], steps = size[1], rows = batch * steps;
    rv_sequence_model *model = make_model(workload);
    if (!model) return;
    const int64_t stoch = rv_sequence_model_rssm(model)->options.stoch;
    rv_array *observation = bench_workload_normal(workload, "observation", rows, OBSERVATION, 1);
    rv_array *action = bench_workload_normal(workload, "action", rows, ACTION, 1),
             *reward = bench_workload_normal(workload, "reward", rows, 1, 1);
    rv_array *flags = bench_workload_array(workload, "flags", rows, 1),
             *noise = make_uniforms(workload, "noise", rows, stoch);
    rv_array *deter = bench_workload_array(workload, "deter", rows, rv_sequence_model_rssm(model)->options.deter);
    rv_array *loss = bench_workload_array(workload, "loss", 1, 1),
             *norm = bench_workload_array(workload, "gradient_norm", 1, 1);
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    rv_tensor none = rv_read(graph, flags);
    rv_sequence_batch in = {.steps = steps,
                            .observation = rv_read(graph, observation),
                            .action = rv_read(graph, action),
                            .reward = rv_read(graph, reward),
                            .is_first = none,
                            .is_last = none,
                            .is_terminal = none};
    rv_sequence_losses losses =
        rv_sequence_model_loss(graph, model, &in, (rv_rssm_noise){.given = rv_read(graph, noise)});
    rv_params_gradients(graph, rv_sequence_model_params(model), losses.total, NULL, 0);
    rv_store(deter, losses.pass.seen.state.deter);
    rv_store(loss, losses.total);
    rv_store(norm, rv_params_norm(graph, rv_sequence_model_params(model)));
    finish(workload, graph);
}

void bench_rssm_imagine(bench_workload *workload, const int64_t *size) {
    const int64_t rows = size[0], steps = size[1];
    rv_sequence_model *model = make_model(workload);
    if (!model) return;
    const rv_rssm *rssm = rv_sequence_model_rssm(model);
    rv_array *deter = bench_workload_normal(workload, "deter", rows, rssm->options.deter, 0.5f);
    rv_array *stoch = bench_workload_normal(workload, "stoch", rows, rv_rssm_stoch_size(rssm), 0.5f);
    rv_array *action = bench_workload_normal(workload, "action", steps * rows, ACTION, 1);
    rv_array *noise = make_uniforms(workload, "noise", steps * rows, rssm->options.stoch);
    rv_array *result = bench_workload_array(workload, "last", rows, rssm->options.deter);
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    rv_rssm_rollout dream =
        rv_rssm_imagine(graph, rssm, (rv_rssm_state){rv_read(graph, deter), rv_read(graph, stoch)}, steps,
                        rv_read(graph, action), (rv_rssm_noise){.given = rv_read(graph, noise)});
    rv_store(result, dream.last.deter);
    finish(workload, graph);
}
