/* The Control Suite's cartpole and pendulum against their equations: golden/control_suite.py writes trajectories of them
 * in float64, and says how near the simulators themselves were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "envs/table.h"
#include "reverie/wrappers.h"
#include "tests/support/golden_steps.h"

enum { CART = 4, PENDULUM = 2 }; /* coordinates */

/* One environment's saved bytes are its coordinates, the steps of the episode, the random state. */
typedef union saved {
    struct {
        double at[CART];
        int64_t steps;
        uint64_t random;
    } cart;
    struct {
        double at[PENDULUM];
        int64_t steps;
        uint64_t random;
    } pendulum;
} saved;

static void *make_state(const rv_env_table *table, double max_steps) {
    void *state;
    assert_int_equal(table->option_count, 1);
    assert_string_equal(table->options[0].name, "max_steps");
    assert_int_equal(table->create(&max_steps, 1, &state), 0);
    return state;
}

static double difference(double a, double b) { return fabs(a - b) / fmax(1.0, fabs(b)); }

/* Puts a state, steps once, and gets the state it led to. */
static float step_once(const rv_env_table *table, void *state, double *at, size_t coordinates, double action, float *observation) {
    saved bytes = {0};
    float reward, a = (float)action;
    uint8_t terminated = 7, truncated = 7;
    memcpy(&bytes, at, coordinates * sizeof(double));
    assert_int_equal(table->load(state, &bytes, observation), 0);
    table->step(state, &a, observation, &reward, &terminated, &truncated);
    assert_int_equal(terminated | truncated, 0);
    table->save(state, &bytes);
    memcpy(at, &bytes, coordinates * sizeof(double));
    return reward;
}

/* Rounded once, from float64. */
static int shows(float seen, double value) { return fabs((double)seen - value) <= 0x1p-24 * fabs(value) + 1e-15; }

/* ---- single steps --------------------------------------------------------------------------------------------- */

static void cartpole_steps(const rv_env_table *table, int reward_column) {
    golden g = read_golden("dmc_cartpole", 7);
    void *state = make_state(table, 1000);
    double worst = 0, worst_beyond = 0, rewarded = 0;
    int beyond[2] = {0, 0}, steps = 0;
    assert_int_equal(table->state_size(state), sizeof ((saved *)0)->cart);
    for (int64_t i = 0; i + 1 < g.rows; i++) {
        const double *now = g.row + i * g.columns, *next = now + g.columns;
        if (isnan(now[4])) continue;
        double at[CART];
        float seen[5];
        memcpy(at, now, sizeof at);
        const float reward = step_once(table, state, at, CART, now[4], seen);
        for (int d = 0; d < CART; d++) {
            double *which = fabs(now[0]) > 1.8 ? &worst_beyond : &worst;
            *which = fmax(*which, difference(at[d], next[d]));
        }
        assert_true(seen[0] == (float)at[0] && seen[3] == (float)at[2] && seen[4] == (float)at[3]);
        assert_true(shows(seen[1], cos(at[1])) && shows(seen[2], sin(at[1])));
        assert_true(shows(reward, now[reward_column]));
        if (fabs(now[0]) > 1.8) beyond[now[0] > 0]++;
        rewarded += (double)reward;
        steps++;
    }
    print_message("%s: one step off by at most %.2g, beyond the limit %.2g\n", table->name, worst, worst_beyond);
    assert_true(worst <= 4e-15 && worst_beyond <= 4e-15);
    assert_true(steps == 3900 && beyond[0] > 100 && beyond[1] > 100 && rewarded > 500);
    free(g.row);
    table->destroy(state);
}

static void each_step_of_the_cartpole(void **unused) {
    (void)unused;
    cartpole_steps(&rv_env_dmc_cartpole_balance, 5);
    cartpole_steps(&rv_env_dmc_cartpole_swingup, 5);
    cartpole_steps(&rv_env_dmc_cartpole_balance_sparse, 6);
    cartpole_steps(&rv_env_dmc_cartpole_swingup_sparse, 6);
}

