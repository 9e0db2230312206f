/* world_model.h: encode an observation, take one step in imagination, decode. */
#include <reverie/plan.h>
#include <reverie/world_model.h>
#include <stdio.h>

enum { N = 100, B = 1 };

int main(void) {
    const uint64_t seed = 1;
    float seen[N * 4], acted[N], earned[N], host[4] = {0};
    for (int i = 0; i < N * 4; i++) seen[i] = (float)(i % 7) - 3.0f;
    for (int i = 0; i < N; i++) acted[i] = earned[i] = 0.0f;
    rv_transitions transitions = {.steps = N, .observation_size = 4, .action_size = 1, .observation = seen,
                                  .action = acted, .reward = earned, .next_observation = seen};
    rv_device *device;
    rv_graph *graph;
    rv_array *result;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;

    rv_world_model_options options = {.size = sizeof options, .observation_size = 4, .action_size = 1};
    rv_world_model *model;
    rv_world_model_create(device, &options, seed, &model);
    rv_world_model_normalise_by(model, &transitions);  // observation mean and scale

    rv_array_create(device, RV_F32, B, 4, "predicted", &result);
    rv_graph_create(device, &graph);
    rv_tensor observation = rv_fill(graph, B, 4, 0.1f), action = rv_fill(graph, B, 1, 1.0f);
    rv_gaussian latent = rv_world_model_encode(graph, model, observation);
    rv_world_model_step next = rv_world_model_predict(graph, model, latent.mean, action);
    rv_tensor predicted = rv_world_model_decode(graph, model, next.latent.mean);
    rv_store(result, predicted);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, B, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("an untrained guess: %g %g %g %g\n", (double)host[0], (double)host[1], (double)host[2], (double)host[3]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_world_model_destroy(model);
    rv_device_close(device);
    return status != RV_OK;
}
