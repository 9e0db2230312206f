/* backends/gpu/lower.c: launches become stages, stages become dispatches. */
#include "backends/gpu/lowerings.h"

#include <limits.h>
#include <string.h>

const char rv_gpu_scratch_mark, rv_gpu_table_mark;

/* ---- stages ------------------------------------------------------------------------------------------------ */

rv_gpu_stage *rv_gpu_stage_add(rv_gpu_stages *stages, const rv_launch *launch, rv_gpu_function function) {
    rv_gpu_stage *stage = &stages->stage[stages->count++];
    *stage = (rv_gpu_stage){.function = function, .attributes = launch->attributes};
    for (int k = 0; k < launch->input_count; k++) stage->in[k] = launch->input[k];
    for (int k = launch->output_count; k-- > 0;) {
        stage->out[k] = launch->output[k];
        if (!launch->output[k].buffer) continue;
        stage->rows = launch->output[k].rows;
        stage->cols = launch->output[k].cols;
    }
    return stage;
}

rv_operand rv_gpu_scratch(rv_gpu_stages *stages, rv_dtype dtype, int64_t rows, int64_t cols) {
    const rv_operand operand = {.buffer = RV_GPU_SCRATCH, .offset = stages->scratch_bytes / 4, .rows = rows, .cols = cols, .stride = cols, .dtype = dtype};
    stages->scratch_bytes += (size_t)(4 * rows * cols + 255) / 256 * 256;
    return operand;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* One row of all elements: every operand has them without gaps, or is a single number. */
static bool is_flat(const rv_gpu_stage *stage, const rv_operand *operand) {
    if (!operand->buffer || (operand->rows == 1 && operand->cols == 1)) return true;
    return operand->rows == stage->rows && operand->cols == stage->cols && operand->stride == operand->cols;
}

static bool flatten(rv_gpu_stage *stage) {
    const int64_t count = stage->rows * stage->cols;
    if (stage->rows < 2 || count > INT_MAX) return false;
    rv_operand *const lists[2] = {stage->in, stage->out};
    const int counts[2] = {RV_GPU_INPUTS, RV_GPU_OUTPUTS};
    for (int l = 0; l < 2; l++) {
        for (int k = 0; k < counts[l]; k++) {
            if (!is_flat(stage, &lists[l][k])) return false;
        }
    }
    for (int l = 0; l < 2; l++) {
        for (int k = 0; k < counts[l]; k++) {
            rv_operand *operand = &lists[l][k];
            if (!operand->buffer || (operand->rows == 1 && operand->cols == 1)) continue;
            operand->rows = 1;
            operand->cols = operand->stride = count;
        }
    }
    stage->rows = 1;
    stage->cols = count;
    return true;
}

void rv_gpu_grid_elements(rv_gpu_stage *stage, bool slices) {
    stage->part_cols = stage->cols;
    stage->part_rows = 1;
    if (slices) return;
    flatten(stage);
    stage->part_cols = most(least(stage->cols, RV_GPU_PART_ELEMENTS), 1);
    stage->part_rows = most(least(stage->rows, RV_GPU_PART_ELEMENTS / stage->part_cols), 1);
}

void rv_gpu_grid_rows(rv_gpu_stage *stage, int64_t rows) { rv_gpu_grid_tiles(stage, rows, stage->cols); }
void rv_gpu_grid_one(rv_gpu_stage *stage) { rv_gpu_grid_tiles(stage, stage->rows, stage->cols); }

void rv_gpu_grid_tiles(rv_gpu_stage *stage, int64_t rows, int64_t cols) {
    stage->part_rows = most(rows, 1);
    stage->part_cols = most(cols, 1);
}

int64_t rv_gpu_team_rows(int64_t cols) {
    int64_t size = 1;
    while (size < 64 && size * 4 < cols) size *= 2;
    return RV_LANES / size;
}

bool rv_gpu_lower_by_elements(const rv_launch *launch, bool slices, rv_gpu_stages *stages, rv_gpu_function function) {
    rv_gpu_grid_elements(rv_gpu_stage_add(stages, launch, function), slices);
    return true;
}

bool rv_gpu_lower_by_teams(const rv_launch *launch, rv_gpu_stages *stages, rv_gpu_function function) {
    rv_gpu_grid_rows(rv_gpu_stage_add(stages, launch, function), rv_gpu_team_rows(launch->input[0].cols));
    return true;
}

int64_t rv_gpu_stage_groups(const rv_gpu_stage *stage) {
    const int64_t down = (stage->rows + stage->part_rows - 1) / stage->part_rows;
    const int64_t across = (stage->cols + stage->part_cols - 1) / stage->part_cols;
    return down * across;
}

/* ---- arguments ------------------------------------------------------------------------------------------------ */

static bool view_of(const rv_operand *operand, size_t scratch_base, rv_view *view) {
    *view = (rv_view){.rows = -1};
    if (!operand->buffer) return true;
    if (operand->rows > INT_MAX || operand->cols > INT_MAX || operand->stride > INT_MAX) return false;
    *view = (rv_view){.at = (INDEX)operand->offset,
                      .rows = (int)operand->rows,
                      .cols = (int)operand->cols,
                      .stride = operand->rows == 1 ? 0 : (int)operand->stride,
                      .step = operand->cols == 1 ? 0 : 1,
                      .type = (int)operand->dtype};
    if (operand->buffer == RV_GPU_SCRATCH) view->at += (INDEX)(scratch_base / 4);
    return true;
}

bool rv_gpu_args_of(const rv_gpu_stage *stage, size_t scratch_base, rv_args *args) {
    memset(args, 0, sizeof *args);
    bool fits = stage->rows <= INT_MAX && stage->cols <= INT_MAX && rv_gpu_stage_groups(stage) <= INT_MAX;
    for (int k = 0; k < RV_GPU_INPUTS; k++) fits = view_of(&stage->in[k], scratch_base, &args->in[k]) && fits;
    for (int k = 0; k < RV_GPU_OUTPUTS; k++) fits = view_of(&stage->out[k], scratch_base, &args->out[k]) && fits;
    memcpy(args->f, stage->attributes.f, sizeof args->f);
    memcpy(args->i, stage->attributes.i, sizeof args->i);
    args->stream = stage->attributes.stream;
    args->t = stage->attributes.t;
    args->rows = (int)stage->rows;
    args->cols = (int)stage->cols;
    args->part_rows = (int)least(stage->part_rows, INT_MAX);
    args->part_cols = (int)least(stage->part_cols, INT_MAX);
    args->col_parts = (int)((stage->cols + stage->part_cols - 1) / stage->part_cols);
    memcpy(args->extra, stage->extra, sizeof args->extra);
    return fits;
}

/* ---- dispatches ------------------------------------------------------------------------------------------------- */

static void *grow(const rv_gpu *gpu, void *list, int64_t count, int64_t *capacity, size_t size) {
    if (count < *capacity) return list;
    const int64_t more = *capacity ? 2 * *capacity : 16;
    void *grown = gpu->services->resize(gpu->services->user, list, (size_t)more * size);
    if (grown) *capacity = more;
    return grown;
}

rv_gpu_dispatch *rv_gpu_dispatch_add(const rv_gpu *gpu, rv_gpu_plan *plan) {
    rv_gpu_dispatch *list = grow(gpu, plan->dispatch, plan->dispatch_count, &plan->dispatch_capacity, sizeof *list);
    if (!list) return NULL;
    plan->dispatch = list;
    rv_gpu_dispatch *dispatch = &list[plan->dispatch_count++];
    memset(dispatch, 0, sizeof *dispatch);
    return dispatch;
}

rv_entry *rv_gpu_entry_add(const rv_gpu *gpu, rv_gpu_plan *plan) {
    rv_entry *list = grow(gpu, plan->table, plan->entry_count, &plan->entry_capacity, sizeof *list);
    if (!list) return NULL;
    plan->table = list;
    memset(&list[plan->entry_count], 0, sizeof *list);
    return &list[plan->entry_count++];
}

int rv_gpu_source_add(const rv_gpu *gpu, rv_gpu_plan *plan, const char *name, rv_gpu_text *text) {
    int index = text->failed ? -1 : 0;
    for (; index >= 0 && index < plan->source_count; index++) {
        if (plan->source[index].length == text->length && memcmp(plan->source[index].text, text->text, text->length) == 0) break;
    }
    if (index == plan->source_count) {
        int64_t capacity = plan->source_capacity;
        rv_gpu_source *list = grow(gpu, plan->source, plan->source_count, &capacity, sizeof *list);
        if (list) {
            plan->source = list;
            plan->source_capacity = (int)capacity;
            rv_gpu_source *source = &list[plan->source_count++];
            *source = (rv_gpu_source){.text = text->text, .length = text->length};
            strncpy(source->name, name, sizeof source->name - 1);
            *text = (rv_gpu_text){.gpu = gpu};
            return index;
        }
        index = -1;
    }
    gpu->services->resize(gpu->services->user, text->text, 0);
    *text = (rv_gpu_text){.gpu = gpu};
    return index;
}

static rv_status no_memory(const rv_gpu *gpu, rv_error *error) {
    return gpu->services->fail(error, RV_OUT_OF_MEMORY, "no host memory to prepare a plan for the device");
}

static rv_status add_stage(const rv_gpu *gpu, const rv_gpu_stage *stage, const rv_launch *launch, int64_t index, rv_gpu_plan *plan,
                           rv_error *error) {
    if (rv_gpu_stage_groups(stage) == 0) return RV_OK; /* nothing to do */
    const rv_gpu_function_info *info = &rv_gpu_functions[stage->function];
    const int source = rv_gpu_source_family(gpu, plan, info->family);
    rv_gpu_dispatch *dispatch = source < 0 ? NULL : rv_gpu_dispatch_add(gpu, plan);
    if (!dispatch) return no_memory(gpu, error);
    dispatch->source = source;
    dispatch->first = index;
    dispatch->count = 1;
    dispatch->gemm = stage->gemm;
    dispatch->kernel[0] = 0;
    strncat(dispatch->kernel, "op_", sizeof dispatch->kernel - 1);
    strncat(dispatch->kernel, info->name, sizeof dispatch->kernel - 4);
    for (int k = 0; k < info->inputs; k++) dispatch->buffer[dispatch->buffer_count++] = stage->in[k].buffer;
    for (int k = 0; k < info->outputs; k++) dispatch->buffer[dispatch->buffer_count++] = stage->out[k].buffer;
    if (!rv_gpu_args_of(stage, 0, &dispatch->args)) {
        return gpu->services->fail(error, RV_TOO_LARGE, "%s: more than 2^31 - 1 rows, columns or parts; split it", launch->label);
    }
    dispatch->groups = (uint32_t)rv_gpu_stage_groups(stage);
    return RV_OK;
}

rv_status rv_gpu_lower_single(const rv_gpu *gpu, const rv_launch *launch, int64_t index, rv_gpu_plan *plan, rv_error *error) {
    rv_gpu_stages stages = {.count = 0};
    const rv_gpu_lowering lowering = rv_gpu_lowering_of(launch->op);
    if (!lowering || !lowering(gpu, launch, false, &stages)) {
        return gpu->services->fail(error, RV_UNSUPPORTED, "%s: this op has no kernel", launch->label);
    }
    if (stages.scratch_bytes > plan->scratch_bytes) plan->scratch_bytes = stages.scratch_bytes;
    rv_status status = RV_OK;
    for (int s = 0; s < stages.count && status == RV_OK; s++) status = add_stage(gpu, &stages.stage[s], launch, index, plan, error);
    return status;
}

rv_status rv_gpu_lower(const rv_gpu *gpu, const rv_launch *launches, int64_t count, bool merge, rv_gpu_plan *plan, rv_error *error) {
    *plan = (rv_gpu_plan){.dispatch = NULL};
    rv_status status = RV_OK;
    for (int64_t first = 0, last; first < count && status == RV_OK; first = last) {
        for (last = first + 1; merge && last < count && launches[last].region == launches[first].region;) last++;
        status = last - first > 1 ? rv_gpu_lower_region(gpu, launches, first, last, plan, error)
                                  : rv_gpu_lower_single(gpu, &launches[first], first, plan, error);
    }
    if (status != RV_OK) rv_gpu_plan_free(gpu, plan);
    return status;
}

void rv_gpu_plan_free(const rv_gpu *gpu, rv_gpu_plan *plan) {
    const rv_services *services = gpu->services;
    for (int i = 0; i < plan->source_count; i++) services->resize(services->user, plan->source[i].text, 0);
    services->resize(services->user, plan->source, 0);
    services->resize(services->user, plan->dispatch, 0);
    services->resize(services->user, plan->table, 0);
    *plan = (rv_gpu_plan){.dispatch = NULL};
}
