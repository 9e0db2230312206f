/* Any bytes as a safetensors file in memory: what is taken covers its bytes, and written again is taken again. */
#include <stdlib.h>
#include <string.h>

#include "core/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static const rv_allocator allocator = {resize, NULL};

static void need(int truth) {
    if (!truth) abort();
}

/* Every byte of the data belongs to one tensor. */
static void check_cover(const rv_safetensors *file, uint64_t bytes) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < file->count; i++) {
        need(file->tensors[i].begin == at && file->tensors[i].end >= at && file->tensors[i].end <= bytes);
        need(file->tensors[i].dims >= 0 && file->tensors[i].dims <= RV_SAFETENSORS_MAX_DIMS);
        need(rv_safetensors_name_valid(file->tensors[i].name));
        at = file->tensors[i].end;
    }
    need(at == bytes);
    for (uint32_t i = 0; i < file->metadata_count; i++) {
        need(rv_safetensors_text_valid(file->metadata[i].key) && rv_safetensors_text_valid(file->metadata[i].text));
    }
}

/* Types of less than a byte are read but never written. */
static int writable(const rv_safetensors *file) {
    for (uint32_t i = 0; i < file->count; i++) {
        const rv_safetensors_type type = file->tensors[i].type;
        if (type == RV_SAFETENSORS_F4 || type == RV_SAFETENSORS_F6_E2M3 || type == RV_SAFETENSORS_F6_E3M2) return 0;
    }
    return 1;
}

static void write_again(rv_safetensors *file, uint64_t bytes) {
    char *header;
    size_t header_bytes;
    rv_error error;
    rv_status status = rv_safetensors_write(&allocator, file->tensors, file->count, file->metadata, file->metadata_count,
                                            &header, &header_bytes, &error);
    need(status == RV_OK || status == RV_TOO_LARGE);
    if (status != RV_OK) return;
    uint64_t length;
    need(rv_safetensors_begin((const uint8_t *)header, header_bytes + bytes, &length, &error) == RV_OK);
    need(length + 8 == header_bytes);
    rv_safetensors again;
    need(rv_safetensors_parse(&again, &allocator, header + 8, header_bytes - 8, bytes, &error) == RV_OK);
    need(again.count == file->count && again.metadata_count == file->metadata_count);
    for (uint32_t i = 0; i < again.count; i++) need(rv_safetensors_find(file, again.tensors[i].name) != NULL);
    rv_safetensors_free(&again);
    free(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t first[8] = {0};
    if (size > 0) memcpy(first, data, size < 8 ? size : 8);
    uint64_t header_bytes;
    rv_error error = {0};
    if (rv_safetensors_begin(first, size, &header_bytes, &error) != RV_OK) {
        need(error.status == RV_BAD_FILE && error.text[0]);
        return 0;
    }
    /* a copy of just the header, so that a read past its end is seen */
    char *header = malloc((size_t)header_bytes);
    need(header != NULL);
    memcpy(header, data + 8, (size_t)header_bytes);
    const uint64_t bytes = size - 8 - header_bytes;
    rv_safetensors file;
    rv_status status = rv_safetensors_parse(&file, &allocator, header, (size_t)header_bytes, bytes, &error);
    free(header);
    if (status == RV_OK) {
        check_cover(&file, bytes);
        if (writable(&file)) write_again(&file, bytes);
    } else {
        need(status == RV_BAD_FILE && error.text[0]);
    }
    rv_safetensors_free(&file);
    return 0;
}
