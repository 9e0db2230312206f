/* agents/rollout.h: open-loop prediction as one plan, with its data on the host. */
#ifndef RV_AGENTS_ROLLOUT_H
#define RV_AGENTS_ROLLOUT_H

#include <stdbool.h>

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/sequence_model.h"
#include "reverie/world_model.h"

/* What predicts: one of both kinds. */
typedef struct rv_predictor {
    rv_world_model *world;
    rv_sequence_model *sequence;
    int64_t context; /* observations that it sees before it goes on alone; a world model sees 1 */
} rv_predictor;

rv_device *rv_predictor_device(const rv_predictor *predictor);
int64_t rv_predictor_observation_size(const rv_predictor *predictor);
int64_t rv_predictor_action_size(const rv_predictor *predictor);

/* Everything is step after step, of all rows. The last of the context is what the horizon begins from. */
typedef struct rv_rollout {
    int64_t rows, context, horizon;
    float *observation; /* [context * rows, O]: fill before a run */
    float *is_first;    /* [context * rows]: 1 where an episode begins; fill it where the context is longer than 1 */
    float *action;      /* [(context - 1 + horizon) * rows, A]: fill before a run */
    float *predicted;   /* [horizon * rows, O] */
    float *reward;      /* [horizon * rows] */
    rv_array *device_observation, *device_first, *device_action, *device_predicted, *device_reward;
    rv_random *random;
    rv_plan *plan;
    char message[256];
} rv_rollout;

/* `sampled`: latents are drawn, else means. On failure the message is set and release is due. */
rv_status rv_rollout_make(rv_rollout *rollout, const rv_predictor *predictor, int64_t rows, int64_t horizon, bool sampled,
                          uint64_t seed);
rv_status rv_rollout_run(rv_rollout *rollout);
void rv_rollout_release(rv_rollout *rollout);

#endif
