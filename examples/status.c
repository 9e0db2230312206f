/* status.h: what a call answers, and how to say it. */
#include <reverie/plan.h>
#include <stdio.h>

/* Copies x to y, as a plan. */
static rv_status copy(rv_graph *graph, rv_array *x, rv_array *y) {
    rv_plan *plan;
    rv_store(y, rv_read(graph, x));
    rv_plan_create(graph, NULL, &plan);
    rv_status status = rv_plan_run(plan);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    rv_plan_destroy(plan);
    return status;
}

int main(void) {
    rv_device *device;
    rv_array *x, *y, *wrong;
    rv_graph *graph, *broken;
    rv_device_open("cpu", NULL, &device);
    rv_array_create(device, RV_F32, 3, 2, "x", &x);
    rv_array_create(device, RV_F32, 3, 2, "y", &y);
    rv_array_create(device, RV_F32, 5, 2, "wrong", &wrong);
    rv_graph_create(device, &graph);
    rv_graph_create(device, &broken);

    int failed = copy(graph, x, y) != RV_OK;
    failed |= copy(broken, x, wrong) == RV_OK; /* 3 rows do not fit 5: says so */

    rv_graph_destroy(broken);
    rv_graph_destroy(graph);
    rv_array_destroy(wrong);
    rv_array_destroy(y);
    rv_array_destroy(x);
    rv_device_close(device);
    return failed;
}
