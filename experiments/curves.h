/* experiments/curves.h: the learning curves of several runs: those that differ only in their seed form one band. */
#ifndef EXPERIMENTS_CURVES_H
#define EXPERIMENTS_CURVES_H

#include <stdbool.h>

#include "experiments/history.h"
#include "experiments/options.h"

enum { CURVES_RUNS = 64, CURVES_GROUPS = 6 };

typedef struct curves_run {
    const char *path;
    option_list config; /* of its config.yaml */
    history history;
    int group;
    int64_t count; /* of the finite values */
    double *x, *y; /* [count] */
} curves_run;

/* Runs of one configuration. */
typedef struct curves_group {
    char label[160];
    int runs;
    int64_t count;
    double *x, *middle, *low, *high; /* [count]: median over the runs, and where they lie */
} curves_group;

typedef enum curves_axis { CURVES_STEPS, CURVES_SECONDS } curves_axis;
typedef enum curves_band { CURVES_RANGE, CURVES_QUARTILES } curves_band;

typedef struct curves {
    curves_axis axis;
    curves_band band;
    char metric[32], env[64]; /* env: "" where they differ */
    int run_count, group_count;
    curves_run run[CURVES_RUNS];
    curves_group group[CURVES_GROUPS];
} curves;

/* Reads the runs, puts them into groups and summarises each over where all of its runs have values: at the steps that
 * they share, or, where those differ, at 300 places between. `metric` NULL: the return, or else the loss. Prints what
 * is wrong; an exit code. Free it after either. */
int curves_read(curves *c, const char *const *paths, int count, const char *metric, curves_axis axis,
                curves_band band);
void curves_free(curves *c);

/* `reverie plot RUN RUN...`: the first `count` arguments are runs. */
int plot_curves(int count, int argc, char **argv);
void plot_curves_help(void);

#endif
