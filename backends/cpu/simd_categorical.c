/* backends/cpu/simd_categorical.c: categorical variables: classes run in the tile, variables lie in the lanes.
 *
 * So prefix sums take the classes in their order, as ops.def wants it, and draws are those of the reference to the bit.
 * What a variable gives is gathered and summed over its row afterwards: which variables share a vector changes no bit.
 */
#include <string.h>

#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"
#include "backends/cpu/simd_transpose.h"
#include "core/noise.h"

enum { CLASSES_MAX = 1024, VARIABLES_MAX = 4096, TILES = 5, SUMS = 2 };
_Static_assert((TILES * CLASSES_MAX * LANES + (SUMS + 1) * (VARIABLES_MAX + LANES)) * 4 <= RV_SCRATCH, "tiles and sums fit");

static bool fits(const rv_launch *launch) {
    const int64_t classes = launch->attributes.i[0];
    return classes <= CLASSES_MAX && launch->input[0].cols / classes <= VARIABLES_MAX;
}

/* LANES variables in a block of rows; `done` of the block's are behind them. */
typedef struct group {
    const rv_launch *launch;
    int64_t row, classes, variables; /* first row of the block; variables of a row */
    int64_t done, count;
    float *tile[TILES];
    float *sum[SUMS], *uniform; /* of the block, by variable */
} group;

static int64_t lane_of(const group *g, int64_t i) { return g->done + (i < g->count ? i : g->count - 1); }

static float *address(const group *g, const rv_operand *operand, int64_t i) {
    const int64_t at = lane_of(g, i);
    return rv_row(operand, g->row + at / g->variables) + at % g->variables * g->classes;
}

static const float *load_input(const group *g, int input, int tile) {
    const float *from[LANES];
    for (int64_t i = 0; i < LANES; i++) from[i] = address(g, &g->launch->input[input], i);
    tile_load(g->tile[tile], from, g->classes);
    return g->tile[tile];
}

static void store_output(const group *g, int output, int tile) {
    float *to[LANES];
    for (int64_t i = 0; i < LANES; i++) to[i] = address(g, &g->launch->output[output], i);
    tile_store(g->tile[tile], to, g->count, g->classes);
}

/* The rows' own numbers (input [R, 1]), one a lane; 0 where it is absent. */
static vf row_input(const group *g, int input) {
    float lanes[LANES] = {0};
    for (int64_t i = 0; i < LANES && g->launch->input[input].buffer; i++)
        lanes[i] = *rv_row(&g->launch->input[input], g->row + lane_of(g, i) / g->variables);
    return vload(lanes);
}

static void keep_sum(const group *g, int index, vf sum) { vstore_part(g->sum[index] + g->done, sum, g->count); }

typedef void (*group_fn)(const group *g);

static void store_sums(const group *g, int64_t rows, int index, const rv_operand *y) {
    for (int64_t row = 0; row < rows && y->buffer; row++) {
        const float *const own = g->sum[index] + row * g->variables;
        vf total = vset(0);
        for (int64_t i = 0; i < g->variables; i += LANES) total += vload_part(own + i, g->variables - i);
        *rv_row(y, g->row + row) = vsum(total);
    }
}

/* A uniform a variable of the block's rows: given, or drawn. */
static void load_uniforms(const group *g, int64_t rows) {
    const rv_operand *given = &g->launch->input[2];
    if (!given->buffer) {
        const rv_noise noise = rv_noise_at(rv_i32(&g->launch->input[1]), g->launch->attributes.stream, g->launch->attributes.t);
        rv_noise_uniform_rows(&noise, g->row, g->row + rows, g->variables, g->variables, g->uniform);
    }
    for (int64_t row = 0; row < rows && given->buffer; row++)
        memcpy(g->uniform + row * g->variables, rv_row(given, g->row + row), (size_t)g->variables * sizeof *g->uniform);
}

