/* reverie/collect.h: data for a world model, gathered by acting.
 *
 *     rv_collect_options options = {.size = sizeof options, .steps = 5000, .policy = RV_POLICY_MIXED, .seed = 7};
 *     rv_collect_world_model_data(env, &options, data);
 *
 * The same environments, options and seed give the same data, bit for bit.
 */
#ifndef REVERIE_COLLECT_H
#define REVERIE_COLLECT_H

#include "reverie/dataset.h"
#include "reverie/env.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_policy {
    RV_POLICY_RANDOM = 0,   /* every action uniform within its bounds */
    RV_POLICY_SCRIPTED = 1, /* the environment's own policy with noise: actions that keep an episode going */
    RV_POLICY_MIXED = 2     /* each episode wholly one of the two, whichever has fewer steps so far */
} rv_policy;

/* Zero means default: steps 5000, noise 0.3. */
typedef struct rv_collect_options {
    size_t size;        /* sizeof(rv_collect_options) */
    int64_t steps;      /* in total, over all environments */
    int64_t episodes;   /* that ended by themselves, at least; collection goes on beyond `steps` for them */
    rv_policy policy;
    double noise;       /* of the scripted policy: standard deviation as a share of half the action's range, or how often
                         * one of several choices is drawn instead; below 0: none */
    uint64_t seed;      /* of the actions; environment i begins at seed + i */
    /* Called now and then; answer nonzero to cancel. */
    int (*progress)(void *user, int64_t steps, int64_t episodes);
    void *user;
} rv_collect_options;

/* Resets every environment, acts until there are enough steps and episodes, and appends whole episodes in the
 * order in which they ended; those still running at the end come last and are marked truncated. With fewer
 * episodes asked for than come by themselves exactly `steps` steps are appended.
 * Errors: INVALID_ARGUMENT, SHAPE_MISMATCH (the dataset's sizes), UNSUPPORTED (no scripted policy), CANCELLED
 * (what ended until then is kept), NON_FINITE, OUT_OF_MEMORY. The message is the dataset's. */
RV_API rv_status rv_collect_world_model_data(rv_env *env, const rv_collect_options *options, rv_dataset *dataset);

/* Collects `episodes` episodes of at most `episode_length` steps: those that have not ended by then are cut there and
 * marked truncated, and the next begins. Episodes are appended in the order in which they ended; each that was begun is
 * kept, so that several environments at once do not favour the short ones. Of the options, steps and episodes must be
 * 0; options may be NULL. Errors: as above. */
RV_API rv_status rv_collect_sequence_data(rv_env *env, int64_t episodes, int64_t episode_length,
                                          const rv_collect_options *options, rv_dataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
