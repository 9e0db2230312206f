/* backends/fault.c: "fault:KIND=N:RESOURCE", a device whose N-th call of a kind fails.
 *
 * Several kinds are joined by commas. The call fails before the wrapped device sees it; the next one
 * goes through again, but after `lost`, which counts calls of all kinds, everything fails for good.
 */
#include <stdio.h>
#include <string.h>

#include "backends/wrapped.h"

/* X(kind, text, status); driver and device are what opening may meet, and it happens once */
#define FAULT_LIST(X)                                 \
    X(DRIVER, "driver", RV_NO_DRIVER)                 \
    X(DEVICE, "device", RV_NO_DEVICE)                 \
    X(ALLOC, "alloc", RV_OUT_OF_MEMORY)               \
    X(UPLOAD, "upload", RV_DEVICE_LOST)               \
    X(DOWNLOAD, "download", RV_DEVICE_LOST)           \
    X(PREPARE, "prepare", RV_BUILD_FAILED)            \
    X(RUN, "run", RV_DEVICE_LOST)                     \
    X(SYNC, "sync", RV_DEVICE_LOST)                   \
    X(LOST, "lost", RV_DEVICE_LOST)

#define FAULT_ENUM(kind, text, status) FAULT_##kind,
typedef enum fault_kind { FAULT_LIST(FAULT_ENUM) FAULT_COUNT } fault_kind;

#define FAULT_ROW(kind, text, status) {text, status},
static const struct fault_row {
    const char *text;
    rv_status status;
} rows[FAULT_COUNT] = {FAULT_LIST(FAULT_ROW)};

typedef struct rv_fault {
    rv_services services;
    rv_wrapped inner;
    uint64_t asked[FAULT_COUNT]; /* the call that fails; 0: none */
    uint64_t calls[FAULT_COUNT];
    char spec[48];
} rv_fault;

/* ---- opening ------------------------------------------------------------------------------------- */

static rv_status bad_spec(const rv_services *services, const char *word, int length, rv_error *error) {
    return services->fail(error, RV_INVALID_ARGUMENT,
                          "fault: \"%.*s\" is not understood; write fault:KIND=N:RESOURCE with KIND driver, device, alloc, "
                          "upload, download, prepare, run, sync or lost, N from 1 on (driver and device: 1), several joined "
                          "by commas",
                          length < 80 ? length : 80, word);
}

/* One "KIND=N". */
static rv_status parse_word(rv_fault *fault, const char *word, int length, rv_error *error) {
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        const int name = (int)strlen(rows[kind].text);
        if (length <= name + 1 || memcmp(word, rows[kind].text, (size_t)name) != 0 || word[name] != '=') continue;
        uint32_t n = 0;
        for (int i = name + 1; i < length; i++) {
            if (word[i] < '0' || word[i] > '9' || n > UINT32_MAX / 16) return bad_spec(&fault->services, word, length, error);
            n = n * 10 + (uint32_t)(word[i] - '0');
        }
        if (n == 0 || (n > 1 && kind <= FAULT_DEVICE)) break;
        fault->asked[kind] = n;
        return RV_OK;
    }
    return bad_spec(&fault->services, word, length, error);
}

static rv_status parse(rv_fault *fault, const char *spec, rv_error *error, const char **resource) {
    const size_t all = strcspn(spec, ":");
    if (all >= sizeof fault->spec) return bad_spec(&fault->services, spec, (int)all, error);
    snprintf(fault->spec, sizeof fault->spec, "%.*s", (int)all, spec);
    *resource = spec[all] ? spec + all + 1 : "";
    for (const char *word = fault->spec;; word++) {
        const int length = (int)strcspn(word, ",");
        const rv_status status = parse_word(fault, word, length, error);
        word += length;
        if (status != RV_OK || !*word) return status;
    }
}

static void fault_close(void *state) {
    rv_fault *fault = state;
    if (!fault) return;
    if (fault->inner.state) fault->inner.backend->close(fault->inner.state);
    const rv_services services = fault->services;
    services.resize(services.user, fault, 0);
}

static rv_status fault_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    *state = NULL;
    rv_fault *fault = services->resize(services->user, NULL, sizeof *fault);
    if (!fault) return services->fail(error, RV_OUT_OF_MEMORY, "fault: no memory for the device");
    *fault = (rv_fault){.services = *services};
    const char *resource = "";
    rv_status status = parse(fault, spec, error, &resource);
    for (int kind = FAULT_DRIVER; kind <= FAULT_DEVICE && status == RV_OK; kind++) {
        if (!fault->asked[kind]) continue;
        status = services->fail(error, rows[kind].status, "fault: no %s, as asked; leave out \"%s=1\"", rows[kind].text,
                                rows[kind].text);
    }
    if (status == RV_OK) status = rv_wrapped_open(services, "fault", resource, error, &fault->inner);
    if (status != RV_OK) fault_close(fault);
    else *state = fault;
    return status;
}

