/* reverie/dense.h: dense layers in a row (a multilayer perceptron).
 *
 *     rv_sizes hidden = {2, {128, 64}};
 *     rv_mlp head = rv_mlp_add(params, "reward", 32 + 1, hidden, 1, RV_SILU);
 *     rv_params_commit(params, seed);
 *     rv_tensor inputs[2] = {latent, action};                    // [B, 32], [B, 1]
 *     rv_tensor reward = rv_mlp_forward(graph, &head, inputs, 2);   // [B, 1]
 *
 * A model here is a plain description: sizes and which weights of a set are its own. It owns
 * nothing and is copied like a number; the weights belong to the rv_params.
 */
#ifndef REVERIE_DENSE_H
#define REVERIE_DENSE_H

#include "reverie/ops.h"
#include "reverie/params.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RV_LAYERS_MAX = 8 };

typedef struct rv_sizes {
    int count; /* 0 to RV_LAYERS_MAX - 1 */
    int64_t size[RV_LAYERS_MAX];
} rv_sizes;

typedef struct rv_mlp {
    rv_params *params;
    int layers, weight[RV_LAYERS_MAX], bias[RV_LAYERS_MAX];
    int64_t inputs, outputs;
    rv_activation activation;
} rv_mlp;

/* Adds layers inputs -> hidden ... -> outputs named "name/0/weight", "name/0/bias", … (torch.nn.Linear's
 * initial weights); `activation` follows every layer but the last. Mistakes are kept by the set:
 * rv_params_commit answers with them. */
RV_API rv_mlp rv_mlp_add(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, int64_t outputs,
                         rv_activation activation);

/* One to four inputs side by side, [B, inputs] together -> [B, outputs]. */
RV_API rv_tensor rv_mlp_forward(rv_graph *graph, const rv_mlp *mlp, const rv_tensor *inputs, int count);

#ifdef __cplusplus
}
#endif
#endif
