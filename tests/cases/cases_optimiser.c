/* tests/cases/cases_optimiser.c: global_norm, adamw, ema. */
#include "core/internal.h"
#include "tests/cases/cases.h"

static void record_global_norm(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_global_norm(r->in[0]); }

static void record_ema(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_ema(r->in[0], r->in[1], r->item->f[0]);
}

/* f: weight decay, clip; inputs: value, gradient, m, v, lr, updates. */
static void record_adamw(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor norm = rv_global_norm(r->in[1]);
    rv_adamw(r->in[0], r->in[1], r->in[2], r->in[3], r->in[4], r->in[5], norm, 0.9f, 0.999f, 1e-8f, r->item->f[0],
             r->item->f[1], out);
}

static rv_case *add_adamw(rv_case_list *list, const char *name, int64_t count, int64_t updates, float decay,
                          float clip) {
    rv_case *item = rv_case_add(list, record_adamw, 3, "adamw/%s/n%d", name, (int)count);
    rv_case_constant(item, 1, count, RV_CASE_NORMAL, 0, 1);
    rv_case_constant(item, 1, count, RV_CASE_NORMAL, 0, 1);
    rv_case_constant(item, 1, count, RV_CASE_NORMAL, 0, 0.1);
    rv_case_constant(item, 1, count, RV_CASE_UNIFORM, 0, 0.1);
    rv_case_constant(item, 1, 1, RV_CASE_CONSTANT, 3e-4, 0);
    rv_case_index(item, 1, 1, updates, updates);
    item->f[0] = decay;
    item->f[1] = clip;
    item->bytes = 32.0 * (double)count;
    return item;
}

void rv_cases_optimiser(rv_case_list *list) {
    static const int64_t shapes[][2] = {{1, 1000}, {1, 1}, {7, 33}, {0, 5}, {1, 70001}};
    for (int s = 0; s < 5; s++) {
        rv_case *item =
            rv_case_add(list, record_global_norm, 1, "global_norm/r%d_c%d", (int)shapes[s][0], (int)shapes[s][1]);
        rv_case_value(item, shapes[s][0], shapes[s][1]);
        if (shapes[s][0] == 0) item->flags = RV_CASE_NO_GRADIENT;
        item = rv_case_add(list, record_ema, 1, "ema/r%d_c%d", (int)shapes[s][0], (int)shapes[s][1]);
        for (int k = 0; k < 2; k++) rv_case_constant(item, shapes[s][0], shapes[s][1], RV_CASE_NORMAL, 0, 1);
        item->f[0] = 0.02f;
    }
    add_adamw(list, "first", 1001, 1, 0, 0);
    add_adamw(list, "decay", 33, 7, 0.1f, 0);
    add_adamw(list, "clip", 1001, 3, 0.01f, 1);
    add_adamw(list, "late", 65, 100000, 0, 100);
    add_adamw(list, "tall", 100003, 3, 0.01f, 1)->flags = RV_CASE_TALL;
    add_adamw(list, "large", 1000000, 3, 0, 100)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
}
