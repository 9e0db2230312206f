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
enum { PANEL_VECTORS = 4, TILE_ROWS = 14, TILE_GATE_ROWS = 8 };
#else
enum { PANEL_VECTORS = 2, TILE_ROWS = 6, TILE_GATE_ROWS = 4 };
#endif
enum { PANEL = PANEL_VECTORS * LANES }; /* columns that one row of tiles shares */

/* The most rows of a tile 1, 2 .. vectors wide: its sums take 24 of 32 registers, or 12 of 16. */
#if defined(__AVX512F__)
static const int tile_rows[] = {14, 9, TILE_GATE_ROWS, 6};
#else
static const int tile_rows[] = {TILE_ROWS, TILE_ROWS, TILE_GATE_ROWS};
#endif

enum { DEPTH = 256 }; /* k of one chain; longer sums add several chains: cache and accuracy */

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

/* rows 1 .. tile_rows[vectors - 1] */
void RV_NAME(rv_tile)(const tile *tile, int rows, int vectors);
#define tile_run RV_NAME(rv_tile)

/* Rows are cut into tiles of nearly equal height. */
INLINE int tile_height(int64_t left, int vectors) {
    const int most = tile_rows[vectors - 1];
    const int64_t tiles = (left + most - 1) / most;
    return (int)((left + tiles - 1) / tiles);
}

#endif
