/* params.h: one dense layer trained with AdamW. */
#include <reverie/ops.h>
#include <reverie/params.h>
#include <reverie/plan.h>
#include <stdio.h>

enum { B = 32 };

int main(void) {
    const uint64_t seed = 1;
    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;

    rv_params *params;
    rv_params_create(device, &params);
    int w = rv_params_add(params, "encoder/0/weight", 4, 128, RV_INIT_FAN_IN, 1.0f);
    int b = rv_params_add(params, "encoder/0/bias", 1, 128, RV_INIT_ZERO, 0.0f);
    rv_params_commit(params, seed);

    float rate = 0.01f, first = 0.0f, last = 0.0f;
    rv_array *learning_rate, *result;
    rv_graph *graph;
    rv_plan *plan;
    rv_array_create(device, RV_F32, 1, 1, "learning rate", &learning_rate);
    rv_array_write(learning_rate, 0, 1, &rate);
    rv_array_create(device, RV_F32, 1, 1, "loss", &result);
    rv_graph_create(device, &graph);
    rv_tensor x = rv_fill(graph, B, 4, 0.5f), lr = rv_read(graph, learning_rate);

    rv_tensor y = rv_linear1(x, rv_param(graph, params, w), rv_param(graph, params, b), RV_SILU);
    rv_tensor loss = rv_mean(rv_mse(y, rv_fill(graph, B, 128, 1.0f)), RV_ALL);
    rv_params_gradients(graph, params, loss, NULL, 0);
    rv_params_adamw(graph, params, lr, RV_NONE, 100.0f, NULL);

    rv_store(result, loss);
    rv_status status = rv_plan_create(graph, NULL, &plan);
    for (int step = 0; step < 200 && status == RV_OK; step++) {
        status = rv_plan_run(plan);
        if (status == RV_OK && step == 0) status = rv_array_read(result, 0, 1, &first);
    }
    if (status == RV_OK) status = rv_array_read(result, 0, 1, &last);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    printf("%d weights, loss %g, after 200 steps %g\n", (int)rv_params_size(params), (double)first, (double)last);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_array_destroy(learning_rate);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || !(last < 0.1f * first);
}
