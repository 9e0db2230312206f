/* random.h: noise on the device, and the same bits on the host. */
#include <reverie/ops.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>
#include <string.h>

enum { B = 5, Z = 6 };

int main(void) {
    rv_device *device;
    rv_graph *graph;
    rv_plan *plan;
    rv_array *result;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_graph_create(device, &graph);
    rv_array_create(device, RV_F32, B, Z, "result", &result);

    rv_random *random;
    rv_random_create(device, 7, &random);
    rv_tensor noise = rv_normal(rv_random_state(graph, random), "latent", 0, B, Z);
    rv_store(result, noise);
    rv_random_advance(graph, random);

    float drawn[B * Z], host[B * Z];
    rv_status status = rv_plan_create(graph, NULL, &plan);
    int failed = 0;
    for (uint32_t update = 0; update < 3 && status == RV_OK; update++) {
        status = rv_plan_run(plan);
        if (status == RV_OK) status = rv_array_read(result, 0, B, drawn);
        rv_random_normal(7, update, "latent", 0, B, Z, host);
        failed |= memcmp(drawn, host, sizeof host) != 0;
        printf("update %u: %9.6f %9.6f ...\n", (unsigned)update, (double)drawn[0], (double)drawn[1]);
    }
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_plan_message(plan));

    rv_plan_destroy(plan);
    rv_random_destroy(random);
    rv_array_destroy(result);
    rv_graph_destroy(graph);
    rv_device_close(device);
    return failed || status != RV_OK;
}
