/* What a program outside does with the library: the same source is built as C11 and as C++17. */
#include <stdio.h>
#include <string.h>

#include <reverie/ops.h>
#include <reverie/plan.h>
#include <reverie/random.h>

static int failed(rv_status status, const char *what, const char *message) {
    if (status != RV_OK) fprintf(stderr, "%s: %s: %s\n", what, rv_status_text(status), message);
    return status != RV_OK;
}

/* y = 2 x + 1 over four numbers, on the CPU. */
static int run(rv_device *device) {
    const float in[4] = {0.0f, 1.0f, 2.0f, -3.0f};
    float out[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    rv_array *x = NULL, *y = NULL;
    rv_graph *graph = NULL;
    rv_plan *plan = NULL;
    int bad = failed(rv_array_create(device, RV_F32, 2, 2, "x", &x), "array", rv_array_message(x)) ||
              failed(rv_array_create(device, RV_F32, 2, 2, "y", &y), "array", rv_array_message(y)) ||
              failed(rv_array_write(x, 0, 2, in), "write", rv_array_message(x)) ||
              failed(rv_graph_create(device, &graph), "graph", rv_graph_message(graph));
    if (!bad) {
        if (RV_NONE.id != 0) return 1;
        rv_store(y, rv_affine(rv_read(graph, x), 2.0f, 1.0f));
        bad = failed(rv_plan_create(graph, NULL, &plan), "plan", rv_plan_message(plan)) ||
              failed(rv_plan_run(plan), "run", rv_plan_message(plan)) ||
              failed(rv_array_read(y, 0, 2, out), "read", rv_array_message(y));
    }
    for (int i = 0; i < 4 && !bad; i++) bad = out[i] != 2.0f * in[i] + 1.0f;
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(y);
    rv_array_destroy(x);
    return bad;
}

int main(void) {
    if (strcmp(rv_version(), RV_VERSION) != 0) {
        fprintf(stderr, "headers %s, library %s\n", RV_VERSION, rv_version());
        return 1;
    }
    rv_device *device = NULL;
    int bad = failed(rv_device_open("cpu", NULL, &device), "device", rv_device_message(device)) || run(device);
    rv_device_close(device);
    printf("reverie %s %s\n", rv_version(), bad ? "fails" : "answers");
    return bad;
}
