/* core/noise.h: stateless noise, the same bits in every backend.
 *
 *     rv_noise noise = rv_noise_at(state, hash_of_name, t);
 *     rv_noise_normal(&noise, row, width, 0, width, out);      // one row of rv_normal
 *
 * Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3") in cuRAND's word
 * layout. A draw of `width` columns has ceil(width / 4) blocks a row; block row * that + col / 4 gives
 * four words, word col % 4 is this element's. So nothing depends on how rows or columns are cut.
 *
 * Only + - * and sqrt, no fma, no library function: with contraction off (-ffp-contract=off) and a
 * correctly rounded sqrt every compiler and vector width gives the same bits. C99 without pointers to
 * functions, structs only by pointer: the subset that kernels share.
 */
#ifndef RV_CORE_NOISE_H
#define RV_CORE_NOISE_H

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#ifndef RV_NOISE_SQRT
#define RV_NOISE_SQRT __builtin_sqrtf /* one instruction with -fno-math-errno */
#endif

/* What a draw depends on beside its row and column. */
typedef struct rv_noise {
    uint32_t key[2]; /* seed: low, high */
    uint32_t t, update, stream;
} rv_noise;

/* From the state of rv_random_state: i32 seed low, seed high, update, 0. */
static inline rv_noise rv_noise_at(const int32_t *state, uint32_t stream, uint32_t t) {
    rv_noise noise = {{(uint32_t)state[0], (uint32_t)state[1]}, t, (uint32_t)state[2], stream};
    return noise;
}

/* Blocks a row, and the block of an element; modulo 2^32 as the counter's word is. */
static inline int64_t rv_noise_blocks(int64_t width) { return (width + 3) / 4; }

static inline uint32_t rv_noise_block(int64_t row, int64_t width, int64_t col) {
    return (uint32_t)((uint64_t)row * (uint64_t)rv_noise_blocks(width) + (uint64_t)(col / 4));
}

/* ---- one block, one element --------------------------------------------------------------------- */

/* x[4]: counter in, words out. */
static inline void rv_philox(uint32_t key0, uint32_t key1, uint32_t *x) {
    uint32_t x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * x0, p1 = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ key0;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ key1;
        x1 = (uint32_t)p1;
        x3 = (uint32_t)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    x[0] = x0, x[1] = x1, x[2] = x2, x[3] = x3;
}

/* The four words of a block. */
static inline void rv_noise_words(const rv_noise *noise, uint32_t block, uint32_t *words) {
    words[0] = block, words[1] = noise->t, words[2] = noise->update, words[3] = noise->stream;
    rv_philox(noise->key[0], noise->key[1], words);
}

/* (k + 1/2) / 2^24 of the upper 24 bits k, rounded to float; the last k would round to 1 and stays below. */
static inline float rv_noise_to_uniform(uint32_t bits) {
    const float u = (float)(int32_t)(bits >> 8) * 0x1p-24f + 0x1p-25f;
    return u < 0x1.fffffep-1f ? u : 0x1.fffffep-1f;
}

/* floor(bits * limit / 2^32), limit at least 1. */
static inline int32_t rv_noise_to_index(uint32_t bits, int32_t limit) {
    return (int32_t)(((uint64_t)bits * (uint32_t)(limit > 1 ? limit : 1)) >> 32);
}

/* log(u) of a normal float: u = m 2^e with m in [sqrt(1/2), sqrt(2)), f = m - 1,
 * log(1 + f) = f - f^2 / 2 + f^3 P(f). Relative error at most 1e-7 over the uniforms. */
