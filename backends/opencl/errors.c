/* backends/opencl/errors.c: OpenCL's codes: names, and what each means for the caller. */
#include "backends/opencl/opencl.h"

/* not in CL/cl.h: the loader's "no driver", and what NVIDIA's driver says of an access outside of all memory */
#define CL_PLATFORM_NOT_FOUND_KHR (-1001)
#define CL_ILLEGAL_ACCESS_NVIDIA (-9999)

/* X(name, status); INTERNAL where only a bug of ours explains it */
#define CODE_LIST(X)                                                                                                 \
    X(CL_SUCCESS, RV_OK) X(CL_DEVICE_NOT_FOUND, RV_NO_DEVICE) X(CL_DEVICE_NOT_AVAILABLE, RV_DEVICE_LOST)             \
    X(CL_COMPILER_NOT_AVAILABLE, RV_UNSUPPORTED) X(CL_MEM_OBJECT_ALLOCATION_FAILURE, RV_OUT_OF_MEMORY)               \
    X(CL_OUT_OF_RESOURCES, RV_DEVICE_LOST) X(CL_OUT_OF_HOST_MEMORY, RV_OUT_OF_MEMORY)                                \
    X(CL_PROFILING_INFO_NOT_AVAILABLE, RV_INTERNAL) X(CL_MEM_COPY_OVERLAP, RV_INTERNAL)                              \
    X(CL_BUILD_PROGRAM_FAILURE, RV_BUILD_FAILED) X(CL_MAP_FAILURE, RV_INTERNAL)                                      \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET, RV_INTERNAL)                                                                  \
    X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, RV_DEVICE_LOST) X(CL_COMPILE_PROGRAM_FAILURE, RV_BUILD_FAILED)   \
    X(CL_LINKER_NOT_AVAILABLE, RV_UNSUPPORTED) X(CL_LINK_PROGRAM_FAILURE, RV_BUILD_FAILED)                           \
    X(CL_KERNEL_ARG_INFO_NOT_AVAILABLE, RV_INTERNAL) X(CL_INVALID_VALUE, RV_INTERNAL)                                \
    X(CL_INVALID_DEVICE_TYPE, RV_INTERNAL) X(CL_INVALID_PLATFORM, RV_INTERNAL) X(CL_INVALID_DEVICE, RV_INTERNAL)     \
    X(CL_INVALID_CONTEXT, RV_INTERNAL) X(CL_INVALID_QUEUE_PROPERTIES, RV_INTERNAL)                                   \
    X(CL_INVALID_COMMAND_QUEUE, RV_DEVICE_LOST) X(CL_INVALID_HOST_PTR, RV_INTERNAL)                                  \
    X(CL_INVALID_MEM_OBJECT, RV_INTERNAL) X(CL_INVALID_BINARY, RV_INTERNAL) X(CL_INVALID_BUILD_OPTIONS, RV_INTERNAL) \
    X(CL_INVALID_PROGRAM, RV_INTERNAL) X(CL_INVALID_PROGRAM_EXECUTABLE, RV_INTERNAL)                                 \
    X(CL_INVALID_KERNEL_NAME, RV_INTERNAL) X(CL_INVALID_KERNEL_DEFINITION, RV_INTERNAL)                              \
    X(CL_INVALID_KERNEL, RV_INTERNAL) X(CL_INVALID_ARG_INDEX, RV_INTERNAL) X(CL_INVALID_ARG_VALUE, RV_INTERNAL)      \
    X(CL_INVALID_ARG_SIZE, RV_INTERNAL) X(CL_INVALID_KERNEL_ARGS, RV_INTERNAL)                                       \
    X(CL_INVALID_WORK_DIMENSION, RV_INTERNAL) X(CL_INVALID_WORK_GROUP_SIZE, RV_INTERNAL)                             \
    X(CL_INVALID_WORK_ITEM_SIZE, RV_INTERNAL) X(CL_INVALID_GLOBAL_OFFSET, RV_INTERNAL)                               \
    X(CL_INVALID_EVENT_WAIT_LIST, RV_INTERNAL) X(CL_INVALID_EVENT, RV_INTERNAL) X(CL_INVALID_OPERATION, RV_INTERNAL) \
    X(CL_INVALID_BUFFER_SIZE, RV_OUT_OF_MEMORY) X(CL_INVALID_GLOBAL_WORK_SIZE, RV_INTERNAL)                          \
    X(CL_INVALID_PROPERTY, RV_INTERNAL) X(CL_INVALID_COMPILER_OPTIONS, RV_INTERNAL)                                  \
    X(CL_INVALID_LINKER_OPTIONS, RV_INTERNAL) X(CL_INVALID_DEVICE_PARTITION_COUNT, RV_INTERNAL)                      \
    X(CL_PLATFORM_NOT_FOUND_KHR, RV_NO_DRIVER) X(CL_ILLEGAL_ACCESS_NVIDIA, RV_DEVICE_LOST)

#define CODE_ROW(name, status) {name, #name, status},
static const struct code_row {
    cl_int code;
    const char *name;
    rv_status status;
} codes[] = {CODE_LIST(CODE_ROW)};

static const struct code_row *find(cl_int code) {
    static const struct code_row unknown = {0, "an unknown code", RV_INTERNAL};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code == code) return &codes[i];
    }
    return &unknown;
}

const char *rv_opencl_code_name(cl_int code) { return find(code)->name; }

bool rv_opencl_no_memory(cl_int code) {
    /* "resources" means memory, too, where memory is all that was asked for */
    return code == CL_OUT_OF_RESOURCES || find(code)->status == RV_OUT_OF_MEMORY;
}

static const char *remedy(rv_status status) {
    switch (status) {
    case RV_DEVICE_LOST: return "; close the device and open it again";
    case RV_OUT_OF_MEMORY: return "; smaller batches or other programs' memory may help";
    case RV_INTERNAL: return "; please report it";
    default: return "";
    }
}

rv_status rv_opencl_error(rv_opencl *cl, cl_int code, const char *doing, rv_error *error) {
    const struct code_row *row = find(code);
    cl->lost = cl->lost || row->status == RV_DEVICE_LOST;
    return cl->services.fail(error, row->status, "opencl: %s: %s (%d)%s", doing, row->name, code, remedy(row->status));
}

rv_status rv_opencl_alive(rv_opencl *cl, rv_error *error) {
    if (!cl->lost) return RV_OK;
    return cl->services.fail(error, RV_DEVICE_LOST, "opencl: the device was lost before; close it and open it again");
}
