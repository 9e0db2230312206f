/* core/checkpoint.c: which arrays a file holds, saving them, loading them. */
#include "reverie/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they lie in memory");

#define FORMAT_KEY "reverie"
#define FORMAT_VERSION "1"

enum { CHUNK_BYTES = 1 << 20 };

/* rows * cols elements of an array from `offset` on. */
typedef struct rv_entry {
    char *name;
    rv_array *array;
    int64_t offset, rows, cols;
    bool flat; /* one dimension in the file where it has one row */
} rv_entry;

typedef struct rv_texts {
    rv_safetensors_text *list; /* keys and texts are owned */
    uint32_t count, capacity;
} rv_texts;

struct rv_checkpoint {
    rv_device *device;
    rv_error error;
    rv_entry *entries;
    uint32_t count, capacity;
    rv_texts metadata;
};

static void free_texts(rv_device *device, rv_texts *texts) {
    for (uint32_t i = 0; i < texts->count; i++) {
        rv_free(device, (char *)texts->list[i].key);
        rv_free(device, (char *)texts->list[i].text);
    }
    rv_free(device, texts->list);
    *texts = (rv_texts){0};
}

/* Sets a text; false: out of memory, and nothing changed. */
static bool set_text(rv_device *device, rv_texts *texts, const char *key, const char *text) {
    char *copy = rv_copy_text(device, text);
    if (!copy) return false;
    for (uint32_t i = 0; i < texts->count; i++) {
        if (strcmp(texts->list[i].key, key) != 0) continue;
        rv_free(device, (char *)texts->list[i].text);
        texts->list[i].text = copy;
        return true;
    }
    char *name = rv_copy_text(device, key);
    if (!name || !rv_grow(device, (void **)&texts->list, &texts->capacity, texts->count, sizeof *texts->list)) {
        rv_free(device, name);
        rv_free(device, copy);
        return false;
    }
    texts->list[texts->count++] = (rv_safetensors_text){name, copy};
    return true;
}

rv_status rv_checkpoint_create(rv_device *device, rv_checkpoint **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_checkpoint *checkpoint = rv_alloc(device, 1, sizeof *checkpoint);
    if (!checkpoint) return rv_fail(&device->error, RV_OUT_OF_MEMORY, "no memory for a checkpoint");
    rv_device_retain(device);
    checkpoint->device = device;
    *out = checkpoint;
    return RV_OK;
}

void rv_checkpoint_destroy(rv_checkpoint *checkpoint) {
    if (!checkpoint) return;
    rv_device *device = checkpoint->device;
    for (uint32_t i = 0; i < checkpoint->count; i++) {
        rv_free(device, checkpoint->entries[i].name);
        rv_array_release(checkpoint->entries[i].array);
    }
    rv_free(device, checkpoint->entries);
    free_texts(device, &checkpoint->metadata);
    rv_free(device, checkpoint);
    rv_device_release(device);
}

const char *rv_checkpoint_message(const rv_checkpoint *checkpoint) {
    return checkpoint ? checkpoint->error.text : "no checkpoint";
}

/* ---- what it holds ---- */

static rv_status add(rv_checkpoint *checkpoint, const rv_entry *entry) {
    rv_error *error = &checkpoint->error;
    rv_device *device = checkpoint->device;
    if (!rv_safetensors_name_valid(entry->name)) {
        return rv_fail(error, RV_INVALID_ARGUMENT,
                       "checkpoint: \"%.200s\" is no name: 1 to 512 bytes of UTF-8, none a control character",
                       entry->name);
    }
    if (entry->array->device != device) {
        return rv_fail(error, RV_WRONG_DEVICE, "checkpoint: %.200s is on another device", entry->name);
    }
    for (uint32_t i = 0; i < checkpoint->count; i++) {
        if (strcmp(checkpoint->entries[i].name, entry->name) == 0) {
            return rv_fail(error, RV_INVALID_ARGUMENT, "checkpoint: the name %.200s is taken", entry->name);
        }
    }
    char *name = rv_copy_text(device, entry->name);
    void **list = (void **)&checkpoint->entries;
    if (!name || !rv_grow(device, list, &checkpoint->capacity, checkpoint->count, sizeof *entry)) {
        rv_free(device, name);
        return rv_fail(error, RV_OUT_OF_MEMORY, "checkpoint: no memory to add %.200s", entry->name);
    }
    rv_entry *added = &checkpoint->entries[checkpoint->count++];
    *added = *entry;
    added->name = name;
    rv_array_retain(added->array);
    return RV_OK;
}

