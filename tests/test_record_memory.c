/* tests/test_record_memory.c: each allocation of a recording fails in turn: ops, gradient, expansion, plan.
 * Whatever fails is said by a status, and everything can be destroyed; the sanitizers watch for leaks. */
#include "tests/support/suite.h"

#include <stdlib.h>

#include "core/internal.h"

static long calls, failing; /* the number of the allocation that fails; -1: none */

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return calls++ == failing ? NULL : realloc(memory, bytes);
}

static bool keep_basic(void *user, uint32_t op, const rv_attributes *attributes) {
    (void)user, (void)attributes;
    return op >= RV_OP_COUNT || rv_op_info_get((rv_op)op)->level == RV_BASIC;
}

static rv_tensor weight(rv_graph *graph, int64_t rows, int64_t cols) { return rv_fill(graph, rows, cols, 0.1f); }

/* A bit of everything: fused ops, many slices of one value, views of views, a watch, rows stored. */
static void record(rv_graph *graph, rv_array *table, rv_array *state) {
    rv_graph_push(graph, "recording");
    rv_tensor x = rv_read_part(graph, table, 0, 4, 6), w = weight(graph, 6, 8), b = weight(graph, 1, 8);
    rv_tensor h = rv_layer_norm(rv_linear1(x, w, b, RV_GELU), b, b, 1e-3f, RV_SILU);
    rv_tensor y = rv_gru_cell(h, weight(graph, 4, 4), weight(graph, 8, 12), weight(graph, 4, 12), weight(graph, 1, 12),
                              weight(graph, 1, 12));
    rv_normal_sample z = rv_sample_normal(rv_slice_cols(y, 0, 2), rv_slice_cols(y, 2, 2), rv_read(graph, state), "z", 0);
    rv_tensor parts[8];
    for (int i = 0; i < 8; i++) parts[i] = rv_square(rv_slice_cols(rv_reshape(h, 2, 16), i, 3));
    rv_tensor each = rv_add(rv_add(z.kl, z.log_prob), rv_mse(z.value, rv_slice_cols(x, 0, 2)));
    rv_tensor loss = rv_add(rv_mean(rv_concat_cols(parts, 8), RV_ALL), rv_mean(each, RV_ALL));
    rv_tensor wrt[] = {w, b, x}, gradient[3];
    rv_watch(loss, (const char *const[]){"loss"}, 1);
    rv_gradients(loss, wrt, 3, NULL, 0, gradient);
    rv_store_part(table, 0, gradient[0]);
    rv_store_rows(table, weight(graph, 2, 6), rv_cast(weight(graph, 2, 1), RV_I32));
}

/* Records, expands and plans with allocation `which` failing; returns how many there were. */
static long attempt(long which) {
    rv_device_options options = {.size = sizeof options, .allocator = {resize, NULL}};
    rv_device *device;
    rv_array *table, *state;
    failing = -1;
    assert_ok(rv_device_open("cpu:reference", &options, &device), rv_device_message(device));
    assert_ok(rv_array_create(device, RV_F32, 16, 6, "table", &table), rv_array_message(table));
    assert_ok(rv_array_create(device, RV_I32, 1, 4, "state", &state), rv_array_message(state));
    rv_graph *graph, *expanded = NULL;
    rv_plan *plan = NULL;
    calls = 0;
    failing = which;
    rv_status status = rv_graph_create(device, &graph);
    if (status == RV_OK) {
        record(graph, table, state);
        status = rv_graph_status(graph);
    }
    if (status == RV_OK) status = rv_graph_expand(graph, keep_basic, NULL, &expanded);
    if (status == RV_OK) status = rv_plan_create(expanded, NULL, &plan);
    long count = calls;
    failing = -1;
    if (which >= 0 && which < count) assert_status(status, RV_OUT_OF_MEMORY);
    else assert_ok(status, rv_plan_message(plan));
    rv_plan_destroy(plan);
    rv_graph_destroy(expanded);
    rv_graph_destroy(graph);
    rv_array_destroy(state);
    rv_array_destroy(table);
    rv_device_close(device);
    return count;
}

static void test_each_allocation_fails(void **state) {
    (void)state;
    long count = attempt(-1);
    assert_true(count > 20);
    for (long which = 0; which < count; which++) attempt(which);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};
    return cmocka_run_group_tests_name("record_memory", tests, NULL, NULL);
}
