/* agents/dreamer_v3.c: DreamerV3: making an agent, an update, a step in environments. */
#include "agents/dreamer_v3.h"

#include <stdio.h>
#include <string.h>

rv_status rv_dreamer_v3_fail(rv_dreamer_v3 *agent, rv_status status, const char *what, const char *why) {
    snprintf(agent->message, sizeof agent->message, "dreamer_v3: %s: %.400s", what, why);
    return status;
}

/* ---- options ---- */

/* Below 0 stands for 0. */
static void fill_number(float *number, float standard) {
    if (*number == 0) *number = standard;
    if (*number < 0) *number = 0;
}

static void fill_count(int *count, int standard) {
    if (*count == 0) *count = standard;
}

static void fill_defaults(rv_dreamer_v3_options *o) {
    fill_count(&o->actor_layers, 3);
    fill_count(&o->critic_layers, 3);
    if (o->horizon == 0) o->horizon = 15;
    fill_number(&o->lambda, 0.95f);
    fill_number(&o->entropy, 3e-4f);
    fill_number(&o->policy_scale, 1);
    fill_number(&o->value_scale, 1);
    fill_number(&o->replayed_value_scale, 0.3f);
    if (o->slow_rate == 0) o->slow_rate = 0.02f;
    if (o->learning_rate == 0) o->learning_rate = 4e-5f;
    if (o->warmup == 0) o->warmup = 1000;
    if (o->warmup < 0) o->warmup = 0;
    o->model.size = sizeof o->model;
    o->returns.size = sizeof o->returns;
}

/* NULL: there is none. What the parts check themselves is left to them. */
static const char *mistake_of(const rv_dreamer_v3_options *o) {
    if (o->actor == RV_ACTOR_TANH_NORMAL) return "a tanh-normal has no entropy in closed form; take a bounded normal";
    if (o->horizon < 1 || o->horizon > INT32_MAX) return "horizon must be 1 or more";
    if (!(o->lambda <= 1)) return "lambda must be 1 at most";
    if (!(o->slow_rate > 0 && o->slow_rate <= 1)) return "slow_rate must lie above 0 and be 1 at most";
    if (!(o->learning_rate > 0)) return "learning_rate must lie above 0";
    if (o->decay < 0) return "decay must be 0 or more";
    if (o->model.inference) return "model.inference: such a model cannot be trained";
    return NULL;
}

/* ---- making and destroying ---- */

static rv_status make_model(rv_dreamer_v3 *agent) {
    rv_status status = rv_sequence_model_create(agent->device, &agent->options.model, &agent->model);
    if (status != RV_OK) return rv_dreamer_v3_fail(agent, status, "model", rv_sequence_model_message(agent->model));
    agent->options.model = *rv_sequence_model_options_get(agent->model);
    return RV_OK;
}

static rv_status make_bins(rv_dreamer_v3 *agent) {
    if (agent->options.model.bins == 0) return RV_OK;
    rv_status status = rv_critic_bins(agent->device, agent->options.model.bins, &agent->bins);
    if (status == RV_OK) return RV_OK;
    return rv_dreamer_v3_fail(agent, status, "bins", agent->bins ? rv_array_message(agent->bins) : "no memory");
}

static rv_status make_sets(rv_dreamer_v3 *agent) {
    rv_status status = rv_params_create(agent->device, &agent->slow_params);
    if (status != RV_OK) return rv_dreamer_v3_fail(agent, status, "slow critic", rv_device_message(agent->device));
    status = rv_return_normaliser_create(agent->device, &agent->options.returns, &agent->normaliser);
    if (status == RV_OK) return RV_OK;
    return rv_dreamer_v3_fail(agent, status, "returns", rv_return_normaliser_message(agent->normaliser));
}

static void add_networks(rv_dreamer_v3 *agent) {
    const rv_dreamer_v3_options *o = &agent->options;
    rv_params *params = rv_sequence_model_params(agent->model);
    const rv_rssm *rssm = rv_sequence_model_rssm(agent->model);
    const int64_t feature = rssm->options.deter + rv_rssm_stoch_size(rssm);
    const rv_actor_options actor = {.size = sizeof actor,
                                    .kind = o->actor,
                                    .inputs = feature,
                                    .action_size = o->model.action_size,
                                    .classes = o->classes,
                                    .hidden = rv_sizes_of(o->actor_layers, o->model.units),
                                    .activation = o->model.activation,
                                    .outscale = o->actor_outscale};
    const rv_critic_options critic = {.size = sizeof critic,
                                      .kind = agent->bins ? RV_CRITIC_TWOHOT : RV_CRITIC_MSE,
                                      .inputs = feature,
                                      .hidden = rv_sizes_of(o->critic_layers, o->model.units),
                                      .activation = o->model.activation,
                                      .outscale = o->critic_outscale,
                                      .bins = agent->bins};
    agent->actor = rv_actor_add(params, "pol", &actor);
    agent->critic = rv_critic_add(params, "val", &critic);
    rv_params_values_only(agent->slow_params);
    agent->slow = rv_critic_add(agent->slow_params, "slow", &critic);
}

