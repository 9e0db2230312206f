/* Every wrapper: what it says it does, a batch = its environments alone, saved = loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/wrappers.h"

enum { MAX = 64, STEPS = 260 };

typedef void wrap_function(rv_env **env);

static void ok(rv_env *env, rv_status status) {
    if (status != RV_OK) fail_msg("%s", rv_env_message(env));
}

static rv_env *make(const char *name, int64_t count, wrap_function *wrap) {
    rv_env *env;
    assert_int_equal(rv_env_create(name, count, NULL, 0, &env), RV_OK);
    if (wrap) wrap(&env);
    return env;
}

static void none(rv_env **env) { (void)env; }
static void limit(rv_env **env) { ok(*env, rv_env_wrap_time_limit(env, 13)); }
static void repeat(rv_env **env) { ok(*env, rv_env_wrap_action_repeat(env, 3)); }
static void rescale(rv_env **env) { ok(*env, rv_env_wrap_action_rescale(env, -3.0f, 5.0f)); }
static void scale(rv_env **env) { ok(*env, rv_env_wrap_reward_scale(env, 0.125)); }
static void stack(rv_env **env) { ok(*env, rv_env_wrap_frame_stack(env, 4)); }
static void normalise(rv_env **env) { ok(*env, rv_env_wrap_normalise(env, 3.0)); }

static void frozen(rv_env **env) {
    const double mean[5] = {0.25, -0.5, 1, 0, 2}, variance[5] = {0.5, 2, 4, 0.01, 9}; /* as many as any environment here shows */
    normalise(env);
    ok(*env, rv_env_normaliser_set(*env, mean, variance, 100));
    ok(*env, rv_env_normaliser_freeze(*env, 1));
}

static void everything(rv_env **env) {
    limit(env);
    repeat(env);
    scale(env);
    frozen(env);
    stack(env);
    rv_env_spaces spaces = {.size = sizeof spaces};
    rv_env_spaces_get(*env, &spaces);
    if (!spaces.action_choices) rescale(env);
}

/* ---- what comes out, step after step ------------------------------------------------------------------------ */

typedef struct trace {
    float observation[STEPS + 1][MAX], next[STEPS][MAX], reward[STEPS], action[STEPS];
    uint8_t terminated[STEPS], truncated[STEPS];
    int64_t size;
} trace;

static float action_at(const rv_env_spaces *s, int64_t row, int step) {
    const double share = 0.5 + 0.5 * sin(0.9 * step + 1.3 * (double)row);
    if (s->action_choices) return (float)floor(share * 0.999 * (double)s->action_choices);
    return (float)((double)s->action_low[0] + share * (double)(s->action_high[0] - s->action_low[0]));
}

/* Runs on and keeps what one row gives; rows are numbered from `offset`, steps from `from`. */
static void run(rv_env *env, int64_t offset, int64_t watched, int from, int steps, trace *out) {
    const int64_t count = rv_env_count(env);
    rv_env_spaces s = {.size = sizeof s};
    assert_int_equal(rv_env_spaces_get(env, &s), RV_OK);
    assert_true(s.observation_size <= MAX && s.action_size == 1);
    float *observation = calloc((size_t)(count * s.observation_size), sizeof(float));
    float *next = calloc((size_t)(count * s.observation_size), sizeof(float));
    float *reward = calloc((size_t)count, sizeof(float)), *action = calloc((size_t)count, sizeof(float));
    uint8_t *terminated = calloc((size_t)count, 1), *truncated = calloc((size_t)count, 1);
    rv_env_result result = {observation, next, reward, terminated, truncated};
    const size_t bytes = (size_t)s.observation_size * sizeof(float);
    out->size = s.observation_size;
    for (int t = from; t < from + steps; t++) {
        for (int64_t i = 0; i < count; i++) action[i] = action_at(&s, offset + i, t);
        ok(env, rv_env_step(env, action, &result));
        memcpy(out->observation[t + 1], observation + watched * s.observation_size, bytes);
        memcpy(out->next[t], next + watched * s.observation_size, bytes);
        out->reward[t] = reward[watched];
        out->action[t] = action[watched];
        out->terminated[t] = terminated[watched];
        out->truncated[t] = truncated[watched];
        for (int64_t c = 0; c < s.observation_size; c++) {
            assert_in_range((int)(next[watched * s.observation_size + c] >= s.observation_low[c] &&
                                  next[watched * s.observation_size + c] <= s.observation_high[c]), 1, 1);
        }
    }
    free(observation);
    free(next);
    free(reward);
    free(action);
    free(terminated);
    free(truncated);
}

