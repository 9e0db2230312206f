#include <reverie/ops.h>
#include <reverie/params.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>

int main(void) {
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_plan *plan;
    float weight[4] = {0};
    rv_device_open("auto", NULL, &device);
    rv_params_create(device, &params);
    int w = rv_params_add(params, "weight", 4, 1, RV_INIT_FAN_IN, 1.0f);
    rv_params_commit(params, 7);
    rv_random_create(device, 7, &random);

    rv_graph_create(device, &graph); // record: one training step, noise and optimiser included
    rv_tensor x = rv_normal(rv_random_state(graph, random), "x", 0, 64, 4);
    rv_tensor y = rv_matmul(x, rv_param(graph, params, w), 0, 0);
    rv_tensor loss = rv_mean(rv_mse(y, rv_sum(x, RV_COLS)), RV_ALL);
    rv_params_gradients(graph, params, loss, NULL, 0);
    rv_params_adamw(graph, params, rv_fill(graph, 1, 1, 0.01f), RV_NONE, 0.0f, NULL);
    rv_random_advance(graph, random);

    rv_status status = rv_plan_create(graph, NULL, &plan); // plan
    for (int step = 0; step < 1000 && status == RV_OK; step++) status = rv_plan_run(plan); // run
    rv_params_get(params, w, RV_VALUE, weight);
    printf("%s %.3f %.3f %.3f %.3f\n", rv_status_text(status), weight[0], weight[1], weight[2], weight[3]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || weight[0] < 0.99f || weight[0] > 1.01f; // it has learnt to add: all ones
}
