/* `reverie audit`: what it writes is the golden file, an agent's checkpoint goes on as the agent does; bad files. */
#include "tests/program/program.h"

#include "reverie/dreamer_v3.h"
#include "tests/support/golden_file.h"

#define FOLDER RV_TEST_DIR "/golden/dreamer/"

enum { LINE = 1024 };

static int audit(const char *weights, const char *batch, const char *more) {
    char line[LINE];
    snprintf(line, sizeof line, "audit '%s' --batch '%s' %s", weights, batch, more);
    return run(line);
}

/* ---- what it writes -------------------------------------------------------------------------------------------- */

static double distance(golden_tensor actual, golden_tensor expected) {
    double off = 0, square = 0;
    for (int64_t i = 0; i < expected.rows * expected.cols; i++) {
        off += (actual.values[i] - expected.values[i]) * (actual.values[i] - expected.values[i]);
        square += expected.values[i] * expected.values[i];
    }
    return off == 0 ? 0 : sqrt(off / square);
}

static void compare_golden(const char *name) {
    char weights[LINE / 4], batch[LINE / 4], path[LINE / 4];
    snprintf(weights, sizeof weights, FOLDER "%s_weights.safetensors", name);
    snprintf(batch, sizeof batch, FOLDER "%s_batch.safetensors", name);
    snprintf(path, sizeof path, FOLDER "%s_expected.safetensors", name);
    assert_int_equal(audit(weights, batch, "--out out.safetensors --device=cpu"), 0);
    expect("out.txt", "audit       ");
    expect_empty("err.txt");
    golden_file *actual = golden_open("out.safetensors"), *expected = golden_open(path);
    assert_non_null(actual);
    assert_non_null(expected);
    assert_string_equal(golden_text(actual, "kind"), "dreamer_v3_audit");
    const char *at;
    int64_t compared = 0;
    for (int64_t i = 0; (at = golden_name(expected, i)); i++) {
        if (strstr(at, "/gradient_of/")) continue; /* the script's own */
        const golden_tensor a = golden_find(actual, at), e = golden_find(expected, at);
        if (!a.values) fail_msg("no \"%s\" was written", at);
        assert_true(a.rows == e.rows && a.cols == e.cols);
        if (!(distance(a, e) <= 1e-4)) fail_msg("%s: off by %g", at, distance(a, e));
        compared++;
    }
    assert_null(golden_name(actual, compared)); /* and nothing else */
    golden_close(actual);
    golden_close(expected);
}

static void golden(void **unused) {
    (void)unused;
    compare_golden("debug");
    compare_golden("discrete");
}

/* ---- an agent's checkpoint --------------------------------------------------------------------------------------- */

typedef struct kept {
    golden_file *written; /* what the program made */
    int64_t compared;
} kept;

static int ignore(void *user, const char *name, int64_t rows, int64_t cols, const float *values) {
    (void)user, (void)name, (void)rows, (void)cols, (void)values;
    return 0;
}

static int equal(void *user, const char *name, int64_t rows, int64_t cols, const float *values) {
    kept *k = user;
    const golden_tensor written = golden_find(k->written, name);
    if (!written.values || written.rows != rows || written.cols != cols) fail_msg("%s was not written", name);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (written.values[i] != (double)values[i])
            fail_msg("%s[%d] is %.9g, the agent's %.9g", name, (int)i, written.values[i], (double)values[i]);
    }
    k->compared++;
    return 0;
}

static rv_dreamer_v3 *make_agent(rv_device *device) {
    rv_dreamer_v3 *agent;
    rv_dreamer_v3_options options = {
        .size = sizeof options, .horizon = 4, .learning_rate = 1e-3f, .warmup = 3, .critic_outscale = 1};
    assert_int_equal(rv_sequence_model_preset("debug", &options.model), RV_OK);
    options.model.observation_size = 5;
    options.model.action_size = 2;
    options.model.reward_outscale = 1;
    assert_int_equal(rv_dreamer_v3_create(device, &options, 3, &agent), RV_OK);
    return agent;
}

static void save(rv_device *device, rv_dreamer_v3 *agent) {
    rv_checkpoint *file;
    assert_int_equal(rv_checkpoint_create(device, &file), RV_OK);
    assert_int_equal(rv_dreamer_v3_checkpoint(agent, "", file), RV_OK);
    assert_int_equal(rv_checkpoint_set(file, "kind", "dreamer_v3"), RV_OK);
    assert_int_equal(rv_checkpoint_set(file, "config",
                                       "env.name: another key\nmodel: {deter: 8, hidden: 3, stoch: 2, classes: 4, "
                                       "blocks: 4, units: 8, bins: 5}\nactor.kind: bounded_normal\n"
                                       "train: {learning_rate: 1e-3, warmup: 3}\n"),
                     RV_OK);
    assert_int_equal(rv_checkpoint_save(file, "agent.safetensors"), RV_OK);
    rv_checkpoint_destroy(file);
}

/* The golden batch as floats; to be freed. */
static const float *floats(const golden_file *file, const char *name, float **list) {
    const golden_tensor tensor = golden_find(file, name);
    assert_non_null(tensor.values);
    float *values = *list = malloc((size_t)(tensor.rows * tensor.cols) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < tensor.rows * tensor.cols; i++) values[i] = (float)tensor.values[i];
    return values;
}

