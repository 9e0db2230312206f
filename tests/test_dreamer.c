/* tests/test_dreamer.c: a dreamer's life: it learns, repeats and resumes to the bit, stops at bad numbers, and takes no
 * memory on the way. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/dreamer.h"
#include "tests/support/allocator.h"
#include "tests/support/compare.h"
#include "tests/support/suite.h"

static rv_dreamer_options small(void) {
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.model.latent_size = 8;
    options.model.vae_hidden = options.model.dynamics_hidden = (rv_sizes){1, {24}};
    options.model.reward_hidden = options.model.continue_hidden = (rv_sizes){1, {16}};
    options.actor_hidden = options.critic_hidden = (rv_sizes){1, {24}};
    options.critic_bins = 21;
    options.steps = 400;
    options.prefill = 60;
    options.update_every = 3;
    options.updates_each = 2;
    options.batch = 8;
    options.window = 3;
    options.imagined = 12;
    options.horizon = 4;
    options.seed = 5;
    return options;
}

/* ---- an environment that can be told to go bad ------------------------------------------------------------------- */

static struct {
    int64_t step, bad_at; /* of all environments together; bad_at 0: never */
    float bad;
    bool in_reward;
} fault;

static int bad_create(const double *options, int64_t count, void **state) {
    (void)options;
    *state = calloc((size_t)count + 1, sizeof(float));
    if (!*state) return 1;
    *(float *)*state = (float)count;
    return 0;
}

static void bad_spaces(const void *state, rv_env_spaces *spaces) {
    static const float low[] = {-1}, high[] = {1};
    static const char *const names[] = {"x"};
    (void)state;
    *spaces = (rv_env_spaces){sizeof *spaces, 1, low, high, names, 1, 0, low, high, names, 0};
}

static void bad_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    float *x = state;
    (void)seed;
    for (int64_t i = 0; i < (int64_t)x[0]; i++) {
        if (!mask || mask[i]) observation[i] = x[1 + i] = 0;
    }
}

static void bad_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated,
                     uint8_t *truncated) {
    float *x = state;
    for (int64_t i = 0; i < (int64_t)x[0]; i++) {
        const bool bad = ++fault.step == fault.bad_at;
        x[1 + i] = 0.9f * x[1 + i] + 0.1f * action[i];
        next[i] = bad && !fault.in_reward ? fault.bad : x[1 + i];
        reward[i] = bad && fault.in_reward ? fault.bad : -fabsf(x[1 + i] - 0.5f);
        terminated[i] = 0;
        truncated[i] = fault.step % 50 == 0;
    }
}

static size_t bad_size(const void *state) { return sizeof(float) * (1 + (size_t)*(const float *)state); }
static void bad_save(const void *state, void *bytes) { memcpy(bytes, state, bad_size(state)); }
static int bad_load(void *state, const void *bytes, float *observation) {
    float *x = state;
    memcpy(state, bytes, bad_size(state));
    for (int64_t i = 0; observation && i < (int64_t)x[0]; i++) observation[i] = x[1 + i];
    return 0;
}

static const rv_env_table bad_table = {.abi = RV_ENV_ABI, .size = sizeof bad_table, .name = "bad", .text = "goes bad",
                                       .create = bad_create, .destroy = free, .spaces = bad_spaces, .reset = bad_reset,
                                       .step = bad_step, .state_size = bad_size, .save = bad_save, .load = bad_load};

/* ---- a life ---------------------------------------------------------------------------------------------------- */

typedef struct life {
    rv_device *device;
    rv_env *env;
    rv_agent *dreamer;
    rv_checkpoint *file;
} life;

