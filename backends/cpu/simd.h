/* backends/cpu/simd.h: the vector layer under the fast kernels.
 *
 * The simd_*.c files are compiled once per instruction set; RV_NAME(x) gives each copy its own name.
 * vf holds LANES floats, vi as many 32-bit integers, vm says yes or no for each lane. + - * / work on
 * vf and vi directly (vector extensions of gcc and clang); what they lack has a word here. Without a
 * fused multiply-add in the instruction set, vfma rounds twice.
 *
 * vmax and vmin give the second operand where either is NaN.
 */
#ifndef RV_BACKENDS_CPU_SIMD_H
#define RV_BACKENDS_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef RV_ISA
#define RV_ISA baseline
#endif
#define RV_PASTE_(a, b) a##_##b
#define RV_PASTE(a, b) RV_PASTE_(a, b)
#define RV_NAME(name) RV_PASTE(name, RV_ISA)

#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 16")

#if defined(__AVX512F__)
enum { LANES = 16, REGISTERS = 32 };
#elif defined(__AVX2__)
enum { LANES = 8, REGISTERS = 16 };
#else
enum { LANES = 4, REGISTERS = 16 };
#endif

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint32_t vu __attribute__((vector_size(LANES * 4))); /* where bits may wrap */
#if defined(__AVX512F__)
typedef __mmask16 vm;
#else
typedef vi vm; /* all bits or none */
#endif

INLINE vf vset(float x) { return x - (vf){0}; }
INLINE vi vseti(int32_t x) { return x - (vi){0}; }
INLINE vi vbits(vf x) { return (vi)x; }
INLINE vf vfrombits(vi x) { return (vf)x; }
INLINE vf vfloat(vi x) { return __builtin_convertvector(x, vf); }

