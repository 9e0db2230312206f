/* agents/replay_record.c: appending, sampling and writing back, recorded. */
#include <stdbool.h>
#include <stdio.h>

#include "agents/replay.h"

static rv_tensor counter(rv_graph *graph, rv_replay *replay, int column) {
    return rv_read_part(graph, replay->counters, column, 1, 1);
}

static rv_tensor size_of(rv_graph *graph, rv_replay *replay, int column) {
    return rv_read_part(graph, replay->sizes, column, 1, 1);
}

static void watch(rv_tensor value, const rv_replay_part *part) {
    const char *const name = part->watched;
    if (part->dtype == RV_F32) rv_watch(value, &name, 1);
}

/* ---- appending ---- */

static rv_tensor zeros(rv_graph *graph, int64_t rows, const rv_replay_part *part) {
    return rv_cast(rv_fill(graph, rows, part->cols, 0), part->dtype);
}

/* A row too many or too few would leave the streams unequal. */
static bool fits(rv_graph *graph, const rv_replay *replay, int i, rv_tensor value) {
    if (value.id == 0 || rv_tensor_rows(value) == replay->streams) return true;
    rv_graph_refuse(graph, RV_SHAPE_MISMATCH, "rv_replay_append", "\"%s\" has %lld rows; one a stream, %lld, would fit",
                    replay->part[i].name, (long long)rv_tensor_rows(value), (long long)replay->streams);
    return false;
}

/* By row, so that what the flag forbids is not counted either. */
static void advance(rv_graph *graph, rv_replay *replay, rv_tensor next, rv_tensor filled) {
    rv_tensor rows = size_of(graph, replay, RV_REPLAY_ROWS);
    rv_tensor after[RV_REPLAY_COUNTERS] = {
        [RV_REPLAY_NEXT] = rv_mod(rv_affine(next, 1, 1), rows),
        [RV_REPLAY_FILLED] = rv_min(rv_affine(filled, 1, 1), rows),
    };
    rv_store_rows(replay->counters, rv_concat_cols(after, RV_REPLAY_COUNTERS), rv_affine(next, 0, 0));
}

void rv_replay_append(rv_graph *graph, rv_replay *replay, const rv_tensor *value, int count) {
    if (!graph) return;
    if (!replay || !value || count != replay->part_count) {
        rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_replay_append", "%d values for %d fields", value ? count : 0,
                        replay ? replay->part_count : 0);
        return;
    }
    rv_graph_push(graph, "replay");
    rv_tensor row[RV_REPLAY_FIELDS_MAX];
    for (int i = 0; i < count; i++) {
        if (!fits(graph, replay, i, value[i])) break;
        row[i] = value[i].graph ? value[i] : zeros(graph, replay->streams, &replay->part[i]);
        if (value[i].graph) watch(row[i], &replay->part[i]);
    }
    /* all watched before any is stored: a row is kept whole or not at all */
    rv_tensor next = counter(graph, replay, RV_REPLAY_NEXT), filled = counter(graph, replay, RV_REPLAY_FILLED);
    rv_tensor index = rv_add(rv_read(graph, replay->first_rows), next);
    for (int i = 0; i < count && rv_graph_status(graph) == RV_OK; i++)
        rv_store_rows(replay->part[i].array, row[i], index);
    advance(graph, replay, next, filled);
    rv_graph_pop(graph);
}

/* ---- sampling ---- */

/* The rows of `batch` windows, i32 [length * batch, 1]. */
static rv_tensor draw_rows(rv_graph *graph, rv_replay *replay, rv_tensor state, const char *name, int64_t batch,
                           int64_t length) {
    char stream_name[256], start_name[256];
    snprintf(stream_name, sizeof stream_name, "%s/stream", name);
    snprintf(start_name, sizeof start_name, "%s/start", name);
    rv_tensor rows = size_of(graph, replay, RV_REPLAY_ROWS), streams = size_of(graph, replay, RV_REPLAY_STREAMS);
    rv_tensor filled = counter(graph, replay, RV_REPLAY_FILLED);
    rv_tensor starts = rv_affine(filled, 1, (float)(1 - length));
    const char *const none = "replay/no window is filled";
    rv_watch(rv_log(rv_cast(starts, RV_F32)), &none, 1);

    rv_tensor stream = rv_uniform_index(state, stream_name, 0, 1, batch, streams);
    rv_tensor start = rv_uniform_index(state, start_name, 0, 1, batch, starts);
    /* the oldest row's slot; below 0 where the ring went round */
    rv_tensor oldest = rv_sub(counter(graph, replay, RV_REPLAY_NEXT), filled);
    rv_tensor step = rv_add(rv_read_part(graph, replay->steps, 0, length, 1), oldest);
    rv_tensor slot = rv_mod(rv_add(start, step), rows); /* [length, batch] */
    return rv_reshape(rv_add(slot, rv_mul(stream, rows)), length * batch, 1);
}

rv_replay_batch rv_replay_sample(rv_graph *graph, rv_replay *replay, rv_tensor state, const char *name, int64_t batch,
                                 int64_t length) {
    static const char *const who = "rv_replay_sample";
    rv_replay_batch out = {RV_NONE, {RV_NONE}};
    if (!graph) return out;
    const int64_t most = replay ? replay->window : 0;
    if (!replay || !name || !name[0]) {
        out.rows = rv_graph_refuse(graph, RV_INVALID_ARGUMENT, who, "%s",
                                   replay ? "a draw needs a name" : "the replay is NULL");
    } else if (length < 1 || length > most || batch < 1 || batch > INT32_MAX / length) {
        out.rows = rv_graph_refuse(graph, RV_INVALID_ARGUMENT, who,
                                   "%lld windows of %lld rows; 1 or more windows of 1 to %lld rows would fit",
                                   (long long)batch, (long long)length, (long long)most);
    } else {
        rv_graph_push(graph, "replay");
        out.rows = draw_rows(graph, replay, state, name, batch, length);
        for (int i = 0; i < replay->part_count; i++)
            out.value[i] = rv_gather(rv_read(graph, replay->part[i].array), out.rows);
        rv_graph_pop(graph);
        return out;
    }
    for (int i = 0; i < RV_REPLAY_FIELDS_MAX; i++) out.value[i] = out.rows;
    return out;
}

void rv_replay_write(rv_graph *graph, rv_replay *replay, int field, rv_tensor rows, rv_tensor value) {
    if (!graph) return;
    if (!replay || field < 0 || field >= replay->part_count) {
        rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_replay_write", "no field %d among %d", field,
                        replay ? replay->part_count : 0);
        return;
    }
    const rv_replay_part *part = &replay->part[field];
    rv_graph_push(graph, "replay");
    watch(value, part);
    rv_store_rows(part->array, value, rows);
    rv_graph_pop(graph);
}
