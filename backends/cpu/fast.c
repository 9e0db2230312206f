/* backends/cpu/fast.c: the fast device: opening, closing, running programs. */
#include "backends/cpu/fast.h"

static const rv_kernels *kernels_of(rv_cpu_isa isa) {
#if defined(__x86_64__)
    if (isa == RV_CPU_AVX512) return &rv_kernels_avx512;
    if (isa == RV_CPU_AVX2) return &rv_kernels_avx2;
#else
    (void)isa;
#endif
    return &rv_kernels_baseline;
}

rv_status rv_fast_open(rv_cpu *cpu, rv_error *error) {
    const rv_services *services = &cpu->services;
    cpu->fast = NULL;
    rv_fast *fast = services->resize(services->user, NULL, sizeof *fast);
    if (!fast) return services->fail(error, RV_OUT_OF_MEMORY, "cpu: no memory for the device");
    *fast = (rv_fast){.kernels = kernels_of(cpu->isa)};
    cpu->fast = fast;
    rv_status status = RV_OK;
    fast->scratch = rv_host_memory(services, (size_t)cpu->threads * RV_SCRATCH, &fast->scratch_owned);
    if (!fast->scratch) status = services->fail(error, RV_OUT_OF_MEMORY, "cpu: no memory for %d threads", cpu->threads);
    else status = rv_pool_open(services, cpu->threads, error, &fast->pool);
    if (status != RV_OK) rv_fast_close(cpu);
    return status;
}

void rv_fast_close(rv_cpu *cpu) {
    rv_fast *fast = cpu->fast;
    if (!fast) return;
    rv_pool_close(fast->pool);
    if (fast->scratch) rv_host_free(&cpu->services, fast->scratch_owned);
    cpu->services.resize(cpu->services.user, fast, 0);
    cpu->fast = NULL;
}

/* ---- running ---------------------------------------------------------------------------------------- */

typedef struct work {
    const rv_fast *fast;
    const rv_fast_program *program;
    const rv_section *section;
} work;

static void run_slice(void *user, int64_t task, int worker) {
    const work *w = user;
    const rv_section *section = w->section;
    char *const scratch = w->fast->scratch + (size_t)worker * RV_SCRATCH;
    const int64_t first = task * section->slice;
    const int64_t last = first + section->slice < section->rows ? first + section->slice : section->rows;
    const rv_step *step = w->program->steps + section->first;
    for (const rv_step *end = step + section->count; step < end; step++) step->run(step, first, last, scratch);
}

static void run_piece(void *user, int64_t task, int worker) {
    const work *w = user;
    const rv_task *piece = w->program->tasks + w->section->first_task + task;
    const rv_step *step = w->program->steps + piece->of;
    step->run(step, piece->first, piece->last, w->fast->scratch + (size_t)worker * RV_SCRATCH);
}

static void run_pack(void *user, int64_t task, int worker) {
    (void)worker;
    const work *w = user;
    const rv_task *panels = w->program->tasks + w->section->first_task + task;
    w->fast->kernels->pack_run(w->program->packs + panels->of, panels->first, panels->last);
}

static void finish(const rv_fast *fast, const rv_step *step) {
    if (step->finish) step->finish(step, 0, 0, fast->scratch);
}

static void run_section(const rv_fast *fast, const rv_fast_program *program, const rv_section *section) {
    static const rv_pool_fn run[] = {run_slice, run_piece, run_pack};
    work w = {fast, program, section};
    if (section->parallel) {
        rv_pool_run(fast->pool, run[section->kind], &w, section->tasks);
    } else {
        for (int64_t task = 0; task < section->tasks; task++) run[section->kind](&w, task, 0);
    }
    if (section->kind != RV_SECTION_PIECES) return;
    for (int64_t i = 0; i < section->count; i++) finish(fast, program->steps + section->first + i);
}

/* One step by itself: for runs that begin or end within a region. */
static void run_alone(const rv_fast *fast, const rv_fast_program *program, int64_t index) {
    const rv_step *step = program->steps + index;
    for (int i = 0; i < RV_MAX_PACKS; i++) {
        if (step->pack[i] < 0) continue;
        const rv_pack *pack = program->packs + step->pack[i];
        fast->kernels->pack_run(pack, 0, fast->kernels->pack_panels(pack));
    }
    if (step->whole) {
        step->run(step, 0, step->units, fast->scratch);
        finish(fast, step);
        return;
    }
    rv_section section = {.kind = RV_SECTION_ROWS, .first = index, .count = 1, .rows = step->units};
    rv_fast_cut_rows(program, &section);
    run_section(fast, program, &section);
}

rv_status rv_fast_run(rv_cpu *cpu, rv_fast_program *program, int64_t first, int64_t count, rv_error *error) {
    (void)error;
    if (first == 0 && count == program->step_count) {
        for (int64_t i = 0; i < program->section_count; i++) run_section(cpu->fast, program, program->sections + i);
        return RV_OK;
    }
    for (int64_t i = first; i < first + count; i++) run_alone(cpu->fast, program, i);
    return RV_OK;
}
