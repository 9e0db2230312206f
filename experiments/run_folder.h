/* experiments/run_folder.h: the folder of one run and what lies in it.
 *
 *     config.yaml                      the settings in full
 *     metrics.jsonl                    one JSON object a line
 *     events.out.tfevents.*            the same for TensorBoard
 *     checkpoints/last.safetensors
 *     data.npz                         with data.save: what was trained on
 *     evaluation.json                  what the plots are drawn from, beside the metrics
 *     plots/NAME.png, plots/NAME.svg
 *     summary.json                     the final figures by name; there when the run is finished
 */
#ifndef EXPERIMENTS_RUN_FOLDER_H
#define EXPERIMENTS_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { RUN_PATH_SIZE = 1536 };

typedef enum run_state { RUN_NEW, RUN_UNFINISHED, RUN_FINISHED } run_state;

typedef struct run_folder {
    char path[1024];
    run_state state; /* as it was found */
    FILE *metrics;   /* also the lock: one process writes to a run */
} run_folder;

/* Makes the folder, locks it, and opens metrics.jsonl. `fresh` removes the files of the run that it holds; nothing else
 * in the folder is ever touched. Refused: a folder locked by another process, or with files of a run but no
 * config.yaml.
 * Prints what is wrong; an exit code. */
int run_folder_open(run_folder *run, const char *path, bool fresh);

/* Drops what metrics.jsonl holds beyond `offset`. */
int run_folder_cut_metrics(run_folder *run, int64_t offset);

/* Sees to it that the metrics so far are on the disk. */
int run_folder_sync_metrics(run_folder *run);

/* PATH/NAME, in a buffer of RUN_PATH_SIZE bytes. */
const char *run_folder_file(const run_folder *run, const char *name, char *path, size_t size);
bool run_folder_has(const run_folder *run, const char *name);

/* Closes metrics.jsonl; whatever could not be written is an error then at the latest. */
int run_folder_close(run_folder *run);

/* Writes a file whole or not at all: `write` fills it. */
int run_folder_write(const run_folder *run, const char *name, void (*write)(FILE *file, const void *user),
                     const void *user);

#endif
