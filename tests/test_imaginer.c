/* tests/test_imaginer.c: what the program shows as imagined is what the library imagines, from where real episodes
 * begin. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/figures_imagine.h"
#include "experiments/program.h"
#include "tests/support/suite.h"

enum { ROWS = 5, SAMPLES = 3, STEPS = 40, SEED = 77 };

/* ---- of the program, which is not linked ------------------------------------------------------------------------- */

int program_fail(int code, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    puts("");
    return code;
}

int program_code(rv_status status) { return status == RV_OK ? EXIT_OK : EXIT_BUG; }

/* ---- a new agent, and episodes of it ------------------------------------------------------------------------------ */

typedef struct lab {
    rv_device *device;
    rv_env *env, *fresh;
    rv_env_spaces spaces;
    rv_agent *agent;
    imaginer im;
    episodes real;
} lab;

static rv_status make_dreamer(lab *l) {
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.model.latent_size = 6;
    options.steps = 400;
    options.prefill = 60;
    return rv_dreamer_create(l->device, l->env, &options, &l->agent);
}

static rv_status make_v3(lab *l) {
    rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("debug")->options;
    options.learner.model.reward_outscale = 1; /* a reward that is not zero everywhere */
    options.steps = 400;
    return rv_dreamer_v3_agent_create(l->device, l->env, &options, &l->agent);
}

static void lab_open(lab *l, const char *env, rv_status (*make)(lab *l)) {
    *l = (lab){.spaces = {.size = sizeof l->spaces}};
    assert_ok(rv_device_open("cpu:threads=1", NULL, &l->device), rv_device_message(l->device));
    assert_ok(rv_env_create(env, 1, NULL, 0, &l->env), rv_env_message(l->env));
    assert_ok(rv_env_create(env, ROWS, NULL, 0, &l->fresh), rv_env_message(l->fresh));
    assert_ok(rv_env_spaces_get(l->env, &l->spaces), "");
    assert_ok(make(l), rv_agent_message(l->agent));
    l->im = rv_dreamer_model(l->agent) ? dreamer_imaginer(l->agent, &l->spaces)
                                       : dreamer_v3_imaginer(l->agent, &l->spaces);
    assert_int_equal(imaginer_act(&l->im, l->fresh, STEPS, SEED, &l->real), EXIT_OK);
}

static void lab_close(lab *l) {
    episodes_free(&l->real);
    rv_agent_destroy(l->agent);
    rv_env_destroy(l->env);
    rv_env_destroy(l->fresh);
    rv_device_close(l->device);
}

/* An environment of its own goes the same way under the actions that were kept. */
static void check_episodes(const lab *l, const char *name) {
    const episodes *real = &l->real;
    const int64_t o = l->spaces.observation_size, a = real->action_size;
    float observation[ROWS * 8], reward[ROWS], action[ROWS * 4];
    uint8_t ended[2][ROWS] = {{0}};
    int64_t ends = 0;
    rv_env *env;
    assert_ok(rv_env_create(name, ROWS, NULL, 0, &env), "");
    assert_ok(rv_env_reset(env, SEED, observation), "");
    for (int64_t t = 0; t <= STEPS; t++) {
        assert_memory_equal(observation, real->observation + t * ROWS * o, (size_t)(ROWS * o) * sizeof(float));
        for (int i = 0; i < ROWS; i++) {
            const bool first = t == 0 || ended[0][i] || ended[1][i];
            assert_true(real->is_first[t * ROWS + i] == (first ? 1.0f : 0.0f));
            ends += t > 0 && first;
        }
        if (t == STEPS) break;
        rv_actor_to_env(&l->spaces, ROWS, real->action + t * ROWS * a, action);
        rv_env_result result = {.observation = observation, .reward = reward, .terminated = ended[0], .truncated = ended[1]};
        assert_ok(rv_env_step(env, action, &result), "");
        assert_memory_equal(reward, real->reward + t * ROWS, sizeof reward);
    }
    rv_env_destroy(env);
    assert_true(ends > 0 || strcmp(name, "cartpole") != 0);
    for (int i = 0; i < ROWS; i++) {
        const int64_t length = episodes_length(real, i, 0);
        assert_true(length == STEPS || real->is_first[length * ROWS + i] == 1);
        for (int64_t t = 1; t < length; t++) assert_true(real->is_first[t * ROWS + i] == 0);
        if (length > 1) assert_int_equal(episodes_length(real, i, 1), length - 1);
    }
}

