/* agents/dreamer.h: what a dreamer is made of, for its files. */
#ifndef RV_AGENTS_DREAMER_H
#define RV_AGENTS_DREAMER_H

#include "agents/agent.h"
#include "reverie/dreamer.h"

/* The fields of its replay, each row a transition. */
enum { RV_SEEN = 0, RV_ACTED, RV_REWARDED, RV_LED_TO, RV_TERMINATED, RV_LAST, RV_DREAMER_FIELDS };

typedef struct rv_dreamer {
    rv_agent base;
    rv_dreamer_options options;
    rv_world_model *model;
    rv_params *actor_params, *critic_params, *slow_params;
    rv_actor actor;
    rv_critic critic, slow;
    rv_array *bins;
    rv_return_normaliser *normaliser;
} rv_dreamer;

/* NULL where the agent is of another kind. */
rv_dreamer *rv_dreamer_of(rv_agent *agent);

rv_status rv_dreamer_fail(rv_dreamer *dreamer, rv_status status, const char *what, const char *why);

/* dreamer_recipe.c: fills in defaults; what is wrong with the rest, or NULL. */
void rv_dreamer_fill_defaults(rv_dreamer_options *options);
const char *rv_dreamer_mistake(const rv_dreamer_options *options);

/* Updates that are due after so many environment steps. */
int64_t rv_dreamer_updates_due(const rv_dreamer_options *options, int64_t steps);

/* dreamer_loss.c: an update; and the names of its metrics. */
void rv_dreamer_name_metrics(rv_dreamer *dreamer);
void rv_dreamer_record_update(rv_graph *graph, rv_agent *agent);

/* dreamer_act.c: actions, what follows them, and the normalisers from what the prefill gave. */
void rv_dreamer_fields(int64_t observation_size, int64_t action_size, rv_replay_field fields[RV_DREAMER_FIELDS]);
void rv_dreamer_record_act(rv_graph *graph, rv_agent *agent, rv_acting *acting, rv_tensor noise, bool drawn);
void rv_dreamer_record_keep(rv_graph *graph, rv_agent *agent);
rv_status rv_dreamer_normalise(rv_agent *agent);

#endif
