/* core/array.c: storage that outlives graphs. */
#include "core/internal.h"

static const char *const dtype_names[] = {"f32", "i32", "u8"};

static rv_status check_shape(rv_array *array, rv_dtype dtype, int64_t rows, int64_t cols, size_t *bytes) {
    if ((unsigned)dtype > RV_U8) return rv_fail(&array->error, RV_INVALID_ARGUMENT, "array %s: type %d is none of f32, i32, u8", array->name, (int)dtype);
    if (rows < 0 || cols < 1) {
        return rv_fail(&array->error, RV_INVALID_ARGUMENT, "array %s: shape [%lld, %lld] needs rows >= 0 and cols >= 1", array->name,
                       (long long)rows, (long long)cols);
    }
    size_t count;
    if (!rv_mul_size((size_t)rows, (size_t)cols, &count) || !rv_mul_size(count, array->device->caps.element_bytes[dtype], bytes) ||
        *bytes > PTRDIFF_MAX) {
        return rv_fail(&array->error, RV_TOO_LARGE, "array %s: [%lld, %lld] %s is more than memory can be addressed", array->name,
                       (long long)rows, (long long)cols, dtype_names[dtype]);
    }
    return RV_OK;
}

static rv_status make(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols, const char *name, void *memory, bool wrap,
                      rv_array **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_array *array = rv_alloc(device, 1, sizeof *array);
    if (!array) return rv_fail(&device->error, RV_OUT_OF_MEMORY, "array %s: no memory for its handle", name ? name : "");
    *out = array;
    rv_device_retain(device);
    array->device = device;
    array->dtype = dtype;
    array->references = 1;
    array->name = rv_copy_text(device, name ? name : "");
    if (!array->name) return rv_fail(&array->error, RV_OUT_OF_MEMORY, "array %s: no memory for its name", name);
    if (!device->backend) return rv_fail(&array->error, RV_WRONG_STATE, "array %s: the device did not open: %.400s", array->name, device->error.text);

    size_t bytes;
    rv_status status = check_shape(array, dtype, rows, cols, &bytes);
    if (status != RV_OK) return status;
    if (wrap && !memory) return rv_fail(&array->error, RV_INVALID_ARGUMENT, "array %s: memory is NULL", array->name);
    array->rows = rows;
    array->cols = cols;
    if (wrap) return device->backend->wrap(device->state, memory, bytes, &array->error, &array->buffer);
    return device->backend->allocate(device->state, bytes, &array->error, &array->buffer);
}

rv_status rv_array_create(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols, const char *name, rv_array **array) {
    return make(device, dtype, rows, cols, name, NULL, false, array);
}

rv_status rv_array_wrap(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols, const char *name, void *memory,
                        rv_array **array) {
    return make(device, dtype, rows, cols, name, memory, true, array);
}

void rv_array_retain(rv_array *array) { array->references++; }

static void drop_memory(rv_array *array) {
    rv_device *device = array->device;
    if (!array->buffer) return;
    rv_error ignored;
    device->backend->sync(device->state, &ignored); /* a run in flight may still use it */
    device->backend->release(device->state, array->buffer);
    array->buffer = NULL;
}

void rv_array_release(rv_array *array) {
    if (--array->references > 0) return;
    rv_device *device = array->device;
    rv_free(device, array->name);
    rv_free(device, array);
    rv_device_release(device);
}

void rv_array_destroy(rv_array *array) {
    if (!array || array->gone) return;
    drop_memory(array);
    array->gone = true;
    array->device->arrays_gone++;
    rv_array_release(array);
}

static rv_status check_rows(rv_array *array, const char *what, int64_t first, int64_t count, const void *data) {
    if (array->gone) return rv_fail(&array->error, RV_OBJECT_GONE, "%s: the array was destroyed", what);
    if (!array->buffer) return array->error.status;
    if (first < 0 || count < 0 || first > array->rows || count > array->rows - first) {
        return rv_fail(&array->error, RV_INVALID_ARGUMENT, "%s %s: rows [%lld, %lld + %lld) are outside its %lld rows", what, array->name,
                       (long long)first, (long long)first, (long long)count, (long long)array->rows);
    }
    if (!data && count > 0) return rv_fail(&array->error, RV_INVALID_ARGUMENT, "%s %s: data is NULL", what, array->name);
    return RV_OK;
}

rv_status rv_array_write(rv_array *array, int64_t first, int64_t count, const void *data) {
    if (!array) return RV_INVALID_ARGUMENT;
    rv_status status = check_rows(array, "rv_array_write", first, count, data);
    if (status != RV_OK || count == 0) return status;
    rv_device *device = array->device;
    return device->backend->upload(device->state, array->buffer, array->dtype, (size_t)(first * array->cols),
                                   (size_t)(count * array->cols), data, &array->error);
}

rv_status rv_array_read(rv_array *array, int64_t first, int64_t count, void *data) {
    if (!array) return RV_INVALID_ARGUMENT;
    rv_status status = check_rows(array, "rv_array_read", first, count, data);
    if (status != RV_OK || count == 0) return status;
    rv_device *device = array->device;
    return device->backend->download(device->state, array->buffer, array->dtype, (size_t)(first * array->cols),
                                     (size_t)(count * array->cols), data, &array->error);
}

rv_status rv_array_native(rv_array *array, void **handle) {
    if (handle) *handle = NULL;
    if (!array || !handle) return RV_INVALID_ARGUMENT;
    const rv_status status = check_rows(array, "rv_array_native", 0, 0, NULL);
    if (status != RV_OK) return status;
    rv_device *device = array->device;
    if (device->backend->native) *handle = device->backend->native(device->state, array->buffer);
    if (*handle) return RV_OK;
    return rv_fail(&array->error, RV_UNSUPPORTED, "rv_array_native %s: %s gives no handle of its memory; read and write the array, or "
                                                  "wrap memory of your own by rv_array_wrap", array->name, device->caps.name);
}

const char *rv_array_message(const rv_array *array) { return array ? array->error.text : "no array"; }
const char *rv_array_name(const rv_array *array) { return array ? array->name : ""; }
rv_device *rv_array_device(const rv_array *array) { return array ? array->device : NULL; }
rv_dtype rv_array_dtype(const rv_array *array) { return array ? array->dtype : RV_F32; }
int64_t rv_array_rows(const rv_array *array) { return array ? array->rows : 0; }
int64_t rv_array_cols(const rv_array *array) { return array ? array->cols : 0; }
