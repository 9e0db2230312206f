/* tests/test_dreamer_parts.c: actor, critic and returns against DreamerV3's golden files: with the imagined states, the
 * rewards and the noise that the files state, they give the files' policies, values, returns, losses and gradients. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/actor.h"
#include "reverie/critic.h"
#include "reverie/plan.h"
#include "reverie/returns.h"
#include "tests/support/devices.h"
#include "tests/support/golden_file.h"
#include "tests/support/suite.h"

#define FOLDER RV_TEST_DIR "/golden/dreamer/"

enum { NAME = 128, OUTPUTS = 40, DETER = 8, LATENT = 8, UNITS = 8, BINS = 5, LARGEST = 4096 };

typedef struct sizes {
    const char *file;
    rv_actor_kind kind;
    int64_t action, sequences, steps, horizon;
} sizes;

static const sizes all_sizes[] = {{"debug", RV_ACTOR_BOUNDED_NORMAL, 2, 3, 6, 4},
                                  {"discrete", RV_ACTOR_CATEGORICAL, 3, 2, 4, 3}};

static rv_test_devices devices;

typedef struct rig {
    const sizes *sizes;
    golden_file *weights, *batch, *expected;
    rv_device *device;
    rv_params *params, *slow_params;
    rv_actor actor;
    rv_critic critic, slow;
    rv_array *bins, *input[32];
    rv_return_normaliser *normaliser;
    int inputs, outputs;
    rv_graph *graph;
    char output_name[OUTPUTS][NAME];
    rv_array *output[OUTPUTS];
} rig;

/* ---- inputs and outputs ---- */

static golden_file *open_golden(const rig *r, const char *what) {
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s_%s.safetensors", r->sizes->file, what);
    golden_file *file = golden_open(path);
    assert_non_null(file);
    return file;
}

static golden_tensor find(const golden_file *file, const char *name) {
    golden_tensor tensor = golden_find(file, name);
    if (!tensor.values) fail_msg("no golden \"%s\"", name);
    assert_true(tensor.rows * tensor.cols <= LARGEST);
    return tensor;
}

static const float *rounded(golden_tensor tensor) {
    static float values[LARGEST];
    for (int64_t i = 0; i < tensor.rows * tensor.cols; i++) values[i] = (float)tensor.values[i];
    return values;
}

/* The first `rows` rows of a golden tensor, of an update's part below "update/0/". */
static rv_tensor input(rig *r, const golden_file *file, const char *name, int64_t rows) {
    char full[NAME];
    snprintf(full, sizeof full, "%s%s", file == r->expected ? "update/0/" : "", name);
    golden_tensor tensor = find(file, full);
    assert_true(rows <= tensor.rows);
    tensor.rows = rows;
    rv_array **array = &r->input[r->inputs++];
    assert_ok(rv_array_create(r->device, RV_F32, rows, tensor.cols, name, array), rv_array_message(*array));
    assert_ok(rv_array_write(*array, 0, rows, rounded(tensor)), name);
    return rv_read(r->graph, *array);
}

/* To be compared with "update/0/NAME" once the plan has run. */
static void output(rig *r, const char *name, rv_tensor tensor) {
    assert_ok(rv_graph_status(r->graph), rv_graph_message(r->graph));
    assert_true(r->outputs < OUTPUTS);
    snprintf(r->output_name[r->outputs], NAME, "update/0/%s", name);
    rv_array **array = &r->output[r->outputs++];
    assert_ok(rv_array_create(r->device, RV_F32, rv_tensor_rows(tensor), rv_tensor_cols(tensor), name, array), name);
    rv_store(*array, tensor);
}

/* Relative L2 distance 1e-4 at most, and 0 where 0 is stated. */
static void compare(const char *name, const float *actual, golden_tensor expected) {
    double off = 0, square = 0;
    for (int64_t i = 0; i < expected.rows * expected.cols; i++) {
        off += ((double)actual[i] - expected.values[i]) * ((double)actual[i] - expected.values[i]);
        square += expected.values[i] * expected.values[i];
    }
    if (!(sqrt(off) <= 1e-4 * sqrt(square))) fail_msg("%s: off by %g of %g", name, sqrt(off), sqrt(square));
}

/* ---- making ---- */