static life begin(const char *resource, const char *env, int64_t count, const rv_dreamer_options *options) {
    life l = {0};
    rv_env_setting steps = {"max_steps", 40};
    const bool cartpole = env && strcmp(env, "cartpole") == 0;
    assert_ok(rv_device_open(resource, NULL, &l.device), rv_device_message(l.device));
    if (env) assert_ok(rv_env_create(env, count, &steps, cartpole, &l.env), rv_env_message(l.env));
    else assert_ok(rv_env_create_from(&bad_table, count, NULL, 0, &l.env), rv_env_message(l.env));
    assert_ok(rv_dreamer_create(l.device, l.env, options, &l.dreamer), rv_agent_message(l.dreamer));
    assert_ok(rv_checkpoint_create(l.device, &l.file), "");
    assert_ok(rv_agent_checkpoint(l.dreamer, l.file), rv_agent_message(l.dreamer));
    return l;
}

static void end(life *l) {
    rv_checkpoint_destroy(l->file);
    rv_agent_destroy(l->dreamer);
    rv_env_destroy(l->env);
    rv_device_close(l->device);
}

static void live(life *l, int64_t steps) {
    assert_ok(rv_agent_run(l->dreamer, steps), rv_agent_message(l->dreamer));
}

/* Of all that a checkpoint holds. */
static uint64_t hash_of(life *l) {
    char name[64];
    snprintf(name, sizeof name, "hash_%d.safetensors", (int)getpid());
    assert_ok(rv_agent_save(l->dreamer, l->file, name), rv_agent_message(l->dreamer));
    const uint64_t hash = rv_hash_file(name);
    assert_true(hash != 0);
    remove(name);
    return hash;
}

static uint64_t hash_of_life(const char *resource, const char *env, int64_t count) {
    const rv_dreamer_options options = small();
    life l = begin(resource, env, count, &options);
    live(&l, 120);
    uint64_t hash = hash_of(&l);
    end(&l);
    return hash;
}

/* ---- determinism and resumption --------------------------------------------------------------------------------- */

static void test_same_bits(void **state) {
    (void)state;
    const uint64_t one = hash_of_life("cpu:threads=1", "continuous_pendulum", 1);
    assert_true(hash_of_life("cpu:threads=1", "continuous_pendulum", 1) == one);
    assert_true(hash_of_life("cpu:threads=2", "continuous_pendulum", 1) == one);
    assert_true(hash_of_life("cpu:threads=3", "continuous_pendulum", 1) == one);
    const uint64_t other = hash_of_life("cpu:threads=1", "cartpole", 3);
    assert_true(other != one && hash_of_life("cpu:threads=2", "cartpole", 3) == other);
}

/* Saved in between, destroyed, loaded into another: in the prefill, at its end, between two updates that are due. */
static void test_resumption(void **state) {
    (void)state;
    static const struct {
        const char *env;
        int64_t count;
    } worlds[] = {{"continuous_pendulum", 1}, {"cartpole", 2}};
    for (int w = 0; w < 2; w++) {
        const uint64_t whole = hash_of_life("cpu:threads=1", worlds[w].env, worlds[w].count);
        const rv_dreamer_options options = small();
        const int64_t kills[] = {20, 60, 62, 100};
        char name[64];
        snprintf(name, sizeof name, "resume_%d.safetensors", (int)getpid());
        for (int k = 0; k < 4; k++) {
            life l = begin("cpu:threads=1", worlds[w].env, worlds[w].count, &options);
            live(&l, kills[k]);
            assert_ok(rv_agent_save(l.dreamer, l.file, name), rv_agent_message(l.dreamer));
            live(&l, 14); /* lost */
            end(&l);
            l = begin("cpu:threads=2", worlds[w].env, worlds[w].count, &options);
            live(&l, 6); /* forgotten */
            assert_ok(rv_agent_load(l.dreamer, l.file, name), rv_agent_message(l.dreamer));
            assert_int_equal(rv_agent_steps(l.dreamer), kills[k]);
            live(&l, 120 - kills[k]);
            assert_true(hash_of(&l) == whole);
            end(&l);
        }
        remove(name);
    }
}

