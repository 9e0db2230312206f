/* tests/modules/fake.c: a module with devices that can do nothing, and with one thing wrong where FAKE_… says so. */
#include "tests/modules/fake.h"

#include <stdio.h>
#include <stdlib.h>

RV_API extern fake_control fake_module;
fake_control fake_module;

typedef struct fake {
    rv_services services;
    int index;
} fake;

static rv_status fake_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    const int index = atoi(spec);
    *state = NULL;
    if (index >= fake_module.devices) {
        return services->fail(error, RV_NO_DEVICE, FAKE_NAME ": no device %d; plug one in", index);
    }
    if (fake_module.broken >> index & 1) {
        return services->fail(error, RV_DEVICE_LOST, FAKE_NAME ": device %d is broken; mend it", index);
    }
    fake *device = services->resize(services->user, NULL, sizeof *device);
    if (!device) return services->fail(error, RV_OUT_OF_MEMORY, FAKE_NAME ": no memory");
    *device = (fake){*services, index};
    *state = device;
    fake_module.opened++;
    fake_module.native += services->native != NULL;
    return RV_OK;
}

static void fake_close(void *state) {
    const rv_services services = ((fake *)state)->services;
    services.resize(services.user, state, 0);
    fake_module.closed++;
}

static void fake_caps(void *state, rv_caps *caps) {
    *caps = (rv_caps){.alignment = 64, .element_bytes = {4, 4, 1}};
    snprintf(caps->name, sizeof caps->name, FAKE_NAME ":%d", ((fake *)state)->index);
    snprintf(caps->description, sizeof caps->description, "planted");
}

static bool fake_list(const rv_services *services, int index, rv_device_info *info, rv_error *error) {
    if (index >= fake_module.devices) {
        if (index == 0) services->fail(error, RV_NO_DEVICE, FAKE_NAME ": nothing planted; plant something");
        return false;
    }
    *info = (rv_device_info){.name = "planted", .version = "1", .units = 3, .memory_bytes = 5};
    snprintf(info->resource, sizeof info->resource, FAKE_NAME ":%d", index);
    info->gpu = fake_module.gpus >> index & 1;
    return true;
}

#ifdef FAKE_NO_TABLE
#define rv_backend_module fake_table_by_another_name
#endif
RV_API extern const rv_backend rv_backend_module;
const rv_backend rv_backend_module = {
#ifdef FAKE_ABI
    .abi = RV_BACKEND_ABI + 1,
#else
    .abi = RV_BACKEND_ABI,
#endif
#ifdef FAKE_SIZE
    .size = sizeof(rv_backend) - sizeof(void *),
#else
    .size = sizeof(rv_backend),
#endif
    .name = FAKE_NAME,
    .open = fake_open,
    .close = fake_close,
    .caps = fake_caps,
    .list = fake_list,
};

#ifdef FAKE_ABSENT
/* in a library that is gone when this is loaded */
int rv_absent(void);
RV_API int rv_needs_absent(void);
int rv_needs_absent(void) { return rv_absent(); }
#endif
