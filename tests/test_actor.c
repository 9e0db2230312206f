/* tests/test_actor.c: policies against densities computed here, gradients against differences, what is refused. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/actor.h"
#include "reverie/plan.h"
#include "reverie/random.h"
#include "tests/support/allocator.h"
#include "tests/support/suite.h"

enum { B = 6, F0 = 3, F1 = 2, A = 4, OUTPUTS = 8 };

typedef struct rig {
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_actor actor;
    rv_graph *graph;
    rv_plan *plan;
    rv_array *feature[2], *noise, *output[OUTPUTS];
    int outputs;
} rig;

static rv_array *normals(rv_device *device, int64_t rows, int64_t cols, const char *name) {
    rv_array *array;
    float values[B * 64];
    assert_true(rows * cols <= B * 64);
    rv_random_normal(11, 0, name, 0, rows, cols, values);
    assert_ok(rv_array_create(device, RV_F32, rows, cols, name, &array), name);
    assert_ok(rv_array_write(array, 0, rows, values), name);
    return array;
}

static void open_on(rig *r, rv_device *device, const rv_actor_options *given) {
    *r = (rig){.device = device};
    rv_actor_options options = *given;
    options.size = sizeof options;
    options.inputs = F0 + F1;
    options.action_size = A;
    options.hidden = rv_sizes_of(2, 7);
    if (!options.outscale) options.outscale = 1; /* heads that say something */
    assert_ok(rv_params_create(device, &r->params), "params");
    r->actor = rv_actor_add(r->params, "pol", &options);
    assert_ok(rv_params_commit(r->params, 4), rv_params_message(r->params));
    assert_ok(rv_random_create(device, 5, &r->random), "random");
    r->feature[0] = normals(device, B, F0, "deter");
    r->feature[1] = normals(device, B, F1, "stoch");
    r->noise = normals(device, B, A, "noise");
    assert_ok(rv_graph_create(device, &r->graph), "graph");
}

static void open_rig(rig *r, const char *resource, const rv_actor_options *options) {
    rv_device *device;
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    open_on(r, device, options);
}

static void close_rig(rig *r) {
    rv_plan_destroy(r->plan);
    rv_graph_destroy(r->graph);
    for (int i = 0; i < r->outputs; i++) rv_array_destroy(r->output[i]);
    rv_array_destroy(r->feature[0]);
    rv_array_destroy(r->feature[1]);
    rv_array_destroy(r->noise);
    rv_random_destroy(r->random);
    rv_params_destroy(r->params);
    rv_device_close(r->device);
}

static rv_actor_policy forward(rig *r) {
    const rv_tensor features[2] = {rv_read(r->graph, r->feature[0]), rv_read(r->graph, r->feature[1])};
    return rv_actor_forward(r->graph, &r->actor, features, 2);
}

static int keep(rig *r, rv_tensor x) {
    assert_ok(rv_graph_status(r->graph), rv_graph_message(r->graph));
    rv_array **array = &r->output[r->outputs];
    assert_ok(rv_array_create(r->device, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), "output", array), "output");
    rv_store(*array, x);
    return r->outputs++;
}

static void run(rig *r) {
    if (!r->plan) assert_ok(rv_plan_create(r->graph, NULL, &r->plan), rv_plan_message(r->plan));
    assert_ok(rv_plan_run(r->plan), rv_plan_message(r->plan));
}

static const float *result(rig *r, int index, float *out) {
    assert_ok(rv_array_read(r->output[index], 0, rv_array_rows(r->output[index]), out), "output");
    return out;
}

static void near(double actual, double expected, double bound, const char *what) {
    if (!(fabs(actual - expected) <= bound * (1 + fabs(expected))))
        fail_msg("%s: %.9g, not %.9g", what, actual, expected);
}

static double normal_log_density(double x, double mean, double std) {
    const double z = (x - mean) / std;
    return -0.5 * z * z - log(std) - 0.5 * log(2 * acos(-1));
}

/* ---- the kinds ---- */

