/* tests/test_golden_dreamer.c: DreamerV3's golden files read as docs/audit.md says, size1m's inputs are its formulas. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/dreamer_inputs.h"
#include "tests/support/golden_file.h"
#include "tests/support/suite.h"

#define FOLDER RV_TEST_DIR "/golden/dreamer/"

enum { SAMPLES = 64, NAME = 128 };

/* row: norm, then 64 entries from the first to the last of n. */
static void assert_sampled(const char *name, const double *row, const float *x, int64_t n) {
    double square = 0;
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
    const double norm = sqrt(square);
    if (fabs(row[0] - norm) > 1e-6 * row[0]) fail_msg("%s: norm %.9g instead of %.9g", name, norm, row[0]);
    for (int64_t j = 0; j < SAMPLES; j++) {
        const int64_t i = j * (n - 1) / (SAMPLES - 1);
        const double actual = (double)x[i], expected = row[1 + j];
        if (actual != expected) fail_msg("%s[%lld]: %.9g instead of %.9g", name, (long long)i, actual, expected);
    }
}

typedef struct part {
    const char *name;
    int64_t rows, cols;
} part;

/* What stands before /weight, /bias and /scale; the weight's shape, and the outputs (where it is in blocks, not cols). */
typedef struct weights {
    const char *name;
    int64_t rows, cols, outputs;
    bool scale;
} weights;

#define LAYER(name, inputs, outputs) {name, inputs, outputs, outputs, true}
#define LINEAR(name, inputs, outputs) {name, inputs, outputs, outputs, false}
#define MLP(name, inputs) LAYER(name "/0", inputs, UNITS), LAYER(name "/1", UNITS, UNITS), LAYER(name "/2", UNITS, UNITS)
enum {
    DETER = GOLDEN_DETER, HIDDEN = GOLDEN_HIDDEN, UNITS = GOLDEN_UNITS, LATENT = GOLDEN_STOCH * GOLDEN_CLASSES,
    FEATURE = DETER + LATENT, GROUP = DETER / GOLDEN_BLOCKS, BINS = GOLDEN_BINS
};

static const weights all[] = {
    MLP("enc", GOLDEN_OBSERVATION), LAYER("dyn/deter", DETER, HIDDEN), LAYER("dyn/stoch", LATENT, HIDDEN),
    LAYER("dyn/action", GOLDEN_ACTION, HIDDEN),
    {"dyn/hidden", GOLDEN_BLOCKS * (GROUP + 3 * HIDDEN), GROUP, DETER, true},
    {"dyn/gates", DETER, 3 * GROUP, 3 * DETER, false},
    LAYER("prior/0", DETER, HIDDEN), LAYER("prior/1", HIDDEN, HIDDEN), LINEAR("prior/logits", HIDDEN, LATENT),
    LAYER("post/0", DETER + UNITS, HIDDEN), LINEAR("post/logits", HIDDEN, LATENT),
    MLP("dec", FEATURE), LINEAR("dec/out", UNITS, GOLDEN_OBSERVATION),
    LAYER("rew/0", FEATURE, UNITS), LINEAR("rew/out", UNITS, BINS),
    LAYER("con/0", FEATURE, UNITS), LINEAR("con/out", UNITS, 1),
    MLP("pol", FEATURE), LINEAR("pol/mean", UNITS, GOLDEN_ACTION), LINEAR("pol/std", UNITS, GOLDEN_ACTION),
    MLP("val", FEATURE), LINEAR("val/out", UNITS, BINS), MLP("slow", FEATURE), LINEAR("slow/out", UNITS, BINS),
};

/* The row of a name in the metadata's list, which is sorted; -1. */
static int64_t row_of(const char *list, const char *name) {
    const size_t length = strlen(name);
    for (int64_t row = 0; list; row++) {
        if (strncmp(list, name, length) == 0 && (list[length] == '\n' || !list[length])) return row;
        list = strchr(list, '\n');
        if (list) list++;
    }
    return -1;
}

