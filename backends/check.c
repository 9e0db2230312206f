/* backends/check.c: "check:RESOURCE", a device that watches what the wrapped device's kernels do to memory.
 *
 * The planner gives every value a block of its own between guards (caps.guard) and reuses nothing.
 * Everything that nobody has written, guards included, is poison: bytes 0xFF, which are NaN as floats.
 * Launches run one by one. Around each, the neighbourhood of every operand is compared with what it
 * was: nothing may change but the elements of the outputs, and these must all be written. A value is
 * poison again after its last use. What is wrong answers INTERNAL and names op, label and operand.
 */
#include <stdio.h>
#include <string.h>

#include "backends/wrapped.h"

enum { POISON = 0xFF, GUARD = 128 /* bytes around an allocation */, NEAR = 64 /* bytes compared around an operand */ };

struct rv_buffer {
    rv_buffer *inner;
    size_t lead;  /* bytes of guard before the first element, and behind the last; 0 where memory is wrapped */
    size_t bytes; /* between them */
};

typedef struct rv_check {
    rv_services services;
    rv_wrapped inner;
} rv_check;

/* ---- opening ------------------------------------------------------------------------------------- */

static void check_close(void *state) {
    rv_check *check = state;
    if (!check) return;
    if (check->inner.state) check->inner.backend->close(check->inner.state);
    const rv_services services = check->services;
    services.resize(services.user, check, 0);
}

static rv_status check_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    *state = NULL;
    rv_check *check = services->resize(services->user, NULL, sizeof *check);
    if (!check) return services->fail(error, RV_OUT_OF_MEMORY, "check: no memory for the device");
    *check = (rv_check){.services = *services};
    rv_status status = rv_wrapped_open(services, "check", spec, error, &check->inner);
    if (status == RV_OK && check->inner.caps.guard) { /* the inner one's poison would look like damage */
        status = services->fail(error, RV_INVALID_ARGUMENT, "check: \"%.80s\" checks already; once is enough", spec);
    }
    if (status != RV_OK) check_close(check);
    else *state = check;
    return status;
}

/* Bytes of guard: whole elements of every type, and no worse aligned than the device's own memory. */
static size_t guard_bytes(const rv_check *check) {
    const size_t alignment = check->inner.caps.alignment;
    return alignment > GUARD ? alignment : GUARD;
}

static void check_caps(void *state, rv_caps *caps) {
    const rv_check *check = state;
    *caps = check->inner.caps;
    caps->guard = true;
    caps->regions = false;
    caps->largest_allocation -= 2 * guard_bytes(check);
    snprintf(caps->name, sizeof caps->name, "check:%.57s", check->inner.caps.name);
    snprintf(caps->description, sizeof caps->description, "guarded: %.180s", check->inner.caps.description);
}

/* ---- memory -------------------------------------------------------------------------------------- */

static rv_status poison(rv_check *check, const rv_buffer *buffer, size_t begin, size_t bytes, rv_error *error) {
    if (bytes == 0) return RV_OK;
    return check->inner.backend->fill(check->inner.state, buffer->inner, begin, bytes, POISON, error);
}

static void check_release(void *state, rv_buffer *buffer) {
    rv_check *check = state;
    if (!buffer) return;
    if (buffer->inner) check->inner.backend->release(check->inner.state, buffer->inner);
    check->services.resize(check->services.user, buffer, 0);
}

static rv_status new_buffer(rv_check *check, size_t lead, size_t bytes, rv_error *error, rv_buffer **buffer) {
    *buffer = check->services.resize(check->services.user, NULL, sizeof **buffer);
    if (!*buffer) return check->services.fail(error, RV_OUT_OF_MEMORY, "check: no memory for a buffer's handle");
    **buffer = (rv_buffer){.lead = lead, .bytes = bytes};
    return RV_OK;
}

static rv_status check_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_check *check = state;
    const size_t lead = guard_bytes(check);
    size_t all;
    *buffer = NULL;
    if (__builtin_add_overflow(bytes, 2 * lead, &all)) return check->services.fail(error, RV_TOO_LARGE, "check: %zu bytes", bytes);
    rv_status status = new_buffer(check, lead, bytes, error, buffer);
    if (status == RV_OK) status = check->inner.backend->allocate(check->inner.state, all, error, &(*buffer)->inner);
    if (status == RV_OK) status = poison(check, *buffer, 0, lead, error);
    if (status == RV_OK) status = poison(check, *buffer, lead + bytes, lead, error);
    if (status == RV_OK) return RV_OK;
    check_release(check, *buffer);
    *buffer = NULL;
    return status;
}

