/* Each of 10,000 steps of Gymnasium's, taken here from Gymnasium's own state, leads to the same place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "envs/table.h"
#include "tests/support/golden_steps.h"

enum { STEPS = 10000 };

/* The states in float64 as the environments save them. */
typedef struct pendulum_row {
    double theta, theta_dot;
    int64_t steps;
    uint64_t random;
} pendulum_row;

typedef struct cartpole_row {
    double at[4];
    int64_t steps;
    uint64_t random;
} cartpole_row;

static void *make(const rv_env_table *table) {
    double options[16];
    void *state;
    for (int o = 0; o < table->option_count; o++) options[o] = table->options[o].standard;
    assert_int_equal(table->create(options, 1, &state), 0);
    return state;
}

static double difference(double a, double b) { return fabs(a - b) / fmax(1.0, fabs(b)); }

/* The same angle, however many turns apart. */
static double turned(double a, double b) { return fabs(remainder(a - b, 2.0 * M_PI)); }

static double angle_within_a_turn(double theta) { return theta - 2.0 * M_PI * floor((theta + M_PI) / (2.0 * M_PI)); }

static void pendulum(void **unused) {
    (void)unused;
    const rv_env_table *table = &rv_env_continuous_pendulum;
    void *state = make(table);
    golden g = read_golden("gymnasium_pendulum", 4);
    int64_t steps = 0;
    double worst = 0;
    assert_int_equal(table->state_size(state), sizeof(pendulum_row));
    for (int64_t i = 0; i + 1 < g.rows; i++) {
        const double *now = g.row + i * 4, *next = now + 4;
        if (isnan(now[2])) continue;
        pendulum_row row = {angle_within_a_turn(now[0]), now[1], 7, 1};
        float action = fminf(fmaxf((float)now[2], -2.0f), 2.0f), observation[3], reward;
        uint8_t terminated, truncated;
        assert_int_equal(table->load(state, &row, observation), 0);
        assert_true(fabs(observation[0] - cos(now[0])) < 1e-7 && fabs(observation[1] - sin(now[0])) < 1e-7);
        table->step(state, &action, observation, &reward, &terminated, &truncated);
        table->save(state, &row);
        worst = fmax(worst, fmax(turned(row.theta, next[0]), difference(row.theta_dot, next[1])));
        /* what goes out is the float64 value, rounded once */
        assert_true(fabs(observation[0] - cos(next[0])) <= 0x1p-24 && fabs(observation[1] - sin(next[0])) <= 0x1p-24);
        assert_true(observation[2] == (float)row.theta_dot);
        assert_true(fabs((double)reward - now[3]) <= 0x1p-24 * fabs(now[3]) + 1e-12);
        assert_int_equal(terminated | truncated, 0);
        steps++;
    }
    print_message("pendulum: off by at most %.3g\n", worst);
    assert_int_equal(steps, STEPS);
    assert_true(worst < 1e-12);
    free(g.row);
    table->destroy(state);
}

static void cartpole(const rv_env_table *table, const char *name) {
    void *state = make(table);
    golden g = read_golden(name, 6);
    int64_t steps = 0, failures = 0;
    double worst = 0;
    assert_int_equal(table->state_size(state), sizeof(cartpole_row));
    for (int64_t i = 0; i + 1 < g.rows; i++) {
        const double *now = g.row + i * 6, *next = now + 6;
        if (isnan(now[4])) continue;
        cartpole_row row = {.steps = 7, .random = 1};
        memcpy(row.at, now, sizeof row.at);
        float action = (float)now[4], observation[4], reward;
        uint8_t terminated, truncated;
        assert_int_equal(table->load(state, &row, observation), 0);
        table->step(state, &action, observation, &reward, &terminated, &truncated);
        table->save(state, &row);
        for (int d = 0; d < 4; d++) {
            worst = fmax(worst, difference(row.at[d], next[d]));
            assert_true(observation[d] == (float)row.at[d]);
        }
        assert_true(reward == 1.0f);
        assert_int_equal(terminated, now[5] != 0);
        assert_int_equal(truncated, 0);
        failures += terminated;
        steps++;
    }
    print_message("%s: off by at most %.3g, %d episodes failed\n", table->name, worst, (int)failures);
    assert_int_equal(steps, STEPS);
    assert_true(failures > 100);
    assert_true(worst < 1e-12);
    free(g.row);
    table->destroy(state);
}

static void discrete_cartpole(void **unused) {
    (void)unused;
    cartpole(&rv_env_cartpole, "gymnasium_cartpole");
}

static void continuous_cartpole(void **unused) {
    (void)unused;
    cartpole(&rv_env_continuous_cartpole, "gymnasium_continuous");
}

/* Whether a row is stepped in a vector or in what is left over, its bits are the same. */
static void pendulum_rows_do_not_depend_on_their_place(void **unused) {
    (void)unused;
    enum { COUNT = 531 };
    static float together[COUNT][3], alone[3], action[COUNT], reward[COUNT], next[COUNT][3];
    rv_env *batch, *single;
    assert_int_equal(rv_env_create("continuous_pendulum", COUNT, NULL, 0, &batch), RV_OK);
    rv_env_reset(batch, 3, together[0]);
    rv_env_result result = {.observation = together[0], .next_observation = next[0], .reward = reward};
    static float seen[COUNT][230][4];
    for (int t = 0; t < 230; t++) {
        for (int i = 0; i < COUNT; i++) action[i] = (float)(2 * sin(0.3 * t + i));
        assert_int_equal(rv_env_step(batch, action, &result), RV_OK);
        for (int i = 0; i < COUNT; i++) {
            memcpy(seen[i][t], together[i], sizeof alone);
            seen[i][t][3] = reward[i];
        }
    }
    for (int i = 0; i < COUNT; i += 53) {
        assert_int_equal(rv_env_create("continuous_pendulum", 1, NULL, 0, &single), RV_OK);
        rv_env_reset(single, 3 + (uint64_t)i, alone);
        rv_env_result one = {.observation = alone, .reward = reward};
        for (int t = 0; t < 230; t++) {
            action[0] = (float)(2 * sin(0.3 * t + i));
            assert_int_equal(rv_env_step(single, action, &one), RV_OK);
            assert_memory_equal(alone, seen[i][t], sizeof alone);
            assert_true(reward[0] == seen[i][t][3]);
        }
        rv_env_destroy(single);
    }
    rv_env_destroy(batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pendulum),
        cmocka_unit_test(discrete_cartpole),
        cmocka_unit_test(continuous_cartpole),
        cmocka_unit_test(pendulum_rows_do_not_depend_on_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
