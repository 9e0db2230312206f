/* tests/test_dreamer_parity.c: whole updates of DreamerV3 against golden files made in float64: every loss, state,
 * gradient, moment and weight of ten updates, by the names of docs/audit.md. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/dreamer_v3.h"
#include "tests/support/devices.h"
#include "tests/support/dreamer_inputs.h"
#include "tests/support/golden_file.h"
#include "tests/support/suite.h"

#define FOLDER RV_TEST_DIR "/golden/dreamer/"

enum { NAME = 160, SAMPLES = 64, INPUTS = 12 };

/* Of each tensor, relative L2. In double what is left are constants that ops keep in float32, a quantile's 0.95 say. */
static double bound_on(const char *device) { return strcmp(device, "cpu:double") == 0 ? 1e-5 : 1e-4; }

/* Which file, and how large what it was made of is. */
typedef struct sizes {
    const char *file, *preset;
    rv_actor_kind actor;
    bool sampled; /* inputs by formulas, outputs by 64 entries and the norm */
    int64_t observation, action, sequences, steps, horizon, updates;
} sizes;

static const sizes debug = {"debug", "debug", RV_ACTOR_BOUNDED_NORMAL, false, 5, 2, 3, 6, 4, 10};
static const sizes discrete = {"discrete", "debug", RV_ACTOR_CATEGORICAL, false, 5, 3, 2, 4, 3, 3};
static const sizes size1m = {"size1m",           "size1m",     RV_ACTOR_BOUNDED_NORMAL, true,
                             GOLDEN_OBSERVATION, GOLDEN_ACTION, GOLDEN_SEQUENCES,       GOLDEN_STEPS,
                             GOLDEN_HORIZON,     GOLDEN_UPDATES};

static rv_test_devices devices;

typedef struct rig {
    const sizes *sizes;
    golden_file *weights, *batch, *expected; /* sampled: the last alone */
    rv_device *device;
    rv_dreamer_v3 *agent;
    float *input[INPUTS];
    double worst;
    char worst_name[NAME];
    int64_t compared;
} rig;

/* ---- inputs ---- */

static golden_file *open_golden(const sizes *s, const char *what) {
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s_%s.safetensors", s->file, what);
    golden_file *file = golden_open(path);
    assert_non_null(file);
    return file;
}

static golden_tensor find(const golden_file *file, const char *name) {
    golden_tensor tensor = golden_find(file, name);
    if (!tensor.values) fail_msg("no golden \"%s\"", name);
    return tensor;
}

/* out[rows * cols] of a file that holds just that. */
static void round_all(const golden_file *file, const char *name, int64_t rows, int64_t cols, float *out) {
    golden_tensor tensor = find(file, name);
    if (tensor.rows != rows || tensor.cols != cols) fail_msg("%s: another shape", name);
    for (int64_t i = 0; i < rows * cols; i++) out[i] = (float)tensor.values[i];
}

static void set_weights(const rig *r, rv_params *params) {
    for (int i = 0; i < rv_params_count(params); i++) {
        const char *name = rv_params_name(params, i);
        int64_t rows, cols;
        assert_ok(rv_params_shape(params, i, &rows, &cols), name);
        float *values = malloc((size_t)(rows * cols) * sizeof *values);
        assert_non_null(values);
        if (r->sizes->sampled) dreamer_weight(name, rows, cols, values);
        else round_all(r->weights, name, rows, cols, values);
        assert_ok(rv_params_set(params, i, RV_VALUE, values), rv_params_message(params));
        free(values);
    }
}

static void set_returns(const rig *r) {
    rv_return_normaliser *returns = rv_dreamer_v3_returns(r->agent);
    float low = 0, high = 0;
    if (!r->sizes->sampled) round_all(r->weights, "returns/low", 1, 1, &low);
    if (!r->sizes->sampled) round_all(r->weights, "returns/high", 1, 1, &high);
    assert_ok(rv_array_write(rv_return_normaliser_low(returns), 0, 1, &low), "low");
    assert_ok(rv_array_write(rv_return_normaliser_high(returns), 0, 1, &high), "high");
}

