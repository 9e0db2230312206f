/* tests/cases/cases_map1.c: elementwise ops of one input. */
#include "core/internal.h"
#include "tests/cases/cases.h"

static void record_map1(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_map1((rv_map)r->item->i[0], r->in[0], r->item->f[0], r->item->f[1]);
}

static void record_affine_whole(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_affine(r->in[0], r->item->f[0], r->item->f[1]);
}

static void record_cast(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_cast(r->in[0], (rv_dtype)r->item->i[0]);
}

/* A chain of elementwise ops whose values share memory. */
static void record_chain(const rv_case_recording *r, rv_tensor *out) {
    rv_tensor x = r->in[0];
    rv_tensor y = rv_tanh(rv_affine(x, 0.5f, 0.25f));
    rv_tensor z = rv_mul(rv_softplus(y), rv_sigmoid(x));
    out[0] = rv_add(rv_square(z), y);
    out[1] = rv_silu(rv_sub(z, out[0]));
}

typedef struct map1_row {
    rv_map map;
    rv_case_fill fill;
    double a, b; /* a range away from kinks and poles */
    double wide; /* inputs up to +-wide without a gradient; 0: no such case */
    unsigned flags;
    float f[2];
} map1_row;

static const map1_row map1_rows[] = {
    {RV_MAP_NEG, RV_CASE_NORMAL, 0, 1, 0, RV_CASE_EXACT, {0}},
    {RV_MAP_ABS, RV_CASE_AWAY, 0.01, 2, 0, RV_CASE_EXACT, {0}},
    {RV_MAP_SIGN, RV_CASE_AWAY, 0.01, 2, 0, RV_CASE_EXACT, {0}},
    {RV_MAP_EXP, RV_CASE_NORMAL, 0, 2, 88, 0, {0}},
    {RV_MAP_LOG, RV_CASE_UNIFORM, 0.05, 4, 0, 0, {0}},
    {RV_MAP_SQRT, RV_CASE_UNIFORM, 0.05, 4, 0, 0, {0}},
    {RV_MAP_SQUARE, RV_CASE_NORMAL, 0, 1, 1e6, 0, {0}},
    {RV_MAP_RECIPROCAL, RV_CASE_AWAY, 0.2, 3, 1e6, 0, {0}},
    {RV_MAP_SIN, RV_CASE_NORMAL, 0, 2, 0, 0, {0}},
    {RV_MAP_COS, RV_CASE_NORMAL, 0, 2, 0, 0, {0}},
    {RV_MAP_TANH, RV_CASE_NORMAL, 0, 2, 100, 0, {0}},
    {RV_MAP_SIGMOID, RV_CASE_NORMAL, 0, 2, 80, 0, {0}},
    {RV_MAP_SOFTPLUS, RV_CASE_NORMAL, 0, 2, 80, 0, {0}},
    {RV_MAP_SILU, RV_CASE_NORMAL, 0, 2, 80, 0, {0}},
    {RV_MAP_RELU, RV_CASE_AWAY, 0.01, 2, 0, RV_CASE_EXACT, {0}},
    {RV_MAP_ELU, RV_CASE_AWAY, 0.01, 2, 100, 0, {0}},
    {RV_MAP_GELU, RV_CASE_NORMAL, 0, 2, 0, 0, {0}},
    {RV_MAP_SYMLOG, RV_CASE_AWAY, 0.01, 2, 1e6, 0, {0}},
    {RV_MAP_SYMEXP, RV_CASE_AWAY, 0.01, 2, 80, 0, {0}},
    {RV_MAP_CLAMP, RV_CASE_UNIFORM, -1, 1, 0, RV_CASE_EXACT, {-0.5f, 0.4f}},
    {RV_MAP_AFFINE, RV_CASE_NORMAL, 0, 1, 1e6, 0, {1.7f, -0.3f}},
};
enum { MAP1_ROWS = sizeof map1_rows / sizeof *map1_rows };
_Static_assert(MAP1_ROWS == RV_MAP1_END - 1, "every function of one input but cast has a row");

