/* tests/support/packed_matmul.h: the fast CPU device's product with the weights packed beforehand.
 *
 * A plan packs weights in every run, because they change between runs; what the kernel itself does
 * is only seen from inside.
 */
#ifndef RV_TESTS_PACKED_MATMUL_H
#define RV_TESTS_PACKED_MATMUL_H

#include <stdbool.h>

#include "reverie/device.h"

typedef struct rv_packed_matmul rv_packed_matmul;

/* a [m, k] and b [k, n] random, b packed. NULL: not the fast CPU device, or out of memory. */
rv_packed_matmul *rv_packed_matmul_create(rv_device *device, int64_t m, int64_t k, int64_t n);
void rv_packed_matmul_destroy(rv_packed_matmul *matmul);

/* y = a b on the device's threads; takes an rv_packed_matmul, always true. */
bool rv_packed_matmul_run(void *matmul);

/* Poisons y with NaN, runs, and compares with sums in double. */
bool rv_packed_matmul_check(rv_packed_matmul *matmul, char *why, size_t size);

#endif
