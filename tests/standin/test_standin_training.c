/* A world model trains on the stand-in (standin.h; no hardware) as it does on the CPU: the losses stay together for a
 * hundred updates, the weights after the first one, and a second run has the same bits. */
#include "tests/standin/use.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/random.h"
#include "reverie/trainer.h"

enum { N = 64, O = 3, A = 1, UPDATES = 100, MOST_WEIGHTS = 4096 };

static float observation[N * O], action[N * A], reward[N], next_observation[N * O];
static const rv_transitions data = {.steps = N, .observation_size = O, .action_size = A, .observation = observation, .action = action,
                                    .reward = reward, .next_observation = next_observation};

typedef struct run {
    float loss[UPDATES];
    float first[MOST_WEIGHTS], last[MOST_WEIGHTS]; /* weights after the first and the last update */
    int64_t weights;
} run;

static void read_weights(rv_world_model *model, float weights[MOST_WEIGHTS], int64_t *count) {
    rv_params *params = rv_world_model_params(model);
    *count = rv_params_size(params);
    assert_in_range(*count, 1, MOST_WEIGHTS);
    for (int i = 0; i < rv_params_count(params); i++) {
        int64_t rows, cols;
        assert_ok(rv_params_shape(params, i, &rows, &cols), rv_params_message(params));
        assert_ok(rv_params_get(params, i, RV_VALUE, weights), rv_params_message(params));
        weights += rows * cols;
    }
}

static void train(const char *resource, run *r) {
    rv_device *device;
    rv_world_model *model;
    rv_trainer *trainer;
    const rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = O, .action_size = A, .latent_size = 4,
                                          .vae_hidden = {2, {16, 16}}, .dynamics_hidden = {1, {16}}, .reward_hidden = {1, {8}}};
    const rv_trainer_options options = {.size = sizeof options, .batch = 16, .seed = 3};
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    assert_ok(rv_world_model_create(device, &sizes, 2, &model), rv_world_model_message(model));
    assert_ok(rv_world_model_normalise_by(model, &data), rv_world_model_message(model));
    assert_ok(rv_trainer_create(model, &data, &options, &trainer), rv_trainer_message(trainer));
    for (int i = 0; i < UPDATES; i++) {
        rv_metric metrics[RV_TRAINER_METRICS] = {{0}};
        assert_ok(rv_trainer_run(trainer, 1), rv_trainer_message(trainer));
        assert_ok(rv_trainer_metrics(trainer, metrics), rv_trainer_message(trainer));
        r->loss[i] = (float)metrics[0].value;
        if (i == 0) read_weights(model, r->first, &r->weights);
    }
    read_weights(model, r->last, &r->weights);
    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
    rv_device_close(device);
}

static void training_follows_the_cpu(void **unused) {
    (void)unused;
    run *cpu = calloc(1, sizeof *cpu), *standin = calloc(1, sizeof *standin), *again = calloc(1, sizeof *again);
    assert_true(cpu && standin && again);
    train("cpu:threads=2", cpu);
    train("cuda:0", standin);
    train("cuda:1", again);
    for (int i = 0; i < UPDATES; i++) {
        if (!(fabsf(standin->loss[i] - cpu->loss[i]) <= 1e-3f * fabsf(cpu->loss[i]))) {
            fail_msg("update %d: loss %g, on the CPU %g", i, (double)standin->loss[i], (double)cpu->loss[i]);
        }
    }
    assert_true(cpu->loss[UPDATES - 1] < cpu->loss[0]); /* it learns */
    double difference = 0, all = 0;
    for (int64_t i = 0; i < cpu->weights; i++) {
        difference += pow((double)standin->first[i] - (double)cpu->first[i], 2);
        all += pow((double)cpu->first[i], 2);
    }
    assert_true(all > 0 && sqrt(difference / all) <= 1e-5);
    assert_memory_equal(again, standin, sizeof *again);
    free(cpu);
    free(standin);
    free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {standin_test(training_follows_the_cpu)};
    if (!standin_find()) return 1;
    rv_random_normal(1, 0, "observation", 0, N, O, observation);
    rv_random_normal(1, 0, "next", 0, N, O, next_observation);
    rv_random_uniform(1, 0, "action", 0, N, A, action);
    for (int i = 0; i < N; i++) reward[i] = observation[i * O] * action[i];
    return cmocka_run_group_tests_name("training on the stand-in, no hardware", tests, NULL, NULL);
}
