/* The pendulum beyond single steps: where it starts, that it can be swung up, its clock, and each instruction set's
 * loops against the equations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "envs/pendulum.h"
#include "envs/table.h"

static rv_env *make(int64_t count, const rv_env_setting *setting) {
    rv_env *env;
    assert_int_equal(rv_env_create("continuous_pendulum", count, setting, setting != NULL, &env), RV_OK);
    return env;
}

/* ---- every copy of the loops ---------------------------------------------------------------------------------- */

enum { ROWS = 4099 };

static void steps_as_the_equations_say(const rv_pendulum_code *code) {
    static double theta[ROWS], speed[ROWS], sine[ROWS], before[ROWS], speed_before[ROWS];
    static float action[ROWS], observation[ROWS * 3], reward[ROWS];
    static uint8_t terminated[ROWS], truncated[ROWS];
    static uint64_t random[ROWS];
    static int64_t end[ROWS];
    rv_pendulum env = {.count = ROWS, .gravity = 10, .max_steps = 3, .theta = theta, .theta_dot = speed, .random = random, .end = end, .sine = sine};
    uint64_t draw = 7;
    double worst = 0;
    for (int i = 0; i < ROWS; i++) {
        theta[i] = rv_env_random_uniform(&draw, -M_PI, M_PI);
        speed[i] = rv_env_random_uniform(&draw, -8, 8);
        if (i < 64) theta[i] = (i % 2 ? -1 : 1) * (M_PI - 1e-3 * (i / 2) * (i / 2)); /* about to turn over */
        action[i] = (float)rv_env_random_uniform(&draw, -2, 2);
        end[i] = env.max_steps + i % 2;
    }
    code->observe(&env, observation);
    for (int t = 0; t < 4; t++) {
        memcpy(before, theta, sizeof theta);
        memcpy(speed_before, speed, sizeof speed);
        code->step(&env, action, observation, reward, terminated, truncated);
        for (int i = 0; i < ROWS; i++) {
            const double u = (double)action[i], cost = before[i] * before[i] + 0.1 * speed_before[i] * speed_before[i] + 0.001 * u * u;
            const double next_speed = fmin(fmax(speed_before[i] + (15 * sin(before[i]) + 3 * u) * 0.05, -8), 8);
            const double next = before[i] + 0.05 * next_speed;
            worst = fmax(worst, fmax(fabs(remainder(theta[i] - next, 2 * M_PI)), fabs(speed[i] - next_speed)));
            worst = fmax(worst, fabs(sine[i] - sin(next)));
            assert_true(fabs(theta[i]) <= M_PI + 1e-15);
            assert_true(fabs((double)observation[3 * i] - cos(next)) <= 0x1p-24 && fabs((double)observation[3 * i + 1] - sin(next)) <= 0x1p-24);
            assert_true(observation[3 * i + 2] == (float)speed[i]);
            assert_true(fabs((double)reward[i] + cost) <= 0x1p-23 * cost + 1e-12);
            assert_int_equal(terminated[i], 0);
            assert_int_equal(truncated[i], t + 1 >= env.max_steps + i % 2);
        }
    }
    assert_true(worst < 1e-13);
}

static void every_instruction_set(void **unused) {
    (void)unused;
    steps_as_the_equations_say(&rv_pendulum_code_baseline);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) steps_as_the_equations_say(&rv_pendulum_code_avx2);
    else print_message("no avx2 here\n");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        steps_as_the_equations_say(&rv_pendulum_code_avx512);
    } else {
        print_message("no avx512 here\n");
    }
#endif
}

/* ---- episodes --------------------------------------------------------------------------------------------------- */

