/* Calibration: stretched predictions, the bands they give, their place in a checkpoint, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/evaluate.h"
#include "reverie/plan.h"
#include "reverie/random.h"

enum { O = 2, A = 1, EPISODES = 16, LENGTH = 80, HORIZON = 12, B = 5, STEPS = 3 };

/* A turning point that is pushed, with noise: no model can know it exactly. */
static rv_dataset *make_data(uint64_t seed) {
    rv_dataset *data;
    assert_int_equal(rv_dataset_create(O, A, &data), RV_OK);
    for (int e = 0; e < EPISODES; e++) {
        float noise[LENGTH * 3], x[O] = {(float)cos(e), (float)sin(e)};
        rv_random_normal(seed, (uint32_t)e, "noise", 0, LENGTH, 3, noise);
        for (int t = 0; t < LENGTH; t++) {
            const float *n = noise + 3 * t, u[A] = {n[2]};
            float next[O] = {0.95f * x[0] - 0.3f * x[1] + 0.1f * n[0], 0.3f * x[0] + 0.95f * x[1] + 0.2f * u[0] + 0.1f * n[1]};
            rv_transition step = {x, u, x[0], next, 0, t == LENGTH - 1};
            assert_int_equal(rv_dataset_append(data, &step), RV_OK);
            memcpy(x, next, sizeof x);
        }
    }
    return data;
}

static rv_world_model *make_model(rv_device *device, rv_world_model_options more) {
    more.size = sizeof more;
    more.observation_size = O, more.action_size = A, more.latent_size = 4;
    more.vae_hidden = more.dynamics_hidden = more.reward_hidden = (rv_sizes){1, {16}};
    rv_world_model *model;
    if (rv_world_model_create(device, &more, 3, &model) != RV_OK) fail_msg("%s", rv_world_model_message(model));
    return model;
}

typedef struct fixture {
    rv_device *device;
    rv_dataset *data, *other;
    rv_world_model *plain, *calibrated; /* with the same weights */
} fixture;

static int set_up(void **state) {
    static fixture f;
    assert_int_equal(rv_device_open("cpu", NULL, &f.device), RV_OK);
    f.data = make_data(1);
    f.other = make_data(2);
    f.plain = make_model(f.device, (rv_world_model_options){0});
    f.calibrated = make_model(f.device, (rv_world_model_options){.calibrated = 1});
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    rv_world_model_destroy(f->plain);
    rv_world_model_destroy(f->calibrated);
    rv_dataset_destroy(f->data);
    rv_dataset_destroy(f->other);
    rv_device_close(f->device);
    return 0;
}

/* STEPS predictions from B observations; drawn or not. */
static void roll(fixture *f, rv_world_model *model, int drawn, float *out) {
    rv_graph *graph;
    rv_plan *plan;
    rv_random *random;
    rv_array *result;
    assert_int_equal(rv_random_create(f->device, 9, &random), RV_OK);
    assert_int_equal(rv_array_create(f->device, RV_F32, STEPS * B, O, "result", &result), RV_OK);
    assert_int_equal(rv_graph_create(f->device, &graph), RV_OK);
    rv_tensor observation = rv_normal(rv_random_state(graph, random), "observation", 0, B, O), actions[STEPS], predicted[STEPS];
    for (int t = 0; t < STEPS; t++) actions[t] = rv_fill(graph, B, A, (float)t);
    rv_world_model_rollout(graph, model, observation, actions, STEPS, drawn ? rv_random_state(graph, random) : RV_NONE, predicted, NULL);
    rv_store(result, rv_concat_rows(predicted, STEPS));
    if (rv_plan_create(graph, NULL, &plan) != RV_OK) fail_msg("%s", rv_plan_message(plan));
    assert_int_equal(rv_plan_run(plan), RV_OK);
    assert_int_equal(rv_array_read(result, 0, STEPS * B, out), RV_OK);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_random_destroy(random);
}

