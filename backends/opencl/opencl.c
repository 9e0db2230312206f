/* backends/opencl/opencl.c: the OpenCL backend: opening, closing, and its table. */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <string.h>

extern const char rv_gpu_text_dialect_opencl[];

/* ---- the resource string: "", "N", "clblast=on", "N,clblast=off,cache=on" ------------------------------------ */

static const struct {
    const char *text;
    size_t offset; /* of the choice in rv_opencl */
    rv_opencl_choice choice;
} words[] = {{"clblast=off", offsetof(rv_opencl, use_clblast), RV_OPENCL_OFF},
             {"clblast=on", offsetof(rv_opencl, use_clblast), RV_OPENCL_ON},
             {"cache=off", offsetof(rv_opencl, use_cache), RV_OPENCL_OFF},
             {"cache=on", offsetof(rv_opencl, use_cache), RV_OPENCL_ON}};
enum { WORDS = sizeof words / sizeof *words };

static rv_opencl_choice *chosen(const rv_opencl *cl, int word) {
    return (rv_opencl_choice *)(void *)((char *)cl + words[word].offset);
}

static rv_status bad_spec(const rv_services *services, const char *spec, rv_error *error) {
    return services->fail(error, RV_INVALID_ARGUMENT,
                          "opencl: \"%.80s\" is not understood; allowed are \"opencl\", \"opencl:N\" (the N-th device, from 0), "
                          "with clblast=on, clblast=off, cache=on, cache=off behind commas",
                          spec);
}

static bool parse_word(rv_opencl *cl, const char *word, size_t length) {
    for (int i = 0; i < WORDS; i++) {
        if (strlen(words[i].text) != length || memcmp(words[i].text, word, length) != 0) continue;
        *chosen(cl, i) = words[i].choice;
        return true;
    }
    int index = 0;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9' || i > 3) return false;
        index = 10 * index + (word[i] - '0');
    }
    cl->index = index;
    return length > 0;
}

static rv_status parse(rv_opencl *cl, const char *spec, rv_error *error) {
    for (const char *word = spec; *word;) {
        const size_t length = strcspn(word, ",");
        if (!parse_word(cl, word, length)) return bad_spec(&cl->services, spec, error);
        word += length;
        if (*word == ',' && !*++word) return bad_spec(&cl->services, spec, error);
    }
    return RV_OK;
}

/* ---- what a device must have, and what follows from it ------------------------------------------------------ */

/* Of the largest device function. */
static size_t local_bytes_needed(void) {
    int floats = 1;
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) floats = rv_gpu_functions[f].scratch > floats ? rv_gpu_functions[f].scratch : floats;
    return (size_t)floats * sizeof(float);
}

static bool version_at_least(const char *version, int major, int minor) {
    int has_major = 0, has_minor = 0;
    return sscanf(version, "OpenCL %d.%d", &has_major, &has_minor) == 2 &&
           (has_major > major || (has_major == major && has_minor >= minor));
}

static rv_status check_device(const rv_opencl *cl, rv_error *error) {
    const rv_opencl_facts *facts = &cl->facts;
    const size_t local = local_bytes_needed(), parameters = sizeof(rv_args) + RV_GPU_MAX_BUFFERS * sizeof(cl_mem);
    char what[160] = "";
    if (!version_at_least(facts->version, 1, 2)) snprintf(what, sizeof what, "OpenCL 1.2, it has %.60s", facts->version);
    else if (!facts->compiler) snprintf(what, sizeof what, "a compiler in the driver, it has none");
    else if (!facts->little_endian) snprintf(what, sizeof what, "a little-endian device");
    else if (facts->group < RV_LANES) snprintf(what, sizeof what, "work-groups of %d work-items, it has at most %zu", RV_LANES, facts->group);
    else if (facts->local < local) snprintf(what, sizeof what, "%zu bytes of local memory, it has %zu", local, (size_t)facts->local);
    else if (facts->parameters < parameters)
        snprintf(what, sizeof what, "%zu bytes of kernel arguments, it has %zu", parameters, facts->parameters);
    if (!*what) return RV_OK;
    return cl->services.fail(error, RV_UNSUPPORTED, "opencl: %.100s cannot run reverie's kernels: they need %s; use \"cpu\"", facts->name,
                             what);
}

static bool is_pocl(const rv_opencl *cl) {
    return strstr(cl->facts.platform_version, "PoCL") || strstr(cl->facts.platform_version, "pocl");
}

