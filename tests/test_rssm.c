/* tests/test_rssm.c: recurrent state-space models: sequences against their parts, gradients against differences. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/random.h"
#include "reverie/rssm.h"
#include "tests/support/differences.h"

enum { B = 2, T = 6, H = 3, A = 2, E = 3, MOST = 64 };

/* Every core with every latent, as small as can be. */
#define KIND(of_core, of_latent, ...)                                                                          \
    {.size = sizeof(rv_rssm_options), .core = RV_CORE_##of_core, .latent = RV_LATENT_##of_latent,             \
     .action_size = A, .token_size = E, __VA_ARGS__}
static const rv_rssm_options kinds[] = {
    KIND(BLOCK_GRU, CATEGORICAL, .deter = 4, .hidden = 3, .stoch = 2, .classes = 3, .blocks = 2),
    KIND(GRU, CATEGORICAL, .deter = 5, .hidden = 4, .stoch = 2, .classes = 3, .prior_layers = 2),
    KIND(BLOCK_GRU, GAUSSIAN, .deter = 6, .hidden = 3, .stoch = 3, .blocks = 3, .prior_layers = 1),
    KIND(GRU, GAUSSIAN, .deter = 3, .hidden = 4, .stoch = 2, .posterior_layers = 2),
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* A model, a graph, and inputs that are the same for everybody who asks by the same name. */
typedef struct lab {
    rv_device *device;
    rv_params *params;
    rv_rssm rssm;
    rv_graph *graph;
    rv_array *arrays[MOST];
    int count;
} lab;

/* Biases that begin at zero leave zeros to norms where an episode begins, whose slopes there are a hundred each. */
static void draw_biases(rv_params *params) {
    for (int i = 0; i < rv_params_count(params); i++) {
        const char *name = rv_params_name(params, i), *last = strrchr(name, '/');
        int64_t rows, cols;
        float values[1024];
        assert_ok(rv_params_shape(params, i, &rows, &cols), "");
        if (strcmp(last, "/bias") != 0 || cols > 1024) continue;
        rv_random_uniform(2, 0, name, 0, 1, cols, values);
        for (int64_t c = 0; c < cols; c++) values[c] -= 0.5f;
        assert_ok(rv_params_set(params, i, RV_VALUE, values), rv_params_message(params));
    }
}

static void lab_open(lab *l, const char *device, const rv_rssm_options *options) {
    *l = (lab){0};
    assert_ok(rv_device_open(device, NULL, &l->device), rv_device_message(l->device));
    assert_ok(rv_params_create(l->device, &l->params), "");
    l->rssm = rv_rssm_add(l->params, "", options);
    assert_ok(rv_params_commit(l->params, 5), rv_params_message(l->params));
    draw_biases(l->params);
    assert_ok(rv_graph_create(l->device, &l->graph), "");
}

static void lab_close(lab *l) {
    for (int i = 0; i < l->count; i++) rv_array_destroy(l->arrays[i]);
    rv_graph_destroy(l->graph);
    rv_params_destroy(l->params);
    rv_device_close(l->device);
}

static rv_array *lab_array(lab *l, int64_t rows, int64_t cols) {
    assert_true(l->count < MOST);
    rv_array **array = &l->arrays[l->count++];
    assert_ok(rv_array_create(l->device, RV_F32, rows, cols, "array", array), rv_array_message(*array));
    return *array;
}

static rv_tensor lab_give(lab *l, int64_t rows, int64_t cols, const float *values) {
    rv_array *array = lab_array(l, rows, cols);
    assert_ok(rv_array_write(array, 0, rows, values), rv_array_message(array));
    return rv_read(l->graph, array);
}

/* Rows [first, first + rows) of the numbers called `name`. */
static rv_tensor input(lab *l, const char *name, int64_t first, int64_t rows, int64_t cols) {
    float values[T * B * 16], *const from = values + first * cols;
    assert_true((first + rows) * cols <= T * B * 16);
    if (strncmp(name, "noise", 5) == 0 && l->rssm.options.latent == RV_LATENT_CATEGORICAL)
        rv_random_uniform(9, 0, name, 0, first + rows, cols, values);
    else rv_random_normal(9, 0, name, 0, first + rows, cols, values);
    return lab_give(l, rows, cols, from);
}

static rv_rssm_noise noise_of(lab *l, const char *name, int64_t first, int64_t rows) {
    return (rv_rssm_noise){.given = input(l, name, first, rows, l->rssm.options.stoch)};
}

static rv_rssm_state start_of(lab *l) {
    return (rv_rssm_state){input(l, "deter", 0, B, l->rssm.options.deter),
                           input(l, "stoch", 0, B, rv_rssm_stoch_size(&l->rssm))};
}

/* Steps [first, first + steps) of one long sequence. */
static rv_rssm_rollout observe(lab *l, rv_rssm_state start, rv_tensor action, rv_tensor is_first, int64_t first,
                               int64_t steps) {
    return rv_rssm_observe(l->graph, &l->rssm, start, action, input(l, "tokens", first * B, steps * B, E),
                           input(l, "actions", first * B, steps * B, A), is_first, steps,
                           noise_of(l, "noise", first * B, steps * B));
}

static void expect_shape(rv_tensor x, int64_t rows, int64_t cols) {
    assert_int_equal(rv_tensor_rows(x), rows);
    assert_int_equal(rv_tensor_cols(x), cols);
}

/* Two lists of tensors that are to be equal, to the bit. */
static void expect_equal(lab *l, const rv_tensor *x, const rv_tensor *y, int count) {
    rv_array *kept[2 * MOST];
    rv_plan *plan;
    assert_ok(rv_graph_status(l->graph), rv_graph_message(l->graph));
    for (int i = 0; i < 2 * count; i++) {
        const rv_tensor tensor = i < count ? x[i] : y[i - count];
        expect_shape(tensor, rv_tensor_rows(x[i % count]), rv_tensor_cols(x[i % count]));
        kept[i] = lab_array(l, rv_tensor_rows(tensor), rv_tensor_cols(tensor));
        rv_store(kept[i], tensor);
    }
    assert_ok(rv_plan_create(l->graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
    for (int i = 0; i < count; i++) {
        float a[T * B * 64], b[T * B * 64], size = 0;
        const int64_t rows = rv_array_rows(kept[i]), cols = rv_array_cols(kept[i]);
        assert_true(rows * cols <= T * B * 64);
        assert_ok(rv_array_read(kept[i], 0, rows, a), "");
        assert_ok(rv_array_read(kept[i + count], 0, rows, b), "");
        for (int64_t k = 0; k < rows * cols; k++) {
            if (a[k] != b[k]) fail_msg("pair %d: [%d] is %.9g and %.9g", i, (int)k, (double)a[k], (double)b[k]);
            size += fabsf(a[k]);
        }
        assert_true(size > 0);
    }
}

static rv_tensor rows_of(rv_tensor x, int64_t first_step, int64_t steps) {
    return rv_slice_rows(x, first_step * B, steps * B);
}
static rv_tensor first_of(rv_latent latent) { return latent.logits.graph ? latent.logits : latent.mean; }

/* ---- shapes and names ------------------------------------------------------------------------------------------- */

static void test_shapes(void **state) {
    (void)state;
    static const char *const names[KINDS] = {"dyn/hidden/scale", "dyn/gru/w_h", "post/std/weight", "post/1/bias"};
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        lab_open(&l, "cpu", &kinds[kind]);
        const rv_rssm_options *o = &l.rssm.options;
        const bool gaussian = o->latent == RV_LATENT_GAUSSIAN;
        const int64_t z = rv_rssm_stoch_size(&l.rssm), outputs = z;
        assert_int_equal(z, gaussian ? o->stoch : o->stoch * o->classes);
        assert_true(rv_params_find(l.params, names[kind]) >= 0);
        rv_rssm_rollout seen = observe(&l, rv_rssm_start(l.graph, &l.rssm, B), RV_NONE, RV_NONE, 0, T);
        rv_rssm_rollout dream =
            rv_rssm_imagine(l.graph, &l.rssm, seen.last, H, input(&l, "future", 0, H * B, A), (rv_rssm_noise){0});
        assert_ok(rv_graph_status(l.graph), rv_graph_message(l.graph));
        expect_shape(seen.state.deter, T * B, o->deter);
        expect_shape(seen.state.stoch, T * B, z);
        expect_shape(seen.last.deter, B, o->deter);
        expect_shape(seen.action, T * B, A);
        expect_shape(first_of(seen.posterior), T * B, outputs);
        expect_shape(first_of(seen.prior), T * B, outputs);
        assert_int_equal(seen.posterior.std.graph != NULL, gaussian);
        expect_shape(dream.state.stoch, H * B, z);
        expect_shape(first_of(dream.prior), H * B, outputs);
        assert_null(dream.posterior.logits.graph);
        rv_rssm_losses losses = rv_rssm_loss(l.graph, &l.rssm, seen.posterior, seen.prior, NULL);
        expect_shape(losses.kl, T * B, 1);
        expect_shape(losses.total, 1, 1);
        lab_close(&l);
    }
}

static void test_prefix(void **state) {
    (void)state;
    rv_device *device;
    rv_params *params;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    assert_ok(rv_params_create(device, &params), "");
    rv_rssm_add(params, "world/", &kinds[0]);
    assert_true(rv_params_find(params, "world/dyn/gates/weight") >= 0);
    assert_true(rv_params_find(params, "world/prior/1/scale") >= 0);
    rv_params_destroy(params);
    rv_device_close(device);
}

/* ---- sequences and their parts ---------------------------------------------------------------------------------- */

/* Six steps are three and then three from what the first three left. */
static void test_observe_in_two(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        lab_open(&l, "cpu", &kinds[kind]);
        rv_tensor lead = input(&l, "lead", 0, B, A);
        rv_rssm_rollout whole = observe(&l, start_of(&l), lead, RV_NONE, 0, T);
        rv_rssm_rollout first = observe(&l, start_of(&l), lead, RV_NONE, 0, 3);
        rv_rssm_rollout second =
            observe(&l, first.last, rows_of(input(&l, "actions", 0, 3 * B, A), 2, 1), RV_NONE, 3, 3);
        rv_tensor a[] = {rows_of(whole.state.deter, 0, 3),
                         rows_of(whole.state.stoch, 3, 3),
                         rows_of(whole.state.deter, 3, 3),
                         rows_of(first_of(whole.prior), 3, 3),
                         rows_of(first_of(whole.posterior), 0, 3),
                         whole.last.stoch,
                         whole.last.deter};
        rv_tensor b[] = {first.state.deter,
                         second.state.stoch,
                         second.state.deter,
                         first_of(second.prior),
                         first_of(first.posterior),
                         second.last.stoch,
                         rows_of(second.state.deter, 2, 1)};
        expect_equal(&l, a, b, 7);
        lab_close(&l);
    }
}

/* Where an episode begins, nothing before counts: neither state nor action; the other row goes on. */
static void test_resets(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        float resets[5 * B] = {0}, begin[3 * B] = {0};
        resets[2 * B] = 1; /* row 0 at step 2 */
        begin[0] = 1;
        lab_open(&l, "cpu", &kinds[kind]);
        rv_rssm_rollout whole =
            observe(&l, start_of(&l), input(&l, "lead", 0, B, A), lab_give(&l, 5 * B, 1, resets), 0, 5);
        rv_rssm_rollout free = observe(&l, start_of(&l), input(&l, "lead", 0, B, A), RV_NONE, 0, 5);
        rv_rssm_rollout fresh = observe(&l, rv_rssm_start(l.graph, &l.rssm, B), RV_NONE, RV_NONE, 2, 3);
        rv_rssm_rollout masked =
            observe(&l, start_of(&l), input(&l, "lead", 0, B, A), lab_give(&l, 3 * B, 1, begin), 2, 3);
        rv_tensor a[10], b[10];
        int count = 0;
        for (int t = 0; t < 3; t++) { /* row 0 as a new sequence, row 1 as if nothing had been */
            a[count] = rv_slice_rows(whole.state.deter, (2 + t) * B, 1),
            b[count++] = rv_slice_rows(fresh.state.deter, t * B, 1);
            a[count] = rv_slice_rows(masked.state.stoch, t * B, 1),
            b[count++] = rv_slice_rows(fresh.state.stoch, t * B, 1);
            a[count] = rv_slice_rows(whole.state.deter, (2 + t) * B + 1, 1),
            b[count++] = rv_slice_rows(free.state.deter, (2 + t) * B + 1, 1);
        }
        a[count] = rows_of(whole.state.stoch, 0, 2), b[count++] = rows_of(free.state.stoch, 0, 2);
        expect_equal(&l, a, b, count);
        lab_close(&l);
    }
}

