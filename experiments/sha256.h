/* experiments/sha256.h: SHA-256 (FIPS 180-4), to tell whether two runs ended in the same state. */
#ifndef EXPERIMENTS_SHA256_H
#define EXPERIMENTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} sha256;

void sha256_begin(sha256 *hash);
void sha256_add(sha256 *hash, const void *bytes, size_t size);

/* 64 hexadecimal digits and a zero. */
void sha256_end(sha256 *hash, char text[65]);

#endif
