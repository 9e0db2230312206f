/* reverie/dataset.h: transitions on the host, episode after episode.
 *
 *     rv_dataset *data;
 *     rv_dataset_create(4, 1, &data);                          // columns of observation and action
 *     rv_dataset_append(data, &transition);                    // as they come
 *     rv_dataset_split(data, 0.2, seed, train, held_out);      // whole episodes
 *     rv_transitions t = rv_dataset_transitions(data);         // plain arrays
 *     rv_dataset_destroy(data);
 *
 * Row t says: at observation[t], action[t] gave reward[t] and led to next_observation[t].
 * An episode is a run of rows; the first has first = 1, the last terminated or truncated (or both).
 */
#ifndef REVERIE_DATASET_H
#define REVERIE_DATASET_H

#include "reverie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_dataset rv_dataset;

/* All steps as plain arrays, row-major; valid until the dataset changes. */
typedef struct rv_transitions {
    int64_t steps, observation_size, action_size;
    const float *observation;      /* [steps, observation_size] */
    const float *action;           /* [steps, action_size] */
    const float *reward;           /* [steps] */
    const float *next_observation; /* [steps, observation_size] */
    const uint8_t *first;          /* [steps]: an episode begins here */
    const uint8_t *terminated;     /* [steps]: it ended here for good */
    const uint8_t *truncated;      /* [steps]: it was cut here */
} rv_transitions;

/* One step, to be appended. */
typedef struct rv_transition {
    const float *observation;      /* [observation_size] */
    const float *action;           /* [action_size] */
    float reward;
    const float *next_observation; /* [observation_size] */
    int terminated, truncated;
} rv_transition;

/* Errors: INVALID_ARGUMENT (a size below 1), OUT_OF_MEMORY; *dataset is NULL only when out of memory. */
RV_API rv_status rv_dataset_create(int64_t observation_size, int64_t action_size, rv_dataset **dataset);
RV_API void rv_dataset_destroy(rv_dataset *dataset); /* NULL is fine */
RV_API const char *rv_dataset_message(const rv_dataset *dataset);

/* Appends one step; an episode begins where the one before ended. On an error nothing is appended.
 * Errors: NON_FINITE (the message names what), OUT_OF_MEMORY. */
RV_API rv_status rv_dataset_append(rv_dataset *dataset, const rv_transition *transition);

/* Cuts the episode that is being appended: its last step becomes truncated. Fine when there is none. */
RV_API void rv_dataset_cut(rv_dataset *dataset);

/* Appends steps [first, first + count) of another dataset of the same sizes.
 * Errors: SHAPE_MISMATCH, INVALID_ARGUMENT (a range beyond it), OUT_OF_MEMORY. */
RV_API rv_status rv_dataset_append_range(rv_dataset *dataset, const rv_dataset *from, int64_t first, int64_t count);

/* Removes all steps and keeps the memory. */
RV_API void rv_dataset_clear(rv_dataset *dataset);

RV_API rv_transitions rv_dataset_transitions(const rv_dataset *dataset);
RV_API int64_t rv_dataset_steps(const rv_dataset *dataset);
RV_API int64_t rv_dataset_episodes(const rv_dataset *dataset);

/* Steps [*first, *first + *length) are the episode. Errors: INVALID_ARGUMENT. */
RV_API rv_status rv_dataset_episode(const rv_dataset *dataset, int64_t episode, int64_t *first, int64_t *length);

/* Appends every episode to one of two datasets of the same sizes: to held_out, picked in an order drawn from the
 * seed, the first ones that together hold `fraction` of the steps (at least one episode where there are two
 * and the fraction is above 0; never all of them), to train the others. Errors: as above. */
RV_API rv_status rv_dataset_split(const rv_dataset *dataset, double fraction, uint64_t seed, rv_dataset *train,
                                  rv_dataset *held_out);

/* Writes an NPZ file that NumPy reads (numpy.load): float32 observation and next_observation [steps, columns], action
 * [steps, columns] and reward [steps], and truth values is_first, terminated, truncated [steps]. Equal datasets give
 * equal bytes, and PATH is replaced only once the new file is whole.
 * Errors: INVALID_ARGUMENT (no steps), TOO_LARGE (over 4 GiB), IO_FAILED. */
RV_API rv_status rv_dataset_save(rv_dataset *dataset, const char *path);

/* Makes a dataset from an NPZ file with these arrays, stored or deflated (numpy.savez, numpy.savez_compressed), of
 * either byte order, of bool, integers, float32 or float64; others in the file are not looked at. Rows of one column
 * may be [steps] or [steps, 1]; is_first may be called first, or be missing. Where is_first begins an episode that the
 * step before does not end, that step becomes truncated.
 * On failure *dataset is an empty one that holds the message (NULL only when out of memory), to be destroyed.
 * Errors: NOT_FOUND, IO_FAILED, BAD_FILE (no NPZ, damaged, an array missing, no steps, flags that contradict each other),
 * TYPE_MISMATCH (Python objects and other types), SHAPE_MISMATCH, NON_FINITE (the message names step and array),
 * UNSUPPORTED (encrypted, other compression), TOO_LARGE, OUT_OF_MEMORY. */
RV_API rv_status rv_dataset_load(const char *path, rv_dataset **dataset);
RV_API rv_status rv_dataset_load_memory(const void *bytes, size_t size, rv_dataset **dataset);

#ifdef __cplusplus
}
#endif
#endif
