/* tests/test_dreamer_v3_agent.c: a DreamerV3 agent's life: what it keeps of its steps, latents back in their rows,
 * updates by the count of steps, repeats and resumptions to the bit, bad numbers, memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/dreamer.h"
#include "reverie/dreamer_v3_agent.h"
#include "reverie/wrappers.h"
#include "tests/support/allocator.h"
#include "tests/support/compare.h"
#include "tests/support/suite.h"

static rv_dreamer_v3_agent_options small(void) {
    rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("debug")->options;
    options.steps = 400;
    options.batch = 3;
    options.length = 6;
    options.train_ratio = 9; /* an update every two steps */
    options.start = 40;
    options.learner.warmup = -1;
    options.learner.learning_rate = 1e-2f;
    options.seed = 5;
    return options;
}

/* ---- an environment that tells the time, and can be told to go bad ----------------------------------------------- */

/* Environment i ends after 3 + i steps, by turns for good and cut short. It sees (its step, its episode), and is paid
 * 10 * episode + step. */
typedef struct clocks {
    int64_t count;
    struct {
        float step, episode;
    } of[];
} clocks;

static struct {
    int64_t step, bad_at; /* of all environments together; bad_at 0: never */
    float bad;
    bool in_reward;
} fault;

static int clock_create(const double *options, int64_t count, void **state) {
    (void)options;
    clocks *c = *state = calloc(1, sizeof *c + (size_t)count * sizeof c->of[0]);
    if (c) c->count = count;
    return c == NULL;
}

static void clock_spaces(const void *state, rv_env_spaces *spaces) {
    static const float low[] = {0, 0}, high[] = {99, 99};
    static const char *const names[] = {"step", "episode"};
    (void)state;
    *spaces = (rv_env_spaces){sizeof *spaces, 2, low, high, names, 1, 0, low, high, names, 0};
}

static void clock_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    clocks *c = state;
    for (int64_t i = 0; i < c->count; i++) {
        if (mask && !mask[i]) continue;
        c->of[i].episode = seed ? 0 : c->of[i].episode + 1;
        c->of[i].step = 0;
        observation[2 * i] = 0;
        observation[2 * i + 1] = c->of[i].episode;
    }
}

static void clock_step(void *state, const float *action, float *next, float *reward, uint8_t *terminated,
                       uint8_t *truncated) {
    clocks *c = state;
    (void)action;
    for (int64_t i = 0; i < c->count; i++) {
        const bool bad = ++fault.step == fault.bad_at;
        next[2 * i] = c->of[i].step += 1;
        next[2 * i + 1] = c->of[i].episode;
        reward[i] = 10 * c->of[i].episode + c->of[i].step;
        const bool ends = c->of[i].step >= (float)(3 + i), turn = (int)c->of[i].episode / 2 % 2;
        terminated[i] = ends && !turn;
        truncated[i] = ends && turn;
        if (bad) *(fault.in_reward ? &reward[i] : &next[2 * i]) = fault.bad;
    }
}

static size_t clock_size(const void *state) {
    const clocks *c = state;
    return sizeof *c + (size_t)c->count * sizeof c->of[0];
}

static void clock_save(const void *state, void *bytes) { memcpy(bytes, state, clock_size(state)); }

static int clock_load(void *state, const void *bytes, float *observation) {
    clocks *c = state;
    memcpy(state, bytes, clock_size(state));
    for (int64_t i = 0; observation && i < c->count; i++) {
        observation[2 * i] = c->of[i].step;
        observation[2 * i + 1] = c->of[i].episode;
    }
    return 0;
}

static const rv_env_table clock_table = {.abi = RV_ENV_ABI, .size = sizeof clock_table, .name = "clock",
                                         .text = "tells the time", .create = clock_create, .destroy = free,
                                         .spaces = clock_spaces, .reset = clock_reset, .step = clock_step,
                                         .state_size = clock_size, .save = clock_save, .load = clock_load};

/* ---- a life ------------------------------------------------------------------------------------------------------ */

