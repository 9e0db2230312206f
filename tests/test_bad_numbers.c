/* tests/test_bad_numbers.c: numbers go wrong safely. NaN or an infinity in any weight or in the data of whatever
 * learns: the update that meets it flags it by name and changes nothing, and no checkpoint is written. The same where
 * numbers so large stand there that something overflows, gradients included; where nothing does, all stays finite. What
 * an environment gives: test_dreamer.c and test_dreamer_v3_agent.c.
 *
 *     test_bad_numbers [DEVICE ...]            or REVERIE_DEVICES; cpu and opencl:0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/dreamer.h"
#include "agents/dreamer_v3_agent.h"
#include "models/trainer.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"
#include "tests/support/v3_life.h"

static rv_test_devices devices;

enum { SETS = 4, COLUMNS = 16, KEPT = 32, BEFORE = 60 };

/* Weights, or data that an update reads, and the name that what is bad in them is to have. */
typedef struct set {
    rv_params *params;
    const char *named;
} set;

typedef struct column {
    rv_array *array;
    int64_t index;
    const char *name, *named;
} column;

/* Something that learns: an update of it is one run of the plan. */
typedef struct learner {
    rv_device *device;
    rv_plan *plan;
    set set[SETS];
    column column[COLUMNS];
    rv_array *kept[KEPT]; /* what no bad number may reach */
    int sets, columns, kept_count, gradients; /* gradients: how often it was one that was named */
    rv_checkpoint *file;
    rv_env *env;
    rv_agent *agent;
    rv_world_model *world_model;
    rv_sequence_model *sequence_model;
    rv_trainer *trainer;
} learner;

/* ---- what there is ----------------------------------------------------------------------------------------------- */

static void keep(learner *l, rv_array *array) {
    if (!array) return; /* a set without moments */
    assert_true(l->kept_count < KEPT);
    l->kept[l->kept_count++] = array;
}

static void keep_params(learner *l, rv_params *params) {
    static const rv_params_part parts[] = {RV_VALUE, RV_MOMENT1, RV_MOMENT2};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) keep(l, rv_params_array(params, parts[i]));
    keep(l, rv_params_updates(params));
}

static void add_set(learner *l, rv_params *params, const char *named) {
    assert_true(l->sets < SETS);
    l->set[l->sets++] = (set){params, named};
    keep_params(l, params);
}

static void add_column(learner *l, rv_array *array, int64_t index, const char *name, const char *named) {
    assert_true(l->columns < COLUMNS);
    l->column[l->columns++] = (column){array, index, name, named};
}

/* All fields are kept; first and last columns of some are hurt. */
static void replay_columns(learner *l, int all, const char *const *hurt, int count) {
    rv_replay *replay = rv_agent_replay(l->agent);
    for (int field = 0; field < all; field++) keep(l, rv_replay_array(replay, field));
    for (int i = 0; i < count; i++) {
        rv_array *array = rv_replay_array(replay, rv_replay_find(replay, hurt[i]));
        assert_non_null(array);
        add_column(l, array, 0, hurt[i], "loss");
        if (rv_array_cols(array) > 1) add_column(l, array, rv_array_cols(array) - 1, hurt[i], "loss");
    }
}

static void agent_file(learner *l) {
    l->plan = rv_agent_train_plan(l->agent);
    assert_ok(rv_agent_checkpoint(l->agent, l->file), rv_agent_message(l->agent));
}

static void keep_returns(learner *l, rv_return_normaliser *returns) {
    keep(l, rv_return_normaliser_low(returns));
    keep(l, rv_return_normaliser_high(returns));
}

/* ---- learners ------------------------------------------------------------------------------------------- */

