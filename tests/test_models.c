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

/* ---- continue, windows, units, inference ---- */

static void continue_model_tells_likelihoods(void **state) {
    rv_fixture *f = *state;
    rv_continue going_on = rv_continue_add(f->params, "continue", Z, A, (rv_sizes){1, {6}}, RV_SILU);
    assert_int_equal(rv_params_commit(f->params, 9), RV_OK);
    rv_tensor logit = rv_continue_predict(f->graph, &going_on, rv_read(f->graph, f->latent), rv_read(f->graph, f->action));
    rv_tensor terminated = rv_less(rv_slice_cols(rv_read(f->graph, f->latent), 0, 1), rv_fill(f->graph, B, 1, 0));
    rv_tensor all[] = {logit, terminated, rv_continue_loss(logit, terminated)};
    float l[B], ended[B], loss[B];
    evaluate(f, all, 3, (float *const[]){l, ended, loss});
    int both = 0;
    for (int r = 0; r < B; r++) {
        double probability = 1 / (1 + exp(-(double)l[r]));
        float expected = (float)-log(ended[r] > 0 ? 1 - probability : probability);
        close_to(&loss[r], &expected, 1, 1e-5);
        both |= ended[r] > 0 ? 1 : 2;
    }
    assert_int_equal(both, 3);
}

static rv_world_model *full_model(rv_fixture *f, rv_world_model_options options) {
    options.size = sizeof options;
    options.observation_size = O, options.action_size = A, options.latent_size = Z;
    options.vae_hidden = options.dynamics_hidden = (rv_sizes){1, {8}};
    options.reward_hidden = options.continue_hidden = (rv_sizes){1, {4}};
    rv_world_model *model;
    if (rv_world_model_create(f->device, &options, 5, &model) != RV_OK) fail_msg("%s", rv_world_model_message(model));
    return model;
}

static rv_world_model_batch full_batch(rv_fixture *f, float shift) {
    rv_tensor observation = rv_read(f->graph, f->observation);
    return (rv_world_model_batch){.observation = rv_affine(observation, 1, shift), .action = rv_read(f->graph, f->action),
                                  .reward = rv_fill(f->graph, B, 1, 1), .next_observation = rv_affine(observation, 1, shift + 0.5f),
                                  .terminated = rv_fill(f->graph, B, 1, 1)};
}

static void a_window_of_one_is_a_transition(void **state) {
    rv_fixture *f = *state;
    rv_world_model *model = full_model(f, (rv_world_model_options){.continues = 1});
    rv_world_model_batch batch = full_batch(f, 0);
    rv_tensor weight = rv_fill(f->graph, 1, 1, 0.25f), noise = rv_random_state(f->graph, f->random), alive = rv_fill(f->graph, B, 1, 1);
    rv_world_model_losses one = rv_world_model_loss(f->graph, model, batch, weight, noise);
    rv_world_model_losses window = rv_world_model_window_loss(f->graph, model, &batch, &alive, 1, weight, 2, noise);
    assert_true(one.prediction.graph == NULL && one.continues.graph != NULL);
    rv_tensor a[] = {one.total, one.reconstruction, one.kl, one.dynamics, one.reward, one.continues};
    rv_tensor b[] = {window.total, window.reconstruction, window.kl, window.dynamics, window.reward, window.continues, window.prediction};
    rv_tensor both[] = {rv_concat_cols(a, 6), rv_concat_cols(b, 7)};
    float x[6], y[7];
    evaluate(f, both, 2, (float *const[]){x, y});
    close_to(x + 1, y + 1, 5, 1e-6);
    float total = x[0] + 2 * y[6];
    close_to(&total, &y[0], 1, 1e-5);
    assert_true(y[6] > 0 && x[5] > 0);
    rv_world_model_destroy(model);
}

