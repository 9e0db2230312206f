/* reverie/dreamer_v3.h: DreamerV3 (Hafner et al., 2023): a world model, an actor and a critic that learn together.
 *
 *     rv_dreamer_v3_options options = {.size = sizeof options};
 *     rv_sequence_model_preset("debug", &options.model);
 *     options.model.observation_size = 3;
 *     options.model.action_size = 1;
 *     rv_dreamer_v3 *agent;
 *     rv_dreamer_v3_create(device, &options, seed, &agent);
 *
 *     rv_dreamer_v3_noise noise = {.state = rv_random_state(graph, random)};
 *     rv_dreamer_v3_update update = rv_dreamer_v3_learn(graph, agent, &batch, noise);   // one whole update
 *     rv_store(loss, update.losses.total);
 *     ...
 *     rv_dreamer_v3_move move = rv_dreamer_v3_act(graph, agent, state, action, observation, is_first, noise, 0);
 *     rv_store(chosen, move.action);
 *     rv_dreamer_v3_destroy(agent);
 *
 * One set of weights holds all modules (enc, dyn, prior, post, dec, rew, con, pol, val), one optimiser steps them; the
 * slow critic is a set of its own. Names of weights, layouts, equations and constants are those of docs/audit.md. Rows
 * are time-major. An actor's action is not clipped: an environment clips it, replay keeps it as it is.
 */
#ifndef REVERIE_DREAMER_V3_H
#define REVERIE_DREAMER_V3_H

#include "reverie/actor.h"
#include "reverie/critic.h"
#include "reverie/returns.h"
#include "reverie/sequence_model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_dreamer_v3 rv_dreamer_v3;

/* Zero means default, DreamerV3's. The discount of imagined and replayed returns is 1 - 1 / model.horizon. */
typedef struct rv_dreamer_v3_options {
    size_t size;                     /* sizeof(rv_dreamer_v3_options) */
    rv_sequence_model_options model; /* its observation_size and action_size have no default; bins: also the critic's */
    rv_actor_kind actor;             /* RV_ACTOR_BOUNDED_NORMAL, or RV_ACTOR_CATEGORICAL */
    int64_t classes;                 /* of a categorical actor: action_size, which is one variable */
    int actor_layers, critic_layers; /* 3, 3; of model.units each */
    float actor_outscale, critic_outscale; /* 0.01 (below 0: zero), 0; see actor.h, critic.h */
    int64_t horizon;                 /* 15: imagined transitions */
    float lambda;                    /* 0.95 (below 0: 0) */
    float entropy;                   /* 3e-4 (below 0: none): what the policy's entropy counts */
    float policy_scale, value_scale, replayed_value_scale; /* 1, 1, 0.3 (below 0: none), of the losses */
    float slow_rate;                 /* 0.02: of the slow critic */
    float learning_rate;             /* 4e-5 */
    int64_t warmup;                  /* 1000 (below 0: none): updates over which the rate grows from 0 */
    int64_t decay;                   /* 0: none; else it falls along half a cosine, to 0 at this update */
    rv_laprop_options laprop;
    rv_return_normaliser_options returns;
} rv_dreamer_v3_options;

/* Makes and draws the weights. On failure *agent still holds the message and must be destroyed (NULL only when not
 * even that much memory was there). Errors: INVALID_ARGUMENT, TOO_LARGE, OUT_OF_MEMORY. */
RV_API rv_status rv_dreamer_v3_create(rv_device *device, const rv_dreamer_v3_options *options, uint64_t seed,
                                      rv_dreamer_v3 **agent);
RV_API void rv_dreamer_v3_destroy(rv_dreamer_v3 *agent); /* NULL is fine */
RV_API const char *rv_dreamer_v3_message(const rv_dreamer_v3 *agent);
RV_API const rv_dreamer_v3_options *rv_dreamer_v3_options_get(const rv_dreamer_v3 *agent); /* defaults filled in */

RV_API rv_sequence_model *rv_dreamer_v3_model(rv_dreamer_v3 *agent); /* the agent's own: not to be destroyed */
RV_API rv_params *rv_dreamer_v3_params(rv_dreamer_v3 *agent);        /* all modules */
RV_API rv_params *rv_dreamer_v3_slow_params(rv_dreamer_v3 *agent);   /* "slow/…" */
RV_API rv_return_normaliser *rv_dreamer_v3_returns(rv_dreamer_v3 *agent);

/* Adds weights, moments, the count of updates, the slow critic and the normaliser under prefix: with "" and the
 * metadata of docs/audit.md a file that `reverie audit` reads. */
RV_API rv_status rv_dreamer_v3_checkpoint(rv_dreamer_v3 *agent, const char *prefix, rv_checkpoint *checkpoint);

/* ---- learning ------------------------------------------------------------------------------------------------- */

/* A random state, from which the draws "posterior", "prior" and "action" are made; or the numbers themselves, as in
 * docs/audit.md: uniforms [N, S], uniforms [H N, S], and normals [(H + 1) N, A] (of classes: uniforms). */
typedef struct rv_dreamer_v3_noise {
    rv_tensor state;
    rv_tensor posterior, prior, action;
} rv_dreamer_v3_noise;

/* States s_0 (those observed) to s_H, row i N + r being i steps after row r. */
typedef struct rv_dreamer_v3_dream {
    rv_rssm_state state;    /* [(H + 1) N, ..] */
    rv_latent prior;        /* [H N, ..]: of s_1 to s_H */
    rv_tensor action;       /* [(H + 1) N, A] */
    rv_actor_policy policy;
    rv_tensor log_prob, entropy, reward, going_on, value, slow_value; /* [(H + 1) N, 1] */
    rv_tensor target, advantage, weight;                              /* [H N, 1] */
    rv_return_scale returns;
} rv_dreamer_v3_dream;

