/* tests/test_sequence_model.c: the sequence world model: presets, losses, predictions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/sequence_model.h"
#include "tests/support/differences.h"

static rv_device *device;

static rv_sequence_model *make(rv_device *on, const rv_sequence_model_options *options, uint64_t seed) {
    rv_sequence_model *model;
    assert_ok(rv_sequence_model_create(on, options, &model), rv_sequence_model_message(model));
    assert_ok(rv_sequence_model_commit(model, seed), rv_sequence_model_message(model));
    return model;
}

static rv_sequence_model_options preset(const char *name, int64_t observation, int64_t action) {
    rv_sequence_model_options options = {
        .size = sizeof options, .observation_size = observation, .action_size = action};
    assert_ok(rv_sequence_model_preset(name, &options), name);
    return options;
}

/* ---- presets ---------------------------------------------------------------------------------------------------- */

/* Weights of the whole published agent, its actor and critic taken away. */
static void test_counts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t feature, units, cartpole, pendulum, walker; /* 0: not known */
    } rows[] = {
        {"size1m", 512 + 128, 64, 637446, 637188, 640867},
        {"size12m", 2048 + 512, 256, 9724422, 9723396, 0},
        {"size25m", 3072 + 768, 384, 21762566, 21761028, 0},
        {"size50m", 4096 + 1024, 512, 38584838, 38582788, 0},
        {"size100m", 6144 + 1536, 768, 86581766, 86578692, 0},
        {"size200m", 8192 + 2048, 1024, 153715206, 153711108, 0},
        {"size400m", 12288 + 3072, 1536, 345391622, 345385476, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int64_t u = rows[i].units, layers = rows[i].feature * u + 2 * u * u + 6 * u;
        const struct {
            int64_t observation, action, whole;
        } tasks[] = {{5, 1, rows[i].cartpole}, {3, 1, rows[i].pendulum}, {24, 6, rows[i].walker}};
        for (int task = 0; task < 3 && tasks[task].whole; task++) {
            const int64_t actor = layers + 2 * (u + 1) * tasks[task].action, critic = layers + (u + 1) * 255;
            rv_sequence_model_options options = preset(rows[i].name, tasks[task].observation, tasks[task].action);
            rv_sequence_model *model;
            assert_ok(rv_sequence_model_create(device, &options, &model), rv_sequence_model_message(model));
            assert_int_equal(rv_params_size(rv_sequence_model_params(model)), tasks[task].whole - actor - critic);
            rv_sequence_model_destroy(model);
        }
    }
}

static void test_presets(void **state) {
    (void)state;
    int count = 0;
    for (const char *name; (name = rv_sequence_model_preset_name(count)) != NULL; count++) {
        rv_sequence_model_options options = preset(name, 3, 1);
        rv_sequence_model *model;
        assert_ok(rv_sequence_model_create(device, &options, &model), rv_sequence_model_message(model));
        assert_true(rv_params_size(rv_sequence_model_params(model)) > 1000);
        rv_sequence_model_destroy(model);
    }
    assert_int_equal(count, 10);
    rv_sequence_model_options options = preset("planet", 3, 1), before = options;
    assert_status(rv_sequence_model_preset("size2m", &options), RV_NOT_FOUND);
    assert_memory_equal(&options, &before, sizeof options);
    assert_status(rv_sequence_model_preset(NULL, &options), RV_INVALID_ARGUMENT);
    /* nothing said is size1m */
    rv_sequence_model_options plain = {.size = sizeof plain, .observation_size = 24, .action_size = 6},
                              named = preset("size1m", 24, 6);
    rv_sequence_model *a = make(device, &plain, 1), *b = make(device, &named, 1);
    assert_memory_equal(rv_sequence_model_options_get(a), rv_sequence_model_options_get(b), sizeof plain);
    rv_sequence_model_destroy(a);
    rv_sequence_model_destroy(b);
}

