/* experiments/evaluation_file.h: evaluation.json, what the plots of a run are drawn from. */
#ifndef EXPERIMENTS_EVALUATION_FILE_H
#define EXPERIMENTS_EVALUATION_FILE_H

#include "experiments/figures.h"
#include "experiments/run_folder.h"

/* As read from a file: all of it lives until evaluation_file_free. */
typedef struct evaluation_file {
    char env[64], note[128];
    char (*name)[64]; /* of the observation's dimensions */
    const char **names;
    rv_evaluation evaluation;
    figure_points points;
    double *memory;
} evaluation_file;

int evaluation_file_write(const run_folder *run, const figure_text *text, const rv_evaluation *evaluation,
                          const figure_points *points);

/* Checks every length. Prints what is wrong; an exit code. Free it after either. */
int evaluation_file_read(const char *path, evaluation_file *file);
void evaluation_file_free(evaluation_file *file);

#endif
