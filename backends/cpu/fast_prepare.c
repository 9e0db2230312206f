/* backends/cpu/fast_prepare.c: launches become steps, steps become sections of tasks. */
#include "backends/cpu/fast.h"

#include <string.h>

/* Guesses that decide about cutting and waking threads, never about results. */
static const double flops_per_ns = 100, bytes_per_ns = 15;
static const double worth_waking_ns = 3000; /* of a section's work */
static const double slice_ns = 4000, piece_ns = 2000;
enum { LAUNCH_NS = 20, SLICE_BYTES = 256 << 10, PRODUCT_ROWS_MIN = 8, PRODUCT_ROWS_MAX = 256 };

/* ---- steps -------------------------------------------------------------------------------------------- */

static void run_reference(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    step->reference(&step->launch, first, last);
}

static bool right_types(const rv_launch *launch, uint32_t integers) {
    for (int i = 0; i < launch->input_count; i++)
        if (launch->input[i].buffer && launch->input[i].dtype != (integers >> i & 1 ? RV_I32 : RV_F32)) return false;
    for (int i = 0; i < launch->output_count; i++)
        if (launch->output[i].buffer && launch->output[i].dtype != RV_F32) return false;
    return true;
}

static double guess_ns(const rv_launch *launch, const rv_kernel *kernel) {
    double bytes = 0, results = 0;
    const uint32_t whole = rv_op_info_get(launch->op)->whole; /* weights, tables: read in part or from cache */
    for (int i = 0; i < launch->input_count; i++)
        if (!(whole >> i & 1)) bytes += 4.0 * (double)rv_operand_count(&launch->input[i]);
    for (int i = 0; i < launch->output_count; i++) results += (double)rv_operand_count(&launch->output[i]);
    const double per_element = kernel ? (double)kernel->ns_per_element : 2;
    const double inputs = bytes / 4;
    return LAUNCH_NS + launch->flops / flops_per_ns + (bytes + 4 * results) / bytes_per_ns +
           per_element * (results > inputs ? results : inputs);
}

static void make_step(rv_step *step, const rv_launch *launch, const rv_kernels *kernels) {
    const rv_kernel *kernel = kernels->op[launch->op];
    if (kernel && (!right_types(launch, kernel->integers) || (kernel->accepts && !kernel->accepts(launch)))) kernel = NULL;
    *step = (rv_step){.launch = *launch, .kernel = kernel, .reference = rv_reference_get(launch->op, false), .pack = {-1, -1}};
    step->whole = rv_op_info_get(launch->op)->rows == RV_ROWS_WHOLE || (launch->op == RV_OP_MATMUL && launch->attributes.i[0]);
    step->run = kernel ? kernel->run : run_reference;
    step->finish = kernel && step->whole ? kernel->finish : NULL;
    step->ns = guess_ns(launch, kernel);
    if (!step->whole) step->units = rv_launch_rows(launch);
    else step->units = kernel && kernel->pieces ? kernel->pieces(launch) : 1;
}

/* ---- packs --------------------------------------------------------------------------------------------- */

static bool overlaps(const rv_operand *operand, const float *from, const float *to) {
    const int64_t count = operand->rows ? (operand->rows - 1) * operand->stride + operand->cols : 0;
    const char *begin = (const char *)rv_f32(operand); /* i32 is as wide; u8 is never packed */
    return operand->buffer && operand->dtype != RV_U8 && begin < (const char *)to && (const char *)from < begin + 4 * count;
}

/* Does a step in [first, last) write what the pack reads? */
static bool written(const rv_fast_program *program, const rv_pack *pack, int64_t first, int64_t last) {
    const float *const end = pack->from + (pack->rows - 1) * pack->stride + pack->cols;
    for (int64_t i = first; i < last; i++)
        for (int k = 0; k < program->steps[i].launch.output_count; k++)
            if (overlaps(&program->steps[i].launch.output[k], pack->from, end)) return true;
    return false;
}

