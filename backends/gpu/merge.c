/* backends/gpu/merge.c: a region of launches as few dispatches (slices and together, gpu.h). */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backends/gpu/lower_product.h"

/* Launches of one dispatch. */
enum { MAX_CALLS = 256 };

static const struct {
    rv_rows_rule rows;
    uint32_t whole;
} rules[RV_OP_COUNT] = {
#define RV_OP(name, text, inputs_min, inputs_max, outputs, level, rows, whole) {rows, whole},
#include "core/ops.def"
#undef RV_OP
};

static bool by_rows(const rv_launch *launch) {
    return rules[launch->op].rows == RV_ROWS_INDEPENDENT && !(launch->op == RV_OP_MATMUL && launch->attributes.i[0]);
}

static int64_t rows_of(const rv_launch *launch) {
    for (int k = 0; k < launch->output_count; k++) {
        if (launch->output[k].buffer) return launch->output[k].rows;
    }
    return 0;
}

/* ---- a dispatch in the making -------------------------------------------------------------------------------------- */

typedef struct rv_merged {
    const rv_gpu *gpu;
    rv_gpu_plan *plan;
    rv_error *error;
    rv_gpu_stages stages[MAX_CALLS]; /* together: of one launch each */
    int64_t first_entry;             /* its entries are the last ones of the plan's table */
    int64_t groups;                  /* of all entries, side by side */
    rv_buffer *buffers[RV_GPU_MAX_BUFFERS];
    int buffer_count;
    bool functions[RV_GPU_FUNCTIONS];
} rv_merged;

static rv_status no_memory(const rv_merged *merged) {
    return merged->gpu->services->fail(merged->error, RV_OUT_OF_MEMORY, "no host memory to prepare a plan for the device");
}

static void start(rv_merged *merged) {
    merged->first_entry = merged->plan->entry_count;
    merged->groups = merged->buffer_count = 0;
    memset(merged->functions, 0, sizeof merged->functions);
}

static int64_t calls_of(const rv_merged *merged) { return merged->plan->entry_count - merged->first_entry; }

/* -1: there is no room for it. */
static int buffer_index(rv_merged *merged, rv_buffer *buffer) {
    if (!buffer) return 0;
    for (int i = 0; i < merged->buffer_count; i++) {
        if (merged->buffers[i] == buffer) return i;
    }
    if (merged->buffer_count == RV_GPU_MAX_BUFFERS) return -1;
    merged->buffers[merged->buffer_count] = buffer;
    return merged->buffer_count++;
}

/* Adds an entry; false where the dispatch has no room for it, or host memory ran out. */
static bool add_entry(rv_merged *merged, const rv_gpu_stage *stage, size_t scratch_base) {
    rv_gpu_plan *plan = merged->plan;
    const int buffers = merged->buffer_count;
    rv_entry *entry = calls_of(merged) < MAX_CALLS ? rv_gpu_entry_add(merged->gpu, plan) : NULL;
    if (!entry) return false;
    bool fits = rv_gpu_args_of(stage, scratch_base, &entry->args);
    for (int k = 0; k < RV_GPU_INPUTS; k++) fits = (entry->in[k] = buffer_index(merged, stage->in[k].buffer)) >= 0 && fits;
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) fits = (entry->out[k] = buffer_index(merged, stage->out[k].buffer)) >= 0 && fits;
    const int64_t groups = fits ? rv_gpu_stage_groups(stage) : 0;
    if (!fits || merged->groups + groups > INT_MAX) {
        merged->buffer_count = buffers;
        plan->entry_count--;
        return false;
    }
    entry->function = (int)stage->function;
    entry->first_group = (int)merged->groups;
    entry->groups = (int)groups;
    merged->groups += groups;
    merged->functions[stage->function] = true;
    return true;
}

static rv_status finish(rv_merged *merged, const char *kernel, int source, int64_t first, int64_t last, int64_t rows, int64_t all) {
    rv_gpu_dispatch *dispatch = source < 0 ? NULL : rv_gpu_dispatch_add(merged->gpu, merged->plan);
    if (!dispatch) return no_memory(merged);
    dispatch->source = source;
    snprintf(dispatch->kernel, sizeof dispatch->kernel, "%s", kernel);
    dispatch->batched = true;
    dispatch->batch = (rv_batch){(int)merged->first_entry, (int)calls_of(merged), (int)rows, (int)all};
    for (int i = 0; i < RV_GPU_MAX_BUFFERS; i++) dispatch->buffer[i] = merged->buffers[i < merged->buffer_count ? i : 0];
    dispatch->buffer[RV_GPU_MAX_BUFFERS] = RV_GPU_TABLE;
    dispatch->buffer_count = RV_GPU_MAX_BUFFERS + 1;
    dispatch->groups = (uint32_t)(rows ? (all + rows - 1) / rows : merged->groups);
    dispatch->first = first;
    dispatch->count = last - first;
    return RV_OK;
}

