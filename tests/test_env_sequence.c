/* The memory test: which cue an action answers, what can be reached with memory and without, and what is saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "envs/table.h"

enum { SIZE_MAX_HERE = 4, STEPS_MAX = 64 };

static rv_env *make(int64_t count, int memory, int size, int steps) {
    const rv_env_setting settings[] = {{"memory_size", memory}, {"k", size}, {"steps", steps}};
    rv_env *env;
    assert_int_equal(rv_env_create("sequence", count, settings, 3, &env), RV_OK);
    return env;
}

/* ---- which cue an action answers ------------------------------------------------------------------------------- */

static double reward_for(const float *action, const float *cue, int size) {
    double sum = 0;
    for (int c = 0; c < size; c++) sum += ((double)action[c] - (double)cue[c]) * ((double)action[c] - (double)cue[c]);
    return 1 - sum / size;
}

/* Acts on the cue of `lag` steps before, plus noise; every reward must be what cue t - memory gives. Returns the mean
 * of the rewarded steps. */
static double answer(int memory, int size, int steps, int lag, double noise) {
    rv_env *env = make(1, memory, size, steps);
    float seen[STEPS_MAX + 1][SIZE_MAX_HERE] = {{0}}, action[SIZE_MAX_HERE], next[SIZE_MAX_HERE], after[SIZE_MAX_HERE], reward;
    uint8_t terminated, truncated;
    uint64_t random = 3;
    double sum = 0;
    int rewarded = 0;
    rv_env_result result = {after, next, &reward, &terminated, &truncated};
    assert_int_equal(rv_env_reset(env, 5, after), RV_OK);
    for (int episode = 0; episode < 200; episode++) {
        for (int t = 0; t < steps; t++) {
            memcpy(seen[t], after, (size_t)size * sizeof(float));
            for (int c = 0; c < size; c++) {
                const double wish = t >= lag ? (double)seen[t - lag][c] : 0.0;
                action[c] = (float)fmin(fmax(wish + noise * rv_env_random_uniform(&random, -1, 1), -1), 1);
            }
            assert_int_equal(rv_env_step(env, action, &result), RV_OK);
            if (t < memory) assert_true(reward == 0.0f);
            else assert_true(reward == (float)reward_for(action, seen[t - memory], size));
            if (t >= memory && lag == memory && noise == 0) assert_true(reward == 1.0f);
            sum += t >= memory ? (double)reward : 0.0;
            rewarded += t >= memory;
            assert_int_equal(terminated, 0);
            assert_int_equal(truncated, t == steps - 1);
            assert_int_equal(memcmp(after, next, (size_t)size * sizeof(float)) == 0, !truncated);
        }
    }
    rv_env_destroy(env);
    return rewarded ? sum / rewarded : 0.0;
}

