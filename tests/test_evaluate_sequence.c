/* Evaluation of a sequence model: against the model taken step by step, with the context that each start has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agents/linear.h"
#include "reverie/evaluate.h"
#include "reverie/plan.h"
#include "tests/support/suite.h"

enum { O = 2, A = 1, EPISODES = 3, LENGTH = 12, HORIZON = 4, CONTEXT = 5 };

static rv_device *device;

/* Numbers that say where they come from; the reward is quadratic in what is seen and done. */
static rv_dataset *make_data(void) {
    rv_dataset *data;
    assert_ok(rv_dataset_create(O, A, &data), "");
    for (int e = 0; e < EPISODES; e++) {
        for (int t = 0; t < LENGTH; t++) {
            const float x[O] = {sinf(0.4f * (float)t + (float)e), cosf(0.9f * (float)t)}, u[A] = {sinf(1.7f * (float)t)};
            const float next[O] = {sinf(0.4f * (float)(t + 1) + (float)e), cosf(0.9f * (float)(t + 1))};
            rv_transition step = {x, u, 0.5f * x[0] - u[0] * u[0] + 0.25f, next, 0, t == LENGTH - 1};
            assert_ok(rv_dataset_append(data, &step), rv_dataset_message(data));
        }
    }
    return data;
}

static rv_sequence_model *make_model(void) {
    rv_sequence_model_options options = {.size = sizeof options,
                                         .observation_size = O,
                                         .action_size = A,
                                         .units = 6,
                                         .bins = 9,
                                         .reward_outscale = 1,
                                         .rssm = {.deter = 8, .hidden = 5, .stoch = 3, .classes = 4, .blocks = 2}};
    rv_sequence_model *model;
    assert_ok(rv_sequence_model_create(device, &options, &model), rv_sequence_model_message(model));
    assert_ok(rv_sequence_model_commit(model, 7), rv_sequence_model_message(model));
    return model;
}

/* What the model says `steps` steps behind step `start`, its context seen one after another. */
typedef struct prediction {
    float observation[HORIZON * O], reward[HORIZON];
} prediction;

static void predict(rv_sequence_model *model, const rv_transitions *t, int64_t start, int64_t context, prediction *out) {
    rv_array *x, *u, *predicted, *reward;
    rv_graph *graph;
    rv_plan *plan;
    const int64_t first = start - (context - 1), rows = context + HORIZON - 1;
    assert_ok(rv_array_create(device, RV_F32, context, O, "x", &x), "");
    assert_ok(rv_array_create(device, RV_F32, rows, A, "u", &u), "");
    assert_ok(rv_array_create(device, RV_F32, HORIZON, O, "predicted", &predicted), "");
    assert_ok(rv_array_create(device, RV_F32, HORIZON, 1, "reward", &reward), "");
    assert_ok(rv_array_write(x, 0, context, t->observation + first * O), "");
    assert_ok(rv_array_write(u, 0, rows, t->action + first * A), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_rssm_state hidden = rv_sequence_model_hidden(graph, model, 1);
    for (int64_t k = 0; k < rows; k++) {
        rv_tensor seen = k < context ? rv_read_part(graph, x, k * O, 1, O) : RV_NONE;
        rv_sequence_step next = rv_sequence_model_imagine(graph, model, seen, rv_read_part(graph, u, k * A, 1, A), hidden,
                                                          (rv_rssm_noise){0});
        hidden = next.hidden;
        if (k < context - 1) continue;
        rv_store_part(predicted, (k - context + 1) * O, next.observation);
        rv_store_part(reward, k - context + 1, next.reward);
    }
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_array_read(predicted, 0, HORIZON, out->observation), "");
    assert_ok(rv_array_read(reward, 0, HORIZON, out->reward), "");
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(x);
    rv_array_destroy(u);
    rv_array_destroy(predicted);
    rv_array_destroy(reward);
}

static int64_t context_of(int64_t start) {
    const int64_t before = start % LENGTH + 1;
    return before < CONTEXT ? before : CONTEXT;
}

static void assert_near(double value, double wanted) {
    if (!(fabs(value - wanted) <= 1e-4 * (fabs(wanted) + 1e-3))) fail_msg("%.9g is not %.9g", value, wanted);
}

