/* backends/registry.c: which backends there are, in the order that "auto" tries them.
 *
 * A backend that was left out of the build keeps its line here, so that asking for it is
 * answered with how to get it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/backend.h"

typedef struct rv_entry {
    const char *name;
    const rv_backend *backend; /* NULL: not built in */
    const char *missing;       /* then: why, and how to get it */
} rv_entry;

/* Devices, best first: the order of "auto". */
static const rv_entry devices[] = {
    {"cuda", NULL, "not built in: this version of reverie has no CUDA backend; use \"cpu\", or a later version"},
    {"opencl", NULL, "not built in: this version of reverie has no OpenCL backend; use \"cpu\", or a later version"},
    {"cpu", &rv_backend_cpu, NULL},
};

/* What "auto" never chooses. */
static const rv_entry tools[] = {
    {"null", &rv_backend_null, NULL},
    {"check", &rv_backend_check, NULL},
    {"fault", &rv_backend_fault, NULL},
};

enum { DEVICES = sizeof devices / sizeof *devices, TOOLS = sizeof tools / sizeof *tools };

static const rv_entry *find(const char *name, size_t length) {
    for (int i = 0; i < DEVICES + TOOLS; i++) {
        const rv_entry *entry = i < DEVICES ? &devices[i] : &tools[i - DEVICES];
        if (strlen(entry->name) == length && memcmp(entry->name, name, length) == 0) return entry;
    }
    return NULL;
}

static rv_status unknown(const char *resource, rv_error *error) {
    char names[128] = "auto";
    for (int i = 0; i < DEVICES + TOOLS; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, ", %s", i < DEVICES ? devices[i].name : tools[i - DEVICES].name);
    }
    return rv_fail(error, RV_INVALID_ARGUMENT, "\"%.100s\": no backend of this name; there are %s", resource, names);
}

static rv_status best(const rv_backend **backend, rv_error *error) {
    for (int i = 0; i < DEVICES; i++) {
        if (!devices[i].backend) continue;
        *backend = devices[i].backend;
        return RV_OK;
    }
    return rv_fail(error, RV_NO_DEVICE, "auto: no backend was built in");
}

rv_status rv_registry_find(const char *resource, const rv_backend **backend, const char **spec, rv_error *error) {
    *spec = "";
    if (strcmp(resource, "auto") == 0) return best(backend, error);
    const size_t length = strcspn(resource, ":");
    const rv_entry *entry = find(resource, length);
    if (!entry) return unknown(resource, error);
    if (!entry->backend) return rv_fail(error, RV_NOT_BUILT_IN, "%s: %s", entry->name, entry->missing);
    if (resource[length] == ':') *spec = resource + length + 1;
    *backend = entry->backend;
    return RV_OK;
}

/* ---- the public list ---------------------------------------------------------------------------- */

static void *list_resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static void list_log(void *user, rv_log_level level, const char *text) {
    (void)user, (void)level, (void)text;
}

/* Opens the backend's first device to see whether it is there. */
static void describe(const rv_entry *entry, rv_backend_info *info) {
    *info = (rv_backend_info){.name = entry->name, .built_in = entry->backend != NULL};
    if (!entry->backend) {
        snprintf(info->text, sizeof info->text, "%s", entry->missing);
        return;
    }
    const rv_services services = {.size = sizeof services, .resize = list_resize, .log = list_log, .fail = rv_fail};
    rv_error error = {0};
    void *state = NULL;
    if (entry->backend->open(&services, "", &error, &state) != RV_OK) {
        snprintf(info->text, sizeof info->text, "%.255s", error.text);
        return;
    }
    rv_caps caps = {0};
    entry->backend->caps(state, &caps);
    entry->backend->close(state);
    info->available = 1;
    snprintf(info->text, sizeof info->text, "%s", caps.description);
}

int rv_backend_list(rv_backend_info *list, int capacity) {
    for (int i = 0; list && i < DEVICES && i < capacity; i++) describe(&devices[i], &list[i]);
    return DEVICES;
}
