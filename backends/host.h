/* backends/host.h: memory on the host, for the backends that live there (cpu, null). */
#ifndef RV_BACKENDS_HOST_H
#define RV_BACKENDS_HOST_H

#include "core/backend.h"

enum { RV_HOST_ALIGNMENT = 64 };

struct rv_buffer {
    char *memory; /* 64-byte aligned, never NULL, also where bytes is 0 */
    size_t bytes;
    void *owned; /* what resize gave; NULL where the caller owns the memory */
};

/* Memory through services->resize, aligned by ourselves and zeroed; NULL when there is none.
 * *owned is what rv_host_free wants back. */
void *rv_host_memory(const rv_services *services, size_t bytes, void **owned);
void rv_host_free(const rv_services *services, void *owned);

rv_status rv_host_allocate(const rv_services *services, size_t bytes, rv_error *error, rv_buffer **buffer);
rv_status rv_host_wrap(const rv_services *services, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer);
void rv_host_release(const rv_services *services, rv_buffer *buffer);

/* Copies between the host program's elements and the buffer's; `wide`: f32 is held as double. */
rv_status rv_host_upload(const rv_services *services, rv_buffer *buffer, rv_dtype dtype, bool wide, size_t offset,
                         size_t count, const void *data, rv_error *error);
rv_status rv_host_download(const rv_services *services, rv_buffer *buffer, rv_dtype dtype, bool wide, size_t offset,
                           size_t count, void *data, rv_error *error);
rv_status rv_host_fill(const rv_services *services, rv_buffer *buffer, size_t offset, size_t bytes, int byte,
                       rv_error *error);

/* Addresses of an operand's first element; NULL where it is absent. */
static inline float *rv_f32(const rv_operand *operand) {
    return operand->buffer ? (float *)(void *)operand->buffer->memory + operand->offset : NULL;
}
static inline double *rv_f64(const rv_operand *operand) { /* f32 on cpu:double */
    return operand->buffer ? (double *)(void *)operand->buffer->memory + operand->offset : NULL;
}
static inline int32_t *rv_i32(const rv_operand *operand) {
    return operand->buffer ? (int32_t *)(void *)operand->buffer->memory + operand->offset : NULL;
}
static inline uint8_t *rv_u8(const rv_operand *operand) {
    return operand->buffer ? (uint8_t *)operand->buffer->memory + operand->offset : NULL;
}

#endif