static rv_status check_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    rv_check *check = state;
    *buffer = NULL;
    rv_status status = new_buffer(check, 0, bytes, error, buffer);
    if (status == RV_OK) status = check->inner.backend->wrap(check->inner.state, memory, bytes, error, &(*buffer)->inner);
    if (status == RV_OK) return RV_OK;
    check_release(check, *buffer);
    *buffer = NULL;
    return status;
}

/* What is guarded begins behind its guard, where no handle points. */
static void *check_native(void *state, rv_buffer *buffer) {
    return buffer->lead ? NULL : rv_wrapped_native(&((rv_check *)state)->inner, buffer->inner);
}

static size_t lead_elements(const rv_check *check, const rv_buffer *buffer, rv_dtype dtype) {
    return buffer->lead / check->inner.caps.element_bytes[dtype];
}

static rv_status check_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                              rv_error *error) {
    rv_check *check = state;
    const size_t first = offset + lead_elements(check, buffer, dtype);
    return check->inner.backend->upload(check->inner.state, buffer->inner, dtype, first, count, data, error);
}

static rv_status check_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                                rv_error *error) {
    rv_check *check = state;
    const size_t first = offset + lead_elements(check, buffer, dtype);
    return check->inner.backend->download(check->inner.state, buffer->inner, dtype, first, count, data, error);
}

static rv_status check_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    rv_check *check = state;
    return check->inner.backend->fill(check->inner.state, buffer->inner, offset + buffer->lead, bytes, byte, error);
}

/* ---- operands as bytes --------------------------------------------------------------------------- */

/* Bytes of a buffer's whole allocation that an operand lies in: rows of `width` bytes, `pitch` apart. */
typedef struct span {
    const rv_buffer *buffer; /* NULL: absent or empty */
    size_t begin, end, width, pitch;
    bool temporary;
    rv_dtype dtype;
} span;

static span span_of(const rv_check *check, const rv_operand *operand) {
    if (rv_operand_count(operand) == 0) return (span){0};
    const size_t element = check->inner.caps.element_bytes[operand->dtype];
    span s = {.buffer = operand->buffer, .temporary = operand->temporary, .dtype = operand->dtype};
    s.begin = operand->buffer->lead + operand->offset * element;
    s.width = (size_t)operand->cols * element;
    s.pitch = operand->rows == 1 ? s.width : (size_t)operand->stride * element;
    s.end = s.begin + (size_t)(operand->rows - 1) * s.pitch + s.width;
    return s;
}

static bool overlaps(const span *a, const span *b) {
    return a->buffer && a->buffer == b->buffer && a->begin < b->end && b->begin < a->end;
}

/* Inputs first, then outputs. */
enum { SPANS = RV_MAX_INPUTS + RV_MAX_OUTPUTS };

typedef struct watched {
    span span[SPANS];
    size_t begin[SPANS], end[SPANS]; /* what is compared around each */
    int inputs, count;
    bool fresh[SPANS]; /* an output that is no input, too: must be written entirely */
    bool dies[SPANS];  /* a temporary that nobody touches afterwards */
} watched;

struct rv_program {
    rv_program *inner;
    int64_t count;
    const char **label;
    rv_op *op;
    watched *launch;
    char *before, *after; /* the largest launch's neighbourhoods */
};

static bool inside(const span *s, size_t byte) {
    return byte >= s->begin && byte < s->end && (byte - s->begin) % s->pitch < s->width;
}

/* ---- preparing ----------------------------------------------------------------------------------- */