static inline float rv_noise_log(float u) {
    uint32_t bits;
    memcpy(&bits, &u, sizeof bits);
    const int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
    bits -= (uint32_t)e << 23;
    float m;
    memcpy(&m, &bits, sizeof m);
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
static inline void rv_noise_sincos(uint32_t bits, float *sine, float *cosine) {
    const uint32_t quadrant = (bits + 0x20000000u) >> 30;
    const float r = (float)((int32_t)(bits - (quadrant << 30)) >> 8) * 0x1p-24f + 0x1p-25f;
    const float z = r * r;
    const float s = r * (6.28318501f + z * (-41.3416290f + z * (81.5881271f + z * -75.2400589f)));
    const float c = 1.0f + z * (-19.7392082f + z * (64.9393234f + z * (-85.4437408f + z * 59.2459641f)));
    const float a = quadrant & 1 ? c : s, b = quadrant & 1 ? s : c;
    *sine = quadrant & 2 ? -a : a;
    *cosine = (quadrant + 1) & 2 ? -b : b;
}

/* Box and Muller, 1958: two words give two standard normals; |normal| < 5.9. */
static inline void rv_noise_to_normals(uint32_t bits0, uint32_t bits1, float *first, float *second) {
    const float radius = RV_NOISE_SQRT(-2.0f * rv_noise_log(rv_noise_to_uniform(bits0)));
    float sine, cosine;
    rv_noise_sincos(bits1, &sine, &cosine);
    *first = radius * sine;
    *second = radius * cosine;
}

/* One element of each kind. */
static inline uint32_t rv_noise_bits_one(const rv_noise *noise, int64_t row, int64_t width, int64_t col) {
    uint32_t words[4];
    rv_noise_words(noise, rv_noise_block(row, width, col), words);
    return words[col % 4];
}

static inline float rv_noise_uniform_one(const rv_noise *noise, int64_t row, int64_t width, int64_t col) {
    return rv_noise_to_uniform(rv_noise_bits_one(noise, row, width, col));
}

static inline float rv_noise_normal_one(const rv_noise *noise, int64_t row, int64_t width, int64_t col) {
    uint32_t words[4];
    float pair[2];
    rv_noise_words(noise, rv_noise_block(row, width, col), words);
    const int64_t even = col % 4 / 2 * 2;
    rv_noise_to_normals(words[even], words[even + 1], &pair[0], &pair[1]);
    return pair[col % 2];
}

/* ---- many blocks: loops over lanes that compilers turn into vectors ----------------------------- */

/* Kept out of line, where gcc vectorises the interleaving stores. */
#define RV_NOISE_OUTLINE static __attribute__((noinline, unused))

enum { RV_NOISE_LANES = 16, RV_NOISE_CHUNK = 4 * RV_NOISE_LANES };

/* x86 multiplies 32 by 32 to 64 bits in every other lane, which compilers do not find by themselves. */
#if defined(__AVX512F__)
typedef __m512i rv_noise_vector;
#define RV_NOISE_OP(name) _mm512_##name
#define RV_NOISE_XOR _mm512_xor_si512
#define RV_NOISE_OR _mm512_or_si512
#define RV_NOISE_SET(x) _mm512_set1_epi64((long long)(x))
#elif defined(__AVX2__)
typedef __m256i rv_noise_vector;
#define RV_NOISE_OP(name) _mm256_##name
#define RV_NOISE_XOR _mm256_xor_si256
#define RV_NOISE_OR _mm256_or_si256
#define RV_NOISE_SET(x) _mm256_set1_epi64x((long long)(x))
#elif defined(__SSE2__)
typedef __m128i rv_noise_vector;
#define RV_NOISE_OP(name) _mm_##name
#define RV_NOISE_XOR _mm_xor_si128
#define RV_NOISE_OR _mm_or_si128
#define RV_NOISE_SET(x) _mm_set1_epi64x((long long)(x))
#endif

/* The words of RV_NOISE_LANES blocks from `block` on, word by word: words[w * lanes + lane]. */
static inline void rv_noise_chunk_words(const rv_noise *noise, uint32_t block, uint32_t *words) {
#ifdef RV_NOISE_OP
    enum { LANES = (int)(sizeof(rv_noise_vector) / sizeof(uint32_t)) };
    const rv_noise_vector multiplier0 = RV_NOISE_SET(0xD2511F53u), multiplier1 = RV_NOISE_SET(0xCD9E8D57u);
    uint32_t counter[LANES]; /* each 64-bit lane carries an even block; its odd neighbour is one more */
    for (int lane = 0; lane < LANES; lane++) counter[lane] = (uint32_t)lane & ~1u;
    rv_noise_vector lanes;
    memcpy(&lanes, counter, sizeof lanes);
    for (int first = 0; first < RV_NOISE_LANES; first += LANES) {
        rv_noise_vector x[4][2];
        x[0][0] = RV_NOISE_OP(add_epi32)(lanes, RV_NOISE_SET(block + (uint32_t)first));
        x[0][1] = RV_NOISE_OP(add_epi32)(x[0][0], RV_NOISE_SET(1));
        x[1][0] = x[1][1] = RV_NOISE_SET(noise->t);
        x[2][0] = x[2][1] = RV_NOISE_SET(noise->update);
        x[3][0] = x[3][1] = RV_NOISE_SET(noise->stream);
        uint32_t key0 = noise->key[0], key1 = noise->key[1];
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
            const rv_noise_vector k0 = RV_NOISE_SET(key0), k1 = RV_NOISE_SET(key1);
#pragma GCC unroll 2
            for (int odd = 0; odd < 2; odd++) {
                const rv_noise_vector p0 = RV_NOISE_OP(mul_epu32)(x[0][odd], multiplier0);
                const rv_noise_vector p1 = RV_NOISE_OP(mul_epu32)(x[2][odd], multiplier1);
                x[0][odd] = RV_NOISE_XOR(RV_NOISE_XOR(RV_NOISE_OP(srli_epi64)(p1, 32), x[1][odd]), k0);
                x[2][odd] = RV_NOISE_XOR(RV_NOISE_XOR(RV_NOISE_OP(srli_epi64)(p0, 32), x[3][odd]), k1);
                x[1][odd] = p1;
                x[3][odd] = p0;
            }
            key0 += 0x9E3779B9u;
            key1 += 0xBB67AE85u;
        }
        for (int w = 0; w < 4; w++) {
            const rv_noise_vector even = RV_NOISE_OP(srli_epi64)(RV_NOISE_OP(slli_epi64)(x[w][0], 32), 32);
            const rv_noise_vector both = RV_NOISE_OR(even, RV_NOISE_OP(slli_epi64)(x[w][1], 32));
            memcpy(words + w * RV_NOISE_LANES + first, &both, sizeof both);
        }
    }
#else
    for (int lane = 0; lane < RV_NOISE_LANES; lane++) {
        uint32_t x[4];
        rv_noise_words(noise, block + (uint32_t)lane, x);
        for (int w = 0; w < 4; w++) words[w * RV_NOISE_LANES + lane] = x[w];
    }
#endif
}

