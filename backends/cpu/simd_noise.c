/* backends/cpu/simd_noise.c: draws, and sample_normal with its log-probability and divergence.
 *
 * The generator is core/noise.h itself, compiled here for this instruction set.
 */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"
#include "core/noise.h"

enum { BLOCK = 4096 }; /* normals drawn at once: they stay in L1 */
_Static_assert(BLOCK % 4 == 0 && BLOCK % LANES == 0, "a block ends where a counter and a vector end");

static rv_noise noise_of(const rv_launch *l, int state) {
    return rv_noise_at(rv_i32(&l->input[state]), l->attributes.stream, l->attributes.t);
}

#define DRAW(name)                                                                                          \
    static void name##_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {               \
        (void)scratch;                                                                                      \
        const rv_operand *y = &step->launch.output[0];                                                      \
        const rv_noise noise = noise_of(&step->launch, 0);                                                  \
        rv_noise_##name##_rows(&noise, first, last, y->cols, y->stride, rv_f32(y) + first * y->stride);     \
    }                                                                                                       \
    const rv_kernel RV_NAME(rv_##name##_kernel) = {.run = name##_run, .integers = 1, .ns_per_element = 1};

DRAW(normal)
DRAW(uniform)

/* ---- sample_normal --------------------------------------------------------------------------------------- */

typedef struct sums {
    vf density, divergence;
} sums;

/* Columns [c, c + count) of a row; `normal` are theirs. */
INLINE void sample_run(const rv_launch *l, int64_t row, int64_t c, int64_t count, const float *normal, sums *s) {
    const float *mean = rv_row(&l->input[0], row) + c, *logvar = rv_row(&l->input[1], row) + c;
    float *const value = l->output[0].buffer ? rv_row(&l->output[0], row) + c : NULL;
    sums run = {vset(0), vset(0)};
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t n = count - i;
        const vf m = vload_part(mean + i, n), v = vload_part(logvar + i, n), e = vload_part(normal + i, n);
        vf excess;
        const vf deviation = vexp_both(v * 0.5f, &excess);
        if (value) vstore_part(value + i, vfma(deviation, e, m), n);
        /* exp(v) - 1 = excess (excess + 2); lanes beyond the row hold zeros, which add nothing */
        run.divergence += vfma(m, m, vfma(excess, excess + 2.0f, -v));
        run.density += vfma(e, e, v);
    }
    s->density += run.density;
    s->divergence += run.divergence;
}

static void store_sums(const rv_launch *l, int64_t row, const sums *s) {
    const float constant = 1.83787707f * (float)l->input[0].cols;
    if (l->output[1].buffer) *rv_row(&l->output[1], row) = -0.5f * (vsum(s->density) + constant);
    if (l->output[2].buffer) *rv_row(&l->output[2], row) = 0.5f * vsum(s->divergence);
}

/* The same blocks whatever the slice: RUN columns of a row make one chain of sums. */
typedef void (*noisy_fn)(const rv_launch *l, int64_t row, int64_t c, int64_t count, const float *normal, sums *s);

INLINE void for_blocks(const rv_launch *l, int64_t first, int64_t last, float *normal, const noisy_fn fn,
                       void (*const done)(const rv_launch *, int64_t, const sums *)) {
    const rv_noise noise = noise_of(l, 2);
    const int64_t cols = l->input[0].cols, rows_a_block = cols && cols < BLOCK ? BLOCK / cols : 1;
    for (int64_t row = first; row < last;) {
        sums s = {vset(0), vset(0)};
        if (cols > BLOCK) {
            for (int64_t c = 0; c < cols; c += BLOCK) {
                const int64_t count = cols - c < BLOCK ? cols - c : BLOCK;
                rv_noise_normal(&noise, row, cols, c, c + count, normal);
                fn(l, row, c, count, normal, &s);
            }
            if (done) done(l, row, &s);
            row++;
            continue;
        }
        const int64_t end = row + rows_a_block < last ? row + rows_a_block : last;
        rv_noise_normal_rows(&noise, row, end, cols, cols, normal);
        for (const float *own = normal; row < end; row++, own += cols) {
            s = (sums){vset(0), vset(0)};
            fn(l, row, 0, cols, own, &s);
            if (done) done(l, row, &s);
        }
    }
}

static void sample_normal_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_blocks(&step->launch, first, last, scratch, sample_run, store_sums);
}
const rv_kernel RV_NAME(rv_sample_normal_kernel) = {.run = sample_normal_run, .integers = 4, .ns_per_element = 1};

/* ---- sample_normal_backward --------------------------------------------------------------------------------- */

INLINE void backward_run(const rv_launch *l, int64_t row, int64_t c, int64_t count, const float *normal, sums *s) {
    (void)s;
    const float *mean = rv_row(&l->input[0], row) + c, *logvar = rv_row(&l->input[1], row) + c;
    const float *const dvalue = l->input[3].buffer ? rv_row(&l->input[3], row) + c : NULL;
    float *const dmean = l->output[0].buffer ? rv_row(&l->output[0], row) + c : NULL;
    float *const dlogvar = l->output[1].buffer ? rv_row(&l->output[1], row) + c : NULL;
    const vf ddensity = vset(l->input[4].buffer ? *rv_row(&l->input[4], row) : 0);
    const vf ddivergence = vset(l->input[5].buffer ? *rv_row(&l->input[5], row) : 0);
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t n = count - i;
        const vf dv = dvalue ? vload_part(dvalue + i, n) : vset(0);
        if (dmean) vstore_part(dmean + i, vfma(ddivergence, vload_part(mean + i, n), dv), n);
        if (!dlogvar) continue;
        vf excess;
        const vf deviation = vexp_both(vload_part(logvar + i, n) * 0.5f, &excess);
        const vf through_value = dv * deviation * vload_part(normal + i, n) - ddensity;
        vstore_part(dlogvar + i, 0.5f * vfma(ddivergence, excess * (excess + 2.0f), through_value), n);
    }
}

static void sample_normal_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_blocks(&step->launch, first, last, scratch, backward_run, NULL);
}
const rv_kernel RV_NAME(rv_sample_normal_backward_kernel) = {.run = sample_normal_backward_run, .integers = 4, .ns_per_element = 1};
