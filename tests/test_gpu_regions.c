/* tests/test_gpu_regions.c: the same bits whatever a launch becomes: tiles of any size, rows cut in any way, merged.
 *
 * Which form a shape takes is asked of rv_gpu_lower; the bits are those of the first OpenCL device, with regions and,
 * behind check:, without. Without such a device those tests are skipped.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/gpu.h"
#include "core/internal.h"
#include "reverie/plan.h"
#include "reverie/random.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"
#include "tests/support/train_step.h"

/* ---- which form ------------------------------------------------------------------------------------------------- */

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}
static const rv_services services = {.size = sizeof services, .resize = resize, .fail = rv_fail};

static rv_gpu device_of(int units) {
    return (rv_gpu){.services = &services,
                    .dialect = "",
                    .units = units,
                    .launch_seconds = 2e-6,
                    .unit_flops = 500e9,
                    .unit_bandwidth = 45e9,
                    .local_bytes = 48 << 10};
}

/* Never looked into. */
static char memory;
static rv_operand operand(int64_t rows, int64_t cols) {
    return (rv_operand){
        .buffer = (rv_buffer *)(void *)&memory, .rows = rows, .cols = cols, .stride = cols, .dtype = RV_F32};
}

static rv_launch linear(int64_t rows, int64_t inner, int64_t cols) {
    return (rv_launch){.op = RV_OP_LINEAR,
                       .input_count = 3,
                       .output_count = 2,
                       .label = "linear",
                       .input = {operand(inner, cols), operand(1, cols), operand(rows, inner)},
                       .output = {operand(rows, cols)}};
}

static rv_launch weights(int64_t rows, int64_t inner, int64_t cols) {
    return (rv_launch){.op = RV_OP_LINEAR_WGRAD,
                       .input_count = 2,
                       .output_count = 2,
                       .label = "weights",
                       .input = {operand(rows, cols), operand(rows, inner)},
                       .output = {operand(inner, cols), operand(1, cols)}};
}

static rv_launch gru(int64_t rows, int64_t inner, int64_t units) {
    return (rv_launch){.op = RV_OP_GRU_CELL,
                       .input_count = 6,
                       .output_count = 2,
                       .label = "gru",
                       .input = {operand(rows, inner), operand(rows, units), operand(inner, 3 * units),
                                 operand(units, 3 * units), operand(1, 3 * units), operand(1, 3 * units)},
                       .output = {operand(rows, units), operand(rows, 4 * units)}};
}

static rv_launch gru_backward(int64_t rows, int64_t inner, int64_t units) {
    return (rv_launch){
        .op = RV_OP_GRU_CELL_BACKWARD,
        .input_count = 6,
        .output_count = 4,
        .label = "gru backward",
        .input = {operand(rows, units), operand(rows, units), operand(rows, 4 * units), operand(inner, 3 * units),
                  operand(units, 3 * units), operand(rows, inner)},
        .output = {operand(rows, inner), operand(rows, units), operand(rows, 3 * units), operand(rows, 3 * units)}};
}

/* The kernels of a launch by itself on a device of so many units, in one line. */
static const char *kernels_of(rv_launch launch, int units) {
    static char line[256];
    const rv_gpu gpu = device_of(units);
    rv_gpu_plan plan;
    rv_error error = {0};
    line[0] = 0;
    assert_ok(rv_gpu_lower(&gpu, &launch, 1, true, &plan, &error), error.text);
    for (int64_t i = 0; i < plan.dispatch_count; i++) {
        assert_true(plan.dispatch[i].groups > 0);
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", i > 0 ? " " : "", plan.dispatch[i].kernel);
    }
    rv_gpu_plan_free(&gpu, &plan);
    return line;
}

