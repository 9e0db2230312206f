/* agents/npz_read.c: the zip directory, and inflating what it names. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "agents/npz.h"

static rv_status fail(char *message, rv_status status, const char *format, ...) RV_PRINTF(3, 4);
static rv_status fail(char *message, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, RV_NPZ_MESSAGE, format, arguments);
    va_end(arguments);
    return status;
}

static uint64_t number(const uint8_t *at, int bytes) { /* zip is little-endian */
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

_Static_assert(RV_NPZ_TAIL == 22 + 65535, "the end record and the longest comment");
enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };
enum { SIGNATURE_END = 0x06054b50, SIGNATURE_LOCATOR = 0x07064b50, SIGNATURE_END64 = 0x06064b50, SIGNATURE_ENTRY = 0x02014b50, SIGNATURE_LOCAL = 0x04034b50 };

/* ---- the directory -------------------------------------------------------------------------------------- */

/* Where the end record begins, or SIZE_MAX: the last one whose comment ends with the file. */
static size_t find_end(const uint8_t *bytes, size_t size) {
    for (size_t back = END_SIZE; back <= size && back <= END_SIZE + 65535; back++) {
        const uint8_t *at = bytes + size - back;
        if (number(at, 4) == SIGNATURE_END && number(at + 20, 2) == back - END_SIZE) return size - back;
    }
    return SIZE_MAX;
}

bool rv_npz_ends(const uint8_t *tail, size_t size) { return find_end(tail, size) != SIZE_MAX; }

/* One entry of the directory. */
typedef struct entry {
    const uint8_t *name;
    size_t name_size, next; /* offset of the entry behind */
    int flags, method;
    uint32_t checksum;
    uint64_t packed, unpacked, local;
} entry;

/* The sizes that did not fit into 32 bits, in their order. */
static bool read_zip64(entry *e, const uint8_t *extra, size_t size) {
    uint64_t *const values[] = {&e->unpacked, &e->packed, &e->local};
    for (size_t at = 0; at + 4 <= size;) {
        const size_t id = (size_t)number(extra + at, 2), length = (size_t)number(extra + at + 2, 2);
        if (length > size - at - 4) return false;
        size_t from = at + 4, end = from + length;
        for (int v = 0; id == 1 && v < 3; v++) {
            if (*values[v] != UINT32_MAX) continue;
            if (end - from < 8) return false;
            *values[v] = number(extra + from, 8);
            from += 8;
        }
        if (id == 1) return true;
        at = end;
    }
    return false;
}

static bool read_entry(const rv_npz *npz, size_t at, entry *e) {
    const uint8_t *b = npz->bytes + at;
    const size_t left = npz->directory + npz->directory_size - at;
    if (left < ENTRY_SIZE || number(b, 4) != SIGNATURE_ENTRY) return false;
    const size_t name = (size_t)number(b + 28, 2), extra = (size_t)number(b + 30, 2), comment = (size_t)number(b + 32, 2);
    if (name + extra + comment > left - ENTRY_SIZE) return false;
    *e = (entry){.name = b + ENTRY_SIZE, .name_size = name, .next = at + ENTRY_SIZE + name + extra + comment,
                 .flags = (int)number(b + 8, 2), .method = (int)number(b + 10, 2), .checksum = (uint32_t)number(b + 16, 4),
                 .packed = number(b + 20, 4), .unpacked = number(b + 24, 4), .local = number(b + 42, 4)};
    if (e->packed == UINT32_MAX || e->unpacked == UINT32_MAX || e->local == UINT32_MAX) return read_zip64(e, b + ENTRY_SIZE + name, extra);
    return true;
}

