/* backends/cuda/program.c: a list of launches as kernels and products, recorded once and replayed with one call.
 *
 * prepare lowers the list with regions merged and captures it as a graph; a whole run is one cuGraphLaunch. Runs of
 * single launches (profile, check:) use a second lowering, launch by launch, that is made when first asked for.
 */
#include "backends/cuda/cuda.h"

#include <string.h>

/* A lowering that is ready to be enqueued. */
typedef struct rv_cuda_list {
    rv_gpu_plan plan;
    rv_cuda_module **module; /* by source; NULL where cuBLAS does all of it */
    CUfunction *function;    /* by dispatch; NULL: cuBLAS */
    CUdeviceptr scratch, table;
} rv_cuda_list;

struct rv_program {
    rv_launch *launches;
    int64_t count;
    rv_cuda_list merged, apart;
    bool has_apart;
    CUgraphExec graph; /* of merged; NULL where there is nothing to do */
};

/* ---- building ------------------------------------------------------------------------------------------- */

static void free_list(rv_cuda *cuda, rv_cuda_list *list) {
    for (int i = 0; list->module && i < list->plan.source_count; i++) rv_cuda_module_put(cuda, list->module[i]);
    if (list->scratch) cuda->driver.cuMemFree_v2(list->scratch);
    if (list->table) cuda->driver.cuMemFree_v2(list->table);
    rv_cuda_host_free(&cuda->services, list->module);
    rv_cuda_host_free(&cuda->services, list->function);
    rv_gpu_plan_free(&cuda->gpu, &list->plan);
    *list = (rv_cuda_list){0};
}

static rv_status find_kernel(rv_cuda *cuda, rv_cuda_list *list, int64_t index, rv_error *error) {
    const rv_gpu_dispatch *dispatch = &list->plan.dispatch[index];
    rv_cuda_module **module = &list->module[dispatch->source];
    bool library;
    rv_status status = rv_cuda_blas_takes(cuda, &dispatch->gemm, &library, error);
    if (status != RV_OK || library) return status;
    if (!*module) status = rv_cuda_module_get(cuda, &list->plan.source[dispatch->source], error, module);
    if (status != RV_OK) return status;
    return RV_CUDA_CALL(cuda, error, cuModuleGetFunction, &list->function[index], (*module)->module, dispatch->kernel);
}

static rv_status copy_table(rv_cuda *cuda, rv_cuda_list *list, rv_error *error) {
    const size_t bytes = (size_t)list->plan.entry_count * sizeof *list->plan.table;
    if (bytes == 0) return RV_OK;
    rv_status status = rv_cuda_memory(cuda, bytes, &list->table, error);
    /* the table outlives the copy, which a run on the same stream waits for */
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuMemcpyHtoDAsync_v2, list->table, list->plan.table, bytes, cuda->stream);
    return status;
}

static rv_status build_list(rv_cuda *cuda, const rv_launch *launches, int64_t count, bool merge, rv_cuda_list *list, rv_error *error) {
    rv_status status = rv_gpu_lower(&cuda->gpu, launches, count, merge, &list->plan, error);
    if (status != RV_OK) return status;
    list->module = rv_cuda_host(&cuda->services, (size_t)list->plan.source_count, sizeof *list->module);
    list->function = rv_cuda_host(&cuda->services, (size_t)list->plan.dispatch_count, sizeof *list->function);
    if (!list->module || !list->function) {
        status = cuda->services.fail(error, RV_OUT_OF_MEMORY, "cuda:%d: no host memory for a program", cuda->ordinal);
    }
    if (status == RV_OK && list->plan.scratch_bytes) status = rv_cuda_memory(cuda, list->plan.scratch_bytes, &list->scratch, error);
    if (status == RV_OK) status = copy_table(cuda, list, error);
    for (int64_t i = 0; i < list->plan.dispatch_count && status == RV_OK; i++) status = find_kernel(cuda, list, i, error);
    if (status != RV_OK) free_list(cuda, list);
    return status;
}

/* ---- enqueueing ------------------------------------------------------------------------------------------- */

static CUdeviceptr memory_of(const rv_cuda_list *list, const rv_buffer *buffer) {
    if (buffer == RV_GPU_SCRATCH) return list->scratch;
    if (buffer == RV_GPU_TABLE) return list->table;
    return buffer ? buffer->memory : 0;
}

static rv_status enqueue(rv_cuda *cuda, const rv_cuda_list *list, int64_t index, CUstream stream, rv_error *error) {
    rv_gpu_dispatch *dispatch = &list->plan.dispatch[index];
    if (!list->function[index]) return rv_cuda_blas_run(cuda, &dispatch->gemm, list->scratch, error);
    CUdeviceptr memory[RV_GPU_MAX_BUFFERS + 1];
    void *argument[RV_GPU_MAX_BUFFERS + 2];
    for (int i = 0; i < dispatch->buffer_count; i++) {
        memory[i] = memory_of(list, dispatch->buffer[i]);
        argument[i] = &memory[i];
    }
    argument[dispatch->buffer_count] = dispatch->batched ? (void *)&dispatch->batch : &dispatch->args;
    return RV_CUDA_CALL(cuda, error, cuLaunchKernel, list->function[index], dispatch->groups, 1, 1, RV_LANES, 1, 1, 0, stream,
                        argument, NULL);
}

