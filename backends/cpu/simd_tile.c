/* backends/cpu/simd_tile.c: see simd_tile.h. */
#include "backends/cpu/simd_tile.h"

/* rows and vectors are literals in every copy: the sums stay in registers. */
INLINE void run(const tile *t, const int rows, const int vectors) {
    vf sum[14][3];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vset(0);
    const float *b = t->b;
    const int64_t b_stride = t->b_stride, b_gap = t->b_gap;
    for (int p = 0; p < t->parts; p++) {
        const float *a = t->part[p].a;
        const int64_t row_stride = t->part[p].row_stride, k_stride = t->part[p].k_stride;
        for (int64_t k = t->part[p].depth; k > 0; k--) {
            vf column[3];
            UNROLL for (int j = 0; j < vectors; j++) column[j] = vload(b + j * b_gap);
            UNROLL for (int i = 0; i < rows; i++) {
                const vf x = vset(a[i * row_stride]);
                UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vfma(x, column[j], sum[i][j]);
            }
            a += k_stride;
            b += b_stride;
        }
    }
    vf bias[3];
    UNROLL for (int j = 0; j < vectors; j++) bias[j] = t->bias ? vload(t->bias + j * t->bias_gap) : vset(0);
    UNROLL for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_stride;
        UNROLL for (int j = 0; j < vectors; j++) {
            const vf before = t->add ? vload(c + j * LANES) : bias[j];
            vstore(c + j * LANES, before + sum[i][j]);
        }
    }
}

#define SMALL(X) X(1) X(2) X(3) X(4)
#define MIDDLE(X) X(5) X(6)
#define LARGE(X) X(7) X(8)
#define HUGE_(X) X(9) X(10) X(11) X(12) X(13) X(14)

#define COPY1(n) static void tile##n##x1(const tile *t) { run(t, n, 1); }
#define COPY2(n) static void tile##n##x2(const tile *t) { run(t, n, 2); }
#define COPY3(n) static void tile##n##x3(const tile *t) { run(t, n, 3); }
#define NAME1(n) tile##n##x1,
#define NAME2(n) tile##n##x2,
#define NAME3(n) tile##n##x3,

SMALL(COPY1) SMALL(COPY2) SMALL(COPY3) MIDDLE(COPY1) MIDDLE(COPY2)
#if defined(__AVX512F__)
MIDDLE(COPY3) LARGE(COPY1) LARGE(COPY2) LARGE(COPY3) HUGE_(COPY1) HUGE_(COPY2)
#endif

static void (*const tiles[3][TILE_ROWS])(const tile *) = {
#if defined(__AVX512F__)
    {SMALL(NAME1) MIDDLE(NAME1) LARGE(NAME1) HUGE_(NAME1)},
    {SMALL(NAME2) MIDDLE(NAME2) LARGE(NAME2) HUGE_(NAME2)},
    {SMALL(NAME3) MIDDLE(NAME3) LARGE(NAME3)},
#else
    {SMALL(NAME1) MIDDLE(NAME1)},
    {SMALL(NAME2) MIDDLE(NAME2)},
    {SMALL(NAME3)},
#endif
};

void RV_NAME(rv_tile)(const tile *tile, int rows, int vectors) { tiles[vectors - 1][rows - 1](tile); }
