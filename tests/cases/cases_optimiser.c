/* tests/cases/cases_optimiser.c: global_norm, adamw, segment_norms, laprop, ema. */
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

static void record_segment_norms(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_segment_norms(r->in[0], r->in[1], r->in[2], r->item->i[0]);
}

/* f: weight decay, agc, beta1; inputs: value, gradient, m, v, lr, updates, owner. */
static void record_laprop(const rv_case_recording *r, rv_tensor *out) {
    const rv_laprop_settings settings = {(double)r->item->f[2], 0.999, 1e-20f, r->item->f[0], r->item->f[1], 1e-3f};
    rv_tensor norms = rv_segment_norms(r->in[0], r->in[1], r->in[6], r->item->i[0]);
    const rv_tensor *in = r->in, inputs[] = {in[0], in[1], in[2], in[3], in[4], in[5], norms, in[6]};
    rv_laprop(inputs, &settings, out);
}

/* Groups of `width` floats that belong to weights [first, last] of `segments`. */
static rv_case *add_norms(rv_case_list *list, int64_t groups, int64_t width, int segments, int first, int last) {
    rv_case *item = rv_case_add(list, record_segment_norms, 1, "segment_norms/n%d_w%d_s%d_%d_%d", (int)(groups * width),
                                (int)width, segments, first, last);
    for (int k = 0; k < 2; k++) rv_case_constant(item, 1, groups * width, RV_CASE_NORMAL, 0, 1);
    rv_case_input_add(item, RV_I32, groups, 1, RV_CASE_ASCENDING, first, last);
    item->i[0] = segments;
    return item;
}

static rv_case *add_laprop(rv_case_list *list, const char *name, int64_t groups, int64_t width, int segments,
                           int64_t updates, float decay, float agc) {
    rv_case *item = rv_case_add(list, record_laprop, 3, "laprop/%s/n%d_w%d_s%d", name, (int)(groups * width),
                                (int)width, segments);
    rv_case_constant(item, 1, groups * width, RV_CASE_NORMAL, 0, 1);
    rv_case_constant(item, 1, groups * width, RV_CASE_AWAY, 0.01, 2);
    rv_case_constant(item, 1, groups * width, RV_CASE_NORMAL, 0, 1);
    rv_case_constant(item, 1, groups * width, RV_CASE_UNIFORM, 0, 0.1);
    rv_case_constant(item, 1, 1, RV_CASE_CONSTANT, 4e-3, 0);
    rv_case_index(item, 1, 1, updates, updates);
    rv_case_input_add(item, RV_I32, groups, 1, RV_CASE_ASCENDING, 0, segments - 1);
    item->i[0] = segments;
    item->f[0] = decay;
    item->f[1] = agc;
    item->f[2] = 0.9f;
    item->bytes = 40.0 * (double)(groups * width);
    return item;
}

static void add_laprops(rv_case_list *list) {
    static const int norms[][5] = {{64, 16, 5, 0, 4},       {1, 16, 1, 0, 0},   {7, 3, 4, 1, 2},     {700, 16, 3, 0, 2},
                                   {513, 16, 300, 2, 290}, {512, 16, 9, 4, 4}, {1024, 16, 4, 0, 3}, {1, 1, 2, 1, 1}};
    for (int s = 0; s < 8; s++) add_norms(list, norms[s][0], norms[s][1], norms[s][2], norms[s][3], norms[s][4]);
    add_norms(list, 9001, 16, 7, 0, 6)->flags = RV_CASE_TALL;
    add_laprop(list, "first", 65, 16, 5, 1, 0, 0.3f);
    add_laprop(list, "unclipped", 33, 16, 2, 7, 0, 0);
    add_laprop(list, "decay", 7, 5, 3, 3, 0.1f, 0.3f);
    add_laprop(list, "loose", 33, 16, 9, 100000, 0.01f, 100);
    add_laprop(list, "one", 1, 1, 1, 2, 0, 0.3f);
    add_laprop(list, "tall", 5000, 16, 40, 3, 0, 0.3f)->flags = RV_CASE_TALL;
    add_laprop(list, "large", 40000, 16, 60, 3, 0, 0.3f)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
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
    add_laprops(list);
}
