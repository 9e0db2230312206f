/* backends/gpu/merge.c: a region of launches as few dispatches (slices and together, gpu.h). */
#include <stdio.h>
#include <string.h>

#include "backends/gpu/lower.h"

/* Calls of one generated kernel: compile time grows with them. */
enum { MAX_CALLS = 96 };

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

/* ---- a kernel in the making --------------------------------------------------------------------------------------- */

typedef struct rv_range {
    const rv_buffer *buffer;
    size_t first, last; /* bytes */
    bool write;
} rv_range;

typedef struct rv_merged {
    const rv_gpu *gpu;
    rv_gpu_stages stages[MAX_CALLS]; /* of one launch each */
    rv_gpu_call calls[MAX_CALLS];
    int64_t launch[MAX_CALLS]; /* whose */
    int count;
    rv_buffer *buffers[RV_GPU_MAX_BUFFERS];
    int buffer_count;
    rv_range ranges[MAX_CALLS * (RV_GPU_INPUTS + RV_GPU_OUTPUTS)]; /* touched since the last barrier */
    int range_count;
} rv_merged;

static int buffer_index(rv_merged *merged, rv_buffer *buffer) {
    if (!buffer) return -1;
    for (int i = 0; i < merged->buffer_count; i++) {
        if (merged->buffers[i] == buffer) return i;
    }
    if (merged->buffer_count == RV_GPU_MAX_BUFFERS) return RV_GPU_MAX_BUFFERS;
    merged->buffers[merged->buffer_count] = buffer;
    return merged->buffer_count++;
}

static rv_range range_of(const rv_operand *operand, bool write) {
    const size_t size = operand->dtype == RV_U8 ? 1 : 4;
    const int64_t count = operand->rows > 0 ? (operand->rows - 1) * operand->stride + operand->cols : 0;
    return (rv_range){operand->buffer, operand->offset * size, (operand->offset + (size_t)count) * size, write};
}

static bool meets(const rv_merged *merged, rv_range range) {
    for (int i = 0; i < merged->range_count; i++) {
        const rv_range *other = &merged->ranges[i];
        if (other->buffer == range.buffer && (other->write || range.write) && other->first < range.last && range.first < other->last) return true;
    }
    return false;
}

/* Does the call need, or spoil, what one since the last barrier wrote or read? */
static bool needs_barrier(rv_merged *merged, const rv_gpu_stage *stage) {
    rv_range ranges[RV_GPU_INPUTS + RV_GPU_OUTPUTS];
    int count = 0;
    bool needed = false;
    for (int k = 0; k < RV_GPU_INPUTS; k++) {
        if (stage->in[k].buffer) ranges[count++] = range_of(&stage->in[k], false);
    }
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) {
        if (stage->out[k].buffer) ranges[count++] = range_of(&stage->out[k], true);
    }
    for (int i = 0; i < count; i++) needed = needed || meets(merged, ranges[i]);
    if (needed) merged->range_count = 0;
    for (int i = 0; i < count; i++) merged->ranges[merged->range_count++] = ranges[i];
    return needed;
}

/* Adds a stage; false where the kernel has no room for it. */
static bool add_call(rv_merged *merged, const rv_gpu_stage *stage, size_t scratch_base, int64_t launch) {
    if (merged->count == MAX_CALLS) return false;
    rv_gpu_call *call = &merged->calls[merged->count];
    const int buffers = merged->buffer_count;
    bool fits = rv_gpu_args_of(stage, scratch_base, &call->args);
    for (int k = 0; k < RV_GPU_INPUTS; k++) fits = (call->in[k] = buffer_index(merged, stage->in[k].buffer)) < RV_GPU_MAX_BUFFERS && fits;
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) fits = (call->out[k] = buffer_index(merged, stage->out[k].buffer)) < RV_GPU_MAX_BUFFERS && fits;
    if (!fits) {
        merged->buffer_count = buffers;
        return false;
    }
    call->stage = stage;
    call->barrier = false;
    merged->launch[merged->count++] = launch;
    return true;
}