static void bounded_normal(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu", &(rv_actor_options){.kind = RV_ACTOR_BOUNDED_NORMAL, .outscale = 3});
    rv_actor_policy policy = forward(&r);
    rv_action drawn = rv_actor_draw(policy, rv_read(r.graph, r.noise), NULL, 0);
    const rv_tensor all[] = {policy.mean,
                             policy.std,
                             drawn.action,
                             drawn.log_prob,
                             drawn.entropy,
                             rv_actor_mode(policy),
                             rv_actor_log_prob(policy, drawn.action),
                             rv_actor_entropy(policy)};
    for (int i = 0; i < OUTPUTS; i++) keep(&r, all[i]);
    run(&r);
    float mean[B * A], std[B * A], action[B * A], log_prob[B], entropy[B], mode[B * A], again[B], closed[B],
        noise[B * A];
    float *const out[] = {mean, std, action, log_prob, entropy, mode, again, closed};
    for (int i = 0; i < OUTPUTS; i++) result(&r, i, out[i]);
    assert_ok(rv_array_read(r.noise, 0, B, noise), "noise");
    float least = 1, most = 0;
    for (int b = 0; b < B; b++) {
        double expected = 0, spread = 0;
        for (int i = b * A; i < (b + 1) * A; i++) {
            least = fminf(least, std[i]);
            most = fmaxf(most, std[i]);
            assert_true(fabsf(mean[i]) < 1 && std[i] > 0.1f && std[i] < 1 && mode[i] == mean[i]);
            near((double)action[i], (double)mean[i] + (double)std[i] * (double)noise[i], 1e-6, "action");
            expected += normal_log_density((double)action[i], (double)mean[i], (double)std[i]);
            spread += log((double)std[i]) + 0.5 * log(2 * acos(-1) * exp(1));
        }
        near((double)log_prob[b], expected, 1e-5, "log_prob");
        near((double)again[b], expected, 1e-5, "log_prob of the action");
        near((double)entropy[b], spread, 1e-5, "entropy");
        near((double)closed[b], spread, 1e-5, "entropy");
    }
    assert_true(most - least > 0.1f);
    close_rig(&r);
}

/* By the change of variables: p(a) = N(atanh a) / (1 - a^2). */
static void tanh_normal(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu", &(rv_actor_options){.kind = RV_ACTOR_TANH_NORMAL});
    rv_actor_policy policy = forward(&r);
    rv_action drawn = rv_actor_draw(policy, rv_read(r.graph, r.noise), NULL, 0);
    const rv_tensor all[] = {policy.mean,
                             policy.std,
                             drawn.action,
                             drawn.log_prob,
                             drawn.entropy,
                             rv_actor_mode(policy),
                             rv_actor_log_prob(policy, drawn.action)};
    for (int i = 0; i < 7; i++) keep(&r, all[i]);
    run(&r);
    float mean[B * A], std[B * A], action[B * A], log_prob[B], entropy[B], mode[B * A], again[B], noise[B * A];
    float *const out[] = {mean, std, action, log_prob, entropy, mode, again};
    for (int i = 0; i < 7; i++) result(&r, i, out[i]);
    assert_ok(rv_array_read(r.noise, 0, B, noise), "noise");
    for (int b = 0; b < B; b++) {
        double expected = 0;
        for (int i = b * A; i < (b + 1) * A; i++) {
            const double u = (double)mean[i] + (double)std[i] * (double)noise[i];
            near((double)action[i], tanh(u), 1e-6, "action");
            near((double)mode[i], tanh((double)mean[i]), 1e-6, "mode");
            expected += normal_log_density(u, (double)mean[i], (double)std[i]) - log(1 - tanh(u) * tanh(u));
        }
        near((double)log_prob[b], expected, 1e-5, "log_prob");
        near((double)again[b], expected, 1e-3, "log_prob of the action"); /* atanh of a rounded number */
        assert_true(entropy[b] == -log_prob[b]);
    }
    close_rig(&r);
}

/* Far out, where 1 - tanh(u)^2 is 0 in float, its logarithm is still 2 (log 2 - |u|). */
static void tanh_far_out(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu", &(rv_actor_options){.kind = RV_ACTOR_TANH_NORMAL});
    rv_actor_policy policy = {
        .kind = RV_ACTOR_TANH_NORMAL, .mean = rv_fill(r.graph, B, A, 30), .std = rv_fill(r.graph, B, A, 2)};
    const int at = keep(&r, rv_actor_draw(policy, rv_fill(r.graph, B, A, -1), NULL, 0).log_prob);
    const int given = keep(&r, rv_actor_log_prob(policy, rv_fill(r.graph, B, A, 1)));
    run(&r);
    float log_prob[B];
    near((double)result(&r, at, log_prob)[0], A * (-0.5 - log(2) - 0.5 * log(2 * acos(-1)) - 2 * (log(2) - 28)), 1e-6,
         "log_prob");
    assert_true(isfinite(result(&r, given, log_prob)[0]));
    close_rig(&r);
}