static rv_status read_end(rv_npz *npz, char *message) {
    const size_t end = find_end(npz->bytes, npz->size);
    if (end == SIZE_MAX) return fail(message, RV_BAD_FILE, "it is no NPZ file: a zip archive ends otherwise");
    const uint8_t *b = npz->bytes + end;
    uint64_t count = number(b + 10, 2), size = number(b + 12, 4), offset = number(b + 16, 4), limit = end;
    if (count == UINT16_MAX || size == UINT32_MAX || offset == UINT32_MAX) {
        if (end < LOCATOR_SIZE || number(b - LOCATOR_SIZE, 4) != SIGNATURE_LOCATOR) return fail(message, RV_BAD_FILE, "its zip directory is damaged");
        limit = number(b - LOCATOR_SIZE + 8, 8);
        if (end < LOCATOR_SIZE + END64_SIZE || limit > end - LOCATOR_SIZE - END64_SIZE || number(npz->bytes + limit, 4) != SIGNATURE_END64) {
            return fail(message, RV_BAD_FILE, "its zip directory is damaged");
        }
        count = number(npz->bytes + limit + 32, 8);
        size = number(npz->bytes + limit + 40, 8);
        offset = number(npz->bytes + limit + 48, 8);
    }
    if (offset > limit || size > limit - offset) return fail(message, RV_BAD_FILE, "its zip directory lies outside of the file");
    if (count > RV_NPZ_ENTRIES_MAX) return fail(message, RV_TOO_LARGE, "%llu arrays are over %d", (unsigned long long)count, RV_NPZ_ENTRIES_MAX);
    npz->directory = (size_t)offset;
    npz->directory_size = (size_t)size;
    npz->entries = (int)count;
    return RV_OK;
}

rv_status rv_npz_open(rv_npz *npz, const void *bytes, size_t size, char message[RV_NPZ_MESSAGE]) {
    *npz = (rv_npz){.bytes = bytes, .size = size};
    if (size == 0) return fail(message, RV_BAD_FILE, "it is empty");
    rv_status status = read_end(npz, message);
    size_t at = npz->directory;
    entry e;
    for (int i = 0; status == RV_OK && i < npz->entries; i++, at = e.next) {
        if (!read_entry(npz, at, &e)) status = fail(message, RV_BAD_FILE, "entry %d of its zip directory is damaged", i);
    }
    if (status == RV_OK && at != npz->directory + npz->directory_size) return fail(message, RV_BAD_FILE, "its zip directory holds more than its entries");
    return status;
}

/* "observation" is the file observation.npy. */
static bool named(const entry *e, const char *name) {
    const size_t length = strlen(name);
    return e->name_size == length + 4 && memcmp(e->name, name, length) == 0 && memcmp(e->name + length, ".npy", 4) == 0;
}

void rv_npz_names(const rv_npz *npz, char *text, size_t size) {
    size_t at = npz->directory, length = 0;
    entry e;
    text[0] = '\0';
    for (int i = 0; i < npz->entries && read_entry(npz, at, &e); i++, at = e.next) {
        const size_t bare = e.name_size > 4 && memcmp(e.name + e.name_size - 4, ".npy", 4) == 0 ? e.name_size - 4 : e.name_size;
        if (length + bare + 8 > size) {
            snprintf(text + length, size - length, ", ...");
            return;
        }
        if (i > 0) length += (size_t)snprintf(text + length, size - length, ", ");
        for (size_t c = 0; c < bare; c++) text[length++] = e.name[c] >= 0x20 && e.name[c] < 0x7f ? (char)e.name[c] : '?';
        text[length] = '\0';
    }
}

/* ---- one entry ------------------------------------------------------------------------------------------- */

/* Inflates exactly `unpacked` bytes out of exactly `packed`. */
static bool inflate_all(const uint8_t *from, uint64_t packed, uint8_t *to, uint64_t unpacked) {
    enum { PIECE = 1 << 30 };
    z_stream stream = {0};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
    uint64_t in_left = packed, out_left = unpacked;
    int code = Z_OK;
    stream.next_in = (z_const Bytef *)(uintptr_t)from;
    stream.next_out = to;
    while (code == Z_OK) {
        if (stream.avail_in == 0 && in_left > 0) {
            stream.avail_in = in_left < PIECE ? (uInt)in_left : PIECE;
            in_left -= stream.avail_in;
        }
        if (stream.avail_out == 0 && out_left > 0) {
            stream.avail_out = out_left < PIECE ? (uInt)out_left : PIECE;
            out_left -= stream.avail_out;
        }
        code = inflate(&stream, Z_NO_FLUSH); /* without progress: Z_BUF_ERROR */
    }
    const bool whole = code == Z_STREAM_END && stream.avail_in == 0 && in_left == 0 && stream.avail_out == 0 && out_left == 0;
    inflateEnd(&stream);
    return whole;
}

