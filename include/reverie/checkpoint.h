/* reverie/checkpoint.h: safetensors files, written atomically and read with suspicion.
 *
 *     rv_checkpoint *file;
 *     rv_checkpoint_create(device, &file);
 *     rv_checkpoint_add_params(file, "world_model/", params);
 *     rv_checkpoint_add_array(file, "random", rv_random_array(random));
 *     rv_checkpoint_set(file, "config", text);
 *     rv_checkpoint_save(file, "run/last.safetensors");
 *     ...
 *     rv_checkpoint_load(file, "run/last.safetensors");        // into the same arrays
 *     rv_checkpoint_destroy(file);
 *
 * The same object describes what is saved and where it is loaded to. A file is written to
 * a temporary name, synced, renamed, and its folder synced: the last good one is never
 * touched before the new one is whole. Loading checks the whole file before any array changes.
 * Python reads it with safetensors.numpy.load_file.
 */
#ifndef REVERIE_CHECKPOINT_H
#define REVERIE_CHECKPOINT_H

#include "reverie/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_checkpoint rv_checkpoint;

RV_API rv_status rv_checkpoint_create(rv_device *device, rv_checkpoint **checkpoint);
RV_API void rv_checkpoint_destroy(rv_checkpoint *checkpoint);
RV_API const char *rv_checkpoint_message(const rv_checkpoint *checkpoint);

/* Adds an array under a name, or every weight of a set as prefix + name, its moments as
 * prefix + name + "/moment1" and "/moment2", the update count as prefix + "updates" (neither where it holds values only).
 * Errors: INVALID_ARGUMENT (a repeated or bad name), OUT_OF_MEMORY. */
RV_API rv_status rv_checkpoint_add_array(rv_checkpoint *checkpoint, const char *name, rv_array *array);
RV_API rv_status rv_checkpoint_add_params(rv_checkpoint *checkpoint, const char *prefix, rv_params *params);

/* A metadata text, UTF-8; the key "reverie" is the format's version. After a load, _get answers what the file
 * held, NULL where it had none. */
RV_API rv_status rv_checkpoint_set(rv_checkpoint *checkpoint, const char *key, const char *text);
RV_API const char *rv_checkpoint_get(const rv_checkpoint *checkpoint, const char *key);

/* The file is readable by its owner only. Errors: NON_FINITE (the device's flag is set: the old file stays),
 * IO_FAILED (a disk that is full, a path that is no regular file …), OBJECT_GONE (an array was destroyed), OUT_OF_MEMORY. */
RV_API rv_status rv_checkpoint_save(rv_checkpoint *checkpoint, const char *path);

/* Every added name must be in the file with its type and shape; further ones are ignored, and other
 * programs' safetensors files are fine. Errors: IO_FAILED, BAD_FILE (damaged, foreign, of a newer format), NOT_FOUND
 * (a name), SHAPE_MISMATCH, TYPE_MISMATCH, OUT_OF_MEMORY (it takes the file's size on the host). On any error no array
 * has changed; where a device fails so badly that the old contents cannot be put back, the message says so. */
RV_API rv_status rv_checkpoint_load(rv_checkpoint *checkpoint, const char *path);

/* Reads only the metadata: enough to rebuild the right model before loading it.
 * Errors as rv_checkpoint_load. */
RV_API rv_status rv_checkpoint_load_metadata(rv_checkpoint *checkpoint, const char *path);

#ifdef __cplusplus
}
#endif
#endif
