/* experiments/tensorboard.h: writes TensorBoard event files: scalars and texts.
 *
 *     tensorboard *events = tensorboard_open("run", step);
 *     tensorboard_scalar(events, "train/loss", step, 0.25f);
 *     tensorboard_close(events);
 *
 * A file is a sequence of records (length, checksum, bytes, checksum), each a protocol buffer of TensorFlow's `Event`.
 * A process writes a file of its own; one that goes on from `step` says so, and readers drop what earlier files hold
 * beyond it.
 */
#ifndef EXPERIMENTS_TENSORBOARD_H
#define EXPERIMENTS_TENSORBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct tensorboard tensorboard;

/* Makes FOLDER/events.out.tfevents.TIME.HOST.PID.0; NULL with errno set where that cannot be. */
tensorboard *tensorboard_open(const char *folder, int64_t step);

/* Writes to `file`, with `seconds` (since 1970) as the time of all records: for tests. Takes the file over. */
tensorboard *tensorboard_open_stream(FILE *file, double seconds, int64_t step);

void tensorboard_scalar(tensorboard *events, const char *tag, int64_t step, float value);
void tensorboard_text(tensorboard *events, const char *tag, int64_t step, const char *text); /* Markdown */

bool tensorboard_flush(tensorboard *events); /* false: something could not be written; errno says why */
bool tensorboard_close(tensorboard *events); /* NULL is fine */

#endif
