/* backends/opencl/run.c: programs: one prepared kernel a dispatch, all arguments set once, enqueued in order.
 *
 * A whole run is the merged list. Part of one (a profile, check:, a frozen plan) needs a list in which every launch has
 * dispatches of its own; where nothing was merged that is the same list, else it is made when first asked for.
 */
#include <stdio.h>
#include <string.h>

#include "backends/opencl/opencl.h"

typedef struct rv_step {
    cl_kernel kernel; /* NULL: the product is CLBlast's */
    size_t items;
    int64_t first, count; /* launches */
    rv_gpu_gemm gemm;
} rv_step;

typedef struct rv_steps {
    rv_step *step;
    int64_t count;
    cl_mem scratch;   /* our kernels' */
    cl_mem table;     /* the plan's */
    cl_mem temporary; /* CLBlast's; one serves all, as they run one by one */
    bool merged;      /* a step may stand for several launches */
    bool ready;
} rv_steps;

struct rv_program {
    rv_steps whole, single;
    int64_t count;
    rv_launch launch[];
};

/* ---- one step ------------------------------------------------------------------------------------------- */

static cl_mem memory_of(const rv_steps *steps, const rv_buffer *buffer) {
    if (buffer == RV_GPU_SCRATCH) return steps->scratch;
    if (buffer == RV_GPU_TABLE) return steps->table;
    return buffer ? buffer->memory : NULL;
}

static rv_status set_arguments(rv_opencl *cl, const rv_gpu_dispatch *dispatch, const rv_steps *steps, cl_kernel kernel, rv_error *error) {
    cl_int code = CL_SUCCESS;
    cl_uint at = 0;
    for (; (int)at < dispatch->buffer_count && code == CL_SUCCESS; at++) {
        const cl_mem memory = memory_of(steps, dispatch->buffer[at]);
        code = clSetKernelArg(kernel, at, sizeof memory, &memory);
    }
    const size_t bytes = dispatch->batched ? sizeof dispatch->batch : sizeof dispatch->args;
    const void *const last = dispatch->batched ? (const void *)&dispatch->batch : &dispatch->args;
    if (code == CL_SUCCESS) code = clSetKernelArg(kernel, at, bytes, last);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, dispatch->kernel, error);
}

/* A kernel that needs too many registers runs with fewer work-items than the device can. */
static rv_status check_group(rv_opencl *cl, cl_kernel kernel, const char *name, rv_error *error) {
    size_t most = 0;
    const cl_int code = clGetKernelWorkGroupInfo(kernel, cl->device, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, name, error);
    if (most >= RV_LANES) return RV_OK;
    return cl->services.fail(error, RV_UNSUPPORTED, "opencl: kernel %s runs with at most %zu work-items on this device; it needs %d",
                             name, most, RV_LANES);
}

static rv_status make_kernel(rv_opencl *cl, const rv_gpu_plan *plan, const rv_gpu_dispatch *dispatch, const rv_steps *steps, rv_step *step,
                             rv_error *error) {
    cl_program program;
    rv_status status = rv_opencl_build(cl, &plan->source[dispatch->source], &program, error);
    if (status != RV_OK) return status;
    cl_int code;
    cl_kernel kernel = clCreateKernel(program, dispatch->kernel, &code);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, dispatch->kernel, error);
    step->kernel = kernel;
    step->items = (size_t)dispatch->groups * RV_LANES;
    status = check_group(cl, kernel, dispatch->kernel, error);
    return status == RV_OK ? set_arguments(cl, dispatch, steps, kernel, error) : status;
}

/* ---- a list ------------------------------------------------------------------------------------------------ */

static void release_steps(rv_opencl *cl, rv_steps *steps) {
    for (int64_t i = 0; i < steps->count; i++) {
        if (steps->step[i].kernel) clReleaseKernel(steps->step[i].kernel);
    }
    if (steps->step) cl->services.resize(cl->services.user, steps->step, 0);
    if (steps->scratch) clReleaseMemObject(steps->scratch);
    if (steps->table) clReleaseMemObject(steps->table);
    if (steps->temporary) clReleaseMemObject(steps->temporary);
    *steps = (rv_steps){.count = 0};
}

static rv_status new_steps(rv_opencl *cl, int64_t count, rv_steps *steps, rv_error *error) {
    size_t bytes;
    *steps = (rv_steps){.count = 0};
    if (__builtin_mul_overflow((size_t)count, sizeof *steps->step, &bytes))
        return cl->services.fail(error, RV_TOO_LARGE, "opencl: %lld dispatches are too many", (long long)count);
    steps->step = cl->services.resize(cl->services.user, NULL, bytes + 1);
    return steps->step ? RV_OK : cl->services.fail(error, RV_OUT_OF_MEMORY, "opencl: no host memory for a program");
}

/* One step a dispatch; *temporary grows to what CLBlast needs. */
static rv_status add_step(rv_opencl *cl, const rv_gpu_plan *plan, const rv_gpu_dispatch *dispatch, rv_steps *steps, size_t *temporary,
                          rv_error *error) {
    rv_step *step = &steps->step[steps->count++];
    *step = (rv_step){.first = dispatch->first, .count = dispatch->count, .gemm = dispatch->gemm};
    steps->merged = steps->merged || dispatch->count > 1;
    if (!dispatch->gemm.valid || !cl->clblast.library) return make_kernel(cl, plan, dispatch, steps, step, error);
    size_t bytes = 0;
    const cl_int code = rv_clblast_temporary(&cl->clblast, &dispatch->gemm, cl->queue, &bytes);
    if (code != CL_SUCCESS) return rv_opencl_error(cl, code, "asking CLBlast for its memory", error);
    if (bytes > *temporary) *temporary = bytes;
    return RV_OK;
}

