/* ops.h: a small network, its loss, and the loss after some steps of plain gradient descent. */
#include <reverie/ops.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>

enum { B = 16, I = 3, H = 8, C = 2, WEIGHTS = 4 };

int main(void) {
    static const struct {
        int64_t rows, cols;
        const char *name;
    } shape[WEIGHTS] = {{I, H, "w1"}, {1, H, "b1"}, {H, C, "w2"}, {1, C, "b2"}};
    float host[B * H];
    rv_device *device;
    rv_array *weight[WEIGHTS], *result;
    rv_graph *graph;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_array_create(device, RV_F32, 1, 1, "loss", &result);
    rv_graph_create(device, &graph);
    rv_tensor parameter[WEIGHTS], gradient[WEIGHTS];
    for (int i = 0; i < WEIGHTS; i++) {
        rv_array_create(device, RV_F32, shape[i].rows, shape[i].cols, shape[i].name, &weight[i]);
        rv_random_normal(1, 0, shape[i].name, 0, shape[i].rows, shape[i].cols, host);
        rv_array_write(weight[i], 0, shape[i].rows, host);
        parameter[i] = rv_read(graph, weight[i]);
    }

    /* learn the sum and the difference of the first two columns */
    rv_tensor w1 = parameter[0], b1 = parameter[1], w2 = parameter[2], b2 = parameter[3];
    rv_array *data;
    rv_array_create(device, RV_F32, B, I, "data", &data);
    rv_random_normal(2, 0, "data", 0, B, I, host);
    rv_array_write(data, 0, B, host);
    rv_tensor x = rv_read(graph, data), first = rv_slice_cols(x, 0, 1), second = rv_slice_cols(x, 1, 1);
    rv_tensor target = rv_concat_cols((rv_tensor[]){rv_add(first, second), rv_sub(first, second)}, 2);

    rv_tensor h = rv_linear1(x, w1, b1, RV_SILU);
    rv_tensor y = rv_linear1(h, w2, b2, RV_LINEAR);
    rv_tensor loss = rv_mean(rv_mse(y, target), RV_ALL);

    rv_gradients(loss, parameter, WEIGHTS, NULL, 0, gradient);
    for (int i = 0; i < WEIGHTS; i++) rv_store(weight[i], rv_sub(parameter[i], rv_affine(gradient[i], 0.1f, 0.0f)));
    rv_store(result, loss);

    float before = 0.0f, after = 0.0f;
    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, 1, &before);
    for (int step = 0; step < 300 && status == RV_OK; step++) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, 1, &after);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    printf("loss %g, after 300 steps %g\n", (double)before, (double)after);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(data);
    for (int i = 0; i < WEIGHTS; i++) rv_array_destroy(weight[i]);
    rv_array_destroy(result);
    rv_device_close(device);
    return status != RV_OK || !(after < 0.1f * before);
}
