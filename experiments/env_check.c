/* experiments/env_check.c: an environment's table under a magnifying glass: every buffer guarded, every result compared. */
#include "experiments/env_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, STEPS = 600, GUARD = 512, STARTS = 1024 };

const char *const env_check_names[FAULT_COUNT] = {
    "writes nothing but its results", "same seeds and actions, same results", "a row does not depend on the others",
    "each seed an episode of its own", "observations within bounds", "no NaN, no infinity", "flags are 0 or 1",
    "a reset leaves other rows alone", "saved, loaded, and on as before",
};

static void fault(env_check *check, env_fault kind, const char *format, ...) RV_PRINTF(3, 4);
static void fault(env_check *check, env_fault kind, const char *format, ...) {
    if (check->found[kind]) return;
    check->found[kind] = true;
    va_list arguments;
    va_start(arguments, format);
    printf("fault   %s: ", env_check_names[kind]);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    fflush(stdout);
}

static void say(env_check *check, const char *call) {
    if (check->call) *check->call = call;
}

/* ---- buffers with guards before and behind ------------------------------------------------------------------ */

typedef struct block {
    uint8_t *memory, *data;
    size_t size;
} block;

static const uint8_t guard_byte = 0xa5;

static block block_make(size_t size) {
    block b = {.size = size, .memory = malloc(size + 2 * GUARD)};
    if (!b.memory) abort(); /* the parent says so */
    memset(b.memory, guard_byte, size + 2 * GUARD);
    b.data = b.memory + GUARD;
    return b;
}

static bool block_intact(const block *b) {
    for (size_t i = 0; i < GUARD; i++) {
        if (b->memory[i] != guard_byte || b->data[b->size + i] != guard_byte) return false;
    }
    return true;
}

/* ---- a batch, and everything that goes in and comes out ------------------------------------------------------- */

typedef struct batch {
    env_check *check;
    void *state;
    int64_t count, observation_size, action_size;
    block observation, action, actions_before, reward, terminated, truncated, ended;
    uint64_t hash[ROWS]; /* of all that came out of a row */
} batch;

static float *floats(const block *b) { return (float *)(void *)b->data; }

static uint64_t hash(uint64_t h, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) h = (h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
    return h;
}

static void batch_open(batch *b, env_check *check, int64_t count) {
    const size_t n = (size_t)count, o = (size_t)check->spaces.observation_size, a = (size_t)check->spaces.action_size;
    *b = (batch){.check = check, .count = count, .observation_size = (int64_t)o, .action_size = (int64_t)a};
    say(check, "create");
    if (check->table->create(check->options, count, &b->state) != 0) abort();
    b->observation = block_make(n * o * sizeof(float));
    b->action = block_make(n * a * sizeof(float));
    b->actions_before = block_make(n * a * sizeof(float));
    b->reward = block_make(n * sizeof(float));
    b->terminated = block_make(n);
    b->truncated = block_make(n);
    b->ended = block_make(n);
}

static void batch_close(batch *b) {
    say(b->check, "destroy");
    b->check->table->destroy(b->state);
    block *const blocks[] = {&b->observation, &b->action, &b->actions_before, &b->reward, &b->terminated, &b->truncated, &b->ended};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]->memory);
}

static void look_at_guards(batch *b, const char *call) {
    const struct { const block *block; const char *name; } watched[] = {
        {&b->observation, "observation"}, {&b->action, "action"}, {&b->reward, "reward"},
        {&b->terminated, "terminated"}, {&b->truncated, "truncated"}, {&b->ended, "mask"},
    };
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        if (!block_intact(watched[i].block)) fault(b->check, FAULT_MEMORY, "%s writes before or behind the %ss", call, watched[i].name);
    }
    if (memcmp(b->action.data, b->actions_before.data, b->action.size) != 0) fault(b->check, FAULT_MEMORY, "%s changes the actions it was given", call);
}

static void look_at_row(batch *b, int64_t i, const char *call) {
    const rv_env_spaces *s = &b->check->spaces;
    for (int64_t c = 0; c < b->observation_size; c++) {
        const float value = floats(&b->observation)[i * b->observation_size + c];
        const char *name = s->observation_names && s->observation_names[c] ? s->observation_names[c] : "observation";
        if (!isfinite(value)) fault(b->check, FAULT_NON_FINITE, "%s gives %f as %s (column %d)", call, (double)value, name, (int)c);
        else if (!(value >= s->observation_low[c] && value <= s->observation_high[c])) {
            fault(b->check, FAULT_BOUNDS, "%s gives %g as %s (column %d), beyond %g to %g", call, (double)value, name, (int)c,
                  (double)s->observation_low[c], (double)s->observation_high[c]);
        }
    }
}

