/* backends/cpu/simd_optimizer.c: adamw and ema, in pieces of PIECE elements. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"

enum { PIECE = 4096 };

static bool without_gaps(const rv_operand *x) { return x->rows <= 1 || x->stride == x->cols; }

static bool all_without_gaps(const rv_launch *l, int inputs) {
    for (int i = 0; i < inputs; i++)
        if (!without_gaps(&l->input[i])) return false;
    for (int i = 0; i < l->output_count; i++)
        if (l->output[i].buffer && !without_gaps(&l->output[i])) return false;
    return true;
}

static int64_t pieces(const rv_launch *l) { return (l->input[0].rows * l->input[0].cols + PIECE - 1) / PIECE; }

static int64_t end_of(const rv_launch *l, int64_t last) {
    const int64_t count = l->input[0].rows * l->input[0].cols;
    return last * PIECE < count ? last * PIECE : count;
}

/* ---- adamw: Loshchilov and Hutter, 2019, as torch.optim.AdamW computes it -------------------------------------- */

typedef struct adam {
    float beta1, rest1, beta2, rest2, eps, keep, rate, correct2, clip;
} adam;

/* What the scalars of this update make of the attributes; in double, as they are few. */
static adam adam_of(const rv_launch *l) {
    const float *f = l->attributes.f;
    const double lr = (double)*rv_f32(&l->input[4]), updates = (double)*rv_i32(&l->input[5]);
    const double norm = f[4] != 0 ? (double)*rv_f32(&l->input[6]) : 0;
    const double room = f[4] != 0 ? (double)f[4] / (norm + 1e-6) : 1;
    const double beta1 = (double)f[0], beta2 = (double)f[1];
    return (adam){.beta1 = f[0], .rest1 = (float)(1 - beta1), .beta2 = f[1], .rest2 = (float)(1 - beta2), .eps = f[2],
                  .keep = (float)(1 - lr * (double)f[3]), .rate = (float)(-lr / (1 - pow(beta1, updates))),
                  .correct2 = (float)(1 / (1 - pow(beta2, updates))), .clip = room < 1 ? (float)room : 1};
}

static void adamw_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const float *value = rv_f32(&l->input[0]), *gradient = rv_f32(&l->input[1]);
    const float *m = rv_f32(&l->input[2]), *v = rv_f32(&l->input[3]);
    float *const out[3] = {rv_f32(&l->output[0]), rv_f32(&l->output[1]), rv_f32(&l->output[2])};
    const bool keep = *rv_i32(&l->input[7]) != 0;
    const adam a = adam_of(l);
    const int64_t end = end_of(l, last);
    for (int64_t i = first * PIECE; i < end; i += LANES) {
        const int64_t n = end - i;
        vf x = vload_part(value + i, n), m1 = vload_part(m + i, n), v1 = vload_part(v + i, n);
        if (!keep) {
            const vf g = vload_part(gradient + i, n) * a.clip;
            m1 = vfma(vset(a.beta1), m1, a.rest1 * g);
            v1 = vfma(vset(a.beta2), v1, a.rest2 * g * g);
            const vf down = vsqrt_near(vmax(vset(0x1p-120f), v1 * a.correct2)) + a.eps;
            x = vfma(a.rate * m1, vreciprocal(down), x * a.keep);
        }
        if (out[0]) vstore_part(out[0] + i, x, n);
        if (out[1]) vstore_part(out[1] + i, m1, n);
        if (out[2]) vstore_part(out[2] + i, v1, n);
    }
}
static bool adamw_accepts(const rv_launch *l) { return all_without_gaps(l, 4); }
const rv_kernel RV_NAME(rv_adamw_kernel) = {
    .run = adamw_run, .integers = 0xa0, .accepts = adamw_accepts, .pieces = pieces, .ns_per_element = 0.2f};

/* ---- ema: target + rate (source - target) ------------------------------------------------------------------------- */

static void ema_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const float *target = rv_f32(&l->input[0]), *source = rv_f32(&l->input[1]);
    float *const y = rv_f32(&l->output[0]);
    const vf rate = vset(l->attributes.f[0]);
    const bool keep = *rv_i32(&l->input[2]) != 0;
    const int64_t end = end_of(l, last);
    for (int64_t i = first * PIECE; i < end; i += LANES) {
        const int64_t n = end - i;
        const vf old = vload_part(target + i, n);
        vstore_part(y + i, keep ? old : vfma(rate, vload_part(source + i, n) - old, old), n);
    }
}
static bool ema_accepts(const rv_launch *l) { return all_without_gaps(l, 2); }
const rv_kernel RV_NAME(rv_ema_kernel) = {.run = ema_run, .integers = 4, .accepts = ema_accepts, .pieces = pieces};
