/* critic.h: a critic that learns one value, and its slow copy that comes after. */
#include <reverie/critic.h>
#include <reverie/plan.h>
#include <stdio.h>

enum { B = 8, D = 16, Z = 8 };

int main(void) {
    const uint64_t seed = 1;
    float predicted[B], behind[B];
    rv_device *device;
    rv_params *params, *slow_params;
    rv_graph *graph;
    rv_array *bins, *value_array, *slow_array;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_params_create(device, &params);
    rv_params_create(device, &slow_params);

    rv_critic_bins(device, 255, &bins);                          // DreamerV3's, on the device
    rv_critic_options options = {.size = sizeof options, .inputs = D + Z, .bins = bins};
    rv_critic critic = rv_critic_add(params, "val", &options);
    rv_params_values_only(slow_params);
    rv_critic slow = rv_critic_add(slow_params, "slow", &options);
    rv_params_commit(params, seed);
    rv_params_commit(slow_params, seed);
    rv_critic_copy(&slow, &critic);                              // they begin as one

    rv_array_create(device, RV_F32, B, 1, "value", &value_array);
    rv_array_create(device, RV_F32, B, 1, "slow value", &slow_array);
    rv_graph_create(device, &graph);
    rv_tensor deter = rv_fill(graph, B, D, 0.5f), stoch = rv_fill(graph, B, Z, -0.5f);
    rv_tensor returns = rv_fill(graph, B, 1, 3.0f), weight = rv_fill(graph, B, 1, 1.0f);

    rv_tensor features[2] = {deter, stoch};                      // [B, D], [B, Z]
    rv_tensor output = rv_critic_forward(graph, &critic, features, 2);
    rv_tensor value = rv_critic_value(graph, &critic, output);   // [B, 1]
    rv_tensor slow_value = rv_critic_value(graph, &slow, rv_critic_forward(graph, &slow, features, 2));
    rv_tensor targets[2] = {returns, slow_value};                // [B, 1] each
    rv_tensor loss = rv_critic_loss(graph, &critic, output, targets, 2, weight);   // [1, 1]
    rv_params_gradients(graph, params, loss, NULL, 0);
    rv_params_laprop(graph, params, rv_fill(graph, 1, 1, 0.003f), NULL);
    rv_critic_follow(graph, &slow, &critic, 0.02f);              // after it
    rv_store(value_array, value);
    rv_store(slow_array, slow_value);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    for (int step = 0; step < 300 && status == RV_OK; step++) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(value_array, 0, B, predicted);
    if (status == RV_OK) status = rv_array_read(slow_array, 0, B, behind);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("value %g, slow value %g, return 3\n", (double)predicted[0], (double)behind[0]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(value_array);
    rv_array_destroy(slow_array);
    rv_array_destroy(bins);
    rv_params_destroy(params);
    rv_params_destroy(slow_params);
    rv_device_close(device);
    return status != RV_OK || !(predicted[0] > 2.5f && predicted[0] < 3.5f);
}
