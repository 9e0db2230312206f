/* reverie/trainer.h: trains a world model, one replayed plan a step.
 *
 *     rv_trainer *trainer;
 *     rv_trainer_create(model, &transitions, NULL, &trainer);
 *     rv_trainer_run(trainer, 1000);
 *     rv_metric metrics[RV_TRAINER_METRICS];
 *     rv_trainer_metrics(trainer, metrics);                        // means since the last call
 *     rv_trainer_destroy(trainer);
 *
 * Batch indices, noise, losses, gradients, clip, AdamW, KL warm-up, counters and metrics are
 * all in the plan: a step waits for nothing and reads nothing from the host.
 */
#ifndef REVERIE_TRAINER_H
#define REVERIE_TRAINER_H

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/world_model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_trainer rv_trainer;

/* Zero means default. */
typedef struct rv_trainer_options {
    size_t size;            /* sizeof(rv_trainer_options) */
    int64_t batch;          /* 64 */
    float learning_rate;    /* 1e-3 */
    float clip;             /* 100: bound of the gradient's global norm */
    float kl_weight;        /* 1e-4; below 0: none */
    int64_t kl_warmup;      /* 0: updates over which the KL weight grows to its value */
    rv_adamw_options adamw;
    uint64_t seed;
} rv_trainer_options;

typedef struct rv_metric {
    const char *name; /* lives as long as the library */
    float value;
} rv_metric;
enum { RV_TRAINER_METRICS = 6 }; /* loss, reconstruction, kl, dynamics, reward, gradient_norm */

/* Copies the data to the device and makes the plan. Errors: INVALID_ARGUMENT (no data),
 * SHAPE_MISMATCH (data of other sizes), and those of the plan; on failure *trainer holds the message. */
RV_API rv_status rv_trainer_create(rv_world_model *model, const rv_transitions *data, const rv_trainer_options *options,
                                   rv_trainer **trainer);
RV_API void rv_trainer_destroy(rv_trainer *trainer);
RV_API const char *rv_trainer_message(const rv_trainer *trainer);

/* Runs `steps` updates; does not wait. */
RV_API rv_status rv_trainer_run(rv_trainer *trainer, int64_t steps);

/* Means of every metric over the updates since the last call (at most the last 1024). Waits.
 * Errors: NON_FINITE, naming the metric: the weights are those before the bad update; WRONG_STATE (no update since). */
RV_API rv_status rv_trainer_metrics(rv_trainer *trainer, rv_metric metrics[RV_TRAINER_METRICS]);

RV_API rv_plan *rv_trainer_plan(rv_trainer *trainer);
RV_API int64_t rv_trainer_steps(const rv_trainer *trainer); /* updates run by this trainer */

/* Adds the model ("model/…") and the trainer's own state ("trainer/…"). */
RV_API rv_status rv_trainer_checkpoint(rv_trainer *trainer, rv_checkpoint *checkpoint);

#ifdef __cplusplus
}
#endif
#endif
