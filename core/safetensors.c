/* core/safetensors.c: reading headers with suspicion, writing them as the reference does. */
#include "core/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"

static const struct {
    const char *name;
    unsigned bits;
} types[] = {
#define TYPE(name, bits) {#name, bits},
    RV_SAFETENSORS_TYPES(TYPE)
#undef TYPE
};
_Static_assert(sizeof types / sizeof *types == RV_SAFETENSORS_TYPE_COUNT, "one line a type");

const char *rv_safetensors_type_name(rv_safetensors_type type) { return types[type].name; }

/* ---- texts ---- */

/* Bytes of the UTF-8 character at `at`, 0 where there is none: no overlong form, surrogate or beyond U+10FFFF. */
static int utf8_length(const unsigned char *at) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0x80) return 1;
    const int length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
    uint32_t code = at[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    return code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
}

bool rv_safetensors_text_valid(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        const int length = utf8_length(at);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

bool rv_safetensors_name_valid(const char *name) {
    const size_t length = strlen(name);
    if (length == 0 || length > RV_SAFETENSORS_MAX_NAME || strcmp(name, "__metadata__") == 0) return false;
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) return false;
    }
    return rv_safetensors_text_valid(name);
}

/* ---- reading ---- */

static rv_status bad(rv_error *error, const char *text) { return rv_fail(error, RV_BAD_FILE, "%s", text); }

static uint64_t read_u64(const uint8_t *bytes, bool big_endian) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)bytes[big_endian ? 7 - i : i] << 8 * i;
    return value;
}

/* What a file that is none of ours seems to be. */
static const char *foreign_kind(const uint8_t *first) {
    if (memcmp(first, "PK\3\4", 4) == 0) return "it looks like a zip archive (torch.save or .npz)";
    if (memcmp(first, "\x93NUMPY", 6) == 0) return "it looks like a .npy file";
    if (memcmp(first, "\x89HDF", 4) == 0) return "it looks like an HDF5 file";
    if (memcmp(first, "GGUF", 4) == 0) return "it looks like a GGUF file";
    if (first[0] == 0x80 && first[1] >= 2 && first[1] <= 5) return "it looks like a Python pickle";
    if (read_u64(first, true) <= RV_SAFETENSORS_MAX_HEADER) return "its length is written big-endian";
    return "it is damaged or of another kind";
}

rv_status rv_safetensors_begin(const uint8_t *first, uint64_t file_bytes, uint64_t *header_bytes, rv_error *error) {
    if (file_bytes < 8) {
        return rv_fail(error, RV_BAD_FILE, "its %u bytes are too few for a safetensors file", (unsigned)file_bytes);
    }
    *header_bytes = read_u64(first, false);
    if (*header_bytes > RV_SAFETENSORS_MAX_HEADER) {
        return rv_fail(error, RV_BAD_FILE, "a header of %llu bytes is beyond the limit of %llu: %s",
                       (unsigned long long)*header_bytes, (unsigned long long)RV_SAFETENSORS_MAX_HEADER,
                       foreign_kind(first));
    }
    if (*header_bytes < 2 || *header_bytes > file_bytes - 8) {
        return rv_fail(error, RV_BAD_FILE, "a header of %llu bytes does not fit into %llu bytes: truncated or damaged",
                       (unsigned long long)*header_bytes, (unsigned long long)file_bytes);
    }
    return RV_OK;
}

/* No valid header nests deeper than object, tensor, list, and none has more commas than its tensors
 * need; so the JSON reader's stack and memory are bounded before it begins. */
static rv_status check_extent(const char *header, size_t bytes, rv_error *error) {
    int depth = 0;
    uint32_t commas = 0;
    bool text = false;
    for (size_t i = 0; i < bytes; i++) {
        const char c = header[i];
        if (text) {
            if (c == '\\') i++;
            else if (c == '"') text = false;
        } else if (c == '"') text = true;
        else if (c == '{' || c == '[') depth++;
        else if (c == '}' || c == ']') depth--;
        else if (c == ',') commas++;
        if (depth > 3) return bad(error, "the header nests deeper than any safetensors header");
    }
    if (commas > 16u * RV_SAFETENSORS_MAX_TENSORS) return bad(error, "the header lists more than 65536 tensors need");
    return RV_OK;
}