static void draws_lie_further_from_the_mean(void **state) {
    fixture *f = *state;
    float stretch[RV_STRETCH_STEPS * O], noise[RV_STRETCH_STEPS * O], normal[B * O], mean[STEPS * B * O], drawn[STEPS * B * O], stretched[STEPS * B * O], unstretched[STEPS * B * O];
    assert_null(rv_world_model_stretch(f->plain));
    roll(f, f->plain, 1, drawn);
    roll(f, f->plain, 0, mean);
    roll(f, f->calibrated, 1, stretched);
    for (int i = 0; i < STEPS * B * O; i++) assert_true(fabsf(stretched[i] - drawn[i]) < 1e-5f); /* ones at first */
    for (int i = 0; i < RV_STRETCH_STEPS * O; i++) stretch[i] = 1 + (float)i, noise[i] = 0.1f * (float)i;
    assert_int_equal(rv_array_write(rv_world_model_noise(f->calibrated), 0, RV_STRETCH_STEPS, noise), RV_OK);
    assert_int_equal(rv_array_write(rv_world_model_stretch(f->calibrated), 0, RV_STRETCH_STEPS, stretch), RV_OK);
    roll(f, f->calibrated, 1, stretched);
    roll(f, f->calibrated, 0, unstretched);
    assert_memory_equal(mean, unstretched, sizeof mean);
    for (int t = 0; t < STEPS; t++) {
        rv_random_normal(9, 0, "rollout noise", (uint32_t)t, B, O, normal);
        for (int i = t * B * O; i < (t + 1) * B * O; i++) {
            float wanted = mean[i] + stretch[t * O + i % O] * (drawn[i] - mean[i]) + noise[t * O + i % O] * normal[i - t * B * O];
            assert_true(fabsf(stretched[i] - wanted) < 1e-4f);
        }
    }
}

static void shares(fixture *f, const rv_dataset *held_out, double *inside_50, double *inside_90) {
    rv_transitions train = rv_dataset_transitions(f->data);
    rv_evaluate_options options = {.size = sizeof options, .horizon = HORIZON, .bands = 64, .samples = 48, .seed = 4};
    rv_evaluation *e;
    if (rv_evaluate_world_model(f->calibrated, &train, held_out, &options, &e) != RV_OK) fail_msg("%s", e->message);
    *inside_50 = *inside_90 = 0;
    for (int k = 0; k < HORIZON; k++) {
        *inside_50 += e->inside_50[k] / HORIZON;
        *inside_90 += e->inside_90[k] / HORIZON;
    }
    rv_evaluation_destroy(e);
}

static void bands_hold_what_they_say(void **state) {
    fixture *f = *state;
    double before_50, before_90, inside_50, inside_90;
    float ones[RV_STRETCH_STEPS * O];
    float none[RV_STRETCH_STEPS * O] = {0};
    for (int i = 0; i < RV_STRETCH_STEPS * O; i++) ones[i] = 1;
    assert_int_equal(rv_array_write(rv_world_model_noise(f->calibrated), 0, RV_STRETCH_STEPS, none), RV_OK);
    assert_int_equal(rv_array_write(rv_world_model_stretch(f->calibrated), 0, RV_STRETCH_STEPS, ones), RV_OK);
    shares(f, f->other, &before_50, &before_90);
    rv_evaluate_options options = {.size = sizeof options, .horizon = HORIZON, .bands = 96, .samples = 48, .seed = 8};
    assert_int_equal(rv_calibrate_world_model(f->calibrated, f->data, &options), RV_OK);
    shares(f, f->other, &inside_50, &inside_90);
    print_message("inside 50 %%: %.3f before, %.3f after; 90 %%: %.3f before, %.3f after\n", before_50, inside_50, before_90, inside_90);
    assert_true(before_90 < 0.8 || before_90 > 0.97); /* there was something to do */
    assert_true(inside_90 > 0.85 && inside_90 < 0.95);
    float stretch[RV_STRETCH_STEPS * O];
    assert_int_equal(rv_array_read(rv_world_model_stretch(f->calibrated), 0, RV_STRETCH_STEPS, stretch), RV_OK);
    for (int i = HORIZON * O; i < RV_STRETCH_STEPS * O; i++) assert_true(stretch[i] == stretch[(HORIZON - 1) * O + i % O]);
}

