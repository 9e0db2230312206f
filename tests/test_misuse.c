/* tests/test_misuse.c: ops called with tensors and numbers drawn at random, most of them wrong. Every call ends in a
 * poisoned tensor with a message or in a plan that runs; gradients likewise; guarded memory shows a wrong write.
 *
 *     test_misuse [SEED]      runs that one call and prints it
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/random.h"
#include "tests/support/suite.h"

#include "reverie/ops.h"
#include "reverie/plan.h"

enum { CALLS = 40000, TENSORS = 14, DRAWS = 64, ARRAYS = 4 };

typedef struct dice {
    uint32_t draws[DRAWS];
    int next;
} dice;

static uint32_t roll(dice *d, uint32_t limit) { return d->draws[d->next++ % DRAWS] % limit; }

/* Sizes mostly small and legal, sometimes anything. */
static int64_t number(dice *d) {
    static const int64_t odd[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 2, 1LL << 32, INT32_MAX, 1000003};
    return roll(d, 8) ? (int64_t)roll(d, 9) : odd[roll(d, 7)];
}

static float real(dice *d) {
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0, -1, FLT_MAX, 1e-3f, 2};
    return roll(d, 3) ? (float)roll(d, 100) * 0.01f : odd[roll(d, 8)];
}

/* Tensors of the graph under test, one of another graph, one of another device, one that is none. */
typedef struct table {
    rv_graph *graph;
    rv_tensor t[TENSORS];
    rv_array **arrays;
} table;

static rv_tensor any(table *s, dice *d) { return s->t[roll(d, roll(d, 12) ? TENSORS - 3 : TENSORS)]; }

/* One of a shape that many ops agree on. */
static rv_tensor fitting(table *s, dice *d) { return roll(d, 6) ? s->t[roll(d, 3)] : any(s, d); }

typedef rv_tensor (*unary_fn)(rv_tensor);
typedef rv_tensor (*binary_fn)(rv_tensor, rv_tensor);
static const unary_fn unaries[] = {rv_neg,      rv_abs,        rv_sign,          rv_exp,     rv_log,        rv_sqrt,
                                   rv_square,   rv_reciprocal, rv_sin,           rv_cos,     rv_tanh,       rv_sigmoid,
                                   rv_softplus, rv_silu,       rv_relu,          rv_elu,     rv_gelu,       rv_symlog,
                                   rv_symexp,   rv_transpose,  rv_stop_gradient, rv_softmax, rv_log_softmax};
static const binary_fn binaries[] = {rv_add, rv_sub, rv_mul,   rv_div,    rv_mod, rv_min,
                                     rv_max, rv_less, rv_equal, rv_gather, rv_mse, rv_bernoulli_nll};
typedef rv_tensor (*reduce_fn)(rv_tensor, rv_axis);
static const reduce_fn reductions[] = {rv_sum, rv_mean, rv_reduce_max, rv_reduce_min};
#define ONE_OF(list, d) list[roll(d, sizeof list / sizeof *list)]

static rv_tensor call_shape(table *s, dice *d) {
    rv_tensor x = any(s, d), list[9];
    for (int i = 0; i < 9; i++) list[i] = fitting(s, d);
    int64_t a = number(d), b = number(d);
    switch (roll(d, 10)) {
    case 0: return rv_fill(s->graph, a, b, real(d));
    case 1: return rv_broadcast(x, a, b);
    case 2: return rv_slice_cols(x, a, b);
    case 3: return rv_slice_rows(x, a, b);
    case 4: return rv_reshape(x, a, b);
    case 5: return rv_concat_cols(roll(d, 20) ? list : NULL, (int)a);
    case 6: return rv_concat_rows(roll(d, 20) ? list : NULL, (int)a);
    case 7: return rv_scatter_add(x, any(s, d), roll(d, 4) ? a % 100 : a);
    case 8: return rv_read_part(s->graph, s->arrays[roll(d, ARRAYS)], a, b, number(d));
    default: return rv_quantile(x, real(d));
    }
}