/* ---- the library beside it ---------------------------------------------------------------------------------------- */

typedef struct beside {
    rv_graph *graph;
    rv_random *random;
    rv_array *arrays[24];
    int count;
} beside;

static void beside_open(beside *b, const lab *l, uint64_t seed) {
    *b = (beside){0};
    assert_ok(rv_graph_create(l->device, &b->graph), "");
    assert_ok(rv_random_create(l->device, seed, &b->random), "");
}

/* Rows of the steps [first, first + steps) of the episodes, each SAMPLES times. */
static rv_tensor upload(beside *b, const lab *l, const float *from, int64_t cols, int64_t first, int64_t steps,
                        int64_t rows, int64_t samples) {
    float *values = calloc((size_t)(steps * rows * samples * cols), sizeof *values);
    assert_non_null(values);
    for (int64_t t = 0; t < steps; t++) {
        for (int64_t i = 0; i < rows * samples; i++) {
            memcpy(values + (t * rows * samples + i) * cols, from + ((first + t) * ROWS + i / samples) * cols,
                   (size_t)cols * sizeof *values);
        }
    }
    rv_array **array = &b->arrays[b->count++];
    assert_ok(rv_array_create(l->device, RV_F32, steps * rows * samples, cols, "given", array), "");
    assert_ok(rv_array_write(*array, 0, steps * rows * samples, values), "");
    free(values);
    return rv_read(b->graph, *array);
}

static rv_array *keep(beside *b, const lab *l, rv_tensor tensor) {
    rv_array **array = &b->arrays[b->count++];
    assert_ok(rv_array_create(l->device, RV_F32, rv_tensor_rows(tensor), rv_tensor_cols(tensor), "kept", array), "");
    rv_store(*array, tensor);
    return *array;
}

