/* returns.h: what made-up trajectories are worth, and by how much the steps were better than expected. */
#include <reverie/plan.h>
#include <reverie/random.h>
#include <reverie/returns.h>
#include <stdio.h>

enum { B = 8, H = 15 };

int main(void) {
    float ahead[B * H], worth[H * B];
    rv_device *device;
    rv_random *random;
    rv_return_normaliser *normaliser;
    rv_graph *graph;
    rv_array *advantages, *targets;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_random_create(device, 7, &random);
    rv_return_normaliser_create(device, NULL, &normaliser);
    rv_array_create(device, RV_F32, B, H, "advantage", &advantages);
    rv_array_create(device, RV_F32, H * B, 1, "target", &targets);
    rv_graph_create(device, &graph);
    rv_tensor noise = rv_random_state(graph, random), reward = rv_normal(noise, "reward", 0, (H + 1) * B, 1);
    rv_tensor value = rv_normal(noise, "value", 0, (H + 1) * B, 1), going_on = rv_fill(graph, (H + 1) * B, 1, 0.997f);

    rv_tensor r = rv_returns_by_row(reward, H + 1), c = rv_returns_by_row(going_on, H + 1);   // [B, H + 1]
    rv_tensor v = rv_returns_by_row(value, H + 1);
    rv_imagined_returns dream = rv_returns_imagined(r, c, v, 0.95f);
    rv_return_scale scale = rv_returns_normalise(graph, normaliser, dream.target);
    rv_tensor gain = rv_sub(dream.target, rv_slice_cols(v, 0, H));      // [B, H]
    rv_tensor advantage = rv_div(gain, scale.scale);
    rv_tensor target = rv_returns_by_time(dream.target);                // [H * B, 1], as the states are
    rv_returns_keep(graph, normaliser, scale);                          // behind what an update watches
    rv_store(advantages, advantage);
    rv_store(targets, target);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(advantages, 0, B, ahead);
    if (status == RV_OK) status = rv_array_read(targets, 0, H * B, worth);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("first step: return %g, advantage %g\n", (double)worth[0], (double)ahead[0]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(advantages);
    rv_array_destroy(targets);
    rv_return_normaliser_destroy(normaliser);
    rv_random_destroy(random);
    rv_device_close(device);
    return status != RV_OK;
}
