/* backends/gpu/sine.h: sine and cosine of any float. The languages' own keep a table on the stack for large arguments,
 * and each has its own bits. In the dialect; tests/test_gpu_maths.c compares it with libm in double.
 */
#ifndef RV_GPU_SINE_H
#define RV_GPU_SINE_H

/* 2 / pi in words of 32 bits, behind one of zeros. */
DEVICE uint two_over_pi(int word) {
    switch (word) {
    case 0: return 0u;
    case 1: return 0xa2f9836eu;
    case 2: return 0x4e441529u;
    case 3: return 0xfc2757d1u;
    case 4: return 0xf534ddc0u;
    case 5: return 0xdb629599u;
    case 6: return 0x3c439041u;
    default: return 0xfe5163abu;
    }
}

/* x = whole * pi / 2 + rest, |rest| <= pi / 4; whole modulo 4. For |x| >= 2^16: of 2 / pi only the 96 bits count that,
 * times x, are neither multiples of 4 nor too small to matter (Payne and Hanek, 1983). */
DEVICE int whole_quarters_far(float x, float *rest) {
    const uint bits = BITS_OF(x), mantissa = (bits & 0x7fffffu) | 0x800000u;
    const int skip = (int)(bits >> 23 & 255u) - 120, word = skip >> 5, shift = skip & 31;
    const uint up = 1u << shift, w1 = two_over_pi(word + 1), w2 = two_over_pi(word + 2);
    const uint a = two_over_pi(word) * up | MUL_HIGH(w1, up), b = w1 * up | MUL_HIGH(w2, up), c = w2 * up | MUL_HIGH(two_over_pi(word + 3), up);
    const uint carry = MUL_HIGH(mantissa, c), middle = mantissa * b + carry;
    const uint high = mantissa * a + MUL_HIGH(mantissa, b) + (uint)(middle < carry);
    uint quarter = high >> 30, part = high * 4u | MUL_HIGH(middle, 4u), tail = middle * 4u | MUL_HIGH(mantissa * c, 4u);
    const int over = (int)(part >> 31);
    if (over) quarter++, part = ~part, tail = ~tail;
    const float r = ((float)part * 0x1p-32f + (float)tail * 0x1p-64f) * 1.57079633f;
    *rest = over != (x < 0.0f) ? -r : r;
    return x < 0.0f ? -(int)quarter : (int)quarter;
}

/* pi / 2 in three parts: the first product and the difference are exact. */
DEVICE int whole_quarters(float x, float *rest) {
    if (!(fabs(x) < 0x1p16f)) return whole_quarters_far(x, rest);
    const float k = rint(x * 0.636619772f);
    *rest = FMA(-k, -0x1.ee59dap-50f, FMA(-k, -0x1.777a5cp-25f, FMA(-k, 0x1.921fb6p0f, x)));
    return (int)k;
}

/* sin(rest + quarter * pi / 2) by polynomials of least error */
DEVICE float sine_at(int quarter, float r) {
    const float z = r * r;
    const float s = r + r * z * (-0.166666549f + z * (0.00833217769f + z * -0.000195172349f));
    const float c = 1.0f - (0.5f * z - z * z * (0.0416666469f + z * (-0.0013887367f + z * 2.44383919e-5f)));
    const float y = quarter & 1 ? c : s;
    return quarter & 2 ? -y : y;
}

DEVICE float sine_of(float x) {
    float rest;
    const int quarter = whole_quarters(x, &rest);
    return fabs(x) <= 0x1.fffffep127f ? sine_at(quarter, rest) : x - x;
}

DEVICE float cosine_of(float x) {
    float rest;
    const int quarter = whole_quarters(x, &rest);
    return fabs(x) <= 0x1.fffffep127f ? sine_at(quarter + 1, rest) : x - x;
}

#endif
