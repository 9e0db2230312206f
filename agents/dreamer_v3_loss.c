/* agents/dreamer_v3_loss.c: what DreamerV3 learns from: the world model's losses, imagination, replayed values. */
#include "agents/dreamer_v3.h"

static rv_tensor first_rows(rv_tensor x, int64_t rows) { return rv_slice_rows(x, 0, rows); }

static rv_rssm_state stopped(rv_rssm_state state) {
    return (rv_rssm_state){rv_stop_gradient(state.deter), rv_stop_gradient(state.stoch)};
}

/* ---- imagination ---- */

typedef struct dreamer {
    rv_dreamer_v3 *agent;
    rv_dreamer_v3_noise noise;
    int64_t rows;
} dreamer;

static rv_actor_policy policy_in(rv_graph *graph, rv_dreamer_v3 *agent, rv_rssm_state state) {
    return rv_actor_forward(graph, &agent->actor, (rv_tensor[]){state.deter, state.stoch}, 2);
}

static rv_tensor choose(void *user, rv_graph *graph, rv_rssm_state state, int64_t t) {
    const dreamer *d = user;
    rv_tensor given = d->noise.action;
    rv_tensor from = given.graph ? rv_slice_rows(given, t * d->rows, d->rows) : d->noise.state;
    return rv_actor_draw(policy_in(graph, d->agent, state), from, "action", (uint32_t)t).action;
}

/* States and actions, through which nothing flows back. */
static rv_dreamer_v3_dream imagine(rv_graph *graph, rv_dreamer_v3 *agent, rv_rssm_state start, int64_t horizon,
                                   rv_dreamer_v3_noise noise) {
    dreamer d = {.agent = agent, .noise = noise, .rows = rv_tensor_rows(start.deter)};
    const rv_rssm_noise latent = {.state = noise.state, .name = "prior", .given = noise.prior};
    rv_rssm_rollout rollout = rv_rssm_imagine_policy(graph, rv_sequence_model_rssm(agent->model), start, horizon,
                                                     choose, &d, latent);
    rv_tensor deter[] = {start.deter, rollout.state.deter}, stoch[] = {start.stoch, rollout.state.stoch};
    rv_tensor action[] = {rollout.action, choose(&d, graph, rollout.last, horizon)};
    return (rv_dreamer_v3_dream){
        .state = stopped((rv_rssm_state){rv_concat_rows(deter, 2), rv_concat_rows(stoch, 2)}),
        .prior = rollout.prior,
        .action = rv_stop_gradient(rv_concat_rows(action, 2)),
    };
}

static rv_tensor value_of(rv_graph *graph, const rv_critic *critic, rv_rssm_state state, rv_tensor *output) {
    rv_tensor features[] = {state.deter, state.stoch}, made = rv_critic_forward(graph, critic, features, 2);
    if (output) *output = made;
    return rv_critic_value(graph, critic, made);
}

/* What the networks say of the imagined states; gives the critic's output. */
static rv_tensor judge(rv_graph *graph, rv_dreamer_v3 *agent, rv_dreamer_v3_dream *dream) {
    rv_tensor output;
    dream->policy = policy_in(graph, agent, dream->state);
    dream->log_prob = rv_actor_log_prob(dream->policy, dream->action);
    dream->entropy = rv_actor_entropy(dream->policy);
    dream->reward = rv_sequence_model_reward(graph, agent->model, dream->state);
    dream->going_on = rv_sigmoid(rv_sequence_model_continue_logit(graph, agent->model, dream->state));
    dream->value = value_of(graph, &agent->critic, dream->state, &output);
    dream->slow_value = value_of(graph, &agent->slow, dream->state, NULL);
    return output;
}

rv_dreamer_v3_dream rv_dreamer_v3_imagine(rv_graph *graph, rv_dreamer_v3 *agent, rv_rssm_state start,
                                          int64_t horizon, rv_dreamer_v3_noise noise) {
    if (!graph || !agent) return (rv_dreamer_v3_dream){.action = RV_NONE};
    rv_graph_push(graph, "dream");
    rv_dreamer_v3_dream dream = imagine(graph, agent, stopped(start), horizon, noise);
    judge(graph, agent, &dream);
    rv_graph_pop(graph);
    return dream;
}

