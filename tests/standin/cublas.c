/* tests/standin/cublas.c: the product that the CUDA backend asks cuBLAS for, in plain loops, strict about the settings
 * that make its bits stay. See standin.h.
 */
#include <stdlib.h>

#include "tests/standin/standin.h"

#define DECLARE(name, arguments) STANDIN_API unsigned name arguments;
RV_CUBLAS_LIST(DECLARE)

enum { CUBLAS_SUCCESS = 0, CUBLAS_ALLOC_FAILED = 3, CUBLAS_INVALID_VALUE = 7, CUBLAS_NOT_SUPPORTED = 15 };

struct cublasContext {
    CUstream stream;
    void *workspace;
    unsigned math, atomics;
};

unsigned cublasCreate_v2(cublasHandle_t *handle) {
    *handle = calloc(1, sizeof **handle);
    if (!*handle) return CUBLAS_ALLOC_FAILED;
    standin_made(1);
    return CUBLAS_SUCCESS;
}

unsigned cublasDestroy_v2(cublasHandle_t handle) {
    free(handle);
    standin_made(-1);
    return CUBLAS_SUCCESS;
}

unsigned cublasGetVersion_v2(cublasHandle_t handle, int *version) {
    (void)handle;
    *version = 130000;
    return CUBLAS_SUCCESS;
}

unsigned cublasSetStream_v2(cublasHandle_t handle, CUstream stream) {
    handle->stream = stream;
    handle->workspace = NULL; /* as documented: back to the library's own */
    return CUBLAS_SUCCESS;
}

unsigned cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    if (!standin_is_memory(standin_current(), workspace, bytes)) return CUBLAS_INVALID_VALUE;
    handle->workspace = workspace;
    return CUBLAS_SUCCESS;
}

unsigned cublasSetMathMode(cublasHandle_t handle, rv_cu_choice mode) {
    handle->math = mode;
    return CUBLAS_SUCCESS;
}

unsigned cublasSetAtomicsMode(cublasHandle_t handle, rv_cu_choice mode) {
    handle->atomics = mode;
    return CUBLAS_SUCCESS;
}

typedef struct product {
    bool turn_a, turn_b;
    int m, n, k, lda, ldb, ldc;
    const float *a, *b;
    float *c;
    float alpha, beta;
} product;

static unsigned multiply(void *data) {
    const product *p = data;
    for (int j = 0; j < p->n; j++) {
        for (int i = 0; i < p->m; i++) {
            double sum = 0;
            for (int l = 0; l < p->k; l++) {
                const float a = p->turn_a ? p->a[l + (size_t)i * (size_t)p->lda] : p->a[i + (size_t)l * (size_t)p->lda];
                const float b = p->turn_b ? p->b[j + (size_t)l * (size_t)p->ldb] : p->b[l + (size_t)j * (size_t)p->ldb];
                sum += (double)a * (double)b;
            }
            float *c = &p->c[i + (size_t)j * (size_t)p->ldc];
            *c = p->alpha * (float)sum + (p->beta == 0.0f ? 0.0f : p->beta * *c);
        }
    }
    return standin_guards_hold() ? STANDIN_SUCCESS : STANDIN_ILLEGAL_ADDRESS;
}

unsigned cublasSgemm_v2(cublasHandle_t handle, rv_cu_choice op_a, rv_cu_choice op_b, int m, int n, int k, const float *alpha,
                        const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
    if (handle->math != RV_CUBLAS_PEDANTIC_MATH || handle->atomics != RV_CUBLAS_ATOMICS_NOT_ALLOWED || !handle->workspace) {
        return CUBLAS_NOT_SUPPORTED;
    }
    if (m < 1 || n < 1 || k < 1 || op_a > 1 || op_b > 1) return CUBLAS_INVALID_VALUE;
    if (lda < (op_a ? k : m) || ldb < (op_b ? n : k) || ldc < m) return CUBLAS_INVALID_VALUE;
    product *p = malloc(sizeof *p);
    if (!p) return CUBLAS_ALLOC_FAILED;
    *p = (product){op_a, op_b, m, n, k, lda, ldb, ldc, a, b, c, *alpha, *beta};
    return standin_enqueue(handle->stream, multiply, p);
}
