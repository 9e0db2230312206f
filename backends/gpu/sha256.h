/* backends/gpu/sha256.h: SHA-256 (FIPS 180-4), for the names and the contents of cached kernels.
 *
 *     rv_sha256 hash;
 *     rv_sha256_begin(&hash);
 *     rv_sha256_add(&hash, text, length);
 *     rv_sha256_end(&hash, digest);
 */
#ifndef RV_BACKENDS_GPU_SHA256_H
#define RV_BACKENDS_GPU_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { RV_SHA256_BYTES = 32, RV_SHA256_BLOCK = 64 };

typedef struct rv_sha256 {
    uint32_t state[8];
    uint64_t bytes; /* added so far */
    unsigned char block[RV_SHA256_BLOCK];
} rv_sha256;

void rv_sha256_begin(rv_sha256 *hash);
void rv_sha256_add(rv_sha256 *hash, const void *data, size_t bytes);
void rv_sha256_end(rv_sha256 *hash, unsigned char digest[RV_SHA256_BYTES]);

#endif