RV_NOISE_OUTLINE void rv_noise_chunk_bits(const rv_noise *noise, uint32_t block, uint32_t *restrict out) {
    uint32_t words[RV_NOISE_CHUNK];
    rv_noise_chunk_words(noise, block, words);
    for (int lane = 0; lane < RV_NOISE_LANES; lane++) {
        for (int w = 0; w < 4; w++) out[4 * lane + w] = words[w * RV_NOISE_LANES + lane];
    }
}

RV_NOISE_OUTLINE void rv_noise_chunk_uniform(const rv_noise *noise, uint32_t block, float *restrict out) {
    uint32_t words[RV_NOISE_CHUNK];
    rv_noise_chunk_words(noise, block, words);
    for (int lane = 0; lane < RV_NOISE_LANES; lane++) {
        for (int w = 0; w < 4; w++) out[4 * lane + w] = rv_noise_to_uniform(words[w * RV_NOISE_LANES + lane]);
    }
}

RV_NOISE_OUTLINE void rv_noise_chunk_normal(const rv_noise *noise, uint32_t block, float *restrict out) {
    uint32_t words[RV_NOISE_CHUNK];
    float normals[RV_NOISE_CHUNK];
    rv_noise_chunk_words(noise, block, words);
    for (int pair = 0; pair < 2; pair++) {
        const uint32_t *const bits = words + 2 * pair * RV_NOISE_LANES;
        float *const to = normals + 2 * pair * RV_NOISE_LANES;
        for (int lane = 0; lane < RV_NOISE_LANES; lane++) {
            rv_noise_to_normals(bits[lane], bits[RV_NOISE_LANES + lane], &to[lane], &to[RV_NOISE_LANES + lane]);
        }
    }
    for (int lane = 0; lane < RV_NOISE_LANES; lane++) {
        for (int w = 0; w < 4; w++) out[4 * lane + w] = normals[w * RV_NOISE_LANES + lane];
    }
}

