/* agents/returns.c: returns of imagined and replayed trajectories, and their scale. */
#include "reverie/returns.h"

#include <stdio.h>
#include <string.h>

/* ---- the two layouts ---- */

rv_tensor rv_returns_by_row(rv_tensor x, int64_t steps) {
    const int64_t rows = rv_tensor_rows(x);
    if (x.id && (steps < 1 || rows % steps || rv_tensor_cols(x) != 1)) {
        return rv_graph_refuse(x.graph, RV_SHAPE_MISMATCH, "rv_returns_by_row",
                               "[%lld, %lld] are not %lld steps of [B, 1]", (long long)rows,
                               (long long)rv_tensor_cols(x), (long long)steps);
    }
    return rv_transpose(rv_reshape(x, steps, steps > 0 ? rows / steps : 0));
}

rv_tensor rv_returns_by_time(rv_tensor x) {
    const int64_t count = rv_tensor_rows(x) * rv_tensor_cols(x);
    return rv_reshape(rv_transpose(x), count, 1);
}

rv_tensor rv_returns_join(const rv_tensor *x, int count) {
    enum { MOST = 8 }; /* that one concat takes */
    if (!x || count < 1) return RV_NONE;
    rv_tensor joined = x[0];
    for (int at = 1; at < count; at += MOST - 1) {
        rv_tensor part[MOST] = {joined};
        const int more = count - at < MOST - 1 ? count - at : MOST - 1;
        memcpy(part + 1, x + at, (size_t)more * sizeof *x);
        joined = rv_concat_cols(part, 1 + more);
    }
    return joined;
}

/* ---- returns ---- */

static rv_tensor without_first(rv_tensor x) { return rv_slice_cols(x, 1, rv_tensor_cols(x) - 1); }
static rv_tensor without_last(rv_tensor x) { return rv_slice_cols(x, 0, rv_tensor_cols(x) - 1); }

/* All of one shape, with two columns at least. */
static int alike(rv_graph *graph, const char *what, const rv_tensor *x, int count) {
    for (int i = 0; i < count; i++) {
        if (!x[i].id) return 0;
        const int64_t rows = rv_tensor_rows(x[0]), cols = rv_tensor_cols(x[0]);
        if (rv_tensor_rows(x[i]) == rows && rv_tensor_cols(x[i]) == cols && cols >= 2) continue;
        rv_graph_refuse(graph, RV_SHAPE_MISMATCH, what,
                        "input %d is [%lld, %lld], the first [%lld, %lld]; all alike, of 2 "
                        "columns or more, would fit",
                        i, (long long)rv_tensor_rows(x[i]), (long long)rv_tensor_cols(x[i]), (long long)rows,
                        (long long)cols);
        return 0;
    }
    return 1;
}

rv_imagined_returns rv_returns_imagined(rv_tensor reward, rv_tensor going_on, rv_tensor value, float lambda) {
    const rv_tensor all[] = {reward, going_on, value}, poisoned = {reward.graph, 0};
    if (!alike(reward.graph, "rv_returns_imagined", all, 3)) return (rv_imagined_returns){poisoned, poisoned};
    return (rv_imagined_returns){
        .target = rv_lambda_return(without_first(reward), without_first(going_on), value, lambda),
        .weight = without_last(rv_cumprod(going_on, 0)),
    };
}

rv_tensor rv_returns_replayed(rv_tensor reward, rv_tensor is_terminal, rv_tensor is_last, rv_tensor boot,
                              float discount, float lambda) {
    const rv_tensor all[] = {reward, is_terminal, is_last, boot};
    if (!alike(reward.graph, "rv_returns_replayed", all, 4)) return (rv_tensor){reward.graph, 0};
    rv_tensor live = rv_affine(without_first(is_terminal), -discount, discount);
    rv_tensor trust = rv_affine(without_first(is_last), -lambda, lambda);
    rv_tensor known = rv_mul(rv_mul(live, rv_affine(trust, -1, 1)), without_first(boot));
    return rv_lambda_return(rv_add(without_first(reward), known), rv_mul(live, trust), boot, 1);
}

/* ---- the normaliser ---- */

struct rv_return_normaliser {
    rv_device *device;
    rv_return_normaliser_options options;
    rv_array *low, *high, *first; /* first: i32 [1, 1], 0, the row that a gated store names */
    char message[512];
};

static rv_status fail(rv_return_normaliser *n, rv_status status, const char *text) {
    snprintf(n->message, sizeof n->message, "return normaliser: %.400s", text);
    return status;
}