static watched watch(const rv_check *check, const rv_launch *launch) {
    watched w = {.inputs = launch->input_count, .count = launch->input_count + launch->output_count};
    for (int i = 0; i < w.count; i++) {
        const rv_operand *operand = i < w.inputs ? &launch->input[i] : &launch->output[i - w.inputs];
        const span s = w.span[i] = span_of(check, operand);
        if (!s.buffer) continue;
        const size_t all = s.buffer->bytes + 2 * s.buffer->lead;
        w.begin[i] = s.begin > NEAR ? s.begin - NEAR : 0;
        w.end[i] = s.end + NEAR < all ? s.end + NEAR : all;
    }
    for (int i = w.inputs; i < w.count; i++) {
        w.fresh[i] = w.span[i].buffer;
        for (int k = 0; k < w.inputs; k++) w.fresh[i] = w.fresh[i] && !overlaps(&w.span[i], &w.span[k]);
    }
    return w;
}

static bool touches(const watched *w, const span *s, int from) {
    for (int i = from; i < w->count; i++) {
        if (overlaps(&w->span[i], s)) return true;
    }
    return false;
}

static void find_deaths(rv_program *program, int64_t index) {
    watched *w = &program->launch[index];
    for (int i = 0; i < w->count; i++) {
        w->dies[i] = w->span[i].buffer && w->span[i].temporary;
        for (int64_t later = index + 1; w->dies[i] && later < program->count; later++) {
            w->dies[i] = !touches(&program->launch[later], &w->span[i], 0);
        }
    }
}

static const char *operand_name(const watched *w, int i, char *text, size_t size) {
    snprintf(text, size, "%s %d", i < w->inputs ? "input" : "output", i < w->inputs ? i : i - w->inputs);
    return text;
}

static rv_status violation(const rv_check *check, const rv_program *program, int64_t index, rv_error *error,
                           const char *what, int operand) {
    char name[24];
    operand_name(&program->launch[index], operand, name, sizeof name);
    return check->services.fail(error, RV_INTERNAL, "check: launch %lld, %s%s%s, %s %s", (long long)index,
                                rv_op_info_get(program->op[index])->name, *program->label[index] ? " at " : "",
                                program->label[index], what, name);
}

/* Temporaries hold what an earlier launch of the program left there, or nothing. */
static rv_status find_unwritten(const rv_check *check, const rv_program *program, int64_t index, rv_error *error) {
    const watched *w = &program->launch[index];
    for (int i = 0; i < w->inputs; i++) {
        if (!w->span[i].buffer || !w->span[i].temporary) continue;
        bool written = false;
        for (int64_t earlier = index - 1; !written && earlier >= 0; earlier--) {
            written = touches(&program->launch[earlier], &w->span[i], program->launch[earlier].inputs);
        }
        if (!written) return violation(check, program, index, error, "reads what no launch before it wrote:", i);
    }
    return RV_OK;
}

/* The launches as the wrapped device sees them. */
static rv_status prepare_inner(rv_check *check, const rv_launch *launches, int64_t count, rv_error *error, rv_program **inner) {
    rv_launch *copies = check->services.resize(check->services.user, NULL, (size_t)count * sizeof *copies + 1);
    if (!copies) return check->services.fail(error, RV_OUT_OF_MEMORY, "check: no memory for a program");
    for (int64_t i = 0; i < count; i++) {
        copies[i] = launches[i];
        copies[i].region = (int32_t)i; /* they run one by one: nothing to put together */
        for (int k = 0; k < RV_MAX_INPUTS + RV_MAX_OUTPUTS; k++) {
            rv_operand *operand = k < RV_MAX_INPUTS ? &copies[i].input[k] : &copies[i].output[k - RV_MAX_INPUTS];
            if (!operand->buffer) continue;
            operand->offset += lead_elements(check, operand->buffer, operand->dtype);
            operand->buffer = operand->buffer->inner;
        }
    }
    const rv_status status = check->inner.backend->prepare(check->inner.state, copies, count, error, inner);
    check->services.resize(check->services.user, copies, 0);
    return status;
}

static void check_release_program(void *state, rv_program *program) {
    rv_check *check = state;
    if (!program) return;
    if (program->inner) check->inner.backend->release_program(check->inner.state, program->inner);
    check->services.resize(check->services.user, program, 0);
}

