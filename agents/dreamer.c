/* agents/dreamer.c: a dreamer made, destroyed, saved and loaded. */
#include "agents/dreamer.h"

#include <stdio.h>
#include <string.h>

rv_status rv_dreamer_fail(rv_dreamer *dreamer, rv_status status, const char *what, const char *why) {
    snprintf(dreamer->message, sizeof dreamer->message, "dreamer: %s: %.400s", what, why);
    return status;
}

/* ---- parts ---- */

static rv_status make_model(rv_dreamer *d) {
    rv_status status = rv_world_model_create(d->device, &d->options.model, d->options.seed, &d->model);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "model", rv_world_model_message(d->model));
    d->options.model = *rv_world_model_options_get(d->model);
    return RV_OK;
}

static rv_status make_set(rv_dreamer *d, rv_params **params) {
    rv_status status = rv_params_create(d->device, params);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "weights", rv_params_message(*params));
}

static rv_status commit(rv_dreamer *d, rv_params *params) {
    rv_status status = rv_params_commit(params, d->options.seed);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "weights", rv_params_message(params));
}

static rv_status make_actor(rv_dreamer *d) {
    const int64_t choices = d->acting.spaces.action_choices;
    const rv_actor_options options = {.size = sizeof options,
                                      .kind = choices ? RV_ACTOR_CATEGORICAL : RV_ACTOR_TANH_NORMAL,
                                      .inputs = d->options.model.latent_size,
                                      .action_size = d->acting.action_size,
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
    if (d->options.critic_bins > 0) status = rv_critic_bins(d->device, d->options.critic_bins, &d->bins);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "critic_bins", "an odd number, 3 or more, would fit");
    const rv_critic_options options = {.size = sizeof options,
                                       .kind = d->bins ? RV_CRITIC_TWOHOT : RV_CRITIC_MSE,
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
                               .field_count = RV_ACTING_FIELDS,
                               .streams = streams,
                               .capacity = o->replay,
                               .run_rows = rounded,
                               .window = o->window};
}

static rv_status make_replay(rv_dreamer *d) {
    rv_replay_field fields[RV_ACTING_FIELDS];
    rv_acting_fields(d->acting.observation_size, d->acting.action_size, fields);
    const rv_replay_options options = replay_options(&d->options, d->acting.count, fields);
    rv_status status = rv_replay_create(d->device, &options, &d->replay);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "replay", rv_replay_message(d->replay));
}

rv_status rv_dreamer_replay_bytes(const rv_dreamer_options *given, const rv_env_spaces *spaces, int64_t environments,
                                  int64_t *bytes) {
    if (!given || !spaces || environments < 1 || !bytes) return RV_INVALID_ARGUMENT;
    rv_dreamer_options o = {0};
    rv_replay_field fields[RV_ACTING_FIELDS];
    memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    rv_dreamer_fill_defaults(&o);
    if (rv_dreamer_mistake(&o)) return RV_INVALID_ARGUMENT;
    rv_acting_fields(spaces->observation_size, rv_actor_action_size(spaces), fields);
    const rv_replay_options options = replay_options(&o, environments, fields);
    return rv_replay_bytes(&options, bytes);
}

static rv_status make_noise(rv_dreamer *d) {
    rv_status status = rv_random_create(d->device, d->options.seed, &d->train_noise);
    if (status == RV_OK) status = rv_random_create(d->device, d->options.seed, &d->act_noise);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "random state", rv_device_message(d->device));
}

static rv_status make_arrays(rv_dreamer *d) {
    rv_dreamer_name_metrics(d);
    rv_status status =
        rv_array_create(d->device, RV_F32, RV_DREAMER_ROWS, d->metric_count, "dreamer/metrics", &d->metrics);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "metrics", rv_array_message(d->metrics));
    status = rv_array_create(d->device, RV_I32, 1, RV_DREAMER_COUNTERS, "dreamer/updates", &d->saved_counters);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "counters", rv_array_message(d->saved_counters));
}

static rv_status make_normaliser(rv_dreamer *d) {
    rv_status status = rv_return_normaliser_create(d->device, NULL, &d->normaliser);
    return status == RV_OK ? RV_OK
                           : rv_dreamer_fail(d, status, "returns", rv_return_normaliser_message(d->normaliser));
}

