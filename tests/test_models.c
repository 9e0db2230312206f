/* Models against their definitions, computed here by hand or from other parts of the library. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/world_model.h"

enum { B = 5, O = 4, A = 1, Z = 3 };

typedef struct rv_fixture {
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_array *observation, *action, *latent;
    float host[B * O];
} rv_fixture;

static int open_fixture(void **state) {
    static rv_fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    if (rv_device_open("cpu", NULL, &fixture.device) != RV_OK) return -1;
    rv_params_create(fixture.device, &fixture.params);
    rv_random_create(fixture.device, 3, &fixture.random);
    rv_graph_create(fixture.device, &fixture.graph);
    rv_array_create(fixture.device, RV_F32, B, O, "observation", &fixture.observation);
    rv_array_create(fixture.device, RV_F32, B, A, "action", &fixture.action);
    rv_array_create(fixture.device, RV_F32, B, Z, "latent", &fixture.latent);
    float values[B * O];
    rv_random_normal(1, 0, "observation", 0, B, O, fixture.host);
    rv_array_write(fixture.observation, 0, B, fixture.host);
    rv_random_normal(1, 0, "action", 0, B, A, values);
    rv_array_write(fixture.action, 0, B, values);
    rv_random_normal(1, 0, "latent", 0, B, Z, values);
    rv_array_write(fixture.latent, 0, B, values);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state) {
    rv_fixture *fixture = *state;
    rv_graph_destroy(fixture->graph);
    rv_array_destroy(fixture->observation);
    rv_array_destroy(fixture->action);
    rv_array_destroy(fixture->latent);
    rv_random_destroy(fixture->random);
    rv_params_destroy(fixture->params);
    rv_device_close(fixture->device);
    return 0;
}

/* Runs the graph so far and reads tensors of it. */
static void evaluate(rv_fixture *fixture, const rv_tensor *tensors, int count, float *const *out) {
    rv_array *arrays[8];
    rv_plan *plan;
    for (int i = 0; i < count; i++) {
        rv_array_create(fixture->device, RV_F32, rv_tensor_rows(tensors[i]), rv_tensor_cols(tensors[i]), "out", &arrays[i]);
        rv_store(arrays[i], tensors[i]);
    }
    if (rv_plan_create(fixture->graph, NULL, &plan) != RV_OK) fail_msg("%s", rv_plan_message(plan));
    assert_int_equal(rv_plan_run(plan), RV_OK);
    for (int i = 0; i < count; i++) assert_int_equal(rv_array_read(arrays[i], 0, rv_array_rows(arrays[i]), out[i]), RV_OK);
    rv_plan_destroy(plan);
    for (int i = 0; i < count; i++) rv_array_destroy(arrays[i]);
}

static void close_to(const float *a, const float *b, int count, double bound) {
    for (int i = 0; i < count; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) <= bound * (1 + fabs((double)b[i])))) fail_msg("element %d: %g, expected %g", i, (double)a[i], (double)b[i]);
    }
}

/* y = x w + b by hand, then SiLU unless last. */
static void layer_by_hand(rv_params *params, const char *name, const double *x, int inputs, double *y, int outputs, int last) {
    char full[64];
    float w[16 * 16], b[16];
    snprintf(full, sizeof full, "%s/weight", name);
    assert_int_equal(rv_params_get(params, rv_params_find(params, full), RV_VALUE, w), RV_OK);
    snprintf(full, sizeof full, "%s/bias", name);
    assert_int_equal(rv_params_get(params, rv_params_find(params, full), RV_VALUE, b), RV_OK);
    for (int n = 0; n < outputs; n++) {
        double sum = (double)b[n];
        for (int k = 0; k < inputs; k++) sum += x[k] * (double)w[k * outputs + n];
        y[n] = last ? sum : sum / (1 + exp(-sum));
    }
}

static void mlp_is_its_layers(void **state) {
    rv_fixture *f = *state;
    rv_sizes hidden = {2, {7, 5}};
    rv_mlp mlp = rv_mlp_add(f->params, "m", O + A, hidden, 2, RV_SILU);
    assert_int_equal(rv_params_commit(f->params, 9), RV_OK);
    assert_int_equal(rv_params_size(f->params), (O + A) * 7 + 7 + 7 * 5 + 5 + 5 * 2 + 2);
    rv_tensor inputs[2] = {rv_read(f->graph, f->observation), rv_read(f->graph, f->action)};
    rv_tensor out = rv_mlp_forward(f->graph, &mlp, inputs, 2);
    float got[B * 2], action[B], expected[B * 2];
    evaluate(f, &out, 1, (float *const[]){got});
    assert_int_equal(rv_array_read(f->action, 0, B, action), RV_OK);
    for (int r = 0; r < B; r++) {
        double x[O + A], h1[7], h2[5], y[2];
        for (int c = 0; c < O; c++) x[c] = (double)f->host[r * O + c];
        x[O] = (double)action[r];
        layer_by_hand(f->params, "m/0", x, O + A, h1, 7, 0);
        layer_by_hand(f->params, "m/1", h1, 7, h2, 5, 0);
        layer_by_hand(f->params, "m/2", h2, 5, y, 2, 1);
        expected[2 * r] = (float)y[0];
        expected[2 * r + 1] = (float)y[1];
    }
    close_to(got, expected, B * 2, 1e-5);
}