static bool read_size(const json_t *value, uint64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_type(const json_t *value, rv_safetensors_type *out) {
    const char *name = json_string_value(value);
    for (int i = 0; name && i < RV_SAFETENSORS_TYPE_COUNT; i++) {
        if (strcmp(name, types[i].name) == 0) {
            *out = (rv_safetensors_type)i;
            return true;
        }
    }
    return false;
}

static rv_status bad_tensor(rv_error *error, const rv_safetensor *tensor, const char *text) {
    return rv_fail(error, RV_BAD_FILE, "tensor \"%.200s\": %s", tensor->name, text);
}

/* The bytes that type and shape ask for must be the bytes between the offsets. */
static rv_status check_bytes(const rv_safetensor *tensor, rv_error *error) {
    size_t bits = types[tensor->type].bits;
    for (int i = 0; i < tensor->dims; i++) {
        if (!rv_mul_size(bits, tensor->shape[i], &bits)) return bad_tensor(error, tensor, "its shape overflows");
    }
    if (bits % 8 != 0) return bad_tensor(error, tensor, "it does not fill whole bytes");
    if (tensor->end < tensor->begin || tensor->end - tensor->begin != bits / 8) {
        return bad_tensor(error, tensor, "its offsets and its shape disagree");
    }
    return RV_OK;
}

static rv_status read_tensor(const char *name, const json_t *value, rv_safetensor *tensor, rv_error *error) {
    tensor->name = name;
    if (!rv_safetensors_name_valid(name)) return bad(error, "a name is empty, too long or has control characters");
    const json_t *type = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (json_object_size(value) != 3 || !type || !json_is_array(shape) || !json_is_array(offsets)) {
        return bad_tensor(error, tensor, "needs dtype, shape and data_offsets and nothing else");
    }
    if (!read_type(type, &tensor->type)) return bad_tensor(error, tensor, "its dtype is unknown");
    if (json_array_size(shape) > RV_SAFETENSORS_MAX_DIMS) return bad_tensor(error, tensor, "more than 8 dimensions");
    tensor->dims = (int)json_array_size(shape);
    for (int i = 0; i < tensor->dims; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!read_size(size, &tensor->shape[i])) return bad_tensor(error, tensor, "its shape is no list of sizes");
    }
    if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &tensor->begin) ||
        !read_size(json_array_get(offsets, 1), &tensor->end)) {
        return bad_tensor(error, tensor, "its data_offsets are not two sizes");
    }
    return check_bytes(tensor, error);
}

static rv_status read_metadata(rv_safetensors *file, const json_t *metadata, rv_error *error) {
    if (!json_is_object(metadata)) return bad(error, "__metadata__ is not an object");
    const size_t count = json_object_size(metadata);
    if (count == 0) return RV_OK;
    file->metadata = file->allocator.resize(file->allocator.user, NULL, count * sizeof *file->metadata);
    if (!file->metadata) return rv_fail(error, RV_OUT_OF_MEMORY, "no memory for %zu metadata texts", count);
    json_t *object = (json_t *)metadata; /* the iterator's interface lacks const */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *text = json_string_value(json_object_iter_value(at));
        if (!text) return bad(error, "a value of __metadata__ is not a text");
        file->metadata[file->metadata_count++] = (rv_safetensors_text){json_object_iter_key(at), text};
    }
    return RV_OK;
}

static int by_offset(const void *a, const void *b) {
    const rv_safetensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static rv_status check_cover(const rv_safetensors *file, uint64_t data_bytes, rv_error *error) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < file->count; i++) {
        const rv_safetensor *tensor = &file->tensors[i];
        if (tensor->begin != at) return bad_tensor(error, tensor, "a gap or an overlap lies before it");
        at = tensor->end;
    }
    if (at == data_bytes) return RV_OK;
    return rv_fail(error, RV_BAD_FILE, "its tensors take %llu bytes, but %llu follow the header: truncated or damaged",
                   (unsigned long long)at, (unsigned long long)data_bytes);
}