/* Nine steps, more than one concatenation takes: the prediction's loss is that of the same steps one by one. */
static void a_window_predicts_open_loop(void **state) {
    rv_fixture *f = *state;
    enum { STEPS = 9, DEAD = 7 };
    rv_world_model *model = full_model(f, (rv_world_model_options){.deterministic = 1, .normalise_reward = 1});
    float changes[B * O], rewards[B];
    for (int i = 0; i < B * O; i++) changes[i] = f->host[i] * (float)(2 + i % O);
    for (int r = 0; r < B; r++) rewards[r] = 10 + (float)r;
    rv_transitions data = {.steps = B, .observation_size = O, .action_size = A, .observation = f->host, .next_observation = changes,
                           .reward = rewards};
    assert_int_equal(rv_world_model_normalise_by(model, &data), RV_OK);
    rv_world_model_batch batch[STEPS];
    rv_tensor alive[STEPS], noise = rv_random_state(f->graph, f->random), error = RV_NONE, reward_error = RV_NONE;
    for (int t = 0; t < STEPS; t++) batch[t] = full_batch(f, (float)t), alive[t] = rv_fill(f->graph, B, 1, t < DEAD ? 1 : 0);
    rv_world_model_losses losses = rv_world_model_window_loss(f->graph, model, batch, alive, STEPS, rv_fill(f->graph, 1, 1, 0), 1, noise);
    float change[O], scale = (float)sqrt((B * B - 1) / 12.0);
    for (int c = 0; c < O; c++) { /* the column changes by c + 1 times itself */
        double sum = 0, square = 0;
        for (int r = 0; r < B; r++) sum += (c + 1) * (double)f->host[r * O + c] / B;
        for (int r = 0; r < B; r++) square += pow((c + 1) * (double)f->host[r * O + c] - sum, 2) / B;
        change[c] = (float)sqrt(square);
    }
    rv_tensor latent = rv_vae_reparameterise(rv_world_model_encode(f->graph, model, batch[0].observation), noise, "posterior", 0).value;
    for (int t = 0; t < DEAD; t++) {
        rv_world_model_step next = rv_world_model_predict(f->graph, model, latent, batch[t].action);
        latent = next.latent.mean;
        rv_tensor off = rv_sub(rv_world_model_decode(f->graph, model, latent), batch[t].next_observation), sum = RV_NONE;
        for (int c = 0; c < O; c++) {
            rv_tensor term = rv_square(rv_affine(rv_slice_cols(off, c, 1), 1 / change[c], 0));
            sum = c ? rv_add(sum, term) : term;
        }
        rv_tensor reward = rv_square(rv_affine(rv_sub(next.reward, batch[t].reward), 1 / scale, 0));
        error = t ? rv_add(error, rv_mean(sum, RV_ALL)) : rv_mean(sum, RV_ALL);
        reward_error = t ? rv_add(reward_error, rv_mean(reward, RV_ALL)) : rv_mean(reward, RV_ALL);
    }
    rv_tensor all[] = {losses.reward, reward_error, losses.prediction, error};
    float got[4];
    evaluate(f, all, 4, (float *const[]){&got[0], &got[1], &got[2], &got[3]});
    got[1] /= STEPS;
    got[3] /= O * STEPS;
    close_to(&got[0], &got[1], 1, 1e-4);
    close_to(&got[2], &got[3], 1, 1e-4);
    rv_world_model_destroy(model);
}

static void normalised_rewards_come_in_their_own_units(void **state) {
    rv_fixture *f = *state;
    rv_world_model *plain = full_model(f, (rv_world_model_options){0}), *units = full_model(f, (rv_world_model_options){.normalise_reward = 1});
    float rewards[B], a[B], b[B], wanted[B];
    for (int r = 0; r < B; r++) rewards[r] = r % 2 ? 30.0f : 10.0f;
    rv_transitions data = {.steps = B - B % 2, .observation_size = O, .action_size = A, .observation = f->host, .reward = rewards};
    assert_int_equal(rv_world_model_normalise_by(plain, &data), RV_OK);
    assert_int_equal(rv_world_model_normalise_by(units, &data), RV_OK);
    rv_tensor latent = rv_read(f->graph, f->latent), action = rv_read(f->graph, f->action);
    rv_tensor all[] = {rv_world_model_predict(f->graph, plain, latent, action).reward, rv_world_model_predict(f->graph, units, latent, action).reward};
    evaluate(f, all, 2, (float *const[]){a, b});
    for (int r = 0; r < B; r++) wanted[r] = 20 + 10 * a[r];
    close_to(b, wanted, B, 1e-5);
    rv_world_model_destroy(plain);
    rv_world_model_destroy(units);
}

