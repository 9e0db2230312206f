/* The continuous cartpole against its equations, and what every batch of environments promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "envs/table.h"

enum { DIMS = 4 };

static rv_env *make(int64_t count, const rv_env_setting *settings, int setting_count) {
    rv_env *env;
    assert_int_equal(rv_env_create("continuous_cartpole", count, settings, setting_count, &env), RV_OK);
    return env;
}

/* ---- physics: the table's own functions, from given states in float64 ------------------------------- */

typedef struct case_row {
    double state[DIMS], action, force, after[DIMS];
} case_row;

static const case_row rows[] = {
#include "tests/golden/continuous_cartpole.h"
};
enum { ROWS = sizeof rows / sizeof *rows };

/* One environment's saved bytes: the state, the steps of the episode, the random state. */
typedef struct saved {
    double at[DIMS];
    int64_t steps;
    uint64_t random;
} saved;

static void one_step(void **unused) {
    (void)unused;
    const rv_env_table *table = &rv_env_continuous_cartpole;
    double worst = 0.0;
    for (int i = 0; i < ROWS; i++) {
        double options[16];
        for (int o = 0; o < table->option_count; o++) options[o] = table->options[o].standard;
        options[0] = rows[i].force;
        assert_string_equal(table->options[0].name, "force");
        void *state;
        assert_int_equal(table->create(options, 1, &state), 0);
        assert_int_equal(table->state_size(state), sizeof(saved));

        saved bytes = {.steps = 3, .random = 1};
        memcpy(bytes.at, rows[i].state, sizeof bytes.at);
        float observation[DIMS], action = (float)fmax(-1.0, fmin(1.0, rows[i].action)), reward;
        uint8_t terminated, truncated;
        assert_int_equal(table->load(state, &bytes, observation), 0);
        table->step(state, &action, observation, &reward, &terminated, &truncated);
        table->save(state, &bytes);
        for (int d = 0; d < DIMS; d++) {
            double error = fabs(bytes.at[d] - rows[i].after[d]) / (1.0 + fabs(rows[i].after[d]));
            worst = fmax(worst, error);
            assert_true(observation[d] == (float)bytes.at[d]);
        }
        assert_true(reward == 1.0f);
        assert_int_equal(terminated, fabs(rows[i].after[0]) > 2.4 || fabs(rows[i].after[2]) > 12 * 2 * M_PI / 360);
        assert_int_equal(truncated, 0);
        assert_int_equal(bytes.steps, 4);
        table->destroy(state);
    }
    assert_true(worst < 1e-13);
}

/* ---- reset: bounds, seeds ----------------------------------------------------------------------------- */

static void starts_within_bounds_and_spread(void **unused) {
    (void)unused;
    enum { COUNT = 20000 };
    rv_env *env = make(COUNT, NULL, 0);
    float *observation = malloc(COUNT * DIMS * sizeof *observation);
    assert_int_equal(rv_env_reset(env, 11, observation), RV_OK);
    for (int d = 0; d < DIMS; d++) {
        double sum = 0.0, squares = 0.0;
        for (int i = 0; i < COUNT; i++) {
            double x = observation[i * DIMS + d];
            assert_true(fabs(x) <= 0.05);
            sum += x;
            squares += x * x;
        }
        /* five standard errors of U(-0.05, 0.05): neighbouring seeds must not be alike */
        assert_true(fabs(sum / COUNT) < 5 * 0.05 / sqrt(3.0 * COUNT));
        assert_true(fabs(squares / COUNT - 0.0025 / 3) < 5 * 0.0025 * sqrt(4.0 / 45 / COUNT));
        double between = 0.0;
        for (int i = 0; i + 1 < COUNT; i++) between += (double)observation[i * DIMS + d] * (double)observation[i * DIMS + DIMS + d];
        assert_true(fabs(between / COUNT) < 5 * (0.0025 / 3) / sqrt(COUNT));
    }
    free(observation);
    rv_env_destroy(env);
}

static float action_at(int64_t environment, int step) {
    return (float)sin(0.37 * (double)step + 1.7 * (double)environment) * 1.2f;
}

