/* models/rssm.c: recurrent state-space models: their weights and a single step. */
#include "models/rssm.h"

#include <stdio.h>
#include <string.h>

static void set_default(int64_t *value, int64_t block, int64_t plain, rv_core core) {
    if (*value == 0) *value = core == RV_CORE_BLOCK_GRU ? block : plain;
}

rv_rssm_options rv_rssm_defaults(const rv_rssm_options *given) {
    rv_rssm_options o = {0};
    if (given) memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    const bool plain = o.core == RV_CORE_GRU;
    set_default(&o.deter, 512, 200, o.core);
    set_default(&o.hidden, 64, 200, o.core);
    set_default(&o.stoch, 32, 30, o.core);
    set_default(&o.classes, 4, 32, o.core);
    set_default(&o.blocks, 8, 1, o.core);
    if (o.unimix == 0) o.unimix = 0.01f;
    if (o.unimix < 0) o.unimix = 0;
    if (o.prior_layers == 0) o.prior_layers = plain ? 1 : 2;
    if (o.posterior_layers == 0) o.posterior_layers = 1;
    if (o.activation == RV_LINEAR) o.activation = plain ? RV_ELU : RV_SILU;
    if (o.min_std == 0) o.min_std = 0.1f;
    return o;
}

/* ---- weights ---- */

/* What is being added to: names are prefix + name. */
typedef struct builder {
    rv_params *params;
    const char *prefix;
    const rv_rssm_options *options;
    char name[256];
} builder;

static const char *named(builder *b, const char *name) {
    snprintf(b->name, sizeof b->name, "%s%s", b->prefix, name);
    return b->name;
}

static int add_weight(builder *b, const char *name, int64_t rows, int64_t cols, rv_init init, float scale) {
    return rv_params_add(b->params, named(b, name), rows, cols, init, scale);
}

/* The block GRU's layers are normed, the plain one's are not. */
static rv_layer add_layer(builder *b, const char *name, int64_t inputs, int64_t outputs) {
    const rv_activation activation = b->options->activation;
    if (b->options->core == RV_CORE_GRU) return rv_layer_add(b->params, named(b, name), inputs, outputs, activation, 1);
    return rv_layer_add_normed(b->params, named(b, name), inputs, outputs, activation);
}

static void add_block_core(builder *b, rv_rssm *rssm) {
    const rv_rssm_options *o = b->options;
    const int64_t group = o->deter / o->blocks;
    rssm->deter = add_layer(b, "dyn/deter", o->deter, o->hidden);
    rssm->stoch = add_layer(b, "dyn/stoch", rv_rssm_stoch_size(rssm), o->hidden);
    rssm->action = add_layer(b, "dyn/action", o->action_size, o->hidden);
    rssm->hidden_weight =
        add_weight(b, "dyn/hidden/weight", o->blocks * (group + 3 * o->hidden), group, RV_INIT_TRUNCATED, 1);
    rssm->hidden_bias = add_weight(b, "dyn/hidden/bias", 1, o->deter, RV_INIT_ZERO, 0);
    rssm->hidden_scale = add_weight(b, "dyn/hidden/scale", 1, o->deter, RV_INIT_CONSTANT, 1);
    rssm->gates_weight = add_weight(b, "dyn/gates/weight", o->deter, 3 * group, RV_INIT_TRUNCATED, 1);
    rssm->gates_bias = add_weight(b, "dyn/gates/bias", 1, 3 * o->deter, RV_INIT_ZERO, 0);
}

/* torch.nn.GRUCell and its initial weights. */
static void add_plain_core(builder *b, rv_rssm *rssm) {
    const rv_rssm_options *o = b->options;
    const float bound = 1.0f / __builtin_sqrtf((float)o->deter);
    rssm->input = add_layer(b, "dyn/input", rv_rssm_stoch_size(rssm) + o->action_size, o->hidden);
    rssm->w_x = add_weight(b, "dyn/gru/w_x", o->hidden, 3 * o->deter, RV_INIT_UNIFORM, bound);
    rssm->w_h = add_weight(b, "dyn/gru/w_h", o->deter, 3 * o->deter, RV_INIT_UNIFORM, bound);
    rssm->b_x = add_weight(b, "dyn/gru/b_x", 1, 3 * o->deter, RV_INIT_UNIFORM, bound);
    rssm->b_h = add_weight(b, "dyn/gru/b_h", 1, 3 * o->deter, RV_INIT_UNIFORM, bound);
}

