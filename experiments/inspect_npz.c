/* experiments/inspect_npz.c: NPZ files: a ZIP archive of NumPy arrays. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/inspect.h"
#include "experiments/program.h"

typedef struct archive {
    const char *path;
    const uint8_t *bytes;
    uint64_t size;
} archive;

/* Little-endian whole numbers. */
static uint64_t number(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static int damaged(const archive *a, const char *what) {
    return program_fail(EXIT_IO, "%s is damaged: %s", a->path, what);
}

/* ---- NumPy's header: a Python dict ------------------------------------------------------------------------------- */

/* The text behind 'key': in the header. */
static const char *behind(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    return at + strspn(at, "': ");
}

static inspect_type type_of(const char *descr) {
    static const struct {
        const char *code;
        inspect_type type;
    } types[] = {{"<f8", TYPE_F64}, {"<f4", TYPE_F32}, {"<f2", TYPE_F16}, {"<i8", TYPE_I64},
                 {"<i4", TYPE_I32}, {"<i2", TYPE_I16}, {"|i1", TYPE_I8},  {"<u8", TYPE_U64},
                 {"<u4", TYPE_U32}, {"<u2", TYPE_U16}, {"|u1", TYPE_U8},  {"|b1", TYPE_U8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].code, descr) == 0) return types[i].type;
    }
    return TYPE_OTHER;
}

static bool read_shape(const char *text, inspect_array *array) {
    if (!text || *text != '(') return false;
    for (text++; *text && *text != ')';) {
        char *end;
        long long size = strtoll(text, &end, 10);
        if (end == text || size < 0 || array->dimensions == INSPECT_DIMENSIONS) return false;
        array->shape[array->dimensions++] = size;
        text = end + strspn(end, "L, ");
    }
    return *text == ')';
}

/* The array in an NPY file of `size` bytes; its type's name goes to `type`. */
static bool read_array(const uint8_t *bytes, uint64_t size, inspect_array *array, char type[16]) {
    char header[1024];
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0) return false;
    const uint64_t field = bytes[6] >= 2 ? 4 : 2, length = number(bytes + 8, (int)field), begin = 8 + field;
    if (length >= sizeof header || begin + length > size) return false;
    memcpy(header, bytes + begin, length);
    header[length] = '\0';
    const char *descr = behind(header, "descr");
    if (!descr) return false;
    snprintf(type, 16, "%.*s", (int)strcspn(descr, "'\","), descr);
    array->type_name = type;
    array->type = type_of(type);
    array->data = bytes + begin + length;
    array->size = size - begin - length;
    uint64_t expected = inspect_type_size(array->type);
    if (!read_shape(behind(header, "shape"), array)) return false;
    for (int d = 0; d < array->dimensions; d++) {
        if (__builtin_mul_overflow(expected, (uint64_t)array->shape[d], &expected)) return false;
    }
    return array->type == TYPE_OTHER || expected == array->size;
}

/* ---- ZIP ------------------------------------------------------------------------------------------------- */

typedef struct member {
    char name[256];
    int method;
    uint64_t packed, size, offset; /* offset of its local header */
} member;

/* Sizes beyond 32 bits stand in an extra field of kind 1, in this order, each only where the short one is full. */
static void read_zip64(const uint8_t *extra, uint64_t length, member *m) {
    while (length >= 4) {
        uint64_t kind = number(extra, 2), size = number(extra + 2, 2);
        if (size > length - 4) return;
        if (kind == 1) {
            const uint8_t *at = extra + 4, *end = at + size;
            uint64_t *fields[] = {&m->size, &m->packed, &m->offset};
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != 0xffffffffu || end - at < 8) continue;
                *fields[i] = number(at, 8);
                at += 8;
            }
        }
        extra += 4 + size;
        length -= 4 + size;
    }
}

/* One entry of the directory at *at; moves on to the next. */
static bool read_member(const archive *a, uint64_t *at, member *m) {
    const uint8_t *entry = a->bytes + *at;
    if (a->size - *at < 46 || memcmp(entry, "PK\1\2", 4) != 0) return false;
    uint64_t name = number(entry + 28, 2), extra = number(entry + 30, 2), comment = number(entry + 32, 2);
    if (a->size - *at - 46 < name + extra + comment) return false;
    *m = (member){.method = (int)number(entry + 10, 2),
                  .packed = number(entry + 20, 4),
                  .size = number(entry + 24, 4),
                  .offset = number(entry + 42, 4)};
    snprintf(m->name, sizeof m->name, "%.*s", (int)name, (const char *)entry + 46);
    read_zip64(entry + 46 + name, extra, m);
    *at += 46 + name + extra + comment;
    return true;
}

/* The bytes of a member that is not compressed. */
static const uint8_t *content(const archive *a, const member *m) {
    if (m->offset > a->size || a->size - m->offset < 30) return NULL;
    const uint8_t *local = a->bytes + m->offset;
    if (memcmp(local, "PK\3\4", 4) != 0) return NULL;
    uint64_t begin = 30 + number(local + 26, 2) + number(local + 28, 2);
    return begin <= a->size - m->offset && m->size <= a->size - m->offset - begin ? local + begin : NULL;
}

static int print_member(const archive *a, member *m) {
    char type[16];
    inspect_array array = {.name = m->name};
    char *suffix = strrchr(m->name, '.');
    if (suffix && strcmp(suffix, ".npy") == 0) *suffix = '\0';
    if (m->method != 0) {
        printf("%-44s compressed, %llu bytes; written by np.savez it can be looked into\n", m->name,
               (unsigned long long)m->size);
        return EXIT_OK;
    }
    const uint8_t *bytes = content(a, m);
    if (!bytes) return damaged(a, "a member lies beyond its end");
    if (!read_array(bytes, m->size, &array, type)) {
        return program_fail(EXIT_IO, "%s: \"%s\" is no NumPy array, or damaged", a->path, m->name);
    }
    inspect_print(&array);
    return EXIT_OK;
}

/* Where the directory begins, and how many members it has; both at the end of the file. */
static bool find_directory(const archive *a, uint64_t *at, uint64_t *count) {
    const uint64_t reach = a->size < 65557 ? a->size : 65557;
    for (uint64_t back = 22; back <= reach; back++) {
        const uint8_t *end = a->bytes + a->size - back;
        if (memcmp(end, "PK\5\6", 4) != 0) continue;
        *count = number(end + 10, 2);
        *at = number(end + 16, 4);
        if (back + 20 <= a->size && memcmp(end - 20, "PK\6\7", 4) == 0) {
            uint64_t wide = number(end - 12, 8);
            if (wide > a->size || a->size - wide < 56 || memcmp(a->bytes + wide, "PK\6\6", 4) != 0) return false;
            *count = number(a->bytes + wide + 32, 8);
            *at = number(a->bytes + wide + 48, 8);
        }
        return *at <= a->size;
    }
    return false;
}

int inspect_npz(const char *path, const uint8_t *bytes, uint64_t size) {
    const archive a = {path, bytes, size};
    uint64_t at, count;
    if (!find_directory(&a, &at, &count)) return damaged(&a, "it has no directory; it may have been cut off");
    printf("%-44s %-6s %-16s  %11s %11s %11s\n", "array", "type", "shape", "smallest", "mean", "largest");
    for (uint64_t i = 0; i < count; i++) {
        member m;
        if (!read_member(&a, &at, &m)) return damaged(&a, "its directory is cut off");
        int code = print_member(&a, &m);
        if (code != EXIT_OK) return code;
    }
    return EXIT_OK;
}
