/* reverie/rssm.h: recurrent state-space model: what a sequence world model remembers and expects.
 *
 *     rv_rssm_options options = {.size = sizeof options, .action_size = A, .token_size = E};   // size1m's
 *     rv_rssm rssm = rv_rssm_add(params, "", &options);
 *     rv_params_commit(params, seed);
 *
 *     rv_rssm_noise noise = {.state = rv_random_state(graph, random), .name = "posterior"};
 *     rv_rssm_state start = rv_rssm_start(graph, &rssm, B);
 *     rv_rssm_rollout seen = rv_rssm_observe(graph, &rssm, start, RV_NONE, tokens, actions, is_first, T, noise);
 *     rv_rssm_losses losses = rv_rssm_loss(graph, &rssm, seen.posterior, seen.prior, NULL);
 *     noise.name = "prior";
 *     rv_rssm_rollout dream = rv_rssm_imagine(graph, &rssm, seen.last, H, future_actions, noise);
 *
 * A state is (h, z): h [B, D] deterministic, z [B, Z] drawn from the prior p(z | h), or, once something is seen, from
 * the posterior q(z | h, tokens). Z is S C for S categorical variables of C classes, S for a Gaussian one.
 * Sequences are time-major: rows [t * B, (t + 1) * B) of a [T * B, ..] tensor are step t. The action of a row is the
 * one taken at that row's observation: it leads to the next row.
 * Only what depends on the step before stands inside the steps: the prior of an observed sequence, the action's own
 * layer and all heads work on T * B rows at once.
 *
 * Cores: RV_CORE_BLOCK_GRU is DreamerV3's (Hafner et al., 2023, rssm.py: _core): layers Linear, RMSNorm, activation;
 * actions divided by max(1, |a|). RV_CORE_GRU is that of PlaNet (Hafner et al., 2019) and Dreamer 1 and 2: layers
 * without norm, torch.nn.GRUCell.
 */
#ifndef REVERIE_RSSM_H
#define REVERIE_RSSM_H

#include "reverie/dense.h"
#include "reverie/ops_dreamer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_core { RV_CORE_BLOCK_GRU = 0, RV_CORE_GRU = 1 } rv_core;
typedef enum rv_latent_kind { RV_LATENT_CATEGORICAL = 0, RV_LATENT_GAUSSIAN = 1 } rv_latent_kind;

/* Zero means default: that of the block GRU, after the bar that of the plain one. */
typedef struct rv_rssm_options {
    size_t size;                       /* sizeof(rv_rssm_options) */
    rv_core core;
    rv_latent_kind latent;
    int64_t action_size, token_size;   /* no default */
    int64_t deter, hidden, stoch;      /* 512, 64, 32 | 200, 200, 30 */
    int64_t classes;                   /* 4 | 32; of a categorical variable */
    int64_t blocks;                    /* 8; must divide deter; without meaning for the plain GRU */
    float unimix;                      /* 0.01 (below 0: none): share of the uniform distribution in categorical ones */
    int prior_layers, posterior_layers; /* 2, 1 | 1, 1 */
    rv_activation activation;          /* RV_SILU | RV_ELU (RV_LINEAR = 0 counts as default) */
    float min_std;                     /* 0.1: added to a Gaussian's softplus(.) */
} rv_rssm_options;

/* Like rv_mlp: which weights of a set are the model's. */
typedef struct rv_rssm {
    rv_params *params;
    rv_rssm_options options;          /* defaults filled in */
    rv_layer deter, stoch, action;    /* block GRU: what the blocks share */
    int hidden_weight, hidden_bias, hidden_scale, gates_weight, gates_bias;
    rv_layer input;                   /* plain GRU: of [z, a] */
    int w_x, w_h, b_x, b_h;
    int prior_layers, posterior_layers;
    rv_layer prior[RV_LAYERS_MAX], posterior[RV_LAYERS_MAX];
    rv_layer prior_head[2], posterior_head[2]; /* logits; or mean, std */
} rv_rssm;

/* Adds the weights, named prefix + "dyn/deter", "dyn/stoch", "dyn/action", "dyn/hidden", "dyn/gates" (or "dyn/input",
 * "dyn/gru/w_x" …), "prior/0" …, "prior/logits" (or "prior/mean", "prior/std"), "post/0" …, "post/logits": as in
 * docs/audit.md. Mistakes are kept by the set: rv_params_commit answers with them. */
RV_API rv_rssm rv_rssm_add(rv_params *params, const char *prefix, const rv_rssm_options *options);

/* The options with defaults filled in. NULL: the defaults alone. */
RV_API rv_rssm_options rv_rssm_defaults(const rv_rssm_options *options);

/* Columns of z. */
RV_API int64_t rv_rssm_stoch_size(const rv_rssm *rssm);

