/* check: catches planted bugs, and nothing else; fault: fires at exactly the N-th call.
 *
 * The bugs are in a backend of this test, "buggy:KIND": reference functions, and then the damage.
 * So that check: can open it by name, this program has its own rv_registry_open instead of the
 * library's (an archive's member is only linked where a name is still missing).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "reverie/ops.h"
#include "reverie/plan.h"

/* ---- a backend with bugs -------------------------------------------------------------------------- */

typedef enum bug { NO_BUG, BEHIND, BEFORE, BETWEEN, INPUT, UNWRITTEN, READS_GUARD, STALE, BUG_COUNT } bug;
static const char *const bug_names[BUG_COUNT] = {"", "behind", "before", "between", "input", "unwritten", "guard", "stale"};

typedef struct buggy {
    rv_services services;
    void *cpu;
    bug bug;
} buggy;

struct rv_program {
    int64_t count;
    rv_launch launch[8];
};

static rv_status buggy_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    buggy *b = services->resize(services->user, NULL, sizeof *b);
    *state = NULL;
    if (!b) return rv_fail(error, RV_OUT_OF_MEMORY, "buggy");
    *b = (buggy){.services = *services};
    for (int i = 0; i < BUG_COUNT; i++) {
        if (strcmp(spec, bug_names[i]) == 0) b->bug = (bug)i;
    }
    *state = b;
    return rv_backend_cpu.open(services, "reference", error, &b->cpu);
}

static void buggy_close(void *state) {
    buggy *b = state;
    rv_backend_cpu.close(b->cpu);
    b->services.resize(b->services.user, b, 0);
}

static void buggy_caps(void *state, rv_caps *caps) { rv_backend_cpu.caps(((buggy *)state)->cpu, caps); }
static rv_status buggy_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    return rv_backend_cpu.allocate(((buggy *)state)->cpu, bytes, error, buffer);
}
static rv_status buggy_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    return rv_backend_cpu.wrap(((buggy *)state)->cpu, memory, bytes, error, buffer);
}
static void buggy_release(void *state, rv_buffer *buffer) { rv_backend_cpu.release(((buggy *)state)->cpu, buffer); }
static rv_status buggy_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                              rv_error *error) {
    return rv_backend_cpu.upload(((buggy *)state)->cpu, buffer, dtype, offset, count, data, error);
}
static rv_status buggy_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                                rv_error *error) {
    return rv_backend_cpu.download(((buggy *)state)->cpu, buffer, dtype, offset, count, data, error);
}
static rv_status buggy_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    return rv_backend_cpu.fill(((buggy *)state)->cpu, buffer, offset, bytes, byte, error);
}
static bool buggy_supports(void *state, rv_op op, const rv_attributes *attributes) {
    return rv_backend_cpu.supports(((buggy *)state)->cpu, op, attributes);
}

static rv_status buggy_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program) {
    (void)error;
    assert_true(count <= 8);
    *program = ((buggy *)state)->services.resize(((buggy *)state)->services.user, NULL, sizeof **program);
    if (!*program) return RV_OUT_OF_MEMORY;
    (*program)->count = count;
    memcpy((*program)->launch, launches, (size_t)count * sizeof *launches);
    return RV_OK;
}

static void buggy_release_program(void *state, rv_program *program) {
    if (program) ((buggy *)state)->services.resize(((buggy *)state)->services.user, program, 0);
}

/* What a wrong kernel does beside its work. */
static void damage(bug kind, const rv_program *program, int64_t index) {
    const rv_launch *launch = &program->launch[index];
    const rv_operand *y = &launch->output[0];
    float *x = rv_f32(&launch->input[0]), *out = rv_f32(y);
    float *last = out + (y->rows - 1) * y->stride + y->cols - 1;
    switch (kind) {
    case BEHIND: last[1] = 1; break;
    case BEFORE: out[-1] = 1; break;
    case BETWEEN: out[y->cols] = 1; break;
    case INPUT: x[0] += 1; break;
    case UNWRITTEN: memset(last, 0xff, sizeof *last); break; /* as it was before */
    case READS_GUARD: out[0] += x[-1]; break;
    case STALE: out[0] += rv_f32(&program->launch[0].output[0])[0]; break;
    default: break;
    }
}

