/* experiments/command_env_check.c: `reverie env-check`: the checks run in a process of their own, which may crash. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "experiments/env_check.h"
#include "experiments/program.h"
#include "reverie/plugin.h"

enum { SETTINGS_MAX = 64, SECONDS_MAX = 120 };

/* Memory of both processes. */
typedef struct shared {
    const char *volatile call; /* a text of the program itself: at the same place in both */
    volatile bool finished;
} shared;

static void print_help(void) {
    puts("Usage: reverie env-check NAME|FILE.so [--env.OPTION=NUMBER]...\n\n"
         "Tries whether an environment keeps the contract of rv_env_table (reverie/env.h), and names what breaks it:");
    for (int kind = 0; kind < FAULT_COUNT; kind++) printf("  %s\n", env_check_names[kind]);
    puts("A plugin is named by its path, the current folder's as ./FILE.so. It must belong to you or to root, as its folder\n"
         "must, and nobody else may be able to write either: it runs with all your rights.\n\nExit codes: 0 no fault found, 4 faults found, 7 the plugin cannot be loaded");
}

static int read_settings(int argc, char **argv, rv_env_setting *settings, char names[][64]) {
    int count = 0;
    for (int i = 0; i < argc; i++) {
        const char *key = argv[i] + (strncmp(argv[i], "--", 2) == 0 ? 2 : 0), *equals = strchr(key, '=');
        if (strncmp(key, "env.", 4) != 0 || !equals || equals - key - 4 >= 64 || count == SETTINGS_MAX) {
            return program_fail(EXIT_USAGE, "\"%s\" is no option of env-check: --env.OPTION=NUMBER", argv[i]), -1;
        }
        char *end;
        snprintf(names[count], 64, "%.*s", (int)(equals - key - 4), key + 4);
        settings[count] = (rv_env_setting){names[count], strtod(equals + 1, &end)};
        if (end == equals + 1 || *end || !isfinite(settings[count].value)) return program_fail(EXIT_USAGE, "\"%s\": a number is needed", argv[i]), -1;
        count++;
    }
    return count;
}

/* Everything that may go wrong with a table before its functions are called one by one. */
static int run_checks(const char *name, const rv_env_setting *settings, int setting_count, const char *volatile *call) {
    rv_env *env;
    *call = "create";
    rv_status status = rv_env_create(name, 2, settings, setting_count, &env);
    if (status != RV_OK) {
        int code = program_fail(program_code(status), "%s", rv_env_message(env));
        *call = "destroy";
        rv_env_destroy(env);
        return code;
    }
    env_check check = {.table = rv_env_table_of(env), .spaces = {.size = sizeof check.spaces}, .call = call};
    rv_env_spaces_get(env, &check.spaces);
    for (int o = 0; o < check.table->option_count; o++) {
        check.options[o] = check.table->options[o].standard;
        for (int s = 0; s < setting_count; s++) {
            if (strcmp(settings[s].name, check.table->options[o].name) == 0) check.options[o] = settings[s].value;
        }
    }
    const bool sound = env_check_run(&check);
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        if (!check.found[kind]) printf("ok      %s\n", env_check_names[kind]);
    }
    if (check.nothing_random) puts("note    nothing in it is random: every seed gives the same episode");
    if (check.episodes == 0) puts("note    no episode ended while it was watched");
    printf("%s: %s; %lld steps, %lld episodes\n", check.table->name, sound ? "no fault found" : "breaks the contract", (long long)check.steps, (long long)check.episodes);
    *call = "destroy";
    rv_env_destroy(env);
    return sound ? EXIT_OK : EXIT_DATA;
}

int command_env_check(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    if (argc < 1) return program_fail(EXIT_USAGE, "env-check needs the name of an environment or the path of a plugin");
    rv_env_setting settings[SETTINGS_MAX];
    char names[SETTINGS_MAX][64];
    int setting_count = read_settings(argc - 1, argv + 1, settings, names);
    if (setting_count < 0) return EXIT_USAGE;
    const size_t length = strlen(argv[0]);
    if (length > 3 && strcmp(argv[0] + length - 3, ".so") == 0 && !strchr(argv[0], '/')) {
        return program_fail(EXIT_USAGE, "nothing is loaded from the current folder by its bare name: write ./%s", argv[0]);
    }

    shared *both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (both == MAP_FAILED) return program_fail(EXIT_DEVICE, "no memory: %s", strerror(errno));
    both->call = "load";
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return program_fail(EXIT_DEVICE, "no process could be started: %s", strerror(errno));
    if (child == 0) {
        alarm(SECONDS_MAX);
        int code = run_checks(argv[0], settings, setting_count, &both->call);
        fflush(stdout);
        both->finished = true;
        _exit(code);
    }
    int state;
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) continue;
    int code = WIFEXITED(state) && both->finished ? WEXITSTATUS(state) : EXIT_DATA;
    if (WIFSIGNALED(state) && WTERMSIG(state) == SIGALRM) printf("fault   it hangs: %d seconds are over, in %s\n", SECONDS_MAX, both->call);
    else if (WIFSIGNALED(state)) printf("fault   it crashes: %s, in %s\n", strsignal(WTERMSIG(state)), both->call);
    else if (!both->finished) printf("fault   it ends the process with code %d, in %s\n", WEXITSTATUS(state), both->call);
    munmap(both, sizeof *both);
    return code;
}