static void begin(rv_env *env, uint64_t seed, int64_t watched, trace *out) {
    rv_env_spaces s = {.size = sizeof s};
    rv_env_spaces_get(env, &s);
    float *observation = calloc((size_t)(rv_env_count(env) * s.observation_size), sizeof(float));
    memset(out, 0, sizeof *out);
    ok(env, rv_env_reset(env, seed, observation));
    memcpy(out->observation[0], observation + watched * s.observation_size, (size_t)s.observation_size * sizeof(float));
    free(observation);
}

static const char *const names[] = {"continuous_cartpole", "continuous_pendulum", "cartpole",
                                    "dmc_pendulum_swingup", "dmc_cartpole_swingup", "sequence"};
static wrap_function *const wraps[] = {none, limit, repeat, rescale, scale, stack, frozen, everything};
enum { NAMES = sizeof names / sizeof *names, WRAPS = sizeof wraps / sizeof *wraps };

static int fits(const char *name, wrap_function *wrap) { return wrap != rescale || strcmp(name, "cartpole") != 0; }

static void batch_equals_singles(void **unused) {
    (void)unused;
    enum { COUNT = 5 };
    static trace together, alone;
    for (int n = 0; n < NAMES; n++) {
        for (int w = 0; w < WRAPS; w++) {
            for (int64_t i = 0; fits(names[n], wraps[w]) && i < COUNT; i += 2) {
                rv_env *batch = make(names[n], COUNT, wraps[w]), *single = make(names[n], 1, wraps[w]);
                begin(batch, 70, i, &together);
                run(batch, 0, i, 0, STEPS, &together);
                begin(single, 70 + (uint64_t)i, 0, &alone);
                run(single, i, 0, 0, STEPS, &alone);
                assert_memory_equal(&together, &alone, sizeof alone);
                rv_env_destroy(batch);
                rv_env_destroy(single);
            }
        }
    }
}

static void saved_is_loaded(void **unused) {
    (void)unused;
    enum { COUNT = 3, FIRST = 101 };
    static trace whole, parts;
    for (int n = 0; n < NAMES; n++) {
        for (int w = 0; w <= WRAPS; w++) { /* and the normaliser that goes on */
            wrap_function *wrap = w < WRAPS ? wraps[w] : normalise;
            if (!fits(names[n], wrap)) continue;
            rv_env *env = make(names[n], COUNT, wrap), *other = make(names[n], COUNT, wrap), *plain = make(names[n], COUNT, none);
            begin(env, 9, 1, &whole);
            run(env, 0, 1, 0, FIRST, &whole);
            const size_t size = rv_env_state_size(env);
            uint8_t *bytes = malloc(size);
            ok(env, rv_env_save(env, bytes, size));
            parts = whole;
            run(env, 0, 1, FIRST, STEPS - FIRST, &whole);
            float *loaded = calloc(COUNT * MAX, sizeof(float));
            ok(other, rv_env_load(other, bytes, size, loaded));
            assert_memory_equal(loaded + whole.size, parts.observation[FIRST], (size_t)whole.size * sizeof(float));
            run(other, 0, 1, FIRST, STEPS - FIRST, &parts);
            assert_memory_equal(&whole, &parts, sizeof whole);

            bytes[size / 2] ^= 4;
            assert_int_equal(rv_env_load(other, bytes, size, loaded), RV_BAD_FILE);
            assert_int_equal(rv_env_load(other, bytes, size - 1, loaded), RV_INVALID_ARGUMENT);
            bytes[size / 2] ^= 4;
            if (wrap != none) assert_int_not_equal(rv_env_load(plain, bytes, size, loaded), RV_OK); /* other bytes */
            free(bytes);
            free(loaded);
            rv_env_destroy(env);
            rv_env_destroy(other);
            rv_env_destroy(plain);
        }
    }
}

