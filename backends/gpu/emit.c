/* backends/gpu/emit.c: program texts: the functions' text, and the kernels generated around them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/gpu/lower.h"

/* ---- the tables ----------------------------------------------------------------------------------------------- */

const rv_gpu_function_info rv_gpu_functions[RV_GPU_FUNCTIONS] = {
#define RV_GPU_FUNCTION(name, family, inputs, outputs, scratch, rows) {#name, RV_GPU_FAMILY_##family, inputs, outputs, scratch, rows},
#include "backends/gpu/functions.def"
};

#define RV_GPU_FAMILY(name) extern const char rv_gpu_text_##name[];
#include "backends/gpu/functions.def"

static const struct {
    const char *name, *text;
} families[RV_GPU_FAMILIES] = {
#define RV_GPU_FAMILY(name) {#name, rv_gpu_text_##name},
#include "backends/gpu/functions.def"
};

const char *rv_gpu_family_text(rv_gpu_family family) { return families[family].text; }
const char *rv_gpu_family_name(rv_gpu_family family) { return families[family].name; }

/* ---- text ------------------------------------------------------------------------------------------------------- */

static bool reserve(rv_gpu_text *text, size_t more) {
    if (text->failed) return false;
    if (text->length + more < text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : 1 << 14;
    while (capacity <= text->length + more) capacity *= 2;
    char *grown = text->gpu->services->resize(text->gpu->services->user, text->text, capacity);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->text = grown;
    text->capacity = capacity;
    return true;
}

static void add_text(rv_gpu_text *text, const char *more) {
    const size_t length = strlen(more);
    if (!reserve(text, length)) return;
    memcpy(text->text + text->length, more, length + 1);
    text->length += length;
}

void rv_gpu_text_add(rv_gpu_text *text, const char *format, ...) {
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    add_text(text, line);
}

/* The numbers that texts call by name. */
static void add_names(rv_gpu_text *text) {
#define RV_NAME(name, ignored) rv_gpu_text_add(text, "#define RV_MAP_%s %d\n", #name, RV_MAP_##name);
    RV_MAP1_LIST(RV_NAME)
    RV_MAP2_LIST(RV_NAME)
#undef RV_NAME
#define RV_NAME(name) rv_gpu_text_add(text, "#define RV_%s %d\n", #name, RV_##name)
    RV_NAME(REDUCE_SUM), RV_NAME(REDUCE_MEAN), RV_NAME(REDUCE_MAX), RV_NAME(REDUCE_MIN);
    RV_NAME(LINEAR), RV_NAME(RELU), RV_NAME(ELU), RV_NAME(TANH), RV_NAME(SIGMOID), RV_NAME(SOFTPLUS), RV_NAME(SILU), RV_NAME(GELU);
#undef RV_NAME
}

static void add_head(rv_gpu_text *text) {
    add_text(text, text->gpu->dialect);
    add_names(text);
    add_text(text, rv_gpu_text_common);
}

/* ---- kernels ------------------------------------------------------------------------------------------------------ */

static void add_memory(rv_gpu_text *text, int count) {
    for (int k = 0; k < count; k++) rv_gpu_text_add(text, "%sGLOBAL char *m%d", k ? ", " : "", k);
}

static const char *const scratch_line = "SHARED float scratch[%d];\n";

static void add_base(rv_gpu_text *text, int buffer) {
    if (buffer < 0) add_text(text, "0,");
    else rv_gpu_text_add(text, "m%d,", buffer);
}

/* One launch, sizes by value. */
static void add_single(rv_gpu_text *text, const rv_gpu_function_info *info) {
    rv_gpu_text_add(text, "KERNEL(op_%s)(", info->name);
    add_memory(text, info->inputs + info->outputs);
    add_text(text, ", ARGUMENT rv_args args) {\n");
    rv_gpu_text_add(text, scratch_line, info->scratch > 0 ? info->scratch : 1);
    add_text(text, "const rv_bases bases = {{");
    for (int k = 0; k < RV_GPU_INPUTS; k++) add_base(text, k < info->inputs ? k : -1);
    add_text(text, "},{");
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) add_base(text, k < info->outputs ? info->inputs + k : -1);
    add_text(text, "}};\n");
    rv_gpu_text_add(text, "const rv_part part = part_of(&args, GROUP);\n%s(&args, &bases, &part, scratch);\n}\n", info->name);
}

/* The families' texts, and before them what some of them stand on. */
static void add_used(rv_gpu_text *text, bool *used) {
    if (used[RV_GPU_FAMILY_product] || used[RV_GPU_FAMILY_gru]) used[RV_GPU_FAMILY_contract] = true;
    if (used[RV_GPU_FAMILY_categorical]) used[RV_GPU_FAMILY_noise] = true;
    for (int f = 0; f < RV_GPU_FAMILIES; f++) {
        if (used[f]) add_text(text, families[f].text);
    }
}

/* ---- kernels that run many launches ------------------------------------------------------------------------------- */

/* MEMORY(i): argument m<i>, by halving. */
static void add_choice(rv_gpu_text *text, int first, int last) {
    if (last - first == 1) {
        rv_gpu_text_add(text, "m%d", first);
        return;
    }
    const int middle = (first + last) / 2;
    rv_gpu_text_add(text, "((i) < %d ? ", middle);
    add_choice(text, first, middle);
    add_text(text, " : ");
    add_choice(text, middle, last);
    add_text(text, ")");
}

