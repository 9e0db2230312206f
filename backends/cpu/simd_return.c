/* backends/cpu/simd_return.c: returns and running products: time runs in the tile, rows lie in the lanes. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_transpose.h"

enum { TILES = 7, STEPS_MAX = RV_SCRATCH / (TILES * LANES * 4) - 1 }; /* what the scratch holds, a state more than steps */

typedef struct tiles {
    const rv_launch *launch;
    float *scratch;
    int64_t row, count;
} tiles;

static float *tile_of(const tiles *t, int index) { return t->scratch + (int64_t)index * (STEPS_MAX + 1) * LANES; }

static const float *load_input(const tiles *t, int input, int index) {
    const float *from[LANES];
    for (int64_t i = 0; i < LANES; i++) from[i] = rv_row(&t->launch->input[input], t->row + (i < t->count ? i : t->count - 1));
    tile_load(tile_of(t, index), from, t->launch->input[input].cols);
    return tile_of(t, index);
}

static void store_output(const tiles *t, int output, int index) {
    float *to[LANES];
    if (!t->launch->output[output].buffer) return;
    for (int64_t i = 0; i < t->count; i++) to[i] = rv_row(&t->launch->output[output], t->row + i);
    tile_store(tile_of(t, index), to, t->count, t->launch->output[output].cols);
}

INLINE void for_tiles(const rv_step *step, int64_t first, int64_t last, void *scratch, void (*const fn)(const tiles *t)) {
    for (int64_t row = first; row < last; row += LANES) {
        const tiles t = {&step->launch, scratch, row, last - row < LANES ? last - row : LANES};
        fn(&t);
    }
}

static bool short_enough(const rv_launch *launch) { return launch->input[0].cols <= STEPS_MAX; }

static void lambda_return_tile(const tiles *t) {
    const int64_t steps = t->launch->input[0].cols;
    const vf lambda = vset(t->launch->attributes.f[0]), rest = vset(t->launch->attributes.f[1]);
    const float *reward = load_input(t, 0, 0), *going_on = load_input(t, 1, 1), *value = load_input(t, 2, 2);
    float *const y = tile_of(t, 3);
    vf next = vload(value + steps * LANES);
    for (int64_t i = (steps - 1) * LANES; i >= 0; i -= LANES) {
        const vf mixed = vfma(lambda, next, rest * vload(value + i + LANES));
        next = vfma(vload(going_on + i), mixed, vload(reward + i));
        vstore(y + i, next);
    }
    store_output(t, 0, 3);
}

static void lambda_return_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_tiles(step, first, last, scratch, lambda_return_tile);
}
const rv_kernel RV_NAME(rv_lambda_return_kernel) = {.run = lambda_return_run, .accepts = short_enough, .ns_per_element = 0.5f};

/* Forward in time: what flows to a return flows on to the next one. */
static void lambda_return_backward_tile(const tiles *t) {
    const int64_t end = t->launch->input[0].cols * LANES;
    const vf lambda = vset(t->launch->attributes.f[0]), rest = vset(t->launch->attributes.f[1]);
    const float *going_on = load_input(t, 0, 0), *value = load_input(t, 1, 1), *returns = load_input(t, 2, 2), *dy = load_input(t, 3, 3);
    float *const dreward = tile_of(t, 4), *const dgoing_on = tile_of(t, 5), *const dvalue = tile_of(t, 6);
    vf through = vset(0);
    vstore(dvalue, vset(0));
    for (int64_t i = 0; i < end; i += LANES) {
        const bool ends = i + LANES == end;
        const vf g = vfma(lambda, through, vload(dy + i)), after = vload(value + i + LANES);
        const vf next = ends ? after : vload(returns + i + LANES);
        through = g * vload(going_on + i);
        vstore(dreward + i, g);
        vstore(dgoing_on + i, g * vfma(lambda, next, rest * after));
        vstore(dvalue + i + LANES, (ends ? rest + lambda : rest) * through);
    }
    for (int i = 0; i < 3; i++) store_output(t, i, 4 + i);
}

static void lambda_return_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_tiles(step, first, last, scratch, lambda_return_backward_tile);
}
const rv_kernel RV_NAME(rv_lambda_return_backward_kernel) = {
    .run = lambda_return_backward_run, .accepts = short_enough, .ns_per_element = 1};

static void cumprod_tile(const tiles *t) {
    const bool exclusive = t->launch->attributes.i[0];
    const float *x = load_input(t, 0, 0);
    float *const y = tile_of(t, 1);
    vf product = vset(1.0f);
    for (int64_t i = 0; i < t->launch->input[0].cols * LANES; i += LANES) {
        const vf before = product;
        product *= vload(x + i);
        vstore(y + i, exclusive ? before : product);
    }
    store_output(t, 0, 1);
}

static void cumprod_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_tiles(step, first, last, scratch, cumprod_tile);
}
const rv_kernel RV_NAME(rv_cumprod_kernel) = {.run = cumprod_run, .accepts = short_enough, .ns_per_element = 0.4f};
