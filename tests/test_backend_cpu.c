/* The CPU backend by its table: resource strings, memory, programs, and every allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"

/* ---- services that count and can refuse ---------------------------------------------------------- */

typedef struct heap {
    int blocks;  /* that are held now */
    int allowed; /* allocations until one is refused; negative: no limit */
} heap;

static void *heap_resize(void *user, void *memory, size_t bytes) {
    heap *h = user;
    if (bytes == 0) {
        h->blocks -= memory != NULL;
        free(memory);
        return NULL;
    }
    if (h->allowed == 0) return NULL;
    if (h->allowed > 0) h->allowed--;
    void *result = realloc(memory, bytes);
    h->blocks += !memory && result;
    return result;
}

static void no_log(void *user, rv_log_level level, const char *text) { (void)user, (void)level, (void)text; }

static rv_services services_of(heap *h) {
    return (rv_services){.size = sizeof(rv_services), .user = h, .resize = heap_resize, .log = no_log, .fail = rv_fail};
}

/* ---- resource strings ---------------------------------------------------------------------------- */

static void the_registry_explains_itself(void **unused) {
    (void)unused;
    heap h = {0, -1};
    const rv_services services = services_of(&h);
    const rv_backend *backend = NULL;
    void *state = NULL;
    rv_caps caps;
    rv_error error = {0};
    assert_int_equal(rv_registry_open(&services, "check:fault:run=3:cpu:threads=2", &error, &backend, &state), RV_OK);
    assert_string_equal(backend->name, "check");
    backend->caps(state, &caps);
    assert_string_equal(caps.name, "check:fault:run=3:cpu:threads=2");
    backend->close(state);
    assert_int_equal(h.blocks, 0);
    const char *const unknown[] = {"", ":", "cpux", "cp", "CPU", "auto:1", " cpu"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_int_equal(rv_registry_open(&services, unknown[i], &error, &backend, &state), RV_INVALID_ARGUMENT);
        assert_null(state);
        assert_non_null(strstr(error.text, "auto, cuda, opencl, cpu, null, check, fault"));
    }
}

static void the_list_says_how_to_get_what_is_missing(void **unused) {
    (void)unused;
    const char *const order[] = {"cuda", "opencl", "cpu"};
    rv_backend_info list[3];
    assert_int_equal(rv_backend_list(NULL, 0), 3);
    assert_int_equal(rv_backend_list(list, 3), 3);
    for (int i = 0; i < 3; i++) {
        rv_device *device;
        assert_string_equal(list[i].name, order[i]);
        assert_true(list[i].text[0] != 0);
        const rv_status status = rv_device_open(order[i], NULL, &device);
        assert_int_equal(status == RV_NOT_BUILT_IN, !list[i].built_in);
        assert_int_equal(status == RV_OK, list[i].available);
        if (!list[i].built_in) assert_non_null(strstr(rv_device_message(device), "not built in; "));
        rv_device_close(device);
    }
    assert_true(list[2].built_in && list[2].available);
}

static void opens_what_is_asked(void **unused) {
    (void)unused;
    const struct {
        const char *spec, *name;
        size_t f32;
    } cases[] = {{"reference", "cpu:reference", 4}, {"double", "cpu:double", 8}, {"threads=2", "cpu:threads=2", 4},
                 {"threads=1,isa=baseline", "cpu:threads=1", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        heap h = {0, -1};
        const rv_services services = services_of(&h);
        rv_error error = {0};
        void *state;
        assert_int_equal(rv_backend_cpu.open(&services, cases[i].spec, &error, &state), RV_OK);
        rv_caps caps;
        rv_backend_cpu.caps(state, &caps);
        assert_memory_equal(caps.name, cases[i].name, strlen(cases[i].name));
        assert_int_equal(caps.element_bytes[RV_F32], cases[i].f32);
        assert_int_equal(caps.element_bytes[RV_I32], 4);
        assert_int_equal(caps.element_bytes[RV_U8], 1);
        assert_true(caps.description[0] != 0);
        rv_backend_cpu.close(state);
        assert_int_equal(h.blocks, 0);
    }
}

static void refuses_other_words(void **unused) {
    (void)unused;
    const char *const specs[] = {"0", "threads", "threads=", "threads=0", "threads=-1", "threads=1x", "threads=257",
                                 "threads=99999999999999999999", "isa=", "isa=sse", "isa=avx", "reference,threads=1",
                                 "threads=1,", ",threads=1", "Reference", "double "};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        heap h = {0, -1};
        const rv_services services = services_of(&h);
        rv_error error = {0};
        void *state = &h;
        assert_int_equal(rv_backend_cpu.open(&services, specs[i], &error, &state), RV_INVALID_ARGUMENT);
        assert_null(state);
        assert_non_null(strstr(error.text, "cpu:threads=N"));
        assert_non_null(strstr(error.text, "cpu:reference"));
        assert_int_equal(h.blocks, 0);
    }
}

