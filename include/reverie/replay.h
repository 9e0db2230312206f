/* reverie/replay.h: what an agent has seen, on the device, drawn again in windows.
 *
 *     rv_replay_field fields[] = {{"observation", RV_F32, 5}, {"action", RV_F32, 1}, {"is_first", RV_F32, 1},
 *                                 {"deter", RV_F32, D}};
 *     rv_replay_options options = {.size = sizeof options, .fields = fields, .field_count = 4, .streams = 16,
 *                                  .capacity = 1000000, .run_rows = 500000, .window = 65};
 *     rv_replay_create(device, &options, &replay);
 *
 *     rv_tensor row[4] = {observation, action, is_first, deter};   // [16, C]: one row a stream
 *     rv_replay_append(acting, replay, row, 4);
 *     ...
 *     rv_replay_batch batch = rv_replay_sample(training, replay, noise, "replay", B, 65);
 *     rv_tensor seen = batch.value[0];                             // [65 B, 5], time-major
 *     rv_replay_write(training, replay, 3, batch.rows, latents);   // into the rows they came from
 *
 * Every stream (an environment, say) is a ring of rows in the order of time; all streams are appended to at once and
 * are equally long. A window is L rows in a row of one stream, and never goes across the place where the ring is being
 * written. It may go across the end of an episode: is_first and the like are fields like any other.
 *
 * Sampling is uniform: each window of a batch is drawn apart, with replacement, its stream among N and its first row
 * among the F - L + 1 possible ones, F the rows filled of a stream. Both draws are floor(bits n / 2^32), so that no two
 * windows' probabilities differ by more than a share of (N + F) / 2^32. (DreamerV3 draws the newest rows first, from an
 * "online queue"; there is none here.)
 *
 * Counters lie on the device and the plans themselves advance them. A value that is NaN or infinite sets the device's
 * flag (rv_watch) as "replay/FIELD", and from then on nothing is appended, counted or written.
 */
#ifndef REVERIE_REPLAY_H
#define REVERIE_REPLAY_H

#include "reverie/checkpoint.h"
#include "reverie/dataset.h"
#include "reverie/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_replay rv_replay;

enum { RV_REPLAY_FIELDS_MAX = 16, RV_REPLAY_NAME_MAX = 63 };

typedef struct rv_replay_field {
    const char *name; /* 1 to RV_REPLAY_NAME_MAX bytes */
    rv_dtype dtype;
    int64_t cols; /* 1 or more */
} rv_replay_field;

typedef struct rv_replay_options {
    size_t size; /* sizeof(rv_replay_options) */
    const rv_replay_field *fields;
    int field_count;  /* 1 to RV_REPLAY_FIELDS_MAX */
    int64_t streams;  /* 0: 1 */
    int64_t capacity; /* rows, over all streams; each has capacity / streams of them, rounded up */
    int64_t run_rows; /* 0: not known; else what the run will append at most: there is no more room than that */
    int64_t window;   /* the longest window to be sampled; each stream has room for one at least */
} rv_replay_options;

/* What rv_replay_create will allocate on the device (on cpu:double twice as much where f32 is concerned).
 * Errors: INVALID_ARGUMENT, TOO_LARGE (2^30 rows or more). */
RV_API rv_status rv_replay_bytes(const rv_replay_options *options, int64_t *bytes);

/* Allocates all of it, zeroed. On failure *replay still holds the message and must be destroyed (NULL only when not
 * even that much memory was there). Errors: as above, OUT_OF_MEMORY. */
RV_API rv_status rv_replay_create(rv_device *device, const rv_replay_options *options, rv_replay **replay);
RV_API void rv_replay_destroy(rv_replay *replay); /* NULL is fine */
RV_API const char *rv_replay_message(const rv_replay *replay);

/* The index of a field by its name, or -1; its array [streams * rows of a stream, cols], stream after stream. */
RV_API int rv_replay_find(const rv_replay *replay, const char *name);
RV_API rv_array *rv_replay_array(rv_replay *replay, int field);

/* How many rows a stream has room for. */
RV_API int64_t rv_replay_stream_rows(const rv_replay *replay);

/* Rows that are filled, over all streams, and windows of `length` rows among them. Both wait for the device. */
RV_API rv_status rv_replay_filled(rv_replay *replay, int64_t *rows);
RV_API rv_status rv_replay_items(rv_replay *replay, int64_t length, int64_t *windows);

/* ---- recorded ------------------------------------------------------------------------------------------------------
 * Mistakes poison the graph (graph.h): shapes, a wrong number of values, a window longer than options.window. */

/* Appends one row to every stream: value[i] [streams, cols] of field i, all fields in order; RV_NONE: zeros. */
RV_API void rv_replay_append(rv_graph *graph, rv_replay *replay, const rv_tensor *value, int count);

/* Draws `batch` windows of `length` rows by the noise `state` under `name` (random.h; rv_random_advance is the
 * caller's). Row t * batch + b of the result is step t of window b. With no whole window filled yet the flag is set as
 * "replay/no window is filled": ask rv_replay_items before. */
typedef struct rv_replay_batch {
    rv_tensor rows;                        /* i32 [length * batch, 1]: where they stand in the fields' arrays */
    rv_tensor value[RV_REPLAY_FIELDS_MAX]; /* [length * batch, cols], one a field; what is not used is not read */
} rv_replay_batch;
RV_API rv_replay_batch rv_replay_sample(rv_graph *graph, rv_replay *replay, rv_tensor state, const char *name,
                                        int64_t batch, int64_t length);

/* Writes value [R, cols] of one field into rows [R, 1] of an earlier sample, or a slice of them: latents that were
 * made anew. Where a row is named twice the last one wins. In the plan that sampled them, or in one run before
 * further rows are appended: after that a row may hold something else. */
RV_API void rv_replay_write(rv_graph *graph, rv_replay *replay, int field, rv_tensor rows, rv_tensor value);

/* ---- from the host ------------------------------------------------------------------------------------------------
 * These wait. Where a device or its memory fails the oldest rows may be gone; after any other error nothing has
 * changed. */

/* Appends `count` rows to every stream: value[i] [count * streams, cols] in the field's type, time-major as recorded
 * rows are; NULL: zeros. Errors: INVALID_ARGUMENT, NON_FINITE (the message names field and row). */
RV_API rv_status rv_replay_append_rows(rv_replay *replay, int64_t count, const void *const *value);

/* Appends whole episodes, one after the other, to a replay of one stream. An episode of n steps becomes n + 1 rows:
 * what was seen, the action taken there (zeros at the end), the reward that arrived with what was seen (0 at the
 * start). Fields are found by name, all f32: observation, action, reward, is_first, is_last, is_terminal; others become
 * zeros. *rows, where it is not NULL, is how many. Errors: INVALID_ARGUMENT (more than one stream), NOT_FOUND (no field
 * "observation"), SHAPE_MISMATCH, TYPE_MISMATCH (a field that is not f32), NON_FINITE, OUT_OF_MEMORY. */
RV_API rv_status rv_replay_append_episodes(rv_replay *replay, const rv_transitions *episodes, int64_t *rows);

/* Adds all of it to a checkpoint under prefix + a field's name, prefix + "counters" and prefix + "first_rows" (which
 * tells the number of streams). After a load into a replay of the same options everything goes on, to the bit. */
RV_API rv_status rv_replay_checkpoint(rv_replay *replay, rv_checkpoint *checkpoint, const char *prefix);

#ifdef __cplusplus
}
#endif
#endif
