/* tests/test_dreamer_v3_agent.c: a DreamerV3 agent's life: updates by the count of steps, repeats and resumptions to
 * the bit, bad numbers, memory, misuse. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/dreamer.h"
#include "tests/support/allocator.h"
#include "tests/support/compare.h"
#include "tests/support/suite.h"
#include "tests/support/v3_life.h"

static uint64_t hash_of_life(const char *resource, const char *env, int64_t count) {
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin(resource, env, count, &options);
    v3_live(&l, 96);
    uint64_t hash = v3_hash_of(&l);
    v3_end(&l);
    return hash;
}

/* ---- determinism and resumption ---------------------------------------------------------------------------------- */

static void test_same_bits(void **state) {
    (void)state;
    const uint64_t one = hash_of_life("cpu:threads=1", "continuous_pendulum", 1);
    assert_true(hash_of_life("cpu:threads=1", "continuous_pendulum", 1) == one);
    assert_true(hash_of_life("cpu:threads=2", "continuous_pendulum", 1) == one);
    assert_true(hash_of_life("cpu:threads=3", "continuous_pendulum", 1) == one);
    const uint64_t other = hash_of_life("cpu:threads=1", "cartpole", 3);
    assert_true(other != one && hash_of_life("cpu:threads=2", "cartpole", 3) == other);
}

/* Saved in between, destroyed, loaded into another: before the first update and between later ones; at the last row of
 * an episode, and at the first of another. */
static void test_resumption(void **state) {
    (void)state;
    static const struct {
        const char *env;
        int64_t count;
    } worlds[] = {{"continuous_pendulum", 1}, {"cartpole", 2}, {NULL, 2}};
    for (int w = 0; w < 3; w++) {
        const uint64_t whole = hash_of_life("cpu:threads=1", worlds[w].env, worlds[w].count);
        const rv_dreamer_v3_agent_options options = v3_small();
        const int64_t kills[] = {0, 6, 8, 40, 42, 70, 72, 74, 76};
        char name[64];
        snprintf(name, sizeof name, "v3_resume_%d.safetensors", (int)getpid());
        for (int k = 0; k < 9; k++) {
            v3_life l = v3_begin("cpu:threads=1", worlds[w].env, worlds[w].count, &options);
            v3_live(&l, kills[k]);
            assert_ok(rv_agent_save(l.agent, l.file, name), rv_agent_message(l.agent));
            v3_live(&l, 10); /* lost */
            v3_end(&l);
            l = v3_begin("cpu:threads=2", worlds[w].env, worlds[w].count, &options);
            v3_live(&l, 4); /* forgotten */
            assert_ok(rv_agent_load(l.agent, l.file, name), rv_agent_message(l.agent));
            assert_int_equal(rv_agent_steps(l.agent), kills[k]);
            v3_live(&l, 96 - kills[k]);
            assert_true(v3_hash_of(&l) == whole);
            v3_end(&l);
        }
        remove(name);
    }
}

/* How the steps are asked for changes nothing; nor does an evaluation in between. */
static void test_pieces(void **state) {
    (void)state;
    const uint64_t whole = hash_of_life("cpu:threads=1", "continuous_pendulum", 1);
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", "continuous_pendulum", 1, &options);
    rv_env *fresh, *alone;
    double mode[3], again[3], drawn[3], single[1];
    assert_ok(rv_env_create("continuous_pendulum", 3, NULL, 0, &fresh), "");
    assert_ok(rv_env_create("continuous_pendulum", 1, NULL, 0, &alone), "");
    for (int i = 0; i < 60; i++) v3_live(&l, 1);
    assert_ok(rv_agent_evaluate(l.agent, fresh, 77, 0, mode), rv_agent_message(l.agent));
    assert_ok(rv_agent_evaluate(l.agent, fresh, 77, 0, again), rv_agent_message(l.agent));
    assert_ok(rv_agent_evaluate(l.agent, fresh, 77, 1, drawn), rv_agent_message(l.agent));
    assert_ok(rv_agent_evaluate(l.agent, alone, 77, 1, single), rv_agent_message(l.agent));
    assert_memory_equal(mode, again, sizeof mode);
    assert_true(memcmp(mode, drawn, sizeof mode) != 0);
    assert_true(single[0] == drawn[0]); /* its row, by itself */
    for (int i = 0; i < 3; i++) assert_true(drawn[i] < 0 && drawn[i] > -2000);
    v3_live(&l, 36);
    assert_true(v3_hash_of(&l) == whole);
    rv_env_destroy(fresh);
    rv_env_destroy(alone);
    v3_end(&l);
}

