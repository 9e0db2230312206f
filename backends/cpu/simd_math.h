/* backends/cpu/simd_math.h: vector exp, log, tanh and their kin, some two units in the last place.
 *
 * Polynomials are our own minimax fits. Infinities give the limits, NaN stays NaN, denormal arguments
 * and results are right; no function is called except for sin and cos of huge arguments.
 */
#ifndef RV_BACKENDS_CPU_SIMD_MATH_H
#define RV_BACKENDS_CPU_SIMD_MATH_H

#include <math.h>

#include "backends/cpu/simd.h"

/* x = n log 2 + r, |r| <= log(2) / 2; gives n and exp(r) - 1. */
INLINE vf vexp_parts(vf x, vf *n) {
    const vf whole = vset(12582912.0f); /* 1.5 2^23: adding it leaves whole numbers */
    *n = vfma(x, vset(1.44269504f), whole) - whole;
    const vf r = vfma(*n, vset(2.12194440e-4f), vfma(*n, vset(-0.693359375f), x));
    vf p = vset(0.00138145964f);
    p = vfma(p, r, vset(0.00836871709f));
    p = vfma(p, r, vset(0.0416683881f));
    p = vfma(p, r, vset(0.166665206f));
    p = vfma(p, r, vset(0.499999934f));
    return vfma(p * r, r, r);
}

INLINE vf vexp(vf x) {
    vf n;
    const vf p = vexp_parts(vmin(vset(89.0f), vmax(vset(-105.0f), x)), &n);
    return vscale(p + 1.0f, n);
}

/* exp(x) - 1 */
INLINE vf vexpm1(vf x) {
    vf n;
    const vf p = vexp_parts(vmin(vset(89.0f), vmax(vset(-30.0f), x)), &n);
    const vf half = vfrombits((vtruncate(n) + 126) << 23); /* 2^(n - 1), finite also for n = 128 */
    const vf y = 2.0f * vfma(half, p, half - 0.5f);
    return vselect(vequal(n, vset(0)), p, y); /* keeps -0, and all bits of small x */
}

/* exp(x) and exp(x) - 1 together, each to its own last places; x is held within [-86, 89] */
INLINE vf vexp_both(vf x, vf *minus_one) {
    vf n;
    const vf p = vexp_parts(vmin(vset(89.0f), vmax(vset(-86.0f), x)), &n);
    const vf half = vfrombits((vtruncate(n) + 126) << 23);
    *minus_one = vselect(vequal(n, vset(0)), p, 2.0f * vfma(half, p, half - 0.5f));
    return 2.0f * vfma(half, p, half);
}

/* log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1] */
INLINE vf vlog_tail(vf f) {
    vf p = vset(-0.0763154308f);
    p = vfma(p, f, vset(0.127604977f));
    p = vfma(p, f, vset(-0.131607292f));
    p = vfma(p, f, vset(0.142019366f));
    p = vfma(p, f, vset(-0.166233237f));
    p = vfma(p, f, vset(0.200012184f));
    p = vfma(p, f, vset(-0.250008217f));
    p = vfma(p, f, vset(0.333333318f));
    const vf z = f * f;
    return vfma(p * f, z, z * -0.5f);
}

/* log(x 2^shift) of a normal, positive, finite x */
INLINE vf vlog_normal(vf x, vf shift) {
    const vu bits = (vu)vbits(x);
    const vi e = (vi)(bits - 0x3f3504f3u) >> 23; /* so that the mantissa is in [sqrt(1/2), sqrt(2)) */
    const vf f = vfrombits((vi)(bits - ((vu)e << 23))) - 1.0f, k = vfloat(e) + shift;
    return vfma(k, vset(0.693359375f), f + vfma(k, vset(-2.12194440e-4f), vlog_tail(f)));
}

INLINE vf vlog(vf x) {
    const vm tiny = vless(x, vset(0x1p-126f));
    vf y = vlog_normal(vselect(tiny, x * 0x1p24f, x), vselect(tiny, vset(-24.0f), vset(0)));
    y = vselect(vless(x, vset(INFINITY)), y, x); /* infinity and NaN */
    y = vselect(vequal(x, vset(0)), vset(-INFINITY), y);
    return vselect(vless(x, vset(0)), vset(NAN), y);
}

/* log(1 + x) for x >= 0 */
INLINE vf vlog1p(vf x) {
    const vf far = vlog_normal(x + 1.0f, vset(0));
    const vf y = vselect(vless(x, vset(0.41421356f)), x + vlog_tail(x), far);
    return vselect(vless(x, vset(INFINITY)), y, x);
}