static rv_status buggy_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    (void)error;
    for (int64_t i = first; i < first + count; i++) {
        const rv_launch *launch = &program->launch[i];
        rv_reference_get(launch->op, false)(launch, 0, rv_launch_rows(launch));
        if (i == program->count - 1) damage(((buggy *)state)->bug, program, i);
    }
    return RV_OK;
}

static rv_status buggy_sync(void *state, rv_error *error) { return rv_backend_cpu.sync(((buggy *)state)->cpu, error); }

static const rv_backend backend_buggy = {
    RV_BACKEND_ABI, sizeof(rv_backend), "buggy",        buggy_open,     buggy_close,           buggy_caps,
    buggy_allocate, buggy_wrap,         buggy_release,  buggy_upload,   buggy_download,        buggy_fill,
    buggy_supports, buggy_prepare,      buggy_run,      buggy_release_program, buggy_sync, NULL, NULL, NULL};

rv_status rv_registry_open(const rv_services *with, const char *resource, rv_error *error, const rv_backend **backend,
                           void **state) {
    const rv_backend *const all[] = {&rv_backend_cpu, &rv_backend_check, &rv_backend_fault, &backend_buggy};
    const size_t length = strcspn(resource, ":");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strlen(all[i]->name) != length || strncmp(all[i]->name, resource, length) != 0) continue;
        *backend = all[i];
        return all[i]->open(with, resource + length + (resource[length] == ':'), error, state);
    }
    return rv_fail(error, RV_INVALID_ARGUMENT, "%s", resource);
}

/* ---- a device, and launches by hand ------------------------------------------------------------------ */

static int held; /* blocks of host memory */

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes == 0) {
        held -= memory != NULL;
        free(memory);
        return NULL;
    }
    held += memory == NULL;
    return realloc(memory, bytes);
}

static void no_log(void *user, rv_log_level level, const char *text) { (void)user, (void)level, (void)text; }

static const rv_services services = {.size = sizeof services, .resize = resize, .log = no_log, .fail = rv_fail};

enum { ROWS = 3, COLS = 5, STRIDE = 7, BLOCK = 96 }; /* BLOCK: elements a value and its guards take */

typedef struct bench {
    const rv_backend *backend;
    void *state;
    rv_error error;
    rv_buffer *arena, *array;
    rv_program *program;
} bench;

static void begin(bench *b, const char *resource) {
    *b = (bench){0};
    assert_int_equal(rv_registry_open(&services, resource, &b->error, &b->backend, &b->state), RV_OK);
    assert_int_equal(b->backend->allocate(b->state, 4 * BLOCK * sizeof(float), &b->error, &b->arena), RV_OK);
    assert_int_equal(b->backend->allocate(b->state, ROWS * STRIDE * sizeof(float), &b->error, &b->array), RV_OK);
    float ones[ROWS * STRIDE];
    for (int i = 0; i < ROWS * STRIDE; i++) ones[i] = 1;
    assert_int_equal(b->backend->upload(b->state, b->array, RV_F32, 0, ROWS * STRIDE, ones, &b->error), RV_OK);
}

static void end(bench *b) {
    b->backend->release_program(b->state, b->program);
    b->backend->release(b->state, b->arena);
    b->backend->release(b->state, b->array);
    b->backend->close(b->state);
    assert_int_equal(held, 0);
}

static rv_operand value(bench *b, int block, int64_t stride) {
    return (rv_operand){b->arena, (size_t)(block * BLOCK + 32), ROWS, COLS, stride, RV_F32, true};
}

static rv_operand array(bench *b) { return (rv_operand){b->array, 0, ROWS, COLS, COLS, RV_F32, false}; }

static rv_launch add_one(rv_operand x, rv_operand y) {
    rv_launch launch = {.op = RV_OP_MAP1, .input_count = 1, .output_count = 1, .row_inputs = 1, .label = "here"};
    launch.input[0] = x;
    launch.output[0] = y;
    launch.attributes.i[0] = RV_MAP_AFFINE;
    launch.attributes.f[0] = launch.attributes.f[1] = 1;
    return launch;
}

