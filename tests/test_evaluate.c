/* Evaluation against the same figures computed step by step, and on a system that is known to be linear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agents/linear.h"
#include "reverie/evaluate.h"
#include "reverie/plan.h"

enum { O = 3, A = 2, EPISODES = 4, LENGTH = 30, HORIZON = 7, Z = 5 };

typedef struct fixture {
    rv_device *device;
    rv_world_model *model, *certain; /* stochastic and deterministic dynamics */
    rv_dataset *data;
} fixture;

/* x' = x + 0.1 (M x + N u) + 0.01, reward x0 + u1: linear, so that linear regression must find it. */
static void linear_step(const float *x, const float *u, float *next) {
    static const double m[O][O] = {{-0.5, 1.0, 0.2}, {-1.0, -0.3, 0.0}, {0.1, 0.4, -0.8}}, n[O][A] = {{1.0, 0.0}, {0.5, -1.0}, {0.0, 2.0}};
    for (int i = 0; i < O; i++) {
        double sum = 0.0;
        for (int j = 0; j < O; j++) sum += m[i][j] * (double)x[j];
        for (int j = 0; j < A; j++) sum += n[i][j] * (double)u[j];
        next[i] = (float)((double)x[i] + 0.1 * sum + 0.01);
    }
}

static rv_dataset *make_data(int length) {
    rv_dataset *data;
    assert_int_equal(rv_dataset_create(O, A, &data), RV_OK);
    for (int e = 0; e < EPISODES; e++) {
        float x[O] = {0.3f * (float)e, 1.0f - 0.2f * (float)e, -0.5f}, next[O];
        for (int t = 0; t < length; t++) {
            float u[A] = {(float)sin(1.3 * t + e), (float)cos(0.7 * t * (e + 1))};
            linear_step(x, u, next);
            rv_transition step = {x, u, x[0] + u[1], next, 0, t == length - 1};
            assert_int_equal(rv_dataset_append(data, &step), RV_OK);
            memcpy(x, next, sizeof x);
        }
    }
    return data;
}

static int set_up(void **state) {
    static fixture f;
    const rv_sizes hidden = {2, {16, 8}};
    rv_world_model_options options = {.size = sizeof options, .observation_size = O, .action_size = A, .latent_size = Z,
                                      .vae_hidden = hidden, .dynamics_hidden = hidden, .reward_hidden = hidden};
    f.data = make_data(LENGTH);
    rv_transitions t = rv_dataset_transitions(f.data);
    assert_int_equal(rv_device_open("cpu:reference", NULL, &f.device), RV_OK);
    assert_int_equal(rv_world_model_create(f.device, &options, 3, &f.model), RV_OK);
    options.deterministic = 1;
    assert_int_equal(rv_world_model_create(f.device, &options, 4, &f.certain), RV_OK);
    assert_int_equal(rv_world_model_normalise_by(f.model, &t), RV_OK);
    assert_int_equal(rv_world_model_normalise_by(f.certain, &t), RV_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    rv_dataset_destroy(f->data);
    rv_world_model_destroy(f->model);
    rv_world_model_destroy(f->certain);
    rv_device_close(f->device);
    return 0;
}

static rv_evaluation *evaluate(fixture *f, rv_world_model *model) {
    const rv_evaluate_options options = {.size = sizeof options, .horizon = HORIZON, .starts = 20, .bands = 5, .samples = 16};
    rv_transitions t = rv_dataset_transitions(f->data);
    rv_evaluation *evaluation;
    rv_status status = rv_evaluate_world_model(model, &t, f->data, &options, &evaluation);
    if (status != RV_OK) fail_msg("%s", evaluation->message);
    return evaluation;
}

/* One step at a time: encode, then each latent from the one before, read back from the device every time. */
typedef struct stepper {
    rv_array *observation, *action, *latent, *predicted, *reward;
    rv_plan *encode, *step;
} stepper;

static rv_plan *make_plan(rv_graph *graph) {
    rv_plan *plan;
    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status != RV_OK) fail_msg("%s", rv_plan_message(plan));
    rv_graph_destroy(graph);
    return plan;
}

