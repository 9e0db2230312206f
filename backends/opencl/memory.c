/* backends/opencl/memory.c: buffers, and copies between them and the host.
 *
 * The queue is in order, so behind every wait nothing is in flight. Small uploads go through an area of the host that is
 * filled from the front and begins anew behind the next wait: the caller's pointer is not kept, and an upload in front of
 * a run does not wait for the run before it.
 */
#include <string.h>

#include "backends/opencl/opencl.h"

enum { PIECE = 16, STAGED_MOST = RV_OPENCL_STAGING / 4 };

static cl_int wait_for_all(rv_opencl *cl) {
    const cl_int code = clFinish(cl->queue);
    if (code == CL_SUCCESS) cl->staged = 0;
    return code;
}

/* ---- buffers ----------------------------------------------------------------------------------------- */

static rv_status no_room(const rv_opencl *cl, size_t bytes, const char *why, rv_error *error) {
    const double mib = 1.0 / (1 << 20);
    return cl->services.fail(error, RV_OUT_OF_MEMORY,
                             "opencl: no memory for %.1f MiB (%zu bytes): %s; the device has %.0f MiB, at most %.0f MiB in "
                             "one piece; smaller batches need less",
                             (double)bytes * mib, bytes, why, (double)cl->facts.memory * mib, (double)cl->facts.largest * mib);
}

rv_status rv_opencl_memory(rv_opencl *cl, size_t bytes, rv_error *error, cl_mem *memory) {
    *memory = NULL;
    if (bytes > cl->facts.largest) return no_room(cl, bytes, "more than one buffer can have", error);
    cl_int code;
    *memory = clCreateBuffer(cl->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (code == CL_SUCCESS) return RV_OK;
    *memory = NULL;
    if (rv_opencl_no_memory(code)) return no_room(cl, bytes, rv_opencl_code_name(code), error);
    return rv_opencl_error(cl, code, "making a buffer", error);
}

static rv_status new_buffer(rv_opencl *cl, size_t bytes, rv_error *error, rv_buffer **buffer) {
    *buffer = cl->services.resize(cl->services.user, NULL, sizeof **buffer);
    if (!*buffer) return cl->services.fail(error, RV_OUT_OF_MEMORY, "opencl: no memory for a buffer's handle");
    **buffer = (rv_buffer){.bytes = bytes};
    return RV_OK;
}

/* Zeroes it and waits: many drivers look for the memory only when it is first used. */
static rv_status zero(rv_opencl *cl, cl_mem memory, size_t bytes, rv_error *error) {
    const cl_uchar16 nothing = {{0}};
    cl_int code = clEnqueueFillBuffer(cl->queue, memory, &nothing, sizeof nothing, 0, bytes, 0, NULL, NULL);
    if (code == CL_SUCCESS) code = wait_for_all(cl);
    if (code == CL_SUCCESS) return RV_OK;
    if (rv_opencl_no_memory(code)) return no_room(cl, bytes, rv_opencl_code_name(code), error);
    return rv_opencl_error(cl, code, "zeroing a buffer", error);
}

rv_status rv_opencl_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_opencl *cl = state;
    size_t padded; /* whole pieces, and one at least: there is no buffer of 0 bytes */
    *buffer = NULL;
    rv_status status = rv_opencl_alive(cl, error);
    if (status != RV_OK) return status;
    if (__builtin_add_overflow(bytes ? bytes : 1, (size_t)PIECE - 1, &padded)) return no_room(cl, bytes, "too large", error);
    padded -= padded % PIECE;
    status = new_buffer(cl, bytes, error, buffer);
    if (status == RV_OK) status = rv_opencl_memory(cl, padded, error, &(*buffer)->memory);
    if (status == RV_OK) status = zero(cl, (*buffer)->memory, padded, error);
    if (status == RV_OK) return RV_OK;
    rv_opencl_release(cl, *buffer);
    *buffer = NULL;
    return status;
}

rv_status rv_opencl_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_opencl *cl = state;
    cl_mem_object_type type = 0;
    cl_context context = NULL;
    size_t size = 0;
    *buffer = NULL;
    rv_status status = rv_opencl_alive(cl, error);
    if (status != RV_OK) return status;
    cl_int code = clGetMemObjectInfo(memory, CL_MEM_TYPE, sizeof type, &type, NULL);
    if (code == CL_SUCCESS) code = clGetMemObjectInfo(memory, CL_MEM_CONTEXT, sizeof context, &context, NULL);
    if (code == CL_SUCCESS) code = clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof size, &size, NULL);
    if (code != CL_SUCCESS || type != CL_MEM_OBJECT_BUFFER) {
        return cl->services.fail(error, RV_INVALID_ARGUMENT, "opencl: what is to be wrapped must be a cl_mem of type buffer");
    }
    if (context != cl->context) {
        return cl->services.fail(error, RV_UNSUPPORTED,
                                 "opencl: the cl_mem belongs to another context; open the device on that one "
                                 "(rv_device_options.native)");
    }
    if (size < bytes) {
        return cl->services.fail(error, RV_INVALID_ARGUMENT, "opencl: the cl_mem has %zu bytes, the array needs %zu", size, bytes);
    }
    status = new_buffer(cl, bytes, error, buffer);
    if (status != RV_OK) return status;
    code = clRetainMemObject(memory);
    if (code == CL_SUCCESS) (*buffer)->memory = memory;
    if (code == CL_SUCCESS) return RV_OK;
    rv_opencl_release(cl, *buffer);
    *buffer = NULL;
    return rv_opencl_error(cl, code, "keeping a cl_mem", error);
}

