/* backends/cpu/simd_transpose.h: short rows side by side in the lanes.
 *
 * A tile holds column c of LANES rows at tile + c * LANES, so that what runs along a row in order (a prefix sum, a
 * return) runs in all lanes at once. Lanes behind the last row repeat it and are not stored.
 */
#ifndef RV_BACKENDS_CPU_SIMD_TRANSPOSE_H
#define RV_BACKENDS_CPU_SIMD_TRANSPOSE_H

#include "backends/cpu/simd.h"

/* LANES vectors by interleaving those half of them apart, as often as LANES halves. */
INLINE void transpose(vf *r) {
    for (int half = 1; half < LANES; half *= 2) {
        vf s[LANES];
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            s[2 * i] = vinterleave_low(r[i], r[i + LANES / 2]);
            s[2 * i + 1] = vinterleave_high(r[i], r[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++) r[i] = s[i];
    }
}

/* Columns [0, cols) of the rows that begin at from[0 .. LANES). */
static inline void tile_load(float *tile, const float *const *from, int64_t cols) {
    for (int64_t c = 0; c < cols; c += LANES) {
        const int64_t n = cols - c < LANES ? cols - c : LANES;
        vf r[LANES];
        UNROLL for (int i = 0; i < LANES; i++) r[i] = vload_part(from[i] + c, n);
        transpose(r);
        for (int64_t i = 0; i < n; i++) vstore(tile + (c + i) * LANES, r[i]);
    }
}

/* The first `count` of the rows. */
static inline void tile_store(const float *tile, float *const *to, int64_t count, int64_t cols) {
    for (int64_t c = 0; c < cols; c += LANES) {
        const int64_t n = cols - c < LANES ? cols - c : LANES;
        vf r[LANES] = {{0}};
        for (int64_t i = 0; i < n; i++) r[i] = vload(tile + (c + i) * LANES);
        transpose(r);
        for (int64_t i = 0; i < count; i++) vstore_part(to[i] + c, r[i], n);
    }
}

#endif
