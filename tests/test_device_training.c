/* The course's world model trains on a GPU backend as it does on the CPU: the losses stay together for a hundred updates,
 * the weights after the first; a second run has the same bits; and a step is few dispatches.
 *
 *     test_device_training [DEVICE ...]        or REVERIE_DEVICES; opencl:0 and cuda:0
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/random.h"
#include "reverie/trainer.h"
#include "tests/support/case_run.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

enum { STEPS = 200, OBSERVATION = 4, ACTION = 1, UPDATES = 100, MOST_DISPATCHES = 40 };

static rv_test_devices devices;

static float observation[STEPS * OBSERVATION], action[STEPS * ACTION], reward[STEPS], next_observation[STEPS * OBSERVATION];
static const rv_transitions data = {.steps = STEPS, .observation_size = OBSERVATION, .action_size = ACTION, .observation = observation,
                                    .action = action, .reward = reward, .next_observation = next_observation};

/* ---- training ------------------------------------------------------------------------------------------------- */

typedef struct run {
    float loss[UPDATES];
    float *first, *last; /* all weights after the first and the last update */
    int64_t weights, dispatches;
} run;

static float *read_weights(rv_world_model *model, int64_t *count) {
    rv_params *params = rv_world_model_params(model);
    *count = rv_params_size(params);
    float *weights = malloc((size_t)*count * sizeof *weights), *at = weights;
    assert_non_null(weights);
    for (int i = 0; i < rv_params_count(params); i++) {
        int64_t rows, cols;
        assert_ok(rv_params_shape(params, i, &rows, &cols), rv_params_message(params));
        assert_ok(rv_params_get(params, i, RV_VALUE, at), rv_params_message(params));
        at += rows * cols;
    }
    return weights;
}

static void train(rv_device *device, run *r) {
    rv_world_model *model;
    rv_trainer *trainer;
    const rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = OBSERVATION, .action_size = ACTION};
    const rv_trainer_options options = {.size = sizeof options, .batch = 64, .seed = 3};
    assert_ok(rv_world_model_create(device, &sizes, 2, &model), rv_world_model_message(model));
    assert_ok(rv_world_model_normalise_by(model, &data), rv_world_model_message(model));
    assert_ok(rv_trainer_create(model, &data, &options, &trainer), rv_trainer_message(trainer));
    for (int i = 0; i < UPDATES; i++) {
        rv_metric metrics[RV_TRAINER_METRICS] = {{0}};
        assert_ok(rv_trainer_run(trainer, 1), rv_trainer_message(trainer));
        assert_ok(rv_trainer_metrics(trainer, metrics), rv_trainer_message(trainer));
        r->loss[i] = (float)metrics[0].value;
        if (i == 0) r->first = read_weights(model, &r->weights);
    }
    r->last = read_weights(model, &r->weights);
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_report_get(rv_trainer_plan(trainer), &report), "");
    r->dispatches = report.dispatches;
    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
}

static void forget(run *r) {
    free(r->first);
    free(r->last);
}

static double relative_l2(const float *a, const float *b, int64_t count) {
    double difference = 0, all = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += pow((double)a[i] - (double)b[i], 2);
        all += pow((double)b[i], 2);
    }
    return sqrt(difference / all);
}

/* Skips where the device is merely not there. */
static rv_device *open_device(void **state) {
    bool absent;
    rv_device *device = rv_device_open_for_test(&devices, *(int *)*state, &absent);
    if (absent) skip();
    assert_non_null(device);
    return device;
}

static void training_follows_the_cpu(void **state) {
    rv_device *device = open_device(state), *cpu;
    run here = {0}, again = {0}, there = {0};
    assert_ok(rv_device_open("cpu", NULL, &cpu), rv_device_message(cpu));
    train(device, &here);
    train(device, &again);
    train(cpu, &there);
    double worst = 0;
    for (int i = 0; i < UPDATES; i++) worst = fmax(worst, fabs((double)here.loss[i] / (double)there.loss[i] - 1));
    const double weights = relative_l2(here.first, there.first, here.weights);
    print_message("%s: losses within %.1e of the CPU's over %d updates, weights after one %.1e; %d dispatches a step\n",
                  rv_device_name(device), worst, UPDATES, weights, (int)here.dispatches);
    assert_true(there.loss[UPDATES - 1] < there.loss[0]); /* it learns */
    assert_true(worst <= 1e-3);
    assert_true(weights <= 1e-5);
    assert_memory_equal(here.loss, again.loss, sizeof here.loss);
    assert_memory_equal(here.last, again.last, (size_t)here.weights * sizeof *here.last);
    assert_in_range(here.dispatches, 1, MOST_DISPATCHES);
    forget(&here);
    forget(&again);
    forget(&there);
    rv_device_close(cpu);
    rv_device_close(device);
}

/* ---- dispatches of single ops ----------------------------------------------------------------------------------- */

static int64_t dispatches_of(rv_device *device, const rv_case *item, rv_case_mode mode) {
    rv_case_run run;
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_case_open(&run, device, item, mode, NULL), run.message);
    assert_ok(rv_plan_report_get(run.plan, &report), "");
    rv_case_close(&run);
    return report.dispatches;
}

/* Every case of the table whose name begins so, at any shape. */
static void fused_ops_are_few_dispatches(void **state) {
    static const struct {
        const char *name;
        int64_t forward, gradient; /* of forward and backward together */
    } budgets[] = {{"gru_cell/", 1, 1 + 3}, {"sample_normal/", 1, 1}}; /* sample_normal draws again instead of going forward */
    rv_device *device = open_device(state);
    rv_case_list *cases = rv_cases_create();
    assert_non_null(cases);
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
        int64_t checked = 0, over = 0, most = 0;
        for (int i = 0; i < cases->count; i++) {
            const rv_case *item = &cases->items[i];
            if (strncmp(item->name, budgets[b].name, strlen(budgets[b].name)) != 0) continue;
            const int64_t forward = dispatches_of(device, item, RV_CASE_FORWARD), gradient = dispatches_of(device, item, RV_CASE_GRADIENT);
            checked++;
            most = gradient > most ? gradient : most;
            if (forward <= budgets[b].forward && gradient <= budgets[b].gradient) continue;
            print_error("%s: %d dispatches, with gradient %d\n", item->name, (int)forward, (int)gradient);
            over++;
        }
        print_message("%s: %d shapes, at most %d dispatches with gradient\n", budgets[b].name, (int)checked, (int)most);
        assert_in_range(checked, 10, cases->count);
        assert_int_equal(over, 0);
    }
    rv_cases_destroy(cases);
    rv_device_close(device);
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "opencl:0 cuda:0");
    rv_random_normal(1, 0, "observation", 0, STEPS, OBSERVATION, observation);
    rv_random_normal(1, 0, "next", 0, STEPS, OBSERVATION, next_observation);
    rv_random_uniform(1, 0, "action", 0, STEPS, ACTION, action);
    for (int i = 0; i < STEPS; i++) reward[i] = observation[i * OBSERVATION] * action[i];
    struct CMUnitTest tests[2 * RV_MAX_DEVICES];
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        tests[2 * i] = (struct CMUnitTest){devices.names[i], training_follows_the_cpu, NULL, NULL, &numbers[i]};
        tests[2 * i + 1] = (struct CMUnitTest){"fused_ops_are_few_dispatches", fused_ops_are_few_dispatches, NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("training on devices", tests, (size_t)(2 * devices.count), NULL, NULL);
}
