/* backends/cpu/cpu.c: the CPU backend: opening, memory, and programs of reference functions. */
#define _GNU_SOURCE
#include "backends/cpu/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

static const char *const isa_names[] = {"baseline", "avx2", "avx512"};
_Static_assert(sizeof isa_names / sizeof *isa_names == RV_CPU_ISA_COUNT, "every instruction set has a name");

/* ---- the machine ---------------------------------------------------------------------------------- */

static rv_cpu_isa best_isa(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return RV_CPU_BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return RV_CPU_AVX512;
    return RV_CPU_AVX2;
#else
    return RV_CPU_BASELINE;
#endif
}

/* Cores that this process may use. */
static int core_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        const int count = CPU_COUNT(&set);
        if (count > 0) return count < THREADS_MAX ? count : THREADS_MAX;
    }
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count < THREADS_MAX ? (int)count : THREADS_MAX;
}

static size_t l2_bytes(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
    const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? (size_t)bytes : 0;
#else
    return 0;
#endif
}

static uint64_t memory_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static void cpu_model(char *model, size_t size) {
    snprintf(model, size, "CPU");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(model, size, "%s", colon[1] ? colon + 2 : "CPU");
        break;
    }
    fclose(file);
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static rv_status bad_spec(const rv_cpu *cpu, const char *word, int length, rv_error *error) {
    return cpu->services.fail(error, RV_INVALID_ARGUMENT,
                              "cpu: \"%.*s\" is not understood; allowed are \"cpu\", \"cpu:threads=N\" (1 to %d), "
                              "\"cpu:isa=NAME\" (baseline, avx2, avx512), both joined by a comma, \"cpu:reference\", "
                              "\"cpu:double\"",
                              length < 80 ? length : 80, word, THREADS_MAX);
}

static rv_status parse_threads(rv_cpu *cpu, const char *word, int length, rv_error *error) {
    int count = 0;
    for (int i = 8; i < length; i++) {
        if (word[i] < '0' || word[i] > '9' || count > THREADS_MAX) return bad_spec(cpu, word, length, error);
        count = count * 10 + (word[i] - '0');
    }
    if (count < 1 || count > THREADS_MAX) return bad_spec(cpu, word, length, error);
    cpu->threads = count;
    return RV_OK;
}

static rv_status parse_isa(rv_cpu *cpu, const char *word, int length, rv_error *error) {
    for (int isa = 0; isa < RV_CPU_ISA_COUNT; isa++) {
        if ((int)strlen(isa_names[isa]) != length - 4 || memcmp(word + 4, isa_names[isa], (size_t)(length - 4)) != 0) continue;
        if (isa > (int)cpu->isa) {
            return cpu->services.fail(error, RV_UNSUPPORTED, "cpu: this machine has no %s; its best is \"isa=%s\"",
                                      isa_names[isa], isa_names[cpu->isa]);
        }
        cpu->isa = (rv_cpu_isa)isa;
        return RV_OK;
    }
    return bad_spec(cpu, word, length, error);
}

static rv_status parse(rv_cpu *cpu, const char *spec, rv_error *error) {
    if (strcmp(spec, "reference") == 0 || strcmp(spec, "double") == 0) {
        cpu->kind = *spec == 'r' ? RV_CPU_REFERENCE : RV_CPU_DOUBLE;
        cpu->threads = 1;
        return RV_OK;
    }
    rv_status status = RV_OK;
    for (const char *word = spec; *word && status == RV_OK;) {
        const int length = (int)strcspn(word, ",");
        if (length > 8 && memcmp(word, "threads=", 8) == 0) status = parse_threads(cpu, word, length, error);
        else if (length > 4 && memcmp(word, "isa=", 4) == 0) status = parse_isa(cpu, word, length, error);
        else status = bad_spec(cpu, word, length, error);
        word += length;
        if (*word == ',' && !*++word && status == RV_OK) status = bad_spec(cpu, spec, (int)strlen(spec), error);
    }
    return status;
}

static void cpu_close(void *state) {
    rv_cpu *cpu = state;
    if (!cpu) return;
    rv_fast_close(cpu);
    const rv_services services = cpu->services;
    services.resize(services.user, cpu, 0);
}

static rv_status cpu_open(const rv_services *services, const char *spec, rv_error *error, void **state) {
    *state = NULL;
    rv_cpu *cpu = services->resize(services->user, NULL, sizeof *cpu);
    if (!cpu) return services->fail(error, RV_OUT_OF_MEMORY, "cpu: no memory for the device");
    *cpu = (rv_cpu){.services = *services, .isa = best_isa(), .threads = core_count(), .l2_bytes = l2_bytes()};
    rv_status status = parse(cpu, spec, error);
    if (status == RV_OK && cpu->kind == RV_CPU_FAST) status = rv_fast_open(cpu, error);
    if (status != RV_OK) cpu_close(cpu);
    else *state = cpu;
    return status;
}

static void cpu_caps(void *state, rv_caps *caps) {
    const rv_cpu *cpu = state;
    const bool wide = cpu->kind == RV_CPU_DOUBLE;
    *caps = (rv_caps){.largest_allocation = PTRDIFF_MAX,
                      .alignment = RV_HOST_ALIGNMENT,
                      .element_bytes = {wide ? sizeof(double) : sizeof(float), sizeof(int32_t), sizeof(uint8_t)},
                      .regions = cpu->kind == RV_CPU_FAST};
    char model[96];
    cpu_model(model, sizeof model);
    if (cpu->kind != RV_CPU_FAST) {
        snprintf(caps->name, sizeof caps->name, "cpu:%s", wide ? "double" : "reference");
        snprintf(caps->description, sizeof caps->description, "%s, scalar reference functions, f32 held as %s", model,
                 wide ? "double" : "float");
        return;
    }
    const bool best = cpu->isa == best_isa();
    snprintf(caps->name, sizeof caps->name, "cpu:threads=%d%s%s", cpu->threads, best ? "" : ",isa=",
             best ? "" : isa_names[cpu->isa]);
    snprintf(caps->description, sizeof caps->description, "%s, %s, %d thread%s, L2 %zu KiB", model, isa_names[cpu->isa],
             cpu->threads, cpu->threads == 1 ? "" : "s", cpu->l2_bytes / 1024);
}