static rv_tensor call_contract(table *s, dice *d) {
    rv_tensor x[6];
    for (int i = 0; i < 6; i++) x[i] = roll(d, 2) ? fitting(s, d) : any(s, d);
    rv_activation activation = (rv_activation)roll(d, roll(d, 10) ? RV_ACTIVATION_COUNT : 99);
    switch (roll(d, 7)) {
    case 0: return rv_matmul(x[0], x[1], (int)roll(d, 3), (int)roll(d, 3));
    case 1: return rv_linear(x, (int)number(d), x[4], roll(d, 2) ? x[5] : RV_NONE, activation);
    case 2: return rv_layer_norm(x[0], x[1], roll(d, 2) ? x[2] : RV_NONE, real(d), activation);
    case 3: return rv_rms_norm(x[0], x[1], real(d), activation);
    case 4: return rv_gru_cell(x[0], x[1], x[2], x[3], x[4], x[5]);
    case 5: return rv_kl_normal(x[0], x[1], x[2], x[3]);
    default: return rv_gaussian_nll(x[0], x[1], x[2]);
    }
}

static rv_tensor call_noise(table *s, dice *d) {
    static const char *const names[] = {"noise", "", NULL};
    const char *name = names[roll(d, 8) ? 0 : roll(d, 3)];
    rv_tensor state = roll(d, 4) ? s->t[3] : any(s, d);
    int64_t rows = number(d), cols = number(d);
    rv_normal_sample sample;
    switch (roll(d, 4)) {
    case 0: return rv_uniform(state, name, 1, rows, cols);
    case 1: return rv_normal(state, name, 1, rows, cols);
    case 2: return rv_uniform_index(state, name, 1, rows, cols, any(s, d));
    default: sample = rv_sample_normal(fitting(s, d), fitting(s, d), state, name, 1);
    }
    return roll(d, 3) ? sample.value : roll(d, 2) ? sample.kl : sample.log_prob;
}

static rv_tensor call_change(table *s, dice *d) {
    static const char *const names[] = {"a", NULL, "c"};
    rv_array *array = roll(d, 20) ? s->arrays[roll(d, ARRAYS)] : NULL;
    rv_tensor x = any(s, d);
    switch (roll(d, 4)) {
    case 0: rv_store(array, x); break;
    case 1: rv_store_part(array, number(d), x); break;
    case 2: rv_store_rows(array, x, any(s, d)); break;
    default: rv_watch(x, roll(d, 20) ? names : NULL, roll(d, 2) ? 1 : (int)number(d)); break;
    }
    return x;
}

static rv_tensor call_any(table *s, dice *d) {
    switch (roll(d, 10)) {
    case 0: return ONE_OF(unaries, d)(any(s, d));
    case 1: return ONE_OF(binaries, d)(fitting(s, d), any(s, d));
    case 2: return ONE_OF(reductions, d)(any(s, d), (rv_axis)roll(d, 4));
    case 3: return rv_where(fitting(s, d), fitting(s, d), any(s, d));
    case 4: return roll(d, 2) ? rv_clamp(any(s, d), real(d), real(d)) : rv_affine(any(s, d), real(d), real(d));
    case 5: return rv_cast(any(s, d), (rv_dtype)roll(d, 5));
    case 6: return call_noise(s, d);
    case 7: return call_change(s, d);
    case 8: return call_shape(s, d);
    default: return call_contract(s, d);
    }
}

/* ---- one call after the other -------------------------------------------------------------------- */

typedef struct bench {
    rv_device *device, *other;
    rv_array *arrays[ARRAYS], *foreign;
    rv_graph *other_graph;
    int accepted, refused;
} bench;

static rv_array *array_of(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols) {
    rv_array *array;
    assert_ok(rv_array_create(device, dtype, rows, cols, "array", &array), rv_array_message(array));
    return array;
}

static table lay(bench *b) {
    table s = {.arrays = b->arrays};
    assert_ok(rv_graph_create(b->device, &s.graph), "");
    rv_tensor x = rv_read(s.graph, b->arrays[0]);
    s.t[0] = x;
    s.t[1] = rv_sigmoid(x);
    s.t[2] = rv_slice_cols(rv_read(s.graph, b->arrays[1]), 2, 4); /* [6, 4] with gaps */
    s.t[3] = rv_read(s.graph, b->arrays[2]);
    s.t[4] = rv_cast(rv_slice_cols(x, 0, 1), RV_I32); /* an index */
    s.t[5] = rv_slice_rows(x, 0, 1);
    s.t[6] = rv_slice_cols(x, 1, 1);
    s.t[7] = rv_slice_rows(x, 2, 0);
    s.t[8] = rv_fill(s.graph, 1, 1, 3);
    s.t[9] = rv_concat_cols((rv_tensor[]){x, x, x}, 3); /* [6, 12] */
    s.t[10] = rv_slice_rows(s.t[9], 0, 4);              /* [4, 12] */
    s.t[11] = rv_read(b->other_graph, b->foreign);
    s.t[12] = (rv_tensor){s.graph, 0};
    s.t[13] = RV_NONE;
    assert_status(rv_graph_status(s.graph), RV_OK);
    return s;
}