/* How the steps are asked for changes nothing; nor does an evaluation in between. */
static void test_pieces(void **state) {
    (void)state;
    const uint64_t whole = hash_of_life("cpu:threads=1", "continuous_pendulum", 1);
    const rv_dreamer_options options = small();
    life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
    rv_env *fresh;
    double mode[3], again[3], drawn[3];
    assert_ok(rv_env_create("continuous_pendulum", 3, NULL, 0, &fresh), "");
    for (int i = 0; i < 60; i++) live(&l, 1);
    live(&l, 23);
    assert_ok(rv_agent_evaluate(l.dreamer, fresh, 77, 0, mode), rv_agent_message(l.dreamer));
    assert_ok(rv_agent_evaluate(l.dreamer, fresh, 77, 0, again), rv_agent_message(l.dreamer));
    assert_ok(rv_agent_evaluate(l.dreamer, fresh, 77, 1, drawn), rv_agent_message(l.dreamer));
    assert_memory_equal(mode, again, sizeof mode);
    assert_true(memcmp(mode, drawn, sizeof mode) != 0);
    for (int i = 0; i < 3; i++) assert_true(mode[i] < 0 && mode[i] > -2000);
    live(&l, 37);
    assert_true(hash_of(&l) == whole);
    rv_env_destroy(fresh);
    end(&l);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void test_counts(void **state) {
    (void)state;
    const rv_dreamer_options options = small(); /* 2 updates every 3 steps after 60 */
    life l = begin("cpu:threads=1", "cartpole", 2, &options);
    rv_metric metrics[RV_AGENT_METRICS];
    static const struct {
        int64_t run, steps, updates;
    } rows[] = {{60, 60, 0}, {1, 62, 0}, {1, 64, 2}, {2, 66, 4}, {34, 100, 26}};
    int64_t filled;
    for (int i = 0; i < 5; i++) {
        live(&l, rows[i].run);
        assert_int_equal(rv_agent_steps(l.dreamer), rows[i].steps);
        assert_int_equal(rv_agent_updates(l.dreamer), rows[i].updates);
        assert_ok(rv_replay_filled(rv_agent_replay(l.dreamer), &filled), "");
        assert_int_equal(filled, rows[i].steps);
    }
    assert_true(rv_agent_episodes(l.dreamer) > 0);
    assert_ok(rv_agent_metrics(l.dreamer, metrics), rv_agent_message(l.dreamer));
    int named = 0;
    double length = 0, gained = 0;
    for (int m = 0; m < RV_AGENT_METRICS && metrics[m].name[0]; m++, named++) {
        assert_true(isfinite(metrics[m].value));
        if (strcmp(metrics[m].name, "return") == 0) gained = (double)metrics[m].value;
        if (strcmp(metrics[m].name, "length") == 0) length = (double)metrics[m].value;
    }
    assert_int_equal(named, 16); /* losses with that of continue, behaviour, three norms, two of episodes */
    assert_true(length > 5 && gained == length); /* a cartpole gets 1 a step */
    rv_params *const sets[] = {rv_world_model_params(rv_dreamer_model(l.dreamer)), rv_dreamer_actor_params(l.dreamer),
                               rv_dreamer_critic_params(l.dreamer)};
    for (int s = 0; s < 3; s++) {
        int32_t updates;
        assert_ok(rv_array_read(rv_params_updates(sets[s]), 0, 1, &updates), "");
        assert_int_equal(updates, 26);
    }
    end(&l);
}

static void test_replay_bytes(void **state) {
    (void)state;
    rv_dreamer_options options = small();
    rv_env_spaces spaces = {.size = sizeof spaces};
    rv_env *env;
    int64_t bytes;
    assert_ok(rv_env_create("cartpole", 1, NULL, 0, &env), "");
    assert_ok(rv_env_spaces_get(env, &spaces), "");
    assert_ok(rv_dreamer_replay_bytes(&options, &spaces, 4, &bytes), "");
    const int64_t row = 4 * (4 + 2 + 1 + 4 + 1 + 1); /* observation, one-hot action, reward, next, two flags */
    assert_true(bytes >= 400 * row && bytes < 400 * row + 256);
    options.window = -1;
    assert_status(rv_dreamer_replay_bytes(&options, &spaces, 4, &bytes), RV_INVALID_ARGUMENT);
    rv_env_destroy(env);
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

/* Answer the cue in sight: 1 a step is the best, 2/3 what always saying 0 gives. */
static void test_learns(void **state) {
    (void)state;
    rv_dreamer_options options = small();
    options.steps = 800;
    options.prefill = 300;
    options.update_every = 1;
    options.batch = options.imagined = 32;
    options.window = 1;
    options.horizon = 2;
    options.model_rate = options.actor_rate = 5e-3f;
    options.gamma = 0.1f;
    const rv_env_setting settings[] = {{"memory_size", 0}, {"steps", 20}};
    life l = {0};
    rv_env *fresh;
    double returns[32], sum = 0;
    assert_ok(rv_device_open("cpu:threads=1", NULL, &l.device), "");
    assert_ok(rv_env_create("sequence", 1, settings, 2, &l.env), rv_env_message(l.env));
    assert_ok(rv_env_create("sequence", 32, settings, 2, &fresh), rv_env_message(fresh));
    assert_ok(rv_dreamer_create(l.device, l.env, &options, &l.dreamer), rv_agent_message(l.dreamer));
    live(&l, options.steps);
    assert_ok(rv_agent_evaluate(l.dreamer, fresh, 1000, 0, returns), rv_agent_message(l.dreamer));
    for (int i = 0; i < 32; i++) sum += returns[i] / (32 * 20);
    if (!(sum > 0.93)) fail_msg("%.3f a step", sum);
    rv_env_destroy(fresh);
    end(&l);
}

/* ---- bad numbers ------------------------------------------------------------------------------------------------- */

static void weights_of(life *l, float *out) {
    rv_params *const sets[] = {rv_world_model_params(rv_dreamer_model(l->dreamer)), rv_dreamer_actor_params(l->dreamer),
                               rv_dreamer_critic_params(l->dreamer)};
    for (int s = 0; s < 3; s++) {
        rv_array *flat = rv_params_array(sets[s], RV_VALUE);
        assert_ok(rv_array_read(flat, 0, 1, out), "");
        out += rv_array_cols(flat);
    }
}

enum { MANY = 1 << 14 };

static void go_bad(float value, bool in_reward, const char *name) {
    static float before[MANY], after[MANY];
    const rv_dreamer_options options = small();
    fault.step = 0;
    fault.bad_at = 81;
    fault.bad = value;
    fault.in_reward = in_reward;
    life l = begin("cpu:threads=1", NULL, 1, &options);
    int64_t filled;
    live(&l, 80);
    weights_of(&l, before);
    assert_status(rv_agent_run(l.dreamer, 40), RV_NON_FINITE);
    assert_int_equal(rv_agent_steps(l.dreamer), 81);
    assert_names(rv_agent_message(l.dreamer), name);
    assert_names(rv_agent_message(l.dreamer), "step 81");
    weights_of(&l, after);
    assert_memory_equal(before, after, sizeof before);
    assert_ok(rv_replay_filled(rv_agent_replay(l.dreamer), &filled), "");
    assert_int_equal(filled, 80);
    assert_status(rv_agent_save(l.dreamer, l.file, "never.safetensors"), RV_NON_FINITE);
    assert_int_equal(access("never.safetensors", F_OK), -1);
    fault.bad_at = 0;
    end(&l);
}

static void test_bad_environments(void **state) {
    (void)state;
    go_bad(NAN, false, "observation");
    go_bad(INFINITY, false, "observation");
    go_bad(NAN, true, "reward");
    go_bad(-INFINITY, true, "reward");
}

/* A weight that is NaN is seen by whatever uses it first, and moves no other set. */
static void test_bad_weights(void **state) {
    (void)state;
    static const char *const names[] = {"action", "action", "critic"};
    for (int set = 0; set < 3; set++) {
        static float before[MANY], after[MANY];
        const rv_dreamer_options options = small();
        life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
        live(&l, 80);
        rv_params *const sets[] = {rv_world_model_params(rv_dreamer_model(l.dreamer)),
                                   rv_dreamer_actor_params(l.dreamer), rv_dreamer_critic_params(l.dreamer)};
        float bad[24 * 24] = {0};
        bad[0] = NAN;
        assert_ok(rv_params_set(sets[set], 0, RV_VALUE, bad), "");
        weights_of(&l, before);
        assert_status(rv_agent_run(l.dreamer, 1 + 2 * (set == 2)), RV_NON_FINITE);
        assert_names(rv_agent_message(l.dreamer), names[set]);
        weights_of(&l, after);
        assert_memory_equal(before, after, sizeof before);
        assert_status(rv_agent_save(l.dreamer, l.file, "never.safetensors"), RV_NON_FINITE);
        end(&l);
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void test_runs_take_no_memory(void **state) {
    (void)state;
    rv_counting counting = {0};
    const rv_device_options counted = rv_counting_options(&counting);
    const rv_dreamer_options options = small();
    life l = {0};
    assert_ok(rv_device_open("cpu:threads=1", &counted, &l.device), "");
    assert_ok(rv_env_create("cartpole", 2, NULL, 0, &l.env), "");
    assert_ok(rv_dreamer_create(l.device, l.env, &options, &l.dreamer), rv_agent_message(l.dreamer));
    live(&l, 62); /* the normalisers took some, once */
    const int64_t before = counting.calls;
    live(&l, 60);
    assert_int_equal(counting.calls, before);
    end(&l);
    assert_int_equal(counting.live, 0);
}

/* Every allocation fails in turn: OUT_OF_MEMORY and a message, and nothing is left. */
static void test_no_memory(void **state) {
    (void)state;
    const rv_dreamer_options options = small();
    const int step = RV_SLOW_RUN ? 211 : 29;
    for (int64_t fail_at = 1;; fail_at += fail_at < 60 ? 1 : step) {
        rv_counting counting = {0};
        const rv_device_options counted = rv_counting_options(&counting);
        life l = {0};
        assert_ok(rv_device_open("cpu:threads=1", &counted, &l.device), "");
        assert_ok(rv_env_create("cartpole", 2, NULL, 0, &l.env), "");
        counting.fail_at = counting.calls + fail_at;
        rv_status status = rv_dreamer_create(l.device, l.env, &options, &l.dreamer);
        if (status != RV_OK) {
            assert_status(status, RV_OUT_OF_MEMORY);
            if (l.dreamer) assert_true(strlen(rv_agent_message(l.dreamer)) > 9);
        }
        end(&l);
        assert_int_equal(counting.live, 0);
        if (status == RV_OK) break;
    }
}

/* ---- misuse ------------------------------------------------------------------------------------------------------ */

static void refused(rv_dreamer_options options, const char *name) {
    rv_device *device;
    rv_env *env;
    rv_agent *dreamer;
    assert_ok(rv_device_open("cpu:threads=1", NULL, &device), "");
    assert_ok(rv_env_create("continuous_pendulum", 2, NULL, 0, &env), "");
    assert_status(rv_dreamer_create(device, env, &options, &dreamer), RV_INVALID_ARGUMENT);
    assert_names(rv_agent_message(dreamer), name);
    assert_status(rv_agent_run(dreamer, 1), RV_WRONG_STATE);
    rv_agent_destroy(dreamer);
    rv_env_destroy(env);
    rv_device_close(device);
}

#define REFUSED(field, value, name)        \
    do {                                   \
        rv_dreamer_options options_ = small(); \
        options_.field = value;            \
        refused(options_, name);           \
    } while (0)

static void test_options(void **state) {
    (void)state;
    REFUSED(size, 0, "size");
    REFUSED(window, 65, "window");
    REFUSED(prefill, 5, "prefill");
    REFUSED(prefill, -1, "prefill");
    REFUSED(replay, 50, "prefill");
    REFUSED(steps, -1, "steps");
    REFUSED(update_every, -1, "update_every");
    REFUSED(horizon, -2, "horizon");
    REFUSED(gamma, 1.5f, "gamma");
    REFUSED(slow_rate, 2, "slow_rate");
    REFUSED(actor_rate, -1, "learning rates");
    REFUSED(gradient, (rv_dreamer_gradient)3, "gradient");
    REFUSED(critic_bins, 4, "critic_bins");
}

static void test_misuse(void **state) {
    (void)state;
    const rv_dreamer_options options = small();
    life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
    rv_env *other;
    rv_agent *dreamer = NULL;
    rv_metric metrics[RV_AGENT_METRICS];
    double returns[1];
    assert_ok(rv_env_create("cartpole", 1, NULL, 0, &other), "");
    assert_status(rv_agent_evaluate(l.dreamer, l.env, 0, 0, returns), RV_WRONG_STATE);
    assert_ok(rv_agent_metrics(l.dreamer, metrics), "");
    for (int m = 0; m < RV_AGENT_METRICS; m++) {
        if (strcmp(metrics[m].name, "return") == 0) assert_true(isnan(metrics[m].value));
    }
    live(&l, 62);
    assert_status(rv_agent_evaluate(l.dreamer, other, 0, 0, returns), RV_SHAPE_MISMATCH);
    assert_status(rv_agent_run(l.dreamer, -1), RV_INVALID_ARGUMENT);
    assert_status(rv_agent_run(l.dreamer, options.steps), RV_WRONG_STATE);
    assert_names(rv_agent_message(l.dreamer), "steps");
    assert_status(rv_agent_run(NULL, 1), RV_INVALID_ARGUMENT);
    assert_status(rv_dreamer_create(l.device, NULL, &options, &dreamer), RV_INVALID_ARGUMENT);
    assert_null(dreamer);
    assert_status(rv_agent_load(l.dreamer, l.file, "nowhere.safetensors"), RV_IO_FAILED);
    rv_agent_destroy(NULL);
    assert_null(rv_dreamer_recipe_find("none"));
    live(&l, 5); /* it goes on */
    rv_env_destroy(other);
    end(&l);
}

/* A recipe writes every constant out: filling in defaults changes nothing. */
static void test_recipes(void **state) {
    (void)state;
    int count;
    const rv_dreamer_recipe *list = rv_dreamer_recipe_list(&count);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].name, "default");
    const rv_dreamer_options *course = &rv_dreamer_recipe_find("course")->options;
    assert_true(course->horizon == 10 && course->gamma == 0.99f && course->model_rate == 1e-4f);
    assert_true(course->actor_rate == 1e-4f && course->critic_rate == 1e-4f && course->model.latent_size == 32);
    for (int i = 0; i < count; i++) {
        rv_dreamer_options options = list[i].options;
        life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
        const rv_dreamer_options *filled = rv_dreamer_options_get(l.dreamer);
        assert_int_equal(filled->batch, options.batch);
        assert_true(filled->entropy_weight == options.entropy_weight && filled->lambda == options.lambda);
        assert_int_equal(filled->model.observation_size, 3);
        assert_int_equal(filled->gradient, RV_DREAMER_DYNAMICS);
        end(&l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),           cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_pieces),              cmocka_unit_test(test_counts),
        cmocka_unit_test(test_replay_bytes),        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_bad_environments),    cmocka_unit_test(test_bad_weights),
        cmocka_unit_test(test_runs_take_no_memory), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_options),             cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_recipes),
    };
    return cmocka_run_group_tests_name("dreamer", tests, NULL, NULL);
}