/* The tanh-normal's estimate of its entropy is right on average: against the integral of -p log p over u. */
static void tanh_entropy(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    const double mean = 0.7, std = 0.9;
    double expected = 0, sum = 0;
    for (double u = mean - 8 * std; u < mean + 8 * std; u += 1e-3) {
        const double log_p = normal_log_density(u, mean, std);
        expected -= 1e-3 * exp(log_p) * (log_p - log(1 - tanh(u) * tanh(u)));
    }
    rig r;
    open_rig(&r, "cpu", &(rv_actor_options){.kind = RV_ACTOR_TANH_NORMAL});
    rv_actor_policy policy = {.kind = RV_ACTOR_TANH_NORMAL,
                              .mean = rv_fill(r.graph, DRAWS, 1, (float)mean),
                              .std = rv_fill(r.graph, DRAWS, 1, (float)std)};
    const int at = keep(&r, rv_actor_draw(policy, rv_random_state(r.graph, r.random), "action", 0).entropy);
    run(&r);
    static float entropy[DRAWS];
    result(&r, at, entropy);
    for (int i = 0; i < DRAWS; i++) sum += (double)entropy[i] / DRAWS;
    near(sum, expected, 0.02, "entropy");
    close_rig(&r);
}

/* Two variables of two classes: one of each, with the log-probability of the drawn ones. */
static void categorical(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu", &(rv_actor_options){.kind = RV_ACTOR_CATEGORICAL, .classes = 2, .unimix = 0.1f});
    rv_actor_policy policy = forward(&r);
    rv_action drawn = rv_actor_draw(policy, rv_random_state(r.graph, r.random), "action", 0);
    const rv_tensor all[] = {policy.logits, drawn.action,          drawn.log_prob,
                             drawn.entropy, rv_actor_mode(policy), rv_actor_log_prob(policy, rv_actor_mode(policy))};
    for (int i = 0; i < 6; i++) keep(&r, all[i]);
    run(&r);
    float logits[B * A], action[B * A], log_prob[B], entropy[B], mode[B * A], of_mode[B];
    float *const out[] = {logits, action, log_prob, entropy, mode, of_mode};
    for (int i = 0; i < 6; i++) result(&r, i, out[i]);
    for (int b = 0; b < B; b++) {
        double expected = 0, spread = 0, likeliest = 0;
        for (int v = b * A; v < (b + 1) * A; v += 2) {
            assert_true(action[v] + action[v + 1] == 1 && action[v] * action[v + 1] == 0);
            assert_true(mode[v] == (logits[v] >= logits[v + 1]));
            for (int k = 0; k < 2; k++) {
                const double p = 0.9 / (1 + exp((double)(logits[v + 1 - k] - logits[v + k]))) + 0.05;
                expected += action[v + k] > 0 ? log(p) : 0;
                likeliest += mode[v + k] > 0 ? log(p) : 0;
                spread -= p * log(p);
            }
        }
        near((double)log_prob[b], expected, 1e-5, "log_prob");
        near((double)of_mode[b], likeliest, 1e-5, "log_prob of the mode");
        near((double)entropy[b], spread, 1e-5, "entropy");
    }
    close_rig(&r);
}