/* Runs `steps` steps and keeps everything that comes out of one environment. */
typedef struct trace {
    float next[600][DIMS], observation[600][DIMS], reward[600];
    uint8_t terminated[600], truncated[600];
} trace;

static void run(rv_env *env, int64_t count, int64_t offset, int64_t watched, int steps, trace *out) {
    float *observation = calloc((size_t)count, DIMS * sizeof(float)), *next = calloc((size_t)count, DIMS * sizeof(float));
    float *reward = calloc((size_t)count, sizeof(float)), *action = calloc((size_t)count, sizeof(float));
    uint8_t *terminated = calloc((size_t)count, 1), *truncated = calloc((size_t)count, 1);
    rv_env_result result = {observation, next, reward, terminated, truncated};
    memset(out, 0, sizeof *out);
    for (int t = 0; t < steps; t++) {
        for (int64_t i = 0; i < count; i++) action[i] = action_at(offset + i, t);
        assert_int_equal(rv_env_step(env, action, &result), RV_OK);
        memcpy(out->next[t], next + watched * DIMS, sizeof out->next[t]);
        memcpy(out->observation[t], observation + watched * DIMS, sizeof out->observation[t]);
        out->reward[t] = reward[watched];
        out->terminated[t] = terminated[watched];
        out->truncated[t] = truncated[watched];
    }
    free(observation);
    free(next);
    free(reward);
    free(action);
    free(terminated);
    free(truncated);
}

static void same_seed_same_bits(void **unused) {
    (void)unused;
    static trace a, b, c;
    float observation[3 * DIMS];
    rv_env *env = make(3, NULL, 0);
    rv_env_reset(env, 5, observation);
    run(env, 3, 0, 2, 400, &a);
    rv_env_reset(env, 5, observation);
    run(env, 3, 0, 2, 400, &b);
    rv_env_reset(env, 6, observation);
    run(env, 3, 0, 2, 400, &c);
    rv_env_destroy(env);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
}

static void batch_equals_singles(void **unused) {
    (void)unused;
    enum { COUNT = 7 };
    static trace together, alone;
    float observation[COUNT * DIMS];
    for (int64_t i = 0; i < COUNT; i++) {
        rv_env *batch = make(COUNT, NULL, 0), *single = make(1, NULL, 0);
        rv_env_reset(batch, 40, observation);
        run(batch, COUNT, 0, i, 300, &together);
        rv_env_reset(single, 40 + (uint64_t)i, observation);
        run(single, 1, i, 0, 300, &alone);
        assert_memory_equal(&together, &alone, sizeof alone);
        rv_env_destroy(batch);
        rv_env_destroy(single);
    }
}

/* ---- ends of episodes ------------------------------------------------------------------------------------ */

static void terminated_and_truncated_apart(void **unused) {
    (void)unused;
    const rv_env_setting wide[] = {{"max_steps", 9}, {"theta_limit", 1e6}, {"x_limit", 1000}};
    static trace t;
    float observation[DIMS];
    rv_env *env = make(1, wide, 3);
    rv_env_reset(env, 1, observation);
    run(env, 1, 0, 0, 50, &t);
    rv_env_destroy(env);
    for (int s = 0; s < 50; s++) {
        assert_int_equal(t.truncated[s], s % 9 == 8);
        assert_int_equal(t.terminated[s], 0);
    }

    env = make(1, NULL, 0);
    rv_env_reset(env, 1, observation);
    run(env, 1, 0, 0, 300, &t);
    rv_env_destroy(env);
    int ends = 0;
    for (int s = 0; s < 300; s++) {
        int outside = fabsf(t.next[s][0]) > 2.4f || fabsf(t.next[s][2]) > (float)(12 * 2 * M_PI / 360);
        assert_int_equal(t.terminated[s], outside);
        assert_int_equal(t.truncated[s], 0);
        assert_true(t.reward[s] == 1.0f); /* also on the failing step */
        ends += outside;
        for (int d = 0; d < DIMS; d++) {
            if (outside) assert_true(fabsf(t.observation[s][d]) <= 0.05f); /* the new episode's first */
            else assert_true(t.observation[s][d] == t.next[s][d]);
        }
    }
    assert_in_range(ends, 3, 100);

    const rv_env_setting both[] = {{"max_steps", 1}, {"theta_limit", 0.1}, {"start", 10}};
    env = make(1, both, 3);
    rv_env_reset(env, 1, observation);
    run(env, 1, 0, 0, 1, &t);
    rv_env_destroy(env);
    assert_int_equal(t.terminated[0], 1);
    assert_int_equal(t.truncated[0], 1);
}