static void checkpoint(void **unused) {
    (void)unused;
    static const char path[] = FOLDER "debug_batch.safetensors";
    rv_device *device;
    assert_int_equal(rv_device_open("cpu", NULL, &device), RV_OK);
    rv_dreamer_v3 *agent = make_agent(device);
    golden_file *batch = golden_open(path);
    assert_non_null(batch);
    float *list[12];
    rv_dreamer_v3_audit_batch in = {.size = sizeof in,
                                    .sequences = 3,
                                    .steps = 6,
                                    .updates = 2,
                                    .observation = floats(batch, "observation", &list[0]),
                                    .action = floats(batch, "action", &list[1]),
                                    .reward = floats(batch, "reward", &list[2]),
                                    .is_first = floats(batch, "is_first", &list[3]),
                                    .is_last = floats(batch, "is_last", &list[4]),
                                    .is_terminal = floats(batch, "is_terminal", &list[5]),
                                    .carry_deter = floats(batch, "carry/deter", &list[6]),
                                    .carry_stoch = floats(batch, "carry/stoch", &list[7]),
                                    .carry_action = floats(batch, "carry/action", &list[8]),
                                    .noise_posterior = floats(batch, "noise/posterior", &list[9]),
                                    .noise_prior = floats(batch, "noise/prior", &list[10]),
                                    .noise_action = floats(batch, "noise/action", &list[11])};
    assert_int_equal(rv_dreamer_v3_audit(agent, &in, ignore, NULL), RV_OK);
    save(device, agent);
    assert_int_equal(audit("agent.safetensors", path, "--out=out.safetensors --device=cpu"), 0);
    kept k = {.written = golden_open("out.safetensors")};
    assert_non_null(k.written);
    in.updates = 10;
    assert_int_equal(rv_dreamer_v3_audit(agent, &in, equal, &k), RV_OK); /* goes on to the bit */
    assert_true(k.compared > 4000);
    golden_close(k.written);
    golden_close(batch);
    for (int i = 0; i < 12; i++) free(list[i]);
    rv_dreamer_v3_destroy(agent);
    rv_device_close(device);
}

/* ---- bad files --------------------------------------------------------------------------------------------------- */

/* A copy in which the first `find` is `replace`, of the same length. */
static void write_variant(const char *from, const char *to, const char *find, const char *replace, size_t length) {
    char path[LINE / 4];
    snprintf(path, sizeof path, FOLDER "%s.safetensors", from);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static char bytes[1 << 16];
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_in_range(size, 1, sizeof bytes - 1);
    char *found = memmem(bytes, size, find, length);
    if (!found) fail_msg("%s has no \"%s\"", from, find);
    memcpy(found, replace, length);
    file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void bad_files(void **unused) {
    (void)unused;
    static const struct {
        bool batch; /* else the weights */
        const char *find, *replace;
        int code;
        const char *said;
    } rows[] = {
        {true, "\"is_last\"", "\"is_lost\"", 4, "is_last"},
        {true, "[18,5]", "[5,18]", 4, "must be [18, 5]"},
        {true, "[18,5]", "[19,5]", 4, "no tensor \"observation\""}, /* not as long as it says */
        {true, "[180,2]", "[360,1]", 4, "noise/posterior"},
        {true, "[3,2]", "[2,3]", 4, "carry/action"},
        {true, "[3,8]", "[8,3]", 4, "multiple of 8"},
        {false, "dreamer_v3", "dreamer_v2", 4, "\"dreamer_v2\""},
        {false, "model.units", "model.unots", 3, "lacks model.units"},
        {false, "model.bins: 5", "model.bins: 4", 3, "odd"},
        {false, "model.bins: 5", "model.bins: 7", 4, "rew/out/bias"},
        {false, "model.deter: 8", "model.deter: x", 3, "must be a whole number"},
        {false, "model.blocks: 4", "model.blocks: 3", 3, "must divide"},
        {false, "bounded_normal", "abounded_norma", 3, "must be one of"},
        {false, "bounded_normal", "categorical   ", 4, "pol/logits"},
        {false, "\"val/0/bias\"", "\"vol/0/bias\"", 4, "val/0/bias"},
        {false, "\"slow/0/bias\"", "\"slew/0/bias\"", 4, "slow/0/bias"},
        {false, "\"returns/low\"", "\"returns/lou\"", 4, "returns/low"},
    };
    static const char weights[] = FOLDER "debug_weights.safetensors", batch[] = FOLDER "debug_batch.safetensors";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *from = rows[i].batch ? "debug_batch" : "debug_weights";
        write_variant(from, "bad.safetensors", rows[i].find, rows[i].replace, strlen(rows[i].find));
        const int code = rows[i].batch ? audit(weights, "bad.safetensors", "--out bad_out --device=cpu")
                                       : audit("bad.safetensors", batch, "--out bad_out --device=cpu");
        if (code != rows[i].code) fail_msg("%s: exit code %d, not %d", rows[i].replace, code, rows[i].code);
        expect("err.txt", rows[i].said);
        assert_int_not_equal(access("bad_out", F_OK), 0);
    }
    write_variant("debug_batch", "bad.safetensors", "\x00\x00\x80\x3f", "\x00\x00\xc0\x7f", 4); /* 1 by NaN */
    assert_int_equal(audit(weights, "bad.safetensors", "--out bad_out --device=cpu"), 4);
    expect("err.txt", "is nan, must be");
    assert_int_equal(audit(weights, "nowhere", "--out bad_out --device=cpu"), 7);
    assert_int_equal(audit("/proc/self/exe", batch, "--out bad_out --device=cpu"), 7);
    assert_int_equal(audit(weights, batch, "--out nowhere/out --device=cpu"), 7);
    expect("err.txt", "cannot write nowhere/out");
    assert_int_equal(audit(weights, batch, "--device=cpu"), 2);
    expect("err.txt", "--out FILE");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(golden),
    cmocka_unit_test(checkpoint),
    cmocka_unit_test(bad_files),
};
RUN_PROGRAM_TESTS(tests)
