/* tests/support/v3_life.c: a DreamerV3 agent of a few weights, and environments that tell the time. */
#include "tests/support/v3_life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/compare.h"
#include "tests/support/suite.h"

rv_dreamer_v3_agent_options v3_small(void) {
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

/* ---- clocks ------------------------------------------------------------------------------------------------------ */

typedef struct clocks {
    int64_t count;
    struct {
        float step, episode;
    } of[];
} clocks;

v3_clock_fault v3_fault;

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
        const bool bad = ++v3_fault.step == v3_fault.bad_at;
        next[2 * i] = c->of[i].step += 1;
        next[2 * i + 1] = c->of[i].episode;
        reward[i] = 10 * c->of[i].episode + c->of[i].step;
        const bool ends = c->of[i].step >= (float)(3 + i), turn = (int)c->of[i].episode / 2 % 2;
        terminated[i] = ends && !turn;
        truncated[i] = ends && turn;
        if (bad) *(v3_fault.in_reward ? &reward[i] : &next[2 * i]) = v3_fault.bad;
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

const rv_env_table v3_clock_table = {.abi = RV_ENV_ABI, .size = sizeof v3_clock_table, .name = "clock",
                                         .text = "tells the time", .create = clock_create, .destroy = free,
                                         .spaces = clock_spaces, .reset = clock_reset, .step = clock_step,
                                         .state_size = clock_size, .save = clock_save, .load = clock_load};

/* ---- a life ------------------------------------------------------------------------------------------------------ */

v3_life v3_begin(const char *resource, const char *env, int64_t count, const rv_dreamer_v3_agent_options *options) {
    v3_life l = {0};
    rv_env_setting steps = {"max_steps", 12};
    v3_fault.step = v3_fault.bad_at = 0;
    assert_ok(rv_device_open(resource, NULL, &l.device), rv_device_message(l.device));
    if (env) assert_ok(rv_env_create(env, count, &steps, strcmp(env, "cartpole") == 0, &l.env), rv_env_message(l.env));
    else assert_ok(rv_env_create_from(&v3_clock_table, count, NULL, 0, &l.env), rv_env_message(l.env));
    assert_ok(rv_dreamer_v3_agent_create(l.device, l.env, options, &l.agent), rv_agent_message(l.agent));
    assert_ok(rv_checkpoint_create(l.device, &l.file), "");
    assert_ok(rv_agent_checkpoint(l.agent, l.file), rv_agent_message(l.agent));
    return l;
}

void v3_end(v3_life *l) {
    rv_checkpoint_destroy(l->file);
    rv_agent_destroy(l->agent);
    rv_env_destroy(l->env);
    rv_device_close(l->device);
}

void v3_live(v3_life *l, int64_t steps) { assert_ok(rv_agent_run(l->agent, steps), rv_agent_message(l->agent)); }

uint64_t v3_hash_of(v3_life *l) {
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