static rv_status copy_table(rv_opencl *cl, const rv_gpu_plan *plan, rv_steps *steps, rv_error *error) {
    const size_t bytes = (size_t)plan->entry_count * sizeof *plan->table;
    if (bytes == 0) return RV_OK;
    const rv_status status = rv_opencl_memory(cl, bytes, error, &steps->table);
    if (status != RV_OK) return status;
    const cl_int code = clEnqueueWriteBuffer(cl->queue, steps->table, CL_TRUE, 0, bytes, plan->table, 0, NULL, NULL);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, "copying a plan's table", error);
}

static rv_status fill_steps(rv_opencl *cl, const rv_gpu_plan *plan, rv_steps *steps, rv_error *error) {
    size_t temporary = 0;
    rv_status status = new_steps(cl, plan->dispatch_count, steps, error);
    if (status == RV_OK && plan->scratch_bytes > 0) status = rv_opencl_memory(cl, plan->scratch_bytes, error, &steps->scratch);
    if (status == RV_OK) status = copy_table(cl, plan, steps, error);
    for (int64_t i = 0; i < plan->dispatch_count && status == RV_OK; i++)
        status = add_step(cl, plan, &plan->dispatch[i], steps, &temporary, error);
    if (status == RV_OK && temporary > 0) status = rv_opencl_memory(cl, temporary, error, &steps->temporary);
    return status;
}

static rv_status make_steps(rv_opencl *cl, const rv_program *program, bool merge, rv_steps *steps, rv_error *error) {
    rv_gpu_plan plan;
    rv_status status = rv_gpu_lower(&cl->gpu, program->launch, program->count, merge, &plan, error);
    if (status != RV_OK) return status;
    status = fill_steps(cl, &plan, steps, error);
    rv_gpu_plan_free(&cl->gpu, &plan);
    steps->ready = status == RV_OK;
    if (status != RV_OK) release_steps(cl, steps);
    return status;
}

/* ---- programs ------------------------------------------------------------------------------------------------ */

rv_status rv_opencl_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program) {
    rv_opencl *cl = state;
    size_t bytes;
    *program = NULL;
    rv_status status = rv_opencl_alive(cl, error);
    if (status != RV_OK) return status;
    if (__builtin_mul_overflow((size_t)count, sizeof *launches, &bytes) || __builtin_add_overflow(bytes, sizeof **program, &bytes))
        return cl->services.fail(error, RV_TOO_LARGE, "opencl: %lld launches are too many", (long long)count);
    rv_program *made = cl->services.resize(cl->services.user, NULL, bytes);
    if (!made) return cl->services.fail(error, RV_OUT_OF_MEMORY, "opencl: no host memory for a program");
    *made = (rv_program){.count = count};
    if (count > 0) memcpy(made->launch, launches, (size_t)count * sizeof *launches);
    status = make_steps(cl, made, true, &made->whole, error);
    if (status == RV_OK) *program = made;
    else rv_opencl_release_program(cl, made);
    return status;
}

void rv_opencl_release_program(void *state, rv_program *program) {
    rv_opencl *cl = state;
    if (!program) return;
    release_steps(cl, &program->whole);
    release_steps(cl, &program->single);
    cl->services.resize(cl->services.user, program, 0);
}

int64_t rv_opencl_dispatches(void *state, const rv_program *program) {
    (void)state;
    return program->whole.count;
}

static rv_status enqueue(rv_opencl *cl, const rv_steps *steps, const rv_step *step, rv_error *error) {
    static const size_t lanes = RV_LANES;
    const cl_int code = step->kernel
                            ? clEnqueueNDRangeKernel(cl->queue, step->kernel, 1, NULL, &step->items, &lanes, 0, NULL, NULL)
                            : rv_clblast_enqueue(&cl->clblast, &step->gemm, cl->queue, steps->temporary);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, "running a kernel", error);
}

/* The list that has a dispatch for each launch. */
static rv_status single_steps(rv_opencl *cl, rv_program *program, const rv_steps **steps, rv_error *error) {
    rv_steps *list = program->whole.merged ? &program->single : &program->whole;
    *steps = list;
    return list->ready ? RV_OK : make_steps(cl, program, false, list, error);
}

rv_status rv_opencl_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error) {
    rv_opencl *cl = state;
    const bool whole = first == 0 && count == program->count;
    const rv_steps *steps = &program->whole;
    rv_status status = rv_opencl_alive(cl, error);
    if (status == RV_OK && !whole) status = single_steps(cl, program, &steps, error);
    for (int64_t i = 0; i < steps->count && status == RV_OK; i++) {
        const rv_step *step = &steps->step[i];
        if (whole || (step->first >= first && step->first < first + count)) status = enqueue(cl, steps, step, error);
    }
    if (status != RV_OK) return status;
    /* most drivers hold work back until they are told, and nothing else tells them before the next wait */
    const cl_int code = clFlush(cl->queue);
    return code == CL_SUCCESS ? RV_OK : rv_opencl_error(cl, code, "handing work to the device", error);
}
