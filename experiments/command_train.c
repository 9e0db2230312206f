/* experiments/command_train.c: `reverie train WHAT`. */
#include <stdio.h>

#include "experiments/program.h"

static const command jobs[] = {
    {"world_model", "VAE, latent dynamics and reward model of an environment, from collected data", train_world_model},
};
enum { JOB_COUNT = sizeof jobs / sizeof *jobs };

static void print_help(FILE *file) {
    fputs("Usage: reverie train WHAT [--key=value]...\n\nWhat to train\n", file);
    for (int i = 0; i < JOB_COUNT; i++) fprintf(file, "  %-14s %s\n", jobs[i].name, jobs[i].text);
    fputs("\nreverie train WHAT --help lists its options.\n", file);
}

int command_train(int argc, char **argv) {
    if (argc == 0 || argv[0][0] == '-') {
        bool help = program_wants_help(argc, argv);
        print_help(help ? stdout : stderr);
        return help ? EXIT_OK : program_fail(EXIT_USAGE, "train needs to be told what: reverie train world_model");
    }
    const command *job = program_find(jobs, JOB_COUNT, argv[0], "training job");
    return job ? job->run(argc - 1, argv + 1) : EXIT_USAGE;
}