/* Takes back what a failed call has added. */
static void remove_from(rv_checkpoint *checkpoint, uint32_t first) {
    while (checkpoint->count > first) {
        rv_entry *entry = &checkpoint->entries[--checkpoint->count];
        rv_free(checkpoint->device, entry->name);
        rv_array_release(entry->array);
    }
}

rv_status rv_checkpoint_add_array(rv_checkpoint *checkpoint, const char *name, rv_array *array) {
    if (!checkpoint) return RV_INVALID_ARGUMENT;
    if (!name || !array) {
        return rv_fail(&checkpoint->error, RV_INVALID_ARGUMENT, "rv_checkpoint_add_array: name or array is NULL");
    }
    const rv_entry entry = {.name = (char *)name, .array = array, .rows = array->rows, .cols = array->cols};
    return add(checkpoint, &entry);
}

static rv_status add_weight(rv_checkpoint *checkpoint, const char *prefix, rv_params *params, int index) {
    static const struct {
        rv_params_part part;
        const char *ending;
    } saved[] = {{RV_VALUE, ""}, {RV_MOMENT1, "/moment1"}, {RV_MOMENT2, "/moment2"}};
    char name[RV_SAFETENSORS_MAX_NAME + 2];
    rv_entry entry = {.name = name, .offset = rv_params_offset(params, index), .flat = true};
    rv_params_shape(params, index, &entry.rows, &entry.cols);
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) {
        snprintf(name, sizeof name, "%s%s%s", prefix, rv_params_name(params, index), saved[i].ending);
        entry.array = rv_params_array(params, saved[i].part);
        if (!entry.array) continue; /* values only */
        rv_status status = add(checkpoint, &entry);
        if (status != RV_OK) return status;
    }
    return RV_OK;
}

rv_status rv_checkpoint_add_params(rv_checkpoint *checkpoint, const char *prefix, rv_params *params) {
    if (!checkpoint) return RV_INVALID_ARGUMENT;
    if (!prefix || !params || !rv_params_updates(params)) {
        return rv_fail(&checkpoint->error, RV_INVALID_ARGUMENT,
                       "rv_checkpoint_add_params: needs a prefix, \"\" at least, and a committed set of weights");
    }
    const uint32_t before = checkpoint->count;
    rv_status status = RV_OK;
    for (int i = 0; i < rv_params_count(params) && status == RV_OK; i++) {
        status = add_weight(checkpoint, prefix, params, i);
    }
    char name[RV_SAFETENSORS_MAX_NAME + 2];
    snprintf(name, sizeof name, "%supdates", prefix);
    const rv_entry updates = {.name = name, .array = rv_params_updates(params), .rows = 1, .cols = 1, .flat = true};
    if (status == RV_OK && rv_params_array(params, RV_MOMENT1)) status = add(checkpoint, &updates);
    if (status != RV_OK) remove_from(checkpoint, before);
    return status;
}

rv_status rv_checkpoint_set(rv_checkpoint *checkpoint, const char *key, const char *text) {
    if (!checkpoint) return RV_INVALID_ARGUMENT;
    rv_error *error = &checkpoint->error;
    if (!key || !text || !rv_safetensors_text_valid(key) || !rv_safetensors_text_valid(text)) {
        return rv_fail(error, RV_INVALID_ARGUMENT, "rv_checkpoint_set: key and text must be UTF-8");
    }
    if (strcmp(key, FORMAT_KEY) == 0) {
        return rv_fail(error, RV_INVALID_ARGUMENT, "rv_checkpoint_set: \"" FORMAT_KEY "\" is the format's version");
    }
    if (set_text(checkpoint->device, &checkpoint->metadata, key, text)) return RV_OK;
    return rv_fail(error, RV_OUT_OF_MEMORY, "rv_checkpoint_set: no memory for %.200s", key);
}

