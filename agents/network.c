/* agents/network.c */
#include "agents/network.h"

#include <stdio.h>

void rv_network_defaults(rv_sizes *hidden, rv_activation *activation) {
    if (hidden->count == 0) *hidden = rv_sizes_of(3, 64);
    if (*activation == RV_LINEAR) *activation = RV_SILU;
}

static const char *full_name(char *out, size_t size, const char *name, const char *last) {
    snprintf(out, size, "%.250s/%s", name ? name : "", last);
    return out;
}

rv_mlp rv_network_add(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, rv_activation activation,
                      int plain) {
    rv_mlp mlp = {0};
    char full[320], number[16];
    if (hidden.count < 1 || hidden.count >= RV_LAYERS_MAX) {
        rv_params_refuse(params, name, "1 to 7 hidden layers would fit");
        return mlp;
    }
    for (; mlp.layers < hidden.count; mlp.layers++) {
        const int64_t width = hidden.size[mlp.layers];
        snprintf(number, sizeof number, "%d", mlp.layers);
        full_name(full, sizeof full, name, number);
        mlp.layer[mlp.layers] = plain ? rv_layer_add(params, full, inputs, width, activation, 1)
                                      : rv_layer_add_normed(params, full, inputs, width, activation);
        inputs = width;
    }
    return mlp;
}

rv_layer rv_network_add_head(rv_params *params, const char *name, const char *last, rv_sizes hidden, int64_t outputs,
                             float outscale) {
    char full[320];
    const int count = hidden.count > 0 && hidden.count < RV_LAYERS_MAX ? hidden.count : 1;
    full_name(full, sizeof full, name, last);
    return rv_layer_add(params, full, hidden.size[count - 1], outputs, RV_LINEAR, outscale);
}
