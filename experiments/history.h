/* experiments/history.h: the metrics of a run, in memory and as metrics.jsonl. */
#ifndef EXPERIMENTS_HISTORY_H
#define EXPERIMENTS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { HISTORY_METRICS = 32 };

/* One row each time metrics were read. All zero: empty. */
typedef struct history {
    int metric_count;
    char name[HISTORY_METRICS][32];
    int64_t count, capacity;
    double *step, *time;             /* [count]: and seconds of training until then */
    double *value[HISTORY_METRICS];  /* [count] each */
    double seconds;                  /* of training until the last row */
} history;

void history_free(history *history);

/* The metrics' names; false: too many of them. Before the first row. */
bool history_name(history *history, const char *const *names, int count);

/* Appends a row; a value that there is not is NaN. false: out of memory. */
bool history_add(history *history, int64_t step, double seconds, const float *values);

/* Writes the last row as a line. */
void history_write_last(const history *history, FILE *file);

/* Reads the rows up to and with `last` (below 0: all). A last line that is not whole is left out. *offset is where in
 * the file the next line belongs. Prints what is wrong; an exit code. */
int history_read(history *history, const char *path, int64_t last, int64_t *offset);

#endif