typedef struct life {
    rv_device *device;
    rv_env *env;
    rv_agent *agent;
    rv_checkpoint *file;
} life;

/* env NULL: clocks. */
static life begin(const char *resource, const char *env, int64_t count, const rv_dreamer_v3_agent_options *options) {
    life l = {0};
    rv_env_setting steps = {"max_steps", 12};
    fault.step = fault.bad_at = 0;
    assert_ok(rv_device_open(resource, NULL, &l.device), rv_device_message(l.device));
    if (env) assert_ok(rv_env_create(env, count, &steps, strcmp(env, "cartpole") == 0, &l.env), rv_env_message(l.env));
    else assert_ok(rv_env_create_from(&clock_table, count, NULL, 0, &l.env), rv_env_message(l.env));
    assert_ok(rv_dreamer_v3_agent_create(l.device, l.env, options, &l.agent), rv_agent_message(l.agent));
    assert_ok(rv_checkpoint_create(l.device, &l.file), "");
    assert_ok(rv_agent_checkpoint(l.agent, l.file), rv_agent_message(l.agent));
    return l;
}

static void end(life *l) {
    rv_checkpoint_destroy(l->file);
    rv_agent_destroy(l->agent);
    rv_env_destroy(l->env);
    rv_device_close(l->device);
}

static void live(life *l, int64_t steps) { assert_ok(rv_agent_run(l->agent, steps), rv_agent_message(l->agent)); }

/* Of all that a checkpoint holds. */
static uint64_t hash_of(life *l) {
    char name[64];
    snprintf(name, sizeof name, "v3_hash_%d.safetensors", (int)getpid());
    assert_ok(rv_agent_save(l->agent, l->file, name), rv_agent_message(l->agent));
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    uint64_t hash = RV_HASH_START;
    unsigned char block[4096];
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;) hash = rv_hash_bytes(hash, block, got);
    fclose(file);
    remove(name);
    return hash;
}

