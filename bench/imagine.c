/* bench/imagine.c: trajectories imagined at the course's sizes: the actor in the loop, dynamics and reward.
 *
 * latent 32, action 1, actor [128, 64], dynamics [128, 64], reward [64, 32], 15 steps: each draws an action and the next
 * latent. The gradient is that of the mean imagined reward, through rewards, latents and actions to the actor's weights.
 */
#include "bench/bench.h"

#include <stdio.h>

#include "reverie/actor.h"
#include "reverie/scan.h"

enum { SEED = 7, OBSERVATION = 4, ACTION = 1, LATENT = 32 };

static void fail_params(bench_workload *workload, const char *what, rv_params *params) {
    bench_workload_fail(workload, what, params ? rv_params_message(params) : "out of memory");
}

/* What a step needs. */
typedef struct dream {
    rv_world_model *model;
    rv_actor actor;
    rv_tensor noise;
} dream;

static dream make_parts(bench_workload *workload) {
    const rv_world_model_options sizes = {
        .size = sizeof sizes, .observation_size = OBSERVATION, .action_size = ACTION, .latent_size = LATENT};
    const rv_actor_options options = {.size = sizeof options,
                                      .kind = RV_ACTOR_TANH_NORMAL,
                                      .inputs = LATENT,
                                      .action_size = ACTION,
                                      .hidden = {2, {128, 64}},
                                      .plain = 1,
                                      .outscale = 1};
    dream d = {0};
    if (rv_world_model_create(workload->device, &sizes, SEED, &workload->model) != RV_OK)
        bench_workload_fail(workload, "model", rv_world_model_message(workload->model));
    if (rv_params_create(workload->device, &workload->actor) != RV_OK)
        fail_params(workload, "actor", workload->actor);
    if (workload->error[0]) return d;
    d.model = workload->model;
    d.actor = rv_actor_add(workload->actor, "policy", &options);
    if (rv_params_commit(workload->actor, SEED) != RV_OK) fail_params(workload, "actor", workload->actor);
    if (rv_random_create(workload->device, SEED, &workload->random) != RV_OK)
        bench_workload_fail(workload, "random", "could not be made");
    return d;
}

/* ---- recorded ---- */

enum { NEXT, CHOSEN, REWARD, OUTPUTS };

static void imagine_step(void *user, const rv_scan_step *step) {
    const dream *d = user;
    const uint32_t t = (uint32_t)step->t;
    const rv_tensor latent = step->carry[0];
    const rv_action drawn = rv_actor_sample(step->graph, &d->actor, &latent, 1, d->noise, "action", t);
    const rv_world_model_step next = rv_world_model_predict(step->graph, d->model, latent, drawn.action);
    step->output[CHOSEN] = drawn.action;
    step->output[REWARD] = next.reward;
    step->next[0] = step->output[NEXT] =
        rv_sample_normal(next.latent.mean, next.latent.logvar, d->noise, "latent", t).value;
}

static void record(bench_workload *workload, const int64_t *size, bool gradient) {
    const int64_t rows = size[0], steps = size[1];
    dream d = make_parts(workload);
    rv_array *start = bench_workload_normal(workload, "start", rows, LATENT, 1);
    bench_workload_add_noise(workload, "noise/action", SEED, "action", steps, rows, ACTION, false);
    bench_workload_add_noise(workload, "noise/latent", SEED, "latent", steps, rows, LATENT, false);
    rv_array *result[OUTPUTS] = {[NEXT] = bench_workload_array(workload, "latent", steps * rows, LATENT),
                                 [CHOSEN] = bench_workload_array(workload, "action", steps * rows, ACTION),
                                 [REWARD] = bench_workload_array(workload, "reward", steps * rows, 1)};
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    d.noise = rv_random_state(graph, workload->random);
    rv_tensor latent = rv_read(graph, start), out[OUTPUTS];
    rv_scan(graph, steps, imagine_step, &d, &latent, 1, NULL, 0, out, OUTPUTS);
    for (int i = 0; i < OUTPUTS; i++) rv_store(result[i], out[i]);
    if (gradient) rv_params_gradients(graph, workload->actor, rv_neg(rv_mean(out[REWARD], RV_ALL)), NULL, 0);
    rv_random_advance(graph, workload->random);
    if (bench_workload_plan(workload, graph)) bench_workload_count_flops(workload);
    bench_workload_add_weights(workload, workload->actor, RV_VALUE, "before/");
    bench_workload_add_weights(workload, rv_world_model_params(workload->model), RV_VALUE, "before/");
    snprintf(workload->settings, sizeof workload->settings, "{\"rows\": %d, \"steps\": %d}", (int)rows, (int)steps);
}

void bench_imagine(bench_workload *workload, const int64_t *size) { record(workload, size, false); }

static void add_gradient(bench_workload *workload) {
    bench_workload_add_weights(workload, workload->actor, RV_GRADIENT, "gradient/");
}

void bench_imagine_gradient(bench_workload *workload, const int64_t *size) {
    record(workload, size, true);
    workload->results = add_gradient;
}