static const float *make_input(rig *r, int index, const char *name, int64_t rows, int64_t cols) {
    float *values = r->input[index] = malloc((size_t)(rows * cols) * sizeof *values);
    assert_non_null(values);
    if (r->sizes->sampled) {
        dreamer_batch(name, rows, cols, values);
        assert_true(dreamer_redraw(r->expected, name, rows * cols, values));
    } else {
        round_all(r->batch, name, rows, cols, values);
    }
    return values;
}

static rv_dreamer_v3_audit_batch make_batch(rig *r) {
    const sizes *s = r->sizes;
    const rv_rssm_options *o = &rv_dreamer_v3_options_get(r->agent)->model.rssm;
    const int64_t B = s->sequences, N = B * s->steps, U = s->updates, H = s->horizon;
    const int64_t drawn = s->actor == RV_ACTOR_CATEGORICAL ? 1 : s->action;
    return (rv_dreamer_v3_audit_batch){
        .size = sizeof(rv_dreamer_v3_audit_batch),
        .sequences = B,
        .steps = s->steps,
        .updates = U,
        .observation = make_input(r, 0, "observation", N, s->observation),
        .action = make_input(r, 1, "action", N, s->action),
        .reward = make_input(r, 2, "reward", N, 1),
        .is_first = make_input(r, 3, "is_first", N, 1),
        .is_last = make_input(r, 4, "is_last", N, 1),
        .is_terminal = make_input(r, 5, "is_terminal", N, 1),
        .carry_deter = make_input(r, 6, "carry/deter", B, o->deter),
        .carry_stoch = make_input(r, 7, "carry/stoch", B, o->stoch * o->classes),
        .carry_action = make_input(r, 8, "carry/action", B, s->action),
        .noise_posterior = make_input(r, 9, "noise/posterior", U * N, o->stoch),
        .noise_prior = make_input(r, 10, "noise/prior", U * H * N, o->stoch),
        .noise_action = make_input(r, 11, "noise/action", U * (H + 1) * N, drawn),
    };
}

static void open_rig(rig *r, const sizes *s, rv_device *device) {
    *r = (rig){.sizes = s, .device = device, .expected = open_golden(s, "expected")};
    if (!s->sampled) r->weights = open_golden(s, "weights");
    if (!s->sampled) r->batch = open_golden(s, "batch");
    rv_dreamer_v3_options options = {.size = sizeof options,
                                     .actor = s->actor,
                                     .horizon = s->horizon,
                                     .learning_rate = 1e-3f,
                                     .warmup = -1};
    assert_ok(rv_sequence_model_preset(s->preset, &options.model), s->preset);
    options.model.observation_size = s->observation;
    options.model.action_size = s->action;
    assert_ok(rv_dreamer_v3_create(device, &options, 1, &r->agent), rv_dreamer_v3_message(r->agent));
    set_weights(r, rv_dreamer_v3_params(r->agent));
    set_weights(r, rv_dreamer_v3_slow_params(r->agent));
    set_returns(r);
}

static void close_rig(rig *r) {
    for (int i = 0; i < INPUTS; i++) free(r->input[i]);
    rv_dreamer_v3_destroy(r->agent);
    rv_device_close(r->device);
    golden_close(r->weights);
    golden_close(r->batch);
    golden_close(r->expected);
}

/* ---- results ---- */

static void note(rig *r, const char *name, double off) {
    r->compared++;
    if (off <= r->worst) return;
    r->worst = off;
    snprintf(r->worst_name, sizeof r->worst_name, "%s", name);
}

/* Relative L2 distance; of a tensor of zeros 0, or infinity. */
static double distance(const float *x, golden_tensor expected) {
    double off = 0, square = 0;
    for (int64_t i = 0; i < expected.rows * expected.cols; i++) {
        off += ((double)x[i] - expected.values[i]) * ((double)x[i] - expected.values[i]);
        square += expected.values[i] * expected.values[i];
    }
    return off == 0 ? 0 : sqrt(off / square);
}

static int compare_whole(void *user, const char *name, int64_t rows, int64_t cols, const float *values) {
    rig *r = user;
    const golden_tensor expected = find(r->expected, name);
    if (expected.rows != rows || expected.cols != cols)
        fail_msg("%s: [%lld, %lld] is another shape", name, (long long)rows, (long long)cols);
    note(r, name, distance(values, expected));
    return 0;
}