/* For the choices of backends/gpu. Estimates: a compute unit of a GPU does 128 multiply-adds and reads 64 bytes from
 * its cache a cycle, and one work-group alone keeps about half of it busy; a dispatch costs 5 us. */
static void model_gpu(rv_opencl *cl) {
    const double cycles = 1e6 * (double)(cl->facts.megahertz ? cl->facts.megahertz : 1000);
    cl->gpu.launch_seconds = 5e-6;
    cl->gpu.unit_flops = cycles * 2 * 128 / 2;
    cl->gpu.unit_bandwidth = cycles * 64 / 2;
}

/* A CPU device runs a work-group as a loop over its work-items on one core. PoCL 3.1 on two AVX-512 cores: 3.7 us a launch
 * from enqueue to end, 24 GFLOP/s in matmul/nn/m64_k768_n256 (reverie-bench --device opencl:0). */
static void model_cpu(rv_opencl *cl) {
    cl->gpu.launch_seconds = 4e-6;
    cl->gpu.unit_flops = 12e9;
    cl->gpu.unit_bandwidth = 4e9;
}

static void choose(rv_opencl *cl) {
    cl->gpu = (rv_gpu){.services = &cl->services,
                       .dialect = rv_gpu_text_dialect_opencl,
                       .units = cl->facts.units ? (int)cl->facts.units : 1,
                       .local_bytes = cl->facts.local,
                       .no_barrier_branches = is_pocl(cl)}; /* 3.1 confuses what such branches keep across barriers */
    if (cl->facts.type & CL_DEVICE_TYPE_CPU) model_cpu(cl);
    else model_gpu(cl);
    const bool rounded = cl->facts.single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
    /* -w: drivers write the number of warnings to the program's own error output */
    snprintf(cl->options, sizeof cl->options, "-cl-std=CL1.2 -w %s",
             rounded ? "-cl-fp32-correctly-rounded-divide-sqrt" : "-D RV_OWN_SQRT");
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static rv_status bad_native(const rv_opencl *cl, const char *what, rv_error *error) {
    return cl->services.fail(error, RV_INVALID_ARGUMENT, "opencl: of the host program's handles, %s", what);
}

/* The host program's context and queue: kept, used, and left to it. */
static rv_status take_native(rv_opencl *cl, const rv_native *native, rv_error *error) {
    cl_context context = NULL;
    cl_device_id device = NULL;
    cl_command_queue_properties properties = 0;
    cl_command_queue queue = native->queue;
    if (cl->index >= 0) return bad_native(cl, "none is needed with a device's number: open \"opencl\"", error);
    if (!native->context || !queue) return bad_native(cl, "context and queue must both be there", error);
    cl_int code = clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL);
    if (code == CL_SUCCESS) code = clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    if (code == CL_SUCCESS) code = clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "looking at the host program's queue", error);
    if (context != native->context) return bad_native(cl, "the queue belongs to another context", error);
    if (native->device && device != native->device) return bad_native(cl, "the queue belongs to another device", error);
    if (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)
        return bad_native(cl, "the queue must be in order: make it without CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE", error);
    code = clRetainContext(context);
    if (code == CL_SUCCESS) cl->context = context;
    if (code == CL_SUCCESS) code = clRetainCommandQueue(queue);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "keeping the host program's handles", error);
    cl->queue = queue;
    cl->device = device;
    return RV_OK;
}

static rv_status make_own(rv_opencl *cl, rv_error *error) {
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)cl->facts.platform, 0};
    cl_int code;
    cl_context context = clCreateContext(properties, 1, &cl->device, NULL, NULL, &code);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "making a context", error);
    cl->context = context;
    cl_command_queue queue = clCreateCommandQueue(context, cl->device, 0, &code);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "making a queue", error);
    cl->queue = queue;
    return RV_OK;
}

static rv_status find_device(rv_opencl *cl, rv_error *error) {
    const rv_native *native = cl->services.native;
    if (native) return take_native(cl, native, error);
    if (cl->index < 0) cl->index = 0;
    return rv_opencl_find(&cl->services, cl->index, &cl->device, error);
}

static rv_status open_clblast(rv_opencl *cl, rv_error *error) {
    if (cl->use_clblast != RV_OPENCL_ON || rv_clblast_open(&cl->clblast)) return RV_OK;
    return cl->services.fail(error, RV_UNSUPPORTED, "opencl: clblast=on, but libclblast.so.1 cannot be loaded; install package libclblast1");
}

/* PoCL keeps what it built by itself; to hand a binary out it builds every kernel a second time, and work-groups of our
 * size anew for each one that is taken back: twice the time of a first run, to save 25 ms a program in later ones. */
