/* experiments/command_train.c: `reverie train WHAT` and `reverie train FILE.yaml`. */
#include <stdio.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/jobs.h"
#include "experiments/program.h"

static void print_help(FILE *file) {
    int count;
    const job *list = job_list(&count);
    fputs(
        "Usage: reverie train WHAT [--key=value]...\n"
        "       reverie train FILE.yaml [--key=value]...\n\nWhat to train\n",
        file);
    for (int i = 0; i < count; i++) fprintf(file, "  %-14s %s\n", list[i].name, list[i].text);
    fputs("\nreverie train WHAT --help lists its options.\n"
          "A file holds them as YAML, with `job: WHAT`. The config.yaml of a run is such a file.\n", file);
}

static int run_job(const char *name, const char *file, int argc, char **argv) {
    const job *found = job_find(name);
    if (found && found->agent) return train_agent(found->agent, file, argc, argv);
    if (found) return train_world_model(found->model, file, argc, argv);
    int count;
    const job *list = job_list(&count);
    const char *nearest = options_nearest(name, list, count, sizeof *list);
    return program_fail(EXIT_USAGE,
                        nearest ? "no training job \"%s\"; the nearest is \"%s\""
                                : "no training job \"%s\" (--help lists all)",
                        name, nearest);
}

static bool is_file(const char *name) {
    const char *dot = strrchr(name, '.');
    return strchr(name, '/') || (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0));
}

/* The job that a file names; the first there is where it names none. */
static int run_file(const char *path, int argc, char **argv) {
    option_list list = {0};
    char name[64];
    int count;
    snprintf(name, sizeof name, "%s", job_list(&count)->name);
    int code = config_read_file(path, &list);
    for (int i = 0; i < list.count; i++) {
        if (strcmp(list.entries[i].key, "job") == 0) snprintf(name, sizeof name, "%s", list.entries[i].value);
    }
    options_list_free(&list);
    return code == EXIT_OK ? run_job(name, path, argc, argv) : code;
}

int command_train(int argc, char **argv) {
    if (argc == 0 || argv[0][0] == '-') {
        bool help = program_wants_help(argc, argv);
        print_help(help ? stdout : stderr);
        return help ? EXIT_OK : program_fail(EXIT_USAGE, "train needs to be told what: reverie train world_model");
    }
    return is_file(argv[0]) ? run_file(argv[0], argc - 1, argv + 1) : run_job(argv[0], NULL, argc - 1, argv + 1);
}
