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

/* One dense layer: activation(RMSNorm(x W + b)), without the norm where it has none. */
typedef struct rv_layer {
    rv_params *params;
    int weight, bias, scale; /* scale -1: no norm */
    rv_activation activation;
} rv_layer;

/* eps of the layers' RMSNorm, as in DreamerV3. */
#define RV_LAYER_NORM_EPS 1e-4f

/* Weights "name/weight" [inputs, outputs] from a truncated normal (RV_INIT_TRUNCATED; times `outscale`, where 0 starts
 * at zero), "name/bias" [1, outputs] at 0; a normed one has "name/scale" [1, outputs] at 1 as well. Mistakes are kept
 * by the set: rv_params_commit answers with them. */
RV_API rv_layer rv_layer_add(rv_params *params, const char *name, int64_t inputs, int64_t outputs,
                             rv_activation activation, float outscale);
RV_API rv_layer rv_layer_add_normed(rv_params *params, const char *name, int64_t inputs, int64_t outputs,
                                    rv_activation activation);

/* One to four inputs side by side, [B, inputs] together -> [B, outputs]. */
RV_API rv_tensor rv_layer_forward(rv_graph *graph, const rv_layer *layer, const rv_tensor *inputs, int count);

typedef struct rv_mlp {
    int layers;
    rv_layer layer[RV_LAYERS_MAX];
} rv_mlp;

/* Adds layers inputs -> hidden ... -> outputs named "name/0/weight", "name/0/bias", … (torch.nn.Linear's
 * initial weights); `activation` follows every layer but the last. Mistakes are kept by the set:
 * rv_params_commit answers with them. */
RV_API rv_mlp rv_mlp_add(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, int64_t outputs,
                         rv_activation activation);

/* The same of normed layers "name/0" … as rv_layer_add_normed adds them and a last layer "name/out" as rv_layer_add
 * does, without activation (DreamerV3's networks; outscale 1, or 0 for a head that starts at zero). outputs 0: no last
 * layer, and then there must be a hidden one. */
RV_API rv_mlp rv_mlp_add_normed(rv_params *params, const char *name, int64_t inputs, rv_sizes hidden, int64_t outputs,
                                rv_activation activation, float outscale);

/* `count` sizes that are all the same. */
RV_API rv_sizes rv_sizes_of(int count, int64_t size);

/* One to four inputs side by side, [B, inputs] together -> [B, outputs]. */
RV_API rv_tensor rv_mlp_forward(rv_graph *graph, const rv_mlp *mlp, const rv_tensor *inputs, int count);

#ifdef __cplusplus
}
#endif
#endif
