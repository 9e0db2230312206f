/* backends/gpu/rounded_sqrt.h: a correctly rounded square root from one that is only near: for devices whose own
 * is not. In the dialect; tests/test_gpu_maths.c defines its words for the host and tries every mantissa.
 *
 * A Newton step brings a root that is a few units off within one; then the residual x - y^2, which fma gives exactly,
 * says on which side of the midpoints to y's neighbours the root lies. It is a multiple of y's unit squared, so that
 * the quarter of one in (y + unit / 2)^2 never decides.
 */
#ifndef RV_GPU_ROUNDED_SQRT_H
#define RV_GPU_ROUNDED_SQRT_H

DEVICE float rounded_sqrt(float x) {
    if (!(x > 0.0f && x <= 0x1.fffffep127f)) return NEAR_SQRT(x); /* 0, infinity, NaN, and NaN of what is below 0 */
    const int small = x < 0x1p-64f; /* whose residual would lose its last bits */
    const float a = small ? x * 0x1p96f : x, near = NEAR_SQRT(a);
    const float y = FMA(0.5f / near, FMA(-near, near, a), near);
    const float above = FLOAT_OF(BITS_OF(y) + 1u), below = FLOAT_OF(BITS_OF(y) - 1u), rest = FMA(-y, y, a);
    const float root = rest > y * (above - y) ? above : rest <= y * (below - y) ? below : y;
    return small ? root * 0x1p-48f : root;
}

#endif
