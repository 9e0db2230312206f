/* plan.h: a counter that a plan advances a thousand times. */
#include <reverie/ops.h>
#include <reverie/plan.h>
#include <stdio.h>

int main(void) {
    rv_device *device;
    rv_array *counter;
    rv_graph *graph;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_array_create(device, RV_I32, 1, 1, "counter", &counter);
    rv_graph_create(device, &graph);
    rv_store(counter, rv_affine(rv_read(graph, counter), 1.0f, 1.0f));

    rv_plan *plan;
    if (rv_plan_create(graph, NULL, &plan) != RV_OK) fprintf(stderr, "%s\n", rv_plan_message(plan));
    for (int step = 0; step < 1000; step++) rv_plan_run(plan);

    rv_plan_report report = {.size = sizeof report};
    int32_t value = 0;
    rv_plan_report_get(plan, &report);
    rv_array_read(counter, 0, 1, &value);
    printf("%d after 1000 runs of %lld launch(es)\n", (int)value, (long long)report.launches);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(counter);
    rv_device_close(device);
    return value != 1000;
}