static void begin_dreamer(learner *l) {
    static const char *const hurt[] = {"observation", "action", "reward", "next_observation"};
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.model.latent_size = 5;
    options.model.continues = 1;
    options.model.vae_hidden = options.model.dynamics_hidden = (rv_sizes){1, {12}};
    options.model.reward_hidden = options.model.continue_hidden = (rv_sizes){1, {8}};
    options.actor_hidden = options.critic_hidden = (rv_sizes){1, {12}};
    options.critic_bins = 11;
    options.steps = BEFORE;
    options.prefill = BEFORE - 2;
    options.batch = 8;
    options.imagined = 8;
    options.window = 2;
    options.horizon = 3;
    options.seed = 5;
    const rv_env_setting steps = {"max_steps", 7};
    assert_ok(rv_env_create("continuous_pendulum", 1, &steps, 1, &l->env), rv_env_message(l->env));
    assert_ok(rv_dreamer_create(l->device, l->env, &options, &l->agent), rv_agent_message(l->agent));
    assert_ok(rv_agent_run(l->agent, BEFORE), rv_agent_message(l->agent));
    rv_dreamer *d = rv_dreamer_of(l->agent);
    add_set(l, rv_world_model_params(d->model), "model weights");
    add_set(l, d->actor_params, "actor weights");
    add_set(l, d->critic_params, "critic weights");
    add_set(l, d->slow_params, "slow critic weights");
    keep_returns(l, d->normaliser);
    replay_columns(l, RV_DREAMER_FIELDS, hurt, sizeof hurt / sizeof *hurt);
    agent_file(l);
}

static void begin_dreamer_v3(learner *l) {
    static const char *const hurt[] = {"observation", "action", "reward", "deter", "stoch"};
    rv_dreamer_v3_agent_options options = v3_small();
    options.steps = BEFORE;
    options.batch = 3;
    options.train_ratio = options.batch * options.length / 4;
    assert_ok(rv_env_create_from(&v3_clock_table, 1, NULL, 0, &l->env), rv_env_message(l->env));
    assert_ok(rv_dreamer_v3_agent_create(l->device, l->env, &options, &l->agent), rv_agent_message(l->agent));
    assert_ok(rv_agent_run(l->agent, BEFORE), rv_agent_message(l->agent));
    rv_dreamer_v3 *v3 = rv_dreamer_v3_agent_learner(l->agent);
    add_set(l, rv_dreamer_v3_params(v3), "weights");
    add_set(l, rv_dreamer_v3_slow_params(v3), "slow critic weights");
    keep_returns(l, rv_dreamer_v3_returns(v3));
    replay_columns(l, RV_V3_FIELDS, hurt, sizeof hurt / sizeof *hurt);
    agent_file(l);
}

/* 24 transitions of two numbers, episodes of 6. */
enum { ROWS = 24 };

static const rv_transitions *some_data(void) {
    static float observation[2 * ROWS], next[2 * ROWS], action[ROWS], reward[ROWS];
    static uint8_t first[ROWS], terminated[ROWS], truncated[ROWS];
    static const rv_transitions data = {ROWS, 2, 1, observation, action, reward, next, first, terminated, truncated};
    rv_random_normal(1, 0, "observation", 0, ROWS, 2, observation);
    rv_random_normal(1, 0, "next", 0, ROWS, 2, next);
    rv_random_normal(1, 0, "action", 0, ROWS, 1, action);
    rv_random_normal(1, 0, "reward", 0, ROWS, 1, reward);
    for (int i = 0; i < ROWS; i++) {
        first[i] = i % 6 == 0;
        terminated[i] = i % 12 == 5;
        truncated[i] = i % 12 == 11;
    }
    return &data;
}

static void trainer_parts(learner *l, const char *const *columns, const char *const *named, int count) {
    l->plan = rv_trainer_plan(l->trainer);
    add_set(l, l->trainer->params, "weights");
    for (int c = 0; c < count; c++) add_column(l, l->trainer->training.table, c, columns[c], named[c]);
    assert_ok(rv_trainer_checkpoint(l->trainer, l->file), rv_trainer_message(l->trainer));
}