/* ---- slices ------------------------------------------------------------------------------------------------------------ */

/* What a launch costs when every group does `rows` of its rows, and alone on the whole device. */
static double seconds_sliced(const rv_gpu *gpu, const rv_launch *launch, int64_t rows) {
    double shared = 0;
    for (int k = 0; k < launch->input_count; k++) {
        if (rules[launch->op].whole >> k & 1) shared += 4.0 * (double)rv_operand_count(&launch->input[k]);
    }
    const double share = (double)rows / (double)rows_of(launch);
    const double move = (shared + (launch->bytes - shared) * share) / gpu->unit_bandwidth;
    const double compute = launch->flops * share / gpu->unit_flops;
    return move > compute ? move : compute;
}

static double seconds_alone(const rv_gpu *gpu, const rv_launch *launch) {
    const double move = launch->bytes / gpu->unit_bandwidth / gpu->units, compute = launch->flops / gpu->unit_flops / gpu->units;
    return gpu->launch_seconds + (move > compute ? move : compute);
}

static int64_t slice_rows(const rv_gpu *gpu, int64_t rows) { return rows > 0 ? (rows + gpu->units - 1) / gpu->units : 1; }

/* What has gathered of launches [first, last). */
static rv_status emit_slices(rv_merged *merged, const rv_launch *launches, int64_t first, int64_t last) {
    if (last == first) return RV_OK;
    const int64_t all = rows_of(&launches[first]), rows = slice_rows(merged->gpu, all);
    if (last - first > 1) return finish(merged, "slices", rv_gpu_source_slices(merged->gpu, merged->plan), first, last, rows, all);
    merged->plan->entry_count = merged->first_entry; /* alone it goes by itself */
    return rv_gpu_lower_single(merged->gpu, &launches[first], first, merged->plan, merged->error);
}

static bool joins(rv_merged *merged, const rv_launch *launch) {
    rv_gpu_stages *stages = &merged->stages[0];
    stages->count = 0;
    stages->scratch_bytes = 0;
    const rv_gpu_lowering lowering = rv_gpu_lowering_of(launch->op);
    if (!lowering || !lowering(merged->gpu, launch, true, stages) || stages->count != 1 || stages->scratch_bytes) return false;
    stages->stage[0].part_rows = slice_rows(merged->gpu, rows_of(launch));
    return rv_gpu_in_slices(merged->gpu, stages->stage[0].function) && add_entry(merged, &stages->stage[0], 0);
}

static bool worth_slicing(const rv_gpu *gpu, const rv_launch *launch) {
    return seconds_sliced(gpu, launch, slice_rows(gpu, rows_of(launch))) < seconds_alone(gpu, launch);
}

/* Runs of launches that gain by it become one dispatch each; the order stays. */
static rv_status lower_rows(rv_merged *merged, const rv_launch *launches, int64_t first, int64_t last) {
    const rv_gpu *gpu = merged->gpu;
    rv_status status = RV_OK;
    int64_t from = first;
    start(merged);
    for (int64_t i = first; i < last && status == RV_OK; i++) {
        const bool worth = rows_of(&launches[i]) > 0 && worth_slicing(gpu, &launches[i]);
        if (worth && joins(merged, &launches[i])) continue;
        status = emit_slices(merged, launches, from, i);
        start(merged);
        from = i;
        if (worth && joins(merged, &launches[i])) continue; /* the first of a new one */
        if (status == RV_OK) status = rv_gpu_lower_single(gpu, &launches[i], i, merged->plan, merged->error);
        from = i + 1;
    }
    return status == RV_OK ? emit_slices(merged, launches, from, last) : status;
}

/* ---- together ------------------------------------------------------------------------------------------------------------- */

static rv_status emit_together(rv_merged *merged, int64_t first, int64_t last) {
    if (calls_of(merged) == 0) return RV_OK;
    return finish(merged, "together", rv_gpu_source_together(merged->gpu, merged->plan, merged->functions), first, last, 0, 0);
}