static void measure(rv_graph *graph, rv_dreamer_v3 *agent, rv_dreamer_v3_dream *dream) {
    const int64_t horizon = agent->options.horizon, steps = horizon + 1;
    rv_tensor value = rv_returns_by_row(rv_stop_gradient(dream->value), steps);
    rv_imagined_returns returns = rv_returns_imagined(rv_returns_by_row(rv_stop_gradient(dream->reward), steps),
                                                      rv_returns_by_row(rv_stop_gradient(dream->going_on), steps),
                                                      value, agent->options.lambda);
    dream->returns = rv_returns_normalise(graph, agent->normaliser, returns.target);
    rv_tensor gain = rv_sub(returns.target, rv_slice_cols(value, 0, horizon));
    dream->target = rv_returns_by_time(returns.target);
    dream->weight = rv_returns_by_time(returns.weight);
    dream->advantage = rv_returns_by_time(rv_div(gain, dream->returns.scale));
}

static rv_tensor policy_loss(const rv_dreamer_v3 *agent, const rv_dreamer_v3_dream *dream) {
    const int64_t rows = rv_tensor_rows(dream->target);
    rv_tensor praise = rv_mul(first_rows(dream->log_prob, rows), dream->advantage);
    rv_tensor good = rv_add(praise, rv_affine(first_rows(dream->entropy, rows), agent->options.entropy, 0));
    return rv_neg(rv_mean(rv_mul(dream->weight, good), RV_ALL));
}

static void learn_in_imagination(rv_graph *graph, rv_dreamer_v3 *agent, rv_dreamer_v3_losses *losses,
                                 rv_dreamer_v3_noise noise) {
    rv_dreamer_v3_dream *dream = &losses->dream;
    rv_graph_push(graph, "dream");
    *dream = imagine(graph, agent, stopped(losses->world.pass.seen.state), agent->options.horizon, noise);
    rv_tensor output = judge(graph, agent, dream);
    measure(graph, agent, dream);
    const int64_t rows = rv_tensor_rows(dream->target);
    rv_tensor targets[] = {dream->target, first_rows(dream->slow_value, rows)};
    losses->policy = policy_loss(agent, dream);
    losses->value = rv_critic_loss(graph, &agent->critic, first_rows(output, rows), targets, 2, dream->weight);
    rv_graph_pop(graph);
}

/* ---- what was replayed ---- */

static rv_tensor replayed_target(const rv_dreamer_v3 *agent, const rv_sequence_batch *batch, rv_tensor boot) {
    const rv_dreamer_v3_options *o = &agent->options;
    const float discount = o->model.horizon > 0 ? (float)(1 - 1 / (double)o->model.horizon) : 1;
    const int64_t steps = batch->steps;
    return rv_returns_by_time(rv_returns_replayed(
        rv_returns_by_row(batch->reward, steps), rv_returns_by_row(batch->is_terminal, steps),
        rv_returns_by_row(batch->is_last, steps), rv_returns_by_row(boot, steps), discount, o->lambda));
}

/* The critic on the states that were observed, whose gradients it may have: boot is what is imagined from them. */
static void learn_from_replay(rv_graph *graph, rv_dreamer_v3 *agent, const rv_sequence_batch *batch,
                              rv_dreamer_v3_losses *losses) {
    const rv_sequence_pass *pass = &losses->world.pass;
    rv_dreamer_v3_replayed *replayed = &losses->replayed;
    rv_tensor output;
    rv_graph_push(graph, "replayed");
    replayed->value = value_of(graph, &agent->critic, pass->seen.state, &output);
    replayed->slow_value = value_of(graph, &agent->slow, pass->seen.state, NULL);
    replayed->target = replayed_target(agent, batch, first_rows(losses->dream.target, rv_tensor_rows(batch->reward)));
    const int64_t rows = rv_tensor_rows(replayed->target);
    rv_tensor targets[] = {replayed->target, first_rows(replayed->slow_value, rows)};
    rv_tensor weight = rv_affine(first_rows(batch->is_last, rows), -1, 1);
    losses->replayed_value = rv_critic_loss(graph, &agent->critic, first_rows(output, rows), targets, 2, weight);
    rv_graph_pop(graph);
}

/* ---- all of it ---- */

static rv_tensor scaled_sum(const rv_dreamer_v3_options *o, const rv_dreamer_v3_losses *losses) {
    rv_tensor policy = rv_affine(losses->policy, o->policy_scale, 0);
    rv_tensor value = rv_affine(losses->value, o->value_scale, 0);
    rv_tensor replayed = rv_affine(losses->replayed_value, o->replayed_value_scale, 0);
    return rv_add(rv_add(rv_add(losses->world.total, policy), value), replayed);
}

