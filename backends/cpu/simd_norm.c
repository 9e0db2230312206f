/* backends/cpu/simd_norm.c: layer norm, RMS norm and their gradients. */
#include "backends/cpu/simd_activation.h"
#include "backends/cpu/simd_kernels.h"

/* Mean over a row of f(c, n), a vector expression over columns c on, n of them left. */
#define ROW_MEAN(result, cols, ...)                              \
    do {                                                         \
        vf total_ = vset(0);                                     \
        for (int64_t c = 0; c < (cols); c += LANES) {            \
            const int64_t n = (cols)-c;                          \
            const vf term_ = (__VA_ARGS__);                      \
            total_ += n >= LANES ? term_ : vkeep(term_, n);      \
        }                                                        \
        result = (cols) ? vsum(total_) / (float)(cols) : 0;      \
    } while (0)

/* y = activation((x - mean) rstd scale + bias), and its slope */
static void norm_row(const rv_launch *l, int64_t row, float mean, float rstd, const float *bias) {
    const int64_t cols = l->input[0].cols;
    const float *x = rv_row(&l->input[0], row), *scale = rv_f32(&l->input[1]);
    float *y = rv_row(&l->output[0], row), *slope = rv_row(&l->output[1], row);
    if (!y) return;
    for (int64_t c = 0; c < cols; c += LANES) {
        const int64_t n = cols - c;
        const vf b = bias ? vload_part(bias + c, n) : vset(0);
        vstore_part(y + c, vfma((vload_part(x + c, n) - mean) * rstd, vload_part(scale + c, n), b), n);
    }
    const rv_activation activation = (rv_activation)l->attributes.i[0];
    if (slope) activate_slope(activation, y, cols, slope, cols, 1, cols);
    else activate(activation, y, cols, y, cols, 1, cols);
}

static void store_one(const rv_operand *operand, int64_t row, float value) {
    if (operand->buffer) *rv_row(operand, row) = value;
}

static void layer_norm_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t cols = l->input[0].cols;
    for (int64_t row = first; row < last; row++) {
        const float *x = rv_row(&l->input[0], row);
        float mean, variance;
        ROW_MEAN(mean, cols, vload_part(x + c, n));
        ROW_MEAN(variance, cols, (vload_part(x + c, n) - mean) * (vload_part(x + c, n) - mean));
        const float rstd = 1.0f / sqrtf(variance + l->attributes.f[0]);
        norm_row(l, row, mean, rstd, rv_f32(&l->input[2]));
        store_one(&l->output[2], row, mean);
        store_one(&l->output[3], row, rstd);
    }
}
/* The core asks for the slopes of silu and gelu alone, and never for a slope without y. */
static bool norm_accepts(const rv_launch *l) {
    return !l->output[1].buffer || (l->output[0].buffer && has_slope((rv_activation)l->attributes.i[0]));
}

const rv_kernel RV_NAME(rv_layer_norm_kernel) = {.run = layer_norm_run, .accepts = norm_accepts, .ns_per_element = 0.5f};

static void rms_norm_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    for (int64_t row = first; row < last; row++) {
        const float *x = rv_row(&l->input[0], row);
        float square;
        ROW_MEAN(square, l->input[0].cols, vload_part(x + c, n) * vload_part(x + c, n));
        const float rstd = 1.0f / sqrtf(square + l->attributes.f[0]);
        norm_row(l, row, 0, rstd, NULL);
        store_one(&l->output[2], row, rstd);
    }
}
const rv_kernel RV_NAME(rv_rms_norm_kernel) = {.run = rms_norm_run, .accepts = norm_accepts, .ns_per_element = 0.5f};

/* dx = rstd (g - mean(g) - n mean(g n)), g = dpre scale, n = (x - mean) rstd; without a mean its term goes */
static void norm_backward(const rv_launch *l, int64_t row, const rv_operand *means, float rstd) {
    const int64_t cols = l->input[0].cols;
    const float *dpre = rv_row(&l->input[0], row), *x = rv_row(&l->input[1], row), *scale = rv_f32(&l->input[2]);
    float *dx = rv_row(&l->output[0], row);
    const float mean = means ? *rv_row(means, row) : 0;
    float down = 0, along;
    if (means) ROW_MEAN(down, cols, vload_part(dpre + c, n) * vload_part(scale + c, n));
    ROW_MEAN(along, cols, vload_part(dpre + c, n) * vload_part(scale + c, n) * ((vload_part(x + c, n) - mean) * rstd));
    for (int64_t c = 0; c < cols; c += LANES) {
        const int64_t n = cols - c;
        const vf g = vload_part(dpre + c, n) * vload_part(scale + c, n), unit = (vload_part(x + c, n) - mean) * rstd;
        vstore_part(dx + c, rstd * vfma(unit, vset(-along), g - down), n);
    }
}

static void layer_norm_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    for (int64_t row = first; row < last; row++) norm_backward(l, row, &l->input[3], *rv_row(&l->input[4], row));
}
const rv_kernel RV_NAME(rv_layer_norm_backward_kernel) = {.run = layer_norm_backward_run, .ns_per_element = 0.5f};

static void rms_norm_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    for (int64_t row = first; row < last; row++) norm_backward(l, row, NULL, *rv_row(&l->input[3], row));
}
const rv_kernel RV_NAME(rv_rms_norm_backward_kernel) = {.run = rms_norm_backward_run, .ns_per_element = 0.5f};

/* ---- the gradients of scale and bias: a piece is some columns, through all rows in chains of CHAIN ---------------- */

enum { COLUMNS = 4 * LANES, CHAIN = 256 };

static int64_t wgrad_pieces(const rv_launch *l) { return (l->input[0].cols + COLUMNS - 1) / COLUMNS; }

static void wgrad_vector(const rv_launch *l, int64_t c, int64_t n) {
    const rv_operand *dpre = &l->input[0], *x = &l->input[1], *mean = &l->input[2], *rstd = &l->input[3];
    vf dscale = vset(0), dbias = vset(0);
    for (int64_t row = 0; row < dpre->rows;) {
        const int64_t end = row + CHAIN < dpre->rows ? row + CHAIN : dpre->rows;
        vf scale = vset(0), bias = vset(0);
        for (; row < end; row++) {
            const vf d = vload_part(rv_row(dpre, row) + c, n);
            const float middle = mean->buffer ? *rv_row(mean, row) : 0;
            scale = vfma(d, (vload_part(rv_row(x, row) + c, n) - middle) * *rv_row(rstd, row), scale);
            bias += d;
        }
        dscale += scale;
        dbias += bias;
    }
    if (l->output[0].buffer) vstore_part(rv_f32(&l->output[0]) + c, dscale, n);
    if (l->output[1].buffer) vstore_part(rv_f32(&l->output[1]) + c, dbias, n);
}

static void norm_wgrad_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const int64_t cols = step->launch.input[0].cols;
    for (int64_t c = first * COLUMNS; c < cols && c < last * COLUMNS; c += LANES) wgrad_vector(&step->launch, c, cols - c);
}
const rv_kernel RV_NAME(rv_norm_wgrad_kernel) = {.run = norm_wgrad_run, .pieces = wgrad_pieces, .ns_per_element = 0.2f};
