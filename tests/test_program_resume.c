/* Runs that are interrupted and go on: they end in the state of one that never stopped; what cannot go on is told. (Kills at
 * random moments: test_program_kills.c.) */
#include "tests/program/kills.h"

#define SIZES "--model.latent=4 --model.vae_hidden=16 --model.dynamics_hidden=16 --model.reward_hidden=8 "
#define JOB                                                                                                          \
    "train world_model --device=cpu --data.steps=1000 --train.steps=120 --eval.episodes=2 --eval.steps=60 "          \
    "--eval.horizon=15 --train.batch=8 --train.window=3 --model.continue_hidden=8 --data.validation=0.2 " SIZES \
    "--log.every=10 --save.seconds=0 "

static char reference[65];

static void one_that_never_stops(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=whole --fresh"), 0);
    get_hash("whole", reference);
    assert_int_equal(run(JOB "--out=again --fresh --save.seconds=1000"), 0); /* how often it saves changes nothing */
    assert_hash("again", reference);
    char hash[65];
    assert_int_equal(run(JOB "--out=other --fresh --seed=1"), 0);
    get_hash("other", hash);
    assert_string_not_equal(hash, reference);
}

static void interrupted_says_how_to_go_on(void **unused) {
    (void)unused;
    struct stat about = {0};
    unlink("long/metrics.jsonl");
    pid_t child = begin("train world_model --device=cpu --train.steps=100000000 --data.steps=500 --out=long --fresh");
    for (int tick = 0; tick < 6000 && (stat("long/metrics.jsonl", &about) != 0 || about.st_size == 0); tick++) {
        usleep(10000);
    }
    kill(child, SIGTERM);
    assert_int_equal(end(child), 130);
    expect("err.txt", "interrupted after");
    expect("err.txt", "goes on");
    json_t *metrics = read_metrics("long");
    size_t before = json_array_size(metrics);
    json_decref(metrics);
    child = begin("train world_model --device=cpu --train.steps=100000000 --data.steps=500 --out=long");
    for (int tick = 0; tick < 6000; tick++) {
        metrics = read_metrics("long");
        size_t after = json_array_size(metrics);
        json_decref(metrics);
        if (after > before) break;
        usleep(10000);
    }
    kill(child, SIGINT);
    assert_int_equal(end(child), 130);
    expect("out.txt", "resuming");
}

/* ---- what cannot go on ------------------------------------------------------------------------------------- */

static void a_changed_config_is_refused(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=whole --train.steps=241 --env.force=9"), 3);
    expect("err.txt", "train.steps: 120 before, 241 now");
    expect("err.txt", "env.force: 10 before, 9 now");
    expect("err.txt", "--fresh");
    assert_hash("whole", reference); /* untouched */
    assert_int_equal(run(JOB "--out=whole --progress=none --save.seconds=5"), 0); /* these change nothing */
    expect("out.txt", "finished");
}

/* A run that stands in the middle: its last checkpoint is whole. */
static void make_half(void) {
    assert_int_equal(system("rm -rf half && mkdir half"), 0);
    for (int tries = 0; tries < 100; tries++) {
        pid_t child = begin(JOB "--out=half --fresh");
        for (int tick = 0; tick < 3000 && access("half/checkpoints/last.safetensors", F_OK) != 0; tick++) usleep(2000);
        kill(child, SIGKILL);
        end(child);
        if (access("half/summary.json", F_OK) != 0) return;
    }
    fail_msg("it is never caught in the middle");
}

static void damage_is_told(void **unused) {
    (void)unused;
    static const struct {
        const char *command;
        int code;
        const char *words;
    } cases[] = {
        {": >half/checkpoints/last.safetensors", 7, "--fresh"},
        {"cp '%s' half/checkpoints/last.safetensors", 7, "--fresh"},
        {"head -c 3000 whole/checkpoints/last.safetensors >half/checkpoints/last.safetensors", 7, "--fresh"},
        {": >half/config.yaml", 3, "half/config.yaml:1: the file is empty"},
        {"echo 'steps: 3' >half/config.yaml", 3, "half/config.yaml:1: no key \"steps\""},
        {"rm half/config.yaml", 7, "without config.yaml"},
        {": >half/metrics.jsonl", 7, "lacks update"},
        {"echo nonsense >half/metrics.jsonl", 7, "half/metrics.jsonl:1"},
    };
    make_half();
    assert_int_equal(system("rm -rf kept && cp -r half kept"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[1024];
        snprintf(command, sizeof command, cases[i].command, program);
        assert_int_equal(system(command), 0);
        int code = run(JOB "--out=half");
        char *text = read_file("err.txt");
        if (code != cases[i].code || !strstr(text, cases[i].words)) {
            fail_msg("after \"%s\" it exits with %d:\n%s", command, code, text);
        }
        free(text);
        assert_int_equal(system("rm -rf half && cp -r kept half"), 0);
    }
    assert_int_equal(run(JOB "--out=half"), 0); /* and undamaged it goes on */
    expect("out.txt", "resuming");
    assert_hash("half", reference);
}

/* A disk that is full in the middle of a checkpoint: files may not grow beyond a size. */
static void a_full_disk_loses_nothing(void **unused) {
    (void)unused;
    char line[2048];
    make_half();
    for (int blocks = 4; blocks <= 64; blocks *= 4) {
        snprintf(line, sizeof line, "ulimit -f %d; exec '%s' " JOB "--out=half >out.txt 2>err.txt", blocks, program);
        int status = system(line);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
        expect("err.txt", "half/");
    }
    assert_int_equal(run(JOB "--out=half"), 0);
    expect("out.txt", "resuming");
    assert_hash("half", reference);
}

static void other_locales_change_nothing(void **unused) {
    (void)unused;
    char line[2048];
    snprintf(line, sizeof line,
             "LC_ALL=de_DE.UTF-8 LC_NUMERIC=de_DE.UTF-8 COLUMNS=1 '%s' " JOB
             "--out=german --fresh --train.learning_rate=2e-3 >out.txt 2>err.txt",
             program);
    assert_int_equal(system(line), 0);
    assert_hash("german", reference);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_that_never_stops),
    cmocka_unit_test(interrupted_says_how_to_go_on),
    cmocka_unit_test(a_changed_config_is_refused),
    cmocka_unit_test(damage_is_told),
    cmocka_unit_test(a_full_disk_loses_nothing),
    cmocka_unit_test(other_locales_change_nothing),
};
RUN_PROGRAM_TESTS(tests)