static rv_status make(rv_return_normaliser *n, rv_dtype dtype, const char *name, rv_array **array) {
    rv_status status = rv_array_create(n->device, dtype, 1, 1, name, array);
    return status == RV_OK ? RV_OK : fail(n, status, *array ? rv_array_message(*array) : "no memory");
}

static float or_default(float given, float value) { return given != 0 ? given : value; }

rv_status rv_return_normaliser_create(rv_device *device, const rv_return_normaliser_options *options,
                                      rv_return_normaliser **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_return_normaliser *n = *out = rv_device_resize(device, NULL, sizeof *n);
    if (!n) return RV_OUT_OF_MEMORY;
    *n = (rv_return_normaliser){.device = device};
    rv_return_normaliser_options *o = &n->options;
    if (options) memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    *o = (rv_return_normaliser_options){sizeof *o, or_default(o->low, 0.05f), or_default(o->high, 0.95f),
                                        or_default(o->rate, 0.01f), or_default(o->smallest, 1.0f)};
    if (!(o->low > 0 && o->low < o->high && o->high < 1 && o->rate > 0 && o->rate <= 1 && o->smallest > 0))
        return fail(n, RV_INVALID_ARGUMENT, "0 < low < high < 1, 0 < rate <= 1 and 0 < smallest would fit");
    rv_status status = make(n, RV_F32, "returns/low", &n->low);
    if (status == RV_OK) status = make(n, RV_F32, "returns/high", &n->high);
    return status == RV_OK ? make(n, RV_I32, "returns/first", &n->first) : status;
}

void rv_return_normaliser_destroy(rv_return_normaliser *n) {
    if (!n) return;
    rv_array *const arrays[] = {n->low, n->high, n->first};
    rv_device_resize(n->device, n, 0); /* first: with its last object a closed device goes too */
    for (int i = 0; i < 3; i++) rv_array_destroy(arrays[i]);
}

const char *rv_return_normaliser_message(const rv_return_normaliser *n) { return n ? n->message : "no normaliser"; }
rv_array *rv_return_normaliser_low(rv_return_normaliser *n) { return n ? n->low : NULL; }
rv_array *rv_return_normaliser_high(rv_return_normaliser *n) { return n ? n->high : NULL; }

static rv_tensor follow(rv_graph *graph, const rv_return_normaliser *n, rv_array *array, rv_tensor returns, float q) {
    const float rate = n->options.rate;
    rv_tensor now = rv_affine(rv_quantile(returns, q), rate, 0);
    return rv_add(rv_affine(rv_read(graph, array), 1 - rate, 0), now);
}

rv_return_scale rv_returns_normalise(rv_graph *graph, rv_return_normaliser *n, rv_tensor returns) {
    if (!n) {
        rv_tensor none = rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_returns_normalise", "the normaliser is NULL");
        return (rv_return_scale){none, none, none, none};
    }
    rv_graph_push(graph, "returns");
    returns = rv_stop_gradient(returns);
    rv_tensor low = follow(graph, n, n->low, returns, n->options.low);
    rv_tensor high = follow(graph, n, n->high, returns, n->options.high);
    rv_tensor scale = rv_max(rv_sub(high, low), rv_fill(graph, 1, 1, n->options.smallest));
    rv_graph_pop(graph);
    return (rv_return_scale){low, high, rv_stop_gradient(scale), returns};
}

/* By row, so that nothing is stored while the flag is set. */
void rv_returns_keep(rv_graph *graph, rv_return_normaliser *n, rv_return_scale scale) {
    static const char *const watched = "returns";
    if (!n) {
        rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_returns_keep", "the normaliser is NULL");
        return;
    }
    rv_watch(scale.returns, &watched, 1);
    rv_store_rows(n->low, scale.low, rv_read(graph, n->first));
    rv_store_rows(n->high, scale.high, rv_read(graph, n->first));
}

rv_status rv_return_normaliser_checkpoint(rv_return_normaliser *n, rv_checkpoint *checkpoint, const char *prefix) {
    static const char *const names[] = {"low", "high"};
    if (!n || !checkpoint || !prefix) return RV_INVALID_ARGUMENT;
    rv_status status = RV_OK;
    for (int i = 0; i < 2 && status == RV_OK; i++) {
        char full[256];
        snprintf(full, sizeof full, "%.240s%s", prefix, names[i]);
        status = rv_checkpoint_add_array(checkpoint, full, i ? n->high : n->low);
        if (status != RV_OK) fail(n, status, rv_checkpoint_message(checkpoint));
    }
    return status;
}
