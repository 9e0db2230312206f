/* agents/dreamer_loss.c: imagined trajectories, what actor and critic learn from them, and a whole update. */
#include "agents/dreamer.h"

#include <math.h>

#include "reverie/scan.h"

/* ---- imagination ---- */

typedef struct dream {
    rv_dreamer *dreamer;
    rv_tensor noise;
} dream;

enum { LATENT, ACTION, LOG_PROB, ENTROPY, REWARD, GOING_ON, OUTPUTS };

static rv_tensor next_latent(const dream *d, rv_gaussian latent, uint32_t t) {
    if (!d->dreamer->options.draw_latents || !latent.logvar.graph) return latent.mean;
    return rv_sample_normal(latent.mean, latent.logvar, d->noise, "imagine/latent", t).value;
}

static void imagine_step(void *user, const rv_scan_step *step) {
    const dream *d = user;
    const rv_dreamer_options *o = &d->dreamer->options;
    const uint32_t t = (uint32_t)step->t;
    rv_tensor latent = step->carry[0];
    rv_action drawn = rv_actor_sample(step->graph, &d->dreamer->actor, &latent, 1, d->noise, "imagine/action", t);
    if (o->gradient == RV_DREAMER_REINFORCE) drawn.action = rv_stop_gradient(drawn.action);
    rv_world_model_step next = rv_world_model_predict(step->graph, d->dreamer->model, latent, drawn.action);
    step->next[0] = step->output[LATENT] = next_latent(d, next.latent, t);
    step->output[ACTION] = drawn.action;
    step->output[LOG_PROB] = drawn.log_prob;
    step->output[ENTROPY] = drawn.entropy;
    step->output[REWARD] = next.reward;
    step->output[GOING_ON] = next.continues.graph ? rv_affine(rv_sigmoid(next.continues), o->gamma, 0)
                                                  : rv_fill(step->graph, rv_tensor_rows(latent), 1, o->gamma);
}

rv_imagination rv_dreamer_imagine(rv_graph *graph, rv_agent *agent, rv_tensor latent, int64_t horizon,
                                  rv_tensor noise) {
    rv_dreamer *dreamer = rv_dreamer_of(agent);
    if (!dreamer) {
        rv_tensor none = rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_dreamer_imagine", "the agent is no dreamer");
        return (rv_imagination){none, none, none, none, none, none};
    }
    dream d = {dreamer, noise};
    rv_tensor carry = latent, out[OUTPUTS];
    rv_graph_push(graph, "imagine");
    rv_scan(graph, horizon, imagine_step, &d, &carry, 1, NULL, 0, out, OUTPUTS);
    const rv_tensor latents[2] = {latent, out[LATENT]};
    rv_imagination imagined = {.latent = rv_concat_rows(latents, 2),
                               .action = out[ACTION],
                               .log_prob = out[LOG_PROB],
                               .entropy = out[ENTROPY],
                               .reward = out[REWARD],
                               .going_on = out[GOING_ON]};
    rv_graph_pop(graph);
    return imagined;
}

/* ---- actor and critic ---- */

static rv_tensor value_of(rv_graph *graph, const rv_critic *critic, rv_tensor latent) {
    return rv_critic_value(graph, critic, rv_critic_forward(graph, critic, &latent, 1));
}

/* mean of weight gain, plus the entropy's; all [H B, 1] but the scale. */
static rv_tensor actor_loss(const rv_dreamer *dreamer, rv_tensor gain, rv_imagination imagined, rv_tensor weight) {
    rv_tensor wanted = gain;
    if (dreamer->options.entropy_weight > 0)
        wanted = rv_add(gain, rv_affine(imagined.entropy, dreamer->options.entropy_weight, 0));
    return rv_neg(rv_mean(rv_mul(weight, wanted), RV_ALL));
}

static rv_return_scale scale_of(rv_graph *graph, rv_dreamer *dreamer, rv_tensor returns) {
    if (dreamer->options.raw_returns) return (rv_return_scale){.scale = rv_fill(graph, 1, 1, 1)};
    return rv_returns_normalise(graph, dreamer->normaliser, returns);
}