static void begin_world_model(learner *l) {
    static const char *const columns[] = {"observation", "observation", "next observation",
                                          "next observation", "action", "reward"};
    static const char *const named[] = {"loss", "loss", "loss", "loss", "loss", "loss"};
    const rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = 2, .action_size = 1,
                                          .latent_size = 3, .vae_hidden = {1, {8}}, .dynamics_hidden = {1, {8}},
                                          .reward_hidden = {1, {8}}, .continue_hidden = {1, {8}}, .continues = 1};
    const rv_trainer_options options = {.size = sizeof options, .batch = 8, .window = 2, .prediction_weight = 1};
    assert_ok(rv_world_model_create(l->device, &sizes, 2, &l->world_model), rv_world_model_message(l->world_model));
    assert_ok(rv_trainer_create(l->world_model, some_data(), &options, &l->trainer), rv_trainer_message(l->trainer));
    trainer_parts(l, columns, named, sizeof named / sizeof *named);
}

static void begin_rssm(learner *l) {
    static const char *const columns[] = {"observation", "observation", "action", "reward"};
    rv_sequence_model_options sizes = {.size = sizeof sizes};
    assert_ok(rv_sequence_model_preset("debug", &sizes), "debug");
    sizes.observation_size = 2;
    sizes.action_size = 1;
    sizes.reward_outscale = 1;
    const rv_sequence_trainer_options options = {.size = sizeof options, .batch = 8, .steps = 4,
                                                 .learning_rate_warmup = -1};
    assert_ok(rv_sequence_model_create(l->device, &sizes, &l->sequence_model), "sequence model");
    assert_ok(rv_sequence_model_commit(l->sequence_model, 2), rv_sequence_model_message(l->sequence_model));
    assert_ok(rv_sequence_trainer_create(l->sequence_model, some_data(), &options, &l->trainer),
              rv_trainer_message(l->trainer));
    trainer_parts(l, columns, columns, sizeof columns / sizeof *columns);
}

static void end(learner *l) {
    rv_checkpoint_destroy(l->file);
    rv_trainer_destroy(l->trainer);
    rv_world_model_destroy(l->world_model);
    rv_sequence_model_destroy(l->sequence_model);
    rv_agent_destroy(l->agent);
    rv_env_destroy(l->env);
    rv_device_close(l->device);
}

/* ---- nothing has changed ---------------------------------------------------------------------------------------- */

typedef struct snapshot {
    unsigned char *bytes;
    size_t count;
} snapshot;

static size_t bytes_of(const rv_array *array) {
    static const size_t each[] = {[RV_F32] = 4, [RV_I32] = 4, [RV_U8] = 1};
    return (size_t)(rv_array_rows(array) * rv_array_cols(array)) * each[rv_array_dtype(array)];
}

static snapshot take(const learner *l) {
    snapshot s = {0};
    for (int i = 0; i < l->kept_count; i++) s.count += bytes_of(l->kept[i]);
    s.bytes = malloc(s.count);
    assert_non_null(s.bytes);
    size_t at = 0;
    for (int i = 0; i < l->kept_count; i++) {
        assert_ok(rv_array_read(l->kept[i], 0, rv_array_rows(l->kept[i]), s.bytes + at), "kept");
        at += bytes_of(l->kept[i]);
    }
    return s;
}

static bool unchanged(const learner *l, const snapshot *before) {
    snapshot now = take(l);
    const bool same = memcmp(now.bytes, before->bytes, now.count) == 0;
    free(now.bytes);
    return same;
}

static bool all_finite(const learner *l) {
    bool finite = true;
    for (int s = 0; s < l->sets; s++) {
        for (int part = RV_VALUE; part <= RV_MOMENT2; part++) {
            rv_array *flat = rv_params_array(l->set[s].params, (rv_params_part)part);
            const int64_t count = flat && part != RV_GRADIENT ? rv_array_cols(flat) : 0;
            float *values = malloc((size_t)count * sizeof *values + 1);
            assert_non_null(values);
            if (count) assert_ok(rv_array_read(flat, 0, 1, values), "");
            for (int64_t i = 0; i < count; i++) finite = finite && isfinite(values[i]);
            free(values);
        }
    }
    return finite;
}

/* ---- injections ------------------------------------------------------------------------------------------- */

