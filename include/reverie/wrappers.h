/* reverie/wrappers.h: environments put round environments.
 *
 *     rv_env *env;
 *     rv_env_create("continuous_pendulum", 16, NULL, 0, &env);
 *     rv_env_wrap_action_repeat(&env, 2);                      // each action acts for two steps
 *     rv_env_wrap_normalise(&env, 10.0);                       // observations of mean 0 and variance 1
 *     rv_env_wrap_frame_stack(&env, 4);                        // the last four of them, side by side
 *     rv_env_destroy(env);                                     // and all inside
 *
 * Each puts a layer round *env, which then means the whole: it is stepped, saved, loaded and destroyed as one.
 * The wrapped environment must be reset before its first step. On an error *env stays as it was, and its
 * message says why. A batch gives what its environments would give alone, running statistics apart.
 *
 * Errors of all: INVALID_ARGUMENT (a value out of range), TOO_LARGE, OUT_OF_MEMORY, WRONG_STATE (*env was not made).
 */
#ifndef REVERIE_WRAPPERS_H
#define REVERIE_WRAPPERS_H

#include "reverie/env.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Truncates an episode after `steps` steps, at least 1, where it has not ended before. */
RV_API rv_status rv_env_wrap_time_limit(rv_env **env, int64_t steps);

/* One step is `times` (1 to 10000) steps inside under the same action, or fewer where the episode ends before; the
 * rewards add up. */
RV_API rv_status rv_env_wrap_action_repeat(rv_env **env, int64_t times);

/* Actions between low and high (low < high, finite) stand for the whole range of each of the actions inside.
 * Errors: UNSUPPORTED (actions that are choices). */
RV_API rv_status rv_env_wrap_action_rescale(rv_env **env, float low, float high);

/* Rewards times `scale`, which is finite. */
RV_API rv_status rv_env_wrap_reward_scale(rv_env **env, double scale);

/* The last `frames` (1 to 1024) observations side by side, oldest first; an episode begins with copies of its first. */
RV_API rv_status rv_env_wrap_frame_stack(rv_env **env, int64_t frames);

/* Each column of the observation less its mean, over its standard deviation, cut at +- clip (0: not cut). Mean and
 * variance are those of all observations so far, over time and over the batch, and part of the saved state. Put it
 * outside of an action repeat, so that only what is seen is counted. */
RV_API rv_status rv_env_wrap_normalise(rv_env **env, double clip);

/* From now on (frozen = 1) the statistics stay as they are, or go on being taken (0).
 * For all three, env is any environment with one normaliser or more inside; the outermost is meant.
 * Errors: NOT_FOUND (there is none). */
RV_API rv_status rv_env_normaliser_freeze(rv_env *env, int frozen);

/* The statistics: mean and variance [columns of the observation inside], and of how many observations. NULL where not
 * wanted. */
RV_API rv_status rv_env_normaliser_get(rv_env *env, double *mean, double *variance, double *count);

/* Puts statistics in, such as those that a model was trained with. Errors: also INVALID_ARGUMENT (not finite, or
 * negative). */
RV_API rv_status rv_env_normaliser_set(rv_env *env, const double *mean, const double *variance, double count);

#ifdef __cplusplus
}
#endif
#endif