rv_dreamer_behaviour rv_dreamer_behaviour_loss(rv_graph *graph, rv_agent *agent, rv_imagination imagined,
                                               rv_tensor scale) {
    rv_dreamer *dreamer = rv_dreamer_of(agent);
    if (!dreamer) {
        rv_tensor none =
            rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_dreamer_behaviour_loss", "the agent is no dreamer");
        return (rv_dreamer_behaviour){.actor = none, .critic = none, .returns = none, .entropy = none};
    }
    const rv_dreamer_options *o = &dreamer->options;
    const int64_t steps = rv_tensor_rows(imagined.reward), all = rv_tensor_rows(imagined.latent);
    const int64_t start = all - steps, horizon = start > 0 ? steps / start : 0;
    rv_graph_push(graph, "behaviour");
    rv_tensor going_on = rv_returns_by_row(imagined.going_on, horizon);
    rv_tensor value = rv_returns_by_row(value_of(graph, &dreamer->slow, imagined.latent), horizon + 1);
    rv_dreamer_behaviour b = {0};
    b.returns = rv_lambda_return(rv_returns_by_row(imagined.reward, horizon), going_on, value, fmaxf(o->lambda, 0));
    b.scale = scale.graph ? (rv_return_scale){.scale = scale} : scale_of(graph, dreamer, b.returns);
    rv_tensor weight = rv_stop_gradient(rv_returns_by_time(rv_cumprod(going_on, 1)));
    rv_tensor target = rv_returns_by_time(b.returns);

    rv_tensor states = rv_stop_gradient(rv_slice_rows(imagined.latent, 0, steps));
    rv_tensor output = rv_critic_forward(graph, &dreamer->critic, &states, 1);
    b.critic = rv_critic_loss(graph, &dreamer->critic, output, &target, 1, weight);

    rv_tensor gain = target;
    if (o->gradient == RV_DREAMER_REINFORCE) {
        rv_tensor advantage = rv_sub(target, rv_critic_value(graph, &dreamer->critic, output));
        gain = rv_mul(imagined.log_prob, rv_stop_gradient(advantage));
    }
    b.actor = actor_loss(dreamer, rv_div(gain, b.scale.scale), imagined, weight);
    b.entropy = rv_mean(imagined.entropy, RV_ALL);
    rv_graph_pop(graph);
    return b;
}

/* ---- the world model ---- */

static rv_world_model_losses model_losses(rv_graph *graph, rv_dreamer *dreamer, rv_tensor noise) {
    const rv_dreamer_options *o = &dreamer->options;
    rv_world_model_batch batch[RV_WINDOW_MAX];
    rv_tensor alive[RV_WINDOW_MAX], last = RV_NONE;
    rv_replay_batch drawn = rv_replay_sample(graph, dreamer->base.replay, noise, "batch", o->batch, o->window);
    for (int64_t t = 0; t < o->window; t++) {
        rv_tensor part[RV_DREAMER_FIELDS];
        for (int i = 0; i < RV_DREAMER_FIELDS; i++) part[i] = rv_slice_rows(drawn.value[i], t * o->batch, o->batch);
        batch[t] = (rv_world_model_batch){part[RV_SEEN], part[RV_ACTED], part[RV_REWARDED], part[RV_LED_TO],
                                          part[RV_TERMINATED]};
        alive[t] = t ? rv_mul(alive[t - 1], rv_affine(last, -1, 1)) : rv_fill(graph, o->batch, 1, 1);
        last = part[RV_LAST];
    }
    rv_tensor kl_weight = rv_fill(graph, 1, 1, o->kl_weight > 0 ? o->kl_weight : 0);
    const float prediction_weight = o->prediction_weight > 0 ? o->prediction_weight : 0;
    return rv_world_model_window_loss(graph, dreamer->model, batch, alive, (int)o->window, kl_weight, prediction_weight,
                                      noise);
}

/* Latents of replayed observations, apart from those the world model learns from. */
static rv_tensor starts(rv_graph *graph, rv_dreamer *dreamer, rv_tensor noise) {
    rv_replay_batch drawn = rv_replay_sample(graph, dreamer->base.replay, noise, "start", dreamer->options.imagined, 1);
    return rv_stop_gradient(rv_world_model_encode(graph, dreamer->model, drawn.value[RV_SEEN]).mean);
}

/* ---- an update ---- */

/* The world model's, the continue model's where there is one, then these. */
static const char *const model_names[] = {"loss", "reconstruction", "kl", "dynamics", "reward", "prediction"};
static const char *const behaviour_names[] = {"actor",          "critic",         "entropy",        "imagined_return",
                                              "model_gradient", "actor_gradient", "critic_gradient"};
enum { MODEL_NAMES = 6, BEHAVIOUR_NAMES = 7 };
_Static_assert(sizeof model_names / sizeof *model_names == MODEL_NAMES, "a name each");
_Static_assert(sizeof behaviour_names / sizeof *behaviour_names == BEHAVIOUR_NAMES, "a name each");
_Static_assert(MODEL_NAMES + 1 + BEHAVIOUR_NAMES + 2 <= RV_AGENT_METRICS, "with continue, return and length");

void rv_dreamer_name_metrics(rv_dreamer *dreamer) {
    int count = 0;
    for (int i = 0; i < MODEL_NAMES; i++) dreamer->base.metric_name[count++] = model_names[i];
    if (dreamer->options.model.continues) dreamer->base.metric_name[count++] = "continue";
    for (int i = 0; i < BEHAVIOUR_NAMES; i++) dreamer->base.metric_name[count++] = behaviour_names[i];
    dreamer->base.metric_count = count;
}

