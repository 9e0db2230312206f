/* experiments/main.c: the program `reverie`, a table of subcommands. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "experiments/options.h"
#include "experiments/program.h"

static const command commands[] = {
    {"train", "train a model and evaluate it; the same command again goes on", command_train},
    {"eval", "judge a trained model on new episodes", command_eval},
    {"imagine", "plot what a trained model predicts from one observation on", command_imagine},
    {"plot", "draw a run's plots again from its files", command_plot},
    {"inspect", "list what a checkpoint or data file holds", command_inspect},
    {"audit", "write every number of DreamerV3's updates, to be compared", command_audit},
    {"config", "explain the keys of a training job", command_config},
    {"envs", "list the environments with their spaces", command_envs},
    {"env-check", "try whether an environment keeps its contract", command_env_check},
    {"devices", "list what this machine can compute on", command_devices},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

/* ---- what all commands share ---------------------------------------------------------------------------- */

int program_fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("reverie: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

int program_code(rv_status status) {
    switch (status) {
    case RV_OK: return EXIT_OK;
    case RV_INVALID_ARGUMENT:
    case RV_SHAPE_MISMATCH:
    case RV_TYPE_MISMATCH:
    case RV_TOO_LARGE:
    case RV_NOT_FOUND: return EXIT_CONFIG;
    case RV_NON_FINITE: return EXIT_NUMERIC;
    case RV_IO_FAILED:
    case RV_BAD_FILE: return EXIT_IO;
    case RV_CANCELLED: return EXIT_INTERRUPTED;
    case RV_OUT_OF_MEMORY:
    case RV_NOT_BUILT_IN:
    case RV_NO_DRIVER:
    case RV_NO_DEVICE:
    case RV_DEVICE_LOST:
    case RV_BUILD_FAILED:
    case RV_UNSUPPORTED: return EXIT_DEVICE;
    default: return EXIT_BUG;
    }
}

bool program_wants_help(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

const command *program_find(const command *list, int count, const char *name, const char *what) {
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) return &list[i];
    }
    const char *nearest = options_nearest(name, list, count, sizeof *list);
    program_fail(EXIT_USAGE, nearest ? "no %s \"%s\"; the nearest is \"%s\"" : "no %s \"%s\" (--help lists all)", what,
                 name, nearest);
    return NULL;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

void program_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool program_interrupted(void) { return interrupted != 0; }

double program_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the program ------------------------------------------------------------------------------------------- */

static void print_help(FILE *file) {
    fprintf(file,
            "reverie %s: world models that learn in imagination\n\nUsage: reverie COMMAND [OPTION]...\n\nCommands\n",
            rv_version());
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].text);
    fprintf(file, "\nOptions\n  --help       this, or the help of a command\n  --version    the version\n"
                  "\nBegin with:  reverie train world_model\n"
                  "\nExit codes\n"
                  "  0 done, 2 no such command or option, 3 a value that does not fit, 4 no usable data,\n"
                  "  5 the device, 6 NaN or infinity, 7 a file or folder, 130 interrupted (after saving)\n");
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("reverie %s\n", rv_version());
        return EXIT_OK;
    }
    const command *found = program_find(commands, COMMAND_COUNT, argv[1], "command");
    return found ? found->run(argc - 2, argv + 2) : EXIT_USAGE;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of writing, seen below */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow */
    setvbuf(stdout, NULL, _IOLBF, 0);
    int code = run(argc, argv);
    errno = 0;
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (lost && code == EXIT_OK) {
        return program_fail(EXIT_IO, "standard output could not be written%s%s", errno ? ": " : "",
                            errno ? strerror(errno) : "");
    }
    return code;
}
