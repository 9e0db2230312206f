/* tests/test_dreamer_v3.c: DreamerV3's gradients by differences and where they go, learning rates, acting, threads,
 * options. Its numbers: test_dreamer_parity.c; bad ones: test_bad_numbers.c. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/host.h"
#include "core/internal.h"
#include "tests/support/compare.h"
#include "tests/support/dreamer_lab.h"

enum { B = 2, T = 4, H = 3, O = 3, A = 2 };

typedef dreamer_lab lab;

static rv_dreamer_v3_options small(rv_actor_kind actor) {
    rv_dreamer_v3_options options = dreamer_lab_options("debug");
    options.actor = actor;
    return options;
}

static void lab_open(lab *l, const char *resource, const rv_dreamer_v3_options *options) {
    dreamer_lab_open(l, resource, options, B, T);
}

static rv_plan *plan_of(lab *l, const rv_plan_options *options) {
    rv_plan *plan;
    assert_ok(rv_plan_create(l->graph, options, &plan), rv_plan_message(plan));
    return plan;
}

static rv_params *params_of(const lab *l) { return rv_dreamer_v3_params(l->agent); }

/* ---- gradients ------------------------------------------------------------------------------------------------- */

enum { POLICY, VALUE, REPLAYED, TOTAL, LOSSES };

static double *memory_of(rv_array *array) { return (double *)(void *)array->buffer->memory; }

/* The gradient of each loss alone, gradient[loss * weights + i]; to be freed. */
static double *analytic_gradients(const char *resource, const rv_dreamer_v3_options *options,
                                  void (*prepare)(lab *l)) {
    double *all = NULL;
    for (int loss = 0; loss < LOSSES; loss++) {
        lab l;
        lab_open(&l, resource, options);
        prepare(&l);
        const rv_dreamer_v3_losses losses = rv_dreamer_v3_loss(l.graph, l.agent, &l.batch, l.noise);
        const rv_tensor each[] = {losses.policy, losses.value, losses.replayed_value, losses.total};
        assert_ok(rv_params_gradients(l.graph, params_of(&l), each[loss], NULL, 0), rv_graph_message(l.graph));
        rv_plan *plan = plan_of(&l, NULL);
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        rv_array *flat = rv_params_array(params_of(&l), RV_GRADIENT);
        const size_t count = (size_t)rv_array_cols(flat);
        if (!all) all = malloc(LOSSES * count * sizeof *all);
        assert_non_null(all);
        memcpy(all + (size_t)loss * count, memory_of(flat), count * sizeof *all);
        rv_plan_destroy(plan);
        dreamer_lab_close(&l);
    }
    return all;
}

/* No bias stays at zero. */
static void move_weights(lab *l) {
    rv_array *flat = rv_params_array(params_of(l), RV_VALUE);
    for (int64_t i = 0; i < rv_array_cols(flat); i++) memory_of(flat)[i] += 0.05 * sin((double)i);
}

/* By a plan whose draws and stopped values stay as they were. */
static void check_gradients(rv_actor_kind actor) {
    const rv_dreamer_v3_options options = small(actor);
    double *analytic = analytic_gradients("cpu:double", &options, move_weights), flow[LOSSES] = {0};
    lab l;
    lab_open(&l, "cpu:double", &options);
    move_weights(&l);
    const rv_dreamer_v3_losses losses = rv_dreamer_v3_loss(l.graph, l.agent, &l.batch, l.noise);
    rv_array *row = dreamer_lab_array(&l, "losses", 1, LOSSES), *flat = rv_params_array(params_of(&l), RV_VALUE);
    rv_store(row, rv_concat_cols((rv_tensor[]){losses.policy, losses.value, losses.replayed_value, losses.total}, 4));
    rv_plan *plan = plan_of(&l, &(rv_plan_options){.size = sizeof(rv_plan_options), .expand = 1, .keep_order = 1});
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_freeze(plan, true);
    const int64_t count = rv_array_cols(flat);
    double *weights = memory_of(flat);
    for (int64_t i = 0; i < count; i += 2) {
        const double base = weights[i], step = 1e-6;
        double above[LOSSES];
        weights[i] = base + step;
        assert_ok(rv_plan_run(plan), "");
        memcpy(above, memory_of(row), sizeof above);
        weights[i] = base - step;
        assert_ok(rv_plan_run(plan), "");
        weights[i] = base;
        for (int loss = 0; loss < LOSSES; loss++) {
            const double numeric = (above[loss] - memory_of(row)[loss]) / (2 * step);
            const double exact = analytic[loss * count + i];
            flow[loss] += fabs(numeric);
            if (!(fabs(numeric - exact) <= 1e-7 + 2e-6 * fabs(numeric)))
                fail_msg("loss %d, weight %d: %.10g, differences %.10g", loss, (int)i, exact, numeric);
        }
    }
    for (int loss = 0; loss < LOSSES; loss++) assert_true(flow[loss] > 0.1);
    rv_plan_destroy(plan);
    dreamer_lab_close(&l);
    free(analytic);
}

