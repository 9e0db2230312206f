/* OpenCL: a device on the host program's own context and queue, and memory that both use. */
#include "tests/support/suite.h"

#include <stdio.h>
#include <string.h>

#include "reverie/ops.h"
#include "reverie/plan.h"
#include "tests/opencl/calls.h"

enum { ROWS = 37, COLS = 5, COUNT = ROWS * COLS };

static bool absent; /* no OpenCL device here: every test is skipped */

#define NEEDS_A_DEVICE \
    if (absent) skip()

static void fill_x(float *x) {
    for (int i = 0; i < COUNT; i++) x[i] = 0.01f * (float)(i - COUNT / 2);
}

/* ---- the host program's side ------------------------------------------------------------------------------ */

typedef struct host {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel twice; /* x[i] *= 2 */
} host;

static void host_begin(host *h) {
    cl_platform_id platform;
    cl_int code;
    const char *text = "__kernel void twice(__global float *x) { x[get_global_id(0)] *= 2.0f; }";
    *h = (host){.device = NULL};
    assert_int_equal(clGetPlatformIDs(1, &platform, NULL), CL_SUCCESS);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &h->device, NULL), CL_SUCCESS);
    h->context = clCreateContext(NULL, 1, &h->device, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    h->queue = clCreateCommandQueue(h->context, h->device, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    h->program = clCreateProgramWithSource(h->context, 1, &text, NULL, &code);
    assert_int_equal(clBuildProgram(h->program, 1, &h->device, "", NULL, NULL), CL_SUCCESS);
    h->twice = clCreateKernel(h->program, "twice", &code);
    assert_int_equal(code, CL_SUCCESS);
}

static void host_double(const host *h, cl_mem memory) {
    const size_t items = COUNT;
    assert_int_equal(clSetKernelArg(h->twice, 0, sizeof memory, &memory), CL_SUCCESS);
    assert_int_equal(clEnqueueNDRangeKernel(h->queue, h->twice, 1, NULL, &items, NULL, 0, NULL, NULL), CL_SUCCESS);
}

static void host_end(host *h) {
    clReleaseKernel(h->twice);
    clReleaseProgram(h->program);
    clReleaseCommandQueue(h->queue);
    clReleaseContext(h->context);
    assert_int_equal(rv_calls_live, 0);
}

/* ---- sharing ----------------------------------------------------------------------------------------------- */

/* The host program's kernel, our plan, its kernel again: on its queue, in that order, nobody waits. */
static void memory_is_shared_both_ways(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    host h;
    rv_device *device;
    rv_array *x, *y;
    rv_graph *graph;
    rv_plan *plan;
    cl_int code;
    void *handle;
    float data[COUNT], seen[COUNT];
    fill_x(data);
    host_begin(&h);
    cl_mem shared = clCreateBuffer(h.context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, sizeof data, data, &code);
    assert_int_equal(code, CL_SUCCESS);
    const rv_native native = {sizeof native, h.context, h.queue, h.device};
    const rv_device_options options = {.size = sizeof options, .native = &native};
    assert_ok(rv_device_open("opencl", &options, &device), rv_device_message(device));
    assert_ok(rv_array_wrap(device, RV_F32, ROWS, COLS, "x", shared, &x), rv_array_message(x));
    assert_ok(rv_array_create(device, RV_F32, ROWS, COLS, "y", &y), rv_array_message(y));
    assert_ok(rv_array_native(x, &handle), rv_array_message(x));
    assert_ptr_equal(handle, shared);
    assert_ok(rv_array_native(y, &handle), rv_array_message(y));
    assert_ok(rv_graph_create(device, &graph), "graph");
    rv_store(y, rv_affine(rv_read(graph, x), 1, 1));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    const int64_t waits = rv_calls[RV_CALL_clFinish];
    for (int i = 0; i < 3; i++) {
        host_double(&h, shared);
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        host_double(&h, handle);
    }
    assert_int_equal(rv_calls[RV_CALL_clFinish], waits);
    assert_int_equal(clEnqueueReadBuffer(h.queue, handle, CL_TRUE, 0, sizeof seen, seen, 0, NULL, NULL), CL_SUCCESS);
    for (int i = 0; i < COUNT; i++) assert_true(seen[i] == (data[i] * 8 + 1) * 2);
    rv_plan_destroy(plan);
    rv_array_destroy(x);
    rv_array_destroy(y);
    rv_device_close(device);
    host_double(&h, shared); /* everything of the host program still lives */
    assert_int_equal(clEnqueueReadBuffer(h.queue, shared, CL_TRUE, 0, sizeof seen, seen, 0, NULL, NULL), CL_SUCCESS);
    for (int i = 0; i < COUNT; i++) assert_true(seen[i] == data[i] * 16);
    clReleaseMemObject(shared);
    host_end(&h);
}

/* ---- misuse ------------------------------------------------------------------------------------------------ */

static void expect_refused(const char *resource, rv_native native, const char *part) {
    rv_device *device;
    native.size = sizeof native;
    const rv_device_options options = {.size = sizeof options, .native = &native};
    assert_status(rv_device_open(resource, &options, &device), RV_INVALID_ARGUMENT);
    assert_names(rv_device_message(device), part);
    rv_device_close(device);
}

static void handles_that_do_not_fit_are_refused(void **unused) {
    (void)unused;
    NEEDS_A_DEVICE;
    host h, other;
    rv_device *device;
    rv_array *x;
    cl_int code;
    host_begin(&h);
    host_begin(&other);
    cl_command_queue disordered = clCreateCommandQueue(h.context, h.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    expect_refused("opencl", (rv_native){.context = h.context}, "both be there");
    expect_refused("opencl", (rv_native){.queue = h.queue}, "both be there");
    expect_refused("opencl:0", (rv_native){.context = h.context, .queue = h.queue}, "open \"opencl\"");
    expect_refused("opencl", (rv_native){.context = h.context, .queue = other.queue}, "another context");
    expect_refused("opencl", (rv_native){.context = h.context, .queue = h.queue, .device = (cl_device_id)(void *)&h}, "another device");
    if (code == CL_SUCCESS) expect_refused("opencl", (rv_native){.context = h.context, .queue = disordered}, "in order");
    if (code == CL_SUCCESS) clReleaseCommandQueue(disordered);

    const rv_native native = {sizeof native, h.context, h.queue, NULL};
    const rv_device_options options = {.size = sizeof options, .native = &native};
    assert_ok(rv_device_open("opencl", &options, &device), rv_device_message(device));
    cl_mem foreign = clCreateBuffer(other.context, CL_MEM_READ_WRITE, 64, NULL, &code);
    cl_mem small = clCreateBuffer(h.context, CL_MEM_READ_WRITE, 60, NULL, &code);
    assert_status(rv_array_wrap(device, RV_F32, 4, 4, "x", foreign, &x), RV_UNSUPPORTED);
    assert_names(rv_array_message(x), "another context");
    rv_array_destroy(x);
    assert_status(rv_array_wrap(device, RV_F32, 4, 4, "x", small, &x), RV_INVALID_ARGUMENT);
    assert_names(rv_array_message(x), "has 60 bytes, the array needs 64");
    rv_array_destroy(x);
    clReleaseMemObject(foreign);
    clReleaseMemObject(small);
    rv_device_close(device);
    clReleaseKernel(other.twice);
    clReleaseProgram(other.program);
    clReleaseCommandQueue(other.queue);
    clReleaseContext(other.context);
    host_end(&h);
}

static int look_for_a_device(void **unused) {
    (void)unused;
    rv_device *device;
    const rv_status status = rv_device_open("opencl:0", NULL, &device);
    absent = status == RV_NO_DRIVER || status == RV_NO_DEVICE || status == RV_NOT_BUILT_IN;
    if (status != RV_OK) print_message("%s: %s\n", absent ? "skipped" : "failed", rv_device_message(device));
    rv_device_close(device);
    return status == RV_OK || absent ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_shared_both_ways),
        cmocka_unit_test(handles_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests_name("opencl_native", tests, look_for_a_device, NULL);
}