/* ---- memory -------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"reference", "double", "threads=2"};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct opened {
    heap heap;
    rv_services services;
    rv_error error;
    rv_caps caps;
    void *state;
} opened;

static void open_kind(opened *o, const char *spec) {
    *o = (opened){.heap = {0, -1}};
    o->services = services_of(&o->heap);
    assert_int_equal(rv_backend_cpu.open(&o->services, spec, &o->error, &o->state), RV_OK);
    rv_backend_cpu.caps(o->state, &o->caps);
}

static void close_kind(opened *o) {
    rv_backend_cpu.close(o->state);
    assert_int_equal(o->heap.blocks, 0);
}

static rv_buffer *allocate(opened *o, size_t bytes) {
    rv_buffer *buffer;
    assert_int_equal(rv_backend_cpu.allocate(o->state, bytes, &o->error, &buffer), RV_OK);
    return buffer;
}

static void memory_is_aligned_and_zeroed(void **unused) {
    (void)unused;
    for (int kind = 0; kind < KINDS; kind++) {
        opened o;
        open_kind(&o, kinds[kind]);
        const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 1 << 20};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            rv_buffer *buffer = allocate(&o, sizes[i]);
            assert_int_equal((uintptr_t)buffer->memory % 64, 0);
            for (size_t byte = 0; byte < sizes[i]; byte++) assert_int_equal(buffer->memory[byte], 0);
            rv_backend_cpu.release(o.state, buffer);
        }
        rv_buffer *buffer;
        assert_int_equal(rv_backend_cpu.allocate(o.state, SIZE_MAX, &o.error, &buffer), RV_OUT_OF_MEMORY);
        assert_null(buffer);
        rv_backend_cpu.release(o.state, NULL);
        close_kind(&o);
    }
}

static void what_goes_up_comes_down(void **unused) {
    (void)unused;
    const float f32[5] = {0.1f, -3e38f, 1e-40f, 16777216.0f, -0.0f};
    const int32_t i32[5] = {INT32_MIN, -1, 0, 1, INT32_MAX};
    const uint8_t u8[5] = {0, 1, 127, 128, 255};
    const void *const data[] = {f32, i32, u8};
    const size_t host[] = {4, 4, 1};
    for (int kind = 0; kind < KINDS; kind++) {
        opened o;
        open_kind(&o, kinds[kind]);
        for (int dtype = RV_F32; dtype <= RV_U8; dtype++) {
            rv_buffer *buffer = allocate(&o, 8 * o.caps.element_bytes[dtype]);
            assert_int_equal(rv_backend_cpu.upload(o.state, buffer, (rv_dtype)dtype, 2, 5, data[dtype], &o.error), RV_OK);
            char back[5 * 4], edge[2 * 4], zero[2 * 4] = {0};
            assert_int_equal(rv_backend_cpu.download(o.state, buffer, (rv_dtype)dtype, 2, 5, back, &o.error), RV_OK);
            assert_memory_equal(back, data[dtype], 5 * host[dtype]);
            assert_int_equal(rv_backend_cpu.download(o.state, buffer, (rv_dtype)dtype, 0, 2, edge, &o.error), RV_OK);
            assert_memory_equal(edge, zero, 2 * host[dtype]);
            rv_backend_cpu.release(o.state, buffer);
        }
        close_kind(&o);
    }
}

static void outside_of_a_buffer_is_refused(void **unused) {
    (void)unused;
    for (int kind = 0; kind < KINDS; kind++) {
        opened o;
        open_kind(&o, kinds[kind]);
        rv_buffer *buffer = allocate(&o, 4 * o.caps.element_bytes[RV_F32]);
        float data[8] = {0};
        const size_t places[][2] = {{0, 5}, {4, 1}, {5, 0}, {SIZE_MAX, 2}, {1, SIZE_MAX}};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            const size_t offset = places[i][0], count = places[i][1];
            assert_int_equal(rv_backend_cpu.upload(o.state, buffer, RV_F32, offset, count, data, &o.error), RV_INVALID_ARGUMENT);
            assert_int_equal(rv_backend_cpu.download(o.state, buffer, RV_F32, offset, count, data, &o.error), RV_INVALID_ARGUMENT);
        }
        assert_int_equal(rv_backend_cpu.upload(o.state, buffer, RV_F32, 4, 0, NULL, &o.error), RV_OK);
        assert_int_equal(rv_backend_cpu.fill(o.state, buffer, 0, buffer->bytes + 1, 0, &o.error), RV_INVALID_ARGUMENT);
        rv_backend_cpu.release(o.state, buffer);
        close_kind(&o);
    }
}

static void fill_touches_its_bytes_alone(void **unused) {
    (void)unused;
    opened o;
    open_kind(&o, "reference");
    rv_buffer *buffer = allocate(&o, 16);
    assert_int_equal(rv_backend_cpu.fill(o.state, buffer, 5, 3, 0xab, &o.error), RV_OK);
    for (int i = 0; i < 16; i++) assert_int_equal((unsigned char)buffer->memory[i], i >= 5 && i < 8 ? 0xab : 0);
    rv_backend_cpu.release(o.state, buffer);
    close_kind(&o);
}

static void memory_of_the_caller(void **unused) {
    (void)unused;
    _Alignas(64) static float mine[32];
    opened o;
    rv_buffer *buffer;
    open_kind(&o, "threads=1");
    mine[3] = 7;
    assert_int_equal(rv_backend_cpu.wrap(o.state, mine, sizeof mine, &o.error, &buffer), RV_OK);
    float back = 0;
    assert_int_equal(rv_backend_cpu.download(o.state, buffer, RV_F32, 3, 1, &back, &o.error), RV_OK);
    assert_true(back == 7);
    rv_backend_cpu.release(o.state, buffer);
    assert_int_equal(rv_backend_cpu.wrap(o.state, mine + 1, 4, &o.error, &buffer), RV_INVALID_ARGUMENT);
    assert_null(buffer);
    close_kind(&o);
    _Alignas(64) static double wide[4] = {1, 2, 0.1, 4}; /* the device's own elements */
    open_kind(&o, "double");
    assert_int_equal(rv_backend_cpu.wrap(o.state, wide, sizeof wide, &o.error, &buffer), RV_OK);
    assert_int_equal(rv_backend_cpu.download(o.state, buffer, RV_F32, 2, 1, &back, &o.error), RV_OK);
    assert_true(back == 0.1f);
    rv_backend_cpu.release(o.state, buffer);
    close_kind(&o);
}

