/* tests/test_critic.c: values and losses of both kinds, gradients against differences, the slow copy, misuse. */
#include <math.h>
#include <string.h>

#include "reverie/critic.h"
#include "reverie/plan.h"
#include "reverie/random.h"
#include "tests/support/allocator.h"
#include "tests/support/suite.h"

enum { B = 5, F = 3, K = 7, OTHERS = 2 };

typedef struct rig {
    rv_device *device;
    rv_params *params, *slow_params;
    rv_critic critic, slow;
    rv_graph *graph;
    rv_plan *plan;
    rv_array *bins, *feature, *target[2], *weight, *value, *loss, *watched;
} rig;

static rv_array *normals(rv_device *device, int64_t rows, int64_t cols, const char *name) {
    rv_array *array;
    float values[64];
    rv_random_normal(12, 0, name, 0, rows, cols, values);
    assert_ok(rv_array_create(device, RV_F32, rows, cols, name, &array), name);
    assert_ok(rv_array_write(array, 0, rows, values), name);
    return array;
}

/* A critic behind two other weights of the set, so that it is a part of it. */
static void open_on(rig *r, rv_device *device, rv_critic_kind kind) {
    *r = (rig){.device = device};
    assert_ok(rv_params_create(device, &r->params), "params");
    assert_ok(rv_params_create(device, &r->slow_params), "params");
    r->bins = normals(device, 1, K, "bins");
    const float ascending[K] = {-8, -3, -1, 0, 1, 3, 8};
    assert_ok(rv_array_write(r->bins, 0, 1, ascending), "bins");
    rv_params_add(r->params, "other/0", 3, 5, RV_INIT_NORMAL, 1);
    rv_params_add(r->params, "other/1", 1, 1, RV_INIT_NORMAL, 1);
    const rv_critic_options options = {.size = sizeof options,
                                       .kind = kind,
                                       .inputs = F,
                                       .hidden = rv_sizes_of(2, 5),
                                       .outscale = 2,
                                       .bins = kind == RV_CRITIC_TWOHOT ? r->bins : NULL,
                                       .plain = kind != RV_CRITIC_TWOHOT};
    r->critic = rv_critic_add(r->params, "val", &options);
    rv_params_add(r->params, "other/2", 2, 2, RV_INIT_NORMAL, 1);
    rv_params_values_only(r->slow_params);
    r->slow = rv_critic_add(r->slow_params, "slow", &options);
    assert_ok(rv_params_commit(r->params, 4), rv_params_message(r->params));
    assert_ok(rv_params_commit(r->slow_params, 4), rv_params_message(r->slow_params));
    r->feature = normals(device, B, F, "feature");
    r->target[0] = normals(device, B, 1, "target 0");
    r->target[1] = normals(device, B, 1, "target 1");
    r->weight = normals(device, B, 1, "weight");
    r->value = normals(device, B, 1, "value");
    r->loss = normals(device, 1, 1, "loss");
    r->watched = normals(device, 1, 1, "watched");
    assert_ok(rv_graph_create(device, &r->graph), "graph");
}

static void open_rig(rig *r, const char *resource, rv_critic_kind kind) {
    rv_device *device;
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    open_on(r, device, kind);
}

static void close_rig(rig *r) {
    rv_array *const arrays[] = {r->bins,   r->feature, r->target[0], r->target[1],
                                r->weight, r->value,   r->loss,      r->watched};
    rv_plan_destroy(r->plan);
    rv_graph_destroy(r->graph);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) rv_array_destroy(arrays[i]);
    rv_params_destroy(r->params);
    rv_params_destroy(r->slow_params);
    rv_device_close(r->device);
}

static rv_tensor record(rig *r) {
    const rv_tensor feature = rv_read(r->graph, r->feature);
    const rv_tensor targets[2] = {rv_read(r->graph, r->target[0]), rv_read(r->graph, r->target[1])};
    rv_tensor output = rv_critic_forward(r->graph, &r->critic, &feature, 1);
    rv_tensor loss = rv_critic_loss(r->graph, &r->critic, output, targets, 2, rv_read(r->graph, r->weight));
    rv_store(r->value, rv_critic_value(r->graph, &r->critic, output));
    rv_store(r->loss, loss);
    return loss;
}

static void run(rig *r) {
    if (!r->plan) assert_ok(rv_plan_create(r->graph, NULL, &r->plan), rv_plan_message(r->plan));
    assert_ok(rv_plan_run(r->plan), rv_plan_message(r->plan));
}