static void fault_caps(void *state, rv_caps *caps) {
    const rv_fault *fault = state;
    *caps = fault->inner.caps;
    snprintf(caps->name, sizeof caps->name, "fault:%s:%.*s", fault->spec, 63 - 7 - (int)strlen(fault->spec),
             fault->inner.caps.name);
}

/* ---- what may fail ------------------------------------------------------------------------------- */

/* Fails, and says so in the log, too: not every failure is anybody's answer, as when an object is destroyed. */
static rv_status fire(rv_fault *fault, fault_kind kind, rv_error *error) {
    const bool lost = kind == FAULT_LOST;
    fault->services.fail(error, rows[kind].status, "fault: %s %llu %s, as asked", lost ? "the device, at call" : rows[kind].text,
                         (unsigned long long)fault->asked[kind], lost ? "was lost" : "fails");
    if (fault->calls[kind] == fault->asked[kind]) fault->services.log(fault->services.user, RV_LOG_WARNING, error->text);
    return rows[kind].status;
}

/* Counts a call; `kind` is FAULT_LOST for calls of no kind of their own. */
static rv_status count_call(rv_fault *fault, fault_kind kind, rv_error *error) {
    const uint64_t all = ++fault->calls[FAULT_LOST];
    if (fault->asked[FAULT_LOST] && all >= fault->asked[FAULT_LOST]) return fire(fault, FAULT_LOST, error);
    if (kind == FAULT_LOST || ++fault->calls[kind] != fault->asked[kind]) return RV_OK;
    return fire(fault, kind, error);
}

static rv_status fault_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_fault *fault = state;
    *buffer = NULL;
    const rv_status status = count_call(fault, FAULT_ALLOC, error);
    return status != RV_OK ? status : fault->inner.backend->allocate(fault->inner.state, bytes, error, buffer);
}

static rv_status fault_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_fault *fault = state;
    *buffer = NULL;
    const rv_status status = count_call(fault, FAULT_ALLOC, error);
    return status != RV_OK ? status : fault->inner.backend->wrap(fault->inner.state, memory, bytes, error, buffer);
}

static void fault_release(void *state, rv_buffer *buffer) {
    rv_fault *fault = state;
    fault->inner.backend->release(fault->inner.state, buffer);
}

static rv_status fault_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                              rv_error *error) {
    rv_fault *fault = state;
    const rv_status status = count_call(fault, FAULT_UPLOAD, error);
    if (status != RV_OK) return status;
    return fault->inner.backend->upload(fault->inner.state, buffer, dtype, offset, count, data, error);
}

static rv_status fault_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                                rv_error *error) {
    rv_fault *fault = state;
    const rv_status status = count_call(fault, FAULT_DOWNLOAD, error);
    if (status != RV_OK) return status;
    return fault->inner.backend->download(fault->inner.state, buffer, dtype, offset, count, data, error);
}

static rv_status fault_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    rv_fault *fault = state;
    const rv_status status = count_call(fault, FAULT_LOST, error);
    if (status != RV_OK) return status;
    return fault->inner.backend->fill(fault->inner.state, buffer, offset, bytes, byte, error);
}

static bool fault_supports(void *state, rv_op op, const rv_attributes *attributes) {
    rv_fault *fault = state;
    return fault->inner.backend->supports(fault->inner.state, op, attributes);
}

static rv_status fault_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program) {
    rv_fault *fault = state;
    *program = NULL;
    const rv_status status = count_call(fault, FAULT_PREPARE, error);
    if (status != RV_OK) return status;
    return fault->inner.backend->prepare(fault->inner.state, launches, count, error, program);
}

static rv_status fault_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    rv_fault *fault = state;
    const rv_status status = count_call(fault, FAULT_RUN, error);
    return status != RV_OK ? status : fault->inner.backend->run(fault->inner.state, program, first, count, error);
}

static void fault_release_program(void *state, rv_program *program) {
    rv_fault *fault = state;
    fault->inner.backend->release_program(fault->inner.state, program);
}

static rv_status fault_sync(void *state, rv_error *error) {
    rv_fault *fault = state;
    const rv_status status = count_call(fault, FAULT_SYNC, error);
    return status != RV_OK ? status : fault->inner.backend->sync(fault->inner.state, error);
}

static void *fault_native(void *state, rv_buffer *buffer) { return rv_wrapped_native(&((rv_fault *)state)->inner, buffer); }

static int64_t fault_dispatches(void *state, const rv_program *program) {
    return rv_wrapped_dispatches(&((rv_fault *)state)->inner, program);
}

const rv_backend rv_backend_fault = {
    .abi = RV_BACKEND_ABI,
    .size = sizeof(rv_backend),
    .name = "fault",
    .open = fault_open,
    .close = fault_close,
    .caps = fault_caps,
    .allocate = fault_allocate,
    .wrap = fault_wrap,
    .release = fault_release,
    .upload = fault_upload,
    .download = fault_download,
    .fill = fault_fill,
    .supports = fault_supports,
    .prepare = fault_prepare,
    .run = fault_run,
    .release_program = fault_release_program,
    .sync = fault_sync,
    .native = fault_native,
    .dispatches = fault_dispatches,
};
