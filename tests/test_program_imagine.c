/* What a run's model imagines, and the learning curves of several runs: files, rows, numbers, refusals. */
#include "tests/program/program.h"

#include "reverie/env.h"

#define JOB                                                                                                            \
    "train dreamer --device=cpu:threads=1 --env.name=cartpole --train.steps=300 --train.prefill=100 "                  \
    "--train.update_every=4 --model.latent=4 --model.vae_hidden=12 --model.dynamics_hidden=12 "                        \
    "--model.reward_hidden=8 --model.continue_hidden=8 --actor.hidden=12 --critic.hidden=12 --train.batch=6 "          \
    "--train.window=3 --imagine.trajectories=6 --imagine.horizon=3 --actor.entropy=0.0003 --eval.episodes=2 "          \
    "--log.every=50 --fresh "
#define JOB_V3                                                                                                         \
    "train dreamer_v3 --config=debug --device=cpu:threads=1 --env.name=continuous_pendulum --train.steps=400 "         \
    "--eval.episodes=2 --fresh "

#define JOB_RSSM                                                                                                       \
    "train rssm --model.size=debug --device=cpu:threads=1 --env.name=continuous_pendulum --data.steps=2000 "           \
    "--train.steps=20 --train.batch=4 --train.length=8 --eval.episodes=2 --eval.steps=60 --eval.horizon=20 "           \
    "--eval.context=4 --fresh "

static bool has_plots(void) { return access("one/plots/returns.png", F_OK) == 0; }

