/* models/world_model_loss.c: what a world model learns from: single transitions, or windows of them. */
#include "models/world_model.h"

static rv_tensor mean_of(rv_tensor rows, rv_tensor alive) { return rv_mean(alive.graph ? rv_mul(alive, rows) : rows, RV_ALL); }

/* In the units in which they are learnt. */
static rv_tensor reward_error(rv_graph *graph, rv_world_model *model, rv_tensor predicted, rv_tensor reward) {
    if (!model->options.normalise_reward) return rv_mse(predicted, reward);
    return rv_square(rv_div(rv_sub(predicted, reward), rv_read(graph, model->normaliser[RV_REWARD_SCALE])));
}

/* The autoencoder's part; *latent is the posterior drawn. */
static rv_world_model_losses vae_losses(rv_graph *graph, rv_world_model *model, rv_tensor observation, rv_tensor state, rv_tensor *latent) {
    rv_world_model_losses losses = {0};
    rv_tensor normalised = rv_world_model_normalise(graph, model, observation);
    rv_normal_sample sample = rv_vae_reparameterise(rv_vae_encode(graph, &model->vae, normalised), state, "posterior", 0);
    *latent = sample.value;
    losses.reconstruction = rv_mean(rv_mse(rv_vae_decode(graph, &model->vae, sample.value), normalised), RV_ALL);
    losses.kl = rv_mean(sample.kl, RV_ALL);
    return losses;
}

/* What the step says of its rows, all windows and times one below the other. */
static void add_step_losses(rv_graph *graph, rv_world_model *model, rv_world_model_losses *losses, rv_world_model_step next,
                            rv_world_model_batch batch, rv_tensor alive) {
    rv_graph_push(graph, "target");
    rv_tensor target = rv_stop_gradient(rv_world_model_encode(graph, model, batch.next_observation).mean);
    rv_graph_pop(graph);
    losses->dynamics = mean_of(rv_dynamics_loss(next.latent, target), alive);
    losses->reward = mean_of(reward_error(graph, model, next.reward, batch.reward), alive);
    if (next.continues.graph) losses->continues = mean_of(rv_continue_loss(next.continues, batch.terminated), alive);
}

static void add_up(rv_world_model_losses *losses, rv_tensor kl_weight, float prediction_weight) {
    rv_tensor total = rv_add(rv_add(losses->reconstruction, rv_mul(kl_weight, losses->kl)), rv_add(losses->dynamics, losses->reward));
    if (losses->continues.graph) total = rv_add(total, losses->continues);
    if (losses->prediction.graph && prediction_weight != 0) total = rv_add(total, rv_affine(losses->prediction, prediction_weight, 0));
    losses->total = total;
}

rv_world_model_losses rv_world_model_loss(rv_graph *graph, rv_world_model *model, rv_world_model_batch batch, rv_tensor kl_weight,
                                          rv_tensor state) {
    rv_tensor latent;
    rv_graph_push(graph, "loss");
    rv_world_model_losses losses = vae_losses(graph, model, batch.observation, state, &latent);
    rv_world_model_step next = rv_world_model_predict(graph, model, latent, batch.action);
    add_step_losses(graph, model, &losses, next, batch, RV_NONE);
    add_up(&losses, kl_weight, 0);
    rv_graph_pop(graph);
    return losses;
}

/* ---- windows ------------------------------------------------------------------------------------------------ */

/* Any number of tensors one below the other; a concatenation takes 8. */
static rv_tensor stack(const rv_tensor *parts, int count) {
    enum { MOST = 8 };
    rv_tensor joined[RV_WINDOW_MAX / MOST + 1];
    int groups = 0;
    if (count == 1) return parts[0];
    if (count <= MOST) return rv_concat_rows(parts, count);
    for (int first = 0; first < count; first += MOST) {
        joined[groups++] = stack(parts + first, count - first < MOST ? count - first : MOST);
    }
    return stack(joined, groups);
}

/* One field of every step's batch. */
#define STACK(steps_of, field, count)                                    \
    do {                                                                 \
        rv_tensor parts[RV_WINDOW_MAX] = {RV_NONE};                      \
        for (int t = 0; t < (count); t++) parts[t] = (steps_of)[t].field; \
        all.field = stack(parts, (count));                               \
    } while (0)

static rv_world_model_batch stack_batches(const rv_world_model_batch *batch, int steps) {
    rv_world_model_batch all = {0};
    STACK(batch, reward, steps);
    STACK(batch, next_observation, steps);
    if (batch[0].terminated.graph) STACK(batch, terminated, steps);
    return all;
}

/* The dynamics' means, one step after the other. */
static rv_world_model_step predict_window(rv_graph *graph, rv_world_model *model, rv_tensor latent, const rv_world_model_batch *batch,
                                          int steps) {
    rv_world_model_step next[RV_WINDOW_MAX], all = {0};
    for (int t = 0; t < steps; t++) {
        next[t] = rv_world_model_predict(graph, model, latent, batch[t].action);
        latent = next[t].latent.mean;
    }
    STACK(next, latent.mean, steps);
    STACK(next, reward, steps);
    if (!model->options.deterministic) STACK(next, latent.logvar, steps);
    if (model->options.continues) STACK(next, continues, steps);
    return all;
}

static rv_tensor prediction_error(rv_graph *graph, rv_world_model *model, rv_tensor latent, rv_tensor truth) {
    rv_tensor error = rv_sub(rv_world_model_decode(graph, model, latent), truth);
    return rv_mean(rv_square(rv_div(error, rv_read(graph, model->normaliser[RV_CHANGE]))), RV_COLS);
}

rv_world_model_losses rv_world_model_window_loss(rv_graph *graph, rv_world_model *model, const rv_world_model_batch *batch,
                                                 const rv_tensor *alive, int steps, rv_tensor kl_weight, float prediction_weight,
                                                 rv_tensor state) {
    if (!model || !batch || !alive || steps < 1 || steps > RV_WINDOW_MAX) return (rv_world_model_losses){0};
    rv_tensor latent;
    rv_graph_push(graph, "loss");
    rv_world_model_losses losses = vae_losses(graph, model, batch[0].observation, state, &latent);
    rv_world_model_batch all = stack_batches(batch, steps);
    rv_tensor counted = stack(alive, steps);
    rv_world_model_step next = predict_window(graph, model, latent, batch, steps);
    add_step_losses(graph, model, &losses, next, all, counted);
    losses.prediction = mean_of(prediction_error(graph, model, next.latent.mean, all.next_observation), counted);
    add_up(&losses, kl_weight, prediction_weight);
    rv_graph_pop(graph);
    return losses;
}
