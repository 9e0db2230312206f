/* dense.h: a reward head on a latent and an action, run once. */
#include <reverie/dense.h>
#include <reverie/plan.h>
#include <stdio.h>

enum { B = 8 };

int main(void) {
    const uint64_t seed = 1;
    float host[B];
    rv_device *device;
    rv_params *params;
    rv_graph *graph;
    rv_array *result;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_params_create(device, &params);

    rv_sizes hidden = {2, {128, 64}};
    rv_mlp head = rv_mlp_add(params, "reward", 32 + 1, hidden, 1, RV_SILU);
    rv_params_commit(params, seed);

    rv_array_create(device, RV_F32, B, 1, "reward", &result);
    rv_graph_create(device, &graph);
    rv_tensor latent = rv_fill(graph, B, 32, 0.5f), action = rv_fill(graph, B, 1, -1.0f);
    rv_tensor inputs[2] = {latent, action};                      // [B, 32], [B, 1]
    rv_tensor reward = rv_mlp_forward(graph, &head, inputs, 2);  // [B, 1]
    rv_store(result, reward);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, B, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("%d weights, reward %g\n", (int)rv_params_size(params), (double)host[0]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || host[0] != host[B - 1];
}
