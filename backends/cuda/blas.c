/* backends/cuda/blas.c: large products by cuBLAS: full float32, the same bits every time.
 *
 * What makes the bits stay: one handle, a workspace of ours (not of a pool whose size changes), no atomics, pedantic
 * math (no TF32, whatever the environment says), and always the same stream at a time.
 */
#include "backends/cuda/cuda.h"

#include <limits.h>
#include <stdio.h>

/* Multiply-adds from which a product goes to the library. An estimate, not yet measured: below it the launch costs
 * as much as the work, and our kernels are fused with what follows. */
static const double large_product = 1 << 22;

/* What NVIDIA recommends for compute capability 9.0; more than enough for older ones. */
enum { WORKSPACE_BYTES = 32 << 20 };

/* Said once: from now on our kernels do everything. */
static void do_without(rv_cuda *cuda, const char *why) {
    char text[256];
    snprintf(text, sizeof text, "cuda:%d: %s; reverie's own kernels do large products, too", cuda->ordinal, why);
    cuda->services.log(cuda->services.user, RV_LOG_INFO, text);
    cuda->blas.products = RV_CUDA_PRODUCTS_OURS;
}

static rv_status check_blas(rv_cuda *cuda, unsigned result, const char *call, rv_error *error) {
    if (result == 0) return RV_OK;
    if (result == 3) { /* CUBLAS_STATUS_ALLOC_FAILED */
        return cuda->services.fail(error, RV_OUT_OF_MEMORY, "cuda:%d: %s found no memory on the device", cuda->ordinal, call);
    }
    if (result == 13) { /* CUBLAS_STATUS_EXECUTION_FAILED: the driver knows more */
        const rv_status status = RV_CUDA_CALL(cuda, error, cuStreamSynchronize, cuda->stream);
        if (status != RV_OK) return status;
    }
    return cuda->services.fail(error, RV_INTERNAL, "cuda:%d: %s failed with status %u; \"cuda:%d,cublas=off\" does without cuBLAS",
                               cuda->ordinal, call, result, cuda->ordinal);
}

#define BLAS(cuda, error, name, ...) check_blas((cuda), (cuda)->blas.entries.name(__VA_ARGS__), #name, (error))

static rv_status start(rv_cuda *cuda, rv_error *error) {
    rv_cuda_blas *blas = &cuda->blas;
    const unsigned created = blas->entries.cublasCreate_v2(&blas->handle);
    if (created == 1) { /* CUBLAS_STATUS_NOT_INITIALIZED: a library and a driver that do not fit each other */
        do_without(cuda, "cuBLAS is there but does not start with this driver");
        return RV_OK;
    }
    rv_status status = check_blas(cuda, created, "cublasCreate_v2", error);
    if (status == RV_OK) status = BLAS(cuda, error, cublasSetMathMode, blas->handle, RV_CUBLAS_PEDANTIC_MATH);
    if (status == RV_OK) status = BLAS(cuda, error, cublasSetAtomicsMode, blas->handle, RV_CUBLAS_ATOMICS_NOT_ALLOWED);
    if (status == RV_OK) status = rv_cuda_memory(cuda, WORKSPACE_BYTES, &blas->workspace, error);
    if (status != RV_OK) rv_cuda_blas_close(cuda);
    return status;
}

static rv_status open_library(rv_cuda *cuda, rv_error *error) {
    if (cuda->blas.handle) return RV_OK;
    if (!cuda->blas.entries.library && !rv_cuda_load_cublas(&cuda->blas.entries)) {
        do_without(cuda, "no cuBLAS (libcublas.so.13, .12 or .11; the CUDA toolkit has it)");
        return RV_OK;
    }
    return start(cuda, error);
}

static bool fits(int64_t x) { return x > 0 && x <= INT_MAX; }

rv_status rv_cuda_blas_takes(rv_cuda *cuda, const rv_gpu_gemm *gemm, bool *takes, rv_error *error) {
    const rv_cuda_products products = cuda->blas.products;
    *takes = false;
    if (!gemm->valid || products == RV_CUDA_PRODUCTS_OURS) return RV_OK;
    if (!fits(gemm->m) || !fits(gemm->n) || !fits(gemm->k)) return RV_OK;
    const double work = (double)gemm->m * (double)gemm->n * (double)gemm->k;
    if (products == RV_CUDA_PRODUCTS_LARGE && work < large_product) return RV_OK;
    const rv_status status = open_library(cuda, error);
    *takes = status == RV_OK && cuda->blas.handle;
    return status;
}

/* Choosing a stream gives the library its own workspace back, so ours is set again each time. */
rv_status rv_cuda_blas_stream(rv_cuda *cuda, CUstream stream, rv_error *error) {
    rv_cuda_blas *blas = &cuda->blas;
    if (!blas->handle) return RV_OK;
    const rv_status status = BLAS(cuda, error, cublasSetStream_v2, blas->handle, stream);
    if (status != RV_OK) return status;
    return BLAS(cuda, error, cublasSetWorkspace_v2, blas->handle, (void *)(uintptr_t)blas->workspace, WORKSPACE_BYTES);
}

static float *address(const rv_operand *operand, CUdeviceptr scratch) {
    const CUdeviceptr base = operand->buffer == RV_GPU_SCRATCH ? scratch : operand->buffer->memory;
    return (float *)(uintptr_t)(base + sizeof(float) * operand->offset);
}

/* The library reads columns where we have rows: it sees every matrix transposed, and C' = op(B)' op(A)'. */
rv_status rv_cuda_blas_run(rv_cuda *cuda, const rv_gpu_gemm *gemm, CUdeviceptr scratch, rv_error *error) {
    static const float one = 1.0f, zero = 0.0f;
    const unsigned op_a = gemm->transpose_a ? RV_CUBLAS_OP_T : RV_CUBLAS_OP_N, op_b = gemm->transpose_b ? RV_CUBLAS_OP_T : RV_CUBLAS_OP_N;
    return BLAS(cuda, error, cublasSgemm_v2, cuda->blas.handle, op_b, op_a, (int)gemm->n, (int)gemm->m, (int)gemm->k, &one,
                address(&gemm->b, scratch), (int)gemm->b.stride, address(&gemm->a, scratch), (int)gemm->a.stride, &zero,
                address(&gemm->c, scratch), (int)gemm->c.stride);
}

void rv_cuda_blas_close(rv_cuda *cuda) {
    rv_cuda_blas *blas = &cuda->blas;
    if (blas->handle) blas->entries.cublasDestroy_v2(blas->handle);
    if (blas->workspace) cuda->driver.cuMemFree_v2(blas->workspace);
    blas->handle = NULL;
    blas->workspace = 0;
}
