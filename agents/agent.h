/* agents/agent.h: what every agent is made of, and what its kind adds; for the files of agents/. */
#ifndef RV_AGENTS_AGENT_H
#define RV_AGENTS_AGENT_H

#include "agents/acting.h"
#include "reverie/agent.h"
#include "reverie/random.h"

enum { RV_AGENT_METRIC_ROWS = 1024 }; /* updates whose metrics are kept */

/* Columns of the counters, i32 [1, 3]. */
enum { RV_UPDATES = 0, RV_METRICS_SEEN, RV_PREPARED, RV_AGENT_COUNTERS };

typedef struct rv_agent_kind {
    const char *name;
    void (*destroy)(rv_agent *agent); /* by rv_agent_end, and then its own parts */
    rv_status (*checkpoint)(rv_agent *agent, rv_checkpoint *checkpoint); /* adds what is its own */

    int64_t (*updates_due)(const rv_agent *agent, int64_t steps);
    rv_status (*prepare)(rv_agent *agent); /* or NULL: done once, after the random steps */

    /* Recorded: actions chosen in these environments, the noise not advanced; what follows an environment step in
     * training; an update, the noise advanced. */
    void (*record_act)(rv_graph *graph, rv_agent *agent, rv_acting *acting, rv_tensor noise, bool drawn);
    void (*record_keep)(rv_graph *graph, rv_agent *agent);
    void (*record_update)(rv_graph *graph, rv_agent *agent);
} rv_agent_kind;

/* The first member of a kind's struct, which sets what stands before the blank line. */
struct rv_agent {
    const rv_agent_kind *kind;
    rv_device *device;
    uint64_t seed;
    int64_t steps, random_steps; /* of the whole run; how many at first act at random */
    rv_acting acting;
    rv_replay *replay;
    int metric_count;
    const char *metric_name[RV_AGENT_METRICS];

    char message[512];
    rv_random *act_noise, *train_noise;
    rv_array *metrics; /* [RV_AGENT_METRIC_ROWS, metric_count], row = update mod RV_AGENT_METRIC_ROWS */
    rv_array *saved_counters;
    int32_t counters[RV_AGENT_COUNTERS];
    rv_plan *act_plan, *keep_plan, *train_plan; /* keep: what follows an environment step */
};

/* agent.c: a kind's struct of that size, zeroed but for these two; NULL: no memory. Then all but what the kind has set
 * itself. Then everything destroyed, of an agent that was copied out of its memory. */
rv_agent *rv_agent_begin(rv_device *device, const rv_agent_kind *kind, size_t size);
rv_status rv_agent_finish(rv_agent *agent);
void rv_agent_end(rv_agent *agent);

/* Keeps "kind: what: why" as the message and returns the status. */
rv_status rv_agent_fail(rv_agent *agent, rv_status status, const char *what, const char *why);

rv_status rv_agent_make_acting(rv_agent *agent, rv_env *env, rv_acting_layout layout);
rv_status rv_agent_make_replay(rv_agent *agent, const rv_replay_options *options);
rv_status rv_agent_make_plan(rv_agent *agent, void (*record)(rv_graph *, rv_agent *), rv_plan **plan);

/* agent_run.c */
rv_status rv_agent_run_plan(rv_agent *agent, rv_plan *plan, const char *what);
rv_status rv_agent_check_health(rv_agent *agent, const char *what);

/* Recorded: where the metrics of the next update go, by the weights' count of updates, which has yet to be stepped;
 * then the metrics [1, 1] each. */
rv_tensor rv_agent_metrics_row(rv_graph *graph, rv_params *params);
void rv_agent_keep_metrics(rv_agent *agent, rv_tensor row, const rv_tensor *metrics, int count);

#endif
