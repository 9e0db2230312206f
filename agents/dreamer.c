/* agents/dreamer.c: the parts of a dreamer. */
#include "agents/dreamer.h"

#include <string.h>

rv_status rv_dreamer_fail(rv_dreamer *dreamer, rv_status status, const char *what, const char *why) {
    return rv_agent_fail(&dreamer->base, status, what, why);
}

/* ---- parts ---- */

static rv_status make_model(rv_dreamer *d) {
    rv_status status = rv_world_model_create(d->base.device, &d->options.model, d->options.seed, &d->model);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "model", rv_world_model_message(d->model));
    d->options.model = *rv_world_model_options_get(d->model);
    return RV_OK;
}

static rv_status make_set(rv_dreamer *d, rv_params **params) {
    rv_status status = rv_params_create(d->base.device, params);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "weights", rv_params_message(*params));
}

static rv_status commit(rv_dreamer *d, rv_params *params) {
    rv_status status = rv_params_commit(params, d->options.seed);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "weights", rv_params_message(params));
}

static rv_status make_actor(rv_dreamer *d) {
    const int64_t choices = d->base.acting.spaces.action_choices;
    const rv_actor_options options = {.size = sizeof options,
                                      .kind = choices ? RV_ACTOR_CATEGORICAL : RV_ACTOR_TANH_NORMAL,
                                      .inputs = d->options.model.latent_size,
                                      .action_size = d->base.acting.action_size,
                                      .classes = choices,
                                      .hidden = d->options.actor_hidden,
                                      .plain = d->options.plain};
    rv_status status = make_set(d, &d->actor_params);
    if (status != RV_OK) return status;
    d->actor = rv_actor_add(d->actor_params, "policy", &options);
    return commit(d, d->actor_params);
}

static rv_status make_critics(rv_dreamer *d) {
    rv_status status = RV_OK;
    if (d->options.critic_bins > 0) status = rv_critic_bins(d->base.device, d->options.critic_bins, &d->bins);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "critic_bins", "an odd number, 3 or more, would fit");
    const rv_critic_kind number = d->options.symlog_value ? RV_CRITIC_SYMLOG : RV_CRITIC_MSE;
    const rv_critic_options options = {.size = sizeof options,
                                       .kind = d->bins ? RV_CRITIC_TWOHOT : number,
                                       .inputs = d->options.model.latent_size,
                                       .hidden = d->options.critic_hidden,
                                       .plain = d->options.plain,
                                       .bins = d->bins};
    status = make_set(d, &d->critic_params);
    if (status == RV_OK) status = make_set(d, &d->slow_params);
    if (status != RV_OK) return status;
    d->critic = rv_critic_add(d->critic_params, "value", &options);
    rv_params_values_only(d->slow_params);
    d->slow = rv_critic_add(d->slow_params, "value", &options);
    status = commit(d, d->critic_params);
    if (status == RV_OK) status = commit(d, d->slow_params);
    if (status != RV_OK) return status;
    status = rv_critic_copy(&d->slow, &d->critic);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "slow critic", rv_status_text(status));
}

static rv_replay_options replay_options(const rv_dreamer_options *o, int64_t streams, const rv_replay_field *fields) {
    const int64_t rounded = (o->steps + streams - 1) / streams * streams;
    return (rv_replay_options){.size = sizeof(rv_replay_options),
                               .fields = fields,
                               .field_count = RV_DREAMER_FIELDS,
                               .streams = streams,
                               .capacity = o->replay,
                               .run_rows = rounded,
                               .window = o->window};
}

static rv_status make_replay(rv_dreamer *d) {
    rv_replay_field fields[RV_DREAMER_FIELDS];
    rv_dreamer_fields(d->base.acting.observation_size, d->base.acting.action_size, fields);
    const rv_replay_options options = replay_options(&d->options, d->base.acting.count, fields);
    return rv_agent_make_replay(&d->base, &options);
}

rv_status rv_dreamer_replay_bytes(const rv_dreamer_options *given, const rv_env_spaces *spaces, int64_t environments,
                                  int64_t *bytes) {
    if (!given || !spaces || environments < 1 || !bytes) return RV_INVALID_ARGUMENT;
    rv_dreamer_options o = {0};
    rv_replay_field fields[RV_DREAMER_FIELDS];
    memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    rv_dreamer_fill_defaults(&o);
    if (rv_dreamer_mistake(&o)) return RV_INVALID_ARGUMENT;
    rv_dreamer_fields(spaces->observation_size, rv_actor_action_size(spaces), fields);
    const rv_replay_options options = replay_options(&o, environments, fields);
    return rv_replay_bytes(&options, bytes);
}

static rv_status make_normaliser(rv_dreamer *d) {
    rv_status status = rv_return_normaliser_create(d->base.device, NULL, &d->normaliser);
    return status == RV_OK ? RV_OK
                           : rv_dreamer_fail(d, status, "returns", rv_return_normaliser_message(d->normaliser));
}

static rv_status make_rest(rv_dreamer *d) {
    rv_dreamer_name_metrics(d);
    return rv_agent_finish(&d->base);
}

