/* reverie/sequence_model.h: a world model with a memory: encoder, RSSM, decoder, reward and continue head.
 *
 *     rv_sequence_model_options options = {.size = sizeof options, .observation_size = 3, .action_size = 1};
 *     rv_sequence_model_preset("debug", &options);
 *     rv_sequence_model *model;
 *     rv_sequence_model_create(device, &options, &model);
 *     rv_sequence_model_commit(model, seed);
 *
 *     rv_sequence_losses losses = rv_sequence_model_loss(graph, model, &batch, noise);
 *     rv_params_gradients(graph, rv_sequence_model_params(model), losses.total, NULL, 0);
 *     rv_sequence_step next = rv_sequence_model_imagine(graph, model, observation, action, hidden, noise);
 *     rv_sequence_model_destroy(model);
 *
 * Vectors of numbers are observations, seen as symlog(observation); networks are layers Linear, RMSNorm, activation.
 * This is DreamerV3's world model (Hafner et al., 2023); names of weights, layouts and losses as in docs/audit.md. Rows
 * are time-major (rssm.h). Train it with sequence_trainer.h.
 */
#ifndef REVERIE_SEQUENCE_MODEL_H
#define REVERIE_SEQUENCE_MODEL_H

#include "reverie/checkpoint.h"
#include "reverie/rssm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_sequence_model rv_sequence_model;

/* Zero means default: DreamerV3's at size1m. */
typedef struct rv_sequence_model_options {
    size_t size;                             /* sizeof(rv_sequence_model_options) */
    int64_t observation_size, action_size;   /* no default */
    rv_rssm_options rssm;                    /* its action_size and token_size are set by the model */
    int64_t units;                           /* 64: width of the networks below */
    int encoder_layers, decoder_layers, reward_layers, continue_layers; /* 3, 3, 1, 1 */
    rv_activation activation;                /* RV_SILU (RV_LINEAR = 0 counts as default) */
    int raw;                                 /* 1: observations as they are, without symlog */
    int64_t bins;                            /* 255: of the two-hot reward head, odd; below 0: squared error */
    float reward_outscale;                   /* 0: the reward head begins at zero; 1: as the other heads */
    float horizon;                           /* 333 (below 0: endless): continuing counts 1 - 1 / horizon */
    rv_rssm_loss_options kl;
    float reconstruction_scale, reward_scale, continue_scale; /* 1 each (below 0: none) */
    int inference;                           /* 1: no gradients and moments; it cannot be trained */
} rv_sequence_model_options;

/* Sets what a preset says: rssm and units, for "planet" and "debug" more; the rest stays as it is.
 *
 *     name       deter  hidden  stoch  classes  blocks  units
 *     tiny         128      64     16        8       4     64    for CPUs; the choice is ours
 *     size1m       512      64     32        4       8     64    DreamerV3's (dreamerv3/configs.yaml), as those below
 *     size12m     2048     256     32       16       8    256
 *     size25m     3072     384     32       24       8    384
 *     size50m     4096     512     32       32       8    512
 *     size100m    6144     768     32       48       8    768
 *     size200m    8192    1024     32       64       8   1024
 *     size400m   12288    1536     32       96       8   1536
 *     debug          8       3      2        4       4      8    5 bins
 *     planet       200     200     30        -       -    200    Gaussian, plain GRU, squared errors, KL not balanced
 *
 * Errors: NOT_FOUND, and options stay as they are. */
RV_API rv_status rv_sequence_model_preset(const char *name, rv_sequence_model_options *options);
RV_API const char *rv_sequence_model_preset_name(int index); /* in the order above; NULL beyond the last */

/* Adds the weights to a set of its own. An agent may add its own to the same set (rv_sequence_model_params) before the
 * commit, which allocates and draws them. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY; *model then holds the message. */
RV_API rv_status rv_sequence_model_create(rv_device *device, const rv_sequence_model_options *options,
                                          rv_sequence_model **model);
RV_API rv_status rv_sequence_model_commit(rv_sequence_model *model, uint64_t seed);
RV_API void rv_sequence_model_destroy(rv_sequence_model *model);
RV_API const char *rv_sequence_model_message(const rv_sequence_model *model);
/* Defaults filled in. */
RV_API const rv_sequence_model_options *rv_sequence_model_options_get(const rv_sequence_model *model);
RV_API rv_params *rv_sequence_model_params(rv_sequence_model *model);
RV_API rv_device *rv_sequence_model_device(const rv_sequence_model *model);
RV_API const rv_rssm *rv_sequence_model_rssm(const rv_sequence_model *model);

