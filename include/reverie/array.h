/* reverie/array.h: storage on a device that outlives graphs.
 *
 *     rv_array *x;
 *     rv_array_create(device, RV_F32, 64, 4, "x", &x);
 *     rv_array_write(x, 0, 64, host);              // 64 * 4 floats
 *     ...
 *     rv_array_read(x, 0, 64, host);               // waits for the device
 *     rv_array_destroy(x);
 *
 * An array has rows and columns, row-major, without gaps. Weights, optimiser state,
 * data, counters, whatever a plan reads and what it leaves behind are arrays.
 */
#ifndef REVERIE_ARRAY_H
#define REVERIE_ARRAY_H

#include "reverie/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_dtype { RV_F32 = 0, RV_I32 = 1, RV_U8 = 2 } rv_dtype;

typedef struct rv_array rv_array;

/* Creates a zeroed array [rows, cols]; zero rows are fine, zero columns are not.
 * On failure *array still holds the message and must be destroyed.
 * Errors: INVALID_ARGUMENT, TOO_LARGE, OUT_OF_MEMORY. */
RV_API rv_status rv_array_create(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols, const char *name,
                                 rv_array **array);

/* The same over memory the caller owns and keeps alive: host memory on CPU devices (64-byte aligned; on cpu:double
 * f32 is held as double there), a cl_mem of the device's context on OpenCL, a CUdeviceptr as a pointer on CUDA.
 * Errors: as above, UNSUPPORTED where the device cannot reach the memory. */
RV_API rv_status rv_array_wrap(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols, const char *name,
                               void *memory, rv_array **array);

/* Destroys the array. A plan that needs it answers OBJECT_GONE from then on. NULL is fine. */
RV_API void rv_array_destroy(rv_array *array);

/* Copies rows [first, first + count) from / to host memory of the array's type
 * (float, int32_t, uint8_t), count * cols elements. Reading waits; writing does not keep `data`. */
RV_API rv_status rv_array_write(rv_array *array, int64_t first, int64_t count, const void *data);
RV_API rv_status rv_array_read(rv_array *array, int64_t first, int64_t count, void *data);

/* The memory as its own API knows it: host memory on CPU devices (*handle a pointer), a cl_mem on OpenCL, a CUdeviceptr
 * on CUDA. Work already given to the device may still be writing it: queue behind it, or rv_device_sync first.
 * Errors: UNSUPPORTED. */
RV_API rv_status rv_array_native(rv_array *array, void **handle);

RV_API const char *rv_array_message(const rv_array *array);
RV_API const char *rv_array_name(const rv_array *array);
RV_API rv_device *rv_array_device(const rv_array *array);
RV_API rv_dtype rv_array_dtype(const rv_array *array);
RV_API int64_t rv_array_rows(const rv_array *array);
RV_API int64_t rv_array_cols(const rv_array *array);

#ifdef __cplusplus
}
#endif
#endif
