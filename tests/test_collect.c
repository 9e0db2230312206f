/* Datasets and their collection: what was recorded is what happened, and the seed decides it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/collect.h"

enum { DIMS = 4 };

static rv_dataset *collect(int64_t count, rv_collect_options options) {
    rv_env *env;
    rv_dataset *data;
    options.size = sizeof options;
    assert_int_equal(rv_env_create("continuous_cartpole", count, NULL, 0, &env), RV_OK);
    assert_int_equal(rv_dataset_create(DIMS, 1, &data), RV_OK);
    assert_int_equal(rv_collect_world_model_data(env, &options, data), RV_OK);
    rv_env_destroy(env);
    return data;
}

/* ---- datasets ------------------------------------------------------------------------------------------- */

/* Appends a step whose every number tells which step it is. */
static rv_status append(rv_dataset *data, float number, int terminated, int truncated) {
    float observation[2] = {number, number + 0.25f}, action = -number, next[2] = {number + 1, number + 1.25f};
    rv_transition t = {observation, &action, 10 * number, next, terminated, truncated};
    return rv_dataset_append(data, &t);
}

static void appended_is_read(void **unused) {
    (void)unused;
    enum { STEPS = 1000 }; /* beyond the first capacity */
    rv_dataset *data;
    assert_int_equal(rv_dataset_create(2, 1, &data), RV_OK);
    for (int s = 0; s < STEPS; s++) assert_int_equal(append(data, (float)s, s % 10 == 9, s % 25 == 24), RV_OK);
    rv_transitions t = rv_dataset_transitions(data);
    assert_int_equal(t.steps, STEPS);
    int64_t episodes = 0;
    for (int s = 0; s < STEPS; s++) {
        assert_true(t.observation[2 * s] == (float)s && t.observation[2 * s + 1] == (float)s + 0.25f);
        assert_true(t.action[s] == -(float)s && t.reward[s] == 10 * (float)s);
        assert_true(t.next_observation[2 * s] == (float)s + 1 && t.next_observation[2 * s + 1] == (float)s + 1.25f);
        assert_int_equal(t.terminated[s], s % 10 == 9);
        assert_int_equal(t.truncated[s], s % 25 == 24);
        assert_int_equal(t.first[s], s == 0 || s % 10 == 0 || s % 25 == 0);
        episodes += t.first[s];
    }
    assert_int_equal(rv_dataset_episodes(data), episodes);
    int64_t expected = 0, first, length;
    for (int64_t e = 0; e < episodes; e++) {
        assert_int_equal(rv_dataset_episode(data, e, &first, &length), RV_OK);
        assert_int_equal(first, expected);
        assert_true(length > 0 && t.first[first]);
        expected = first + length;
    }
    assert_int_equal(expected, STEPS);
    assert_int_equal(rv_dataset_episode(data, episodes, &first, &length), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_dataset_episode(data, -1, &first, &length), RV_INVALID_ARGUMENT);
    rv_dataset_destroy(data);
}

static void bad_steps_are_refused(void **unused) {
    (void)unused;
    rv_dataset *data, *other;
    rv_dataset_create(2, 1, &data);
    rv_dataset_create(3, 1, &other);
    assert_int_equal(append(data, 1.0f, 0, 0), RV_OK);
    assert_int_equal(append(data, NAN, 0, 0), RV_NON_FINITE);
    assert_int_equal(append(data, INFINITY, 0, 0), RV_NON_FINITE);
    float good[2] = {0}, action = 0;
    rv_transition t = {good, &action, NAN, good, 0, 0};
    assert_int_equal(rv_dataset_append(data, &t), RV_NON_FINITE);
    assert_non_null(strstr(rv_dataset_message(data), "reward"));
    assert_int_equal(rv_dataset_steps(data), 1);
    assert_int_equal(rv_dataset_append_range(other, data, 0, 1), RV_SHAPE_MISMATCH);
    rv_dataset_destroy(other);
    rv_dataset_create(2, 1, &other);
    assert_int_equal(rv_dataset_append_range(other, data, 0, 2), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_dataset_append_range(other, data, -1, 1), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_dataset_append_range(other, data, 2, INT64_MAX), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_dataset_append_range(other, data, 0, 1), RV_OK);
    rv_dataset_destroy(other);
    rv_dataset_destroy(data);
    assert_int_equal(rv_dataset_create(0, 1, &data), RV_INVALID_ARGUMENT);
    rv_dataset_destroy(data);
    rv_dataset_destroy(NULL);
}

