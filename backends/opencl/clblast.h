/* backends/opencl/clblast.h: CLBlast's single-precision product, with the resource string "opencl:N,clblast=on".
 *
 * Its entry points are declared here and looked up at run time, so the module neither needs it to build nor to open.
 * CLBlast keeps compiled kernels for the whole process; one lock stands around every call.
 *
 * Off unless asked for: on PoCL 3.1 it takes 1.5 to 3 times as long as our tiles at 1024 x 1024 x 1024 (reverie-bench
 * --device opencl:0,clblast=on --case matmul/nn), and on a GPU it has not been measured yet. Our kernels also give the same
 * bits whether a product is enqueued alone or together with others.
 */
#ifndef RV_BACKENDS_OPENCL_CLBLAST_H
#define RV_BACKENDS_OPENCL_CLBLAST_H

#include "backends/gpu/gpu.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

/* As clblast_c.h declares them: layout and transpositions are enums, a status is negative like a cl_int. */
typedef int (*rv_clblast_sgemm_fn)(int layout, int transpose_a, int transpose_b, size_t m, size_t n, size_t k, float alpha,
                                   cl_mem a, size_t a_offset, size_t a_stride, cl_mem b, size_t b_offset, size_t b_stride,
                                   float beta, cl_mem c, size_t c_offset, size_t c_stride, cl_command_queue *queue,
                                   cl_event *event, cl_mem temporary);
typedef int (*rv_clblast_temporary_fn)(int layout, int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                                       size_t a_offset, size_t a_stride, size_t b_offset, size_t b_stride, size_t c_offset,
                                       size_t c_stride, cl_command_queue *queue, size_t *bytes);
typedef int (*rv_clblast_clear_fn)(void);

typedef struct rv_clblast {
    void *library; /* NULL: not there */
    rv_clblast_sgemm_fn sgemm;
    rv_clblast_temporary_fn temporary;
    rv_clblast_clear_fn clear;
    bool used;
} rv_clblast;

/* False: not installed, or too old. */
bool rv_clblast_open(rv_clblast *clblast);
void rv_clblast_close(rv_clblast *clblast);

/* Bytes of memory that the product needs beside its operands. Both answer like OpenCL calls. */
cl_int rv_clblast_temporary(rv_clblast *clblast, const rv_gpu_gemm *gemm, cl_command_queue queue, size_t *bytes);
cl_int rv_clblast_enqueue(rv_clblast *clblast, const rv_gpu_gemm *gemm, cl_command_queue queue, cl_mem temporary);

#endif