static bool caches(const rv_opencl *cl) {
    if (cl->use_cache != RV_OPENCL_AUTO) return cl->use_cache == RV_OPENCL_ON;
    return !is_pocl(cl);
}

static rv_status open_parts(rv_opencl *cl, const char *spec, rv_error *error) {
    rv_status status = parse(cl, spec, error);
    if (status == RV_OK) status = find_device(cl, error);
    if (status != RV_OK) return status;
    const cl_int code = rv_opencl_facts_get(cl->device, &cl->facts);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "asking the device what it is", error);
    status = check_device(cl, error);
    if (status == RV_OK && !cl->context) status = make_own(cl, error);
    if (status == RV_OK) status = open_clblast(cl, error);
    if (status != RV_OK) return status;
    choose(cl);
    if (caches(cl)) rv_gpu_cache_open(&cl->cache, &cl->services);
    cl->staging = cl->services.resize(cl->services.user, NULL, RV_OPENCL_STAGING);
    return cl->staging ? RV_OK : cl->services.fail(error, RV_OUT_OF_MEMORY, "opencl: no host memory for the device");
}

static void opencl_close(void *state) {
    rv_opencl *cl = state;
    if (!cl) return;
    if (cl->queue) clFinish(cl->queue); /* uploads may still read the staging area */
    rv_clblast_close(&cl->clblast);
    rv_opencl_build_close(cl);
    rv_gpu_cache_close(&cl->cache);
    if (cl->queue) clReleaseCommandQueue(cl->queue);
    if (cl->context) clReleaseContext(cl->context);
    const rv_services services = cl->services;
    if (cl->staging) services.resize(services.user, cl->staging, 0);
    services.resize(services.user, cl, 0);
}

static rv_status opencl_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    *state = NULL;
    rv_opencl *cl = services->resize(services->user, NULL, sizeof *cl);
    if (!cl) return services->fail(error, RV_OUT_OF_MEMORY, "opencl: no host memory for the device");
    *cl = (rv_opencl){.services = *services, .index = -1, .cache = {.folder = -1}};
    const rv_status status = open_parts(cl, spec, error);
    cl->services.native = NULL; /* there only while the device is opened */
    if (status != RV_OK) opencl_close(cl);
    else *state = cl;
    return status;
}

static void opencl_caps(void *state, rv_caps *caps) {
    const rv_opencl *cl = state;
    const rv_opencl_facts *facts = &cl->facts;
    const size_t alignment = facts->alignment_bits / 8;
    *caps = (rv_caps){.largest_allocation = facts->largest,
                      .alignment = alignment > 128 ? alignment : 128,
                      .element_bytes = {sizeof(float), sizeof(int32_t), sizeof(uint8_t)},
                      .regions = true};
    if (cl->index < 0) snprintf(caps->name, sizeof caps->name, "opencl");
    else snprintf(caps->name, sizeof caps->name, "opencl:%d", cl->index);
    for (int i = 0; i < WORDS; i++) {
        const size_t used = strlen(caps->name);
        if (*chosen(cl, i) == words[i].choice)
            snprintf(caps->name + used, sizeof caps->name - used, "%c%s", strchr(caps->name, ':') ? ',' : ':', words[i].text);
    }
    snprintf(caps->description, sizeof caps->description, "%.80s, driver %.40s, %u compute unit%s, %.1f GiB", facts->name, facts->driver,
             facts->units, facts->units == 1 ? "" : "s", (double)facts->memory / (1 << 30));
}

static bool opencl_supports(void *state, rv_op op, const rv_attributes *attributes) {
    (void)state;
    return rv_gpu_supports(op, attributes);
}

__attribute__((visibility("default"))) extern const rv_backend rv_backend_module;
const rv_backend rv_backend_module = {
    .abi = RV_BACKEND_ABI,
    .size = sizeof(rv_backend),
    .name = "opencl",
    .open = opencl_open,
    .close = opencl_close,
    .caps = opencl_caps,
    .allocate = rv_opencl_allocate,
    .wrap = rv_opencl_wrap,
    .release = rv_opencl_release,
    .upload = rv_opencl_upload,
    .download = rv_opencl_download,
    .fill = rv_opencl_fill,
    .supports = opencl_supports,
    .prepare = rv_opencl_prepare,
    .run = rv_opencl_run,
    .release_program = rv_opencl_release_program,
    .sync = rv_opencl_sync,
    .list = rv_opencl_list,
    .native = rv_opencl_native,
    .dispatches = rv_opencl_dispatches,
};
