/* experiments/inspect.c: safetensors files, and the statistics of an array. */
#include "experiments/inspect.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "experiments/program.h"
#include "experiments/tensors.h"

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

static void print_metadata(json_t *metadata) {
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
        printf("%s: %s\n", key, json_is_string(value) ? json_string_value(value) : "(no text)");
    if (metadata) putchar('\n');
}

static int print_tensors(const tensors *file) {
    const char *name;
    json_t *entry;
    uint64_t count = 0;
    print_metadata(json_object_get(file->header, "__metadata__"));
    printf("%-44s %-6s %-16s  %11s %11s %11s\n", "tensor", "type", "shape", "smallest", "mean", "largest");
    json_object_foreach(file->header, name, entry) {
        inspect_array a;
        if (strcmp(name, "__metadata__") == 0) continue;
        if (!tensors_entry(file, name, entry, &a)) {
            return program_fail(EXIT_IO, "%s is damaged: tensor \"%s\" does not fit the file", file->path, name);
        }
        inspect_print(&a);
        count++;
    }
    printf("\n%llu tensors, %llu bytes\n", (unsigned long long)count, (unsigned long long)file->data_size);
    return EXIT_OK;
}

int inspect_safetensors(const char *path, const uint8_t *bytes, uint64_t size) {
    tensors file;
    int code = tensors_read(&file, path, bytes, size);
    if (code == EXIT_OK) code = print_tensors(&file);
    tensors_close(&file);
    return code;
}

/* ---- any file -------------------------------------------------------------------------------------------- */

static int inspect_bytes(const char *path, const uint8_t *bytes, uint64_t size) {
    if (size > 4 && memcmp(bytes, "PK\3\4", 4) == 0) return inspect_npz(path, bytes, size);
    if (size > 8 && bytes[8] == '{') return inspect_safetensors(path, bytes, size);
    return program_fail(EXIT_IO, "%s is neither a .safetensors nor a .npz file", path);
}

int inspect_file(const char *path) {
    const uint8_t *bytes;
    uint64_t size;
    int code = file_map(path, &bytes, &size);
    if (code != EXIT_OK) return code;
    code = inspect_bytes(path, bytes, size);
    file_unmap(bytes, size);
    return code;
}