const char *rv_checkpoint_get(const rv_checkpoint *checkpoint, const char *key) {
    if (!checkpoint || !key) return NULL;
    for (uint32_t i = 0; i < checkpoint->metadata.count; i++) {
        if (strcmp(checkpoint->metadata.list[i].key, key) == 0) return checkpoint->metadata.list[i].text;
    }
    return NULL;
}

/* ---- saving and loading ---- */

static const struct {
    rv_safetensors_type type;
    size_t bytes;
} host_types[] = {
    [RV_F32] = {RV_SAFETENSORS_F32, 4},
    [RV_I32] = {RV_SAFETENSORS_I32, 4},
    [RV_U8] = {RV_SAFETENSORS_U8, 1},
};

static size_t element_bytes(const rv_entry *entry) { return host_types[entry->array->dtype].bytes; }
static size_t entry_count(const rv_entry *entry) { return (size_t)(entry->rows * entry->cols); }
static size_t entry_bytes(const rv_entry *entry) { return entry_count(entry) * element_bytes(entry); }

static rv_safetensor describe(const rv_entry *entry) {
    rv_safetensor tensor = {.name = entry->name, .type = host_types[entry->array->dtype].type};
    if (!entry->flat || entry->rows != 1) tensor.shape[tensor.dims++] = (uint64_t)entry->rows;
    tensor.shape[tensor.dims++] = (uint64_t)entry->cols;
    return tensor;
}

static rv_status check_entry(rv_error *error, const rv_entry *entry) {
    const rv_array *array = entry->array;
    if (array->gone) return rv_fail(error, RV_OBJECT_GONE, "the array of %.200s was destroyed", entry->name);
    if (!array->buffer) return rv_fail(error, RV_WRONG_STATE, "the array of %.200s was never created", entry->name);
    return RV_OK;
}

static rv_status check_entries(rv_checkpoint *checkpoint) {
    rv_status status = RV_OK;
    for (uint32_t i = 0; i < checkpoint->count && status == RV_OK; i++) {
        status = check_entry(&checkpoint->error, &checkpoint->entries[i]);
    }
    return status;
}

/* The entry's elements [first, first + count) to the host, and from it. */
static rv_status download(rv_checkpoint *checkpoint, const rv_entry *entry, size_t first, size_t count, void *data) {
    rv_device *device = checkpoint->device;
    if (count == 0) return RV_OK;
    return device->backend->download(device->state, entry->array->buffer, entry->array->dtype,
                                     (size_t)entry->offset + first, count, data, &checkpoint->error);
}

static rv_status upload(rv_checkpoint *checkpoint, const rv_entry *entry, const void *data) {
    rv_device *device = checkpoint->device;
    if (entry_count(entry) == 0) return RV_OK;
    return device->backend->upload(device->state, entry->array->buffer, entry->array->dtype, (size_t)entry->offset,
                                   entry_count(entry), data, &checkpoint->error);
}

static rv_status save_entry(rv_checkpoint *checkpoint, const rv_entry *entry, rv_file_writer *writer, char *chunk) {
    const size_t size = element_bytes(entry), count = entry_count(entry), most = CHUNK_BYTES / size;
    rv_status status = RV_OK;
    for (size_t done = 0; done < count && status == RV_OK; done += most) {
        const size_t part = count - done < most ? count - done : most;
        status = download(checkpoint, entry, done, part, chunk);
        if (status == RV_OK) status = rv_file_write(writer, chunk, part * size);
    }
    return status;
}

static const rv_entry *entry_named(const rv_checkpoint *checkpoint, const char *name) {
    for (uint32_t i = 0; i < checkpoint->count; i++) {
        if (checkpoint->entries[i].name == name) return &checkpoint->entries[i];
    }
    return NULL;
}