static void a_checkpoint_holds_the_stretch(void **state) {
    fixture *f = *state;
    char path[] = "/tmp/reverie-stretch-XXXXXX";
    close(mkstemp(path));
    rv_world_model *again = make_model(f->device, (rv_world_model_options){.calibrated = 1, .inference = 1});
    rv_checkpoint *from, *to;
    assert_int_equal(rv_checkpoint_create(f->device, &from), RV_OK);
    assert_int_equal(rv_checkpoint_create(f->device, &to), RV_OK);
    assert_int_equal(rv_world_model_checkpoint(f->calibrated, "model/", from), RV_OK);
    assert_int_equal(rv_world_model_checkpoint(again, "model/", to), RV_OK);
    assert_int_equal(rv_checkpoint_save(from, path), RV_OK);
    if (rv_checkpoint_load(to, path) != RV_OK) fail_msg("%s", rv_checkpoint_message(to));
    float a[STEPS * B * O], b[STEPS * B * O];
    roll(f, f->calibrated, 1, a);
    roll(f, again, 1, b);
    assert_memory_equal(a, b, sizeof a);
    rv_checkpoint_destroy(from);
    rv_checkpoint_destroy(to);
    rv_world_model_destroy(again);
    unlink(path);
}

static void bad_input(void **state) {
    fixture *f = *state;
    float before[RV_STRETCH_STEPS * O], after[RV_STRETCH_STEPS * O];
    rv_array *stretch = rv_world_model_stretch(f->calibrated);
    assert_int_equal(rv_array_read(stretch, 0, RV_STRETCH_STEPS, before), RV_OK);
    rv_evaluate_options options = {.size = sizeof options, .horizon = LENGTH + 1};
    assert_int_equal(rv_calibrate_world_model(f->calibrated, f->data, &options), RV_INVALID_ARGUMENT);
    options = (rv_evaluate_options){.size = sizeof options, .horizon = -1};
    assert_int_equal(rv_calibrate_world_model(f->calibrated, f->data, &options), RV_INVALID_ARGUMENT);
    options = (rv_evaluate_options){.size = 3};
    assert_int_equal(rv_calibrate_world_model(f->calibrated, f->data, &options), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_calibrate_world_model(f->plain, f->data, NULL), RV_WRONG_STATE);
    assert_int_equal(rv_calibrate_world_model(NULL, f->data, NULL), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_calibrate_world_model(f->calibrated, NULL, NULL), RV_INVALID_ARGUMENT);
    rv_world_model *point = make_model(f->device, (rv_world_model_options){.calibrated = 1, .deterministic = 1});
    assert_int_equal(rv_calibrate_world_model(point, f->data, NULL), RV_WRONG_STATE);
    rv_world_model_destroy(point);
    rv_dataset *wide;
    assert_int_equal(rv_dataset_create(O + 1, A, &wide), RV_OK);
    assert_int_equal(rv_calibrate_world_model(f->calibrated, wide, NULL), RV_SHAPE_MISMATCH);
    rv_dataset_destroy(wide);
    assert_int_equal(rv_array_read(stretch, 0, RV_STRETCH_STEPS, after), RV_OK);
    assert_memory_equal(before, after, sizeof before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_lie_further_from_the_mean),
        cmocka_unit_test(bands_hold_what_they_say),
        cmocka_unit_test(a_checkpoint_holds_the_stretch),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests_name("calibrate", tests, set_up, tear_down);
}
