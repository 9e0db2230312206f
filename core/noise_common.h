/* core/noise_common.h: one block of noise, one element of it: the text that C and the kernels share.
 *
 *     rv_noise_words(&noise, block, words);
 *     rv_noise_to_normals(words[0], words[1], &first, &second);
 *
 * Only + - * and sqrt, no fma, no library function: with contraction off (-ffp-contract=off) and a
 * correctly rounded sqrt every compiler and vector width gives the same bits. The backends' kernels begin
 * with this very file, behind their dialect (backends/gpu/kernels/dialect_*.k), so what stands here is C99
 * without pointers to functions, structs only by pointer, and types and functions by the words below.
 */
#ifndef RV_CORE_NOISE_COMMON_H
#define RV_CORE_NOISE_COMMON_H

#ifdef KERNEL
#define RV_NOISE_FUNCTION DEVICE
#define RV_NOISE_SQRT(x) ROUNDED_SQRT(x)
#define RV_NOISE_BITS_OF(x) BITS_OF(x)
#define RV_NOISE_FLOAT_OF(bits) FLOAT_OF(bits)
#define RV_NOISE_MUL_HIGH(a, b) MUL_HIGH(a, b)
typedef int rv_noise_int;
typedef uint rv_noise_uint;
#else
#include <stdint.h>
#include <string.h>
#define RV_NOISE_FUNCTION static inline
#ifndef RV_NOISE_SQRT
#define RV_NOISE_SQRT __builtin_sqrtf /* one instruction with -fno-math-errno */
#endif
#define RV_NOISE_BITS_OF rv_noise_bits_of
#define RV_NOISE_FLOAT_OF rv_noise_float_of
#define RV_NOISE_MUL_HIGH(a, b) ((uint32_t)((uint64_t)(a) * (b) >> 32))
typedef int32_t rv_noise_int;
typedef uint32_t rv_noise_uint;

static inline uint32_t rv_noise_bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float rv_noise_float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
#endif

/* What a draw depends on beside its row and column. */
typedef struct rv_noise {
    rv_noise_uint key[2]; /* seed: low, high */
    rv_noise_uint t, update, stream;
} rv_noise;

/* x[4]: counter in, words out. */
RV_NOISE_FUNCTION void rv_philox(rv_noise_uint key0, rv_noise_uint key1, rv_noise_uint *x) {
    rv_noise_uint x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
    for (int round = 0; round < 10; round++) {
        const rv_noise_uint low0 = 0xD2511F53u * x0, high0 = RV_NOISE_MUL_HIGH(0xD2511F53u, x0);
        const rv_noise_uint low1 = 0xCD9E8D57u * x2, high1 = RV_NOISE_MUL_HIGH(0xCD9E8D57u, x2);
        x0 = high1 ^ x1 ^ key0;
        x2 = high0 ^ x3 ^ key1;
        x1 = low1;
        x3 = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    x[0] = x0, x[1] = x1, x[2] = x2, x[3] = x3;
}

/* The four words of a block. */
RV_NOISE_FUNCTION void rv_noise_words(const rv_noise *noise, rv_noise_uint block, rv_noise_uint *words) {
    words[0] = block, words[1] = noise->t, words[2] = noise->update, words[3] = noise->stream;
    rv_philox(noise->key[0], noise->key[1], words);
}

/* (k + 1/2) / 2^24 of the upper 24 bits k, rounded to float; the last k would round to 1 and stays below. */
RV_NOISE_FUNCTION float rv_noise_to_uniform(rv_noise_uint bits) {
    const float u = (float)(rv_noise_int)(bits >> 8) * 0x1p-24f + 0x1p-25f;
    return u < 0x1.fffffep-1f ? u : 0x1.fffffep-1f;
}

/* floor(bits * limit / 2^32), limit at least 1. */
RV_NOISE_FUNCTION rv_noise_int rv_noise_to_index(rv_noise_uint bits, rv_noise_int limit) {
    return (rv_noise_int)RV_NOISE_MUL_HIGH(bits, (rv_noise_uint)(limit > 1 ? limit : 1));
}

/* log(u) of a normal float: u = m 2^e with m in [sqrt(1/2), sqrt(2)), f = m - 1,
 * log(1 + f) = f - f^2 / 2 + f^3 P(f). Relative error at most 1e-7 over the uniforms. */
RV_NOISE_FUNCTION float rv_noise_log(float u) {
    const rv_noise_uint bits = RV_NOISE_BITS_OF(u);
    const rv_noise_int e = (rv_noise_int)(bits - 0x3f3504f3u) >> 23;
    const float m = RV_NOISE_FLOAT_OF(bits - ((rv_noise_uint)e << 23));
    const float f = m - 1.0f, z = f * f, k = (float)e;
    float p = 0.0870043859f;
    p = p * f - 0.142674923f;
    p = p * f + 0.149147689f;
    p = p * f - 0.165775836f;
    p = p * f + 0.199630633f;
    p = p * f - 0.250013381f;
    p = p * f + 0.333339095f;
    const float y = p * f * z - 0.5f * z + k * -2.12194440e-4f; /* log(2) = 0.693359375 - 2.1219444e-4 */
    return f + y + k * 0.693359375f;
}

/* sin and cos of 2 pi (k + 1/2) / 2^24, k the upper 24 bits: a quadrant and r, at most 1/8 of a turn
 * from its middle axis. Exact reduction; absolute errors at most 1e-7. */
RV_NOISE_FUNCTION void rv_noise_sincos(rv_noise_uint bits, float *sine, float *cosine) {
    const rv_noise_uint quadrant = (bits + 0x20000000u) >> 30;
    const float r = (float)((rv_noise_int)(bits - (quadrant << 30)) >> 8) * 0x1p-24f + 0x1p-25f;
    const float z = r * r;
    const float s = r * (6.28318501f + z * (-41.3416290f + z * (81.5881271f + z * -75.2400589f)));
    const float c = 1.0f + z * (-19.7392082f + z * (64.9393234f + z * (-85.4437408f + z * 59.2459641f)));
    const float a = quadrant & 1 ? c : s, b = quadrant & 1 ? s : c;
    *sine = quadrant & 2 ? -a : a;
    *cosine = (quadrant + 1) & 2 ? -b : b;
}

/* exp(x) for x <= 0, 0 below -80: x = n log 2 + r, exp(r) = 1 + r + r^2 P(r). Relative error at most 8.4e-8, over
 * every float there is; NaN stays. */
RV_NOISE_FUNCTION float rv_noise_exp(float x) {
    const float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f; /* 1.5 2^23 leaves whole numbers */
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* log(2) = 0.693359375 - 2.1219444e-4 */
    float p = 0.00138145964f;
    p = p * r + 0.00836871709f;
    p = p * r + 0.0416683881f;
    p = p * r + 0.166665206f;
    p = p * r + 0.499999934f;
    const float power = RV_NOISE_FLOAT_OF((RV_NOISE_BITS_OF(shifted) - 0x4b400000u + 127u) << 23); /* 2^n */
    const float y = (p * r * r + r + 1.0f) * power;
    return x < -80.0f ? 0.0f : y;
}

/* Box and Muller, 1958: two words give two standard normals; |normal| < 5.9. */
RV_NOISE_FUNCTION void rv_noise_to_normals(rv_noise_uint bits0, rv_noise_uint bits1, float *first, float *second) {
    const float radius = RV_NOISE_SQRT(-2.0f * rv_noise_log(rv_noise_to_uniform(bits0)));
    float sine, cosine;
    rv_noise_sincos(bits1, &sine, &cosine);
    *first = radius * sine;
    *second = radius * cosine;
}

#endif