static rv_tensor take_given(void *user, rv_graph *graph, rv_rssm_state state, int64_t t) {
    (void)graph, (void)state;
    return rows_of(*(rv_tensor *)user, t, 1);
}

/* Imagined steps are single steps one after the other, whoever chooses the actions. */
static void test_imagine(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        lab_open(&l, "cpu", &kinds[kind]);
        rv_tensor actions = input(&l, "future", 0, H * B, A);
        rv_rssm_noise noise = noise_of(&l, "noise ahead", 0, H * B);
        rv_rssm_rollout dream = rv_rssm_imagine(l.graph, &l.rssm, start_of(&l), H, actions, noise);
        rv_rssm_rollout chosen = rv_rssm_imagine_policy(l.graph, &l.rssm, start_of(&l), H, take_given, &actions, noise);
        rv_rssm_rollout one = rv_rssm_imagine(l.graph, &l.rssm, start_of(&l), 1, rows_of(actions, 0, 1),
                                              noise_of(&l, "noise ahead", 0, B));
        rv_tensor a[16] = {dream.state.deter, dream.state.stoch, first_of(dream.prior),
                           actions,           one.state.deter,   one.state.stoch};
        rv_tensor b[16] = {chosen.state.deter,
                           chosen.state.stoch,
                           first_of(chosen.prior),
                           chosen.action,
                           rows_of(dream.state.deter, 0, 1),
                           rows_of(dream.state.stoch, 0, 1)};
        int count = 6;
        rv_rssm_state step = start_of(&l);
        for (int t = 0; t < H; t++) {
            step.deter = rv_rssm_advance(l.graph, &l.rssm, step, rows_of(actions, t, 1));
            step.stoch = rv_rssm_sample(l.graph, &l.rssm, rv_rssm_prior(l.graph, &l.rssm, step.deter),
                                        noise_of(&l, "noise ahead", t * B, B), 0);
            a[count] = step.deter, b[count++] = rows_of(dream.state.deter, t, 1);
            a[count] = step.stoch, b[count++] = rows_of(dream.state.stoch, t, 1);
        }
        expect_equal(&l, a, b, count);
        lab_close(&l);
    }
}