/* ---- programs ------------------------------------------------------------------------------------ */

static rv_launch affine(rv_buffer *x, rv_buffer *y, float scale, float offset) {
    const rv_operand operand = {.rows = 2, .cols = 3, .stride = 3, .dtype = RV_F32};
    rv_launch launch = {.op = RV_OP_MAP1, .input_count = 1, .output_count = 1, .row_inputs = 1, .label = ""};
    launch.input[0] = launch.output[0] = operand;
    launch.input[0].buffer = x;
    launch.output[0].buffer = y;
    launch.attributes.i[0] = RV_MAP_AFFINE;
    launch.attributes.f[0] = scale;
    launch.attributes.f[1] = offset;
    return launch;
}

static void expect(opened *o, rv_buffer *buffer, float value) {
    float back[6];
    assert_int_equal(rv_backend_cpu.sync(o->state, &o->error), RV_OK);
    assert_int_equal(rv_backend_cpu.download(o->state, buffer, RV_F32, 0, 6, back, &o->error), RV_OK);
    for (int i = 0; i < 6; i++) assert_true(back[i] == value);
}

static void programs_run_in_parts(void **unused) {
    (void)unused;
    for (int kind = 0; kind < KINDS; kind++) {
        opened o;
        open_kind(&o, kinds[kind]);
        rv_buffer *x = allocate(&o, 6 * 8), *y = allocate(&o, 6 * 8), *z = allocate(&o, 6 * 8);
        rv_launch list[] = {affine(x, y, 1, 3), affine(y, z, 2, 1), affine(z, x, 1, 0)};
        for (int i = 0; i < 3; i++) list[i].region = i;
        rv_program *program;
        assert_int_equal(rv_backend_cpu.prepare(o.state, list, 3, &o.error, &program), RV_OK);
        memset(list, 0xff, sizeof list); /* the program has its own copy */
        assert_int_equal(rv_backend_cpu.run(o.state, program, 0, 1, &o.error), RV_OK);
        expect(&o, y, 3);
        expect(&o, z, 0);
        assert_int_equal(rv_backend_cpu.run(o.state, program, 1, 2, &o.error), RV_OK);
        expect(&o, x, 7);
        assert_int_equal(rv_backend_cpu.run(o.state, program, 0, 3, &o.error), RV_OK);
        expect(&o, x, 21);
        assert_int_equal(rv_backend_cpu.run(o.state, program, 0, 0, &o.error), RV_OK);
        rv_backend_cpu.release_program(o.state, program);
        rv_backend_cpu.release_program(o.state, NULL);
        rv_backend_cpu.release(o.state, x);
        rv_backend_cpu.release(o.state, y);
        rv_backend_cpu.release(o.state, z);
        close_kind(&o);
    }
}

