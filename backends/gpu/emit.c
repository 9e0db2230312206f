/* backends/gpu/emit.c: program texts: the functions' text, and the kernels generated around them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/gpu/lower.h"

/* ---- the tables ----------------------------------------------------------------------------------------------- */

const rv_gpu_function_info rv_gpu_functions[RV_GPU_FUNCTIONS] = {
#define RV_GPU_FUNCTION(name, family, inputs, outputs, scratch) {#name, RV_GPU_FAMILY_##family, inputs, outputs, scratch},
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

/* ---- literals --------------------------------------------------------------------------------------------------- */

static void add_view(rv_gpu_text *text, const rv_view *view) {
    rv_gpu_text_add(text, "{%lld,%d,%d,%d,%d,%d},", (long long)view->at, view->rows, view->cols, view->stride, view->step, view->type);
}

static void add_float(rv_gpu_text *text, float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    if (isfinite(x)) rv_gpu_text_add(text, "%af,", (double)x);
    else rv_gpu_text_add(text, "FLOAT_OF(0x%xu),", bits);
}

/* `const rv_args NAME = {...};` in the order of the struct's members. */
static void add_args(rv_gpu_text *text, const char *name, const rv_args *args) {
    rv_gpu_text_add(text, "const rv_args %s = {{", name);
    for (int k = 0; k < RV_GPU_INPUTS; k++) add_view(text, &args->in[k]);
    add_text(text, "},{");
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) add_view(text, &args->out[k]);
    add_text(text, "},{");
    for (int k = 0; k < 6; k++) add_float(text, args->f[k]);
    rv_gpu_text_add(text, "},{%d,%d,%d,%d},%uu,%uu,", args->i[0], args->i[1], args->i[2], args->i[3], args->stream, args->t);
    rv_gpu_text_add(text, "%d,%d,%d,%d,%d,{%d,%d,%d,%d}};\n", args->rows, args->cols, args->part_rows, args->part_cols,
                    args->col_parts, args->extra[0], args->extra[1], args->extra[2], args->extra[3]);
}

static void add_base(rv_gpu_text *text, int buffer) {
    if (buffer < 0) add_text(text, "0,");
    else rv_gpu_text_add(text, "m%d,", buffer);
}

static void add_bases(rv_gpu_text *text, const char *name, const rv_gpu_call *call) {
    rv_gpu_text_add(text, "const rv_bases %s = {{", name);
    for (int k = 0; k < RV_GPU_INPUTS; k++) add_base(text, call->in[k]);
    add_text(text, "},{");
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) add_base(text, call->out[k]);
    add_text(text, "}};\n");
}

/* ---- kernels ------------------------------------------------------------------------------------------------------ */

static void add_memory(rv_gpu_text *text, int count) {
    for (int k = 0; k < count; k++) rv_gpu_text_add(text, "%sGLOBAL char *m%d", k ? ", " : "", k);
}

static const char *const scratch_line = "SHARED float scratch[%d];\n";

/* One launch, sizes by value. */
static void add_single(rv_gpu_text *text, const rv_gpu_function_info *info) {
    rv_gpu_text_add(text, "KERNEL(op_%s)(", info->name);
    add_memory(text, info->inputs + info->outputs);
    add_text(text, ", ARGUMENT rv_args args) {\n");
    rv_gpu_text_add(text, scratch_line, info->scratch > 0 ? info->scratch : 1);
    rv_gpu_call call;
    for (int k = 0; k < RV_GPU_INPUTS; k++) call.in[k] = k < info->inputs ? k : -1;
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) call.out[k] = k < info->outputs ? info->inputs + k : -1;
    add_bases(text, "bases", &call);
    rv_gpu_text_add(text, "const rv_part part = part_of(&args, GROUP);\n%s(&args, &bases, &part, scratch);\n}\n", info->name);
}

/* The families' texts, and before them what some of them stand on. */
static void add_used(rv_gpu_text *text, bool *used) {
    if (used[RV_GPU_FAMILY_product] || used[RV_GPU_FAMILY_gru]) used[RV_GPU_FAMILY_contract] = true;
    for (int f = 0; f < RV_GPU_FAMILIES; f++) {
        if (used[f]) add_text(text, families[f].text);
    }
}