static void near(double actual, double expected, double bound, const char *what) {
    if (!(fabs(actual - expected) <= bound * (1 + fabs(expected))))
        fail_msg("%s: %.9g, not %.9g", what, actual, expected);
}

static void read_column(rv_array *array, float *out) {
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), out), "read");
}

static double symlog(double x) { return copysign(log1p(fabs(x)), x); }
static double as_it_is(double x) { return x; }

/* A critic of one number: its loss from its own values, squared as they are or in symlog. */
static void number_loss(rv_critic_kind kind, double (*squared_as)(double)) {
    rig r;
    open_rig(&r, "cpu", kind);
    record(&r);
    run(&r);
    float value[B], target[2][B], weight[B], loss;
    read_column(r.value, value);
    read_column(r.weight, weight);
    for (int i = 0; i < 2; i++) read_column(r.target[i], target[i]);
    read_column(r.loss, &loss);
    double expected = 0;
    for (int b = 0; b < B; b++) {
        const double at = squared_as((double)value[b]);
        const double off0 = at - squared_as((double)target[0][b]), off1 = at - squared_as((double)target[1][b]);
        expected += (double)weight[b] * (off0 * off0 + off1 * off1) / B;
    }
    near((double)loss, expected, 1e-5, "loss");
    assert_int_equal(rv_params_find(r.params, "val/0/scale"), -1);
    close_rig(&r);
}

static void plain_loss(void **state) {
    (void)state;
    number_loss(RV_CRITIC_MSE, as_it_is);
}

static void symlog_loss(void **state) {
    (void)state;
    number_loss(RV_CRITIC_SYMLOG, symlog);
}

/* A two-hot critic that starts at zero says 0 and lacks log K to every target. */
static void starts_at_zero(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu", RV_CRITIC_TWOHOT);
    rv_params *params;
    assert_ok(rv_params_create(r.device, &params), "params");
    const rv_critic_options options = {.size = sizeof options, .inputs = F, .bins = r.bins};
    rv_critic critic = rv_critic_add(params, "val", &options);
    assert_ok(rv_params_commit(params, 3), rv_params_message(params));
    assert_int_equal(critic.weights, 3 * 3 + 2);
    const rv_tensor feature = rv_read(r.graph, r.feature), target = rv_read(r.graph, r.target[0]);
    rv_tensor output = rv_critic_forward(r.graph, &critic, &feature, 1);
    rv_store(r.value, rv_critic_value(r.graph, &critic, output));
    rv_store(r.loss, rv_critic_loss(r.graph, &critic, output, &target, 1, RV_NONE));
    run(&r);
    float value[B], loss;
    read_column(r.value, value);
    read_column(r.loss, &loss);
    for (int b = 0; b < B; b++) assert_true(value[b] == 0);
    near((double)loss, log(K), 1e-6, "loss");
    rv_plan_destroy(r.plan);
    r.plan = NULL;
    rv_params_destroy(params);
    close_rig(&r);
}

/* The loss as cpu:double holds it. */
static double loss_of(rig *r) {
    void *memory;
    assert_ok(rv_array_native(r->loss, &memory), "native");
    return *(double *)memory;
}

static void gradients(void **state) {
    (void)state;
    for (int kind = RV_CRITIC_TWOHOT; kind <= RV_CRITIC_SYMLOG; kind++) {
        rig r;
        double largest = 0;
        open_rig(&r, "cpu:double", (rv_critic_kind)kind);
        assert_ok(rv_params_gradients(r.graph, r.params, record(&r), NULL, 0), rv_graph_message(r.graph));
        for (int w = 0; w < rv_params_count(r.params); w++) {
            int64_t rows, cols;
            float gradient[64], values[64];
            assert_ok(rv_params_shape(r.params, w, &rows, &cols), "shape");
            assert_ok(rv_params_get(r.params, w, RV_VALUE, values), "value");
            run(&r);
            assert_ok(rv_params_get(r.params, w, RV_GRADIENT, gradient), "gradient");
            for (int64_t i = 0; i < rows * cols; i++) {
                const float was = values[i], ends[2] = {was - 1e-4f, was + 1e-4f};
                double at[2];
                for (int side = 0; side < 2; side++) {
                    values[i] = ends[side];
                    assert_ok(rv_params_set(r.params, w, RV_VALUE, values), "set");
                    run(&r);
                    at[side] = loss_of(&r);
                }
                values[i] = was;
                const double slope = (at[1] - at[0]) / ((double)ends[1] - (double)ends[0]);
                largest = fmax(largest, fabs(slope));
                near((double)gradient[i], slope, 2e-5, rv_params_name(r.params, w));
            }
            assert_ok(rv_params_set(r.params, w, RV_VALUE, values), "set");
        }
        assert_true(largest > 1e-2);
        close_rig(&r);
    }
}

