/* agents/replay.h: a replay's own parts, for its three files. */
#ifndef RV_AGENTS_REPLAY_H
#define RV_AGENTS_REPLAY_H

#include "reverie/replay.h"

/* Columns of the counters, i32 [1, 2]: the slot of the ring that is written next, and how many are filled. */
enum { RV_REPLAY_NEXT = 0, RV_REPLAY_FILLED = 1, RV_REPLAY_COUNTERS = 2 };
/* Columns of the sizes, i32 [1, 2], which never change. */
enum { RV_REPLAY_ROWS = 0, RV_REPLAY_STREAMS = 1, RV_REPLAY_SIZES = 2 };

typedef struct rv_replay_part {
    char name[RV_REPLAY_NAME_MAX + 1], watched[RV_REPLAY_NAME_MAX + 16]; /* "replay/NAME" */
    rv_dtype dtype;
    int64_t cols;
    rv_array *array; /* [streams * rows, cols] */
} rv_replay_part;

struct rv_replay {
    rv_device *device;
    int64_t streams, rows, window; /* rows: of a stream */
    int part_count;
    rv_replay_part part[RV_REPLAY_FIELDS_MAX];
    rv_array *counters, *sizes;
    rv_array *first_rows; /* i32 [streams, 1]: where each stream begins */
    rv_array *steps;      /* i32 [window, 1]: 0, 1, 2 … */
    char message[512];
};

/* Keeps a message and returns the status. */
rv_status rv_replay_fail(rv_replay *replay, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

size_t rv_replay_element_size(rv_dtype dtype);
rv_status rv_replay_read_counters(rv_replay *replay, int32_t counters[RV_REPLAY_COUNTERS]);

#endif