static void too_many_layers_are_refused(void **state) {
    rv_fixture *f = *state;
    rv_sizes hidden = {RV_LAYERS_MAX, {4, 4, 4, 4, 4, 4, 4, 4}};
    rv_mlp_add(f->params, "deep", O, hidden, 1, RV_SILU);
    assert_int_not_equal(rv_params_commit(f->params, 1), RV_OK);
    assert_non_null(strstr(rv_params_message(f->params), "deep"));
}

static void vae_draws_and_measures(void **state) {
    rv_fixture *f = *state;
    rv_sizes hidden = {1, {8}};
    rv_vae vae = rv_vae_add(f->params, "vae", O, Z, hidden, RV_TANH);
    assert_int_equal(rv_params_commit(f->params, 9), RV_OK);
    rv_gaussian posterior = rv_vae_encode(f->graph, &vae, rv_read(f->graph, f->observation));
    rv_tensor noise_state = rv_random_state(f->graph, f->random);
    rv_normal_sample sample = rv_vae_reparameterise(posterior, noise_state, "latent", 0);
    rv_tensor all[] = {posterior.mean, posterior.logvar, sample.value, sample.kl, rv_vae_kl_divergence(posterior),
                       rv_vae_decode(f->graph, &vae, sample.value)};
    float mean[B * Z], logvar[B * Z], value[B * Z], kl[B], divergence[B], decoded[B * O], noise[B * Z];
    evaluate(f, all, 6, (float *const[]){mean, logvar, value, kl, divergence, decoded});
    rv_random_normal(3, 0, "latent", 0, B, Z, noise);
    for (int r = 0; r < B; r++) {
        double sum = 0;
        for (int c = 0; c < Z; c++) {
            int i = r * Z + c;
            double m = (double)mean[i], lv = (double)logvar[i];
            sum += 0.5 * (m * m + exp(lv) - 1 - lv);
            float drawn = (float)(m + exp(lv / 2) * (double)noise[i]);
            close_to(&value[i], &drawn, 1, 1e-5);
        }
        float expected = (float)sum;
        close_to(&kl[r], &expected, 1, 1e-5);
        close_to(&divergence[r], &expected, 1, 1e-5);
    }
}

static void dynamics_move_by_their_change(void **state) {
    rv_fixture *f = *state;
    rv_sizes hidden = {1, {6}};
    rv_dynamics residual = rv_dynamics_add(f->params, "r", Z, A, hidden, RV_SILU, RV_DYNAMICS_STOCHASTIC | RV_DYNAMICS_RESIDUAL);
    rv_dynamics point = rv_dynamics_add(f->params, "p", Z, A, hidden, RV_SILU, 0);
    assert_int_equal(rv_params_commit(f->params, 9), RV_OK);
    /* without output weights a residual model stands still, and its log-variance is its bias within bounds */
    float zeros[6 * 2 * Z] = {0}, bias[2 * Z] = {0, 0, 0, -20, 0.5f, 20};
    int weight = rv_params_find(f->params, "r/1/weight");
    assert_int_equal(rv_params_set(f->params, weight, RV_VALUE, zeros), RV_OK);
    assert_int_equal(rv_params_set(f->params, rv_params_find(f->params, "r/1/bias"), RV_VALUE, bias), RV_OK);
    rv_tensor latent = rv_read(f->graph, f->latent), action = rv_read(f->graph, f->action);
    rv_gaussian next = rv_dynamics_predict(f->graph, &residual, latent, action);
    rv_gaussian other = rv_dynamics_predict(f->graph, &point, latent, action);
    assert_null(other.logvar.graph);
    rv_tensor all[] = {next.mean, next.logvar, latent, rv_dynamics_loss(other, latent), other.mean};
    float mean[B * Z], logvar[B * Z], before[B * Z], loss[B], predicted[B * Z];
    evaluate(f, all, 5, (float *const[]){mean, logvar, before, loss, predicted});
    assert_memory_equal(mean, before, sizeof mean);
    for (int r = 0; r < B; r++) {
        assert_true(logvar[r * Z] == RV_DYNAMICS_LOGVAR_MIN && logvar[r * Z + 1] == 0.5f && logvar[r * Z + 2] == RV_DYNAMICS_LOGVAR_MAX);
        double sum = 0;
        for (int c = 0; c < Z; c++) sum += pow((double)predicted[r * Z + c] - (double)before[r * Z + c], 2);
        float expected = (float)(sum / Z);
        close_to(&loss[r], &expected, 1, 1e-5);
    }
}

static rv_world_model *small_model(rv_fixture *f, int deterministic) {
    rv_world_model_options options = {.size = sizeof options, .observation_size = O, .action_size = A, .latent_size = Z,
                                      .vae_hidden = {1, {8}}, .dynamics_hidden = {1, {8}}, .reward_hidden = {1, {4}},
                                      .deterministic = deterministic};
    rv_world_model *model;
    if (rv_world_model_create(f->device, &options, 5, &model) != RV_OK) fail_msg("%s", rv_world_model_message(model));
    rv_transitions data = {.steps = B, .observation_size = O, .action_size = A, .observation = f->host};
    assert_int_equal(rv_world_model_normalise_by(model, &data), RV_OK);
    return model;
}

