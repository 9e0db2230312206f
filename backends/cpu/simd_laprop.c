/* backends/cpu/simd_laprop.c: norms of the weights of a flat set, and LaProp with its clipping, in pieces of PIECE. */
#include "backends/cpu/simd_kernels.h"
#include "backends/cpu/simd_math.h"

enum { PIECE = 4096, GROUP = 16 }; /* GROUP: neighbours that belong to one weight */

static int64_t pieces(const rv_launch *l) { return (l->input[0].cols + PIECE - 1) / PIECE; }

static int64_t end_of(const rv_launch *l, int64_t last) {
    return last * PIECE < l->input[0].cols ? last * PIECE : l->input[0].cols;
}

static int64_t owner_of(const rv_operand *owner, int64_t group, int64_t segments) {
    const int64_t segment = rv_i32(owner)[group * owner->stride];
    return segment < 0 ? 0 : segment >= segments ? segments - 1 : segment;
}

/* ---- segment_norms: a piece writes the segments within it, and leaves the sums of its first and last one ----- */

enum { LEFT = 4 }; /* of a, b: its first segment's, its last one's where that is another */

static int64_t norms_partials(const rv_launch *l) { return LEFT * pieces(l); }

static float squares(const float *x, int64_t count) {
    vf total = vset(0);
    for (int64_t i = 0; i < count; i += GROUP)
        UNROLL for (int j = 0; j < GROUP; j += LANES) {
            const vf v = vload(x + i + j);
            total = vfma(v, v, total);
        }
    return vsum(total);
}

static void put_norms(const rv_operand *norms, int64_t segment, double a, double b) {
    float *row = rv_f32(norms) + segment * norms->stride;
    row[0] = (float)sqrt(a);
    row[1] = (float)sqrt(b);
}

/* Segments in [first, last) own nothing. */
static void put_nothing(const rv_operand *norms, int64_t first, int64_t last) {
    for (; first < last; first++) put_norms(norms, first, 0, 0);
}

static void norms_piece(const rv_step *step, int64_t piece) {
    const rv_launch *l = &step->launch;
    const rv_operand *owner = &l->input[2], *norms = &l->output[0];
    const int64_t begin = piece * PIECE / GROUP, end = end_of(l, piece + 1) / GROUP, segments = norms->rows;
    float *const left = step->partial + LEFT * piece;
    for (int i = 0; i < LEFT; i++) left[i] = 0;
    for (int64_t group = begin, next; group < end; group = next) {
        const int64_t segment = owner_of(owner, group, segments);
        for (next = group + 1; next < end && owner_of(owner, next, segments) == segment;) next++;
        const float a = squares(rv_f32(&l->input[0]) + group * GROUP, (next - group) * GROUP);
        const float b = squares(rv_f32(&l->input[1]) + group * GROUP, (next - group) * GROUP);
        if (group == begin || next == end) {
            float *const at = left + (group == begin ? 0 : 2);
            at[0] = a;
            at[1] = b;
        } else {
            put_norms(norms, segment, (double)a, (double)b);
        }
        if (next < end) put_nothing(norms, segment + 1, owner_of(owner, next, segments));
    }
}

static void segment_norms_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    for (; first < last; first++) norms_piece(step, first);
}

/* The sums that pieces left, in their order: one segment may go through many pieces. */
static void segment_norms_finish(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    const rv_launch *l = &step->launch;
    const rv_operand *owner = &l->input[2], *norms = &l->output[0];
    const int64_t segments = norms->rows;
    int64_t open = -1;
    double a = 0, b = 0;
    for (int64_t piece = 0; piece < step->units; piece++) {
        const float *left = step->partial + LEFT * piece;
        const int64_t ends[2] = {owner_of(owner, piece * PIECE / GROUP, segments),
                                 owner_of(owner, end_of(l, piece + 1) / GROUP - 1, segments)};
        for (int i = 0; i < 2; i++, left += 2) {
            if (ends[i] != open) {
                if (open >= 0) put_norms(norms, open, a, b);
                if (i == 0) put_nothing(norms, open + 1, ends[i]);
                open = ends[i];
                a = b = 0;
            }
            a += (double)left[0];
            b += (double)left[1];
        }
    }
    if (open >= 0) put_norms(norms, open, a, b);
    put_nothing(norms, open + 1, segments);
}

