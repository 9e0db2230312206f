/* reverie/returns.h: what a trajectory was worth: lambda-returns, discount weights, their normaliser.
 *
 *     rv_tensor r = rv_returns_by_row(reward, H + 1), c = rv_returns_by_row(going_on, H + 1);   // [B, H + 1]
 *     rv_tensor v = rv_returns_by_row(value, H + 1);
 *     rv_imagined_returns dream = rv_returns_imagined(r, c, v, 0.95f);
 *     rv_return_scale scale = rv_returns_normalise(graph, normaliser, dream.target);
 *     rv_tensor gain = rv_sub(dream.target, rv_slice_cols(v, 0, H));      // [B, H]
 *     rv_tensor advantage = rv_div(gain, scale.scale);
 *     rv_tensor target = rv_returns_by_time(dream.target);                // [H * B, 1], as the states are
 *     rv_returns_keep(graph, normaliser, scale);                          // behind what an update watches
 *
 * A row is a trajectory, its columns are time; column t of reward, going_on and value belongs to state t: the reward
 * that arrived with it, the probability that things go on from it (times the discount), its value. States, and all that
 * is computed from them, are time-major instead: row t * B + b is state t of trajectory b.
 */
#ifndef REVERIE_RETURNS_H
#define REVERIE_RETURNS_H

#include "reverie/checkpoint.h"
#include "reverie/ops_dreamer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the two layouts --------------------------------------------------------------------------------------------- */

RV_API rv_tensor rv_returns_by_row(rv_tensor x, int64_t steps); /* [steps * B, 1] -> [B, steps] */
RV_API rv_tensor rv_returns_by_time(rv_tensor x);               /* [B, T] -> [T * B, 1] */
RV_API rv_tensor rv_returns_join(const rv_tensor *x, int count); /* `count` tensors [B, 1] in order -> [B, count] */

/* ---- returns ----------------------------------------------------------------------------------------------------- */

/* Of imagined states 0 … H (DreamerV3, agent.py: imag_loss, lambda_return), all [B, H + 1], H 1 or more:
 *   target_t = reward_{t+1} + going_on_{t+1} ((1 - lambda) value_{t+1} + lambda target_{t+1}), target_H = value_H;
 *   weight_t = going_on_0 ... going_on_t: how likely a step is reached at all. Both [B, H]; gradients to all. */
typedef struct rv_imagined_returns {
    rv_tensor target, weight;
} rv_imagined_returns;
RV_API rv_imagined_returns rv_returns_imagined(rv_tensor reward, rv_tensor going_on, rv_tensor value, float lambda);

/* Of replayed steps 0 … T - 1 (DreamerV3, agent.py: repl_loss), all [B, T], T 2 or more; `boot` is what a state is
 * worth by another account (the imagined return from it):
 *   target_t = reward_{t+1} + d_{t+1} ((1 - l_{t+1}) boot_{t+1} + l_{t+1} target_{t+1}), target_{T-1} = boot_{T-1},
 *   d = discount (1 - is_terminal), l = lambda (1 - is_last): past an episode's end nothing is looked at. [B, T -
 *   1]. */
RV_API rv_tensor rv_returns_replayed(rv_tensor reward, rv_tensor is_terminal, rv_tensor is_last, rv_tensor boot,
                                     float discount, float lambda);

/* ---- the normaliser ---------------------------------------------------------------------------------------------- */

typedef struct rv_return_normaliser rv_return_normaliser;

/* Zero means default, DreamerV3's. */
typedef struct rv_return_normaliser_options {
    size_t size;         /* sizeof(rv_return_normaliser_options) */
    float low, high;     /* 0.05, 0.95: quantiles */
    float rate;          /* 0.01: of the moving average, which starts at 0 and is not corrected for it */
    float smallest;      /* 1: least scale */
} rv_return_normaliser_options;

/* `options` may be NULL. On failure *normaliser still holds the message and must be destroyed.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
RV_API rv_status rv_return_normaliser_create(rv_device *device, const rv_return_normaliser_options *options,
                                             rv_return_normaliser **normaliser);
RV_API void rv_return_normaliser_destroy(rv_return_normaliser *normaliser); /* NULL is fine */
RV_API const char *rv_return_normaliser_message(const rv_return_normaliser *normaliser);

/* Gives low and high, (1 - rate) old + rate (the two quantiles of all returns), and scale = max(smallest, high - low),
 * [1, 1] each. Nothing flows back through any of it. */
typedef struct rv_return_scale {
    rv_tensor low, high, scale;
    rv_tensor returns; /* that were taken in */
} rv_return_scale;
RV_API rv_return_scale rv_returns_normalise(rv_graph *graph, rv_return_normaliser *normaliser, rv_tensor returns);

/* Stores low and high. Recorded behind all that an update watches: then nothing of an update that goes wrong is kept.
 * A return that is NaN or infinite sets the device's flag as "returns"; while it is set the stored ones stay. */
RV_API void rv_returns_keep(rv_graph *graph, rv_return_normaliser *normaliser, rv_return_scale scale);

/* The stored quantiles, f32 [1, 1]: to be read or set. */
RV_API rv_array *rv_return_normaliser_low(rv_return_normaliser *normaliser);
RV_API rv_array *rv_return_normaliser_high(rv_return_normaliser *normaliser);

/* Adds them as prefix + "low" and prefix + "high" (docs/audit.md: "returns/"). */
RV_API rv_status rv_return_normaliser_checkpoint(rv_return_normaliser *normaliser, rv_checkpoint *checkpoint,
                                                 const char *prefix);

#ifdef __cplusplus
}
#endif
#endif