static void world_model_normalises(void **state) {
    rv_fixture *f = *state;
    rv_world_model *model = small_model(f, 0);
    float mean[O], scale[O];
    assert_int_equal(rv_world_model_normaliser(model, mean, scale), RV_OK);
    for (int c = 0; c < O; c++) {
        double sum = 0, square = 0;
        for (int r = 0; r < B; r++) sum += (double)f->host[r * O + c];
        for (int r = 0; r < B; r++) square += pow((double)f->host[r * O + c] - sum / B, 2);
        float expected[2] = {(float)(sum / B), (float)sqrt(square / B)};
        close_to(&mean[c], &expected[0], 1, 1e-6);
        close_to(&scale[c], &expected[1], 1, 1e-6);
    }
    rv_world_model_destroy(model);
}

static void rollout_is_its_steps(void **state) {
    rv_fixture *f = *state;
    rv_world_model *model = small_model(f, 1);
    rv_tensor observation = rv_read(f->graph, f->observation), action = rv_read(f->graph, f->action);
    rv_tensor actions[2] = {action, rv_neg(action)}, observations[2], rewards[2];
    rv_world_model_rollout(f->graph, model, observation, actions, 2, RV_NONE, observations, rewards);
    rv_world_model_step first = rv_world_model_predict(f->graph, model, rv_world_model_encode(f->graph, model, observation).mean, actions[0]);
    rv_world_model_step second = rv_world_model_predict(f->graph, model, first.latent.mean, actions[1]);
    rv_tensor all[] = {observations[1], rewards[1], rv_world_model_decode(f->graph, model, second.latent.mean), second.reward, observations[0]};
    float got[B * O], reward[B], expected[B * O], expected_reward[B], before[B * O];
    evaluate(f, all, 5, (float *const[]){got, reward, expected, expected_reward, before});
    assert_memory_equal(got, expected, sizeof got);
    assert_memory_equal(reward, expected_reward, sizeof reward);
    assert_memory_not_equal(got, before, sizeof got);
    rv_world_model_destroy(model);
}

static void losses_add_up_and_the_target_stays(void **state) {
    rv_fixture *f = *state;
    rv_world_model *model = small_model(f, 1);
    rv_tensor observation = rv_read(f->graph, f->observation), action = rv_read(f->graph, f->action);
    rv_world_model_batch batch = {.observation = observation, .action = action, .reward = rv_fill(f->graph, B, 1, 1),
                                  .next_observation = rv_affine(observation, 1, 0.5f)};
    rv_tensor weight = rv_fill(f->graph, 1, 1, 0.25f), noise = rv_random_state(f->graph, f->random);
    rv_world_model_losses losses = rv_world_model_loss(f->graph, model, batch, weight, noise);
    rv_tensor seen[2] = {batch.observation, batch.next_observation}, gradient[2];
    assert_int_equal(rv_gradients(losses.dynamics, seen, 2, NULL, 0, gradient), RV_OK);
    rv_tensor all[] = {losses.total, losses.reconstruction, losses.kl, losses.dynamics, losses.reward,
                       rv_sum(rv_abs(gradient[0]), RV_ALL), rv_sum(rv_abs(gradient[1]), RV_ALL)};
    float total, reconstruction, kl, dynamics, reward, moved, target;
    evaluate(f, all, 7, (float *const[]){&total, &reconstruction, &kl, &dynamics, &reward, &moved, &target});
    float expected = reconstruction + 0.25f * kl + dynamics + reward;
    close_to(&total, &expected, 1, 1e-6);
    assert_true(target == 0);
    assert_true(moved > 0 && reconstruction > 0 && kl > 0 && dynamics > 0 && reward > 0);
    rv_world_model_destroy(model);
}

static void wrong_options_are_refused(void **state) {
    rv_fixture *f = *state;
    rv_world_model *model;
    rv_world_model_options options = {.size = sizeof options, .observation_size = 4};
    assert_int_equal(rv_world_model_create(f->device, &options, 1, &model), RV_INVALID_ARGUMENT);
    assert_non_null(strstr(rv_world_model_message(model), "action_size"));
    rv_world_model_destroy(model);
    assert_int_equal(rv_world_model_create(f->device, NULL, 1, &model), RV_INVALID_ARGUMENT);
    rv_world_model_destroy(model);
    rv_world_model_destroy(NULL);
    assert_int_equal(rv_world_model_create(NULL, &options, 1, &model), RV_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
        TEST(mlp_is_its_layers),
        TEST(too_many_layers_are_refused),
        TEST(vae_draws_and_measures),
        TEST(dynamics_move_by_their_change),
        TEST(world_model_normalises),
        TEST(rollout_is_its_steps),
        TEST(losses_add_up_and_the_target_stays),
        TEST(wrong_options_are_refused),
    };
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