static void add_families(rv_gpu_text *text, const rv_gpu_call *calls, int count) {
    bool used[RV_GPU_FAMILIES] = {false};
    for (int i = 0; i < count; i++) used[rv_gpu_functions[calls[i].stage->function].family] = true;
    add_used(text, used);
}

static void begin_kernel(rv_gpu_text *text, const char *name, const rv_gpu_call *calls, int count, int buffers) {
    int scratch = 1;
    for (int i = 0; i < count; i++) {
        const int wanted = rv_gpu_functions[calls[i].stage->function].scratch;
        scratch = wanted > scratch ? wanted : scratch;
    }
    add_head(text);
    add_families(text, calls, count);
    rv_gpu_text_add(text, "KERNEL(%s)(", name);
    add_memory(text, buffers);
    add_text(text, ") {\n");
    rv_gpu_text_add(text, scratch_line, scratch);
}

bool rv_gpu_emit_slices(rv_gpu_text *text, const char *name, const rv_gpu_call *calls, int count, int buffers, int64_t rows, int64_t all) {
    begin_kernel(text, name, calls, count, buffers);
    rv_gpu_text_add(text, "const int row0 = GROUP * %lld, row1 = row0 + %lld < %lld ? row0 + %lld : %lld;\n", (long long)rows, (long long)rows,
                    (long long)all, (long long)rows, (long long)all);
    for (int i = 0; i < count; i++) {
        if (calls[i].barrier) add_text(text, "BARRIER;\n");
        add_text(text, "{\n");
        add_args(text, "args", &calls[i].args);
        add_bases(text, "bases", &calls[i]);
        rv_gpu_text_add(text, "const rv_part part = {row0, row1, 0, %d};\n", calls[i].args.cols);
        rv_gpu_text_add(text, "%s(&args, &bases, &part, scratch);\n}\n", rv_gpu_functions[calls[i].stage->function].name);
    }
    add_text(text, "}\n");
    return !text->failed;
}

/* Calls of one function follow one another and share its code. The functions stand in one chain of else: branches with
 * barriers that come one behind the other never end on PoCL. */
bool rv_gpu_emit_together(rv_gpu_text *text, const char *name, const rv_gpu_call *calls, int count, int buffers) {
    begin_kernel(text, name, calls, count, buffers);
    int64_t groups = 0;
    for (int i = 0, same; i < count; i = same) {
        const rv_gpu_function function = calls[i].stage->function;
        for (same = i + 1; same < count && calls[same].stage->function == function;) same++;
        int64_t end = groups;
        for (int k = i; k < same; k++) end += rv_gpu_stage_groups(calls[k].stage);
        rv_gpu_text_add(text, "%sif (GROUP < %lld) {\nrv_args args;\nrv_bases bases;\nint group;\n", i > 0 ? "else " : "", (long long)end);
        for (int k = i; k < same; k++) {
            rv_gpu_text_add(text, "%sif (GROUP < %lld) {\n", k > i ? "else " : "", (long long)(groups + rv_gpu_stage_groups(calls[k].stage)));
            add_args(text, "own_args", &calls[k].args);
            add_bases(text, "own_bases", &calls[k]);
            rv_gpu_text_add(text, "args = own_args; bases = own_bases; group = GROUP - %lld;\n}\n", (long long)groups);
            groups += rv_gpu_stage_groups(calls[k].stage);
        }
        rv_gpu_text_add(text, "const rv_part part = part_of(&args, group);\n%s(&args, &bases, &part, scratch);\n}\n", rv_gpu_functions[function].name);
    }
    add_text(text, "}\n");
    return !text->failed;
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
    for (int i = 0; i < plan->source_count; i++) {
        if (strcmp(plan->source[i].name, name) == 0) return i;
    }
    rv_gpu_text text = {.gpu = gpu};
    family_text(&text, family);
    return rv_gpu_source_add(gpu, plan, name, &text);
}