/* An update with something bad in place. */
static void meet(learner *l, const char *where, float value, const char *named) {
    char path[64];
    const char *name = "nothing";
    snprintf(path, sizeof path, "never_%d.safetensors", (int)getpid());
    snapshot before = take(l);
    assert_ok(rv_plan_run(l->plan), rv_plan_message(l->plan));
    if (rv_device_health(l->device, &name) == RV_NON_FINITE) {
        if (!unchanged(l, &before))
            fail_msg("%g in %s is \"%s\", and something has changed", (double)value, where, name);
        if (!isfinite(value) && strncmp(name, named, strlen(named)) != 0)
            fail_msg("%g in %s is \"%s\", not \"%s\"", (double)value, where, name, named);
        l->gradients += strstr(name, "gradient") != NULL;
        assert_names(rv_device_message(l->device), name);
        assert_status(rv_checkpoint_save(l->file, path), RV_NON_FINITE);
        assert_int_equal(access(path, F_OK), -1);
        assert_ok(rv_device_health_clear(l->device), "");
    } else if (!isfinite(value) || !all_finite(l)) {
        fail_msg("%g in %s was not seen", (double)value, where);
    }
    free(before.bytes);
}

static void hurt_weight(learner *l, const set *set, int index, float value) {
    int64_t rows, cols;
    const char *where = rv_params_name(set->params, index);
    assert_ok(rv_params_shape(set->params, index, &rows, &cols), where);
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    assert_non_null(values);
    assert_ok(rv_params_get(set->params, index, RV_VALUE, values), where);
    const float good = values[0];
    values[0] = value;
    assert_ok(rv_params_set(set->params, index, RV_VALUE, values), where);
    meet(l, where, value, set->named);
    values[0] = good;
    assert_ok(rv_params_set(set->params, index, RV_VALUE, values), where);
    free(values);
}

/* In every row: one of them is drawn. */
static void hurt_column(learner *l, const column *c, float value) {
    const int64_t rows = rv_array_rows(c->array), cols = rv_array_cols(c->array);
    float *good = malloc(2 * bytes_of(c->array)), *bad = good + rows * cols;
    assert_non_null(good);
    assert_ok(rv_array_read(c->array, 0, rows, good), c->name);
    memcpy(bad, good, bytes_of(c->array));
    for (int64_t r = 0; r < rows; r++) bad[r * cols + c->index] = value;
    assert_ok(rv_array_write(c->array, 0, rows, bad), c->name);
    meet(l, c->name, value, c->named);
    assert_ok(rv_array_write(c->array, 0, rows, good), c->name);
    free(good);
}

static void injure(void **state, void (*begin)(learner *l)) {
    static const float values[] = {NAN, INFINITY, -INFINITY, 1e18f, -1e18f, 1e38f};
    enum { VALUES = sizeof values / sizeof *values };
    bool absent;
    learner l = {.device = rv_device_open_for_test(&devices, *(int *)*state, &absent)};
    if (absent) skip();
    assert_non_null(l.device);
    assert_ok(rv_checkpoint_create(l.device, &l.file), "");
    begin(&l);
    for (int v = 0; v < VALUES; v++) {
        for (int s = 0; s < l.sets; s++) {
            for (int i = 0; i < rv_params_count(l.set[s].params); i++) hurt_weight(&l, &l.set[s], i, values[v]);
        }
        for (int c = 0; c < l.columns; c++) hurt_column(&l, &l.column[c], values[v]);
    }
    assert_true(l.gradients > 0);
    end(&l);
}

static void world_model(void **state) { injure(state, begin_world_model); }
static void rssm(void **state) { injure(state, begin_rssm); }
static void dreamer(void **state) { injure(state, begin_dreamer); }
static void dreamer_v3(void **state) { injure(state, begin_dreamer_v3); }

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu opencl:0");
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } each[] = {{"world model", world_model}, {"rssm", rssm}, {"dreamer", dreamer}, {"dreamer_v3", dreamer_v3}};
    enum { EACH = sizeof each / sizeof *each };
    struct CMUnitTest tests[EACH * RV_MAX_DEVICES];
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        for (int k = 0; k < EACH; k++)
            tests[EACH * i + k] = (struct CMUnitTest){each[k].name, each[k].function, NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("bad numbers", tests, (size_t)(EACH * devices.count), NULL, NULL);
}
