/* backends/cpu/simd_twohot.c: heads over bins. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"

/* Lanes beyond the row hold `filler`. */
INLINE vf load_or(const float *x, int64_t n, vf filler) {
    if (n >= LANES) return vload(x);
    float lanes[LANES];
    vstore(lanes, filler);
    for (int64_t i = 0; i < n; i++) lanes[i] = x[i];
    return vload(lanes);
}

static float largest_of(const float *x, int64_t count) {
    vf largest = vset(-INFINITY);
    for (int64_t k = 0; k < count; k += LANES) largest = vmax(load_or(x + k, count - k, vset(-INFINITY)), largest);
    return vhighest(largest);
}

/* e = exp(x - largest), where it is wanted; gives the sum. */
static float exp_row(const float *x, float *e, int64_t count, float largest) {
    vf total = vset(0);
    for (int64_t k = 0; k < count; k += LANES) {
        const vf y = vexp(vload_part(x + k, count - k) - largest);
        if (e) vstore_part(e + k, y, count - k);
        total += vkeep(y, count - k);
    }
    return vsum(total);
}

typedef struct place {
    int64_t below;
    float part, gap; /* share of the bin after it, and how far that one is */
    bool inside;     /* not beyond the ends */
} place;

/* The bins ascend, so those after the first that are not above target count up to the one below it. */
static place place_of(const float *bins, int64_t count, float target) {
    vf passed = vset(0);
    for (int64_t k = 1; k < count - 1; k += LANES) {
        const vf bin = load_or(bins + k, count - 1 - k, vset(INFINITY));
        passed += vselect(vless_equal(bin, vset(target)), vset(1.0f), vset(0));
    }
    place p = {.below = (int64_t)vsum(passed)};
    if (p.below > count - 2) p.below = count - 2; /* an infinite target passes the filler, too */
    const float low = bins[p.below], high = bins[p.below + 1];
    p.gap = high - low;
    p.inside = !(target < low || target >= high);
    const float rise = (target - low) / p.gap;
    p.part = rise < 0 ? 0 : rise > 1 ? 1 : rise;
    return p;
}

static void twohot_nll_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t count = l->input[0].cols;
    for (int64_t row = first; row < last; row++) {
        const float *x = rv_row(&l->input[0], row);
        const place p = place_of(rv_row(&l->input[2], 0), count, *rv_row(&l->input[1], row));
        const float largest = largest_of(x, count), low = x[p.below] - largest, high = x[p.below + 1] - largest;
        *rv_row(&l->output[0], row) = logf(exp_row(x, NULL, count, largest)) - ((1 - p.part) * low + p.part * high);
    }
}
const rv_kernel RV_NAME(rv_twohot_nll_kernel) = {.run = twohot_nll_run, .ns_per_element = 0.3f};

static void twohot_nll_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const int64_t count = l->input[0].cols;
    for (int64_t row = first; row < last; row++) {
        const float *x = rv_row(&l->input[0], row), dy = *rv_row(&l->input[3], row);
        float *const dx = rv_row(&l->output[0], row), *const dtarget = rv_row(&l->output[1], row);
        const place p = place_of(rv_row(&l->input[2], 0), count, *rv_row(&l->input[1], row));
        if (dtarget) *dtarget = p.inside ? dy * ((x[p.below] - x[p.below + 1]) / p.gap) : 0;
        if (!dx) continue;
        const float scale = 1 / exp_row(x, dx, count, largest_of(x, count));
        const float below = dx[p.below] * scale, after = dx[p.below + 1] * scale;
        for (int64_t k = 0; k < count; k += LANES) vstore_part(dx + k, vload_part(dx + k, count - k) * (dy * scale), count - k);
        dx[p.below] = dy * (below - (1 - p.part));
        dx[p.below + 1] = dy * (after - p.part);
    }
}
const rv_kernel RV_NAME(rv_twohot_nll_backward_kernel) = {.run = twohot_nll_backward_run, .ns_per_element = 0.5f};

INLINE vf reversed(vf x) {
#if defined(__AVX512F__)
    return __builtin_shufflevector(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
#elif defined(__AVX2__)
    return __builtin_shufflevector(x, x, 7, 6, 5, 4, 3, 2, 1, 0);
#else
    return __builtin_shufflevector(x, x, 3, 2, 1, 0);
#endif
}

/* Bins k and count - 1 - k are added before anything else is, without a fused step, so that opposite ones cancel. */
static float symmetric_sum(const float *e, const float *bins, int64_t count) {
    const int64_t half = count / 2;
    vf total = vset(0);
    int64_t k = 0;
    for (; k + LANES <= half; k += LANES) {
        const int64_t j = count - LANES - k;
        total += vload(e + k) * vload(bins + k) + reversed(vload(e + j) * vload(bins + j));
    }
    float sum = vsum(total);
    for (; k < half; k++) sum += e[k] * bins[k] + e[count - 1 - k] * bins[count - 1 - k];
    return count % 2 ? sum + e[half] * bins[half] : sum;
}

enum { BINS_MAX = RV_SCRATCH / 4 };
static bool few_bins(const rv_launch *launch) { return launch->input[0].cols <= BINS_MAX; }

static void twohot_mean_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    const rv_launch *l = &step->launch;
    const int64_t count = l->input[0].cols;
    for (int64_t row = first; row < last; row++) {
        const float *x = rv_row(&l->input[0], row);
        const float total = exp_row(x, scratch, count, largest_of(x, count));
        *rv_row(&l->output[0], row) = symmetric_sum(scratch, rv_row(&l->input[1], 0), count) / total;
    }
}
const rv_kernel RV_NAME(rv_twohot_mean_kernel) = {.run = twohot_mean_run, .accepts = few_bins, .ns_per_element = 0.4f};
