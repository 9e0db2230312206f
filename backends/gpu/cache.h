/* backends/gpu/cache.h: built kernels on disk, for CUDA and OpenCL.
 *
 *     rv_gpu_cache cache;
 *     rv_gpu_cache_open(&cache, services);
 *     const rv_gpu_key key = rv_gpu_cache_key((const char *const[]){source, options, device, driver}, 4);
 *     if (!rv_gpu_cache_load(&cache, &key, &binary, &bytes)) {
 *         ... build ...
 *         rv_gpu_cache_store(&cache, &key, binary, bytes);
 *     }
 *     rv_gpu_cache_close(&cache);
 *
 * The folder is $XDG_CACHE_HOME/reverie, else ~/.cache/reverie. It is made with rights for its owner alone, and where
 * it belongs to somebody else or others may write into it, there is no cache: a kernel that another user put there
 * would run with our rights. An entry holds its own key and a hash of the binary; whatever is damaged or unreadable is
 * as good as absent and replaced. Nothing here ever fails a run: what goes wrong is said once in the log.
 */
#ifndef RV_BACKENDS_GPU_CACHE_H
#define RV_BACKENDS_GPU_CACHE_H

#include "backends/gpu/sha256.h"
#include "core/backend.h"

typedef struct rv_gpu_cache {
    const rv_services *services;
    int folder;    /* -1: no cache */
    bool readonly; /* a store has failed */
} rv_gpu_cache;

typedef struct rv_gpu_key {
    unsigned char digest[RV_SHA256_BYTES];
} rv_gpu_key;

/* The services must outlive the cache. */
void rv_gpu_cache_open(rv_gpu_cache *cache, const rv_services *services);
void rv_gpu_cache_close(rv_gpu_cache *cache);

/* Of everything that a binary depends on; the texts' borders count. */
rv_gpu_key rv_gpu_cache_key(const char *const *texts, int count);

/* False: not there. *binary is the caller's, to be freed with services->resize. */
bool rv_gpu_cache_load(rv_gpu_cache *cache, const rv_gpu_key *key, void **binary, size_t *bytes);
void rv_gpu_cache_store(rv_gpu_cache *cache, const rv_gpu_key *key, const void *binary, size_t bytes);

#endif
