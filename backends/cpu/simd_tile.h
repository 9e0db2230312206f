/* backends/cpu/simd_tile.h: the register tile that every matrix product is made of.
 *
 *     c[0..rows)[0..vectors * LANES) = (add ? c : bias or 0) + sum over the parts, k in order, of a b
 *
 * Each output is one chain of multiply-adds over k, whatever the tile's shape, so cutting rows or
 * columns differently changes no bit. a is read one element at a time (any two strides), b in vectors.
 */
#ifndef RV_BACKENDS_CPU_SIMD_TILE_H
#define RV_BACKENDS_CPU_SIMD_TILE_H

#include "backends/cpu/fast.h"
#include "backends/cpu/simd.h"

#if defined(__AVX512F__)
enum { TILE_ROWS = 14, TILE_GATE_ROWS = 8 }; /* 28 or 24 of 32 registers hold sums */
#else
enum { TILE_ROWS = 6, TILE_GATE_ROWS = 4 }; /* 12 of 16 */
#endif
enum { PANEL = 2 * LANES };  /* columns of a tile */
enum { DEPTH = 256 };        /* k of one chain; longer sums add several chains: cache and accuracy */

typedef struct tile_part {
    const float *a; /* element (row, k) is a[row * row_stride + k * k_stride] */
    int64_t row_stride, k_stride, depth;
} tile_part;

typedef struct tile {
    tile_part part[4];
    int parts;
    const float *b; /* vector j of row k is at b[k * b_stride + j * b_gap] */
    int64_t b_stride, b_gap;
    float *c;
    int64_t c_stride;
    const float *bias; /* NULL: none */
    int64_t bias_gap;
    int add;
} tile;

/* rows 1 .. TILE_ROWS with 1 or 2 vectors, 1 .. TILE_GATE_ROWS with 3 */
void RV_NAME(rv_tile)(const tile *tile, int rows, int vectors);
#define tile_run RV_NAME(rv_tile)

/* Rows are cut into tiles of nearly equal height. */
INLINE int tile_height(int64_t left, int most) {
    const int64_t tiles = (left + most - 1) / most;
    return (int)((left + tiles - 1) / tiles);
}

#endif