static void train(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=one --seed=1"), 0);
    assert_int_equal(run(JOB "--out=two --seed=2"), 0);
    assert_int_equal(run(JOB "--out=three --seed=3 --eval.episodes=3"), 0);
    assert_int_equal(run(JOB "--out=other --actor.entropy=0.01"), 0);
    assert_int_equal(run(JOB_V3 "--out=v3"), 0);
    assert_int_equal(run(JOB_RSSM "--out=rssm"), 0);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

enum { COLUMNS = 24 };

typedef struct table {
    int rows, cols;
    char header[1024];
    double (*value)[COLUMNS]; /* NaN where a field is empty */
} table;

static int split_row(char *line, double value[COLUMNS]) {
    int cols = 0;
    if (*line == '"') { /* a text comes first: left out */
        line = strchr(line + 1, '"');
        assert_non_null(line);
        line += 2;
    }
    for (char *end = line; end; line = end + 1) {
        end = strchr(line, ',');
        if (end) *end = '\0';
        assert_true(cols < COLUMNS);
        value[cols++] = *line ? atof(line) : NAN;
    }
    return cols;
}

static table read_table(const char *path) {
    table t = {0};
    char *text = read_file(path), *rest = NULL;
    assert_non_null(text);
    char *line = strtok_r(text, "\n", &rest);
    snprintf(t.header, sizeof t.header, "%s", line);
    t.value = calloc(4096, sizeof *t.value);
    assert_non_null(t.value);
    while ((line = strtok_r(NULL, "\n", &rest))) {
        assert_true(t.rows < 4096);
        const int cols = split_row(line, t.value[t.rows++]);
        if (t.cols) assert_int_equal(cols, t.cols);
        t.cols = cols;
    }
    free(text);
    return t;
}

/* ---- imagine ----------------------------------------------------------------------------------------------------- */

static void expect_figures(const char *folder, int rollouts) {
    static const char *const names[] = {"imagined_rewards", "imagined_actions", "imagined_latents",
                                        "imagined_observations"};
    char path[128];
    for (int i = 0; i < 4 + rollouts; i++) {
        if (i < 4) snprintf(path, sizeof path, "%s/plots/%s.svg", folder, names[i]);
        else snprintf(path, sizeof path, "%s/plots/imagine_%d.svg", folder, i - 3);
        expect(path, "</svg>");
        memcpy(strrchr(path, '.'), ".png", 4);
        char *bytes = read_file(path);
        assert_non_null(bytes);
        assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
        free(bytes);
    }
    snprintf(path, sizeof path, "%s/plots/imagine_%d.svg", folder, rollouts + 1);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* The rows of trajectory after trajectory, which begin where fresh environments do. */
static void check_imagined(const char *folder, const char *env_name, int64_t seed, int trajectories, int horizon) {
    char path[128];
    float start[64];
    rv_env *env;
    rv_env_spaces spaces = {.size = sizeof spaces};
    assert_int_equal(rv_env_create(env_name, trajectories, NULL, 0, &env), RV_OK);
    assert_int_equal(rv_env_spaces_get(env, &spaces), RV_OK);
    assert_int_equal(rv_env_reset(env, (uint64_t)seed + (UINT64_C(2) << 32), start), RV_OK);
    snprintf(path, sizeof path, "%s/imagined.csv", folder);
    table t = read_table(path);
    const int o = (int)spaces.observation_size,
              a = spaces.action_choices ? (int)spaces.action_choices : (int)spaces.action_size;
    assert_int_equal(t.rows, trajectories * (horizon + 1));
    assert_true(strncmp(t.header, "trajectory,step,\"action: ", 25) == 0 && strstr(t.header, ",reward,going_on,\""));
    for (int r = 0; r < t.rows; r++) {
        const double *row = t.value[r];
        const int k = r % (horizon + 1);
        assert_true(row[0] == r / (horizon + 1) && row[1] == k);
        for (int c = 2; c < t.cols; c++) assert_true(isnan(row[c]) == (k == 0 && c < 4 + a));
        for (int c = 0; c < o && k == 0; c++) {
            const double real = (double)start[r / (horizon + 1) * o + c];
            assert_true(fabs(row[4 + a + c] - real) <= 1e-7 * fabs(real) + 1e-12);
        }
        if (k > 0) assert_true(row[3 + a] > 0 && row[3 + a] < 1);
        if (k > 0 && spaces.action_choices) assert_true(row[2] + row[3] == 1);
    }
    free(t.value);
    rv_env_destroy(env);
}

static void imagined(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    assert_int_equal(run("imagine one --trajectories=7 --horizon=9 --rollouts=2 --samples=8 --csv"), 0);
    expect("out.txt", "one/imagined.csv");
    expect_figures("one", 2);
    check_imagined("one", "cartpole", 1, 7, 9);
    table t = read_table("one/open_loop.csv");
    assert_int_equal(t.rows, 2 * 10);
    assert_int_equal(t.cols, 2 + 2 + 4 * 5);
    for (int r = 0; r < t.rows; r++) {
        const double *row = t.value[r];
        for (int c = 4; c < t.cols; c += 4) {
            if (isnan(row[c + 1])) assert_true(r % 10 == 0 && c == 20); /* the reward before the first action */
            else assert_true(row[c + 2] <= row[c + 3]);
            if (r % 10 == 0 && c < 20) assert_true(row[c] == row[c + 1] && row[c] == row[c + 3]);
        }
        if (r % 10) assert_true(row[20] == 1); /* cartpole's reward */
    }
    free(t.value);
    expect("one/plots/imagined_actions.svg", "</svg>");
    char *once = read_file("one/imagined.csv");
    assert_int_equal(run("imagine one --trajectories=7 --horizon=9 --rollouts=2 --samples=8 --csv"), 0);
    char *again = read_file("one/imagined.csv");
    assert_string_equal(once, again);
    assert_int_equal(run("imagine one --trajectories=7 --horizon=9 --rollouts=1 --csv --seed=2"), 0);
    char *others = read_file("one/imagined.csv");
    assert_string_not_equal(once, others);
    free(once);
    free(again);
    free(others);
    assert_int_equal(run(JOB "--out=one --seed=1"), 0); /* --fresh */
    assert_int_not_equal(access("one/imagined.csv", F_OK), 0);
}

static void imagined_with_a_memory(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    assert_int_equal(run("imagine v3 --trajectories=5 --horizon=6 --context=1 --rollouts=1 --samples=4 --csv"), 0);
    expect_figures("v3", 1);
    check_imagined("v3", "continuous_pendulum", 0, 5, 6);
    assert_int_equal(run("imagine v3 --trajectories=2 --horizon=6 --rollouts=1 --samples=4 --csv"), 0);
    table behind = read_table("v3/imagined.csv"); /* five observations */
    assert_int_equal(behind.rows, 2 * 7);
    free(behind.value);
}

/* Without a policy: under actions that were really taken, which the table of trajectories repeats. */
static void imagined_without_a_policy(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    assert_int_equal(run("imagine rssm --trajectories=3 --horizon=7 --rollouts=2 --samples=4 --csv"), 0);
    expect("rssm/plots/imagined_rewards.svg", "</svg>");
    expect("rssm/plots/imagine_2.svg", "</svg>");
    assert_int_not_equal(access("rssm/plots/imagined_actions.svg", F_OK), 0);
    table imagined = read_table("rssm/imagined.csv"), predicted = read_table("rssm/open_loop.csv");
    assert_int_equal(imagined.rows, 3 * 8);
    assert_int_equal(predicted.rows, 2 * 8);
    for (int r = 0; r < predicted.rows; r++) {
        const double *row = imagined.value[r], *same = predicted.value[r];
        assert_true(row[1] == same[1] && (row[2] == same[2] || row[1] == 0)); /* step, action */
        for (int c = 0; c < 3 && row[1] == 0; c++) assert_true(row[5 + c] == same[3 + 4 * c]); /* what was seen last */
    }
    free(imagined.value);
    free(predicted.value);
    assert_int_equal(run("imagine rssm --context=300"), 4);
    expect("err.txt", "smaller context");
}

static void refusals(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    static const mistake mistakes[] = {
        {"imagine one --horizn=3", 2, "--horizon"},
        {"imagine one --trajectories=0", 3, "trajectories is 0"},
        {"imagine one --device=abacus", 5, "abacus"},
        {"imagine nowhere", 7, "config.yaml"},
        {"imagine bare", 7, "last.safetensors"},
        {"plot one nowhere", 7, "config.yaml"},
        {"plot one bare", 7, "metrics.jsonl"},
        {"plot one empty", 4, "holds no metrics yet"},
        {"plot one two --metric=retrun", 3, "it has loss"},
        {"plot one two --x=minutes", 3, "steps"},
        {"plot one two --outt=x", 2, "--out"},
        {"plot one two --out=nowhere/x", 7, "nowhere/x"},
        {"plot --out=x", 2, "run folder"},
    };
    assert_int_equal(system("rm -rf bare empty && mkdir bare empty && cp one/config.yaml bare &&"
                            "cp one/config.yaml empty && : >empty/metrics.jsonl"),
                     0);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) expect_mistake(&mistakes[i]);
}

/* ---- learning curves --------------------------------------------------------------------------------------------- */

static double metric_at(const char *folder, int line, const char *key) {
    json_t *metrics = read_metrics(folder);
    const json_t *value = json_object_get(json_array_get(metrics, (size_t)line), key);
    const double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(metrics);
    return number;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void seeds_form_a_band(void **unused) {
    (void)unused;
    static const char *const names[] = {"one", "two", "three"};
    if (!has_plots()) skip();
    assert_int_equal(run("plot one two three --metric=loss --csv --out=seeds.png"), 0);
    expect("out.txt", "median of 3 runs, to step 300: loss");
    expect("seeds.svg", "</svg>");
    table t = read_table("seeds.csv");
    assert_string_equal(t.header, "group,runs,step,median,low,high");
    assert_int_equal(t.cols, 5);
    int at = 0;
    for (int line = 0; line < 6; line++) {
        double values[3];
        for (int i = 0; i < 3; i++) values[i] = metric_at(names[i], line, "loss");
        if (isnan(values[0])) continue; /* nothing was learnt before */
        qsort(values, 3, sizeof *values, compare);
        const double *row = t.value[at++];
        assert_true(row[0] == 3 && row[1] == 50 * (line + 1));
        for (int i = 0; i < 3; i++) {
            const int column = i == 1 ? 2 : i == 0 ? 3 : 4; /* median, low, high */
            assert_true(fabs(row[column] - values[i]) <= 1e-6 * fabs(values[i]));
        }
    }
    assert_int_equal(t.rows, at);
    assert_true(at > 2);
    free(t.value);
}

/* Two runs that have no second in common: both are straight lines, 15 apart. */
static void seconds_are_aligned(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    assert_int_equal(system("rm -rf early late && mkdir early late &&"
                            "cp one/config.yaml early && cp two/config.yaml late"),
                     0);
    write_file("early/metrics.jsonl", "{\"step\":1,\"seconds\":1,\"return\":10}\n"
                                      "{\"step\":2,\"seconds\":2,\"return\":null}\n"
                                      "{\"step\":3,\"seconds\":3,\"return\":30}\n");
    write_file("late/metrics.jsonl", "{\"step\":1,\"seconds\":1.5,\"return\":0}\n"
                                     "{\"step\":2,\"seconds\":2.5,\"return\":10}\n"
                                     "{\"step\":3,\"seconds\":3.5,\"return\":20}\n");
    for (int quartiles = 0; quartiles < 2; quartiles++) {
        assert_int_equal(run(quartiles ? "plot early late --x=seconds --csv --band=quartiles"
                                       : "plot early late --x=seconds --csv"),
                         0);
        table t = read_table("curves.csv");
        assert_string_equal(t.header, "group,runs,seconds,median,low,high");
        assert_int_equal(t.rows, 300);
        for (int r = 0; r < t.rows; r++) {
            const double *row = t.value[r], x = 1.5 + 1.5 * r / 299, aside = quartiles ? 3.75 : 7.5;
            assert_true(row[0] == 2 && fabs(row[1] - x) < 1e-6 && fabs(row[2] - (10 * x - 7.5)) < 1e-5);
            assert_true(fabs(row[2] - row[3] - aside) < 1e-5 && fabs(row[4] - row[2] - aside) < 1e-5);
        }
        free(t.value);
    }
    write_file("late/metrics.jsonl", "{\"step\":4,\"seconds\":4,\"return\":20}\n");
    assert_int_equal(run("plot early late"), 4);
    expect("err.txt", "no steps in common");
}

static void configs_make_groups(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    assert_int_equal(run("plot one other two --csv"), 0);
    expect("out.txt", "actor.entropy=0.0003: median of 2 runs, to step 300: return");
    expect("out.txt", "actor.entropy=0.01, to step 300: return");
    expect("curves.svg", "</svg>");
    char *text = read_file("out.txt");
    assert_null(strstr(text, "seed=")); /* and not by their seeds */
    free(text);
    assert_int_equal(run("plot one v3 --metric=return"), 0);
    expect("out.txt", "job=dreamer, env.name=cartpole, to step 300");
    expect("out.txt", "job=dreamer_v3, env.name=continuous_pendulum, to step 400");
    assert_int_equal(run("plot one --out=alone"), 0);
    expect("out.txt", "one run, to step 300");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(train),
    cmocka_unit_test(imagined),
    cmocka_unit_test(imagined_with_a_memory),
    cmocka_unit_test(imagined_without_a_policy),
    cmocka_unit_test(refusals),
    cmocka_unit_test(seeds_form_a_band),
    cmocka_unit_test(seconds_are_aligned),
    cmocka_unit_test(configs_make_groups),
};
RUN_PROGRAM_TESTS(tests)