static void reset(batch *b, const uint8_t *mask, const uint64_t *seeds) {
    const size_t row = (size_t)b->observation_size * sizeof(float);
    uint8_t *before = malloc(b->observation.size);
    if (!before) abort();
    memcpy(before, b->observation.data, b->observation.size);
    memcpy(b->actions_before.data, b->action.data, b->action.size);
    say(b->check, "reset");
    b->check->table->reset(b->state, mask, seeds, floats(&b->observation));
    look_at_guards(b, "reset");
    for (int64_t i = 0; i < b->count; i++) {
        if (!mask || mask[i]) look_at_row(b, i, "reset");
        else if (memcmp(before + (size_t)i * row, b->observation.data + (size_t)i * row, row) != 0) {
            fault(b->check, FAULT_MASK, "reset writes the observation of row %d, which the mask leaves out", (int)i);
        }
    }
    free(before);
}

/* Row `i` of every batch acts alike; one in four always at its lower bounds, one at its upper. */
static void act(batch *b, int64_t first_row, int step) {
    const rv_env_spaces *s = &b->check->spaces;
    for (int64_t i = 0; i < b->count; i++) {
        uint64_t random = rv_env_random_seed((uint64_t)(i + first_row) << 32 | (uint64_t)step);
        for (int64_t a = 0; a < b->action_size; a++) {
            const float low = s->action_low[a], high = s->action_high[a];
            double value = rv_env_random_uniform(&random, (double)low, s->action_choices ? (double)high + 1.0 : (double)high);
            if (s->action_choices) value = fmin(floor(value), (double)high);
            if ((i + first_row) % 4 == 2) value = (double)low;
            if ((i + first_row) % 4 == 3) value = (double)high;
            floats(&b->action)[i * b->action_size + a] = fminf(fmaxf((float)value, low), high);
        }
    }
    memcpy(b->actions_before.data, b->action.data, b->action.size);
}

static void look_at_step(batch *b) {
    look_at_guards(b, "step");
    for (int64_t i = 0; i < b->count; i++) {
        look_at_row(b, i, "step");
        const float reward = floats(&b->reward)[i];
        if (!isfinite(reward)) fault(b->check, FAULT_NON_FINITE, "step gives %f as reward", (double)reward);
        if (b->terminated.data[i] > 1 || b->truncated.data[i] > 1) {
            fault(b->check, FAULT_ENDS, "step gives %d as terminated, %d as truncated", b->terminated.data[i], b->truncated.data[i]);
        }
    }
}

/* Of all rows, or of those in the mask. */
static void take_hashes(batch *b, const uint8_t *mask) {
    const size_t row = (size_t)b->observation_size * sizeof(float);
    for (int64_t i = 0; i < b->count && i < ROWS; i++) {
        if (mask && !mask[i]) continue;
        uint64_t h = hash(b->hash[i], b->observation.data + (size_t)i * row, row);
        h = hash(h, b->reward.data + (size_t)i * sizeof(float), sizeof(float));
        h = hash(h, b->terminated.data + i, 1);
        b->hash[i] = hash(h, b->truncated.data + i, 1);
    }
}

/* Steps [from, to), beginning episodes where they end. */
static void run(batch *b, int64_t first_row, int from, int to) {
    for (int t = from; t < to; t++) {
        act(b, first_row, t);
        /* results are overwritten, or they show */
        memset(b->observation.data, 0xff, b->observation.size);
        memset(b->reward.data, 0xff, b->reward.size);
        memset(b->terminated.data, 0xff, b->terminated.size);
        memset(b->truncated.data, 0xff, b->truncated.size);
        say(b->check, "step");
        b->check->table->step(b->state, floats(&b->action), floats(&b->observation), floats(&b->reward), b->terminated.data, b->truncated.data);
        look_at_step(b);
        take_hashes(b, NULL);
        bool any = false;
        for (int64_t i = 0; i < b->count; i++) {
            b->ended.data[i] = (b->terminated.data[i] | b->truncated.data[i]) != 0;
            any |= b->ended.data[i];
            b->check->episodes += b->ended.data[i];
        }
        b->check->steps += b->count;
        if (!any) continue;
        reset(b, b->ended.data, NULL);
        take_hashes(b, b->ended.data);
    }
}