/* Draws by name and step are those of the same numbers given. */
static void test_noise(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        rv_random *random;
        lab_open(&l, "cpu", &kinds[kind]);
        assert_ok(rv_random_create(l.device, 21, &random), "");
        const int64_t s = l.rssm.options.stoch;
        rv_tensor from = rv_random_state(l.graph, random), drawn[H], actions = input(&l, "future", 0, H * B, A);
        for (int t = 0; t < H; t++) {
            drawn[t] = kinds[kind].latent == RV_LATENT_GAUSSIAN ? rv_normal(from, "ahead", (uint32_t)t, B, s)
                                                                : rv_uniform(from, "ahead", (uint32_t)t, B, s);
        }
        rv_rssm_noise named = {.state = from, .name = "ahead"}, given = {.given = rv_concat_rows(drawn, H)};
        rv_rssm_rollout a = rv_rssm_imagine(l.graph, &l.rssm, start_of(&l), H, actions, named);
        rv_rssm_rollout b = rv_rssm_imagine(l.graph, &l.rssm, start_of(&l), H, actions, given);
        expect_equal(&l, (rv_tensor[]){a.state.stoch, a.state.deter}, (rv_tensor[]){b.state.stoch, b.state.deter}, 2);
        rv_random_destroy(random);
        lab_close(&l);
    }
}