static void test_gradients(void **state) {
    (void)state;
    check_gradients(RV_ACTOR_BOUNDED_NORMAL);
    check_gradients(RV_ACTOR_CATEGORICAL);
}

/* Which modules a loss teaches: those named, and no others. */
static void test_routing(void **state) {
    (void)state;
    static const char *const reached[LOSSES] = {" pol ", " val ", " enc dyn post val ",
                                                " enc dyn prior post dec rew con pol val "};
    const rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
    double *gradients = analytic_gradients("cpu:double", &options, move_weights);
    lab l;
    lab_open(&l, "cpu:double", &options);
    const int64_t count = rv_array_cols(rv_params_array(params_of(&l), RV_GRADIENT));
    for (int loss = 0; loss < LOSSES; loss++) {
        for (int i = 0; i < rv_params_count(params_of(&l)); i++) {
            const char *name = rv_params_name(params_of(&l), i);
            char module[16];
            snprintf(module, sizeof module, " %.*s ", (int)strcspn(name, "/"), name);
            int64_t rows, cols;
            bool flows = false;
            assert_ok(rv_params_shape(params_of(&l), i, &rows, &cols), name);
            const double *at = gradients + loss * count + rv_params_offset(params_of(&l), i);
            for (int64_t k = 0; k < rows * cols; k++) flows = flows || at[k] != 0;
            if (flows != (strstr(reached[loss], module) != NULL))
                fail_msg("loss %d %s %s", loss, flows ? "reaches" : "does not reach", name);
        }
    }
    dreamer_lab_close(&l);
    free(gradients);
}

/* ---- updates --------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(rv_params *params) {
    static float values[1 << 16];
    rv_array *flat = rv_params_array(params, RV_VALUE);
    assert_true(rv_array_cols(flat) <= 1 << 16);
    assert_ok(rv_array_read(flat, 0, 1, values), "");
    return rv_hash_bytes(RV_HASH_START, values, (size_t)rv_array_cols(flat) * sizeof *values);
}

/* The first update's rate is 0, then it grows; the slow critic follows. */
static void test_warmup(void **state) {
    (void)state;
    rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
    options.warmup = 4;
    lab l;
    lab_open(&l, "cpu", &options);
    rv_array *rate = dreamer_lab_array(&l, "rate", 1, 1);
    rv_store(rate, rv_dreamer_v3_learn(l.graph, l.agent, &l.batch, l.noise).learning_rate);
    rv_plan *plan = plan_of(&l, NULL);
    rv_params *slow = rv_dreamer_v3_slow_params(l.agent);
    const uint64_t drawn = hash_of(params_of(&l)), copied = hash_of(slow);
    for (int update = 0; update < 7; update++) {
        float now;
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        assert_ok(rv_array_read(rate, 0, 1, &now), "");
        assert_float_equal(now, 1e-3f * (update < 4 ? (float)update / 4 : 1), 1e-9);
        assert_true((hash_of(params_of(&l)) == drawn) == (update == 0));
        assert_true((hash_of(slow) == copied) == (update == 0));
    }
    rv_plan_destroy(plan);
    dreamer_lab_close(&l);
}

/* The rate falls along half a cosine, after and during the warm-up, and at its end nothing moves any more. */
static void test_decay(void **state) {
    (void)state;
    rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
    options.warmup = 2;
    options.decay = 5;
    lab l;
    lab_open(&l, "cpu", &options);
    rv_array *rate = dreamer_lab_array(&l, "rate", 1, 1);
    rv_store(rate, rv_dreamer_v3_learn(l.graph, l.agent, &l.batch, l.noise).learning_rate);
    rv_plan *plan = plan_of(&l, NULL);
    for (int update = 0; update < 8; update++) {
        const double grown = update < 2 ? update / 2.0 : 1, fallen = update < 5 ? (1 + cos(M_PI * update / 5)) / 2 : 0;
        const uint64_t before = hash_of(params_of(&l));
        float now;
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        assert_ok(rv_array_read(rate, 0, 1, &now), "");
        assert_float_equal(now, 1e-3 * grown * fallen, 1e-9);
        assert_true((hash_of(params_of(&l)) == before) == (update == 0 || update >= 5));
    }
    rv_plan_destroy(plan);
    dreamer_lab_close(&l);
}

