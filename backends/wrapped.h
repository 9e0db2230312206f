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
    if (!*resource) {
        return services->fail(error, RV_INVALID_ARGUMENT, "%s: which device? \"%s%s:cpu\" is an example", wrapper, wrapper,
                              wrapper[0] == 'f' ? ":run=3" : "");
    }
    const rv_status status = rv_registry_open(services, resource, error, &wrapped->backend, &wrapped->state);
    if (status == RV_OK) wrapped->backend->caps(wrapped->state, &wrapped->caps);
    return status;
}

static inline int64_t rv_wrapped_dispatches(const rv_wrapped *wrapped, const rv_program *program) {
    return wrapped->backend->dispatches ? wrapped->backend->dispatches(wrapped->state, program) : -1;
}

static inline void *rv_wrapped_native(const rv_wrapped *wrapped, rv_buffer *buffer) {
    return wrapped->backend->native ? wrapped->backend->native(wrapped->state, buffer) : NULL;
}

#endif
