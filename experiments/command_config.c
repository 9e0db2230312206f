/* experiments/command_config.c: `reverie config`: the keys of a training job, and what they mean. */
#include <stdio.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/dreamer_job.h"
#include "experiments/program.h"
#include "experiments/world_model_job.h"

/* What can be trained, and the keys of each. */
static const struct {
    const char *name;
    const option_schema *schema;
    const char *once;
} jobs[] = {{"world_model", &world_model_schema, world_model_once}, {"dreamer", &dreamer_schema, dreamer_once}};

static void print_help(void) {
    puts("Usage: reverie config [--job=JOB] [--name=CONFIG]\n       reverie config [--job=JOB] --explain KEY\n\n"
         "Lists every key of `reverie train JOB` (world_model, dreamer) with its value in a named config, as a YAML\n"
         "file that `reverie train FILE.yaml` reads; or explains one key: meaning, type, range, values in the named\n"
         "configs.\n\nNamed configs\n"
         "  default    tuned; every published figure is for it");
    for (int i = 0; i < world_model_schema.named_count; i++) {
        printf("  %-10s %s\n", world_model_schema.named[i].name, world_model_schema.named[i].text);
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

static int explain(int job, const char *key) {
    const option_schema *schema = jobs[job].schema;
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

static int list(int job, const char *name) {
    union {
        world_model_settings world_model;
        dreamer_settings dreamer;
    } settings;
    option_list list = {0};
    option_origin origins[OPTION_MAX];
    option_extras extras = {0};
    if (name && !options_list_add(&list, "config", 6, name, FORM_PLAIN, (option_origin){.argument = true})) {
        return EXIT_DEVICE;
    }
    int code = options_apply(jobs[job].schema, &list, &settings, origins, &extras);
    if (code == EXIT_OK) config_write(stdout, jobs[job].schema, &settings, origins, &extras, jobs[job].once);
    options_list_free(&list);
    return code;
}

int command_config(int argc, char **argv) {
    typedef struct settings {
        int job;
        const char *explain, *name;
    } settings;
    static const option options[] = {
        OPTION_CHOICE(settings, job, "job", "world_model", "world_model dreamer", "whose keys"),
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
    if (code == EXIT_OK) code = s.explain ? explain(s.job, s.explain) : list(s.job, s.name);
    options_list_free(&words);
    return code;
}
