/* tests/cases/cases_norm.c: layer norm and RMS norm with every activation. */
#include "tests/cases/cases.h"

static void record_layer_norm(const rv_case_recording *r, rv_tensor *out) {
    bool bias = r->item->input_count == 3;
    out[0] = rv_layer_norm(r->in[0], r->in[1], bias ? r->in[2] : RV_NONE, 1e-3f, (rv_activation)r->item->i[0]);
}

static void record_rms_norm(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_rms_norm(r->in[0], r->in[1], 1e-3f, (rv_activation)r->item->i[0]);
}

enum { LAYER, LAYER_NO_BIAS, RMS };

static rv_case *add(rv_case_list *list, int kind, rv_activation activation, int64_t rows, int64_t cols, double mean) {
    static const char *const names[] = {"layer_norm", "layer_norm_no_bias", "rms_norm"};
    static const char *const activations[RV_ACTIVATION_COUNT] = {"linear",  "relu",     "elu",  "tanh",
                                                                 "sigmoid", "softplus", "silu", "gelu"};
    rv_case *item = rv_case_add(list, kind == RMS ? record_rms_norm : record_layer_norm, 1, "%s/%s/%sr%d_c%d",
                                names[kind], activations[activation], mean == 0 ? "" : "far_", (int)rows, (int)cols);
    rv_case_values(item, rows, cols, RV_CASE_NORMAL, mean, 1);
    rv_case_values(item, 1, cols, RV_CASE_UNIFORM, 0.5, 1.5);
    if (kind == LAYER) rv_case_value(item, 1, cols);
    item->i[0] = activation;
    return item;
}

void rv_cases_norm(rv_case_list *list) {
    static const int64_t shapes[][2] = {{1, 33}, {65, 7}, {0, 5}, {33, 256}};
    for (int kind = LAYER; kind <= RMS; kind++) {
        for (int a = 0; a < RV_ACTIVATION_COUNT; a++) add(list, kind, a, 7, 65, 0);
        for (int s = 0; s < 4; s++) add(list, kind, RV_SILU, shapes[s][0], shapes[s][1], 0);
        add(list, kind, RV_SILU, 2000, 65, 0)->flags = RV_CASE_TALL;
        add(list, kind, RV_SILU, 1024, 512, 0)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    }
    /* one column: the variance is 0, everything hangs on eps */
    add(list, LAYER, RV_LINEAR, 5, 1, 0);
    /* a mean far from 0: a variance from sums of squares would cancel */
    add(list, LAYER, RV_LINEAR, 7, 65, 30)->flags = RV_CASE_NO_GRADIENT;
}