static rv_status make_plans(rv_dreamer *d) {
    rv_status status = rv_dreamer_make_plan(d, rv_dreamer_record_act, &d->act_plan);
    if (status == RV_OK) status = rv_dreamer_make_plan(d, rv_dreamer_record_keep, &d->keep_plan);
    return status == RV_OK ? rv_dreamer_make_plan(d, rv_dreamer_record_update, &d->train_plan) : status;
}

/* ---- making and destroying ---- */

static rv_status check(rv_dreamer *d) {
    rv_dreamer_options *o = &d->options;
    const char *mistake = rv_dreamer_mistake(o);
    if (mistake) return rv_dreamer_fail(d, RV_INVALID_ARGUMENT, "options", mistake);
    if (o->prefill / d->acting.count < o->window)
        return rv_dreamer_fail(d, RV_INVALID_ARGUMENT, "options", "prefill must be a window in every environment");
    if (o->gradient == RV_DREAMER_BY_KIND)
        o->gradient = d->acting.spaces.action_choices ? RV_DREAMER_REINFORCE : RV_DREAMER_DYNAMICS;
    o->model.observation_size = d->acting.observation_size;
    o->model.action_size = d->acting.action_size;
    return RV_OK;
}

static rv_status make(rv_dreamer *d, rv_env *env) {
    rv_status status = rv_acting_create(&d->acting, d->device, env, d->options.seed);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "environments", d->acting.message);
    rv_status (*const parts[])(rv_dreamer *) = {check,       make_model, make_actor,  make_critics, make_normaliser,
                                                make_replay, make_noise, make_arrays, make_plans};
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == RV_OK; i++) status = parts[i](d);
    return status;
}

rv_status rv_dreamer_create(rv_device *device, rv_env *env, const rv_dreamer_options *options, rv_dreamer **out) {
    if (out) *out = NULL;
    if (!device || !env || !out) return RV_INVALID_ARGUMENT;
    rv_dreamer *d = *out = rv_device_resize(device, NULL, sizeof *d);
    if (!d) return RV_OUT_OF_MEMORY;
    *d = (rv_dreamer){.device = device};
    if (!options) options = &rv_dreamer_recipe_list(NULL)->options;
    if (options->size == 0)
        return rv_dreamer_fail(d, RV_INVALID_ARGUMENT, "options", "set size to sizeof(rv_dreamer_options)");
    memcpy(&d->options, options, options->size < sizeof d->options ? options->size : sizeof d->options);
    rv_dreamer_fill_defaults(&d->options);
    return make(d, env);
}

void rv_dreamer_destroy(rv_dreamer *dreamer) {
    if (!dreamer) return;
    rv_dreamer gone = *dreamer;
    rv_device_resize(gone.device, dreamer, 0); /* first: with its last object a closed device goes too */
    rv_plan_destroy(gone.act_plan);
    rv_plan_destroy(gone.keep_plan);
    rv_plan_destroy(gone.train_plan);
    rv_random_destroy(gone.act_noise);
    rv_random_destroy(gone.train_noise);
    rv_replay_destroy(gone.replay);
    rv_return_normaliser_destroy(gone.normaliser);
    rv_params_destroy(gone.actor_params);
    rv_params_destroy(gone.critic_params);
    rv_params_destroy(gone.slow_params);
    rv_array_destroy(gone.bins);
    rv_array_destroy(gone.metrics);
    rv_array_destroy(gone.saved_counters);
    rv_acting_destroy(&gone.acting);
    rv_world_model_destroy(gone.model);
}

/* ---- asking ---- */

