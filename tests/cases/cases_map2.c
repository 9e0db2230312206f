/* tests/cases/cases_map2.c: elementwise ops of two and three inputs, with every broadcast. */
#include <stdio.h>

#include "core/internal.h"
#include "tests/cases/cases.h"

static void record_map2(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_map2((rv_map)r->item->i[0], r->in[0], r->in[1], r->item->f[0], r->item->f[1]);
}

static void record_where(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_where(r->in[0], r->in[1], r->in[2]);
}

/* The same value twice: its gradient is a sum. */
static void record_square(const rv_case_recording *r, rv_tensor *out) { out[0] = rv_mul(r->in[0], r->in[0]); }

typedef struct broadcast_row {
    const char *name;
    int a_rows, a_cols, b_rows, b_cols; /* 1: repeated */
} broadcast_row;

static const broadcast_row broadcasts[] = {
    {"same", 0, 0, 0, 0},  {"b_row", 0, 0, 1, 0},    {"b_col", 0, 0, 0, 1}, {"b_scalar", 0, 0, 1, 1},
    {"a_row", 1, 0, 0, 0}, {"a_col", 0, 1, 0, 0},    {"a_scalar", 1, 1, 0, 0},
    {"outer", 0, 1, 1, 0}, {"outer_back", 1, 0, 0, 1},
};
enum { BROADCASTS = sizeof broadcasts / sizeof *broadcasts };

static int64_t extent(int repeated, int64_t full) { return repeated ? 1 : full; }

typedef struct map2_row {
    rv_map map;
    rv_case_fill a_fill;
    double a_low, a_high;
    rv_case_fill b_fill;
    double b_low, b_high;
    int broadcast_count; /* the first so many of the list */
    unsigned flags;
} map2_row;

static const map2_row map2_rows[] = {
    {RV_MAP_ADD, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, BROADCASTS, 0},
    {RV_MAP_SUB, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, BROADCASTS, 0},
    {RV_MAP_MUL, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, BROADCASTS, 0},
    {RV_MAP_DIV, RV_CASE_NORMAL, 0, 1, RV_CASE_AWAY, 0.5, 2, BROADCASTS, 0},
    {RV_MAP_MIN, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, BROADCASTS, RV_CASE_EXACT},
    {RV_MAP_MAX, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, BROADCASTS, RV_CASE_EXACT},
    {RV_MAP_LESS, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, 4, RV_CASE_EXACT | RV_CASE_NO_GRADIENT},
    {RV_MAP_LESS_EQUAL, RV_CASE_WHOLE, -2, 2, RV_CASE_WHOLE, -2, 2, 4, RV_CASE_EXACT | RV_CASE_NO_GRADIENT},
    {RV_MAP_EQUAL, RV_CASE_WHOLE, -2, 2, RV_CASE_WHOLE, -2, 2, 4, RV_CASE_EXACT | RV_CASE_NO_GRADIENT},
    {RV_MAP_D_RELU, RV_CASE_NORMAL, 0, 1, RV_CASE_WHOLE, -2, 2, 1, RV_CASE_EXACT | RV_CASE_NO_GRADIENT},
    {RV_MAP_D_ELU, RV_CASE_NORMAL, 0, 1, RV_CASE_UNIFORM, -0.99, 1, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_TANH, RV_CASE_NORMAL, 0, 1, RV_CASE_UNIFORM, -0.9, 0.9, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_SIGMOID, RV_CASE_NORMAL, 0, 1, RV_CASE_UNIFORM, 0.1, 0.9, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_SOFTPLUS, RV_CASE_NORMAL, 0, 1, RV_CASE_UNIFORM, 0.01, 4, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_SILU, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 2, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_GELU, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 2, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_SYMLOG, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 2, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_SYMEXP, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 2, 1, RV_CASE_NO_GRADIENT},
    {RV_MAP_D_CLAMP, RV_CASE_NORMAL, 0, 1, RV_CASE_UNIFORM, -1, 1, 1, RV_CASE_EXACT | RV_CASE_NO_GRADIENT},
};
enum { MAP2_ROWS = sizeof map2_rows / sizeof *map2_rows };
/* mod takes whole numbers only and stands below */
_Static_assert(MAP2_ROWS == RV_MAP_COUNT - RV_MAP_ADD - 1, "every function of two inputs has a row");

