/* backends/cuda/driver.c: finding libcuda, NVRTC and cuBLAS at run time. */
#include "backends/cuda/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { FOLDERS = 3 };

/* Behind what the system's own search finds: where toolkits usually lie. */
static const char *const folders[FOLDERS] = {"", "/usr/local/cuda/lib64/", "/opt/cuda/lib64/"};

/* Newest first; an entry point that an older one lacks makes it no candidate. */
static const char *const driver_names[] = {"libcuda.so.1", NULL};
static const char *const nvrtc_names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so", NULL};
static const char *const cublas_names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", NULL};

const char rv_cuda_get_nvrtc[] = "install the CUDA toolkit's NVRTC (libnvrtc.so.13 or .12) where the system's loader or "
                                 "/usr/local/cuda/lib64 has it";

/* ---- one library ----------------------------------------------------------------------------------------- */

typedef struct rv_symbol {
    const char *name;
    size_t offset; /* of its pointer in the struct; the library's handle is at 0 */
} rv_symbol;

#define DRIVER_SYMBOL(name, arguments) {#name, offsetof(rv_cuda_driver, name)},
#define NVRTC_SYMBOL(name, arguments) {#name, offsetof(rv_cuda_nvrtc, name)},
#define CUBLAS_SYMBOL(name, arguments) {#name, offsetof(rv_cuda_cublas, name)},
static const rv_symbol driver_symbols[] = {RV_CU_LIST(DRIVER_SYMBOL){NULL, 0}};
static const rv_symbol nvrtc_symbols[] = {RV_NVRTC_LIST(NVRTC_SYMBOL){NULL, 0}};
static const rv_symbol cublas_symbols[] = {RV_CUBLAS_LIST(CUBLAS_SYMBOL){NULL, 0}};

/* Fills the entries; the name of the first that is missing, else NULL. */
static const char *find_symbols(void *library, const rv_symbol *symbol, void *entries) {
    for (; symbol->name; symbol++) {
        void *address = dlsym(library, symbol->name);
        if (!address) return symbol->name;
        memcpy((char *)entries + symbol->offset, &address, sizeof address);
    }
    memcpy(entries, &library, sizeof library);
    return NULL;
}

/* Tries every name in every folder. *missing: what the last one found lacked, NULL where none was found. Libraries like
 * these start threads and leave handlers for the end of the process, so what was loaded once stays. */
static bool load(const char *const *names, const rv_symbol *symbols, void *entries, const char **missing) {
    *missing = NULL;
    for (int folder = 0; folder < FOLDERS; folder++) {
        for (const char *const *name = names; *name; name++) {
            char path[64];
            snprintf(path, sizeof path, "%s%s", folders[folder], *name);
            void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
            if (!library) continue;
            const char *lacks = find_symbols(library, symbols, entries);
            if (!lacks) return true;
            *missing = lacks;
            dlclose(library);
        }
    }
    return false;
}

static void unload(void **library) {
    if (*library) dlclose(*library);
    *library = NULL;
}

/* ---- the three ------------------------------------------------------------------------------------------- */

rv_status rv_cuda_load_driver(const rv_services *services, rv_cuda_driver *driver, rv_error *error) {
    const char *missing;
    *driver = (rv_cuda_driver){0};
    if (load(driver_names, driver_symbols, driver, &missing)) return RV_OK;
    *driver = (rv_cuda_driver){0};
    if (missing) {
        return services->fail(error, RV_NO_DRIVER,
                              "cuda: the NVIDIA driver is too old: its libcuda.so.1 has no %s; install one for CUDA 12 or later",
                              missing);
    }
    return services->fail(error, RV_NO_DRIVER,
                          "cuda: no NVIDIA driver (libcuda.so.1 was not found): install the driver of the GPU; in a container, start "
                          "it with the GPU passed through; without a GPU use \"cpu\"");
}

void rv_cuda_unload_driver(rv_cuda_driver *driver) { unload(&driver->library); }

bool rv_cuda_load_nvrtc(rv_cuda_nvrtc *nvrtc) {
    const char *missing;
    *nvrtc = (rv_cuda_nvrtc){0};
    if (load(nvrtc_names, nvrtc_symbols, nvrtc, &missing)) return true;
    *nvrtc = (rv_cuda_nvrtc){0};
    return false;
}

void rv_cuda_unload_nvrtc(rv_cuda_nvrtc *nvrtc) { unload(&nvrtc->library); }

bool rv_cuda_load_cublas(rv_cuda_cublas *cublas) {
    const char *missing;
    *cublas = (rv_cuda_cublas){0};
    if (load(cublas_names, cublas_symbols, cublas, &missing)) return true;
    *cublas = (rv_cuda_cublas){0};
    return false;
}

void rv_cuda_unload_cublas(rv_cuda_cublas *cublas) { unload(&cublas->library); }