/* ---- masks, saved state --------------------------------------------------------------------------------- */

static void reset_touches_masked_rows_only(void **unused) {
    (void)unused;
    enum { COUNT = 5 };
    float before[COUNT * DIMS], after[COUNT * DIMS];
    rv_env *env = make(COUNT, NULL, 0);
    rv_env_reset(env, 3, before);
    memcpy(after, before, sizeof after);
    const uint8_t mask[COUNT] = {0, 1, 0, 0, 1};
    const uint64_t seeds[COUNT] = {3, 77, 3, 3, 77};
    assert_int_equal(rv_env_reset_some(env, mask, seeds, after), RV_OK);
    for (int i = 0; i < COUNT; i++) {
        int same = memcmp(before + i * DIMS, after + i * DIMS, DIMS * sizeof(float)) == 0;
        assert_int_equal(same, !mask[i]);
    }
    assert_memory_equal(after + 1 * DIMS, after + 4 * DIMS, DIMS * sizeof(float)); /* equal seeds */
    memcpy(before, after, sizeof before);
    assert_int_equal(rv_env_reset_some(env, mask, NULL, after), RV_OK); /* goes on: another start */
    assert_memory_not_equal(before + 1 * DIMS, after + 1 * DIMS, DIMS * sizeof(float));
    rv_env_destroy(env);
}

static void save_and_load(void **unused) {
    (void)unused;
    enum { COUNT = 3 };
    static trace warm, first, second;
    float observation[COUNT * DIMS], loaded[COUNT * DIMS];
    rv_env *env = make(COUNT, NULL, 0), *other = make(COUNT, NULL, 0);
    rv_env_reset(env, 9, observation);
    run(env, COUNT, 0, 1, 123, &warm);
    size_t size = rv_env_state_size(env);
    uint8_t *bytes = malloc(size);
    assert_int_equal(rv_env_save(env, bytes, size), RV_OK);
    run(env, COUNT, 0, 1, 500, &first);
    assert_int_equal(rv_env_load(other, bytes, size, loaded), RV_OK); /* never reset, and runs */
    assert_memory_equal(loaded + DIMS, warm.observation[122], DIMS * sizeof(float));
    run(other, COUNT, 0, 1, 500, &second);
    assert_memory_equal(&first, &second, sizeof first);

    bytes[size - 1] ^= 1;
    assert_int_equal(rv_env_load(other, bytes, size, loaded), RV_BAD_FILE);
    bytes[size - 1] ^= 1;
    assert_int_equal(rv_env_load(other, bytes, size - 1, loaded), RV_INVALID_ARGUMENT);
    const rv_env_setting setting = {"force", 30};
    rv_env *foreign = make(COUNT, &setting, 1);
    assert_int_equal(rv_env_load(foreign, bytes, size, loaded), RV_BAD_FILE);
    assert_non_null(strstr(rv_env_message(foreign), "these options"));
    free(bytes);
    rv_env_destroy(foreign);
    rv_env_destroy(env);
    rv_env_destroy(other);
}

/* ---- bad input ------------------------------------------------------------------------------------------- */

static void refuse(const char *name, int64_t count, rv_env_setting setting, rv_status status, const char *words) {
    rv_env *env;
    assert_int_equal(rv_env_create(name, count, &setting, 1, &env), status);
    if (!strstr(rv_env_message(env), words)) fail_msg("\"%s\" lacks \"%s\"", rv_env_message(env), words);
    float observation[DIMS];
    assert_int_equal(rv_env_reset(env, 1, observation), RV_WRONG_STATE); /* and can still be asked */
    rv_env_destroy(env);
}

