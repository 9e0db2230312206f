/* agents/replay.c: rings of rows on the device: sizes, memory, counts, checkpoints. */
#include "agents/replay.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const int64_t most_rows = (int64_t)1 << 30; /* so that sums of two indices fit into i32 */

static rv_status keep(char *message, size_t size, rv_status status, const char *format, va_list arguments) {
    char text[400];
    vsnprintf(text, sizeof text, format, arguments);
    snprintf(message, size, "replay: %s", text);
    return status;
}

rv_status rv_replay_fail(rv_replay *replay, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    keep(replay->message, sizeof replay->message, status, format, arguments);
    va_end(arguments);
    return status;
}

size_t rv_replay_element_size(rv_dtype dtype) { return dtype == RV_U8 ? 1 : 4; }

/* ---- sizes ---- */

static int64_t round_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

static rv_status check_field(rv_replay *replay, const rv_replay_field *fields, int i) {
    const rv_replay_field *field = &fields[i];
    if (!field->name || !field->name[0] || strlen(field->name) > RV_REPLAY_NAME_MAX) {
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "field %d needs a name of 1 to %d bytes", i,
                              RV_REPLAY_NAME_MAX);
    }
    const char *const taken[] = {"counters", "first_rows"};
    for (int k = 0; k < 2; k++) {
        if (strcmp(field->name, taken[k]) == 0) {
            return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "no field can be called \"%s\"; a checkpoint has one",
                                  taken[k]);
        }
    }
    for (int k = 0; k < i; k++) {
        if (strcmp(field->name, fields[k].name) == 0) {
            return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "fields %d and %d are both called \"%s\"", k, i,
                                  field->name);
        }
    }
    if (field->dtype != RV_F32 && field->dtype != RV_I32 && field->dtype != RV_U8) {
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "field \"%s\": %d is no type", field->name,
                              (int)field->dtype);
    }
    if (field->cols < 1) {
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "field \"%s\" has %lld columns; 1 or more would fit",
                              field->name, (long long)field->cols);
    }
    return RV_OK;
}

/* Streams, rows of each and the window, from the options. */
static rv_status lay_out(rv_replay *replay, const rv_replay_options *options) {
    replay->streams = options->streams ? options->streams : 1;
    replay->window = options->window;
    int64_t capacity = options->capacity;
    if (replay->streams < 1 || capacity < 1 || options->run_rows < 0 || options->window < 1) {
        return rv_replay_fail(
            replay, RV_INVALID_ARGUMENT,
            "streams %lld, capacity %lld, run_rows %lld, window %lld; capacity and window must be 1 or more, "
            "the others not negative",
            (long long)options->streams, (long long)capacity, (long long)options->run_rows, (long long)options->window);
    }
    if (options->run_rows > 0 && options->run_rows < capacity) capacity = options->run_rows;
    replay->rows = round_up(capacity, replay->streams);
    if (replay->rows < replay->window) replay->rows = replay->window;
    if (replay->rows >= round_up(most_rows, replay->streams)) {
        return rv_replay_fail(replay, RV_TOO_LARGE, "%lld streams of %lld rows; together there must be fewer than 2^30",
                              (long long)replay->streams, (long long)replay->rows);
    }
    return RV_OK;
}

static rv_status describe(rv_replay *replay, const rv_replay_options *given) {
    rv_replay_options options = {0};
    if (!given || given->size == 0)
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "set options.size to sizeof(rv_replay_options)");
    memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (!options.fields || options.field_count < 1 || options.field_count > RV_REPLAY_FIELDS_MAX) {
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "%d fields; 1 to %d would fit",
                              options.fields ? options.field_count : 0, RV_REPLAY_FIELDS_MAX);
    }
    for (int i = 0; i < options.field_count; i++) {
        const rv_replay_field *field = &options.fields[i];
        rv_status status = check_field(replay, options.fields, i);
        if (status != RV_OK) return status;
        rv_replay_part *part = &replay->part[replay->part_count++];
        part->dtype = field->dtype;
        part->cols = field->cols;
        snprintf(part->name, sizeof part->name, "%s", field->name);
        snprintf(part->watched, sizeof part->watched, "replay/%s", field->name);
    }
    return lay_out(replay, &options);
}

