/* backends/cpu/simd_loss.c: divergences and likelihoods, [B, C] -> [B, 1], and their gradients. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"

enum { RUN = 64 * LANES }; /* columns of one chain of sums */

/* Column c of input i, lanes beyond the row zero. */
#define IN(i) vload_part(x[i] + c, n)

/* y[row] = scale * sum over the columns of `term` */
#define ROW_SUMS(name, inputs, scale, ...)                                                     \
    static void name##_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {  \
        (void)scratch;                                                                         \
        const rv_launch *l = &step->launch;                                                    \
        const int64_t cols = l->input[0].cols;                                                 \
        for (int64_t row = first; row < last; row++) {                                         \
            const float *x[inputs];                                                            \
            for (int i = 0; i < inputs; i++) x[i] = rv_row(&l->input[i], row);                 \
            vf total = vset(0);                                                                \
            for (int64_t begin = 0; begin < cols; begin += RUN) {                              \
                const int64_t end = begin + RUN < cols ? begin + RUN : cols;                   \
                vf sum = vset(0);                                                              \
                for (int64_t c = begin; c < end; c += LANES) {                                 \
                    const int64_t n = end - c;                                                 \
                    __VA_ARGS__                                                                \
                    sum += n >= LANES ? term : vkeep(term, n);                                 \
                }                                                                              \
                total += sum;                                                                  \
            }                                                                                  \
            *rv_row(&l->output[0], row) = vsum(total) * (scale);                               \
        }                                                                                      \
    }                                                                                          \
    const rv_kernel RV_NAME(rv_##name##_kernel) = {.run = name##_run, .ns_per_element = 0.2f};

/* Stores `value` into output i where somebody wants it. */
#define OUT(i, value) \
    if (y[i]) vstore_part(y[i] + c, value, n)

/* Gradients: elementwise, with dy of the row (input `inputs`) at hand. */
#define ROW_GRADIENTS(name, inputs, outputs, slope, ...)                                       \
    static void name##_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {  \
        (void)scratch;                                                                         \
        const rv_launch *l = &step->launch;                                                    \
        const int64_t cols = l->input[0].cols;                                                 \
        for (int64_t row = first; row < last; row++) {                                         \
            const float *x[inputs];                                                            \
            float *y[outputs];                                                                 \
            for (int i = 0; i < inputs; i++) x[i] = rv_row(&l->input[i], row);                 \
            for (int i = 0; i < outputs; i++) y[i] = rv_row(&l->output[i], row);               \
            const float dy = *rv_row(&l->input[inputs], row);                                  \
            const vf d = vset(slope);                                                          \
            for (int64_t c = 0; c < cols; c += LANES) {                                        \
                const int64_t n = cols - c;                                                    \
                __VA_ARGS__                                                                    \
            }                                                                                  \
        }                                                                                      \
    }                                                                                          \
    const rv_kernel RV_NAME(rv_##name##_kernel) = {.run = name##_run, .ns_per_element = 0.2f};

/* mean (p - t)^2 */
ROW_SUMS(mse, 2, 1.0f / (float)cols,
    const vf apart = IN(0) - IN(1);
    const vf term = apart * apart;
)
ROW_GRADIENTS(mse_backward, 2, 1, 2.0f * dy / (float)cols,
    OUT(0, d * (IN(0) - IN(1)));
)

/* KL of p to q: (lq - lp + exp(lp - lq) - 1 + (mp - mq)^2 exp(-lq)) / 2; exp(r) - 1 - r keeps its places near p = q */
ROW_SUMS(kl_normal, 4, 0.5f,
    const vf apart = IN(0) - IN(2);
    const vf lq = IN(3);
    const vf r = IN(1) - lq;
    const vf term = vfma(apart * apart, vexp(-lq), vexpm1(r) - r);
)
ROW_GRADIENTS(kl_normal_backward, 4, 4, dy,
    const vf apart = IN(0) - IN(2);
    const vf lq = IN(3);
    const vf excess = vexpm1(IN(1) - lq);
    const vf precision = vexp(-lq);
    OUT(0, d * apart * precision);
    OUT(1, d * 0.5f * excess);
    OUT(2, -d * apart * precision);
    OUT(3, d * -0.5f * vfma(apart * apart, precision, excess));
)

/* (l + (t - m)^2 exp(-l) + log(2 pi)) / 2 */
ROW_SUMS(gaussian_nll, 3, 0.5f,
    const vf apart = IN(2) - IN(0);
    const vf logvar = IN(1);
    const vf term = vfma(apart * apart, vexp(-logvar), logvar + 1.83787707f);
)
ROW_GRADIENTS(gaussian_nll_backward, 3, 2, dy,
    const vf apart = IN(2) - IN(0);
    const vf pull = apart * vexp(-IN(1));
    OUT(0, -d * pull);
    OUT(1, d * 0.5f * vfma(-apart, pull, vset(1.0f)));
)

/* softplus(l) - t l */
ROW_SUMS(bernoulli_nll, 2, 1.0f,
    const vf logit = IN(0);
    const vf term = vfma(-IN(1), logit, vsoftplus(logit));
)
ROW_GRADIENTS(bernoulli_nll_backward, 2, 2, dy,
    const vf logit = IN(0);
    OUT(0, d * (vsigmoid(logit) - IN(1)));
    OUT(1, -d * logit);
)