/* Adds the whole set of weights and its moments (none where it is for inference) under prefix. */
RV_API rv_status rv_sequence_model_checkpoint(rv_sequence_model *model, const char *prefix, rv_checkpoint *checkpoint);

/* ---- networks; a state of N rows ------------------------------------------------------------------------------ */

/* Tokens [N, units] of observations [N, O]. */
RV_API rv_tensor rv_sequence_model_encode(rv_graph *graph, rv_sequence_model *model, rv_tensor observation);

/* The observation [N, O]: as it is learnt, in symlog unless raw; and in its own units. */
RV_API rv_tensor rv_sequence_model_reconstruct(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state);
RV_API rv_tensor rv_sequence_model_decode(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state);

/* The reward head's logits [N, bins], without bins the reward; and the reward [N, 1]. */
RV_API rv_tensor rv_sequence_model_reward_logits(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state);
RV_API rv_tensor rv_sequence_model_reward(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state);

/* [N, 1] */
RV_API rv_tensor rv_sequence_model_continue_logit(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state);

/* Values of the two-hot head's bins, [1, bins]; RV_NONE without. A critic may share them. */
RV_API rv_tensor rv_sequence_model_bins(rv_graph *graph, rv_sequence_model *model);

/* ---- losses --------------------------------------------------------------------------------------------------- */

/* Sequences that were really seen: T steps, rows t * B + b. */
typedef struct rv_sequence_batch {
    int64_t steps;
    rv_tensor observation, action, reward;    /* [T * B, O], [T * B, A] taken at it, [T * B, 1] that came with it */
    rv_tensor is_first, is_last, is_terminal; /* [T * B, 1], f32 0 or 1; losses do not look at is_last */
    rv_rssm_state start;                      /* [B, ..] before the first step, and */
    rv_tensor start_action;                   /* [B, A] the action that led from it; RV_NONE: zeros */
} rv_sequence_batch;

/* What the model makes of a batch, all rows below one another. */
typedef struct rv_sequence_pass {
    rv_tensor tokens;
    rv_rssm_rollout seen;
    rv_tensor reconstruction, reward_logits, continue_logit;
} rv_sequence_pass;

/* Means over the rows, [1, 1] each; scales are in the total only. */
typedef struct rv_sequence_losses {
    rv_tensor reconstruction; /* sum over the columns of (prediction - symlog(observation))^2 */
    rv_tensor reward;         /* two-hot cross-entropy, or squared error */
    rv_tensor continues;      /* Bernoulli, with the soft target */
    rv_tensor dyn, rep;       /* rv_rssm_loss */
    rv_tensor total;
    rv_tensor kl;             /* [T * B, 1] */
    rv_sequence_pass pass;
} rv_sequence_losses;

/* A start of zeros may be left out of the batch (all RV_NONE). */
RV_API rv_sequence_pass rv_sequence_model_observe(rv_graph *graph, rv_sequence_model *model,
                                                  const rv_sequence_batch *batch, rv_rssm_noise noise);
RV_API rv_sequence_losses rv_sequence_model_loss(rv_graph *graph, rv_sequence_model *model,
                                                 const rv_sequence_batch *batch, rv_rssm_noise noise);

/* ---- predictions ---------------------------------------------------------------------------------------------- */

/* What an episode begins with: h of the first step, before anything is seen. */
RV_API rv_rssm_state rv_sequence_model_hidden(rv_graph *graph, rv_sequence_model *model, int64_t rows);

typedef struct rv_sequence_step {
    rv_tensor observation, reward, continue_logit; /* [B, O] in its own units, [B, 1], [B, 1] */
    rv_rssm_state hidden;
} rv_sequence_step;

/* One step: what `action` [B, A] at `observation` [B, O] leads to. The observation corrects `hidden` (z is drawn from
 * the posterior); with RV_NONE the model goes on with what it imagined. Draws: noise.name, t 0 for the posterior and 1
 * for the prior; given noise is [B, S] and taken for both. */
RV_API rv_sequence_step rv_sequence_model_imagine(rv_graph *graph, rv_sequence_model *model, rv_tensor observation,
                                                  rv_tensor action, rv_rssm_state hidden, rv_rssm_noise noise);

/* Open loop: observes `context`, then `steps` steps under actions [steps * B, A], whose first rows are those taken at
 * the context's last. Everything given is [steps * B, ..]; hidden is after the last step. `seen` draws the context's
 * latents, `noise` the imagined ones. */
RV_API rv_sequence_step rv_sequence_model_open_loop(rv_graph *graph, rv_sequence_model *model,
                                                    const rv_sequence_batch *context, rv_tensor actions, int64_t steps,
                                                    rv_rssm_noise seen, rv_rssm_noise noise);

#ifdef __cplusplus
}
#endif
#endif
