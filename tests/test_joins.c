/* tests/test_joins.c: joined rows that are written where they belong: the same bits as where they are copied, whatever
 * else reads the parts or the whole, and no launch for the join where there can be none. */
#include <string.h>

#include "core/record.h"
#include "reverie/ops.h"
#include "tests/support/suite.h"

enum { ROWS = 5, COLS = 3, MOST = 4096 };

static rv_device *device;
static rv_array *data; /* f32 [ROWS, COLS] */

static rv_tensor value(rv_graph *graph, float scale) { return rv_tanh(rv_affine(rv_read(graph, data), scale, 0.5f)); }

/* Each records a graph and gives what is stored. */
typedef rv_tensor (*recording)(rv_graph *graph);

static rv_tensor plain(rv_graph *graph) {
    rv_tensor parts[3] = {value(graph, 1), value(graph, 2), value(graph, 3)};
    return rv_softmax(rv_concat_rows(parts, 3));
}

/* The whole is written over in place only once its parts have no reader left. */
static rv_tensor parts_read_late(rv_graph *graph) {
    rv_tensor parts[2] = {value(graph, 1), value(graph, 2)};
    rv_tensor sum = rv_sum(rv_exp(rv_concat_rows(parts, 2)), RV_ROWS);
    rv_tensor late = rv_mul(rv_sin(parts[0]), rv_cos(parts[1]));
    return rv_add(rv_softmax(rv_add(late, sum)), rv_add(parts[0], parts[1]));
}

/* A part whose last direct reader would like to write over it. */
static rv_tensor whole_read_late(rv_graph *graph) {
    rv_tensor parts[2] = {value(graph, 1), value(graph, 2)};
    rv_tensor whole = rv_concat_rows(parts, 2), early = rv_exp(rv_exp(parts[1]));
    return rv_mul(whole, rv_sum(rv_softmax(early), RV_ROWS));
}

/* More than one concat takes, so that joins are parts of a join; and slices across them. */
static rv_tensor nested(rv_graph *graph) {
    rv_tensor parts[20];
    for (int i = 0; i < 20; i++) parts[i] = value(graph, 1 + 0.1f * (float)i);
    rv_tensor whole = rv_join_rows(parts, 20), middle = rv_slice_rows(whole, 7 * ROWS + 2, 4 * ROWS);
    return rv_add(rv_slice_rows(rv_softmax(whole), 3, 4 * ROWS), rv_exp(middle));
}

static rv_tensor reshaped(rv_graph *graph) {
    rv_tensor parts[2] = {rv_reshape(value(graph, 1), COLS, ROWS), rv_reshape(value(graph, 2), COLS, ROWS)};
    return rv_softmax(rv_reshape(rv_concat_rows(parts, 2), 2 * ROWS, COLS));
}

static rv_tensor joined_twice(rv_graph *graph) {
    rv_tensor x = value(graph, 1), y = value(graph, 2);
    rv_tensor there = rv_concat_rows((rv_tensor[]){x, y}, 2), back = rv_concat_rows((rv_tensor[]){y, x}, 2);
    return rv_mul(rv_softmax(there), rv_exp(back));
}

static rv_tensor repeated(rv_graph *graph) {
    rv_tensor x = value(graph, 1);
    return rv_softmax(rv_concat_rows((rv_tensor[]){x, x}, 2));
}

static rv_tensor of_an_array(rv_graph *graph) {
    return rv_softmax(rv_concat_rows((rv_tensor[]){value(graph, 1), rv_read(graph, data)}, 2));
}

static rv_tensor of_a_slice(rv_graph *graph) {
    rv_tensor x = value(graph, 1);
    return rv_softmax(rv_concat_rows((rv_tensor[]){rv_slice_rows(x, 1, 2), value(graph, 2)}, 2));
}

/* Straight into an array: as before. */
static rv_tensor stored(rv_graph *graph) { return rv_concat_rows((rv_tensor[]){value(graph, 1), value(graph, 2)}, 2); }

static rv_tensor no_rows(rv_graph *graph) {
    rv_tensor nothing = rv_exp(rv_fill(graph, 0, COLS, 1));
    return rv_softmax(rv_concat_rows((rv_tensor[]){nothing, value(graph, 1)}, 2));
}