/* ---- one by one, against the environment inside ------------------------------------------------------------- */

static void pair(const char *name, wrap_function *wrap, trace *inside, trace *outside) {
    rv_env *plain = make(name, 1, none), *wrapped = make(name, 1, wrap);
    begin(plain, 4, 0, inside);
    run(plain, 0, 0, 0, STEPS, inside);
    begin(wrapped, 4, 0, outside);
    run(wrapped, 0, 0, 0, STEPS, outside);
    rv_env_destroy(plain);
    rv_env_destroy(wrapped);
}

static trace inside, outside;

static void time_limit(void **unused) {
    (void)unused;
    pair("continuous_pendulum", limit, &inside, &outside);
    for (int t = 0; t < STEPS; t++) {
        assert_int_equal(outside.truncated[t], t % 13 == 12);
        if (t < 13) assert_memory_equal(outside.next[t], inside.next[t], 3 * sizeof(float));
    }
    pair("continuous_cartpole", limit, &inside, &outside); /* an episode that ends by itself begins a new count */
    int since = 0;
    for (int t = 0; t < STEPS; t++) {
        since++;
        assert_int_equal(outside.truncated[t], since == 13);
        if (outside.terminated[t] || outside.truncated[t]) since = 0;
    }
}

static void action_repeat(void **unused) {
    (void)unused;
    rv_env *env = make("continuous_cartpole", 1, none), *three = make("continuous_cartpole", 1, repeat);
    rv_env_spaces s = {.size = sizeof s};
    float at[4], next[4], reward, far[4], total, action;
    uint8_t terminated, truncated, ended, cut;
    rv_env_result one = {at, next, &reward, &terminated, &truncated}, all = {NULL, far, &total, &ended, &cut};
    rv_env_spaces_get(three, &s);
    assert_true(fabs(s.step_seconds - 0.06) < 1e-12);
    rv_env_reset(env, 4, at);
    rv_env_reset(three, 4, far);
    int ends = 0;
    for (int t = 0; t < 8 && !ends; t++) { /* the first episode; later ones begin from other draws */
        float sum = 0;
        action = 1.0f;
        for (int k = 0; k < 3 && !ends; k++) {
            ok(env, rv_env_step(env, &action, &one));
            sum += reward;
            ends = terminated;
        }
        ok(three, rv_env_step(three, &action, &all));
        assert_memory_equal(next, far, sizeof far);
        assert_true(sum == total);
        assert_int_equal(ended, terminated);
    }
    assert_int_equal(ends, 1);
    assert_true(total < 3); /* it ended in the midst of a step */
    rv_env_destroy(env);
    rv_env_destroy(three);
}

static void action_rescale(void **unused) {
    (void)unused;
    rv_env *env = make("continuous_pendulum", 3, none), *wide = make("continuous_pendulum", 3, rescale);
    float seen[9], other[9], next[9], far[9], scripted[3], wrapped[3];
    rv_env_spaces s = {.size = sizeof s};
    rv_env_spaces_get(wide, &s);
    assert_true(s.action_low[0] == -3 && s.action_high[0] == 5);
    rv_env_reset(env, 1, seen);
    rv_env_reset(wide, 1, other);
    rv_env_result a = {.next_observation = next}, b = {.next_observation = far};
    ok(env, rv_env_step(env, (float[]){-2, 0.5f, 2}, &a));
    ok(wide, rv_env_step(wide, (float[]){-3, 2, 5}, &b));
    assert_memory_equal(next, far, sizeof far);
    ok(wide, rv_env_step(wide, (float[]){-30, 2, 50}, &b)); /* clipped to the new bounds */
    ok(env, rv_env_step(env, (float[]){-2, 0.5f, 2}, &a));
    assert_memory_equal(next, far, sizeof far);
    ok(env, rv_env_scripted(env, 3, next, scripted));
    ok(wide, rv_env_scripted(wide, 3, next, wrapped));
    for (int i = 0; i < 3; i++) assert_true(fabsf((wrapped[i] + 3) / 8 * 4 - 2 - scripted[i]) < 1e-5f);
    rv_env_destroy(wide);
    rv_env_destroy(env);
    env = make("cartpole", 1, none);
    assert_int_equal(rv_env_wrap_action_rescale(&env, -1, 1), RV_UNSUPPORTED);
    rv_env_destroy(env);
}