static int gather_metrics(rv_world_model_losses model, rv_dreamer_behaviour behaviour, const rv_tensor norm[3],
                          rv_tensor row[RV_AGENT_METRICS]) {
    const rv_tensor of_model[MODEL_NAMES] = {model.total,    model.reconstruction, model.kl,
                                             model.dynamics, model.reward,         model.prediction};
    const rv_tensor of_behaviour[BEHAVIOUR_NAMES] = {
        behaviour.actor, behaviour.critic, behaviour.entropy, rv_mean(behaviour.returns, RV_ALL), norm[0], norm[1],
        norm[2]};
    int count = 0;
    for (int i = 0; i < MODEL_NAMES; i++) row[count++] = of_model[i];
    if (model.continues.graph) row[count++] = model.continues;
    for (int i = 0; i < BEHAVIOUR_NAMES; i++) row[count++] = of_behaviour[i];
    return count;
}

/* Before any weight moves: what is bad must be seen first. */
static void keep_metrics(rv_graph *graph, rv_dreamer *dreamer, const rv_tensor *metrics, int count) {
    static const char *const weights[] = {"model weights", "actor weights", "critic weights", "slow critic weights"};
    rv_params *const sets[] = {rv_world_model_params(dreamer->model), dreamer->actor_params, dreamer->critic_params,
                               dreamer->slow_params};
    enum { SETS = sizeof sets / sizeof *sets };
    rv_tensor norm[SETS];
    for (int i = 0; i < SETS; i++) norm[i] = rv_params_weight_norm(graph, sets[i]);
    rv_watch(rv_returns_join(norm, SETS), weights, SETS);
    rv_watch(rv_returns_join(metrics, count), dreamer->base.metric_name, count);
    rv_tensor row = rv_agent_metrics_row(graph, rv_world_model_params(dreamer->model));
    rv_agent_keep_metrics(&dreamer->base, row, metrics, count);
}

/* Of the update that is counted next: (1 + cos(pi updates / all)) / 2. */
static rv_tensor rate_now(rv_graph *graph, const rv_dreamer *dreamer, float rate) {
    if (dreamer->options.constant_rates) return rv_fill(graph, 1, 1, rate);
    const int64_t all = rv_dreamer_updates_due(&dreamer->options, dreamer->options.steps);
    const float pi = 3.14159265f, turn = pi / (float)(all > 0 ? all : 1);
    rv_tensor updates = rv_read(graph, rv_params_updates(rv_world_model_params(dreamer->model)));
    rv_tensor angle = rv_clamp(rv_affine(rv_cast(updates, RV_F32), turn, 0), 0, pi);
    return rv_affine(rv_cos(angle), 0.5f * rate, 0.5f * rate);
}

void rv_dreamer_record_update(rv_graph *graph, rv_agent *agent) {
    rv_dreamer *dreamer = rv_dreamer_of(agent);
    const rv_dreamer_options *o = &dreamer->options;
    rv_params *const params[3] = {rv_world_model_params(dreamer->model), dreamer->actor_params, dreamer->critic_params};
    const float rate[3] = {o->model_rate, o->actor_rate, o->critic_rate};
    const float clip[3] = {o->model_clip, o->actor_clip, o->critic_clip};
    rv_tensor noise = rv_random_state(graph, dreamer->base.train_noise);
    rv_world_model_losses model = model_losses(graph, dreamer, noise);
    rv_imagination imagined = rv_dreamer_imagine(graph, agent, starts(graph, dreamer, noise), o->horizon, noise);
    rv_dreamer_behaviour behaviour = rv_dreamer_behaviour_loss(graph, agent, imagined, RV_NONE);

    const rv_tensor loss[3] = {model.total, behaviour.actor, behaviour.critic};
    rv_tensor norm[3], metrics[RV_AGENT_METRICS];
    for (int i = 0; i < 3; i++) {
        rv_params_gradients(graph, params[i], loss[i], NULL, 0);
        norm[i] = rv_params_norm(graph, params[i]);
    }
    rv_graph_push(graph, "optimiser");
    keep_metrics(graph, dreamer, metrics, gather_metrics(model, behaviour, norm, metrics));
    if (behaviour.scale.returns.graph) rv_returns_keep(graph, dreamer->normaliser, behaviour.scale);
    rv_tensor now[3];
    for (int i = 0; i < 3; i++) now[i] = rate_now(graph, dreamer, rate[i]); /* before any of them is counted */
    for (int i = 0; i < 3; i++) rv_params_adamw(graph, params[i], now[i], norm[i], clip[i], NULL);
    rv_critic_follow(graph, &dreamer->slow, &dreamer->critic, o->slow_rate);
    rv_random_advance(graph, dreamer->base.train_noise);
    rv_graph_pop(graph);
}
