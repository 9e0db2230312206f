/* agents/agent.c: an agent made, destroyed, saved and loaded, whatever its kind. */
#include "agents/agent.h"

#include <stdio.h>
#include <string.h>

rv_status rv_agent_fail(rv_agent *agent, rv_status status, const char *what, const char *why) {
    snprintf(agent->message, sizeof agent->message, "%s: %s: %.400s", agent->kind->name, what, why);
    return status;
}

/* ---- parts ---- */

rv_status rv_agent_make_acting(rv_agent *agent, rv_env *env, rv_acting_layout layout) {
    rv_status status = rv_acting_create(&agent->acting, agent->device, env, layout, agent->seed);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "environments", agent->acting.message);
}

rv_status rv_agent_make_replay(rv_agent *agent, const rv_replay_options *options) {
    rv_status status = rv_replay_create(agent->device, options, &agent->replay);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "replay", rv_replay_message(agent->replay));
}

rv_status rv_agent_make_plan(rv_agent *agent, void (*record)(rv_graph *, rv_agent *), rv_plan **plan) {
    rv_graph *graph;
    rv_status status = rv_graph_create(agent->device, &graph);
    if (status != RV_OK) {
        rv_agent_fail(agent, status, "graph", rv_graph_message(graph));
    } else {
        record(graph, agent);
        status = rv_plan_create(graph, NULL, plan);
        if (status != RV_OK) rv_agent_fail(agent, status, "plan", rv_plan_message(*plan));
    }
    rv_graph_destroy(graph);
    return status;
}

static rv_status make_noise(rv_agent *agent) {
    rv_status status = rv_random_create(agent->device, agent->seed, &agent->train_noise);
    if (status == RV_OK) status = rv_random_create(agent->device, agent->seed, &agent->act_noise);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "random state", rv_device_message(agent->device));
}

static rv_status make_arrays(rv_agent *agent) {
    rv_status status = rv_array_create(agent->device, RV_F32, RV_AGENT_METRIC_ROWS, agent->metric_count,
                                       "agent/metrics", &agent->metrics);
    if (status != RV_OK) return rv_agent_fail(agent, status, "metrics", rv_array_message(agent->metrics));
    status =
        rv_array_create(agent->device, RV_I32, 1, RV_AGENT_COUNTERS, "agent/updates", &agent->saved_counters);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "counters", rv_array_message(agent->saved_counters));
}

static void record_act(rv_graph *graph, rv_agent *agent) {
    agent->kind->record_act(graph, agent, &agent->acting, rv_random_state(graph, agent->act_noise), true);
    rv_random_advance(graph, agent->act_noise);
}

static rv_status make_plans(rv_agent *agent) {
    rv_status status = rv_agent_make_plan(agent, record_act, &agent->act_plan);
    if (status == RV_OK) status = rv_agent_make_plan(agent, agent->kind->record_keep, &agent->keep_plan);
    return status == RV_OK ? rv_agent_make_plan(agent, agent->kind->record_update, &agent->train_plan) : status;
}

/* ---- making and destroying ---- */

rv_agent *rv_agent_begin(rv_device *device, const rv_agent_kind *kind, size_t size) {
    rv_agent *agent = rv_device_resize(device, NULL, size);
    if (!agent) return NULL;
    memset(agent, 0, size);
    agent->kind = kind;
    agent->device = device;
    return agent;
}

rv_status rv_agent_finish(rv_agent *agent) {
    rv_status status = make_noise(agent);
    if (status == RV_OK) status = make_arrays(agent);
    return status == RV_OK ? make_plans(agent) : status;
}

void rv_agent_end(rv_agent *agent) {
    rv_plan_destroy(agent->act_plan);
    rv_plan_destroy(agent->keep_plan);
    rv_plan_destroy(agent->train_plan);
    rv_random_destroy(agent->act_noise);
    rv_random_destroy(agent->train_noise);
    rv_replay_destroy(agent->replay);
    rv_array_destroy(agent->metrics);
    rv_array_destroy(agent->saved_counters);
    rv_acting_destroy(&agent->acting);
}

void rv_agent_destroy(rv_agent *agent) {
    if (agent) agent->kind->destroy(agent);
}