/* ---- results of which the file has the norm and 64 entries ---- */

/* The place of a name in the metadata's list, which is sorted, with the slow critic's or without; -1. */
static int64_t row_of(const char *list, const char *name, bool slow) {
    const size_t length = strlen(name);
    for (int64_t row = 0; list;) {
        if (strncmp(list, name, length) == 0 && (list[length] == '\n' || !list[length])) return row;
        if (slow || strncmp(list, "slow/", 5) != 0) row++;
        list = strchr(list, '\n');
        if (list) list++;
    }
    return -1;
}

/* "update/3/gradient/enc/0/bias" is a row of "update/3/gradient": cuts the name there, gives the weight's; or NULL. */
static const char *cut(char *name) {
    char *slash = name;
    for (int i = 0; i < 3; i++) {
        slash = strchr(slash, '/');
        if (!slash) return NULL;
        slash++;
    }
    slash[-1] = '\0';
    return slash;
}

/* Norms and entries, both against what 64 entries of such a norm have on the average where they happen to be less. */
static double sampled_distance(const double *row, const float *x, int64_t n) {
    double square = 0, off = 0, sampled = 0;
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
    for (int64_t j = 0; j < SAMPLES; j++) {
        const double expected = row[1 + j], actual = (double)x[j * (n - 1) / (SAMPLES - 1)];
        off += (actual - expected) * (actual - expected);
        sampled += expected * expected;
    }
    if (row[0] == 0) return square == 0 ? 0 : (double)INFINITY;
    const double norms = fabs(sqrt(square) - row[0]) / row[0];
    return fmax(norms, sqrt(off) / fmax(sqrt(sampled), row[0] * sqrt((double)SAMPLES / (double)n)));
}

static int compare_sampled(void *user, const char *name, int64_t rows, int64_t cols, const float *values) {
    rig *r = user;
    golden_tensor expected = golden_find(r->expected, name);
    if (!expected.values) {
        char group[NAME];
        snprintf(group, sizeof group, "%s", name);
        const char *weight = cut(group);
        expected = weight ? golden_find(r->expected, group) : (golden_tensor){0};
        if (!expected.values) return 0; /* of gradients and moments not every update's are there */
        const int64_t row = row_of(golden_text(r->expected, "weights"), weight, strstr(group, "/weight") != NULL);
        if (row < 0 || row >= expected.rows) fail_msg("no golden \"%s\"", name);
        expected = (golden_tensor){1, expected.cols, expected.values + row * expected.cols};
    }
    if (expected.cols == 1) note(r, name, distance(values, expected));
    else note(r, name, sampled_distance(expected.values, values, rows * cols));
    return 0;
}

/* ---- ten updates ---- */

/* How many results the file has. */
static int64_t count_golden(const rig *r) {
    int64_t count = 0;
    const char *name;
    for (int64_t i = 0; (name = golden_name(r->expected, i)); i++) {
        const bool update = strncmp(name, "update/", 7) == 0, alone = strstr(name, "/gradient_of/") != NULL;
        const golden_tensor tensor = golden_find(r->expected, name);
        const bool group = r->sizes->sampled && tensor.rows > 1;
        if (update && !alone) count += group ? tensor.rows : 1;
    }
    return count;
}

static void run(const sizes *s, int number) {
    rig r;
    bool absent;
    rv_device *device = rv_device_open_for_test(&devices, number, &absent);
    if (absent) skip();
    assert_non_null(device);
    open_rig(&r, s, device);
    const rv_dreamer_v3_audit_batch batch = make_batch(&r);
    assert_ok(rv_dreamer_v3_audit(r.agent, &batch, s->sampled ? compare_sampled : compare_whole, &r),
              rv_dreamer_v3_message(r.agent));
    assert_int_equal(r.compared, count_golden(&r));
    printf("%s on %s: %d results, off by %.2g at most (%s)\n", s->file, devices.names[number], (int)r.compared, r.worst,
           r.worst_name);
    if (!(r.worst <= bound_on(devices.names[number]))) fail_msg("%s: off by %.3g", r.worst_name, r.worst);
    close_rig(&r);
}

