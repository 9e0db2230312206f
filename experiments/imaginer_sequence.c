/* experiments/imaginer_sequence.c: what sequence models imagine, from states that remember: alone under actions that
 * are given, and with DreamerV3's policy. The latents shown are h, the deterministic part of the states. */
#include "experiments/imaginer.h"

enum { CONTEXT = 5 };

/* Where the context leads to. */
static rv_rssm_state seen(rv_sequence_model *model, rv_graph *graph, const imaginer_context *context, rv_tensor noise) {
    const rv_rssm *rssm = rv_sequence_model_rssm(model);
    const rv_rssm_noise latent = {.state = noise, .name = "seen"};
    return rv_rssm_observe(graph, rssm, rv_rssm_start(graph, rssm, context->rows), RV_NONE,
                           rv_sequence_model_encode(graph, model, context->observation), context->action,
                           context->is_first, context->steps, latent)
        .last;
}

/* What the heads say of the states that the steps lead to. */
static imaginer_tensors read_out(rv_sequence_model *model, rv_graph *graph, rv_tensor start, rv_rssm_state state,
                                 rv_tensor action) {
    return (imaginer_tensors){.observation = rv_sequence_model_decode(graph, model, state),
                              .latent = rv_concat_rows((rv_tensor[]){start, state.deter}, 2),
                              .action = action,
                              .reward = rv_sequence_model_reward(graph, model, state),
                              .going_on = rv_sigmoid(rv_sequence_model_continue_logit(graph, model, state))};
}

static imaginer_tensors follow(rv_sequence_model *model, rv_graph *graph, const imaginer_context *context,
                               rv_tensor actions, int64_t steps, rv_tensor noise) {
    const rv_rssm_state start = seen(model, graph, context, noise);
    const rv_rssm_noise latent = {.state = noise, .name = "imagined"};
    const rv_rssm_rollout rollout =
        rv_rssm_imagine(graph, rv_sequence_model_rssm(model), start, steps, actions, latent);
    return read_out(model, graph, start.deter, rollout.state, actions);
}

static imaginer describe(rv_sequence_model *model, const rv_env_spaces *spaces) {
    const rv_sequence_model_options *options = rv_sequence_model_options_get(model);
    return (imaginer){.device = rv_sequence_model_device(model),
                      .spaces = spaces,
                      .observation_size = spaces->observation_size,
                      .action_size = options->action_size,
                      .context = CONTEXT,
                      .gamma = options->horizon > 0 ? 1 - 1 / (double)options->horizon : 1};
}

/* ---- a sequence model ------------------------------------------------------------------------------------------ */

static imaginer_tensors imagine_given(void *self, rv_graph *graph, const imaginer_context *context, rv_tensor actions,
                                      int64_t steps, rv_tensor noise) {
    return follow(self, graph, context, actions, steps, noise);
}

imaginer sequence_imaginer(rv_sequence_model *model, const rv_env_spaces *spaces) {
    imaginer im = describe(model, spaces);
    im.self = model;
    im.imagine = imagine_given;
    return im;
}

/* ---- DreamerV3 ------------------------------------------------------------------------------------------------- */

static rv_tensor act(void *self, rv_graph *graph, rv_tensor observation, rv_tensor is_first, rv_array *memory,
                     rv_tensor noise) {
    const rv_rssm *rssm = rv_sequence_model_rssm(rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(self)));
    const int64_t deter = rssm->options.deter, stoch = rv_rssm_stoch_size(rssm);
    rv_tensor kept = rv_read(graph, memory);
    const rv_rssm_state before = {rv_slice_cols(kept, 0, deter), rv_slice_cols(kept, deter, stoch)};
    rv_tensor led = rv_slice_cols(kept, deter + stoch, rssm->options.action_size);
    rv_dreamer_v3 *learner = rv_dreamer_v3_agent_learner(self);
    const rv_dreamer_v3_move move = rv_dreamer_v3_act(graph, learner, before, led, observation, is_first,
                                                      (rv_dreamer_v3_noise){.state = noise}, 0);
    rv_store(memory, rv_concat_cols((rv_tensor[]){move.state.deter, move.state.stoch, move.action}, 3));
    return move.action;
}

static imaginer_tensors imagine(void *self, rv_graph *graph, const imaginer_context *context, rv_tensor actions,
                                   int64_t steps, rv_tensor noise) {
    rv_dreamer_v3 *learner = rv_dreamer_v3_agent_learner(self);
    rv_sequence_model *model = rv_dreamer_v3_model(learner);
    if (actions.graph) return follow(model, graph, context, actions, steps, noise);
    const int64_t rows = context->rows, all = steps * rows;
    const rv_dreamer_v3_dream dream = rv_dreamer_v3_imagine(graph, learner, seen(model, graph, context, noise), steps,
                                                            (rv_dreamer_v3_noise){.state = noise});
    const rv_rssm_state led_to = {rv_slice_rows(dream.state.deter, rows, all),
                                  rv_slice_rows(dream.state.stoch, rows, all)};
    return read_out(model, graph, rv_slice_rows(dream.state.deter, 0, rows), led_to,
                    rv_slice_rows(dream.action, 0, all));
}

imaginer dreamer_v3_imaginer(rv_agent *agent, const rv_env_spaces *spaces) {
    rv_sequence_model *model = rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(agent));
    const rv_rssm *rssm = rv_sequence_model_rssm(model);
    imaginer im = describe(model, spaces);
    im.self = agent;
    im.memory_size = rssm->options.deter + rv_rssm_stoch_size(rssm) + rssm->options.action_size;
    im.act = act;
    im.imagine = imagine;
    return im;
}