static uint64_t learn_on(const char *resource, rv_actor_kind actor) {
    const rv_dreamer_v3_options options = small(actor);
    lab l;
    lab_open(&l, resource, &options);
    rv_dreamer_v3_learn(l.graph, l.agent, &l.batch, l.noise);
    rv_random_advance(l.graph, l.random);
    rv_plan *plan = plan_of(&l, NULL);
    for (int update = 0; update < 5; update++) assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    const uint64_t hash = hash_of(params_of(&l)) ^ hash_of(rv_dreamer_v3_slow_params(l.agent));
    rv_plan_destroy(plan);
    dreamer_lab_close(&l);
    return hash;
}

static void test_threads(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const rv_actor_kind actor = k ? RV_ACTOR_CATEGORICAL : RV_ACTOR_BOUNDED_NORMAL;
        const uint64_t hash = learn_on("cpu:threads=1", actor);
        assert_true(hash == learn_on("cpu:threads=3", actor));
        assert_true(hash == learn_on("check:cpu", actor));
    }
}

/* ---- acting ---------------------------------------------------------------------------------------------------- */

/* Step by step with what it kept, an agent is in the states of the sequence observed at once. */
static void test_acting(void **state) {
    (void)state;
    const rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
    lab l;
    lab_open(&l, "cpu", &options);
    const rv_rssm *rssm = rv_sequence_model_rssm(rv_dreamer_v3_model(l.agent));
    const int64_t stoch = rssm->options.stoch, deter = rssm->options.deter;
    float uniforms[T * B * 8];
    rv_random_uniform(4, 0, "noise", 0, T * B, stoch, uniforms);
    rv_array *drawn = dreamer_lab_array(&l, "noise", T * B, stoch), *once = dreamer_lab_array(&l, "once", T * B, deter);
    rv_array *stepwise = dreamer_lab_array(&l, "stepwise", T * B, deter);
    rv_array *action = dreamer_lab_array(&l, "chosen", 2 * B, A);
    assert_ok(rv_array_write(drawn, 0, T * B, uniforms), "");
    rv_tensor noise = rv_read(l.graph, drawn), led = rv_fill(l.graph, B, A, 0);
    const rv_rssm_noise latent = {.given = noise};
    rv_store(once, rv_sequence_model_observe(l.graph, rv_dreamer_v3_model(l.agent), &l.batch, latent).seen.state.deter);
    rv_rssm_state now = rv_rssm_start(l.graph, rssm, B);
    rv_dreamer_v3_move move[2];
    for (int t = 0; t < T; t++) {
        const rv_dreamer_v3_noise given = {.state = l.noise.state, .posterior = rv_slice_rows(noise, t * B, B)};
        rv_tensor seen = rv_slice_rows(l.batch.observation, t * B, B);
        rv_tensor first = rv_slice_rows(l.batch.is_first, t * B, B);
        for (int k = 0; k < 2; k++) move[k] = rv_dreamer_v3_act(l.graph, l.agent, now, led, seen, first, given, k);
        now = move[0].state;
        rv_store_part(stepwise, t * B * deter, now.deter);
        led = rv_slice_rows(l.batch.action, t * B, B);
    }
    for (int k = 0; k < 2; k++) rv_store_part(action, k * B * A, move[k].action);
    rv_plan *plan = plan_of(&l, NULL);
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    float a[T * B * 8], b[T * B * 8], chosen[2 * B * A];
    assert_ok(rv_array_read(once, 0, T * B, a), "");
    assert_ok(rv_array_read(stepwise, 0, T * B, b), "");
    assert_ok(rv_array_read(action, 0, 2 * B, chosen), "");
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < B * A; i++) assert_true(fabsf(chosen[B * A + i]) < 1 && chosen[i] != chosen[B * A + i]);
    rv_plan_destroy(plan);
    dreamer_lab_close(&l);
}

/* ---- imagination ------------------------------------------------------------------------------------------------ */

