/* tests/test_gradients.c: every gradient against central differences, in double precision.
 *
 * loss = sum of output * weight. One element of one input at a time moves by +-step; stop_gradient values and draws are
 * frozen at the base point, so that the difference is of the surrogate that the gradient belongs to.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "tests/support/case_run.h"
#include "tests/support/suite.h"

/* Far inside the usual 1e-3: both sides are double. The difference of two losses loses digits of the loss. */
static const double step_size = 1e-6, relative_bound = 1e-6, loss_bound = 2e-9, absolute_bound = 1e-8;
enum { MOST_ELEMENTS = 24 }; /* sampled of an input */

static rv_device *device;
static rv_case_list *cases;

static double loss_at(rv_case_run *loss, double *element, double value) {
    double base = *element;
    *element = value;
    assert_ok(rv_case_execute(loss), loss->message);
    *element = base;
    return loss->exact_output[0][0];
}

/* Where element i of input `index` lies in its array: a strided case has margins. */
static double *element_of(rv_case_run *run, int index, int64_t i) {
    int64_t cols = run->item->input[index].cols, width = rv_array_cols(run->input[index]);
    return run->exact[index] + i / cols * width + (width > cols ? 3 : 0) + i % cols;
}

static int check_input(rv_case_run *loss, int index, const double *analytic, char *why, size_t size) {
    const rv_case_input *input = &loss->item->input[index];
    int64_t count = input->rows * input->cols;
    int64_t stride = count > MOST_ELEMENTS ? count / MOST_ELEMENTS : 1;
    if (stride > 1 && stride % 2 == 0) stride++; /* not always the same column */
    for (int64_t i = 0; i < count; i += stride) {
        double *element = element_of(loss, index, i);
        double step = step_size * fmax(1, fabs(*element));
        double above = loss_at(loss, element, *element + step), below = loss_at(loss, element, *element - step);
        double numeric = (above - below) / (2 * step);
        if (fabs(numeric - analytic[i]) <= absolute_bound + relative_bound * fabs(numeric) + loss_bound * fabs(above))
            continue;
        snprintf(why, size, "input %d[%lld]: gradient %.10g, differences give %.10g", index, (long long)i, analytic[i],
                 numeric);
        return 1;
    }
    return 0;
}

static int check_inputs(rv_case_run *gradient, rv_case_run *loss, char *why, size_t size) {
    /* one free run at the base point gives the values that stay frozen */
    assert_ok(rv_case_execute(loss), loss->message);
    rv_plan_freeze(loss->plan, true);
    int output = 0, failures = 0;
    for (int i = 0; i < loss->item->input_count && failures == 0; i++) {
        if (!loss->item->input[i].differentiable) continue;
        double *analytic = rv_case_read(gradient, output++);
        if (!analytic) return snprintf(why, size, "%s", gradient->message);
        failures += check_input(loss, i, analytic, why, size);
        free(analytic);
    }
    return failures;
}

static int check_case(const rv_case *item, const rv_plan_options *options) {
    rv_case_run gradient, loss = {0};
    rv_plan_options ordered = {.size = sizeof ordered, .keep_order = 1, .expand = (item->flags & RV_CASE_FREEZE) != 0};
    char why[700] = "";
    int failures = 1;
    if (rv_case_open(&gradient, device, item, RV_CASE_GRADIENT, options) != RV_OK ||
        rv_case_execute(&gradient) != RV_OK) {
        snprintf(why, sizeof why, "%s", gradient.message);
    } else if (rv_case_open(&loss, device, item, RV_CASE_LOSS, &ordered) != RV_OK) {
        snprintf(why, sizeof why, "%s", loss.message);
    } else {
        failures = check_inputs(&gradient, &loss, why, sizeof why);
    }
    if (failures) print_error("%s: %s\n", item->name, why);
    rv_case_close(&gradient);
    rv_case_close(&loss);
    return failures != 0;
}

static void test_cases(void **state) {
    (void)state;
    int failures = 0, checks = 0;
    for (int i = 0; i < cases->count; i++) {
        const rv_case *item = &cases->items[i];
        /* wide or tall ones hold the same ops as the others */
        if ((item->flags & (RV_CASE_LARGE | RV_CASE_BENCH | RV_CASE_TALL)) || rv_case_differentiable(item) == 0)
            continue;
        failures += check_case(item, NULL);
        checks++;
    }
    print_message("%d cases, %d failed\n", checks, failures);
    assert_int_equal(failures, 0);
}

/* x stop(x^2): the surrogate's derivative is stop(x^2), the function's own would be 3 x^2. */
static void test_freezing_matters(void **state) {
    (void)state;
    const rv_case *item = NULL;
    for (int i = 0; i < cases->count && !item; i++) {
        if (strcmp(cases->items[i].name, "stop_gradient/product") == 0) item = &cases->items[i];
    }
    assert_non_null(item);
    rv_case_run loss;
    rv_plan_options ordered = {.size = sizeof ordered, .keep_order = 1};
    assert_ok(rv_case_open(&loss, device, item, RV_CASE_LOSS, &ordered), loss.message);
    double slope[2], *element = element_of(&loss, 0, 4);
    assert_ok(rv_case_execute(&loss), loss.message);
    for (int frozen = 0; frozen < 2; frozen++) {
        rv_plan_freeze(loss.plan, frozen);
        double above = loss_at(&loss, element, *element + 1e-5), below = loss_at(&loss, element, *element - 1e-5);
        slope[frozen] = (above - below) / 2e-5;
    }
    assert_true(fabs(slope[0] - slope[1]) > 1e-2 * fabs(slope[1]));
    rv_case_close(&loss);
}