/* array -> value 0 -> value 1 -> value 2, with gaps between the rows of the last */
static rv_status run_chain(bench *b) {
    const rv_launch list[] = {add_one(array(b), value(b, 0, COLS)), add_one(value(b, 0, COLS), value(b, 1, COLS)),
                              add_one(value(b, 1, COLS), value(b, 2, STRIDE))};
    const rv_status status = b->backend->prepare(b->state, list, 3, &b->error, &b->program);
    return status == RV_OK ? b->backend->run(b->state, b->program, 0, 3, &b->error) : status;
}

/* ---- check ------------------------------------------------------------------------------------------- */

static void expect_violation(const char *resource, const char *what) {
    bench b;
    begin(&b, resource);
    assert_int_equal(run_chain(&b), RV_INTERNAL);
    if (!strstr(b.error.text, what)) fail_msg("%s: \"%s\" should say \"%s\"", resource, b.error.text, what);
    assert_non_null(strstr(b.error.text, "map1"));
    assert_non_null(strstr(b.error.text, "here"));
    end(&b);
}

static void check_catches_planted_bugs(void **unused) {
    (void)unused;
    expect_violation("check:buggy:behind", "wrote behind output 0");
    expect_violation("check:buggy:before", "wrote before output 0");
    expect_violation("check:buggy:between", "wrote between the rows of output 0");
    expect_violation("check:buggy:input", "changed its input 0");
    expect_violation("check:buggy:unwritten", "output 0");
    expect_violation("check:buggy:guard", "output 0");
    expect_violation("check:buggy:stale", "output 0");
}

static void nobody_else_notices(void **unused) {
    (void)unused;
    for (int i = BEHIND; i < BUG_COUNT; i++) {
        char resource[32];
        snprintf(resource, sizeof resource, "buggy:%s", bug_names[i]);
        bench b;
        begin(&b, resource);
        assert_int_equal(run_chain(&b), RV_OK);
        end(&b);
    }
}

static void check_lets_right_kernels_pass(void **unused) {
    (void)unused;
    const char *const resources[] = {"check:buggy", "check:cpu", "check:cpu:reference"};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        bench b;
        begin(&b, resources[i]);
        rv_caps caps;
        b.backend->caps(b.state, &caps);
        assert_true(caps.guard);
        assert_int_equal(strncmp(caps.name, "check:", 6), 0);
        for (int again = 0; again < 3; again++) {
            assert_int_equal(run_chain(&b), RV_OK);
            b.backend->release_program(b.state, b.program);
        }
        b.program = NULL;
        end(&b);
    }
}

static void check_keeps_what_kernels_compute(void **unused) {
    (void)unused;
    bench b;
    float out[ROWS * STRIDE];
    begin(&b, "check:cpu:reference");
    const rv_launch list[] = {add_one(array(&b), value(&b, 0, COLS)), add_one(value(&b, 0, COLS), array(&b))};
    assert_int_equal(b.backend->prepare(b.state, list, 2, &b.error, &b.program), RV_OK);
    for (int run = 0; run < 2; run++) assert_int_equal(b.backend->run(b.state, b.program, 0, 2, &b.error), RV_OK);
    assert_int_equal(b.backend->download(b.state, b.array, RV_F32, 0, ROWS * STRIDE, out, &b.error), RV_OK);
    for (int i = 0; i < ROWS * STRIDE; i++) assert_true(out[i] == (i < ROWS * COLS ? 5 : 1)); /* 1, 2, 3; 4, 5 */
    end(&b);
}

static void check_poisons_what_is_dead(void **unused) {
    (void)unused;
    bench b;
    float out[ROWS * COLS];
    begin(&b, "check:cpu:reference");
    assert_int_equal(run_chain(&b), RV_OK);
    for (int block = 0; block < 3; block++) {
        assert_int_equal(b.backend->download(b.state, b.arena, RV_F32, (size_t)(block * BLOCK + 32), COLS, out, &b.error), RV_OK);
        for (int i = 0; i < COLS; i++) assert_true(out[i] != out[i]);
    }
    end(&b);
}

