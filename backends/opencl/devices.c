/* backends/opencl/devices.c: what devices there are, and what they say of themselves. */
#include <stdio.h>
#include <string.h>

#include "backends/opencl/opencl.h"

enum { MAX_PLATFORMS = 16, MAX_DEVICES = 64 };

/* ---- one device ------------------------------------------------------------------------------------ */

#define FACT(what, member) {what, offsetof(rv_opencl_facts, member), sizeof((rv_opencl_facts *)0)->member}
static const struct fact {
    cl_device_info what;
    size_t offset, bytes;
} facts_list[] = {
    FACT(CL_DEVICE_TYPE, type),
    FACT(CL_DEVICE_MAX_COMPUTE_UNITS, units),
    FACT(CL_DEVICE_MAX_CLOCK_FREQUENCY, megahertz),
    FACT(CL_DEVICE_MEM_BASE_ADDR_ALIGN, alignment_bits),
    FACT(CL_DEVICE_GLOBAL_MEM_SIZE, memory),
    FACT(CL_DEVICE_MAX_MEM_ALLOC_SIZE, largest),
    FACT(CL_DEVICE_LOCAL_MEM_SIZE, local),
    FACT(CL_DEVICE_MAX_WORK_GROUP_SIZE, group),
    FACT(CL_DEVICE_MAX_PARAMETER_SIZE, parameters),
    FACT(CL_DEVICE_SINGLE_FP_CONFIG, single),
    FACT(CL_DEVICE_COMPILER_AVAILABLE, compiler),
    FACT(CL_DEVICE_ENDIAN_LITTLE, little_endian),
    FACT(CL_DEVICE_PLATFORM, platform),
    FACT(CL_DEVICE_NAME, name),
    FACT(CL_DRIVER_VERSION, driver),
    FACT(CL_DEVICE_VERSION, version),
};

cl_int rv_opencl_facts_get(cl_device_id device, rv_opencl_facts *facts) {
    *facts = (rv_opencl_facts){0};
    for (size_t i = 0; i < sizeof facts_list / sizeof *facts_list; i++) {
        const struct fact *fact = &facts_list[i];
        const cl_int code = clGetDeviceInfo(device, fact->what, fact->bytes, (char *)facts + fact->offset, NULL);
        if (code != CL_SUCCESS) return code;
    }
    return clGetPlatformInfo(facts->platform, CL_PLATFORM_VERSION, sizeof facts->platform_version, facts->platform_version,
                             NULL);
}

/* ---- all of them ------------------------------------------------------------------------------------- */

typedef struct found {
    cl_device_id device[MAX_DEVICES];
    int count;
    cl_int code; /* of the last platform without devices */
} found;

/* Appends the platforms' devices of a type; with `others` all that are not of it. */
static void collect(const cl_platform_id *platforms, cl_uint count, bool gpus, found *all) {
    for (cl_uint p = 0; p < count; p++) {
        cl_device_id list[MAX_DEVICES];
        cl_uint devices = 0;
        const cl_int code = clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_DEVICES, list, &devices);
        if (code != CL_SUCCESS) all->code = code;
        for (cl_uint i = 0; code == CL_SUCCESS && i < devices && i < MAX_DEVICES && all->count < MAX_DEVICES; i++) {
            cl_device_type type = 0;
            if (clGetDeviceInfo(list[i], CL_DEVICE_TYPE, sizeof type, &type, NULL) != CL_SUCCESS) continue;
            if (((type & CL_DEVICE_TYPE_GPU) != 0) == gpus) all->device[all->count++] = list[i];
        }
    }
}

/* GPUs first, then CPUs and whatever else there is; within that as the loader gives them. */
static rv_status find_all(const rv_services *services, found *all, rv_error *error) {
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint count = 0;
    *all = (found){.code = CL_DEVICE_NOT_FOUND};
    const cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &count);
    if (code != CL_SUCCESS || count == 0) {
        return services->fail(error, RV_NO_DRIVER,
                              "opencl: the loader finds no OpenCL driver (%s); install your GPU's, or pocl-opencl-icd for "
                              "the CPU; clinfo shows what there is",
                              code == CL_SUCCESS ? "no platform" : rv_opencl_code_name(code));
    }
    if (count > MAX_PLATFORMS) count = MAX_PLATFORMS;
    collect(platforms, count, true, all);
    collect(platforms, count, false, all);
    if (all->count > 0) return RV_OK;
    return services->fail(error, RV_NO_DEVICE,
                          "opencl: %u driver%s, but no device (%s); is this user in the groups render and video, and can "
                          "the driver write its cache?",
                          count, count == 1 ? "" : "s", rv_opencl_code_name(all->code));
}

rv_status rv_opencl_find(const rv_services *services, int index, cl_device_id *device, rv_error *error) {
    found all;
    const rv_status status = find_all(services, &all, error);
    if (status != RV_OK) return status;
    if (index >= all.count) {
        return services->fail(error, RV_NO_DEVICE, "opencl:%d: there is no such device; the last one is \"opencl:%d\"", index,
                              all.count - 1);
    }
    *device = all.device[index];
    return RV_OK;
}

bool rv_opencl_list(const rv_services *services, int index, rv_device_info *info, rv_error *error) {
    found all;
    rv_opencl_facts facts;
    if (find_all(services, &all, error) != RV_OK || index < 0 || index >= all.count) return false;
    const cl_int code = rv_opencl_facts_get(all.device[index], &facts);
    *info = (rv_device_info){.memory_bytes = facts.memory, .units = (int)facts.units, .gpu = (facts.type & CL_DEVICE_TYPE_GPU) != 0};
    snprintf(info->resource, sizeof info->resource, "opencl:%d", index);
    snprintf(info->name, sizeof info->name, "%.127s", code == CL_SUCCESS ? facts.name : rv_opencl_code_name(code));
    snprintf(info->version, sizeof info->version, "%.70s, driver %.40s", facts.version, facts.driver);
    return true;
}
