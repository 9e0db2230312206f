/* tests/cases/cases_store.c: what changes arrays: store, store_part, store_rows, watch. */
#include "core/internal.h"
#include "tests/cases/cases.h"

/* The array as it was and as it is after the store. The case ends with the array as it began, so
 * that it can run again: a store of the old value. */
static void record_store(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor before = rv_read(r->graph, r->array[0]);
    rv_store(r->array[0], rv_add(before, r->in[1]));
    out[0] = rv_copy(rv_read(r->graph, r->array[0]), rv_tensor_rows(before), rv_tensor_cols(before));
    out[1] = rv_square(before);
    rv_store(r->array[0], before);
}

/* A part of the array replaced, then parts read that overlap it. */
static void record_store_part(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor before = rv_read(r->graph, r->array[0]);
    rv_store_part(r->array[0], 40, rv_neg(r->in[1]));
    out[0] = rv_read_part(r->graph, r->array[0], 33, 5, 11);
    out[1] = rv_square(rv_read_part(r->graph, r->array[0], 0, 1, 66));
    rv_store(r->array[0], before);
}

static void record_store_rows(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor before = rv_read(r->graph, r->array[0]);
    rv_store_rows(r->array[0], r->in[1], r->in[2]);
    out[0] = rv_read(r->graph, r->array[0]);
    if (r->item->output_count == 2) out[1] = rv_neg(before);
    rv_store(r->array[0], before);
}

static void record_watch(const rv_case_recording *r, rv_tensor *out) {
    static const char *const names[] = {"watched"};
    rv_tensor x = rv_tanh(r->in[0]);
    rv_watch(x, names, 1);
    out[0] = rv_square(x);
    out[1] = rv_health(r->graph);
}

static void add_store(rv_case_list *list, const char *name, rv_dtype dtype) {
    rv_case *item = rv_case_add(list, record_store, 2, "store/%s", name);
    for (int k = 0; k < 2; k++) rv_case_input_add(item, dtype, 7, 33, RV_CASE_WHOLE, -50, 50);
    item->flags = RV_CASE_EXACT | RV_CASE_NO_STRIDE | RV_CASE_NO_GRADIENT;
}

static void add_store_rows(rv_case_list *list, const char *name, rv_dtype dtype, int64_t rows) {
    rv_case *item = rv_case_add(list, record_store_rows, dtype == RV_F32 ? 2 : 1, "store_rows/%s", name);
    for (int k = 0; k < 2; k++) rv_case_input_add(item, dtype, k ? rows : 33, 7, RV_CASE_WHOLE, 0, 100);
    rv_case_index(item, rows, 1, -3, 40); /* some outside, some twice */
    item->flags = RV_CASE_EXACT | RV_CASE_NO_STRIDE | RV_CASE_NO_GRADIENT;
}

void rv_cases_store(rv_case_list *list) {
    add_store(list, "f32", RV_F32);
    rv_case *item = rv_case_add(list, record_store_part, 2, "store/part");
    rv_case_value(item, 7, 33);
    rv_case_value(item, 3, 9);
    item->flags = RV_CASE_EXACT | RV_CASE_NO_STRIDE | RV_CASE_NO_GRADIENT;
    add_store_rows(list, "f32", RV_F32, 20);
    add_store_rows(list, "i32", RV_I32, 20);
    add_store_rows(list, "u8", RV_U8, 20);
    add_store_rows(list, "no_rows", RV_F32, 0);
    item = rv_case_add(list, record_watch, 2, "watch/r33_c65");
    rv_case_value(item, 33, 65);
    item->flags = RV_CASE_NO_GRADIENT;
    item = rv_case_add(list, record_watch, 2, "watch/no_rows");
    rv_case_value(item, 0, 65);
    item->flags = RV_CASE_NO_GRADIENT;
}
