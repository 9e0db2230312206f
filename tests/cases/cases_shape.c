/* tests/cases/cases_shape.c: fill, broadcast, slices, reshape, concat, transpose, gather, stop_gradient. */
#include <stdio.h>

#include "tests/cases/cases.h"

static void record_fill(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_fill(r->graph, r->item->i[0], r->item->i[1], r->item->f[0]);
}

static void record_broadcast(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_broadcast(r->in[0], r->item->i[0], r->item->i[1]);
}

static void record_slice_cols(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_slice_cols(r->in[0], r->item->i[0], r->item->i[1]);
}

static void record_slice_rows(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_slice_rows(r->in[0], r->item->i[0], r->item->i[1]);
}

/* Slices that overlap, one of a slice: the gradient adds where they meet. */
static void record_slices(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor left = rv_slice_cols(r->in[0], 0, 20), right = rv_slice_cols(r->in[0], 13, 20);
    rv_tensor inner = rv_slice_rows(rv_slice_cols(right, 5, 7), 2, 3);
    out[0] = rv_mul(left, right);
    out[1] = rv_square(inner);
}

static void record_reshape(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_square(rv_reshape(r->in[0], r->item->i[0], r->item->i[1]));
}

static void record_reshape_slice(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_square(rv_reshape(rv_slice_cols(r->in[0], 3, 9), 3, 21));
}

static void record_concat_cols(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_concat_cols(r->in, r->item->input_count);
}

static void record_concat_rows(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_concat_rows(r->in, r->item->input_count);
}

/* Computed values, one of them twice: what is joined has producers and other readers. */
static void record_concat_computed(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor a = rv_tanh(r->in[0]), b = rv_square(r->in[1]);
    rv_tensor joined = rv_concat_cols((rv_tensor[]){a, b, a}, 3);
    out[0] = rv_mul(joined, joined);
    out[1] = rv_add(a, rv_sum(b, RV_COLS));
}

static void record_transpose(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_transpose(r->in[0]); }

static void record_gather(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_gather(r->in[0], r->in[1]); }

static void record_scatter_add(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_scatter_add(r->in[0], r->in[1], r->item->i[0]);
}

/* d/dx of x * stop(x^2) is stop(x^2). */
static void record_stop_gradient(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_mul(r->in[0], rv_stop_gradient(rv_square(r->in[0])));
    out[1] = rv_stop_gradient(rv_exp(r->in[0]));
}

/* The straight-through form: forward the hard value, backward the soft one. */
static void record_straight_through(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor soft = rv_softmax(r->in[0]);
    rv_tensor hard = rv_sign(r->in[0]);
    out[0] = rv_add(rv_stop_gradient(rv_sub(hard, soft)), soft);
}

static rv_case *add(rv_case_list *list, rv_case_record record, const char *name, int a, int b) {
    rv_case *item = rv_case_add(list, record, 1, "%s", name);
    item->i[0] = a;
    item->i[1] = b;
    item->flags = RV_CASE_EXACT;
    return item;
}

static void add_view(rv_case_list *list, rv_case_record record, const char *name, int rows, int cols, int a, int b) {
    rv_case_value(add(list, record, name, a, b), rows, cols);
}

static void add_views(rv_case_list *list) {
    add_view(list, record_broadcast, "broadcast/row", 1, 33, 7, 33);
    add_view(list, record_broadcast, "broadcast/col", 7, 1, 7, 33);
    add_view(list, record_broadcast, "broadcast/scalar", 1, 1, 65, 33);
    add_view(list, record_broadcast, "broadcast/same", 7, 33, 7, 33);
    add_view(list, record_broadcast, "broadcast/no_rows", 1, 5, 0, 5);
    add_view(list, record_slice_cols, "slice_cols/middle", 7, 33, 5, 17);
    add_view(list, record_slice_cols, "slice_cols/last", 7, 33, 32, 1);
    add_view(list, record_slice_cols, "slice_cols/no_rows", 0, 33, 5, 17);
    add_view(list, record_slice_rows, "slice_rows/middle", 33, 7, 5, 17);
    add_view(list, record_slice_rows, "slice_rows/none", 33, 7, 5, 0);
    add_view(list, record_reshape, "reshape/flat", 7, 33, 1, 231);
    add_view(list, record_reshape, "reshape/other", 6, 35, 14, 15);
    add_view(list, record_reshape_slice, "reshape/slice", 7, 33, 0, 0);
    for (int i = list->count - 3; i < list->count; i++) list->items[i].flags = 0;
    add_view(list, record_transpose, "transpose/r7_c33", 7, 33, 0, 0);
    add_view(list, record_transpose, "transpose/r65_c130", 65, 130, 0, 0);
    add_view(list, record_transpose, "transpose/r1_c33", 1, 33, 0, 0);
    add_view(list, record_transpose, "transpose/r300_c500", 300, 500, 0, 0);
    list->items[list->count - 1].flags |= RV_CASE_TALL;
    rv_case *item = rv_case_add(list, record_slices, 2, "slice_cols/overlap");
    rv_case_value(item, 7, 33);
    item = rv_case_add(list, record_stop_gradient, 2, "stop_gradient/product");
    rv_case_value(item, 7, 33);
    item = rv_case_add(list, record_straight_through, 1, "stop_gradient/straight_through");
    rv_case_values(item, 7, 33, RV_CASE_AWAY, 0.01, 2);
    item = rv_case_add(list, record_fill, 1, "fill/r7_c33");
    item->i[0] = 7, item->i[1] = 33, item->f[0] = -2.5f, item->flags = RV_CASE_EXACT;
    item = rv_case_add(list, record_fill, 1, "fill/no_rows");
    item->i[0] = 0, item->i[1] = 33, item->f[0] = 1, item->flags = RV_CASE_EXACT;
}

