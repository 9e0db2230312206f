/* backends/opencl/opencl.h: the OpenCL device, for the files of this folder.
 *
 * OpenCL C 1.2 without sub-groups. One context and one in-order queue a device, its own or the host program's. Kernels
 * come from backends/gpu; here they are built, bound once and enqueued.
 */
#ifndef RV_BACKENDS_OPENCL_H
#define RV_BACKENDS_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "backends/gpu/cache.h"
#include "backends/gpu/gpu.h"
#include "backends/opencl/clblast.h"

/* ---- devices.c: what there is ---------------------------------------------------------------------- */

/* What a device says of itself. */
typedef struct rv_opencl_facts {
    cl_device_type type;
    cl_uint units, megahertz, alignment_bits;
    cl_ulong memory, largest, local;
    size_t group, parameters; /* work-items of a work-group; bytes of a kernel's arguments */
    cl_device_fp_config single;
    cl_bool compiler, little_endian;
    cl_platform_id platform;
    char name[256], driver[256], version[256], platform_version[256];
} rv_opencl_facts;

cl_int rv_opencl_facts_get(cl_device_id device, rv_opencl_facts *facts);

/* Device number `index` over all platforms, GPUs first. Errors: NO_DRIVER, NO_DEVICE. */
rv_status rv_opencl_find(const rv_services *services, int index, cl_device_id *device, rv_error *error);
bool rv_opencl_list(const rv_services *services, int index, rv_device_info *info, rv_error *error);

/* ---- the device ------------------------------------------------------------------------------------------ */

typedef struct rv_opencl_built {
    rv_gpu_key key;
    cl_program program;
} rv_opencl_built;

typedef enum rv_opencl_choice { RV_OPENCL_AUTO, RV_OPENCL_OFF, RV_OPENCL_ON } rv_opencl_choice;

typedef struct rv_opencl {
    rv_services services;
    rv_gpu gpu;
    rv_gpu_cache cache;
    rv_opencl_facts facts;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    int index; /* of the resource string; -1: the host program's */
    char options[96]; /* of every build */
    rv_opencl_built *built; /* every text built so far; kept until the device closes */
    int built_count, built_capacity;
    char *staging; /* what uploads copy their data to; see memory.c */
    size_t staged;
    rv_clblast clblast;
    rv_opencl_choice use_clblast, use_cache;
    bool lost; /* everything fails from then on */
} rv_opencl;

struct rv_buffer {
    cl_mem memory;
    size_t bytes;
};

/* ---- errors.c ---------------------------------------------------------------------------------------------- */

const char *rv_opencl_code_name(cl_int code);

/* The status of a failed call, and a message: what was being done and the code's name. A lost device stays lost. */
rv_status rv_opencl_error(rv_opencl *cl, cl_int code, const char *doing, rv_error *error);

/* RV_OK until the device is lost. */
rv_status rv_opencl_alive(rv_opencl *cl, rv_error *error);
bool rv_opencl_no_memory(cl_int code);

/* ---- memory.c ------------------------------------------------------------------------------------------------ */

rv_status rv_opencl_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer);
rv_status rv_opencl_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer);
void rv_opencl_release(void *state, rv_buffer *buffer);
rv_status rv_opencl_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                           rv_error *error);
rv_status rv_opencl_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                             rv_error *error);
rv_status rv_opencl_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error);
rv_status rv_opencl_sync(void *state, rv_error *error);
void *rv_opencl_native(void *state, rv_buffer *buffer);

/* Memory without contents. */
rv_status rv_opencl_memory(rv_opencl *cl, size_t bytes, rv_error *error, cl_mem *memory);
enum { RV_OPENCL_STAGING = 1 << 20 };

/* ---- build.c --------------------------------------------------------------------------------------------------- */

/* The program of a text: built before, from the cache, or built now. It stays the device's. */
rv_status rv_opencl_build(rv_opencl *cl, const rv_gpu_source *source, cl_program *program, rv_error *error);
void rv_opencl_build_close(rv_opencl *cl);

/* ---- run.c ------------------------------------------------------------------------------------------------------- */

rv_status rv_opencl_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program);
rv_status rv_opencl_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error);
void rv_opencl_release_program(void *state, rv_program *program);
int64_t rv_opencl_dispatches(void *state, const rv_program *program);

#endif