/* What s = 0 gives, and the ends. */
static void stds(void **state) {
    (void)state;
    const struct {
        rv_actor_options options;
        double initial;
    } cases[] = {
        {{.kind = RV_ACTOR_BOUNDED_NORMAL}, 0.9 / (1 + exp(-2)) + 0.1},
        {{.kind = RV_ACTOR_BOUNDED_NORMAL, .min_std = 0.2f, .max_std = 3, .initial_std = 0.5f}, 0.5},
        {{.kind = RV_ACTOR_TANH_NORMAL}, 1},
        {{.kind = RV_ACTOR_TANH_NORMAL, .min_std = 0.01f, .max_std = 5, .initial_std = 0.3f, .mean_bound = 5}, 0.3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig r;
        rv_actor_options options = cases[i].options;
        options.outscale = -1; /* heads of zeros */
        options.plain = 1;
        open_rig(&r, "cpu", &options);
        rv_actor_policy policy = forward(&r);
        const int std = keep(&r, policy.std), mean = keep(&r, policy.mean);
        run(&r);
        float values[B * A];
        near((double)result(&r, std, values)[3], cases[i].initial, 1e-6, "std");
        assert_true(result(&r, mean, values)[3] == 0);
        assert_int_equal(rv_params_find(r.params, "pol/0/scale"), -1);
        assert_true(rv_params_find(r.params, "pol/1/bias") >= 0 && rv_params_find(r.params, "pol/std/bias") >= 0);
        close_rig(&r);
    }
}

/* ---- gradients ---- */

/* The loss as the device holds it: doubles on cpu:double. */
static double loss_of(rig *r, int index) {
    void *memory;
    assert_ok(rv_array_native(r->output[index], &memory), "native");
    return *(double *)memory;
}

static void check_weight(rig *r, int loss, int weight, double *largest) {
    int64_t rows, cols;
    float gradient[64], values[64];
    assert_ok(rv_params_shape(r->params, weight, &rows, &cols), "shape");
    assert_true(rows * cols <= 64);
    assert_ok(rv_params_get(r->params, weight, RV_VALUE, values), "value");
    run(r);
    assert_ok(rv_params_get(r->params, weight, RV_GRADIENT, gradient), "gradient");
    for (int64_t i = 0; i < rows * cols; i++) {
        const float was = values[i], up = was + 1e-4f, down = was - 1e-4f;
        double at[2];
        for (int side = 0; side < 2; side++) {
            values[i] = side ? up : down;
            assert_ok(rv_params_set(r->params, weight, RV_VALUE, values), "set");
            run(r);
            at[side] = loss_of(r, loss);
        }
        values[i] = was;
        const double slope = (at[1] - at[0]) / ((double)up - (double)down);
        *largest = fmax(*largest, fabs(slope));
        near((double)gradient[i], slope, 2e-5, rv_params_name(r->params, weight));
    }
    assert_ok(rv_params_set(r->params, weight, RV_VALUE, values), "set");
}

typedef rv_tensor (*loss_fn)(rig *r, rv_actor_policy policy);

static rv_tensor weighed(rig *r, rv_tensor column) {
    (void)r;
    return rv_mean(rv_square(rv_affine(column, 1, 0.3f)), RV_ALL);
}
static rv_tensor of_action(rig *r, rv_actor_policy policy) {
    return weighed(r, rv_actor_draw(policy, rv_read(r->graph, r->noise), NULL, 0).action);
}
static rv_tensor of_log_prob(rig *r, rv_actor_policy policy) {
    return weighed(r, rv_actor_draw(policy, rv_read(r->graph, r->noise), NULL, 0).log_prob);
}
static rv_tensor of_entropy(rig *r, rv_actor_policy policy) {
    return weighed(r, rv_actor_draw(policy, rv_read(r->graph, r->noise), NULL, 0).entropy);
}
static rv_tensor of_given(rig *r, rv_actor_policy policy) {
    return weighed(r, rv_actor_log_prob(policy, rv_tanh(rv_read(r->graph, r->noise))));
}

static void gradients(void **state) {
    (void)state;
    static const loss_fn losses[] = {of_action, of_log_prob, of_entropy, of_given};
    static const rv_actor_options kinds[] = {
        {.kind = RV_ACTOR_BOUNDED_NORMAL},
        {.kind = RV_ACTOR_TANH_NORMAL, .mean_bound = 2, .plain = 1, .activation = RV_ELU},
        {.kind = RV_ACTOR_CATEGORICAL}};
    for (int k = 0; k < 3; k++) {
        for (int l = 0; l < 4; l++) {
            /* a class drawn has no slope; its log-probability at any weights has */
            if (kinds[k].kind == RV_ACTOR_CATEGORICAL && losses[l] != of_given) continue;
            rig r;
            double largest = 0;
            open_rig(&r, "cpu:double", &kinds[k]);
            rv_tensor loss = losses[l](&r, forward(&r));
            assert_ok(rv_params_gradients(r.graph, r.params, loss, NULL, 0), rv_graph_message(r.graph));
            const int at = keep(&r, loss);
            for (int w = 0; w < rv_params_count(r.params); w++) check_weight(&r, at, w, &largest);
            assert_true(largest > 1e-2);
            close_rig(&r);
        }
    }
}

/* A categorical entropy's, and the straight-through action's: that of the probabilities. */
static void categorical_gradients(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        rig r;
        double largest = 0;
        open_rig(&r, "cpu:double", &(rv_actor_options){.kind = RV_ACTOR_CATEGORICAL, .unimix = -1});
        rv_actor_policy policy = forward(&r);
        rv_tensor factor = rv_read(r.graph, r.noise), p = rv_softmax(policy.logits);
        rv_tensor action = rv_actor_draw(policy, rv_random_state(r.graph, r.random), "action", 0).action;
        rv_tensor smooth = k ? rv_mean(rv_actor_entropy(policy), RV_ALL) : rv_sum(rv_mul(factor, p), RV_ALL);
        rv_tensor loss = k ? smooth : rv_sum(rv_mul(factor, action), RV_ALL);
        assert_ok(rv_params_gradients(r.graph, r.params, loss, NULL, 0), rv_graph_message(r.graph));
        const int at = keep(&r, smooth);
        for (int w = 0; w < rv_params_count(r.params); w++) check_weight(&r, at, w, &largest);
        assert_true(largest > 1e-2);
        close_rig(&r);
    }
}