/* ---- asking ---- */

const char *rv_agent_message(const rv_agent *agent) { return agent ? agent->message : "no agent"; }
int64_t rv_agent_steps(const rv_agent *agent) {
    return agent ? agent->acting.counters[RV_ROUNDS] * agent->acting.count : 0;
}
int64_t rv_agent_updates(const rv_agent *agent) { return agent ? agent->counters[RV_UPDATES] : 0; }
int64_t rv_agent_episodes(const rv_agent *agent) { return agent ? agent->acting.counters[RV_EPISODES] : 0; }
rv_replay *rv_agent_replay(rv_agent *agent) { return agent ? agent->replay : NULL; }
rv_plan *rv_agent_train_plan(rv_agent *agent) { return agent ? agent->train_plan : NULL; }
rv_plan *rv_agent_act_plan(rv_agent *agent) { return agent ? agent->act_plan : NULL; }

/* ---- checkpoint ---- */

static rv_status add_arrays(rv_agent *agent, rv_checkpoint *checkpoint) {
    const struct {
        const char *name;
        rv_array *array;
    } arrays[] = {{"agent/metrics", agent->metrics},
                  {"agent/updates", agent->saved_counters},
                  {"agent/act_noise", rv_random_array(agent->act_noise)},
                  {"agent/train_noise", rv_random_array(agent->train_noise)}};
    rv_status status = RV_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == RV_OK; i++)
        status = rv_checkpoint_add_array(checkpoint, arrays[i].name, arrays[i].array);
    return status;
}

rv_status rv_agent_checkpoint(rv_agent *agent, rv_checkpoint *checkpoint) {
    if (!agent || !checkpoint) return RV_INVALID_ARGUMENT;
    if (!agent->train_plan) return RV_WRONG_STATE;
    rv_status status = agent->kind->checkpoint(agent, checkpoint);
    if (status == RV_OK) status = rv_replay_checkpoint(agent->replay, checkpoint, "replay/");
    if (status == RV_OK) status = rv_acting_checkpoint(&agent->acting, checkpoint, "agent/");
    if (status == RV_OK) status = add_arrays(agent, checkpoint);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "checkpoint", rv_checkpoint_message(checkpoint));
}

rv_status rv_agent_save(rv_agent *agent, rv_checkpoint *checkpoint, const char *path) {
    if (!agent || !checkpoint || !path) return RV_INVALID_ARGUMENT;
    if (!agent->train_plan) return RV_WRONG_STATE;
    rv_status status = rv_acting_stow(&agent->acting);
    if (status != RV_OK) return rv_agent_fail(agent, status, "environments", agent->acting.message);
    status = rv_array_write(agent->saved_counters, 0, 1, agent->counters);
    if (status != RV_OK) return rv_agent_fail(agent, status, "counters", rv_array_message(agent->saved_counters));
    status = rv_checkpoint_save(checkpoint, path);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "checkpoint", rv_checkpoint_message(checkpoint));
}

rv_status rv_agent_load(rv_agent *agent, rv_checkpoint *checkpoint, const char *path) {
    int32_t counters[RV_AGENT_COUNTERS];
    if (!agent || !checkpoint || !path) return RV_INVALID_ARGUMENT;
    if (!agent->train_plan) return RV_WRONG_STATE;
    rv_status status = rv_checkpoint_load(checkpoint, path);
    if (status != RV_OK) return rv_agent_fail(agent, status, "checkpoint", rv_checkpoint_message(checkpoint));
    status = rv_array_read(agent->saved_counters, 0, 1, counters);
    if (status != RV_OK) return rv_agent_fail(agent, status, "counters", rv_array_message(agent->saved_counters));
    for (int i = 0; i < RV_AGENT_COUNTERS; i++) {
        if (counters[i] < 0) return rv_agent_fail(agent, RV_BAD_FILE, "checkpoint", "its counters are out of range");
    }
    status = rv_acting_restore(&agent->acting);
    if (status != RV_OK) return rv_agent_fail(agent, status, "environments", agent->acting.message);
    memcpy(agent->counters, counters, sizeof counters);
    return RV_OK;
}