static rv_status commit(rv_dreamer_v3 *agent, uint64_t seed) {
    rv_status status = rv_sequence_model_commit(agent->model, seed);
    if (status != RV_OK) return rv_dreamer_v3_fail(agent, status, "weights", rv_sequence_model_message(agent->model));
    status = rv_params_commit(agent->slow_params, seed);
    if (status == RV_OK) status = rv_critic_copy(&agent->slow, &agent->critic);
    return status == RV_OK ? RV_OK
                           : rv_dreamer_v3_fail(agent, status, "slow critic", rv_params_message(agent->slow_params));
}

rv_status rv_dreamer_v3_create(rv_device *device, const rv_dreamer_v3_options *options, uint64_t seed,
                               rv_dreamer_v3 **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_dreamer_v3 *agent = *out = rv_device_resize(device, NULL, sizeof *agent);
    if (!agent) return RV_OUT_OF_MEMORY;
    *agent = (rv_dreamer_v3){.device = device};
    if (!options || options->size == 0)
        return rv_dreamer_v3_fail(agent, RV_INVALID_ARGUMENT, "options", "set size to sizeof(rv_dreamer_v3_options)");
    memcpy(&agent->options, options, options->size < sizeof agent->options ? options->size : sizeof agent->options);
    fill_defaults(&agent->options);
    const char *mistake = mistake_of(&agent->options);
    if (mistake) return rv_dreamer_v3_fail(agent, RV_INVALID_ARGUMENT, "options", mistake);
    rv_status status = make_model(agent);
    if (status == RV_OK) status = make_bins(agent);
    if (status == RV_OK) status = make_sets(agent);
    if (status != RV_OK) return status;
    add_networks(agent);
    return commit(agent, seed);
}

void rv_dreamer_v3_destroy(rv_dreamer_v3 *agent) {
    if (!agent) return;
    rv_dreamer_v3 gone = *agent;
    rv_device_resize(agent->device, agent, 0); /* first: with its last object a closed device goes too */
    rv_sequence_model_destroy(gone.model);
    rv_params_destroy(gone.slow_params);
    rv_array_destroy(gone.bins);
    rv_return_normaliser_destroy(gone.normaliser);
}

const char *rv_dreamer_v3_message(const rv_dreamer_v3 *agent) { return agent ? agent->message : "no agent"; }
const rv_dreamer_v3_options *rv_dreamer_v3_options_get(const rv_dreamer_v3 *agent) {
    return agent ? &agent->options : NULL;
}
rv_sequence_model *rv_dreamer_v3_model(rv_dreamer_v3 *agent) { return agent ? agent->model : NULL; }
rv_params *rv_dreamer_v3_params(rv_dreamer_v3 *agent) {
    return agent ? rv_sequence_model_params(agent->model) : NULL;
}
rv_params *rv_dreamer_v3_slow_params(rv_dreamer_v3 *agent) { return agent ? agent->slow_params : NULL; }
rv_return_normaliser *rv_dreamer_v3_returns(rv_dreamer_v3 *agent) { return agent ? agent->normaliser : NULL; }

rv_status rv_dreamer_v3_checkpoint(rv_dreamer_v3 *agent, const char *prefix, rv_checkpoint *checkpoint) {
    if (!agent || !prefix || !checkpoint) return RV_INVALID_ARGUMENT;
    char full[256];
    snprintf(full, sizeof full, "%.200sreturns/", prefix);
    rv_status status = rv_checkpoint_add_params(checkpoint, prefix, rv_dreamer_v3_params(agent));
    if (status == RV_OK) status = rv_checkpoint_add_params(checkpoint, prefix, agent->slow_params);
    if (status == RV_OK) status = rv_return_normaliser_checkpoint(agent->normaliser, checkpoint, full);
    return status == RV_OK ? RV_OK : rv_dreamer_v3_fail(agent, status, "checkpoint", rv_checkpoint_message(checkpoint));
}

/* ---- an update ---- */

