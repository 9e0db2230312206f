/* tests/cases/cases_return.c: returns and running products over rows of time. */
#include "reverie/ops_dreamer.h"
#include "tests/cases/cases.h"

/* f[0]: lambda */
static void record_return(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_lambda_return(r->in[0], r->in[1], r->in[2], r->item->f[0]);
}

static void record_cumprod(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_cumprod(r->in[0], r->item->i[0]); }

/* A lambda of each step's own, as the header writes it; equal ones give what one number gives. */
static void record_own_lambdas(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor reward = r->in[0], going_on = r->in[1], value = r->in[2], lambda = r->in[3];
    rv_tensor after = rv_slice_cols(value, 1, rv_tensor_cols(reward)), rest = rv_affine(lambda, -1, 1);
    out[0] = rv_lambda_return(rv_add(reward, rv_mul(going_on, rv_mul(rest, after))), rv_mul(going_on, lambda), value, 1);
}

static rv_case *add_return(rv_case_list *list, rv_case_record record, int64_t rows, int64_t steps, float lambda) {
    rv_case *item = rv_case_add(list, record, 1, "%s/r%d_t%d_%g", record == record_return ? "lambda_return" : "own_lambdas",
                                (int)rows, (int)steps, (double)lambda);
    rv_case_value(item, rows, steps);
    rv_case_values(item, rows, steps, RV_CASE_UNIFORM, 0, 1);
    rv_case_value(item, rows, steps + 1);
    item->f[0] = lambda;
    return item;
}

/* Factors of either sign; whole ones hold zeros, which the gradient must get past. */
static rv_case *add_cumprod(rv_case_list *list, int64_t rows, int64_t steps, int exclusive, bool zeros) {
    rv_case *item = rv_case_add(list, record_cumprod, 1, "cumprod/%s%s/r%d_t%d", exclusive ? "exclusive" : "inclusive",
                                zeros ? "/zeros" : "", (int)rows, (int)steps);
    rv_case_values(item, rows, steps, zeros ? RV_CASE_WHOLE : RV_CASE_AWAY, zeros ? -1 : 0.7, zeros ? 2 : 1.2);
    item->i[0] = exclusive;
    return item;
}

void rv_cases_return(rv_case_list *list) {
    static const int64_t shapes[][2] = {{7, 15}, {1, 1}, {65, 4}, {0, 5}, {33, 65}, {16, 33}};
    static const float lambdas[] = {0.95f, 0, 1};
    for (int s = 0; s < 6; s++) {
        int64_t rows = shapes[s][0], steps = shapes[s][1];
        add_return(list, record_return, rows, steps, lambdas[s % 3]);
        for (int exclusive = 0; exclusive < 2; exclusive++) add_cumprod(list, rows, steps, exclusive, false);
    }
    for (int k = 1; k < 3; k++) add_return(list, record_return, 7, 15, lambdas[k]);
    rv_case_values(add_return(list, record_own_lambdas, 9, 8, 0.5f), 9, 8, RV_CASE_UNIFORM, 0, 1);
    for (int exclusive = 0; exclusive < 2; exclusive++) add_cumprod(list, 9, 7, exclusive, true);
    add_return(list, record_return, 3000, 15, 0.95f)->flags = RV_CASE_TALL;
    add_cumprod(list, 3000, 15, 0, false)->flags = RV_CASE_TALL;
    add_cumprod(list, 3, 5000, 1, false)->flags = RV_CASE_TALL; /* more steps than tiles hold */
    add_return(list, record_return, 1024, 15, 0.95f)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add_return(list, record_return, 16384, 16, 0.95f)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add_cumprod(list, 1024, 16, 0, false)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
}
