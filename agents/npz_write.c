/* agents/npz_write.c: arrays as a zip file of stored NPY files. The old file stays until the new one is whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "agents/npz.h"

enum { HEADER_SIZE = 128, ARRAYS_MAX = 16, NAME_MAX_SIZE = 64, PATH_SIZE = 4096 };

static rv_status fail(char *message, rv_status status, const char *format, ...) RV_PRINTF(3, 4);
static rv_status fail(char *message, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, RV_NPZ_MESSAGE, format, arguments);
    va_end(arguments);
    return status;
}

static uint8_t *put(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

/* A file that is being written; after the first error nothing more is. */
typedef struct sink {
    int file, error;
    uint64_t offset;
} sink;

static void write_all(sink *s, const void *bytes, uint64_t size) {
    const uint8_t *at = bytes;
    while (size > 0 && !s->error) {
        const ssize_t done = write(s->file, at, size < (1u << 30) ? (size_t)size : (size_t)1 << 30);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            s->error = done < 0 ? errno : EIO;
            return;
        }
        at += done;
        size -= (uint64_t)done;
        s->offset += (uint64_t)done;
    }
}

static uint64_t data_size(const rv_npz_array *a) {
    uint64_t size = (uint64_t)(a->type[1] - '0');
    for (int d = 0; d < a->dims; d++) size *= (uint64_t)a->shape[d];
    return size;
}

/* The NPY header of version 1, padded so that the elements begin at a multiple of 64. */
static void npy_header(const rv_npz_array *a, char header[HEADER_SIZE]) {
    const uint16_t one = 1;
    const bool little = *(const uint8_t *)&one == 1;
    char shape[64];
    if (a->dims == 1) snprintf(shape, sizeof shape, "(%lld,)", (long long)a->shape[0]);
    else snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)a->shape[0], (long long)a->shape[1]);
    memset(header, ' ', HEADER_SIZE);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    put((uint8_t *)header + 8, HEADER_SIZE - 10, 2);
    const int length = snprintf(header + 10, HEADER_SIZE - 10, "{'descr': '%c%s', 'fortran_order': False, 'shape': %s, }",
                                a->type[1] == '1' ? '|' : little ? '<' : '>', a->type, shape);
    header[10 + length] = ' ';
    header[HEADER_SIZE - 1] = '\n';
}

/* What local header and directory share, from the version on; the same bytes whenever they are written. */
static uint8_t *put_common(uint8_t *at, uint32_t checksum, uint64_t size, size_t name) {
    at = put(at, 20, 2);              /* version that can read it */
    at = put(at, 0, 2);               /* flags */
    at = put(at, 0, 2);               /* stored */
    at = put(at, 0, 2);               /* midnight, */
    at = put(at, 1 << 5 | 1, 2);      /* 1980-01-01 */
    at = put(at, checksum, 4);
    at = put(at, size, 4);
    at = put(at, size, 4);
    at = put(at, name, 2);
    return put(at, 0, 2);             /* no extra field */
}

static void write_archive(sink *s, const rv_npz_array *arrays, int count) {
    uint32_t checksum[ARRAYS_MAX];
    uint64_t begin[ARRAYS_MAX];
    char header[HEADER_SIZE], name[NAME_MAX_SIZE + 8];
    uint8_t record[64];
    for (int i = 0; i < count; i++) {
        const uint64_t size = data_size(&arrays[i]);
        npy_header(&arrays[i], header);
        checksum[i] = (uint32_t)crc32_z(crc32_z(0, (const Bytef *)header, HEADER_SIZE), arrays[i].data, (size_t)size);
        begin[i] = s->offset;
        const size_t length = (size_t)snprintf(name, sizeof name, "%s.npy", arrays[i].name);
        uint8_t *end = put_common(put(record, 0x04034b50, 4), checksum[i], size + HEADER_SIZE, length);
        write_all(s, record, (uint64_t)(end - record));
        write_all(s, name, length);
        write_all(s, header, HEADER_SIZE);
        write_all(s, arrays[i].data, size);
    }
    const uint64_t directory = s->offset;
    for (int i = 0; i < count; i++) {
        const size_t length = (size_t)snprintf(name, sizeof name, "%s.npy", arrays[i].name);
        uint8_t *end = put_common(put(put(record, 0x02014b50, 4), 20, 2), checksum[i], data_size(&arrays[i]) + HEADER_SIZE, length);
        end = put(put(put(end, 0, 2), 0, 2), 0, 2); /* no comment, first disk, binary */
        end = put(put(end, 0, 4), begin[i], 4);
        write_all(s, record, (uint64_t)(end - record));
        write_all(s, name, length);
    }
    const uint64_t directory_size = s->offset - directory;
    uint8_t *end = put(put(record, 0x06054b50, 4), 0, 4);
    end = put(put(end, (uint64_t)count, 2), (uint64_t)count, 2);
    end = put(put(put(end, directory_size, 4), directory, 4), 0, 2);
    write_all(s, record, (uint64_t)(end - record));
}

/* The new name is on the disk only with its folder. */
static void sync_folder(const char *path) {
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    char *last = strrchr(folder, '/');
    if (!last) snprintf(folder, sizeof folder, ".");
    else last[last == folder] = '\0';
    const int file = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (file < 0) return;
    fsync(file);
    close(file);
}

rv_status rv_npz_write(const char *path, const rv_npz_array *arrays, int count, char message[RV_NPZ_MESSAGE]) {
    uint64_t total = 0;
    for (int i = 0; i < count; i++) {
        uint64_t size = data_size(&arrays[i]);
        if (size > UINT32_MAX - 65536 || (total += size + 4 * HEADER_SIZE) > UINT32_MAX - 65536) {
            return fail(message, RV_TOO_LARGE, "%.100s: the arrays are over the 4 GiB of an NPZ file: save parts", path);
        }
    }
    char part[PATH_SIZE];
    const int length = snprintf(part, sizeof part, "%s.part-%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof part) return fail(message, RV_IO_FAILED, "the path %.100s... is too long", path);
    unlink(part); /* of an earlier process of that number */
    sink s = {.file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
    if (s.file < 0) return fail(message, RV_IO_FAILED, "%.100s cannot be written: %s", path, strerror(errno));
    write_archive(&s, arrays, count);
    if (!s.error && fsync(s.file) != 0 && errno != EINVAL) s.error = errno; /* EINVAL: nothing to sync there */
    if (close(s.file) != 0 && !s.error) s.error = errno;
    if (!s.error && rename(part, path) != 0) s.error = errno;
    if (s.error) {
        unlink(part);
        return fail(message, RV_IO_FAILED, "%.100s cannot be written: %s", path, strerror(s.error));
    }
    sync_folder(path);
    return RV_OK;
}
