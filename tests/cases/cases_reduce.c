/* tests/cases/cases_reduce.c: reductions, softmax, quantile. */
#include "tests/cases/cases.h"

typedef rv_tensor (*reduce_fn)(rv_tensor x, rv_axis over);

static const struct {
    const char *name;
    reduce_fn reduce;
    unsigned flags;
} reductions[] = {{"sum", rv_sum, 0},
                  {"mean", rv_mean, 0},
                  {"max", rv_reduce_max, RV_CASE_EXACT},
                  {"min", rv_reduce_min, RV_CASE_EXACT}};

static const char *const axes[] = {"rows", "cols", "all"};

static void record_reduce(const rv_case_recording *r, rv_tensor *out) {
    out[0] = reductions[r->item->i[0]].reduce(r->in[0], (rv_axis)r->item->i[1]);
}

/* A reduction of something computed, used again beside its source. */
static void record_centre(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor x = rv_tanh(r->in[0]);
    rv_tensor centred = rv_sub(x, rv_mean(x, RV_ROWS));
    out[0] = rv_div(centred, rv_sqrt(rv_affine(rv_mean(rv_square(centred), RV_ROWS), 1, 1e-3f)));
    out[1] = rv_sum(rv_mul(x, x), RV_ALL);
}

static void record_softmax(const rv_case_recording *r, rv_tensor *out) {
    out[0] = r->item->i[0] ? rv_log_softmax(r->in[0]) : rv_softmax(r->in[0]);
}

static void record_quantile(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_quantile(r->in[0], r->item->f[0]);
}

static rv_case *add_reduce(rv_case_list *list, int which, int axis, int64_t rows, int64_t cols) {
    rv_case *item = rv_case_add(list, record_reduce, 1, "reduce/%s_%s/r%d_c%d", reductions[which].name, axes[axis],
                                (int)rows, (int)cols);
    rv_case_value(item, rows, cols);
    item->i[0] = which;
    item->i[1] = axis;
    item->flags = reductions[which].flags;
    return item;
}

static void add_ties(rv_case_list *list, int which, int axis) {
    rv_case *item = rv_case_add(list, record_reduce, 1, "reduce/%s_%s/ties", reductions[which].name, axes[axis]);
    rv_case_values(item, 65, 33, RV_CASE_WHOLE, -2, 2);
    item->i[0] = which;
    item->i[1] = axis;
    item->flags = RV_CASE_EXACT | RV_CASE_NO_GRADIENT; /* a kink: test_gradients.c asks for the first of equal ones */
}

void rv_cases_reduce(rv_case_list *list) {
    static const int64_t shapes[][2] = {{7, 33}, {1, 1}, {65, 130}, {300, 7}, {1, 1000}, {1000, 1}, {0, 5}};
    for (int which = 0; which < 4; which++) {
        for (int axis = 0; axis < 3; axis++) {
            for (int s = 0; s < 7; s++) add_reduce(list, which, axis, shapes[s][0], shapes[s][1]);
            if (which > 1) add_ties(list, which, axis);
        }
    }
    for (int axis = 0; axis < 3; axis++) {
        rv_case *item = add_reduce(list, 0, axis, 4096, 1024);
        item->flags |= RV_CASE_BENCH | RV_CASE_LARGE;
    }
    for (int which = 0; which < 4; which++) {
        for (int axis = 0; axis < 3; axis++) {
            add_reduce(list, which, axis, 3001, 33)->flags |= RV_CASE_TALL;
            add_reduce(list, which, axis, 33, 3001)->flags |= RV_CASE_TALL;
        }
    }
    rv_case *item = rv_case_add(list, record_centre, 2, "reduce/centre/r65_c33");
    rv_case_value(item, 65, 33);
    item = rv_case_add(list, record_centre, 2, "reduce/centre/r3000_c33");
    rv_case_value(item, 3000, 33);
    item->flags = RV_CASE_TALL;

    static const int64_t widths[][2] = {{7, 33}, {65, 1}, {1, 255}, {0, 5}, {33, 64}};
    for (int logarithm = 0; logarithm < 2; logarithm++) {
        for (int s = 0; s < 5; s++) {
            const char *name = logarithm ? "log_softmax" : "softmax";
            item = rv_case_add(list, record_softmax, 1, "%s/r%d_c%d", name, (int)widths[s][0], (int)widths[s][1]);
            rv_case_values(item, widths[s][0], widths[s][1], RV_CASE_NORMAL, 0, 3);
            item->i[0] = logarithm;
        }
        item = rv_case_add(list, record_softmax, 1, "%s/tall", logarithm ? "log_softmax" : "softmax");
        rv_case_values(item, 3000, 33, RV_CASE_NORMAL, 0, 3);
        item->i[0] = logarithm;
        item->flags = RV_CASE_TALL;
        item = rv_case_add(list, record_softmax, 1, "%s/far", logarithm ? "log_softmax" : "softmax");
        rv_case_values(item, 7, 33, RV_CASE_NORMAL, 1000, 50);
        item->i[0] = logarithm;
        item->flags = RV_CASE_NO_GRADIENT;
    }

    static const float q[] = {0, 0.05f, 0.5f, 0.95f, 1};
    static const int64_t sizes[][2] = {{1, 1}, {7, 33}, {65, 130}, {1, 2}, {0, 3}};
    for (int k = 0; k < 5; k++) {
        for (int s = 0; s < 5; s++) {
            item = rv_case_add(list, record_quantile, 1, "quantile/q%g/r%d_c%d", (double)q[k], (int)sizes[s][0],
                               (int)sizes[s][1]);
            rv_case_value(item, sizes[s][0], sizes[s][1]);
            item->f[0] = q[k];
            item->flags = RV_CASE_EXACT | RV_CASE_NO_GRADIENT;
        }
        item = rv_case_add(list, record_quantile, 1, "quantile/q%g/tall", (double)q[k]);
        rv_case_value(item, 3001, 33);
        item->f[0] = q[k];
        item->flags = RV_CASE_EXACT | RV_CASE_NO_GRADIENT | RV_CASE_TALL;
        item = rv_case_add(list, record_quantile, 1, "quantile/q%g/ties", (double)q[k]);
        rv_case_values(item, 65, 130, RV_CASE_WHOLE, -2, 2);
        item->f[0] = q[k];
        item->flags = RV_CASE_EXACT | RV_CASE_NO_GRADIENT;
    }
}
