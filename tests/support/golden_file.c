/* tests/support/golden_file.c: reading golden files whole. */
#include "tests/support/golden_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/safetensors.h"

struct golden_file {
    uint8_t *bytes;
    rv_safetensors header;
    double **values; /* by header.tensors */
};

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static const rv_allocator allocator = {resize, NULL};

static uint8_t *read_bytes(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    uint8_t *bytes = end > 0 ? malloc((size_t)end) : NULL;
    if (bytes && fread(bytes, 1, (size_t)end, file) != (size_t)end) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    *size = bytes ? (size_t)end : 0;
    return bytes;
}

static double element(rv_safetensors_type type, const uint8_t *bytes, size_t i) {
    double f64;
    float f32;
    int32_t i32;
    switch (type) {
        case RV_SAFETENSORS_F64: return memcpy(&f64, bytes + 8 * i, sizeof f64), f64;
        case RV_SAFETENSORS_F32: return memcpy(&f32, bytes + 4 * i, sizeof f32), (double)f32;
        default: return memcpy(&i32, bytes + 4 * i, sizeof i32), (double)i32;
    }
}

/* The tensor's elements as doubles; NULL for types that golden files have not. */
static double *widen(const rv_safetensor *tensor, const uint8_t *data) {
    const rv_safetensors_type type = tensor->type;
    if (type != RV_SAFETENSORS_F64 && type != RV_SAFETENSORS_F32 && type != RV_SAFETENSORS_I32) return NULL;
    const size_t count = (size_t)(tensor->end - tensor->begin) / (type == RV_SAFETENSORS_F64 ? 8 : 4);
    double *values = malloc((count + 1) * sizeof *values); /* also where there is none */
    for (size_t i = 0; values && i < count; i++) values[i] = element(type, data + tensor->begin, i);
    return values;
}

static rv_status read_header(golden_file *file, size_t size, uint64_t *header_bytes, rv_error *error) {
    rv_status status = rv_safetensors_begin(file->bytes, size, header_bytes, error);
    if (status != RV_OK) return status;
    return rv_safetensors_parse(&file->header, &allocator, (const char *)file->bytes + 8, (size_t)*header_bytes,
                                size - 8 - *header_bytes, error);
}

golden_file *golden_open(const char *path) {
    golden_file *file = calloc(1, sizeof *file);
    if (!file) return NULL;
    size_t size;
    uint64_t header_bytes;
    rv_error error = {0};
    file->header.allocator = allocator;
    file->bytes = read_bytes(path, &size);
    bool whole = file->bytes && read_header(file, size, &header_bytes, &error) == RV_OK;
    if (whole) whole = (file->values = calloc(file->header.count + 1, sizeof *file->values)) != NULL;
    for (uint32_t i = 0; whole && i < file->header.count; i++) {
        file->values[i] = widen(&file->header.tensors[i], file->bytes + 8 + header_bytes);
        whole = file->values[i] != NULL;
    }
    if (whole) return file;
    fprintf(stderr, "%s cannot be read: %s\n", path, error.text);
    golden_close(file);
    return NULL;
}

void golden_close(golden_file *file) {
    if (!file) return;
    for (uint32_t i = 0; file->values && i < file->header.count; i++) free(file->values[i]);
    free(file->values);
    rv_safetensors_free(&file->header);
    free(file->bytes);
    free(file);
}

golden_tensor golden_find(const golden_file *file, const char *name) {
    const rv_safetensor *tensor = rv_safetensors_find(&file->header, name);
    if (!tensor || tensor->dims < 1 || tensor->dims > 2) return (golden_tensor){0};
    const int64_t rows = tensor->dims == 2 ? (int64_t)tensor->shape[0] : 1;
    return (golden_tensor){rows, (int64_t)tensor->shape[tensor->dims - 1], file->values[tensor - file->header.tensors]};
}

const char *golden_name(const golden_file *file, int64_t index) {
    return index >= 0 && index < (int64_t)file->header.count ? file->header.tensors[index].name : NULL;
}

const char *golden_text(const golden_file *file, const char *key) {
    for (uint32_t i = 0; i < file->header.metadata_count; i++) {
        if (strcmp(file->header.metadata[i].key, key) == 0) return file->header.metadata[i].text;
    }
    return NULL;
}
