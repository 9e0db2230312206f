/* backends/wrapped.h: the device inside a wrapper (check:, fault:). */
#ifndef RV_BACKENDS_WRAPPED_H
#define RV_BACKENDS_WRAPPED_H

#include "core/backend.h"

typedef struct rv_wrapped {
    const rv_backend *backend;
    void *state;
    rv_caps caps;
} rv_wrapped;

/* Opens the device of a resource string; `wrapper` names who asks. */
static inline rv_status rv_wrapped_open(const rv_services *services, const char *wrapper, const char *resource,
                                        rv_error *error, rv_wrapped *wrapped) {
    const char *spec;
    if (!*resource) {
        return services->fail(error, RV_INVALID_ARGUMENT, "%s: which device? \"%s%s:cpu\" is an example", wrapper, wrapper,
                              wrapper[0] == 'f' ? ":run=3" : "");
    }
    rv_status status = rv_registry_find(resource, &wrapped->backend, &spec, error);
    if (status == RV_OK) status = wrapped->backend->open(services, spec, error, &wrapped->state);
    if (status == RV_OK) wrapped->backend->caps(wrapped->state, &wrapped->caps);
    return status;
}

#endif
