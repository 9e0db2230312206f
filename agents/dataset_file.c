/* agents/dataset_file.c: datasets as NPZ files, written for NumPy and read from it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/internal.h"
#include "agents/npz.h"

rv_status rv_dataset_save(rv_dataset *dataset, const char *path) {
    if (!dataset) return RV_INVALID_ARGUMENT;
    const rv_transitions t = rv_dataset_transitions(dataset);
    if (!path) return rv_dataset_fail(dataset, RV_INVALID_ARGUMENT, "save: no path given");
    if (t.steps == 0) return rv_dataset_fail(dataset, RV_INVALID_ARGUMENT, "save: there are no steps to write");
    const rv_npz_array arrays[] = {
        {"observation", "f4", 2, {t.steps, t.observation_size}, t.observation},
        {"action", "f4", 2, {t.steps, t.action_size}, t.action},
        {"reward", "f4", 1, {t.steps}, t.reward},
        {"next_observation", "f4", 2, {t.steps, t.observation_size}, t.next_observation},
        {"is_first", "b1", 1, {t.steps}, t.first},
        {"terminated", "b1", 1, {t.steps}, t.terminated},
        {"truncated", "b1", 1, {t.steps}, t.truncated},
    };
    char message[RV_NPZ_MESSAGE];
    rv_status status = rv_npz_write(path, arrays, sizeof arrays / sizeof *arrays, message);
    return status == RV_OK ? RV_OK : rv_dataset_fail(dataset, status, "%s", message);
}

/* ---- reading -------------------------------------------------------------------------------------------- */

enum { OBSERVATION, ACTION, REWARD, NEXT, TERMINATED, TRUNCATED, FIRST, ARRAY_COUNT };
static const char *const array_names[] = {"observation", "action", "reward", "next_observation", "terminated", "truncated", "is_first"};
_Static_assert(sizeof array_names / sizeof *array_names == ARRAY_COUNT, "one name an array");

typedef struct file {
    rv_npz npz;
    rv_npy array[ARRAY_COUNT];
    int64_t steps, columns[ARRAY_COUNT];
    char message[RV_NPZ_MESSAGE];
} file;

static rv_status fail(file *f, rv_status status, const char *format, ...) RV_PRINTF(3, 4);
static rv_status fail(file *f, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->message, sizeof f->message, format, arguments);
    va_end(arguments);
    return status;
}

/* [steps] or [steps, columns]. */
static rv_status check_shape(file *f, int which) {
    const rv_npy *a = &f->array[which];
    const char *name = array_names[which];
    if (a->dims < 1 || a->dims > 2) return fail(f, RV_SHAPE_MISMATCH, "%s has %d dimensions; [steps, columns] is read", name, a->dims);
    if (which == OBSERVATION) f->steps = a->shape[0];
    if (f->steps == 0) return fail(f, RV_BAD_FILE, "it holds no steps");
    if (a->shape[0] != f->steps) {
        return fail(f, RV_SHAPE_MISMATCH, "%s has %lld rows, observation has %lld", name, (long long)a->shape[0], (long long)f->steps);
    }
    f->columns[which] = a->dims == 2 ? a->shape[1] : 1;
    const int64_t wanted = which == OBSERVATION || which == ACTION ? f->columns[which] : which == NEXT ? f->columns[OBSERVATION] : 1;
    if (f->columns[which] != wanted || wanted < 1) {
        return fail(f, RV_SHAPE_MISMATCH, "%s has %lld columns instead of %lld", name, (long long)f->columns[which], (long long)(wanted < 1 ? 1 : wanted));
    }
    return RV_OK;
}

static rv_status read_arrays(file *f) {
    for (int which = 0; which < ARRAY_COUNT; which++) {
        rv_status status = rv_npz_read(&f->npz, array_names[which], &f->array[which], f->message);
        if (status == RV_NOT_FOUND && which == FIRST) {
            status = rv_npz_read(&f->npz, "first", &f->array[which], f->message);
            if (status == RV_NOT_FOUND) break; /* episodes then begin where one ended */
        }
        if (status == RV_NOT_FOUND) {
            char names[100];
            rv_npz_names(&f->npz, names, sizeof names);
            return fail(f, RV_BAD_FILE, "it is no dataset: \"%s\" is missing; it holds: %s", array_names[which], names[0] ? names : "nothing");
        }
        if (status == RV_OK) status = check_shape(f, which);
        if (status != RV_OK) return status;
    }
    return RV_OK;
}

/* 0, 1, or -1 where it is neither; -1 as well where there is no such array. */
static int flag_at(const file *f, int which, int64_t step) {
    if (!f->array[which].data) return -1;
    const double value = rv_npy_value(&f->array[which], step, 0);
    return value == 0.0 ? 0 : value == 1.0 ? 1 : -1;
}

