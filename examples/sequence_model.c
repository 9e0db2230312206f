/* sequence_model.h: the losses of a batch, their gradient, and a step of imagination. */
#include <reverie/plan.h>
#include <reverie/random.h>
#include <reverie/sequence_model.h>
#include <stdio.h>

enum { B = 4, T = 8 };

int main(void) {
    const uint64_t seed = 1;
    float host[2];
    rv_device *device;
    rv_random *random;
    rv_graph *graph;
    rv_array *result;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_random_create(device, seed, &random);
    rv_array_create(device, RV_F32, 1, 2, "result", &result);

    rv_sequence_model_options options = {.size = sizeof options, .observation_size = 3, .action_size = 1};
    rv_sequence_model_preset("debug", &options);
    rv_sequence_model *model;
    rv_sequence_model_create(device, &options, &model);
    rv_sequence_model_commit(model, seed);

    rv_graph_create(device, &graph);
    rv_tensor state = rv_random_state(graph, random), none = rv_fill(graph, T * B, 1, 0);
    rv_sequence_batch batch = {.steps = T,
                               .observation = rv_normal(state, "observation", 0, T * B, 3),
                               .action = rv_uniform(state, "action", 0, T * B, 1),
                               .reward = rv_normal(state, "reward", 0, T * B, 1),
                               .is_first = none,
                               .is_last = none,
                               .is_terminal = none};
    rv_rssm_noise noise = {.state = state, .name = "latent"};
    rv_tensor observation = rv_normal(state, "next", 0, B, 3), action = rv_fill(graph, B, 1, 0.5f);
    rv_rssm_state hidden = rv_sequence_model_hidden(graph, model, B);

    rv_sequence_losses losses = rv_sequence_model_loss(graph, model, &batch, noise);
    rv_params_gradients(graph, rv_sequence_model_params(model), losses.total, NULL, 0);
    rv_sequence_step next = rv_sequence_model_imagine(graph, model, observation, action, hidden, noise);

    rv_store_part(result, 0, losses.total);
    rv_store_part(result, 1, rv_mean(next.reward, RV_ALL));
    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, 1, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("loss %g; reward expected %g\n", (double)host[0], (double)host[1]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_sequence_model_destroy(model);
    rv_array_destroy(result);
    rv_random_destroy(random);
    rv_device_close(device);
    return status != RV_OK || !(host[0] > 0) || host[1] != 0;  // the reward head begins at zero
}