static void test_forms(void **state) {
    (void)state;
    /* many tiles for all units: large ones; few: smaller ones, until every unit has work */
    assert_string_equal(kernels_of(linear(4096, 1024, 4096), 132), "op_product_128");
    assert_string_equal(kernels_of(linear(1024, 512, 512), 132), "op_product_64");
    assert_string_equal(kernels_of(linear(64, 768, 256), 132), "op_product_16");
    assert_string_equal(kernels_of(weights(1024, 2048, 4096), 132), "op_weights_128");
    assert_string_equal(kernels_of(weights(300, 512, 1024), 132), "op_weights_64");
    assert_string_equal(kernels_of(weights(64, 33, 65), 132), "op_weights_16");
    assert_string_equal(kernels_of(gru(16384, 512, 512), 132), "op_gru_128");
    assert_string_equal(kernels_of(gru(1024, 256, 256), 132), "op_gru_64");
    assert_string_equal(kernels_of(gru(64, 128, 256), 132), "op_gru_16");
    assert_string_equal(kernels_of(gru_backward(16, 8, 16), 132), "op_gru_backward");
    assert_string_equal(kernels_of(gru_backward(64, 128, 256), 132), "op_gru_backward_gates op_product_16");
    assert_string_equal(kernels_of(weights(16384, 64, 128), 132), "op_weights_64 op_product_fold");
    assert_string_equal(kernels_of(weights(1000, 64, 128), 132), "op_weights_16");
    /* and those that test_rows takes on a device of two */
    assert_string_equal(kernels_of(linear(250, 33, 250), 2), "op_product_128");
    assert_string_equal(kernels_of(linear(60, 33, 250), 2), "op_product_64");
    assert_string_equal(kernels_of(linear(7, 33, 250), 2), "op_product_16");
    assert_string_equal(kernels_of(gru(250, 33, 60), 2), "op_gru_128");
    assert_string_equal(kernels_of(gru(60, 33, 60), 2), "op_gru_64");
    assert_string_equal(kernels_of(gru(7, 33, 60), 2), "op_gru_16");
}

/* A sum over many rows is cut by shapes alone: the same bits on devices of any size. */
static void test_pieces(void **state) {
    (void)state;
    static const int units[] = {1, 2, 132, 1000};
    for (int i = 0; i < 4; i++) {
        const rv_gpu gpu = device_of(units[i]);
        const rv_launch launch = weights(16384, 64, 128);
        rv_gpu_plan plan;
        rv_error error = {0};
        assert_ok(rv_gpu_lower(&gpu, &launch, 1, true, &plan, &error), error.text);
        assert_int_equal(plan.dispatch_count, 2);
        assert_int_equal(plan.dispatch[0].args.extra[3], 512); /* rows of a piece */
        assert_int_equal(plan.dispatch[1].args.extra[0], 32);  /* pieces */
        rv_gpu_plan_free(&gpu, &plan);
    }
}

