/* backends/gpu/lower_product.h: stages of kernels/product.k, for all lowerings that need a product. */
#ifndef RV_GPU_LOWER_PRODUCT_H
#define RV_GPU_LOWER_PRODUCT_H

#include "backends/gpu/lowerings.h"

/* What kernels/product.k calls PRODUCT_SIDE_BY_SIDE and so on. */
typedef enum rv_gpu_product_kind { RV_GPU_SIDE_BY_SIDE, RV_GPU_BACK, RV_GPU_PAIR } rv_gpu_product_kind;

/* Which of its functions: one for slices, or tiles of the size that suits; those of the weights' gradients. */
typedef enum rv_gpu_product_form { RV_GPU_SLICES, RV_GPU_TILES, RV_GPU_WEIGHTS } rv_gpu_product_form;

/* A stage without operands: `blocks` blocks of `cols` columns each; extra and attributes.i[2] are set. */
rv_gpu_stage *rv_gpu_product_add(rv_gpu_stages *stages, rv_gpu_product_kind kind, int64_t blocks, int64_t cols);

/* Its function and its parts: `rows` rows of every block, `last` columns of a last block behind the others. */
void rv_gpu_product_grid(const rv_gpu *gpu, rv_gpu_stage *stage, int64_t rows, int64_t last, rv_gpu_product_form form);

/* A weights' gradient in tiles; and with tiles of another one's size, the bits are the same. */
bool rv_gpu_is_weights(const rv_gpu_stage *stage);
void rv_gpu_weights_like(rv_gpu_stage *stage, const rv_gpu_stage *other);

#endif
