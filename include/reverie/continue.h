/* reverie/continue.h: whether an episode goes on after an action in a latent, as a Bernoulli variable.
 *
 *     rv_sizes hidden = {2, {64, 32}};
 *     rv_continue going_on = rv_continue_add(params, "continue", 32, 1, hidden, RV_SILU);
 *     rv_params_commit(params, seed);
 *     rv_tensor logit = rv_continue_predict(graph, &going_on, latent, action);     // [B, 1]
 *     rv_tensor probability = rv_sigmoid(logit);
 *     rv_tensor loss = rv_continue_loss(logit, terminated);                        // [B, 1]
 *
 * Only an end for good counts: an episode that was cut short would have gone on.
 */
#ifndef REVERIE_CONTINUE_H
#define REVERIE_CONTINUE_H

#include "reverie/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_continue {
    rv_mlp network;
} rv_continue;

RV_API rv_continue rv_continue_add(rv_params *params, const char *name, int64_t latent_size, int64_t action_size,
                                   rv_sizes hidden, rv_activation activation);

/* latent [B, Z], action [B, A] -> logit of the probability that the episode goes on, [B, 1]. */
RV_API rv_tensor rv_continue_predict(rv_graph *graph, const rv_continue *going_on, rv_tensor latent, rv_tensor action);

/* Negative log-likelihood of what happened, terminated [B, 1] of 0 and 1 (rv_bernoulli_nll); [B, 1]. */
RV_API rv_tensor rv_continue_loss(rv_tensor logit, rv_tensor terminated);

#ifdef __cplusplus
}
#endif
#endif