static rv_case *add_map1(rv_case_list *list, const map1_row *row, const char *suffix, int64_t rows, int64_t cols) {
    rv_case *item = rv_case_add(list, record_map1, 1, "map1/%s/%sr%d_c%d", rv_map_name(row->map), suffix, (int)rows,
                                (int)cols);
    item->i[0] = (int)row->map;
    item->f[0] = row->f[0];
    item->f[1] = row->f[1];
    item->flags = row->flags;
    return item;
}

/* What a function answers far from 0, and to what is no number. */
static void add_map1_extremes(rv_case_list *list, const map1_row *row) {
    rv_case *item;
    if (row->wide > 0) {
        item = add_map1(list, row, "wide_", 13, 65);
        rv_case_constant(item, 13, 65, RV_CASE_UNIFORM, -row->wide, row->wide);
        item->flags |= RV_CASE_RELATIVE;
    }
    item = add_map1(list, row, "special_", 3, 24);
    rv_case_constant(item, 3, 24, RV_CASE_SPECIAL, 0, 0);
    item->flags |= RV_CASE_RELATIVE | RV_CASE_NAN;
}

static void add_cast(rv_case_list *list, const char *name, rv_dtype from, rv_dtype to, double low, double high) {
    rv_case *item = rv_case_add(list, record_cast, 1, "map1/cast/%s", name);
    rv_case_input_add(item, from, 7, 33, from == RV_F32 ? RV_CASE_UNIFORM : RV_CASE_WHOLE, low, high);
    item->i[0] = to;
    item->flags = RV_CASE_EXACT;
}

void rv_cases_map1(rv_case_list *list) {
    static const int64_t shapes[][2] = {{7, 33}, {1, 1}, {0, 5}, {65, 130}};
    for (int k = 0; k < MAP1_ROWS; k++) {
        const map1_row *row = &map1_rows[k];
        for (int s = 0; s < 4; s++) {
            rv_case *item = add_map1(list, row, "", shapes[s][0], shapes[s][1]);
            rv_case_values(item, shapes[s][0], shapes[s][1], row->fill, row->a, row->b);
        }
        add_map1_extremes(list, row);
    }
    static const rv_map timed[] = {RV_MAP_EXP, RV_MAP_TANH, RV_MAP_SIGMOID, RV_MAP_SILU, RV_MAP_GELU};
    for (int k = 0; k < 5; k++) {
        map1_row row = {timed[k], RV_CASE_NORMAL, 0, 2, 0, 0, {0}};
        rv_case *item = add_map1(list, &row, "", 1024, 1024);
        rv_case_values(item, 1024, 1024, RV_CASE_NORMAL, 0, 2);
        item->flags |= RV_CASE_BENCH | RV_CASE_NO_STRIDE | RV_CASE_LARGE;
    }
    add_cast(list, "f32_i32", RV_F32, RV_I32, -50, 50);
    add_cast(list, "f32_u8", RV_F32, RV_U8, 0, 255);
    add_cast(list, "i32_f32", RV_I32, RV_F32, -1000, 1000);
    add_cast(list, "u8_f32", RV_U8, RV_F32, 0, 255);
    add_cast(list, "i32_u8", RV_I32, RV_U8, 0, 255);
    add_cast(list, "u8_i32", RV_U8, RV_I32, 0, 255);
    add_cast(list, "f32_f32", RV_F32, RV_F32, -1, 1);

    rv_case *item = rv_case_add(list, record_affine_whole, 1, "map1/affine/i32");
    rv_case_index(item, 7, 33, -1000, 1000);
    item->f[0] = -3;
    item->f[1] = 5;
    item->flags = RV_CASE_EXACT;

    item = rv_case_add(list, record_chain, 2, "map1/chain/r65_c33");
    rv_case_value(item, 65, 33);
    item = rv_case_add(list, record_chain, 2, "map1/chain/r3000_c33");
    rv_case_value(item, 3000, 33);
    item->flags = RV_CASE_TALL;
}
