/* agents/replay_host.c: rows and whole episodes from the host. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "agents/replay.h"

enum { BLOCK = 256 }; /* rows at a time */

/* ---- rows ---- */

static rv_status check_finite(rv_replay *replay, int64_t rows, const void *const *value) {
    for (int i = 0; i < replay->part_count; i++) {
        const rv_replay_part *part = &replay->part[i];
        const float *x = part->dtype == RV_F32 ? value[i] : NULL;
        for (int64_t k = 0; x && k < rows * part->cols; k++) {
            if (isfinite(x[k])) continue;
            return rv_replay_fail(replay, RV_NON_FINITE, "row %lld of \"%s\" is NaN or infinite",
                                  (long long)(k / part->cols), part->name);
        }
    }
    return RV_OK;
}

/* Time steps [first, first + count) of one stream into its slots from `slot` on, by way of `block`. */
static rv_status write_run(rv_replay *replay, const rv_replay_part *part, const uint8_t *value, int64_t stream,
                           int64_t first, int64_t count, int64_t slot, uint8_t *block) {
    const size_t row = rv_replay_element_size(part->dtype) * (size_t)part->cols;
    if (!value) memset(block, 0, (size_t)count * row);
    for (int64_t t = 0; value && t < count; t++) {
        memcpy(block + (size_t)t * row, value + (size_t)((first + t) * replay->streams + stream) * row, row);
    }
    rv_status status = rv_array_write(part->array, stream * replay->rows + slot, count, block);
    return status == RV_OK ? RV_OK : rv_replay_fail(replay, status, "%s", rv_array_message(part->array));
}

/* As many time steps as the block and the ring's end allow. */
static rv_status write_steps(rv_replay *replay, const void *const *value, int64_t first, int64_t count, int64_t slot,
                             uint8_t *block) {
    for (int i = 0; i < replay->part_count; i++) {
        for (int64_t stream = 0; stream < replay->streams; stream++) {
            rv_status status = write_run(replay, &replay->part[i], value[i], stream, first, count, slot, block);
            if (status != RV_OK) return status;
        }
    }
    return RV_OK;
}

static size_t widest_row(const rv_replay *replay) {
    size_t widest = 0;
    for (int i = 0; i < replay->part_count; i++) {
        const size_t row = rv_replay_element_size(replay->part[i].dtype) * (size_t)replay->part[i].cols;
        if (row > widest) widest = row;
    }
    return widest;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

rv_status rv_replay_append_rows(rv_replay *replay, int64_t count, const void *const *value) {
    if (!replay) return RV_INVALID_ARGUMENT;
    if (!value || count < 0 || count > INT64_MAX / replay->streams)
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "no values, or %lld rows", (long long)count);
    int32_t counters[RV_REPLAY_COUNTERS];
    rv_status status = check_finite(replay, count * replay->streams, value);
    if (status == RV_OK) status = rv_replay_read_counters(replay, counters);
    if (status != RV_OK) return status;
    uint8_t *block = rv_device_resize(replay->device, NULL, BLOCK * widest_row(replay));
    if (!block) return rv_replay_fail(replay, RV_OUT_OF_MEMORY, "no memory for a block of rows");
    int64_t slot = counters[RV_REPLAY_NEXT], filled = counters[RV_REPLAY_FILLED];
    for (int64_t first = 0, some; first < count && status == RV_OK; first += some) {
        some = least(least(count - first, BLOCK), replay->rows - slot);
        status = write_steps(replay, value, first, some, slot, block);
        slot = (slot + some) % replay->rows;
        filled = least(filled + some, replay->rows);
    }
    rv_device_resize(replay->device, block, 0);
    if (status != RV_OK) return status;
    counters[RV_REPLAY_NEXT] = (int32_t)slot;
    counters[RV_REPLAY_FILLED] = (int32_t)filled;
    status = rv_array_write(replay->counters, 0, 1, counters);
    return status == RV_OK ? RV_OK : rv_replay_fail(replay, status, "%s", rv_array_message(replay->counters));
}

/* ---- episodes ---- */

typedef enum column { OBSERVATION, ACTION, REWARD, IS_FIRST, IS_LAST, IS_TERMINAL, COLUMNS } column;
static const char *const column_names[] = {"observation", "action", "reward", "is_first", "is_last", "is_terminal"};
_Static_assert(sizeof column_names / sizeof *column_names == COLUMNS, "a name each");

typedef struct writer {
    rv_replay *replay;
    const rv_transitions *from;
    float *block[COLUMNS]; /* [BLOCK, width]; NULL: the replay has no such field */
    int64_t width[COLUMNS];
    const void *value[RV_REPLAY_FIELDS_MAX]; /* the blocks by field */
    int64_t rows;
} writer;

