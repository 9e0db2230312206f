/* backends/opencl/build.c: from text to program: built before, from the disk, or now. */
#include <stdio.h>
#include <string.h>

#include "backends/opencl/opencl.h"

enum { MAX_CONTEXT_DEVICES = 64, SHOWN_LOG = 300 };

static rv_gpu_key key_of(const rv_opencl *cl, const rv_gpu_source *source) {
    const rv_opencl_facts *facts = &cl->facts;
    const char *const texts[] = {source->text,  cl->options,    facts->name,
                                 facts->driver, facts->version, facts->platform_version};
    return rv_gpu_cache_key(texts, sizeof texts / sizeof *texts);
}

/* ---- building ------------------------------------------------------------------------------------------- */

static rv_status build_failed(rv_opencl *cl, cl_program program, const rv_gpu_source *source, rv_error *error) {
    const rv_services *services = &cl->services;
    size_t bytes = 0;
    char *log = NULL;
    if (clGetProgramBuildInfo(program, cl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) == CL_SUCCESS)
        log = services->resize(services->user, NULL, bytes + 1);
    if (log && clGetProgramBuildInfo(program, cl->device, CL_PROGRAM_BUILD_LOG, bytes, log, NULL) != CL_SUCCESS) bytes = 0;
    if (log) {
        log[bytes] = 0;
        services->log(services->user, RV_LOG_WARNING, log);
    }
    const rv_status status = services->fail(error, RV_BUILD_FAILED, "opencl: %s did not build on %.80s: %.*s", source->name,
                                            cl->facts.name, SHOWN_LOG, log && *log ? log : "the driver says no more");
    if (log) services->resize(services->user, log, 0);
    return status;
}

static rv_status build_text(rv_opencl *cl, const rv_gpu_source *source, cl_program *program, rv_error *error) {
    cl_int code;
    const char *text = source->text;
    *program = clCreateProgramWithSource(cl->context, 1, &text, &source->length, &code);
    if (code != CL_SUCCESS) {
        *program = NULL;
        return rv_opencl_error(cl, code, "taking a kernel's text", error);
    }
    code = clBuildProgram(*program, 1, &cl->device, cl->options, NULL, NULL);
    if (code == CL_SUCCESS) return RV_OK;
    const rv_status status = code == CL_BUILD_PROGRAM_FAILURE ? build_failed(cl, *program, source, error)
                                                              : rv_opencl_error(cl, code, source->name, error);
    clReleaseProgram(*program);
    *program = NULL;
    return status;
}

/* ---- binaries ------------------------------------------------------------------------------------------- */

/* NULL where there is none, or the driver does not take it any more. */
static cl_program from_cache(rv_opencl *cl, const rv_gpu_key *key) {
    void *binary;
    size_t bytes;
    if (!rv_gpu_cache_load(&cl->cache, key, &binary, &bytes)) return NULL;
    cl_int code, taken;
    const unsigned char *begin = binary;
    cl_program program = clCreateProgramWithBinary(cl->context, 1, &cl->device, &bytes, &begin, &taken, &code);
    cl->services.resize(cl->services.user, binary, 0);
    if (code != CL_SUCCESS) return NULL;
    if (taken == CL_SUCCESS && clBuildProgram(program, 1, &cl->device, cl->options, NULL, NULL) == CL_SUCCESS) return program;
    clReleaseProgram(program);
    return NULL;
}

/* Which of the program's devices is ours: a context of the host program may have several. -1: too many. */
static int device_index(const rv_opencl *cl, cl_program program) {
    cl_device_id devices[MAX_CONTEXT_DEVICES] = {NULL};
    if (clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof devices, devices, NULL) != CL_SUCCESS) return -1;
    for (int i = 0; i < MAX_CONTEXT_DEVICES; i++) {
        if (devices[i] == cl->device) return i;
    }
    return -1;
}

static void to_cache(rv_opencl *cl, const rv_gpu_key *key, cl_program program) {
    size_t sizes[MAX_CONTEXT_DEVICES] = {0};
    unsigned char *binaries[MAX_CONTEXT_DEVICES] = {NULL}; /* NULL: not wanted */
    const int index = cl->cache.folder < 0 ? -1 : device_index(cl, program);
    if (index < 0 || clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof sizes, sizes, NULL) != CL_SUCCESS) return;
    if (sizes[index] == 0) return;
    binaries[index] = cl->services.resize(cl->services.user, NULL, sizes[index]);
    if (!binaries[index]) return;
    cl_uint devices = 0;
    cl_int code = clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof devices, &devices, NULL);
    if (code == CL_SUCCESS)
        code = clGetProgramInfo(program, CL_PROGRAM_BINARIES, devices * sizeof *binaries, binaries, NULL);
    if (code == CL_SUCCESS) rv_gpu_cache_store(&cl->cache, key, binaries[index], sizes[index]);
    cl->services.resize(cl->services.user, binaries[index], 0);
}

/* ---- one program a text ------------------------------------------------------------------------------------ */

static bool grow(rv_opencl *cl) {
    if (cl->built_count < cl->built_capacity) return true;
    const int capacity = cl->built_capacity ? 2 * cl->built_capacity : 16;
    rv_opencl_built *list = cl->services.resize(cl->services.user, cl->built, (size_t)capacity * sizeof *list);
    if (!list) return false;
    cl->built = list;
    cl->built_capacity = capacity;
    return true;
}

rv_status rv_opencl_build(rv_opencl *cl, const rv_gpu_source *source, cl_program *program, rv_error *error) {
    const rv_gpu_key key = key_of(cl, source);
    for (int i = 0; i < cl->built_count; i++) {
        if (memcmp(&cl->built[i].key, &key, sizeof key) != 0) continue;
        *program = cl->built[i].program;
        return RV_OK;
    }
    if (!grow(cl)) return cl->services.fail(error, RV_OUT_OF_MEMORY, "opencl: no host memory for the list of programs");
    *program = from_cache(cl, &key);
    if (!*program) {
        const rv_status status = build_text(cl, source, program, error);
        if (status != RV_OK) return status;
        to_cache(cl, &key, *program);
    }
    cl->built[cl->built_count++] = (rv_opencl_built){key, *program};
    return RV_OK;
}

void rv_opencl_build_close(rv_opencl *cl) {
    for (int i = 0; i < cl->built_count; i++) clReleaseProgram(cl->built[i].program);
    if (cl->built) cl->services.resize(cl->services.user, cl->built, 0);
}
