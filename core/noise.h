/* core/noise.h: stateless noise, the same bits in every backend.
 *
 *     rv_noise noise = rv_noise_at(state, hash_of_name, t);
 *     rv_noise_normal(&noise, row, width, 0, width, out);      // one row of rv_normal
 *
 * Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3") in cuRAND's word
 * layout. A draw of `width` columns has ceil(width / 4) blocks a row; block row * that + col / 4 gives
 * four words, word col % 4 is this element's. So nothing depends on how rows or columns are cut.
 * What one block and one element are stands in core/noise_common.h, which kernels share.
 */
#ifndef RV_CORE_NOISE_H
#define RV_CORE_NOISE_H

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "core/noise_common.h"

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