/* ---- losses ----------------------------------------------------------------------------------------------------- */

/* The three ways to give nats away, from the divergences themselves. */
static void test_free_nats(void **state) {
    (void)state;
    static const rv_rssm_loss_options ways[] = {
        {.size = sizeof *ways, .free_nats = 0.2f, .dyn_scale = 0.8f, .rep_scale = 0.2f},
        {.size = sizeof *ways, .free_nats = 0.2f, .free_mean = 1, .rep_scale = -1},
        {.size = sizeof *ways, .free_nats = -1}};
    for (int way = 0; way < 3; way++) {
        lab l;
        lab_open(&l, "cpu", &kinds[0]);
        rv_rssm_rollout seen = observe(&l, start_of(&l), RV_NONE, RV_NONE, 0, T);
        rv_rssm_losses losses = rv_rssm_loss(l.graph, &l.rssm, seen.posterior, seen.prior, &ways[way]);
        rv_array *kl = lab_array(&l, T * B, 1), *dyn = lab_array(&l, 1, 1), *rep = lab_array(&l, 1, 1),
                 *total = lab_array(&l, 1, 1);
        rv_store(kl, losses.kl), rv_store(dyn, losses.dyn), rv_store(rep, losses.rep), rv_store(total, losses.total);
        rv_plan *plan;
        assert_ok(rv_plan_create(l.graph, NULL, &plan), rv_plan_message(plan));
        assert_ok(rv_plan_run(plan), "");
        rv_plan_destroy(plan);
        float rows[T * B], got[3];
        double mean = 0, beyond = 0;
        assert_ok(rv_array_read(kl, 0, T * B, rows), "");
        assert_ok(rv_array_read(dyn, 0, 1, &got[0]), "");
        assert_ok(rv_array_read(rep, 0, 1, &got[1]), "");
        assert_ok(rv_array_read(total, 0, 1, &got[2]), "");
        int below = 0;
        for (int r = 0; r < T * B; r++) {
            mean += (double)rows[r] / (T * B);
            beyond += fmax((double)rows[r], 0.2) / (T * B);
            below += rows[r] < 0.2f;
        }
        assert_true(below > 0 && below < T * B);
        const double wanted = way == 0 ? beyond : way == 1 ? fmax(mean, 0.2) : mean;
        const double scaled = way == 0 ? wanted : way == 1 ? wanted : 1.1 * wanted;
        assert_true(fabs((double)got[0] - wanted) < 1e-6 && fabs((double)got[1] - wanted) < 1e-6);
        assert_true(fabs((double)got[2] - scaled) < 1e-6);
        lab_close(&l);
    }
}