static void test_options(void **state) {
    (void)state;
    static const struct {
        rv_sequence_model_options options;
        const char *part;
    } rows[] = {
        {{.size = 0}, "set size"},
        {{.size = 1, .observation_size = 0, .action_size = 1}, "observation_size"},
        {{.size = 1, .observation_size = 1, .action_size = 1, .units = -4}, "units"},
        {{.size = 1, .observation_size = 1, .action_size = 1, .encoder_layers = RV_LAYERS_MAX}, "layers must be"},
        {{.size = 1, .observation_size = 1, .action_size = 1, .bins = 4}, "bins must be odd"},
        {{.size = 1, .observation_size = 1, .action_size = 1, .horizon = 0.5f}, "horizon"},
        {{.size = 1, .observation_size = 1, .action_size = 1, .rssm = {.deter = 9}}, "blocks must divide deter"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rv_sequence_model_options options = rows[i].options;
        if (options.size) options.size = sizeof options;
        rv_sequence_model *model;
        rv_status status = rv_sequence_model_create(device, &options, &model);
        if (status == RV_OK) status = rv_sequence_model_commit(model, 1);
        assert_status(status, RV_INVALID_ARGUMENT);
        assert_names(rv_sequence_model_message(model), rows[i].part);
        rv_sequence_model_destroy(model);
    }
    rv_sequence_model_destroy(NULL);
    assert_status(rv_sequence_model_commit(NULL, 1), RV_INVALID_ARGUMENT);
}

/* ---- a stage: a model, a graph, numbers by name ----------------------------------------------------------------- */

enum { B = 3, T = 4, H = 3, O = 2, A = 2, MOST = 48 };

typedef struct lab {
    rv_device *device;
    rv_sequence_model *model;
    rv_graph *graph;
    rv_array *arrays[MOST];
    int count;
} lab;

static void lab_open(lab *l, const char *resource, const rv_sequence_model_options *options) {
    *l = (lab){0};
    assert_ok(rv_device_open(resource, NULL, &l->device), rv_device_message(l->device));
    l->model = make(l->device, options, 11);
    assert_ok(rv_graph_create(l->device, &l->graph), "");
}

static void lab_close(lab *l) {
    for (int i = 0; i < l->count; i++) rv_array_destroy(l->arrays[i]);
    rv_graph_destroy(l->graph);
    rv_sequence_model_destroy(l->model);
    rv_device_close(l->device);
}

static rv_array *lab_array(lab *l, int64_t rows, int64_t cols) {
    assert_true(l->count < MOST);
    rv_array **array = &l->arrays[l->count++];
    assert_ok(rv_array_create(l->device, RV_F32, rows, cols, "array", array), rv_array_message(*array));
    return *array;
}

typedef enum fill { NORMAL, UNIFORM, FLAGS } fill;

/* Rows from `first` on of the numbers called `name`; flags are 1 where a uniform is below 0.3. */
static rv_tensor input(lab *l, fill fill, const char *name, int64_t first, int64_t rows, int64_t cols) {
    float values[256];
    assert_true((first + rows) * cols <= 256);
    if (fill == NORMAL) rv_random_normal(4, 0, name, 0, first + rows, cols, values);
    else rv_random_uniform(4, 0, name, 0, first + rows, cols, values);
    for (int64_t i = 0; i < (first + rows) * cols && fill == FLAGS; i++) values[i] = values[i] < 0.3f;
    rv_array *array = lab_array(l, rows, cols);
    assert_ok(rv_array_write(array, 0, rows, values + first * cols), rv_array_message(array));
    return rv_read(l->graph, array);
}

static rv_rssm_noise noise_of(lab *l, const char *name, int64_t first, int64_t rows) {
    const rv_rssm_options *o = &rv_sequence_model_options_get(l->model)->rssm;
    return (rv_rssm_noise){
        .given = input(l, o->latent == RV_LATENT_GAUSSIAN ? NORMAL : UNIFORM, name, first, rows, o->stoch)};
}

static rv_sequence_batch batch_of(lab *l, bool resets) {
    return (rv_sequence_batch){.steps = T,
                               .observation = input(l, NORMAL, "observation", 0, T * B, O),
                               .action = input(l, NORMAL, "action", 0, T * B, A),
                               .reward = input(l, NORMAL, "reward", 0, T * B, 1),
                               .is_first = resets ? input(l, FLAGS, "first", 0, T * B, 1) : RV_NONE,
                               .is_terminal = input(l, FLAGS, "terminal", 0, T * B, 1)};
}

static void run(rv_graph *graph) {
    rv_plan *plan;
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
}

static void expect_equal(lab *l, const rv_tensor *x, const rv_tensor *y, int count) {
    rv_array *kept[2 * MOST];
    for (int i = 0; i < 2 * count; i++) {
        const rv_tensor tensor = i < count ? x[i] : y[i - count];
        kept[i] = lab_array(l, rv_tensor_rows(tensor), rv_tensor_cols(tensor));
        rv_store(kept[i], tensor);
    }
    run(l->graph);
    for (int i = 0; i < count; i++) {
        float a[256], b[256];
        const int64_t n = rv_array_rows(kept[i]) * rv_array_cols(kept[i]);
        assert_true(n <= 256 && n == rv_array_rows(kept[i + count]) * rv_array_cols(kept[i + count]));
        assert_ok(rv_array_read(kept[i], 0, rv_array_rows(kept[i]), a), "");
        assert_ok(rv_array_read(kept[i + count], 0, rv_array_rows(kept[i]), b), "");
        for (int64_t k = 0; k < n; k++) {
            if (a[k] != b[k]) fail_msg("pair %d: [%d] is %.9g and %.9g", i, (int)k, (double)a[k], (double)b[k]);
        }
    }
}

static rv_sequence_model_options small(rv_core core, rv_latent_kind latent) {
    return (rv_sequence_model_options){
        .size = sizeof(rv_sequence_model_options),
        .observation_size = O,
        .action_size = A,
        .units = 4,
        .encoder_layers = 1,
        .decoder_layers = 1,
        .bins = latent == RV_LATENT_GAUSSIAN ? -1 : 7,
        .reward_outscale = 1,
        .rssm = {.core = core, .latent = latent, .deter = 6, .hidden = 4, .stoch = 2, .classes = 3, .blocks = 2}};
}

/* ---- predictions ------------------------------------------------------------------------------------------------ */

/* One step after the other, corrected by what is seen, the memory is that of the whole sequence observed. */
static void test_step_by_step(void **state) {
    (void)state;
    rv_sequence_model_options options = small(RV_CORE_BLOCK_GRU, RV_LATENT_CATEGORICAL);
    lab l;
    lab_open(&l, "cpu", &options);
    rv_sequence_batch batch = batch_of(&l, false);
    rv_rssm_state seen =
        rv_sequence_model_observe(l.graph, l.model, &batch, noise_of(&l, "noise", 0, T * B)).seen.state;
    rv_rssm_state hidden = rv_sequence_model_hidden(l.graph, l.model, B);
    rv_tensor a[MOST], b[MOST];
    for (int t = 0; t < T; t++) {
        a[t] = hidden.deter;
        b[t] = rv_slice_rows(seen.deter, t * B, B);
        rv_sequence_step next =
            rv_sequence_model_imagine(l.graph, l.model, rv_slice_rows(batch.observation, t * B, B),
                                      rv_slice_rows(batch.action, t * B, B), hidden, noise_of(&l, "noise", t * B, B));
        hidden = next.hidden;
    }
    expect_equal(&l, a, b, T);
    lab_close(&l);
}

/* Open loop: observed, then steps without observations; everything decoded. */
static void test_open_loop(void **state) {
    (void)state;
    for (int latent = 0; latent < 2; latent++) {
        rv_sequence_model_options options = small(RV_CORE_GRU, (rv_latent_kind)latent);
        lab l;
        lab_open(&l, "cpu", &options);
        rv_sequence_batch batch = batch_of(&l, false);
        rv_tensor ahead = input(&l, NORMAL, "ahead", 0, H * B, A);
        rv_rssm_noise seen = noise_of(&l, "noise", 0, T * B), mode = {0};
        rv_sequence_step all = rv_sequence_model_open_loop(l.graph, l.model, &batch, ahead, H, seen, mode);
        rv_rssm_state hidden = rv_sequence_model_observe(l.graph, l.model, &batch, seen).seen.last;
        rv_tensor a[MOST], b[MOST];
        int count = 0;
        for (int t = 0; t < H; t++) {
            rv_sequence_step next =
                rv_sequence_model_imagine(l.graph, l.model, RV_NONE, rv_slice_rows(ahead, t * B, B), hidden, mode);
            a[count] = rv_slice_rows(all.observation, t * B, B), b[count++] = next.observation;
            a[count] = rv_slice_rows(all.reward, t * B, B), b[count++] = next.reward;
            a[count] = rv_slice_rows(all.continue_logit, t * B, B), b[count++] = next.continue_logit;
            hidden = next.hidden;
        }
        a[count] = all.hidden.stoch, b[count++] = hidden.stoch;
        expect_equal(&l, a, b, count);
        lab_close(&l);
    }
}

/* ---- the whole loss --------------------------------------------------------------------------------------------- */

static void check_gradients(lab *l) {
    rv_params *params = rv_sequence_model_params(l->model);
    rv_array *flat = rv_params_array(params, RV_VALUE);
    rv_sequence_batch batch = batch_of(l, true);
    for (int64_t i = 0; i < rv_array_cols(flat); i++) doubles_of(flat)[i] += 0.05 * sin((double)i); /* no zeros */
    rv_tensor total = rv_sequence_model_loss(l->graph, l->model, &batch, noise_of(l, "noise", 0, T * B)).total;
    check_differences(l->graph, params, total, 2e-6, 1);
}

static void test_gradients(void **state) {
    (void)state;
    for (int latent = 0; latent < 2; latent++) {
        rv_sequence_model_options options = small(latent ? RV_CORE_GRU : RV_CORE_BLOCK_GRU, (rv_latent_kind)latent);
        options.kl.free_nats = 0.1f;
        options.kl.rep_scale = 0.5f;
        options.reward_scale = 0.7f;
        lab l;
        lab_open(&l, "cpu:double", &options);
        check_gradients(&l);
        lab_close(&l);
    }
}

/* The total is the scaled sum; a scale below 0 leaves its part out. */
static void test_scales(void **state) {
    (void)state;
    rv_sequence_model_options options = small(RV_CORE_BLOCK_GRU, RV_LATENT_CATEGORICAL);
    options.reward_scale = 2;
    options.continue_scale = -1;
    options.reconstruction_scale = 0.5f;
    lab l;
    lab_open(&l, "cpu", &options);
    rv_sequence_batch batch = batch_of(&l, true);
    rv_sequence_losses losses = rv_sequence_model_loss(l.graph, l.model, &batch, noise_of(&l, "noise", 0, T * B));
    rv_tensor parts[] = {losses.reconstruction, losses.reward, losses.continues, losses.dyn, losses.rep, losses.total};
    rv_array *row = lab_array(&l, 1, 6);
    rv_store(row, rv_concat_cols(parts, 6));
    run(l.graph);
    float v[6];
    assert_ok(rv_array_read(row, 0, 1, v), "");
    for (int i = 0; i < 6; i++) assert_true(v[i] > 0);
    assert_true(fabsf(0.5f * v[0] + 2 * v[1] + v[3] + 0.1f * v[4] - v[5]) < 1e-5f * v[5]);
    lab_close(&l);
}

int main(void) {
    if (rv_device_open("cpu", NULL, &device) != RV_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_presets),   cmocka_unit_test(test_options),
        cmocka_unit_test(test_step_by_step), cmocka_unit_test(test_open_loop), cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_scales),
    };
    int failed = cmocka_run_group_tests_name("sequence_model", tests, NULL, NULL);
    rv_device_close(device);
    return failed;
}
