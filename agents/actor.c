/* agents/actor.c: three kinds of distributions over actions. */
#include "reverie/actor.h"

#include <math.h>
#include <string.h>

#include "agents/network.h"

static const float log_two = 0.693147181f, half_log_two_pi = 0.918938533f;

/* ---- making ---- */

static float or_default(float given, float value) { return given != 0 ? given : value; }

static float logit(float p) { return logf(p) - log1pf(-p); }

static void fill_defaults(rv_actor_options *o) {
    const int bounded = o->kind == RV_ACTOR_BOUNDED_NORMAL;
    rv_network_defaults(&o->hidden, &o->activation);
    if (o->classes == 0) o->classes = o->action_size;
    o->outscale = fmaxf(or_default(o->outscale, 0.01f), 0);
    o->unimix = fmaxf(or_default(o->unimix, 0.01f), 0);
    o->min_std = or_default(o->min_std, bounded ? 0.1f : expf(-5));
    o->max_std = or_default(o->max_std, bounded ? 1.0f : expf(2));
    if (o->initial_std == 0) o->initial_std = bounded ? o->min_std + (o->max_std - o->min_std) / (1 + expf(-2)) : 1.0f;
}

/* What is wrong with the options, or NULL. */
static const char *mistake(const rv_actor_options *o) {
    if (o->kind != RV_ACTOR_BOUNDED_NORMAL && o->kind != RV_ACTOR_TANH_NORMAL && o->kind != RV_ACTOR_CATEGORICAL)
        return "no such kind of actor";
    if (o->inputs < 1 || o->action_size < 1) return "an actor's inputs and action_size must be 1 or more";
    if (o->kind == RV_ACTOR_CATEGORICAL) {
        if (o->classes < 1 || o->action_size % o->classes) return "an actor's classes must divide its action_size";
        return o->unimix <= 1 ? NULL : "an actor's unimix must be 1 at most";
    }
    const int ordered = o->min_std > 0 && o->min_std < o->initial_std && o->initial_std < o->max_std;
    if (!ordered || !isfinite(o->max_std)) return "an actor needs 0 < min_std < initial_std < max_std";
    return o->mean_bound >= 0 ? NULL : "an actor's mean_bound must not be negative";
}

rv_actor rv_actor_add(rv_params *params, const char *name, const rv_actor_options *options) {
    rv_actor actor = {.params = params};
    if (!options || options->size == 0) {
        rv_params_refuse(params, name, "set size to sizeof(rv_actor_options)");
        return actor;
    }
    rv_actor_options *o = &actor.options;
    memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    fill_defaults(o);
    if (mistake(o)) {
        rv_params_refuse(params, name, mistake(o));
        return actor;
    }
    const int categorical = o->kind == RV_ACTOR_CATEGORICAL;
    actor.trunk = rv_network_add(params, name, o->inputs, o->hidden, o->activation, o->plain);
    const char *const head = categorical ? "logits" : "mean";
    actor.head = rv_network_add_head(params, name, head, o->hidden, o->action_size, o->outscale);
    if (!categorical) actor.std = rv_network_add_head(params, name, "std", o->hidden, o->action_size, o->outscale);
    return actor;
}

/* ---- forward ---- */

static rv_tensor squashed_std(const rv_actor_options *o, rv_tensor s) {
    if (o->kind == RV_ACTOR_BOUNDED_NORMAL) {
        const float span = o->max_std - o->min_std, shift = logit((o->initial_std - o->min_std) / span);
        return rv_affine(rv_sigmoid(rv_affine(s, 1, shift)), span, o->min_std);
    }
    const float low = logf(o->min_std), span = logf(o->max_std) - low;
    const float shift = logit((logf(o->initial_std) - low) / span);
    return rv_exp(rv_affine(rv_sigmoid(rv_affine(s, 1, shift)), span, low));
}

static rv_tensor squashed_mean(const rv_actor_options *o, rv_tensor m) {
    if (o->kind == RV_ACTOR_BOUNDED_NORMAL) return rv_tanh(m);
    return o->mean_bound > 0 ? rv_affine(rv_tanh(rv_affine(m, 1 / o->mean_bound, 0)), o->mean_bound, 0) : m;
}