/* Dispatches that belong to launches [first, last). */
static rv_status enqueue_launches(rv_cuda *cuda, const rv_cuda_list *list, int64_t first, int64_t last, CUstream stream,
                                  rv_error *error) {
    rv_status status = rv_cuda_blas_stream(cuda, stream, error);
    for (int64_t i = 0; i < list->plan.dispatch_count && status == RV_OK; i++) {
        const int64_t launch = list->plan.dispatch[i].first;
        if (launch >= first && launch < last) status = enqueue(cuda, list, i, stream, error);
    }
    return status;
}

/* ---- capturing ---------------------------------------------------------------------------------------------- */

/* Relaxed: nobody else knows this stream, and libraries may load their code while we record. */
static rv_status record(rv_cuda *cuda, rv_program *program, CUgraph *graph, rv_error *error) {
    *graph = NULL;
    rv_status status = RV_CUDA_CALL(cuda, error, cuStreamBeginCapture_v2, cuda->capture, RV_CU_CAPTURE_RELAXED);
    if (status != RV_OK) return status;
    status = enqueue_launches(cuda, &program->merged, 0, program->count, cuda->capture, error);
    const rv_cu_result ended = cuda->driver.cuStreamEndCapture(cuda->capture, graph); /* also after a failure */
    return status == RV_OK ? rv_cuda_check(cuda, ended, "cuStreamEndCapture", error) : status;
}

static rv_status capture(rv_cuda *cuda, rv_program *program, rv_error *error) {
    if (program->merged.plan.dispatch_count == 0) return RV_OK;
    CUgraph graph;
    rv_status status = record(cuda, program, &graph, error);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuGraphInstantiateWithFlags, &program->graph, graph, 0);
    if (graph) cuda->driver.cuGraphDestroy(graph);
    if (status == RV_OK) status = RV_CUDA_CALL(cuda, error, cuGraphUpload, program->graph, cuda->stream);
    return status;
}

/* ---- the table's functions ------------------------------------------------------------------------------------ */

static rv_status build(rv_cuda *cuda, rv_program *program, const rv_launch *launches, rv_error *error) {
    program->launches = rv_cuda_host(&cuda->services, (size_t)program->count, sizeof *launches);
    if (!program->launches) {
        return cuda->services.fail(error, RV_OUT_OF_MEMORY, "cuda:%d: no host memory for a program of %lld launches", cuda->ordinal,
                                   (long long)program->count);
    }
    if (program->count) memcpy(program->launches, launches, (size_t)program->count * sizeof *launches);
    const rv_status status = build_list(cuda, program->launches, program->count, true, &program->merged, error);
    return status == RV_OK ? capture(cuda, program, error) : status;
}

rv_status rv_cuda_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **out) {
    rv_cuda *cuda = state;
    *out = NULL;
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    rv_program *program = rv_cuda_host(&cuda->services, 1, sizeof *program);
    if (program) {
        program->count = count;
        status = build(cuda, program, launches, error);
    } else {
        status = cuda->services.fail(error, RV_OUT_OF_MEMORY, "cuda:%d: no host memory for a program", cuda->ordinal);
    }
    rv_cuda_leave(cuda);
    if (status == RV_OK) *out = program;
    else rv_cuda_release_program(cuda, program);
    return status;
}

static rv_status run_apart(rv_cuda *cuda, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    if (!program->has_apart) {
        const rv_status status = build_list(cuda, program->launches, program->count, false, &program->apart, error);
        if (status != RV_OK) return status;
        program->has_apart = true;
    }
    return enqueue_launches(cuda, &program->apart, first, first + count, cuda->stream, error);
}

rv_status rv_cuda_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    rv_cuda *cuda = state;
    rv_status status = rv_cuda_enter(cuda, error);
    if (status != RV_OK) return status;
    if (first != 0 || count != program->count) status = run_apart(cuda, program, first, count, error);
    else if (program->graph) status = RV_CUDA_CALL(cuda, error, cuGraphLaunch, program->graph, cuda->stream);
    rv_cuda_leave(cuda);
    return status;
}

void rv_cuda_release_program(void *state, rv_program *program) {
    rv_cuda *cuda = state;
    if (!program) return;
    const bool entered = rv_cuda_enter_quietly(cuda);
    if (program->graph) cuda->driver.cuGraphExecDestroy(program->graph);
    free_list(cuda, &program->merged);
    free_list(cuda, &program->apart);
    if (entered) rv_cuda_leave(cuda);
    rv_cuda_host_free(&cuda->services, program->launches);
    rv_cuda_host_free(&cuda->services, program);
}

int64_t rv_cuda_dispatches(void *state, const rv_program *program) {
    (void)state;
    return program->merged.plan.dispatch_count;
}
