/* tests/test_scan.c: scans: what they record, what they refuse, and what their plans cost. */
#include <math.h>
#include <string.h>

#include "core/internal.h"
#include "reverie/scan.h"
#include "tests/support/suite.h"

static rv_device *device;
static rv_graph *graph;

static void begin(void) { assert_ok(rv_graph_create(device, &graph), rv_device_message(device)); }
static void end(void) { rv_graph_destroy(graph); }

/* ---- what a scan refuses -------------------------------------------------------------------------------- */

typedef enum fault { NOTHING, NO_NEXT, WIDE_NEXT, WHOLE_NEXT, NO_OUTPUT, GROWING_OUTPUT, OTHER_GRAPH, POISON } fault;

typedef struct misuse {
    fault fault;
    rv_graph *other;
    int64_t calls;
} misuse;

static void faulty_step(void *user, const rv_scan_step *step) {
    misuse *m = user;
    assert_int_equal(step->t, m->calls++);
    assert_ptr_equal(step->graph, graph);
    assert_int_equal(rv_tensor_rows(step->input[0]), 2);
    rv_tensor h = rv_add(step->carry[0], step->input[0]);
    step->next[0] = h;
    step->output[0] = rv_tanh(h);
    if (m->fault == NO_NEXT) step->next[0] = RV_NONE;
    if (m->fault == WIDE_NEXT) step->next[0] = rv_fill(graph, 2, 4, 0);
    if (m->fault == WHOLE_NEXT) step->next[0] = rv_cast(h, RV_I32);
    if (m->fault == NO_OUTPUT) step->output[0] = RV_NONE;
    if (m->fault == GROWING_OUTPUT) step->output[0] = rv_fill(graph, 1 + step->t, 3, 0);
    if (m->fault == OTHER_GRAPH) step->next[0] = rv_fill(m->other, 2, 3, 0);
    if (m->fault == POISON) step->output[0] = rv_slice_rows(h, 7, 7);
}

