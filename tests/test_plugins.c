/* Plugins: which are loaded and which are refused, and what `reverie env-check` finds in each of those that have a
 * fault planted in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reverie/plugin.h"

/* RV_PLUGIN_DIR holds corridor.so and a line_FAULT.so for each fault, all made by the build. */
static const char *program;

static void copy(const char *from, const char *to) {
    char line[1024];
    snprintf(line, sizeof line, "cp '%s' '%s' && chmod 755 '%s'", from, to, to);
    assert_int_equal(system(line), 0);
}

/* Runs `reverie env-check ARGUMENTS`; its exit code, and what it printed. */
static int check(const char *arguments, char *text, size_t size) {
    char line[1024];
    snprintf(line, sizeof line, "'%s' env-check %s 2>&1 </dev/null", program, arguments);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    const size_t length = fread(text, 1, size - 1, pipe);
    text[length] = '\0';
    const int state = pclose(pipe);
    assert_true(WIFEXITED(state));
    return WEXITSTATUS(state);
}

static void expect(const char *arguments, int code, const char *words) {
    static char text[16384];
    const int got = check(arguments, text, sizeof text);
    if (got != code) fail_msg("env-check %s: code %d instead of %d\n%s", arguments, got, code, text);
    if (!strstr(text, words)) fail_msg("env-check %s lacks \"%s\":\n%s", arguments, words, text);
}

static void sound_ones_pass(void **unused) {
    (void)unused;
    if (!program) skip();
    expect(RV_PLUGIN_DIR "/corridor.so", 0, "no fault found");
    expect(RV_PLUGIN_DIR "/corridor.so --env.slip=0", 0, "no fault found");
    expect(RV_PLUGIN_DIR "/line_NONE.so", 0, "no fault found");
    const rv_env_table *list[16];
    const int count = rv_env_list(list, 16);
    assert_true(count >= 3 && count <= 16);
    for (int i = 0; i < count; i++) expect(list[i]->name, 0, "no fault found");
}

static void each_fault_is_found(void **unused) {
    (void)unused;
    if (!program) skip();
    static const struct {
        const char *fault;
        int code;
        const char *words;
    } cases[] = {
        {"NONDETERMINISTIC", 4, "fault   same seeds and actions, same results"},
        {"SHARED_RANDOM", 4, "fault   a row does not depend on the others"},
        {"SEEDS", 4, "fault   each seed an episode of its own: the first observations (column 0) of seeds 1 apart"},
        {"SEED_IGNORED", 4, "fault   each seed an episode of its own: every seed begins"},
        {"BOUNDS", 4, "fault   observations within bounds: step gives 2.5"},
        {"NAN", 4, "fault   no NaN, no infinity: step"},
        {"RESET_NAN", 4, "fault   no NaN, no infinity: reset"},
        {"FLAG", 4, "fault   flags are 0 or 1"},
        {"MASK", 4, "fault   a reset leaves other rows alone"},
        {"NOT_SAVED", 4, "fault   saved, loaded, and on as before: row"},
        {"LOAD_RANDOM", 4, "fault   saved, loaded, and on as before: row"},
        {"LOAD_REFUSES", 4, "fault   saved, loaded, and on as before: load refuses"},
        {"SAVE_UNWRITTEN", 4, "fault   saved, loaded, and on as before: save"},
        {"SAVE_BEYOND", 4, "fault   writes nothing but its results: save"},
        {"CANARY", 4, "fault   writes nothing but its results: step writes before or behind the rewards"},
        {"CANARY_BEFORE", 4, "fault   writes nothing but its results: step writes before or behind the terminateds"},
        {"RESET_CANARY", 4, "fault   writes nothing but its results: reset"},
        {"ACTION", 4, "fault   writes nothing but its results: step changes the actions"},
        {"CRASH", 4, "fault   it "}, /* "crashes: Segmentation fault, in step" but under a sanitizer that has its own end */
        {"EXIT", 4, "fault   it ends the process with code 0, in step"},
        {"ABI", 7, "is of ABI 2"},
        {"NO_TABLE", 7, "exports no rv_env_exported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/line_%s.so", RV_PLUGIN_DIR, cases[i].fault);
        expect(path, cases[i].code, cases[i].words);
    }
}

static void mistakes(void **unused) {
    (void)unused;
    if (!program) skip();
    expect("--help", 0, "Usage: reverie env-check");
    expect("", 2, "needs the name");
    expect("corridor.so", 2, "./corridor.so");
    expect("./absent.so", 3, "No such file");
    expect("continuous_cartpol", 3, "the nearest is \"continuous_cartpole\"");
    expect("cartpole --env.forse=3", 3, "\"force\"");
    expect("cartpole --env.force=x", 2, "a number is needed");
    expect("cartpole --force=3", 2, "--env.OPTION=NUMBER");
}

/* ---- what is loaded and what is not --------------------------------------------------------------------------- */

static void opens(const char *path, rv_status status, const char *words) {
    rv_env_plugin *plugin;
    const rv_status got = rv_env_plugin_open(path, &plugin);
    if (got != status) fail_msg("%s: %s: %s", path, rv_status_text(got), rv_env_plugin_message(plugin));
    if (!strstr(rv_env_plugin_message(plugin), words)) fail_msg("\"%s\" lacks \"%s\"", rv_env_plugin_message(plugin), words);
    assert_int_equal(rv_env_plugin_table(plugin) != NULL, status == RV_OK);
    rv_env_plugin_close(plugin);
}