static bool in_groups(const rv_launch *l, const rv_operand *owner) { return l->input[0].cols == GROUP * owner->rows; }

static bool segment_norms_accepts(const rv_launch *l) { return in_groups(l, &l->input[2]); }
const rv_kernel RV_NAME(rv_segment_norms_kernel) = {
    .run = segment_norms_run, .finish = segment_norms_finish, .integers = 4, .accepts = segment_norms_accepts,
    .pieces = pieces, .partials = norms_partials, .ns_per_element = 0.1f};

/* ---- laprop: Ziyin et al., 2020, with the clipping of Brock et al., 2021 ------------------------------------ */

typedef struct laprop {
    float beta1, rest1, beta2, rest2, eps, keep, rate, correct2;
} laprop;

/* What the scalars of this update make of the attributes; in double, as they are few. */
static laprop laprop_of(const rv_launch *l) {
    const float *f = l->attributes.f;
    const double lr = (double)*rv_f32(&l->input[4]), updates = (double)*rv_i32(&l->input[5]);
    const double beta1 = 1 - (double)f[0], beta2 = 1 - (double)f[1];
    return (laprop){.beta1 = (float)beta1, .rest1 = f[0], .beta2 = (float)beta2, .rest2 = f[1], .eps = f[2],
                    .keep = (float)(1 - lr * (double)f[3]), .rate = (float)(-lr / (1 - pow(beta1, updates))),
                    .correct2 = (float)(1 / (1 - pow(beta2, updates)))};
}

/* What a segment's gradient is multiplied with. */
static float clip_of(const rv_launch *l, int64_t segment) {
    const float *norm = rv_row(&l->input[6], segment), *f = l->attributes.f;
    if (!(f[4] > 0)) return 1;
    const double floor = (double)f[5], value = (double)norm[0];
    const double most = (double)f[4] * (value > floor ? value : floor), over = (double)norm[1] / most;
    return over > 1 ? (float)(1 / over) : 1;
}

static void laprop_group(const rv_launch *l, const laprop *p, int64_t at, float clip, bool keep) {
    const float *from[4];
    for (int i = 0; i < 4; i++) from[i] = rv_f32(&l->input[i]) + at;
    for (int j = 0; j < GROUP; j += LANES) {
        vf x = vload(from[0] + j), m = vload(from[2] + j), v = vload(from[3] + j);
        if (!keep) {
            const vf g = vload(from[1] + j) * clip;
            v = vfma(vset(p->beta2), v, p->rest2 * g * g);
            const vf down = vsqrt_near(vmax(vset(0x1p-120f), v * p->correct2)) + p->eps;
            m = vfma(vset(p->beta1), m, p->rest1 * (g * vreciprocal(down)));
            x = vfma(vset(p->rate), m, x * p->keep);
        }
        const vf now[3] = {x, m, v};
        UNROLL for (int i = 0; i < 3; i++)
            if (l->output[i].buffer) vstore(rv_f32(&l->output[i]) + at + j, now[i]);
    }
}

static void laprop_run(const rv_step *step, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    const rv_launch *l = &step->launch;
    const laprop p = laprop_of(l);
    const bool keep = *rv_i32(&l->input[8]) != 0;
    const int64_t end = end_of(l, last), segments = l->input[6].rows;
    int64_t segment = -1;
    float clip = 1;
    for (int64_t i = first * PIECE; i < end; i += GROUP) {
        const int64_t owner = owner_of(&l->input[7], i / GROUP, segments);
        if (owner != segment) clip = clip_of(l, segment = owner);
        laprop_group(l, &p, i, clip, keep);
    }
}

static bool laprop_accepts(const rv_launch *l) { return in_groups(l, &l->input[7]); }
const rv_kernel RV_NAME(rv_laprop_kernel) = {
    .run = laprop_run, .integers = 0x1a0, .accepts = laprop_accepts, .pieces = pieces, .ns_per_element = 0.3f};
