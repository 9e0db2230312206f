/* experiments/command_inspect.c: `reverie inspect FILE`. */
#include <stdio.h>

#include "experiments/inspect.h"
#include "experiments/program.h"

int command_inspect(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        puts(
            "Usage: reverie inspect FILE\n\n"
             "Lists what a file holds: names, shapes, types and statistics (smallest, mean, largest, and how many\n"
            "values are not finite) of every tensor in a .safetensors file or array in a .npz file, and its metadata.");
        return EXIT_OK;
    }
    if (argc != 1 || argv[0][0] == '-') return program_fail(EXIT_USAGE, "inspect needs one file: reverie inspect FILE");
    return inspect_file(argv[0]);
}
