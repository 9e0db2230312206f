/* reverie/agent.h: an agent in its environments: it acts, keeps what it sees, learns from it, and is judged.
 *
 *     rv_env *env;
 *     rv_env_create("continuous_pendulum", 1, NULL, 0, &env);
 *     rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
 *     rv_agent *agent;
 *     rv_dreamer_create(device, env, &options, &agent);            // or rv_dreamer_v3_agent_create
 *     rv_agent_run(agent, options.steps);                          // acts and learns
 *
 *     rv_env *fresh;
 *     double returns[16];
 *     rv_env_create("continuous_pendulum", 16, NULL, 0, &fresh);
 *     rv_agent_evaluate(agent, fresh, 1000, 0, returns);           // seed 1000; 0: the policy's mode
 *     rv_env_destroy(fresh);
 *
 *     rv_checkpoint_create(device, &checkpoint);
 *     rv_agent_checkpoint(agent, checkpoint);
 *     rv_agent_save(agent, checkpoint, "agent.safetensors");       // goes on from there after rv_agent_load
 *     rv_checkpoint_destroy(checkpoint);
 *     rv_agent_destroy(agent);
 *     rv_env_destroy(env);
 *
 * What an agent is made of and how it learns is its kind's: dreamer.h (on the course's world model), dreamer_v3_agent.h.
 * A step uploads what the environments gave, runs the act plan and reads the actions, which is the only wait; an update
 * is one plan, with its sampling from the replay, optimisers and metrics. Neither allocates memory. How many updates
 * are due is a function of the steps counted and of nothing else, so that a run repeats to the bit.
 *
 * Steps are the agent's own, counted over all environments: one under rv_env_wrap_action_repeat is several of the
 * simulator's.
 *
 * NaN and infinity in an observation, a reward, an action, a loss or a gradient set the device's flag under a name;
 * from then on neither weights nor replay change and no checkpoint is written.
 */
#ifndef REVERIE_AGENT_H
#define REVERIE_AGENT_H

#include "reverie/checkpoint.h"
#include "reverie/env.h"
#include "reverie/plan.h"
#include "reverie/replay.h"
#include "reverie/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_agent rv_agent; /* its environments stay the caller's, alive, and are left to it */

RV_API void rv_agent_destroy(rv_agent *agent); /* NULL is fine */
RV_API const char *rv_agent_message(const rv_agent *agent);

/* Acts for `steps` more steps, rounded up to whole rounds of the environments, with the updates that are due in
 * between. Errors: NON_FINITE, naming the value; WRONG_STATE (more than its options' steps); those of environments and
 * plans. */
RV_API rv_status rv_agent_run(rv_agent *agent, int64_t steps);

RV_API int64_t rv_agent_steps(const rv_agent *agent);    /* so far */
RV_API int64_t rv_agent_updates(const rv_agent *agent);
RV_API int64_t rv_agent_episodes(const rv_agent *agent); /* that ended */

/* Means over the updates since the last call (at most the last 1024), then "return" and "length": means over the last
 * (up to) ten episodes that ended in training. NaN where there was no update or episode; what is left over has the name
 * "". Waits. Errors: NON_FINITE, naming the value. */
enum { RV_AGENT_METRICS = 24 };
RV_API rv_status rv_agent_metrics(rv_agent *agent, rv_metric metrics[RV_AGENT_METRICS]);

/* Acts one episode in each of `env`'s environments, from `seed` on, learning nothing: returns [rv_env_count(env)], sums
 * of rewards. drawn 0: the policy's mode, 1: drawn actions; all noise is by `seed`. The training's state does not
 * change.
 * Errors: SHAPE_MISMATCH (other spaces), NON_FINITE, WRONG_STATE (before the end of its random steps; an episode longer
 * than 1e6 steps), OUT_OF_MEMORY, those of environments and plans. */
RV_API rv_status rv_agent_evaluate(rv_agent *agent, rv_env *env, uint64_t seed, int drawn, double *returns);

/* ---- checkpoint -------------------------------------------------------------------------------------------------- */

/* Adds all of it: the kind's weights, "replay/…", and under "agent/…" counters, noise, metrics and environments. */
RV_API rv_status rv_agent_checkpoint(rv_agent *agent, rv_checkpoint *checkpoint);

/* rv_checkpoint_save and _load of such a checkpoint, with the environments' states and the counters. An agent that was
 * loaded goes on to the bit. The errors of both, and of rv_env_load. */
RV_API rv_status rv_agent_save(rv_agent *agent, rv_checkpoint *checkpoint, const char *path);
RV_API rv_status rv_agent_load(rv_agent *agent, rv_checkpoint *checkpoint, const char *path);

/* ---- parts, the agent's own -------------------------------------------------------------------------------------- */

RV_API rv_replay *rv_agent_replay(rv_agent *agent);
RV_API rv_plan *rv_agent_train_plan(rv_agent *agent);
RV_API rv_plan *rv_agent_act_plan(rv_agent *agent);

#ifdef __cplusplus
}
#endif
#endif
