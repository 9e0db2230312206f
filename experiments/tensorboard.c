/* experiments/tensorboard.c: the few protocol buffers that TensorBoard needs, encoded by hand. */
#include "experiments/tensorboard.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tensorboard {
    FILE *file;
    double seconds; /* 0: the clock's */
};

/* ---- protocol buffers: fields appended to a message; its size grows also where they do not fit ---- */

typedef struct message {
    uint8_t *bytes;
    size_t size, capacity;
} message;

static void append(message *m, const void *bytes, size_t size) {
    if (m->size + size <= m->capacity) memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void varint(message *m, uint64_t value) {
    uint8_t bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    append(m, bytes, count);
}

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */

static void field(message *m, int number, int wire) { varint(m, (uint64_t)number << 3 | (uint64_t)wire); }

static void little(message *m, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    append(m, bytes, size);
}

static void real64(message *m, int number, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    field(m, number, FIXED64);
    little(m, bits, 8);
}

static void real32(message *m, int number, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    field(m, number, FIXED32);
    little(m, bits, 4);
}

static void bytes(message *m, int number, const void *from, size_t size) {
    field(m, number, BYTES);
    varint(m, size);
    append(m, from, size);
}

/* ---- records ------------------------------------------------------------------------------------------------ */

/* CRC-32C (Castagnoli), turned and shifted as the format asks. */
static uint32_t masked_checksum(const uint8_t *data, size_t size) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void write_record(tensorboard *events, const message *event) {
    uint8_t frame[16];
    message head = {frame, 0, sizeof frame};
    little(&head, event->size, 8);
    little(&head, masked_checksum(frame, 8), 4);
    little(&head, masked_checksum(event->bytes, event->size), 4);
    fwrite(frame, 1, 12, events->file);
    fwrite(event->bytes, 1, event->size, events->file);
    fwrite(frame + 12, 1, 4, events->file);
}

/* ---- events: time 1, step 2, file version 3, summary 5, session log 7 ----------------------------------------- */

static void begin_event(const tensorboard *events, message *event, int64_t step) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    real64(event, 1, events->seconds > 0 ? events->seconds : (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
    if (step == 0) return;
    field(event, 2, VARINT);
    varint(event, (uint64_t)step);
}

static void write_version(tensorboard *events) {
    uint8_t memory[64];
    message event = {memory, 0, sizeof memory};
    begin_event(events, &event, 0);
    bytes(&event, 3, "brain.Event:2", 13);
    write_record(events, &event);
}

/* The session begins here: readers drop later steps of earlier files. */
static void write_start(tensorboard *events, int64_t step) {
    static const uint8_t start[] = {0x08, 0x01}; /* status: START */
    uint8_t memory[64];
    message event = {memory, 0, sizeof memory};
    begin_event(events, &event, step);
    bytes(&event, 7, start, sizeof start);
    write_record(events, &event);
}

/* One value (its fields) in a summary in an event. */
static void write_value(tensorboard *events, int64_t step, const message *value) {
    const size_t capacity = value->size + 64;
    uint8_t *memory = malloc(2 * capacity);
    if (!memory) return;
    message summary = {memory, 0, capacity}, event = {memory + capacity, 0, capacity};
    bytes(&summary, 1, value->bytes, value->size);
    begin_event(events, &event, step);
    bytes(&event, 5, summary.bytes, summary.size);
    write_record(events, &event);
    free(memory);
}

void tensorboard_scalar(tensorboard *events, const char *tag, int64_t step, float number) {
    uint8_t memory[256];
    message value = {memory, 0, sizeof memory};
    bytes(&value, 1, tag, strlen(tag));
    real32(&value, 2, number);
    if (value.size <= value.capacity) write_value(events, step, &value);
}

/* A tensor (8) of type string (7) with one element, and metadata (9) that names the plugin `text`. */
void tensorboard_text(tensorboard *events, const char *tag, int64_t step, const char *text) {
    static const uint8_t metadata[] = {0x0a, 0x06, 0x0a, 0x04, 't', 'e', 'x', 't'};
    static const uint8_t type_and_shape[] = {0x08, 0x07, 0x12, 0x04, 0x12, 0x02, 0x08, 0x01};
    const size_t length = strlen(text), capacity = 2 * (length + strlen(tag)) + 256;
    uint8_t *memory = malloc(2 * capacity);
    if (!memory) return;
    message value = {memory, 0, capacity}, tensor = {memory + capacity, 0, capacity};
    append(&tensor, type_and_shape, sizeof type_and_shape);
    bytes(&tensor, 8, text, length); /* string_val */
    bytes(&value, 1, tag, strlen(tag));
    bytes(&value, 8, tensor.bytes, tensor.size);
    bytes(&value, 9, metadata, sizeof metadata);
    write_value(events, step, &value);
    free(memory);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

tensorboard *tensorboard_open_stream(FILE *file, double seconds, int64_t step) {
    tensorboard *events = malloc(sizeof *events);
    if (!events) {
        fclose(file);
        return NULL;
    }
    *events = (tensorboard){.file = file, .seconds = seconds};
    write_version(events);
    write_start(events, step);
    return events;
}

tensorboard *tensorboard_open(const char *folder, int64_t step) {
    char host[65] = "", path[1536];
    if (gethostname(host, sizeof host - 1) != 0 || !host[0]) strcpy(host, "localhost");
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    /* processes may follow each other within a second: nanoseconds tell their files apart, in order */
    snprintf(path, sizeof path, "%s/events.out.tfevents.%010lld.%s.%ld.%09ld", folder, (long long)now.tv_sec, host,
             (long)getpid(), now.tv_nsec);
    FILE *file = fopen(path, "wxe");
    return file ? tensorboard_open_stream(file, 0.0, step) : NULL;
}

bool tensorboard_flush(tensorboard *events) { return fflush(events->file) == 0 && !ferror(events->file); }

bool tensorboard_close(tensorboard *events) {
    if (!events) return true;
    bool written = tensorboard_flush(events);
    written = fclose(events->file) == 0 && written;
    free(events);
    return written;
}
