/* tests/cases/cases_twohot.c: heads over bins. */
#include "reverie/ops_dreamer.h"
#include "tests/cases/cases.h"

static void record_nll(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_twohot_nll(r->in[0], r->in[1], r->in[2]); }
static void record_mean(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_twohot_mean(r->in[0], r->in[1]); }

static rv_case *add_bins(rv_case *item, int64_t count, bool symexp) {
    rv_case_constant(item, 1, count, symexp ? RV_CASE_BINS : RV_CASE_STEPS, -3, 2.5);
    return item;
}

/* `reach`: how far targets lie; some beyond even steps from -3 to 2.5. */
static rv_case *add_nll(rv_case_list *list, int64_t rows, int64_t count, bool symexp, double reach) {
    rv_case *item = rv_case_add(list, record_nll, 1, "twohot_nll/r%d_k%d%s", (int)rows, (int)count, symexp ? "_symexp" : "");
    rv_case_value(item, rows, count);
    rv_case_values(item, rows, 1, RV_CASE_NORMAL, 0.1, reach);
    return add_bins(item, count, symexp);
}

static rv_case *add_mean(rv_case_list *list, int64_t rows, int64_t count, bool symexp) {
    rv_case *item = rv_case_add(list, record_mean, 1, "twohot_mean/r%d_k%d%s", (int)rows, (int)count, symexp ? "_symexp" : "");
    rv_case_value(item, rows, count);
    return add_bins(item, count, symexp);
}

void rv_cases_twohot(rv_case_list *list) {
    static const int64_t shapes[][2] = {{7, 33}, {1, 2}, {65, 3}, {0, 7}, {33, 130}, {5, 16}, {9, 34}};
    for (int s = 0; s < 7; s++) {
        add_nll(list, shapes[s][0], shapes[s][1], false, 2.5);
        add_mean(list, shapes[s][0], shapes[s][1], false);
    }
    static const int64_t odd[] = {7, 65, 255};
    for (int k = 0; k < 3; k++) {
        add_nll(list, 33, odd[k], true, 40);
        add_mean(list, 33, odd[k], true);
    }
    add_nll(list, 3000, 33, false, 2.5)->flags = RV_CASE_TALL;
    add_mean(list, 3000, 33, true)->flags = RV_CASE_TALL;
    add_nll(list, 1024, 255, true, 40)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add_mean(list, 1024, 255, true)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
}