static void starts_anywhere(void **unused) {
    (void)unused;
    enum { COUNT = 20000 };
    rv_env *env = make(COUNT, NULL);
    float *at = malloc(COUNT * 3 * sizeof *at);
    assert_int_equal(rv_env_reset(env, 1, at), RV_OK);
    double sum = 0, squares = 0, speeds = 0;
    for (int i = 0; i < COUNT; i++) {
        const double theta = atan2((double)at[3 * i + 1], (double)at[3 * i]);
        sum += theta;
        squares += theta * theta;
        speeds += (double)at[3 * i + 2] * (double)at[3 * i + 2];
        assert_true(fabsf(at[3 * i + 2]) <= 1);
    }
    /* within five standard errors of U(-pi, pi) and U(-1, 1) */
    assert_true(fabs(sum / COUNT) < 5 * M_PI / sqrt(3.0 * COUNT));
    assert_true(fabs(squares / COUNT - M_PI * M_PI / 3) < 5 * M_PI * M_PI * sqrt(4.0 / 45 / COUNT));
    assert_true(fabs(speeds / COUNT - 1.0 / 3) < 5 * sqrt(4.0 / 45 / COUNT));
    free(at);
    rv_env_destroy(env);
}

/* Episodes are cut after 200 steps wherever they began, and never end by themselves. */
static void the_clock(void **unused) {
    (void)unused;
    enum { COUNT = 4 };
    rv_env *env = make(COUNT, NULL);
    float at[COUNT * 3], action[COUNT] = {0};
    uint8_t terminated[COUNT], truncated[COUNT], mask[COUNT] = {0, 1, 0, 1};
    int begun[COUNT] = {0, 50, 0, 50};
    rv_env_result result = {.observation = at, .terminated = terminated, .truncated = truncated};
    rv_env_reset(env, 1, at);
    for (int t = 0; t < 900; t++) {
        if (t == 50) assert_int_equal(rv_env_reset_some(env, mask, NULL, at), RV_OK);
        assert_int_equal(rv_env_step(env, action, &result), RV_OK);
        for (int i = 0; i < COUNT; i++) {
            const int age = t + 1 - (t >= 50 ? begun[i] : 0);
            assert_int_equal(terminated[i], 0);
            assert_int_equal(truncated[i], age % 200 == 0);
        }
    }
    rv_env_destroy(env);
}

static void the_scripted_policy_swings_up_and_holds(void **unused) {
    (void)unused;
    enum { COUNT = 200 };
    const rv_env_setting longer = {"max_steps", 400};
    rv_env *env = make(COUNT, &longer);
    static float at[COUNT * 3], action[COUNT], reward[COUNT];
    rv_env_result result = {.observation = at, .reward = reward};
    rv_env_reset(env, 3, at);
    int upright = 0;
    for (int t = 0; t < 390; t++) {
        assert_int_equal(rv_env_scripted(env, COUNT, at, action), RV_OK);
        assert_int_equal(rv_env_step(env, action, &result), RV_OK);
        for (int i = 0; t >= 200 && i < COUNT; i++) upright += at[3 * i] > 0.98f;
    }
    assert_true(upright > COUNT * 190 * 95 / 100);
    rv_env_destroy(env);
}

static void states_that_cannot_be_are_refused(void **unused) {
    (void)unused;
    const rv_env_table *table = &rv_env_continuous_pendulum;
    const double options[] = {10, 200};
    struct { double theta, theta_dot; int64_t steps; uint64_t random; } row = {1, 2, 3, 4};
    float at[3];
    void *state;
    assert_int_equal(table->create(options, 1, &state), 0);
    assert_int_equal(table->state_size(state), sizeof row);
    assert_int_equal(table->load(state, &row, at), 0);
    row.theta = 3.2;
    assert_int_not_equal(table->load(state, &row, at), 0);
    row.theta = NAN;
    assert_int_not_equal(table->load(state, &row, at), 0);
    row.theta = 0;
    row.theta_dot = -8.001;
    assert_int_not_equal(table->load(state, &row, at), 0);
    row.theta_dot = -8;
    row.steps = -1;
    assert_int_not_equal(table->load(state, &row, at), 0);
    table->destroy(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set),
        cmocka_unit_test(starts_anywhere),
        cmocka_unit_test(the_clock),
        cmocka_unit_test(the_scripted_policy_swings_up_and_holds),
        cmocka_unit_test(states_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