static rv_tensor whole_numbers(rv_graph *graph) {
    rv_tensor x = rv_cast(rv_affine(value(graph, 1), 100, 0), RV_I32), y = rv_affine(x, 3, 1);
    return rv_cast(rv_concat_rows((rv_tensor[]){y, rv_affine(x, 5, 0)}, 2), RV_F32);
}

static const struct {
    const char *name;
    recording record;
    int joins; /* launches of concat_rows that are left */
} rows[] = {
    {"plain", plain, 0},
    {"parts_read_late", parts_read_late, 0},
    {"whole_read_late", whole_read_late, 0},
    {"nested", nested, 0},
    {"reshaped", reshaped, 0},
    {"joined_twice", joined_twice, 1},
    {"repeated", repeated, 1},
    {"of_an_array", of_an_array, 1},
    {"of_a_slice", of_a_slice, 1},
    {"stored", stored, 1},
    {"no_rows", no_rows, 1},
    {"whole_numbers", whole_numbers, 0},
};

static int64_t run(recording record, bool keep_order, float *out, int *joins) {
    rv_graph *graph;
    rv_plan *plan;
    rv_array *result;
    assert_ok(rv_graph_create(device, &graph), "");
    rv_tensor y = record(graph);
    int64_t count = rv_tensor_rows(y) * rv_tensor_cols(y);
    assert_true(count > 0 && count <= MOST);
    assert_ok(rv_array_create(device, RV_F32, rv_tensor_rows(y), rv_tensor_cols(y), "result", &result), "result");
    rv_store(result, y);
    const rv_plan_options options = {.size = sizeof options, .keep_order = keep_order};
    assert_ok(rv_plan_create(graph, &options, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_array_read(result, 0, rv_array_rows(result), out), "result");
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_report_get(plan, &report), "report");
    *joins = 0;
    for (int64_t i = 0; i < report.launches; i++) {
        rv_launch_info info = {.size = sizeof info};
        assert_ok(rv_plan_launch(plan, i, &info), "launch");
        *joins += strcmp(info.op, "concat_rows") == 0;
    }
    rv_plan_destroy(plan);
    rv_array_destroy(result);
    rv_graph_destroy(graph);
    return count;
}

static void test_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float joined[MOST], copied[MOST];
        int joins, all;
        const int64_t count = run(rows[i].record, false, joined, &joins);
        run(rows[i].record, true, copied, &all);
        if (memcmp(joined, copied, (size_t)count * sizeof *joined) != 0) fail_msg("%s: other bits", rows[i].name);
        if (joins != rows[i].joins) fail_msg("%s: %d joins are launched, not %d", rows[i].name, joins, rows[i].joins);
        assert_true(all > 0);
    }
}

/* What is joined before is not joined again, and successive slices of one tensor are a slice of it. */
static void test_recorded_once(void **state) {
    (void)state;
    rv_graph *graph;
    assert_ok(rv_graph_create(device, &graph), "");
    rv_tensor parts[20], slices[4], x = value(graph, 1);
    for (int i = 0; i < 20; i++) parts[i] = value(graph, 1 + 0.1f * (float)i);
    rv_tensor whole = rv_join_rows(parts, 20);
    assert_int_equal(rv_join_rows(parts, 20).id, whole.id);
    for (int i = 0; i < 4; i++) slices[i] = rv_slice_rows(x, 1 + i, 1);
    rv_tensor joined = rv_join_rows(slices, 4);
    assert_int_equal(rv_value_of(joined)->root, x.id);
    assert_int_equal(rv_value_of(joined)->offset, COLS);
    assert_int_equal(rv_tensor_rows(joined), 4);
    rv_tensor swapped = rv_join_rows((rv_tensor[]){slices[1], slices[0]}, 2);
    assert_int_not_equal(rv_value_of(swapped)->root, x.id);
    rv_graph_destroy(graph);
}

int main(void) {
    float values[ROWS * COLS];
    rv_random_normal(5, 0, "data", 0, ROWS, COLS, values);
    if (rv_device_open("cpu", NULL, &device) != RV_OK) return 1;
    if (rv_array_create(device, RV_F32, ROWS, COLS, "data", &data) != RV_OK) return 1;
    if (rv_array_write(data, 0, ROWS, values) != RV_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_recorded_once)};
    int failed = cmocka_run_group_tests_name("joins", tests, NULL, NULL);
    rv_array_destroy(data);
    rv_device_close(device);
    return failed;
}
