/* bench/train_step.c: one update of the course's world model, as rv_trainer runs it, on made-up transitions. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEED = 7, STEPS = 4096, OBSERVATION = 4, ACTION = 1, LATENT = 32, BATCH = 64 };
static const float RATE = 1e-3f, CLIP = 100.0f, KL_WEIGHT = 1e-4f;

/* Transitions that could be somebody's: the next observation is near the one before. */
typedef struct transitions {
    float observation[STEPS * OBSERVATION], action[STEPS], reward[STEPS], next[STEPS * OBSERVATION];
    uint8_t flags[STEPS];
} transitions;

static transitions *make_transitions(void) {
    transitions *data = calloc(1, sizeof *data);
    if (!data) return NULL;
    rv_random_normal(SEED, 0, "observation", 0, STEPS, OBSERVATION, data->observation);
    rv_random_normal(SEED, 0, "action", 0, STEPS, ACTION, data->action);
    rv_random_normal(SEED, 0, "reward", 0, STEPS, 1, data->reward);
    rv_random_normal(SEED, 0, "change", 0, STEPS, OBSERVATION, data->next);
    for (int i = 0; i < STEPS * OBSERVATION; i++) data->next[i] = data->observation[i] + 0.1f * data->next[i];
    return data;
}

/* The rows that the first step draws, and its noise: what the peers are given. */
static void add_first_batch(bench_workload *workload, const transitions *data) {
    uint32_t bits[BATCH];
    float observation[BATCH][OBSERVATION], next[BATCH][OBSERVATION], action[BATCH], reward[BATCH], noise[BATCH * LATENT];
    rv_random_bits(SEED, 0, "batch", 0, BATCH, 1, bits);
    for (int i = 0; i < BATCH; i++) {
        int64_t row = (int64_t)((uint64_t)bits[i] * STEPS >> 32);
        for (int c = 0; c < OBSERVATION; c++) {
            observation[i][c] = data->observation[row * OBSERVATION + c];
            next[i][c] = data->next[row * OBSERVATION + c];
        }
        action[i] = data->action[row];
        reward[i] = data->reward[row];
    }
    rv_random_normal(SEED, 0, "posterior", 0, BATCH, LATENT, noise);
    bench_workload_filled(workload, "batch/observation", BATCH, OBSERVATION, observation[0]);
    bench_workload_filled(workload, "batch/next_observation", BATCH, OBSERVATION, next[0]);
    bench_workload_filled(workload, "batch/action", BATCH, ACTION, action);
    bench_workload_filled(workload, "batch/reward", BATCH, 1, reward);
    bench_workload_filled(workload, "batch/noise", BATCH, LATENT, noise);
}

static void add_inputs(bench_workload *workload, const transitions *data) {
    float mean[OBSERVATION], scale[OBSERVATION];
    if (rv_world_model_normaliser(workload->model, mean, scale) != RV_OK) {
        bench_workload_fail(workload, "normaliser", rv_world_model_message(workload->model));
    }
    bench_workload_filled(workload, "mean", 1, OBSERVATION, mean);
    bench_workload_filled(workload, "scale", 1, OBSERVATION, scale);
    bench_workload_filled(workload, "data/observation", STEPS, OBSERVATION, data->observation);
    bench_workload_filled(workload, "data/next_observation", STEPS, OBSERVATION, data->next);
    bench_workload_filled(workload, "data/action", STEPS, ACTION, data->action);
    bench_workload_filled(workload, "data/reward", STEPS, 1, data->reward);
    add_first_batch(workload, data);
    bench_workload_add_weights(workload, rv_world_model_params(workload->model), RV_VALUE, "before/");
}

static void make(bench_workload *workload, const transitions *data) {
    rv_transitions view = {STEPS,        OBSERVATION, ACTION,      data->observation, data->action,
                           data->reward, data->next,  data->flags, data->flags,       data->flags};
    rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = OBSERVATION, .action_size = ACTION};
    rv_trainer_options options = {.size = sizeof options, .batch = BATCH,         .learning_rate = RATE,
                                  .clip = CLIP,           .kl_weight = KL_WEIGHT, .seed = SEED};
    if (rv_world_model_create(workload->device, &sizes, SEED, &workload->model) != RV_OK ||
        rv_world_model_normalise_by(workload->model, &view) != RV_OK) {
        bench_workload_fail(workload, "model", rv_world_model_message(workload->model));
        return;
    }
    if (rv_trainer_create(workload->model, &view, &options, &workload->trainer) != RV_OK) {
        bench_workload_fail(workload, "trainer", rv_trainer_message(workload->trainer));
        return;
    }
    workload->plan = rv_trainer_plan(workload->trainer);
    add_inputs(workload, data);
}

/* After the first run: losses, gradients, new weights. */
static void add_results(bench_workload *workload) {
    rv_metric metrics[RV_TRAINER_METRICS];
    if (rv_trainer_metrics(workload->trainer, metrics) != RV_OK) {
        bench_workload_fail(workload, "metrics", rv_trainer_message(workload->trainer));
        return;
    }
    float losses[5];
    for (int i = 0; i < 5; i++) losses[i] = metrics[i].value;
    bench_workload_filled(workload, "losses", 1, 5, losses);
    bench_workload_filled(workload, "gradient_norm", 1, 1, &metrics[5].value);
    bench_workload_add_weights(workload, rv_world_model_params(workload->model), RV_GRADIENT, "gradient/");
    bench_workload_add_weights(workload, rv_world_model_params(workload->model), RV_VALUE, "after/");
}

void bench_train_step(bench_workload *workload) {
    workload->results = add_results;
    transitions *data = make_transitions();
    if (!data) {
        bench_workload_fail(workload, "train_step", "out of memory");
        return;
    }
    make(workload, data);
    free(data);
    bench_workload_count_flops(workload);
    snprintf(workload->settings, sizeof workload->settings,
             "{\"batch\": %d, \"latent\": %d, \"learning_rate\": %.9g, \"clip\": %.9g, \"kl_weight\": %.9g, "
             "\"beta1\": 0.9, \"beta2\": 0.999, \"eps\": 1e-8, \"weight_decay\": 0}",
             BATCH, LATENT, RATE, CLIP, KL_WEIGHT);
}