/* What rv_gradients promises beside slopes: zeros where nothing flows, stops that are told, ties. */
typedef struct scene {
    rv_graph *graph;
    rv_array *x, *out[3];
} scene;

static scene scene_begin(const float *values, int64_t rows, int64_t cols) {
    scene s = {0};
    assert_ok(rv_array_create(device, RV_F32, rows, cols, "x", &s.x), rv_array_message(s.x));
    assert_ok(rv_array_write(s.x, 0, rows, values), rv_array_message(s.x));
    for (int i = 0; i < 3; i++) assert_ok(rv_array_create(device, RV_F32, rows, cols, "out", &s.out[i]), "");
    assert_ok(rv_graph_create(device, &s.graph), "");
    return s;
}

static void scene_run(scene *s) {
    rv_plan *plan;
    assert_ok(rv_plan_create(s->graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    rv_plan_destroy(plan);
    rv_graph_destroy(s->graph);
}

static void scene_end(scene *s) {
    rv_array_destroy(s->x);
    for (int i = 0; i < 3; i++) rv_array_destroy(s->out[i]);
}

static void test_zeros_and_stops(void **state) {
    (void)state;
    scene s = scene_begin((float[]){1, 2, 3}, 1, 3);
    rv_tensor x = rv_read(s.graph, s.x), y = rv_square(x), unrelated = rv_exp(x), gradient[3];
    rv_tensor loss = rv_sum(rv_mul(x, y), RV_ALL);
    assert_ok(rv_gradients(loss, (rv_tensor[]){x, unrelated}, 2, &y, 1, gradient), rv_graph_message(s.graph));
    rv_store(s.out[0], gradient[0]); /* y stopped: y itself, not 3 x^2 */
    rv_store(s.out[1], gradient[1]);
    assert_ok(rv_gradients(loss, &y, 1, NULL, 0, gradient), rv_graph_message(s.graph));
    rv_store(s.out[2], gradient[0]); /* of an inner value */
    scene_run(&s);
    float got[9];
    for (int i = 0; i < 3; i++) assert_ok(rv_array_read(s.out[i], 0, 1, got + 3 * i), "");
    const float expected[9] = {1, 4, 9, 0, 0, 0, 1, 2, 3};
    for (int i = 0; i < 9; i++) assert_true(got[i] == expected[i]);
    scene_end(&s);
}

static void test_ties_and_kinks(void **state) {
    (void)state;
    scene s = scene_begin((float[]){0, 5, 5, -5}, 1, 4);
    rv_tensor x = rv_read(s.graph, s.x), gradient, other = rv_fill(s.graph, 1, 4, 5);
    assert_ok(rv_gradients(rv_sum(rv_reduce_max(x, RV_COLS), RV_ALL), &x, 1, NULL, 0, &gradient), "");
    rv_store(s.out[0], gradient); /* the first of equal ones */
    assert_ok(rv_gradients(rv_sum(rv_add(rv_relu(x), rv_abs(x)), RV_ALL), &x, 1, NULL, 0, &gradient), "");
    rv_store(s.out[1], gradient); /* 0 at 0 */
    assert_ok(rv_gradients(rv_sum(rv_max(x, other), RV_ALL), &x, 1, NULL, 0, &gradient), "");
    rv_store(s.out[2], gradient); /* a tie's gradient goes to the first operand */
    scene_run(&s);
    float got[12];
    for (int i = 0; i < 3; i++) assert_ok(rv_array_read(s.out[i], 0, 1, got + 4 * i), "");
    const float expected[12] = {0, 1, 0, 0, 0, 2, 2, -1, 0, 1, 1, 0};
    for (int i = 0; i < 12; i++) {
        if (got[i] != expected[i]) fail_msg("[%d] is %g, should be %g", i, (double)got[i], (double)expected[i]);
    }
    scene_end(&s);
}

static void test_bad_calls(void **state) {
    (void)state;
    scene s = scene_begin((float[]){1, 2, 3}, 1, 3);
    rv_tensor x = rv_read(s.graph, s.x), gradient;
    assert_status(rv_gradients(rv_square(x), &x, 1, NULL, 0, &gradient), RV_SHAPE_MISMATCH); /* not [1, 1] */
    rv_graph_destroy(s.graph);
    scene_end(&s);
}

int main(void) {
    if (rv_device_open("cpu:double", NULL, &device) != RV_OK) {
        fprintf(stderr, "%s\n", rv_device_message(device));
        return 1;
    }
    cases = rv_cases_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_freezing_matters),
                                       cmocka_unit_test(test_zeros_and_stops), cmocka_unit_test(test_ties_and_kinks),
                                       cmocka_unit_test(test_bad_calls)};
    int failed = cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
    rv_cases_destroy(cases);
    rv_device_close(device);
    return failed;
}