static void check_refuses_what_nobody_wrote(void **unused) {
    (void)unused;
    bench b;
    begin(&b, "check:cpu:reference");
    const rv_launch launch = add_one(value(&b, 0, COLS), value(&b, 1, COLS));
    assert_int_equal(b.backend->prepare(b.state, &launch, 1, &b.error, &b.program), RV_INTERNAL);
    assert_non_null(strstr(b.error.text, "input 0"));
    assert_null(b.program);
    end(&b);
}

static void check_works_in_a_plan(void **unused) {
    (void)unused;
    const char *const resources[] = {"check:cpu:reference", "check:buggy:behind"};
    for (int wrong = 0; wrong < 2; wrong++) {
        rv_device *device;
        rv_array *x, *y;
        rv_graph *graph;
        rv_plan *plan;
        const float ones[6] = {1, 1, 1, 1, 1, 1};
        float out[6];
        assert_int_equal(rv_device_open(resources[wrong], NULL, &device), RV_OK);
        assert_int_equal(rv_array_create(device, RV_F32, 2, 3, "x", &x), RV_OK);
        assert_int_equal(rv_array_create(device, RV_F32, 2, 3, "y", &y), RV_OK);
        assert_int_equal(rv_array_write(x, 0, 2, ones), RV_OK);
        assert_int_equal(rv_graph_create(device, &graph), RV_OK);
        rv_graph_push(graph, "outer");
        rv_store(y, rv_exp(rv_affine(rv_read(graph, x), 2, -2)));
        assert_int_equal(rv_plan_create(graph, NULL, &plan), RV_OK);
        assert_int_equal(rv_plan_run(plan), wrong ? RV_INTERNAL : RV_OK);
        if (wrong) assert_non_null(strstr(rv_plan_message(plan), "outer"));
        assert_int_equal(rv_array_read(y, 0, 2, out), RV_OK);
        assert_true(wrong || out[5] == 1);
        rv_plan_destroy(plan);
        rv_graph_destroy(graph);
        rv_array_destroy(x);
        rv_array_destroy(y);
        rv_device_close(device);
    }
}

/* ---- fault ------------------------------------------------------------------------------------------- */

static rv_launch fault_launch; /* of the program that calls prepare */

/* One call of each kind. */
static rv_status call(bench *b, const char *kind) {
    float word = 0;
    rv_status status = RV_INVALID_ARGUMENT;
    if (strcmp(kind, "alloc") == 0) {
        rv_buffer *buffer;
        status = b->backend->allocate(b->state, 4, &b->error, &buffer);
        b->backend->release(b->state, buffer);
    } else if (strcmp(kind, "upload") == 0) {
        status = b->backend->upload(b->state, b->array, RV_F32, 0, 1, &word, &b->error);
    } else if (strcmp(kind, "download") == 0) {
        status = b->backend->download(b->state, b->array, RV_F32, 0, 1, &word, &b->error);
    } else if (strcmp(kind, "prepare") == 0) {
        rv_program *program;
        status = b->backend->prepare(b->state, &fault_launch, 1, &b->error, &program);
        b->backend->release_program(b->state, program);
    } else if (strcmp(kind, "run") == 0) {
        status = b->backend->run(b->state, b->program, 0, 1, &b->error);
    } else if (strcmp(kind, "sync") == 0) {
        status = b->backend->sync(b->state, &b->error);
    }
    return status;
}

static const char *const fault_kinds[] = {"alloc", "upload", "download", "prepare", "run", "sync"};
enum { FAULT_KINDS = sizeof fault_kinds / sizeof *fault_kinds };

static void fault_begin(bench *b, const char *resource) {
    begin(b, resource); /* two allocations and an upload, */
    fault_launch = add_one(array(b), value(b, 0, COLS));
    assert_int_equal(b->backend->prepare(b->state, &fault_launch, 1, &b->error, &b->program), RV_OK); /* one prepare */
}