static void add_concats(rv_case_list *list) {
    for (int count = 1; count <= 8; count++) {
        char name[48];
        snprintf(name, sizeof name, "concat_cols/%d", count);
        rv_case *item = add(list, record_concat_cols, name, 0, 0);
        for (int k = 0; k < count; k++) rv_case_value(item, 7, 1 + 5 * k);
        snprintf(name, sizeof name, "concat_rows/%d", count);
        item = add(list, record_concat_rows, name, 0, 0);
        for (int k = 0; k < count; k++) rv_case_value(item, 3 * k, 33); /* the first has no rows */
    }
    rv_case *item = add(list, record_concat_cols, "concat_cols/no_rows", 0, 0);
    rv_case_value(item, 0, 3);
    rv_case_value(item, 0, 4);
    item = add(list, record_concat_cols, "concat_cols/i32", 0, 0);
    rv_case_index(item, 7, 3, -9, 9);
    rv_case_index(item, 7, 33, -9, 9);
    item = add(list, record_concat_rows, "concat_rows/u8", 0, 0);
    for (int k = 0; k < 2; k++) rv_case_input_add(item, RV_U8, 7, 33, RV_CASE_WHOLE, 0, 255);
    item = rv_case_add(list, record_concat_computed, 2, "concat_cols/tall");
    rv_case_value(item, 3000, 33);
    rv_case_value(item, 3000, 10);
    item->flags = RV_CASE_TALL;
    item = rv_case_add(list, record_concat_computed, 2, "concat_cols/computed");
    rv_case_value(item, 7, 33);
    rv_case_value(item, 7, 10);
}

static void add_gathers(rv_case_list *list) {
    static const rv_dtype types[] = {RV_F32, RV_I32, RV_U8};
    static const char *const names[] = {"gather/f32", "gather/i32", "gather/u8"};
    for (int k = 0; k < 3; k++) {
        rv_case *item = add(list, record_gather, names[k], 0, 0);
        rv_case_input_add(item, types[k], 33, 7, types[k] == RV_F32 ? RV_CASE_NORMAL : RV_CASE_WHOLE, 0, 1)
            ->differentiable = types[k] == RV_F32;
        rv_case_index(item, 65, 1, -4, 40); /* some outside: clamped */
    }
    rv_case *item = add(list, record_gather, "gather/no_index", 0, 0);
    rv_case_value(item, 33, 7);
    rv_case_index(item, 0, 1, 0, 0);
    item = add(list, record_gather, "gather/no_table", 0, 0);
    rv_case_value(item, 0, 7);
    rv_case_index(item, 5, 1, 0, 3);
    item = add(list, record_scatter_add, "scatter_add/r65_c7", 33, 0);
    rv_case_value(item, 65, 7);
    rv_case_index(item, 65, 1, -2, 36);
    item->flags = 0;
    item = add(list, record_gather, "gather/tall", 0, 0);
    rv_case_value(item, 700, 33);
    rv_case_index(item, 3000, 1, 0, 699);
    item->flags = RV_CASE_TALL | RV_CASE_EXACT;
    item = add(list, record_scatter_add, "scatter_add/no_rows", 5, 0);
    rv_case_value(item, 0, 7);
    rv_case_index(item, 0, 1, 0, 4);
}

void rv_cases_shape(rv_case_list *list) {
    add_views(list);
    add_concats(list);
    add_gathers(list);
}