/* From the states that a batch was seen in it is the dream of the losses, as far as that goes, and then goes on. */
static void test_imagination(void **state) {
    (void)state;
    enum { N = T * B, FURTHER = 5, ROWS = (FURTHER + 1) * N };
    const rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
    lab l;
    lab_open(&l, "cpu", &options);
    const rv_dreamer_v3_dream learnt = rv_dreamer_v3_loss(l.graph, l.agent, &l.batch, l.noise).dream;
    const rv_rssm_state seen = {rv_slice_rows(learnt.state.deter, 0, N), rv_slice_rows(learnt.state.stoch, 0, N)};
    const rv_dreamer_v3_dream dream = rv_dreamer_v3_imagine(l.graph, l.agent, seen, FURTHER, l.noise);
    const struct {
        const char *name;
        rv_tensor learnt, dreamt;
    } pairs[] = {{"action", learnt.action, dream.action},
                 {"reward", learnt.reward, dream.reward},
                 {"going_on", learnt.going_on, dream.going_on},
                 {"value", learnt.value, dream.value}};
    enum { PAIRS = sizeof pairs / sizeof *pairs };
    rv_array *arrays[PAIRS][2];
    for (int i = 0; i < PAIRS; i++) {
        const int64_t cols = rv_tensor_cols(pairs[i].dreamt);
        assert_int_equal(rv_tensor_rows(pairs[i].dreamt), ROWS);
        arrays[i][0] = dreamer_lab_array(&l, pairs[i].name, (H + 1) * N, cols);
        arrays[i][1] = dreamer_lab_array(&l, pairs[i].name, ROWS, cols);
        rv_store(arrays[i][0], pairs[i].learnt);
        rv_store(arrays[i][1], pairs[i].dreamt);
    }
    rv_plan *plan = plan_of(&l, NULL);
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    for (int i = 0; i < PAIRS; i++) {
        float a[ROWS * A], b[ROWS * A];
        const size_t count = (size_t)((H + 1) * N * rv_array_cols(arrays[i][0]));
        assert_ok(rv_array_read(arrays[i][0], 0, (H + 1) * N, a), "");
        assert_ok(rv_array_read(arrays[i][1], 0, ROWS, b), "");
        assert_memory_equal(a, b, count * sizeof *a);
        assert_true(a[0] != b[ROWS * rv_array_cols(arrays[i][1]) - 1]);
    }
    assert_null(rv_dreamer_v3_imagine(l.graph, NULL, seen, FURTHER, l.noise).action.graph);
    rv_plan_destroy(plan);
    dreamer_lab_close(&l);
}

/* ---- misuse ---------------------------------------------------------------------------------------------------- */

static void test_options(void **state) {
    (void)state;
    enum { ROWS = 8 };
    static const char *const parts[ROWS] = {"size",      "observation_size", "tanh-normal", "horizon", "slow_rate",
                                            "inference", "pol",              "returns"};
    rv_dreamer_v3_options wrong[ROWS];
    for (int i = 0; i < ROWS; i++) wrong[i] = small(RV_ACTOR_BOUNDED_NORMAL);
    wrong[0].size = 0;
    wrong[1].model.observation_size = 0;
    wrong[2].actor = RV_ACTOR_TANH_NORMAL;
    wrong[3].horizon = -1;
    wrong[4].slow_rate = 2;
    wrong[5].model.inference = 1;
    wrong[6].actor_layers = 8;
    wrong[7].returns.rate = 2;
    rv_device *device;
    assert_ok(rv_device_open("cpu", NULL, &device), rv_device_message(device));
    for (int i = 0; i < ROWS; i++) {
        rv_dreamer_v3 *agent;
        assert_status(rv_dreamer_v3_create(device, &wrong[i], 1, &agent), RV_INVALID_ARGUMENT);
        assert_names(rv_dreamer_v3_message(agent), parts[i]);
        rv_dreamer_v3_destroy(agent);
    }
    rv_dreamer_v3_destroy(NULL);
    assert_null(rv_dreamer_v3_params(NULL));
    rv_device_close(device);
}

/* A batch that does not fit, or too short for replayed returns, is refused when the plan is made. */
static void test_bad_batches(void **state) {
    (void)state;
    static const char *const said[] = {"observe", "no is_last", "dream", "no noise for priors"};
    for (int k = 0; k < 4; k++) {
        const rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
        lab l;
        lab_open(&l, "cpu", &options);
        if (k == 0) l.batch.steps = 3;
        if (k == 1) l.batch.is_last = RV_NONE;
        if (k == 3) l.noise = (rv_dreamer_v3_noise){.posterior = rv_fill(l.graph, T * B, 2, 0.5f)};
        if (k == 2) l.noise.action = rv_fill(l.graph, 1, A, 0);
        rv_dreamer_v3_learn(l.graph, l.agent, &l.batch, l.noise);
        if (rv_graph_status(l.graph) == RV_OK) fail_msg("batch %d was taken", k);
        assert_names(rv_graph_message(l.graph), said[k]);
        dreamer_lab_close(&l);
    }
    const rv_dreamer_v3_options options = small(RV_ACTOR_BOUNDED_NORMAL);
    lab l;
    lab_open(&l, "cpu", &options);
    rv_dreamer_v3_audit_batch batch = {.size = sizeof batch, .sequences = B, .steps = T, .updates = 1};
    assert_status(rv_dreamer_v3_audit(l.agent, &batch, NULL, NULL), RV_INVALID_ARGUMENT);
    assert_status(rv_dreamer_v3_audit(NULL, &batch, NULL, NULL), RV_INVALID_ARGUMENT);
    dreamer_lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),   cmocka_unit_test(test_routing),     cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_acting),      cmocka_unit_test(test_imagination),
        cmocka_unit_test(test_options),     cmocka_unit_test(test_bad_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
