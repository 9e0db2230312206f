/* reverie/world_model.h: VAE, latent dynamics, reward and continue model joined into one world model.
 *
 *     rv_world_model_options options = {.size = sizeof options, .observation_size = 4, .action_size = 1};
 *     rv_world_model *model;
 *     rv_world_model_create(device, &options, seed, &model);
 *     rv_world_model_normalise_by(model, &transitions);            // observation mean and scale
 *
 *     rv_gaussian latent = rv_world_model_encode(graph, model, observation);
 *     rv_world_model_step next = rv_world_model_predict(graph, model, latent.mean, action);
 *     rv_tensor predicted = rv_world_model_decode(graph, model, next.latent.mean);
 *     rv_world_model_destroy(model);
 *
 * Observations go in and come out in their own units; the model normalises them inside.
 * Train it with trainer.h.
 */
#ifndef REVERIE_WORLD_MODEL_H
#define REVERIE_WORLD_MODEL_H

#include "reverie/checkpoint.h"
#include "reverie/continue.h"
#include "reverie/dataset.h"
#include "reverie/dynamics.h"
#include "reverie/reward.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_world_model rv_world_model;

/* Zero means default, which is the course's setting. */
typedef struct rv_world_model_options {
    size_t size;                                          /* sizeof(rv_world_model_options) */
    int64_t observation_size, action_size;                /* no default */
    int64_t latent_size;                                  /* 32 */
    rv_sizes vae_hidden, dynamics_hidden, reward_hidden;  /* [128, 64], [128, 64], [64, 32] */
    rv_activation activation;                             /* RV_SILU (RV_LINEAR = 0 counts as default) */
    int deterministic;                                    /* 1: the dynamics predict a point */
    int absolute;                                         /* 1: the dynamics predict the next latent, not its change */
    int linear_path;                                      /* 1: the VAE has one (rv_vae_add_linear_path) */
    int continues;                                        /* 1: with a continue model */
    rv_sizes continue_hidden;                             /* [64, 32] */
    int normalise_reward;                                 /* 1: rewards are learnt less their mean, over their deviation */
    int calibrated;                                       /* 1: drawn predictions are, see rv_world_model_stretch */
    int inference;                                        /* 1: no gradients and moments; it cannot be trained */
} rv_world_model_options;

/* Errors: INVALID_ARGUMENT, OUT_OF_MEMORY; on failure *model holds the message. */
RV_API rv_status rv_world_model_create(rv_device *device, const rv_world_model_options *options, uint64_t seed,
                                       rv_world_model **model);
RV_API void rv_world_model_destroy(rv_world_model *model);
RV_API const char *rv_world_model_message(const rv_world_model *model);
RV_API const rv_world_model_options *rv_world_model_options_get(const rv_world_model *model); /* defaults filled in */
RV_API rv_params *rv_world_model_params(rv_world_model *model);
RV_API rv_device *rv_world_model_device(const rv_world_model *model);

/* Sets mean and scale of the observations from data (scale: standard deviation, at least 1e-3), likewise those of
 * their change in one step and of the rewards. What is NULL there stays as it is. */
RV_API rv_status rv_world_model_normalise_by(rv_world_model *model, const rv_transitions *data);
RV_API rv_status rv_world_model_normaliser(rv_world_model *model, float *mean, float *scale); /* reads them */

/* What calibration adds to predictions that are drawn, [RV_STRETCH_STEPS, O] each, row k for those k + 1 steps ahead
 * (beyond the last row: the last): by how much they lie further from the prediction without draws than the latents alone
 * would have it (ones at first), and the standard deviation of noise on top (zeros at first). rv_calibrate_world_model
 * (evaluate.h) sets them. NULL where the model is not `calibrated`. */
enum { RV_STRETCH_STEPS = 50 };
RV_API rv_array *rv_world_model_stretch(rv_world_model *model);
RV_API rv_array *rv_world_model_noise(rv_world_model *model);