/* ---- draws ---- */

/* A draw is rv_normal's under its name, and rv_actor_sample is forward and draw. */
static void draws(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu", &(rv_actor_options){.kind = RV_ACTOR_BOUNDED_NORMAL});
    rv_tensor noise = rv_random_state(r.graph, r.random);
    const rv_tensor features[2] = {rv_read(r.graph, r.feature[0]), rv_read(r.graph, r.feature[1])};
    keep(&r, rv_actor_sample(r.graph, &r.actor, features, 2, noise, "action", 3).action);
    keep(&r, rv_actor_draw(forward(&r), rv_normal(noise, "action", 3, B, A), NULL, 0).action);
    keep(&r, rv_actor_draw(forward(&r), noise, "action", 4).action);
    run(&r);
    float a[B * A], b[B * A], c[B * A];
    assert_memory_equal(result(&r, 0, a), result(&r, 1, b), sizeof a);
    assert_true(memcmp(a, result(&r, 2, c), sizeof a) != 0);
    close_rig(&r);
}

static void no_allocations(void **state) {
    (void)state;
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    rig r;
    assert_ok(rv_device_open("cpu:threads=1", &options, &device), rv_device_message(device));
    open_on(&r, device, &(rv_actor_options){.kind = RV_ACTOR_TANH_NORMAL});
    keep(&r, rv_actor_draw(forward(&r), rv_random_state(r.graph, r.random), "action", 0).log_prob);
    run(&r);
    const int64_t before = counting.calls;
    for (int i = 0; i < 5; i++) run(&r);
    assert_int_equal(counting.calls, before);
    close_rig(&r);
    assert_int_equal(counting.live, 0);
}

/* ---- an environment's actions ---- */

static void environment(void **state) {
    (void)state;
    const float low[2] = {-2, 0}, high[2] = {2, 10};
    const rv_env_spaces box = {.size = sizeof box, .action_size = 2, .action_low = low, .action_high = high};
    const float given[6] = {-1, 1, 0, 0.5f, 3, -NAN}, expected[5] = {-2, 10, 0, 7.5f, 2};
    float sent[6], back[6];
    assert_int_equal(rv_actor_action_size(&box), 2);
    rv_actor_to_env(&box, 3, given, sent);
    for (int i = 0; i < 5; i++) assert_true(sent[i] == expected[i]);
    assert_true(isnan(sent[5]));
    rv_actor_from_env(&box, 3, sent, back);
    for (int i = 0; i < 4; i++) assert_true(back[i] == given[i]);
    assert_true(back[4] == 1 && isnan(back[5]));

    const rv_env_spaces choices = {
        .size = sizeof choices, .action_size = 1, .action_choices = 3, .action_low = low, .action_high = high};
    const float onehot[12] = {0, 0, 1, 1, 0, 0, 0.2f, 0.4f, 0.4f, 0, NAN, 0};
    float number[4], wide[12];
    assert_int_equal(rv_actor_action_size(&choices), 3);
    rv_actor_to_env(&choices, 4, onehot, number);
    assert_true(number[0] == 2 && number[1] == 0 && number[2] == 1 && isnan(number[3]));
    rv_actor_from_env(&choices, 3, number, wide);
    const float again[9] = {0, 0, 1, 1, 0, 0, 0, 1, 0};
    assert_memory_equal(wide, again, sizeof again);
}

