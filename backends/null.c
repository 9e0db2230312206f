/* backends/null.c: a device that does nothing with its launches: what is left is the host's own cost.
 * Memory is real and zeroed; a program is bound as a real backend's is, to a function that returns. */
#include <stdio.h>

#include "backends/host.h"

typedef struct rv_null {
    rv_services services;
} rv_null;

typedef struct rv_step {
    void (*fn)(const rv_launch *launch);
    rv_launch launch;
} rv_step;

struct rv_program {
    int64_t count;
    rv_step step[];
};

static rv_status null_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    *state = NULL;
    if (*spec) return services->fail(error, RV_INVALID_ARGUMENT, "null: \"%.80s\" is not understood; allowed is \"null\"", spec);
    rv_null *null = services->resize(services->user, NULL, sizeof *null);
    if (!null) return services->fail(error, RV_OUT_OF_MEMORY, "null: no memory for the device");
    null->services = *services;
    *state = null;
    return RV_OK;
}

static void null_close(void *state) {
    if (!state) return;
    const rv_services services = ((rv_null *)state)->services;
    services.resize(services.user, state, 0);
}

static void null_caps(void *state, rv_caps *caps) {
    (void)state;
    *caps = (rv_caps){.largest_allocation = PTRDIFF_MAX,
                      .alignment = RV_HOST_ALIGNMENT,
                      .element_bytes = {sizeof(float), sizeof(int32_t), sizeof(uint8_t)},
                      .regions = true};
    snprintf(caps->name, sizeof caps->name, "null");
    snprintf(caps->description, sizeof caps->description, "does nothing; times the host");
}

static bool null_list(const rv_services *services, int index, rv_device_info *info, rv_error *error) {
    (void)services, (void)error;
    if (index != 0) return false;
    *info = (rv_device_info){.resource = "null", .name = "does nothing", .version = "times the host"};
    return true;
}

static rv_status null_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    return rv_host_allocate(&((rv_null *)state)->services, bytes, error, buffer);
}

static rv_status null_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    return rv_host_wrap(&((rv_null *)state)->services, memory, bytes, error, buffer);
}

static void null_release(void *state, rv_buffer *buffer) { rv_host_release(&((rv_null *)state)->services, buffer); }

static rv_status null_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                             rv_error *error) {
    return rv_host_upload(&((rv_null *)state)->services, buffer, dtype, false, offset, count, data, error);
}

static rv_status null_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                               rv_error *error) {
    return rv_host_download(&((rv_null *)state)->services, buffer, dtype, false, offset, count, data, error);
}

static rv_status null_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    return rv_host_fill(&((rv_null *)state)->services, buffer, offset, bytes, byte, error);
}

static void *null_native(void *state, rv_buffer *buffer) {
    (void)state;
    return buffer->memory;
}

static bool null_supports(void *state, rv_op op, const rv_attributes *attributes) {
    (void)state, (void)attributes;
    return (unsigned)op < RV_OP_COUNT;
}

static void nothing(const rv_launch *launch) { (void)launch; }

static rv_status null_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **out) {
    const rv_services *services = &((rv_null *)state)->services;
    size_t bytes;
    *out = NULL;
    if (__builtin_mul_overflow((size_t)count, sizeof(rv_step), &bytes) || __builtin_add_overflow(bytes, sizeof **out, &bytes))
        return services->fail(error, RV_TOO_LARGE, "null: %lld launches are too many", (long long)count);
    *out = services->resize(services->user, NULL, bytes);
    if (!*out) return services->fail(error, RV_OUT_OF_MEMORY, "null: no memory for a program of %lld launches", (long long)count);
    (*out)->count = count;
    for (int64_t i = 0; i < count; i++) (*out)->step[i] = (rv_step){nothing, launches[i]};
    return RV_OK;
}

static rv_status null_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    (void)state, (void)error;
    for (const rv_step *step = program->step + first, *end = step + count; step < end; step++) step->fn(&step->launch);
    return RV_OK;
}

static void null_release_program(void *state, rv_program *program) {
    const rv_services *services = &((rv_null *)state)->services;
    if (program) services->resize(services->user, program, 0);
}

static rv_status null_sync(void *state, rv_error *error) {
    (void)state, (void)error;
    return RV_OK;
}

const rv_backend rv_backend_null = {
    .abi = RV_BACKEND_ABI,
    .size = sizeof(rv_backend),
    .name = "null",
    .open = null_open,
    .close = null_close,
    .caps = null_caps,
    .allocate = null_allocate,
    .wrap = null_wrap,
    .release = null_release,
    .upload = null_upload,
    .download = null_download,
    .fill = null_fill,
    .supports = null_supports,
    .prepare = null_prepare,
    .run = null_run,
    .release_program = null_release_program,
    .sync = null_sync,
    .list = null_list,
    .native = null_native,
};