rv_actor_policy rv_actor_forward(rv_graph *graph, const rv_actor *actor, const rv_tensor *features, int count) {
    const rv_actor_options *o = &actor->options;
    rv_actor_policy policy = {.kind = o->kind, .classes = o->classes, .unimix = o->unimix};
    rv_tensor x = rv_mlp_forward(graph, &actor->trunk, features, count);
    rv_tensor head = rv_layer_forward(graph, &actor->head, &x, 1);
    if (o->kind == RV_ACTOR_CATEGORICAL) {
        policy.logits = head;
        return policy;
    }
    policy.mean = squashed_mean(o, head);
    policy.std = squashed_std(o, rv_layer_forward(graph, &actor->std, &x, 1));
    return policy;
}

/* ---- normals ---- */

/* -sum (noise^2 / 2 + log std + log(2 pi) / 2): of mean + std * noise. */
static rv_tensor log_prob_of_noise(rv_tensor noise, rv_tensor std) {
    rv_tensor each = rv_add(rv_affine(rv_square(noise), 0.5f, half_log_two_pi), rv_log(std));
    return rv_neg(rv_sum(each, RV_COLS));
}

static rv_tensor normal_log_prob(rv_actor_policy policy, rv_tensor value) {
    return log_prob_of_noise(rv_div(rv_sub(value, policy.mean), policy.std), policy.std);
}

/* sum log(1 - tanh(u)^2) = sum 2 (log 2 - u - softplus(-2 u)), which loses nothing for large u. */
static rv_tensor log_slope_of_tanh(rv_tensor u) {
    rv_tensor each = rv_add(u, rv_softplus(rv_affine(u, -2, 0)));
    return rv_sum(rv_affine(each, -2, 2 * log_two), RV_COLS);
}

static rv_tensor normal_entropy(rv_actor_policy policy) {
    return rv_sum(rv_affine(rv_log(policy.std), 1, 0.5f + half_log_two_pi), RV_COLS);
}

static rv_action draw_normal(rv_actor_policy policy, rv_tensor noise) {
    rv_tensor u = rv_add(policy.mean, rv_mul(policy.std, noise));
    rv_action action = {.action = u, .log_prob = log_prob_of_noise(noise, policy.std)};
    if (policy.kind == RV_ACTOR_BOUNDED_NORMAL) {
        action.entropy = normal_entropy(policy);
        return action;
    }
    action.action = rv_tanh(u);
    action.log_prob = rv_sub(action.log_prob, log_slope_of_tanh(u));
    action.entropy = rv_neg(action.log_prob);
    return action;
}

/* Noise that is given must be an action wide: a single column would be repeated. */
static rv_tensor noise_of(rv_actor_policy policy, rv_tensor noise, const char *name, uint32_t t) {
    const int64_t rows = rv_tensor_rows(policy.mean), cols = rv_tensor_cols(policy.mean);
    if (rv_tensor_dtype(noise) != RV_F32) return rv_normal(noise, name, t, rows, cols);
    if (!noise.id || (rv_tensor_rows(noise) == rows && rv_tensor_cols(noise) == cols)) return noise;
    return rv_graph_refuse(noise.graph, RV_SHAPE_MISMATCH, "rv_actor_draw",
                           "noise is [%lld, %lld], actions are [%lld, %lld]", (long long)rv_tensor_rows(noise),
                           (long long)rv_tensor_cols(noise), (long long)rows, (long long)cols);
}

/* ---- all kinds ---- */

rv_action rv_actor_draw(rv_actor_policy policy, rv_tensor noise, const char *name, uint32_t t) {
    if (policy.kind != RV_ACTOR_CATEGORICAL) return draw_normal(policy, noise_of(policy, noise, name, t));
    rv_categorical_sample drawn = rv_sample_categorical(policy.logits, policy.classes, policy.unimix, noise, name, t);
    return (rv_action){drawn.value, drawn.log_prob, drawn.entropy};
}

