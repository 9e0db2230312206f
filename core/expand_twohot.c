/* core/expand_twohot.c: heads over bins in basic ops. */
#include "core/expand.h"

typedef struct intervals {
    rv_tensor low, high, gap; /* [1, K - 1] */
} intervals;

static intervals intervals_of(rv_tensor bins) {
    int64_t count = rv_tensor_cols(bins) - 1;
    rv_tensor low = rv_slice_cols(bins, 0, count), high = rv_slice_cols(bins, 1, count);
    return (intervals){low, high, rv_sub(high, low)};
}

/* How far target is through each interval, 0 to 1; a bin's weight is what it rises in the one below it and not above. */
static rv_tensor weights_of(rv_graph *graph, rv_tensor target, rv_tensor bins) {
    intervals at = intervals_of(bins);
    rv_tensor rise = rv_clamp(rv_div(rv_sub(target, at.low), at.gap), 0, 1);
    rv_tensor one = rv_fill(graph, rv_tensor_rows(target), 1, 1), zero = rv_fill(graph, rv_tensor_rows(target), 1, 0);
    return rv_sub(rv_concat_cols((rv_tensor[]){one, rise}, 2), rv_concat_cols((rv_tensor[]){rise, zero}, 2));
}

RV_EXPANSION(twohot_nll) {
    (void)attributes, (void)input_count;
    out[0] = rv_neg(rv_sum(rv_mul(weights_of(graph, in[1], in[2]), rv_log_softmax(in[0])), RV_COLS));
}

/* dtarget: the slope of the nll in the interval that target lies in, none beyond the ends */
RV_EXPANSION(twohot_nll_backward) {
    (void)attributes, (void)input_count;
    rv_tensor logits = in[0], target = in[1], dy = in[3];
    intervals at = intervals_of(in[2]);
    int64_t count = rv_tensor_cols(at.gap);
    out[0] = rv_mul(rv_sub(rv_softmax(logits), weights_of(graph, target, in[2])), dy);
    rv_tensor inside = rv_sub(rv_less(target, at.high), rv_less(target, at.low));
    rv_tensor slope = rv_div(rv_sub(rv_slice_cols(logits, 0, count), rv_slice_cols(logits, 1, count)), at.gap);
    out[1] = rv_mul(rv_sum(rv_mul(inside, slope), RV_COLS), dy);
}

RV_EXPANSION(twohot_mean) {
    (void)attributes, (void)input_count;
    int64_t count = rv_tensor_cols(in[0]);
    rv_tensor part = rv_mul(rv_softmax(in[0]), in[1]), sum = rv_fill(graph, rv_tensor_rows(in[0]), 1, 0);
    for (int64_t k = 0; k < count / 2; k++)
        sum = rv_add(sum, rv_add(rv_slice_cols(part, k, 1), rv_slice_cols(part, count - 1 - k, 1)));
    out[0] = count % 2 ? rv_add(sum, rv_slice_cols(part, count / 2, 1)) : sum;
}
