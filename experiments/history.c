/* experiments/history.c: rows of metrics, and JSON lines. */
#include "experiments/history.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/json_out.h"
#include "experiments/program.h"

void history_free(history *h) {
    free(h->step);
    free(h->time);
    for (int m = 0; m < h->metric_count; m++) free(h->value[m]);
    *h = (history){0};
}

bool history_name(history *h, const char *const *names, int count) {
    if (count > HISTORY_METRICS) return false;
    h->metric_count = count;
    for (int m = 0; m < count; m++) snprintf(h->name[m], sizeof h->name[m], "%s", names[m]);
    return true;
}

static bool grow(double **rows, int64_t capacity) {
    double *larger = realloc(*rows, (size_t)capacity * sizeof **rows);
    if (larger) *rows = larger;
    return larger != NULL;
}

bool history_add(history *h, int64_t step, double seconds, const float *values) {
    if (h->count == h->capacity) {
        int64_t capacity = h->capacity ? 2 * h->capacity : 256;
        if (!grow(&h->step, capacity) || !grow(&h->time, capacity)) return false;
        for (int m = 0; m < h->metric_count; m++) {
            if (!grow(&h->value[m], capacity)) return false;
        }
        h->capacity = capacity;
    }
    h->step[h->count] = (double)step;
    h->time[h->count] = seconds;
    for (int m = 0; m < h->metric_count; m++) h->value[m][h->count] = (double)values[m];
    h->seconds = seconds;
    h->count++;
    return true;
}

void history_write_last(const history *h, FILE *file) {
    json_out line = json_out_begin(file, false);
    json_out_whole(&line, "step", (int64_t)h->step[h->count - 1]);
    json_out_number(&line, "seconds", h->seconds);
    for (int m = 0; m < h->metric_count; m++) json_out_number(&line, h->name[m], h->value[m][h->count - 1]);
    json_out_end(&line);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static bool take_names(history *h, json_t *row) {
    const char *key, *names[HISTORY_METRICS];
    json_t *value;
    int count = 0;
    json_object_foreach(row, key, value) {
        if (strcmp(key, "step") == 0 || strcmp(key, "seconds") == 0) continue;
        if (count == HISTORY_METRICS || strlen(key) >= sizeof h->name[0]) return false;
        names[count++] = key;
    }
    return history_name(h, names, count);
}

/* 1: added, 0: beyond `last`, -1: no line of metrics. */
static int take_row(history *h, json_t *row, int64_t last) {
    float values[HISTORY_METRICS];
    json_t *step = json_object_get(row, "step"), *seconds = json_object_get(row, "seconds");
    if (!json_is_integer(step) || !json_is_number(seconds)) return -1;
    if (last >= 0 && json_integer_value(step) > last) return 0;
    if (h->count == 0 && !take_names(h, row)) return -1;
    for (int m = 0; m < h->metric_count; m++) {
        json_t *value = json_object_get(row, h->name[m]);
        if (!json_is_number(value) && !json_is_null(value)) return -1;
        values[m] = json_is_null(value) ? NAN : (float)json_number_value(value);
    }
    return history_add(h, json_integer_value(step), json_number_value(seconds), values) ? 1 : -1;
}

static int read_lines(history *h, FILE *file, const char *path, int64_t last, int64_t *offset) {
    char *line = NULL;
    size_t size = 0;
    int code = EXIT_OK, number = 0;
    ssize_t length;
    while (code == EXIT_OK && (length = getline(&line, &size, file)) > 0 && line[length - 1] == '\n') {
        number++;
        json_t *row = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
        int taken = row ? take_row(h, row, last) : -1;
        json_decref(row);
        if (taken < 0) {
            code = program_fail(EXIT_IO, "%s:%d: no line of metrics; --fresh begins the run anew", path, number);
        }
        if (taken <= 0) break;
        *offset += length;
    }
    free(line);
    return code;
}

int history_read(history *h, const char *path, int64_t last, int64_t *offset) {
    *offset = 0;
    FILE *file = fopen(path, "re");
    if (!file) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    int code = read_lines(h, file, path, last, offset);
    fclose(file);
    return code;
}
