/* reverie/params.h: a named set of weights, flat in memory.
 *
 *     rv_params *params;
 *     rv_params_create(device, &params);
 *     int w = rv_params_add(params, "encoder/0/weight", 4, 128, RV_INIT_FAN_IN, 1.0f);
 *     int b = rv_params_add(params, "encoder/0/bias", 1, 128, RV_INIT_ZERO, 0.0f);
 *     rv_params_commit(params, seed);                          // allocates and draws
 *
 *     rv_tensor y = rv_linear1(x, rv_param(graph, params, w), rv_param(graph, params, b), RV_SILU);
 *     rv_params_gradients(graph, params, loss, NULL, 0);       // fills the flat gradient
 *     rv_params_adamw(graph, params, lr, RV_NONE, 100.0f, NULL);  // clip and step, one launch each
 *
 * Value, gradient and both moments are one array each, so that the optimiser is one
 * launch and a checkpoint one call. Several plans share a set. A weight of one row is
 * saved with shape [cols], any other with [rows, cols]; a dense weight is [inputs, outputs].
 */
#ifndef REVERIE_PARAMS_H
#define REVERIE_PARAMS_H

#include "reverie/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_params rv_params;

typedef enum rv_init {
    RV_INIT_ZERO = 0,
    RV_INIT_CONSTANT = 1, /* scale */
    RV_INIT_UNIFORM = 2,  /* U(-scale, scale) */
    RV_INIT_NORMAL = 3,   /* N(0, scale^2) */
    RV_INIT_FAN_IN = 4,   /* U(-scale / sqrt(rows), scale / sqrt(rows)), rows = inputs; torch.nn.Linear's at scale 1 */
    RV_INIT_TRUNCATED = 5 /* truncated normal in [-2, 2] * 1.1368 * scale / sqrt(rows); DreamerV3's at scale 1 */
} rv_init;

RV_API rv_status rv_params_create(rv_device *device, rv_params **params);
RV_API void rv_params_destroy(rv_params *params);
RV_API const char *rv_params_message(const rv_params *params);

/* Adds a weight before the commit and returns its index, or -1 (a repeated name, a bad shape,
 * after the commit); the first mistake is kept and rv_params_commit answers with it. */
RV_API int rv_params_add(rv_params *params, const char *name, int64_t rows, int64_t cols, rv_init init, float scale);

/* For code that adds weights: keeps a mistake of its own about `name` as rv_params_add keeps one. Returns -1. */
RV_API int rv_params_refuse(rv_params *params, const char *name, const char *why);

/* Before the commit: the set holds values alone, neither gradient nor moments. It computes, and cannot be trained. */
RV_API void rv_params_values_only(rv_params *params);

/* Allocates the flat arrays and draws the initial weights, each from (seed, its own name). */
RV_API rv_status rv_params_commit(rv_params *params, uint64_t seed);

RV_API int rv_params_count(const rv_params *params);
RV_API int64_t rv_params_size(const rv_params *params); /* weights, without padding */
RV_API int rv_params_find(const rv_params *params, const char *name); /* index or -1 */
RV_API const char *rv_params_name(const rv_params *params, int index);
RV_API rv_status rv_params_shape(const rv_params *params, int index, int64_t *rows, int64_t *cols);

typedef enum rv_params_part { RV_VALUE = 0, RV_GRADIENT = 1, RV_MOMENT1 = 2, RV_MOMENT2 = 3 } rv_params_part;

/* Copies one weight's value, gradient or moment, rows * cols floats. */
RV_API rv_status rv_params_get(rv_params *params, int index, rv_params_part part, float *out);
RV_API rv_status rv_params_set(rv_params *params, int index, rv_params_part part, const float *values);

/* The flat array of a part [1, padded size], padding zero, NULL where the set has none; the update count i32 [1, 1]. */
RV_API rv_array *rv_params_array(rv_params *params, rv_params_part part);
RV_API rv_array *rv_params_updates(rv_params *params);

/* One weight as a tensor. */
RV_API rv_tensor rv_param(rv_graph *graph, rv_params *params, int index);

/* Records d loss / d weight for every weight into the flat gradient (rv_gradients). */
RV_API rv_status rv_params_gradients(rv_graph *graph, rv_params *params, rv_tensor loss, const rv_tensor *stop,
                                     int stop_count);

/* Zero means default: beta1 0.9, beta2 0.999, eps 1e-8, weight_decay 0. */
typedef struct rv_adamw_options {
    float beta1, beta2, eps, weight_decay;
} rv_adamw_options;

/* Records the gradient's global norm, [1, 1]: to be watched and logged before the step. */
RV_API rv_tensor rv_params_norm(rv_graph *graph, rv_params *params);

/* Records the weights' own global norm, [1, 1]: to be watched before a step, because a weight that is infinite need not
 * show in what is made of it (it may just saturate a gate). */
RV_API rv_tensor rv_params_weight_norm(rv_graph *graph, rv_params *params);

/* Records: scale the gradient to global norm `clip` at most (0: as it is), step AdamW
 * (Loshchilov and Hutter, 2019; torch.optim.AdamW's arithmetic) with learning rate lr [1, 1],
 * count the update. `norm` is rv_params_norm's, or RV_NONE to have it recorded; returns it.
 * While the non-finite flag is set nothing changes. */
RV_API rv_tensor rv_params_adamw(rv_graph *graph, rv_params *params, rv_tensor lr, rv_tensor norm, float clip,
                                 const rv_adamw_options *options);

/* Zero means default: beta1 0.9, beta2 0.999, eps 1e-20, weight_decay 0, agc 0.3 (below 0: no clipping). */
typedef struct rv_laprop_options {
    double beta1, beta2; /* double: 1 - 0.999f would be off by 1.3e-5, and every v with it */
    float eps, weight_decay, agc;
} rv_laprop_options;

/* Records DreamerV3's optimiser with learning rate lr [1, 1] (a warm-up is the caller's), two launches for all
 * weights. Each weight's gradient g is divided by max(1, |g| / (agc max(1e-3, |p|))), |.| the norm over the whole
 * weight p (Brock et al., 2021); then LaProp (Ziyin et al., 2020) in update t = 1, 2 ..:
 *     v <- beta2 v + (1 - beta2) g^2,    m <- beta1 m + (1 - beta1) g / (sqrt(v / (1 - beta2^t)) + eps),
 *     p <- p - lr (m / (1 - beta1^t) + weight_decay p).
 * Counts the update; returns the whole gradient's norm before clipping, [1, 1], to be logged. While the non-finite
 * flag is set nothing changes: watch rv_params_norm, or what the gradient is made of, before. */
RV_API rv_tensor rv_params_laprop(rv_graph *graph, rv_params *params, rv_tensor lr, const rv_laprop_options *options);

/* Records target <- target + rate * (source - target) over a whole set of equal layout. */
RV_API void rv_params_ema(rv_graph *graph, rv_params *target, rv_params *source, float rate);

/* The same where the target follows a part of the source: as many weights of the same shapes, from index `first` on. */
RV_API void rv_params_ema_part(rv_graph *graph, rv_params *target, rv_params *source, int first, float rate);

#ifdef __cplusplus
}
#endif
#endif
