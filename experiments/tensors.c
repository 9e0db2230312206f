/* experiments/tensors.c: safetensors files: a length, a header of JSON, numbers. */
#include "experiments/tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/json_out.h"
#include "experiments/program.h"

/* ---- files in memory ------------------------------------------------------------------------------------------- */

static int map(const char *path, int file, const uint8_t **bytes, uint64_t *size) {
    struct stat about;
    if (fstat(file, &about) != 0) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode)) return program_fail(EXIT_IO, "%s is no file", path);
    if (about.st_size == 0) return program_fail(EXIT_IO, "%s is empty", path);
    void *mapped = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    *bytes = mapped;
    *size = (uint64_t)about.st_size;
    return EXIT_OK;
}

int file_map(const char *path, const uint8_t **bytes, uint64_t *size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    int code = map(path, file, bytes, size);
    close(file);
    return code;
}

void file_unmap(const uint8_t *bytes, uint64_t size) { munmap((void *)(uintptr_t)bytes, (size_t)size); }

/* ---- reading --------------------------------------------------------------------------------------------------- */

int tensors_read(tensors *file, const char *path, const uint8_t *bytes, uint64_t size) {
    uint64_t length;
    *file = (tensors){.path = path};
    if (size <= 8 || bytes[8] != '{') return program_fail(EXIT_IO, "%s is no .safetensors file", path);
    memcpy(&length, bytes, 8);
    if (length > size - 8) return program_fail(EXIT_IO, "%s is damaged: its header would end behind the file", path);
    json_error_t error;
    file->header = json_loadb((const char *)bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    file->data = bytes + 8 + length;
    file->data_size = size - 8 - length;
    if (json_is_object(file->header)) return EXIT_OK;
    return program_fail(EXIT_IO, "%s is damaged: its header is no JSON object", path);
}

int tensors_open(tensors *file, const char *path) {
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    *file = (tensors){0};
    int code = file_map(path, &bytes, &size);
    if (code == EXIT_OK) code = tensors_read(file, path, bytes, size);
    file->bytes = bytes;
    file->size = size;
    return code;
}

void tensors_close(tensors *file) {
    json_decref(file->header);
    if (file->bytes) file_unmap(file->bytes, file->size);
    *file = (tensors){0};
}

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

bool tensors_entry(const tensors *file, const char *name, const json_t *entry, inspect_array *a) {
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (!type || !json_is_array(shape) || json_array_size(offsets) != 2) return false;
    if (json_array_size(shape) > INSPECT_DIMENSIONS) return false;
    const json_int_t begin = json_integer_value(json_array_get(offsets, 0)),
                     end = json_integer_value(json_array_get(offsets, 1));
    if (begin < 0 || end < begin || (uint64_t)end > file->data_size) return false;
    *a = (inspect_array){.name = name,
                         .type_name = type,
                         .type = type_of(type),
                         .dimensions = (int)json_array_size(shape),
                         .data = file->data + begin,
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

bool tensors_find(const tensors *file, const char *name, inspect_array *array) {
    const json_t *entry = json_object_get(file->header, name);
    return entry && tensors_entry(file, name, entry, array);
}

const char *tensors_text(const tensors *file, const char *key) {
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

bool tensor_list_add(tensor_list *list, const char *name, int64_t rows, int64_t cols, const float *values) {
    if (list->count == list->capacity) {
        const int capacity = list->capacity ? 2 * list->capacity : 256;
        struct tensor_entry *entries = realloc(list->entries, (size_t)capacity * sizeof *entries);
        if (!entries) return false;
        list->entries = entries;
        list->capacity = capacity;
    }
    const size_t bytes = (size_t)(rows * cols) * sizeof *values;
    struct tensor_entry entry = {strdup(name), rows, cols, malloc(bytes)};
    if (!entry.name || !entry.values) {
        free(entry.name);
        free(entry.values);
        return false;
    }
    memcpy(entry.values, values, bytes);
    list->entries[list->count++] = entry;
    return true;
}

void tensor_list_free(tensor_list *list) {
    for (int i = 0; i < list->count; i++) {
        free(list->entries[i].name);
        free(list->entries[i].values);
    }
    free(list->entries);
    *list = (tensor_list){0};
}

static size_t bytes_of(const struct tensor_entry *entry) { return (size_t)(entry->rows * entry->cols) * sizeof(float); }

static void write_header(const tensor_list *list, FILE *file, const char *kind) {
    json_out json = json_out_begin(file, false);
    double at = 0;
    json_out_object(&json, "__metadata__");
    json_out_text(&json, "kind", kind);
    json_out_text(&json, "reverie", "1");
    json_out_object_end(&json);
    for (int i = 0; i < list->count; i++) {
        const struct tensor_entry *entry = &list->entries[i];
        const double shape[] = {(double)entry->rows, (double)entry->cols}, end = at + (double)bytes_of(entry);
        json_out_object(&json, entry->name);
        json_out_text(&json, "dtype", "F32");
        json_out_numbers(&json, "shape", entry->rows == 1 ? shape + 1 : shape, entry->rows == 1 ? 1 : 2);
        json_out_numbers(&json, "data_offsets", (const double[]){at, end}, 2);
        json_out_object_end(&json);
        at = end;
    }
    json_out_end(&json);
}

/* The header with its length before it, padded with spaces to whole 8 bytes. */
static bool write_all(const tensor_list *list, FILE *file, const char *kind) {
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (!memory) return false;
    write_header(list, memory, kind);
    bool good = fclose(memory) == 0 && size > 0;
    const uint64_t length = (size + 7) / 8 * 8;
    if (good) text[size - 1] = ' '; /* was the end of the line */
    good = good && fwrite(&length, sizeof length, 1, file) == 1 && fwrite(text, 1, size, file) == size;
    for (; good && size < length; size++) good = fputc(' ', file) != EOF;
    for (int i = 0; i < list->count && good; i++) {
        const size_t bytes = bytes_of(&list->entries[i]);
        good = fwrite(list->entries[i].values, 1, bytes, file) == bytes;
    }
    free(text);
    return good;
}

int tensor_list_write(const tensor_list *list, const char *path, const char *kind) {
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.part", path) >= (int)sizeof beside)
        return program_fail(EXIT_IO, "cannot write %s: the name is too long", path);
    errno = 0;
    FILE *file = fopen(beside, "we");
    bool good = file && write_all(list, file, kind);
    if (file) good = fclose(file) == 0 && good;
    if (good && rename(beside, path) == 0) return EXIT_OK;
    const int why = errno;
    if (file) remove(beside);
    return program_fail(EXIT_IO, "cannot write %s%s%s", path, why ? ": " : "", why ? strerror(why) : "");
}