static void reward_scale(void **unused) {
    (void)unused;
    pair("continuous_pendulum", scale, &inside, &outside);
    for (int t = 0; t < STEPS; t++) assert_true(outside.reward[t] == 0.125f * inside.reward[t] && inside.reward[t] != 0);
    assert_memory_equal(inside.next, outside.next, sizeof inside.next);
}

static void frame_stack(void **unused) {
    (void)unused;
    pair("continuous_cartpole", stack, &inside, &outside);
    assert_int_equal(outside.size, 16);
    int first = 0; /* index of the episode's first observation */
    for (int t = 0; t < STEPS; t++) {
        for (int f = 0; f < 4; f++) {
            const int back = t + 1 - (3 - f);
            const float *frame = back > t ? inside.next[t] : back <= first ? inside.observation[first] : inside.observation[back];
            assert_memory_equal(outside.next[t] + 4 * f, frame, 4 * sizeof(float));
        }
        if (!inside.terminated[t] && !inside.truncated[t]) continue;
        first = t + 1;
        for (int f = 0; f < 4; f++) assert_memory_equal(outside.observation[first] + 4 * f, inside.observation[first], 4 * sizeof(float));
    }
    assert_true(first > 0);
    rv_env *env = make("continuous_cartpole", 1, stack);
    rv_env_spaces s = {.size = sizeof s};
    rv_env_spaces_get(env, &s);
    assert_string_equal(s.observation_names[0], "cart position, 3 before");
    assert_string_equal(s.observation_names[12], "cart position");
    assert_string_equal(rv_env_table_of(env)->name, "frame_stack(continuous_cartpole)");
    rv_env_destroy(env);
}

static void normaliser_takes_what_it_sees(void **unused) {
    (void)unused;
    enum { COUNT = 8, ROUNDS = 250 };
    rv_env *plain = make("continuous_pendulum", COUNT, none), *env = make("continuous_pendulum", COUNT, normalise);
    float raw[COUNT * 3], after[COUNT * 3], shown[COUNT * 3], action[COUNT];
    double sum[3] = {0}, squares[3] = {0}, count = 0;
    rv_env_reset(plain, 2, raw);
    rv_env_reset(env, 2, shown);
    for (int t = 0; t <= ROUNDS; t++) {
        for (int i = 0; i < COUNT * 3; i++) {
            sum[i % 3] += (double)raw[i];
            squares[i % 3] += (double)raw[i] * (double)raw[i];
        }
        count += COUNT;
        if (t == 199 || t == 200) { /* every episode was cut in this step: where it led counts as well */
            for (int i = 0; t == 200 && i < COUNT * 3; i++) {
                sum[i % 3] += (double)after[i];
                squares[i % 3] += (double)after[i] * (double)after[i];
            }
            if (t == 200) count += COUNT;
        }
        if (t == ROUNDS) break;
        for (int i = 0; i < COUNT; i++) action[i] = (float)(2 * sin(0.2 * t + i));
        rv_env_result a = {.observation = raw, .next_observation = after}, b = {.observation = shown};
        ok(plain, rv_env_step(plain, action, &a));
        ok(env, rv_env_step(env, action, &b));
    }
    double mean[3], variance[3], taken;
    ok(env, rv_env_normaliser_get(env, mean, variance, &taken));
    assert_true(taken == count);
    for (int d = 0; d < 3; d++) {
        const double m = sum[d] / count, v = squares[d] / count - m * m;
        assert_true(fabs(mean[d] - m) < 1e-10 && fabs(variance[d] - v) < 1e-9 * v);
        for (int i = 0; i < COUNT; i++) {
            const double expected = ((double)raw[3 * i + d] - m) / sqrt(v + 1e-8);
            assert_true(fabs((double)shown[3 * i + d] - fmin(fmax(expected, -3), 3)) < 1e-5);
        }
    }
    ok(env, rv_env_normaliser_freeze(env, 1));
    rv_env_result b = {.observation = shown};
    ok(env, rv_env_step(env, action, &b));
    double still[3];
    ok(env, rv_env_normaliser_get(env, still, NULL, &taken));
    assert_true(taken == count);
    assert_memory_equal(still, mean, sizeof mean);
    ok(env, rv_env_normaliser_freeze(env, 0));
    ok(env, rv_env_step(env, action, &b));
    ok(env, rv_env_normaliser_get(env, NULL, NULL, &taken));
    assert_true(taken == count + COUNT);
    rv_env_destroy(plain);
    rv_env_destroy(env);
}