static void test_faulty_bodies(void **state) {
    (void)state;
    static const struct {
        fault fault;
        rv_status status;
        const char *part;
    } rows[] = {
        {NOTHING, RV_OK, ""},
        {NO_NEXT, RV_INVALID_ARGUMENT, "next[0] unset at step 0"},
        {WIDE_NEXT, RV_SHAPE_MISMATCH, "next[0] of step 0 is [2, 4], [2, 3] would fit"},
        {WHOLE_NEXT, RV_TYPE_MISMATCH, "next[0] of step 0 is i32, f32 would fit"},
        {NO_OUTPUT, RV_INVALID_ARGUMENT, "output[0] unset at step 0"},
        {GROWING_OUTPUT, RV_SHAPE_MISMATCH, "output[0] of step 1 is [2, 3], [1, 3] would fit"},
        {OTHER_GRAPH, RV_INVALID_ARGUMENT, "next[0] of step 0 belongs to another graph"},
        {POISON, RV_SHAPE_MISMATCH, "slice_rows"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin();
        misuse m = {.fault = rows[i].fault};
        assert_ok(rv_graph_create(device, &m.other), "");
        rv_tensor h = rv_fill(graph, 2, 3, 0), x = rv_fill(graph, 10, 3, 1), y = RV_NONE;
        rv_scan(graph, 5, faulty_step, &m, &h, 1, &x, 1, &y, 1);
        assert_int_equal(rv_graph_status(graph), rows[i].status);
        assert_non_null(strstr(rv_graph_message(graph), rows[i].part));
        assert_ptr_equal(y.graph, graph);
        assert_int_equal(h.id != 0, rows[i].status == RV_OK);
        assert_int_equal(y.id != 0, rows[i].status == RV_OK);
        if (rows[i].status == RV_OK) assert_int_equal(rv_tensor_rows(y), 10);
        rv_graph_destroy(m.other);
        end();
    }
}

/* One call a row: the arguments that no scan takes. */
static void test_arguments(void **state) {
    (void)state;
    static const char *const parts[] = {"0 steps",   "of no body",   "rows must be a multiple of 4",
                                        "17 states", "-1 outputs",   "to none",
                                        "1 inputs",  "another graph"};
    for (int i = 0; i < 8; i++) {
        begin();
        misuse m = {NOTHING, NULL, 0};
        assert_ok(rv_graph_create(device, &m.other), "");
        rv_tensor foreign = rv_fill(m.other, 10, 3, 0);
        rv_tensor list[17], y[17] = {{0}}, x = rv_fill(graph, 10, 3, 1);
        for (int k = 0; k < 17; k++) list[k] = rv_fill(graph, 2, 3, 0);
        if (i == 0) rv_scan(graph, 0, faulty_step, &m, list, 1, &x, 1, y, 1);
        if (i == 1) rv_scan(graph, 5, NULL, &m, list, 1, &x, 1, y, 1);
        if (i == 2) rv_scan(graph, 4, faulty_step, &m, list, 1, &x, 1, y, 1);
        if (i == 3) rv_scan(graph, 5, faulty_step, &m, list, 17, &x, 1, y, 1);
        if (i == 4) rv_scan(graph, 5, faulty_step, &m, list, 1, &x, 1, y, -1);
        if (i == 5) rv_scan(graph, 5, faulty_step, &m, (rv_tensor[]){RV_NONE}, 1, NULL, 0, y, 1);
        if (i == 6) rv_scan(graph, 5, faulty_step, &m, list, 1, NULL, 1, y, 1);
        if (i == 7) rv_scan(graph, 5, faulty_step, &m, NULL, 0, &foreign, 1, y, 1);
        assert_int_equal(rv_graph_status(graph), i == 2 ? RV_SHAPE_MISMATCH : RV_INVALID_ARGUMENT);
        if (!strstr(rv_graph_message(graph), parts[i])) fail_msg("%s", rv_graph_message(graph));
        assert_int_equal(m.calls, 0);
        rv_graph_destroy(m.other);
        end();
    }
}

static void test_gru_arguments(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        begin();
        rv_tensor x = rv_fill(graph, 7, 4, 1), h = rv_fill(graph, i ? 7 : 2, 3, 0),
                  reset = rv_fill(graph, i == 1 ? 6 : 7, 1, 0);
        if (i == 2) reset = rv_cast(reset, RV_I32);
        rv_tensor w_x = rv_fill(graph, 4, 9, 0), w_h = rv_fill(graph, 3, 9, 0), bias = rv_fill(graph, 1, 9, 0);
        assert_int_equal(rv_gru_sequence(x, h, reset, w_x, w_h, bias, bias).id, 0);
        assert_int_equal(rv_graph_status(graph), i == 2 ? RV_TYPE_MISMATCH : RV_SHAPE_MISMATCH);
        assert_non_null(strstr(rv_graph_message(graph), "gru_sequence"));
        end();
    }
}

/* ---- resets --------------------------------------------------------------------------------------------- */

enum { T = 6, B = 3, I = 2, H = 5, MASKED_STEP = 2, MASKED_ROW = 1 };

static rv_array *array(int64_t rows, int64_t cols, const char *name) {
    rv_array *made;
    assert_ok(rv_array_create(device, RV_F32, rows, cols, name, &made), name);
    float values[T * B * 3 * H];
    rv_random_normal(3, 0, name, 0, rows, cols, values);
    assert_ok(rv_array_write(made, 0, rows, values), name);
    return made;
}