static void add_latent(builder *b, const char *name, int64_t inputs, int layers, rv_layer *layer, rv_layer head[2]) {
    const rv_rssm_options *o = b->options;
    char full[64];
    for (int i = 0; i < layers; i++) {
        snprintf(full, sizeof full, "%s/%d", name, i);
        layer[i] = add_layer(b, full, i ? o->hidden : inputs, o->hidden);
    }
    const bool gaussian = o->latent == RV_LATENT_GAUSSIAN;
    const int64_t outputs = gaussian ? o->stoch : o->stoch * o->classes;
    snprintf(full, sizeof full, "%s/%s", name, gaussian ? "mean" : "logits");
    head[0] = rv_layer_add(b->params, named(b, full), o->hidden, outputs, RV_LINEAR, 1);
    snprintf(full, sizeof full, "%s/std", name);
    if (gaussian) head[1] = rv_layer_add(b->params, named(b, full), o->hidden, outputs, RV_LINEAR, 1);
}

static bool good_layers(int layers) { return layers >= 1 && layers <= RV_LAYERS_MAX; }

/* NULL: there is none. */
static const char *mistake_of(const rv_rssm_options *o) {
    if ((unsigned)o->core > RV_CORE_GRU || (unsigned)o->latent > RV_LATENT_GAUSSIAN)
        return "rssm: no such core or latent";
    if (o->action_size < 1 || o->token_size < 1) return "rssm: action_size and token_size must be at least 1";
    if (o->deter < 1 || o->hidden < 1 || o->stoch < 1) return "rssm: deter, hidden and stoch must be at least 1";
    if (o->classes < 1) return "rssm: classes must be at least 1";
    if (o->blocks < 1 || o->deter % o->blocks != 0) return "rssm: blocks must divide deter";
    if (!good_layers(o->prior_layers)) return "rssm: prior_layers must be 1 to RV_LAYERS_MAX";
    if (!good_layers(o->posterior_layers)) return "rssm: posterior_layers must be 1 to RV_LAYERS_MAX";
    return NULL;
}

rv_rssm rv_rssm_add(rv_params *params, const char *prefix, const rv_rssm_options *options) {
    rv_rssm rssm = {.params = params, .options = rv_rssm_defaults(options)};
    const rv_rssm_options *o = &rssm.options;
    builder b = {.params = params, .prefix = prefix ? prefix : "", .options = o};
    const char *mistake = mistake_of(o);
    if (mistake) {
        rv_params_add(params, named(&b, mistake), -1, -1, RV_INIT_ZERO, 0); /* refused: the set's message names it */
        return rssm;
    }
    rssm.prior_layers = o->prior_layers;
    rssm.posterior_layers = o->posterior_layers;
    if (o->core == RV_CORE_BLOCK_GRU) add_block_core(&b, &rssm);
    else add_plain_core(&b, &rssm);
    add_latent(&b, "prior", o->deter, o->prior_layers, rssm.prior, rssm.prior_head);
    add_latent(&b, "post", o->deter + o->token_size, o->posterior_layers, rssm.posterior, rssm.posterior_head);
    return rssm;
}

int64_t rv_rssm_stoch_size(const rv_rssm *rssm) {
    return rssm->options.stoch * (rssm->options.latent == RV_LATENT_CATEGORICAL ? rssm->options.classes : 1);
}

/* ---- a step ---- */

rv_rssm_state rv_rssm_start(rv_graph *graph, const rv_rssm *rssm, int64_t rows) {
    return (rv_rssm_state){rv_fill(graph, rows, rssm->options.deter, 0),
                           rv_fill(graph, rows, rv_rssm_stoch_size(rssm), 0)};
}

static rv_tensor weight(rv_graph *graph, const rv_rssm *rssm, int index) {
    return rv_param(graph, rssm->params, index);
}

rv_tensor rv_rssm_action_input(rv_graph *graph, const rv_rssm *rssm, rv_tensor action) {
    if (rssm->options.core == RV_CORE_GRU) return action;
    rv_tensor bound = rv_max(rv_abs(action), rv_fill(graph, 1, 1, 1));
    rv_tensor bounded = rv_div(action, rv_stop_gradient(bound));
    return rv_layer_forward(graph, &rssm->action, &bounded, 1);
}

