/* agents/agent_evaluate.c: episodes of a policy in fresh environments, nothing of its training moved. */
#include <string.h>

#include "agents/agent.h"

typedef struct evaluation {
    rv_agent *agent;
    rv_acting acting;
    rv_random *noise;
    rv_plan *plan;
} evaluation;

static rv_status make_plan(evaluation *e, int drawn) {
    rv_graph *graph;
    rv_agent *agent = e->agent;
    rv_status status = rv_graph_create(agent->device, &graph);
    if (status != RV_OK) {
        rv_agent_fail(agent, status, "evaluation", rv_graph_message(graph));
    } else {
        agent->kind->record_act(graph, agent, &e->acting, rv_random_state(graph, e->noise), drawn != 0);
        rv_random_advance(graph, e->noise);
        status = rv_plan_create(graph, NULL, &e->plan);
        if (status != RV_OK) rv_agent_fail(agent, status, "evaluation", rv_plan_message(e->plan));
    }
    rv_graph_destroy(graph);
    return status;
}

static rv_status act_episodes(evaluation *e, double *returns, uint8_t *ended) {
    enum { MOST_STEPS = 1000000 };
    rv_acting *a = &e->acting;
    int64_t running = a->count;
    memset(ended, 0, (size_t)a->count);
    for (int64_t i = 0; i < a->count; i++) returns[i] = 0;
    for (int64_t t = 0; running > 0; t++) {
        bool finite = true;
        if (t == MOST_STEPS) return rv_agent_fail(e->agent, RV_WRONG_STATE, "evaluation", "it does not end");
        rv_status status = rv_agent_run_plan(e->agent, e->plan, "evaluation");
        if (status != RV_OK) return status;
        status = rv_acting_step(a, &finite);
        if (status != RV_OK) return rv_agent_fail(e->agent, status, "evaluation", a->message);
        if (!finite) return rv_agent_fail(e->agent, RV_NON_FINITE, "evaluation", "what an environment gave");
        for (int64_t i = 0; i < a->count; i++) {
            if (ended[i]) continue;
            returns[i] += (double)a->reward[i];
            ended[i] = a->terminated[i] || a->truncated[i];
            running -= ended[i];
        }
    }
    return RV_OK;
}

static rv_status evaluate(evaluation *e, rv_env *env, uint64_t seed, int drawn, double *returns) {
    rv_agent *agent = e->agent;
    const rv_acting *trained = &agent->acting;
    rv_status status = rv_acting_create(&e->acting, agent->device, env, trained->layout, seed);
    if (status != RV_OK) return rv_agent_fail(agent, status, "evaluation", e->acting.message);
    if (e->acting.observation_size != trained->observation_size || e->acting.action_size != trained->action_size)
        return rv_agent_fail(agent, RV_SHAPE_MISMATCH, "evaluation", "its spaces are not those of training");
    status = rv_random_create(agent->device, seed, &e->noise);
    if (status != RV_OK) return rv_agent_fail(agent, status, "evaluation", rv_status_text(status));
    status = make_plan(e, drawn);
    if (status != RV_OK) return status;
    uint8_t *ended = rv_device_resize(agent->device, NULL, (size_t)e->acting.count);
    if (!ended) return rv_agent_fail(agent, RV_OUT_OF_MEMORY, "evaluation", "no memory");
    status = act_episodes(e, returns, ended);
    rv_device_resize(agent->device, ended, 0);
    return status;
}

rv_status rv_agent_evaluate(rv_agent *agent, rv_env *env, uint64_t seed, int drawn, double *returns) {
    if (!agent || !env || !returns) return RV_INVALID_ARGUMENT;
    if (!agent->train_plan) return RV_WRONG_STATE;
    if (agent->kind->prepare && !agent->counters[RV_PREPARED])
        return rv_agent_fail(agent, RV_WRONG_STATE, "evaluation", "nothing is learnt before the end of random steps");
    rv_status status = rv_agent_check_health(agent, "evaluation");
    evaluation e = {.agent = agent};
    if (status == RV_OK) status = evaluate(&e, env, seed, drawn, returns);
    rv_plan_destroy(e.plan);
    rv_random_destroy(e.noise);
    rv_acting_destroy(&e.acting);
    return status;
}