static rv_status read_root(rv_safetensors *file, uint64_t data_bytes, rv_error *error) {
    const size_t count = json_object_size(file->root), others = json_object_get(file->root, "__metadata__") ? 1 : 0;
    if (count - others > RV_SAFETENSORS_MAX_TENSORS) return bad(error, "it has more than 65536 tensors");
    if (count > 0) {
        file->tensors = file->allocator.resize(file->allocator.user, NULL, count * sizeof *file->tensors);
        if (!file->tensors) return rv_fail(error, RV_OUT_OF_MEMORY, "no memory for a list of %zu tensors", count);
        memset(file->tensors, 0, count * sizeof *file->tensors);
    }
    for (void *at = json_object_iter(file->root); at; at = json_object_iter_next(file->root, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        const bool metadata = strcmp(name, "__metadata__") == 0;
        rv_status status = metadata ? read_metadata(file, value, error)
                                    : read_tensor(name, value, &file->tensors[file->count++], error);
        if (status != RV_OK) return status;
    }
    if (file->count > 0) qsort(file->tensors, file->count, sizeof *file->tensors, by_offset);
    return check_cover(file, data_bytes, error);
}

static bool says_memory(const json_error_t *mistake) {
    return !mistake->text[0] || json_error_code(mistake) == json_error_out_of_memory;
}

/* Was it memory that failed, not the text? The reader says so, but where it could not copy a string: then it complains
 * right behind one that was complete, as it does of wrong text, and only reading again tells the two apart. */
static bool out_of_memory(const json_error_t *mistake, const char *header, size_t bytes) {
    if (says_memory(mistake)) return true;
    const int at = mistake->position;
    if (at < 1 || (size_t)at > bytes || header[at - 1] != '"') return false;
    json_error_t second;
    json_t *again = json_loadb(header, bytes, JSON_REJECT_DUPLICATES, &second);
    if (!again) return says_memory(&second);
    json_decref(again);
    return true;
}

rv_status rv_safetensors_parse(rv_safetensors *file, const rv_allocator *allocator, const char *header,
                               size_t header_bytes, uint64_t data_bytes, rv_error *error) {
    *file = (rv_safetensors){.allocator = *allocator};
    if (header_bytes == 0 || header[0] != '{') return bad(error, "its header is no JSON object");
    rv_status status = check_extent(header, header_bytes, error);
    if (status != RV_OK) return status;
    json_error_t mistake;
    file->root = json_loadb(header, header_bytes, JSON_REJECT_DUPLICATES, &mistake);
    if (!file->root) {
        if (out_of_memory(&mistake, header, header_bytes)) {
            return rv_fail(error, RV_OUT_OF_MEMORY, "no memory to read a header of %zu bytes", header_bytes);
        }
        return rv_fail(error, RV_BAD_FILE, "its header is no valid JSON, from about byte %d on", mistake.position);
    }
    return read_root(file, data_bytes, error);
}

void rv_safetensors_free(rv_safetensors *file) {
    if (file->root) json_decref(file->root);
    if (file->tensors) file->allocator.resize(file->allocator.user, file->tensors, 0);
    if (file->metadata) file->allocator.resize(file->allocator.user, file->metadata, 0);
    *file = (rv_safetensors){0};
}

const rv_safetensor *rv_safetensors_find(const rv_safetensors *file, const char *name) {
    for (uint32_t i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    }
    return NULL;
}

/* ---- writing ---- */

typedef struct rv_text_buffer {
    const rv_allocator *allocator;
    char *bytes;
    size_t count, capacity;
    bool failed; /* no memory; what follows is dropped */
} rv_text_buffer;

static void put_bytes(rv_text_buffer *buffer, const char *bytes, size_t count) {
    if (buffer->failed) return;
    if (count > buffer->capacity - buffer->count) {
        const size_t larger = 2 * (buffer->count + count) + 4096;
        char *memory = buffer->allocator->resize(buffer->allocator->user, buffer->bytes, larger);
        if (!memory) {
            buffer->failed = true;
            return;
        }
        buffer->bytes = memory;
        buffer->capacity = larger;
    }
    memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
}

static void put(rv_text_buffer *buffer, const char *text) { put_bytes(buffer, text, strlen(text)); }

static void put_size(rv_text_buffer *buffer, uint64_t value) {
    char digits[24];
    const int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    put_bytes(buffer, digits, (size_t)count);
}

/* Only what JSON demands is escaped, with the short forms where there are any. */
static void put_quoted(rv_text_buffer *buffer, const char *text) {
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    put(buffer, "\"");
    for (; *text; text++) {
        const char *found = strchr(plain, *text);
        char escaped[8];
        if (found) {
            put_bytes(buffer, (char[]){'\\', letter[found - plain]}, 2);
        } else if ((unsigned char)*text < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*text);
            put(buffer, escaped);
        } else {
            put_bytes(buffer, text, 1);
        }
    }
    put(buffer, "\"");
}