static void set_weights(rv_params *params, const golden_file *file, const char *prefix) {
    for (int i = 0; i < rv_params_count(params); i++) {
        char name[NAME];
        int64_t rows, cols;
        snprintf(name, sizeof name, "%s%s", prefix, rv_params_name(params, i));
        golden_tensor tensor = find(file, name);
        assert_ok(rv_params_shape(params, i, &rows, &cols), name);
        assert_true(tensor.rows == rows && tensor.cols == cols);
        assert_ok(rv_params_set(params, i, RV_VALUE, rounded(tensor)), rv_params_message(params));
    }
}

static void open_rig(rig *r, const sizes *s, const char *resource) {
    *r = (rig){.sizes = s};
    r->weights = open_golden(r, "weights");
    r->batch = open_golden(r, "batch");
    r->expected = open_golden(r, "expected");
    assert_ok(rv_device_open(resource, NULL, &r->device), rv_device_message(r->device));
    assert_ok(rv_params_create(r->device, &r->params), "params");
    assert_ok(rv_params_create(r->device, &r->slow_params), "params");
    assert_ok(rv_critic_bins(r->device, BINS, &r->bins), "bins");
    const rv_sizes hidden = rv_sizes_of(3, UNITS);
    const rv_actor_options acting = {
        .size = sizeof acting, .kind = s->kind, .inputs = DETER + LATENT, .action_size = s->action, .hidden = hidden};
    const rv_critic_options judging = {
        .size = sizeof judging, .inputs = DETER + LATENT, .hidden = hidden, .bins = r->bins};
    r->actor = rv_actor_add(r->params, "pol", &acting);
    r->critic = rv_critic_add(r->params, "val", &judging);
    rv_params_values_only(r->slow_params);
    r->slow = rv_critic_add(r->slow_params, "slow", &judging);
    assert_ok(rv_params_commit(r->params, 1), rv_params_message(r->params));
    assert_ok(rv_params_commit(r->slow_params, 1), rv_params_message(r->slow_params));
    set_weights(r->params, r->weights, "");
    set_weights(r->slow_params, r->weights, "");
    assert_ok(rv_return_normaliser_create(r->device, NULL, &r->normaliser), "normaliser");
    const float low = (float)find(r->weights, "returns/low").values[0];
    const float high = (float)find(r->weights, "returns/high").values[0];
    assert_ok(rv_array_write(rv_return_normaliser_low(r->normaliser), 0, 1, &low), "low");
    assert_ok(rv_array_write(rv_return_normaliser_high(r->normaliser), 0, 1, &high), "high");
    assert_ok(rv_graph_create(r->device, &r->graph), "graph");
}

static void close_rig(rig *r) {
    for (int i = 0; i < r->inputs; i++) rv_array_destroy(r->input[i]);
    for (int i = 0; i < r->outputs; i++) rv_array_destroy(r->output[i]);
    rv_graph_destroy(r->graph);
    rv_return_normaliser_destroy(r->normaliser);
    rv_array_destroy(r->bins);
    rv_params_destroy(r->params);
    rv_params_destroy(r->slow_params);
    rv_device_close(r->device);
    golden_close(r->weights);
    golden_close(r->batch);
    golden_close(r->expected);
}

