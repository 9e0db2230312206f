/* backends/cuda/compile.c: kernel text to an image, with NVRTC. */
#include "backends/cuda/compile.h"

#include <stdio.h>
#include <string.h>

/* Nothing fast: a product and a sum stay two roundings, small numbers stay, division and root round correctly. No
 * warnings of functions that a program does not call: every text has some. */
#define OPTIONS(X)                                                                                  \
    X("--std=c++17") X("--fmad=false") X("--ftz=false") X("--prec-div=true") X("--prec-sqrt=true")  \
    X("--generate-line-info") X("--diag-suppress=177")

#define ONE(text) text,
#define JOINED(text) text " "
static const char *const options[] = {OPTIONS(ONE)};
const char rv_cuda_compile_options[] = OPTIONS(JOINED);

enum { OPTION_COUNT = sizeof options / sizeof *options, MOST_ARCHS = 64 };

static void *host(const rv_services *services, size_t bytes) { return services->resize(services->user, NULL, bytes); }

static rv_status no_memory(const rv_services *services, const char *name, rv_error *error) {
    return services->fail(error, RV_OUT_OF_MEMORY, "cuda: no host memory to compile %s", name);
}

/* ---- for which architecture --------------------------------------------------------------------------- */

/* A cubin runs on its own major version, from its own minor on; PTX on everything newer. So: the device's own, else
 * the newest below it of the same major, else PTX of the newest below it. */
static rv_status choose(const rv_services *services, const rv_cuda_nvrtc *nvrtc, int arch, rv_cuda_image *image, rv_error *error) {
    int archs[MOST_ARCHS], count = 0, best = 0;
    if (nvrtc->nvrtcGetNumSupportedArchs(&count) != 0 || count < 1 || count > MOST_ARCHS || nvrtc->nvrtcGetSupportedArchs(archs) != 0) {
        return services->fail(error, RV_BUILD_FAILED, "cuda: NVRTC does not say which architectures it knows");
    }
    for (int i = 0; i < count; i++) {
        if (archs[i] <= arch && archs[i] > best) best = archs[i];
    }
    if (best == 0) {
        int major = 0, minor = 0;
        nvrtc->nvrtcVersion(&major, &minor);
        return services->fail(error, RV_BUILD_FAILED, "cuda: NVRTC %d.%d does not know sm_%d any more; install an older toolkit's NVRTC",
                              major, minor, arch);
    }
    snprintf(image->arch, sizeof image->arch, "%s_%d", best / 10 == arch / 10 ? "sm" : "compute", best);
    return RV_OK;
}

/* ---- what the compiler gave ------------------------------------------------------------------------------ */

static void take_log(const rv_services *services, const rv_cuda_nvrtc *nvrtc, nvrtcProgram program, rv_cuda_image *image) {
    size_t bytes = 0;
    if (nvrtc->nvrtcGetProgramLogSize(program, &bytes) != 0 || bytes < 2) return;
    image->log = host(services, bytes + 1);
    if (!image->log) return;
    memset(image->log, 0, bytes + 1);
    nvrtc->nvrtcGetProgramLog(program, image->log);
}

static rv_status take_image(const rv_services *services, const rv_cuda_nvrtc *nvrtc, nvrtcProgram program, const char *name,
                            rv_cuda_image *image, rv_error *error) {
    const bool cubin = image->arch[0] == 's';
    unsigned result = cubin ? nvrtc->nvrtcGetCUBINSize(program, &image->bytes) : nvrtc->nvrtcGetPTXSize(program, &image->bytes);
    if (result == 0 && image->bytes > 0) {
        image->data = host(services, image->bytes);
        if (!image->data) return no_memory(services, name, error);
        result = cubin ? nvrtc->nvrtcGetCUBIN(program, image->data) : nvrtc->nvrtcGetPTX(program, image->data);
        if (result == 0) return RV_OK;
    }
    return services->fail(error, RV_BUILD_FAILED, "cuda: NVRTC compiled %s but gave no image (result %u)", name, result);
}

/* The line of the first error; warnings before it would fill a message. */
static const char *first_error(const char *log) {
    const char *error = strstr(log, "error");
    if (!error) return log;
    while (error > log && error[-1] != '\n') error--;
    return error;
}

static rv_status compile(const rv_services *services, const rv_cuda_nvrtc *nvrtc, nvrtcProgram program, const char *name,
                         rv_cuda_image *image, rv_error *error) {
    char arch[64];
    const char *all[OPTION_COUNT + 1];
    snprintf(arch, sizeof arch, "--gpu-architecture=%s", image->arch);
    memcpy(all, options, sizeof options);
    all[OPTION_COUNT] = arch;
    const unsigned result = nvrtc->nvrtcCompileProgram(program, OPTION_COUNT + 1, all);
    take_log(services, nvrtc, program, image);
    if (result == 0) return take_image(services, nvrtc, program, name, image, error);
    if (result == RV_NVRTC_COMPILATION && image->log) {
        return services->fail(error, RV_BUILD_FAILED, "cuda: %s does not compile for %s: %.380s", name, image->arch, first_error(image->log));
    }
    return services->fail(error, RV_BUILD_FAILED, "cuda: NVRTC failed on %s for %s (result %u) %.200s", name, image->arch, result,
                          image->log ? image->log : "");
}

rv_status rv_cuda_compile(const rv_services *services, const rv_cuda_nvrtc *nvrtc, int arch, const char *name,
                          const char *text, rv_cuda_image *image, rv_error *error) {
    *image = (rv_cuda_image){0};
    rv_status status = choose(services, nvrtc, arch, image, error);
    if (status != RV_OK) return status;
    nvrtcProgram program = NULL;
    const unsigned result = nvrtc->nvrtcCreateProgram(&program, text, name, 0, NULL, NULL);
    if (result != 0) return services->fail(error, RV_BUILD_FAILED, "cuda: NVRTC takes no text for %s (result %u)", name, result);
    status = compile(services, nvrtc, program, name, image, error);
    nvrtc->nvrtcDestroyProgram(&program);
    return status;
}

void rv_cuda_image_free(const rv_services *services, rv_cuda_image *image) {
    if (image->data) services->resize(services->user, image->data, 0);
    if (image->log) services->resize(services->user, image->log, 0);
    *image = (rv_cuda_image){0};
}
