/* backends/cpu/simd_reduce.c: reductions and softmax. Every tree of sums depends on the shape only. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"

enum { RUN = 64 * LANES, PIECE = 4096, PIECE_ROWS = 256 };

static bool is_sum(int32_t reduction) { return reduction == RV_REDUCE_SUM || reduction == RV_REDUCE_MEAN; }

static float start_of(int32_t reduction) { return reduction == RV_REDUCE_MAX ? -INFINITY : reduction == RV_REDUCE_MIN ? INFINITY : 0; }

/* NaN wins in maximum and minimum. */
INLINE vf combine(int32_t reduction, vf a, vf b) {
    if (is_sum(reduction)) return a + b;
    const vf best = reduction == RV_REDUCE_MAX ? vmax(a, b) : vmin(a, b); /* b where either is NaN */
    return vselect(vunordered(a), a, best);
}

INLINE float across(int32_t reduction, vf x) {
    return is_sum(reduction) ? vsum(x) : reduction == RV_REDUCE_MAX ? vhighest(x) : vlowest(x);
}

/* All of n elements side by side. */
INLINE float reduce_run(const float *x, int64_t n, int32_t reduction) {
    const vf start = vset(start_of(reduction));
    vf total = start;
    for (int64_t begin = 0; begin < n; begin += RUN) {
        const int64_t end = begin + RUN < n ? begin + RUN : n;
        vf sum = start;
        int64_t i = begin;
        for (; i + LANES <= end; i += LANES) sum = combine(reduction, sum, vload(x + i));
        if (i < end) {
            float last[LANES];
            vstore(last, start);
            for (int64_t j = i; j < end; j++) last[j - i] = x[j];
            sum = combine(reduction, sum, vload(last));
        }
        total = combine(reduction, total, sum);
    }
    return across(reduction, total);
}

static float reduce_span(const float *x, int64_t n, int32_t reduction) {
    switch (reduction) {
    case RV_REDUCE_MAX: return reduce_run(x, n, RV_REDUCE_MAX);
    case RV_REDUCE_MIN: return reduce_run(x, n, RV_REDUCE_MIN);
    default: return reduce_run(x, n, RV_REDUCE_SUM);
    }
}

static float divide(int32_t reduction, float sum, int64_t count) {
    return reduction == RV_REDUCE_MEAN && count ? sum / (float)count : sum;
}

/* ---- over the columns ----------------------------------------------------------------------------------- */

static void reduce_cols_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_operand *x = &step->launch.input[0];
    const int32_t reduction = step->launch.attributes.i[0];
    for (int64_t row = first; row < last; row++)
        *rv_row(&step->launch.output[0], row) = divide(reduction, reduce_span(rv_row(x, row), x->cols, reduction), x->cols);
}
const rv_kernel RV_NAME(rv_reduce_cols_kernel) = {.run = reduce_cols_run};

/* ---- over the rows: pieces are PIECE_ROWS rows, each leaves a row of partial results ----------------------- */

static int64_t reduce_rows_pieces(const rv_launch *l) {
    const int64_t pieces = (l->input[0].rows + PIECE_ROWS - 1) / PIECE_ROWS;
    return pieces ? pieces : 1;
}

static int64_t reduce_rows_partials(const rv_launch *l) { return reduce_rows_pieces(l) * l->input[0].cols; }

/* Rows [first, last) of x, `stride` apart, into one. */
static void fold_rows(const float *x, int64_t rows, int64_t cols, int64_t stride, int32_t reduction, float *y) {
    for (int64_t c = 0; c < cols; c += LANES) {
        const int64_t n = cols - c;
        vf sum = vset(start_of(reduction));
        const float *from = x + c;
        for (int64_t r = 0; r < rows; r++, from += stride) sum = combine(reduction, sum, vload_part(from, n));
        vstore_part(y + c, sum, n);
    }
}

static void reduce_rows_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_operand *x = &step->launch.input[0];
    for (int64_t piece = first; piece < last; piece++) {
        const int64_t row = piece * PIECE_ROWS, rows = x->rows - row < PIECE_ROWS ? x->rows - row : PIECE_ROWS;
        fold_rows(rv_f32(x) + row * x->stride, rows, x->cols, x->stride, step->launch.attributes.i[0], step->partial + piece * x->cols);
    }
}

static void reduce_rows_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    const rv_operand *x = &step->launch.input[0];
    const int32_t reduction = step->launch.attributes.i[0];
    float *y = rv_f32(&step->launch.output[0]);
    fold_rows(step->partial, step->units, x->cols, x->cols, reduction, y);
    for (int64_t c = 0; c < x->cols; c++) y[c] = divide(reduction, y[c], x->rows);
}
const rv_kernel RV_NAME(rv_reduce_rows_kernel) = {
    .run = reduce_rows_run, .finish = reduce_rows_finish, .pieces = reduce_rows_pieces, .partials = reduce_rows_partials};

/* ---- everything ------------------------------------------------------------------------------------------------ */

/* Without gaps it is one run cut into pieces of PIECE elements; else a piece is a row. */
static int64_t piece_size(const rv_operand *x) { return x->stride == x->cols || x->rows == 1 ? PIECE : x->cols; }

