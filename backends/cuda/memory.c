/* backends/cuda/memory.c: buffers on the device, and copies between them and the host. */
#include "backends/cuda/cuda.h"

#include <string.h>

void *rv_cuda_host(const rv_services *services, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count ? count : 1, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    void *memory = services->resize(services->user, NULL, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void rv_cuda_host_free(const rv_services *services, void *memory) {
    if (memory) services->resize(services->user, memory, 0);
}

/* ---- buffers ---------------------------------------------------------------------------------------------- */

rv_status rv_cuda_memory(rv_cuda *cuda, size_t bytes, CUdeviceptr *memory, rv_error *error) {
    *memory = 0;
    const rv_cu_result result = cuda->driver.cuMemAlloc_v2(memory, bytes ? bytes : 1);
    if (result != RV_CU_OUT_OF_MEMORY) return rv_cuda_check(cuda, result, "cuMemAlloc_v2", error);
    size_t free = 0, total = 0;
    cuda->driver.cuMemGetInfo_v2(&free, &total);
    return cuda->services.fail(error, RV_OUT_OF_MEMORY,
                               "cuda:%d: no memory for %zu bytes; %zu of %zu are free; make batches or models smaller, or close what "
                               "else uses the GPU",
                               cuda->ordinal, bytes, free, total);
}

static rv_status allocate(rv_cuda *cuda, rv_buffer *buffer, rv_error *error) {
    const rv_status status = rv_cuda_memory(cuda, buffer->bytes, &buffer->memory, error);
    if (status != RV_OK || buffer->bytes == 0) return status;
    return RV_CUDA_CALL(cuda, error, cuMemsetD8Async, buffer->memory, 0, buffer->bytes, cuda->stream);
}

static rv_status new_buffer(rv_cuda *cuda, size_t bytes, rv_error *error, rv_buffer **buffer) {
    *buffer = rv_cuda_host(&cuda->services, 1, sizeof **buffer);
    if (!*buffer) return cuda->services.fail(error, RV_OUT_OF_MEMORY, "cuda:%d: no host memory for a buffer's handle", cuda->ordinal);
    (*buffer)->bytes = bytes;
    return RV_OK;
}

rv_status rv_cuda_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_cuda *cuda = state;
    *buffer = NULL;
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    status = new_buffer(cuda, bytes, error, buffer);
    if (status == RV_OK) {
        (*buffer)->owned = true;
        status = allocate(cuda, *buffer, error);
    }
    rv_cuda_leave(cuda);
    if (status == RV_OK) return RV_OK;
    rv_cuda_release(cuda, *buffer);
    *buffer = NULL;
    return status;
}

/* Memory of this device, aligned so that four floats can be read at once. */
static rv_status look_at(rv_cuda *cuda, CUdeviceptr memory, rv_error *error) {
    unsigned kind = 0;
    int ordinal = -1;
    if (memory == 0 || memory % 16 != 0) {
        return cuda->services.fail(error, RV_INVALID_ARGUMENT, "cuda:%d: memory to wrap must be a CUdeviceptr aligned to 16 bytes",
                                   cuda->ordinal);
    }
    const rv_cu_result result = cuda->driver.cuPointerGetAttribute(&kind, RV_CU_POINTER_MEMORY_TYPE, memory);
    if (result == RV_CU_SUCCESS && kind == RV_CU_MEMORYTYPE_DEVICE) {
        const rv_status status =
            RV_CUDA_CALL(cuda, error, cuPointerGetAttribute, &ordinal, RV_CU_POINTER_DEVICE_ORDINAL, memory);
        if (status != RV_OK || ordinal == cuda->ordinal) return status;
    }
    bool lost;
    rv_cuda_status(result, &lost);
    if (lost) return rv_cuda_check(cuda, result, "cuPointerGetAttribute", error);
    return cuda->services.fail(error, RV_UNSUPPORTED, "cuda:%d: memory to wrap is not this device's own (cuMemAlloc, cudaMalloc)",
                               cuda->ordinal);
}

rv_status rv_cuda_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_cuda *cuda = state;
    *buffer = NULL;
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    status = look_at(cuda, (CUdeviceptr)(uintptr_t)memory, error);
    rv_cuda_leave(cuda);
    if (status == RV_OK) status = new_buffer(cuda, bytes, error, buffer);
    if (status == RV_OK) (*buffer)->memory = (CUdeviceptr)(uintptr_t)memory;
    return status;
}

/* cuMemFree waits for work that may still use the memory. */
void rv_cuda_release(void *state, rv_buffer *buffer) {
    rv_cuda *cuda = state;
    if (!buffer) return;
    if (buffer->owned && buffer->memory && rv_cuda_enter_quietly(cuda)) {
        rv_cuda_check(cuda, cuda->driver.cuMemFree_v2(buffer->memory), "cuMemFree_v2", NULL);
        rv_cuda_leave(cuda);
    }
    rv_cuda_host_free(&cuda->services, buffer);
}

void *rv_cuda_native(void *state, rv_buffer *buffer) {
    (void)state;
    return (void *)(uintptr_t)buffer->memory;
}

/* ---- staging ------------------------------------------------------------------------------------------------ */

rv_status rv_cuda_staging_open(rv_cuda *cuda, rv_error *error) {
    rv_cuda_staging *staging = &cuda->staging;
    void *memory = NULL;
    rv_status status = RV_CUDA_CALL(cuda, error, cuMemHostAlloc, &memory, (RV_CUDA_STAGES + 1) * (size_t)RV_CUDA_STAGE_BYTES, 0);
    staging->memory = memory;
    for (int i = 0; i < RV_CUDA_STAGES && status == RV_OK; i++) {
        status = RV_CUDA_CALL(cuda, error, cuEventCreate, &staging->left[i], RV_CU_EVENT_DISABLE_TIMING);
    }
    return status;
}