static void a_linear_path_lies_beside_the_layers(void **state) {
    rv_fixture *f = *state;
    rv_vae vae = rv_vae_add(f->params, "vae", O, Z, (rv_sizes){1, {8}}, RV_SILU), plain = vae;
    rv_vae_add_linear_path(f->params, "vae", &vae);
    assert_int_equal(rv_params_commit(f->params, 9), RV_OK);
    rv_tensor x = rv_read(f->graph, f->observation), z = rv_read(f->graph, f->latent);
    rv_gaussian with = rv_vae_encode(f->graph, &vae, x), without = rv_vae_encode(f->graph, &plain, x);
    rv_tensor all[] = {with.mean, without.mean, with.logvar, without.logvar, rv_mlp_forward(f->graph, &vae.encoder_path, &x, 1),
                       rv_vae_decode(f->graph, &vae, z), rv_vae_decode(f->graph, &plain, z), rv_mlp_forward(f->graph, &vae.decoder_path, &z, 1)};
    float a[B * Z], b[B * Z], c[B * Z], d[B * Z], path[B * Z], y[B * O], w[B * O], decoded[B * O];
    evaluate(f, all, 8, (float *const[]){a, b, c, d, path, y, w, decoded});
    for (int i = 0; i < B * Z; i++) b[i] += path[i];
    for (int i = 0; i < B * O; i++) w[i] += decoded[i];
    close_to(a, b, B * Z, 1e-6);
    close_to(y, w, B * O, 1e-6);
    assert_memory_equal(c, d, sizeof c);
}

static void inference_has_no_training_memory(void **state) {
    rv_fixture *f = *state;
    rv_world_model *model = full_model(f, (rv_world_model_options){.inference = 1}), *trained = full_model(f, (rv_world_model_options){0});
    rv_params *params = rv_world_model_params(model);
    assert_non_null(rv_params_array(params, RV_VALUE));
    assert_null(rv_params_array(params, RV_GRADIENT));
    assert_null(rv_params_array(params, RV_MOMENT1));
    assert_null(rv_params_array(params, RV_MOMENT2));
    float value[O * 8];
    assert_int_equal(rv_params_get(params, 0, RV_VALUE, value), RV_OK);
    assert_int_equal(rv_params_get(params, 0, RV_GRADIENT, value), RV_WRONG_STATE);
    assert_int_equal(rv_params_set(params, 0, RV_MOMENT1, value), RV_WRONG_STATE);
    rv_tensor observation = rv_read(f->graph, f->observation);
    rv_tensor both[] = {rv_world_model_encode(f->graph, model, observation).mean, rv_world_model_encode(f->graph, trained, observation).mean};
    float a[B * Z], b[B * Z];
    evaluate(f, both, 2, (float *const[]){a, b});
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(rv_params_gradients(f->graph, params, rv_mean(both[0], RV_ALL), NULL, 0), RV_WRONG_STATE);
    assert_non_null(strstr(rv_graph_message(f->graph), "values only"));
    rv_world_model_destroy(model);
    rv_world_model_destroy(trained);
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
        TEST(continue_model_tells_likelihoods),
        TEST(a_window_of_one_is_a_transition),
        TEST(a_window_predicts_open_loop),
        TEST(normalised_rewards_come_in_their_own_units),
        TEST(a_linear_path_lies_beside_the_layers),
        TEST(inference_has_no_training_memory),
        TEST(wrong_options_are_refused),
    };
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
