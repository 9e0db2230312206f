/* tests/test_dreamer_loss.c: imagined trajectories step by step, and the gradients of actor and critic through them by
 * differences in double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/dreamer.h"
#include "tests/support/differences.h"

enum { B = 3, Z = 4, H = 3 };

static rv_dreamer_options tiny(void) {
    return (rv_dreamer_options){.size = sizeof(rv_dreamer_options),
                                .model = {.size = sizeof(rv_world_model_options),
                                          .latent_size = Z,
                                          .vae_hidden = {1, {5}},
                                          .dynamics_hidden = {1, {6}},
                                          .reward_hidden = {1, {5}},
                                          .continue_hidden = {1, {5}},
                                          .continues = 1,
                                          .normalise_reward = 1},
                                .actor_hidden = {1, {6}},
                                .critic_hidden = {1, {5}},
                                .critic_bins = 9,
                                .steps = 200,
                                .prefill = 20,
                                .batch = 4,
                                .window = 2,
                                .imagined = 4,
                                .horizon = H,
                                .draw_latents = 1,
                                .gamma = 0.9f,
                                .lambda = 0.8f,
                                .entropy_weight = 0.05f,
                                .slow_rate = 0.1f};
}

typedef struct lab {
    rv_device *device;
    rv_env *env;
    rv_agent *dreamer;
    rv_array *start;
    rv_graph *graph;
} lab;

/* No weight is at zero, so that every path carries something. */
static void stir(rv_params *params) {
    rv_array *flat = rv_params_array(params, RV_VALUE);
    double *weights = doubles_of(flat);
    for (int64_t i = 0; i < rv_array_cols(flat); i++) weights[i] += 0.1 * sin((double)i + 1);
}

/* Bins up to 4 instead of symexp(20): differences of a sum of those would be noise. */
static void shrink(rv_array *bins) {
    double *values = bins ? doubles_of(bins) : NULL;
    const int64_t count = bins ? rv_array_cols(bins) : 0;
    for (int64_t i = 0; i < count; i++) values[i] = 8 * (double)i / (double)(count - 1) - 4;
}

static void lab_open(lab *l, const char *env, const rv_dreamer_options *options) {
    float start[B * Z];
    assert_ok(rv_device_open("cpu:double", NULL, &l->device), rv_device_message(l->device));
    assert_ok(rv_env_create(env, 1, NULL, 0, &l->env), rv_env_message(l->env));
    assert_ok(rv_dreamer_create(l->device, l->env, options, &l->dreamer), rv_agent_message(l->dreamer));
    assert_ok(rv_array_create(l->device, RV_F32, B, Z, "start", &l->start), "");
    rv_random_normal(3, 0, "start", 0, B, Z, start);
    assert_ok(rv_array_write(l->start, 0, B, start), "");
    assert_ok(rv_graph_create(l->device, &l->graph), "");
    shrink(rv_dreamer_of(l->dreamer)->bins);
    stir(rv_world_model_params(rv_dreamer_of(l->dreamer)->model));
    stir(rv_dreamer_of(l->dreamer)->actor_params);
    stir(rv_dreamer_of(l->dreamer)->critic_params);
    stir(rv_dreamer_of(l->dreamer)->slow_params);
}

static void lab_close(lab *l) {
    rv_graph_destroy(l->graph);
    rv_array_destroy(l->start);
    rv_agent_destroy(l->dreamer);
    rv_env_destroy(l->env);
    rv_device_close(l->device);
}

static rv_array *array_of(lab *l, int64_t rows, int64_t cols) {
    rv_array *array;
    assert_ok(rv_array_create(l->device, RV_F32, rows, cols, "array", &array), "");
    return array;
}

static rv_imagination imagine(lab *l) {
    rv_tensor noise = rv_random_state(l->graph, l->dreamer->train_noise);
    return rv_dreamer_imagine(l->graph, l->dreamer, rv_read(l->graph, l->start), H, noise);
}

static rv_dreamer_behaviour behave(lab *l) {
    return rv_dreamer_behaviour_loss(l->graph, l->dreamer, imagine(l), rv_fill(l->graph, 1, 1, 2));
}

/* ---- gradients -------------------------------------------------------------------------------------------------- */

