/* tests/test_launches.c: how many launches plans take. What is fused must stay fused. */
#include <stdio.h>
#include <string.h>

#include "reverie/trainer.h"
#include "tests/support/case_run.h"
#include "tests/support/suite.h"
#include "tests/support/train_step.h"

/* What runs at once on the CPU is a region; launches are what a GPU would count. */
enum { WORLD_MODEL_LAUNCHES = 96, WORLD_MODEL_REGIONS = 12 };

static rv_device *device;
static rv_case_list *cases;

static const rv_case *find(const char *name) {
    for (int i = 0; i < cases->count; i++) {
        if (strcmp(cases->items[i].name, name) == 0) return &cases->items[i];
    }
    fail_msg("no case %s", name);
    return NULL;
}

static int64_t print_launches(const rv_plan *plan, bool print) {
    rv_plan_report report = {.size = sizeof report};
    assert_status(rv_plan_report_get(plan, &report), RV_OK);
    for (int64_t i = 0; print && i < report.launches; i++) {
        rv_launch_info info = {.size = sizeof info};
        assert_status(rv_plan_launch(plan, i, &info), RV_OK);
        print_error("  %s [%lld, %lld] %s\n", info.op, (long long)info.rows, (long long)info.cols, info.label);
    }
    return report.launches;
}

typedef struct budget {
    const char *name;
    int64_t forward, gradient; /* most launches; gradient: of forward and backward together */
} budget;

static const budget budgets[] = {
    {"gru_cell/b7_i33_h65", 1, 1 + 3},
    {"gru_cell/b16_i64_h128", 1, 1 + 3},
    {"block_linear/a6_bias1/b33_g8_d7_x3_n20", 1, 1 + 3 + 3}, /* one op for all inputs; the shared ones' parts stored */
    {"block_linear/a0_bias0/b1_g2_d1_x0_n1", 1, 2},
    {"block_gru/b7_g3_d5", 1, 1}, /* backward computes the gates again */
    {"gru_sequence/t9_b1_i1_h1_resets", 20, 49}, /* two a step and way; one product a weight */
    {"sample_normal/all/r7_c33", 1, 1}, /* backward redraws: the forward pass is not needed */
    {"sample_normal/kl/r7_c33", 1, 1},
    {"linear/silu/b64_x1_k128_n64", 1, 1 + 3},      /* pre-activation; its slope; two products */
    {"linear/linear/b7_x1_k33_n65", 1, 2},
    {"linear/silu/b65_x4_k61_n33", 1, 1 + 3 + 4},   /* one product for all inputs, and its parts stored */
    {"layer_norm/silu/r7_c65", 1, 1 + 3},
    {"rms_norm/silu/r7_c65", 1, 1 + 3},
    {"kl_normal/r7_c33", 1, 1},
    {"mse/r7_c33", 1, 2},
    {"sample_categorical/all/r7_l3_c4_mix", 1, 2}, /* of its log-probability: the classes drawn */
    {"sample_categorical/value/r7_l3_c4_mix", 1, 1},
    {"categorical_log_prob/r7_l3_c4_mix", 1, 1},
    {"kl_categorical/r7_l3_c4_mix", 1, 1},
    {"twohot_nll/r7_k33", 1, 1},
    {"twohot_mean/r7_k33", 1, 3},
    {"lambda_return/r7_t15_0.95", 1, 2},
    {"gaussian_nll/r7_c33", 1, 2},
    {"bernoulli_nll/r7_c33", 1, 1},
    {"matmul/nn/m7_k33_n65", 1, 2},
    {"matmul/tn/m7_k33_n65", 1, 2},
    {"adamw/clip/n1001", 2, 0},
    {"laprop/first/n1040_w16_s5", 2, 0},
    {"slice_cols/middle", 1, 3},
    {"reshape/other", 1, 2},
};

static int over(const budget *row, rv_case_mode mode, int64_t most) {
    rv_case_run run;
    assert_ok(rv_case_open(&run, device, find(row->name), mode, NULL), run.message);
    int64_t launches = print_launches(run.plan, false);
    if (launches > most) {
        print_error("%s%s: %d launches, at most %d:\n", row->name, mode ? " gradient" : "", (int)launches, (int)most);
        print_launches(run.plan, true);
    }
    rv_case_close(&run);
    return launches > most;
}

static void test_budgets(void **state) {
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        const budget *row = &budgets[i];
        failures += over(row, RV_CASE_FORWARD, row->forward);
        if (row->gradient > 0) failures += over(row, RV_CASE_GRADIENT, row->gradient);
    }
    assert_int_equal(failures, 0);
}

/* Rows are stored where the array lies. */
static void test_store_rows(void **state) {
    (void)state;
    rv_array *replay, *rows, *index;
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_array_create(device, RV_F32, 1000, 7, "replay", &replay), "");
    assert_ok(rv_array_create(device, RV_F32, 33, 7, "rows", &rows), "");
    assert_ok(rv_array_create(device, RV_I32, 33, 1, "index", &index), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_store_rows(replay, rv_read(graph, rows), rv_read(graph, index));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_int_equal(print_launches(plan, false), 1);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(replay);
    rv_array_destroy(rows);
    rv_array_destroy(index);
}

/* The whole training step of support/train_step.h: five layers, a norm, a sample, loss, gradients, three
 * watches, clip, AdamW, average, replay, counters. */
static void test_train_step(void **state) {
    (void)state;
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    int64_t launches = print_launches(step.plan, false);
    if (launches > 42) {
        print_launches(step.plan, true);
        fail_msg("%d launches", (int)launches);
    }
    rv_train_step_close(&step);
}

/* The course's world model: a training step has a budget. */
static void test_world_model(void **state) {
    (void)state;
    enum { STEPS = 70, OBSERVATION = 4 };
    static float observation[STEPS * OBSERVATION], next[STEPS * OBSERVATION], action[STEPS], reward[STEPS];
    for (int i = 0; i < STEPS * OBSERVATION; i++) observation[i] = next[i] = (float)(i % 7);
    rv_transitions data = {.steps = STEPS,
                           .observation_size = OBSERVATION,
                           .action_size = 1,
                           .observation = observation,
                           .next_observation = next,
                           .action = action,
                           .reward = reward};
    rv_world_model_options options = {.size = sizeof options, .observation_size = OBSERVATION, .action_size = 1};
    rv_world_model *model;
    rv_trainer *trainer;
    assert_ok(rv_world_model_create(device, &options, 3, &model), rv_world_model_message(model));
    assert_ok(rv_trainer_create(model, &data, NULL, &trainer), rv_trainer_message(trainer));
    rv_plan_report report = {.size = sizeof report};
    assert_status(rv_plan_report_get(rv_trainer_plan(trainer), &report), RV_OK);
    print_message("world model: %d launches in %d regions\n", (int)report.launches, (int)report.regions);
    if (report.launches > WORLD_MODEL_LAUNCHES || report.regions > WORLD_MODEL_REGIONS) {
        print_launches(rv_trainer_plan(trainer), true);
        fail_msg("at most %d launches in %d regions", WORLD_MODEL_LAUNCHES, WORLD_MODEL_REGIONS);
    }
    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
}

int main(void) {
    if (rv_device_open("cpu", NULL, &device) != RV_OK) return 1;
    cases = rv_cases_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_budgets), cmocka_unit_test(test_store_rows),
                                       cmocka_unit_test(test_train_step), cmocka_unit_test(test_world_model)};
    int failed = cmocka_run_group_tests_name("launches", tests, NULL, NULL);
    rv_cases_destroy(cases);
    rv_device_close(device);
    return failed;
}