static stepper make_stepper(fixture *f, rv_world_model *model) {
    stepper s;
    rv_graph *graph;
    rv_array_create(f->device, RV_F32, 1, O, "observation", &s.observation);
    rv_array_create(f->device, RV_F32, 1, A, "action", &s.action);
    rv_array_create(f->device, RV_F32, 1, Z, "latent", &s.latent);
    rv_array_create(f->device, RV_F32, 1, O, "predicted", &s.predicted);
    rv_array_create(f->device, RV_F32, 1, 1, "reward", &s.reward);
    assert_int_equal(rv_graph_create(f->device, &graph), RV_OK);
    rv_store(s.latent, rv_world_model_encode(graph, model, rv_read(graph, s.observation)).mean);
    s.encode = make_plan(graph);
    assert_int_equal(rv_graph_create(f->device, &graph), RV_OK);
    rv_world_model_step next = rv_world_model_predict(graph, model, rv_read(graph, s.latent), rv_read(graph, s.action));
    rv_store(s.reward, next.reward);
    rv_store(s.predicted, rv_world_model_decode(graph, model, next.latent.mean));
    rv_store(s.latent, next.latent.mean);
    s.step = make_plan(graph);
    return s;
}

static void release_stepper(stepper *s) {
    rv_plan_destroy(s->encode);
    rv_plan_destroy(s->step);
    rv_array_destroy(s->observation);
    rv_array_destroy(s->action);
    rv_array_destroy(s->latent);
    rv_array_destroy(s->predicted);
    rv_array_destroy(s->reward);
}

/* Predictions of `steps` steps from a step of the data. */
static void predict(stepper *s, const rv_transitions *t, int64_t from, int steps, float *predicted, float *reward) {
    assert_int_equal(rv_array_write(s->observation, 0, 1, t->observation + from * O), RV_OK);
    assert_int_equal(rv_plan_run(s->encode), RV_OK);
    for (int k = 0; k < steps; k++) {
        assert_int_equal(rv_array_write(s->action, 0, 1, t->action + (from + k) * A), RV_OK);
        assert_int_equal(rv_plan_run(s->step), RV_OK);
        assert_int_equal(rv_array_read(s->predicted, 0, 1, predicted + k * O), RV_OK);
        assert_int_equal(rv_array_read(s->reward, 0, 1, reward + k), RV_OK);
    }
}

static void assert_near(double value, double expected, double relative) {
    if (!(fabs(value - expected) <= relative * (fabs(expected) + 1e-6))) fail_msg("%.9g is not %.9g", value, expected);
}

/* The variance of every `stride`-th value. */
static double variance_of(const float *values, int64_t count, int64_t stride) {
    double mean = 0.0, square = 0.0;
    for (int64_t i = 0; i < count; i++) mean += (double)values[i * stride] / (double)count;
    for (int64_t i = 0; i < count; i++) square += pow((double)values[i * stride] - mean, 2) / (double)count;
    return square;
}

/* ---- one step ----------------------------------------------------------------------------------------- */

static void one_step_figures(void **state) {
    fixture *f = *state;
    rv_transitions t = rv_dataset_transitions(f->data);
    stepper s = make_stepper(f, f->model);
    double error[O] = {0}, sum[O] = {0}, square[O] = {0}, reward_error = 0.0;
    for (int64_t i = 0; i < t.steps; i++) {
        float predicted[O], reward;
        predict(&s, &t, i, 1, predicted, &reward);
        for (int d = 0; d < O; d++) {
            double change = (double)t.next_observation[i * O + d] - (double)t.observation[i * O + d];
            double off = (double)predicted[d] - (double)t.next_observation[i * O + d];
            error[d] += off * off;
            sum[d] += change;
            square[d] += change * change;
        }
        reward_error += ((double)reward - (double)t.reward[i]) * ((double)reward - (double)t.reward[i]);
    }
    rv_evaluation *e = evaluate(f, f->model);
    assert_int_equal(e->transitions, t.steps);
    for (int d = 0; d < O; d++) {
        assert_near(e->change_r2[d], 1.0 - error[d] / (square[d] - sum[d] * sum[d] / (double)t.steps), 1e-4);
    }
    assert_near(e->reward_rmse, sqrt(reward_error / (double)t.steps), 1e-5);
    assert_near(e->reward_deviation, sqrt(variance_of(t.reward, t.steps, 1)), 1e-5);
    rv_evaluation_destroy(e);
    release_stepper(&s);
}