/* The pack of an input for step `index`: one made before where it still holds. */
static int64_t find_pack(rv_fast_program *program, const rv_operand *operand, rv_packing packing, int64_t index) {
    rv_pack pack = {rv_f32(operand), operand->rows, operand->cols, operand->stride, packing, NULL, index, false};
    for (int64_t i = 0; i < program->pack_count; i++) {
        const rv_pack *made = &program->packs[i];
        if (made->from == pack.from && made->rows == pack.rows && made->cols == pack.cols && made->stride == pack.stride &&
            made->packing == packing && !written(program, &pack, made->early ? 0 : made->step, index))
            return i;
    }
    pack.early = !written(program, &pack, 0, index);
    program->packs[program->pack_count] = pack;
    return program->pack_count++;
}

static void find_packs(rv_fast_program *program, int64_t index) {
    rv_step *step = &program->steps[index];
    if (!step->kernel || !step->kernel->packs || !step->units) return;
    int input[RV_MAX_PACKS] = {0};
    rv_packing packing[RV_MAX_PACKS] = {RV_PACK_NONE};
    step->kernel->packs(&step->launch, input, packing);
    for (int i = 0; i < RV_MAX_PACKS; i++) {
        const rv_operand *operand = &step->launch.input[input[i]];
        if (packing[i] != RV_PACK_NONE && rv_operand_count(operand)) step->pack[i] = find_pack(program, operand, packing[i], index);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static size_t rounded(size_t floats) { return (floats + 15) / 16 * 16; }

static size_t partial_size(const rv_step *step) {
    return step->kernel && step->kernel->partials ? rounded((size_t)step->kernel->partials(&step->launch)) : 0;
}

static bool place_memory(rv_cpu *cpu, rv_fast_program *program) {
    size_t total = 0;
    for (int64_t i = 0; i < program->pack_count; i++) total += rounded(program->kernels->pack_size(&program->packs[i]));
    for (int64_t i = 0; i < program->step_count; i++) total += partial_size(&program->steps[i]);
    if (!total) return true;
    program->memory = rv_host_memory(&cpu->services, total * sizeof(float), &program->memory_owned);
    if (!program->memory) return false;
    float *next = program->memory;
    for (int64_t i = 0; i < program->pack_count; i++) {
        program->packs[i].to = next;
        next += rounded(program->kernels->pack_size(&program->packs[i]));
    }
    for (int64_t i = 0; i < program->step_count; i++) {
        rv_step *step = &program->steps[i];
        for (int k = 0; k < RV_MAX_PACKS; k++)
            if (step->pack[k] >= 0) step->packed[k] = program->packs[step->pack[k]].to;
        step->partial = next;
        next += partial_size(step);
    }
    return true;
}

/* ---- sections ------------------------------------------------------------------------------------------ */

/* Few long rows: where every step is elementwise and nothing but single elements is broadcast, each element is a row. */
static bool flat_operand(const rv_operand *operand, int64_t rows, int64_t cols) {
    if (!operand->buffer || (operand->rows == 1 && operand->cols == 1)) return true;
    return operand->rows == rows && operand->cols == cols && (operand->stride == cols || rows == 1);
}

static bool can_flatten(const rv_fast_program *program, const rv_section *section) {
    const int64_t rows = section->rows, cols = program->steps[section->first].launch.output[0].cols;
    if (rows > 64 || cols < 256) return false;
    for (int64_t i = section->first; i < section->first + section->count; i++) {
        const rv_step *step = &program->steps[i];
        if (!step->kernel || !step->kernel->elementwise) return false;
        for (int k = 0; k < step->launch.input_count; k++)
            if (!flat_operand(&step->launch.input[k], rows, cols)) return false;
        const rv_operand *y = &step->launch.output[0];
        if (y->rows != rows || y->cols != cols || !flat_operand(y, rows, cols)) return false;
    }
    return true;
}

static void flatten(rv_operand *operand) {
    if (operand->rows == 1 && operand->cols == 1) return;
    operand->rows *= operand->cols;
    operand->cols = operand->stride = 1;
}

static void flatten_section(const rv_fast_program *program, rv_section *section) {
    for (int64_t i = section->first; i < section->first + section->count; i++) {
        rv_launch *launch = &program->steps[i].launch;
        for (int k = 0; k < launch->input_count; k++) flatten(&launch->input[k]);
        flatten(&launch->output[0]);
        program->steps[i].units = launch->output[0].rows;
    }
    section->rows = program->steps[section->first].units;
}

/* Rows of a slice. Which rows share one changes no bit, so it may look at the number of threads. A product reads its weights
 * once a slice: as few slices as give every thread one; elsewhere what a slice makes should stay in cache. */
static double slice_rows(const rv_fast_program *program, double rows, double ns, double bytes, bool product) {
    if (product) {
        const double share = rows / program->threads;
        return share < PRODUCT_ROWS_MIN ? PRODUCT_ROWS_MIN : share > PRODUCT_ROWS_MAX ? PRODUCT_ROWS_MAX : share;
    }
    const double slice = slice_ns / (ns / rows), most = SLICE_BYTES / (bytes / rows);
    return slice < most ? slice : most;
}

void rv_fast_cut_rows(const rv_fast_program *program, rv_section *section) {
    double ns = 0, bytes = 0;
    bool product = false;
    for (int64_t i = section->first; i < section->first + section->count; i++) {
        const rv_launch *launch = &program->steps[i].launch;
        ns += program->steps[i].ns;
        product |= launch->flops > 0;
        for (int k = 0; k < launch->output_count; k++) bytes += 4.0 * (double)rv_operand_count(&launch->output[k]);
    }
    const double rows = (double)(section->rows ? section->rows : 1), slice = slice_rows(program, rows, ns, bytes, product);
    section->slice = slice >= rows ? section->rows : slice < 1 ? 1 : (int64_t)slice;
    if (section->slice > 16 && section->slice < section->rows) section->slice = (section->slice + 15) / 16 * 16; /* whole vectors */
    if (!section->slice) section->slice = 1;
    section->tasks = (section->rows + section->slice - 1) / section->slice;
    section->parallel = ns > worth_waking_ns && section->tasks > 1;
}

/* How many units a task should hold. */
static int64_t units_a_task(double ns, int64_t units) {
    if (ns <= piece_ns || units <= 1) return units > 0 ? units : 1;
    const double each = ns / (double)units;
    return each >= piece_ns ? 1 : (int64_t)(piece_ns / each) + 1;
}

static double pack_ns(const rv_pack *pack) { return 0.5 * (double)(pack->rows * pack->cols); }

/* The step after `step` in the order of what they write (weights' gradients: as the optimiser reads them), so that
 * a thread's share of pieces lies together; the first one for -1. */
static int64_t next_by_place(const rv_fast_program *program, const rv_section *section, int64_t step) {
    int64_t best = -1;
    for (int64_t i = section->first; i < section->first + section->count; i++) {
        const float *const to = rv_f32(&program->steps[i].launch.output[0]);
        const float *const after = step < 0 ? NULL : rv_f32(&program->steps[step].launch.output[0]);
        if (step >= 0 && (to < after || (to == after && i <= step))) continue;
        if (best < 0 || to < rv_f32(&program->steps[best].launch.output[0])) best = i;
    }
    return best;
}

/* Tasks of a section of pieces or packs; only counts them while program->tasks is NULL. */
static void cut_pieces(rv_fast_program *program, rv_section *section, bool early) {
    double ns = 0;
    section->first_task = program->task_count;
    const bool packs = section->kind == RV_SECTION_PACKS;
    const int64_t count = packs ? program->pack_count : section->count;
    for (int64_t done = 0, i = -1; done < count; done++) {
        i = packs ? done : next_by_place(program, section, i);
        const rv_pack *pack = &program->packs[i];
        if (packs && (pack->early != early || (!early && (pack->step < section->first || pack->step >= section->first + section->count)))) continue;
        const double own = packs ? pack_ns(pack) : program->steps[i].ns;
        const int64_t units = packs ? program->kernels->pack_panels(pack) : program->steps[i].units;
        int64_t share = units_a_task(own, units);
        if (packs && share < units / (4 * program->threads)) share = units / (4 * program->threads); /* rows' pages: few visits */
        for (int64_t first = 0; first < units; first += share) {
            const int64_t last = first + share < units ? first + share : units;
            if (program->tasks) program->tasks[program->task_count] = (rv_task){i, first, last};
            program->task_count++;
        }
        ns += own;
    }
    section->tasks = program->task_count - section->first_task;
    section->parallel = ns > worth_waking_ns && section->tasks > 1;
}

static void add_section(rv_fast_program *program, rv_section section) {
    if (section.tasks || section.kind == RV_SECTION_PIECES) program->sections[program->section_count++] = section;
}

static void add_packs(rv_fast_program *program, int64_t first, int64_t count, bool early) {
    rv_section section = {.kind = RV_SECTION_PACKS, .first = first, .count = count};
    cut_pieces(program, &section, early);
    add_section(program, section);
}

static void add_region(rv_fast_program *program, int64_t first, int64_t count) {
    add_packs(program, first, count, false);
    rv_section section = {.kind = program->steps[first].whole ? RV_SECTION_PIECES : RV_SECTION_ROWS, .first = first, .count = count};
    if (section.kind == RV_SECTION_PIECES) {
        cut_pieces(program, &section, false);
    } else {
        section.rows = program->steps[first].units;
        if (can_flatten(program, &section)) flatten_section(program, &section);
        rv_fast_cut_rows(program, &section);
    }
    add_section(program, section);
}

static bool same_region(const rv_step *a, const rv_step *b) {
    return a->launch.region >= 0 && a->launch.region == b->launch.region && a->whole == b->whole &&
           (a->whole || a->units == b->units);
}

static void make_sections(rv_fast_program *program) {
    program->section_count = program->task_count = 0;
    add_packs(program, 0, 0, true);
    for (int64_t first = 0, last; first < program->step_count; first = last) {
        for (last = first + 1; last < program->step_count && same_region(&program->steps[first], &program->steps[last]);) last++;
        add_region(program, first, last - first);
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

void rv_fast_release(rv_cpu *cpu, rv_fast_program *program) {
    if (!program) return;
    const rv_services *services = &cpu->services;
    void *parts[] = {program->steps, program->sections, program->tasks, program->packs, program};
    if (program->memory) rv_host_free(services, program->memory_owned);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i]) services->resize(services->user, parts[i], 0);
}

static void *list(rv_cpu *cpu, int64_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow((size_t)count + 1, size, &bytes)) return NULL;
    return cpu->services.resize(cpu->services.user, NULL, bytes);
}

static bool fill_program(rv_cpu *cpu, rv_fast_program *program, const rv_launch *launches, int64_t count) {
    program->steps = list(cpu, count, sizeof *program->steps);
    program->packs = list(cpu, RV_MAX_PACKS * count, sizeof *program->packs);
    program->sections = list(cpu, 2 * count + 1, sizeof *program->sections);
    if (!program->steps || !program->packs || !program->sections) return false;
    program->step_count = count;
    for (int64_t i = 0; i < count; i++) make_step(&program->steps[i], &launches[i], program->kernels);
    for (int64_t i = 0; i < count; i++) find_packs(program, i);
    if (!place_memory(cpu, program)) return false;
    make_sections(program); /* counts the tasks */
    program->tasks = list(cpu, program->task_count, sizeof *program->tasks);
    if (!program->tasks) return false;
    make_sections(program);
    return true;
}

rv_status rv_fast_prepare(rv_cpu *cpu, const rv_launch *launches, int64_t count, rv_error *error, rv_fast_program **out) {
    *out = NULL;
    rv_fast_program *program = list(cpu, 1, sizeof *program);
    if (program) *program = (rv_fast_program){.kernels = cpu->fast->kernels, .threads = cpu->threads};
    if (program && fill_program(cpu, program, launches, count)) {
        *out = program;
        return RV_OK;
    }
    rv_fast_release(cpu, program);
    return cpu->services.fail(error, RV_OUT_OF_MEMORY, "cpu: no memory for a program of %lld launches", (long long)count);
}