/* The scripted policy sees through what is put round it. */
static void scripted_policies_go_on_balancing(void **unused) {
    (void)unused;
    static wrap_function *const seen[] = {none, stack, frozen};
    for (int w = 0; w < 3; w++) {
        rv_env *env = make("continuous_cartpole", 4, seen[w]);
        float observation[4 * 16], action[4];
        uint8_t terminated[4];
        rv_env_result result = {.observation = observation, .terminated = terminated};
        rv_env_reset(env, 1, observation);
        for (int t = 0; t < 300; t++) {
            ok(env, rv_env_scripted(env, 4, observation, action));
            ok(env, rv_env_step(env, action, &result));
            for (int i = 0; i < 4; i++) assert_int_equal(terminated[i], 0);
        }
        rv_env_destroy(env);
    }
}

static void bad_input(void **unused) {
    (void)unused;
    rv_env *env = make("continuous_cartpole", 2, none), *before = env;
    float observation[8];
    assert_int_equal(rv_env_wrap_time_limit(&env, 0), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_wrap_action_repeat(&env, 0), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_wrap_action_rescale(&env, 1, 1), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_wrap_action_rescale(&env, -INFINITY, 1), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_wrap_reward_scale(&env, NAN), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_wrap_frame_stack(&env, 0), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_wrap_normalise(&env, -1), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_env_normaliser_freeze(env, 1), RV_NOT_FOUND);
    assert_non_null(strstr(rv_env_message(env), "rv_env_wrap_normalise"));
    assert_ptr_equal(env, before);
    assert_int_equal(rv_env_reset(env, 1, observation), RV_OK); /* as good as ever */
    const double mean[4] = {0}, variance[4] = {1, 1, -1, 1};
    normalise(&env);
    assert_int_equal(rv_env_normaliser_set(env, mean, variance, 10), RV_INVALID_ARGUMENT);
    rv_env_result result = {.observation = observation};
    assert_int_equal(rv_env_step(env, (float[]){0, 0}, &result), RV_WRONG_STATE); /* wrapped: reset comes first */
    rv_env_destroy(env);
    assert_int_equal(rv_env_create("nothing", 1, NULL, 0, &env), RV_NOT_FOUND);
    assert_int_equal(rv_env_wrap_frame_stack(&env, 2), RV_WRONG_STATE);
    rv_env_destroy(env);
    env = NULL;
    assert_int_equal(rv_env_wrap_reward_scale(&env, 2), RV_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_equals_singles),
        cmocka_unit_test(saved_is_loaded),
        cmocka_unit_test(time_limit),
        cmocka_unit_test(action_repeat),
        cmocka_unit_test(action_rescale),
        cmocka_unit_test(reward_scale),
        cmocka_unit_test(frame_stack),
        cmocka_unit_test(normaliser_takes_what_it_sees),
        cmocka_unit_test(scripted_policies_go_on_balancing),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