typedef struct rv_dreamer_v3_replayed {
    rv_tensor reward, going_on;          /* [N, 1]: what the heads say */
    rv_tensor value, slow_value, target; /* [N, 1], [N, 1], [(T - 1) B, 1] */
} rv_dreamer_v3_replayed;

/* Means, [1, 1] each, and what they are made of. */
typedef struct rv_dreamer_v3_losses {
    rv_sequence_losses world;
    rv_tensor policy, value, replayed_value;
    rv_tensor total; /* scaled and added */
    rv_dreamer_v3_dream dream;
    rv_dreamer_v3_replayed replayed;
} rv_dreamer_v3_losses;

/* Records the losses of a batch of T (2 or more) steps and B sequences; the normaliser takes these returns in before
 * its scale is used (dream.returns, to be kept by rv_returns_keep). Gradients reach the world model from its own losses
 * and from replayed_value, the actor from policy, the critic from value and replayed_value; nothing flows through
 * imagined states. */
RV_API rv_dreamer_v3_losses rv_dreamer_v3_loss(rv_graph *graph, rv_dreamer_v3 *agent, const rv_sequence_batch *batch,
                                               rv_dreamer_v3_noise noise);

/* Records what the policy does in imagination, `horizon` steps from any states [N, ..], and what the networks say of it:
 * the dream without its returns (target, advantage, weight). Nothing flows back to `start`; nothing is stored. */
RV_API rv_dreamer_v3_dream rv_dreamer_v3_imagine(rv_graph *graph, rv_dreamer_v3 *agent, rv_rssm_state start,
                                                 int64_t horizon, rv_dreamer_v3_noise noise);

/* Records a whole update: losses, gradients, LaProp with AGC under the warm-up (the first update's rate is 0), then the
 * slow critic. losses.world.pass.seen.state [N, ..] are the latents to be written back to the rows they came from. A
 * value that is NaN or infinite sets the device's flag by its name ("weights", "loss/policy", "gradient"), and nothing
 * that is kept changes from then on. */
typedef struct rv_dreamer_v3_update {
    rv_dreamer_v3_losses losses;
    rv_tensor gradient_norm, learning_rate; /* [1, 1]; the norm before clipping */
} rv_dreamer_v3_update;
RV_API rv_dreamer_v3_update rv_dreamer_v3_learn(rv_graph *graph, rv_dreamer_v3 *agent, const rv_sequence_batch *batch,
                                                rv_dreamer_v3_noise noise);

/* Everything that was computed, by the names of docs/audit.md; the first RV_DREAMER_V3_LOSSES are "loss/rec" to
 * "loss/total". Returns how many there are. */
enum { RV_DREAMER_V3_LOSSES = 9, RV_DREAMER_V3_VALUES = 40 };
typedef struct rv_dreamer_v3_value {
    const char *name;
    rv_tensor tensor;
} rv_dreamer_v3_value;
RV_API int rv_dreamer_v3_list(const rv_dreamer_v3_losses *losses, rv_dreamer_v3_value list[RV_DREAMER_V3_VALUES]);

/* ---- acting --------------------------------------------------------------------------------------------------- */

/* A step of B environments: `state` before it (rv_rssm_start of the model's RSSM to begin with), the `action` [B, A]
 * that led from there, what is seen now [B, O], and is_first [B, 1], where both are taken as zeros. Draws are
 * "act/posterior" and "act/action", or noise.posterior [B, S] and noise.action; likeliest 1: no draw of the action but
 * its mode. */
typedef struct rv_dreamer_v3_move {
    rv_tensor action;    /* [B, A] */
    rv_rssm_state state; /* to be kept, with the action, for the next step */
} rv_dreamer_v3_move;
RV_API rv_dreamer_v3_move rv_dreamer_v3_act(rv_graph *graph, rv_dreamer_v3 *agent, rv_rssm_state state,
                                            rv_tensor action, rv_tensor observation, rv_tensor is_first,
                                            rv_dreamer_v3_noise noise, int likeliest);

/* ---- audit: every number of an update --------------------------------------------------------------------------- */

/* Host arrays in the shapes of docs/audit.md, "Batch"; the agent's horizon is that of the noise. */
typedef struct rv_dreamer_v3_audit_batch {
    size_t size; /* sizeof(rv_dreamer_v3_audit_batch) */
    int64_t sequences, steps, updates;
    const float *observation, *action, *reward, *is_first, *is_last, *is_terminal;
    const float *carry_deter, *carry_stoch, *carry_action;
    const float *noise_posterior, *noise_prior, *noise_action;
} rv_dreamer_v3_audit_batch;

/* Is given one result, "update/0/loss/total" say, valid until it returns. Not 0: no more. */
typedef int (*rv_dreamer_v3_take)(void *user, const char *name, int64_t rows, int64_t cols, const float *values);

/* Makes the updates, each on the whole batch with its own noise, and hands over every result of docs/audit.md, "Out".
 * The plan computes what rv_dreamer_v3_learn records; "clipped/…" alone is made on the host, of the gradient and the
 * weight before the step. The agent has learnt afterwards.
 * Errors: INVALID_ARGUMENT, NON_FINITE (the message names the value), CANCELLED, those of plans. */
RV_API rv_status rv_dreamer_v3_audit(rv_dreamer_v3 *agent, const rv_dreamer_v3_audit_batch *batch,
                                     rv_dreamer_v3_take take, void *user);

#ifdef __cplusplus
}
#endif
#endif
