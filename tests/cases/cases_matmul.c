/* tests/cases/cases_matmul.c: matmul in all transpositions. */
#include "tests/cases/cases.h"

static void record_matmul(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_matmul(r->in[0], r->in[1], r->item->i[0], r->item->i[1]);
}

/* Both operands the same value; a product whose operand is a product. */
static void record_chain(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor gram = rv_matmul(r->in[0], r->in[0], 1, 0);
    out[0] = rv_matmul(r->in[0], gram, 0, 0);
    out[1] = rv_matmul(r->in[0], r->in[0], 0, 1);
}

static rv_case *add(rv_case_list *list, int transpose, int64_t m, int64_t k, int64_t n) {
    static const char *const names[] = {"nn", "tn", "nt", "tt"};
    int a = transpose & 1, b = transpose >> 1;
    rv_case *item =
        rv_case_add(list, record_matmul, 1, "matmul/%s/m%d_k%d_n%d", names[transpose], (int)m, (int)k, (int)n);
    rv_case_value(item, a ? k : m, a ? m : k);
    rv_case_value(item, b ? n : k, b ? k : n);
    item->i[0] = a;
    item->i[1] = b;
    item->flops = 2.0 * (double)m * (double)k * (double)n;
    item->gradient_flops = 2 * item->flops; /* the product itself is not needed */
    return item;
}

void rv_cases_matmul(rv_case_list *list) {
    static const int64_t shapes[][3] = {{0, 5, 3}, {7, 33, 65}, {1, 1, 1},  {65, 7, 1},  {33, 1, 7},    {1, 65, 33},
                                        {64, 64, 64}, {13, 32, 48}, {130, 97, 129}, {12, 300, 32}};
    for (int transpose = 0; transpose < 4; transpose++) {
        /* transposed, the first would have no columns */
        for (int s = transpose & 1; s < 10; s++) add(list, transpose, shapes[s][0], shapes[s][1], shapes[s][2]);
        add(list, transpose, 64, 768, 256)->flags = RV_CASE_BENCH | RV_CASE_NO_STRIDE;
        add(list, transpose, 300, 200, 150)->flags = RV_CASE_TALL;
        add(list, transpose, 40, 3000, 70)->flags = RV_CASE_TALL; /* a long sum: cut where k is */
        for (int size = 128; size >= 64; size /= 2) /* a GPU's larger tiles, not quite full, and little to do */
            add(list, transpose, size - 3, 5, size - 1)->flags = RV_CASE_TALL | RV_CASE_NO_STRIDE;
        add(list, transpose, 1024, 1024, 1024)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    }
    add(list, 1, 7, 0, 33); /* a sum over no rows: zeros */
    add(list, 0, 256, 768, 256)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add(list, 0, 1024, 768, 256)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    add(list, 0, 64, 1024, 1024)->flags = RV_CASE_BENCH | RV_CASE_LARGE;
    rv_case *item = rv_case_add(list, record_chain, 2, "matmul/chain/r33_c7");
    rv_case_value(item, 33, 7);
}
