/* tests/test_golden_rssm.c: RSSM and sequence model against the float64 files of tests/golden/dreamer (docs/audit.md):
 * states, losses, and each loss's gradient by itself. On cpu:double only what is float by definition may differ. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/plan.h"
#include "reverie/sequence_model.h"
#include "tests/support/dreamer_inputs.h"
#include "tests/support/golden_file.h"
#include "tests/support/suite.h"

#define FOLDER RV_TEST_DIR "/golden/dreamer/"

enum { MOST = 160, NAME = 160, SAMPLES = 64 };

/* A recording: arrays that hold what is given, and what is asked for, with the name it has in the file. */
typedef struct stage {
    const char *device_name;
    double bound;
    rv_device *device;
    rv_graph *graph;
    golden_file *expected;
    rv_array *given[MOST], *asked[MOST];
    char name[MOST][NAME];
    int given_count, asked_count;
} stage;

static void stage_open(stage *s, const char *device, double bound, const char *file) {
    *s = (stage){.device_name = device, .bound = bound, .expected = golden_open(file)};
    assert_non_null(s->expected);
    assert_ok(rv_device_open(device, NULL, &s->device), rv_device_message(s->device));
    assert_ok(rv_graph_create(s->device, &s->graph), rv_device_message(s->device));
}

static void stage_close(stage *s) {
    for (int i = 0; i < s->given_count; i++) rv_array_destroy(s->given[i]);
    for (int i = 0; i < s->asked_count; i++) rv_array_destroy(s->asked[i]);
    rv_graph_destroy(s->graph);
    rv_device_close(s->device);
    golden_close(s->expected);
}

static rv_tensor give_floats(stage *s, int64_t rows, int64_t cols, const float *values) {
    assert_true(s->given_count < MOST);
    rv_array **array = &s->given[s->given_count++];
    assert_ok(rv_array_create(s->device, RV_F32, rows, cols, "given", array), rv_array_message(*array));
    assert_ok(rv_array_write(*array, 0, rows, values), rv_array_message(*array));
    return rv_read(s->graph, *array);
}

static float *floats_of(golden_tensor x, const char *name) {
    if (!x.values) fail_msg("no %s in the file", name);
    float *values = malloc((size_t)(x.rows * x.cols) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < x.rows * x.cols; i++) values[i] = (float)x.values[i];
    return values;
}

static rv_tensor give(stage *s, const golden_file *file, const char *name, int64_t most_rows) {
    golden_tensor x = golden_find(file, name);
    float *values = floats_of(x, name);
    rv_tensor given = give_floats(s, most_rows && most_rows < x.rows ? most_rows : x.rows, x.cols, values);
    free(values);
    return given;
}

static void ask(stage *s, rv_tensor x, const char *format, const char *name) {
    assert_true(s->asked_count < MOST);
    if (!x.id) fail_msg("%s: %s", name, rv_graph_message(s->graph));
    rv_array **array = &s->asked[s->asked_count];
    snprintf(s->name[s->asked_count++], NAME, format, name);
    assert_ok(rv_array_create(s->device, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), "asked", array), "");
    rv_store(*array, x);
}

static void run(stage *s) {
    rv_plan *plan;
    assert_ok(rv_plan_create(s->graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
}

/* The relative L2 distance; where the file leaves a name out, all is zero. */
static void compare(stage *s, int index) {
    rv_array *array = s->asked[index];
    const int64_t count = rv_array_rows(array) * rv_array_cols(array);
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), values), rv_array_message(array));
    golden_tensor wanted = golden_find(s->expected, s->name[index]);
    if (wanted.values) assert_int_equal(count, wanted.rows * wanted.cols);
    double apart = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        const double want = wanted.values ? wanted.values[i] : 0, off = (double)values[i] - want;
        apart += off * off;
        norm += want * want;
    }
    if (!(sqrt(apart) <= s->bound * sqrt(norm))) {
        fail_msg("%s: %s is %.3g of %.3g away", s->device_name, s->name[index], sqrt(apart), sqrt(norm));
    }
    free(values);
}

static void compare_all(stage *s) {
    for (int i = 0; i < s->asked_count; i++) compare(s, i);
}

static void set_weights(rv_params *params, const golden_file *file, const char *prefix) {
    char name[NAME];
    for (int i = 0; i < rv_params_count(params); i++) {
        snprintf(name, sizeof name, "%s%s", prefix, rv_params_name(params, i));
        golden_tensor x = golden_find(file, name);
        int64_t rows, cols;
        assert_status(rv_params_shape(params, i, &rows, &cols), RV_OK);
        if (!x.values || x.rows != rows || x.cols != cols) fail_msg("%s: [%d, %d] here", name, (int)rows, (int)cols);
        float *values = floats_of(x, name);
        assert_ok(rv_params_set(params, i, RV_VALUE, values), rv_params_message(params));
        free(values);
    }
}