static rv_status finish(rv_merged *merged, const char *name, bool emitted, rv_gpu_text *text, int64_t first, int64_t last, int64_t groups,
                        rv_gpu_plan *plan, rv_error *error) {
    char title[64];
    snprintf(title, sizeof title, "%s of %d launches from %lld on", name, merged->count, (long long)first);
    const int source = emitted ? rv_gpu_source_add(merged->gpu, plan, title, text) : -1;
    rv_gpu_dispatch *dispatch = source < 0 ? NULL : rv_gpu_dispatch_add(merged->gpu, plan);
    if (!dispatch) return merged->gpu->services->fail(error, RV_OUT_OF_MEMORY, "no host memory to prepare a plan for the device");
    dispatch->source = source;
    snprintf(dispatch->kernel, sizeof dispatch->kernel, "%s", name);
    dispatch->buffer_count = merged->buffer_count;
    memcpy(dispatch->buffer, merged->buffers, sizeof dispatch->buffer);
    dispatch->groups = (uint32_t)groups;
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

static rv_status emit_slices(rv_merged *merged, const rv_launch *launches, int64_t first, int64_t last, rv_gpu_plan *plan, rv_error *error) {
    if (merged->count < 2) return merged->count ? rv_gpu_lower_single(merged->gpu, &launches[first], first, plan, error) : RV_OK;
    const int64_t all = rows_of(&launches[first]), rows = slice_rows(merged->gpu, all);
    if (all == 0) return RV_OK;
    rv_gpu_text text = {.gpu = merged->gpu};
    const bool emitted = rv_gpu_emit_slices(&text, "slices", merged->calls, merged->count, merged->buffer_count, rows, all);
    return finish(merged, "slices", emitted, &text, first, last, (all + rows - 1) / rows, plan, error);
}

static void start(rv_merged *merged) { merged->count = merged->buffer_count = merged->range_count = 0; }

static bool joins(rv_merged *merged, const rv_launch *launch, int64_t index) {
    if (merged->count == MAX_CALLS) return false;
    rv_gpu_stages *stages = &merged->stages[merged->count];
    stages->count = 0;
    stages->scratch_bytes = 0;
    const rv_gpu_lowering lowering = rv_gpu_lowering_of(launch->op);
    if (!lowering || !lowering(merged->gpu, launch, true, stages) || stages->count != 1 || stages->scratch_bytes) return false;
    if (!add_call(merged, &stages->stage[0], 0, index)) return false;
    rv_gpu_call *call = &merged->calls[merged->count - 1];
    call->barrier = needs_barrier(merged, call->stage);
    return true;
}

static bool worth_slicing(const rv_gpu *gpu, const rv_launch *launch) {
    return seconds_sliced(gpu, launch, slice_rows(gpu, rows_of(launch))) < seconds_alone(gpu, launch);
}

/* Runs of launches that gain by it become one kernel each; the order stays. */
static rv_status lower_rows(rv_merged *merged, const rv_launch *launches, int64_t first, int64_t last, rv_gpu_plan *plan, rv_error *error) {
    const rv_gpu *gpu = merged->gpu;
    rv_status status = RV_OK;
    int64_t from = first;
    start(merged);
    for (int64_t i = first; i < last && status == RV_OK; i++) {
        const bool worth = worth_slicing(gpu, &launches[i]);
        if (worth && joins(merged, &launches[i], i)) continue;
        status = emit_slices(merged, launches, from, i, plan, error);
        start(merged);
        from = i;
        if (worth && joins(merged, &launches[i], i)) continue; /* the first of a new kernel */
        start(merged);
        if (status == RV_OK) status = rv_gpu_lower_single(gpu, &launches[i], i, plan, error);
        from = i + 1;
    }
    return status == RV_OK ? emit_slices(merged, launches, from, last, plan, error) : status;
}

/* ---- together ------------------------------------------------------------------------------------------------------------- */

static rv_status emit_together(rv_merged *merged, int64_t first, int64_t last, rv_gpu_plan *plan, rv_error *error) {
    int64_t groups = 0;
    for (int i = 0; i < merged->count; i++) groups += rv_gpu_stage_groups(merged->calls[i].stage);
    if (groups == 0) return RV_OK;
    rv_gpu_text text = {.gpu = merged->gpu};
    const bool emitted = rv_gpu_emit_together(&text, "together", merged->calls, merged->count, merged->buffer_count);
    return finish(merged, "together", emitted, &text, first, last, groups, plan, error);
}

/* A function with barriers beside others: not on every device. */
static bool may_join(const rv_merged *merged, rv_gpu_function function) {
    if (!merged->gpu->no_barrier_branches || merged->count == 0) return true;
    const rv_gpu_function last = merged->calls[merged->count - 1].stage->function;
    return last == function || (rv_gpu_functions[last].scratch == 0 && rv_gpu_functions[function].scratch == 0);
}

/* Independent launches: all their first stages at once, then all second ones. [first, last) has at most MAX_CALLS. */
static rv_status lower_together(rv_merged *merged, const rv_launch *launches, int64_t first, int64_t last, rv_gpu_plan *plan, rv_error *error) {
    size_t scratch = 0, base[MAX_CALLS];
    int most = 0;
    for (int64_t i = first; i < last; i++) {
        rv_gpu_stages *stages = &merged->stages[i - first];
        stages->count = 0;
        stages->scratch_bytes = 0;
        const rv_gpu_lowering lowering = rv_gpu_lowering_of(launches[i].op);
        if (!lowering || !lowering(merged->gpu, &launches[i], false, stages)) {
            return merged->gpu->services->fail(error, RV_UNSUPPORTED, "%s: this op has no kernel", launches[i].label);
        }
        base[i - first] = scratch;
        scratch += stages->scratch_bytes;
        most = stages->count > most ? stages->count : most;
    }
    if (scratch > plan->scratch_bytes) plan->scratch_bytes = scratch;
    rv_status status = RV_OK;
    for (int level = 0; level < most && status == RV_OK; level++) {
        start(merged);
        /* by functions, as calls of one function share its code */
        for (int f = 0; f < RV_GPU_FUNCTIONS; f++) {
            for (int64_t i = first; i < last && status == RV_OK; i++) {
                const rv_gpu_stage *stage = &merged->stages[i - first].stage[level];
                if (level >= merged->stages[i - first].count || (int)stage->function != f || rv_gpu_stage_groups(stage) == 0) continue;
                if (may_join(merged, stage->function) && add_call(merged, stage, base[i - first], i)) continue;
                status = emit_together(merged, first, last, plan, error);
                start(merged);
                if (status == RV_OK && !add_call(merged, stage, base[i - first], i)) {
                    status = merged->gpu->services->fail(error, RV_TOO_LARGE, "%s: more than 2^31 - 1 rows, columns or parts; split it", launches[i].label);
                }
            }
        }
        if (status == RV_OK) status = emit_together(merged, first, last, plan, error);
    }
    return status;
}

rv_status rv_gpu_lower_region(const rv_gpu *gpu, const rv_launch *launches, int64_t first, int64_t last, rv_gpu_plan *plan, rv_error *error) {
    rv_merged *merged = gpu->services->resize(gpu->services->user, NULL, sizeof *merged);
    if (!merged) return gpu->services->fail(error, RV_OUT_OF_MEMORY, "no host memory to prepare a plan for the device");
    merged->gpu = gpu;
    rv_status status = RV_OK;
    if (by_rows(&launches[first])) {
        status = lower_rows(merged, launches, first, last, plan, error);
    } else {
        for (int64_t from = first, to; from < last && status == RV_OK; from = to) {
            to = last - from > MAX_CALLS ? from + MAX_CALLS : last;
            status = to - from > 1 ? lower_together(merged, launches, from, to, plan, error)
                                   : rv_gpu_lower_single(gpu, &launches[from], from, plan, error);
        }
    }
    gpu->services->resize(gpu->services->user, merged, 0);
    return status;
}