/* All variables of rows [first, last) through fn; sum k goes to output `first_sum` + k. */
INLINE void for_groups(const rv_step *step, int64_t first, int64_t last, float *scratch, const group_fn fn, int first_sum,
                       int sums, bool draws) {
    group g = {.launch = &step->launch, .classes = step->launch.attributes.i[0]};
    g.variables = step->launch.input[0].cols / g.classes;
    for (int i = 0; i < TILES; i++) g.tile[i] = scratch + (int64_t)i * CLASSES_MAX * LANES;
    float *const behind = scratch + (int64_t)TILES * CLASSES_MAX * LANES;
    for (int i = 0; i < SUMS; i++) g.sum[i] = behind + (int64_t)i * (VARIABLES_MAX + LANES);
    g.uniform = behind + (int64_t)SUMS * (VARIABLES_MAX + LANES);
    const int64_t rows_a_block = VARIABLES_MAX / g.variables;
    for (g.row = first; g.row < last; g.row += rows_a_block) {
        const int64_t rows = last - g.row < rows_a_block ? last - g.row : rows_a_block, count = rows * g.variables;
        if (draws) load_uniforms(&g, rows);
        for (g.done = 0; g.done < count; g.done += LANES) {
            g.count = count - g.done < LANES ? count - g.done : LANES;
            fn(&g);
        }
        for (int i = 0; i < sums; i++) store_sums(&g, rows, i, &g.launch->output[first_sum + i]);
    }
}

/* ---- p = share softmax + floor --------------------------------------------------------------------------- */

typedef struct mixture {
    const float *x; /* tiles: logits, exp(x - largest) */
    float *e;
    vf largest, total, log_total, share, floor; /* share: of softmax; scaled: of e */
    vf scaled;
    bool plain; /* no floor: p may be too small for its logarithm */
} mixture;

static mixture mixture_of(const group *g, int input, int tile) {
    const float *const f = g->launch->attributes.f;
    mixture m = {load_input(g, input, tile), g->tile[tile + 1], vset(-INFINITY), vset(0), vset(0), vset(f[0]), vset(f[1]), vset(0), !(f[1] > 0)};
    const int64_t end = g->classes * LANES;
    for (int64_t i = 0; i < end; i += LANES) m.largest = vmax(vload(m.x + i), m.largest);
    float largest[LANES];
    vstore(largest, m.largest);
    for (int64_t i = 0; i < end; i += LANES)
        for (int lane = 0; lane < LANES; lane++) m.e[i + lane] = rv_noise_exp(m.x[i + lane] - largest[lane]);
    for (int64_t i = 0; i < end; i += LANES) m.total += vload(m.e + i);
    m.scaled = m.share / m.total;
    m.log_total = vlog(m.total);
    return m;
}

INLINE vf p_at(const mixture *m, int64_t i) { return vfma(vload(m->e + i), m->scaled, m->floor); }
INLINE vf log_p_at(const mixture *m, int64_t i, vf p) { return m->plain ? (vload(m->x + i) - m->largest) - m->log_total : vlog(p); }

/* What of p comes from the softmax, as a part of p. */
INLINE vf softmax_part(const mixture *m, int64_t i, vf p) { return m->plain ? vset(1.0f) : vload(m->e + i) * m->scaled / p; }

static vf entropy_of(const mixture *m, int64_t end) {
    vf entropy = vset(0);
    for (int64_t i = 0; i < end; i += LANES) {
        const vf p = p_at(m, i);
        entropy -= p * log_p_at(m, i, p);
    }
    return entropy;
}

/* ---- draws -------------------------------------------------------------------------------------------------- */

/* Each lane's class: as many as the prefix sums that are not above the bound. */
static vf drawn_classes(const group *g, const mixture *m) {
    const vf bound = vload_part(g->uniform + g->done, g->count) * m->total, floor = m->floor * m->total;
    vf prefix = vset(0), class = vset(0);
    for (int64_t i = 0; i < (g->classes - 1) * LANES; i += LANES) {
        const vf part = m->share * vload(m->e + i);
        prefix += part + floor;
        class += vselect(vless_equal(prefix, bound), vset(1.0f), vset(0));
    }
    return class;
}