static void beside_run(beside *b) {
    rv_plan *plan;
    assert_ok(rv_plan_create(b->graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
}

static void beside_close(beside *b) {
    for (int i = 0; i < b->count; i++) rv_array_destroy(b->arrays[i]);
    rv_random_destroy(b->random);
    rv_graph_destroy(b->graph);
}

static void check_equal(const char *what, rv_array *array, const float *values, int64_t first, int64_t rows) {
    const int64_t cols = rv_array_cols(array);
    float *expected = calloc((size_t)(rows * cols), sizeof *expected), spread = 0;
    assert_non_null(expected);
    assert_ok(rv_array_read(array, first, rows, expected), "");
    for (int64_t i = 0; i < rows * cols; i++) {
        const double scale = 1 + fabs((double)expected[i]);
        spread = fmaxf(spread, fabsf(expected[i] - expected[0]));
        if (!(fabs((double)values[i] - (double)expected[i]) <= 1e-5 * scale)) {
            fail_msg("%s, value %lld is %g, the library says %g", what, (long long)i, (double)values[i],
                     (double)expected[i]);
        }
    }
    assert_true(spread > 0); /* they say something */
    free(expected);
}

/* ---- Dreamer ------------------------------------------------------------------------------------------------------- */

/* Under its policy: rv_dreamer_imagine. */
static void dreamer_imagines(const lab *l) {
    const dream_options options = {.context = 1, .steps = 9, .rows = 4, .samples = 1, .policy = true, .seed = 3};
    const int64_t o = l->spaces.observation_size, all = options.steps * options.rows;
    dream dream;
    beside b;
    assert_int_equal(imaginer_dream(&l->im, &l->real, &options, &dream), EXIT_OK);
    beside_open(&b, l, options.seed);
    rv_tensor seen = upload(&b, l, l->real.observation, o, 0, 1, options.rows, 1);
    rv_tensor latent = rv_world_model_encode(b.graph, rv_dreamer_model(l->agent), seen).mean;
    const rv_imagination expected =
        rv_dreamer_imagine(b.graph, l->agent, latent, options.steps, rv_random_state(b.graph, b.random));
    rv_array *latents = keep(&b, l, expected.latent), *actions = keep(&b, l, expected.action),
             *rewards = keep(&b, l, expected.reward), *going = keep(&b, l, expected.going_on);
    rv_array *decoded = keep(&b, l, rv_world_model_decode(b.graph, rv_dreamer_model(l->agent), expected.latent));
    beside_run(&b);
    assert_int_equal(dream.latent_size, 6);
    check_equal("latent", latents, dream.latent, 0, all + options.rows);
    check_equal("action", actions, dream.action, 0, all);
    check_equal("reward", rewards, dream.reward, 0, all);
    check_equal("going on", going, dream.going_on, 0, all);
    check_equal("observation", decoded, dream.observation, options.rows, all);
    beside_close(&b);
    dream_free(&dream);
}

/* Under the episodes' actions, drawn: rv_world_model_rollout, which has no heads of its own for going on. */
static void dreamer_follows(const lab *l) {
    enum { N = 7 };
    const dream_options options = {.context = 2, .steps = N, .rows = 2, .samples = SAMPLES, .seed = 9};
    const int64_t o = l->spaces.observation_size, a = l->real.action_size, rows = options.rows * SAMPLES;
    rv_tensor actions[N], observations[N], rewards[N];
    rv_array *kept[N][2];
    dream dream;
    beside b;
    assert_int_equal(imaginer_dream(&l->im, &l->real, &options, &dream), EXIT_OK);
    beside_open(&b, l, options.seed);
    rv_tensor seen = upload(&b, l, l->real.observation, o, 1, 1, options.rows, SAMPLES);
    rv_tensor given = upload(&b, l, l->real.action, a, 1, N, options.rows, SAMPLES);
    for (int t = 0; t < N; t++) actions[t] = rv_slice_rows(given, t * rows, rows);
    rv_world_model_rollout(b.graph, rv_dreamer_model(l->agent), seen, actions, N, rv_random_state(b.graph, b.random),
                           observations, rewards);
    for (int t = 0; t < N; t++) {
        kept[t][0] = keep(&b, l, observations[t]);
        kept[t][1] = keep(&b, l, rewards[t]);
    }
    beside_run(&b);
    for (int t = 0; t < N; t++) {
        check_equal("followed observation", kept[t][0], dream.observation + t * rows * o, 0, rows);
        check_equal("followed reward", kept[t][1], dream.reward + t * rows, 0, rows);
    }
    beside_close(&b);
    dream_free(&dream);
}

static void test_dreamer(void **state) {
    (void)state;
    lab l;
    lab_open(&l, "cartpole", make_dreamer);
    assert_int_equal(l.im.action_size, 2);
    check_episodes(&l, "cartpole");
    dreamer_imagines(&l);
    dreamer_follows(&l);
    lab_close(&l);
}

/* ---- DreamerV3 ----------------------------------------------------------------------------------------------------- */

/* Under given actions: rv_sequence_model_open_loop. Under its policy those that it chose lead to the same. */
static void check_v3(const lab *l, bool policy) {
    const dream_options options = {.context = 4, .steps = 8, .rows = 3, .samples = 2, .policy = policy, .seed = 21};
    const int64_t o = l->spaces.observation_size, a = l->real.action_size, rows = options.rows * options.samples,
                  c = options.context;
    dream dream;
    beside b;
    assert_int_equal(imaginer_dream(&l->im, &l->real, &options, &dream), EXIT_OK);
    beside_open(&b, l, options.seed);
    const rv_sequence_batch context = {
        .steps = c,
        .observation = upload(&b, l, l->real.observation, o, 0, c, options.rows, options.samples),
        .action = upload(&b, l, l->real.action, a, 0, c, options.rows, options.samples),
        .is_first = upload(&b, l, l->real.is_first, 1, 0, c, options.rows, options.samples)};
    rv_tensor taken = upload(&b, l, l->real.action, a, c - 1, options.steps, options.rows, options.samples);
    if (policy) {
        rv_array **array = &b.arrays[b.count++];
        assert_ok(rv_array_create(l->device, RV_F32, options.steps * rows, a, "chosen", array), "");
        assert_ok(rv_array_write(*array, 0, options.steps * rows, dream.action), "");
        taken = rv_read(b.graph, *array);
    }
    rv_tensor noise = rv_random_state(b.graph, b.random);
    const rv_sequence_step expected = rv_sequence_model_open_loop(
        b.graph, rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(l->agent)), &context, taken, options.steps,
        (rv_rssm_noise){.state = noise, .name = "seen"},
        (rv_rssm_noise){.state = noise, .name = policy ? "prior" : "imagined"});
    rv_array *observations = keep(&b, l, expected.observation), *rewards = keep(&b, l, expected.reward),
             *going = keep(&b, l, rv_sigmoid(expected.continue_logit)), *last = keep(&b, l, expected.hidden.deter);
    beside_run(&b);
    check_equal("observation", observations, dream.observation, 0, options.steps * rows);
    check_equal("reward", rewards, dream.reward, 0, options.steps * rows);
    check_equal("going on", going, dream.going_on, 0, options.steps * rows);
    check_equal("latent", last, dream.latent + options.steps * rows * dream.latent_size, 0, rows);
    beside_close(&b);
    dream_free(&dream);
}

static void test_dreamer_v3(void **state) {
    (void)state;
    lab l;
    lab_open(&l, "continuous_pendulum", make_v3);
    check_episodes(&l, "continuous_pendulum");
    check_v3(&l, false);
    check_v3(&l, true);
    lab_close(&l);
}

/* ---- open loop ----------------------------------------------------------------------------------------------------- */

static void test_open_loop(void **state) {
    (void)state;
    enum { O = 2, N = 3, ROW = 1, ALL = 2 };
    /* Two episodes of four steps, the second of which ends behind its third observation. */
    float observation[5 * ALL * O], reward[4 * ALL], first[5 * ALL] = {1, 1, [7] = 1}, action[4 * ALL] = {0};
    for (int i = 0; i < 5 * ALL * O; i++) observation[i] = (float)i;
    for (int i = 0; i < 4 * ALL; i++) reward[i] = 100 + (float)i;
    const episodes real = {ALL, 4, O, 1, observation, action, reward, first};
    float predicted[N * ALL * 4 * O], rewarded[N * ALL * 4];
    for (int i = 0; i < N * ALL * 4 * O; i++) predicted[i] = (float)(i % O + 10 * (i / O % 4));
    for (int i = 0; i < N * ALL * 4; i++) rewarded[i] = (float)(i % 4);
    const dream dream = {.rows = ALL * 4,
                         .steps = N,
                         .observation_size = O,
                         .action_size = 1,
                         .observation = predicted,
                         .reward = rewarded};
    const imagined what = {NULL, "env", 1, &real, &dream};
    open_loop out;
    assert_true(open_loop_make(&out, &what, ROW, 4));
    for (int k = 0; k <= N; k++) {
        for (int c = 0; c < O; c++) {
            const double truth = out.truth[k * out.columns + c];
            if (k < 3) assert_true(truth == observation[(k * ALL + ROW) * O + c]);
            else assert_true(isnan(truth)); /* that is the next episode's */
        }
        if (k == 0) assert_true(isnan(out.truth[O]) && isnan(out.mean[O]));
        else assert_true(out.truth[k * out.columns + O] == reward[(k - 1) * ALL + ROW]);
    }
    for (int c = 0; c < O; c++) { /* draws of 0, 10, 20 and 30, beside the column */
        assert_true(out.mean[c] == out.truth[c] && out.low[c] == out.truth[c] && out.high[c] == out.truth[c]);
        assert_true(fabs(out.mean[out.columns + c] - (15 + c)) < 1e-9);
        assert_true(fabs(out.low[out.columns + c] - (1.5 + c)) < 1e-9);
        assert_true(fabs(out.high[out.columns + c] - (28.5 + c)) < 1e-9);
    }
    assert_true(out.mean[out.columns + O] == 1.5);
    open_loop_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dreamer),
        cmocka_unit_test(test_dreamer_v3),
        cmocka_unit_test(test_open_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