/* rate * min(1, n / warmup) * (1 + cos(pi min(1, n / decay))) / 2 after n updates. */
static rv_tensor learning_rate(rv_graph *graph, rv_dreamer_v3 *agent) {
    const rv_dreamer_v3_options *o = &agent->options;
    const float pi = 3.14159265f;
    rv_tensor rate = rv_fill(graph, 1, 1, o->learning_rate);
    rv_tensor updates = rv_cast(rv_read(graph, rv_params_updates(rv_dreamer_v3_params(agent))), RV_F32);
    if (o->warmup > 0) {
        rv_tensor grown = rv_div(updates, rv_fill(graph, 1, 1, (float)o->warmup));
        rate = rv_affine(rv_min(grown, rv_fill(graph, 1, 1, 1)), o->learning_rate, 0);
    }
    if (o->decay > 0) {
        rv_tensor angle = rv_clamp(rv_affine(updates, pi / (float)o->decay, 0), 0, pi);
        rate = rv_mul(rate, rv_affine(rv_cos(angle), 0.5f, 0.5f));
    }
    return rate;
}

/* What the optimiser must not see: asked before the step. */
static void watch(rv_graph *graph, rv_dreamer_v3 *agent, const rv_dreamer_v3_losses *losses, rv_tensor norm) {
    enum { EACH = RV_DREAMER_V3_LOSSES - 1 }; /* the total is their sum */
    static const char *const rest[] = {"weights", "slow critic weights", "gradient"};
    rv_dreamer_v3_value list[RV_DREAMER_V3_VALUES];
    rv_tensor each[EACH];
    const char *names[EACH];
    rv_dreamer_v3_list(losses, list);
    for (int i = 0; i < EACH; i++) {
        each[i] = list[i].tensor;
        names[i] = list[i].name;
    }
    const rv_tensor weights[] = {rv_params_weight_norm(graph, rv_dreamer_v3_params(agent)),
                                 rv_params_weight_norm(graph, agent->slow_params)};
    rv_watch(rv_concat_cols(weights, 2), rest, 2);
    rv_watch(rv_concat_cols(each, EACH), names, EACH);
    rv_watch(norm, &rest[2], 1);
}

rv_dreamer_v3_update rv_dreamer_v3_learn(rv_graph *graph, rv_dreamer_v3 *agent, const rv_sequence_batch *batch,
                                         rv_dreamer_v3_noise noise) {
    if (!graph || !agent || !batch) return (rv_dreamer_v3_update){.learning_rate = RV_NONE};
    rv_params *params = rv_dreamer_v3_params(agent);
    rv_dreamer_v3_update update = {.losses = rv_dreamer_v3_loss(graph, agent, batch, noise)};
    if (!update.losses.total.id) return update; /* the graph has the mistake */
    rv_graph_push(graph, "step");
    rv_params_gradients(graph, params, update.losses.total, NULL, 0);
    update.gradient_norm = rv_params_norm(graph, params);
    watch(graph, agent, &update.losses, update.gradient_norm);
    rv_returns_keep(graph, agent->normaliser, update.losses.dream.returns);
    update.learning_rate = learning_rate(graph, agent);
    rv_params_laprop(graph, params, update.learning_rate, &agent->options.laprop);
    rv_critic_follow(graph, &agent->slow, &agent->critic, agent->options.slow_rate);
    rv_graph_pop(graph);
    return update;
}

/* ---- acting ---- */

rv_dreamer_v3_move rv_dreamer_v3_act(rv_graph *graph, rv_dreamer_v3 *agent, rv_rssm_state state, rv_tensor action,
                                     rv_tensor observation, rv_tensor is_first, rv_dreamer_v3_noise noise,
                                     int likeliest) {
    if (!graph || !agent) return (rv_dreamer_v3_move){.action = RV_NONE};
    rv_graph_push(graph, "act");
    const rv_rssm_noise latent = {.state = noise.state, .name = "act/posterior", .given = noise.posterior};
    rv_tensor tokens = rv_sequence_model_encode(graph, agent->model, observation);
    /* `action` twice: of a single step, the one taken at it is not used */
    rv_rssm_rollout seen = rv_rssm_observe(graph, rv_sequence_model_rssm(agent->model), state, action, tokens, action,
                                           is_first, 1, latent);
    rv_tensor features[] = {seen.last.deter, seen.last.stoch};
    rv_actor_policy policy = rv_actor_forward(graph, &agent->actor, features, 2);
    rv_tensor from = noise.action.graph ? noise.action : noise.state;
    rv_dreamer_v3_move move = {.state = seen.last};
    move.action = likeliest ? rv_actor_mode(policy) : rv_actor_draw(policy, from, "act/action", 0).action;
    rv_graph_pop(graph);
    return move;
}