/* An episode's return is the sum of its rewards: of 3 + i steps, all paid. */
static void test_returns(void **state) {
    (void)state;
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", NULL, 2, &options);
    rv_env *fresh;
    double returns[3];
    rv_metric metrics[RV_AGENT_METRICS];
    assert_ok(rv_env_create_from(&v3_clock_table, 3, NULL, 0, &fresh), "");
    assert_ok(rv_agent_evaluate(l.agent, fresh, 0, 1, returns), rv_agent_message(l.agent));
    for (int i = 0; i < 3; i++) assert_true(returns[i] == (double)((3 + i) * (4 + i)) / 2);
    v3_live(&l, 8); /* 3 steps of one, its last row, 1 step; of the other the end is still to come */
    assert_int_equal(rv_agent_episodes(l.agent), 2);
    assert_ok(rv_agent_metrics(l.agent, metrics), "");
    for (int m = 0; m < RV_AGENT_METRICS; m++) {
        if (strcmp(metrics[m].name, "return") == 0) assert_true(metrics[m].value == (6.0f + 10.0f) / 2);
        if (strcmp(metrics[m].name, "length") == 0) assert_true(metrics[m].value == 3.5f);
    }
    rv_env_destroy(fresh);
    v3_end(&l);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void test_counts(void **state) {
    (void)state;
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", "cartpole", 2, &options);
    rv_metric metrics[RV_AGENT_METRICS];
    static const struct {
        int64_t run, steps, updates;
    } rows[] = {{40, 40, 0}, {1, 42, 1}, {1, 44, 2}, {7, 52, 6}, {48, 100, 30}};
    for (int i = 0; i < 5; i++) {
        int64_t filled;
        v3_live(&l, rows[i].run);
        assert_int_equal(rv_agent_steps(l.agent), rows[i].steps);
        assert_int_equal(rv_agent_updates(l.agent), rows[i].updates);
        assert_ok(rv_replay_filled(rv_agent_replay(l.agent), &filled), "");
        assert_int_equal(filled, rows[i].steps);
    }
    int32_t updates;
    rv_params *params = rv_dreamer_v3_params(rv_dreamer_v3_agent_learner(l.agent));
    assert_ok(rv_array_read(rv_params_updates(params), 0, 1, &updates), "");
    assert_int_equal(updates, 30);
    assert_ok(rv_agent_metrics(l.agent, metrics), rv_agent_message(l.agent));
    int named = 0;
    for (; named < RV_AGENT_METRICS && metrics[named].name[0]; named++) {
        assert_true(isfinite(metrics[named].value));
        if (strcmp(metrics[named].name, "learning_rate") == 0) assert_true(metrics[named].value == 1e-2f);
    }
    assert_int_equal(named, 18);
    v3_end(&l);
}

static void test_replay_bytes(void **state) {
    (void)state;
    rv_dreamer_v3_agent_options options = v3_small();
    rv_env_spaces spaces = {.size = sizeof spaces};
    rv_env *env;
    int64_t bytes;
    assert_ok(rv_env_create("cartpole", 1, NULL, 0, &env), "");
    assert_ok(rv_env_spaces_get(env, &spaces), "");
    assert_ok(rv_dreamer_v3_agent_replay_bytes(&options, &spaces, 4, &bytes), "");
    const int64_t row = 4 * (4 + 2 + 1 + 3 + 8 + 2 * 4); /* observation, action, reward, flags, deter, stoch */
    assert_true(bytes >= 400 * row && bytes < 400 * row + 256);
    options.length = 1;
    assert_status(rv_dreamer_v3_agent_replay_bytes(&options, &spaces, 4, &bytes), RV_INVALID_ARGUMENT);
    rv_env_destroy(env);
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

/* Answer the cue of the step before: 1 a step is the best; without memory 2/3 is. */
static void test_learns_to_remember(void **state) {
    (void)state;
    rv_dreamer_v3_agent_options options = v3_small();
    options.steps = 4000;
    options.batch = options.length = 8;
    options.train_ratio = 64;
    options.start = 200;
    options.seed = 0;
    options.learner.learning_rate = 5e-3f;
    options.learner.entropy = 3e-3f;
    options.learner.horizon = 2;
    options.learner.model.horizon = 2;
    options.learner.model.bins = 21;
    options.learner.model.units = options.learner.model.rssm.hidden = options.learner.model.rssm.deter = 16;
    options.learner.model.rssm.stoch = 4;
    const rv_env_setting settings[] = {{"memory_size", 1}, {"steps", 20}};
    v3_life l = {0};
    rv_env *fresh;
    double returns[32], sum = 0;
    assert_ok(rv_device_open("cpu:threads=1", NULL, &l.device), "");
    assert_ok(rv_env_create("sequence", 1, settings, 2, &l.env), rv_env_message(l.env));
    assert_ok(rv_env_create("sequence", 32, settings, 2, &fresh), rv_env_message(fresh));
    assert_ok(rv_dreamer_v3_agent_create(l.device, l.env, &options, &l.agent), rv_agent_message(l.agent));
    v3_live(&l, options.steps);
    assert_ok(rv_agent_evaluate(l.agent, fresh, 1000, 0, returns), rv_agent_message(l.agent));
    for (int i = 0; i < 32; i++) sum += returns[i] / (32 * 20);
    if (!(sum > 0.72)) fail_msg("%.3f a step", sum);
    rv_env_destroy(fresh);
    v3_end(&l);
}

/* ---- devices, and bad numbers ------------------------------------------------------------------------------------ */

static void weights_of(v3_life *l, float *out) {
    rv_dreamer_v3 *learner = rv_dreamer_v3_agent_learner(l->agent);
    rv_params *const sets[] = {rv_dreamer_v3_params(learner), rv_dreamer_v3_slow_params(learner)};
    for (int s = 0; s < 2; s++) {
        rv_array *flat = rv_params_array(sets[s], RV_VALUE);
        assert_ok(rv_array_read(flat, 0, 1, out), "");
        out += rv_array_cols(flat);
    }
}

enum { MANY = 1 << 14 };

/* The same course on the oracle, and where no memory is used twice and everything is poisoned. */
static void test_devices(void **state) {
    (void)state;
    static const char *const devices[] = {"cpu:threads=1", "cpu:reference", "check:cpu:threads=1"};
    static float weights[3][MANY];
    rv_dreamer_v3_agent_options options = v3_small();
    options.learner.learning_rate = 1e-4f;
    for (int d = 0; d < 3; d++) {
        v3_life l = v3_begin(devices[d], "cartpole", 2, &options);
        v3_live(&l, 48);
        assert_int_equal(rv_agent_updates(l.agent), 4);
        weights_of(&l, weights[d]);
        v3_end(&l);
    }
    for (int d = 1; d < 3; d++) {
        double difference = 0, sum = 0;
        for (int i = 0; i < MANY; i++) {
            difference += pow((double)weights[d][i] - (double)weights[0][i], 2);
            sum += pow((double)weights[0][i], 2);
        }
        if (!(sum > 1 && difference <= 1e-7 * sum)) fail_msg("%s: %g of %g", devices[d], difference, sum);
    }
    assert_memory_equal(weights[0], weights[2], sizeof weights[0]);
}

/* Of the steps 81 to 83, which one environment takes, the second goes bad; its step 84 begins an episode. */
static void go_bad(float value, bool in_reward, const char *name) {
    static float before[MANY], after[MANY];
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", NULL, 1, &options);
    int64_t filled;
    v3_live(&l, 80);
    v3_fault.step = 0;
    v3_fault.bad_at = 2;
    v3_fault.bad = value;
    v3_fault.in_reward = in_reward;
    v3_live(&l, 1);
    weights_of(&l, before);
    assert_status(rv_agent_run(l.agent, 40), RV_NON_FINITE);
    assert_int_equal(rv_agent_steps(l.agent), 82);
    assert_names(rv_agent_message(l.agent), name);
    assert_names(rv_agent_message(l.agent), "step 82");
    rv_plan_run(rv_agent_train_plan(l.agent)); /* to no effect */
    weights_of(&l, after);
    assert_memory_equal(before, after, sizeof before);
    assert_ok(rv_replay_filled(rv_agent_replay(l.agent), &filled), "");
    assert_int_equal(filled, 82); /* what was acted on; not what that led to */
    assert_status(rv_agent_save(l.agent, l.file, "never.safetensors"), RV_NON_FINITE);
    assert_int_equal(access("never.safetensors", F_OK), -1);
    v3_end(&l);
}

static void test_bad_environments(void **state) {
    (void)state;
    go_bad(NAN, false, "observation");
    go_bad(INFINITY, false, "observation");
    go_bad(NAN, true, "reward");
    go_bad(-INFINITY, true, "reward");
}

/* A weight of the actor that is NaN: the action is named, and goes neither to the environment nor to the replay. */
static void test_bad_weights(void **state) {
    (void)state;
    static float before[MANY], after[MANY];
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", NULL, 1, &options);
    v3_live(&l, 50);
    rv_params *params = rv_dreamer_v3_params(rv_dreamer_v3_agent_learner(l.agent));
    int64_t rows, cols, filled;
    int index = 0;
    while (strcmp(rv_params_name(params, index), "pol/0/weight") != 0) index++;
    assert_ok(rv_params_shape(params, index, &rows, &cols), "");
    float *bad = calloc((size_t)(rows * cols), sizeof *bad);
    bad[0] = NAN;
    assert_ok(rv_params_set(params, index, RV_VALUE, bad), "");
    free(bad);
    weights_of(&l, before);
    assert_status(rv_agent_run(l.agent, 3), RV_NON_FINITE);
    assert_names(rv_agent_message(l.agent), "action");
    assert_names(rv_agent_message(l.agent), "step 51");
    assert_int_equal(rv_agent_steps(l.agent), 50);
    weights_of(&l, after);
    assert_memory_equal(before, after, sizeof before);
    assert_ok(rv_replay_filled(rv_agent_replay(l.agent), &filled), "");
    assert_int_equal(filled, 50);
    assert_status(rv_agent_save(l.agent, l.file, "never.safetensors"), RV_NON_FINITE);
    v3_end(&l);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void test_runs_take_no_memory(void **state) {
    (void)state;
    rv_counting counting = {0};
    const rv_device_options counted = rv_counting_options(&counting);
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = {0};
    assert_ok(rv_device_open("cpu:threads=1", &counted, &l.device), "");
    assert_ok(rv_env_create("cartpole", 2, NULL, 0, &l.env), "");
    assert_ok(rv_dreamer_v3_agent_create(l.device, l.env, &options, &l.agent), rv_agent_message(l.agent));
    const int64_t before = counting.calls;
    v3_live(&l, 80);
    assert_int_equal(counting.calls, before);
    v3_end(&l);
    assert_int_equal(counting.live, 0);
}

/* Every allocation fails in turn: OUT_OF_MEMORY and a message, and nothing is left. */
static void test_no_memory(void **state) {
    (void)state;
    const rv_dreamer_v3_agent_options options = v3_small();
    const int step = RV_SLOW_RUN ? 997 : 97;
    for (int64_t fail_at = 1;; fail_at += fail_at < 60 ? 1 : step) {
        rv_counting counting = {0};
        const rv_device_options counted = rv_counting_options(&counting);
        v3_life l = {0};
        assert_ok(rv_device_open("cpu:threads=1", &counted, &l.device), "");
        assert_ok(rv_env_create("cartpole", 2, NULL, 0, &l.env), "");
        counting.fail_at = counting.calls + fail_at;
        rv_status status = rv_dreamer_v3_agent_create(l.device, l.env, &options, &l.agent);
        if (status != RV_OK) {
            assert_status(status, RV_OUT_OF_MEMORY);
            if (l.agent) assert_true(strlen(rv_agent_message(l.agent)) > 12);
        }
        v3_end(&l);
        assert_int_equal(counting.live, 0);
        if (status == RV_OK) break;
    }
}

/* ---- misuse ------------------------------------------------------------------------------------------------------ */

static void refused(rv_dreamer_v3_agent_options options, const char *name) {
    rv_device *device;
    rv_env *env;
    rv_agent *agent;
    assert_ok(rv_device_open("cpu:threads=1", NULL, &device), "");
    assert_ok(rv_env_create("continuous_pendulum", 2, NULL, 0, &env), "");
    assert_status(rv_dreamer_v3_agent_create(device, env, &options, &agent), RV_INVALID_ARGUMENT);
    assert_names(rv_agent_message(agent), name);
    assert_status(rv_agent_run(agent, 1), RV_WRONG_STATE);
    rv_agent_destroy(agent);
    rv_env_destroy(env);
    rv_device_close(device);
}

#define REFUSED(field, value, name)                      \
    do {                                                 \
        rv_dreamer_v3_agent_options options_ = v3_small();  \
        options_.field = value;                          \
        refused(options_, name);                         \
    } while (0)

static void test_options(void **state) {
    (void)state;
    REFUSED(size, 0, "size");
    REFUSED(steps, -1, "steps");
    REFUSED(steps, (int64_t)1 << 31, "steps");
    REFUSED(batch, -1, "batch");
    REFUSED(length, 1, "length");
    REFUSED(length, INT32_MAX, "length");
    REFUSED(train_ratio, -1, "train_ratio");
    REFUSED(train_ratio, INT32_MAX, "train_ratio");
    REFUSED(start, 13, "start"); /* 7 rows in each of 2 environments */
    REFUSED(replay, 13, "replay");
    REFUSED(learner.horizon, -2, "horizon");
    REFUSED(learner.slow_rate, 2, "slow_rate");
    REFUSED(learner.model.units, -2, "units");
    REFUSED(learner.model.rssm.blocks, 3, "blocks");
}

static void test_misuse(void **state) {
    (void)state;
    rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", "continuous_pendulum", 1, &options);
    rv_env *other;
    rv_agent *agent = NULL;
    double returns[1];
    assert_ok(rv_env_create("cartpole", 1, NULL, 0, &other), "");
    assert_status(rv_agent_evaluate(l.agent, other, 0, 0, returns), RV_SHAPE_MISMATCH);
    assert_status(rv_agent_run(l.agent, -1), RV_INVALID_ARGUMENT);
    assert_status(rv_agent_run(l.agent, options.steps + 1), RV_WRONG_STATE);
    assert_names(rv_agent_message(l.agent), "steps");
    assert_status(rv_dreamer_v3_agent_create(l.device, NULL, &options, &agent), RV_INVALID_ARGUMENT);
    assert_null(agent);
    assert_status(rv_agent_load(l.agent, l.file, "nowhere.safetensors"), RV_IO_FAILED);
    assert_null(rv_dreamer_v3_recipe_find("none"));
    assert_null(rv_dreamer_v3_agent_learner(NULL));
    v3_live(&l, 5); /* it goes on */
    rv_env_destroy(other);
    v3_end(&l);
}

/* One kind's parts are not another's. */
static void test_kinds(void **state) {
    (void)state;
    rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", "continuous_pendulum", 1, &options);
    rv_env *env;
    rv_agent *course;
    rv_graph *graph;
    rv_plan *plan;
    rv_dreamer_options small_course = {.size = sizeof small_course, .steps = 100, .prefill = 20};
    assert_ok(rv_env_create("continuous_pendulum", 1, NULL, 0, &env), "");
    assert_ok(rv_dreamer_create(l.device, env, &small_course, &course), rv_agent_message(course));
    assert_null(rv_dreamer_model(l.agent));
    assert_null(rv_dreamer_options_get(l.agent));
    assert_null(rv_dreamer_v3_agent_learner(course));
    assert_null(rv_dreamer_v3_agent_options_get(course));
    assert_ok(rv_graph_create(l.device, &graph), "");
    rv_dreamer_imagine(graph, l.agent, rv_fill(graph, 1, 4, 0), 3, RV_NONE);
    assert_status(rv_plan_create(graph, NULL, &plan), RV_INVALID_ARGUMENT);
    assert_names(rv_plan_message(plan), "no dreamer");
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_agent_destroy(course);
    rv_env_destroy(env);
    v3_end(&l);
}

/* A recipe writes its constants out, and "dmc_proprio" has those of the published one. */
static void test_recipes(void **state) {
    (void)state;
    int count;
    const rv_dreamer_v3_recipe *list = rv_dreamer_v3_recipe_list(&count);
    assert_int_equal(count, 5);
    assert_string_equal(list[0].name, "default");
    assert_memory_equal(&list[0].options, &list[1].options, sizeof list[0].options);
    const rv_dreamer_v3_recipe *published = rv_dreamer_v3_recipe_find("dmc_proprio");
    const rv_dreamer_v3_agent_options *o = &published->options;
    assert_true(o->batch == 16 && o->length == 64 && o->train_ratio == 1024 && published->environments == 16);
    assert_true(o->learner.learning_rate == 4e-5f && o->learner.warmup == 1000 && o->start == 2048);
    for (int i = 0; i < count; i++) {
        rv_dreamer_v3_agent_options options = list[i].options;
        options.steps = 2048; /* a replay of two million rows is much for a test */
        v3_life l = v3_begin("cpu:threads=1", "continuous_pendulum", 1, &options);
        const rv_dreamer_v3_agent_options *filled = rv_dreamer_v3_agent_options_get(l.agent);
        assert_true(filled->batch == options.batch && filled->length == options.length);
        assert_true(filled->learner.learning_rate == options.learner.learning_rate);
        assert_int_equal(filled->learner.model.observation_size, 3);
        assert_int_equal(filled->learner.model.rssm.deter, options.learner.model.rssm.deter);
        assert_int_equal(filled->learner.actor, RV_ACTOR_BOUNDED_NORMAL);
        v3_end(&l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_returns),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_replay_bytes),
        cmocka_unit_test(test_learns_to_remember),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_bad_environments),
        cmocka_unit_test(test_bad_weights),
        cmocka_unit_test(test_runs_take_no_memory),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_recipes),
    };
    return cmocka_run_group_tests_name("dreamer_v3_agent", tests, NULL, NULL);
}
