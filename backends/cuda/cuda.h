/* backends/cuda/cuda.h: what the files of this backend share.
 *
 *     cuda.c     the table: opening, closing, listing
 *     driver.c   finding the libraries        errors.c   what their errors mean
 *     memory.c   buffers, copies              compile.c  text to image, no device needed
 *     module.c   images on the device         program.c  launches, captured once, replayed
 *     blas.c     large products
 */
#ifndef RV_CUDA_CUDA_H
#define RV_CUDA_CUDA_H

#include "backends/cuda/compile.h"
#include "backends/cuda/driver.h"
#include "backends/gpu/cache.h"
#include "backends/gpu/gpu.h"

/* ---- the device ------------------------------------------------------------------------------------------- */

/* An image on the device, kept by a hash of its text. Those that no program uses stay for a while. */
typedef struct rv_cuda_module {
    rv_gpu_key key;
    CUmodule module;
    int users;
    uint64_t used; /* when it was last asked for */
} rv_cuda_module;

/* Copies go through page-locked memory, so that none is ever under way from or to the caller's. Uploads fill two
 * parts in turns, one while the device may still read the other; downloads have the third. */
enum { RV_CUDA_STAGES = 2, RV_CUDA_STAGE_BYTES = 1 << 20 };
typedef struct rv_cuda_staging {
    char *memory; /* (RV_CUDA_STAGES + 1) * RV_CUDA_STAGE_BYTES */
    CUevent left[RV_CUDA_STAGES]; /* recorded when a part is full */
    int stage;
    size_t filled;
} rv_cuda_staging;

typedef enum rv_cuda_products { RV_CUDA_PRODUCTS_LARGE, RV_CUDA_PRODUCTS_OURS, RV_CUDA_PRODUCTS_LIBRARY } rv_cuda_products;

typedef struct rv_cuda_blas {
    rv_cuda_cublas entries;
    cublasHandle_t handle;
    CUdeviceptr workspace;
    rv_cuda_products products; /* which products the library does */
} rv_cuda_blas;

typedef struct rv_cuda {
    rv_services services;
    rv_cuda_driver driver;
    rv_cuda_nvrtc nvrtc;
    rv_cuda_blas blas;
    rv_gpu_cache cache;
    rv_gpu gpu;
    CUdevice device;
    int ordinal, major, minor, cuda_version;
    char device_name[128];
    size_t memory_bytes;
    bool retained; /* context is the device's primary one; else the host program's, as is stream */
    CUcontext context;
    CUstream stream;  /* everything runs in it, in order */
    CUstream capture; /* programs are recorded on it; nothing ever runs there */
    rv_cuda_staging staging;
    rv_cuda_module **modules;
    int module_count, module_capacity;
    uint64_t clock;
    char lost[200]; /* what lost the device; "" while it lives */
} rv_cuda;

struct rv_buffer {
    CUdeviceptr memory;
    size_t bytes;
    bool owned;
};

/* ---- errors ------------------------------------------------------------------------------------------------- */

/* RV_OK, or the status of a driver's answer with a message that names the call and the error. Answers after which a
 * context is useless mark the device as lost. error NULL: only the mark. */
rv_status rv_cuda_check(rv_cuda *cuda, rv_cu_result result, const char *call, rv_error *error);

/* The status of a driver's answer alone; *lost: the context is useless from now on. */
rv_status rv_cuda_status(rv_cu_result result, bool *lost);

/* Everything on the device happens between these two; any thread may do it. Enter answers DEVICE_LOST on a lost
 * device; leave only after an enter that answered RV_OK. */
rv_status rv_cuda_enter(rv_cuda *cuda, rv_error *error);
void rv_cuda_leave(rv_cuda *cuda);

/* The same where things are torn down: false where nothing can be reached any more but host memory. */
bool rv_cuda_enter_quietly(rv_cuda *cuda);

/* status = RV_CUDA_CALL(cuda, error, cuMemAlloc_v2, &memory, bytes) */
#define RV_CUDA_CALL(cuda, error, name, ...) rv_cuda_check((cuda), (cuda)->driver.name(__VA_ARGS__), #name, (error))

/* ---- memory ------------------------------------------------------------------------------------------------- */

rv_status rv_cuda_staging_open(rv_cuda *cuda, rv_error *error);
void rv_cuda_staging_close(rv_cuda *cuda);

/* Device memory of at least one byte, not zeroed. OUT_OF_MEMORY says how much there was. */
rv_status rv_cuda_memory(rv_cuda *cuda, size_t bytes, CUdeviceptr *memory, rv_error *error);

rv_status rv_cuda_allocate(void *state, size_t bytes, rv_error *error, rv_buffer **buffer);
rv_status rv_cuda_wrap(void *state, void *memory, size_t bytes, rv_error *error, rv_buffer **buffer);
void rv_cuda_release(void *state, rv_buffer *buffer);
rv_status rv_cuda_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, const void *data, rv_error *error);
rv_status rv_cuda_download(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count, void *data, rv_error *error);
rv_status rv_cuda_fill(void *state, rv_buffer *buffer, size_t offset, size_t bytes, int byte, rv_error *error);
rv_status rv_cuda_sync(void *state, rv_error *error);
void *rv_cuda_native(void *state, rv_buffer *buffer);

/* ---- modules -------------------------------------------------------------------------------------------------- */

/* Whether programs can be had: NVRTC is there, or once was and left its images in the cache. */
bool rv_cuda_can_build(rv_cuda *cuda);

/* The program of a text: on the device already, else from the disk, else compiled. Give it back when done.
 * Errors: BUILD_FAILED with the compiler's log, OUT_OF_MEMORY, DEVICE_LOST. */
rv_status rv_cuda_module_get(rv_cuda *cuda, const rv_gpu_source *source, rv_error *error, rv_cuda_module **module);
void rv_cuda_module_put(rv_cuda *cuda, rv_cuda_module *module);
void rv_cuda_modules_close(rv_cuda *cuda);

/* ---- products -------------------------------------------------------------------------------------------------- */

/* Whether cuBLAS does this product; the first large one loads it. Where there is none our kernels do all, and the log
 * says so once. Errors: OUT_OF_MEMORY, DEVICE_LOST. */
rv_status rv_cuda_blas_takes(rv_cuda *cuda, const rv_gpu_gemm *gemm, bool *takes, rv_error *error);

/* Directs what follows to a stream. */
rv_status rv_cuda_blas_stream(rv_cuda *cuda, CUstream stream, rv_error *error);
rv_status rv_cuda_blas_run(rv_cuda *cuda, const rv_gpu_gemm *gemm, CUdeviceptr scratch, rv_error *error);
void rv_cuda_blas_close(rv_cuda *cuda);

/* ---- programs -------------------------------------------------------------------------------------------------- */

rv_status rv_cuda_prepare(void *state, const rv_launch *launches, int64_t count, rv_error *error, rv_program **program);
rv_status rv_cuda_run(void *state, rv_program *program, int64_t first, int64_t count, rv_error *error);
void rv_cuda_release_program(void *state, rv_program *program);
int64_t rv_cuda_dispatches(void *state, const rv_program *program);

/* ---- host memory ------------------------------------------------------------------------------------------------ */

/* Zeroed; NULL where there is none or count * size overflows. */
void *rv_cuda_host(const rv_services *services, size_t count, size_t size);
void rv_cuda_host_free(const rv_services *services, void *memory);

#endif
