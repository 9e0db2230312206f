/* experiments/program.h: what every subcommand of the program shares. */
#ifndef EXPERIMENTS_PROGRAM_H
#define EXPERIMENTS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "reverie/device.h"

/* What the program exits with. */
enum {
    EXIT_OK = 0,
    EXIT_BUG = 1,          /* reverie's own fault */
    EXIT_USAGE = 2,        /* a command or option that does not exist */
    EXIT_CONFIG = 3,       /* a value of the wrong type, out of range, or that does not fit the others */
    EXIT_DATA = 4,         /* no usable data */
    EXIT_DEVICE = 5,       /* no such device, or it failed, or its memory is full */
    EXIT_NUMERIC = 6,      /* NaN or infinity */
    EXIT_IO = 7,           /* a file or folder could not be read or written */
    EXIT_INTERRUPTED = 130 /* Ctrl-C, after saving */
};

typedef struct command {
    const char *name, *text;
    int (*run)(int argc, char **argv); /* argv[0] is the first argument behind the name */
} command;

int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_imagine(int argc, char **argv);
int command_plot(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_config(int argc, char **argv);
int command_envs(int argc, char **argv);
int command_env_check(int argc, char **argv);
int command_devices(int argc, char **argv);

/* Prints "reverie: …" to stderr and returns the code. */
int program_fail(int code, const char *format, ...) RV_PRINTF(2, 3);

/* The exit code of a library status. */
int program_code(rv_status status);

/* Opens it and says which it is in one line, for "auto" also why nothing better. Whatever the code, close it. */
int program_open_device(const char *resource, rv_device **device);

/* True when an argument asks for help, anywhere in the list. */
bool program_wants_help(int argc, char **argv);

/* Finds a name in a list of commands; NULL after printing what is there and the nearest. */
const command *program_find(const command *list, int count, const char *name, const char *what);

/* Ctrl-C and SIGTERM ask the work to stop; a second one ends the program at once. */
void program_catch_interrupts(void);
bool program_interrupted(void);

/* Seconds on a clock that never jumps. */
double program_seconds(void);

#endif