static void three_choices(const void *state, rv_env_spaces *spaces) {
    rv_env_cartpole.spaces(state, spaces);
    spaces->action_choices = 3; /* and bounds for two */
}

static void bad_input(void **unused) {
    (void)unused;
    refuse("continous_cartpole", 1, (rv_env_setting){"force", 1}, RV_NOT_FOUND, "continuous_cartpole");
    refuse("continuous_cartpole", 1, (rv_env_setting){"forse", 1}, RV_NOT_FOUND, "\"force\"");
    refuse("continuous_cartpole", 1, (rv_env_setting){"force", -1}, RV_INVALID_ARGUMENT, "between");
    refuse("continuous_cartpole", 1, (rv_env_setting){"force", NAN}, RV_INVALID_ARGUMENT, "between");
    refuse("continuous_cartpole", 1, (rv_env_setting){"max_steps", 2.5}, RV_INVALID_ARGUMENT, "whole");
    refuse("continuous_cartpole", 0, (rv_env_setting){"force", 1}, RV_INVALID_ARGUMENT, "at least 1");
    refuse("continuous_cartpole", INT64_MAX, (rv_env_setting){"force", 1}, RV_TOO_LARGE, "too many");

    rv_env *env = make(2, NULL, 0);
    float action[2] = {0.0f, NAN}, observation[2 * DIMS], reward[2] = {7, 7};
    rv_env_result result = {.reward = reward};
    assert_int_equal(rv_env_step(env, action, &result), RV_WRONG_STATE);
    rv_env_reset(env, 1, observation);
    assert_int_equal(rv_env_step(env, action, &result), RV_NON_FINITE);
    assert_non_null(strstr(rv_env_message(env), "environment 1"));
    assert_true(reward[0] == 7);
    rv_env_destroy(env);
    rv_env_destroy(NULL);

    rv_env_table foreign = rv_env_continuous_cartpole;
    foreign.abi = RV_ENV_ABI + 1;
    assert_int_equal(rv_env_create_from(&foreign, 1, NULL, 0, &env), RV_INVALID_ARGUMENT);
    rv_env_destroy(env);
    foreign = rv_env_cartpole;
    foreign.spaces = three_choices;
    assert_int_equal(rv_env_create_from(&foreign, 1, NULL, 0, &env), RV_INVALID_ARGUMENT);
    assert_non_null(strstr(rv_env_message(env), "between 0 and 2"));
    rv_env_destroy(env);

    assert_int_equal(rv_env_create("cartpole", 2, NULL, 0, &env), RV_OK);
    rv_env_reset(env, 1, observation);
    assert_int_equal(rv_env_step(env, (float[]){0.5f, 1}, &result), RV_INVALID_ARGUMENT); /* no choice */
    assert_non_null(strstr(rv_env_message(env), "whole number"));
    assert_int_equal(rv_env_step(env, (float[]){0, 1}, &result), RV_OK);
    rv_env_destroy(env);
}

static void actions_are_clipped(void **unused) {
    (void)unused;
    float far[2] = {1.0f, 1000.0f}, observation[2 * DIMS], next[2 * DIMS];
    const uint64_t seeds[2] = {4, 4};
    rv_env *env = make(2, NULL, 0);
    rv_env_result result = {.next_observation = next};
    assert_int_equal(rv_env_reset_some(env, NULL, seeds, observation), RV_OK);
    assert_int_equal(rv_env_step(env, far, &result), RV_OK);
    assert_memory_equal(next, next + DIMS, DIMS * sizeof(float));
    rv_env_destroy(env);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step),
        cmocka_unit_test(starts_within_bounds_and_spread),
        cmocka_unit_test(same_seed_same_bits),
        cmocka_unit_test(batch_equals_singles),
        cmocka_unit_test(terminated_and_truncated_apart),
        cmocka_unit_test(reset_touches_masked_rows_only),
        cmocka_unit_test(save_and_load),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(actions_are_clipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