rv_status rv_replay_bytes(const rv_replay_options *options, int64_t *bytes) {
    if (!bytes) return RV_INVALID_ARGUMENT;
    rv_replay replay = {0};
    rv_status status = describe(&replay, options);
    if (status != RV_OK) return status;
    const int64_t rows = replay.streams * replay.rows;
    int64_t total = (int64_t)sizeof(int32_t) * (RV_REPLAY_COUNTERS + RV_REPLAY_SIZES + replay.streams + replay.window);
    for (int i = 0; i < replay.part_count; i++) {
        const int64_t row = (int64_t)rv_replay_element_size(replay.part[i].dtype);
        if (replay.part[i].cols > (INT64_MAX - total) / row / rows) return RV_TOO_LARGE;
        total += rows * row * replay.part[i].cols;
    }
    *bytes = total;
    return RV_OK;
}

/* ---- making and destroying ---- */

static rv_status make_array(rv_replay *replay, rv_dtype dtype, int64_t rows, int64_t cols, const char *name,
                            rv_array **array) {
    rv_status status = rv_array_create(replay->device, dtype, rows, cols, name, array);
    if (status == RV_OK) return RV_OK;
    return rv_replay_fail(replay, status, "%s; a smaller capacity takes less",
                          *array ? rv_array_message(*array) : name);
}

static rv_status write_array(rv_replay *replay, rv_array *array, const int32_t *values) {
    rv_status status = rv_array_write(array, 0, rv_array_rows(array), values);
    return status == RV_OK ? RV_OK : rv_replay_fail(replay, status, "%s", rv_array_message(array));
}

/* 0, step, 2 step … */
static rv_status write_multiples(rv_replay *replay, rv_array *array, int64_t step) {
    const int64_t count = rv_array_rows(array);
    int32_t *values = rv_device_resize(replay->device, NULL, (size_t)count * sizeof *values);
    if (!values) return rv_replay_fail(replay, RV_OUT_OF_MEMORY, "no memory for %s", rv_array_name(array));
    for (int64_t i = 0; i < count; i++) values[i] = (int32_t)(i * step);
    rv_status status = write_array(replay, array, values);
    rv_device_resize(replay->device, values, 0);
    return status;
}

static rv_status make_arrays(rv_replay *replay) {
    rv_status status = make_array(replay, RV_I32, 1, RV_REPLAY_COUNTERS, "replay/counters", &replay->counters);
    if (status == RV_OK) status = make_array(replay, RV_I32, 1, RV_REPLAY_SIZES, "replay/sizes", &replay->sizes);
    if (status == RV_OK)
        status = make_array(replay, RV_I32, replay->streams, 1, "replay/first_rows", &replay->first_rows);
    if (status == RV_OK) status = make_array(replay, RV_I32, replay->window, 1, "replay/steps", &replay->steps);
    const int32_t sizes[RV_REPLAY_SIZES] = {
        [RV_REPLAY_ROWS] = (int32_t)replay->rows, [RV_REPLAY_STREAMS] = (int32_t)replay->streams};
    if (status == RV_OK) status = write_array(replay, replay->sizes, sizes);
    if (status == RV_OK) status = write_multiples(replay, replay->first_rows, replay->rows);
    if (status == RV_OK) status = write_multiples(replay, replay->steps, 1);
    for (int i = 0; i < replay->part_count && status == RV_OK; i++) {
        rv_replay_part *part = &replay->part[i];
        status =
            make_array(replay, part->dtype, replay->streams * replay->rows, part->cols, part->watched, &part->array);
    }
    return status;
}

rv_status rv_replay_create(rv_device *device, const rv_replay_options *options, rv_replay **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_replay *replay = *out = rv_device_resize(device, NULL, sizeof *replay);
    if (!replay) return RV_OUT_OF_MEMORY;
    *replay = (rv_replay){.device = device};
    rv_status status = describe(replay, options);
    return status == RV_OK ? make_arrays(replay) : status;
}

