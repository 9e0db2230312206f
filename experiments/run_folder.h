/* experiments/run_folder.h: the folder of one run and what lies in it.
 *
 *     metrics.jsonl                    one JSON object a line
 *     checkpoints/last.safetensors
 *     plots/NAME.png, plots/NAME.svg
 *     summary.json                     the final figures by name
 */
#ifndef EXPERIMENTS_RUN_FOLDER_H
#define EXPERIMENTS_RUN_FOLDER_H

#include <stdbool.h>
#include <stdio.h>

typedef struct run_folder {
    char path[1024];
    FILE *metrics;
} run_folder;

/* Makes the folder and opens metrics.jsonl. A folder that holds a run is refused, unless `fresh`: then
 * that run's files are removed. Nothing else in the folder is touched. Prints what is wrong; an exit code. */
int run_folder_open(run_folder *run, const char *path, bool fresh);

/* PATH/NAME, in a buffer of 1536 bytes. */
const char *run_folder_file(const run_folder *run, const char *name, char *path, size_t size);

/* Closes metrics.jsonl; whatever could not be written is an error then at the latest. */
int run_folder_close(run_folder *run);

/* Writes summary.json whole or not at all: `write` fills the file. */
int run_folder_summary(const run_folder *run, void (*write)(FILE *file, const void *user), const void *user);

#endif