static void memory_is_rewarded(void **unused) {
    (void)unused;
    static const struct { int memory, size, steps; } cases[] = {{0, 1, 20}, {1, 1, 20}, {5, 1, 20}, {5, 3, 20}, {19, 2, 20}, {7, 4, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int memory = cases[i].memory, size = cases[i].size, steps = cases[i].steps;
        assert_true(answer(memory, size, steps, memory, 0) == 1.0);
        answer(memory, size, steps, memory, 0.7);
        /* a cue too early or too late is worth less than nothing done at all: 1 - 2/3 */
        if (memory + 1 < steps && memory < 7) assert_true(fabs(answer(memory, size, steps, memory + 1, 0) - 1.0 / 3) < 0.1);
        if (memory > 0 && memory < 7) assert_true(fabs(answer(memory, size, steps, memory - 1, 0) - 1.0 / 3) < 0.1);
    }
    assert_true(answer(20, 1, 20, 20, 0) == 0.0); /* over before anything could be answered */
}

/* ---- what can be known without memory: over many cues --------------------------------------------------------- */

enum { COUNT = 4000, MEMORY = 5, STEPS = 20, PAIRS = COUNT * (STEPS - MEMORY) };

/* Every rewarded step of one episode of each: the action, uniform, the cue in sight, the cue asked for, the reward. */
typedef struct pairs {
    double action[PAIRS], sight[PAIRS], asked[PAIRS], reward[PAIRS];
} pairs;

static void take_pairs(pairs *p) {
    static float cue[STEPS][COUNT], at[COUNT], action[COUNT], reward[COUNT];
    rv_env *env = make(COUNT, MEMORY, 1, STEPS);
    rv_env_result result = {.observation = at, .reward = reward};
    uint64_t random = 11;
    int64_t taken = 0;
    assert_int_equal(rv_env_reset(env, 1, at), RV_OK);
    for (int t = 0; t < STEPS; t++) {
        memcpy(cue[t], at, sizeof at);
        for (int i = 0; i < COUNT; i++) action[i] = (float)rv_env_random_uniform(&random, -1, 1);
        assert_int_equal(rv_env_step(env, action, &result), RV_OK);
        for (int i = 0; t >= MEMORY && i < COUNT; i++, taken++) {
            p->action[taken] = (double)action[i];
            p->sight[taken] = (double)cue[t][i];
            p->asked[taken] = (double)cue[t - MEMORY][i];
            p->reward[taken] = (double)reward[i];
        }
    }
    assert_int_equal(taken, PAIRS);
    rv_env_destroy(env);
}

/* The mean over all pairs is the one wanted, within five of its standard errors. */
static void mean_is(const double *value, double wanted) {
    double sum = 0, squares = 0;
    for (int i = 0; i < PAIRS; i++) sum += value[i];
    for (int i = 0; i < PAIRS; i++) squares += (value[i] - sum / PAIRS) * (value[i] - sum / PAIRS);
    const double error = sqrt(squares / PAIRS / PAIRS);
    if (!(fabs(sum / PAIRS - wanted) <= 5 * error)) fail_msg("mean %g +- %g, not %g", sum / PAIRS, error, wanted);
}

/* What the header says: a = 0 is the best memory-less action with 2/3, the best memory-less guess of the reward is off by
 * 8/15, and one that remembers the cue is not off at all. */
static void without_memory_the_best_is_known(void **unused) {
    (void)unused;
    static pairs p;
    static double value[PAIRS];
    take_pairs(&p);
    mean_is(p.asked, 0.0);
    for (int i = 0; i < PAIRS; i++) value[i] = p.asked[i] * p.asked[i];
    mean_is(value, 1.0 / 3);
    for (int i = 0; i < PAIRS; i++) value[i] = p.asked[i] * p.sight[i]; /* what is seen says nothing of what is asked */
    mean_is(value, 0.0);
    for (int s = -2; s <= 2; s++) { /* a = s/2 times the cue in sight: 1 - (s^2 / 4 + 1) / 3 */
        for (int i = 0; i < PAIRS; i++) value[i] = 1 - pow(0.5 * s * p.sight[i] - p.asked[i], 2);
        mean_is(value, 2.0 / 3 - s * s / 12.0);
    }
    double off = 0;
    for (int i = 0; i < PAIRS; i++) {
        value[i] = pow(p.reward[i] - (2.0 / 3 - p.action[i] * p.action[i]), 2);
        off = fmax(off, fabs(p.reward[i] - (1 - pow(p.action[i] - p.asked[i], 2))));
    }
    mean_is(value, 8.0 / 15);
    assert_true(off < 1e-6);
    for (int bend = -1; bend <= 1; bend += 2) { /* any other curve over the action guesses worse: by its distance squared */
        for (int i = 0; i < PAIRS; i++) value[i] = pow(p.reward[i] - (2.0 / 3 - p.action[i] * p.action[i]) + 0.3 * bend * p.action[i], 2);
        mean_is(value, 8.0 / 15 + 0.09 / 3);
    }
}

/* ---- batches, seeds, saved state -------------------------------------------------------------------------------- */

enum { ROWS = 6, SIZE = 3 };

static void act(uint64_t row, int t, float *action) {
    for (int c = 0; c < SIZE; c++) action[c] = (float)sin(0.7 * t + 1.9 * (double)row + c);
}

/* 70 steps of a batch whose rows act as rows `offset` on; what row `watched` gives. */
static void run(rv_env *env, uint64_t offset, int watched, int from, float (*out)[SIZE + 1]) {
    const int64_t count = rv_env_count(env);
    float observation[ROWS * SIZE], action[ROWS * SIZE], reward[ROWS];
    rv_env_result result = {.observation = observation, .reward = reward};
    for (int t = from; t < from + 70; t++) {
        for (int64_t i = 0; i < count; i++) act(offset + (uint64_t)i, t, action + i * SIZE);
        assert_int_equal(rv_env_step(env, action, &result), RV_OK);
        memcpy(out[t - from], observation + watched * SIZE, SIZE * sizeof(float));
        out[t - from][SIZE] = reward[watched];
    }
}

static void a_row_is_the_same_alone(void **unused) {
    (void)unused;
    static float together[70][SIZE + 1], alone[70][SIZE + 1], other[70][SIZE + 1];
    float observation[ROWS * SIZE];
    for (int i = 0; i < ROWS; i++) {
        rv_env *batch = make(ROWS, 4, SIZE, 20), *single = make(1, 4, SIZE, 20);
        rv_env_reset(batch, 30, observation);
        run(batch, 0, i, 0, together);
        rv_env_reset(single, 30 + (uint64_t)i, observation);
        run(single, (uint64_t)i, 0, 0, alone);
        assert_memory_equal(together, alone, sizeof alone);
        rv_env_reset(single, 30 + (uint64_t)i, observation); /* whatever went before */
        run(single, (uint64_t)i, 0, 0, other);
        assert_memory_equal(other, alone, sizeof alone);
        rv_env_reset(single, 31 + (uint64_t)i, observation);
        run(single, (uint64_t)i, 0, 0, other);
        assert_memory_not_equal(other, alone, sizeof alone);
        rv_env_destroy(batch);
        rv_env_destroy(single);
    }
}

static void saved_is_loaded(void **unused) {
    (void)unused;
    static float warm[70][SIZE + 1], first[70][SIZE + 1], second[70][SIZE + 1];
    float observation[ROWS * SIZE], loaded[ROWS * SIZE];
    rv_env *env = make(ROWS, 4, SIZE, 20), *other = make(ROWS, 4, SIZE, 20);
    rv_env_reset(env, 2, observation);
    run(env, 0, 3, 0, warm); /* into the midst of an episode */
    const size_t size = rv_env_state_size(env);
    uint8_t *bytes = malloc(size);
    assert_int_equal(rv_env_save(env, bytes, size), RV_OK);
    run(env, 0, 3, 70, first);
    assert_int_equal(rv_env_load(other, bytes, size, loaded), RV_OK);
    assert_memory_equal(loaded + 3 * SIZE, warm[69], SIZE * sizeof(float));
    run(other, 0, 3, 70, second); /* which answers cues from before it was saved */
    assert_memory_equal(first, second, sizeof first);
    rv_env *foreign = make(ROWS, 5, SIZE, 20);
    uint8_t *more = calloc(1, rv_env_state_size(foreign));
    memcpy(more, bytes, size);
    assert_int_equal(rv_env_load(foreign, more, rv_env_state_size(foreign), loaded), RV_BAD_FILE);
    free(more);
    free(bytes);
    rv_env_destroy(foreign);
    rv_env_destroy(other);
    rv_env_destroy(env);
}

static void states_that_cannot_be_are_refused(void **unused) {
    (void)unused;
    const double options[] = {1, 1, 20};
    struct {
        int64_t steps;
        uint64_t random;
        float cue[2];
    } bytes = {3, 4, {0.5f, -1.0f}};
    float seen;
    void *state;
    assert_int_equal(rv_env_sequence.create(options, 1, &state), 0);
    assert_int_equal(rv_env_sequence.state_size(state), sizeof bytes);
    assert_int_equal(rv_env_sequence.load(state, &bytes, &seen), 0);
    assert_true(seen == -1.0f); /* cue 3 of two slots */
    bytes.cue[0] = 1.5f;
    assert_int_not_equal(rv_env_sequence.load(state, &bytes, &seen), 0);
    bytes.cue[0] = NAN;
    assert_int_not_equal(rv_env_sequence.load(state, &bytes, &seen), 0);
    bytes.cue[0] = 0;
    bytes.steps = -1;
    assert_int_not_equal(rv_env_sequence.load(state, &bytes, &seen), 0);
    rv_env_sequence.destroy(state);
}

/* ---- bad input ------------------------------------------------------------------------------------------------------ */

static void refuse(rv_env_setting setting, rv_status status, const char *words) {
    rv_env *env;
    assert_int_equal(rv_env_create("sequence", 1, &setting, 1, &env), status);
    if (!strstr(rv_env_message(env), words)) fail_msg("\"%s\" lacks \"%s\"", rv_env_message(env), words);
    rv_env_destroy(env);
}

static void bad_input(void **unused) {
    (void)unused;
    refuse((rv_env_setting){"memory", 5}, RV_NOT_FOUND, "no option \"memory\"");
    refuse((rv_env_setting){"memorysize", 5}, RV_NOT_FOUND, "the nearest is \"memory_size\"");
    refuse((rv_env_setting){"memory_size", -1}, RV_INVALID_ARGUMENT, "memory_size is -1, must lie between 0 and 1000");
    refuse((rv_env_setting){"memory_size", 2.5}, RV_INVALID_ARGUMENT, "memory_size is 2.5, must be a whole number");
    refuse((rv_env_setting){"k", 0}, RV_INVALID_ARGUMENT, "k is 0, must lie between 1");
    refuse((rv_env_setting){"steps", 0}, RV_INVALID_ARGUMENT, "steps is 0, must lie between 1");
    rv_env *env = make(1, 2, 3, 20);
    rv_env_spaces s = {.size = sizeof s};
    assert_int_equal(rv_env_spaces_get(env, &s), RV_OK);
    assert_true(s.observation_size == 3 && s.action_size == 3 && s.action_choices == 0);
    assert_string_equal(s.observation_names[2], "cue 2");
    assert_string_equal(s.action_names[0], "answer 0");
    rv_env_destroy(env);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_rewarded),
        cmocka_unit_test(without_memory_the_best_is_known),
        cmocka_unit_test(a_row_is_the_same_alone),
        cmocka_unit_test(saved_is_loaded),
        cmocka_unit_test(states_that_cannot_be_are_refused),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
