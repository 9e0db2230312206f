/* reverie/evaluate.h: how well a world model predicts episodes that it has not seen.
 *
 *     rv_evaluation *evaluation;
 *     rv_evaluate_world_model(model, train, held_out, NULL, &evaluation);
 *     printf("R2 of the change, first dimension: %.3f\n", evaluation->change_r2[0]);
 *     rv_evaluation_destroy(evaluation);
 *
 * One step: the predicted change of the observation against the true one. Open loop: the model sees
 * one observation (a sequence model some more, `context`), then only actions, for `horizon` steps; beside it two baselines that see the same: repeating
 * the last observation, and a linear model of one step (least squares on the training data) applied again and again.
 */
#ifndef REVERIE_EVALUATE_H
#define REVERIE_EVALUATE_H

#include "reverie/dataset.h"
#include "reverie/sequence_model.h"
#include "reverie/world_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means default. */
typedef struct rv_evaluate_options {
    size_t size;      /* sizeof(rv_evaluate_options) */
    int64_t horizon;  /* 50 */
    int64_t starts;   /* 256: where open-loop predictions begin, spread evenly over the held-out steps */
    int64_t bands;    /* 24, 96 of a calibrated model, 8 of a sequence model: of those, how many also get predicted by
                       * sampling */
    int64_t samples;  /* 64: rollouts with drawn latents for each of them */
    uint64_t seed;    /* of the draws */
    int64_t context;  /* 16: of a sequence model, observations that it sees up to the start, no more than its episode
                       * holds; a world model sees the one it starts from */
} rv_evaluate_options;

/* Units are the observation's and the reward's own. Row k - 1 is k steps ahead. */
typedef struct rv_evaluation {
    int64_t observation_size, horizon;
    int64_t transitions, starts;    /* how many the figures are means over */
    double *change_r2;              /* [O]: 1 - squared error / variance of the change in one step; 0 where nothing changes */
    double reward_rmse;             /* in one step */
    float *step_reward;             /* [transitions]: predicted for every held-out step, in one step */
    double reward_deviation;        /* of the true rewards: what always saying their mean would err by */
    double memoryless_reward_rmse;  /* by a fit to the training data that looks at one step alone: least squares on 1, x
                                     * and x^2 of every number x of observation and action. In the environment
                                     * `sequence` nothing without a memory does better */
    double *model_rmse;             /* [horizon, O]: open loop, root of the mean squared error */
    double *repeat_rmse;            /* [horizon, O]: repeating the last observation */
    double *linear_rmse;            /* [horizon, O]: linear regression */
    double *truth_deviation;        /* [horizon, O]: standard deviation of the truth over the starts */
    double *open_loop_r2;           /* [horizon, O]: 1 - (model_rmse / truth_deviation)^2; 0 where the truth is one value */
    double *model_error, *repeat_error, *linear_error; /* [horizon]: root of the mean over the dimensions of the squared error, each
                                     * in units of its variance over all held-out steps */
    double *open_loop_reward_rmse;  /* [horizon] */
    double *inside_50, *inside_90;  /* [horizon]: share of truths within the middle 50 % and 90 % of the samples */
    double *truth, *mean, *low, *high; /* [horizon + 1, O]: the first start in full; row 0 is what the model saw,
                                        * `mean` the rollout of means, `low` to `high` 90 % of the samples */
    float *action;                  /* [horizon, A]: under these */
    char message[256];
} rv_evaluation;

/* Evaluates on the device of the model. On failure *evaluation still holds the message and must be destroyed.
 * Errors: SHAPE_MISMATCH (data of other sizes), INVALID_ARGUMENT (no held-out episode of `horizon` steps, no training
 * data), OUT_OF_MEMORY, and those of a plan. */
RV_API rv_status rv_evaluate_world_model(rv_world_model *model, const rv_transitions *train, const rv_dataset *held_out,
                                         const rv_evaluate_options *options, rv_evaluation **evaluation);
RV_API rv_status rv_evaluate_sequence_model(rv_sequence_model *model, const rv_transitions *train,
                                            const rv_dataset *held_out, const rv_evaluate_options *options,
                                            rv_evaluation **evaluation);
RV_API void rv_evaluation_destroy(rv_evaluation *evaluation); /* NULL is fine */

/* Makes 90 % of the drawn predictions hold 90 % of the truth, k steps ahead and dimension by dimension, as measured on
 * episodes that the model was not trained on and that come from where it will be used (after split conformal prediction,
 * Romano et al., 2019): stretches the draws until they hold 70 %, as far as a factor of 4 does, and lets noise do the
 * rest. Sets rv_world_model_stretch and rv_world_model_noise, of all rows where the horizon is
 * RV_STRETCH_STEPS or less. Of the options it takes horizon, samples, seed and bands (128 here). To be called after
 * training; a checkpoint holds the result.
 * Errors: WRONG_STATE (the model was not made `calibrated`), SHAPE_MISMATCH, INVALID_ARGUMENT (no episode of `horizon`
 * steps, or options out of range), OUT_OF_MEMORY, and those of a plan; on any of them both are as they were. */
RV_API rv_status rv_calibrate_world_model(rv_world_model *model, const rv_dataset *validation, const rv_evaluate_options *options);

/* Means of the latents of `count` observations [count, observation_size] -> latent [count, latent_size]. */
RV_API rv_status rv_evaluate_latents(rv_world_model *model, const float *observation, int64_t count, float *latent);

#ifdef __cplusplus
}
#endif
#endif