static void ask_gradients(stage *s, rv_params *params, rv_tensor loss, const char *format) {
    rv_tensor weights[MOST], gradients[MOST];
    const int count = rv_params_count(params);
    assert_true(count <= MOST);
    for (int i = 0; i < count; i++) weights[i] = rv_param(s->graph, params, i);
    assert_ok(rv_gradients(loss, weights, count, NULL, 0, gradients), rv_graph_message(s->graph));
    for (int i = 0; i < count; i++) ask(s, gradients[i], format, rv_params_name(params, i));
}

/* ---- DreamerV3's world model ------------------------------------------------------------------------------------ */

static void ask_losses(stage *s, rv_sequence_losses losses) {
    ask(s, losses.reconstruction, "update/0/loss/%s", "rec");
    ask(s, losses.reward, "update/0/loss/%s", "rew");
    ask(s, losses.continues, "update/0/loss/%s", "con");
    ask(s, losses.dyn, "update/0/loss/%s", "dyn");
    ask(s, losses.rep, "update/0/loss/%s", "rep");
}

static void ask_states(stage *s, rv_sequence_model *model, rv_sequence_losses losses) {
    const rv_sequence_pass *pass = &losses.pass;
    ask(s, pass->tokens, "update/0/state/%s", "tokens");
    ask(s, pass->seen.state.deter, "update/0/state/%s", "deter");
    ask(s, pass->seen.state.stoch, "update/0/state/%s", "stoch");
    ask(s, pass->seen.posterior.logits, "update/0/state/%s", "posterior_logits");
    ask(s, pass->seen.prior.logits, "update/0/state/%s", "prior_logits");
    ask(s, pass->reconstruction, "update/0/state/%s", "reconstruction");
    ask(s, rv_sequence_model_reward(s->graph, model, pass->seen.state), "update/0/state/%s", "reward");
    ask(s, rv_sigmoid(pass->continue_logit), "update/0/state/%s", "going_on");
    ask(s, losses.kl, "update/0/state/%s", "kl");
}

static rv_sequence_model *make_model(rv_device *device, const char *preset, int64_t observation, int64_t action) {
    rv_sequence_model_options options = {
        .size = sizeof options, .observation_size = observation, .action_size = action};
    rv_sequence_model *model;
    assert_status(rv_sequence_model_preset(preset, &options), RV_OK);
    assert_ok(rv_sequence_model_create(device, &options, &model), rv_sequence_model_message(model));
    assert_ok(rv_sequence_model_commit(model, 1), rv_sequence_model_message(model));
    return model;
}

static rv_sequence_batch debug_batch(stage *s, const golden_file *file, rv_rssm_noise *noise) {
    rv_sequence_batch batch = {.steps = 6,
                               .observation = give(s, file, "observation", 0),
                               .action = give(s, file, "action", 0),
                               .reward = give(s, file, "reward", 0),
                               .is_first = give(s, file, "is_first", 0),
                               .is_terminal = give(s, file, "is_terminal", 0),
                               .start = {give(s, file, "carry/deter", 0), give(s, file, "carry/stoch", 0)},
                               .start_action = give(s, file, "carry/action", 0)};
    *noise = (rv_rssm_noise){.given = give(s, file, "noise/posterior", rv_tensor_rows(batch.observation))};
    return batch;
}

typedef enum part { REC, REW, CON, DYN, REP, PARTS } part;
static const char *const part_format[PARTS] = {"update/0/gradient_of/rec/%s", "update/0/gradient_of/rew/%s",
                                               "update/0/gradient_of/con/%s", "update/0/gradient_of/dyn/%s",
                                               "update/0/gradient_of/rep/%s"};

/* The files' gradients are of scaled losses: rep counts a tenth. */
static rv_tensor part_of(rv_sequence_losses losses, part which) {
    const rv_tensor all[PARTS] = {losses.reconstruction, losses.reward, losses.continues, losses.dyn,
                                  rv_affine(losses.rep, 0.1f, 0)};
    return all[which];
}

static void debug_on(const char *device, double bound) {
    golden_file *weights = golden_open(FOLDER "debug_weights.safetensors"),
                *inputs = golden_open(FOLDER "debug_batch.safetensors");
    assert_true(weights && inputs);
    for (part which = REC; which < PARTS; which++) {
        stage s;
        rv_rssm_noise noise;
        stage_open(&s, device, bound, FOLDER "debug_expected.safetensors");
        rv_sequence_model *model = make_model(s.device, "debug", 5, 2);
        set_weights(rv_sequence_model_params(model), weights, "");
        rv_sequence_batch batch = debug_batch(&s, inputs, &noise);
        rv_sequence_losses losses = rv_sequence_model_loss(s.graph, model, &batch, noise);
        if (which == REC) {
            ask_losses(&s, losses);
            ask_states(&s, model, losses);
        }
        ask_gradients(&s, rv_sequence_model_params(model), part_of(losses, which), part_format[which]);
        run(&s);
        compare_all(&s);
        rv_sequence_model_destroy(model);
        stage_close(&s);
    }
    golden_close(weights);
    golden_close(inputs);
}

