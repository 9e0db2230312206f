/* experiments/imaginer_dreamer.c: what the course's Dreamer imagines: latents of its autoencoder, which remember
 * nothing. */
#include "experiments/imaginer.h"
#include "reverie/scan.h"

/* The one it chooses for the first step that it imagines from here. */
static rv_tensor act(void *self, rv_graph *graph, rv_tensor observation, rv_tensor is_first, rv_array *memory,
                     rv_tensor noise) {
    (void)is_first, (void)memory;
    rv_tensor latent = rv_world_model_encode(graph, rv_dreamer_model(self), observation).mean;
    return rv_dreamer_imagine(graph, self, latent, 1, noise).action;
}

typedef struct following {
    rv_agent *agent;
    rv_tensor noise;
    float gamma;
} following;

enum { LATENT, REWARD, GOING_ON, OUTPUTS };

static rv_tensor going_on(const following *f, const rv_scan_step *step, rv_tensor logit) {
    if (logit.graph) return rv_affine(rv_sigmoid(logit), f->gamma, 0);
    return rv_fill(step->graph, rv_tensor_rows(step->carry[0]), 1, f->gamma);
}

/* A step under an action that is given, the latent drawn. */
static void follow_step(void *user, const rv_scan_step *step) {
    const following *f = user;
    rv_world_model_step next =
        rv_world_model_predict(step->graph, rv_dreamer_model(f->agent), step->carry[0], step->input[0]);
    rv_gaussian latent = next.latent;
    step->next[0] = latent.mean;
    if (latent.logvar.graph) {
        step->next[0] = rv_sample_normal(latent.mean, latent.logvar, f->noise, "rollout", (uint32_t)step->t).value;
    }
    step->output[LATENT] = step->next[0];
    step->output[REWARD] = next.reward;
    step->output[GOING_ON] = going_on(f, step, next.continues);
}

static imaginer_tensors follow(rv_agent *agent, rv_graph *graph, rv_tensor latent, rv_tensor actions, int64_t steps,
                               rv_tensor noise) {
    following f = {agent, noise, rv_dreamer_options_get(agent)->gamma};
    rv_tensor carry = latent, out[OUTPUTS];
    rv_scan(graph, steps, follow_step, &f, &carry, 1, &actions, 1, out, OUTPUTS);
    return (imaginer_tensors){.observation = rv_world_model_decode(graph, rv_dreamer_model(agent), out[LATENT]),
                              .latent = rv_concat_rows((rv_tensor[]){latent, out[LATENT]}, 2),
                              .action = actions,
                              .reward = out[REWARD],
                              .going_on = out[GOING_ON]};
}

static imaginer_tensors imagine(void *self, rv_graph *graph, const imaginer_context *context, rv_tensor actions,
                                int64_t steps, rv_tensor noise) {
    const int64_t rows = context->rows;
    rv_tensor seen = rv_slice_rows(context->observation, (context->steps - 1) * rows, rows);
    rv_tensor latent = rv_world_model_encode(graph, rv_dreamer_model(self), seen).mean;
    if (actions.graph) return follow(self, graph, latent, actions, steps, noise);
    const rv_imagination dream = rv_dreamer_imagine(graph, self, latent, steps, noise);
    rv_tensor led_to = rv_slice_rows(dream.latent, rows, steps * rows);
    return (imaginer_tensors){.observation = rv_world_model_decode(graph, rv_dreamer_model(self), led_to),
                              .latent = dream.latent,
                              .action = dream.action,
                              .reward = dream.reward,
                              .going_on = dream.going_on};
}

imaginer dreamer_imaginer(rv_agent *agent, const rv_env_spaces *spaces) {
    rv_world_model *model = rv_dreamer_model(agent);
    return (imaginer){.device = rv_world_model_device(model),
                      .spaces = spaces,
                      .observation_size = spaces->observation_size,
                      .action_size = rv_actor_action_size(spaces),
                      .context = 1,
                      .gamma = (double)rv_dreamer_options_get(agent)->gamma,
                      .self = agent,
                      .act = act,
                      .imagine = imagine};
}