/* A function with barriers beside others: not on every device. */
static bool may_join(const rv_merged *merged, rv_gpu_function function) {
    if (!merged->gpu->no_barrier_branches) return true;
    for (int f = 0; f < RV_GPU_FUNCTIONS; f++) {
        if (merged->functions[f] && f != (int)function && (rv_gpu_functions[f].scratch > 0 || rv_gpu_functions[function].scratch > 0)) return false;
    }
    return true;
}

static rv_status lower_stages(rv_merged *merged, const rv_launch *launch, rv_gpu_stages *stages) {
    stages->count = 0;
    stages->scratch_bytes = 0;
    const rv_gpu_lowering lowering = rv_gpu_lowering_of(launch->op);
    if (lowering && lowering(merged->gpu, launch, false, stages)) return RV_OK;
    return merged->gpu->services->fail(merged->error, RV_UNSUPPORTED, "%s: this op has no kernel", launch->label);
}

/* Adds a stage to the open dispatch, or to a new one where it has no room. */
static rv_status side_by_side(rv_merged *merged, const rv_gpu_stage *stage, size_t scratch_base, const rv_launch *launch, int64_t first, int64_t last) {
    if (may_join(merged, stage->function) && add_entry(merged, stage, scratch_base)) return RV_OK;
    const rv_status status = emit_together(merged, first, last);
    start(merged);
    if (status != RV_OK || add_entry(merged, stage, scratch_base)) return status;
    return merged->gpu->services->fail(merged->error, RV_TOO_LARGE, "%s: more than 2^31 - 1 rows, columns or parts, or no memory", launch->label);
}

/* All weights' gradients of a level in tiles of one size, that of the first: they are one function then. */
static void take_one_tile(rv_merged *merged, int64_t count, int level) {
    const rv_gpu_stage *first = NULL;
    for (int64_t i = 0; i < count; i++) {
        rv_gpu_stage *stage = &merged->stages[i].stage[level];
        if (level >= merged->stages[i].count || !rv_gpu_is_weights(stage)) continue;
        if (first) rv_gpu_weights_like(stage, first);
        else first = stage;
    }
}

/* Independent launches: all their first stages at once, then all second ones. [first, last) has at most MAX_CALLS. */
static rv_status lower_together(rv_merged *merged, const rv_launch *launches, int64_t first, int64_t last) {
    size_t scratch = 0, base[MAX_CALLS];
    int most = 0;
    rv_status status = RV_OK;
    for (int64_t i = first; i < last && status == RV_OK; i++) {
        rv_gpu_stages *stages = &merged->stages[i - first];
        status = lower_stages(merged, &launches[i], stages);
        base[i - first] = scratch;
        scratch += stages->scratch_bytes;
        most = stages->count > most ? stages->count : most;
    }
    if (scratch > merged->plan->scratch_bytes) merged->plan->scratch_bytes = scratch;
    for (int level = 0; level < most && status == RV_OK; level++) {
        if (merged->gpu->no_barrier_branches) take_one_tile(merged, last - first, level);
        start(merged);
        for (int f = 0; f < RV_GPU_FUNCTIONS; f++) { /* neighbours by function */
            for (int64_t i = first; i < last && status == RV_OK; i++) {
                const rv_gpu_stages *stages = &merged->stages[i - first];
                const rv_gpu_stage *stage = &stages->stage[level];
                if (level >= stages->count || (int)stage->function != f || rv_gpu_stage_groups(stage) == 0) continue;
                status = side_by_side(merged, stage, base[i - first], &launches[i], first, last);
            }
        }
        if (status == RV_OK) status = emit_together(merged, first, last);
    }
    return status;
}

rv_status rv_gpu_lower_region(const rv_gpu *gpu, const rv_launch *launches, int64_t first, int64_t last, rv_gpu_plan *plan, rv_error *error) {
    rv_merged *merged = gpu->services->resize(gpu->services->user, NULL, sizeof *merged);
    if (!merged) return gpu->services->fail(error, RV_OUT_OF_MEMORY, "no host memory to prepare a plan for the device");
    merged->gpu = gpu;
    merged->plan = plan;
    merged->error = error;
    rv_status status = RV_OK;
    if (by_rows(&launches[first])) {
        status = lower_rows(merged, launches, first, last);
    } else {
        for (int64_t from = first, to; from < last && status == RV_OK; from = to) {
            to = last - from > MAX_CALLS ? from + MAX_CALLS : last;
            status = to - from > 1 ? lower_together(merged, launches, from, to) : rv_gpu_lower_single(gpu, &launches[from], from, plan, error);
        }
    }
    gpu->services->resize(gpu->services->user, merged, 0);
    return status;
}
