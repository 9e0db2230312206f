/* models/dense.c */
#include "reverie/dense.h"

#include <stdbool.h>
#include <stdio.h>

static int add_weight(rv_params *params, const char *name, const char *what, int64_t rows, int64_t cols, rv_init init,
                      float scale) {
    char full[320];
    snprintf(full, sizeof full, "%s/%s", name, what);
    return rv_params_add(params, full, rows, cols, init, scale);
}

/* ---- one layer ---- */

rv_layer rv_layer_add(rv_params *params, const char *name, int64_t inputs, int64_t outputs, rv_activation activation,
                      float outscale) {
    return (rv_layer){.params = params,
                      .weight = add_weight(params, name, "weight", inputs, outputs,
                                           outscale == 0 ? RV_INIT_ZERO : RV_INIT_TRUNCATED, outscale),
                      .bias = add_weight(params, name, "bias", 1, outputs, RV_INIT_ZERO, 0),
                      .scale = -1,
                      .activation = activation};
}

rv_layer rv_layer_add_normed(rv_params *params, const char *name, int64_t inputs, int64_t outputs,
                             rv_activation activation) {
    rv_layer layer = rv_layer_add(params, name, inputs, outputs, activation, 1);
    layer.scale = add_weight(params, name, "scale", 1, outputs, RV_INIT_CONSTANT, 1);
    return layer;
}

/* torch.nn.Linear */
static rv_layer add_torch_layer(rv_params *params, const char *name, int64_t inputs, int64_t outputs,
                                rv_activation activation) {
    /* torch draws the bias from the same interval; U(-s, s) of a single row needs the width in the scale */
    const float bound = inputs > 0 ? 1.0f / __builtin_sqrtf((float)inputs) : 0;
    return (rv_layer){.params = params,
                      .weight = add_weight(params, name, "weight", inputs, outputs, RV_INIT_FAN_IN, 1),
                      .bias = add_weight(params, name, "bias", 1, outputs, RV_INIT_UNIFORM, bound),
                      .scale = -1,
                      .activation = activation};
}

rv_tensor rv_layer_forward(rv_graph *graph, const rv_layer *layer, const rv_tensor *inputs, int count) {
    const bool normed = layer->scale >= 0;
    rv_tensor y = rv_linear(inputs, count, rv_param(graph, layer->params, layer->weight),
                            rv_param(graph, layer->params, layer->bias), normed ? RV_LINEAR : layer->activation);
    if (!normed) return y;
    return rv_rms_norm(y, rv_param(graph, layer->params, layer->scale), RV_LAYER_NORM_EPS, layer->activation);
}

/* ---- several ---- */

rv_sizes rv_sizes_of(int count, int64_t size) {
    rv_sizes sizes = {.count = count};
    for (int i = 0; i < count && i < RV_LAYERS_MAX; i++) sizes.size[i] = size;
    return sizes;
}

static bool good_count(rv_params *params, const char *name, rv_sizes hidden) {
    if (hidden.count >= 0 && hidden.count < RV_LAYERS_MAX) return true;
    rv_params_add(params, name, -1, -1, RV_INIT_ZERO, 0); /* refused: the set keeps the mistake */
    return false;
}

rv_mlp rv_mlp_add(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, int64_t outputs,
                  rv_activation activation) {
    rv_mlp mlp = {0};
    char full[256];
    if (!good_count(params, name, hidden)) return mlp;
    for (int i = 0; i <= hidden.count; i++) {
        const bool last = i == hidden.count;
        const int64_t width = last ? outputs : hidden.size[i];
        snprintf(full, sizeof full, "%s/%d", name, i);
        mlp.layer[mlp.layers++] = add_torch_layer(params, full, inputs, width, last ? RV_LINEAR : activation);
        inputs = width;
    }
    return mlp;
}

rv_mlp rv_mlp_add_normed(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, int64_t outputs,
                         rv_activation activation, float outscale) {
    rv_mlp mlp = {0};
    char full[256];
    if (!good_count(params, name, hidden)) return mlp;
    for (int i = 0; i < hidden.count; i++) {
        snprintf(full, sizeof full, "%s/%d", name, i);
        mlp.layer[mlp.layers++] = rv_layer_add_normed(params, full, inputs, hidden.size[i], activation);
        inputs = hidden.size[i];
    }
    snprintf(full, sizeof full, "%s/out", name);
    if (outputs != 0 || hidden.count == 0)
        mlp.layer[mlp.layers++] = rv_layer_add(params, full, inputs, outputs, RV_LINEAR, outscale);
    return mlp;
}

rv_tensor rv_mlp_forward(rv_graph *graph, const rv_mlp *mlp, const rv_tensor *inputs, int count) {
    rv_tensor x = RV_NONE;
    for (int i = 0; i < mlp->layers; i++) x = rv_layer_forward(graph, &mlp->layer[i], i ? &x : inputs, i ? 1 : count);
    return x;
}