INLINE vf vsigmoid(vf x) {
    const vf e = vexp(vfrombits(vbits(x) | INT32_MIN)); /* exp(-|x|), in [0, 1] */
    return vselect(vless(x, vset(0)), e, vset(1.0f)) * vreciprocal(1.0f + e);
}

/* sigmoid(x), and 1 - sigmoid(x) without cancellation */
INLINE vf vsigmoid_both(vf x, vf *rest) {
    const vf e = vexp(vfrombits(vbits(x) | INT32_MIN)), scale = vreciprocal(1.0f + e);
    const vm below = vless(x, vset(0));
    *rest = vselect(below, scale, e * scale);
    return vselect(below, e * scale, scale);
}

INLINE vf vtanh(vf x) {
    const vf e = vexpm1(-2.0f * vabs(x)); /* in (-1, 0] */
    return vselect(vunordered(x), x, vcopysign(vabs(e * vreciprocal(e + 2.0f)), x));
}

INLINE vf vsoftplus(vf x) {
    const vf e = vexp(vfrombits(vbits(x) | INT32_MIN)); /* in [0, 1] */
    const vm large = vless(vset(0.41421356f), e);
    /* 1 + e, or half of it with log 2 beside it: the argument keeps all bits of e */
    const vf f = vselect(large, (e - 1.0f) * 0.5f, e);
    return vmax(vset(0), x) + (f + vlog_tail(f) + vselect(large, vset(0.693147181f), vset(0)));
}

INLINE vf vsilu(vf x) { return x * vsigmoid(x); }
INLINE vf vrelu(vf x) { return vmax(vset(0), x); } /* NaN stays */
INLINE vf velu(vf x) { return vselect(vless(vset(0), x), x, vexpm1(x)); }

/* (1 + tanh(u)) / 2 = sigmoid(2 u) */
INLINE vf vgelu_twice_u(vf x) { return x * vfma(0.0713548163f * x, x, vset(1.59576912f)); }
INLINE vf vgelu(vf x) { return x * vsigmoid(vgelu_twice_u(x)); }

/* silu and gelu with their slopes s (1 + x (1 - s) u'), s = sigmoid(u) */
INLINE vf vsilu_slope(vf x, vf *slope) {
    vf rest;
    const vf s = vsigmoid_both(x, &rest);
    *slope = s * vfma(x, rest, vset(1.0f));
    return x * s;
}
INLINE vf vgelu_slope(vf x, vf *slope) {
    vf rest;
    const vf s = vsigmoid_both(vgelu_twice_u(x), &rest);
    *slope = s * vfma(x * rest, vfma(0.214064449f * x, x, vset(1.59576912f)), vset(1.0f));
    return x * s;
}

INLINE vf vsymlog(vf x) { return vcopysign(vlog1p(vabs(x)), x); }
INLINE vf vsymexp(vf x) { return vcopysign(vexpm1(vabs(x)), x); }

/* sin(x) or cos(x); quadrants counted from 0 or 1 */
INLINE vf vsin_from(vf x, int quarter) {
    if (vany(vless(vset(8192.0f), vabs(x)))) { /* rare: the reduction below would lose bits */
        UNROLL for (int i = 0; i < LANES; i++) x[i] = quarter ? cosf(x[i]) : sinf(x[i]);
        return x;
    }
    const vf n = vround(x * 0.636619772f); /* 2 / pi; pi / 2 in three parts, the first two with few bits */
    const vf r = vfma(n, vset(-7.54978942e-8f), vfma(n, vset(-4.83751297e-4f), vfma(n, vset(-1.5703125f), x)));
    const vi quadrant = vtruncate(n) + quarter;
    const vf z = r * r;
    const vf s = vfma(vfma(vfma(vset(-1.95172336e-4f), z, vset(0.00833217768f)), z, vset(-0.166666549f)), z * r, r);
    vf c = vfma(vfma(vset(2.44383776e-5f), z, vset(-0.00138873669f)), z, vset(0.0416666469f));
    c = vfma(c * z, z, vfma(z, vset(-0.5f), vset(1.0f)));
    const vf y = vselect(vequal(vfloat(quadrant & 1), vset(0)), s, c);
    return vfrombits(vbits(y) ^ ((quadrant & 2) << 30));
}
INLINE vf vsin(vf x) { return vsin_from(x, 0); }
INLINE vf vcos(vf x) { return vsin_from(x, 1); }

#endif
