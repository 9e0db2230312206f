/* core/device.c: opening and closing devices, the services a backend gets, the health flag. */
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"

static void *default_resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, bytes);
}

static void silent(void *user, rv_log_level level, const char *text) {
    (void)user;
    (void)level;
    (void)text;
}

static void *service_resize(void *user, void *memory, size_t bytes) {
    rv_device *device = user;
    return device->allocator.resize(device->allocator.user, memory, bytes);
}

static void service_log(void *user, rv_log_level level, const char *text) {
    rv_device *device = user;
    device->log(device->log_user, level, text);
}

static rv_status open_backend(rv_device *device, const char *resource, const rv_native *native) {
    rv_native handles = {0};
    if (native && native->size == 0) {
        return rv_fail(&device->error, RV_INVALID_ARGUMENT, "rv_device_open: native->size is 0; set it to sizeof(rv_native)");
    }
    if (native) memcpy(&handles, native, native->size < sizeof handles ? native->size : sizeof handles);
    device->services.native = native ? &handles : NULL;
    rv_status status = rv_registry_open(&device->services, resource, &device->error, &device->backend, &device->state);
    device->services.native = NULL;
    if (status != RV_OK) device->backend = NULL;
    else device->backend->caps(device->state, &device->caps);
    return status;
}

rv_status rv_device_open(const char *resource, const rv_device_options *options, rv_device **out) {
    if (!out) return RV_INVALID_ARGUMENT;
    rv_device_options given = {0};
    if (options) memcpy(&given, options, options->size < sizeof given ? options->size : sizeof given);
    rv_allocator allocator = given.allocator.resize ? given.allocator : (rv_allocator){default_resize, NULL};
    rv_device *device = *out = allocator.resize(allocator.user, NULL, sizeof *device);
    if (!device) return RV_OUT_OF_MEMORY;
    memset(device, 0, sizeof *device);
    device->allocator = allocator;
    device->log = given.log ? given.log : silent;
    device->log_user = given.log_user;
    device->references = 1;
    device->services = (rv_services){.size = sizeof(rv_services),
                                     .user = device,
                                     .resize = service_resize,
                                     .log = service_log,
                                     .fail = rv_fail};
    if (!resource) {
        return rv_fail(&device->error, RV_INVALID_ARGUMENT, "rv_device_open: resource is NULL; \"auto\" takes the best device");
    }
    if (options && options->size == 0) {
        return rv_fail(&device->error, RV_INVALID_ARGUMENT,
                       "rv_device_open: options->size is 0; set it to sizeof(rv_device_options)");
    }
    return open_backend(device, resource, given.native);
}

void rv_device_retain(rv_device *device) { device->references++; }

void rv_device_release(rv_device *device) {
    if (--device->references > 0) return;
    if (device->health) {
        /* the flag goes last, and takes the device with it */
        rv_array *health = device->health;
        device->health = NULL;
        device->references = 1;
        rv_array_destroy(health);
        return;
    }
    for (uint32_t i = 0; i < device->name_count; i++) rv_free(device, device->names[i]);
    rv_free(device, device->names);
    if (device->backend) device->backend->close(device->state);
    rv_allocator allocator = device->allocator;
    allocator.resize(allocator.user, device, 0);
}

void rv_device_close(rv_device *device) {
    if (device) rv_device_release(device);
}

const char *rv_device_message(const rv_device *device) { return device ? device->error.text : "no device"; }
const char *rv_device_name(const rv_device *device) { return device ? device->caps.name : ""; }
const char *rv_device_description(const rv_device *device) { return device ? device->caps.description : ""; }

void *rv_device_resize(rv_device *device, void *memory, size_t bytes) {
    return device ? device->allocator.resize(device->allocator.user, memory, bytes) : NULL;
}

rv_status rv_device_sync(rv_device *device) {
    if (!device) return RV_INVALID_ARGUMENT;
    if (!device->backend) return device->error.status;
    return device->backend->sync(device->state, &device->error);
}

rv_array *rv_device_health_array(rv_device *device) {
    if (device->health || !device->backend) return device->health;
    rv_array *health;
    rv_status status = rv_array_create(device, RV_I32, 1, 1, "health", &health);
    if (status != RV_OK) {
        if (health) rv_fail(&device->error, status, "health flag: %s", rv_array_message(health));
        rv_array_destroy(health);
        return NULL;
    }
    device->references--; /* the device's own: it must not keep the device alive */
    return device->health = health;
}

rv_status rv_device_health(rv_device *device, const char **name) {
    if (name) *name = "";
    if (!device) return RV_INVALID_ARGUMENT;
    if (!device->backend) return device->error.status;
    if (!device->health) return RV_OK;
    int32_t flag = 0;
    rv_status status = rv_array_read(device->health, 0, 1, &flag);
    if (status != RV_OK) return rv_fail(&device->error, status, "%s", rv_array_message(device->health));
    if (flag == 0) return RV_OK;
    const char *bad = flag > 0 && (uint32_t)flag <= device->name_count ? device->names[flag - 1] : "unknown";
    if (name) *name = bad;
    return rv_fail(&device->error, RV_NON_FINITE, "%s is NaN or infinite; weights keep their last good values until rv_device_health_clear", bad);
}

rv_status rv_device_health_clear(rv_device *device) {
    if (!device) return RV_INVALID_ARGUMENT;
    if (!device->health) return RV_OK;
    int32_t flag = 0;
    rv_status status = rv_array_write(device->health, 0, 1, &flag);
    if (status != RV_OK) return rv_fail(&device->error, status, "%s", rv_array_message(device->health));
    return RV_OK;
}