/* ---- gradients -------------------------------------------------------------------------------------------------- */

static rv_tensor weighed(lab *l, rv_tensor x, const char *name) {
    return rv_sum(rv_mul(x, input(l, name, 0, rv_tensor_rows(x), rv_tensor_cols(x))), RV_ALL);
}

/* Of everything that observing and imagining give: a loss that no part escapes. */
static rv_tensor record_loss(lab *l, rv_tensor is_first) {
    rv_rssm_rollout seen = observe(l, start_of(l), input(l, "lead", 0, B, A), is_first, 0, 4);
    rv_rssm_rollout dream = rv_rssm_imagine(l->graph, &l->rssm, seen.last, H, input(l, "future", 0, H * B, A),
                                            noise_of(l, "noise ahead", 0, H * B));
    rv_rssm_loss_options free = {.size = sizeof free, .free_nats = 0.1f, .rep_scale = 0.5f};
    rv_tensor loss = rv_rssm_loss(l->graph, &l->rssm, seen.posterior, seen.prior, &free).total;
    loss = rv_add(loss, rv_add(weighed(l, seen.state.deter, "w0"), weighed(l, seen.state.stoch, "w1")));
    loss = rv_add(loss, rv_add(weighed(l, dream.state.deter, "w2"), weighed(l, dream.state.stoch, "w3")));
    return rv_add(loss, rv_add(weighed(l, first_of(seen.prior), "w4"), weighed(l, first_of(dream.prior), "w5")));
}