static int64_t all_pieces(const rv_launch *l) {
    const rv_operand *x = &l->input[0];
    const int64_t count = x->rows * x->cols, size = piece_size(x);
    return count ? (count + size - 1) / size : 1;
}

static const float *piece_at(const rv_operand *x, int64_t piece, int64_t *count) {
    const int64_t size = piece_size(x), left = x->rows * x->cols - piece * size;
    *count = left < size ? left : size;
    return rv_f32(x) + (x->stride == x->cols || x->rows == 1 ? piece * size : piece * x->stride);
}

static void reduce_all_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    for (int64_t piece = first; piece < last; piece++) {
        int64_t count;
        const float *x = piece_at(&step->launch.input[0], piece, &count);
        step->partial[piece] = reduce_span(x, count, step->launch.attributes.i[0]);
    }
}

static void reduce_all_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    const rv_operand *x = &step->launch.input[0];
    const int32_t reduction = step->launch.attributes.i[0];
    *rv_f32(&step->launch.output[0]) = divide(reduction, reduce_span(step->partial, step->units, reduction), x->rows * x->cols);
}
const rv_kernel RV_NAME(rv_reduce_all_kernel) = {
    .run = reduce_all_run, .finish = reduce_all_finish, .pieces = all_pieces, .partials = all_pieces};

static void global_norm_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    for (int64_t piece = first; piece < last; piece++) {
        int64_t count;
        const float *x = piece_at(&step->launch.input[0], piece, &count);
        vf total = vset(0);
        for (int64_t begin = 0; begin < count; begin += RUN) {
            const int64_t end = begin + RUN < count ? begin + RUN : count;
            vf sum[4] = {{0}};
            for (int64_t i = begin; i < end; i += 4 * LANES)
                UNROLL for (int j = 0; j < 4; j++) {
                    const int64_t left = end - i - j * LANES;
                    const vf v = left > 0 ? vload_part(x + i + j * LANES, left) : vset(0);
                    sum[j] = vfma(v, v, sum[j]);
                }
            total += (sum[0] + sum[1]) + (sum[2] + sum[3]);
        }
        step->partial[piece] = vsum(total);
    }
}

static void global_norm_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    *rv_f32(&step->launch.output[0]) = sqrtf(reduce_span(step->partial, step->units, RV_REDUCE_SUM));
}
const rv_kernel RV_NAME(rv_global_norm_kernel) = {
    .run = global_norm_run, .finish = global_norm_finish, .pieces = all_pieces, .partials = all_pieces};

/* ---- softmax ------------------------------------------------------------------------------------------------------ */

/* Of n columns: y = exp(x - largest), returns the sum; lanes beyond the row add nothing. */
static float exp_row(const float *x, float *y, int64_t cols, float largest) {
    vf total = vset(0);
    for (int64_t c = 0; c < cols; c += LANES) {
        const int64_t n = cols - c;
        const vf e = vexp(vload_part(x + c, n) - largest);
        if (y) vstore_part(y + c, e, n);
        total += n >= LANES ? e : vkeep(e, n);
    }
    return vsum(total);
}

static void softmax_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t cols = l->input[0].cols;
    const bool logarithm = l->attributes.i[0];
    for (int64_t row = first; row < last; row++) {
        const float *x = rv_row(&l->input[0], row);
        float *y = rv_row(&l->output[0], row);
        const float largest = reduce_span(x, cols, RV_REDUCE_MAX), sum = exp_row(x, logarithm ? NULL : y, cols, largest);
        const float log_sum = logarithm ? logf(sum) : 0;
        for (int64_t c = 0; c < cols; c += LANES) {
            const int64_t n = cols - c;
            if (logarithm) vstore_part(y + c, (vload_part(x + c, n) - largest) - log_sum, n);
            else vstore_part(y + c, vload_part(y + c, n) / sum, n);
        }
    }
}
const rv_kernel RV_NAME(rv_softmax_kernel) = {.run = softmax_run, .ns_per_element = 0.4f};

static void softmax_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t cols = l->input[0].cols;
    const bool logarithm = l->attributes.i[0];
    for (int64_t row = first; row < last; row++) {
        const float *y = rv_row(&l->input[0], row), *dy = rv_row(&l->input[1], row);
        float *dx = rv_row(&l->output[0], row);
        vf sum = vset(0);
        for (int64_t c = 0; c < cols; c += LANES) {
            const vf d = vload_part(dy + c, cols - c);
            sum += logarithm ? d : d * vload_part(y + c, cols - c);
        }
        const float total = vsum(sum);
        for (int64_t c = 0; c < cols; c += LANES) {
            const int64_t n = cols - c;
            const vf d = vload_part(dy + c, n), v = vload_part(y + c, n);
            vstore_part(dx + c, logarithm ? vfma(-vexp(v), vset(total), d) : v * (d - total), n);
        }
    }
}
const rv_kernel RV_NAME(rv_softmax_backward_kernel) = {.run = softmax_backward_run, .ns_per_element = 0.3f};