/* critic 0: the actor's loss. */
static void check_gradient(const char *env, rv_dreamer_options options, bool critic) {
    lab l;
    lab_open(&l, env, &options);
    rv_dreamer_behaviour b = behave(&l);
    rv_params *params = critic ? rv_dreamer_of(l.dreamer)->critic_params : rv_dreamer_of(l.dreamer)->actor_params;
    check_differences(l.graph, params, critic ? b.critic : b.actor, 5e-6, 1e-2);
    lab_close(&l);
}

static void test_actor_through_dynamics(void **state) {
    (void)state;
    check_gradient("continuous_pendulum", tiny(), false);
    rv_dreamer_options options = tiny();
    options.plain = 1;
    options.critic_bins = -1;
    options.draw_latents = 0;
    options.model.continues = 0;
    check_gradient("continuous_pendulum", options, false);
    options.symlog_value = 1;
    check_gradient("continuous_pendulum", options, false);
}

static void test_actor_straight_through(void **state) {
    (void)state;
    rv_dreamer_options options = tiny();
    options.gradient = RV_DREAMER_DYNAMICS;
    check_gradient("cartpole", options, false);
}

static void test_actor_by_reinforce(void **state) {
    (void)state;
    rv_dreamer_options options = tiny();
    options.gradient = RV_DREAMER_REINFORCE;
    check_gradient("cartpole", options, false);
    check_gradient("continuous_pendulum", options, false);
}

static void test_critic(void **state) {
    (void)state;
    check_gradient("continuous_pendulum", tiny(), true);
    rv_dreamer_options options = tiny();
    options.critic_bins = -1;
    check_gradient("cartpole", options, true);
    options.symlog_value = 1;
    check_gradient("cartpole", options, true);
}

/* The gradient of one loss moves no weights of the others. */
static void test_losses_keep_apart(void **state) {
    (void)state;
    lab l;
    rv_plan *plan;
    rv_dreamer_options options = tiny();
    lab_open(&l, "continuous_pendulum", &options);
    rv_dreamer_behaviour b = behave(&l);
    rv_params *const model = rv_world_model_params(rv_dreamer_of(l.dreamer)->model);
    assert_ok(rv_params_gradients(l.graph, model, b.critic, NULL, 0), "");
    assert_ok(rv_params_gradients(l.graph, rv_dreamer_of(l.dreamer)->actor_params, b.critic, NULL, 0), "");
    assert_ok(rv_params_gradients(l.graph, rv_dreamer_of(l.dreamer)->critic_params, b.actor, NULL, 0), "");
    assert_ok(rv_plan_create(l.graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), "");
    rv_params *const sets[] = {model, rv_dreamer_of(l.dreamer)->actor_params, rv_dreamer_of(l.dreamer)->critic_params};
    for (int s = 0; s < 3; s++) {
        rv_array *flat = rv_params_array(sets[s], RV_GRADIENT);
        for (int64_t i = 0; i < rv_array_cols(flat); i++) assert_true(doubles_of(flat)[i] == 0);
    }
    rv_plan_destroy(plan);
    lab_close(&l);
}

/* ---- imagination ------------------------------------------------------------------------------------------------ */

/* The returns, and the critic's loss, from the trajectory's own figures. */
static void test_returns(void **state) {
    (void)state;
    lab l;
    rv_plan *plan;
    float reward[H * B], going_on[H * B], value[(H + 1) * B], returns[B * H], guess[H * B], loss;
    rv_dreamer_options options = tiny();
    options.critic_bins = -1;
    lab_open(&l, "continuous_pendulum", &options);
    rv_imagination i = imagine(&l);
    rv_dreamer_behaviour b = rv_dreamer_behaviour_loss(l.graph, l.dreamer, i, rv_fill(l.graph, 1, 1, 2));
    rv_tensor states = rv_slice_rows(i.latent, 0, H * B);
    const struct {
        rv_tensor tensor;
        float *to;
    } wanted[] = {{i.reward, reward},
                  {i.going_on, going_on},
                  {rv_critic_forward(l.graph, &rv_dreamer_of(l.dreamer)->slow, &i.latent, 1), value},
                  {rv_critic_forward(l.graph, &rv_dreamer_of(l.dreamer)->critic, &states, 1), guess},
                  {b.returns, returns},
                  {b.critic, &loss}};
    enum { WANTED = sizeof wanted / sizeof *wanted };
    rv_array *arrays[WANTED];
    for (int k = 0; k < WANTED; k++) {
        arrays[k] = array_of(&l, rv_tensor_rows(wanted[k].tensor), rv_tensor_cols(wanted[k].tensor));
        rv_store(arrays[k], wanted[k].tensor);
    }
    assert_ok(rv_plan_create(l.graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), "");
    for (int k = 0; k < WANTED; k++) assert_ok(rv_array_read(arrays[k], 0, rv_array_rows(arrays[k]), wanted[k].to), "");
    double error = 0;
    for (int row = 0; row < B; row++) {
        double target[H + 1] = {[H] = (double)value[H * B + row]}, weight = 1;
        for (int t = H - 1; t >= 0; t--) {
            const int at = t * B + row;
            const double next = 0.2 * (double)value[at + B] + 0.8 * target[t + 1];
            target[t] = (double)reward[at] + (double)going_on[at] * next;
            assert_true(going_on[at] > 0 && going_on[at] < 0.9f);
            assert_true(fabs(target[t] - (double)returns[row * H + t]) < 1e-5);
        }
        for (int t = 0; t < H; t++) {
            const double off = (double)guess[t * B + row] - target[t];
            error += weight * off * off / (B * H);
            weight *= (double)going_on[t * B + row];
        }
    }
    assert_true(fabs(error - (double)loss) < 1e-5 * fabs(error));
    rv_plan_destroy(plan);
    for (int k = 0; k < WANTED; k++) rv_array_destroy(arrays[k]);
    lab_close(&l);
}

