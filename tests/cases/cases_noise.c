/* tests/cases/cases_noise.c: draws and sample_normal. Draws are exact. */
#include "tests/cases/cases.h"

static void record_uniform(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_uniform(r->in[0], "noise", 3, r->item->i[0], r->item->i[1]);
}

static void record_normal(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_normal(r->in[0], "noise", 3, r->item->i[0], r->item->i[1]);
}

static void record_uniform_index(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_uniform_index(r->in[0], "noise", 3, r->item->i[0], r->item->i[1], r->in[1]);
}

enum { VALUE = 1, LOG_PROB = 2, KL = 4 };

/* i[0]: which of the three outputs are used. */
static void record_sample_normal(const rv_case_recording *r, rv_tensor *out) {
    rv_normal_sample sample = rv_sample_normal(r->in[0], r->in[1], r->in[2], "latent", 1);
    int used = r->item->i[0], count = 0;
    if (used & VALUE) out[count++] = sample.value;
    if (used & LOG_PROB) out[count++] = sample.log_prob;
    if (used & KL) out[count++] = sample.kl;
}

static rv_case *add_draw(rv_case_list *list, rv_case_record record, const char *kind, int64_t rows, int64_t cols) {
    rv_case *item = rv_case_add(list, record, 1, "%s/r%d_c%d", kind, (int)rows, (int)cols);
    rv_case_state(item, 0xdeadbeef, 41);
    item->i[0] = (int)rows;
    item->i[1] = (int)cols;
    item->flags = RV_CASE_EXACT | RV_CASE_NO_GRADIENT;
    return item;
}

static rv_case *add_sample(rv_case_list *list, int used, int64_t rows, int64_t cols) {
    static const char *const names[] = {"",   "value",    "log_prob",    "value_log_prob",
                                        "kl", "value_kl", "log_prob_kl", "all"};
    int count = (used & 1) + (used >> 1 & 1) + (used >> 2);
    rv_case *item = rv_case_add(list, record_sample_normal, count, "sample_normal/%s/r%d_c%d", names[used], (int)rows,
                                (int)cols);
    rv_case_value(item, rows, cols);
    rv_case_values(item, rows, cols, RV_CASE_NORMAL, -0.5, 0.7);
    rv_case_state(item, 7, 5);
    item->i[0] = used;
    item->bytes = 12.0 * (double)rows * (double)cols;
    return item;
}

void rv_cases_noise(rv_case_list *list) {
    static const int64_t shapes[][2] = {{7, 33}, {1, 1}, {65, 130}, {33, 4}, {0, 5}, {5, 2}};
    for (int s = 0; s < 6; s++) {
        add_draw(list, record_uniform, "uniform", shapes[s][0], shapes[s][1]);
        add_draw(list, record_normal, "normal", shapes[s][0], shapes[s][1]);
        rv_case_index(add_draw(list, record_uniform_index, "uniform_index", shapes[s][0], shapes[s][1]), 1, 1, 1000,
                      1000);
    }
    rv_case_index(add_draw(list, record_uniform_index, "uniform_index/most", 33, 7), 1, 1, 2147483392, 2147483392);
    rv_case_index(add_draw(list, record_uniform_index, "uniform_index/none", 33, 7), 1, 1, 0, 0);
    add_draw(list, record_normal, "normal", 1024, 1024)->flags |= RV_CASE_BENCH | RV_CASE_LARGE;

    for (int used = 1; used < 8; used++) add_sample(list, used, 7, 33);
    static const int64_t sizes[][2] = {{1, 1}, {65, 32}, {0, 5}, {33, 7}, {16, 130}};
    for (int s = 0; s < 5; s++) add_sample(list, VALUE | LOG_PROB | KL, sizes[s][0], sizes[s][1]);
    add_sample(list, VALUE | LOG_PROB | KL, 2000, 33)->flags = RV_CASE_TALL;
    add_draw(list, record_normal, "normal", 3000, 33)->flags |= RV_CASE_TALL;
    add_draw(list, record_uniform, "uniform", 3000, 31)->flags |= RV_CASE_TALL;
    for (int64_t rows = 312; rows < 1000000; rows *= 10) { /* about 1e4 .. 1e7 elements, 32 a row */
        add_sample(list, VALUE | LOG_PROB | KL, rows, 32)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    }
}