/* Adds weights, moments (none where it is for inference), normalisers and stretch under prefix. */
RV_API rv_status rv_world_model_checkpoint(rv_world_model *model, const char *prefix, rv_checkpoint *checkpoint);

RV_API rv_gaussian rv_world_model_encode(rv_graph *graph, rv_world_model *model, rv_tensor observation);
RV_API rv_tensor rv_world_model_decode(rv_graph *graph, rv_world_model *model, rv_tensor latent);

/* The next latent, the reward of the step, and the logit of going on after it (RV_NONE without a continue model). */
typedef struct rv_world_model_step {
    rv_gaussian latent;
    rv_tensor reward;    /* [B, 1] */
    rv_tensor continues; /* [B, 1] */
} rv_world_model_step;
RV_API rv_world_model_step rv_world_model_predict(rv_graph *graph, rv_world_model *model, rv_tensor latent, rv_tensor action);

/* Open loop: encodes observation [B, O] once, then `steps` predictions under actions[t] [B, A]. observations[t]
 * [B, O] and rewards[t] [B, 1] are what is predicted after (for) action t; either list may be NULL. With a random state
 * every latent is drawn (draw "rollout", t; a calibrated model's noise is "rollout noise", t), with RV_NONE it is the mean. Many draws from one observation are
 * the prediction's distribution. */
RV_API void rv_world_model_rollout(rv_graph *graph, rv_world_model *model, rv_tensor observation, const rv_tensor *actions,
                                   int steps, rv_tensor state, rv_tensor *observations, rv_tensor *rewards);

/* ---- losses ------------------------------------------------------------------------------------------------- */

/* What a batch of transitions is. */
typedef struct rv_world_model_batch {
    rv_tensor observation, action, reward, next_observation; /* [B, O], [B, A], [B, 1], [B, O] */
    rv_tensor terminated; /* [B, 1], f32 0 or 1; only where the model has a continue model */
} rv_world_model_batch;

/* Means over the batch, [1, 1] each. */
typedef struct rv_world_model_losses {
    rv_tensor reconstruction; /* mean squared error per normalised observation dimension */
    rv_tensor kl;             /* of the posterior to the standard normal */
    rv_tensor dynamics;       /* rv_dynamics_loss against the mean posterior of the next observation, which it does not move */
    rv_tensor reward;         /* mean squared error; of normalised rewards where the model has them so */
    rv_tensor continues;      /* rv_continue_loss; RV_NONE without a continue model */
    rv_tensor prediction;     /* rv_world_model_window_loss alone, else RV_NONE */
    rv_tensor total;          /* reconstruction + kl_weight kl + dynamics + reward + continues */
} rv_world_model_losses;

/* kl_weight [1, 1]; the posterior's noise is the draw "posterior". */
RV_API rv_world_model_losses rv_world_model_loss(rv_graph *graph, rv_world_model *model, rv_world_model_batch batch,
                                                 rv_tensor kl_weight, rv_tensor state);

/* The same over windows of `steps` transitions in a row, 1 to RV_WINDOW_MAX: batch[t] are the t-th of each window. The
 * first observation is encoded and the rest predicted open loop from its latent by the dynamics' means. alive[t] [B, 1]
 * is 1, and 0 for a row behind an episode's end, which counts for nothing. Reward, continues and dynamics are means over
 * all rows, and so is
 * prediction: the squared error of the decoded observations per dimension, in units of the variance of one step's change,
 * which the total counts prediction_weight times. */
enum { RV_WINDOW_MAX = 64 };
RV_API rv_world_model_losses rv_world_model_window_loss(rv_graph *graph, rv_world_model *model, const rv_world_model_batch *batch,
                                                        const rv_tensor *alive, int steps, rv_tensor kl_weight,
                                                        float prediction_weight, rv_tensor state);

#ifdef __cplusplus
}
#endif
#endif
