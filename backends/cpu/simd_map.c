/* backends/cpu/simd_map.c: elementwise ops: map1, map2, where, fill, copy, concat. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"

#include <string.h>

/* ---- how operands meet ------------------------------------------------------------------------------- */

/* Everything is as large as the result and without gaps, or a single element: rows are one long row. */
static bool flat(const rv_launch *l) {
    const rv_operand *y = &l->output[0];
    if (y->stride != y->cols) return false;
    for (int i = 0; i < l->input_count; i++) {
        const rv_operand *x = &l->input[i];
        const bool full = x->rows == y->rows && x->cols == y->cols && x->stride == x->cols;
        if (!full && !(x->rows == 1 && x->cols == 1)) return false;
    }
    return true;
}

/* One run of elements: an input's step is 1, or 0 where one element serves the whole run. */
typedef struct run {
    const float *x[3];
    int64_t step[3];
    float *y;
    int64_t count;
    const float *f; /* attributes */
} run;
typedef void (*run_fn)(const run *r);

static void run_rows(const rv_launch *l, run_fn fn, int64_t first, int64_t last) {
    const rv_operand *y = &l->output[0];
    run r = {.f = l->attributes.f, .count = y->cols};
    const bool joined = last - first > 1 && flat(l);
    if (joined) r.count *= last - first;
    for (int i = 0; i < l->input_count; i++)
        r.step[i] = l->input[i].cols > 1 || (joined && l->input[i].rows > 1);
    if (!r.count) return;
    for (int64_t row = first; row < last; row++) {
        for (int i = 0; i < l->input_count; i++) r.x[i] = rv_row(&l->input[i], row);
        r.y = rv_row(y, row);
        fn(&r);
        if (joined) return;
    }
}

INLINE vf take(const float *x, int64_t step, int64_t i) { return step ? vload(x + i) : vset(*x); }
INLINE vf take_n(const float *x, int64_t step, int64_t i, int64_t n) { return step ? vload_n(x + i, n) : vset(*x); }

/* ---- map1 ------------------------------------------------------------------------------------------------ */

#define MAP1(name, expression)                                                             \
    INLINE vf value1_##name(vf x, const float *f) {                                        \
        (void)f;                                                                           \
        return expression;                                                                 \
    }                                                                                      \
    static void run1_##name(const run *r) {                                                \
        const float *x = r->x[0], *f = r->f;                                               \
        int64_t i = 0;                                                                     \
        for (; i + LANES <= r->count; i += LANES) vstore(r->y + i, value1_##name(take(x, r->step[0], i), f)); \
        const int64_t n = r->count - i;                                                    \
        if (n) vstore_n(r->y + i, value1_##name(take_n(x, r->step[0], i, n), f), n);       \
    }

INLINE vf sign(vf x) {
    const vf one = vcopysign(vset(1.0f), x);
    return vselect(vless(vset(0), vabs(x)), one, x); /* 0 and NaN stay */
}

MAP1(NEG, -x)
MAP1(ABS, vabs(x))
MAP1(SIGN, sign(x))
MAP1(EXP, vexp(x))
MAP1(LOG, vlog(x))
MAP1(SQRT, vsqrt(x))
MAP1(SQUARE, x *x)
MAP1(RECIPROCAL, 1.0f / x)
MAP1(SIN, vsin(x))
MAP1(COS, vcos(x))
MAP1(TANH, vtanh(x))
MAP1(SIGMOID, vsigmoid(x))
MAP1(SOFTPLUS, vsoftplus(x))
MAP1(SILU, vsilu(x))
MAP1(RELU, vrelu(x))
MAP1(ELU, velu(x))
MAP1(GELU, vgelu(x))
MAP1(SYMLOG, vsymlog(x))
MAP1(SYMEXP, vsymexp(x))
MAP1(CLAMP, vmin(vset(f[1]), vmax(vset(f[0]), x)))
MAP1(AFFINE, vfma(vset(f[0]), x, vset(f[1])))
MAP1(CAST, x)

#define RUN1(name, text) [RV_MAP_##name] = run1_##name,
static const run_fn runs1[] = {RV_MAP1_LIST(RUN1)};

static void map1_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    run_rows(&step->launch, runs1[step->launch.attributes.i[0]], first, last);
}
const rv_kernel RV_NAME(rv_map1_kernel) = {.run = map1_run, .elementwise = true, .ns_per_element = 0.2f};

/* ---- map2 ------------------------------------------------------------------------------------------------ */

