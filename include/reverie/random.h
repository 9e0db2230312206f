/* reverie/random.h: stateless noise, the same bits on every backend.
 *
 *     rv_random *random;
 *     rv_random_create(device, 7, &random);                    // seed
 *     rv_tensor noise = rv_normal(rv_random_state(graph, random), "latent", 0, B, Z);
 *     ...
 *     rv_random_advance(graph, random);                        // next run, next noise
 *
 * Philox4x32-10 (Salmon et al., 2011) in cuRAND's word layout: key = seed, counter =
 * (row * ceil(W / 4) + col / 4, t, update, hash of the name), word = col mod 4, with W the
 * number of columns. A draw depends on nothing else: adding an op, slicing rows or unrolling
 * time changes no other draw, and recording the same draw twice gives the same numbers.
 * `update` is the counter that rv_random_advance moves.
 */
#ifndef REVERIE_RANDOM_H
#define REVERIE_RANDOM_H

#include "reverie/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_random rv_random;

RV_API rv_status rv_random_create(rv_device *device, uint64_t seed, rv_random **random);
RV_API void rv_random_destroy(rv_random *random);

/* i32 [1, 4] on the device: seed low, seed high, update, 0: what a checkpoint saves. */
RV_API rv_array *rv_random_array(rv_random *random);

/* The state as a tensor for the drawing ops of ops.h. */
RV_API rv_tensor rv_random_state(rv_graph *graph, rv_random *random);

/* Stores update + 1. */
RV_API void rv_random_advance(rv_graph *graph, rv_random *random);

/* The same numbers on the host, for initial weights, data and tests. `name` is hashed as a draw's is.
 * out[row * cols + col]; normals are standard, uniforms lie inside (0, 1). */
RV_API void rv_random_bits(uint64_t seed, uint32_t update, const char *name, uint32_t t, int64_t rows, int64_t cols,
                           uint32_t *out);
RV_API void rv_random_uniform(uint64_t seed, uint32_t update, const char *name, uint32_t t, int64_t rows,
                              int64_t cols, float *out);
RV_API void rv_random_normal(uint64_t seed, uint32_t update, const char *name, uint32_t t, int64_t rows, int64_t cols,
                             float *out);

#ifdef __cplusplus
}
#endif
#endif
