/* backends/cuda/module.c: images on the device: found by their text's hash, read from the disk, or compiled. */
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

/* Modules that no program uses; more of them make the oldest one go. */
enum { IDLE_MODULES = 64 };

/* Before an image on disk: the NVRTC that made it. Without one here whatever is there serves. */
typedef struct image_head {
    int32_t major, minor;
} image_head;

/* ---- keys ----------------------------------------------------------------------------------------------- */

static rv_gpu_key key_of(const rv_cuda *cuda, const char *text) {
    char device[192];
    snprintf(device, sizeof device, "cuda %d, sm_%d%d, %s", cuda->cuda_version, cuda->major, cuda->minor, cuda->device_name);
    return rv_gpu_cache_key((const char *const[]){text, rv_cuda_compile_options, device}, 3);
}

static image_head head_of(const rv_cuda *cuda) {
    image_head head = {0, 0};
    if (cuda->nvrtc.library) cuda->nvrtc.nvrtcVersion(&head.major, &head.minor);
    return head;
}

/* An entry without text says that this device's images are in the cache. */
static rv_gpu_key mark_of(const rv_cuda *cuda) { return key_of(cuda, ""); }

bool rv_cuda_can_build(rv_cuda *cuda) {
    if (cuda->nvrtc.library) return true;
    const rv_gpu_key key = mark_of(cuda);
    void *mark;
    size_t bytes;
    const bool there = rv_gpu_cache_load(&cuda->cache, &key, &mark, &bytes);
    if (there) rv_cuda_host_free(&cuda->services, mark);
    return there;
}

/* ---- images ------------------------------------------------------------------------------------------------ */

/* False: not on disk, made by another NVRTC, or the driver does not like it. */
static bool load_cached(rv_cuda *cuda, const rv_gpu_key *key, CUmodule *module) {
    void *entry;
    size_t bytes;
    if (!rv_gpu_cache_load(&cuda->cache, key, &entry, &bytes)) return false;
    const image_head head = head_of(cuda);
    const bool fits = bytes > sizeof head && (!cuda->nvrtc.library || memcmp(entry, &head, sizeof head) == 0);
    const bool loaded = fits && cuda->driver.cuModuleLoadData(module, (const char *)entry + sizeof head) == RV_CU_SUCCESS;
    rv_cuda_host_free(&cuda->services, entry);
    return loaded;
}

static void keep(rv_cuda *cuda, const rv_gpu_key *key, const rv_cuda_image *image) {
    const image_head head = head_of(cuda);
    const rv_gpu_key mark = mark_of(cuda);
    char *entry = rv_cuda_host(&cuda->services, image->bytes + sizeof head, 1);
    if (!entry) return; /* it is only a cache */
    memcpy(entry, &head, sizeof head);
    memcpy(entry + sizeof head, image->data, image->bytes);
    rv_gpu_cache_store(&cuda->cache, key, entry, image->bytes + sizeof head);
    rv_gpu_cache_store(&cuda->cache, &mark, &head, sizeof head);
    rv_cuda_host_free(&cuda->services, entry);
}

static rv_status compile(rv_cuda *cuda, const rv_gpu_source *source, const rv_gpu_key *key, CUmodule *module, rv_error *error) {
    if (!cuda->nvrtc.library) {
        return cuda->services.fail(error, RV_BUILD_FAILED, "cuda:%d: %s is not in the kernel cache and NVRTC was not found: %s",
                                   cuda->ordinal, source->name, rv_cuda_get_nvrtc);
    }
    rv_cuda_image image;
    rv_status status = rv_cuda_compile(&cuda->services, &cuda->nvrtc, 10 * cuda->major + cuda->minor, source->name, source->text,
                                       &image, error);
    if (status == RV_BUILD_FAILED && image.log) cuda->services.log(cuda->services.user, RV_LOG_WARNING, image.log);
    if (status == RV_OK) {
        status = RV_CUDA_CALL(cuda, error, cuModuleLoadData, module, image.data);
        if (status == RV_OK) keep(cuda, key, &image);
    }
    rv_cuda_image_free(&cuda->services, &image);
    return status;
}

/* ---- the list ------------------------------------------------------------------------------------------------ */

static rv_cuda_module *find(rv_cuda *cuda, const rv_gpu_key *key) {
    for (int i = 0; i < cuda->module_count; i++) {
        if (memcmp(&cuda->modules[i]->key, key, sizeof *key) == 0) return cuda->modules[i];
    }
    return NULL;
}

static void drop(rv_cuda *cuda, int index) {
    rv_cuda_module *module = cuda->modules[index];
    cuda->driver.cuModuleUnload(module->module);
    rv_cuda_host_free(&cuda->services, module);
    cuda->modules[index] = cuda->modules[--cuda->module_count];
}

static void drop_oldest_idle(rv_cuda *cuda) {
    int idle = 0, oldest = -1;
    for (int i = 0; i < cuda->module_count; i++) {
        if (cuda->modules[i]->users > 0) continue;
        idle++;
        if (oldest < 0 || cuda->modules[i]->used < cuda->modules[oldest]->used) oldest = i;
    }
    if (idle > IDLE_MODULES) drop(cuda, oldest);
}

/* A place in the list for one more, whose image is still to come. */
static rv_cuda_module *add(rv_cuda *cuda, const rv_gpu_key *key) {
    const rv_services *services = &cuda->services;
    if (cuda->module_count == cuda->module_capacity) {
        const int capacity = cuda->module_capacity ? 2 * cuda->module_capacity : 32;
        rv_cuda_module **grown = services->resize(services->user, cuda->modules, (size_t)capacity * sizeof *grown);
        if (!grown) return NULL;
        cuda->modules = grown;
        cuda->module_capacity = capacity;
    }
    rv_cuda_module *module = rv_cuda_host(services, 1, sizeof *module);
    if (!module) return NULL;
    module->key = *key;
    return cuda->modules[cuda->module_count++] = module;
}

rv_status rv_cuda_module_get(rv_cuda *cuda, const rv_gpu_source *source, rv_error *error, rv_cuda_module **out) {
    const rv_gpu_key key = key_of(cuda, source->text);
    rv_cuda_module *module = find(cuda, &key);
    *out = NULL;
    if (!module) {
        CUmodule image = NULL;
        module = add(cuda, &key);
        if (!module) return cuda->services.fail(error, RV_OUT_OF_MEMORY, "cuda:%d: no host memory for a program", cuda->ordinal);
        const rv_status status = load_cached(cuda, &key, &image) ? RV_OK : compile(cuda, source, &key, &image, error);
        if (status != RV_OK) {
            cuda->module_count--;
            rv_cuda_host_free(&cuda->services, module);
            return status;
        }
        module->module = image;
    }
    module->users++;
    module->used = ++cuda->clock;
    *out = module;
    return RV_OK;
}

void rv_cuda_module_put(rv_cuda *cuda, rv_cuda_module *module) {
    if (!module) return;
    module->users--;
    drop_oldest_idle(cuda);
}

void rv_cuda_modules_close(rv_cuda *cuda) {
    while (cuda->module_count > 0) drop(cuda, cuda->module_count - 1);
    rv_cuda_host_free(&cuda->services, cuda->modules);
    cuda->modules = NULL;
}
