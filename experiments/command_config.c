/* experiments/command_config.c: `reverie config`: the keys of a training job, and what they mean. */
#include <stdio.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/jobs.h"
#include "experiments/program.h"

static void print_help(void) {
    int count;
    const job *list = job_list(&count);
    puts("Usage: reverie config [--job=JOB] [--name=CONFIG]\n       reverie config [--job=JOB] --explain KEY\n\n"
         "Lists every key of `reverie train JOB` with its value in a named config, as a YAML file that\n"
         "`reverie train FILE.yaml` reads; or explains one key: meaning, type, range, values in the named configs.\n\n"
         "Jobs and their named configs; `default` is tuned, every published figure is for it");
    for (int j = 0; j < count; j++) {
        printf("  %s\n", list[j].name);
        for (int i = 0; i < list[j].schema->named_count; i++) {
            printf("    %-10s %s\n", list[j].schema->named[i].name, list[j].schema->named[i].text);
        }
    }
}

static int explain_env(const char *key) {
    const rv_env_table *list[64];
    int count = rv_env_list(list, 64), found = 0;
    for (int i = 0; i < count && i < 64; i++) {
        for (int o = 0; o < list[i]->option_count; o++) {
            const rv_env_option *option = &list[i]->options[o];
            if (strcmp(option->name, key) != 0) continue;
            printf("env.%s, of %s: %s\n  default   %g\n  range     %g to %g\n", key, list[i]->name, option->text,
                   option->standard, option->low, option->high);
            found++;
        }
    }
    return found;
}

static int explain(const option_schema *schema, const char *key) {
    const option *o = options_find(schema, key);
    if (o) {
        options_explain(schema, o, stdout);
        return EXIT_OK;
    }
    if (strncmp(key, schema->prefix, strlen(schema->prefix)) == 0 && explain_env(key + strlen(schema->prefix))) {
        return EXIT_OK;
    }
    const char *nearest = options_nearest(key, schema->options, schema->count, sizeof *schema->options);
    return program_fail(EXIT_USAGE, nearest ? "no key \"%s\"; the nearest is %s" : "no key \"%s\"", key, nearest);
}

static int list(const option_schema *schema, const char *name) {
    job_settings settings;
    option_list list = {0};
    option_origin origins[OPTION_MAX];
    option_extras extras = {0};
    if (name && !options_list_add(&list, "config", 6, name, FORM_PLAIN, (option_origin){.argument = true})) {
        return EXIT_DEVICE;
    }
    int code = options_apply(schema, &list, &settings, origins, &extras);
    if (code == EXIT_OK) config_write(stdout, schema, &settings, origins, &extras, RUN_ONCE);
    options_list_free(&list);
    return code;
}

int command_config(int argc, char **argv) {
    typedef struct settings {
        const char *job;
        const char *explain, *name;
    } settings;
    static const option options[] = {
        OPTION_TEXT(settings, job, "job", "world_model", "whose keys"),
        OPTION_TEXT(settings, explain, "explain", NULL, "a key to explain"),
        OPTION_TEXT(settings, name, "name", NULL, "a named config"),
    };
    static const option_schema schema = {.options = options, .count = sizeof options / sizeof *options};
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    settings s = {0};
    option_list words = {0};
    int code = options_read(&schema, &s, argc, argv, &words);
    const job *found = code == EXIT_OK ? job_find(s.job) : NULL;
    if (code == EXIT_OK && !found) code = program_fail(EXIT_CONFIG, "no job \"%s\"; `reverie train` lists them", s.job);
    if (code == EXIT_OK) code = s.explain ? explain(found->schema, s.explain) : list(found->schema, s.name);
    options_list_free(&words);
    return code;
}