static vf likeliest_classes(const group *g, const mixture *m) {
    vf best = vload(m->x), class = vset(0);
    for (int64_t c = 1; c < g->classes; c++) {
        const vf x = vload(m->x + c * LANES);
        const vm better = vless(best, x);
        best = vselect(better, x, best);
        class = vselect(better, vset((float)c), class);
    }
    return class;
}

/* Where the sum is no number, the one-hot is none either. */
static void store_onehot(const group *g, const mixture *m, int output, vf classes) {
    float class[LANES], base[LANES];
    vstore(class, classes);
    vstore(base, m->total - m->total);
    for (int64_t i = 0; i < g->count; i++) {
        float *const y = address(g, &g->launch->output[output], i);
        for (int64_t c = 0; c < g->classes; c += LANES) vstore_part(y + c, vset(base[i]), g->classes - c);
        y[(int64_t)class[i]] += 1;
    }
}

static bool draws(const rv_launch *launch) { return launch->input[1].buffer || launch->input[2].buffer; }

static void categorical_group(const group *g) {
    const mixture m = mixture_of(g, 0, 0);
    store_onehot(g, &m, 0, draws(g->launch) ? drawn_classes(g, &m) : likeliest_classes(g, &m));
}

static void categorical_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_groups(step, first, last, scratch, categorical_group, 0, 0, draws(&step->launch));
}
const rv_kernel RV_NAME(rv_categorical_kernel) = {.run = categorical_run, .integers = 2, .accepts = fits, .ns_per_element = 0.8f};

static vf drawn_log_p(const group *g, const mixture *m, vf classes) {
    vf e = vset(0), x = vset(0);
    for (int64_t c = 0; c < g->classes; c++) {
        const vm hit = vequal(classes, vset((float)c));
        e = vselect(hit, vload(m->e + c * LANES), e);
        x = vselect(hit, vload(m->x + c * LANES), x);
    }
    return m->plain ? (x - m->largest) - m->log_total : vlog(vfma(e, m->scaled, m->floor));
}

static void sample_categorical_group(const group *g) {
    const rv_operand *y = g->launch->output;
    const mixture m = mixture_of(g, 0, 0);
    const vf classes = drawn_classes(g, &m);
    if (y[0].buffer) store_onehot(g, &m, 0, classes);
    if (y[1].buffer) keep_sum(g, 0, drawn_log_p(g, &m, classes));
    if (y[2].buffer) keep_sum(g, 1, entropy_of(&m, g->classes * LANES));
}

static void sample_categorical_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_groups(step, first, last, scratch, sample_categorical_group, 1, 2, true);
}
const rv_kernel RV_NAME(rv_sample_categorical_kernel) = {
    .run = sample_categorical_run, .integers = 2, .accepts = fits, .ns_per_element = 1};

/* ---- likelihoods and divergences ------------------------------------------------------------------------------- */

static void categorical_log_prob_group(const group *g) {
    const int64_t end = g->classes * LANES;
    const mixture m = mixture_of(g, 0, 0);
    if (g->launch->output[0].buffer) {
        const float *onehot = load_input(g, 1, 2);
        vf sum = vset(0);
        for (int64_t i = 0; i < end; i += LANES) sum = vfma(vload(onehot + i), log_p_at(&m, i, p_at(&m, i)), sum);
        keep_sum(g, 0, sum);
    }
    if (g->launch->output[1].buffer) keep_sum(g, 1, entropy_of(&m, end));
}

static void categorical_log_prob_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_groups(step, first, last, scratch, categorical_log_prob_group, 0, 2, false);
}
const rv_kernel RV_NAME(rv_categorical_log_prob_kernel) = {.run = categorical_log_prob_run, .accepts = fits, .ns_per_element = 0.8f};

/* log(p / q): in one logarithm where neither is too small, so that it keeps its places near p = q */
INLINE vf log_ratio(const mixture *m, const mixture *n, int64_t i, vf p, vf q) {
    return m->plain ? log_p_at(m, i, p) - log_p_at(n, i, q) : vlog(p / q);
}