typedef struct rv_rssm_state {
    rv_tensor deter, stoch; /* [B, D], [B, Z] */
} rv_rssm_state;

/* A distribution of z: logits [B, S C]; or mean and std [B, S], and no logits. */
typedef struct rv_latent {
    rv_tensor logits, mean, std;
} rv_latent;

/* What z is drawn with: the draw `name` of a random state, at step t its index t (random.h); or numbers that are given,
 * [T * B, S], uniforms for categorical latents and standard normals for Gaussian ones; with neither (all zero) z is the
 * likeliest classes, which have no gradient, or the mean. */
typedef struct rv_rssm_noise {
    rv_tensor state;
    const char *name;
    rv_tensor given;
} rv_rssm_noise;

/* ---- single steps ------------------------------------------------------------------------------------------- */

RV_API rv_rssm_state rv_rssm_start(rv_graph *graph, const rv_rssm *rssm, int64_t rows); /* zeros */

/* The next h [B, D] after action [B, A] in a state. */
RV_API rv_tensor rv_rssm_advance(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state state, rv_tensor action);

/* deter [B, D], tokens [B, E]. */
RV_API rv_latent rv_rssm_prior(rv_graph *graph, const rv_rssm *rssm, rv_tensor deter);
RV_API rv_latent rv_rssm_posterior(rv_graph *graph, const rv_rssm *rssm, rv_tensor deter, rv_tensor tokens);

/* z [B, Z], straight through where it is categorical, reparameterised where it is Gaussian. `given` is [B, S] here. */
RV_API rv_tensor rv_rssm_sample(rv_graph *graph, const rv_rssm *rssm, rv_latent latent, rv_rssm_noise noise,
                                uint32_t t);

/* ---- sequences ---------------------------------------------------------------------------------------------- */

/* All steps below one another; what a function does not give is RV_NONE. */
typedef struct rv_rssm_rollout {
    rv_rssm_state state;        /* [T * B, D], [T * B, Z]: after each step */
    rv_rssm_state last;         /* [B, ..]: after the last one */
    rv_latent posterior, prior; /* [T * B, ..]; imagine gives no posterior */
    rv_tensor action;           /* [T * B, A]: what led to each state, as it was given or chosen */
} rv_rssm_rollout;

/* T steps from `start`, of which `action` [B, A] leads away (RV_NONE: zeros): tokens [T * B, E], actions [T * B, A],
 * is_first [T * B, 1] of 0 and 1 (RV_NONE: no resets). A row with is_first begins its step with zeros for state and
 * action, whatever went before. The last row's action is not used. */
RV_API rv_rssm_rollout rv_rssm_observe(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state start, rv_tensor action,
                                       rv_tensor tokens, rv_tensor actions, rv_tensor is_first, int64_t steps,
                                       rv_rssm_noise noise);

/* T steps without observations, z from the prior: under actions [T * B, A], or under those that a policy chooses. Row
 * t * B + b is the state that action t leads to. */
RV_API rv_rssm_rollout rv_rssm_imagine(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state start, int64_t steps,
                                       rv_tensor actions, rv_rssm_noise noise);

/* Records the action [B, A] that is taken in a state, t steps after the start. */
typedef rv_tensor (*rv_rssm_policy)(void *user, rv_graph *graph, rv_rssm_state state, int64_t t);
RV_API rv_rssm_rollout rv_rssm_imagine_policy(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state start, int64_t steps,
                                              rv_rssm_policy policy, void *user, rv_rssm_noise noise);

/* ---- losses ------------------------------------------------------------------------------------------------- */

/* Zero means default, DreamerV3's. Dreamer 2: dyn_scale 0.8, rep_scale 0.2, free_mean 1; PlaNet and Dreamer 1, where
 * the divergence is not balanced: dyn_scale 1, rep_scale 1 (the total counts it twice, the gradient once). */
typedef struct rv_rssm_loss_options {
    size_t size;                /* sizeof(rv_rssm_loss_options) */
    float free_nats;            /* 1 (below 0: none): divergences below are free */
    int free_mean;              /* 1: the mean's, not each row's */
    float dyn_scale, rep_scale; /* 1, 0.1 (below 0: none) */
} rv_rssm_loss_options;

typedef struct rv_rssm_losses {
    rv_tensor kl;       /* [N, 1]: KL(posterior || prior) of each row, before the free nats */
    rv_tensor dyn, rep; /* [1, 1]: mean over the rows, with the posterior's gradient stopped, and with the prior's */
    rv_tensor total;    /* [1, 1]: dyn_scale dyn + rep_scale rep */
} rv_rssm_losses;

RV_API rv_rssm_losses rv_rssm_loss(rv_graph *graph, const rv_rssm *rssm, rv_latent posterior, rv_latent prior,
                                   const rv_rssm_loss_options *options);

#ifdef __cplusplus
}
#endif
#endif
