/* backends/opencl/clblast.c: CLBlast's single-precision product, loaded at run time. */
#include "backends/opencl/clblast.h"

#include <dlfcn.h>
#include <pthread.h>

#include "backends/opencl/opencl.h"

enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* around what CLBlast keeps for the whole process */

bool rv_clblast_open(rv_clblast *clblast) {
    *clblast = (rv_clblast){.library = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL)};
    if (!clblast->library) return false;
    clblast->sgemm = (rv_clblast_sgemm_fn)dlsym(clblast->library, "CLBlastSgemmWithTempBuffer");
    clblast->temporary = (rv_clblast_temporary_fn)dlsym(clblast->library, "CLBlastSGemmTempBufferSize");
    clblast->clear = (rv_clblast_clear_fn)dlsym(clblast->library, "CLBlastClearCache");
    if (clblast->sgemm && clblast->temporary && clblast->clear) return true;
    rv_clblast_close(clblast);
    return false;
}

void rv_clblast_close(rv_clblast *clblast) {
    if (!clblast->library) return;
    if (clblast->used) {
        /* what it compiled keeps the device's context alive */
        pthread_mutex_lock(&lock);
        clblast->clear();
        pthread_mutex_unlock(&lock);
    }
    dlclose(clblast->library);
    *clblast = (rv_clblast){.library = NULL};
}

/* ---- calls ------------------------------------------------------------------------------------------- */

/* Between rows, at least a row long: an operand of one row may say anything. */
static size_t stride(const rv_operand *operand) {
    return (size_t)(operand->stride > operand->cols ? operand->stride : operand->cols);
}

static int transposition(bool transposed) { return transposed ? TRANSPOSED : NOT_TRANSPOSED; }

cl_int rv_clblast_temporary(rv_clblast *clblast, const rv_gpu_gemm *gemm, cl_command_queue queue, size_t *bytes) {
    pthread_mutex_lock(&lock);
    clblast->used = true;
    const int code = clblast->temporary(ROW_MAJOR, transposition(gemm->transpose_a), transposition(gemm->transpose_b), (size_t)gemm->m,
                                        (size_t)gemm->n, (size_t)gemm->k, gemm->a.offset, stride(&gemm->a), gemm->b.offset,
                                        stride(&gemm->b), gemm->c.offset, stride(&gemm->c), &queue, bytes);
    pthread_mutex_unlock(&lock);
    return code;
}

cl_int rv_clblast_enqueue(rv_clblast *clblast, const rv_gpu_gemm *gemm, cl_command_queue queue, cl_mem temporary) {
    pthread_mutex_lock(&lock);
    const int code = clblast->sgemm(ROW_MAJOR, transposition(gemm->transpose_a), transposition(gemm->transpose_b), (size_t)gemm->m,
                                    (size_t)gemm->n, (size_t)gemm->k, 1, gemm->a.buffer->memory, gemm->a.offset, stride(&gemm->a),
                                    gemm->b.buffer->memory, gemm->b.offset, stride(&gemm->b), 0, gemm->c.buffer->memory,
                                    gemm->c.offset, stride(&gemm->c), &queue, NULL, temporary);
    pthread_mutex_unlock(&lock);
    return code;
}
