/* backends/cpu/simd_activation.h: activations over a block of rows, in place. */
#ifndef RV_BACKENDS_CPU_SIMD_ACTIVATION_H
#define RV_BACKENDS_CPU_SIMD_ACTIVATION_H

#include "backends/cpu/simd_math.h"
#include "reverie/ops.h"

#define ACTIVATE(function)                                                                          \
    for (int64_t r = 0; r < rows; r++, y += stride) {                                               \
        int64_t c = 0;                                                                              \
        for (; c + LANES <= cols; c += LANES) vstore(y + c, function(vload(y + c)));                \
        if (c < cols) vstore_n(y + c, function(vload_n(y + c, cols - c)), cols - c);                \
    }                                                                                               \
    break

static inline void activate(rv_activation activation, float *y, int64_t rows, int64_t cols, int64_t stride) {
    switch (activation) {
    case RV_RELU: ACTIVATE(vrelu);
    case RV_ELU: ACTIVATE(velu);
    case RV_TANH: ACTIVATE(vtanh);
    case RV_SIGMOID: ACTIVATE(vsigmoid);
    case RV_SOFTPLUS: ACTIVATE(vsoftplus);
    case RV_SILU: ACTIVATE(vsilu);
    case RV_GELU: ACTIVATE(vgelu);
    case RV_LINEAR:
    case RV_ACTIVATION_COUNT: break;
    }
}

#endif