/* The program, its lists and its two copies of memory as one block. */
static rv_status new_program(rv_check *check, const rv_launch *launches, int64_t count, rv_error *error, rv_program **out) {
    size_t largest = 0, bytes, lists;
    for (int64_t i = 0; i < count; i++) {
        const watched w = watch(check, &launches[i]);
        size_t sum = 0;
        for (int k = 0; k < w.count; k++) sum += w.end[k] - w.begin[k];
        if (sum > largest) largest = sum;
    }
    const size_t each = sizeof(watched) + sizeof(char *) + sizeof(rv_op);
    if (__builtin_mul_overflow((size_t)count, each, &lists) || __builtin_mul_overflow(largest, (size_t)2, &bytes) ||
        __builtin_add_overflow(bytes, lists, &bytes) || __builtin_add_overflow(bytes, sizeof **out, &bytes))
        return check->services.fail(error, RV_TOO_LARGE, "check: %lld launches are too many", (long long)count);
    rv_program *program = *out = check->services.resize(check->services.user, NULL, bytes);
    if (!program) return check->services.fail(error, RV_OUT_OF_MEMORY, "check: no memory for a program");
    *program = (rv_program){.count = count, .launch = (watched *)(void *)(program + 1)};
    program->label = (const char **)(void *)(program->launch + count);
    program->op = (rv_op *)(void *)(program->label + count);
    program->before = (char *)(program->op + count);
    program->after = program->before + largest;
    for (int64_t i = 0; i < count; i++) {
        program->launch[i] = watch(check, &launches[i]);
        program->label[i] = launches[i].label ? launches[i].label : "";
        program->op[i] = launches[i].op;
    }
    return RV_OK;
}

/* Arenas hold nothing yet: all of them becomes poison. */
static rv_status poison_temporaries(rv_check *check, const rv_program *program, rv_error *error) {
    const rv_buffer *last = NULL;
    rv_status status = RV_OK;
    for (int64_t i = 0; i < program->count && status == RV_OK; i++) {
        for (int k = 0; k < program->launch[i].count && status == RV_OK; k++) {
            const span *s = &program->launch[i].span[k];
            if (!s->buffer || !s->temporary || s->buffer == last) continue;
            last = s->buffer;
            status = poison(check, last, last->lead, last->bytes, error);
        }
    }
    return status;
}

static rv_status check_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **out) {
    rv_check *check = state;
    *out = NULL;
    rv_status status = new_program(check, launches, count, error, out);
    if (status != RV_OK) return status;
    for (int64_t i = 0; i < count && status == RV_OK; i++) {
        find_deaths(*out, i);
        status = find_unwritten(check, *out, i, error);
    }
    if (status == RV_OK) status = prepare_inner(check, launches, count, error, &(*out)->inner);
    if (status == RV_OK) status = poison_temporaries(check, *out, error);
    if (status == RV_OK) return RV_OK;
    check_release_program(check, *out);
    *out = NULL;
    return status;
}

/* ---- running ------------------------------------------------------------------------------------- */

static rv_status poison_span(rv_check *check, const span *s, rv_error *error) {
    if (s->pitch == s->width) return poison(check, s->buffer, s->begin, s->end - s->begin, error);
    rv_status status = RV_OK;
    for (size_t row = s->begin; row < s->end && status == RV_OK; row += s->pitch) {
        status = poison(check, s->buffer, row, s->width, error);
    }
    return status;
}

static rv_status poison_chosen(rv_check *check, const watched *w, const bool *chosen, rv_error *error) {
    rv_status status = RV_OK;
    for (int i = 0; i < w->count && status == RV_OK; i++) {
        if (chosen[i]) status = poison_span(check, &w->span[i], error);
    }
    return status;
}

/* The neighbourhoods of all operands, one after another. */
static rv_status copy_out(rv_check *check, const watched *w, char *to, rv_error *error) {
    rv_status status = RV_OK;
    for (int i = 0; i < w->count && status == RV_OK; i++) {
        if (!w->span[i].buffer) continue;
        const size_t bytes = w->end[i] - w->begin[i];
        status = check->inner.backend->download(check->inner.state, w->span[i].buffer->inner, RV_U8, w->begin[i], bytes, to, error);
        to += bytes;
    }
    return status;
}

static bool is_output(const watched *w, const rv_buffer *buffer, size_t byte) {
    for (int i = w->inputs; i < w->count; i++) {
        if (w->span[i].buffer == buffer && inside(&w->span[i], byte)) return true;
    }
    return false;
}