static void kl_categorical_group(const group *g) {
    const mixture m = mixture_of(g, 0, 0), n = mixture_of(g, 1, 2);
    vf sum = vset(0);
    for (int64_t i = 0; i < g->classes * LANES; i += LANES) {
        const vf p = p_at(&m, i), q = p_at(&n, i);
        sum = vfma(p, log_ratio(&m, &n, i, p, q), sum);
    }
    keep_sum(g, 0, sum);
}

static void kl_categorical_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_groups(step, first, last, scratch, kl_categorical_group, 0, 1, false);
}
const rv_kernel RV_NAME(rv_kl_categorical_kernel) = {.run = kl_categorical_run, .accepts = fits, .ns_per_element = 1};

/* ---- gradients: softmax times what flows to it, then through the softmax ------------------------------------------ */

/* flow - softmax total, in the place of flow */
static void through_softmax(const group *g, const mixture *m, int tile, vf total) {
    const vf scale = total / m->total;
    for (int64_t i = 0; i < g->classes * LANES; i += LANES)
        vstore(g->tile[tile] + i, vload(g->tile[tile] + i) - vload(m->e + i) * scale);
}

static void categorical_backward_group(const group *g) {
    const rv_operand *in = g->launch->input, *out = g->launch->output;
    const mixture m = mixture_of(g, 0, 0);
    const float *const onehot = in[3].buffer ? load_input(g, 1, 2) : NULL, *const dp = in[2].buffer ? load_input(g, 2, 3) : NULL;
    const vf dlog_prob = row_input(g, 3), dentropy = row_input(g, 4);
    vf total = vset(0);
    for (int64_t i = 0; i < g->classes * LANES; i += LANES) {
        const vf p = p_at(&m, i), log_p = in[3].buffer || in[4].buffer ? log_p_at(&m, i, p) : vset(0);
        vf flow = -dentropy * log_p;
        if (dp) flow += vload(dp + i);
        flow *= vload(m.e + i) * m.scaled;
        if (onehot) flow = vfma(softmax_part(&m, i, p), vload(onehot + i) * dlog_prob, flow);
        total += flow;
        vstore(g->tile[4] + i, flow);
        vstore(g->tile[3] + i, log_p * dlog_prob); /* dp of this class has been read */
    }
    if (out[1].buffer) store_output(g, 1, 3);
    if (!out[0].buffer) return;
    through_softmax(g, &m, 4, total);
    store_output(g, 0, 4);
}

static void categorical_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_groups(step, first, last, scratch, categorical_backward_group, 0, 0, false);
}
const rv_kernel RV_NAME(rv_categorical_backward_kernel) = {.run = categorical_backward_run, .accepts = fits, .ns_per_element = 1};

static void kl_categorical_backward_group(const group *g) {
    const rv_operand *out = g->launch->output;
    const mixture m = mixture_of(g, 0, 0), n = mixture_of(g, 1, 2);
    const vf dy = row_input(g, 2);
    for (int side = 0; side < 2; side++) {
        vf total = vset(0);
        if (!out[side].buffer) continue;
        for (int64_t i = 0; i < g->classes * LANES; i += LANES) {
            const vf p = p_at(&m, i), q = p_at(&n, i);
            const vf flow = side == 0 ? dy * (vload(m.e + i) * m.scaled) * log_ratio(&m, &n, i, p, q) : -dy * p * softmax_part(&n, i, q);
            total += flow;
            vstore(g->tile[4] + i, flow);
        }
        through_softmax(g, side == 0 ? &m : &n, 4, total);
        store_output(g, side, 4);
    }
}

static void kl_categorical_backward_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    for_groups(step, first, last, scratch, kl_categorical_backward_group, 0, 0, false);
}
const rv_kernel RV_NAME(rv_kl_categorical_backward_kernel) = {.run = kl_categorical_backward_run, .accepts = fits, .ns_per_element = 1.5f};
