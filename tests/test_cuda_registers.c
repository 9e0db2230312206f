/* The CUDA kernels without a GPU: NVRTC compiles every program for the lowest and the tuned architecture, and what its
 * assembler says of each kernel stands in golden/registers.tsv, which changes on purpose only:
 *
 *     test_cuda_registers --write     after a change that was meant
 *
 * Programs are those of the families, of slices, and of the merged launches of the plans that a world model's trainer, the
 * course's Dreamer and DreamerV3 (size1m, 16 sequences of 64 steps) make. No kernel spills or has a stack frame on sm_90, and two groups of RV_LANES fit a multiprocessor (128 registers
 * a work-item); of slices there are no more groups than multiprocessors, and one fits (255).
 * Registers are compared where NVRTC has the version that the table names; another assigns them otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/compile.h"
#include "backends/gpu/lower.h"
#include "core/internal.h"
#include "reverie/dreamer.h"
#include "reverie/dreamer_v3_agent.h"
#include "reverie/trainer.h"
#include "tests/support/suite.h"

enum { LOWEST = 75, TUNED = 90, MOST_KERNELS = 400, MOST_REGISTERS = 65536 / (2 * RV_LANES), MOST_ALONE = 255, MOST_SHARED = 48 << 10 };
static const int archs[] = {LOWEST, TUNED};
static const char table_path[] = RV_TEST_DIR "/golden/registers.tsv";
static const char heading[] = "# NVRTC %d.%d: arch, program, kernel, registers, bytes of stack, spilled and loaded again, shared\n";

extern const char rv_gpu_text_dialect_cuda[];

/* ---- what is known of a kernel --------------------------------------------------------------------------------- */

typedef struct kernel {
    char program[160], name[64];
    int arch, registers, stack, stores, loads, shared;
} kernel;

static kernel found[MOST_KERNELS], known[MOST_KERNELS];
static int found_count, known_count, known_major, known_minor, major, minor;
static rv_cuda_nvrtc nvrtc;
static bool writes;

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return memory ? realloc(memory, bytes) : calloc(1, bytes);
    free(memory);
    return NULL;
}
static const rv_services services = {.size = sizeof services, .resize = resize, .fail = rv_fail};

/* as backends/cuda describes an H100 */
static const rv_gpu gpu = {.services = &services, .dialect = rv_gpu_text_dialect_cuda, .units = 132, .launch_seconds = 2e-6,
                           .unit_flops = 507e9, .unit_bandwidth = 47e9, .local_bytes = MOST_SHARED};

/* ---- compiling --------------------------------------------------------------------------------------------------- */

static int number_before(const char *text, const char *end, const char *unit) {
    const char *at = strstr(text, unit);
    if (!at || at > end) return 0;
    while (at > text && at[-1] == ' ') at--;
    while (at > text && at[-1] >= '0' && at[-1] <= '9') at--;
    return atoi(at);
}

/* The assembler's report: a paragraph a kernel. */
static void read_report(const char *log, const char *program, int arch) {
    static const char begins[] = "Compiling entry function '";
    int kernels = 0;
    for (const char *at = strstr(log, begins), *next; at; at = next, kernels++) {
        at += sizeof begins - 1;
        next = strstr(at, begins);
        const char *end = next ? next : at + strlen(at);
        assert_in_range(found_count, 0, MOST_KERNELS - 1);
        kernel *k = &found[found_count++];
        *k = (kernel){.arch = arch,
                      .registers = number_before(at, end, " registers"),
                      .stack = number_before(at, end, " bytes stack frame"),
                      .stores = number_before(at, end, " bytes spill stores"),
                      .loads = number_before(at, end, " bytes spill loads"),
                      .shared = number_before(at, end, " bytes smem")};
        snprintf(k->program, sizeof k->program, "%s", program);
        snprintf(k->name, sizeof k->name, "%.*s", (int)strcspn(at, "'"), at);
        if (k->registers == 0) fail_msg("the assembler's report on %s has another form:\n%s", program, log);
    }
    if (kernels == 0) fail_msg("the assembler reports no kernel of %s:\n%s", program, log);
}

static char *log_of(nvrtcProgram program) {
    size_t bytes = 0;
    assert_int_equal(nvrtc.nvrtcGetProgramLogSize(program, &bytes), 0);
    char *log = calloc(1, bytes + 1);
    assert_non_null(log);
    assert_int_equal(nvrtc.nvrtcGetProgramLog(program, log), 0);
    return log;
}

