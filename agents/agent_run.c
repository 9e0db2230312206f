/* agents/agent_run.c: acting, learning in between, and what came of it. */
#include <math.h>
#include <stdio.h>

#include "agents/agent.h"
#include "reverie/returns.h"

rv_status rv_agent_run_plan(rv_agent *agent, rv_plan *plan, const char *what) {
    rv_status status = rv_plan_run(plan);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, what, rv_plan_message(plan));
}

rv_status rv_agent_check_health(rv_agent *agent, const char *what) {
    const char *bad;
    rv_status status = rv_device_health(agent->device, &bad);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, what, rv_device_message(agent->device));
}

/* ---- the loop ---- */

static bool at_random(const rv_agent *agent) { return rv_agent_steps(agent) < agent->random_steps; }

static rv_status act(rv_agent *agent) {
    if (!at_random(agent)) return rv_agent_run_plan(agent, agent->act_plan, "act");
    rv_status status = rv_acting_random(&agent->acting, agent->seed);
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "act", agent->acting.message);
}

static rv_status step(rv_agent *agent) {
    char what[64];
    bool finite = true;
    rv_status status = act(agent);
    if (status != RV_OK) return status;
    snprintf(what, sizeof what, "step %lld", (long long)rv_agent_steps(agent) + 1);
    status = rv_acting_step(&agent->acting, &finite);
    if (status == RV_NON_FINITE) { /* the actions, which the plan has named */
        rv_status named = rv_agent_check_health(agent, what);
        return named == RV_OK ? rv_agent_fail(agent, status, what, agent->acting.message) : named;
    }
    if (status != RV_OK) return rv_agent_fail(agent, status, what, agent->acting.message);
    status = rv_agent_run_plan(agent, agent->keep_plan, "replay");
    return status == RV_OK && !finite ? rv_agent_check_health(agent, what) : status;
}

static rv_status prepare(rv_agent *agent) {
    if (at_random(agent) || agent->counters[RV_PREPARED]) return RV_OK;
    rv_status status = agent->kind->prepare ? agent->kind->prepare(agent) : RV_OK;
    if (status == RV_OK) agent->counters[RV_PREPARED] = 1;
    return status;
}

static rv_status learn(rv_agent *agent) {
    rv_status status = prepare(agent);
    const int64_t due = agent->kind->updates_due(agent, rv_agent_steps(agent));
    while (status == RV_OK && agent->counters[RV_UPDATES] < due) {
        status = rv_agent_run_plan(agent, agent->train_plan, "update");
        if (status == RV_OK) agent->counters[RV_UPDATES]++;
    }
    return status;
}

rv_status rv_agent_run(rv_agent *agent, int64_t steps) {
    if (!agent || steps < 0) return RV_INVALID_ARGUMENT;
    if (!agent->train_plan) return RV_WRONG_STATE;
    const int64_t count = agent->acting.count, left = agent->steps - rv_agent_steps(agent);
    const int64_t rounds = (steps + count - 1) / count;
    if (rounds > (left + count - 1) / count)
        return rv_agent_fail(agent, RV_WRONG_STATE, "run", "that would go beyond the options' steps");
    rv_status status = RV_OK;
    for (int64_t i = 0; i < rounds && status == RV_OK; i++) {
        status = step(agent);
        if (status == RV_OK) status = learn(agent);
    }
    return status == RV_OK ? rv_agent_check_health(agent, "run") : status;
}

/* ---- metrics ---- */

rv_tensor rv_agent_metrics_row(rv_graph *graph, rv_params *params) {
    rv_tensor rows = rv_cast(rv_fill(graph, 1, 1, RV_AGENT_METRIC_ROWS), RV_I32);
    return rv_mod(rv_read(graph, rv_params_updates(params)), rows);
}

void rv_agent_keep_metrics(rv_agent *agent, rv_tensor row, const rv_tensor *metrics, int count) {
    rv_store_rows(agent->metrics, rv_returns_join(metrics, count), row);
}

static rv_status mean_metrics(rv_agent *agent, float mean[RV_AGENT_METRICS]) {
    const int32_t updates = agent->counters[RV_UPDATES];
    int32_t count = updates - agent->counters[RV_METRICS_SEEN];
    if (count > RV_AGENT_METRIC_ROWS) count = RV_AGENT_METRIC_ROWS;
    double sums[RV_AGENT_METRICS] = {0};
    float row[RV_AGENT_METRICS];
    for (int32_t i = updates - count; i < updates; i++) {
        rv_status status = rv_array_read(agent->metrics, i % RV_AGENT_METRIC_ROWS, 1, row);
        if (status != RV_OK) return rv_agent_fail(agent, status, "metrics", rv_array_message(agent->metrics));
        for (int m = 0; m < agent->metric_count; m++) sums[m] += row[m];
    }
    for (int m = 0; m < agent->metric_count; m++) mean[m] = count > 0 ? (float)(sums[m] / count) : NAN;
    agent->counters[RV_METRICS_SEEN] = updates;
    return RV_OK;
}

rv_status rv_agent_metrics(rv_agent *agent, rv_metric metrics[RV_AGENT_METRICS]) {
    if (!agent || !metrics) return RV_INVALID_ARGUMENT;
    if (!agent->train_plan) return RV_WRONG_STATE;
    float mean[RV_AGENT_METRICS], last[2];
    rv_status status = rv_agent_check_health(agent, "metrics");
    if (status == RV_OK) status = mean_metrics(agent, mean);
    if (status != RV_OK) return status;
    rv_acting_recent(&agent->acting, &last[0], &last[1]);
    const int count = agent->metric_count;
    for (int m = 0; m < RV_AGENT_METRICS; m++) {
        metrics[m] = m < count ? (rv_metric){agent->metric_name[m], mean[m]} : (rv_metric){"", 0};
    }
    metrics[count] = (rv_metric){"return", last[0]};
    metrics[count + 1] = (rv_metric){"length", last[1]};
    return RV_OK;
}