void rv_replay_destroy(rv_replay *replay) {
    if (!replay) return;
    rv_replay gone = *replay;
    rv_device_resize(replay->device, replay, 0); /* first: with its last object a closed device goes too */
    for (int i = 0; i < gone.part_count; i++) rv_array_destroy(gone.part[i].array);
    rv_array *const arrays[] = {gone.counters, gone.sizes, gone.first_rows, gone.steps};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) rv_array_destroy(arrays[i]);
}

const char *rv_replay_message(const rv_replay *replay) { return replay ? replay->message : "no replay"; }

/* ---- asking ---- */

int rv_replay_find(const rv_replay *replay, const char *name) {
    for (int i = 0; replay && name && i < replay->part_count; i++) {
        if (strcmp(replay->part[i].name, name) == 0) return i;
    }
    return -1;
}

rv_array *rv_replay_array(rv_replay *replay, int field) {
    return replay && field >= 0 && field < replay->part_count ? replay->part[field].array : NULL;
}

int64_t rv_replay_stream_rows(const rv_replay *replay) { return replay ? replay->rows : 0; }

rv_status rv_replay_read_counters(rv_replay *replay, int32_t counters[RV_REPLAY_COUNTERS]) {
    rv_status status = rv_array_read(replay->counters, 0, 1, counters);
    if (status != RV_OK) return rv_replay_fail(replay, status, "%s", rv_array_message(replay->counters));
    const int32_t next = counters[RV_REPLAY_NEXT], filled = counters[RV_REPLAY_FILLED];
    if (next >= 0 && next < replay->rows && filled >= 0 && filled <= replay->rows) return RV_OK;
    return rv_replay_fail(replay, RV_BAD_FILE, "counters %d and %d lie outside the ring's %lld rows", (int)next,
                          (int)filled, (long long)replay->rows);
}

rv_status rv_replay_filled(rv_replay *replay, int64_t *rows) {
    if (!replay || !rows) return RV_INVALID_ARGUMENT;
    int32_t counters[RV_REPLAY_COUNTERS];
    rv_status status = rv_replay_read_counters(replay, counters);
    if (status == RV_OK) *rows = replay->streams * counters[RV_REPLAY_FILLED];
    return status;
}

rv_status rv_replay_items(rv_replay *replay, int64_t length, int64_t *windows) {
    if (!replay || !windows) return RV_INVALID_ARGUMENT;
    if (length < 1)
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "a window of %lld rows; 1 or more would fit",
                              (long long)length);
    int64_t rows;
    rv_status status = rv_replay_filled(replay, &rows);
    const int64_t filled = status == RV_OK ? rows / replay->streams : 0;
    if (status == RV_OK) *windows = filled < length ? 0 : (filled - length + 1) * replay->streams;
    return status;
}

/* ---- checkpoint ---- */

static rv_status add(rv_replay *replay, rv_checkpoint *checkpoint, const char *prefix, const char *name,
                     rv_array *array) {
    char full[256];
    const int length = snprintf(full, sizeof full, "%s%s", prefix, name);
    if (length < 0 || length >= (int)sizeof full)
        return rv_replay_fail(replay, RV_INVALID_ARGUMENT, "the prefix \"%.40s…\" is too long", prefix);
    rv_status status = rv_checkpoint_add_array(checkpoint, full, array);
    return status == RV_OK ? RV_OK : rv_replay_fail(replay, status, "%.300s", rv_checkpoint_message(checkpoint));
}

rv_status rv_replay_checkpoint(rv_replay *replay, rv_checkpoint *checkpoint, const char *prefix) {
    if (!replay || !checkpoint || !prefix) return RV_INVALID_ARGUMENT;
    rv_status status = add(replay, checkpoint, prefix, "counters", replay->counters);
    if (status == RV_OK) status = add(replay, checkpoint, prefix, "first_rows", replay->first_rows);
    for (int i = 0; i < replay->part_count && status == RV_OK; i++) {
        status = add(replay, checkpoint, prefix, replay->part[i].name, replay->part[i].array);
    }
    return status;
}