static void put_tensor(rv_text_buffer *buffer, const rv_safetensor *tensor) {
    put_quoted(buffer, tensor->name);
    put(buffer, ":{\"dtype\":\"");
    put(buffer, types[tensor->type].name);
    put(buffer, "\",\"shape\":[");
    for (int i = 0; i < tensor->dims; i++) {
        if (i > 0) put(buffer, ",");
        put_size(buffer, tensor->shape[i]);
    }
    put(buffer, "],\"data_offsets\":[");
    put_size(buffer, tensor->begin);
    put(buffer, ",");
    put_size(buffer, tensor->end);
    put(buffer, "]}");
}

static int by_type_and_name(const void *a, const void *b) {
    const rv_safetensor *x = a, *y = b;
    if (x->type != y->type) return x->type > y->type ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool place(rv_safetensor *tensors, uint32_t count) {
    if (count > 0) qsort(tensors, count, sizeof *tensors, by_type_and_name);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = types[tensors[i].type].bits / 8;
        for (int k = 0; k < tensors[i].dims; k++) {
            if (!rv_mul_size(bytes, tensors[i].shape[k], &bytes)) return false;
        }
        tensors[i].begin = at;
        if (!rv_add_size(at, bytes, &at) || at > INT64_MAX) return false;
        tensors[i].end = at;
    }
    return true;
}

rv_status rv_safetensors_write(const rv_allocator *allocator, rv_safetensor *tensors, uint32_t count,
                               const rv_safetensors_text *metadata, uint32_t metadata_count, char **header,
                               size_t *header_bytes, rv_error *error) {
    *header = NULL;
    *header_bytes = 0;
    if (count > RV_SAFETENSORS_MAX_TENSORS || !place(tensors, count)) {
        return rv_fail(error, RV_TOO_LARGE, "%u tensors: over 65536, or more bytes than can be addressed", count);
    }
    rv_text_buffer buffer = {.allocator = allocator};
    put_bytes(&buffer, "\0\0\0\0\0\0\0\0{", 9);
    for (uint32_t i = 0; i < metadata_count; i++) {
        put(&buffer, i == 0 ? "\"__metadata__\":{" : ",");
        put_quoted(&buffer, metadata[i].key);
        put(&buffer, ":");
        put_quoted(&buffer, metadata[i].text);
    }
    if (metadata_count > 0) put(&buffer, "}");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 || metadata_count > 0) put(&buffer, ",");
        put_tensor(&buffer, &tensors[i]);
    }
    put(&buffer, "}");
    while (buffer.count % 8 != 0 && !buffer.failed) put(&buffer, " ");
    const uint64_t length = buffer.count - 8;
    rv_status status = RV_OK;
    if (buffer.failed) status = rv_fail(error, RV_OUT_OF_MEMORY, "no memory for the header");
    else if (length > RV_SAFETENSORS_MAX_HEADER) {
        status = rv_fail(error, RV_TOO_LARGE, "a header of %llu bytes is beyond 16 MiB: shorten the metadata",
                         (unsigned long long)length);
    }
    if (status != RV_OK) {
        if (buffer.bytes) allocator->resize(allocator->user, buffer.bytes, 0);
        return status;
    }
    for (int i = 0; i < 8; i++) buffer.bytes[i] = (char)(uint8_t)(length >> 8 * i);
    *header = buffer.bytes;
    *header_bytes = buffer.count;
    return RV_OK;
}
