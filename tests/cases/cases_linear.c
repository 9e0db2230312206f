/* tests/cases/cases_linear.c: linear of one to four inputs, with every activation. */
#include "tests/cases/cases.h"

static const char *const activations[RV_ACTIVATION_COUNT] = {"linear",  "relu",     "elu",  "tanh",
                                                             "sigmoid", "softplus", "silu", "gelu"};

/* Inputs: w, [bias], x0 .. */
static void record_linear(const rv_case_recording *r, rv_tensor *out) {
    int bias = r->item->i[1], count = r->item->input_count - 1 - bias;
    out[0] = rv_linear(r->in + 1 + bias, count, r->in[0], bias ? r->in[1] : RV_NONE, (rv_activation)r->item->i[0]);
}

/* Two layers, the second with the first's input beside it, as models do. */
static void record_two_layers(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor hidden = rv_linear1(r->in[0], r->in[1], r->in[2], RV_SILU);
    out[0] = rv_linear((rv_tensor[]){hidden, r->in[0]}, 2, r->in[3], RV_NONE, RV_GELU);
    out[1] = rv_sum(hidden, RV_COLS);
}

static rv_case *add(rv_case_list *list, rv_activation activation, bool bias, int64_t rows, const int64_t *cols,
                    int count, int64_t n) {
    int64_t k = 0;
    for (int i = 0; i < count; i++) k += cols[i];
    rv_case *item = rv_case_add(list, record_linear, 1, "linear/%s%s/b%d_x%d_k%d_n%d", activations[activation],
                                bias ? "" : "_no_bias", (int)rows, count, (int)k, (int)n);
    rv_case_values(item, k, n, RV_CASE_NORMAL, 0, 0.3);
    if (bias) rv_case_value(item, 1, n);
    for (int i = 0; i < count; i++) rv_case_value(item, rows, cols[i]);
    item->i[0] = activation;
    item->i[1] = bias;
    item->flops = 2.0 * (double)rows * (double)k * (double)n;
    item->gradient_flops = 3 * item->flops;
    return item;
}

void rv_cases_linear(rv_case_list *list) {
    static const int64_t cols[4] = {33, 7, 1, 20};
    for (int activation = 0; activation < RV_ACTIVATION_COUNT; activation++) {
        add(list, activation, true, 7, cols, 1, 65);
        add(list, activation, false, 33, cols, 2, 7);
        add(list, activation, true, 65, cols, 4, 33);
    }
    for (int count = 1; count <= 4; count++) {
        for (int bias = 0; bias < 2; bias++) {
            add(list, RV_SILU, bias, 13, cols, count, 20);
            add(list, RV_ELU, bias, 1, cols, count, 1);
            add(list, RV_LINEAR, bias, 0, cols, count, 5);
        }
    }
    for (int count = 1; count <= 4; count += 3) {
        add(list, RV_SILU, true, 700, cols, count, 65)->flags = RV_CASE_TALL;
        add(list, RV_GELU, false, 3000, cols, count, 7)->flags = RV_CASE_TALL;
    }
    add(list, RV_TANH, true, 1030, (const int64_t[]){3}, 1, 5)->flags = RV_CASE_TALL | RV_CASE_NO_STRIDE; /* weights in pieces, cheaply */
    /* the course's layers, and one per row tile and per column tile */
    static const int64_t layers[][3] = {{64, 4, 128}, {64, 128, 64}, {64, 36, 128},
                                        {64, 64, 1},  {12, 16, 32},  {16, 256, 256}};
    for (int s = 0; s < 6; s++) {
        add(list, RV_SILU, true, layers[s][0], &layers[s][1], 1, layers[s][2])->flags = RV_CASE_BENCH;
    }
    static const int64_t large[][3] = {{1024, 512, 512}, {64, 768, 256}};
    for (int s = 0; s < 2; s++) {
        add(list, RV_GELU, true, large[s][0], &large[s][1], 1, large[s][2])->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    }
    rv_case *item = rv_case_add(list, record_two_layers, 2, "linear/two_layers/b33");
    rv_case_value(item, 33, 7);
    rv_case_value(item, 7, 20);
    rv_case_value(item, 1, 20);
    rv_case_value(item, 27, 13);
}