static void check_weight(const golden_file *file, const char *module, const char *what, int64_t rows, int64_t cols) {
    char name[NAME];
    snprintf(name, sizeof name, "%s/%s", module, what);
    const golden_tensor samples = golden_find(file, "weight");
    const int64_t row = row_of(golden_text(file, "weights"), name);
    assert_true(row >= 0 && row < samples.rows && samples.cols == 1 + SAMPLES);
    float *x = malloc((size_t)(rows * cols) * sizeof *x);
    assert_non_null(x);
    dreamer_weight(name, rows, cols, x);
    assert_sampled(name, samples.values + row * samples.cols, x, rows * cols);
    free(x);
}

static golden_file *open_sampled(void) {
    golden_file *file = golden_open(FOLDER "size1m_expected.safetensors");
    assert_non_null(file);
    return file;
}

static void weights_are_formulas(void **state) {
    (void)state;
    golden_file *file = open_sampled();
    int64_t count = 0, total = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const weights *w = &all[i];
        check_weight(file, w->name, "weight", w->rows, w->cols);
        check_weight(file, w->name, "bias", 1, w->outputs);
        if (w->scale) check_weight(file, w->name, "scale", 1, w->outputs);
        count += w->scale ? 3 : 2;
        if (strncmp(w->name, "slow", 4) != 0) total += w->rows * w->cols + (w->scale ? 2 : 1) * w->outputs;
    }
    assert_int_equal(count, golden_find(file, "weight").rows);
    assert_int_equal(total, 640867);
    golden_close(file);
}

static void batch_is_formulas(void **state) {
    (void)state;
    enum { N = GOLDEN_STEPS * GOLDEN_SEQUENCES, B = GOLDEN_SEQUENCES, U = GOLDEN_UPDATES, H = GOLDEN_HORIZON };
    static const part parts[] = {
        {"observation", N, GOLDEN_OBSERVATION}, {"action", N, GOLDEN_ACTION}, {"reward", N, 1}, {"is_first", N, 1},
        {"is_last", N, 1}, {"is_terminal", N, 1}, {"carry/deter", B, DETER}, {"carry/stoch", B, LATENT},
        {"carry/action", B, GOLDEN_ACTION}, {"noise/posterior", U * N, GOLDEN_STOCH},
        {"noise/prior", U * H * N, GOLDEN_STOCH}, {"noise/action", U * (H + 1) * N, GOLDEN_ACTION},
    };
    golden_file *file = open_sampled();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const part *p = &parts[i];
        const int64_t n = p->rows * p->cols;
        const golden_tensor samples = golden_find(file, p->name);
        assert_true(samples.values && samples.cols == 1 + SAMPLES);
        float *x = malloc((size_t)n * sizeof *x);
        assert_non_null(x);
        dreamer_batch(p->name, p->rows, p->cols, x);
        assert_true(dreamer_redraw(file, p->name, n, x));
        assert_sampled(p->name, samples.values, x, n);
        free(x);
    }
    golden_close(file);
}

/* The losses that a file states are what their total was made of: names, scales and number of updates. */
static void losses_add_up(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double scale;
    } losses[] = {{"rec", 1},   {"rew", 1},    {"con", 1},   {"dyn", 1},
                  {"rep", 0.1}, {"policy", 1}, {"value", 1}, {"repval", 0.3}};
    static const struct {
        const char *path;
        int updates;
    } files[] = {{FOLDER "debug_expected.safetensors", 10}, {FOLDER "discrete_expected.safetensors", 3},
                 {FOLDER "size1m_expected.safetensors", GOLDEN_UPDATES}};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        golden_file *file = golden_open(files[f].path);
        assert_non_null(file);
        for (int u = 0; u < files[f].updates; u++) {
            char name[NAME];
            double sum = 0;
            for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
                snprintf(name, sizeof name, "update/%d/loss/%s", u, losses[i].name);
                const golden_tensor loss = golden_find(file, name);
                assert_non_null(loss.values);
                sum += losses[i].scale * loss.values[0];
            }
            snprintf(name, sizeof name, "update/%d/loss/total", u);
            const double total = golden_find(file, name).values[0];
            if (fabs(sum - total) > 1e-12 * fabs(total)) fail_msg("%s: %.15g; the losses give %.15g", name, total, sum);
        }
        golden_close(file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_formulas),
        cmocka_unit_test(batch_is_formulas),
        cmocka_unit_test(losses_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
