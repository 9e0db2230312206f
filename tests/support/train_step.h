/* tests/support/train_step.h: a small whole training step as one plan: encode, sample, decode, loss,
 * gradients, watch, clip, AdamW, target average, random advance. */
#ifndef RV_TESTS_TRAIN_STEP_H
#define RV_TESTS_TRAIN_STEP_H

#include "reverie/params.h"
#include "reverie/plan.h"
#include "reverie/random.h"

typedef struct rv_train_step {
    rv_device *device;
    rv_params *params, *target;
    rv_random *random;
    rv_array *observations, *rate, *loss, *norm, *replay, *slots;
    rv_plan *plan; /* NULL: each run makes its own */
    char message[640];
} rv_train_step;

/* Enough rows that devices cut them among threads. */
enum { RV_TRAIN_STEP_BATCH = 333, RV_TRAIN_STEP_WIDTH = 17, RV_TRAIN_STEP_HIDDEN = 65 };

/* Weights, data and, with `plan`, one plan that every run replays. Whatever the status, close it. */
rv_status rv_train_step_open(rv_train_step *step, rv_device *device, int plan);
rv_status rv_train_step_run(rv_train_step *step);
void rv_train_step_close(rv_train_step *step);

/* Of weights, moments, update count, target, random state and loss. 0 where reading failed. */
uint64_t rv_train_step_hash(rv_train_step *step);

#endif
