/* graph.h: record one dense layer and run it. */
#include <reverie/ops.h>
#include <reverie/plan.h>
#include <stdio.h>

enum { B = 3 };

int main(void) {
    const float rows[B * 4] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0}, weights[4 * 2] = {1, -1, 2, -2, 3, -3, 4, -4};
    float out[B * 2];
    rv_device *device;
    rv_array *observations, *w, *b, *result;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_array_create(device, RV_F32, B, 4, "observations", &observations);
    rv_array_create(device, RV_F32, 4, 2, "w", &w);
    rv_array_create(device, RV_F32, 1, 2, "b", &b);
    rv_array_create(device, RV_F32, B, 2, "result", &result);
    rv_array_write(observations, 0, B, rows);
    rv_array_write(w, 0, 4, weights);

    rv_plan *plan;
    rv_graph *graph;
    rv_graph_create(device, &graph);
    rv_tensor x = rv_read(graph, observations);
    rv_tensor y = rv_linear1(x, rv_read(graph, w), rv_read(graph, b), RV_SILU);
    rv_store(result, y);
    rv_plan_create(graph, NULL, &plan);
    rv_graph_destroy(graph);

    rv_status status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, B, out);
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_plan_message(plan));
    for (int i = 0; i < B && status == RV_OK; i++) printf("%8.5f %8.5f\n", out[2 * i], out[2 * i + 1]);
    /* silu(6) = 5.98516... */
    int failed = status != RV_OK || out[4] < 5.985f || out[4] > 5.986f;

    rv_plan_destroy(plan);
    rv_array_destroy(result);
    rv_array_destroy(b);
    rv_array_destroy(w);
    rv_array_destroy(observations);
    rv_device_close(device);
    return failed;
}
