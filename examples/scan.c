/* scan.h: a decaying sum over a sequence. */
#include <math.h>
#include <reverie/ops.h>
#include <reverie/plan.h>
#include <reverie/scan.h>
#include <stdio.h>

enum { T = 5, B = 2, C = 1 };

static void decay(void *user, const rv_scan_step *step) {
    rv_tensor kept = rv_mul(step->carry[0], *(rv_tensor *)user);
    step->next[0] = rv_add(kept, step->input[0]);
    step->output[0] = rv_tanh(step->next[0]);
}

int main(void) {
    /* step after step, both sequences' rows */
    const float values[T * B] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0}, half = 0.5f;
    float out[T * B];
    rv_device *device;
    rv_array *data, *constant, *result;
    rv_graph *graph;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_array_create(device, RV_F32, T * B, C, "data", &data);
    rv_array_create(device, RV_F32, 1, C, "rate", &constant);
    rv_array_create(device, RV_F32, T * B, C, "result", &result);
    rv_array_write(data, 0, T * B, values);
    rv_array_write(constant, 0, 1, &half);

    rv_graph_create(device, &graph);
    rv_tensor inputs = rv_read(graph, data), rate = rv_read(graph, constant);
    rv_tensor state = rv_fill(graph, B, C, 0), outputs;
    rv_scan(graph, T, decay, &rate, &state, 1, &inputs, 1, &outputs, 1);
    rv_store(result, outputs);
    rv_plan_create(graph, NULL, &plan);
    rv_graph_destroy(graph);

    rv_status status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, T * B, out);
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_plan_message(plan));
    for (int t = 0; t < T && status == RV_OK; t++) printf("%d %8.5f %8.5f\n", t, out[t * B], out[t * B + 1]);
    int failed = status != RV_OK || fabsf(out[(T - 1) * B] - tanhf(1.0f / 16)) > 1e-6f;

    rv_plan_destroy(plan);
    rv_array_destroy(result);
    rv_array_destroy(constant);
    rv_array_destroy(data);
    rv_device_close(device);
    return failed;
}
