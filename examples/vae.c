/* vae.h: encode, draw a latent, decode. */
#include <reverie/plan.h>
#include <reverie/random.h>
#include <reverie/vae.h>
#include <stdio.h>

enum { B = 8 };

int main(void) {
    const uint64_t seed = 1;
    float host[B * 4];
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_array *result;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_params_create(device, &params);
    rv_random_create(device, seed, &random);

    rv_sizes hidden = {2, {128, 64}};
    rv_vae vae = rv_vae_add(params, "vae", 4, 32, hidden, RV_SILU);
    rv_params_commit(params, seed);

    rv_array_create(device, RV_F32, B, 4, "reconstruction", &result);
    rv_graph_create(device, &graph);
    rv_tensor observation = rv_fill(graph, B, 4, 0.5f), state = rv_random_state(graph, random);
    rv_gaussian posterior = rv_vae_encode(graph, &vae, observation);  // [B, 32] each
    rv_normal_sample latent = rv_vae_reparameterise(posterior, state, "latent", 0);
    rv_tensor reconstruction = rv_vae_decode(graph, &vae, latent.value);  // [B, 4]
    rv_store(result, reconstruction);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, B, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("the same observation through two draws: %g and %g\n", (double)host[0], (double)host[4]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || host[0] == host[4];
}