static void each_step_of_the_pendulum(void **unused) {
    (void)unused;
    const rv_env_table *table = &rv_env_dmc_pendulum_swingup;
    golden g = read_golden("dmc_pendulum", 4);
    void *state = make_state(table, 1000);
    double worst = 0, rewarded = 0;
    int steps = 0;
    assert_int_equal(table->state_size(state), sizeof ((saved *)0)->pendulum);
    for (int64_t i = 0; i + 1 < g.rows; i++) {
        const double *now = g.row + i * g.columns, *next = now + g.columns;
        if (isnan(now[2])) continue;
        double at[PENDULUM] = {now[0], now[1]};
        float seen[3];
        const float reward = step_once(table, state, at, PENDULUM, now[2], seen);
        for (int d = 0; d < PENDULUM; d++) worst = fmax(worst, difference(at[d], next[d]));
        assert_true(shows(seen[0], cos(at[0])) && shows(seen[1], sin(at[0])) && seen[2] == (float)at[1]);
        assert_true(reward == (float)now[3]);
        rewarded += (double)reward;
        steps++;
    }
    print_message("%s: one step off by at most %.2g\n", table->name, worst);
    assert_true(worst <= 4e-15);
    assert_true(steps == 1600 && rewarded > 400 && rewarded < 1000);
    free(g.row);
    table->destroy(state);
}

/* ---- whole trajectories, on their own from where they begin --------------------------------------------------------- */

static double trajectories(const rv_env_table *table, const char *name, int columns, int coordinates, int limit) {
    golden g = read_golden(name, columns);
    void *state = make_state(table, 1e9);
    double at[CART] = {0}, worst = 0;
    float seen[5];
    int since = limit;
    for (int64_t i = 0; i < g.rows; i++) {
        const double *now = g.row + i * columns;
        if (i == 0 || isnan(now[coordinates - columns])) { /* the row before ended a trajectory */
            memcpy(at, now, (size_t)coordinates * sizeof *at);
            since = 0;
        }
        for (int d = 0; since <= limit && d < coordinates; d++) worst = fmax(worst, difference(at[d], now[d]));
        if (since++ < limit && !isnan(now[coordinates])) step_once(table, state, at, (size_t)coordinates, now[coordinates], seen);
    }
    print_message("%s: %d steps off by at most %.2g\n", table->name, limit, worst);
    free(g.row);
    table->destroy(state);
    return worst;
}

static void a_trajectory_on_its_own(void **unused) {
    (void)unused;
    assert_true(trajectories(&rv_env_dmc_cartpole_swingup, "dmc_cartpole", 7, CART, 150) <= 1e-12);
    assert_true(trajectories(&rv_env_dmc_pendulum_swingup, "dmc_pendulum", 4, PENDULUM, 100) <= 1e-12);
}

/* Seen in a mirror, everything moves as it does: to the last bit, within the limit and beyond. */
static void left_is_like_right(void **unused) {
    (void)unused;
    const rv_env_table *table = &rv_env_dmc_cartpole_swingup;
    void *state = make_state(table, 1e9);
    double at[CART] = {1.7, 2.0, 0.5, -3.0}, mirrored[CART] = {-1.7, -2.0, -0.5, 3.0};
    float seen[5], other[5];
    int beyond = 0;
    for (int t = 0; t < 500; t++) {
        const double action = (double)(float)sin(0.03 * t);
        const float a = step_once(table, state, at, CART, action, seen), b = step_once(table, state, mirrored, CART, -action, other);
        assert_true(a == b);
        for (int d = 0; d < CART; d++) assert_true(at[d] == -mirrored[d]);
        beyond += fabs(at[0]) > 1.8;
    }
    assert_true(beyond > 20 && beyond < 480);
    table->destroy(state);
}

/* ---- starts, clock ------------------------------------------------------------------------------------------------ */

enum { COUNT = 20000 };

/* Mean and variance of a start coordinate are those wanted, within five standard errors, and neighbouring seeds are not
 * alike. `fourth` is the fourth central moment. */
static void spread(const double *value, double mean, double variance, double fourth) {
    double sum = 0, squares = 0, between = 0;
    for (int i = 0; i < COUNT; i++) {
        const double v = value[i] - mean;
        sum += v;
        squares += v * v;
        if (i + 1 < COUNT) between += v * (value[i + 1] - mean);
    }
    assert_true(fabs(sum / COUNT) <= 5 * sqrt(variance / COUNT));
    assert_true(fabs(squares / COUNT - variance) <= 5 * sqrt((fourth - variance * variance) / COUNT));
    assert_true(fabs(between / COUNT) <= 5 * variance / sqrt(COUNT));
}

static void spread_normal(const double *value, double mean, double deviation) {
    spread(value, mean, deviation * deviation, 3 * pow(deviation, 4));
}

static void spread_uniform(const double *value, double half) {
    for (int i = 0; i < COUNT; i++) assert_true(fabs(value[i]) <= half);
    spread(value, 0, half * half / 3, pow(half, 4) / 5);
}