static rv_status save_entries(rv_checkpoint *checkpoint, rv_safetensor *tensors, rv_file_writer *writer, char *chunk) {
    rv_device *device = checkpoint->device;
    for (uint32_t i = 0; i < checkpoint->count; i++) tensors[i] = describe(&checkpoint->entries[i]);
    char *header;
    size_t header_bytes;
    rv_status status = rv_safetensors_write(&device->allocator, tensors, checkpoint->count, checkpoint->metadata.list,
                                            checkpoint->metadata.count, &header, &header_bytes, &checkpoint->error);
    if (status == RV_OK) status = rv_file_write(writer, header, header_bytes);
    rv_free(device, header);
    for (uint32_t i = 0; i < checkpoint->count && status == RV_OK; i++) {
        status = save_entry(checkpoint, entry_named(checkpoint, tensors[i].name), writer, chunk);
    }
    return status;
}

rv_status rv_checkpoint_save(rv_checkpoint *checkpoint, const char *path) {
    if (!checkpoint) return RV_INVALID_ARGUMENT;
    rv_device *device = checkpoint->device;
    rv_error *error = &checkpoint->error;
    if (!path || !*path) return rv_fail(error, RV_INVALID_ARGUMENT, "rv_checkpoint_save: no path");
    const char *name;
    rv_status status = rv_device_health(device, &name);
    if (status == RV_NON_FINITE) {
        return rv_fail(error, status, "rv_checkpoint_save: %.200s became NaN or infinite, so %.200s stays as it was",
                       name, path);
    }
    if (status != RV_OK) return rv_fail(error, status, "rv_checkpoint_save: %.400s", rv_device_message(device));
    status = check_entries(checkpoint);
    if (status != RV_OK) return status;
    if (!set_text(device, &checkpoint->metadata, FORMAT_KEY, FORMAT_VERSION)) {
        return rv_fail(error, RV_OUT_OF_MEMORY, "rv_checkpoint_save: no memory");
    }
    rv_safetensor *tensors = rv_alloc(device, checkpoint->count, sizeof *tensors);
    char *chunk = rv_alloc(device, CHUNK_BYTES, 1);
    rv_file_writer writer = {.descriptor = -1};
    if (!tensors || !chunk) status = rv_fail(error, RV_OUT_OF_MEMORY, "rv_checkpoint_save: no memory");
    if (status == RV_OK) status = rv_file_begin(&writer, device, path, error);
    if (status == RV_OK) status = save_entries(checkpoint, tensors, &writer, chunk);
    if (status == RV_OK) status = rv_file_finish(&writer);
    if (writer.device) rv_file_end(&writer);
    rv_free(device, chunk);
    rv_free(device, tensors);
    return status;
}

/* ---- loading: everything is read and checked before the first array changes ---- */

typedef struct rv_source {
    const char *path;
    int descriptor;
    uint64_t data; /* where the tensors' bytes begin */
    rv_safetensors file;
    rv_texts metadata;
} rv_source;

static void close_source(rv_device *device, rv_source *source) {
    rv_file_close(source->descriptor);
    rv_safetensors_free(&source->file);
    free_texts(device, &source->metadata);
}

/* Puts the path in front of what the format's reader said. */
static rv_status of_file(rv_error *error, rv_status status, const char *path) {
    if (status == RV_OK || status == RV_IO_FAILED) return status; /* those name it already */
    char text[sizeof error->text];
    memcpy(text, error->text, sizeof text);
    return rv_fail(error, status, "%.200s: %.300s", path, text);
}

