/* continue.h: learns that the episode ends where the action is positive. */
#include <reverie/continue.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>

enum { B = 64 };

int main(void) {
    const uint64_t seed = 1;
    float host[B], noise[B];
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_array *result;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_params_create(device, &params);
    rv_random_create(device, seed, &random);

    rv_sizes hidden = {2, {64, 32}};
    rv_continue going_on = rv_continue_add(params, "continue", 32, 1, hidden, RV_SILU);
    rv_params_commit(params, seed);

    rv_array_create(device, RV_F32, B, 1, "probability", &result);
    rv_graph_create(device, &graph);
    rv_tensor latent = rv_fill(graph, B, 32, 0.5f), action = rv_normal(rv_random_state(graph, random), "action", 0, B, 1);
    rv_tensor terminated = rv_less(rv_fill(graph, B, 1, 0), action);
    rv_tensor logit = rv_continue_predict(graph, &going_on, latent, action);     // [B, 1]
    rv_tensor probability = rv_sigmoid(logit);
    rv_tensor loss = rv_continue_loss(logit, terminated);                        // [B, 1]
    rv_store(result, probability);
    rv_params_gradients(graph, params, rv_mean(loss, RV_ALL), NULL, 0);
    rv_params_adamw(graph, params, rv_fill(graph, 1, 1, 1e-2f), RV_NONE, 0, NULL);
    rv_random_advance(graph, random);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    for (int step = 0; step < 300 && status == RV_OK; step++) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, B, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    rv_random_normal(seed, 299, "action", 0, B, 1, noise);
    int right = 0;
    for (int i = 0; i < B; i++) right += (host[i] < 0.5f) == (noise[i] > 0);
    printf("%d of %d right\n", right, (int)B);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || right < B * 9 / 10;
}
