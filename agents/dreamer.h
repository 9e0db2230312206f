/* agents/dreamer.h: what a dreamer is made of, for its files. */
#ifndef RV_AGENTS_DREAMER_H
#define RV_AGENTS_DREAMER_H

#include "agents/acting.h"
#include "reverie/dreamer.h"

enum { RV_DREAMER_ROWS = 1024 }; /* updates whose metrics are kept */

/* Columns of the counters, i32 [1, 3]. */
enum { RV_UPDATES = 0, RV_METRICS_SEEN, RV_NORMALISED, RV_DREAMER_COUNTERS };

struct rv_dreamer {
    rv_device *device;
    char message[512];
    rv_dreamer_options options;
    rv_acting acting;
    rv_world_model *model;
    rv_params *actor_params, *critic_params, *slow_params;
    rv_actor actor;
    rv_critic critic, slow;
    rv_array *bins;
    rv_return_normaliser *normaliser;
    rv_replay *replay;
    rv_random *act_noise, *train_noise;
    int metric_count;
    const char *metric_name[RV_DREAMER_METRICS];
    rv_array *metrics;       /* [RV_DREAMER_ROWS, metric_count], row = update mod RV_DREAMER_ROWS */
    rv_array *saved_counters;
    int32_t counters[RV_DREAMER_COUNTERS];
    rv_plan *act_plan, *keep_plan, *train_plan; /* keep: what follows a step, into the replay */
};

rv_status rv_dreamer_fail(rv_dreamer *dreamer, rv_status status, const char *what, const char *why);

/* dreamer_recipe.c: fills in defaults; what is wrong with the rest, or NULL. */
void rv_dreamer_fill_defaults(rv_dreamer_options *options);
const char *rv_dreamer_mistake(const rv_dreamer_options *options);

/* Updates that are due after so many environment steps. */
int64_t rv_dreamer_updates_due(const rv_dreamer_options *options, int64_t steps);

/* dreamer_loss.c: an update; and the names of its metrics. */
void rv_dreamer_name_metrics(rv_dreamer *dreamer);
void rv_dreamer_record_update(rv_graph *graph, rv_dreamer *dreamer);

/* dreamer_run.c: a policy's actions [B, A] for observations [B, O]; noise RV_NONE: its mode. */
rv_tensor rv_dreamer_act(rv_graph *graph, rv_dreamer *dreamer, rv_tensor observation, rv_tensor noise);
rv_status rv_dreamer_make_plan(rv_dreamer *dreamer, void (*record)(rv_graph *, rv_dreamer *), rv_plan **plan);
void rv_dreamer_record_act(rv_graph *graph, rv_dreamer *dreamer);
void rv_dreamer_record_keep(rv_graph *graph, rv_dreamer *dreamer);

#endif