/* The entry's bytes as they are after the local header; NULL where that is damaged. */
static const uint8_t *find_data(const rv_npz *npz, const entry *e) {
    if (e->local > npz->directory || npz->directory - e->local < LOCAL_SIZE) return NULL;
    const uint8_t *b = npz->bytes + e->local;
    if (number(b, 4) != SIGNATURE_LOCAL || number(b + 8, 2) != (uint64_t)e->method) return NULL;
    const uint64_t skip = LOCAL_SIZE + number(b + 26, 2) + number(b + 28, 2), room = npz->directory - e->local;
    if (skip > room || e->packed > room - skip) return NULL;
    if (number(b + 26, 2) != e->name_size || memcmp(b + LOCAL_SIZE, e->name, e->name_size) != 0) return NULL;
    return b + skip;
}

static rv_status read_array(const rv_npz *npz, const entry *e, const char *name, rv_npy *array, char *message) {
    if (e->flags & 1) return fail(message, RV_UNSUPPORTED, "%s is encrypted", name);
    if (e->method != 0 && e->method != 8) return fail(message, RV_UNSUPPORTED, "%s is compressed by method %d: only stored and deflated arrays are read", name, e->method);
    const uint8_t *data = find_data(npz, e);
    if (!data || (e->method == 0 && e->packed != e->unpacked)) return fail(message, RV_BAD_FILE, "%s: its place in the zip file is damaged", name);
    if (e->unpacked / 1040 > e->packed || e->unpacked > SIZE_MAX / 2) return fail(message, RV_BAD_FILE, "%s cannot hold what it says", name);
    uint8_t *owned = NULL;
    if (e->method == 8) {
        owned = malloc(e->unpacked ? (size_t)e->unpacked : 1);
        if (!owned) return fail(message, RV_OUT_OF_MEMORY, "no memory for the %llu bytes of %s", (unsigned long long)e->unpacked, name);
        if (!inflate_all(data, e->packed, owned, e->unpacked)) {
            free(owned);
            return fail(message, RV_BAD_FILE, "%s is damaged: it cannot be inflated", name);
        }
        data = owned;
    }
#if !defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION) /* clang's name for a build in which damage must get further */
    if (crc32_z(0, data, (size_t)e->unpacked) != e->checksum) {
        free(owned);
        return fail(message, RV_BAD_FILE, "%s is damaged: its checksum differs", name);
    }
#endif
    char text[RV_NPZ_MESSAGE] = "";
    rv_status status = rv_npy_parse(data, (size_t)e->unpacked, array, text);
    if (status != RV_OK) {
        free(owned);
        return fail(message, status, "%s %.150s", name, text);
    }
    array->owned = owned;
    return RV_OK;
}

rv_status rv_npz_read(const rv_npz *npz, const char *name, rv_npy *array, char message[RV_NPZ_MESSAGE]) {
    size_t at = npz->directory;
    entry e, found = {0};
    int count = 0;
    *array = (rv_npy){0};
    for (int i = 0; i < npz->entries && read_entry(npz, at, &e); i++, at = e.next) {
        if (named(&e, name) && count++ == 0) found = e;
    }
    if (count == 0) return RV_NOT_FOUND;
    if (count > 1) return fail(message, RV_BAD_FILE, "%s is in it %d times", name, count);
    return read_array(npz, &found, name, array, message);
}

void rv_npy_release(rv_npy *array) {
    free(array->owned);
    *array = (rv_npy){0};
}