/* With the backend's options, and a report. */
static void compile(const rv_gpu_source *source, int arch) {
    char options[512], target[40];
    const char *option[24] = {target, "--ptxas-options=-v"};
    int count = 2;
    snprintf(target, sizeof target, "--gpu-architecture=sm_%d", arch);
    snprintf(options, sizeof options, "%s", rv_cuda_compile_options);
    for (char *rest = options, *one; (one = strtok_r(rest, " ", &rest)) && count < 24;) option[count++] = one;
    nvrtcProgram program;
    assert_int_equal(nvrtc.nvrtcCreateProgram(&program, source->text, source->name, 0, NULL, NULL), 0);
    const unsigned result = nvrtc.nvrtcCompileProgram(program, count, option);
    char *log = log_of(program);
    if (result != 0) fail_msg("%s for sm_%d: %.2000s", source->name, arch, log);
    read_report(log, source->name, arch);
    free(log);
    nvrtc.nvrtcDestroyProgram(&program);
}

static bool is_compiled(const char *program) {
    for (int i = 0; i < found_count; i++) {
        if (strcmp(found[i].program, program) == 0) return true;
    }
    return false;
}

static void compile_for_all(const rv_gpu_source *source) {
    if (is_compiled(source->name)) return;
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) compile(source, archs[i]);
}

static void compile_families(void) {
    for (int family = 0; family < RV_GPU_FAMILIES; family++) {
        if (family == RV_GPU_FAMILY_contract) continue; /* no kernels of its own */
        rv_gpu_source source;
        rv_error error = {0};
        assert_ok(rv_gpu_family_source(&gpu, (rv_gpu_family)family, &source, &error), error.text);
        compile_for_all(&source);
        free(source.text);
    }
}

/* ---- merged launches: a device that compiles what it would run --------------------------------------------------------- */

static rv_backend spy;
static const rv_backend *null_backend;

static rv_status prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program) {
    rv_gpu_plan plan;
    const rv_status status = rv_gpu_lower(&gpu, launches, count, true, &plan, error);
    if (status != RV_OK) return status;
    for (int i = 0; i < plan.source_count; i++) compile_for_all(&plan.source[i]);
    rv_gpu_plan_free(&gpu, &plan);
    return null_backend->prepare(state, launches, count, error, program);
}

static void compile_world_model(rv_device *device) {
    enum { STEPS = 70, OBSERVATION = 3 };
    static float observation[STEPS * OBSERVATION], action[STEPS], reward[STEPS];
    const rv_transitions data = {.steps = STEPS, .observation_size = OBSERVATION, .action_size = 1, .observation = observation,
                                 .next_observation = observation, .action = action, .reward = reward};
    const rv_world_model_options options = {.size = sizeof options, .observation_size = OBSERVATION, .action_size = 1};
    rv_world_model *model;
    rv_trainer *trainer;
    assert_ok(rv_world_model_create(device, &options, 3, &model), rv_world_model_message(model));
    assert_ok(rv_trainer_create(model, &data, NULL, &trainer), rv_trainer_message(trainer));
    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
}

static void make_agent(rv_device *device, rv_env *env, rv_agent **agent, bool recurrent) {
    if (recurrent) {
        const rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("dmc_proprio")->options;
        assert_ok(rv_dreamer_v3_agent_create(device, env, &options, agent), rv_agent_message(*agent));
    } else {
        const rv_dreamer_options options = rv_dreamer_recipe_find("course")->options;
        assert_ok(rv_dreamer_create(device, env, &options, agent), rv_agent_message(*agent));
    }
}

/* What they act and learn by. */
static void compile_agents(rv_device *device) {
    for (int recurrent = 0; recurrent < 2; recurrent++) {
        rv_env *env;
        rv_agent *agent;
        assert_ok(rv_env_create("continuous_pendulum", 1, NULL, 0, &env), rv_env_message(env));
        make_agent(device, env, &agent, recurrent);
        rv_agent_destroy(agent);
        rv_env_destroy(env);
    }
}

static void compile_merged(void) {
    rv_device *device;
    assert_ok(rv_device_open("null", NULL, &device), rv_device_message(device));
    null_backend = device->backend;
    spy = *null_backend;
    spy.prepare = prepare;
    device->backend = &spy;
    compile_world_model(device);
    compile_agents(device);
    device->backend = null_backend;
    rv_device_close(device);
}