/* A trajectory made step by step from the parts is the same. */
static void test_step_by_step(void **state) {
    (void)state;
    lab l;
    rv_plan *plan;
    float whole[(H + 1) * B * Z], parts[B * Z];
    rv_dreamer_options options = tiny();
    lab_open(&l, "continuous_pendulum", &options);
    rv_tensor noise = rv_random_state(l.graph, l.dreamer->train_noise), latent = rv_read(l.graph, l.start);
    rv_imagination i = imagine(&l);
    for (uint32_t t = 0; t < H; t++) {
        rv_action a = rv_actor_sample(l.graph, &rv_dreamer_of(l.dreamer)->actor, &latent, 1, noise, "imagine/action", t);
        rv_gaussian next = rv_world_model_predict(l.graph, rv_dreamer_of(l.dreamer)->model, latent, a.action).latent;
        latent = rv_sample_normal(next.mean, next.logvar, noise, "imagine/latent", t).value;
    }
    rv_array *all = array_of(&l, (H + 1) * B, Z), *last = array_of(&l, B, Z);
    rv_store(all, i.latent);
    rv_store(last, latent);
    assert_ok(rv_plan_create(l.graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), "");
    assert_ok(rv_array_read(all, 0, (H + 1) * B, whole), "");
    assert_ok(rv_array_read(last, 0, B, parts), "");
    for (int k = 0; k < B * Z; k++) assert_true(fabsf(whole[H * B * Z + k] - parts[k]) < 1e-6f);
    rv_plan_destroy(plan);
    rv_array_destroy(all);
    rv_array_destroy(last);
    lab_close(&l);
}

/* ---- misuse ----------------------------------------------------------------------------------------------------- */

static void test_recording_misuse(void **state) {
    (void)state;
    lab l;
    rv_dreamer_options options = tiny();
    lab_open(&l, "continuous_pendulum", &options);
    rv_dreamer_imagine(l.graph, NULL, rv_read(l.graph, l.start), H, RV_NONE);
    assert_status(rv_graph_status(l.graph), RV_INVALID_ARGUMENT);
    assert_names(rv_graph_message(l.graph), "rv_dreamer_imagine");
    rv_graph_destroy(l.graph);
    assert_ok(rv_graph_create(l.device, &l.graph), "");
    rv_tensor noise = rv_random_state(l.graph, l.dreamer->train_noise);
    rv_dreamer_imagine(l.graph, l.dreamer, rv_fill(l.graph, B, Z + 1, 0), H, noise);
    assert_status(rv_graph_status(l.graph), RV_SHAPE_MISMATCH);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actor_through_dynamics),
        cmocka_unit_test(test_actor_straight_through),
        cmocka_unit_test(test_actor_by_reinforce),
        cmocka_unit_test(test_critic),
        cmocka_unit_test(test_losses_keep_apart),
        cmocka_unit_test(test_returns),
        cmocka_unit_test(test_step_by_step),
        cmocka_unit_test(test_recording_misuse),
    };
    return cmocka_run_group_tests_name("dreamer_loss", tests, NULL, NULL);
}