/* The call of a function on `entry`, for `part`. */
static void add_call(rv_gpu_text *text, const rv_gpu_function_info *info, const char *part) {
    add_text(text, "ENTRY_ARGS args = entry->args;\nrv_bases bases;\n");
    for (int k = 0; k < info->inputs; k++) rv_gpu_text_add(text, "bases.in[%d] = MEMORY(entry->in[%d]);\n", k, k);
    for (int k = 0; k < info->outputs; k++) rv_gpu_text_add(text, "bases.out[%d] = MEMORY(entry->out[%d]);\n", k, k);
    rv_gpu_text_add(text, "const rv_part part = %s;\n%s(&args, &bases, &part, scratch);\n", part, info->name);
}

/* A switch over the functions, or the one call where there is one alone: PoCL mistakes barriers in branches. */
static void add_switch(rv_gpu_text *text, const bool *functions, const char *part) {
    int count = 0;
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) count += functions[f];
    if (count > 1) add_text(text, "switch (entry->function) {\n");
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) {
        if (!functions[f]) continue;
        if (count > 1) rv_gpu_text_add(text, "case %d: {\n", f);
        add_call(text, &rv_gpu_functions[f], part);
        if (count > 1) add_text(text, "break;\n}\n");
    }
    if (count > 1) add_text(text, "}\n");
}

static void begin_batch(rv_gpu_text *text, const char *word, const char *name, const bool *functions) {
    bool used[RV_GPU_FAMILIES] = {false};
    int scratch = 1;
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) {
        if (!functions[f]) continue;
        used[rv_gpu_functions[f].family] = true;
        scratch = rv_gpu_functions[f].scratch > scratch ? rv_gpu_functions[f].scratch : scratch;
    }
    add_head(text);
    add_used(text, used);
    add_text(text, "#define MEMORY(i) ");
    add_choice(text, 0, RV_GPU_MAX_BUFFERS);
    rv_gpu_text_add(text, "\n%s(%s)(", word, name);
    add_memory(text, RV_GPU_MAX_BUFFERS);
    add_text(text, ", GLOBAL const rv_entry *table, ARGUMENT rv_batch batch) {\n");
    rv_gpu_text_add(text, scratch_line, scratch);
}

bool rv_gpu_in_slices(const rv_gpu *gpu, rv_gpu_function function) {
    return rv_gpu_functions[function].rows && !(gpu->no_barrier_branches && rv_gpu_functions[function].scratch > 0);
}

static int find_source(const rv_gpu_plan *plan, const char *name) {
    for (int i = 0; i < plan->source_count; i++) {
        if (strcmp(plan->source[i].name, name) == 0) return i;
    }
    return -1;
}

int rv_gpu_source_slices(const rv_gpu *gpu, rv_gpu_plan *plan) {
    const int known = find_source(plan, "slices");
    if (known >= 0) return known;
    rv_gpu_text text = {.gpu = gpu};
    bool functions[RV_GPU_FUNCTIONS];
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) functions[f] = rv_gpu_in_slices(gpu, (rv_gpu_function)f);
    begin_batch(&text, "LONE_KERNEL", "slices", functions);
    add_text(&text, "const int row0 = GROUP * batch.rows, row1 = batch.all - row0 < batch.rows ? batch.all : row0 + batch.rows;\n"
                    "for (int k = 0; k < batch.count; k++) {\n"
                    "GLOBAL const rv_entry *const entry = table + batch.first + k;\n"
                    "BARRIER;\n");
    add_switch(&text, functions, "{row0, row1, 0, args.cols}");
    add_text(&text, "}\n}\n");
    return rv_gpu_source_add(gpu, plan, "slices", &text);
}

int rv_gpu_source_together(const rv_gpu *gpu, rv_gpu_plan *plan, const bool *functions) {
    rv_gpu_text text = {.gpu = gpu};
    char name[sizeof plan->source->name] = "together";
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) {
        const size_t used = strlen(name);
        if (functions[f]) snprintf(name + used, sizeof name - used, " %s", rv_gpu_functions[f].name);
    }
    begin_batch(&text, "KERNEL", "together", functions);
    add_text(&text, "GLOBAL const rv_entry *entry = table + batch.first;\n"
                    "while (GROUP >= entry->first_group + entry->groups) entry++;\n");
    add_switch(&text, functions, "part_of(&args, GROUP - entry->first_group)");
    add_text(&text, "}\n");
    return rv_gpu_source_add(gpu, plan, name, &text);
}

/* ---- families ------------------------------------------------------------------------------------------------------ */

static void family_text(rv_gpu_text *text, rv_gpu_family family) {
    bool used[RV_GPU_FAMILIES] = {false};
    used[family] = true;
    add_head(text);
    add_used(text, used);
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) {
        if (rv_gpu_functions[f].family == family) add_single(text, &rv_gpu_functions[f]);
    }
}

rv_status rv_gpu_family_source(const rv_gpu *gpu, rv_gpu_family family, rv_gpu_source *source, rv_error *error) {
    rv_gpu_text text = {.gpu = gpu};
    family_text(&text, family);
    *source = (rv_gpu_source){.text = text.text, .length = text.length};
    snprintf(source->name, sizeof source->name, "family %s", families[family].name);
    if (!text.failed) return RV_OK;
    gpu->services->resize(gpu->services->user, text.text, 0);
    *source = (rv_gpu_source){.text = NULL};
    return gpu->services->fail(error, RV_OUT_OF_MEMORY, "no host memory for the text of kernels");
}

int rv_gpu_source_family(const rv_gpu *gpu, rv_gpu_plan *plan, rv_gpu_family family) {
    char name[64];
    snprintf(name, sizeof name, "family %s", families[family].name);
    const int known = find_source(plan, name);
    if (known >= 0) return known;
    rv_gpu_text text = {.gpu = gpu};
    family_text(&text, family);
    return rv_gpu_source_add(gpu, plan, name, &text);
}