/* ---- open loop ------------------------------------------------------------------------------------------ */

static void open_loop_figures(void **state) {
    fixture *f = *state;
    rv_transitions t = rv_dataset_transitions(f->data);
    stepper s = make_stepper(f, f->model);
    rv_evaluation *e = evaluate(f, f->model);
    const int64_t per_episode = LENGTH - HORIZON + 1, all = EPISODES * per_episode;
    double model[HORIZON * O] = {0}, repeat[HORIZON * O] = {0}, reward_error[HORIZON] = {0};
    assert_int_equal(e->starts, 20);
    for (int64_t i = 0; i < 20; i++) {
        int64_t n = i * all / 20, from = n / per_episode * LENGTH + n % per_episode; /* evenly over all places */
        float predicted[HORIZON * O], reward[HORIZON];
        predict(&s, &t, from, HORIZON, predicted, reward);
        for (int k = 0; k < HORIZON; k++) {
            reward_error[k] += pow((double)reward[k] - (double)t.reward[from + k], 2);
            for (int d = 0; d < O; d++) {
                double truth = t.next_observation[(from + k) * O + d];
                model[k * O + d] += pow((double)predicted[k * O + d] - truth, 2);
                repeat[k * O + d] += pow((double)t.observation[from * O + d] - truth, 2);
                if (i == 0) {
                    assert_true(e->truth[(k + 1) * O + d] == truth);
                    assert_near(e->mean[(k + 1) * O + d], (double)predicted[k * O + d], 1e-5);
                }
            }
        }
    }
    for (int i = 0; i < HORIZON * O; i++) {
        assert_near(e->model_rmse[i], sqrt(model[i] / 20), 1e-5);
        assert_near(e->repeat_rmse[i], sqrt(repeat[i] / 20), 1e-5);
        assert_true(e->linear_rmse[i] < 1e-5); /* the system is linear */
        assert_true(e->repeat_rmse[i] > 1e-2 && e->truth_deviation[i] > 1e-2);
    }
    for (int k = 0; k < HORIZON; k++) {
        double pooled[2] = {0};
        for (int d = 0; d < O; d++) {
            double variance = variance_of(t.observation + d, t.steps, O), ratio = e->model_rmse[k * O + d] / e->truth_deviation[k * O + d];
            assert_near(e->open_loop_r2[k * O + d], 1 - ratio * ratio, 1e-6);
            pooled[0] += model[k * O + d] / 20 / variance / O;
            pooled[1] += repeat[k * O + d] / 20 / variance / O;
        }
        assert_near(e->model_error[k], sqrt(pooled[0]), 1e-5);
        assert_near(e->repeat_error[k], sqrt(pooled[1]), 1e-5);
        assert_true(e->linear_error[k] < 1e-4);
        assert_near(e->open_loop_reward_rmse[k], sqrt(reward_error[k] / 20), 1e-5);
    }
    for (int d = 0; d < O; d++) assert_true(e->truth[d] == (double)t.observation[d] && e->mean[d] == e->truth[d]);
    assert_memory_equal(e->action, t.action, HORIZON * A * sizeof(float));
    rv_evaluation_destroy(e);
    release_stepper(&s);
}

static void linear_fit_finds_the_system(void **state) {
    fixture *f = *state;
    rv_transitions t = rv_dataset_transitions(f->data);
    rv_linear_fit fit;
    assert_int_equal(rv_linear_fit_make(&t, &fit), RV_OK);
    const float x[O] = {2.0f, -3.0f, 0.5f}, u[A] = {0.7f, -0.9f}; /* away from the data */
    float next[O];
    double y[O] = {2.0, -3.0, 0.5}, scratch[O];
    linear_step(x, u, next);
    rv_linear_fit_step(&fit, y, u, scratch);
    for (int d = 0; d < O; d++) assert_near(y[d], (double)next[d], 1e-5);
    rv_linear_fit_release(&fit);
}

/* ---- uncertainty -------------------------------------------------------------------------------------------- */