static void test_gradients(void **state) {
    (void)state;
    static const float resets[4 * B] = {0, 1, 0, 0, 1, 0, 0, 0};
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        lab_open(&l, "cpu:double", &kinds[kind]);
        check_differences(l.graph, l.params, record_loss(&l, lab_give(&l, 4 * B, 1, resets)), 1e-6, 1);
        lab_close(&l);
    }
}

/* ---- threads, launches ------------------------------------------------------------------------------------------ */

static void gradients_on(const char *device, float *out, int64_t count) {
    lab l;
    rv_rssm_options options = {.size = sizeof options, .action_size = A, .token_size = E, .deter = 128};
    lab_open(&l, device, &options);
    rv_random *random;
    assert_ok(rv_random_create(l.device, 3, &random), "");
    enum { ROWS = 16, STEPS = 12 };
    rv_tensor from = rv_random_state(l.graph, random);
    rv_rssm_rollout seen = rv_rssm_observe(
        l.graph, &l.rssm, rv_rssm_start(l.graph, &l.rssm, ROWS), RV_NONE, rv_normal(from, "tokens", 0, STEPS * ROWS, E),
        rv_normal(from, "actions", 0, STEPS * ROWS, A), RV_NONE, STEPS, (rv_rssm_noise){.state = from, .name = "z"});
    rv_tensor loss = rv_add(rv_rssm_loss(l.graph, &l.rssm, seen.posterior, seen.prior, NULL).total,
                            rv_mean(rv_square(seen.state.deter), RV_ALL));
    assert_ok(rv_params_gradients(l.graph, l.params, loss, NULL, 0), rv_graph_message(l.graph));
    rv_plan *plan;
    assert_ok(rv_plan_create(l.graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), "");
    rv_plan_destroy(plan);
    rv_array *flat = rv_params_array(l.params, RV_GRADIENT);
    assert_true(rv_array_cols(flat) <= count);
    assert_ok(rv_array_read(flat, 0, 1, out), "");
    rv_random_destroy(random);
    lab_close(&l);
}

static void test_threads(void **state) {
    (void)state;
    enum { MOST_WEIGHTS = 1 << 17 };
    float *one = calloc(2 * MOST_WEIGHTS, sizeof *one), *other = one + MOST_WEIGHTS;
    assert_non_null(one);
    gradients_on("cpu:threads=1", one, MOST_WEIGHTS);
    for (int threads = 2; threads <= 3; threads++) {
        char device[32];
        snprintf(device, sizeof device, "cpu:threads=%d", threads);
        gradients_on(device, other, MOST_WEIGHTS);
        assert_memory_equal(one, other, MOST_WEIGHTS * sizeof *one);
    }
    free(one);
}

static int64_t launches_of(rv_graph *graph) {
    rv_plan *plan;
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_report_get(plan, &report), "");
    rv_plan_destroy(plan);
    return report.launches;
}

/* A step's ops and no more: what does not depend on the step before is outside the steps. */
static void test_launches(void **state) {
    (void)state;
    enum { ROWS = 16 };
    int64_t forward[2], both[2];
    for (int longer = 0; longer < 2; longer++) {
        const int64_t steps = longer ? 9 : 8;
        lab l;
        rv_rssm_options options = {.size = sizeof options, .action_size = A, .token_size = E};
        lab_open(&l, "cpu", &options);
        rv_array *keep = lab_array(&l, 1, 1);
        rv_tensor is_first = rv_read(l.graph, lab_array(&l, steps * ROWS, 1)),
                  given = rv_read(l.graph, lab_array(&l, steps * ROWS, 32));
        rv_rssm_rollout seen = rv_rssm_observe(l.graph, &l.rssm, rv_rssm_start(l.graph, &l.rssm, ROWS), RV_NONE,
                                               rv_read(l.graph, lab_array(&l, steps * ROWS, E)),
                                               rv_read(l.graph, lab_array(&l, steps * ROWS, A)), is_first, steps,
                                               (rv_rssm_noise){.given = given});
        rv_tensor loss = rv_add(rv_rssm_loss(l.graph, &l.rssm, seen.posterior, seen.prior, NULL).total,
                                rv_mean(rv_square(seen.state.stoch), RV_ALL));
        rv_store(keep, loss);
        forward[longer] = launches_of(l.graph);
        assert_ok(rv_params_gradients(l.graph, l.params, loss, NULL, 0), rv_graph_message(l.graph));
        both[longer] = launches_of(l.graph);
        lab_close(&l);
    }
    /* resets 2, layers of h and z 4, blocks 4, posterior 3, the draw */
    assert_int_equal(forward[1] - forward[0], 14);
    assert_in_range(both[1] - both[0], 14, 41);
}