static void every_op_has_its_functions(void **unused) {
    (void)unused;
    const rv_attributes attributes = {0};
    opened o;
    open_kind(&o, "");
    for (int op = 0; op < RV_OP_COUNT; op++) {
        assert_non_null(rv_reference_get((rv_op)op, false));
        assert_non_null(rv_reference_get((rv_op)op, true));
        assert_true(rv_backend_cpu.supports(o.state, (rv_op)op, &attributes));
    }
    assert_false(rv_backend_cpu.supports(o.state, RV_OP_COUNT, &attributes));
    close_kind(&o);
}

/* ---- out of memory ------------------------------------------------------------------------------- */

/* Opens, allocates, prepares, runs; false as soon as a call answers OUT_OF_MEMORY, which is all it may answer. */
static bool whole_life(heap *h, const char *spec) {
    const rv_services services = services_of(h);
    rv_error error = {0};
    void *state;
    rv_status status = rv_backend_cpu.open(&services, spec, &error, &state);
    if (status != RV_OK) {
        assert_int_equal(status, RV_OUT_OF_MEMORY);
        return false;
    }
    rv_buffer *x = NULL, *y = NULL;
    rv_program *program = NULL;
    status = rv_backend_cpu.allocate(state, 48, &error, &x);
    if (status == RV_OK) status = rv_backend_cpu.allocate(state, 48, &error, &y);
    if (status == RV_OK) {
        const rv_launch launch = affine(x, y, 1, 1);
        status = rv_backend_cpu.prepare(state, &launch, 1, &error, &program);
    }
    if (status == RV_OK) status = rv_backend_cpu.run(state, program, 0, 1, &error);
    if (status != RV_OK) {
        assert_int_equal(status, RV_OUT_OF_MEMORY);
        assert_true(error.text[0] != 0);
    }
    rv_backend_cpu.release_program(state, program);
    rv_backend_cpu.release(state, y);
    rv_backend_cpu.release(state, x);
    rv_backend_cpu.close(state);
    return status == RV_OK;
}

static void every_allocation_may_fail(void **unused) {
    (void)unused;
    for (int kind = 0; kind < KINDS; kind++) {
        int allowed = 0;
        for (bool done = false; !done; allowed++) {
            heap h = {0, allowed};
            done = whole_life(&h, kinds[kind]);
            assert_int_equal(h.blocks, 0);
            assert_true(allowed < 200);
        }
        assert_true(allowed > 5); /* device, two buffers of two blocks, a program */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_registry_explains_itself),
        cmocka_unit_test(the_list_says_how_to_get_what_is_missing),
        cmocka_unit_test(opens_what_is_asked),
        cmocka_unit_test(refuses_other_words),
        cmocka_unit_test(memory_is_aligned_and_zeroed),
        cmocka_unit_test(what_goes_up_comes_down),
        cmocka_unit_test(outside_of_a_buffer_is_refused),
        cmocka_unit_test(fill_touches_its_bytes_alone),
        cmocka_unit_test(memory_of_the_caller),
        cmocka_unit_test(programs_run_in_parts),
        cmocka_unit_test(every_op_has_its_functions),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