static void bands(void **state) {
    fixture *f = *state;
    rv_evaluation *e = evaluate(f, f->model), *again = evaluate(f, f->model), *certain = evaluate(f, f->certain);
    for (int k = 0; k < HORIZON; k++) {
        assert_true(e->inside_50[k] >= 0.0 && e->inside_50[k] <= e->inside_90[k] && e->inside_90[k] <= 1.0);
        for (int d = 0; d < O; d++) {
            int at = (k + 1) * O + d;
            assert_true(e->low[at] < e->high[at]); /* latents are drawn */
            assert_near(certain->low[at], certain->mean[at], 1e-5); /* a point has no band */
            assert_near(certain->high[at], certain->mean[at], 1e-5);
        }
    }
    for (int d = 0; d < O; d++) assert_true(e->low[d] == e->truth[d] && e->high[d] == e->truth[d]);
    assert_memory_equal(e->low, again->low, (HORIZON + 1) * O * sizeof *e->low); /* the seed decides */
    assert_memory_equal(e->inside_90, again->inside_90, HORIZON * sizeof *e->inside_90);
    rv_evaluation_destroy(e);
    rv_evaluation_destroy(again);
    rv_evaluation_destroy(certain);
}

static void latents(void **state) {
    fixture *f = *state;
    rv_transitions t = rv_dataset_transitions(f->data);
    stepper s = make_stepper(f, f->model);
    float all[5 * Z], one[Z];
    assert_int_equal(rv_evaluate_latents(f->model, t.observation, 5, all), RV_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rv_array_write(s.observation, 0, 1, t.observation + i * O), RV_OK);
        assert_int_equal(rv_plan_run(s.encode), RV_OK);
        assert_int_equal(rv_array_read(s.latent, 0, 1, one), RV_OK);
        for (int z = 0; z < Z; z++) assert_near((double)all[i * Z + z], (double)one[z], 1e-5);
    }
    assert_int_equal(rv_evaluate_latents(f->model, t.observation, 0, all), RV_INVALID_ARGUMENT);
    release_stepper(&s);
}

/* ---- bad input ------------------------------------------------------------------------------------------------ */

static void refuse(rv_world_model *model, const rv_transitions *train, const rv_dataset *held_out, rv_evaluate_options options,
                   rv_status status, const char *words) {
    rv_evaluation *e;
    assert_int_equal(rv_evaluate_world_model(model, train, held_out, &options, &e), status);
    if (!strstr(e->message, words)) fail_msg("\"%s\" lacks \"%s\"", e->message, words);
    rv_evaluation_destroy(e);
}

static void bad_input(void **state) {
    fixture *f = *state;
    const rv_evaluate_options good = {.size = sizeof good, .horizon = HORIZON};
    rv_transitions t = rv_dataset_transitions(f->data), none = t, narrow = t;
    rv_dataset *empty, *foreign, *brief = make_data(HORIZON - 1);
    rv_dataset_create(O, A, &empty);
    rv_dataset_create(O + 1, A, &foreign);
    none.steps = 0;
    narrow.action_size = A - 1;
    refuse(f->model, &t, empty, good, RV_INVALID_ARGUMENT, "no held-out data");
    refuse(f->model, &t, foreign, good, RV_SHAPE_MISMATCH, "other sizes");
    refuse(f->model, &narrow, f->data, good, RV_SHAPE_MISMATCH, "other sizes");
    refuse(f->model, &none, f->data, good, RV_INVALID_ARGUMENT, "no training data");
    refuse(f->model, &t, brief, good, RV_INVALID_ARGUMENT, "lower the horizon");
    refuse(f->model, &t, f->data, (rv_evaluate_options){.size = 3}, RV_INVALID_ARGUMENT, "size");
    refuse(f->model, &t, f->data, (rv_evaluate_options){.size = sizeof good, .horizon = -1}, RV_INVALID_ARGUMENT, "out of range");
    refuse(f->model, &t, f->data, (rv_evaluate_options){.size = sizeof good, .samples = INT64_MAX}, RV_INVALID_ARGUMENT, "out of range");
    refuse(NULL, &t, f->data, good, RV_INVALID_ARGUMENT, "needed");
    rv_evaluation_destroy(NULL);
    rv_dataset_destroy(empty);
    rv_dataset_destroy(foreign);
    rv_dataset_destroy(brief);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_figures), cmocka_unit_test(open_loop_figures), cmocka_unit_test(linear_fit_finds_the_system),
        cmocka_unit_test(bands),            cmocka_unit_test(latents),           cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