static rv_status read_header(rv_device *device, rv_source *source, uint64_t bytes, rv_error *error) {
    uint8_t first[8] = {0};
    uint64_t header_bytes;
    rv_status status = rv_file_read(source->descriptor, source->path, 0, first, bytes < 8 ? (size_t)bytes : 8, error);
    if (status == RV_OK) status = rv_safetensors_begin(first, bytes, &header_bytes, error);
    if (status != RV_OK) return status;
    char *header = rv_alloc(device, (size_t)header_bytes, 1);
    if (!header) return rv_fail(error, RV_OUT_OF_MEMORY, "no memory for its header of %zu bytes", (size_t)header_bytes);
    source->data = 8 + header_bytes;
    status = rv_file_read(source->descriptor, source->path, 8, header, (size_t)header_bytes, error);
    if (status == RV_OK) {
        status = rv_safetensors_parse(&source->file, &device->allocator, header, (size_t)header_bytes,
                                      bytes - source->data, error);
    }
    rv_free(device, header);
    return status;
}

static rv_status copy_metadata(rv_device *device, rv_source *source, rv_error *error) {
    for (uint32_t i = 0; i < source->file.metadata_count; i++) {
        const rv_safetensors_text *text = &source->file.metadata[i];
        if (strcmp(text->key, FORMAT_KEY) == 0 && strcmp(text->text, FORMAT_VERSION) != 0) {
            return rv_fail(error, RV_BAD_FILE, "another version of reverie wrote it, in format %.32s", text->text);
        }
        if (!set_text(device, &source->metadata, text->key, text->text)) {
            return rv_fail(error, RV_OUT_OF_MEMORY, "no memory for its metadata");
        }
    }
    return RV_OK;
}

static rv_status open_source(rv_checkpoint *checkpoint, const char *path, rv_source *source) {
    rv_device *device = checkpoint->device;
    rv_error *error = &checkpoint->error;
    *source = (rv_source){.path = path, .descriptor = -1};
    uint64_t bytes;
    rv_status status = rv_file_open(path, &source->descriptor, &bytes, error);
    if (status == RV_OK) status = read_header(device, source, bytes, error);
    if (status == RV_OK) status = copy_metadata(device, source, error);
    return of_file(error, status, path);
}

static void take_metadata(rv_checkpoint *checkpoint, rv_source *source) {
    const rv_texts old = checkpoint->metadata;
    checkpoint->metadata = source->metadata;
    source->metadata = old;
}

static void write_shape(const rv_safetensor *tensor, char *text, size_t size) {
    size_t at = 0;
    for (int i = 0; i < tensor->dims && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%llu", i ? ", " : "", (unsigned long long)tensor->shape[i]);
    }
}

static rv_status match(const rv_entry *entry, const rv_source *source, const rv_safetensor **found, rv_error *error) {
    const rv_safetensor wanted = describe(entry), *tensor = rv_safetensors_find(&source->file, entry->name);
    if (!tensor) return rv_fail(error, RV_NOT_FOUND, "%.200s is not in it", entry->name);
    if (tensor->type != wanted.type) {
        return rv_fail(error, RV_TYPE_MISMATCH, "%.200s is %s in it and %s here", entry->name,
                       rv_safetensors_type_name(tensor->type), rv_safetensors_type_name(wanted.type));
    }
    if (tensor->dims != wanted.dims || memcmp(tensor->shape, wanted.shape, sizeof wanted.shape) != 0) {
        char there[64] = "", here[64] = "";
        write_shape(tensor, there, sizeof there);
        write_shape(&wanted, here, sizeof here);
        return rv_fail(error, RV_SHAPE_MISMATCH, "%.120s is [%s] in it and [%s] here: another architecture",
                       entry->name, there, here);
    }
    *found = tensor;
    return RV_OK;
}

/* Reads every entry's bytes one behind the other. */
static rv_status read_entries(rv_checkpoint *checkpoint, const rv_source *source, char **bytes, size_t *largest) {
    rv_device *device = checkpoint->device;
    rv_error *error = &checkpoint->error;
    const rv_safetensor **found = rv_alloc(device, checkpoint->count, sizeof *found);
    rv_status status = found ? RV_OK : rv_fail(error, RV_OUT_OF_MEMORY, "no memory to load it");
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < checkpoint->count && status == RV_OK; i++) {
        const size_t size = entry_bytes(&checkpoint->entries[i]);
        status = match(&checkpoint->entries[i], source, &found[i], error);
        total += size; /* cannot overflow: each is an array that exists */
        if (size > *largest) *largest = size;
    }
    if (status == RV_OK && !(*bytes = rv_alloc(device, total, 1))) {
        status = rv_fail(error, RV_OUT_OF_MEMORY, "no memory for its %zu bytes", total);
    }
    for (uint32_t i = 0; i < checkpoint->count && status == RV_OK; i++) {
        const size_t size = entry_bytes(&checkpoint->entries[i]);
        const uint64_t offset = source->data + found[i]->begin;
        status = rv_file_read(source->descriptor, source->path, offset, *bytes + at, size, error);
        at += size;
    }
    rv_free(device, found);
    return status;
}