/* NAME: columns [col0, col1) of one row of a draw `width` columns wide; out[0] is column col0.
 * NAME_rows: rows [row0, row1) whole, `stride` elements apart; out[0] is row row0's first.
 * NAME_run: `count` elements of the blocks from `block` on, after the first `skip` (less than 4). */
#define RV_NOISE_ROWS(NAME, TYPE, CHUNK)                                                                               \
    static inline void NAME##_run(const rv_noise *noise, uint32_t block, int64_t skip, int64_t count,                  \
                                  TYPE *restrict out) {                                                                \
        for (int64_t at = -skip; at < count; at += RV_NOISE_CHUNK, block += RV_NOISE_LANES) {                          \
            TYPE chunk[RV_NOISE_CHUNK];                                                                                \
            CHUNK(noise, block, chunk);                                                                                \
            const int64_t first = at < 0 ? 0 : at, last = at + RV_NOISE_CHUNK < count ? at + RV_NOISE_CHUNK : count;   \
            if (last - first == RV_NOISE_CHUNK) memcpy(out + at, chunk, sizeof chunk);                                 \
            else memcpy(out + first, chunk + (first - at), (size_t)(last - first) * sizeof *out);                      \
        }                                                                                                              \
    }                                                                                                                  \
    static inline void NAME(const rv_noise *noise, int64_t row, int64_t width, int64_t col0, int64_t col1,             \
                            TYPE *restrict out) {                                                                      \
        NAME##_run(noise, rv_noise_block(row, width, col0), col0 % 4, col1 - col0, out);                               \
    }                                                                                                                  \
    static inline void NAME##_rows(const rv_noise *noise, int64_t row0, int64_t row1, int64_t width, int64_t stride,   \
                                   TYPE *restrict out) {                                                               \
        const uint32_t block = rv_noise_block(row0, width, 0);                                                         \
        if (width % 4 == 0 && stride == width) {                                                                       \
            NAME##_run(noise, block, 0, (row1 - row0) * width, out);                                                   \
        } else if (width >= RV_NOISE_CHUNK) {                                                                          \
            for (int64_t row = row0; row < row1; row++) NAME(noise, row, width, 0, width, out + (row - row0) * stride);\
        } else { /* narrow rows: blocks run on from row to row, so a chunk serves several */                           \
            const int64_t blocks = (row1 - row0) * rv_noise_blocks(width);                                             \
            for (int64_t done = 0, col = 0; done < blocks; done += RV_NOISE_LANES) {                                   \
                TYPE chunk[RV_NOISE_CHUNK];                                                                            \
                CHUNK(noise, block + (uint32_t)done, chunk);                                                           \
                const int64_t lanes = blocks - done < RV_NOISE_LANES ? blocks - done : RV_NOISE_LANES;                 \
                for (int64_t lane = 0; lane < lanes; lane++) {                                                         \
                    for (int64_t w = 0; w < 4 && col + w < width; w++) out[col + w] = chunk[4 * lane + w];             \
                    col += 4;                                                                                          \
                    if (col >= width) col = 0, out += stride;                                                          \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

RV_NOISE_ROWS(rv_noise_bits, uint32_t, rv_noise_chunk_bits)
RV_NOISE_ROWS(rv_noise_uniform, float, rv_noise_chunk_uniform)
RV_NOISE_ROWS(rv_noise_normal, float, rv_noise_chunk_normal)

#endif