static rv_status append_step(file *f, rv_dataset *dataset, int64_t step, float *observation, float *next, float *action) {
    for (int64_t c = 0; c < f->columns[OBSERVATION]; c++) {
        observation[c] = (float)rv_npy_value(&f->array[OBSERVATION], step, c);
        next[c] = (float)rv_npy_value(&f->array[NEXT], step, c);
    }
    for (int64_t c = 0; c < f->columns[ACTION]; c++) action[c] = (float)rv_npy_value(&f->array[ACTION], step, c);
    const int terminated = flag_at(f, TERMINATED, step), truncated = flag_at(f, TRUNCATED, step);
    if (terminated < 0 || truncated < 0) {
        return fail(f, RV_BAD_FILE, "step %lld: %s is neither 0 nor 1", (long long)step, terminated < 0 ? "terminated" : "truncated");
    }
    if (f->array[FIRST].data) {
        const int first = flag_at(f, FIRST, step);
        const rv_transitions t = rv_dataset_transitions(dataset);
        const bool after_end = step == 0 || t.terminated[step - 1] || t.truncated[step - 1];
        if (first < 0 || (first == 0 && after_end)) {
            return fail(f, RV_BAD_FILE, first < 0 ? "step %lld: is_first is neither 0 nor 1" : "step %lld: an episode begins here, and is_first is 0", (long long)step);
        }
        if (first && !after_end) rv_dataset_cut(dataset); /* cut without a mark */
    }
    const rv_transition transition = {observation, action, (float)rv_npy_value(&f->array[REWARD], step, 0), next, terminated, truncated};
    rv_status status = rv_dataset_append(dataset, &transition);
    return status == RV_OK ? RV_OK : fail(f, status, "%s", rv_dataset_message(dataset));
}

static rv_status append_all(file *f, rv_dataset *dataset) {
    const size_t o = (size_t)f->columns[OBSERVATION], a = (size_t)f->columns[ACTION];
    float *row = malloc((2 * o + a) * sizeof *row);
    rv_status status = row ? RV_OK : fail(f, RV_OUT_OF_MEMORY, "no memory for a row of %zu columns", 2 * o + a);
    for (int64_t s = 0; status == RV_OK && s < f->steps; s++) status = append_step(f, dataset, s, row, row + o, row + 2 * o);
    free(row);
    return status;
}

/* Makes *dataset of the file's sizes and fills it, or an empty one with the message. */
static rv_status build(file *f, rv_status status, const char *path, rv_dataset **dataset) {
    if (status == RV_OK) {
        status = rv_dataset_create(f->columns[OBSERVATION], f->columns[ACTION], dataset);
        if (!*dataset) return status;
        if (status != RV_OK) fail(f, status, "%s", rv_dataset_message(*dataset));
        else status = append_all(f, *dataset);
    }
    if (status == RV_OK) return RV_OK;
    if (!*dataset && rv_dataset_create(1, 1, dataset) != RV_OK) return RV_OUT_OF_MEMORY;
    rv_dataset_clear(*dataset);
    return path ? rv_dataset_fail(*dataset, status, "%.100s: %s", path, f->message) : rv_dataset_fail(*dataset, status, "%s", f->message);
}

static rv_status load(const void *bytes, size_t size, const char *path, rv_dataset **dataset) {
    file f = {.message = ""};
    rv_status status = rv_npz_open(&f.npz, bytes, size, f.message);
    if (status == RV_OK) status = read_arrays(&f);
    status = build(&f, status, path, dataset);
    for (int which = 0; which < ARRAY_COUNT; which++) rv_npy_release(&f.array[which]);
    return status;
}

rv_status rv_dataset_load_memory(const void *bytes, size_t size, rv_dataset **dataset) {
    if (!dataset || (!bytes && size)) return RV_INVALID_ARGUMENT;
    *dataset = NULL;
    return load(bytes, size, NULL, dataset);
}

/* A large file of another kind, or a hole in a disk, is not worth the memory. */
static rv_status look_at_tail(file *f, int handle, size_t size) {
    if (size < (64u << 20)) return RV_OK;
    uint8_t *tail = malloc(RV_NPZ_TAIL);
    if (!tail) return fail(f, RV_OUT_OF_MEMORY, "no memory");
    const ssize_t got = pread(handle, tail, RV_NPZ_TAIL, (off_t)(size - RV_NPZ_TAIL));
    const bool zip = got == RV_NPZ_TAIL && rv_npz_ends(tail, RV_NPZ_TAIL);
    free(tail);
    return zip ? RV_OK : fail(f, RV_BAD_FILE, "it is no NPZ file: a zip archive ends otherwise");
}

/* The whole file in memory, to be freed. */
static rv_status read_file(file *f, const char *path, uint8_t **bytes, size_t *size) {
    const int handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe does not make us wait */
    struct stat info;
    if (handle < 0 || fstat(handle, &info) != 0) {
        rv_status status = fail(f, errno == ENOENT ? RV_NOT_FOUND : RV_IO_FAILED, "%s", strerror(errno));
        if (handle >= 0) close(handle);
        return status;
    }
    rv_status status = S_ISREG(info.st_mode) ? RV_OK : fail(f, RV_BAD_FILE, "it is no file");
    *size = status == RV_OK ? (size_t)info.st_size : 0;
    if (status == RV_OK) status = look_at_tail(f, handle, *size);
    *bytes = status == RV_OK ? malloc(*size ? *size : 1) : NULL;
    if (status == RV_OK && !*bytes) status = fail(f, RV_OUT_OF_MEMORY, "no memory for its %zu bytes", *size);
    for (size_t done = 0; status == RV_OK && done < *size;) {
        const ssize_t got = read(handle, *bytes + done, *size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = fail(f, RV_IO_FAILED, "%s", strerror(errno));
        if (got == 0) status = fail(f, RV_IO_FAILED, "it became shorter while it was read");
        if (got > 0) done += (size_t)got;
    }
    close(handle);
    return status;
}

rv_status rv_dataset_load(const char *path, rv_dataset **dataset) {
    if (!dataset || !path) return RV_INVALID_ARGUMENT;
    *dataset = NULL;
    file f = {.message = ""};
    uint8_t *bytes = NULL;
    size_t size = 0;
    rv_status status = read_file(&f, path, &bytes, &size);
    status = status == RV_OK ? load(bytes, size, path, dataset) : build(&f, status, path, dataset);
    free(bytes);
    return status;
}