#define MAP2(name, expression)                                                                                  \
    INLINE vf value2_##name(vf a, vf b, const float *f) {                                                       \
        (void)f;                                                                                                \
        return expression;                                                                                      \
    }                                                                                                           \
    static void run2_##name(const run *r) {                                                                     \
        const float *a = r->x[0], *b = r->x[1], *f = r->f;                                                      \
        const int64_t p = r->step[0], q = r->step[1];                                                           \
        int64_t i = 0;                                                                                          \
        for (; i + LANES <= r->count; i += LANES) vstore(r->y + i, value2_##name(take(a, p, i), take(b, q, i), f)); \
        const int64_t n = r->count - i;                                                                         \
        if (n) vstore_n(r->y + i, value2_##name(take_n(a, p, i, n), take_n(b, q, i, n), f), n);                 \
    }

INLINE vf yes(vm m) { return vselect(m, vset(1.0f), vset(0)); }

INLINE vf silu_slope(vf x) {
    vf slope;
    vsilu_slope(x, &slope);
    return slope;
}
INLINE vf gelu_slope(vf x) {
    vf slope;
    vgelu_slope(x, &slope);
    return slope;
}

MAP2(ADD, a + b)
MAP2(SUB, a - b)
MAP2(MUL, a *b)
MAP2(DIV, a / b)
MAP2(MIN, vselect(vunordered(a), a, vmin(a, b)))
MAP2(MAX, vselect(vunordered(a), a, vmax(a, b)))
MAP2(LESS, yes(vless(a, b)))
MAP2(LESS_EQUAL, yes(vless_equal(a, b)))
MAP2(EQUAL, yes(vequal(a, b)))
MAP2(D_RELU, vselect(vless(vset(0), b), a, vset(0)))
MAP2(D_ELU, vselect(vless(vset(0), b), a, a *(b + 1.0f)))
MAP2(D_TANH, a *vfma(-b, b, vset(1.0f)))
MAP2(D_SIGMOID, a *b *(1.0f - b))
MAP2(D_SOFTPLUS, -a * vexpm1(-b))
MAP2(D_SILU, a *silu_slope(b))
MAP2(D_GELU, a *gelu_slope(b))
MAP2(D_SYMLOG, a / (1.0f + vabs(b)))
MAP2(D_SYMEXP, a *vexp(vabs(b)))
MAP2(D_CLAMP, vselect(vless_equal(vset(f[0]), b), vselect(vless_equal(b, vset(f[1])), a, vset(0)), vset(0)))

#define run2_MOD NULL /* i32 only */
#define RUN2(name, text) [RV_MAP_##name - RV_MAP1_END] = run2_##name,
static const run_fn runs2[] = {RV_MAP2_LIST(RUN2)};

static run_fn run_of_map2(const rv_launch *l) { return runs2[l->attributes.i[0] - RV_MAP1_END]; }

static bool map2_accepts(const rv_launch *l) { return run_of_map2(l) != NULL; }

static void map2_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    run_rows(&step->launch, run_of_map2(&step->launch), first, last);
}
const rv_kernel RV_NAME(rv_map2_kernel) = {.run = map2_run, .accepts = map2_accepts, .elementwise = true, .ns_per_element = 0.2f};

/* ---- where, fill, copy --------------------------------------------------------------------------------------- */

static void run_where(const run *r) {
    for (int64_t i = 0; i < r->count; i += LANES) {
        const int64_t n = r->count - i < LANES ? r->count - i : LANES;
        const vf condition = take_n(r->x[0], r->step[0], i, n);
        const vf a = take_n(r->x[1], r->step[1], i, n), b = take_n(r->x[2], r->step[2], i, n);
        vstore_part(r->y + i, vselect(vequal(condition, vset(0)), b, a), n);
    }
}

static void where_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    run_rows(&step->launch, run_where, first, last);
}
const rv_kernel RV_NAME(rv_where_kernel) = {.run = where_run, .elementwise = true, .ns_per_element = 0.2f};

static void run_fill(const run *r) {
    const vf value = vset(r->f[0]);
    for (int64_t i = 0; i < r->count; i += LANES) vstore_part(r->y + i, value, r->count - i);
}

static void fill_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    run_rows(&step->launch, run_fill, first, last);
}
const rv_kernel RV_NAME(rv_fill_kernel) = {.run = fill_run, .elementwise = true};

static void copy_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    run_rows(&step->launch, run1_CAST, first, last);
}
const rv_kernel RV_NAME(rv_copy_kernel) = {.run = copy_run, .elementwise = true};

/* ---- concat_cols, gather ---------------------------------------------------------------------------------------- */

static void concat_cols_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    for (int64_t row = first; row < last; row++) {
        float *y = rv_row(&l->output[0], row);
        for (int i = 0; i < l->input_count; y += l->input[i++].cols)
            memcpy(y, rv_row(&l->input[i], row), (size_t)l->input[i].cols * sizeof *y);
    }
}
const rv_kernel RV_NAME(rv_concat_cols_kernel) = {.run = concat_cols_run};

static void gather_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_operand *table = &step->launch.input[0], *index = &step->launch.input[1], *y = &step->launch.output[0];
    const size_t bytes = (size_t)y->cols * sizeof(float);
    const float *rows = rv_f32(table);
    const int32_t *which = rv_i32(index);
    for (int64_t row = first; row < last; row++) {
        int64_t from = which[(index->rows == 1 ? 0 : row) * index->stride];
        from = from < 0 ? 0 : from < table->rows ? from : table->rows - 1;
        memcpy(rv_row(y, row), rows + from * table->stride, bytes);
    }
}
static bool gather_accepts(const rv_launch *l) { return l->input[0].rows > 0; }
const rv_kernel RV_NAME(rv_gather_kernel) = {.run = gather_run, .integers = 2, .accepts = gather_accepts, .ns_per_element = 0.5f};