static void run_and_compare(rig *r) {
    rv_plan *plan;
    static float values[LARGEST];
    assert_ok(rv_plan_create(r->graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    for (int i = 0; i < r->outputs; i++) {
        golden_tensor expected = find(r->expected, r->output_name[i]);
        assert_int_equal(expected.rows * expected.cols, rv_array_rows(r->output[i]) * rv_array_cols(r->output[i]));
        assert_ok(rv_array_read(r->output[i], 0, rv_array_rows(r->output[i]), values), "output");
        compare(r->output_name[i], values, expected);
    }
    rv_plan_destroy(plan);
}

/* The gradient of one loss alone, of every weight that the file has one for; gives how many. */
static int compare_gradients(rig *r, const char *loss) {
    int compared = 0;
    static float values[LARGEST];
    for (int i = 0; i < rv_params_count(r->params); i++) {
        char name[NAME];
        snprintf(name, sizeof name, "update/0/gradient_of/%s/%s", loss, rv_params_name(r->params, i));
        golden_tensor expected = golden_find(r->expected, name);
        assert_ok(rv_params_get(r->params, i, RV_GRADIENT, values), rv_params_message(r->params));
        if (expected.values) {
            compare(name, values, expected);
            compared++;
            continue;
        }
        int64_t rows, cols;
        rv_params_shape(r->params, i, &rows, &cols);
        for (int64_t k = 0; k < rows * cols; k++) assert_true(values[k] == 0);
    }
    return compared;
}

static bool open_listed(void **state, rig *r) {
    const int number = *(int *)*state, device = number / 2;
    bool absent;
    rv_device_close(rv_device_open_for_test(&devices, device, &absent));
    if (!absent) open_rig(r, &all_sizes[number % 2], devices.names[device]);
    return !absent;
}

/* ---- the update's parts ---- */

static rv_tensor first_rows(rv_tensor x, int64_t rows) { return rv_slice_rows(x, 0, rows); }

/* Everything of imagination; gives the two losses and R_0, [N, 1], a row for each replayed state. */
typedef struct dreamt {
    rv_tensor policy_loss, value_loss, boot;
} dreamt;

static void outputs_of_policy(rig *r, rv_actor_policy policy) {
    if (policy.kind == RV_ACTOR_CATEGORICAL) {
        output(r, "imagination/policy_logits", policy.logits);
        return;
    }
    output(r, "imagination/policy_mean", policy.mean);
    output(r, "imagination/policy_std", policy.std);
}

static dreamt dream(rig *r) {
    const int64_t rows = r->sizes->sequences * r->sizes->steps, H = r->sizes->horizon, all = (H + 1) * rows;
    rv_tensor seen[2] = {input(r, r->expected, "imagination/deter", all),
                         input(r, r->expected, "imagination/stoch", all)};
    rv_tensor taken = input(r, r->expected, "imagination/action", all);
    rv_actor_policy policy = rv_actor_forward(r->graph, &r->actor, seen, 2);
    rv_action drawn = rv_actor_draw(policy, input(r, r->batch, "noise/action", all), NULL, 0);
    rv_tensor log_prob = rv_actor_log_prob(policy, taken), entropy = rv_actor_entropy(policy);
    outputs_of_policy(r, policy);
    output(r, "imagination/action", drawn.action);
    output(r, "imagination/log_prob", log_prob);
    output(r, "imagination/log_prob", drawn.log_prob);
    output(r, "imagination/entropy", entropy);
    output(r, "imagination/entropy", drawn.entropy);

    rv_tensor out = rv_critic_forward(r->graph, &r->critic, seen, 2),
              value = rv_critic_value(r->graph, &r->critic, out);
    rv_tensor slow = rv_critic_value(r->graph, &r->slow, rv_critic_forward(r->graph, &r->slow, seen, 2));
    output(r, "imagination/value", value);
    output(r, "imagination/slow_value", slow);
    rv_tensor reward = rv_returns_by_row(input(r, r->expected, "imagination/reward", all), H + 1);
    rv_tensor going_on = rv_returns_by_row(input(r, r->expected, "imagination/going_on", all), H + 1);
    rv_tensor values = rv_returns_by_row(value, H + 1);
    rv_imagined_returns returns = rv_returns_imagined(reward, going_on, values, 0.95f);
    rv_return_scale scale = rv_returns_normalise(r->graph, r->normaliser, returns.target);
    rv_tensor gain = rv_sub(returns.target, rv_slice_cols(values, 0, H));
    rv_tensor advantage = rv_returns_by_time(rv_div(gain, scale.scale));
    rv_tensor target = rv_returns_by_time(returns.target), weight = rv_returns_by_time(returns.weight);
    output(r, "imagination/return", target);
    output(r, "imagination/weight", weight);
    output(r, "imagination/advantage", advantage);
    output(r, "returns/low", scale.low);
    output(r, "returns/high", scale.high);
    output(r, "returns/scale", scale.scale);

    rv_tensor praise = rv_mul(first_rows(log_prob, H * rows), rv_stop_gradient(advantage));
    rv_tensor good = rv_add(praise, rv_affine(first_rows(entropy, H * rows), 3e-4f, 0));
    dreamt made = {.boot = first_rows(target, rows)};
    made.policy_loss = rv_neg(rv_mean(rv_mul(rv_stop_gradient(weight), good), RV_ALL));
    rv_tensor targets[2] = {target, first_rows(slow, H * rows)};
    made.value_loss = rv_critic_loss(r->graph, &r->critic, first_rows(out, H * rows), targets, 2, weight);
    output(r, "loss/policy", made.policy_loss);
    output(r, "loss/value", made.value_loss);
    return made;
}

static rv_tensor replayed(rig *r, rv_tensor boot) {
    const int64_t B = r->sizes->sequences, T = r->sizes->steps, rows = B * T, until = rows - B;
    rv_tensor seen[2] = {input(r, r->expected, "state/deter", rows), input(r, r->expected, "state/stoch", rows)};
    rv_tensor out = rv_critic_forward(r->graph, &r->critic, seen, 2);
    rv_tensor slow = rv_critic_value(r->graph, &r->slow, rv_critic_forward(r->graph, &r->slow, seen, 2));
    output(r, "replay/value", rv_critic_value(r->graph, &r->critic, out));
    output(r, "replay/slow_value", slow);
    rv_tensor last = input(r, r->batch, "is_last", rows);
    rv_tensor target = rv_returns_by_time(
        rv_returns_replayed(rv_returns_by_row(input(r, r->batch, "reward", rows), T),
                            rv_returns_by_row(input(r, r->batch, "is_terminal", rows), T), rv_returns_by_row(last, T),
                            rv_returns_by_row(boot, T), 1 - 1 / 333.0f, 0.95f));
    output(r, "replay/return", target);
    rv_tensor targets[2] = {target, first_rows(slow, until)}, weight = rv_affine(first_rows(last, until), -1, 1);
    rv_tensor loss = rv_critic_loss(r->graph, &r->critic, first_rows(out, until), targets, 2, weight);
    output(r, "loss/repval", loss);
    return loss;
}

/* One plan a loss: values, and the gradient of that loss alone. */
static void update(void **state, const char *name) {
    rig r;
    if (!open_listed(state, &r)) skip();
    dreamt made = dream(&r);
    rv_tensor repval = rv_affine(replayed(&r, made.boot), 0.3f, 0);
    const bool policy = strcmp(name, "policy") == 0;
    rv_tensor loss = policy ? made.policy_loss : strcmp(name, "value") == 0 ? made.value_loss : repval;
    assert_ok(rv_params_gradients(r.graph, r.params, loss, NULL, 0), rv_graph_message(r.graph));
    run_and_compare(&r);
    /* three layers of three weights, and the heads' two */
    const int heads = policy && r.sizes->kind == RV_ACTOR_BOUNDED_NORMAL ? 2 : 1;
    assert_int_equal(compare_gradients(&r, name), 9 + 2 * heads);
    close_rig(&r);
}

static void policy(void **state) { update(state, "policy"); }
static void value(void **state) { update(state, "value"); }
static void replayed_value(void **state) { update(state, "repval"); }

/* After the critic's step, its slow copy stands where the file has it. */
static void slow_critic(void **state) {
    rig r;
    if (!open_listed(state, &r)) skip();
    set_weights(r.params, r.expected, "update/0/weight/");
    rv_critic_follow(r.graph, &r.slow, &r.critic, 0.02f);
    run_and_compare(&r);
    static float values[LARGEST];
    for (int i = 0; i < rv_params_count(r.slow_params); i++) {
        char name[NAME];
        snprintf(name, sizeof name, "update/0/weight/%s", rv_params_name(r.slow_params, i));
        assert_ok(rv_params_get(r.slow_params, i, RV_VALUE, values), name);
        compare(name, values, find(r.expected, name));
    }
    close_rig(&r);
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu cpu:reference cpu:double check:cpu");
    static const CMUnitTestFunction each[] = {policy, value, replayed_value, slow_critic};
    enum { EACH = sizeof each / sizeof *each };
    static struct CMUnitTest tests[EACH * 2 * RV_MAX_DEVICES];
    static int numbers[2 * RV_MAX_DEVICES];
    int count = 0;
    for (int i = 0; i < 2 * devices.count; i++) {
        numbers[i] = i;
        for (int k = 0; k < EACH; k++)
            tests[count++] = (struct CMUnitTest){devices.names[i / 2], each[k], NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("dreamer_parts", tests, (size_t)count, NULL, NULL);
}
