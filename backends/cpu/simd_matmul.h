/* backends/cpu/simd_matmul.h: products that several kernels use. */
#ifndef RV_BACKENDS_CPU_SIMD_MATMUL_H
#define RV_BACKENDS_CPU_SIMD_MATMUL_H

#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_tile.h"

/* y = activation([part0 | part1 ..] w + bias) */
typedef struct product {
    tile_part part[4]; /* k_stride 1 */
    int parts;
    int64_t depth, cols; /* of w */
    const float *w;
    int64_t w_stride;
    const float *packed; /* w in panels, NULL: read w itself */
    bool transposed;     /* w is [cols, depth] */
    const float *bias;   /* NULL: none */
    float *y, *slope;    /* slope: NULL where nobody wants it */
    int64_t y_stride, slope_stride;
    rv_activation activation;
    bool add; /* to what y holds; without slope, bias and activation */
} product;

void RV_NAME(rv_product_run)(const product *product, int64_t first, int64_t last, void *scratch);

int64_t RV_NAME(rv_pack_panels)(const rv_pack *pack);
size_t RV_NAME(rv_pack_size)(const rv_pack *pack);
void RV_NAME(rv_pack_run)(const rv_pack *pack, int64_t first, int64_t last);

void RV_NAME(rv_outer_matmul)(const rv_step *step, int64_t first, int64_t last, void *scratch);
void RV_NAME(rv_outer_matmul_finish)(const rv_step *step);
int64_t RV_NAME(rv_outer_matmul_pieces)(const rv_launch *launch);
int64_t RV_NAME(rv_outer_matmul_partials)(const rv_launch *launch);

#endif
