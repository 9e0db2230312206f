/* agents/acting.h: an agent's side of its environments: rows up and down, episodes, what a checkpoint needs of it. */
#ifndef RV_AGENTS_ACTING_H
#define RV_AGENTS_ACTING_H

#include <stdbool.h>

#include "reverie/actor.h"
#include "reverie/checkpoint.h"
#include "reverie/replay.h"

/* Columns of the counters, i32 [1, 3]; and how many episodes the means are of. */
enum { RV_ROUNDS = 0, RV_EPISODES, RV_RECENT_NEXT, RV_ACTING_COUNTERS, RV_RECENT = 10 };

/* What an agent is told of a step, `given`, is
 *     as transitions: led to [O] | reward | terminated | last | what to act on next [O],
 *     as sequences:   observation [O] | reward | is_first | is_last | is_terminal, of what to act on next.
 * In sequences the last observation of an episode is acted on as well, to no effect: while the others step, this
 * environment begins anew, and what it gives then is the first of the next episode. */
typedef struct rv_acting_layout {
    bool sequences;
    int64_t deter, stoch; /* columns of a recurrent state, or 0 */
} rv_acting_layout;

typedef struct rv_acting {
    rv_device *device;
    rv_acting_layout layout;
    rv_env *env; /* the caller's */
    rv_env_spaces spaces;
    int64_t count, observation_size, action_size; /* environments; columns, of actions as the policy gives them */
    int32_t counters[RV_ACTING_COUNTERS];
    float recent[2 * RV_RECENT]; /* returns and lengths of the last episodes, a ring */

    float *action, *env_action, *result; /* host: [count, action_size], [count, the environment's], as the array */
    float *after, *led_to, *reward;      /* host: what a step gave */
    uint8_t *terminated, *truncated, *restarts, *bytes; /* restarts: this step begins an episode */
    float *running;                      /* host: [count, 2]: return and length of the episode that runs */

    rv_array *given;         /* [count, width of the layout] */
    rv_array *chosen;        /* [count, action_size]: the policy's actions */
    rv_array *observation;   /* [count, O], of transitions: what was acted on, the kind's to fill after the first */
    rv_array *deter, *stoch; /* [count, layout]: the kind's to fill; zeros at first */
    rv_array *saved_bytes, *saved_counters, *saved_recent, *saved_running; /* filled before a checkpoint */
    char message[512];
} rv_acting;

/* Makes all of it and resets the environments. Whatever the status, destroy it. */
rv_status rv_acting_create(rv_acting *acting, rv_device *device, rv_env *env, rv_acting_layout layout, uint64_t seed);
void rv_acting_destroy(rv_acting *acting);

/* Random actions for this round, instead of the policy's: uniform, of choices any. */
rv_status rv_acting_random(rv_acting *acting, uint64_t seed);

/* Reads the chosen actions (which waits), steps the environments, uploads what they gave. *finite: all of it is. */
rv_status rv_acting_step(rv_acting *acting, bool *finite);

/* Means over the last episodes; NaN where there was none. */
void rv_acting_recent(const rv_acting *acting, float *mean_return, float *mean_length);

/* Adds the arrays under a prefix; puts the host's state into them, and takes it out again. */
rv_status rv_acting_checkpoint(rv_acting *acting, rv_checkpoint *checkpoint, const char *prefix);
rv_status rv_acting_stow(rv_acting *acting);
rv_status rv_acting_restore(rv_acting *acting);

#endif
