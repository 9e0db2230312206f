/* agents/rollout.h: a world model's open-loop prediction as one plan, with its data on the host. */
#ifndef RV_AGENTS_ROLLOUT_H
#define RV_AGENTS_ROLLOUT_H

#include <stdbool.h>

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/world_model.h"

typedef struct rv_rollout {
    int64_t rows, horizon;
    float *observation; /* [rows, O]: fill before a run */
    float *action;      /* [horizon * rows, A]: step after step; fill before a run */
    float *predicted;   /* [horizon * rows, O] */
    float *reward;      /* [horizon * rows] */
    rv_array *device_observation, *device_action, *device_predicted, *device_reward;
    rv_random *random;
    rv_plan *plan;
    char message[256];
} rv_rollout;

/* `sampled`: latents are drawn, else means. On failure the message is set and release is due. */
rv_status rv_rollout_make(rv_rollout *rollout, rv_world_model *model, int64_t rows, int64_t horizon, bool sampled, uint64_t seed);
rv_status rv_rollout_run(rv_rollout *rollout);
void rv_rollout_release(rv_rollout *rollout);

#endif
