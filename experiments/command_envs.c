/* experiments/command_envs.c: `reverie envs`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/program.h"
#include "reverie/env.h"

enum { ENVS_MAX = 256 };

static void print_bound(float bound) {
    if (isinf(bound)) fputs(bound < 0 ? "-inf" : "inf", stdout);
    else printf("%g", (double)bound);
}

static void print_columns(const char *what, int64_t size, const float *low, const float *high, const char *const *names) {
    for (int64_t c = 0; c < size; c++) {
        printf("  %-12s %-24s ", c == 0 ? what : "", names && names[c] ? names[c] : "");
        print_bound(low[c]);
        fputs(" to ", stdout);
        print_bound(high[c]);
        putchar('\n');
    }
}

static int print_env(const rv_env_table *table) {
    rv_env *env;
    rv_env_spaces s = {.size = sizeof s};
    rv_status status = rv_env_create_from(table, 1, NULL, 0, &env);
    if (status == RV_OK) status = rv_env_spaces_get(env, &s);
    if (status != RV_OK) {
        int code = program_fail(program_code(status), "%s: %s", table->name, rv_env_message(env));
        rv_env_destroy(env);
        return code;
    }
    printf("%s: %s\n", table->name, table->text);
    print_columns("observation", s.observation_size, s.observation_low, s.observation_high, s.observation_names);
    if (s.action_choices) printf("  %-12s %-24s one of 0 to %lld\n", "action", s.action_names && s.action_names[0] ? s.action_names[0] : "", (long long)s.action_choices - 1);
    else print_columns("action", s.action_size, s.action_low, s.action_high, s.action_names);
    if (s.step_seconds > 0) printf("  %-12s %g s\n", "step", s.step_seconds);
    printf("  %-12s %s\n", "policy", table->scripted ? "random, scripted" : "random");
    for (int o = 0; o < table->option_count; o++) {
        const rv_env_option *option = &table->options[o];
        char key[80];
        snprintf(key, sizeof key, "env.%s", option->name);
        printf("  %-12s %-24s %g (%g to %g): %s\n", o == 0 ? "options" : "", key, option->standard, option->low, option->high, option->text);
    }
    rv_env_destroy(env);
    return EXIT_OK;
}

int command_envs(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        puts("Usage: reverie envs\n\nLists the environments that are built in: observations and actions with their bounds, the time of one\n"
             "step, the policies that can collect data, and the options with their standard values and ranges.\n\n"
             "An environment of your own is named by the path of its plugin; `reverie env-check FILE.so` tries it.");
        return EXIT_OK;
    }
    if (argc > 0) return program_fail(EXIT_USAGE, "envs takes no arguments, \"%s\" was given", argv[0]);
    const rv_env_table *list[ENVS_MAX];
    int count = rv_env_list(list, ENVS_MAX), code = EXIT_OK;
    for (int i = 0; i < count && i < ENVS_MAX && code == EXIT_OK; i++) {
        if (i > 0) putchar('\n');
        code = print_env(list[i]);
    }
    return code;
}