/* Nothing flows into targets and weight. */
static void targets_are_stopped(void **state) {
    (void)state;
    for (int kind = RV_CRITIC_TWOHOT; kind <= RV_CRITIC_SYMLOG; kind++) {
        rig r;
        open_rig(&r, "cpu", (rv_critic_kind)kind);
        rv_tensor wrt[2] = {rv_read(r.graph, r.target[0]), rv_read(r.graph, r.weight)}, gradient[2];
        rv_tensor feature = rv_read(r.graph, r.feature), output = rv_critic_forward(r.graph, &r.critic, &feature, 1);
        rv_tensor loss = rv_critic_loss(r.graph, &r.critic, output, wrt, 1, wrt[1]);
        assert_ok(rv_gradients(loss, wrt, 2, NULL, 0, gradient), rv_graph_message(r.graph));
        rv_store(r.value, rv_add(rv_abs(gradient[0]), rv_abs(gradient[1])));
        run(&r);
        float flown[B];
        read_column(r.value, flown);
        for (int b = 0; b < B; b++) assert_true(flown[b] == 0);
        close_rig(&r);
    }
}

static void read_all(const rv_critic *critic, float out[][64], int64_t *count) {
    for (int i = 0; i < critic->weights; i++) {
        int64_t rows, cols;
        assert_ok(rv_params_shape(critic->params, critic->first + i, &rows, &cols), "shape");
        assert_ok(rv_params_get(critic->params, critic->first + i, RV_VALUE, out[i]), "value");
        count[i] = rows * cols;
    }
}

/* The copy equals the critic; then, as the critic is moved, it follows at its rate; a set flag holds it. */
static void slow_copy(void **state) {
    (void)state;
    enum { WEIGHTS = 8 };
    rig r;
    float of[WEIGHTS][64], slow[WEIGHTS][64], after[WEIGHTS][64], bad = NAN;
    int64_t count[WEIGHTS];
    open_rig(&r, "cpu", RV_CRITIC_TWOHOT);
    assert_int_equal(r.critic.first, OTHERS);
    assert_int_equal(r.critic.weights, WEIGHTS);
    assert_ok(rv_critic_copy(&r.slow, &r.critic), "copy");
    read_all(&r.critic, of, count);
    read_all(&r.slow, slow, count);
    for (int i = 0; i < WEIGHTS; i++) assert_memory_equal(of[i], slow[i], (size_t)count[i] * sizeof(float));
    for (int i = 0; i < WEIGHTS; i++) {
        for (int64_t k = 0; k < count[i]; k++) of[i][k] += (float)(i + 1) * 0.1f + (float)k;
        assert_ok(rv_params_set(r.params, OTHERS + i, RV_VALUE, of[i]), "set");
    }
    const char *name = "watched";
    rv_watch(rv_read(r.graph, r.watched), &name, 1);
    rv_critic_follow(r.graph, &r.slow, &r.critic, 0.25f);
    run(&r);
    read_all(&r.slow, after, count);
    for (int i = 0; i < WEIGHTS; i++) {
        for (int64_t k = 0; k < count[i]; k++) {
            near((double)after[i][k], 0.75 * (double)slow[i][k] + 0.25 * (double)of[i][k], 1e-6, "slow");
        }
    }
    assert_ok(rv_array_write(r.watched, 0, 1, &bad), "watched");
    run(&r);
    read_all(&r.slow, slow, count);
    for (int i = 0; i < WEIGHTS; i++) assert_memory_equal(after[i], slow[i], (size_t)count[i] * sizeof(float));
    close_rig(&r);
}

