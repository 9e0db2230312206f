/* core/safetensors.h: the safetensors format, apart from devices and files.
 *
 * A file is: u64 n, little-endian; n bytes of JSON, padded with spaces; the tensors' bytes. JSON is an object of
 * "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, offsets counted from the end
 * of the JSON, and "__metadata__", an object of texts. The tensors cover the bytes without gap or overlap.
 * Reading trusts nothing: every size is checked against the bytes that are there. We are stricter than the
 * reference in the limits below and in refusing further fields of a tensor.
 */
#ifndef RV_CORE_SAFETENSORS_H
#define RV_CORE_SAFETENSORS_H

#include "core/backend.h"

#define RV_SAFETENSORS_MAX_HEADER ((uint64_t)16 << 20)
enum { RV_SAFETENSORS_MAX_TENSORS = 65536, RV_SAFETENSORS_MAX_DIMS = 8, RV_SAFETENSORS_MAX_NAME = 512 };

/* X(name, bits an element), in the reference's order, which its writer sorts by. */
#define RV_SAFETENSORS_TYPES(X)                                                                                     \
    X(BOOL, 8) X(F4, 4) X(F6_E2M3, 6) X(F6_E3M2, 6) X(U8, 8) X(I8, 8) X(F8_E5M2, 8) X(F8_E4M3, 8) X(F8_E8M0, 8)     \
    X(I16, 16) X(U16, 16) X(F16, 16) X(BF16, 16) X(I32, 32) X(U32, 32) X(F32, 32) X(C64, 64) X(F64, 64) X(I64, 64)  \
    X(U64, 64)

typedef enum rv_safetensors_type {
#define RV_SAFETENSORS_ENUM(name, bits) RV_SAFETENSORS_##name,
    RV_SAFETENSORS_TYPES(RV_SAFETENSORS_ENUM) RV_SAFETENSORS_TYPE_COUNT
#undef RV_SAFETENSORS_ENUM
} rv_safetensors_type;

typedef struct rv_safetensor {
    const char *name;
    rv_safetensors_type type;
    int dims;
    uint64_t shape[RV_SAFETENSORS_MAX_DIMS];
    uint64_t begin, end; /* bytes, from the end of the header */
} rv_safetensor;

typedef struct rv_safetensors_text {
    const char *key, *text;
} rv_safetensors_text;

/* A header that was read; names and texts belong to it. */
typedef struct rv_safetensors {
    rv_allocator allocator;
    struct json_t *root;
    rv_safetensor *tensors; /* by offset */
    rv_safetensors_text *metadata;
    uint32_t count, metadata_count;
} rv_safetensors;

const char *rv_safetensors_type_name(rv_safetensors_type type);

/* The first 8 bytes of a file of `file_bytes` (fewer where it is shorter): how long is the header? BAD_FILE. */
rv_status rv_safetensors_begin(const uint8_t *first, uint64_t file_bytes, uint64_t *header_bytes, rv_error *error);

/* Reads and checks a header in front of `data_bytes` bytes. BAD_FILE, OUT_OF_MEMORY; *file is to be
 * freed in either case. */
rv_status rv_safetensors_parse(rv_safetensors *file, const rv_allocator *allocator, const char *header,
                               size_t header_bytes, uint64_t data_bytes, rv_error *error);
void rv_safetensors_free(rv_safetensors *file);

const rv_safetensor *rv_safetensors_find(const rv_safetensors *file, const char *name);

/* Valid UTF-8 without control characters, 1 to 512 bytes, not "__metadata__". */
bool rv_safetensors_name_valid(const char *name);
/* Valid UTF-8. */
bool rv_safetensors_text_valid(const char *text);

/* Sorts the tensors as the reference writes them, gives them their offsets, and makes the bytes that
 * stand before the data: length, JSON, padding. The caller frees *header. TOO_LARGE, OUT_OF_MEMORY. */
rv_status rv_safetensors_write(const rv_allocator *allocator, rv_safetensor *tensors, uint32_t count,
                               const rv_safetensors_text *metadata, uint32_t metadata_count, char **header,
                               size_t *header_bytes, rv_error *error);

#endif