static void figures_are_those_of_single_steps(void **state) {
    (void)state;
    rv_dataset *data = make_data();
    rv_sequence_model *model = make_model();
    const rv_transitions t = rv_dataset_transitions(data);
    const rv_evaluate_options options = {
        .size = sizeof options, .horizon = HORIZON, .starts = 1000, .bands = 2, .samples = 4, .context = CONTEXT};
    rv_evaluation *e;
    rv_status status = rv_evaluate_sequence_model(model, &t, data, &options, &e);
    if (status != RV_OK) fail_msg("%s", e->message);
    assert_int_equal(e->transitions, EPISODES * LENGTH);
    assert_int_equal(e->starts, EPISODES * (LENGTH - HORIZON + 1));
    double squares[HORIZON * O] = {0}, rewards[HORIZON] = {0}, step = 0;
    for (int64_t s = 0; s < t.steps; s++) {
        prediction p;
        if (s % LENGTH + HORIZON > LENGTH) continue;
        predict(model, &t, s, context_of(s), &p);
        assert_near((double)e->step_reward[s], (double)p.reward[0]);
        for (int k = 0; k < HORIZON; k++) {
            for (int d = 0; d < O; d++) {
                squares[k * O + d] +=
                    pow((double)p.observation[k * O + d] - (double)t.next_observation[(s + k) * O + d], 2);
            }
            rewards[k] += pow((double)p.reward[k] - (double)t.reward[s + k], 2);
        }
    }
    for (int64_t s = 0; s < t.steps; s++) step += pow((double)e->step_reward[s] - (double)t.reward[s], 2);
    for (int i = 0; i < HORIZON * O; i++) assert_near(e->model_rmse[i], sqrt(squares[i] / (double)e->starts));
    for (int k = 0; k < HORIZON; k++) assert_near(e->open_loop_reward_rmse[k], sqrt(rewards[k] / (double)e->starts));
    assert_near(e->reward_rmse, sqrt(step / (double)t.steps));
    assert_true(e->memoryless_reward_rmse < 1e-4); /* the reward is of the fit's own kind */
    rv_evaluation_destroy(e);
    rv_sequence_model_destroy(model);
    rv_dataset_destroy(data);
}

/* Its coefficients, found again. */
static void a_reward_is_fitted(void **state) {
    (void)state;
    rv_dataset *data = make_data();
    const rv_transitions t = rv_dataset_transitions(data);
    rv_linear_fit fit;
    assert_ok(rv_reward_fit_make(&t, &fit), "");
    const double wanted[] = {0.5, 0, 0, 0, 0, -1, 0.25};
    assert_int_equal(fit.inputs, 7);
    for (int i = 0; i < 7; i++) assert_true(fabs(fit.weight[i] - wanted[i]) < 1e-4);
    rv_linear_fit_release(&fit);
    rv_dataset_destroy(data);
}

static void mistakes_are_told(void **state) {
    (void)state;
    rv_dataset *data = make_data();
    rv_sequence_model *model = make_model();
    const rv_transitions t = rv_dataset_transitions(data);
    rv_evaluate_options long_one = {.size = sizeof long_one, .horizon = LENGTH + 1},
                        backwards = {.size = sizeof backwards, .context = -1};
    rv_evaluation *e;
    assert_status(rv_evaluate_sequence_model(model, &t, data, &long_one, &e), RV_INVALID_ARGUMENT);
    assert_names(e->message, "horizon");
    rv_evaluation_destroy(e);
    assert_status(rv_evaluate_sequence_model(model, &t, data, &backwards, &e), RV_INVALID_ARGUMENT);
    assert_names(e->message, "context");
    rv_evaluation_destroy(e);
    assert_status(rv_evaluate_sequence_model(NULL, &t, data, NULL, &e), RV_INVALID_ARGUMENT);
    rv_evaluation_destroy(e);
    rv_sequence_model_destroy(model);
    rv_dataset_destroy(data);
}

int main(void) {
    if (rv_device_open("cpu", NULL, &device) != RV_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(figures_are_those_of_single_steps),
                                       cmocka_unit_test(a_reward_is_fitted), cmocka_unit_test(mistakes_are_told)};
    int failed = cmocka_run_group_tests_name("evaluate_sequence", tests, NULL, NULL);
    rv_device_close(device);
    return failed;
}
