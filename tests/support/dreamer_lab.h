/* tests/support/dreamer_lab.h: a DreamerV3 whose heads are not zero, a graph, and a batch of noise in which episodes
 * begin and end.
 *
 *     rv_dreamer_v3_options options = dreamer_lab_options("debug");
 *     dreamer_lab lab;
 *     dreamer_lab_open(&lab, "cpu", &options, 2, 4);          // sequences, steps
 *     rv_dreamer_v3_learn(lab.graph, lab.agent, &lab.batch, lab.noise);
 *     rv_plan *plan = dreamer_lab_plan(&lab);
 *     ...
 *     rv_plan_destroy(plan);
 *     dreamer_lab_close(&lab);
 */
#ifndef RV_TESTS_DREAMER_LAB_H
#define RV_TESTS_DREAMER_LAB_H

#include <stdlib.h>
#include <string.h>

#include "reverie/dreamer_v3.h"
#include "reverie/plan.h"
#include "reverie/random.h"
#include "tests/support/suite.h"

/* The batch's arrays, in this order; behind them those of a test. */
enum { LAB_OBSERVATION, LAB_ACTION, LAB_REWARD, LAB_FIRST, LAB_LAST, LAB_TERMINAL, LAB_BATCH, LAB_ARRAYS = 24 };

typedef struct dreamer_lab {
    rv_device *device;
    rv_dreamer_v3 *agent;
    rv_random *random;
    rv_graph *graph;
    rv_array *array[LAB_ARRAYS];
    int count;
    rv_sequence_batch batch;
    rv_dreamer_v3_noise noise;
} dreamer_lab;

/* Of a preset: horizon 3, observations of 3, actions of 2, a rate that moves weights at once. */
static inline rv_dreamer_v3_options dreamer_lab_options(const char *preset) {
    rv_dreamer_v3_options options = {.size = sizeof options,
                                     .actor_outscale = 1,
                                     .critic_outscale = 1,
                                     .horizon = 3,
                                     .learning_rate = 1e-3f,
                                     .warmup = -1};
    assert_ok(rv_sequence_model_preset(preset, &options.model), preset);
    options.model.observation_size = 3;
    options.model.action_size = 2;
    options.model.reward_outscale = 1;
    options.model.kl.free_nats = 0.05f;
    return options;
}

static inline rv_array *dreamer_lab_array(dreamer_lab *lab, const char *name, int64_t rows, int64_t cols) {
    assert_true(lab->count < LAB_ARRAYS);
    rv_array **array = &lab->array[lab->count++];
    assert_ok(rv_array_create(lab->device, RV_F32, rows, cols, name, array), rv_array_message(*array));
    return *array;
}

/* Flags are 1 where a uniform is below 0.3. */
static inline rv_tensor dreamer_lab_input(dreamer_lab *lab, const char *name, int64_t rows, int64_t cols) {
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    const int which = lab->count;
    rv_array *array = dreamer_lab_array(lab, name, rows, cols);
    assert_non_null(values);
    if (which < LAB_FIRST) rv_random_normal(4, 0, name, 0, rows, cols, values);
    else rv_random_uniform(4, 0, name, 0, rows, cols, values);
    for (int64_t i = 0; i < rows * cols && which >= LAB_FIRST; i++) values[i] = values[i] < 0.3f;
    assert_ok(rv_array_write(array, 0, rows, values), rv_array_message(array));
    free(values);
    return rv_read(lab->graph, array);
}

/* On a device that is open, and then the lab's own. */
static inline void dreamer_lab_begin(dreamer_lab *lab, rv_device *device, const rv_dreamer_v3_options *options,
                                     int64_t sequences, int64_t steps) {
    const int64_t rows = sequences * steps;
    *lab = (dreamer_lab){.device = device};
    assert_ok(rv_dreamer_v3_create(device, options, 11, &lab->agent), rv_dreamer_v3_message(lab->agent));
    assert_ok(rv_random_create(device, 5, &lab->random), "random");
    assert_ok(rv_graph_create(device, &lab->graph), "graph");
    lab->batch.steps = steps;
    lab->batch.observation = dreamer_lab_input(lab, "observation", rows, options->model.observation_size);
    lab->batch.action = dreamer_lab_input(lab, "action", rows, options->model.action_size);
    lab->batch.reward = dreamer_lab_input(lab, "reward", rows, 1);
    lab->batch.is_first = dreamer_lab_input(lab, "first", rows, 1);
    lab->batch.is_last = dreamer_lab_input(lab, "last", rows, 1);
    lab->batch.is_terminal = dreamer_lab_input(lab, "terminal", rows, 1);
    lab->noise = (rv_dreamer_v3_noise){.state = rv_random_state(lab->graph, lab->random)};
}

static inline void dreamer_lab_open(dreamer_lab *lab, const char *resource, const rv_dreamer_v3_options *options,
                                    int64_t sequences, int64_t steps) {
    rv_device *device;
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    dreamer_lab_begin(lab, device, options, sequences, steps);
}

static inline void dreamer_lab_close(dreamer_lab *lab) {
    for (int i = 0; i < lab->count; i++) rv_array_destroy(lab->array[i]);
    rv_graph_destroy(lab->graph);
    rv_random_destroy(lab->random);
    rv_dreamer_v3_destroy(lab->agent);
    rv_device_close(lab->device);
}

static inline rv_plan *dreamer_lab_plan(dreamer_lab *lab) {
    rv_plan *plan;
    assert_ok(rv_plan_create(lab->graph, NULL, &plan), rv_plan_message(plan));
    return plan;
}

#endif
