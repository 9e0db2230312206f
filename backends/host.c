/* backends/host.c: memory on the host, for the backends that live there. */
#include "backends/host.h"

#include <string.h>

void *rv_host_memory(const rv_services *services, size_t bytes, void **owned) {
    size_t all;
    *owned = NULL;
    if (__builtin_add_overflow(bytes, (size_t)RV_HOST_ALIGNMENT, &all)) return NULL;
    char *memory = *owned = services->resize(services->user, NULL, all);
    if (!memory) return NULL;
    memory += RV_HOST_ALIGNMENT - (uintptr_t)memory % RV_HOST_ALIGNMENT;
    return memset(memory, 0, bytes);
}

void rv_host_free(const rv_services *services, void *owned) {
    if (owned) services->resize(services->user, owned, 0);
}

rv_status rv_host_allocate(const rv_services *services, size_t bytes, rv_error *error, rv_buffer **buffer) {
    *buffer = services->resize(services->user, NULL, sizeof **buffer);
    if (!*buffer) return services->fail(error, RV_OUT_OF_MEMORY, "no memory for a buffer's handle");
    **buffer = (rv_buffer){.bytes = bytes};
    (*buffer)->memory = rv_host_memory(services, bytes, &(*buffer)->owned);
    if ((*buffer)->memory) return RV_OK;
    services->resize(services->user, *buffer, 0);
    *buffer = NULL;
    return services->fail(error, RV_OUT_OF_MEMORY, "no memory for %zu bytes", bytes);
}

rv_status rv_host_wrap(const rv_services *services, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    *buffer = NULL;
    if (!memory || (uintptr_t)memory % RV_HOST_ALIGNMENT) {
        return services->fail(error, RV_INVALID_ARGUMENT, "memory to wrap must be aligned to %d bytes", RV_HOST_ALIGNMENT);
    }
    *buffer = services->resize(services->user, NULL, sizeof **buffer);
    if (!*buffer) return services->fail(error, RV_OUT_OF_MEMORY, "no memory for a buffer's handle");
    **buffer = (rv_buffer){.memory = memory, .bytes = bytes};
    return RV_OK;
}

void rv_host_release(const rv_services *services, rv_buffer *buffer) {
    if (!buffer) return;
    rv_host_free(services, buffer->owned);
    services->resize(services->user, buffer, 0);
}

/* The address of element `offset`, after a look whether `count` elements lie inside. */
static rv_status locate(const rv_services *services, rv_buffer *buffer, size_t element, size_t offset, size_t count,
                        rv_error *error, char **address) {
    const size_t elements = buffer->bytes / element;
    *address = buffer->memory;
    if (offset > elements || count > elements - offset) {
        return services->fail(error, RV_INVALID_ARGUMENT, "elements [%zu, %zu + %zu) are outside a buffer of %zu", offset,
                              offset, count, elements);
    }
    *address += offset * element;
    return RV_OK;
}

static size_t element_bytes(rv_dtype dtype, bool wide) {
    return dtype == RV_U8 ? 1 : dtype == RV_F32 && wide ? sizeof(double) : 4;
}

rv_status rv_host_upload(const rv_services *services, rv_buffer *buffer, rv_dtype dtype, bool wide, size_t offset,
                         size_t count, const void *data, rv_error *error) {
    const size_t element = element_bytes(dtype, wide);
    char *address;
    const rv_status status = locate(services, buffer, element, offset, count, error, &address);
    if (status != RV_OK || count == 0) return status;
    if (element != sizeof(double)) {
        memcpy(address, data, count * element);
        return RV_OK;
    }
    for (size_t i = 0; i < count; i++) ((double *)(void *)address)[i] = ((const float *)data)[i];
    return RV_OK;
}

rv_status rv_host_download(const rv_services *services, rv_buffer *buffer, rv_dtype dtype, bool wide, size_t offset,
                           size_t count, void *data, rv_error *error) {
    const size_t element = element_bytes(dtype, wide);
    char *address;
    const rv_status status = locate(services, buffer, element, offset, count, error, &address);
    if (status != RV_OK || count == 0) return status;
    if (element != sizeof(double)) {
        memcpy(data, address, count * element);
        return RV_OK;
    }
    for (size_t i = 0; i < count; i++) ((float *)data)[i] = (float)((const double *)(void *)address)[i];
    return RV_OK;
}

rv_status rv_host_fill(const rv_services *services, rv_buffer *buffer, size_t offset, size_t bytes, int byte,
                       rv_error *error) {
    char *address;
    const rv_status status = locate(services, buffer, 1, offset, bytes, error, &address);
    if (status == RV_OK) memset(address, byte, bytes);
    return status;
}