const char *rv_dreamer_message(const rv_dreamer *d) { return d ? d->message : "no dreamer"; }
const rv_dreamer_options *rv_dreamer_options_get(const rv_dreamer *d) { return d ? &d->options : NULL; }
int64_t rv_dreamer_steps(const rv_dreamer *d) { return d ? d->acting.counters[RV_ROUNDS] * d->acting.count : 0; }
int64_t rv_dreamer_updates(const rv_dreamer *d) { return d ? d->counters[RV_UPDATES] : 0; }
int64_t rv_dreamer_episodes(const rv_dreamer *d) { return d ? d->acting.counters[RV_EPISODES] : 0; }
rv_world_model *rv_dreamer_model(rv_dreamer *d) { return d ? d->model : NULL; }
rv_params *rv_dreamer_actor_params(rv_dreamer *d) { return d ? d->actor_params : NULL; }
rv_params *rv_dreamer_critic_params(rv_dreamer *d) { return d ? d->critic_params : NULL; }
rv_replay *rv_dreamer_replay(rv_dreamer *d) { return d ? d->replay : NULL; }
rv_plan *rv_dreamer_train_plan(rv_dreamer *d) { return d ? d->train_plan : NULL; }
rv_plan *rv_dreamer_act_plan(rv_dreamer *d) { return d ? d->act_plan : NULL; }

/* ---- checkpoint ---- */

static rv_status add_weights(rv_dreamer *d, rv_checkpoint *checkpoint) {
    rv_status status = rv_world_model_checkpoint(d->model, "model/", checkpoint);
    if (status == RV_OK) status = rv_checkpoint_add_params(checkpoint, "actor/", d->actor_params);
    if (status == RV_OK) status = rv_checkpoint_add_params(checkpoint, "critic/", d->critic_params);
    return status == RV_OK ? rv_checkpoint_add_params(checkpoint, "slow/", d->slow_params) : status;
}

static rv_status add_rest(rv_dreamer *d, rv_checkpoint *checkpoint) {
    rv_status status = rv_return_normaliser_checkpoint(d->normaliser, checkpoint, "returns/");
    if (status == RV_OK) status = rv_replay_checkpoint(d->replay, checkpoint, "replay/");
    if (status == RV_OK) status = rv_acting_checkpoint(&d->acting, checkpoint, "dreamer/");
    const struct {
        const char *name;
        rv_array *array;
    } arrays[] = {{"dreamer/metrics", d->metrics},
                  {"dreamer/updates", d->saved_counters},
                  {"dreamer/act_noise", rv_random_array(d->act_noise)},
                  {"dreamer/train_noise", rv_random_array(d->train_noise)}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == RV_OK; i++)
        status = rv_checkpoint_add_array(checkpoint, arrays[i].name, arrays[i].array);
    return status;
}

rv_status rv_dreamer_checkpoint(rv_dreamer *d, rv_checkpoint *checkpoint) {
    if (!d || !checkpoint) return RV_INVALID_ARGUMENT;
    rv_status status = add_weights(d, checkpoint);
    if (status == RV_OK) status = add_rest(d, checkpoint);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "checkpoint", rv_checkpoint_message(checkpoint));
}

rv_status rv_dreamer_save(rv_dreamer *d, rv_checkpoint *checkpoint, const char *path) {
    if (!d || !checkpoint || !path) return RV_INVALID_ARGUMENT;
    rv_status status = rv_acting_stow(&d->acting);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "environments", d->acting.message);
    status = rv_array_write(d->saved_counters, 0, 1, d->counters);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "counters", rv_array_message(d->saved_counters));
    status = rv_checkpoint_save(checkpoint, path);
    return status == RV_OK ? RV_OK : rv_dreamer_fail(d, status, "checkpoint", rv_checkpoint_message(checkpoint));
}

rv_status rv_dreamer_load(rv_dreamer *d, rv_checkpoint *checkpoint, const char *path) {
    int32_t counters[RV_DREAMER_COUNTERS];
    if (!d || !checkpoint || !path) return RV_INVALID_ARGUMENT;
    rv_status status = rv_checkpoint_load(checkpoint, path);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "checkpoint", rv_checkpoint_message(checkpoint));
    status = rv_array_read(d->saved_counters, 0, 1, counters);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "counters", rv_array_message(d->saved_counters));
    for (int i = 0; i < RV_DREAMER_COUNTERS; i++) {
        if (counters[i] < 0) return rv_dreamer_fail(d, RV_BAD_FILE, "checkpoint", "its counters are out of range");
    }
    status = rv_acting_restore(&d->acting);
    if (status != RV_OK) return rv_dreamer_fail(d, status, "environments", d->acting.message);
    memcpy(d->counters, counters, sizeof counters);
    return RV_OK;
}
