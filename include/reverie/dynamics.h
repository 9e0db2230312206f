/* reverie/dynamics.h: how a latent moves under an action, as a point or as a normal.
 *
 *     rv_sizes hidden = {2, {128, 64}};
 *     rv_dynamics dynamics = rv_dynamics_add(params, "dynamics", 32, 1, hidden, RV_SILU,
 *                                            RV_DYNAMICS_STOCHASTIC | RV_DYNAMICS_RESIDUAL);
 *     rv_params_commit(params, seed);
 *     rv_gaussian next = rv_dynamics_predict(graph, &dynamics, latent, action);
 *     rv_tensor loss = rv_dynamics_loss(next, target);                             // [B, 1]
 */
#ifndef REVERIE_DYNAMICS_H
#define REVERIE_DYNAMICS_H

#include "reverie/vae.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RV_DYNAMICS_STOCHASTIC = 1, /* predicts mean and log-variance, else the mean alone */
    RV_DYNAMICS_RESIDUAL = 2    /* predicts the change, else the next latent itself */
};

/* Bounds of the predicted log-variance; beyond them its gradient is 0. */
#define RV_DYNAMICS_LOGVAR_MIN -10.0f
#define RV_DYNAMICS_LOGVAR_MAX 2.0f

typedef struct rv_dynamics {
    rv_mlp network;
    int64_t latent_size, action_size;
    int flags;
} rv_dynamics;

RV_API rv_dynamics rv_dynamics_add(rv_params *params, const char *name, int64_t latent_size, int64_t action_size,
                                   rv_sizes hidden, rv_activation activation, int flags);

/* latent [B, Z], action [B, A] -> the next latent. */
RV_API rv_gaussian rv_dynamics_predict(rv_graph *graph, const rv_dynamics *dynamics, rv_tensor latent, rv_tensor action);

/* Negative log-likelihood of the target per latent dimension where stochastic (rv_gaussian_nll / Z), else rv_mse; [B, 1]. */
RV_API rv_tensor rv_dynamics_loss(rv_gaussian next, rv_tensor target);

#ifdef __cplusplus
}
#endif
#endif
