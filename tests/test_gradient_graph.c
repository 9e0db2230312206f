/* tests/test_gradient_graph.c: what rv_gradients records: slices joined, constants folded, nothing for
 * what is not wanted, labels, stops, refusals. That the slopes are right is test_gradients.c's. */
#include "tests/support/suite.h"

#include <string.h>

#include "core/internal.h"

static rv_device *device;
static rv_graph *graph;

static rv_array *outs[8]; /* as long as the graph: each plan of it stores them all */
static int out_count;

static void begin(void) { assert_ok(rv_graph_create(device, &graph), rv_device_message(device)); }

static void drop(void) {
    rv_graph_destroy(graph);
    while (out_count > 0) rv_array_destroy(outs[--out_count]);
}

static void end(void) {
    assert_ok(rv_graph_status(graph), rv_graph_message(graph));
    drop();
}

/* Records d sum(y) / d x and counts what that appended. */
static uint32_t counts[RV_NODE_COUNT];
static rv_tensor differentiate(rv_tensor loss, rv_tensor x) {
    uint32_t before = graph->node_count;
    rv_tensor gradient;
    assert_ok(rv_gradients(loss, &x, 1, NULL, 0, &gradient), rv_graph_message(graph));
    memset(counts, 0, sizeof counts);
    for (uint32_t i = before; i < graph->node_count; i++) counts[graph->nodes[i].op]++;
    return gradient;
}

/* Runs the graph that gave `tensor` and compares it with what it should be. */
static void assert_values(rv_tensor tensor, const float *expected) {
    int64_t rows = rv_tensor_rows(tensor), cols = rv_tensor_cols(tensor);
    rv_array *out;
    rv_plan *plan;
    float got[256];
    assert_true(rows * cols <= 256);
    assert_ok(rv_array_create(device, RV_F32, rows, cols, "out", &outs[out_count++]), "");
    out = outs[out_count - 1];
    rv_store(out, tensor);
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_array_read(out, 0, rows, got), rv_array_message(out));
    for (int64_t i = 0; i < rows * cols; i++) {
        if (got[i] != expected[i]) fail_msg("[%d] is %g, should be %g", (int)i, (double)got[i], (double)expected[i]);
    }
    rv_plan_destroy(plan);
}

static rv_tensor scaled_sum(rv_tensor x, float scale) { return rv_affine(rv_sum(rv_square(x), RV_ALL), scale, 0); }

/* Two halves of a head, as mean and logvar are: one concat of the two gradients, no zeros, no sum. */
static void test_halves_join(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 2, 4, 1.0f);
    rv_tensor loss = rv_add(scaled_sum(rv_slice_cols(x, 2, 2), 2), scaled_sum(rv_slice_cols(x, 0, 2), 1));
    rv_tensor gradient = differentiate(loss, x);
    assert_int_equal(counts[RV_OP_CONCAT_COLS], 1);
    assert_int_equal(counts[RV_OP_MAP2], 0);
    assert_values(gradient, (float[]){2, 2, 4, 4, 2, 2, 4, 4});
    end();
}

/* Gaps become zeros; overlaps become layers; the whole value is one more. */
static void test_gaps_and_overlaps(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 1, 6, 1.0f);
    rv_tensor loss = rv_add(scaled_sum(rv_slice_cols(x, 1, 3), 1), scaled_sum(rv_slice_cols(x, 3, 2), 10));
    rv_tensor gradient = differentiate(rv_add(loss, scaled_sum(x, 100)), x);
    assert_int_equal(counts[RV_OP_CONCAT_COLS], 2);
    assert_values(gradient, (float[]){200, 202, 202, 222, 220, 200});
    end();
}

/* Twenty steps of a sequence: more pieces than one concat takes. */
static void test_rows_join(void **state) {
    (void)state;
    enum { STEPS = 20 };
    begin();
    rv_tensor x = rv_fill(graph, 2 * STEPS, 1, 1.0f), loss = rv_fill(graph, 1, 1, 0);
    float expected[2 * STEPS];
    for (int t = 0; t < STEPS; t++) {
        loss = rv_add(loss, scaled_sum(rv_slice_rows(x, 2 * t, 2), (float)t));
        expected[2 * t] = expected[2 * t + 1] = 2.0f * (float)t;
    }
    rv_tensor gradient = differentiate(loss, x);
    assert_int_equal(counts[RV_OP_CONCAT_ROWS], 4); /* 8 + 8 + 4, and the three */
    assert_values(gradient, expected);
    end();
}

