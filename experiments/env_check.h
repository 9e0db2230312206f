/* experiments/env_check.h: does an environment keep the contract of rv_env_table? */
#ifndef EXPERIMENTS_ENV_CHECK_H
#define EXPERIMENTS_ENV_CHECK_H

#include <stdbool.h>

#include "reverie/env.h"

typedef enum env_fault {
    FAULT_MEMORY,      /* wrote outside its buffers, or into its input */
    FAULT_REPEAT,      /* the same seeds and actions gave other results */
    FAULT_NEIGHBOURS,  /* a row depends on the other rows */
    FAULT_SEEDS,       /* neighbouring seeds give related episodes, or seeds make no difference */
    FAULT_BOUNDS,      /* an observation beyond its bounds */
    FAULT_NON_FINITE,  /* an observation or reward is NaN or infinite */
    FAULT_ENDS,        /* a flag that is neither 0 nor 1 */
    FAULT_MASK,        /* a reset touched rows that were to go on */
    FAULT_SAVED,       /* a loaded state does not go on as the saved one did */
    FAULT_COUNT
} env_fault;

typedef struct env_check {
    const rv_env_table *table;
    double options[64];  /* a value for each of the table's options */
    rv_env_spaces spaces;
    bool found[FAULT_COUNT];
    bool nothing_random; /* different seeds gave the same episodes */
    int64_t episodes, steps;
    const char *volatile *call; /* what is being called, for whoever looks after a crash; or NULL */
} env_check;

/* Names of the checks, in order. */
extern const char *const env_check_names[FAULT_COUNT];

/* Runs all checks, prints a line for the first fault of each kind, and answers true where there was none. */
bool env_check_run(env_check *check);

#endif
