/* experiments/inspect.c: safetensors files, and the statistics of an array. */
#include "experiments/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/program.h"

/* ---- one array ------------------------------------------------------------------------------------------------ */

size_t inspect_type_size(inspect_type type) {
    static const size_t sizes[] = {0, 8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1};
    return sizes[type];
}

static double half(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                  : ldexp(exponent ? 1024 + fraction : fraction, (exponent ? exponent : 1) - 25);
    return bits & 0x8000 ? -value : value;
}

#define AS(type)                           \
    {                                      \
        type value;                        \
        memcpy(&value, data, sizeof value); \
        return (double)value;              \
    }

static double value_at(inspect_type type, const uint8_t *data) {
    uint32_t wide;
    uint16_t narrow;
    float real;
    switch (type) {
    case TYPE_F64: AS(double)
    case TYPE_F32: AS(float)
    case TYPE_F16: memcpy(&narrow, data, 2); return half(narrow);
    case TYPE_BF16:
        memcpy(&narrow, data, 2);
        wide = (uint32_t)narrow << 16;
        memcpy(&real, &wide, 4);
        return (double)real;
    case TYPE_I64: AS(int64_t)
    case TYPE_I32: AS(int32_t)
    case TYPE_I16: AS(int16_t)
    case TYPE_I8: AS(int8_t)
    case TYPE_U64: AS(uint64_t)
    case TYPE_U32: AS(uint32_t)
    case TYPE_U16: AS(uint16_t)
    case TYPE_U8: AS(uint8_t)
    case TYPE_OTHER: break;
    }
    return 0.0;
}

static void print_statistics(const inspect_array *a) {
    const size_t each = inspect_type_size(a->type);
    const uint64_t count = each ? a->size / each : 0;
    double low = INFINITY, high = -INFINITY, sum = 0.0;
    uint64_t bad = 0;
    for (uint64_t i = 0; i < count; i++) {
        double value = value_at(a->type, a->data + i * each);
        if (!isfinite(value)) {
            bad++;
            continue;
        }
        low = value < low ? value : low;
        high = value > high ? value : high;
        sum += value;
    }
    if (count > bad) printf("  %11.4g %11.4g %11.4g", low, sum / (double)(count - bad), high);
    if (bad > 0) printf("  %llu not finite", (unsigned long long)bad);
}

void inspect_print(const inspect_array *a) {
    char shape[160] = "[";
    size_t at = 1;
    for (int d = 0; d < a->dimensions && at < sizeof shape; d++) {
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld", d ? ", " : "", (long long)a->shape[d]);
    }
    snprintf(shape + at, at < sizeof shape ? sizeof shape - at : 0, "]");
    printf("%-44s %-6s %-16s", a->name, a->type_name, shape);
    print_statistics(a);
    putchar('\n');
}

/* ---- safetensors ----------------------------------------------------------------------------------------- */

static inspect_type type_of(const char *name) {
    static const struct {
        const char *name;
        inspect_type type;
    } types[] = {{"F64", TYPE_F64}, {"F32", TYPE_F32}, {"F16", TYPE_F16}, {"BF16", TYPE_BF16}, {"I64", TYPE_I64},
                 {"I32", TYPE_I32}, {"I16", TYPE_I16}, {"I8", TYPE_I8},   {"U64", TYPE_U64},   {"U32", TYPE_U32},
                 {"U16", TYPE_U16}, {"U8", TYPE_U8},   {"BOOL", TYPE_U8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) == 0) return types[i].type;
    }
    return TYPE_OTHER;
}

/* Shape and place of one tensor; false where they do not fit each other or the file. */
static bool read_tensor(const char *name, const json_t *entry, const uint8_t *data, uint64_t size, inspect_array *a) {
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (!type || !json_is_array(shape) || json_array_size(offsets) != 2) return false;
    if (json_array_size(shape) > INSPECT_DIMENSIONS) return false;
    const json_int_t begin = json_integer_value(json_array_get(offsets, 0)),
                     end = json_integer_value(json_array_get(offsets, 1));
    if (begin < 0 || end < begin || (uint64_t)end > size) return false;
    *a = (inspect_array){.name = name,
                         .type_name = type,
                         .type = type_of(type),
                         .dimensions = (int)json_array_size(shape),
                         .data = data + begin,
                         .size = (uint64_t)(end - begin)};
    uint64_t count = 1;
    for (int d = 0; d < a->dimensions; d++) {
        a->shape[d] = json_integer_value(json_array_get(shape, (size_t)d));
        if (a->shape[d] < 0 || __builtin_mul_overflow(count, (uint64_t)a->shape[d], &count)) return false;
    }
    uint64_t bytes;
    if (a->type == TYPE_OTHER) return true;
    return !__builtin_mul_overflow(count, inspect_type_size(a->type), &bytes) && bytes == a->size;
}

static void print_metadata(json_t *metadata) {
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
        printf("%s: %s\n", key, json_is_string(value) ? json_string_value(value) : "(no text)");
    if (metadata) putchar('\n');
}

static int print_tensors(const char *path, json_t *header, const uint8_t *data, uint64_t size) {
    const char *name;
    json_t *entry;
    uint64_t count = 0;
    print_metadata(json_object_get(header, "__metadata__"));
    printf("%-44s %-6s %-16s  %11s %11s %11s\n", "tensor", "type", "shape", "smallest", "mean", "largest");
    json_object_foreach(header, name, entry) {
        inspect_array a;
        if (strcmp(name, "__metadata__") == 0) continue;
        if (!read_tensor(name, entry, data, size, &a)) {
            return program_fail(EXIT_IO, "%s is damaged: tensor \"%s\" does not fit the file", path, name);
        }
        inspect_print(&a);
        count++;
    }
    printf("\n%llu tensors, %llu bytes\n", (unsigned long long)count, (unsigned long long)size);
    return EXIT_OK;
}

int inspect_safetensors(const char *path, const uint8_t *bytes, uint64_t size) {
    uint64_t length;
    memcpy(&length, bytes, 8);
    if (length > size - 8) return program_fail(EXIT_IO, "%s is damaged: its header would end behind the file", path);
    json_error_t error;
    json_t *header = json_loadb((const char *)bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(header)) {
        json_decref(header);
        return program_fail(EXIT_IO, "%s is damaged: its header is no JSON object", path);
    }
    int code = print_tensors(path, header, bytes + 8 + length, size - 8 - length);
    json_decref(header);
    return code;
}

/* ---- any file -------------------------------------------------------------------------------------------- */

static int inspect_bytes(const char *path, const uint8_t *bytes, uint64_t size) {
    if (size > 4 && memcmp(bytes, "PK\3\4", 4) == 0) return inspect_npz(path, bytes, size);
    if (size > 8 && bytes[8] == '{') return inspect_safetensors(path, bytes, size);
    return program_fail(EXIT_IO, "%s is neither a .safetensors nor a .npz file", path);
}

static int inspect_open(const char *path, int file) {
    struct stat about;
    if (fstat(file, &about) != 0) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode)) return program_fail(EXIT_IO, "%s is no file", path);
    if (about.st_size == 0) return program_fail(EXIT_IO, "%s is empty", path);
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    int code = inspect_bytes(path, bytes, (uint64_t)about.st_size);
    munmap(bytes, (size_t)about.st_size);
    return code;
}

int inspect_file(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    int code = inspect_open(path, file);
    close(file);
    return code;
}