static bool cpu_list(const rv_services *services, int index, rv_device_info *info, rv_error *error) {
    (void)services, (void)error;
    if (index != 0) return false;
    *info = (rv_device_info){.resource = "cpu", .memory_bytes = memory_bytes(), .units = core_count()};
    cpu_model(info->name, sizeof info->name);
    snprintf(info->version, sizeof info->version, "%s", isa_names[best_isa()]);
    return true;
}

/* ---- memory ------------------------------------------------------------------------------------------ */

static rv_status cpu_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer) {
    return rv_host_allocate(&((rv_cpu *)state)->services, bytes, error, buffer);
}

/* Memory in the device's own elements: doubles for f32 on cpu:double. */
static rv_status cpu_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer) {
    return rv_host_wrap(&((rv_cpu *)state)->services, memory, bytes, error, buffer);
}

static void cpu_release(void *state, rv_buffer *buffer) { rv_host_release(&((rv_cpu *)state)->services, buffer); }

static rv_status cpu_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data,
                            rv_error *error) {
    const rv_cpu *cpu = state;
    return rv_host_upload(&cpu->services, buffer, dtype, cpu->kind == RV_CPU_DOUBLE, offset, count, data, error);
}

static rv_status cpu_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data,
                              rv_error *error) {
    const rv_cpu *cpu = state;
    return rv_host_download(&cpu->services, buffer, dtype, cpu->kind == RV_CPU_DOUBLE, offset, count, data, error);
}

static rv_status cpu_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error) {
    return rv_host_fill(&((rv_cpu *)state)->services, buffer, offset, bytes, byte, error);
}

static void *cpu_native(void *state, rv_buffer *buffer) {
    (void)state;
    return buffer->memory;
}

/* ---- programs ------------------------------------------------------------------------------------------ */

struct rv_program {
    rv_fast_program *fast; /* on a fast device; elsewhere the steps */
    struct rv_step {
        rv_reference_fn fn;
        int64_t rows;
        rv_launch launch;
    } step[];
};

static bool cpu_supports(void *state, rv_op op, const rv_attributes *attributes) {
    (void)state, (void)attributes;
    return (unsigned)op < RV_OP_COUNT;
}

static void cpu_release_program(void *state, rv_program *program) {
    rv_cpu *cpu = state;
    if (!program) return;
    if (program->fast) rv_fast_release(cpu, program->fast);
    cpu->services.resize(cpu->services.user, program, 0);
}

static rv_status new_program(rv_cpu *cpu, int64_t steps, rv_error *error, rv_program **program) {
    size_t bytes;
    *program = NULL;
    if (__builtin_mul_overflow((size_t)steps, sizeof(struct rv_step), &bytes) ||
        __builtin_add_overflow(bytes, sizeof **program, &bytes))
        return cpu->services.fail(error, RV_TOO_LARGE, "cpu: %lld launches are too many", (long long)steps);
    *program = cpu->services.resize(cpu->services.user, NULL, bytes);
    if (!*program) return cpu->services.fail(error, RV_OUT_OF_MEMORY, "cpu: no memory for a program");
    (*program)->fast = NULL;
    return RV_OK;
}

static rv_status cpu_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program) {
    rv_cpu *cpu = state;
    const bool fast = cpu->kind == RV_CPU_FAST;
    rv_status status = new_program(cpu, fast ? 0 : count, error, program);
    if (status != RV_OK) return status;
    if (fast) {
        status = rv_fast_prepare(cpu, launches, count, error, &(*program)->fast);
        if (status == RV_OK) return RV_OK;
        cpu_release_program(cpu, *program);
        *program = NULL;
        return status;
    }
    for (int64_t i = 0; i < count; i++) {
        (*program)->step[i] = (struct rv_step){rv_reference_get(launches[i].op, cpu->kind == RV_CPU_DOUBLE),
                                               rv_launch_rows(&launches[i]), launches[i]};
    }
    return RV_OK;
}

static rv_status cpu_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    if (program->fast) return rv_fast_run(state, program->fast, first, count, error);
    for (const struct rv_step *step = program->step + first, *end = step + count; step < end; step++) {
        step->fn(&step->launch, 0, step->rows);
    }
    return RV_OK;
}

static rv_status cpu_sync(void *state, rv_error *error) {
    (void)state, (void)error; /* a run has ended when it returns */
    return RV_OK;
}

const rv_backend rv_backend_cpu = {
    .abi = RV_BACKEND_ABI,
    .size = sizeof(rv_backend),
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .caps = cpu_caps,
    .allocate = cpu_allocate,
    .wrap = cpu_wrap,
    .release = cpu_release,
    .upload = cpu_upload,
    .download = cpu_download,
    .fill = cpu_fill,
    .supports = cpu_supports,
    .prepare = cpu_prepare,
    .run = cpu_run,
    .release_program = cpu_release_program,
    .sync = cpu_sync,
    .list = cpu_list,
    .native = cpu_native,
};
