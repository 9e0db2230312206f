/* reverie/critic.h: how good a state is: a network that gives a value, and a slow copy of it.
 *
 *     rv_critic_bins(device, 255, &bins);                          // DreamerV3's, on the device
 *     rv_critic_options options = {.size = sizeof options, .inputs = D + Z, .bins = bins};
 *     rv_critic critic = rv_critic_add(params, "val", &options);
 *     rv_params_values_only(slow_params);
 *     rv_critic slow = rv_critic_add(slow_params, "slow", &options);
 *     rv_params_commit(params, seed);
 *     rv_params_commit(slow_params, seed);
 *     rv_critic_copy(&slow, &critic);                              // they begin as one
 *
 *     rv_tensor features[2] = {deter, stoch};                      // [B, D], [B, Z]
 *     rv_tensor output = rv_critic_forward(graph, &critic, features, 2);
 *     rv_tensor value = rv_critic_value(graph, &critic, output);   // [B, 1]
 *     rv_tensor slow_value = rv_critic_value(graph, &slow, rv_critic_forward(graph, &slow, features, 2));
 *     rv_tensor targets[2] = {returns, slow_value};                // [B, 1] each
 *     rv_tensor loss = rv_critic_loss(graph, &critic, output, targets, 2, weight);   // [1, 1]
 *     ...
 *     rv_critic_follow(graph, &slow, &critic, 0.02f);              // after it
 *
 * Kinds: RV_CRITIC_TWOHOT is DreamerV3's (Hafner et al., 2023): logits over bins, its value their mean, its loss the
 * cross-entropy with the target split between the two neighbours (ops_dreamer.h). RV_CRITIC_MSE is one number, its
 * loss (value - target)^2. RV_CRITIC_SYMLOG is one number too, its value symexp(number), its loss (number -
 * symlog(target))^2: small and large values are learnt alike, and, unlike a two-hot value that stands on a bin, its
 * value has a slope everywhere, which an actor needs that learns through it. A critic is a plain description like
 * rv_mlp; it owns neither weights nor bins.
 */
#ifndef REVERIE_CRITIC_H
#define REVERIE_CRITIC_H

#include "reverie/dense.h"
#include "reverie/ops_dreamer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_critic_kind { RV_CRITIC_TWOHOT = 0, RV_CRITIC_MSE = 1, RV_CRITIC_SYMLOG = 2 } rv_critic_kind;

/* Zero means default. */
typedef struct rv_critic_options {
    size_t size; /* sizeof(rv_critic_options) */
    rv_critic_kind kind;
    int64_t inputs;  /* columns of all features together; no default */
    rv_sizes hidden; /* 3 layers of 64 */
    int plain;       /* 1: layers are Linear and activation; 0: with RMSNorm between */
    rv_activation activation; /* RV_SILU (RV_LINEAR = 0 counts as default) */
    float outscale;           /* 0: the last layer starts at zero, and so does every value */
    rv_array *bins;           /* two-hot: f32 [1, K], ascending; must live as long as what is recorded. No default */
} rv_critic_options;

typedef struct rv_critic {
    rv_params *params;
    rv_critic_options options; /* defaults filled in */
    int first, weights;        /* its weights are [first, first + weights) of the set */
    rv_mlp trunk;
    rv_layer out;
} rv_critic;

/* `count` values of rv_symexp_bins, f32 [1, count], on the device. On failure *bins may hold a message and must be
 * destroyed. Errors: INVALID_ARGUMENT (an even count, or below 3), OUT_OF_MEMORY. */
RV_API rv_status rv_critic_bins(rv_device *device, int64_t count, rv_array **bins);

/* Adds layers "name/0" … and "name/out": as in docs/audit.md. Mistakes, also in the options, are kept by the set:
 * rv_params_commit answers with them. */
RV_API rv_critic rv_critic_add(rv_params *params, const char *name, const rv_critic_options *options);

/* One to four features side by side, [B, inputs] together -> logits [B, K], or the number [B, 1]. */
RV_API rv_tensor rv_critic_forward(rv_graph *graph, const rv_critic *critic, const rv_tensor *features, int count);

/* The value [B, 1] that an output of rv_critic_forward stands for. */
RV_API rv_tensor rv_critic_value(rv_graph *graph, const rv_critic *critic, rv_tensor output);

/* What it lacks to a target [B, 1] through which nothing flows back: [B, 1], cross-entropy or squared difference. */
RV_API rv_tensor rv_critic_error(rv_graph *graph, const rv_critic *critic, rv_tensor output, rv_tensor target);

/* [1, 1]: mean over the rows of weight (error of target 0 + error of target 1 + …), 1 to 4 targets [B, 1]; weight
 * [B, 1] or RV_NONE. Nothing flows back through targets and weight. */
RV_API rv_tensor rv_critic_loss(rv_graph *graph, const rv_critic *critic, rv_tensor output, const rv_tensor *targets,
                                int count, rv_tensor weight);

/* ---- the slow copy: a critic of the same options that is all of a set of its own --------------------------------- */

/* Copies the weights' values, on the host. Errors: SHAPE_MISMATCH, and those of rv_params_get. */
RV_API rv_status rv_critic_copy(const rv_critic *slow, const rv_critic *critic);

/* Records slow <- slow + rate (critic - slow); nothing changes while the non-finite flag is set. */
RV_API void rv_critic_follow(rv_graph *graph, const rv_critic *slow, const rv_critic *critic, float rate);

#ifdef __cplusplus
}
#endif
#endif