static void test_debug(void **state) { run(&debug, *(int *)*state); }
static void test_discrete(void **state) { run(&discrete, *(int *)*state); }
static void test_size1m(void **state) { run(&size1m, *(int *)*state); }

/* ---- how many weights ---- */

typedef struct count {
    const char *preset;
    int64_t observation, action, weights;
} count;

static rv_dreamer_v3_options options_of(const count *c) {
    rv_dreamer_v3_options options = {.size = sizeof options, .model.size = sizeof options.model};
    assert_ok(rv_sequence_model_preset(c->preset, &options.model), c->preset);
    options.model.observation_size = c->observation;
    options.model.action_size = c->action;
    return options;
}

/* All modules added to one set, which is not committed: 400 million weights need no memory then. */
static int64_t count_parts(rv_device *device, const count *c) {
    const rv_dreamer_v3_options options = options_of(c);
    rv_sequence_model *model;
    rv_array *bins;
    assert_ok(rv_sequence_model_create(device, &options.model, &model), rv_sequence_model_message(model));
    assert_ok(rv_critic_bins(device, rv_sequence_model_options_get(model)->bins, &bins), "bins");
    const rv_rssm *rssm = rv_sequence_model_rssm(model);
    const int64_t feature = rssm->options.deter + rv_rssm_stoch_size(rssm);
    const rv_sizes hidden = rv_sizes_of(3, options.model.units);
    const rv_actor_options actor = {
        .size = sizeof actor, .inputs = feature, .action_size = c->action, .hidden = hidden};
    const rv_critic_options critic = {.size = sizeof critic, .inputs = feature, .hidden = hidden, .bins = bins};
    rv_params *params = rv_sequence_model_params(model);
    rv_actor_add(params, "pol", &actor);
    rv_critic_add(params, "val", &critic);
    const int64_t weights = rv_params_size(params);
    rv_sequence_model_destroy(model);
    rv_array_destroy(bins);
    return weights;
}

static int64_t count_agent(rv_device *device, const count *c) {
    const rv_dreamer_v3_options options = options_of(c);
    rv_dreamer_v3 *agent;
    assert_ok(rv_dreamer_v3_create(device, &options, 1, &agent), rv_dreamer_v3_message(agent));
    const int64_t weights = rv_params_size(rv_dreamer_v3_params(agent));
    assert_int_equal(rv_params_size(rv_dreamer_v3_slow_params(agent)), 66111); /* size1m's, whatever the environment */
    rv_dreamer_v3_destroy(agent);
    return weights;
}

static void test_counts(void **state) {
    (void)state;
    static const count rows[] = {
        {"size1m", 24, 6, 640867},     {"size1m", 5, 1, 637446},      {"size1m", 3, 1, 637188},
        {"size12m", 5, 1, 9724422},    {"size12m", 3, 1, 9723396},    {"size25m", 5, 1, 21762566},
        {"size25m", 3, 1, 21761028},   {"size50m", 5, 1, 38584838},   {"size50m", 3, 1, 38582788},
        {"size100m", 5, 1, 86581766},  {"size100m", 3, 1, 86578692},  {"size200m", 5, 1, 153715206},
        {"size200m", 3, 1, 153711108}, {"size400m", 5, 1, 345391622}, {"size400m", 3, 1, 345385476}};
    rv_device *device;
    assert_ok(rv_device_open("null", NULL, &device), rv_device_message(device));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(count_parts(device, &rows[i]), rows[i].weights);
        if (strcmp(rows[i].preset, "size1m") == 0) assert_int_equal(count_agent(device, &rows[i]), rows[i].weights);
    }
    rv_device_close(device);
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu cpu:reference cpu:double");
    static const CMUnitTestFunction each[] = {test_debug, test_discrete, test_size1m};
    enum { EACH = sizeof each / sizeof *each };
    static struct CMUnitTest tests[1 + EACH * RV_MAX_DEVICES] = {{"counts", test_counts, NULL, NULL, NULL}};
    static int numbers[RV_MAX_DEVICES];
    int count = 1;
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        for (int k = 0; k < EACH; k++)
            tests[count++] = (struct CMUnitTest){devices.names[i], each[k], NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("dreamer_parity", tests, (size_t)count, NULL, NULL);
}