static rv_status check_columns(writer *w) {
    for (int c = 0; c < COLUMNS; c++) {
        w->width[c] = c == OBSERVATION ? w->from->observation_size : c == ACTION ? w->from->action_size : 1;
        const int field = rv_replay_find(w->replay, column_names[c]);
        if (field < 0 && c == OBSERVATION)
            return rv_replay_fail(w->replay, RV_NOT_FOUND, "episodes need a field \"observation\"");
        if (field < 0) continue;
        const rv_replay_part *part = &w->replay->part[field];
        if (part->dtype != RV_F32)
            return rv_replay_fail(w->replay, RV_TYPE_MISMATCH, "\"%s\" must be f32 to take episodes", part->name);
        if (part->cols != w->width[c]) {
            return rv_replay_fail(w->replay, RV_SHAPE_MISMATCH, "\"%s\" has %lld columns, the episodes' %lld",
                                  part->name, (long long)part->cols, (long long)w->width[c]);
        }
    }
    return RV_OK;
}

static rv_status make_blocks(writer *w) {
    for (int c = 0; c < COLUMNS; c++) {
        const int field = rv_replay_find(w->replay, column_names[c]);
        if (field < 0) continue;
        w->block[c] = rv_device_resize(w->replay->device, NULL, BLOCK * (size_t)w->width[c] * sizeof(float));
        if (!w->block[c]) return rv_replay_fail(w->replay, RV_OUT_OF_MEMORY, "no memory for a block of rows");
        w->value[field] = w->block[c];
    }
    return RV_OK;
}

static rv_status check_transitions(writer *w) {
    const rv_transitions *from = w->from;
    const float *const part[] = {from->observation, from->action, from->reward, from->next_observation};
    const int64_t width[] = {from->observation_size, from->action_size, 1, from->observation_size};
    for (int i = 0; i < 4; i++) {
        if (!part[i] && from->steps > 0)
            return rv_replay_fail(w->replay, RV_INVALID_ARGUMENT, "the episodes lack an array");
        for (int64_t k = 0; k < from->steps * width[i]; k++) {
            if (isfinite(part[i][k])) continue;
            return rv_replay_fail(w->replay, RV_NON_FINITE, "step %lld of the episodes is NaN or infinite",
                                  (long long)(k / width[i]));
        }
    }
    return RV_OK;
}

static void put(writer *w, column c, int64_t at, const float *values) {
    if (!w->block[c]) return;
    float *row = w->block[c] + at * w->width[c];
    if (values) memcpy(row, values, (size_t)w->width[c] * sizeof *row);
    else memset(row, 0, (size_t)w->width[c] * sizeof *row);
}

static rv_status flush(writer *w, int64_t count) { return rv_replay_append_rows(w->replay, count, w->value); }

typedef struct seen {
    const float *observation, *action, *reward; /* NULL: zeros */
    float first, last, terminal;
} seen;

static rv_status add_row(writer *w, const seen *row) {
    const int64_t at = w->rows++ % BLOCK;
    put(w, OBSERVATION, at, row->observation);
    put(w, ACTION, at, row->action);
    put(w, REWARD, at, row->reward);
    put(w, IS_FIRST, at, &row->first);
    put(w, IS_LAST, at, &row->last);
    put(w, IS_TERMINAL, at, &row->terminal);
    return at + 1 == BLOCK ? flush(w, BLOCK) : RV_OK;
}

static bool flagged(const uint8_t *flags, int64_t t) { return flags && flags[t]; }

static rv_status add_step(writer *w, int64_t t) {
    const rv_transitions *from = w->from;
    const bool first =
        t == 0 || flagged(from->first, t) || flagged(from->terminated, t - 1) || flagged(from->truncated, t - 1);
    const bool terminal = flagged(from->terminated, t);
    const bool last = terminal || flagged(from->truncated, t) || t + 1 == from->steps || flagged(from->first, t + 1);
    const seen now = {.observation = from->observation + t * from->observation_size,
                      .action = from->action + t * from->action_size,
                      .reward = first ? NULL : from->reward + t - 1,
                      .first = first ? 1.0f : 0.0f};
    rv_status status = add_row(w, &now);
    if (!last || status != RV_OK) return status;
    const seen end = {.observation = from->next_observation + t * from->observation_size,
                      .reward = from->reward + t,
                      .last = 1,
                      .terminal = terminal ? 1.0f : 0.0f};
    return add_row(w, &end);
}

rv_status rv_replay_append_episodes(rv_replay *replay, const rv_transitions *episodes, int64_t *rows) {
    if (!replay) return RV_INVALID_ARGUMENT;
    if (!episodes || episodes->steps < 0) return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "there are no episodes");
    if (replay->streams != 1) {
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT,
                              "episodes go into a replay of one stream, and this one has %lld",
                              (long long)replay->streams);
    }
    writer w = {.replay = replay, .from = episodes};
    rv_status status = check_columns(&w);
    if (status == RV_OK) status = check_transitions(&w);
    if (status == RV_OK) status = make_blocks(&w);
    for (int64_t t = 0; t < episodes->steps && status == RV_OK; t++) status = add_step(&w, t);
    if (status == RV_OK && w.rows % BLOCK) status = flush(&w, w.rows % BLOCK);
    for (int c = 0; c < COLUMNS; c++) rv_device_resize(replay->device, w.block[c], 0);
    if (rows) *rows = status == RV_OK ? w.rows : 0;
    return status;
}
