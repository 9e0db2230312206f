/* backends/cpu/simd_tile.c: see simd_tile.h. */
#include "backends/cpu/simd_tile.h"

/* rows and vectors are literals in every copy: the sums stay in registers. */
INLINE void run(const tile *t, const int rows, const int vectors) {
    vf sum[TILE_ROWS][4];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vset(0);
    const float *b = t->b;
    const int64_t b_stride = t->b_stride, b_gap = t->b_gap;
    for (int p = 0; p < t->parts; p++) {
        const float *a = t->part[p].a;
        const int64_t row_stride = t->part[p].row_stride, k_stride = t->part[p].k_stride;
        for (int64_t k = t->part[p].depth; k > 0; k--) {
            vf column[4];
            UNROLL for (int j = 0; j < vectors; j++) column[j] = vload(b + j * b_gap);
            UNROLL for (int i = 0; i < rows; i++) {
                const vf x = vset(a[i * row_stride]);
                UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vfma(x, column[j], sum[i][j]);
            }
            a += k_stride;
            b += b_stride;
        }
    }
    vf bias[4];
    UNROLL for (int j = 0; j < vectors; j++) bias[j] = t->bias ? vload(t->bias + j * t->bias_gap) : vset(0);
    UNROLL for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_stride;
        UNROLL for (int j = 0; j < vectors; j++) {
            const vf before = t->add ? vload(c + j * LANES) : bias[j];
            vstore(c + j * LANES, before + sum[i][j]);
        }
    }
}

#define UP_TO_4(X, n) X(1, n) X(2, n) X(3, n) X(4, n)
#define UP_TO_6(X, n) UP_TO_4(X, n) X(5, n) X(6, n)
#define UP_TO_8(X, n) UP_TO_6(X, n) X(7, n) X(8, n)
#define UP_TO_9(X, n) UP_TO_8(X, n) X(9, n)
#define UP_TO_14(X, n) UP_TO_9(X, n) X(10, n) X(11, n) X(12, n) X(13, n) X(14, n)

#define COPY(rows, vectors) static void tile##rows##x##vectors(const tile *t) { run(t, rows, vectors); }
#define NAME(rows, vectors) tile##rows##x##vectors,

#if defined(__AVX512F__)
UP_TO_14(COPY, 1) UP_TO_9(COPY, 2) UP_TO_8(COPY, 3) UP_TO_6(COPY, 4)
static void (*const tiles[][TILE_ROWS])(const tile *) = {{UP_TO_14(NAME, 1)}, {UP_TO_9(NAME, 2)}, {UP_TO_8(NAME, 3)}, {UP_TO_6(NAME, 4)}};
#else
UP_TO_6(COPY, 1) UP_TO_6(COPY, 2) UP_TO_4(COPY, 3)
static void (*const tiles[][TILE_ROWS])(const tile *) = {{UP_TO_6(NAME, 1)}, {UP_TO_6(NAME, 2)}, {UP_TO_4(NAME, 3)}};
#endif

void RV_NAME(rv_tile)(const tile *tile, int rows, int vectors) { tiles[vectors - 1][rows - 1](tile); }