void rv_opencl_release(void *state, rv_buffer *buffer) {
    rv_opencl *cl = state;
    if (!buffer) return;
    if (buffer->memory) clReleaseMemObject(buffer->memory);
    cl->services.resize(cl->services.user, buffer, 0);
}

void *rv_opencl_native(void *state, rv_buffer *buffer) {
    (void)state;
    return buffer->memory;
}

/* ---- copies ---------------------------------------------------------------------------------------------- */

typedef struct piece {
    size_t begin, bytes;
} piece;

/* The bytes of some elements, after a look whether they lie inside. */
static rv_status locate(rv_opencl *cl, const rv_buffer *buffer, size_t element, size_t offset, size_t count, rv_error *error,
                        piece *out) {
    const size_t elements = buffer->bytes / element;
    const rv_status status = rv_opencl_alive(cl, error);
    *out = (piece){0, 0};
    if (status != RV_OK) return status;
    if (offset > elements || count > elements - offset) {
        return cl->services.fail(error, RV_INVALID_ARGUMENT, "elements [%zu, %zu + %zu) are outside a buffer of %zu", offset,
                                 offset, count, elements);
    }
    *out = (piece){offset * element, count * element};
    return RV_OK;
}

static size_t element_bytes(rv_dtype dtype) { return dtype == RV_U8 ? 1 : 4; }

static cl_int write_staged(rv_opencl *cl, cl_mem memory, piece at, const void *data) {
    if (at.bytes > RV_OPENCL_STAGING - cl->staged) {
        const cl_int code = wait_for_all(cl);
        if (code != CL_SUCCESS) return code;
    }
    char *copy = memcpy(cl->staging + cl->staged, data, at.bytes);
    cl->staged += at.bytes;
    return clEnqueueWriteBuffer(cl->queue, memory, CL_FALSE, at.begin, at.bytes, copy, 0, NULL, NULL);
}

static cl_int write_waiting(rv_opencl *cl, cl_mem memory, piece at, const void *data) {
    const cl_int code = clEnqueueWriteBuffer(cl->queue, memory, CL_TRUE, at.begin, at.bytes, data, 0, NULL, NULL);
    if (code == CL_SUCCESS) cl->staged = 0;
    return code;
}

rv_status rv_opencl_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                           rv_error *error) {
    rv_opencl *cl = state;
    piece at;
    const rv_status status = locate(cl, buffer, element_bytes(dtype), offset, count, error, &at);
    if (status != RV_OK || count == 0) return status;
    const cl_int code = at.bytes <= STAGED_MOST ? write_staged(cl, buffer->memory, at, data)
                                                : write_waiting(cl, buffer->memory, at, data);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, "writing to the device", error);
}

rv_status rv_opencl_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                             rv_error *error) {
    rv_opencl *cl = state;
    piece at;
    const rv_status status = locate(cl, buffer, element_bytes(dtype), offset, count, error, &at);
    if (status != RV_OK || count == 0) return status;
    const cl_int code = clEnqueueReadBuffer(cl->queue, buffer->memory, CL_TRUE, at.begin, at.bytes, data, 0, NULL, NULL);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "reading from the device", error);
    cl->staged = 0;
    return RV_OK;
}

rv_status rv_opencl_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    rv_opencl *cl = state;
    unsigned char pattern[PIECE];
    size_t width = PIECE;
    piece at;
    const rv_status status = locate(cl, buffer, 1, offset, bytes, error, &at);
    if (status != RV_OK || bytes == 0) return status;
    memset(pattern, byte, sizeof pattern);
    while (offset % width || bytes % width) width /= 2;
    const cl_int code = clEnqueueFillBuffer(cl->queue, buffer->memory, pattern, width, at.begin, at.bytes, 0, NULL, NULL);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, "filling memory", error);
}

rv_status rv_opencl_sync(void *state, rv_error *error) {
    rv_opencl *cl = state;
    const rv_status status = rv_opencl_alive(cl, error);
    if (status != RV_OK) return status;
    const cl_int code = wait_for_all(cl);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, "waiting for the device", error);
}