static void faults_fire_at_the_nth_call(void **unused) {
    (void)unused;
    const int before[FAULT_KINDS] = {2, 1, 0, 1, 0, 0};
    const rv_status status[FAULT_KINDS] = {RV_OUT_OF_MEMORY, RV_DEVICE_LOST, RV_DEVICE_LOST,
                                           RV_BUILD_FAILED,  RV_DEVICE_LOST, RV_DEVICE_LOST};
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        char resource[64];
        snprintf(resource, sizeof resource, "fault:%s=5:cpu:reference", fault_kinds[kind]);
        bench b;
        fault_begin(&b, resource);
        for (int n = before[kind] + 1; n < 9; n++) {
            for (int other = 0; other < FAULT_KINDS; other++) {
                const rv_status wanted = other == kind && n == 5 ? status[kind] : RV_OK;
                assert_int_equal(call(&b, fault_kinds[other]), wanted);
                if (wanted != RV_OK) assert_non_null(strstr(b.error.text, fault_kinds[kind]));
            }
        }
        end(&b);
    }
}

static void several_faults_at_once(void **unused) {
    (void)unused;
    bench b;
    fault_begin(&b, "fault:run=2,sync=1,alloc=3:cpu:reference");
    assert_int_equal(call(&b, "sync"), RV_DEVICE_LOST);
    assert_int_equal(call(&b, "sync"), RV_OK);
    assert_int_equal(call(&b, "run"), RV_OK);
    assert_int_equal(call(&b, "run"), RV_DEVICE_LOST);
    assert_int_equal(call(&b, "run"), RV_OK);
    assert_int_equal(call(&b, "alloc"), RV_OUT_OF_MEMORY);
    assert_int_equal(call(&b, "alloc"), RV_OK);
    end(&b);
}

static void lost_stays_lost(void **unused) {
    (void)unused;
    bench b;
    fault_begin(&b, "fault:lost=8:cpu:reference"); /* four calls */
    for (int i = 0; i < 3; i++) assert_int_equal(call(&b, "run"), RV_OK);
    for (int i = 0; i < 30; i++) assert_int_equal(call(&b, fault_kinds[i % FAULT_KINDS]), RV_DEVICE_LOST);
    assert_int_equal(b.backend->fill(b.state, b.array, 0, 4, 0, &b.error), RV_DEVICE_LOST);
    end(&b);
}

static void wrappers_nest(void **unused) {
    (void)unused;
    rv_device *device;
    assert_int_equal(rv_device_open("check:fault:run=3:cpu:threads=2", NULL, &device), RV_OK);
    assert_string_equal(rv_device_name(device), "check:fault:run=3:cpu:threads=2");
    rv_device_close(device);
    bench b;
    begin(&b, "check:fault:run=2:cpu:reference"); /* the second launch of the first run */
    assert_int_equal(run_chain(&b), RV_DEVICE_LOST);
    end(&b);
}

static void bad_words_are_refused(void **unused) {
    (void)unused;
    const char *const resources[] = {"fault",           "fault:",          "fault:run",      "fault:run=2",  "fault:run=2:",
                                     "fault:run=0:cpu", "fault:run=x:cpu", "fault:fly=1:cpu", "fault:=1:cpu", "fault:run=1,:cpu",
                                     "check",           "check:",          "check:nobody",   "check:cpu:fast", "fault:run=1:nobody",
                                     "check:check:cpu", "check:fault:run=1:check:cpu"};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        rv_device *device;
        assert_int_equal(rv_device_open(resources[i], NULL, &device), RV_INVALID_ARGUMENT);
        assert_true(rv_device_message(device)[0] != 0);
        rv_device_close(device);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_catches_planted_bugs),
        cmocka_unit_test(nobody_else_notices),
        cmocka_unit_test(check_lets_right_kernels_pass),
        cmocka_unit_test(check_keeps_what_kernels_compute),
        cmocka_unit_test(check_poisons_what_is_dead),
        cmocka_unit_test(check_refuses_what_nobody_wrote),
        cmocka_unit_test(check_works_in_a_plan),
        cmocka_unit_test(faults_fire_at_the_nth_call),
        cmocka_unit_test(several_faults_at_once),
        cmocka_unit_test(lost_stays_lost),
        cmocka_unit_test(wrappers_nest),
        cmocka_unit_test(bad_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