/* What was accepted can be planned and run, and so can its gradient. */
static void finish(bench *b, table *s, rv_tensor y) {
    rv_array *out = NULL;
    bool of_graph = y.graph == s->graph && y.id != 0;
    if (of_graph && rv_tensor_dtype(y) == RV_F32) {
        rv_tensor wrt[] = {s->t[0], s->t[2]}, gradient[2];
        if (rv_gradients(rv_sum(y, RV_ALL), wrt, 2, NULL, 0, gradient) == RV_OK) {
            assert_int_equal(rv_tensor_rows(gradient[1]), rv_tensor_rows(s->t[2]));
            assert_int_equal(rv_tensor_cols(gradient[1]), rv_tensor_cols(s->t[2]));
            rv_store(b->arrays[3], rv_mul(gradient[0], gradient[1]));
        }
    }
    bool small = of_graph && rv_tensor_cols(y) > 0; /* the transpose of no rows has no columns: no array does */
    if (small) {
        out = array_of(b->device, rv_tensor_dtype(y), rv_tensor_rows(y), rv_tensor_cols(y));
        rv_store(out, y);
    }
    rv_plan *plan;
    rv_status status = rv_plan_create(s->graph, NULL, &plan);
    if (status == RV_OK) {
        assert_ok(rv_plan_run(plan), rv_plan_message(plan));
        assert_ok(rv_device_sync(b->device), rv_device_message(b->device));
        b->accepted++;
    } else {
        assert_true(status == RV_OUT_OF_MEMORY || status == RV_TOO_LARGE || rv_graph_status(s->graph) == status);
        assert_true(strlen(rv_plan_message(plan)) > 8);
        b->refused++;
    }
    rv_plan_destroy(plan);
    rv_array_destroy(out);
}

static int single_seed = -1;

static void one_call(bench *b, uint32_t seed) {
    dice d = {.next = 0};
    rv_random_bits(seed, 0, "misuse", 0, 1, DRAWS, d.draws);
    table s = lay(b);
    rv_tensor y = call_any(&s, &d);
    if (single_seed >= 0)
        print_error("%d: [%lld, %lld] %s\n", (int)seed, (long long)rv_tensor_rows(y), (long long)rv_tensor_cols(y),
                    rv_graph_message(s.graph));
    int64_t rows = rv_tensor_rows(y), cols = rv_tensor_cols(y);
    bool large = rows > 0 && cols > (1 << 20) / rows; /* legal, and more than a test should spend */
    if (!large) finish(b, &s, y);
    rv_graph_destroy(s.graph);
}

static void test_device(void **state) {
    bench b = {0};
    assert_ok(rv_device_open(*state, NULL, &b.device), rv_device_message(b.device));
    assert_ok(rv_device_open("cpu:reference", NULL, &b.other), rv_device_message(b.other));
    b.arrays[0] = array_of(b.device, RV_F32, 6, 4);
    b.arrays[1] = array_of(b.device, RV_F32, 6, 9);
    b.arrays[2] = array_of(b.device, RV_I32, 1, 4);
    b.arrays[3] = array_of(b.device, RV_F32, 6, 4);
    b.foreign = array_of(b.other, RV_F32, 6, 4);
    assert_ok(rv_graph_create(b.other, &b.other_graph), "");
    for (uint32_t seed = 0; seed < CALLS; seed++) {
        one_call(&b, single_seed >= 0 ? (uint32_t)single_seed : seed);
        if (single_seed >= 0) break;
    }
    print_message("%s: %d accepted, %d refused\n", rv_device_name(b.device), b.accepted, b.refused);
    if (single_seed < 0) assert_true(b.accepted > CALLS / 10 && b.refused > CALLS / 10);
    rv_graph_destroy(b.other_graph);
    for (int i = 0; i < ARRAYS; i++) rv_array_destroy(b.arrays[i]);
    rv_array_destroy(b.foreign);
    rv_device_close(b.other);
    rv_device_close(b.device);
}

int main(int argc, char **argv) {
    if (argc > 1) single_seed = atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        {"check:cpu:reference", test_device, NULL, NULL, "check:cpu:reference"},
        {"cpu", test_device, NULL, NULL, "cpu:threads=2"},
    };
    return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
