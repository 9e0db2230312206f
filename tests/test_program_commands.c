/* What is done with a run: eval, imagine, plot, inspect; terminals, locks and folders. */
#include "tests/program/program.h"

#include <sys/ioctl.h>

#include "reverie/checkpoint.h"

static void train(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL "--out=run --fresh"), 0);
}

static void help_everywhere(void **unused) {
    (void)unused;
    static const char *const names[] = {"eval", "imagine",   "plot",  "inspect", "config", "audit",
                                        "envs", "env-check", "train", "devices"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s --help", names[i]);
        assert_int_equal(run(line), 0);
        snprintf(line, sizeof line, "Usage: reverie %s", names[i]);
        expect("out.txt", line);
        expect_empty("err.txt");
        snprintf(line, sizeof line, "%s --no_such_key=1", names[i]);
        if (strcmp(names[i], "env-check") != 0) {
            assert_int_equal(run(line), 2); /* there it would be an option of an environment */
        }
    }
    assert_int_equal(run("eval"), 2);
    assert_int_equal(run("imagine"), 2);
    assert_int_equal(run("plot"), 2);
    assert_int_equal(run("inspect"), 2);
    assert_int_equal(run("audit"), 2);
    assert_int_equal(run("eval run --episods=3"), 2);
    expect("err.txt", "--episodes");
}

/* ---- eval ------------------------------------------------------------------------------------------------------ */

typedef struct returns {
    double mean, deviation, predicted, predicted_deviation;
    int episodes;
} returns;

/* The last line of out.txt. */
static returns last_line(void) {
    returns r;
    char *text = read_file("out.txt");
    text[strlen(text) - 1] = '\0';
    char *line = strrchr(text, '\n') + 1;
    assert_int_equal(sscanf(line, "return mean %lf std %lf n %d; predicted mean %lf std %lf", &r.mean, &r.deviation,
                            &r.episodes, &r.predicted, &r.predicted_deviation),
                     5);
    free(text);
    return r;
}

static void new_episodes(void **unused) {
    (void)unused;
    assert_int_equal(run("eval run --episodes=5 --steps=60"), 0);
    expect("out.txt", "R2 of the");
    returns r = last_line();
    assert_int_equal(r.episodes, 5);
    assert_true(r.mean > 0.0 && r.mean <= 60.0); /* one a step */
    assert_true(isfinite(r.predicted));
    assert_int_equal(run("eval run --episodes=5 --steps=60"), 0); /* the same ones again */
    returns again = last_line();
    assert_true(again.mean == r.mean && again.predicted == r.predicted);
    assert_int_equal(run("eval run --episodes=5 --steps=60 --seed=2"), 0);
    assert_true(last_line().predicted != r.predicted);
}

static void runs_that_are_none(void **unused) {
    (void)unused;
    assert_int_equal(run("eval nowhere"), 7);
    expect("err.txt", "config.yaml");
    assert_int_equal(run("plot nowhere"), 7);
    assert_int_equal(run("imagine nowhere"), 7);
    assert_int_equal(system("rm -rf early && mkdir early && cp run/config.yaml early"), 0);
    assert_int_equal(run("eval early"), 7); /* no checkpoint yet */
    expect("err.txt", "last.safetensors");
    assert_int_equal(run("eval run --horizon=500 --steps=60"), 4); /* no episode is as long */
    assert_int_equal(run("eval run --device=abacus"), 5);
    assert_int_equal(run("eval run --episodes=0"), 3);
    assert_int_equal(system("cp -r run foreign && cp '/proc/self/exe' foreign/checkpoints/last.safetensors"), 0);
    assert_int_equal(run("eval foreign"), 7);
}

/* ---- plots ------------------------------------------------------------------------------------------------------- */

static bool has_plots(void) { return access("run/plots/losses.png", F_OK) == 0; }

static void imagined(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    assert_int_equal(run("imagine run --rollouts=2 --samples=16"), 0);
    for (int i = 1; i <= 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "run/plots/imagine_%d.svg", i);
        expect(path, "</svg>");
    }
    assert_int_not_equal(access("run/plots/imagine_3.svg", F_OK), 0);
}

static void drawn_again(void **unused) {
    (void)unused;
    if (!has_plots()) skip();
    static const char *const names[] = {"losses", "open_loop", "horizon", "latents"};
    assert_int_equal(system("rm -rf first && cp -r run/plots first && rm -r run/plots"), 0);
    assert_int_equal(run("plot run"), 0);
    for (int i = 0; i < 4; i++) {
        char line[128];
        snprintf(line, sizeof line, "cmp run/plots/%s.png first/%s.png", names[i], names[i]);
        assert_int_equal(system(line), 0); /* the same pictures */
    }
    assert_int_equal(system("rm -rf early && mkdir early && cp run/metrics.jsonl early"), 0);
    assert_int_equal(run("plot early"), 0); /* while it trains */
    expect("out.txt", "not evaluated yet");
    expect("early/plots/losses.svg", "</svg>");
    write_file("early/evaluation.json", "{\"env\": \"x\", \"observation_size\": 1000000, \"horizon\": 1000000}");
    assert_int_equal(run("plot early"), 7);
    write_file("early/evaluation.json", "");
    assert_int_equal(run("plot early"), 7);
    expect("err.txt", "evaluation.json");
}

