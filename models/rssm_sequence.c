/* models/rssm_sequence.c: sequences that are observed or imagined, and what they are learnt from. */
#include <string.h>

#include "models/rssm.h"
#include "reverie/scan.h"

enum { DETER = 0, STOCH, FIRST, SECOND, ACTION, OUTPUTS }; /* FIRST, SECOND: logits; or mean, std */

typedef struct sequence {
    const rv_rssm *rssm;
    rv_rssm_noise noise;
    rv_tensor zero; /* [1, 1] */
    rv_rssm_policy policy;
    void *user;
    bool gaussian;
    int tokens, action, is_first, given; /* which inputs of the scan; -1: none */
    rv_tensor input[4];
    int input_count;
} sequence;

static sequence sequence_of(rv_graph *graph, const rv_rssm *rssm, rv_rssm_noise noise) {
    return (sequence){.rssm = rssm,
                      .noise = noise,
                      .zero = rv_fill(graph, 1, 1, 0),
                      .gaussian = rssm->options.latent == RV_LATENT_GAUSSIAN,
                      .tokens = -1,
                      .action = -1,
                      .is_first = -1,
                      .given = -1};
}

static int add_input(sequence *s, rv_tensor x) {
    if (!x.graph) return -1;
    s->input[s->input_count] = x;
    return s->input_count++;
}

/* ---- a step ---- */

/* What is missing poisons the op that needs it. */
static rv_tensor input_of(const rv_scan_step *step, int index) { return index < 0 ? RV_NONE : step->input[index]; }

static void finish_step(const sequence *s, const rv_scan_step *step, rv_tensor deter, rv_latent latent) {
    step->next[DETER] = step->output[DETER] = deter;
    rv_rssm_noise noise = s->noise;
    noise.given = input_of(step, s->given);
    step->next[STOCH] = step->output[STOCH] = rv_rssm_sample(step->graph, s->rssm, latent, noise, (uint32_t)step->t);
    step->output[FIRST] = s->gaussian ? latent.mean : latent.logits;
    if (s->gaussian) step->output[SECOND] = latent.std;
}

static void observe_step(void *user, const rv_scan_step *step) {
    const sequence *s = user;
    rv_rssm_state state = {step->carry[DETER], step->carry[STOCH]};
    if (s->is_first >= 0) {
        rv_tensor first = step->input[s->is_first];
        state = (rv_rssm_state){rv_where(first, s->zero, state.deter), rv_where(first, s->zero, state.stoch)};
    }
    rv_tensor deter = rv_rssm_core(step->graph, s->rssm, state, input_of(step, s->action));
    finish_step(s, step, deter, rv_rssm_posterior(step->graph, s->rssm, deter, input_of(step, s->tokens)));
}

static void imagine_step(void *user, const rv_scan_step *step) {
    const sequence *s = user;
    rv_rssm_state state = {step->carry[DETER], step->carry[STOCH]};
    rv_tensor deter;
    if (s->policy) {
        rv_tensor action = s->policy(s->user, step->graph, state, step->t);
        step->output[s->gaussian ? ACTION : ACTION - 1] = action;
        deter = rv_rssm_advance(step->graph, s->rssm, state, action);
    } else {
        deter = rv_rssm_core(step->graph, s->rssm, state, input_of(step, s->action));
    }
    finish_step(s, step, deter, rv_rssm_prior(step->graph, s->rssm, deter));
}

/* ---- all steps ---- */

/* *latent is what the steps drew from. */
static rv_rssm_rollout run_steps(rv_graph *graph, sequence *s, rv_rssm_state start, int64_t steps, rv_scan_body body,
                                 rv_latent *latent) {
    rv_tensor carry[] = {start.deter, start.stoch}, output[OUTPUTS] = {RV_NONE};
    const int outputs = (s->gaussian ? 4 : 3) + (s->policy ? 1 : 0);
    s->given = add_input(s, s->noise.given);
    rv_scan(graph, steps, body, s, carry, 2, s->input, s->input_count, output, outputs);
    *latent =
        s->gaussian ? (rv_latent){.mean = output[FIRST], .std = output[SECOND]} : (rv_latent){.logits = output[FIRST]};
    return (rv_rssm_rollout){.state = {output[DETER], output[STOCH]},
                             .last = {carry[DETER], carry[STOCH]},
                             .action = s->policy ? output[outputs - 1] : RV_NONE};
}

/* The actions that lead to each row: one step later than those taken at it, none where an episode begins. */
static rv_tensor leading_actions(rv_graph *graph, const sequence *s, rv_tensor action, rv_tensor actions,
                                 rv_tensor is_first, int64_t steps) {
    const int64_t rows = steps > 0 ? rv_tensor_rows(actions) / steps : 0;
    if (!action.graph) action = rv_fill(graph, rows, s->rssm->options.action_size, 0);
    if (steps > 1) action = rv_concat_rows((rv_tensor[]){action, rv_slice_rows(actions, 0, (steps - 1) * rows)}, 2);
    return is_first.graph ? rv_where(is_first, s->zero, action) : action;
}

rv_rssm_rollout rv_rssm_observe(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state start, rv_tensor action,
                                rv_tensor tokens, rv_tensor actions, rv_tensor is_first, int64_t steps,
                                rv_rssm_noise noise) {
    if (!graph || !rssm) return (rv_rssm_rollout){.last = {RV_NONE, RV_NONE}};
    rv_graph_push(graph, "observe");
    sequence s = sequence_of(graph, rssm, noise);
    rv_tensor leading = leading_actions(graph, &s, action, actions, is_first, steps);
    s.tokens = add_input(&s, tokens);
    s.action = add_input(&s, rv_rssm_action_input(graph, rssm, leading));
    s.is_first = add_input(&s, is_first);
    rv_latent posterior;
    rv_rssm_rollout seen = run_steps(graph, &s, start, steps, observe_step, &posterior);
    seen.action = leading;
    seen.posterior = posterior;
    seen.prior = rv_rssm_prior(graph, rssm, seen.state.deter);
    rv_graph_pop(graph);
    return seen;
}

static rv_rssm_rollout imagine(rv_graph *graph, sequence *s, rv_rssm_state start, int64_t steps, rv_tensor actions) {
    rv_graph_push(graph, "imagine");
    if (!s->policy) s->action = add_input(s, rv_rssm_action_input(graph, s->rssm, actions));
    rv_latent prior;
    rv_rssm_rollout dream = run_steps(graph, s, start, steps, imagine_step, &prior);
    dream.prior = prior;
    if (!s->policy) dream.action = actions;
    rv_graph_pop(graph);
    return dream;
}

rv_rssm_rollout rv_rssm_imagine(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state start, int64_t steps,
                                rv_tensor actions, rv_rssm_noise noise) {
    if (!graph || !rssm) return (rv_rssm_rollout){.last = {RV_NONE, RV_NONE}};
    sequence s = sequence_of(graph, rssm, noise);
    return imagine(graph, &s, start, steps, actions);
}

rv_rssm_rollout rv_rssm_imagine_policy(rv_graph *graph, const rv_rssm *rssm, rv_rssm_state start, int64_t steps,
                                       rv_rssm_policy policy, void *user, rv_rssm_noise noise) {
    if (!graph || !rssm || !policy) return (rv_rssm_rollout){.last = {RV_NONE, RV_NONE}};
    sequence s = sequence_of(graph, rssm, noise);
    s.policy = policy;
    s.user = user;
    return imagine(graph, &s, start, steps, RV_NONE);
}