static void compile_slices(void) {
    rv_gpu_plan plan = {0};
    const int index = rv_gpu_source_slices(&gpu, &plan);
    assert_true(index >= 0);
    compile_for_all(&plan.source[index]);
    rv_gpu_plan_free(&gpu, &plan);
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

static void write_table(void) {
    FILE *file = fopen(table_path, "w");
    assert_non_null(file);
    fprintf(file, heading, major, minor);
    for (int i = 0; i < found_count; i++) {
        const kernel *k = &found[i];
        fprintf(file, "sm_%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", k->arch, k->program, k->name, k->registers, k->stack, k->stores, k->loads, k->shared);
    }
    assert_int_equal(fclose(file), 0);
    print_message("%s: %d kernels of NVRTC %d.%d\n", table_path, found_count, major, minor);
}

static void read_table(void) {
    FILE *file = fopen(table_path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "# NVRTC %d.%d: %*[^\n]", &known_major, &known_minor), 2);
    kernel k;
    while (known_count < MOST_KERNELS &&
           fscanf(file, " sm_%d\t%159[^\t]\t%63s%d%d%d%d%d", &k.arch, k.program, k.name, &k.registers, &k.stack, &k.stores, &k.loads, &k.shared) == 8) {
        known[known_count++] = k;
    }
    assert_true(feof(file));
    fclose(file);
}

static const kernel *find_known(const kernel *wanted) {
    for (int i = 0; i < known_count; i++) {
        const kernel *k = &known[i];
        if (k->arch == wanted->arch && strcmp(k->program, wanted->program) == 0 && strcmp(k->name, wanted->name) == 0) return k;
    }
    return NULL;
}

/* What is spilled where kernels are not tuned differs from one compilation to the next. */
static bool same(const kernel *a, const kernel *b) {
    const bool spills = a->stack == b->stack && a->stores == b->stores && a->loads == b->loads;
    return a->registers == b->registers && a->shared == b->shared && (spills || b->arch != TUNED);
}

/* ---- the tests ------------------------------------------------------------------------------------------------------------ */

static void every_program_compiles(void **unused) {
    (void)unused;
    if (!nvrtc.library) skip();
    compile_families();
    compile_slices();
    compile_merged();
    print_message("NVRTC %d.%d: %d kernels on sm_%d and sm_%d together\n", major, minor, found_count, LOWEST, TUNED);
    if (writes) write_table();
}

static void nothing_spills(void **unused) {
    (void)unused;
    if (!nvrtc.library) skip();
    int bad = 0, tuned = 0;
    for (int i = 0; i < found_count; i++) {
        const kernel *k = &found[i];
        const bool fits = k->registers <= (strcmp(k->name, "slices") == 0 ? MOST_ALONE : MOST_REGISTERS) && k->shared <= MOST_SHARED;
        const bool spills = k->arch == TUNED && (k->stack || k->stores || k->loads);
        tuned += k->arch == TUNED;
        if (fits && !spills) continue;
        print_error("%s, %s on sm_%d: %d registers, %d bytes of stack, %d spilled, %d shared\n", k->program, k->name, k->arch, k->registers,
                    k->stack, k->stores, k->shared);
        bad++;
    }
    assert_true(tuned > 0);
    assert_int_equal(bad, 0);
}

static void the_table_is_kept(void **unused) {
    (void)unused;
    if (!nvrtc.library) skip();
    read_table();
    int bad = 0;
    for (int i = 0; i < found_count; i++) {
        const kernel *k = &found[i], *was = find_known(k);
        if (was && (same(was, k) || known_major != major || known_minor != minor)) continue;
        print_error("%s, %s on sm_%d: %d registers, %d shared; the table has %s%d, %d\n", k->program, k->name, k->arch, k->registers, k->shared,
                    was ? "" : "none: ", was ? was->registers : 0, was ? was->shared : 0);
        bad++;
    }
    if (known_count != found_count) bad++, print_error("%d kernels, in the table %d\n", found_count, known_count);
    if (known_major != major || known_minor != minor) print_message("NVRTC %d.%d; registers are compared with %d.%d only\n", major, minor, known_major, known_minor);
    if (bad) fail_msg("where this was meant: test_cuda_registers --write");
}

int main(int argc, char **argv) {
    writes = argc == 2 && strcmp(argv[1], "--write") == 0;
    if (argc > 1 && !writes) return puts("usage: test_cuda_registers [--write]"), 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_program_compiles), cmocka_unit_test(nothing_spills),
                                       cmocka_unit_test(the_table_is_kept)};
    if (rv_cuda_load_nvrtc(&nvrtc)) nvrtc.nvrtcVersion(&major, &minor);
    else printf("skipped: no NVRTC; %s\n", rv_cuda_get_nvrtc);
    return cmocka_run_group_tests_name("CUDA kernels, compiled", tests, NULL, NULL);
}
