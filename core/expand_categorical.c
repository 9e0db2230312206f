/* core/expand_categorical.c: categorical variables in basic ops, one variable a row. */
#include "core/expand.h"

/* p = share softmax + floor and its logarithm, [rows * L, classes] */
typedef struct variables {
    rv_tensor softmax, p, log_p;
    float share, floor;
} variables;

static rv_tensor by_variable(const rv_attributes *attributes, rv_tensor x) {
    int64_t classes = attributes->i[0];
    return rv_reshape(x, rv_tensor_rows(x) * (rv_tensor_cols(x) / classes), classes);
}

static rv_tensor by_row(rv_tensor x, rv_tensor like) { return rv_reshape(x, rv_tensor_rows(like), rv_tensor_cols(like)); }

/* Sums over classes and variables, [rows, 1]. */
static rv_tensor row_sums(rv_tensor x, rv_tensor like) { return rv_sum(by_row(x, like), RV_COLS); }

static variables variables_of(const rv_attributes *attributes, rv_tensor logits) {
    variables v = {.share = attributes->f[0], .floor = attributes->f[1]};
    rv_tensor x = by_variable(attributes, logits);
    v.softmax = rv_softmax(x);
    v.p = rv_affine(v.softmax, v.share, v.floor);
    v.log_p = v.floor > 0 ? rv_log(v.p) : rv_log_softmax(x);
    return v;
}

/* What of p comes from the softmax, as a part of p. */
static rv_tensor softmax_part(const variables *v, rv_graph *graph) {
    return v->floor > 0 ? rv_div(rv_affine(v->softmax, v->share, 0), v->p) : rv_fill(graph, 1, 1, 1);
}

/* From softmax dy, whatever y: through the softmax to the logits. */
static rv_tensor to_logits(const variables *v, rv_tensor weighed, rv_tensor like) {
    return by_row(rv_sub(weighed, rv_mul(v->softmax, rv_sum(weighed, RV_COLS))), like);
}

/* A stop_gradient that finite differences can freeze. */
static rv_tensor frozen(rv_tensor x) {
    rv_attributes attributes = {.i = {1}};
    return rv_append_one(x.graph, RV_OP_COPY, &x, 1, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), &attributes);
}

RV_EXPANSION(sample_categorical) {
    (void)graph, (void)input_count;
    variables v = variables_of(attributes, in[0]);
    rv_tensor onehot = frozen(rv_categorical(in[0], in[1], in[2], attributes)), p = by_row(v.p, in[0]);
    out[0] = rv_add(onehot, rv_sub(p, frozen(p)));
    out[1] = row_sums(rv_mul(by_variable(attributes, onehot), v.log_p), in[0]);
    out[2] = rv_neg(row_sums(rv_mul(v.p, v.log_p), in[0]));
}

RV_EXPANSION(categorical_log_prob) {
    (void)input_count;
    variables v = variables_of(attributes, in[0]);
    out[0] = in[1].graph ? row_sums(rv_mul(by_variable(attributes, in[1]), v.log_p), in[0])
                         : rv_fill(graph, rv_tensor_rows(in[0]), 1, 0);
    out[1] = rv_neg(row_sums(rv_mul(v.p, v.log_p), in[0]));
}

static rv_tensor add_some(rv_tensor sum, rv_tensor more) { return sum.graph ? rv_add(sum, more) : more; }

/* softmax times what flows to it: share dp + dlog_prob onehot share / p - dentropy share log p; entropy's constant 1
 * beside log p vanishes on the way through the softmax */
RV_EXPANSION(categorical_backward) {
    (void)input_count;
    rv_tensor logits = in[0], onehot = in[1], dp = in[2], dlog_prob = in[3], dentropy = in[4], weighed = RV_NONE;
    variables v = variables_of(attributes, logits);
    rv_tensor share = rv_affine(v.softmax, v.share, 0);
    if (dp.graph) weighed = rv_mul(share, by_variable(attributes, dp));
    if (dlog_prob.graph) {
        rv_tensor direct = by_variable(attributes, rv_mul(onehot, dlog_prob));
        weighed = add_some(weighed, rv_mul(direct, softmax_part(&v, graph)));
    }
    if (dentropy.graph) {
        rv_tensor direct = rv_mul(by_row(v.log_p, logits), rv_neg(dentropy));
        weighed = add_some(weighed, rv_mul(share, by_variable(attributes, direct)));
    }
    out[0] = to_logits(&v, weighed, logits);
    out[1] = dlog_prob.graph ? rv_mul(by_row(v.log_p, logits), dlog_prob)
                             : rv_fill(graph, rv_tensor_rows(logits), rv_tensor_cols(logits), 0);
}

static rv_tensor log_ratio(const variables *p, const variables *q) {
    return p->floor > 0 ? rv_log(rv_div(p->p, q->p)) : rv_sub(p->log_p, q->log_p);
}

RV_EXPANSION(kl_categorical) {
    (void)graph, (void)input_count;
    variables p = variables_of(attributes, in[0]), q = variables_of(attributes, in[1]);
    out[0] = row_sums(rv_mul(p.p, log_ratio(&p, &q)), in[0]);
}

RV_EXPANSION(kl_categorical_backward) {
    (void)input_count;
    variables p = variables_of(attributes, in[0]), q = variables_of(attributes, in[1]);
    rv_tensor ratio = by_variable(attributes, rv_mul(by_row(log_ratio(&p, &q), in[0]), in[2]));
    rv_tensor pull = by_variable(attributes, rv_mul(by_row(p.p, in[0]), rv_neg(in[2])));
    out[0] = to_logits(&p, rv_mul(rv_affine(p.softmax, p.share, 0), ratio), in[0]);
    out[1] = to_logits(&q, rv_mul(pull, softmax_part(&q, graph)), in[0]);
}