INLINE vf vload(const float *p) {
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void vstore(float *p, vf x) { memcpy(p, &x, sizeof x); }

/* ---- AVX-512 ---------------------------------------------------------------------------------- */
#if defined(__AVX512F__)
INLINE __mmask16 vfirst(int64_t n) { return (__mmask16)((1u << n) - 1); }
INLINE vf vload_n(const float *p, int64_t n) { return (vf)_mm512_maskz_loadu_ps(vfirst(n), p); }
INLINE void vstore_n(float *p, vf x, int64_t n) { _mm512_mask_storeu_ps(p, vfirst(n), (__m512)x); }
INLINE vf vfma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vf vsqrt(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }
INLINE vf vabs(vf x) { return (vf)_mm512_abs_ps((__m512)x); }
INLINE vf vround(vf x) { return (vf)_mm512_roundscale_ps((__m512)x, 8); } /* to the nearest, ties to even */
INLINE vi vtruncate(vf x) { return (vi)_mm512_cvttps_epi32((__m512)x); }
/* 1 / x and sqrt(x) for x in [2^-120, 2^120]: an estimate and a Newton step, right but for the last place */
INLINE vf vreciprocal(vf x) {
    const vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return vfma(r, vfma(-x, r, vset(1.0f)), r);
}
INLINE vf vsqrt_near(vf x) {
    const vf r = (vf)_mm512_rsqrt14_ps((__m512)x), y = x * r;
    return vfma(vfma(-y, y, x), 0.5f * r, y);
}
INLINE vm vless(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
INLINE vm vless_equal(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ); }
INLINE vm vequal(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE vm vunordered(vf a) { return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q); }
INLINE vf vselect(vm m, vf yes, vf no) { return (vf)_mm512_mask_blend_ps(m, (__m512)no, (__m512)yes); }
INLINE int vany(vm m) { return m != 0; }
/* x 2^n, right for results that are denormal or too large. */
INLINE vf vscale(vf x, vf n) { return (vf)_mm512_scalef_ps((__m512)x, (__m512)n); }
#else

/* ---- AVX2 ------------------------------------------------------------------------------------- */
#if defined(__AVX2__)
INLINE __m256i vfirst(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vf vload_n(const float *p, int64_t n) { return (vf)_mm256_maskload_ps(p, vfirst(n)); }
INLINE void vstore_n(float *p, vf x, int64_t n) { _mm256_maskstore_ps(p, vfirst(n), (__m256)x); }
INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf vsqrt(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
INLINE vf vround(vf x) { return (vf)_mm256_round_ps((__m256)x, 8); }
INLINE vi vtruncate(vf x) { return (vi)_mm256_cvttps_epi32((__m256)x); }
INLINE vf vfma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf vselect(vm m, vf yes, vf no) { return (vf)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)m); }
INLINE int vany(vm m) { return _mm256_movemask_ps((__m256)m) != 0; }
#else

/* ---- everywhere --------------------------------------------------------------------------------- */
INLINE vf vload_n(const float *p, int64_t n) {
    vf x = {0};
    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
}
INLINE void vstore_n(float *p, vf x, int64_t n) { memcpy(p, &x, (size_t)n * sizeof *p); }
INLINE vf vselect(vm m, vf yes, vf no) { return (vf)((m & (vi)yes) | (~m & (vi)no)); }
INLINE vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return vselect(a < b, a, b); }
INLINE vf vsqrt(vf x) {
    UNROLL for (int i = 0; i < LANES; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
}
INLINE vi vtruncate(vf x) { return __builtin_convertvector(x, vi); }
/* Adding 1.5 2^23 leaves whole numbers; good below 2^22. */
INLINE vf vround(vf x) { return (x + 12582912.0f) - 12582912.0f; }
INLINE vf vfma(vf a, vf b, vf c) { return a * b + c; }
INLINE int vany(vm m) {
    int32_t any = 0;
    UNROLL for (int i = 0; i < LANES; i++) any |= m[i];
    return any != 0;
}
#endif

INLINE vf vreciprocal(vf x) { return 1.0f / x; }
INLINE vf vsqrt_near(vf x) { return vsqrt(x); }
INLINE vf vabs(vf x) { return (vf)((vi)x & 0x7fffffff); }
INLINE vm vless(vf a, vf b) { return a < b; }
INLINE vm vless_equal(vf a, vf b) { return a <= b; }
INLINE vm vequal(vf a, vf b) { return a == b; }
INLINE vm vunordered(vf a) { return a != a; }
INLINE vf vscale(vf x, vf n) {
    const vi all = vtruncate(n), half = all >> 1;
    return x * (vf)((half + 127) << 23) * (vf)((all - half + 127) << 23);
}
#endif

/* a where b's sign bit is clear, -a where it is set (a not negative). */
INLINE vf vcopysign(vf a, vf b) { return (vf)((vi)a | ((vi)b & INT32_MIN)); }

/* Loads and stores the whole vector or what is left of a row. */
INLINE vf vload_part(const float *p, int64_t left) { return left >= LANES ? vload(p) : vload_n(p, left); }
INLINE void vstore_part(float *p, vf x, int64_t left) {
    if (left >= LANES) vstore(p, x);
    else vstore_n(p, x, left);
}

/* The first n lanes, 0 in the others. */
#if defined(__AVX512F__)
INLINE vf vkeep(vf x, int64_t n) { return n >= LANES ? x : (vf)_mm512_maskz_mov_ps(vfirst(n), (__m512)x); }
#else
INLINE vf vkeep(vf x, int64_t n) {
    float lanes[LANES];
    if (n >= LANES) return x;
    vstore(lanes, x);
    return vload_n(lanes, n);
}
#endif

/* a0 b0 a1 b1 ..: of the lower and the upper halves */
#if defined(__AVX512F__)
#define RV_LOW_ 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define RV_HIGH_ 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__)
#define RV_LOW_ 0, 8, 1, 9, 2, 10, 3, 11
#define RV_HIGH_ 4, 12, 5, 13, 6, 14, 7, 15
#else
#define RV_LOW_ 0, 4, 1, 5
#define RV_HIGH_ 2, 6, 3, 7
#endif
INLINE vf vinterleave_low(vf a, vf b) { return __builtin_shufflevector(a, b, RV_LOW_); }
INLINE vf vinterleave_high(vf a, vf b) { return __builtin_shufflevector(a, b, RV_HIGH_); }

/* The upper half of the lanes, then of the lower half's, and so on down to one: x with lanes moved down by `by`. */
#if defined(__AVX512F__)
#define RV_DOWN_(x, by) __builtin_shufflevector(x, x, (by) % 16, (1 + (by)) % 16, (2 + (by)) % 16, (3 + (by)) % 16,       \
    (4 + (by)) % 16, (5 + (by)) % 16, (6 + (by)) % 16, (7 + (by)) % 16, (8 + (by)) % 16, (9 + (by)) % 16, (10 + (by)) % 16, \
    (11 + (by)) % 16, (12 + (by)) % 16, (13 + (by)) % 16, (14 + (by)) % 16, (15 + (by)) % 16)
#elif defined(__AVX2__)
#define RV_DOWN_(x, by) __builtin_shufflevector(x, x, (by) % 8, (1 + (by)) % 8, (2 + (by)) % 8, (3 + (by)) % 8, \
    (4 + (by)) % 8, (5 + (by)) % 8, (6 + (by)) % 8, (7 + (by)) % 8)
#else
#define RV_DOWN_(x, by) __builtin_shufflevector(x, x, (by) % 4, (1 + (by)) % 4, (2 + (by)) % 4, (3 + (by)) % 4)
#endif

/* Sum, maximum and minimum over the lanes, halving: one fixed tree. NaN wins. */
#define RV_ACROSS(name, combine)                          \
    INLINE float name(vf x) {                             \
        if (LANES > 8) x = combine(x, RV_DOWN_(x, 8));    \
        if (LANES > 4) x = combine(x, RV_DOWN_(x, 4));    \
        x = combine(x, RV_DOWN_(x, 2));                   \
        return combine(x, RV_DOWN_(x, 1))[0];             \
    }
#define RV_ADD_(a, b) ((a) + (b))
#define RV_MAX_(a, b) vselect(vunordered(a), a, vmax(a, b))
#define RV_MIN_(a, b) vselect(vunordered(a), a, vmin(a, b))
RV_ACROSS(vsum, RV_ADD_)
RV_ACROSS(vhighest, RV_MAX_)
RV_ACROSS(vlowest, RV_MIN_)

#endif
