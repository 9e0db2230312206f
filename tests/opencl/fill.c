/* For oclgrind: version 21.10 takes only the first pattern of clEnqueueFillBuffer for initialised. Preloaded, this writes
 * the whole from host memory instead. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) cl_int clEnqueueFillBuffer(cl_command_queue queue, cl_mem memory, const void *pattern, size_t width,
                                                                  size_t offset, size_t bytes, cl_uint waits, const cl_event *wait,
                                                                  cl_event *event) {
    char *data = malloc(bytes);
    if (!data) return CL_OUT_OF_HOST_MEMORY;
    for (size_t i = 0; i + width <= bytes; i += width) memcpy(data + i, pattern, width);
    const cl_int code = clEnqueueWriteBuffer(queue, memory, CL_TRUE, offset, bytes, data, waits, wait, event);
    free(data);
    return code;
}
