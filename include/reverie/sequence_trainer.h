/* reverie/sequence_trainer.h: trains a sequence model, one replayed plan a step.
 *
 *     rv_sequence_trainer_options options = {.size = sizeof options, .batch = 8, .steps = 16, .learning_rate = 1e-3f};
 *     rv_trainer *trainer;
 *     rv_sequence_trainer_create(model, &transitions, &options, &trainer);
 *     rv_trainer_run(trainer, 50);
 *     rv_trainer_metrics(trainer, metrics);                    // means since the last call
 *     rv_trainer_destroy(trainer);
 *
 * It is a trainer as of trainer.h, and all of that works on it: runs, metrics, validation, the loop, checkpoints. Its
 * metrics are loss, reconstruction, dyn, rep, reward, gradient_norm and continue (rv_sequence_losses).
 *
 * An episode of n transitions is n + 1 rows: every observation, with the action taken at it (none at the last) and the
 * reward that came with it (0 at the first). A sample is `steps` rows in a row from anywhere in the data, all starts
 * alike, state and action before it zeros; where an episode begins inside, is_first begins anew.
 */
#ifndef REVERIE_SEQUENCE_TRAINER_H
#define REVERIE_SEQUENCE_TRAINER_H

#include "reverie/sequence_model.h"
#include "reverie/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_optimiser { RV_OPTIMISER_LAPROP = 0, RV_OPTIMISER_ADAMW = 1 } rv_optimiser;

/* Zero means default, which is DreamerV3's setting. */
typedef struct rv_sequence_trainer_options {
    size_t size;                      /* sizeof(rv_sequence_trainer_options) */
    int64_t batch, steps;             /* 16, 64: sequences of an update, and their length */
    float learning_rate;              /* 4e-5 */
    int64_t learning_rate_warmup;     /* 1000 (below 0: none): updates over which the rate grows to its value */
    int64_t learning_rate_decay;      /* 0: none; else it falls along half a cosine to 0 at this update */
    rv_optimiser optimiser;
    rv_laprop_options laprop;
    rv_adamw_options adamw;           /* of AdamW, as is */
    float clip;                       /* 1000: bound of the gradient's global norm */
    uint64_t seed;
    const rv_transitions *validation; /* NULL: none; data that is not trained on, copied too */
    int64_t validation_batch;         /* 16: sequences of it that a validation takes, spread evenly */
} rv_sequence_trainer_options;

/* Copies the data to the device and makes the plan. Errors: INVALID_ARGUMENT (no data, or fewer rows than a sequence),
 * SHAPE_MISMATCH (data of other sizes), and those of the plan; on failure *trainer holds the message. */
RV_API rv_status rv_sequence_trainer_create(rv_sequence_model *model, const rv_transitions *data,
                                            const rv_sequence_trainer_options *options, rv_trainer **trainer);

#ifdef __cplusplus
}
#endif
#endif