static uint64_t hash_of_life(const char *resource, const char *env, int64_t count) {
    const rv_dreamer_v3_agent_options options = small();
    life l = begin(resource, env, count, &options);
    live(&l, 96);
    uint64_t hash = hash_of(&l);
    end(&l);
    return hash;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A field's filled rows of one stream. */
static void read_rows(life *l, const char *field, int64_t stream, int64_t rows, float *out) {
    rv_replay *replay = rv_agent_replay(l->agent);
    rv_array *array = rv_replay_array(replay, rv_replay_find(replay, field));
    assert_ok(rv_array_read(array, stream * rv_replay_stream_rows(replay), rows, out), "");
}

/* Every episode whole: a first row without reward, one for each step, the last one marked. */
static void test_rows(void **state) {
    (void)state;
    enum { ROWS = 20, STREAMS = 3 };
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", NULL, STREAMS, &options);
    live(&l, ROWS * STREAMS);
    int64_t episodes = 0;
    for (int s = 0; s < STREAMS; s++) {
        float seen[ROWS][2], reward[ROWS], first[ROWS], last[ROWS], terminal[ROWS], step = 0, episode = 0;
        read_rows(&l, "observation", s, ROWS, &seen[0][0]);
        read_rows(&l, "reward", s, ROWS, reward);
        read_rows(&l, "is_first", s, ROWS, first);
        read_rows(&l, "is_last", s, ROWS, last);
        read_rows(&l, "is_terminal", s, ROWS, terminal);
        for (int r = 0; r < ROWS; r++) {
            const bool ends = step >= (float)(3 + s);
            assert_true(seen[r][0] == step && seen[r][1] == episode);
            assert_true(reward[r] == (step > 0 ? 10 * episode + step : 0));
            assert_true(first[r] == (step == 0) && last[r] == ends);
            assert_true(terminal[r] == (ends && (int)episode / 2 % 2 == 0));
            /* the environment begins an episode at the end of another, and again at the first row of the next */
            if (ends) episode += 2, episodes++;
            step = ends ? 0 : step + 1;
        }
        if (step == 0) episodes--; /* its last row has not been acted on */
    }
    assert_int_equal(rv_agent_episodes(l.agent), episodes + (20 % 4 == 0) + (20 % 5 == 0));
    end(&l);
}

/* What the rows say of the recurrent state is what the networks make of the rows before. */
static void test_state_goes_on(void **state) {
    (void)state;
    enum { ROWS = 9, D = 8, Z = 8 };
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:reference", NULL, 1, &options);
    live(&l, ROWS);
    float deter[ROWS][D], stoch[ROWS][Z], action[ROWS][1], first[ROWS], expected[D];
    read_rows(&l, "deter", 0, ROWS, &deter[0][0]);
    read_rows(&l, "stoch", 0, ROWS, &stoch[0][0]);
    read_rows(&l, "action", 0, ROWS, &action[0][0]);
    read_rows(&l, "is_first", 0, ROWS, first);
    const rv_rssm *rssm = rv_sequence_model_rssm(rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(l.agent)));
    rv_array *h, *z, *a, *out;
    assert_ok(rv_array_create(l.device, RV_F32, 1, D, "h", &h), "");
    assert_ok(rv_array_create(l.device, RV_F32, 1, Z, "z", &z), "");
    assert_ok(rv_array_create(l.device, RV_F32, 1, 1, "a", &a), "");
    assert_ok(rv_array_create(l.device, RV_F32, 1, D, "out", &out), "");
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(l.device, &graph), "");
    const rv_rssm_state before = {rv_read(graph, h), rv_read(graph, z)};
    rv_store(out, rv_rssm_advance(graph, rssm, before, rv_read(graph, a)));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    for (int r = 0; r < ROWS; r++) {
        static const float zeros[D] = {0};
        const bool begins = first[r] != 0;
        if (r == 0) assert_true(begins);
        assert_ok(rv_array_write(h, 0, 1, begins ? zeros : deter[r - 1]), "");
        assert_ok(rv_array_write(z, 0, 1, begins ? zeros : stoch[r - 1]), "");
        assert_ok(rv_array_write(a, 0, 1, begins ? zeros : action[r - 1]), "");
        assert_ok(rv_plan_run(plan), "");
        assert_ok(rv_array_read(out, 0, 1, expected), "");
        for (int c = 0; c < D; c++) assert_true(fabsf(expected[c] - deter[r][c]) < 1e-6f);
    }
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array *const arrays[] = {h, z, a, out};
    for (int i = 0; i < 4; i++) rv_array_destroy(arrays[i]);
    end(&l);
}

/* ---- latents back in their rows ---------------------------------------------------------------------------------- */

/* The batch of the next update made once more, by hand, from the same draw: rows i32, and the latents of them. */
typedef struct expected_update {
    rv_array *rows, *deter, *stoch;
    rv_plan *plan;
} expected_update;

static expected_update expect_update(life *l, const rv_dreamer_v3_agent_options *o, rv_random *noise) {
    expected_update e = {0};
    rv_graph *graph;
    rv_replay *replay = rv_agent_replay(l->agent);
    const int64_t b = o->batch, rows = b * o->length;
    assert_ok(rv_graph_create(l->device, &graph), "");
    rv_tensor random = rv_random_state(graph, noise);
    rv_replay_batch drawn = rv_replay_sample(graph, replay, random, "replay", b, o->length + 1);
    rv_tensor of[8], start[8];
    static const char *const fields[8] = {"observation", "action",      "reward", "is_first",
                                          "is_last",     "is_terminal", "deter",  "stoch"};
    for (int i = 0; i < 8; i++) {
        const int field = rv_replay_find(replay, fields[i]);
        start[i] = rv_slice_rows(drawn.value[field], 0, b);
        of[i] = rv_slice_rows(drawn.value[field], b, rows);
    }
    const rv_sequence_batch batch = {o->length, of[0], of[1],                of[2],   of[3],
                                     of[4],     of[5], {start[6], start[7]}, start[1]};
    rv_rssm_state seen = rv_sequence_model_observe(graph, rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(l->agent)),
                                                   &batch, (rv_rssm_noise){.state = random, .name = "posterior"})
                             .seen.state;
    assert_ok(rv_array_create(l->device, RV_I32, rows, 1, "rows", &e.rows), "");
    assert_ok(rv_array_create(l->device, RV_F32, rows, 8, "deter", &e.deter), "");
    assert_ok(rv_array_create(l->device, RV_F32, rows, 8, "stoch", &e.stoch), "");
    rv_store(e.rows, rv_slice_rows(drawn.rows, b, rows));
    rv_store(e.deter, seen.deter);
    rv_store(e.stoch, seen.stoch);
    rv_random_advance(graph, noise);
    assert_ok(rv_plan_create(graph, NULL, &e.plan), rv_plan_message(e.plan));
    rv_graph_destroy(graph);
    return e;
}