static void start(batch *b, uint64_t seed) {
    uint64_t *seeds = malloc((size_t)b->count * sizeof *seeds);
    if (!seeds) abort();
    for (int64_t i = 0; i < b->count; i++) seeds[i] = seed + (uint64_t)i;
    memset(b->hash, 0, sizeof b->hash);
    memset(b->reward.data, 0, b->reward.size);
    memset(b->terminated.data, 0, b->terminated.size);
    memset(b->truncated.data, 0, b->truncated.size);
    reset(b, NULL, seeds);
    take_hashes(b, NULL);
    free(seeds);
}

/* ---- the checks ------------------------------------------------------------------------------------------- */

static void check_repeat(env_check *check, const batch *first) {
    batch b;
    batch_open(&b, check, ROWS);
    for (int again = 0; again < 2; again++) {
        start(&b, 1);
        run(&b, 0, 0, STEPS);
        for (int i = 0; i < ROWS; i++) {
            if (b.hash[i] == first->hash[i]) continue;
            fault(check, FAULT_REPEAT, again ? "row %d differs when the same batch is reset with the same seeds" : "row %d differs between two batches with the same seeds and actions", i);
        }
    }
    batch_close(&b);
}

static void check_neighbours(env_check *check, const batch *together) {
    for (int i = 0; i < ROWS; i += 5) {
        batch b;
        batch_open(&b, check, 1);
        start(&b, 1 + (uint64_t)i);
        run(&b, i, 0, STEPS);
        if (b.hash[0] != together->hash[i]) fault(check, FAULT_NEIGHBOURS, "row %d of %d runs differently than alone with the same seed and actions", i, ROWS);
        batch_close(&b);
    }
}

static void save(batch *b, block *bytes, int fill) {
    memset(bytes->data, fill, bytes->size);
    say(b->check, "save");
    b->check->table->save(b->state, bytes->data);
    if (!block_intact(bytes)) fault(b->check, FAULT_MEMORY, "save writes beyond the %zu bytes of state_size", bytes->size);
}

static void check_saved(env_check *check) {
    const size_t row = (size_t)check->spaces.observation_size * sizeof(float);
    batch b, other;
    batch_open(&b, check, ROWS);
    batch_open(&other, check, ROWS);
    start(&b, 5);
    run(&b, 0, 0, 137);
    block bytes = block_make(check->table->state_size(b.state)), twice = block_make(bytes.size);
    if (check->table->state_size(other.state) != bytes.size) fault(check, FAULT_SAVED, "state_size differs between two equal batches");
    save(&b, &bytes, 0x00);
    save(&b, &twice, 0xff);
    if (memcmp(bytes.data, twice.data, bytes.size) != 0) fault(check, FAULT_SAVED, "save leaves some of its bytes unwritten, or differs when called twice");
    memset(other.observation.data, 0xff, other.observation.size);
    say(check, "load");
    if (check->table->load(other.state, bytes.data, floats(&other.observation)) != 0) fault(check, FAULT_SAVED, "load refuses what save wrote");
    look_at_guards(&other, "load");
    if (memcmp(other.observation.data, b.observation.data, row * ROWS) != 0) fault(check, FAULT_SAVED, "load does not write the observations that stood when it was saved");
    memcpy(other.hash, b.hash, sizeof b.hash);
    run(&b, 0, 137, STEPS);
    run(&other, 0, 137, STEPS);
    for (int i = 0; i < ROWS; i++) {
        if (b.hash[i] != other.hash[i]) fault(check, FAULT_SAVED, "row %d goes on differently after a load: part of the state is not saved", i);
    }
    free(bytes.memory);
    free(twice.memory);
    batch_close(&b);
    batch_close(&other);
}

