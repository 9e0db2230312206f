/* agents/dreamer_v3_agent.c: the parts of a DreamerV3 agent. */
#include "agents/dreamer_v3_agent.h"

#include <string.h>

static rv_status fail(rv_dreamer_v3_agent *a, rv_status status, const char *what, const char *why) {
    return rv_agent_fail(&a->base, status, what, why);
}

/* ---- replay ---- */

typedef struct row_sizes {
    int64_t observation, action, deter, stoch;
} row_sizes;

static rv_replay_options replay_options(const rv_dreamer_v3_agent_options *o, row_sizes sizes, int64_t streams,
                                        rv_replay_field fields[RV_V3_FIELDS]) {
    const rv_replay_field all[RV_V3_FIELDS] = {
        [RV_V3_OBSERVATION] = {"observation", RV_F32, sizes.observation},
        [RV_V3_ACTION] = {"action", RV_F32, sizes.action},
        [RV_V3_REWARD] = {"reward", RV_F32, 1},
        [RV_V3_IS_FIRST] = {"is_first", RV_F32, 1},
        [RV_V3_IS_LAST] = {"is_last", RV_F32, 1},
        [RV_V3_IS_TERMINAL] = {"is_terminal", RV_F32, 1},
        [RV_V3_DETER] = {"deter", RV_F32, sizes.deter},
        [RV_V3_STOCH] = {"stoch", RV_F32, sizes.stoch},
    };
    memcpy(fields, all, sizeof all);
    return (rv_replay_options){.size = sizeof(rv_replay_options),
                               .fields = fields,
                               .field_count = RV_V3_FIELDS,
                               .streams = streams,
                               .capacity = o->replay,
                               .run_rows = (o->steps + streams - 1) / streams * streams,
                               .window = o->length + 1};
}

rv_status rv_dreamer_v3_agent_replay_bytes(const rv_dreamer_v3_agent_options *given, const rv_env_spaces *spaces,
                                           int64_t environments, int64_t *bytes) {
    if (!given || !spaces || environments < 1 || !bytes) return RV_INVALID_ARGUMENT;
    rv_dreamer_v3_agent_options o = {0};
    rv_replay_field fields[RV_V3_FIELDS];
    memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    rv_dreamer_v3_agent_fill_defaults(&o);
    if (rv_dreamer_v3_agent_mistake(&o, environments)) return RV_INVALID_ARGUMENT;
    o.learner.model.rssm.size = sizeof o.learner.model.rssm;
    const rv_rssm rssm = {.options = rv_rssm_defaults(&o.learner.model.rssm)};
    const row_sizes sizes = {spaces->observation_size, rv_actor_action_size(spaces), rssm.options.deter,
                             rv_rssm_stoch_size(&rssm)};
    const rv_replay_options options = replay_options(&o, sizes, environments, fields);
    return rv_replay_bytes(&options, bytes);
}

/* ---- making and destroying ---- */

static rv_status make_learner(rv_dreamer_v3_agent *a, rv_env *env) {
    rv_env_spaces spaces = {.size = sizeof spaces};
    rv_dreamer_v3_options *o = &a->options.learner;
    rv_status status = rv_env_spaces_get(env, &spaces);
    if (status != RV_OK) return fail(a, status, "environments", rv_env_message(env));
    o->size = sizeof *o;
    o->model.observation_size = spaces.observation_size;
    o->model.action_size = rv_actor_action_size(&spaces);
    o->actor = spaces.action_choices ? RV_ACTOR_CATEGORICAL : RV_ACTOR_BOUNDED_NORMAL;
    o->classes = spaces.action_choices;
    status = rv_dreamer_v3_create(a->base.device, o, a->options.seed, &a->learner);
    if (status != RV_OK) return fail(a, status, "learner", rv_dreamer_v3_message(a->learner));
    *o = *rv_dreamer_v3_options_get(a->learner);
    return RV_OK;
}