static void test_latents_go_back(void **state) {
    (void)state;
    enum { MOST = 400, N = 18 };
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", NULL, 2, &options);
    live(&l, 40);
    static float deter[2][MOST][8], stoch[2][MOST][8], made[2][N][8];
    int32_t rows[N];
    rv_random *noise; /* as the agent's: by the same seed, and advanced at the same times */
    assert_ok(rv_random_create(l.device, options.seed, &noise), "");
    expected_update e = expect_update(&l, &options, noise);
    rv_replay *replay = rv_agent_replay(l.agent);
    rv_array *const kept[2] = {rv_replay_array(replay, rv_replay_find(replay, "deter")),
                               rv_replay_array(replay, rv_replay_find(replay, "stoch"))};
    int changed = 0;
    for (int update = 0; update < 3; update++) {
        assert_ok(rv_array_read(kept[0], 0, MOST, deter[0]), "");
        assert_ok(rv_array_read(kept[1], 0, MOST, stoch[0]), "");
        assert_ok(rv_plan_run(e.plan), "");
        assert_ok(rv_array_read(e.rows, 0, N, rows), "");
        assert_ok(rv_array_read(e.deter, 0, N, made[0]), "");
        assert_ok(rv_array_read(e.stoch, 0, N, made[1]), "");
        for (int r = 0; r < N; r++) {
            changed += memcmp(deter[0][rows[r]], made[0][r], sizeof made[0][r]) != 0;
            memcpy(deter[0][rows[r]], made[0][r], sizeof made[0][r]);
            memcpy(stoch[0][rows[r]], made[1][r], sizeof made[1][r]);
        }
        assert_ok(rv_plan_run(rv_agent_train_plan(l.agent)), "");
        assert_ok(rv_array_read(kept[0], 0, MOST, deter[1]), "");
        assert_ok(rv_array_read(kept[1], 0, MOST, stoch[1]), "");
        assert_memory_equal(deter[0], deter[1], sizeof deter[0]);
        assert_memory_equal(stoch[0], stoch[1], sizeof stoch[0]);
    }
    assert_true(changed > N); /* other draws, and other weights from the second update on */
    rv_plan_destroy(e.plan);
    rv_array_destroy(e.rows);
    rv_array_destroy(e.deter);
    rv_array_destroy(e.stoch);
    rv_random_destroy(noise);
    end(&l);
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
        const rv_dreamer_v3_agent_options options = small();
        const int64_t kills[] = {0, 6, 8, 40, 42, 70, 72, 74, 76};
        char name[64];
        snprintf(name, sizeof name, "v3_resume_%d.safetensors", (int)getpid());
        for (int k = 0; k < 9; k++) {
            life l = begin("cpu:threads=1", worlds[w].env, worlds[w].count, &options);
            live(&l, kills[k]);
            assert_ok(rv_agent_save(l.agent, l.file, name), rv_agent_message(l.agent));
            live(&l, 10); /* lost */
            end(&l);
            l = begin("cpu:threads=2", worlds[w].env, worlds[w].count, &options);
            live(&l, 4); /* forgotten */
            assert_ok(rv_agent_load(l.agent, l.file, name), rv_agent_message(l.agent));
            assert_int_equal(rv_agent_steps(l.agent), kills[k]);
            live(&l, 96 - kills[k]);
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
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
    rv_env *fresh, *alone;
    double mode[3], again[3], drawn[3], single[1];
    assert_ok(rv_env_create("continuous_pendulum", 3, NULL, 0, &fresh), "");
    assert_ok(rv_env_create("continuous_pendulum", 1, NULL, 0, &alone), "");
    for (int i = 0; i < 60; i++) live(&l, 1);
    assert_ok(rv_agent_evaluate(l.agent, fresh, 77, 0, mode), rv_agent_message(l.agent));
    assert_ok(rv_agent_evaluate(l.agent, fresh, 77, 0, again), rv_agent_message(l.agent));
    assert_ok(rv_agent_evaluate(l.agent, fresh, 77, 1, drawn), rv_agent_message(l.agent));
    assert_ok(rv_agent_evaluate(l.agent, alone, 77, 1, single), rv_agent_message(l.agent));
    assert_memory_equal(mode, again, sizeof mode);
    assert_true(memcmp(mode, drawn, sizeof mode) != 0);
    assert_true(single[0] == drawn[0]); /* its row, by itself */
    for (int i = 0; i < 3; i++) assert_true(drawn[i] < 0 && drawn[i] > -2000);
    live(&l, 36);
    assert_true(hash_of(&l) == whole);
    rv_env_destroy(fresh);
    rv_env_destroy(alone);
    end(&l);
}

/* An episode's return is the sum of its rewards: of 3 + i steps, all paid. */
static void test_returns(void **state) {
    (void)state;
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", NULL, 2, &options);
    rv_env *fresh;
    double returns[3];
    rv_metric metrics[RV_AGENT_METRICS];
    assert_ok(rv_env_create_from(&clock_table, 3, NULL, 0, &fresh), "");
    assert_ok(rv_agent_evaluate(l.agent, fresh, 0, 1, returns), rv_agent_message(l.agent));
    for (int i = 0; i < 3; i++) assert_true(returns[i] == (double)((3 + i) * (4 + i)) / 2);
    live(&l, 8); /* 3 steps of one, its last row, 1 step; of the other the end is still to come */
    assert_int_equal(rv_agent_episodes(l.agent), 2);
    assert_ok(rv_agent_metrics(l.agent, metrics), "");
    for (int m = 0; m < RV_AGENT_METRICS; m++) {
        if (strcmp(metrics[m].name, "return") == 0) assert_true(metrics[m].value == (6.0f + 10.0f) / 2);
        if (strcmp(metrics[m].name, "length") == 0) assert_true(metrics[m].value == 3.5f);
    }
    rv_env_destroy(fresh);
    end(&l);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void test_counts(void **state) {
    (void)state;
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", "cartpole", 2, &options);
    rv_metric metrics[RV_AGENT_METRICS];
    static const struct {
        int64_t run, steps, updates;
    } rows[] = {{40, 40, 0}, {1, 42, 1}, {1, 44, 2}, {7, 52, 6}, {48, 100, 30}};
    for (int i = 0; i < 5; i++) {
        int64_t filled;
        live(&l, rows[i].run);
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
    end(&l);
}

static void test_replay_bytes(void **state) {
    (void)state;
    rv_dreamer_v3_agent_options options = small();
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

/* ---- devices, and bad numbers ------------------------------------------------------------------------------------ */

static void weights_of(life *l, float *out) {
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
    rv_dreamer_v3_agent_options options = small();
    options.learner.learning_rate = 1e-4f;
    for (int d = 0; d < 3; d++) {
        life l = begin(devices[d], "cartpole", 2, &options);
        live(&l, 48);
        assert_int_equal(rv_agent_updates(l.agent), 4);
        weights_of(&l, weights[d]);
        end(&l);
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
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", NULL, 1, &options);
    int64_t filled;
    live(&l, 80);
    fault.step = 0;
    fault.bad_at = 2;
    fault.bad = value;
    fault.in_reward = in_reward;
    live(&l, 1);
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
    end(&l);
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
    const rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", NULL, 1, &options);
    live(&l, 50);
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
    end(&l);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void test_runs_take_no_memory(void **state) {
    (void)state;
    rv_counting counting = {0};
    const rv_device_options counted = rv_counting_options(&counting);
    const rv_dreamer_v3_agent_options options = small();
    life l = {0};
    assert_ok(rv_device_open("cpu:threads=1", &counted, &l.device), "");
    assert_ok(rv_env_create("cartpole", 2, NULL, 0, &l.env), "");
    assert_ok(rv_dreamer_v3_agent_create(l.device, l.env, &options, &l.agent), rv_agent_message(l.agent));
    const int64_t before = counting.calls;
    live(&l, 80);
    assert_int_equal(counting.calls, before);
    end(&l);
    assert_int_equal(counting.live, 0);
}

/* Every allocation fails in turn: OUT_OF_MEMORY and a message, and nothing is left. */
static void test_no_memory(void **state) {
    (void)state;
    const rv_dreamer_v3_agent_options options = small();
    const int step = RV_SLOW_RUN ? 997 : 97;
    for (int64_t fail_at = 1;; fail_at += fail_at < 60 ? 1 : step) {
        rv_counting counting = {0};
        const rv_device_options counted = rv_counting_options(&counting);
        life l = {0};
        assert_ok(rv_device_open("cpu:threads=1", &counted, &l.device), "");
        assert_ok(rv_env_create("cartpole", 2, NULL, 0, &l.env), "");
        counting.fail_at = counting.calls + fail_at;
        rv_status status = rv_dreamer_v3_agent_create(l.device, l.env, &options, &l.agent);
        if (status != RV_OK) {
            assert_status(status, RV_OUT_OF_MEMORY);
            if (l.agent) assert_true(strlen(rv_agent_message(l.agent)) > 12);
        }
        end(&l);
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
        rv_dreamer_v3_agent_options options_ = small();  \
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
    rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
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
    live(&l, 5); /* it goes on */
    rv_env_destroy(other);
    end(&l);
}

/* One kind's parts are not another's. */
static void test_kinds(void **state) {
    (void)state;
    rv_dreamer_v3_agent_options options = small();
    life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
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
    end(&l);
}

/* A recipe writes its constants out, and "dmc_proprio" has those of the published one. */
static void test_recipes(void **state) {
    (void)state;
    int count;
    const rv_dreamer_v3_recipe *list = rv_dreamer_v3_recipe_list(&count);
    assert_int_equal(count, 4);
    assert_string_equal(list[0].name, "default");
    assert_memory_equal(&list[0].options, &list[1].options, sizeof list[0].options);
    const rv_dreamer_v3_recipe *published = rv_dreamer_v3_recipe_find("dmc_proprio");
    const rv_dreamer_v3_agent_options *o = &published->options;
    assert_true(o->batch == 16 && o->length == 64 && o->train_ratio == 1024 && published->environments == 16);
    assert_true(o->learner.learning_rate == 4e-5f && o->learner.warmup == 1000 && o->start == 2048);
    for (int i = 0; i < count; i++) {
        rv_dreamer_v3_agent_options options = list[i].options;
        options.steps = 2048; /* a replay of two million rows is much for a test */
        life l = begin("cpu:threads=1", "continuous_pendulum", 1, &options);
        const rv_dreamer_v3_agent_options *filled = rv_dreamer_v3_agent_options_get(l.agent);
        assert_true(filled->batch == options.batch && filled->length == options.length);
        assert_true(filled->learner.learning_rate == options.learner.learning_rate);
        assert_int_equal(filled->learner.model.observation_size, 3);
        assert_int_equal(filled->learner.model.rssm.deter, options.learner.model.rssm.deter);
        assert_int_equal(filled->learner.actor, RV_ACTOR_BOUNDED_NORMAL);
        end(&l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_state_goes_on),
        cmocka_unit_test(test_latents_go_back),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_returns),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_replay_bytes),
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
