/* experiments/run_config.c */
#include "experiments/run_config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/config_file.h"
#include "experiments/json_out.h"
#include "experiments/program.h"

typedef struct writing {
    const run_config *config;
    const char *device;
} writing;

static void write_config(FILE *file, const void *user) {
    const writing *w = user;
    const run_config *c = w->config;
    fprintf(file, "# reverie %s, on %s. Train it again: reverie train THIS_FILE --out=ELSEWHERE\n", rv_version(),
            w->device);
    config_write(file, c->schema, c->settings, c->origins, c->extras, c->once);
}

/* A run's config.yaml, read as strictly as any; what it leaves out has the standard value. */
static int compare(const run_folder *run, const run_config *config, void *before) {
    char path[RUN_PATH_SIZE];
    option_list list = {0};
    option_extras extras;
    int code = config_read_file(run_folder_file(run, "config.yaml", path, sizeof path), &list);
    if (code == EXIT_OK) code = options_apply(config->schema, &list, before, NULL, &extras);
    if (code != EXIT_OK) program_fail(code, "the run cannot go on without its config; --fresh begins it anew");
    if (code == EXIT_OK && config_print_differences(stderr, config->schema, before, &extras, config->settings,
                                                    config->extras, config->passing) > 0) {
        code = program_fail(
            EXIT_CONFIG,
            "%s holds a run with another config, see above; --fresh replaces it, --out=DIR writes elsewhere",
            run->path);
    }
    options_list_free(&list);
    return code;
}

int run_config_check(const run_folder *run, const run_config *config, const char *device) {
    const writing w = {config, device};
    if (run->state == RUN_NEW) return run_folder_write(run, "config.yaml", write_config, &w);
    void *before = calloc(1, config->settings_size);
    int code = before ? compare(run, config, before) : program_fail(EXIT_DEVICE, "no memory for the run's config");
    free(before);
    return code;
}

char *run_config_text(const run_config *config, const rv_env_spaces *spaces) {
    char *text = NULL, key[96], value[1200];
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (!file) return NULL;
    json_out out = json_out_begin(file, false);
    for (int i = 0; i < config->schema->count; i++) {
        const option *o = &config->schema->options[i];
        if (config_among(config->passing, o->key)) continue;
        options_value_text(o, config->settings, value, sizeof value);
        json_out_text(&out, o->key, value);
    }
    for (int i = 0; i < config->extras->count; i++) {
        snprintf(key, sizeof key, "env.%s", config->extras->name[i]);
        json_out_number(&out, key, config->extras->value[i]);
    }
    json_out_whole(&out, "observation_size", spaces->observation_size);
    json_out_whole(&out, "action_size", spaces->action_size);
    json_out_end(&out);
    if (fclose(file) == 0) return text;
    free(text);
    return NULL;
}

void run_config_device(const char *name, char kind[64]) {
    snprintf(kind, 64, "%s", name);
    char *threads = strstr(kind, "threads=");
    if (!threads) return;
    char *rest = strchr(threads, ',');
    if (rest) memmove(threads, rest + 1, strlen(rest));
    else threads[-1] = '\0';
}

int run_config_job(const char *folder, char *job, size_t size) {
    char path[RUN_PATH_SIZE];
    option_list list = {0};
    snprintf(path, sizeof path, "%.1500s/config.yaml", folder);
    snprintf(job, size, "world_model");
    if (access(path, F_OK) != 0) return program_fail(EXIT_IO, "%s is no run: it has no config.yaml", folder);
    int code = config_read_file(path, &list);
    for (int i = 0; i < list.count; i++) {
        if (strcmp(list.entries[i].key, "job") == 0) snprintf(job, size, "%s", list.entries[i].value);
    }
    options_list_free(&list);
    return code;
}