/* ---- inspect --------------------------------------------------------------------------------------------- */

static void what_a_checkpoint_holds(void **unused) {
    (void)unused;
    assert_int_equal(run("inspect run/checkpoints/last.safetensors"), 0);
    expect("out.txt", "kind: world_model");
    expect("out.txt", "data_sha256: ");
    expect("out.txt", "[4, 128]");
    expect("out.txt", "model/updates");
    static const char *const damage[] = {
        "head -c 300 run/checkpoints/last.safetensors >damaged.safetensors",
        "head -c 100000 run/checkpoints/last.safetensors >damaged.safetensors",
        ": >damaged.safetensors",
        "echo words >damaged.safetensors",
        "printf '\\377\\377\\377\\377\\377\\377\\377\\377{}' >damaged.safetensors",
        "printf '\\002\\0\\0\\0\\0\\0\\0\\0[]' >damaged.safetensors",
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        assert_int_equal(system(damage[i]), 0);
        int code = run("inspect damaged.safetensors");
        if (code != 7) fail_msg("after \"%s\" it exits with %d", damage[i], code);
        expect("err.txt", "damaged.safetensors");
    }
    assert_int_equal(run("inspect nowhere"), 7);
    assert_int_equal(run("inspect run"), 7);
}

/* A file that NumPy wrote. */
static void what_an_archive_holds(void **unused) {
    (void)unused;
    assert_int_equal(run("inspect " RV_TEST_DIR "/golden/archive.npz"), 0);
    expect(
        "out.txt",
        "reward                                       <f4    [5]                         0           2           4\n");
    expect(
        "out.txt",
        "observation                                  <f8    [2, 3]                      1           2           3  "
                      "1 not finite\n");
    expect(
        "out.txt",
        "first                                        |b1    [2]                         0         0.5           1\n");
    assert_int_equal(system("head -c 600 " RV_TEST_DIR "/golden/archive.npz >cut.npz"), 0);
    assert_int_equal(run("inspect cut.npz"), 7);
    expect("err.txt", "cut off");
}

/* ---- terminals ------------------------------------------------------------------------------------------- */

/* The program with its stderr on a terminal so wide; what it drew. */
static char *run_on_terminal(unsigned short columns, const char *arguments) {
    char line[2048], *drawn = calloc(1, 1 << 16);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) { /* a container without /dev/pts */
        free(drawn);
        skip();
    }
    int other = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    assert_int_equal(ioctl(other, TIOCSWINSZ, &size), 0);
    snprintf(line, sizeof line, "TERM=xterm exec '%s' %s >out.txt", program, arguments);
    pid_t child = fork();
    if (child == 0) {
        dup2(other, STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(other);
    size_t at = 0;
    for (ssize_t got = 1; got > 0 && at<(1 << 16) - 1; at += got> 0 ? (size_t)got : 0) {
        got = read(terminal, drawn + at, (1 << 16) - 1 - at);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(terminal);
    return drawn;
}

/* The longest stretch between two returns, in columns, without what is no character. */
static int widest(const char *drawn) {
    int width = 0, most = 0;
    for (; *drawn; drawn++) {
        if (*drawn == '\r' || *drawn == '\n') width = 0;
        else if (strncmp(drawn, "\033[K", 3) == 0) drawn += 2;
        else if (((unsigned char)*drawn & 0xc0) != 0x80) width++;
        most = width > most ? width : most;
    }
    return most;
}

static void narrow_terminals(void **unused) {
    (void)unused;
    static const unsigned short columns[] = {1, 40};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        char *drawn = run_on_terminal(columns[i], "train world_model " SMALL "--out=narrow --fresh --train.steps=4000");
        int most = widest(drawn);
        if (most >= columns[i]) fail_msg("%d columns drawn on a terminal of %d", most, columns[i]);
        free(drawn);
    }
    char *drawn = run_on_terminal(120, "train world_model " SMALL "--out=narrow --fresh --train.steps=4000");
    assert_non_null(strstr(drawn, "updates") ? drawn : strstr(drawn, "train"));
    free(drawn);
}

static void a_folder_that_cannot_be_written(void **unused) {
    (void)unused;
    assert_int_equal(system("rm -rf locked && mkdir locked && chmod 500 locked"), 0);
    if (access("locked", W_OK) == 0) skip(); /* root may */
    assert_int_equal(run("train world_model " SMALL "--out=locked"), 7);
    expect("err.txt", "locked");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(train),
    cmocka_unit_test(help_everywhere),
    cmocka_unit_test(new_episodes),
    cmocka_unit_test(runs_that_are_none),
    cmocka_unit_test(imagined),
    cmocka_unit_test(drawn_again),
    cmocka_unit_test(what_a_checkpoint_holds),
    cmocka_unit_test(what_an_archive_holds),
    cmocka_unit_test(narrow_terminals),
    cmocka_unit_test(a_folder_that_cannot_be_written),
};
RUN_PROGRAM_TESTS(tests)