/* The coordinates after a reset: [coordinate][COUNT], the first thing that is saved. */
static double *starts_of(const rv_env_table *table) {
    const double max_steps = 1000;
    static float observation[COUNT * 5];
    static uint64_t seeds[COUNT];
    void *state;
    for (int i = 0; i < COUNT; i++) seeds[i] = 7 + (uint64_t)i;
    assert_int_equal(table->create(&max_steps, COUNT, &state), 0);
    table->reset(state, NULL, seeds, observation);
    double *bytes = malloc(table->state_size(state));
    table->save(state, bytes);
    table->destroy(state);
    return bytes;
}

static void starts(void **unused) {
    (void)unused;
    double *at = starts_of(&rv_env_dmc_pendulum_swingup);
    spread_uniform(at, M_PI);
    for (int i = 0; i < COUNT; i++) assert_true(at[COUNT + i] == 0.0);
    free(at);
    const rv_env_table *const hanging[] = {&rv_env_dmc_cartpole_swingup, &rv_env_dmc_cartpole_swingup_sparse};
    const rv_env_table *const upright[] = {&rv_env_dmc_cartpole_balance, &rv_env_dmc_cartpole_balance_sparse};
    for (int t = 0; t < 2; t++) {
        at = starts_of(hanging[t]);
        for (int d = 0; d < CART; d++) spread_normal(at + d * COUNT, d == 1 ? M_PI : 0.0, 0.01);
        free(at);
        at = starts_of(upright[t]);
        spread_uniform(at, 0.1);
        spread_uniform(at + COUNT, 0.034);
        for (int d = 2; d < CART; d++) spread_normal(at + d * COUNT, 0.0, 0.01);
        free(at);
    }
}

/* 1000 steps and no end before, whatever is done; and so many repeats of three as that takes. */
static void only_time_ends_an_episode(void **unused) {
    (void)unused;
    static const char *const names[] = {"dmc_pendulum_swingup", "dmc_cartpole_swingup", "dmc_cartpole_balance_sparse"};
    for (int n = 0; n < 3; n++) {
        for (int times = 1; times <= 3; times += 2) {
            rv_env *env;
            float observation[2 * 5], reward[2];
            uint8_t terminated[2], truncated[2];
            rv_env_result result = {.observation = observation, .reward = reward, .terminated = terminated, .truncated = truncated};
            const int length = (1000 + times - 1) / times;
            assert_int_equal(rv_env_create(names[n], 2, NULL, 0, &env), RV_OK);
            assert_int_equal(rv_env_wrap_action_repeat(&env, times), RV_OK);
            rv_env_reset(env, 1, observation);
            for (int t = 0; t < 2 * length + 5; t++) {
                assert_int_equal(rv_env_step(env, (float[]){1, -1}, &result), RV_OK);
                for (int i = 0; i < 2; i++) {
                    assert_int_equal(terminated[i], 0);
                    assert_int_equal(truncated[i], t % length == length - 1);
                    assert_true(reward[i] >= 0 && reward[i] <= (float)times);
                }
            }
            rv_env_destroy(env);
        }
    }
}

/* ---- bad input ----------------------------------------------------------------------------------------------------- */

static void refuse(const char *name, rv_env_setting setting, rv_status status, const char *words) {
    rv_env *env;
    assert_int_equal(rv_env_create(name, 1, &setting, 1, &env), status);
    if (!strstr(rv_env_message(env), words)) fail_msg("\"%s\" lacks \"%s\"", rv_env_message(env), words);
    rv_env_destroy(env);
}

static void bad_input(void **unused) {
    (void)unused;
    refuse("dmc_cartpole_swing_up", (rv_env_setting){"max_steps", 1}, RV_NOT_FOUND, "\"dmc_cartpole_swingup\"");
    refuse("dmc_cartpole_swingup", (rv_env_setting){"max_step", 1}, RV_NOT_FOUND, "\"max_steps\"");
    refuse("dmc_cartpole_swingup", (rv_env_setting){"max_steps", 0}, RV_INVALID_ARGUMENT, "max_steps is 0, must lie between 1");
    refuse("dmc_pendulum_swingup", (rv_env_setting){"max_steps", 9.5}, RV_INVALID_ARGUMENT, "max_steps is 9.5, must be a whole");
    const rv_env_table *table = &rv_env_dmc_cartpole_balance;
    void *state = make_state(table, 1000);
    float seen[5];
    saved bytes = {0};
    assert_int_equal(table->load(state, &bytes, seen), 0);
    bytes.cart.at[3] = NAN;
    assert_int_not_equal(table->load(state, &bytes, seen), 0);
    table->destroy(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_of_the_cartpole),
        cmocka_unit_test(each_step_of_the_pendulum),
        cmocka_unit_test(a_trajectory_on_its_own),
        cmocka_unit_test(left_is_like_right),
        cmocka_unit_test(starts),
        cmocka_unit_test(only_time_ends_an_episode),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