void rv_cuda_staging_close(rv_cuda *cuda) {
    rv_cuda_staging *staging = &cuda->staging;
    for (int i = 0; i < RV_CUDA_STAGES; i++) {
        if (staging->left[i]) cuda->driver.cuEventDestroy_v2(staging->left[i]);
    }
    if (staging->memory) cuda->driver.cuMemFreeHost(staging->memory);
    *staging = (rv_cuda_staging){0};
}

/* Goes on to the next part when `bytes` do not fit behind what is filled; waits where the device still reads it. */
static rv_status make_room(rv_cuda *cuda, size_t bytes, rv_error *error) {
    rv_cuda_staging *staging = &cuda->staging;
    if (bytes <= RV_CUDA_STAGE_BYTES - staging->filled) return RV_OK;
    rv_status status = RV_CUDA_CALL(cuda, error, cuEventRecord, staging->left[staging->stage], cuda->stream);
    if (status != RV_OK) return status;
    const int next = (staging->stage + 1) % RV_CUDA_STAGES;
    status = RV_CUDA_CALL(cuda, error, cuEventSynchronize, staging->left[next]); /* at once where never recorded */
    if (status != RV_OK) return status;
    staging->stage = next;
    staging->filled = 0;
    return RV_OK;
}

static rv_status upload_piece(rv_cuda *cuda, CUdeviceptr to, const void *data, size_t bytes, rv_error *error) {
    rv_cuda_staging *staging = &cuda->staging;
    const rv_status status = make_room(cuda, bytes, error);
    if (status != RV_OK) return status;
    char *from = staging->memory + (size_t)staging->stage * RV_CUDA_STAGE_BYTES + staging->filled;
    memcpy(from, data, bytes);
    staging->filled += (bytes + 63) / 64 * 64;
    return RV_CUDA_CALL(cuda, error, cuMemcpyHtoDAsync_v2, to, from, bytes, cuda->stream);
}

static rv_status download_piece(rv_cuda *cuda, void *data, CUdeviceptr from, size_t bytes, rv_error *error) {
    char *to = cuda->staging.memory + RV_CUDA_STAGES * (size_t)RV_CUDA_STAGE_BYTES;
    rv_status status = RV_CUDA_CALL(cuda, error, cuMemcpyDtoHAsync_v2, to, from, bytes, cuda->stream);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuStreamSynchronize, cuda->stream);
    if (status == RV_OK) memcpy(data, to, bytes);
    return status;
}

static size_t piece_of(size_t bytes) { return bytes < RV_CUDA_STAGE_BYTES ? bytes : RV_CUDA_STAGE_BYTES; }

/* ---- copies -------------------------------------------------------------------------------------------------- */

/* Bytes [offset, offset + bytes) of the buffer; the message counts elements. */
static rv_status locate(rv_cuda *cuda, const rv_buffer *buffer, size_t element, size_t offset, size_t count, rv_error *error,
                        CUdeviceptr *address) {
    const size_t elements = buffer->bytes / element;
    *address = buffer->memory;
    if (offset > elements || count > elements - offset) {
        return cuda->services.fail(error, RV_INVALID_ARGUMENT, "elements [%zu, %zu + %zu) are outside a buffer of %zu", offset,
                                   offset, count, elements);
    }
    *address += offset * element;
    return RV_OK;
}

static size_t element_bytes(rv_dtype dtype) { return dtype == RV_U8 ? 1 : 4; }

rv_status rv_cuda_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                         rv_error *error) {
    rv_cuda *cuda = state;
    CUdeviceptr to;
    rv_status status = locate(cuda, buffer, element_bytes(dtype), offset, count, error, &to);
    if (status != RV_OK || count == 0) return status;
    status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    const char *at = data;
    for (size_t left = count * element_bytes(dtype), bytes; left > 0 && status == RV_OK; left -= bytes, at += bytes, to += bytes) {
        bytes = piece_of(left);
        status = upload_piece(cuda, to, at, bytes, error);
    }
    rv_cuda_leave(cuda);
    return status;
}

rv_status rv_cuda_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                           rv_error *error) {
    rv_cuda *cuda = state;
    CUdeviceptr from;
    rv_status status = locate(cuda, buffer, element_bytes(dtype), offset, count, error, &from);
    if (status != RV_OK || count == 0) return status;
    status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    char *at = data;
    for (size_t left = count * element_bytes(dtype), bytes; left > 0 && status == RV_OK; left -= bytes, at += bytes, from += bytes) {
        bytes = piece_of(left);
        status = download_piece(cuda, at, from, bytes, error);
    }
    rv_cuda_leave(cuda);
    return status;
}

rv_status rv_cuda_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    rv_cuda *cuda = state;
    CUdeviceptr to;
    rv_status status = locate(cuda, buffer, 1, offset, bytes, error, &to);
    if (status != RV_OK || bytes == 0) return status;
    status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    status = RV_CUDA_CALL(cuda, error, cuMemsetD8Async, to, (unsigned char)byte, bytes, cuda->stream);
    rv_cuda_leave(cuda);
    return status;
}

rv_status rv_cuda_sync(void *state, rv_error *error) {
    rv_cuda *cuda = state;
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    status = RV_CUDA_CALL(cuda, error, cuStreamSynchronize, cuda->stream);
    rv_cuda_leave(cuda);
    return status;
}