/* Rows of columns of a reshaped value: views of views, with gaps where the reshape goes back. */
static void test_views_of_views(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 3, 4, 1.0f), y = rv_reshape(x, 4, 3);
    rv_tensor part = rv_slice_rows(rv_slice_cols(y, 1, 2), 1, 2);
    rv_tensor gradient = differentiate(scaled_sum(rv_reshape(part, 1, 4), 1), x);
    assert_values(gradient, (float[]){0, 0, 0, 0, 2, 2, 0, 2, 2, 0, 0, 0});
    end();
}

/* Means and scales of constants cost no launch: what is left of them is one fill. */
static void test_constants_fold(void **state) {
    (void)state;
    begin();
    rv_tensor p = rv_fill(graph, 8, 3, 1.0f), t = rv_fill(graph, 8, 3, 0.0f);
    rv_tensor loss = rv_affine(rv_mean(rv_mse(p, t), RV_ROWS), 4, 0);
    differentiate(rv_affine(loss, 2, 0), p);
    assert_int_equal(counts[RV_OP_MAP1] + counts[RV_OP_MAP2] + counts[RV_OP_COPY], 0);
    assert_int_equal(counts[RV_OP_MSE_BACKWARD], 1);
    const rv_node *last = &graph->nodes[graph->node_count - 1];
    assert_int_equal(last->op, RV_OP_MSE_BACKWARD);
    const rv_node *fill = &graph->nodes[graph->values[last->input[2]].node];
    assert_int_equal(fill->op, RV_OP_FILL);
    assert_true(fill->attributes.f[0] == 1.0f);
    end();
}

/* A constant that is asked for is a value like any other, and its gradient is not folded away. */
static void test_gradient_of_a_fill(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 1, 2, 3.0f);
    assert_values(differentiate(rv_sum(rv_square(rv_affine(x, 2, 0)), RV_ALL), x), (float[]){24, 24});
    end();
}

/* Of two layers: no gradient for data, one matmul back, a weight gradient each. */
static void test_only_what_is_wanted(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 8, 3, 1.0f), w[2] = {rv_fill(graph, 3, 5, 0.5f), rv_fill(graph, 5, 2, 0.25f)};
    rv_tensor b[2] = {rv_fill(graph, 1, 5, 0), rv_fill(graph, 1, 2, 0)};
    rv_tensor y = rv_linear1(rv_linear1(x, w[0], b[0], RV_SILU), w[1], b[1], RV_LINEAR);
    uint32_t before = graph->node_count;
    rv_tensor wrt[] = {w[0], b[0], w[1], b[1]}, gradient[4];
    assert_ok(rv_gradients(rv_sum(y, RV_ALL), wrt, 4, NULL, 0, gradient), rv_graph_message(graph));
    memset(counts, 0, sizeof counts);
    for (uint32_t i = before; i < graph->node_count; i++) counts[graph->nodes[i].op]++;
    assert_int_equal(counts[RV_OP_LINEAR_WGRAD], 2);
    assert_int_equal(counts[RV_OP_MATMUL], 1);
    assert_int_equal(counts[RV_OP_MAP2], 1);
    end();
}

/* Inputs side by side that are wanted share one matmul; one that is not costs nothing. */
static void test_inputs_share_a_matmul(void **state) {
    (void)state;
    begin();
    rv_tensor x[3], w = rv_fill(graph, 6, 2, 1.0f), gradient[2];
    for (int i = 0; i < 3; i++) x[i] = rv_fill(graph, 2, i + 1, (float)i);
    rv_tensor y = rv_linear(x, 3, w, RV_NONE, RV_LINEAR);
    uint32_t before = graph->node_count;
    assert_ok(rv_gradients(rv_sum(y, RV_ALL), x + 1, 2, NULL, 0, gradient), rv_graph_message(graph));
    memset(counts, 0, sizeof counts);
    for (uint32_t i = before; i < graph->node_count; i++) counts[graph->nodes[i].op]++;
    assert_int_equal(counts[RV_OP_MATMUL], 1);
    assert_int_equal(counts[RV_OP_LINEAR_WGRAD], 0);
    assert_values(gradient[1], (float[]){2, 2, 2, 2, 2, 2});
    end();
}

/* A stop that is itself asked for gets its gradient, and nothing goes further. */
static void test_stop_that_is_asked(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 1, 2, 3.0f), y = rv_square(x), wrt[] = {x, y}, gradient[2];
    assert_ok(rv_gradients(rv_sum(rv_square(y), RV_ALL), wrt, 2, &y, 1, gradient), rv_graph_message(graph));
    assert_values(gradient[0], (float[]){0, 0});
    assert_values(gradient[1], (float[]){18, 18});
    end();
}