int64_t rv_dreamer_updates_due(const rv_dreamer_options *options, int64_t steps) {
    const int64_t learning = steps - options->prefill;
    return learning > 0 ? learning / options->update_every * options->updates_each : 0;
}

/* ---- making and destroying ---- */

static rv_status check(rv_dreamer *d) {
    rv_dreamer_options *o = &d->options;
    const char *mistake = rv_dreamer_mistake(o);
    if (mistake) return rv_dreamer_fail(d, RV_INVALID_ARGUMENT, "options", mistake);
    if (o->prefill / d->base.acting.count < o->window)
        return rv_dreamer_fail(d, RV_INVALID_ARGUMENT, "options", "prefill must be a window in every environment");
    if (o->gradient == RV_DREAMER_BY_KIND)
        o->gradient = d->base.acting.spaces.action_choices ? RV_DREAMER_REINFORCE : RV_DREAMER_DYNAMICS;
    o->model.observation_size = d->base.acting.observation_size;
    o->model.action_size = d->base.acting.action_size;
    return RV_OK;
}

static rv_status make(rv_dreamer *d, rv_env *env) {
    d->base.seed = d->options.seed;
    d->base.steps = d->options.steps;
    d->base.random_steps = d->options.prefill;
    rv_status status = rv_agent_make_acting(&d->base, env, (rv_acting_layout){0});
    rv_status (*const parts[])(rv_dreamer *) = {check,           make_model,  make_actor, make_critics,
                                                make_normaliser, make_replay, make_rest};
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == RV_OK; i++) status = parts[i](d);
    return status;
}

static void destroy(rv_agent *agent) {
    rv_dreamer gone = *rv_dreamer_of(agent);
    rv_device_resize(gone.base.device, agent, 0); /* first: with its last object a closed device goes too */
    rv_agent_end(&gone.base);
    rv_return_normaliser_destroy(gone.normaliser);
    rv_params_destroy(gone.actor_params);
    rv_params_destroy(gone.critic_params);
    rv_params_destroy(gone.slow_params);
    rv_array_destroy(gone.bins);
    rv_world_model_destroy(gone.model);
}

static rv_status add_to_checkpoint(rv_agent *agent, rv_checkpoint *checkpoint) {
    rv_dreamer *d = rv_dreamer_of(agent);
    rv_status status = rv_world_model_checkpoint(d->model, "model/", checkpoint);
    if (status == RV_OK) status = rv_checkpoint_add_params(checkpoint, "actor/", d->actor_params);
    if (status == RV_OK) status = rv_checkpoint_add_params(checkpoint, "critic/", d->critic_params);
    if (status == RV_OK) status = rv_checkpoint_add_params(checkpoint, "slow/", d->slow_params);
    return status == RV_OK ? rv_return_normaliser_checkpoint(d->normaliser, checkpoint, "returns/") : status;
}

static int64_t updates_due(const rv_agent *agent, int64_t steps) {
    return rv_dreamer_updates_due(&((const rv_dreamer *)agent)->options, steps);
}

static const rv_agent_kind dreamer_kind = {.name = "dreamer",
                                           .destroy = destroy,
                                           .checkpoint = add_to_checkpoint,
                                           .updates_due = updates_due,
                                           .prepare = rv_dreamer_normalise,
                                           .record_act = rv_dreamer_record_act,
                                           .record_keep = rv_dreamer_record_keep,
                                           .record_update = rv_dreamer_record_update};

rv_dreamer *rv_dreamer_of(rv_agent *agent) {
    return agent && agent->kind == &dreamer_kind ? (rv_dreamer *)agent : NULL;
}

rv_status rv_dreamer_create(rv_device *device, rv_env *env, const rv_dreamer_options *options, rv_agent **agent) {
    if (agent) *agent = NULL;
    if (!device || !env || !agent) return RV_INVALID_ARGUMENT;
    *agent = rv_agent_begin(device, &dreamer_kind, sizeof(rv_dreamer));
    if (!*agent) return RV_OUT_OF_MEMORY;
    rv_dreamer *d = rv_dreamer_of(*agent);
    if (!options) options = &rv_dreamer_recipe_list(NULL)->options;
    if (options->size == 0)
        return rv_dreamer_fail(d, RV_INVALID_ARGUMENT, "options", "set size to sizeof(rv_dreamer_options)");
    memcpy(&d->options, options, options->size < sizeof d->options ? options->size : sizeof d->options);
    rv_dreamer_fill_defaults(&d->options);
    return make(d, env);
}

/* ---- asking ---- */

const rv_dreamer_options *rv_dreamer_options_get(rv_agent *agent) {
    rv_dreamer *d = rv_dreamer_of(agent);
    return d ? &d->options : NULL;
}

rv_world_model *rv_dreamer_model(rv_agent *agent) {
    rv_dreamer *d = rv_dreamer_of(agent);
    return d ? d->model : NULL;
}

rv_params *rv_dreamer_actor_params(rv_agent *agent) {
    rv_dreamer *d = rv_dreamer_of(agent);
    return d ? d->actor_params : NULL;
}

rv_params *rv_dreamer_critic_params(rv_agent *agent) {
    rv_dreamer *d = rv_dreamer_of(agent);
    return d ? d->critic_params : NULL;
}
