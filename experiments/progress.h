/* experiments/progress.h: one live line on a terminal, plain lines elsewhere, both on stderr. */
#ifndef EXPERIMENTS_PROGRESS_H
#define EXPERIMENTS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum progress_mode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_NONE } progress_mode;

typedef struct progress {
    progress_mode mode; /* never AUTO once begun */
    const char *what, *unit;
    int64_t total;
    double begun, shown;
    bool drawn;
} progress;

/* AUTO: a live line where stderr is a terminal that can draw one, else plain lines. */
void progress_begin(progress *progress, progress_mode mode, const char *what, const char *unit, int64_t total);

/* Shows where the work stands, at most ten times a second on a terminal, every two seconds elsewhere (so that
 * short work shows nothing); `details` follows rate and time left. */
void progress_show(progress *progress, int64_t done, const char *details);

/* Clears the live line. */
void progress_end(progress *progress);

/* 12345 -> "12,345"; 75.2 s -> "1:15". */
const char *progress_count(int64_t count, char text[32]);
const char *progress_time(double seconds, char text[32]);

#endif
