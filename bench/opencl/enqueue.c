/* bench/opencl/enqueue.c: what a launch costs the host on OpenCL, by itself.
 *
 *     reverie-bench-enqueue
 *
 * The plan of the course's training step is run on a queue of this program's own, in order, whose first command waits
 * for an event that is set when the clock has stopped: nothing is done on the device meanwhile, by no thread of the
 * driver either. Beside it loops of bare clEnqueueNDRangeKernel, flushed as often, of a kernel with one argument and of
 * one with as many as the plan's merged launches have, which drivers copy whenever one is enqueued.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

/* WARM: runs before the clock starts, as the kernels that PoCL ran last have emptied the host's caches. */
enum { WARM = 5, RUNS = 20, SAMPLES = 51, BUFFERS = 17 };

typedef struct host {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_mem memory;
    cl_kernel one, many; /* arguments */
    int dispatches;      /* of a run */
} host;

typedef struct bare {
    host *host;
    cl_kernel kernel;
} bare;

#define FOUR(n) "__global char *p" n "0, __global char *p" n "1, __global char *p" n "2, __global char *p" n "3, "
static const char *text = "__kernel void one(int x) { x++; }\n"
                          "__kernel void many(" FOUR("0") FOUR("1") FOUR("2") FOUR("3")
                          "__global char *p, int4 x) { x.x++; }\n";

static bool make_kernels(host *h) {
    cl_int code = CL_SUCCESS, x[4] = {0};
    h->memory = clCreateBuffer(h->context, CL_MEM_READ_WRITE, 4096, NULL, &code);
    h->program = clCreateProgramWithSource(h->context, 1, &text, NULL, &code);
    if (!h->program || clBuildProgram(h->program, 1, &h->device, "", NULL, NULL) != CL_SUCCESS) return false;
    h->one = clCreateKernel(h->program, "one", &code);
    h->many = clCreateKernel(h->program, "many", &code);
    bool fine = h->one && h->many && clSetKernelArg(h->one, 0, sizeof *x, x) == CL_SUCCESS;
    for (cl_uint i = 0; i < BUFFERS && fine; i++) {
        fine = clSetKernelArg(h->many, i, sizeof h->memory, &h->memory) == CL_SUCCESS;
    }
    return fine && clSetKernelArg(h->many, BUFFERS, sizeof x, x) == CL_SUCCESS;
}

static bool begin(host *h) {
    cl_platform_id platform;
    cl_int code = CL_SUCCESS;
    if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS) return false;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &h->device, NULL) != CL_SUCCESS) return false;
    h->context = clCreateContext(NULL, 1, &h->device, NULL, NULL, &code);
    if (h->context) h->queue = clCreateCommandQueue(h->context, h->device, 0, &code);
    return h->queue && make_kernels(h);
}

static void end(host *h) {
    if (h->one) clReleaseKernel(h->one);
    if (h->many) clReleaseKernel(h->many);
    if (h->memory) clReleaseMemObject(h->memory);
    if (h->program) clReleaseProgram(h->program);
    if (h->queue) clReleaseCommandQueue(h->queue);
    if (h->context) clReleaseContext(h->context);
}

static bool run_plan(void *plan) { return rv_plan_run(plan) == RV_OK; }

/* As many kernels as the plan has, with groups of the same size, and a flush. */
static bool run_bare(void *user) {
    const bare *b = user;
    const size_t items = 256;
    for (int i = 0; i < b->host->dispatches; i++) {
        const cl_int code = clEnqueueNDRangeKernel(b->host->queue, b->kernel, 1, NULL, &items, &items, 0, NULL, NULL);
        if (code != CL_SUCCESS) return false;
    }
    return clFlush(b->host->queue) == CL_SUCCESS;
}

/* Seconds of a run whose commands all wait; negative: it failed. */
static double enqueue(host *h, bench_work work, void *user) {
    cl_int code;
    cl_event gate = clCreateUserEvent(h->context, &code);
    if (!gate) return -1;
    bool fine = clEnqueueBarrierWithWaitList(h->queue, 1, &gate, NULL) == CL_SUCCESS;
    double start = 0;
    for (int i = -WARM; i < RUNS && fine; i++) {
        if (i == 0) start = bench_now();
        fine = work(user);
    }
    const double seconds = (bench_now() - start) / RUNS;
    fine = clSetUserEventStatus(gate, CL_COMPLETE) == CL_SUCCESS && fine;
    fine = clFinish(h->queue) == CL_SUCCESS && fine;
    clReleaseEvent(gate);
    return fine ? seconds : -1;
}

static bool report(host *h, const char *name, bench_work work, void *user) {
    double sample[SAMPLES];
    for (int i = -5; i < SAMPLES; i++) {
        const double seconds = enqueue(h, work, user);
        if (seconds < 0) return false;
        if (i >= 0) sample[i] = 1e6 * seconds / h->dispatches;
    }
    const double median = bench_percentile(sample, SAMPLES, 0.5), p10 = bench_percentile(sample, SAMPLES, 0.1),
                 p90 = bench_percentile(sample, SAMPLES, 0.9);
    printf("%-24s %10d %10.3f %10.3f %10.3f\n", name, h->dispatches, median, p10, p90);
    return true;
}

static int find_workload(const char *name) {
    int i = bench_workload_count() - 1;
    while (i >= 0 && strcmp(bench_workload_name(i), name) != 0) i--;
    return i;
}

static bool measure(host *h, rv_device *device) {
    const char *const name = "train_step/course";
    bench_workload *workload = bench_workload_create(find_workload(name), device);
    bool fine = workload && !workload->error[0] && bench_workload_run(workload);
    if (fine) {
        h->dispatches = (int)workload->dispatches;
        printf("%s\n", rv_device_description(device));
        printf("%-24s %10s %10s %10s %10s\n", "us a launch, host", "launches", "median", "p10", "p90");
        bare one = {h, h->one}, many = {h, h->many};
        fine = report(h, name, run_plan, workload->plan) && report(h, "bare, one argument", run_bare, &one) &&
               report(h, "bare, 18 arguments", run_bare, &many);
    }
    if (!fine) fprintf(stderr, "%s: %s\n", name, workload ? workload->error : "out of memory");
    bench_workload_destroy(workload);
    return fine;
}

int main(void) {
    host h = {.device = NULL};
    rv_device *device = NULL;
    if (!begin(&h)) {
        fprintf(stderr, "no OpenCL device that this can be measured on\n");
        end(&h);
        return h.device ? 1 : 77; /* ctest's sign of a test that is skipped */
    }
    const rv_native native = {.size = sizeof native, .context = h.context, .queue = h.queue, .device = h.device};
    const rv_device_options options = {.size = sizeof options, .native = &native};
    bool fine = rv_device_open("opencl", &options, &device) == RV_OK;
    if (!fine) fprintf(stderr, "%s\n", rv_device_message(device));
    fine = fine && measure(&h, device);
    rv_device_close(device);
    end(&h);
    return fine ? 0 : 1;
}
