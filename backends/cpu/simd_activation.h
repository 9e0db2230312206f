/* backends/cpu/simd_activation.h: activations over a block of rows. */
#ifndef RV_BACKENDS_CPU_SIMD_ACTIVATION_H
#define RV_BACKENDS_CPU_SIMD_ACTIVATION_H

#include <stdbool.h>

#include "backends/cpu/simd_math.h"
#include "reverie/ops.h"

#define ACTIVATE(function)                                                                                     \
    for (int64_t r = 0; r < rows; r++, x += x_stride, y += y_stride) {                                         \
        int64_t c = 0;                                                                                         \
        for (; c + LANES <= cols; c += LANES) vstore(y + c, function(vload(x + c)));                           \
        if (c < cols) vstore_n(y + c, function(vload_n(x + c, cols - c)), cols - c);                           \
    }                                                                                                          \
    break

INLINE vf vlinear(vf x) { return x; }

/* y = activation(x); y may be x. */
static inline void activate(rv_activation activation, const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows,
                            int64_t cols) {
    switch (activation) {
    case RV_RELU: ACTIVATE(vrelu);
    case RV_ELU: ACTIVATE(velu);
    case RV_TANH: ACTIVATE(vtanh);
    case RV_SIGMOID: ACTIVATE(vsigmoid);
    case RV_SOFTPLUS: ACTIVATE(vsoftplus);
    case RV_SILU: ACTIVATE(vsilu);
    case RV_GELU: ACTIVATE(vgelu);
    case RV_LINEAR:
        if (x == y) break;
        ACTIVATE(vlinear);
    case RV_ACTIVATION_COUNT: break;
    }
}

#define ACTIVATE_SLOPE(function)                                                                               \
    for (int64_t r = 0; r < rows; r++, y += y_stride, slope += slope_stride) {                                 \
        for (int64_t c = 0; c < cols; c += LANES) {                                                            \
            vf d;                                                                                              \
            vstore_part(y + c, function(vload_part(y + c, cols - c), &d), cols - c);                           \
            vstore_part(slope + c, d, cols - c);                                                               \
        }                                                                                                      \
    }

/* The same in place with d y / d x beside it, for those whose slope cannot be told from y. */
static inline bool has_slope(rv_activation activation) { return activation == RV_SILU || activation == RV_GELU; }

static inline void activate_slope(rv_activation activation, float *y, int64_t y_stride, float *slope, int64_t slope_stride, int64_t rows,
                                  int64_t cols) {
    if (activation == RV_SILU) ACTIVATE_SLOPE(vsilu_slope)
    else ACTIVATE_SLOPE(vgelu_slope)
}

#endif
