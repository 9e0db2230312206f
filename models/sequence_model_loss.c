/* models/sequence_model_loss.c: what a sequence model learns from, and what it predicts. */
#include "models/sequence_model.h"

/* ---- losses ---- */

static rv_rssm_state start_of(rv_graph *graph, rv_sequence_model *model, const rv_sequence_batch *batch) {
    if (batch->start.deter.graph) return batch->start;
    return rv_rssm_start(graph, &model->rssm, batch->steps > 0 ? rv_tensor_rows(batch->observation) / batch->steps : 0);
}

rv_sequence_pass rv_sequence_model_observe(rv_graph *graph, rv_sequence_model *model, const rv_sequence_batch *batch,
                                           rv_rssm_noise noise) {
    rv_sequence_pass pass = {.tokens = rv_sequence_model_encode(graph, model, batch->observation)};
    pass.seen = rv_rssm_observe(graph, &model->rssm, start_of(graph, model, batch), batch->start_action, pass.tokens,
                                batch->action, batch->is_first, batch->steps, noise);
    pass.reconstruction = rv_sequence_model_reconstruct(graph, model, pass.seen.state);
    pass.reward_logits = rv_sequence_model_reward_logits(graph, model, pass.seen.state);
    pass.continue_logit = rv_sequence_model_continue_logit(graph, model, pass.seen.state);
    return pass;
}

static rv_tensor reconstruction_loss(const rv_sequence_model *model, rv_tensor prediction, rv_tensor observation) {
    rv_tensor target = model->options.raw ? observation : rv_symlog(observation);
    return rv_affine(rv_mean(rv_mse(prediction, target), RV_ALL), (float)model->options.observation_size, 0);
}

static rv_tensor reward_loss(rv_graph *graph, rv_sequence_model *model, rv_tensor logits, rv_tensor reward) {
    if (!model->bins) return rv_mean(rv_mse(logits, reward), RV_ALL);
    return rv_mean(rv_twohot_nll(logits, reward, rv_sequence_model_bins(graph, model)), RV_ALL);
}

static rv_tensor continue_loss(const rv_sequence_model *model, rv_tensor logit, rv_tensor is_terminal) {
    const float horizon = model->options.horizon, discount = horizon > 0 ? 1 - 1 / horizon : 1;
    return rv_mean(rv_bernoulli_nll(logit, rv_affine(is_terminal, -discount, discount)), RV_ALL);
}

static rv_tensor scaled_sum(const rv_sequence_losses *losses, const rv_sequence_model_options *options, rv_tensor kl) {
    rv_tensor reconstruction = rv_affine(losses->reconstruction, options->reconstruction_scale, 0);
    rv_tensor reward = rv_affine(losses->reward, options->reward_scale, 0);
    rv_tensor continues = rv_affine(losses->continues, options->continue_scale, 0);
    return rv_add(rv_add(rv_add(reconstruction, reward), continues), kl);
}

rv_sequence_losses rv_sequence_model_loss(rv_graph *graph, rv_sequence_model *model, const rv_sequence_batch *batch,
                                          rv_rssm_noise noise) {
    if (!graph || !model || !batch) return (rv_sequence_losses){.total = RV_NONE};
    rv_graph_push(graph, "loss");
    rv_sequence_losses losses = {.pass = rv_sequence_model_observe(graph, model, batch, noise)};
    const rv_sequence_pass *pass = &losses.pass;
    losses.reconstruction = reconstruction_loss(model, pass->reconstruction, batch->observation);
    losses.reward = reward_loss(graph, model, pass->reward_logits, batch->reward);
    losses.continues = continue_loss(model, pass->continue_logit, batch->is_terminal);
    rv_rssm_losses kl = rv_rssm_loss(graph, &model->rssm, pass->seen.posterior, pass->seen.prior, &model->options.kl);
    losses.dyn = kl.dyn;
    losses.rep = kl.rep;
    losses.kl = kl.kl;
    losses.total = scaled_sum(&losses, &model->options, kl.total);
    rv_graph_pop(graph);
    return losses;
}

/* ---- predictions ---- */

rv_rssm_state rv_sequence_model_hidden(rv_graph *graph, rv_sequence_model *model, int64_t rows) {
    rv_rssm_state state = rv_rssm_start(graph, &model->rssm, rows);
    state.deter = rv_rssm_advance(graph, &model->rssm, state, rv_fill(graph, rows, model->options.action_size, 0));
    return state;
}

static rv_sequence_step predict(rv_graph *graph, rv_sequence_model *model, rv_rssm_state state) {
    return (rv_sequence_step){.observation = rv_sequence_model_decode(graph, model, state),
                              .reward = rv_sequence_model_reward(graph, model, state),
                              .continue_logit = rv_sequence_model_continue_logit(graph, model, state),
                              .hidden = state};
}

rv_sequence_step rv_sequence_model_imagine(rv_graph *graph, rv_sequence_model *model, rv_tensor observation,
                                           rv_tensor action, rv_rssm_state hidden, rv_rssm_noise noise) {
    if (!graph || !model) return (rv_sequence_step){.observation = RV_NONE};
    const rv_rssm *rssm = &model->rssm;
    rv_graph_push(graph, "imagine");
    if (observation.graph) {
        rv_tensor tokens = rv_sequence_model_encode(graph, model, observation);
        hidden.stoch = rv_rssm_sample(graph, rssm, rv_rssm_posterior(graph, rssm, hidden.deter, tokens), noise, 0);
    }
    hidden.deter = rv_rssm_advance(graph, rssm, hidden, action);
    hidden.stoch = rv_rssm_sample(graph, rssm, rv_rssm_prior(graph, rssm, hidden.deter), noise, 1);
    rv_sequence_step next = predict(graph, model, hidden);
    rv_graph_pop(graph);
    return next;
}

rv_sequence_step rv_sequence_model_open_loop(rv_graph *graph, rv_sequence_model *model,
                                             const rv_sequence_batch *context, rv_tensor actions, int64_t steps,
                                             rv_rssm_noise seen, rv_rssm_noise noise) {
    if (!graph || !model || !context) return (rv_sequence_step){.observation = RV_NONE};
    rv_graph_push(graph, "open_loop");
    rv_sequence_pass pass = rv_sequence_model_observe(graph, model, context, seen);
    rv_rssm_rollout dream = rv_rssm_imagine(graph, &model->rssm, pass.seen.last, steps, actions, noise);
    rv_sequence_step next = predict(graph, model, dream.state);
    next.hidden = dream.last;
    rv_graph_pop(graph);
    return next;
}