/* Stepped on beyond an episode's end, an environment does no harm, whatever it gives. */
static void check_stepped_on(env_check *check) {
    batch b;
    batch_open(&b, check, ROWS);
    start(&b, 3);
    for (int t = 0; t < STEPS; t++) {
        act(&b, 0, t);
        say(check, "step, beyond the end of an episode");
        check->table->step(b.state, floats(&b.action), floats(&b.observation), floats(&b.reward), b.terminated.data, b.truncated.data);
        look_at_guards(&b, "step");
    }
    batch_close(&b);
}

/* Rows that a masked reset leaves out go on as if there had been none. */
static void check_mask(env_check *check) {
    batch b, still;
    uint8_t mask[ROWS];
    batch_open(&b, check, ROWS);
    batch_open(&still, check, ROWS);
    start(&b, 9);
    start(&still, 9);
    for (int i = 0; i < ROWS; i++) mask[i] = i % 2 == 0;
    reset(&b, mask, NULL);
    memset(b.hash, 0, sizeof b.hash);
    memset(still.hash, 0, sizeof still.hash);
    run(&b, 0, 0, 50);
    run(&still, 0, 0, 50);
    for (int i = 1; i < ROWS; i += 2) {
        if (b.hash[i] != still.hash[i]) fault(check, FAULT_MASK, "row %d runs differently after a reset of other rows", i);
    }
    batch_close(&b);
    batch_close(&still);
}

static double correlation(const float *x, const float *y, int64_t count, int64_t stride) {
    double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < count; i++) {
        sx += (double)x[i * stride];
        sy += (double)y[i * stride];
    }
    for (int64_t i = 0; i < count; i++) {
        const double dx = (double)x[i * stride] - sx / (double)count, dy = (double)y[i * stride] - sy / (double)count;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0.0;
}

/* How many of STARTS - 1 rows of y equal the row of x before (shift 1) or the same row (shift 0). */
static int equal_rows(const block *x, const block *y, size_t row, int shift) {
    int equal = 0;
    for (size_t i = 0; i + 1 < STARTS; i++) equal += memcmp(x->data + (i + (size_t)shift) * row, y->data + i * row, row) == 0;
    return equal;
}

/* First observations of many neighbouring seeds: the first episode's, and the second's. */
static void check_seeds(env_check *check, const batch *first) {
    const int64_t size = check->spaces.observation_size;
    const size_t row = (size_t)size * sizeof(float);
    batch b;
    batch_open(&b, check, STARTS);
    start(&b, 1000);
    block starts = block_make(b.observation.size);
    memcpy(starts.data, b.observation.data, b.observation.size);
    reset(&b, NULL, NULL);
    const bool alike = equal_rows(&starts, &starts, row, 1) == STARTS - 1;
    bool same_episodes = alike;
    for (int i = 4; i + 4 < ROWS; i += 4) same_episodes &= first->hash[i + 2] == first->hash[2] && first->hash[i + 3] == first->hash[3];
    check->nothing_random = same_episodes;
    if (alike && equal_rows(&starts, &b.observation, row, 0) < STARTS / 2) {
        fault(check, FAULT_SEEDS, "every seed begins with the same observation, and yet the next episode begins with another: seeds make no difference");
    }
    if (!alike && equal_rows(&starts, &starts, row, 1) > STARTS / 2) fault(check, FAULT_SEEDS, "most seeds begin as their neighbours do");
    if (!alike && equal_rows(&starts, &b.observation, row, 1) > STARTS / 2) {
        fault(check, FAULT_SEEDS, "the second episode of a seed begins as the first one of the next seed");
    }
    for (int64_t c = 0; c < size; c++) {
        for (int lag = 1; lag <= 3; lag++) {
            const double r = correlation(floats(&starts) + c, floats(&starts) + c + lag * size, STARTS - lag, size);
            if (fabs(r) > 0.2) fault(check, FAULT_SEEDS, "the first observations (column %d) of seeds %d apart are related: correlation %.2f over %d seeds", (int)c, lag, r, STARTS);
        }
    }
    free(starts.memory);
    batch_close(&b);
}

bool env_check_run(env_check *check) {
    batch first;
    batch_open(&first, check, ROWS);
    start(&first, 1);
    run(&first, 0, 0, STEPS);
    check_repeat(check, &first);
    check_neighbours(check, &first);
    check_mask(check);
    check_stepped_on(check);
    check_saved(check);
    check_seeds(check, &first);
    batch_close(&first);
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        if (check->found[kind]) return false;
    }
    return true;
}