/* What is missing has no graph that it could poison. */
static int is_whole(rv_graph *graph, const rv_sequence_batch *batch, const rv_dreamer_v3_noise *noise) {
    const struct {
        const char *name;
        rv_tensor given, instead;
    } needed[] = {{"observation", batch->observation, RV_NONE}, {"action", batch->action, RV_NONE},
                  {"reward", batch->reward, RV_NONE},           {"is_last", batch->is_last, RV_NONE},
                  {"is_terminal", batch->is_terminal, RV_NONE}, {"noise for priors", noise->prior, noise->state},
                  {"noise for actions", noise->action, noise->state},
                  {"noise for posteriors", noise->posterior, noise->state}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (needed[i].given.graph || needed[i].instead.graph) continue;
        rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_dreamer_v3_loss", "there is no %s", needed[i].name);
        return 0;
    }
    return 1;
}

rv_dreamer_v3_losses rv_dreamer_v3_loss(rv_graph *graph, rv_dreamer_v3 *agent, const rv_sequence_batch *batch,
                                        rv_dreamer_v3_noise noise) {
    if (!graph || !agent || !batch || !is_whole(graph, batch, &noise))
        return (rv_dreamer_v3_losses){.total = {graph, 0}};
    const rv_rssm_noise latent = {.state = noise.state, .name = "posterior", .given = noise.posterior};
    rv_dreamer_v3_losses losses = {.world = rv_sequence_model_loss(graph, agent->model, batch, latent)};
    const rv_sequence_pass *pass = &losses.world.pass;
    rv_tensor bins = rv_sequence_model_bins(graph, agent->model);
    losses.replayed.reward = bins.graph ? rv_twohot_mean(pass->reward_logits, bins) : pass->reward_logits;
    losses.replayed.going_on = rv_sigmoid(pass->continue_logit);
    learn_in_imagination(graph, agent, &losses, noise);
    learn_from_replay(graph, agent, batch, &losses);
    losses.total = scaled_sum(&agent->options, &losses);
    return losses;
}

int rv_dreamer_v3_list(const rv_dreamer_v3_losses *l, rv_dreamer_v3_value list[RV_DREAMER_V3_VALUES]) {
    const rv_sequence_pass *pass = &l->world.pass;
    const rv_dreamer_v3_dream *dream = &l->dream;
    const rv_dreamer_v3_replayed *replayed = &l->replayed;
    const rv_dreamer_v3_value all[] = {
        {"loss/rec", l->world.reconstruction},
        {"loss/rew", l->world.reward},
        {"loss/con", l->world.continues},
        {"loss/dyn", l->world.dyn},
        {"loss/rep", l->world.rep},
        {"loss/policy", l->policy},
        {"loss/value", l->value},
        {"loss/repval", l->replayed_value},
        {"loss/total", l->total},
        {"state/tokens", pass->tokens},
        {"state/deter", pass->seen.state.deter},
        {"state/stoch", pass->seen.state.stoch},
        {"state/posterior_logits", pass->seen.posterior.logits},
        {"state/prior_logits", pass->seen.prior.logits},
        {"state/reconstruction", pass->reconstruction},
        {"state/reward", replayed->reward},
        {"state/going_on", replayed->going_on},
        {"state/kl", l->world.kl},
        {"imagination/deter", dream->state.deter},
        {"imagination/stoch", dream->state.stoch},
        {"imagination/action", dream->action},
        {"imagination/prior_logits", dream->prior.logits},
        {"imagination/policy_mean", dream->policy.mean},
        {"imagination/policy_std", dream->policy.std},
        {"imagination/policy_logits", dream->policy.logits},
        {"imagination/log_prob", dream->log_prob},
        {"imagination/entropy", dream->entropy},
        {"imagination/reward", dream->reward},
        {"imagination/going_on", dream->going_on},
        {"imagination/value", dream->value},
        {"imagination/slow_value", dream->slow_value},
        {"imagination/return", dream->target},
        {"imagination/advantage", dream->advantage},
        {"imagination/weight", dream->weight},
        {"replay/return", replayed->target},
        {"replay/value", replayed->value},
        {"replay/slow_value", replayed->slow_value},
        {"returns/low", dream->returns.low},
        {"returns/high", dream->returns.high},
        {"returns/scale", dream->returns.scale},
    };
    _Static_assert(sizeof all / sizeof *all == RV_DREAMER_V3_VALUES, "the header states how many there are");
    int count = 0;
    for (int i = 0; i < RV_DREAMER_V3_VALUES; i++) {
        if (all[i].tensor.graph) list[count++] = all[i]; /* other kinds of latents and actors have others */
    }
    return count;
}