/* A weight read twice with no store between is one; after a store it is another. */
static void test_reads_are_values(void **state) {
    (void)state;
    rv_array *w;
    assert_ok(rv_array_create(device, RV_F32, 1, 1, "w", &w), rv_array_message(w));
    begin();
    rv_tensor first = rv_read(graph, w), again = rv_read(graph, w);
    rv_store(w, rv_affine(first, 1, 1));
    rv_tensor later = rv_read(graph, w), wrt[] = {first, later}, gradient[2];
    rv_tensor loss = rv_add(rv_affine(rv_add(first, again), 3, 0), rv_affine(later, 5, 0));
    assert_ok(rv_gradients(loss, wrt, 2, NULL, 0, gradient), rv_graph_message(graph));
    assert_values(gradient[0], (float[]){6});
    assert_values(gradient[1], (float[]){5});
    end();
    rv_array_destroy(w);
}

static void test_labels(void **state) {
    (void)state;
    begin();
    rv_graph_push(graph, "decoder");
    rv_tensor x = rv_fill(graph, 1, 2, 3.0f), y = rv_tanh(x);
    rv_graph_pop(graph);
    rv_graph_push(graph, "loss");
    differentiate(rv_sum(y, RV_ALL), x);
    const rv_node *last = &graph->nodes[graph->node_count - 1];
    assert_int_equal(last->attributes.i[0], RV_MAP_D_TANH);
    assert_string_equal(graph->labels[last->label], "decoder");
    assert_string_equal(graph->scope, "loss");
    end();
}

/* A second derivative that is not there is said, not given as zeros. */
static void test_second_derivative(void **state) {
    (void)state;
    begin();
    rv_tensor x = rv_fill(graph, 2, 2, 3.0f), gradient = differentiate(rv_sum(rv_tanh(x), RV_ALL), x), second;
    assert_status(rv_gradients(rv_sum(gradient, RV_ALL), &x, 1, NULL, 0, &second), RV_UNSUPPORTED);
    assert_names(rv_graph_message(graph), "rv_stop_gradient");
    assert_int_equal(second.id, 0);
    drop();
    begin(); /* of a polynomial it is there: d (3 x^2) / dx */
    x = rv_fill(graph, 1, 2, 2.0f);
    gradient = differentiate(rv_sum(rv_mul(x, rv_square(x)), RV_ALL), x);
    assert_values(differentiate(rv_sum(gradient, RV_ALL), x), (float[]){12, 12});
    end();
}

static void test_bad_calls(void **state) {
    (void)state;
    begin();
    rv_graph *other;
    assert_ok(rv_graph_create(device, &other), "");
    rv_tensor x = rv_fill(graph, 1, 1, 1), stranger = rv_fill(other, 1, 1, 1), gradient = x;
    assert_status(rv_gradients(rv_square(x), &stranger, 1, NULL, 0, &gradient), RV_INVALID_ARGUMENT);
    assert_names(rv_graph_message(graph), "wrt[0]");
    assert_int_equal(gradient.id, 0);
    drop();
    begin();
    rv_tensor whole = rv_cast(rv_fill(graph, 1, 1, 1), RV_I32);
    assert_status(rv_gradients(rv_fill(graph, 1, 1, 1), &whole, 1, NULL, 0, &gradient), RV_TYPE_MISMATCH);
    drop();
    begin();
    x = rv_fill(graph, 1, 1, 1);
    assert_status(rv_gradients(x, NULL, 1, NULL, 0, &gradient), RV_INVALID_ARGUMENT);
    assert_status(rv_gradients(RV_NONE, &x, 1, NULL, 0, &gradient), RV_INVALID_ARGUMENT);
    drop();
    rv_graph_destroy(other);
}

int main(void) {
    if (rv_device_open("cpu:reference", NULL, &device) != RV_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves_join),
        cmocka_unit_test(test_gaps_and_overlaps),
        cmocka_unit_test(test_rows_join),
        cmocka_unit_test(test_views_of_views),
        cmocka_unit_test(test_constants_fold),
        cmocka_unit_test(test_gradient_of_a_fill),
        cmocka_unit_test(test_only_what_is_wanted),
        cmocka_unit_test(test_inputs_share_a_matmul),
        cmocka_unit_test(test_stop_that_is_asked),
        cmocka_unit_test(test_reads_are_values),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_second_derivative),
        cmocka_unit_test(test_bad_calls),
    };
    int failed = cmocka_run_group_tests_name("gradient_graph", tests, NULL, NULL);
    rv_device_close(device);
    return failed;
}