/* ---- misuse ---- */

static void refused_options(void **state) {
    (void)state;
    enum { SIZE = sizeof(rv_actor_options) };
    static const struct {
        rv_actor_options options;
        const char *part;
    } wrong[] = {
        {{.size = 0}, "size"},
        {{.size = SIZE, .kind = (rv_actor_kind)7, .inputs = 4, .action_size = 2}, "kind"},
        {{.size = SIZE, .kind = RV_ACTOR_TANH_NORMAL, .action_size = 2}, "inputs"},
        {{.size = SIZE, .kind = RV_ACTOR_TANH_NORMAL, .inputs = 4}, "action_size"},
        {{.size = SIZE, .kind = RV_ACTOR_CATEGORICAL, .inputs = 4, .action_size = 4, .classes = 3}, "classes"},
        {{.size = SIZE, .kind = RV_ACTOR_CATEGORICAL, .inputs = 4, .action_size = 4, .unimix = 2}, "unimix"},
        {{.size = SIZE, .kind = RV_ACTOR_BOUNDED_NORMAL, .inputs = 4, .action_size = 2, .min_std = 2}, "min_std"},
        {{.size = SIZE, .kind = RV_ACTOR_TANH_NORMAL, .inputs = 4, .action_size = 2, .initial_std = 100},
         "initial_std"},
        {{.size = SIZE, .kind = RV_ACTOR_TANH_NORMAL, .inputs = 4, .action_size = 2, .mean_bound = -1}, "mean_bound"},
        {{.size = SIZE, .inputs = 4, .action_size = 2, .hidden = {9, {1}}}, "hidden layers"},
    };
    rv_device *device;
    assert_ok(rv_device_open("cpu", NULL, &device), rv_device_message(device));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_params *params;
        assert_ok(rv_params_create(device, &params), "params");
        rv_actor_add(params, "pol", &wrong[i].options);
        assert_status(rv_params_commit(params, 1), RV_INVALID_ARGUMENT);
        assert_names(rv_params_message(params), wrong[i].part);
        rv_params_destroy(params);
    }
    rv_device_close(device);
}

static void refused_calls(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        rig r;
        open_rig(&r, "cpu", &(rv_actor_options){.kind = i == 3 ? RV_ACTOR_CATEGORICAL : RV_ACTOR_TANH_NORMAL});
        rv_actor_policy policy = forward(&r);
        static const struct {
            rv_status status;
            const char *part;
        } expected[] = {{RV_UNSUPPORTED, "rv_actor_entropy"},
                        {RV_SHAPE_MISMATCH, "noise is [6, 1]"},
                        {RV_SHAPE_MISMATCH, "3 columns"},
                        {RV_SHAPE_MISMATCH, "categorical"}};
        if (i == 0) rv_actor_entropy(policy);
        if (i == 1) rv_actor_draw(policy, rv_fill(r.graph, B, 1, 0), NULL, 0);
        if (i >= 2) rv_actor_log_prob(policy, rv_fill(r.graph, B, 3, 0));
        assert_status(rv_graph_status(r.graph), expected[i].status);
        assert_names(rv_graph_message(r.graph), expected[i].part);
        close_rig(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounded_normal), cmocka_unit_test(tanh_normal),           cmocka_unit_test(tanh_far_out),
        cmocka_unit_test(tanh_entropy),   cmocka_unit_test(categorical),           cmocka_unit_test(stds),
        cmocka_unit_test(gradients),      cmocka_unit_test(categorical_gradients), cmocka_unit_test(draws),
        cmocka_unit_test(no_allocations), cmocka_unit_test(environment),           cmocka_unit_test(refused_options),
        cmocka_unit_test(refused_calls),
    };
    return cmocka_run_group_tests_name("actor", tests, NULL, NULL);
}