static void add_map2(rv_case_list *list, const map2_row *row, const broadcast_row *cast, int64_t rows, int64_t cols) {
    rv_case *item = rv_case_add(list, record_map2, 1, "map2/%s/%s_r%d_c%d", rv_map_name(row->map), cast->name,
                                (int)rows, (int)cols);
    item->i[0] = (int)row->map;
    item->f[0] = -0.5f;
    item->f[1] = 0.4f;
    item->flags = row->flags;
    rv_case_values(item, extent(cast->a_rows, rows), extent(cast->a_cols, cols), row->a_fill, row->a_low, row->a_high);
    rv_case_values(item, extent(cast->b_rows, rows), extent(cast->b_cols, cols), row->b_fill, row->b_low, row->b_high);
}

static void add_whole(rv_case_list *list, rv_map map, const broadcast_row *cast, int64_t low, int64_t high) {
    rv_case *item = rv_case_add(list, record_map2, 1, "map2/%s_i32/%s", rv_map_name(map), cast->name);
    item->i[0] = (int)map;
    item->flags = RV_CASE_EXACT;
    rv_case_index(item, extent(cast->a_rows, 7), extent(cast->a_cols, 33), -100, 100);
    rv_case_index(item, extent(cast->b_rows, 7), extent(cast->b_cols, 33), low, high);
}

static void add_where(rv_case_list *list, const char *name, int condition_cols, int a_rows, int b_cols) {
    rv_case *item = rv_case_add(list, record_where, 1, "where/%s", name);
    rv_case_constant(item, 7, extent(condition_cols, 33), RV_CASE_WHOLE, 0, 1);
    rv_case_value(item, extent(a_rows, 7), 33);
    rv_case_value(item, 7, extent(b_cols, 33));
    item->flags = RV_CASE_EXACT;
}

void rv_cases_map2(rv_case_list *list) {
    for (int k = 0; k < MAP2_ROWS; k++) {
        const map2_row *row = &map2_rows[k];
        for (int c = 0; c < row->broadcast_count; c++) add_map2(list, row, &broadcasts[c], 7, 33);
        if (row->broadcast_count == 1) continue;
        add_map2(list, row, &broadcasts[0], 0, 5);
        add_map2(list, row, &broadcasts[1], 0, 5);
        add_map2(list, row, &broadcasts[0], 1, 1);
        add_map2(list, row, &broadcasts[0], 65, 130);
    }
    static const rv_map whole[] = {RV_MAP_ADD, RV_MAP_SUB,  RV_MAP_MUL,        RV_MAP_MIN,
                                   RV_MAP_MAX, RV_MAP_LESS, RV_MAP_LESS_EQUAL, RV_MAP_EQUAL};
    for (int k = 0; k < 8; k++) {
        add_whole(list, whole[k], &broadcasts[0], -100, 100);
        add_whole(list, whole[k], &broadcasts[3], -100, 100);
    }
    for (int c = 0; c < 4; c++) add_whole(list, RV_MAP_MOD, &broadcasts[c], -2, 9);

    add_where(list, "same", 0, 0, 0);
    add_where(list, "condition_col", 1, 0, 0);
    add_where(list, "a_row", 0, 1, 0);
    add_where(list, "b_col", 0, 0, 1);
    add_where(list, "all", 1, 1, 1);

    rv_case *item = rv_case_add(list, record_square, 1, "map2/mul/itself");
    rv_case_value(item, 7, 33);

    map2_row tall = {RV_MAP_MUL, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, BROADCASTS, RV_CASE_TALL};
    for (int c = 0; c < BROADCASTS; c++) add_map2(list, &tall, &broadcasts[c], 3000, 33);

    map2_row add = {RV_MAP_ADD, RV_CASE_NORMAL, 0, 1, RV_CASE_NORMAL, 0, 1, 1,
                    RV_CASE_BENCH | RV_CASE_LARGE | RV_CASE_NO_STRIDE};
    add_map2(list, &add, &broadcasts[0], 1024, 1024);
    add_map2(list, &add, &broadcasts[1], 1024, 1024);
}