static void test_debug(void **state) {
    (void)state;
    debug_on("cpu:double", 1e-6);
    debug_on("cpu", 1e-4);
}

/* ---- size1m: a norm and 64 entries a tensor ---------------------------------------------------------------------- */

enum { ROWS = GOLDEN_STEPS * GOLDEN_SEQUENCES };

static rv_tensor formula(stage *s, const char *name, int64_t all_rows, int64_t rows, int64_t cols) {
    float *values = malloc((size_t)(all_rows * cols) * sizeof *values);
    assert_non_null(values);
    dreamer_batch(name, all_rows, cols, values);
    char full[NAME];
    snprintf(full, sizeof full, "%s/redrawn_index", name);
    const golden_tensor index = golden_find(s->expected, full);
    snprintf(full, sizeof full, "%s/redrawn_value", name);
    const golden_tensor value = golden_find(s->expected, full);
    for (int64_t k = 0; index.values && k < index.cols; k++) values[(int64_t)index.values[k]] = (float)value.values[k];
    rv_tensor given = give_floats(s, rows, cols, values);
    free(values);
    return given;
}

static void set_formula_weights(rv_params *params) {
    for (int i = 0; i < rv_params_count(params); i++) {
        int64_t rows, cols;
        assert_status(rv_params_shape(params, i, &rows, &cols), RV_OK);
        float *values = malloc((size_t)(rows * cols) * sizeof *values);
        assert_non_null(values);
        dreamer_weight(rv_params_name(params, i), rows, cols, values);
        assert_ok(rv_params_set(params, i, RV_VALUE, values), rv_params_message(params));
        free(values);
    }
}

static void compare_sampled(stage *s, int index) {
    rv_array *array = s->asked[index];
    const int64_t count = rv_array_rows(array) * rv_array_cols(array);
    golden_tensor wanted = golden_find(s->expected, s->name[index]);
    if (!wanted.values) fail_msg("no %s in the file", s->name[index]);
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), values), rv_array_message(array));
    double norm = 0, apart = 0, size = 0;
    for (int64_t i = 0; i < count; i++) norm += (double)values[i] * (double)values[i];
    for (int64_t j = 0; j < SAMPLES; j++) {
        const double want = wanted.values[1 + j], off = (double)values[j * (count - 1) / (SAMPLES - 1)] - want;
        apart += off * off;
        size += want * want;
    }
    const double off = fabs(sqrt(norm) - wanted.values[0]);
    if (!(off <= s->bound * wanted.values[0]) || !(sqrt(apart) <= s->bound * sqrt(size)))
        fail_msg("%s: %s: norm %.3g away from %.6g, entries %.3g from %.6g", s->device_name, s->name[index], off,
                 wanted.values[0], sqrt(apart), sqrt(size));
    free(values);
}

static void test_size1m(void **state) {
    (void)state;
    enum { B = GOLDEN_SEQUENCES, U = GOLDEN_UPDATES, LATENT = GOLDEN_STOCH * GOLDEN_CLASSES };
    stage s;
    stage_open(&s, "cpu", 1e-4, FOLDER "size1m_expected.safetensors");
    rv_sequence_model *model = make_model(s.device, "size1m", GOLDEN_OBSERVATION, GOLDEN_ACTION);
    set_formula_weights(rv_sequence_model_params(model));
    rv_sequence_batch batch = {
        .steps = GOLDEN_STEPS,
        .observation = formula(&s, "observation", ROWS, ROWS, GOLDEN_OBSERVATION),
        .action = formula(&s, "action", ROWS, ROWS, GOLDEN_ACTION),
        .reward = formula(&s, "reward", ROWS, ROWS, 1),
        .is_first = formula(&s, "is_first", ROWS, ROWS, 1),
        .is_terminal = formula(&s, "is_terminal", ROWS, ROWS, 1),
        .start = {formula(&s, "carry/deter", B, B, GOLDEN_DETER), formula(&s, "carry/stoch", B, B, LATENT)},
        .start_action = formula(&s, "carry/action", B, B, GOLDEN_ACTION)};
    rv_rssm_noise noise = {.given = formula(&s, "noise/posterior", U * ROWS, ROWS, GOLDEN_STOCH)};
    rv_sequence_losses losses = rv_sequence_model_loss(s.graph, model, &batch, noise);
    ask_losses(&s, losses);
    const int scalars = s.asked_count;
    ask_states(&s, model, losses);
    run(&s);
    for (int i = 0; i < s.asked_count; i++) {
        if (i < scalars) compare(&s, i);
        else compare_sampled(&s, i);
    }
    rv_sequence_model_destroy(model);
    stage_close(&s);
}