static rv_status make(rv_dreamer_v3_agent *a, rv_env *env) {
    const char *mistake = rv_dreamer_v3_agent_mistake(&a->options, rv_env_count(env));
    if (mistake) return fail(a, RV_INVALID_ARGUMENT, "options", mistake);
    a->base.seed = a->options.seed;
    a->base.steps = a->options.steps;
    rv_status status = make_learner(a, env);
    if (status != RV_OK) return status;
    const rv_rssm *rssm = rv_sequence_model_rssm(rv_dreamer_v3_model(a->learner));
    const int64_t deter = rssm->options.deter, stoch = rv_rssm_stoch_size(rssm);
    status = rv_agent_make_acting(&a->base, env, (rv_acting_layout){.sequences = true, .deter = deter, .stoch = stoch});
    if (status != RV_OK) return status;
    rv_replay_field fields[RV_V3_FIELDS];
    const row_sizes sizes = {a->base.acting.observation_size, a->base.acting.action_size, deter, stoch};
    const rv_replay_options options = replay_options(&a->options, sizes, a->base.acting.count, fields);
    status = rv_agent_make_replay(&a->base, &options);
    if (status != RV_OK) return status;
    rv_dreamer_v3_name_metrics(&a->base);
    return rv_agent_finish(&a->base);
}

static void destroy(rv_agent *agent) {
    rv_dreamer_v3_agent gone = *rv_dreamer_v3_agent_of(agent);
    rv_device_resize(gone.base.device, agent, 0); /* first: with its last object a closed device goes too */
    rv_agent_end(&gone.base);
    rv_dreamer_v3_destroy(gone.learner);
}

static rv_status add_to_checkpoint(rv_agent *agent, rv_checkpoint *checkpoint) {
    return rv_dreamer_v3_checkpoint(rv_dreamer_v3_agent_of(agent)->learner, "", checkpoint);
}

static int64_t updates_due(const rv_agent *agent, int64_t steps) {
    const rv_dreamer_v3_agent_options *o = &((const rv_dreamer_v3_agent *)agent)->options;
    return steps > o->start ? (steps - o->start) * o->train_ratio / (o->batch * o->length) : 0;
}

static const rv_agent_kind v3_kind = {.name = "dreamer_v3",
                                      .destroy = destroy,
                                      .checkpoint = add_to_checkpoint,
                                      .updates_due = updates_due,
                                      .record_act = rv_dreamer_v3_record_act,
                                      .record_keep = rv_dreamer_v3_record_keep,
                                      .record_update = rv_dreamer_v3_record_update};

rv_dreamer_v3_agent *rv_dreamer_v3_agent_of(rv_agent *agent) {
    return agent && agent->kind == &v3_kind ? (rv_dreamer_v3_agent *)agent : NULL;
}

rv_status rv_dreamer_v3_agent_create(rv_device *device, rv_env *env, const rv_dreamer_v3_agent_options *options,
                                     rv_agent **agent) {
    if (agent) *agent = NULL;
    if (!device || !env || !agent) return RV_INVALID_ARGUMENT;
    *agent = rv_agent_begin(device, &v3_kind, sizeof(rv_dreamer_v3_agent));
    if (!*agent) return RV_OUT_OF_MEMORY;
    rv_dreamer_v3_agent *a = rv_dreamer_v3_agent_of(*agent);
    if (!options) options = &rv_dreamer_v3_recipe_list(NULL)->options;
    if (options->size == 0)
        return fail(a, RV_INVALID_ARGUMENT, "options", "set size to sizeof(rv_dreamer_v3_agent_options)");
    memcpy(&a->options, options, options->size < sizeof a->options ? options->size : sizeof a->options);
    rv_dreamer_v3_agent_fill_defaults(&a->options);
    return make(a, env);
}

/* ---- asking ---- */

const rv_dreamer_v3_agent_options *rv_dreamer_v3_agent_options_get(rv_agent *agent) {
    rv_dreamer_v3_agent *a = rv_dreamer_v3_agent_of(agent);
    return a ? &a->options : NULL;
}

rv_dreamer_v3 *rv_dreamer_v3_agent_learner(rv_agent *agent) {
    rv_dreamer_v3_agent *a = rv_dreamer_v3_agent_of(agent);
    return a ? a->learner : NULL;
}
