/* backends/cuda/compile.h: kernel text to an image, with NVRTC; needs neither driver nor device.
 *
 *     rv_cuda_nvrtc nvrtc;
 *     if (rv_cuda_load_nvrtc(&nvrtc)) {
 *         rv_cuda_image image;
 *         rv_status status = rv_cuda_compile(&services, &nvrtc, 90, "family map", text, &image, &error);
 *         ... image.data, image.bytes; image.log says what the compiler said, also on failure ...
 *         rv_cuda_image_free(&services, &image);
 *     }
 */
#ifndef RV_CUDA_COMPILE_H
#define RV_CUDA_COMPILE_H

#include "backends/cuda/driver.h"

typedef struct rv_cuda_image {
    void *data; /* a cubin; PTX, which the driver translates, where NVRTC is older than the device */
    size_t bytes;
    char *log;     /* NULL: nothing said */
    char arch[24]; /* it was built for: "sm_90", "compute_90" */
} rv_cuda_image;

/* The options but the architecture, as one text: part of what an image depends on. */
extern const char rv_cuda_compile_options[];

/* arch: 10 * major + minor of the device. name: for messages and line information.
 * Errors: BUILD_FAILED (with as much of the log as a message holds), OUT_OF_MEMORY. */
rv_status rv_cuda_compile(const rv_services *services, const rv_cuda_nvrtc *nvrtc, int arch, const char *name,
                          const char *text, rv_cuda_image *image, rv_error *error);
void rv_cuda_image_free(const rv_services *services, rv_cuda_image *image);

#endif
