/* reverie/dreamer_v3_agent.h: DreamerV3 (dreamer_v3.h) in environments, as an agent (agent.h).
 *
 *     rv_env *env;
 *     rv_env_create("dmc_pendulum_swingup", 1, NULL, 0, &env);
 *     rv_env_wrap_action_repeat(&env, 2);
 *     rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("tiny")->options;
 *     rv_agent *agent;
 *     rv_dreamer_v3_agent_create(device, env, &options, &agent);
 *     rv_agent_run(agent, options.steps);                          // acts and learns; agent.h has the rest
 *     rv_agent_destroy(agent);
 *     rv_env_destroy(env);
 *
 * A step: the recurrent state takes in the action before and what is seen now, the actor draws an action, and the row
 * (observation, action, reward that came with the observation, is_first, is_last, is_terminal, deter, stoch) is
 * appended to the replay: one plan. Actions are kept as they were drawn; the environment gets them clipped. The policy
 * acts from the first step on; there are no random ones.
 *
 * An episode's last observation is a row of its own, at which is_last is 1 and the action has no effect; the next step
 * of that environment is the first of the next episode. (To keep all environments in step, what rv_env_step then gives
 * is thrown away and rv_env_reset_some begins the episode.) An episode of n steps is n + 1 of the agent's.
 *
 * An update: `batch` windows of `length` + 1 rows from the replay; the first row gives the state that it begins in and
 * the action taken there, the others are learnt from, and their latents go back to the rows they came from; all in one
 * plan. After n of the agent's steps floor((n - start) * train_ratio / (batch * length)) updates are due.
 */
#ifndef REVERIE_DREAMER_V3_AGENT_H
#define REVERIE_DREAMER_V3_AGENT_H

#include "reverie/agent.h"
#include "reverie/dreamer_v3.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Best begun from a recipe. Zero means DreamerV3's constants. */
typedef struct rv_dreamer_v3_agent_options {
    size_t size;                   /* sizeof(rv_dreamer_v3_agent_options) */
    rv_dreamer_v3_options learner; /* sizes of observation and action, kind of the actor, classes: the environment's */
    int64_t steps;                 /* 1100000: of the whole run; the replay has no more room than that */
    int64_t batch, length;         /* 16, 64 */
    int64_t train_ratio;           /* 1024: replayed rows for each step */
    int64_t start;                 /* 2048: steps before which nothing is learnt; length + 1 in each environment */
    int64_t replay;                /* 5000000: rows at most */
    uint64_t seed;                 /* of weights, noise and the environments (which get seed + i) */
} rv_dreamer_v3_agent_options;

typedef struct rv_dreamer_v3_recipe {
    const char *name, *text;
    int64_t environments;                /* how many it is meant for */
    rv_dreamer_v3_agent_options options; /* seed 0 */
} rv_dreamer_v3_recipe;

/* "default" (which is "tiny": a small agent that learns in tens of minutes on a CPU), "tiny", "memory" (a Gaussian state
 * on a plain GRU, for the environment "sequence"), "dmc_proprio" (size1m and the constants of the published
 * configuration of that name), "debug" (for tests). NULL where there is none of that name; all of them, the default
 * first. */
RV_API const rv_dreamer_v3_recipe *rv_dreamer_v3_recipe_find(const char *name);
RV_API const rv_dreamer_v3_recipe *rv_dreamer_v3_recipe_list(int *count);

/* Makes everything and resets the environments, which the caller keeps alive and leaves to the agent. options NULL: the
 * recipe "default". On failure *agent still holds the message and must be destroyed (NULL only when not even that much
 * memory was there). Errors: INVALID_ARGUMENT, TOO_LARGE, OUT_OF_MEMORY, and those of environments and plans. */
RV_API rv_status rv_dreamer_v3_agent_create(rv_device *device, rv_env *env, const rv_dreamer_v3_agent_options *options,
                                            rv_agent **agent);

/* What its replay would take, bytes on the device, in `environments` of these spaces. Errors: as rv_replay_bytes. */
RV_API rv_status rv_dreamer_v3_agent_replay_bytes(const rv_dreamer_v3_agent_options *options,
                                                  const rv_env_spaces *spaces, int64_t environments, int64_t *bytes);

/* Defaults filled in; and the networks, the agent's own, whose names in its checkpoint have no prefix.
 * NULL where the agent is of another kind. */
RV_API const rv_dreamer_v3_agent_options *rv_dreamer_v3_agent_options_get(rv_agent *agent);
RV_API rv_dreamer_v3 *rv_dreamer_v3_agent_learner(rv_agent *agent);

#ifdef __cplusplus
}
#endif
#endif
