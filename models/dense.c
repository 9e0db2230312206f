/* models/dense.c */
#include "reverie/dense.h"

#include <stdio.h>

static int add_weight(rv_params *params, const char *name, int layer, const char *what, int64_t rows, int64_t cols, rv_init init, float scale) {
    char full[256];
    snprintf(full, sizeof full, "%s/%d/%s", name, layer, what);
    return rv_params_add(params, full, rows, cols, init, scale);
}

rv_mlp rv_mlp_add(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, int64_t outputs, rv_activation activation) {
    rv_mlp mlp = {.params = params, .inputs = inputs, .outputs = outputs, .activation = activation};
    if (hidden.count < 0 || hidden.count >= RV_LAYERS_MAX) {
        rv_params_add(params, name, -1, -1, RV_INIT_ZERO, 0); /* refused: the set keeps the mistake */
        return mlp;
    }
    int64_t width = inputs;
    for (mlp.layers = 0; mlp.layers <= hidden.count; mlp.layers++) {
        int64_t next = mlp.layers < hidden.count ? hidden.size[mlp.layers] : outputs;
        mlp.weight[mlp.layers] = add_weight(params, name, mlp.layers, "weight", width, next, RV_INIT_FAN_IN, 1);
        /* torch draws the bias from the same interval; U(-s, s) of a single row needs the width in the scale */
        mlp.bias[mlp.layers] = add_weight(params, name, mlp.layers, "bias", 1, next, RV_INIT_UNIFORM,
                                          width > 0 ? 1.0f / __builtin_sqrtf((float)width) : 0);
        width = next;
    }
    return mlp;
}

rv_tensor rv_mlp_forward(rv_graph *graph, const rv_mlp *mlp, const rv_tensor *inputs, int count) {
    rv_tensor x = RV_NONE;
    for (int layer = 0; layer < mlp->layers; layer++) {
        rv_activation activation = layer + 1 < mlp->layers ? mlp->activation : RV_LINEAR;
        x = rv_linear(layer ? &x : inputs, layer ? 1 : count, rv_param(graph, mlp->params, mlp->weight[layer]),
                      rv_param(graph, mlp->params, mlp->bias[layer]), activation);
    }
    return x;
}
