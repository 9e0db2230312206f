/* tests/cases/cases_scan.c: scans, through their gradients. */
#include "reverie/scan.h"
#include "tests/cases/cases.h"

/* i: steps, resets; inputs: x, h, w_x, w_h, b_x, b_h, reset. */
static void record_gru(const rv_case_recording *r, rv_tensor *out) {
    const rv_tensor *in = r->in;
    out[0] = rv_gru_sequence(in[0], in[1], r->item->i[1] ? in[6] : RV_NONE, in[2], in[3], in[4], in[5]);
}

static rv_case *add_gru(rv_case_list *list, int steps, int64_t batch, int64_t inputs, int64_t hidden, bool resets) {
    rv_case *item = rv_case_add(list, record_gru, 1, "gru_sequence/t%d_b%d_i%d_h%d%s", steps, (int)batch, (int)inputs,
                                (int)hidden, resets ? "_resets" : "");
    rv_case_value(item, steps * batch, inputs);
    rv_case_value(item, batch, hidden);
    double scale = 0.5 / (1 + 0.02 * (double)hidden);
    rv_case_values(item, inputs, 3 * hidden, RV_CASE_NORMAL, 0, scale);
    rv_case_values(item, hidden, 3 * hidden, RV_CASE_NORMAL, 0, scale);
    for (int k = 0; k < 2; k++) rv_case_values(item, 1, 3 * hidden, RV_CASE_NORMAL, 0, 0.5);
    if (resets) rv_case_constant(item, steps * batch, 1, RV_CASE_WHOLE, 0, 1);
    item->i[0] = steps;
    item->i[1] = resets;
    item->nmse = 1e-9; /* a chain */
    item->element = 1e-4;
    item->flops = 6.0 * (double)(steps * batch * hidden * (inputs + hidden));
    item->gradient_flops = 3 * item->flops;
    return item;
}

/* ---- a body with everything that sequence models have: several states, inputs of two widths, weights used with and
 * without the state, a norm, a state of no consequence, outputs of two kinds ---- */

static void mixed_step(void *user, const rv_scan_step *step) {
    const rv_tensor *in = user; /* weight, bias, scale, weight without bias */
    rv_tensor inputs[] = {step->carry[0], step->input[0]};
    rv_tensor h = rv_linear(inputs, 2, in[0], in[1], RV_SILU);
    h = rv_rms_norm(h, in[2], 1e-2f, RV_TANH);
    rv_tensor sum = rv_add(rv_mul(step->carry[1], step->input[1]), rv_matmul(h, in[3], 0, 0));
    step->next[0] = h;
    step->next[1] = rv_tanh(sum);
    step->output[0] = rv_linear1(step->next[1], rv_transpose(in[3]), in[2], RV_GELU);
    step->output[1] = rv_mean(rv_square(sum), RV_COLS);
}

static void record_mixed(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor carry[2] = {r->in[0], r->in[1]}, constants[4] = {r->in[4], r->in[5], r->in[6], r->in[7]};
    rv_scan(r->graph, r->item->i[0], mixed_step, constants, carry, 2, r->in + 2, 2, out, 2);
    out[2] = carry[1];
}

static void add_mixed(rv_case_list *list, int steps, int64_t batch) {
    enum { H = 5, C = 3, X = 4 };
    rv_case *item = rv_case_add(list, record_mixed, 3, "scan/mixed_t%d_b%d", steps, (int)batch);
    rv_case_value(item, batch, H);
    rv_case_value(item, batch, C);
    rv_case_value(item, steps * batch, X);
    rv_case_values(item, steps * batch, 1, RV_CASE_UNIFORM, 0.2, 0.9);
    rv_case_values(item, H + X, H, RV_CASE_NORMAL, 0, 0.3);
    rv_case_value(item, 1, H);
    rv_case_values(item, 1, H, RV_CASE_NORMAL, 1, 0.1);
    rv_case_values(item, H, C, RV_CASE_NORMAL, 0, 0.3);
    item->i[0] = steps;
    item->nmse = 1e-9;
    item->element = 1e-4;
}

void rv_cases_scan(rv_case_list *list) {
    static const int64_t sizes[][4] = {{5, 7, 5, 13}, {1, 3, 2, 4}, {9, 1, 1, 1}, {4, 33, 7, 16}, {17, 2, 3, 7}};
    for (int s = 0; s < 5; s++) {
        for (int resets = 0; resets < 2; resets++)
            add_gru(list, (int)sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], resets);
    }
    add_gru(list, 64, 16, 64, 128, true)->flags = RV_CASE_BENCH | RV_CASE_TALL;
    static const int mixed[][2] = {{1, 3}, {3, 2}, {4, 1}, {8, 3}, {9, 5}, {70, 2}, {6, 0}};
    for (int s = 0; s < 7; s++) add_mixed(list, mixed[s][0], mixed[s][1]);
}