static void no_allocations(void **state) {
    (void)state;
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    rig r;
    assert_ok(rv_device_open("cpu:threads=1", &options, &device), rv_device_message(device));
    open_on(&r, device, RV_CRITIC_TWOHOT);
    assert_ok(rv_params_gradients(r.graph, r.params, record(&r), NULL, 0), rv_graph_message(r.graph));
    rv_critic_follow(r.graph, &r.slow, &r.critic, 0.02f);
    run(&r);
    const int64_t before = counting.calls;
    for (int i = 0; i < 5; i++) run(&r);
    assert_int_equal(counting.calls, before);
    close_rig(&r);
    assert_int_equal(counting.live, 0);
}

/* ---- misuse ---- */

static void refused_options(void **state) {
    (void)state;
    enum { SIZE = sizeof(rv_critic_options) };
    rig r;
    open_rig(&r, "cpu", RV_CRITIC_TWOHOT);
    const struct {
        rv_critic_options options;
        const char *part;
    } wrong[] = {
        {{.size = 0}, "size"},
        {{.size = SIZE, .kind = (rv_critic_kind)5, .inputs = 2}, "kind"},
        {{.size = SIZE, .bins = r.bins}, "inputs"},
        {{.size = SIZE, .inputs = 2}, "rv_critic_bins"},
        {{.size = SIZE, .inputs = 2, .bins = r.feature}, "[1, K]"},
        {{.size = SIZE, .inputs = 2, .bins = r.bins, .hidden = {-1, {0}}}, "hidden layers"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_params *params;
        assert_ok(rv_params_create(r.device, &params), "params");
        rv_critic_add(params, "val", &wrong[i].options);
        assert_status(rv_params_commit(params, 1), RV_INVALID_ARGUMENT);
        assert_names(rv_params_message(params), wrong[i].part);
        rv_params_destroy(params);
    }
    rv_array *bins;
    assert_status(rv_critic_bins(r.device, 4, &bins), RV_INVALID_ARGUMENT);
    rv_array_destroy(bins);
    assert_status(rv_critic_bins(r.device, 1, &bins), RV_INVALID_ARGUMENT);
    assert_ok(rv_critic_bins(r.device, 255, &bins), "bins");
    assert_int_equal(rv_array_cols(bins), 255);
    rv_array_destroy(bins);
    close_rig(&r);
}

static void refused_calls(void **state) {
    (void)state;
    static const struct {
        rv_status status;
        const char *part;
    } expected[] = {{RV_INVALID_ARGUMENT, "5 targets"},
                    {RV_SHAPE_MISMATCH, "weight is [1, 1]"},
                    {RV_SHAPE_MISMATCH, "twohot"},
                    {RV_SHAPE_MISMATCH, "rv_params_ema_part"},
                    {RV_SHAPE_MISMATCH, "rv_params_ema_part"}};
    for (int i = 0; i < 5; i++) {
        rig r;
        open_rig(&r, "cpu", RV_CRITIC_TWOHOT);
        rv_tensor feature = rv_read(r.graph, r.feature), one = rv_fill(r.graph, 1, 1, 1);
        rv_tensor output = rv_critic_forward(r.graph, &r.critic, &feature, 1), target = rv_read(r.graph, r.target[0]);
        rv_critic moved = r.critic;
        moved.first++;
        if (i == 0) rv_critic_loss(r.graph, &r.critic, output, &target, 5, RV_NONE);
        if (i == 1) rv_critic_loss(r.graph, &r.critic, output, &target, 1, one);
        if (i == 2) rv_critic_error(r.graph, &r.critic, output, one);
        if (i == 3) rv_critic_follow(r.graph, &r.slow, &moved, 0.1f);
        moved.first = rv_params_count(r.params) - 1; /* the run would go over the end */
        if (i == 4) rv_critic_follow(r.graph, &r.slow, &moved, 0.1f);
        assert_status(rv_graph_status(r.graph), expected[i].status);
        assert_names(rv_graph_message(r.graph), expected[i].part);
        moved.weights--;
        assert_status(rv_critic_copy(&r.slow, &moved), RV_SHAPE_MISMATCH);
        close_rig(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_loss),          cmocka_unit_test(symlog_loss),
        cmocka_unit_test(starts_at_zero),      cmocka_unit_test(gradients),
        cmocka_unit_test(targets_are_stopped), cmocka_unit_test(slow_copy),      cmocka_unit_test(no_allocations),
        cmocka_unit_test(refused_options),     cmocka_unit_test(refused_calls),
    };
    return cmocka_run_group_tests_name("critic", tests, NULL, NULL);
}