static rv_tensor block_core(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state state, rv_tensor action) {
    const rv_rssm_options *o = &rssm->options;
    const int blocks = (int)o->blocks;
    rv_tensor shared[] = {rv_layer_forward(graph, &rssm->deter, &state.deter, 1),
                          rv_layer_forward(graph, &rssm->stoch, &state.stoch, 1), action};
    rv_tensor hidden = rv_block_linear(state.deter, shared, 3, blocks, weight(graph, rssm, rssm->hidden_weight),
                                       weight(graph, rssm, rssm->hidden_bias), RV_LINEAR);
    hidden = rv_rms_norm(hidden, weight(graph, rssm, rssm->hidden_scale), RV_LAYER_NORM_EPS, o->activation);
    rv_tensor gates = rv_block_linear(hidden, NULL, 0, blocks, weight(graph, rssm, rssm->gates_weight),
                                      weight(graph, rssm, rssm->gates_bias), RV_LINEAR);
    return rv_block_gru(gates, state.deter, blocks);
}

static rv_tensor plain_core(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state state, rv_tensor action) {
    rv_tensor x = rv_layer_forward(graph, &rssm->input, (rv_tensor[]){state.stoch, action}, 2);
    return rv_gru_cell(x, state.deter, weight(graph, rssm, rssm->w_x), weight(graph, rssm, rssm->w_h),
                       weight(graph, rssm, rssm->b_x), weight(graph, rssm, rssm->b_h));
}

rv_tensor rv_rssm_core(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state state, rv_tensor action_input) {
    if (rssm->options.core == RV_CORE_GRU) return plain_core(graph, rssm, state, action_input);
    return block_core(graph, rssm, state, action_input);
}

rv_tensor rv_rssm_advance(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state state, rv_tensor action) {
    return rv_rssm_core(graph, rssm, state, rv_rssm_action_input(graph, rssm, action));
}

/* ---- latents ---- */

static rv_latent latent_of(rv_graph *graph, const rv_rssm *rssm, const rv_layer *layer, int layers,
                           const rv_layer head[2], const rv_tensor *inputs, int count) {
    rv_tensor x = RV_NONE;
    for (int i = 0; i < layers; i++) x = rv_layer_forward(graph, &layer[i], i ? &x : inputs, i ? 1 : count);
    rv_tensor first = rv_layer_forward(graph, &head[0], &x, 1);
    if (rssm->options.latent == RV_LATENT_CATEGORICAL) return (rv_latent){.logits = first};
    rv_tensor std = rv_softplus(rv_layer_forward(graph, &head[1], &x, 1));
    return (rv_latent){.mean = first, .std = rv_affine(std, 1, rssm->options.min_std)};
}

rv_latent rv_rssm_prior(rv_graph *graph, const rv_rssm *rssm, rv_tensor deter) {
    return latent_of(graph, rssm, rssm->prior, rssm->prior_layers, rssm->prior_head, &deter, 1);
}

rv_latent rv_rssm_posterior(rv_graph *graph, const rv_rssm *rssm, rv_tensor deter, rv_tensor tokens) {
    return latent_of(graph, rssm, rssm->posterior, rssm->posterior_layers, rssm->posterior_head,
                     (rv_tensor[]){deter, tokens}, 2);
}

static rv_tensor sample_gaussian(rv_latent latent, rv_rssm_noise noise, uint32_t t) {
    rv_tensor normal = noise.given;
    if (!normal.graph && noise.state.graph) {
        normal = rv_normal(noise.state, noise.name, t, rv_tensor_rows(latent.mean), rv_tensor_cols(latent.mean));
    }
    return normal.graph ? rv_add(latent.mean, rv_mul(latent.std, normal)) : latent.mean;
}

rv_tensor rv_rssm_sample(rv_graph *graph, const rv_rssm *rssm, rv_latent latent, rv_rssm_noise noise, uint32_t t) {
    (void)graph;
    if (rssm->options.latent == RV_LATENT_GAUSSIAN) return sample_gaussian(latent, noise, t);
    const int64_t classes = rssm->options.classes;
    rv_tensor from = noise.given.graph ? noise.given : noise.state;
    if (!from.graph) return rv_categorical_mode(latent.logits, classes);
    return rv_sample_categorical(latent.logits, classes, rssm->options.unimix, from, noise.name, t).value;
}