/* Nothing in the neighbourhood of operand i may differ but elements of outputs. */
static rv_status compare(const rv_check *check, const rv_program *program, int64_t index, int i, const char *before,
                         const char *after, rv_error *error) {
    const watched *w = &program->launch[index];
    const span *s = &w->span[i];
    for (size_t byte = w->begin[i]; byte < w->end[i]; byte++) {
        if (before[byte - w->begin[i]] == after[byte - w->begin[i]] || is_output(w, s->buffer, byte)) continue;
        if (byte < s->begin) return violation(check, program, index, error, "wrote before", i);
        if (byte >= s->end) return violation(check, program, index, error, "wrote behind", i);
        if (!inside(s, byte)) return violation(check, program, index, error, "wrote between the rows of", i);
        return violation(check, program, index, error, "changed its", i);
    }
    return RV_OK;
}

/* An f32 element whose bytes are all poison. */
static bool holds_poison(const rv_check *check, const watched *w, int i, const char *memory) {
    const span *s = &w->span[i];
    const size_t element = check->inner.caps.element_bytes[RV_F32];
    if (s->dtype != RV_F32) return false;
    for (size_t row = s->begin; row < s->end; row += s->pitch) {
        for (size_t byte = row; byte < row + s->width; byte += element) {
            size_t same = 0;
            while (same < element && (unsigned char)memory[byte - w->begin[i] + same] == POISON) same++;
            if (same == element) return true;
        }
    }
    return false;
}

static rv_status compare_all(const rv_check *check, const rv_program *program, int64_t index, rv_error *error) {
    const watched *w = &program->launch[index];
    rv_status status = RV_OK;
    bool given = false; /* an input already holds such a NaN, and the outputs may */
    for (int pass = 0; pass < 2; pass++) {
        const char *before = program->before, *after = program->after;
        for (int i = 0; i < w->count && status == RV_OK; i++) {
            const size_t bytes = w->end[i] - w->begin[i];
            if (!w->span[i].buffer) continue;
            if (pass == 0) {
                if (memcmp(before, after, bytes) != 0) status = compare(check, program, index, i, before, after, error);
                given = given || (i < w->inputs && holds_poison(check, w, i, before));
            } else if (w->fresh[i] && !given && holds_poison(check, w, i, after)) {
                status = violation(check, program, index, error, "did not write, or computed from memory that nobody wrote,", i);
            }
            before += bytes;
            after += bytes;
        }
    }
    return status;
}

static rv_status run_one(rv_check *check, rv_program *program, int64_t index, rv_error *error) {
    const rv_wrapped *inner = &check->inner;
    const watched *w = &program->launch[index];
    rv_status status = poison_chosen(check, w, w->fresh, error);
    if (status == RV_OK) status = copy_out(check, w, program->before, error);
    if (status == RV_OK) status = inner->backend->run(inner->state, program->inner, index, 1, error);
    if (status == RV_OK) status = inner->backend->sync(inner->state, error);
    if (status == RV_OK) status = copy_out(check, w, program->after, error);
    if (status == RV_OK) status = compare_all(check, program, index, error);
    if (status == RV_OK) status = poison_chosen(check, w, w->dies, error);
    return status;
}

static rv_status check_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    rv_status status = RV_OK;
    for (int64_t i = first; i < first + count && status == RV_OK; i++) status = run_one(state, program, i, error);
    return status;
}

static int64_t check_dispatches(void *state, const rv_program *program) {
    return rv_wrapped_dispatches(&((rv_check *)state)->inner, program->inner);
}

static bool check_supports(void *state, rv_op op, const rv_attributes *attributes) {
    const rv_check *check = state;
    return check->inner.backend->supports(check->inner.state, op, attributes);
}

static rv_status check_sync(void *state, rv_error *error) {
    rv_check *check = state;
    return check->inner.backend->sync(check->inner.state, error);
}

const rv_backend rv_backend_check = {
    .abi = RV_BACKEND_ABI,
    .size = sizeof(rv_backend),
    .name = "check",
    .open = check_open,
    .close = check_close,
    .caps = check_caps,
    .allocate = check_allocate,
    .wrap = check_wrap,
    .release = check_release,
    .upload = check_upload,
    .download = check_download,
    .fill = check_fill,
    .supports = check_supports,
    .prepare = check_prepare,
    .run = check_run,
    .release_program = check_release_program,
    .sync = check_sync,
    .native = check_native,
    .dispatches = check_dispatches,
};
