/* core/status.c: texts of statuses, messages, host memory, checked sizes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"

const char *rv_status_text(rv_status status) {
    switch (status) {
#define TEXT(name, number, text) \
    case RV_##name:              \
        return text;
        RV_STATUS_LIST(TEXT)
#undef TEXT
    }
    return "unknown status";
}

const char *rv_version(void) { return RV_VERSION; }

rv_status rv_fail(rv_error *error, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->status = status;
    return status;
}

bool rv_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
bool rv_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

void *rv_resize(rv_device *device, void *memory, size_t count, size_t size) {
    size_t bytes;
    if (!rv_mul_size(count, size, &bytes) || bytes == 0 || bytes > PTRDIFF_MAX) return NULL;
    return device->allocator.resize(device->allocator.user, memory, bytes);
}

void *rv_alloc(rv_device *device, size_t count, size_t size) {
    void *memory = rv_resize(device, NULL, count ? count : 1, size);
    if (memory) memset(memory, 0, (count ? count : 1) * size);
    return memory;
}

void rv_free(rv_device *device, void *memory) {
    if (memory) device->allocator.resize(device->allocator.user, memory, 0);
}

char *rv_copy_text(rv_device *device, const char *text) {
    size_t length = strlen(text) + 1;
    char *copy = rv_alloc(device, length, 1);
    if (copy) memcpy(copy, text, length);
    return copy;
}

bool rv_grow(rv_device *device, void **list, uint32_t *capacity, uint32_t count, size_t size) {
    if (count < *capacity) return true;
    if (*capacity > UINT32_MAX / 2) return false;
    uint32_t larger = *capacity ? *capacity * 2 : 16;
    void *memory = rv_resize(device, *list, larger, size);
    if (!memory) return false;
    *list = memory;
    *capacity = larger;
    return true;
}