/* Exchanges an entry's contents with the bytes. A copy that fails leaves the bytes as they are. */
static rv_status exchange(rv_checkpoint *checkpoint, const rv_entry *entry, char *bytes, char *spare, bool *restored) {
    rv_status status = download(checkpoint, entry, 0, entry_count(entry), spare);
    if (status != RV_OK) return status;
    status = upload(checkpoint, entry, bytes);
    if (status == RV_OK) {
        memcpy(bytes, spare, entry_bytes(entry));
    } else {
        const rv_error kept = checkpoint->error;
        *restored = upload(checkpoint, entry, spare) == RV_OK;
        checkpoint->error = kept;
    }
    return status;
}

/* Puts the new contents in; when a copy fails halfway, the old ones back. */
static rv_status apply(rv_checkpoint *checkpoint, char *bytes, char *spare) {
    size_t at = 0;
    uint32_t done = 0;
    bool restored = true;
    rv_status status = RV_OK;
    for (; done < checkpoint->count; done++) {
        status = exchange(checkpoint, &checkpoint->entries[done], bytes + at, spare, &restored);
        if (status != RV_OK) break;
        at += entry_bytes(&checkpoint->entries[done]);
    }
    if (status == RV_OK) return RV_OK;
    const rv_error first = checkpoint->error;
    while (done-- > 0) {
        at -= entry_bytes(&checkpoint->entries[done]);
        if (upload(checkpoint, &checkpoint->entries[done], bytes + at) != RV_OK) restored = false;
    }
    return rv_fail(&checkpoint->error, status, "%.300s; %s", first.text,
                   restored ? "every array has its old contents" : "old and new contents are mixed: load it again");
}

rv_status rv_checkpoint_load(rv_checkpoint *checkpoint, const char *path) {
    if (!checkpoint) return RV_INVALID_ARGUMENT;
    rv_device *device = checkpoint->device;
    rv_error *error = &checkpoint->error;
    if (!path || !*path) return rv_fail(error, RV_INVALID_ARGUMENT, "rv_checkpoint_load: no path");
    rv_source source;
    char *bytes = NULL, *spare = NULL;
    size_t largest = 0;
    rv_status status = open_source(checkpoint, path, &source);
    if (status == RV_OK) status = check_entries(checkpoint);
    if (status == RV_OK) {
        status = read_entries(checkpoint, &source, &bytes, &largest);
        if (status == RV_OK && !(spare = rv_alloc(device, largest, 1))) {
            status = rv_fail(error, RV_OUT_OF_MEMORY, "no memory to keep the old contents");
        }
        if (status == RV_OK) status = apply(checkpoint, bytes, spare);
        status = of_file(error, status, path);
    }
    if (status == RV_OK) take_metadata(checkpoint, &source);
    rv_free(device, bytes);
    rv_free(device, spare);
    close_source(device, &source);
    return status;
}

rv_status rv_checkpoint_load_metadata(rv_checkpoint *checkpoint, const char *path) {
    if (!checkpoint) return RV_INVALID_ARGUMENT;
    if (!path || !*path) {
        return rv_fail(&checkpoint->error, RV_INVALID_ARGUMENT, "rv_checkpoint_load_metadata: no path");
    }
    rv_source source;
    rv_status status = open_source(checkpoint, path, &source);
    if (status == RV_OK) take_metadata(checkpoint, &source);
    close_source(checkpoint->device, &source);
    return status;
}
