/* tests/cases/cases_random.c: small programs of differentiable ops drawn at random: values that are shared, seen in
 * parts, repeated and joined, in ways that nobody thought of. */
#include "tests/cases/cases.h"

enum { STEPS = 14, INPUTS = 5, VALUES = STEPS + INPUTS, ROWS = 9, COLS = 6 };

typedef struct maker {
    uint32_t state;
    rv_tensor values[VALUES];
    int count;
} maker;

static uint32_t roll(maker *m, uint32_t limit) {
    m->state = m->state * 1664525u + 1013904223u;
    return (m->state >> 8) % limit;
}

static rv_tensor any(maker *m) { return m->values[roll(m, (uint32_t)m->count)]; }

/* A value as [ROWS, COLS], whatever it is. */
static rv_tensor full(maker *m) {
    rv_tensor x = any(m);
    int64_t rows = rv_tensor_rows(x), cols = rv_tensor_cols(x);
    if (rows == ROWS && cols == COLS) return x;
    if (cols != COLS && cols != 1) x = rv_softmax(rv_slice_cols(x, 0, 1));
    if (rows != ROWS && rows != 1) x = rv_slice_rows(x, 1, 1);
    return roll(m, 2) ? rv_broadcast(x, ROWS, COLS) : rv_add(x, m->values[0]);
}

static rv_tensor smooth(maker *m) {
    typedef rv_tensor (*unary)(rv_tensor x);
    static const unary list[] = {rv_tanh, rv_sigmoid, rv_sin,    rv_cos,     rv_silu,   rv_gelu,
                                 rv_elu,  rv_relu,    rv_symlog, rv_softmax, rv_softplus};
    return list[roll(m, sizeof list / sizeof *list)](any(m));
}

static rv_tensor join(maker *m) {
    rv_tensor parts[3] = {full(m), full(m), full(m)};
    int64_t first = roll(m, 2 * COLS), row = roll(m, ROWS);
    if (roll(m, 2)) return rv_slice_cols(rv_concat_cols(parts, 3), first, COLS);
    return rv_slice_rows(rv_concat_rows(parts, 3), row, ROWS);
}

static rv_tensor contract(maker *m) {
    rv_tensor x = full(m), y = full(m), square = rv_matmul(x, y, 1, 0); /* [COLS, COLS] */
    rv_tensor inputs[] = {x, y}, weights[] = {square, rv_tanh(square)};
    switch (roll(m, 4)) {
    case 0: return rv_tanh(rv_matmul(x, square, 0, (int)roll(m, 2)));
    case 1: return rv_linear1(x, square, rv_slice_rows(y, 2, 1), RV_TANH);
    case 2: return rv_linear(inputs, 2, rv_concat_rows(weights, 2), RV_NONE, RV_SIGMOID);
    default: return rv_transpose(rv_tanh(rv_matmul(square, x, 0, 1)));
    }
}

static rv_tensor normed(maker *m) {
    rv_tensor x = full(m), scale = rv_slice_rows(full(m), 0, 1);
    if (roll(m, 2)) return rv_layer_norm(x, scale, rv_slice_rows(full(m), 1, 1), 0.1f, RV_SILU);
    return rv_rms_norm(x, scale, 0.1f, RV_GELU);
}

static rv_tensor seen_otherwise(maker *m) {
    rv_tensor x = full(m);
    switch (roll(m, 5)) {
    case 0: return rv_reshape(rv_slice_cols(x, 1, 2), 1, 2 * ROWS);
    case 1: return rv_slice_rows(x, roll(m, ROWS), 1);
    case 2: return rv_slice_cols(x, roll(m, COLS), 1);
    case 3: return rv_gather(rv_reshape(x, 3 * ROWS, COLS / 3), rv_cast(rv_affine(m->values[INPUTS - 1], 2, 3), RV_I32));
    default: return rv_stop_gradient(x);
    }
}

static rv_tensor reduced(maker *m) {
    rv_axis axis = (rv_axis)roll(m, 3);
    rv_tensor x = full(m);
    return roll(m, 3) ? rv_mean(x, axis) : rv_reduce_max(x, axis);
}

static rv_tensor step(maker *m) {
    rv_tensor x = full(m), y = full(m);
    switch (roll(m, 10)) {
    case 0: return rv_mul(x, y);
    case 1: return rv_sub(x, y);
    case 2: return rv_max(x, y);
    case 3: return rv_where(rv_less(m->values[INPUTS - 1], rv_fill(x.graph, 1, 1, 0)), rv_tanh(y), x);
    case 4: return join(m);
    case 5: return contract(m);
    case 6: return normed(m);
    case 7: return seen_otherwise(m);
    case 8: return reduced(m);
    default: return smooth(m);
    }
}

static void record_random(const rv_case_recording *r, rv_tensor *out) {
    maker m = {.state = (uint32_t)r->item->i[0] * 2654435761u, .count = INPUTS};
    for (int i = 0; i < INPUTS; i++) m.values[i] = r->in[i];
    while (m.count < VALUES) {
        rv_tensor x = step(&m);
        m.values[m.count++] = x;
    }
    out[0] = m.values[VALUES - 1];
    out[1] = m.values[VALUES - 2];
    out[2] = full(&m);
}

void rv_cases_random(rv_case_list *list) {
    for (int seed = 0; seed < 60; seed++) {
        rv_case *item = rv_case_add(list, record_random, 3, "random/%d", seed);
        rv_case_values(item, ROWS, COLS, RV_CASE_NORMAL, 0, 0.7);
        rv_case_values(item, ROWS, COLS, RV_CASE_NORMAL, 0, 0.7);
        rv_case_values(item, 1, COLS, RV_CASE_NORMAL, 0, 0.7);
        rv_case_values(item, ROWS, 1, RV_CASE_NORMAL, 0, 0.7);
        rv_case_constant(item, ROWS, 1, RV_CASE_NORMAL, 0, 1);
        item->i[0] = seed;
        /* a chain may cancel: these bounds see a wrong program, not the last digits of an op */
        item->nmse = 1e-6;
        item->element = 1e-3;
        item->absolute = 2e-5; /* where terms cancel, what each was rounded by is left */
    }
}