/* A row that begins anew has nothing of its past, be it not a number, and the others keep theirs. */
static void test_resets(void **state) {
    (void)state;
    const int64_t shapes[7][2] = {{T * B, I}, {B, H}, {I, 3 * H}, {H, 3 * H}, {1, 3 * H}, {1, 3 * H}, {T * B, 1}};
    static const char *const names[7] = {"x", "h", "w_x", "w_h", "b_x", "b_h", "reset"};
    float y[2][T * B * H], h[B * H], reset[T * B] = {0};
    rv_array *arrays[7], *states;
    rv_plan *plan;
    begin();
    rv_tensor in[7];
    for (int i = 0; i < 7; i++) {
        arrays[i] = array(shapes[i][0], shapes[i][1], names[i]);
        in[i] = rv_read(graph, arrays[i]);
    }
    states = array(T * B, H, "states");
    rv_store(states, rv_gru_sequence(in[0], in[1], in[6], in[2], in[3], in[4], in[5]));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    reset[MASKED_STEP * B + MASKED_ROW] = 1;
    assert_ok(rv_array_write(arrays[6], 0, T * B, reset), "");
    assert_ok(rv_array_read(arrays[1], 0, B, h), "");
    for (int run = 0; run < 2; run++) {
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        assert_ok(rv_array_read(states, 0, T * B, y[run]), "");
        h[MASKED_ROW * H + 2] = NAN;
        assert_ok(rv_array_write(arrays[1], 0, B, h), "");
    }
    for (int r = 0; r < T * B; r++) {
        const bool lost = r % B == MASKED_ROW && r / B < MASKED_STEP;
        for (int c = 0; c < H; c++) {
            const float before = y[0][r * H + c], after = y[1][r * H + c];
            assert_true(lost ? isnan(after) : memcmp(&before, &after, sizeof before) == 0);
        }
    }
    rv_plan_destroy(plan);
    for (int i = 0; i < 7; i++) rv_array_destroy(arrays[i]);
    rv_array_destroy(states);
    end();
}

/* ---- what plans cost ------------------------------------------------------------------------------------- */

static int count_launches(const rv_plan *plan, const char *op) {
    rv_plan_report report = {.size = sizeof report};
    int count = 0;
    assert_ok(rv_plan_report_get(plan, &report), "report");
    for (int64_t i = 0; i < report.launches; i++) {
        rv_launch_info info = {.size = sizeof info};
        assert_ok(rv_plan_launch(plan, i, &info), "launch");
        count += strcmp(info.op, op) == 0;
    }
    return count;
}

/* However long the sequence: one product a weight, and nothing is copied to be joined for it. */
static void test_one_product_a_weight(void **state) {
    (void)state;
    static const int lengths[] = {4, 9, 64};
    for (int i = 0; i < 3; i++) {
        const int64_t steps = lengths[i];
        begin();
        rv_array *gradient = array(H, 3 * H, "gradient"), *states;
        assert_ok(rv_array_create(device, RV_F32, steps * B, H, "states", &states), "states");
        rv_tensor x = rv_tanh(rv_fill(graph, steps * B, I, 1)), h = rv_fill(graph, B, H, 0),
                  reset = rv_fill(graph, steps * B, 1, 0);
        rv_tensor w[] = {rv_fill(graph, I, 3 * H, 0.1f), rv_fill(graph, H, 3 * H, 0.1f), rv_fill(graph, 1, 3 * H, 0)};
        rv_tensor y = rv_gru_sequence(x, h, reset, w[0], w[1], w[2], w[2]), d[3];
        assert_ok(rv_gradients(rv_sum(rv_square(y), RV_ALL), w, 3, NULL, 0, d), rv_graph_message(graph));
        rv_store(states, rv_affine(y, 2, 0));
        rv_store(gradient, rv_add(d[1], rv_add(rv_sum(d[0], RV_ROWS), d[2])));
        rv_plan *plan;
        assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
        assert_int_equal(count_launches(plan, "linear_wgrad"), 2);
        assert_int_equal(count_launches(plan, "gru_cell"), steps);
        assert_int_equal(count_launches(plan, "gru_cell_backward"), steps);
        assert_int_equal(count_launches(plan, "concat_rows"), 0);
        rv_plan_destroy(plan);
        rv_array_destroy(states);
        rv_array_destroy(gradient);
        end();
    }
}

int main(void) {
    if (rv_device_open("cpu", NULL, &device) != RV_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faulty_bodies),        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_gru_arguments),        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_one_product_a_weight),
    };
    int failed = cmocka_run_group_tests_name("scan", tests, NULL, NULL);
    rv_device_close(device);
    return failed;
}