static void split_keeps_every_episode_once(void **unused) {
    (void)unused;
    rv_dataset *data, *train, *held, *again, *rest;
    rv_dataset_create(2, 1, &data);
    float number = 0;
    for (int e = 0; e < 20; e++) {
        for (int s = 0; s <= e; s++) append(data, number++, s == e, 0);
    }
    rv_dataset_create(2, 1, &train);
    rv_dataset_create(2, 1, &held);
    assert_int_equal(rv_dataset_split(data, 0.25, 3, train, held), RV_OK);
    assert_int_equal(rv_dataset_steps(train) + rv_dataset_steps(held), rv_dataset_steps(data));
    assert_int_equal(rv_dataset_episodes(train) + rv_dataset_episodes(held), 20);
    assert_in_range(rv_dataset_steps(held), 210 / 4, 210 / 4 + 20);
    rv_transitions a = rv_dataset_transitions(train), b = rv_dataset_transitions(held);
    uint8_t seen[210] = {0};
    for (int64_t s = 0; s < a.steps; s++) seen[(int)a.observation[2 * s]]++;
    for (int64_t s = 0; s < b.steps; s++) seen[(int)b.observation[2 * s]]++;
    for (int s = 0; s < 210; s++) assert_int_equal(seen[s], 1);

    rv_dataset_create(2, 1, &rest);
    rv_dataset_create(2, 1, &again);
    assert_int_equal(rv_dataset_split(data, 0.25, 3, rest, again), RV_OK);
    rv_transitions c = rv_dataset_transitions(again);
    assert_int_equal(b.steps, c.steps);
    assert_memory_equal(b.observation, c.observation, (size_t)b.steps * 2 * sizeof(float));
    rv_dataset_clear(rest);
    rv_dataset_clear(again);
    assert_int_equal(rv_dataset_split(data, 1.0, 4, rest, again), RV_OK);
    assert_int_equal(rv_dataset_episodes(rest), 1); /* never all of them */
    rv_dataset_clear(rest);
    rv_dataset_clear(again);
    assert_int_equal(rv_dataset_split(data, 0.0, 4, rest, again), RV_OK);
    assert_int_equal(rv_dataset_steps(again), 0);
    assert_int_equal(rv_dataset_split(data, NAN, 4, rest, again), RV_INVALID_ARGUMENT);
    rv_dataset_destroy(data);
    rv_dataset_destroy(train);
    rv_dataset_destroy(held);
    rv_dataset_destroy(again);
    rv_dataset_destroy(rest);
}

/* ---- collection ------------------------------------------------------------------------------------------- */

/* Inside an episode each step begins where the one before led; ends are where they are marked. */
static void check_episodes(const rv_dataset *data) {
    rv_transitions t = rv_dataset_transitions(data);
    for (int64_t e = 0; e < rv_dataset_episodes(data); e++) {
        int64_t first, length;
        rv_dataset_episode(data, e, &first, &length);
        for (int d = 0; d < DIMS; d++) assert_true(fabsf(t.observation[first * DIMS + d]) <= 0.05f);
        for (int64_t s = first; s < first + length; s++) {
            assert_int_equal(t.first[s], s == first);
            assert_int_equal(t.terminated[s] || t.truncated[s], s == first + length - 1);
            const float *next = t.next_observation + s * DIMS;
            assert_int_equal(t.terminated[s], fabsf(next[0]) > 2.4f || fabsf(next[2]) > (float)(12 * 2 * M_PI / 360));
            if (s + 1 < first + length) assert_memory_equal(next, t.observation + (s + 1) * DIMS, DIMS * sizeof(float));
            assert_true(fabsf(t.action[s]) <= 1.0f);
        }
    }
}

static void steps_are_the_total(void **unused) {
    (void)unused;
    for (int policy = RV_POLICY_RANDOM; policy <= RV_POLICY_MIXED; policy++) {
        for (int64_t count = 1; count <= 9; count += 4) {
            rv_dataset *data = collect(count, (rv_collect_options){.steps = 2003, .policy = (rv_policy)policy, .seed = 3});
            assert_int_equal(rv_dataset_steps(data), 2003);
            check_episodes(data);
            rv_dataset_destroy(data);
        }
    }
}

static void episodes_are_a_minimum(void **unused) {
    (void)unused;
    rv_dataset *data = collect(3, (rv_collect_options){.steps = 10, .episodes = 40, .seed = 3});
    rv_transitions t = rv_dataset_transitions(data);
    int64_t ended = 0;
    for (int64_t s = 0; s < t.steps; s++) ended += t.terminated[s];
    assert_int_equal(ended, 40);
    check_episodes(data);
    rv_dataset_destroy(data);
}