/* ---- misuse ----------------------------------------------------------------------------------------------------- */

static void test_options(void **state) {
    (void)state;
    static const struct {
        rv_rssm_options options;
        const char *part;
    } rows[] = {
        {{.action_size = 0, .token_size = E}, "action_size and token_size"},
        {{.action_size = A, .token_size = E, .deter = 6, .blocks = 4}, "blocks must divide deter"},
        {{.action_size = A, .token_size = E, .hidden = -1}, "at least 1"},
        {{.action_size = A, .token_size = E, .prior_layers = RV_LAYERS_MAX + 1}, "prior_layers"},
        {{.action_size = A, .token_size = E, .posterior_layers = -1}, "posterior_layers"},
        {{.action_size = A, .token_size = E, .core = (rv_core)7}, "no such core"},
    };
    rv_device *device;
    assert_ok(rv_device_open("cpu", NULL, &device), "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rv_params *params;
        rv_rssm_options options = rows[i].options;
        options.size = sizeof options;
        assert_ok(rv_params_create(device, &params), "");
        rv_rssm_add(params, NULL, &options);
        assert_status(rv_params_commit(params, 1), RV_INVALID_ARGUMENT);
        assert_names(rv_params_message(params), rows[i].part);
        rv_params_destroy(params);
    }
    rv_device_close(device);
}

typedef enum fault { NO_TOKENS, NO_ACTIONS, WIDE_TOKENS, UNEVEN, NO_STEPS, NARROW_NOISE, SHORT_START, FAULTS } fault;

static void test_inputs(void **state) {
    (void)state;
    for (fault f = NO_TOKENS; f < FAULTS; f++) {
        lab l;
        lab_open(&l, "cpu", &kinds[0]);
        rv_tensor tokens = f == NO_TOKENS ? RV_NONE : input(&l, "tokens", 0, T * B, f == WIDE_TOKENS ? E + 1 : E);
        rv_tensor actions = f == NO_ACTIONS ? RV_NONE : input(&l, "actions", 0, T * B, A);
        rv_rssm_noise noise = {.given = input(&l, "noise", 0, T * B, f == NARROW_NOISE ? 1 : 2)};
        rv_rssm_state start = rv_rssm_start(l.graph, &l.rssm, f == SHORT_START ? 1 : B);
        rv_rssm_observe(l.graph, &l.rssm, start, RV_NONE, tokens, actions, RV_NONE,
                        f == UNEVEN     ? 5
                        : f == NO_STEPS ? 0
                                        : T,
                        noise);
        assert_int_not_equal(rv_graph_status(l.graph), RV_OK);
        assert_names(rv_graph_message(l.graph), "observe");
        lab_close(&l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_prefix),    cmocka_unit_test(test_observe_in_two),
        cmocka_unit_test(test_resets),    cmocka_unit_test(test_imagine),   cmocka_unit_test(test_noise),
        cmocka_unit_test(test_free_nats), cmocka_unit_test(test_gradients), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_launches),  cmocka_unit_test(test_options),   cmocka_unit_test(test_inputs),
    };
    return cmocka_run_group_tests_name("rssm", tests, NULL, NULL);
}
