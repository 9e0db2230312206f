/* reverie/trainer.h: trains a world model, one replayed plan a step.
 *
 *     rv_trainer *trainer;
 *     rv_trainer_create(model, &transitions, NULL, &trainer);
 *     rv_trainer_run(trainer, 1000);
 *     rv_metric metrics[RV_TRAINER_METRICS];
 *     rv_trainer_metrics(trainer, metrics);                        // means since the last call
 *     rv_trainer_destroy(trainer);
 *
 * Batch indices, noise, losses, gradients, clip, AdamW, learning rate, KL warm-up, counters and
 * metrics are all in the plan: a step waits for nothing and reads nothing from the host.
 * rv_trainer_fit is the loop round it: reports, validation, early stop, history, cancelling.
 * sequence_trainer.h makes the same trainer of a sequence model.
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

/* Zero means default, which is the course's setting. */
typedef struct rv_trainer_options {
    size_t size;            /* sizeof(rv_trainer_options) */
    int64_t batch;          /* 64 */
    float learning_rate;    /* 1e-3 */
    float clip;             /* 100: bound of the gradient's global norm */
    float kl_weight;        /* 1e-4; below 0: none */
    int64_t kl_warmup;      /* 0: updates over which the KL weight grows to its value */
    rv_adamw_options adamw;
    uint64_t seed;
    int64_t learning_rate_warmup; /* 0: updates over which the learning rate grows to its value */
    int64_t learning_rate_decay;  /* 0: none; else it falls along half a cosine to 0 at this update */
    int64_t window;               /* 1, to RV_WINDOW_MAX: transitions in a row that a sample is (rv_world_model_window_loss) */
    float prediction_weight;      /* 1 with a window beyond 1; below 0: none */
    const rv_transitions *validation; /* NULL: none; data that is not trained on, copied too */
    int64_t validation_batch;     /* 1024: windows of it that a validation takes, spread evenly */
} rv_trainer_options;

typedef struct rv_metric {
    const char *name; /* lives as long as the library */
    float value;
} rv_metric;

/* loss, reconstruction, kl, dynamics, reward, gradient_norm, then prediction where there are windows and continue where
 * the model has a continue model; what is left over has the name "". */
enum { RV_TRAINER_METRICS = 8 };

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

/* How many metrics this trainer has, 6 to RV_TRAINER_METRICS. */
RV_API int rv_trainer_metric_count(const rv_trainer *trainer);

/* The same losses over the validation data (gradient_norm is 0), with noise that is always the same. Waits.
 * Errors: WRONG_STATE (no validation data). */
RV_API rv_status rv_trainer_validate(rv_trainer *trainer, rv_metric metrics[RV_TRAINER_METRICS]);

/* ---- the loop ----------------------------------------------------------------------------------------------- */

typedef struct rv_trainer_report {
    int64_t update, updates;                 /* counted by the weights, which a checkpoint restores; and wanted */
    float training[RV_TRAINER_METRICS];      /* means since the last report, named as by rv_trainer_metrics */
    float validation[RV_TRAINER_METRICS];    /* zeros without validation data */
} rv_trainer_report;

/* Zero means default. */
typedef struct rv_fit_options {
    size_t size;            /* sizeof(rv_fit_options) */
    int64_t updates;        /* 1000: until the weights count so many */
    int64_t every;          /* 100: updates from one report to the next */
    int64_t patience;       /* 0: never stops early; else after so many reports in a row without a lower validation loss */
    int (*progress)(void *user, const rv_trainer_report *report); /* after every report; nonzero cancels */
    void *user;
} rv_fit_options;

/* Trains; the weights are those of the last update. A trainer that was restored from a checkpoint goes on as if it
 * had never stopped, where the checkpoint was written at a report. Errors: CANCELLED, NON_FINITE (rv_trainer_metrics),
 * INVALID_ARGUMENT (patience without validation data), OUT_OF_MEMORY. */
RV_API rv_status rv_trainer_fit(rv_trainer *trainer, const rv_fit_options *options);

/* Every report of this trainer's fits; valid until the next one. */
RV_API const rv_trainer_report *rv_trainer_history(const rv_trainer *trainer, int64_t *count);

/* The same names as rv_trainer_metrics gives; "" beyond them. */
RV_API const char *rv_trainer_metric_name(const rv_trainer *trainer, int index);

/* ---- the rest ----------------------------------------------------------------------------------------------- */

RV_API rv_plan *rv_trainer_plan(rv_trainer *trainer);
RV_API int64_t rv_trainer_steps(const rv_trainer *trainer); /* updates run by this trainer */

/* Adds the model ("model/…") and the trainer's own state ("trainer/…"). */
RV_API rv_status rv_trainer_checkpoint(rv_trainer *trainer, rv_checkpoint *checkpoint);

#ifdef __cplusplus
}
#endif
#endif