rv_action rv_actor_sample(rv_graph *graph, const rv_actor *actor, const rv_tensor *features, int count, rv_tensor noise,
                          const char *name, uint32_t t) {
    return rv_actor_draw(rv_actor_forward(graph, actor, features, count), noise, name, t);
}

rv_tensor rv_actor_log_prob(rv_actor_policy policy, rv_tensor action) {
    if (policy.kind == RV_ACTOR_CATEGORICAL)
        return rv_categorical_log_prob(policy.logits, policy.classes, policy.unimix, action);
    if (rv_tensor_cols(action) != rv_tensor_cols(policy.mean) && action.id) {
        return rv_graph_refuse(action.graph, RV_SHAPE_MISMATCH, "rv_actor_log_prob",
                               "actions have %lld columns, the policy's %lld", (long long)rv_tensor_cols(action),
                               (long long)rv_tensor_cols(policy.mean));
    }
    if (policy.kind == RV_ACTOR_BOUNDED_NORMAL) return normal_log_prob(policy, action);
    rv_tensor a = rv_clamp(action, -1 + 1e-6f, 1 - 1e-6f);
    rv_tensor u = rv_affine(rv_sub(rv_log(rv_affine(a, 1, 1)), rv_log(rv_affine(a, -1, 1))), 0.5f, 0); /* atanh */
    return rv_sub(normal_log_prob(policy, u), log_slope_of_tanh(u));
}

rv_tensor rv_actor_entropy(rv_actor_policy policy) {
    if (policy.kind == RV_ACTOR_CATEGORICAL)
        return rv_categorical_entropy(policy.logits, policy.classes, policy.unimix);
    if (policy.kind == RV_ACTOR_BOUNDED_NORMAL) return normal_entropy(policy);
    return rv_graph_refuse(policy.mean.graph, RV_UNSUPPORTED, "rv_actor_entropy",
                           "a tanh-normal has no closed form; rv_action.entropy estimates it from a draw");
}

rv_tensor rv_actor_mode(rv_actor_policy policy) {
    if (policy.kind == RV_ACTOR_CATEGORICAL) return rv_categorical_mode(policy.logits, policy.classes);
    return policy.kind == RV_ACTOR_TANH_NORMAL ? rv_tanh(policy.mean) : policy.mean;
}

/* ---- an environment's actions ---- */

int64_t rv_actor_action_size(const rv_env_spaces *spaces) {
    return spaces->action_size * (spaces->action_choices ? spaces->action_choices : 1);
}

static float stretched(float action, float low, float high) {
    const float clipped = action < -1 ? -1 : action > 1 ? 1 : action;
    return low + 0.5f * (clipped + 1) * (high - low);
}

static float choice_of(const float *group, int64_t choices) {
    int64_t best = 0;
    for (int64_t k = 0; k < choices; k++) {
        if (isnan(group[k])) return group[k];
        if (group[k] > group[best]) best = k;
    }
    return (float)best;
}

void rv_actor_to_env(const rv_env_spaces *spaces, int64_t rows, const float *from, float *to) {
    const int64_t size = spaces->action_size, choices = spaces->action_choices;
    for (int64_t i = 0; i < rows * size; i++) {
        to[i] = choices ? choice_of(from + i * choices, choices)
                        : stretched(from[i], spaces->action_low[i % size], spaces->action_high[i % size]);
    }
}

void rv_actor_from_env(const rv_env_spaces *spaces, int64_t rows, const float *from, float *to) {
    const int64_t size = spaces->action_size, choices = spaces->action_choices;
    for (int64_t i = 0; i < rows * size; i++) {
        const float low = spaces->action_low[i % size], high = spaces->action_high[i % size];
        if (!choices) to[i] = high > low ? 2 * (from[i] - low) / (high - low) - 1 : 0;
        for (int64_t k = 0; k < choices; k++) to[i * choices + k] = isnan(from[i]) ? from[i] : from[i] == (float)k;
    }
}