static void policies_do_what_they_say(void **unused) {
    (void)unused;
    rv_dataset *random = collect(4, (rv_collect_options){.steps = 8000, .policy = RV_POLICY_RANDOM, .seed = 1});
    rv_dataset *scripted = collect(4, (rv_collect_options){.steps = 8000, .policy = RV_POLICY_SCRIPTED, .seed = 1});
    rv_dataset *mixed = collect(4, (rv_collect_options){.steps = 8000, .policy = RV_POLICY_MIXED, .seed = 1});
    rv_transitions t = rv_dataset_transitions(random);
    double sum = 0, squares = 0;
    for (int64_t s = 0; s < t.steps; s++) {
        sum += t.action[s];
        squares += (double)t.action[s] * (double)t.action[s];
    }
    assert_true(fabs(sum / 8000) < 5 / sqrt(3.0 * 8000));
    assert_true(fabs(squares / 8000 - 1.0 / 3) < 5 * sqrt(4.0 / 45 / 8000));
    /* balanced for whole episodes of 500 steps, against some 30 at random */
    assert_in_range(rv_dataset_episodes(scripted), 16, 20);
    assert_in_range(rv_dataset_episodes(random), 150, 500);
    assert_in_range(rv_dataset_episodes(mixed), 80, 250);
    rv_dataset_destroy(random);
    rv_dataset_destroy(scripted);
    rv_dataset_destroy(mixed);
}

static void assert_same(const rv_dataset *a, const rv_dataset *b, bool same) {
    rv_transitions s = rv_dataset_transitions(a), t = rv_dataset_transitions(b);
    bool equal = s.steps == t.steps && memcmp(s.observation, t.observation, (size_t)s.steps * DIMS * sizeof(float)) == 0 &&
                 memcmp(s.action, t.action, (size_t)s.steps * sizeof(float)) == 0 &&
                 memcmp(s.next_observation, t.next_observation, (size_t)s.steps * DIMS * sizeof(float)) == 0 &&
                 memcmp(s.first, t.first, (size_t)s.steps) == 0;
    assert_int_equal(equal, same);
}

static void seed_decides(void **unused) {
    (void)unused;
    rv_collect_options options = {.steps = 1500, .policy = RV_POLICY_MIXED, .seed = 12};
    rv_dataset *a = collect(3, options), *b = collect(3, options);
    options.seed = 13;
    rv_dataset *c = collect(3, options);
    assert_same(a, b, true);
    assert_same(a, c, false);
    rv_dataset_destroy(a);
    rv_dataset_destroy(b);
    rv_dataset_destroy(c);
}

/* ---- episodes of at most so many steps -------------------------------------------------------------------- */

static rv_dataset *sequences(const char *name, int64_t count, int64_t episodes, int64_t length, rv_policy policy) {
    rv_env *env;
    rv_dataset *data;
    rv_env_spaces s = {.size = sizeof s};
    rv_collect_options options = {.size = sizeof options, .policy = policy, .seed = 5};
    assert_int_equal(rv_env_create(name, count, NULL, 0, &env), RV_OK);
    rv_env_spaces_get(env, &s);
    assert_int_equal(rv_dataset_create(s.observation_size, 1, &data), RV_OK);
    assert_int_equal(rv_collect_sequence_data(env, episodes, length, &options, data), RV_OK);
    rv_env_destroy(env);
    return data;
}

static void sequences_have_their_length(void **unused) {
    (void)unused;
    for (int64_t count = 1; count <= 8; count += 7) { /* more environments than episodes as well */
        rv_dataset *data = sequences("continuous_pendulum", count, 5, 60, RV_POLICY_RANDOM); /* never ends by itself */
        assert_int_equal(rv_dataset_episodes(data), 5);
        assert_int_equal(rv_dataset_steps(data), 5 * 60);
        rv_transitions t = rv_dataset_transitions(data);
        for (int64_t i = 0; i < t.steps; i++) {
            assert_int_equal(t.first[i], i % 60 == 0);
            assert_int_equal(t.truncated[i], i % 60 == 59);
            assert_int_equal(t.terminated[i], 0);
            assert_true(t.action[i] >= -2 && t.action[i] <= 2);
            if (i % 60) assert_memory_equal(t.observation + 3 * i, t.next_observation + 3 * (i - 1), 3 * sizeof(float));
        }
        /* each begins anew */
        assert_memory_not_equal(t.observation + 3 * 60, t.next_observation + 3 * 59, 3 * sizeof(float));
        rv_dataset_destroy(data);
    }
}

