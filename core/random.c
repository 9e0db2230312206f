/* core/random.c: the state of stateless noise on the device, and the same draws on the host. */
#include "core/internal.h"
#include "core/noise.h"

struct rv_random {
    rv_device *device;
    rv_array *array; /* i32 [1, 4]: seed low, seed high, update, 0 */
};

rv_status rv_random_create(rv_device *device, uint64_t seed, rv_random **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_random *random = rv_alloc(device, 1, sizeof *random);
    if (!random) return rv_fail(&device->error, RV_OUT_OF_MEMORY, "no memory for a random state");
    rv_device_retain(device);
    random->device = device;
    *out = random;
    const int32_t state[4] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32), 0, 0};
    rv_status status = rv_array_create(device, RV_I32, 1, 4, "random", &random->array);
    if (status == RV_OK) status = rv_array_write(random->array, 0, 1, state);
    if (status == RV_OK || !random->array) return status;
    return rv_fail(&device->error, status, "random state: %.400s", rv_array_message(random->array));
}

void rv_random_destroy(rv_random *random) {
    if (!random) return;
    rv_device *device = random->device;
    rv_array_destroy(random->array);
    rv_free(device, random);
    rv_device_release(device);
}

rv_array *rv_random_array(rv_random *random) { return random ? random->array : NULL; }

rv_tensor rv_random_state(rv_graph *graph, rv_random *random) {
    if (!random) return rv_poison(graph, RV_INVALID_ARGUMENT, "rv_random_state", "the random state is NULL");
    return rv_read(graph, random->array);
}

void rv_random_advance(rv_graph *graph, rv_random *random) {
    if (!random) {
        rv_poison(graph, RV_INVALID_ARGUMENT, "rv_random_advance", "the random state is NULL");
        return;
    }
    rv_tensor update = rv_read_part(graph, random->array, 2, 1, 1);
    rv_store_part(random->array, 2, rv_affine(update, 1.0f, 1.0f));
}

/* ---- on the host ---- */

static rv_noise noise_of(uint64_t seed, uint32_t update, const char *name, uint32_t t) {
    return (rv_noise){{(uint32_t)seed, (uint32_t)(seed >> 32)}, t, update, rv_hash_name(name)};
}

void rv_random_bits(uint64_t seed, uint32_t update, const char *name, uint32_t t, int64_t rows, int64_t cols,
                    uint32_t *out) {
    const rv_noise noise = noise_of(seed, update, name, t);
    rv_noise_bits_rows(&noise, 0, rows, cols, cols, out);
}

void rv_random_uniform(uint64_t seed, uint32_t update, const char *name, uint32_t t, int64_t rows, int64_t cols,
                       float *out) {
    const rv_noise noise = noise_of(seed, update, name, t);
    rv_noise_uniform_rows(&noise, 0, rows, cols, cols, out);
}

void rv_random_normal(uint64_t seed, uint32_t update, const char *name, uint32_t t, int64_t rows, int64_t cols,
                      float *out) {
    const rv_noise noise = noise_of(seed, update, name, t);
    rv_noise_normal_rows(&noise, 0, rows, cols, cols, out);
}
