/* tests/cases/cases_likelihood.c: kl_normal, mse, gaussian_nll, bernoulli_nll. */
#include "tests/cases/cases.h"

static void record_kl_normal(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_kl_normal(r->in[0], r->in[1], r->in[2], r->in[3]);
}
static void record_mse(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_mse(r->in[0], r->in[1]); }
static void record_gaussian_nll(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_gaussian_nll(r->in[0], r->in[1], r->in[2]);
}
static void record_bernoulli_nll(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_bernoulli_nll(r->in[0], r->in[1]);
}

/* A loss as models build it: means of several terms. */
static void record_elbo(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor divergence = rv_kl_normal(r->in[0], r->in[1], rv_stop_gradient(r->in[2]), rv_stop_gradient(r->in[3]));
    rv_tensor likelihood = rv_gaussian_nll(r->in[2], r->in[1], r->in[0]);
    out[0] = rv_mean(rv_add(rv_affine(divergence, 0.1f, 0), likelihood), RV_ALL);
}

typedef struct likelihood_row {
    const char *name;
    rv_case_record record;
    int inputs;
    unsigned logvars; /* bits of the inputs that are logarithms of variances */
} likelihood_row;

static const likelihood_row rows_of_ops[] = {{"kl_normal", record_kl_normal, 4, 0xa},
                                             {"mse", record_mse, 2, 0},
                                             {"gaussian_nll", record_gaussian_nll, 3, 0x2},
                                             {"bernoulli_nll", record_bernoulli_nll, 2, 0},
                                             {"elbo", record_elbo, 4, 0xa}};

static void add(rv_case_list *list, const likelihood_row *row, int64_t rows, int64_t cols, unsigned flags) {
    rv_case *item = rv_case_add(list, row->record, 1, "%s/r%d_c%d", row->name, (int)rows, (int)cols);
    for (int k = 0; k < row->inputs; k++) {
        bool logvar = row->logvars >> k & 1;
        rv_case_values(item, rows, cols, RV_CASE_NORMAL, logvar ? -0.3 : 0, logvar ? 0.7 : 1.5);
    }
    if (row->record == record_bernoulli_nll) {
        item->input[1].fill = RV_CASE_UNIFORM;
        item->input[1].b = 1;
    }
    item->flags = flags;
}

void rv_cases_likelihood(rv_case_list *list) {
    static const int64_t shapes[][2] = {{7, 33}, {1, 1}, {65, 4}, {0, 5}, {33, 130}};
    for (int k = 0; k < 5; k++) {
        for (int s = 0; s < 5; s++) add(list, &rows_of_ops[k], shapes[s][0], shapes[s][1], 0);
        add(list, &rows_of_ops[k], 3000, 33, RV_CASE_TALL);
    }
    for (int k = 0; k < 4; k++) add(list, &rows_of_ops[k], 16384, 64, RV_CASE_BENCH | RV_CASE_LARGE);
    rv_case *item = rv_case_add(list, record_bernoulli_nll, 1, "bernoulli_nll/far");
    rv_case_constant(item, 7, 33, RV_CASE_UNIFORM, -200, 200);
    rv_case_constant(item, 7, 33, RV_CASE_WHOLE, 0, 1);
}