static void short_sequences_are_not_favoured(void **unused) {
    (void)unused;
    rv_dataset *one = sequences("continuous_cartpole", 1, 300, 1000, RV_POLICY_RANDOM);
    rv_dataset *many = sequences("continuous_cartpole", 50, 300, 1000, RV_POLICY_RANDOM);
    check_episodes(many);
    assert_int_equal(rv_dataset_episodes(one), 300);
    assert_int_equal(rv_dataset_episodes(many), 300);
    const double mean = (double)rv_dataset_steps(one) / 300, other = (double)rv_dataset_steps(many) / 300;
    assert_true(fabs(mean - other) < 0.15 * mean);
    rv_dataset_destroy(one);
    rv_dataset_destroy(many);
    rv_dataset *cut = sequences("continuous_cartpole", 4, 40, 12, RV_POLICY_RANDOM);
    int64_t first, length, whole = 0;
    for (int64_t e = 0; e < 40; e++) {
        rv_dataset_episode(cut, e, &first, &length);
        assert_in_range(length, 1, 12);
        whole += length == 12;
    }
    assert_in_range(whole, 20, 40);
    rv_dataset_destroy(cut);
}

static void choices_are_whole_numbers(void **unused) {
    (void)unused;
    for (int policy = RV_POLICY_RANDOM; policy <= RV_POLICY_SCRIPTED; policy++) {
        rv_dataset *data = sequences("cartpole", 4, 40, 100, (rv_policy)policy);
        rv_transitions t = rv_dataset_transitions(data);
        int64_t right = 0;
        for (int64_t i = 0; i < t.steps; i++) {
            assert_true(t.action[i] == 0 || t.action[i] == 1);
            right += t.action[i] == 1;
        }
        assert_in_range(right, t.steps * 2 / 5, t.steps * 3 / 5);
        if (policy == RV_POLICY_SCRIPTED) assert_true(t.steps > 3900); /* balanced, though three in ten are drawn */
        else assert_true(t.steps < 2000);
        rv_dataset_destroy(data);
    }
}

static int cancel_late(void *user, int64_t steps, int64_t episodes) {
    (void)episodes;
    ++*(int *)user;
    return steps >= 1000;
}

static void cancel_and_bad_options(void **unused) {
    (void)unused;
    rv_env *env;
    rv_dataset *data, *wrong;
    int calls = 0;
    rv_env_create("continuous_cartpole", 2, NULL, 0, &env);
    rv_dataset_create(DIMS, 1, &data);
    rv_dataset_create(DIMS + 1, 1, &wrong);
    rv_collect_options options = {.size = sizeof options, .steps = 100000, .seed = 1, .progress = cancel_late, .user = &calls};
    assert_int_equal(rv_collect_world_model_data(env, &options, data), RV_CANCELLED);
    assert_true(calls >= 2);
    assert_in_range(rv_dataset_steps(data), 900, 2000);
    check_episodes(data);
    assert_int_equal(rv_collect_world_model_data(env, &options, wrong), RV_SHAPE_MISMATCH);
    options.size = 1;
    assert_int_equal(rv_collect_world_model_data(env, &options, data), RV_INVALID_ARGUMENT);
    options = (rv_collect_options){.size = sizeof options, .steps = 10};
    assert_int_equal(rv_collect_sequence_data(env, 3, 10, &options, data), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_collect_sequence_data(env, 0, 10, NULL, data), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_collect_sequence_data(env, 3, 0, NULL, data), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_collect_sequence_data(env, 3, 10, NULL, wrong), RV_SHAPE_MISMATCH);
    options = (rv_collect_options){.size = sizeof options, .steps = -1};
    assert_int_equal(rv_collect_world_model_data(env, &options, data), RV_INVALID_ARGUMENT);
    rv_env_destroy(env);
    rv_dataset_destroy(data);
    rv_dataset_destroy(wrong);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_is_read),
        cmocka_unit_test(bad_steps_are_refused),
        cmocka_unit_test(split_keeps_every_episode_once),
        cmocka_unit_test(steps_are_the_total),
        cmocka_unit_test(episodes_are_a_minimum),
        cmocka_unit_test(policies_do_what_they_say),
        cmocka_unit_test(seed_decides),
        cmocka_unit_test(sequences_have_their_length),
        cmocka_unit_test(short_sequences_are_not_favoured),
        cmocka_unit_test(choices_are_whole_numbers),
        cmocka_unit_test(cancel_and_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