/* ---- the Gaussian RSSM on a plain GRU --------------------------------------------------------------------------- */

static rv_tensor probe(stage *s, rv_rssm_state seen) {
    rv_tensor deter = rv_sum(rv_mul(seen.deter, give(s, s->expected, "batch/probe/deter", 0)), RV_COLS);
    rv_tensor stoch = rv_sum(rv_mul(seen.stoch, give(s, s->expected, "batch/probe/stoch", 0)), RV_COLS);
    return rv_mean(rv_add(deter, stoch), RV_ALL);
}

static void ask_gaussian(stage *s, const char *format, rv_rssm_state state, rv_latent latent, const char *mean,
                         const char *std) {
    ask(s, state.deter, format, "deter");
    ask(s, state.stoch, format, "stoch");
    ask(s, latent.mean, format, mean);
    ask(s, latent.std, format, std);
}

static void gaussian_on(const char *device, double bound) {
    stage s;
    stage_open(&s, device, bound, FOLDER "rssm_v1.safetensors");
    rv_params *params;
    assert_ok(rv_params_create(s.device, &params), "");
    rv_rssm_options options = {.size = sizeof options,
                               .core = RV_CORE_GRU,
                               .latent = RV_LATENT_GAUSSIAN,
                               .action_size = 2,
                               .token_size = 4,
                               .deter = 7,
                               .hidden = 5,
                               .stoch = 3};
    rv_rssm rssm = rv_rssm_add(params, "", &options);
    assert_ok(rv_params_commit(params, 1), rv_params_message(params));
    set_weights(params, s.expected, "weight/");
    rv_tensor tokens = give(&s, s.expected, "batch/embedding", 0), gradient;
    rv_rssm_state start = {give(&s, s.expected, "batch/carry/deter", 0), give(&s, s.expected, "batch/carry/stoch", 0)};
    rv_rssm_noise noise = {.given = give(&s, s.expected, "batch/noise/posterior", 0)};
    rv_rssm_rollout seen =
        rv_rssm_observe(s.graph, &rssm, start, give(&s, s.expected, "batch/carry/action", 0), tokens,
                        give(&s, s.expected, "batch/action", 0), give(&s, s.expected, "batch/is_first", 0), 6, noise);
    rv_rssm_loss_options kl = {.size = sizeof kl, .dyn_scale = 0.8f, .rep_scale = 0.2f};
    rv_rssm_losses losses = rv_rssm_loss(s.graph, &rssm, seen.posterior, seen.prior, &kl);
    rv_tensor total = rv_add(losses.total, probe(&s, seen.state));
    ask_gaussian(&s, "expected/state/%s", seen.state, seen.posterior, "posterior_mean", "posterior_std");
    ask(&s, seen.prior.mean, "expected/state/%s", "prior_mean");
    ask(&s, seen.prior.std, "expected/state/%s", "prior_std");
    ask(&s, losses.kl, "expected/state/%s", "kl");
    ask(&s, losses.dyn, "expected/loss/%s", "dyn");
    ask(&s, losses.rep, "expected/loss/%s", "rep");
    ask(&s, losses.total, "expected/loss/%s", "kl");
    ask(&s, total, "expected/loss/%s", "total");
    noise.given = give(&s, s.expected, "batch/noise/prior", 0);
    rv_rssm_rollout dream =
        rv_rssm_imagine(s.graph, &rssm, seen.last, 4, give(&s, s.expected, "batch/imagination/action", 0), noise);
    ask_gaussian(&s, "expected/imagination/%s", dream.state, dream.prior, "prior_mean", "prior_std");
    ask_gradients(&s, params, total, "expected/gradient/%s");
    assert_ok(rv_gradients(total, &tokens, 1, NULL, 0, &gradient), rv_graph_message(s.graph));
    ask(&s, gradient, "expected/gradient/%s", "embedding");
    run(&s);
    compare_all(&s);
    rv_params_destroy(params);
    stage_close(&s);
}

static void test_gaussian(void **state) {
    (void)state;
    gaussian_on("cpu:double", 1e-6);
    gaussian_on("cpu", 1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_debug), cmocka_unit_test(test_size1m),
                                       cmocka_unit_test(test_gaussian)};
    return cmocka_run_group_tests_name("golden_rssm", tests, NULL, NULL);
}
