/* reverie/ops_dreamer.h: the ops behind Dreamer's losses: categorical latents, two-hot heads, returns.
 *
 *     rv_categorical_sample latent = rv_sample_categorical(posterior, C, 0.01f, noise, "latent", 0);
 *     rv_tensor dyn = rv_free_nats(rv_kl_categorical(rv_stop_gradient(posterior), prior, C, 0.01f), 1.0f);
 *     rv_tensor rep = rv_free_nats(rv_kl_categorical(posterior, rv_stop_gradient(prior), C, 0.01f), 1.0f);
 *     rv_tensor kl = rv_add(dyn, rv_affine(rep, 0.1f, 0.0f));                 // [B, 1]
 *     rv_tensor value = rv_twohot_mean(rv_linear1(latent.value, w, b, RV_LINEAR), bins); // [B, 1]
 *     rv_tensor returns = rv_lambda_return(reward, going_on, values, 0.95f);  // [B, T]
 *     rv_tensor loss = rv_twohot_nll(logits, rv_slice_cols(returns, 0, 1), bins); // [B, 1]
 *     rv_tensor weight = rv_cumprod(going_on, 0);                             // [B, T]
 *
 * Everything treats rows independently. [exp.] as in ops.h. Sources: Hafner et al., 2023 ("Mastering
 * diverse domains through world models", DreamerV3); of each op, what its comment names.
 */
#ifndef REVERIE_OPS_DREAMER_H
#define REVERIE_OPS_DREAMER_H

#include "reverie/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- categorical variables: logits [B, L * classes] -> L of them side by side ------------
 *
 * p = (1 - unimix) softmax(logits) + unimix / classes of each variable, unimix in [0, 1]: its log is what
 * samples, likelihoods, entropies and divergences use (DreamerV3: 0.01, so that no KL is infinite). */

/* [exp.] One class drawn for each variable: value [B, L * classes] is exactly one-hot, and its gradient that of p
 * (straight-through: one-hot + p - stop_gradient(p); Bengio et al., 2013). log_prob [B, 1] of what was drawn, with the
 * draw held fixed, and entropy [B, 1], both summed over the variables. What is not used is not computed.
 * One uniform a variable, of a draw [B, L] by `name` and `t` (random.h), or given: `state` may be f32 [B, L] inside
 * (0, 1), and then nothing is drawn and name and t do not count. Equal logits give the same classes on every backend. A class of no probability is never drawn; logits that are NaN give NaN. */
typedef struct rv_categorical_sample {
    rv_tensor value, log_prob, entropy;
} rv_categorical_sample;
RV_API rv_categorical_sample rv_sample_categorical(rv_tensor logits, int64_t classes, float unimix, rv_tensor state,
                                                   const char *name, uint32_t t);

/* [exp.] [B, 1]: sum of onehot log p; onehot may be any weights [B, L * classes], with a gradient of their own. */
RV_API rv_tensor rv_categorical_log_prob(rv_tensor logits, int64_t classes, float unimix, rv_tensor onehot);
RV_API rv_tensor rv_categorical_entropy(rv_tensor logits, int64_t classes, float unimix); /* [exp.] [B, 1]: -sum p log p */

/* The likeliest class of each variable, the first of equal ones, as one-hot [B, L * classes]; no gradient. */
RV_API rv_tensor rv_categorical_mode(rv_tensor logits, int64_t classes);

/* [exp.] KL(p || q) [B, 1], summed over the variables. A balanced KL (DreamerV2 and 3) is two of them as in the example
 * above, dyn with the posterior's gradient stopped and rep with the prior's; the same holds for rv_kl_normal. */
RV_API rv_tensor rv_kl_categorical(rv_tensor logits_p, rv_tensor logits_q, int64_t classes, float unimix);

/* max(kl, nats), nats >= 0: no gradient below, where the divergence is free (Kingma et al., 2016). */
RV_API rv_tensor rv_free_nats(rv_tensor kl, float nats);

/* ---- two-hot heads: logits [B, K] over values `bins` [1, K], ascending, K >= 2 -------------- */

/* [exp.] Cross-entropy [B, 1] of softmax(logits) with target [B, 1], which is split between its two neighbours among
 * the bins, linearly in their values; beyond the ends all of it falls on the last. Gradients to logits and target. */
RV_API rv_tensor rv_twohot_nll(rv_tensor logits, rv_tensor target, rv_tensor bins);

/* [exp.] The mean sum p bins, [B, 1], added up from the outside in by pairs (k, K - 1 - k): exactly 0 for equal logits
 * and symmetric bins, so that a head that starts at zero predicts zero. Gradient to logits. */
RV_API rv_tensor rv_twohot_mean(rv_tensor logits, rv_tensor bins);

/* DreamerV3's bins on the host: symexp of `count` even steps from -20 to 20, exactly symmetric. count odd, 3 or more
 * (255 there), else RV_INVALID_ARGUMENT. */
RV_API rv_status rv_symexp_bins(int64_t count, float *bins);

/* ---- returns: a row is a trajectory, its columns are time ----------------------------------- */

/* [exp.] lambda-returns [B, T] (Sutton and Barto; DreamerV3, agent.py: lambda_return). Column t of reward and going_on
 * [B, T] belongs to the step from state t to state t + 1: the reward for it, and the probability that things
 * go on from state t + 1, times the discount if there is one apart. value [B, T + 1] is of the states 0 .. T.
 *   R_t = reward_t + going_on_t ((1 - lambda) value_{t+1} + lambda R_{t+1}),   R_T = value_T.
 * lambda in [0, 1]; gradients to all three. Where lambda differs from step to step, l [B, T] (0 where an episode
 * was cut off), it is rv_lambda_return(reward + going_on (1 - l) value_{t+1}, going_on l, value, 1). */
RV_API rv_tensor rv_lambda_return(rv_tensor reward, rv_tensor going_on, rv_tensor value, float lambda);

/* [exp.] The product of x [B, T] over the columns up to each one; exclusive 1: before each one, from 1 on. With
 * going_on as x: the weight of an imagined step (DreamerV3 takes it inclusive, from state 0 on). Its gradient divides
 * by nothing. */
RV_API rv_tensor rv_cumprod(rv_tensor x, int exclusive);

#ifdef __cplusplus
}
#endif
#endif
