/* agents/dreamer_v3_agent.h: DreamerV3's kind of agent, for its files. */
#ifndef RV_AGENTS_DREAMER_V3_AGENT_H
#define RV_AGENTS_DREAMER_V3_AGENT_H

#include "agents/agent.h"
#include "reverie/dreamer_v3_agent.h"

/* The fields of its replay. */
enum {
    RV_V3_OBSERVATION = 0,
    RV_V3_ACTION,
    RV_V3_REWARD,
    RV_V3_IS_FIRST,
    RV_V3_IS_LAST,
    RV_V3_IS_TERMINAL,
    RV_V3_DETER,
    RV_V3_STOCH,
    RV_V3_FIELDS
};

typedef struct rv_dreamer_v3_agent {
    rv_agent base;
    rv_dreamer_v3_agent_options options;
    rv_dreamer_v3 *learner;
} rv_dreamer_v3_agent;

/* NULL where the agent is of another kind. */
rv_dreamer_v3_agent *rv_dreamer_v3_agent_of(rv_agent *agent);

/* dreamer_v3_recipe.c: fills in defaults; what is wrong with the rest in so many environments, or NULL. */
void rv_dreamer_v3_agent_fill_defaults(rv_dreamer_v3_agent_options *options);
const char *rv_dreamer_v3_agent_mistake(const rv_dreamer_v3_agent_options *options, int64_t environments);

/* dreamer_v3_plans.c */
void rv_dreamer_v3_name_metrics(rv_agent *agent);
void rv_dreamer_v3_record_act(rv_graph *graph, rv_agent *agent, rv_acting *acting, rv_tensor noise, bool drawn);
void rv_dreamer_v3_record_keep(rv_graph *graph, rv_agent *agent);
void rv_dreamer_v3_record_update(rv_graph *graph, rv_agent *agent);

#endif