static void paths_and_permissions(void **unused) {
    (void)unused;
    mkdir("folder", 0755);
    chmod("folder", 0755);
    chmod(".", 0755);
    copy(RV_PLUGIN_DIR "/corridor.so", "folder/corridor.so");
    copy(RV_PLUGIN_DIR "/corridor.so", "corridor.so");
    opens("./corridor.so", RV_OK, "");
    opens("folder/corridor.so", RV_OK, "");
    opens("corridor.so", RV_INVALID_ARGUMENT, "./corridor.so"); /* it is there, but its name is bare */
    opens("", RV_INVALID_ARGUMENT, "path");
    opens(NULL, RV_INVALID_ARGUMENT, "path");
    opens("./absent.so", RV_NOT_FOUND, "No such file");
    opens("folder/", RV_BAD_FILE, "no file");
    unlink("link.so");
    assert_int_equal(symlink("corridor.so", "link.so"), 0);
    opens("./link.so", RV_IO_FAILED, "symbolic link");
    unlink("pipe.so");
    assert_int_equal(mkfifo("pipe.so", 0600), 0);
    opens("./pipe.so", RV_BAD_FILE, "no file"); /* and does not wait for a writer */
    chmod("corridor.so", 0775);
    opens("./corridor.so", RV_IO_FAILED, "chmod go-w");
    chmod("corridor.so", 0757);
    opens("./corridor.so", RV_IO_FAILED, "chmod go-w");
    chmod("corridor.so", 0700);
    opens("./corridor.so", RV_OK, "");
    chmod("folder", 0777);
    opens("folder/corridor.so", RV_IO_FAILED, "the folder");
    chmod("folder", 01777); /* sticky: as safe as /tmp */
    opens("folder/corridor.so", RV_OK, "");
    chmod("folder", 0755);
    if (geteuid() == 0) { /* somebody else's */
        assert_int_equal(chown("folder/corridor.so", 12345, 12345), 0);
        opens("folder/corridor.so", RV_IO_FAILED, "another user");
        assert_int_equal(chown("folder/corridor.so", 0, 0), 0);
    }
    rv_env_plugin_close(NULL);
}

static void damaged_files(void **unused) {
    (void)unused;
    FILE *file = fopen("text.so", "w");
    fputs("this is no shared object", file);
    fclose(file);
    chmod("text.so", 0755);
    opens("./text.so", RV_BAD_FILE, "cannot be loaded");
    file = fopen("empty.so", "w");
    fclose(file);
    chmod("empty.so", 0755);
    opens("./empty.so", RV_BAD_FILE, "cannot be loaded");
    opens(RV_PLUGIN_DIR "/line_ABI.so", RV_BAD_FILE, "build it anew");
    opens(RV_PLUGIN_DIR "/line_NO_TABLE.so", RV_BAD_FILE, "exports no rv_env_exported");
}

static void two_at_once(void **unused) {
    (void)unused;
    rv_env_plugin *a, *b;
    for (int round = 0; round < 3; round++) { /* the same file number each time: never the other's code */
        assert_int_equal(rv_env_plugin_open(RV_PLUGIN_DIR "/corridor.so", &a), RV_OK);
        assert_string_equal(rv_env_plugin_table(a)->name, "corridor");
        if (round == 1) rv_env_plugin_close(a);
        assert_int_equal(rv_env_plugin_open(RV_PLUGIN_DIR "/line_NONE.so", &b), RV_OK);
        assert_string_equal(rv_env_plugin_table(b)->name, "line");
        rv_env_plugin_close(b);
        if (round != 1) rv_env_plugin_close(a);
    }
}

static void runs_by_its_path(void **unused) {
    (void)unused;
    rv_env *env;
    float observation[4], action[4] = {1, 1, 1, 1};
    const rv_env_setting setting = {"slip", 0};
    assert_int_equal(rv_env_create(RV_PLUGIN_DIR "/corridor.so", 4, &setting, 1, &env), RV_OK);
    assert_int_equal(rv_env_reset(env, 3, observation), RV_OK);
    rv_env_result result = {.observation = observation};
    const float before = observation[2];
    assert_int_equal(rv_env_step(env, action, &result), RV_OK);
    assert_true(observation[2] > before + 0.0999f && observation[2] < before + 0.1001f);
    rv_env_destroy(env);
    assert_int_equal(rv_env_create("corridor.so", 4, NULL, 0, &env), RV_NOT_FOUND);
    assert_non_null(strstr(rv_env_message(env), "./corridor.so"));
    rv_env_destroy(env);
    assert_int_equal(rv_env_create("./absent.so", 4, NULL, 0, &env), RV_NOT_FOUND);
    assert_non_null(strstr(rv_env_message(env), "absent.so"));
    assert_int_equal(rv_env_reset(env, 3, observation), RV_WRONG_STATE);
    rv_env_destroy(env);
}

int main(void) {
    program = getenv("REVERIE_PROGRAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_ones_pass), cmocka_unit_test(each_fault_is_found), cmocka_unit_test(mistakes),
        cmocka_unit_test(paths_and_permissions), cmocka_unit_test(damaged_files), cmocka_unit_test(two_at_once),
        cmocka_unit_test(runs_by_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
