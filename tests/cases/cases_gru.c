/* tests/cases/cases_gru.c: gru_cell. */
#include "tests/cases/cases.h"

static void record_gru_cell(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_gru_cell(r->in[0], r->in[1], r->in[2], r->in[3], r->in[4], r->in[5]);
}

static rv_case *add(rv_case_list *list, int64_t batch, int64_t inputs, int64_t hidden) {
    double b = (double)batch, i = (double)inputs, h = (double)hidden;
    rv_case *item = rv_case_add(list, record_gru_cell, 1, "gru_cell/b%d_i%d_h%d", (int)batch, (int)inputs, (int)hidden);
    rv_case_value(item, batch, inputs);
    rv_case_value(item, batch, hidden);
    double scale = 1 / (1 + h * 0.02);
    rv_case_values(item, inputs, 3 * hidden, RV_CASE_NORMAL, 0, 0.5 * scale);
    rv_case_values(item, hidden, 3 * hidden, RV_CASE_NORMAL, 0, 0.5 * scale);
    rv_case_values(item, 1, 3 * hidden, RV_CASE_NORMAL, 0, 0.5);
    rv_case_values(item, 1, 3 * hidden, RV_CASE_NORMAL, 0, 0.5);
    item->flops = 6 * b * h * (i + h);
    item->bytes = 4 * (3 * h * (i + h) + 6 * h + b * (i + 2 * h));
    item->gradient_flops = 18 * b * h * (i + h);
    /* saved gates out and in, the weights' gradients, dx, dh and dh' */
    item->gradient_bytes = item->bytes + 32 * b * h + 12 * h * (i + h) + 4 * b * (i + 2 * h);
    return item;
}

void rv_cases_gru(rv_case_list *list) {
    static const int64_t sizes[][3] = {{7, 33, 65}, {1, 1, 1}, {33, 7, 33}, {1, 65, 7},
                                       {65, 1, 16}, {0, 5, 7}, {13, 32, 32}};
    for (int s = 0; s < 7; s++) add(list, sizes[s][0], sizes[s][1], sizes[s][2]);
    add(list, 300, 40, 70)->flags = RV_CASE_TALL;
    add(list, 65, 130, 129)->flags = RV_CASE_TALL;
    for (int size = 128; size >= 64; size /= 2) /* a GPU's larger tiles, not quite full, and little to do */
        add(list, size - 3, 3, 31)->flags = RV_CASE_TALL | RV_CASE_NO_STRIDE;
    static const int64_t timed[][3] = {
        {16, 64, 128}, {64, 128, 256}, {1024, 256, 256}, {1024, 1024, 1024}, {16384, 512, 512}};
    for (int s = 0; s < 5; s++) {
        rv_case *item = add(list, timed[s][0], timed[s][1], timed[s][2]);
        item->flags = RV_CASE_BENCH | (s > 0 ? RV_CASE_LARGE : RV_CASE_NO_STRIDE);
    }
}