/* Two products that a device's library may take, and one it may not, for its bias. */
static void test_gemm(void **state) {
    (void)state;
    const rv_gpu gpu = device_of(132);
    rv_launch launch[] = {linear(64, 33, 65), linear(64, 33, 65), weights(64, 33, 65)};
    launch[1].input[1].buffer = launch[2].output[1].buffer = NULL;
    for (int i = 0; i < 3; i++) {
        rv_gpu_plan plan;
        rv_error error = {0};
        assert_ok(rv_gpu_lower(&gpu, &launch[i], 1, true, &plan, &error), error.text);
        assert_int_equal(plan.dispatch_count, 1);
        const rv_gpu_gemm *gemm = &plan.dispatch[0].gemm;
        assert_int_equal(gemm->valid, i > 0);
        if (i == 1)
            assert_true(gemm->m == 64 && gemm->n == 65 && gemm->k == 33 && !gemm->transpose_a && !gemm->transpose_b);
        if (i == 2)
            assert_true(gemm->m == 33 && gemm->n == 65 && gemm->k == 64 && gemm->transpose_a && !gemm->transpose_b);
        rv_gpu_plan_free(&gpu, &plan);
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

enum {
    ROWS = 250,
    INNER = 33,
    COLS = 250,
    UNITS = 60,
    BLOCKS = 5,
    EACH = 6,
    BLOCK_COLS = 10,
    INPUTS = 10,
    OUTPUTS = 8
};

static const struct {
    const char *name;
    int64_t rows, cols;
} inputs[INPUTS] = {{"x", ROWS, INNER},        {"w", INNER, COLS},        {"bias", 1, COLS},     {"h", ROWS, UNITS},
                    {"w_x", INNER, 3 * UNITS}, {"w_h", UNITS, 3 * UNITS}, {"b_x", 1, 3 * UNITS}, {"b_h", 1, 3 * UNITS},
                    {"blocks", BLOCKS * (EACH + UNITS), BLOCK_COLS},      {"back", COLS, INNER}};
static const int64_t output_cols[OUTPUTS] = {COLS, INNER, UNITS, INNER, UNITS, BLOCKS * BLOCK_COLS, INNER, UNITS};

/* What treats rows apart, of rows [first, first + rows): linear, a product with a transposed matrix, the GRU cell and
 * block linear with their gradients. */
static void record_rows(rv_graph *graph, rv_array *const *in, rv_array *const *out, int64_t first, int64_t rows) {
    rv_tensor read[INPUTS], result[OUTPUTS];
    for (int i = 0; i < INPUTS; i++) read[i] = rv_read(graph, in[i]);
    const rv_tensor x = rv_slice_rows(read[0], first, rows), h = rv_slice_rows(read[3], first, rows), wanted[] = {x, h};
    result[0] = rv_linear1(x, read[1], read[2], RV_SILU);
    result[1] = rv_matmul(x, rv_matmul(read[9], read[1], 1, 1), 0, 1);
    result[2] = rv_gru_cell(x, h, read[4], read[5], read[6], read[7]);
    result[5] = rv_block_linear(rv_slice_cols(x, 0, BLOCKS * EACH), &h, 1, BLOCKS, read[8], RV_NONE, RV_TANH);
    assert_status(rv_gradients(rv_sum(rv_square(result[2]), RV_ALL), wanted, 2, NULL, 0, &result[3]), RV_OK);
    assert_status(rv_gradients(rv_sum(rv_square(result[5]), RV_ALL), wanted, 2, NULL, 0, &result[6]), RV_OK);
    for (int k = 0; k < OUTPUTS; k++) rv_store_part(out[k], first * output_cols[k], result[k]);
}

static rv_array *filled(rv_device *device, int64_t rows, int64_t cols, const char *name) {
    rv_array *array;
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    assert_non_null(values);
    rv_random_normal(5, 0, name, 0, rows, cols, values);
    for (int64_t i = 0; i < rows * cols; i++) values[i] *= 0.3f;
    assert_ok(rv_array_create(device, RV_F32, rows, cols, name, &array), rv_array_message(array));
    assert_ok(rv_array_write(array, 0, rows, values), rv_array_message(array));
    free(values);
    return array;
}

static void run_rows(rv_device *device, rv_array *const *in, rv_array *const *out, int64_t first, int64_t rows) {
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(device, &graph), rv_graph_message(graph));
    record_rows(graph, in, out, first, rows);
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
}

/* All outputs one behind the other, computed in plans of so many rows each; 0 ends the list. */
static float *outputs_of(rv_device *device, const int64_t *cuts, int64_t *count) {
    rv_array *in[INPUTS], *out[OUTPUTS];
    *count = 0;
    for (int i = 0; i < INPUTS; i++) in[i] = filled(device, inputs[i].rows, inputs[i].cols, inputs[i].name);
    for (int k = 0; k < OUTPUTS; k++)
        out[k] = filled(device, ROWS, output_cols[k], "out"), *count += ROWS * output_cols[k];
    for (int64_t first = 0; *cuts; first += *cuts++) run_rows(device, in, out, first, *cuts);
    float *values = malloc((size_t)*count * sizeof *values), *at = values;
    assert_non_null(values);
    for (int k = 0; k < OUTPUTS; at += ROWS * output_cols[k++])
        assert_ok(rv_array_read(out[k], 0, ROWS, at), rv_array_message(out[k]));
    for (int i = 0; i < INPUTS; i++) rv_array_destroy(in[i]);
    for (int k = 0; k < OUTPUTS; k++) rv_array_destroy(out[k]);
    return values;
}

static rv_device *open_device(const char *name) {
    rv_device *device;
    const rv_status status = rv_device_open(name, NULL, &device);
    if (rv_device_absent(status)) {
        rv_device_close(device);
        skip();
    }
    assert_ok(status, rv_device_message(device));
    return device;
}

/* On a device of two units: tiles of 128, of 64 and of 16 rows; merged, whole rows. */
static void test_rows(void **state) {
    (void)state;
    static const int64_t whole[] = {ROWS, 0}, cut[] = {7, 60, 1, ROWS - 68, 0};
    static const char *const names[] = {"check:opencl:0", "opencl:0"};
    float *expected = NULL;
    for (int d = 0; d < 2; d++) {
        rv_device *device = open_device(names[d]);
        for (int c = 0; c < 2; c++) {
            int64_t count;
            float *values = outputs_of(device, c ? cut : whole, &count);
            for (int64_t i = 0; i < count; i++) assert_true(isfinite(values[i]));
            if (expected) assert_memory_equal(values, expected, (size_t)count * sizeof *values);
            if (expected) free(values);
            else expected = values;
        }
        rv_device_close(device);
    }
    free(expected);
}

/* ---- a whole training step --------------------------------------------------------------------------------------- */

static uint64_t trained(const char *name) {
    rv_device *device = open_device(name);
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    for (int i = 0; i < 5; i++) assert_ok(rv_train_step_run(&step), step.message);
    const uint64_t hash = rv_train_step_hash(&step);
    assert_true(hash != 0);
    rv_train_step_close(&step);
    rv_device_close(device);
    return hash;
}

static void test_training(void **state) {
    (void)state;
    assert_true(trained("opencl:0") == trained("check:opencl:0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_gemm), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_training)};
    return cmocka_run_group_tests_name("gpu_regions", tests, NULL, NULL);
}
