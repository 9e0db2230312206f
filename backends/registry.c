/* backends/registry.c: which backends there are, what "auto" takes of them, and the public lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/list.h"
#include "backends/modules.h"

typedef struct rv_entry {
    const char *name;
    const rv_backend *backend; /* NULL: in a module */
    bool built;
    const char *to_build, *to_run; /* how to get it; what it needs */
    bool native;                   /* opens on handles of the host program */
} rv_entry;

#define MODULE_ENTRY(name, built, to_build, to_run) {#name, NULL, built, to_build, to_run, true},
#define LINKED_ENTRY(name, built, to_build, to_run) {#name, &rv_backend_##name, built, to_build, to_run, false},

/* Devices, best first: the order of "auto". What was left out of the build keeps its line, so that asking for it is
 * answered with how to get it. */
static const rv_entry devices[] = {RV_BACKEND_LIST(MODULE_ENTRY, LINKED_ENTRY)};

/* What "auto" never chooses. The wrappers hand native handles on. */
static const rv_entry tools[] = {
    {"null", &rv_backend_null, true, "", "", false},
    {"check", &rv_backend_check, true, "", "", true},
    {"fault", &rv_backend_fault, true, "", "", true},
};

enum { DEVICES = sizeof devices / sizeof *devices, TOOLS = sizeof tools / sizeof *tools };

/* ---- by name --------------------------------------------------------------------------------------- */

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

static rv_status table_of(const rv_entry *entry, const rv_backend **backend, rv_error *error) {
    *backend = entry->backend;
    if (!entry->built) {
        return rv_fail(error, RV_NOT_BUILT_IN, "%s: not built in; %s", entry->name, entry->to_build);
    }
    return *backend ? RV_OK : rv_module_find(entry->name, entry->to_run, backend, error);
}

/* ---- the best ---------------------------------------------------------------------------------------- */

/* The first GPU of a module that opens; where none does, why not the first of all. */
static rv_status open_gpu(const rv_services *services, const rv_backend *backend, rv_error *error, void **state) {
    rv_device_info info;
    rv_error first = {0}, failure = {0};
    int count = 0;
    for (; backend->list(services, count, &info, error); count++) {
        const char *colon = strchr(info.resource, ':');
        if (!info.gpu) continue;
        if (backend->open(services, colon ? colon + 1 : "", &failure, state) == RV_OK) return RV_OK;
        if (first.status == RV_OK) first = failure;
    }
    if (first.status != RV_OK) *error = first;
    else if (count > 0) rv_fail(error, RV_NO_DEVICE, "%s: no GPU among its devices, %d", backend->name, count);
    return error->status != RV_OK ? error->status : rv_fail(error, RV_NO_DEVICE, "%s: no device", backend->name);
}

static void say_choice(const rv_services *services, const rv_backend *backend, void *state, const char *why_not) {
    char text[1024];
    rv_caps caps = {0};
    backend->caps(state, &caps);
    snprintf(text, sizeof text, "auto chose %s (%s)%s", caps.name, caps.description, why_not);
    services->log(services->user, RV_LOG_INFO, text);
}

static rv_status open_best(const rv_services *services, rv_error *error, const rv_backend **backend, void **state) {
    char why_not[640] = "";
    rv_status status = RV_OK;
    for (int i = 0; i < DEVICES; i++) {
        rv_error failure = {0};
        status = table_of(&devices[i], backend, &failure);
        if (status == RV_OK) {
            status = devices[i].backend ? (*backend)->open(services, "", &failure, state)
                                        : open_gpu(services, *backend, &failure, state);
        }
        if (status == RV_OK) {
            say_choice(services, *backend, *state, why_not);
            return RV_OK;
        }
        /* the reason without the remedy, which `reverie devices` and opening it by name tell */
        const size_t used = strlen(why_not);
        snprintf(why_not + used, sizeof why_not - used, "; not %.*s", (int)strcspn(failure.text, ";"), failure.text);
    }
    return rv_fail(error, status, "auto: no device opens%.480s", why_not);
}

rv_status rv_registry_open(const rv_services *services, const char *resource, rv_error *error, const rv_backend **backend,
                           void **state) {
    *backend = NULL;
    *state = NULL;
    const size_t length = strcspn(resource, ":");
    const bool best = strcmp(resource, "auto") == 0;
    const rv_entry *entry = best ? NULL : find(resource, length);
    if (!best && !entry) return unknown(resource, error);
    if (services->native && (best || !entry->native)) {
        return rv_fail(error, RV_INVALID_ARGUMENT, "\"%.100s\" opens on no handles of the host program: leave options->native NULL, or "
                                                   "name the backend that they belong to, \"opencl\" or \"cuda\"", resource);
    }
    if (best) return open_best(services, error, backend, state);
    const rv_status status = table_of(entry, backend, error);
    if (status != RV_OK) return status;
    return (*backend)->open(services, resource[length] ? resource + length + 1 : "", error, state);
}

/* ---- the public lists ---------------------------------------------------------------------------- */

static void *list_resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static void list_log(void *user, rv_log_level level, const char *text) { (void)user, (void)level, (void)text; }

static const rv_services list_services = {.size = sizeof list_services, .resize = list_resize, .log = list_log, .fail = rv_fail};

static void describe(const rv_entry *entry, rv_backend_info *info) {
    *info = (rv_backend_info){.name = entry->name, .built_in = entry->built};
    const rv_backend *backend;
    rv_device_info device = {0};
    rv_error error = {0};
    if (!entry->built) {
        snprintf(info->text, sizeof info->text, "%s", entry->to_build);
        return;
    }
    if (table_of(entry, &backend, &error) == RV_OK && backend->list(&list_services, 0, &device, &error)) {
        info->available = 1;
        snprintf(info->text, sizeof info->text, "%.120s, %.120s", device.name, device.version);
        return;
    }
    /* the backend's name is in its own column */
    const size_t name = strlen(entry->name);
    const bool named = strncmp(error.text, entry->name, name) == 0 && strncmp(error.text + name, ": ", 2) == 0;
    snprintf(info->text, sizeof info->text, "%.255s", error.text + (named ? name + 2 : 0));
}

int rv_backend_list(rv_backend_info *list, int capacity) {
    for (int i = 0; list && i < DEVICES && i < capacity; i++) describe(&devices[i], &list[i]);
    return DEVICES;
}

int rv_device_list(rv_device_info *list, int capacity) {
    int count = 0;
    for (int i = 0; i < DEVICES; i++) {
        const rv_backend *backend;
        rv_device_info info = {0};
        rv_error error = {0};
        if (table_of(&devices[i], &backend, &error) != RV_OK) continue;
        for (int k = 0; backend->list(&list_services, k, &info, &error); k++, count++) {
            if (list && count < capacity) list[count] = info;
            info = (rv_device_info){0};
        }
    }
    return count;
}
