/* rssm.h: a short sequence observed, and what it leads to imagined. */
#include <reverie/plan.h>
#include <reverie/random.h>
#include <reverie/rssm.h>
#include <stdio.h>

enum { B = 4, T = 6, H = 3, A = 2, E = 16 };

int main(void) {
    const uint64_t seed = 1;
    float host[2], is_first_host[T * B] = {0};
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_array *result, *firsts;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_params_create(device, &params);
    rv_random_create(device, seed, &random);
    rv_array_create(device, RV_F32, 1, 2, "result", &result);
    rv_array_create(device, RV_F32, T * B, 1, "is_first", &firsts);
    for (int b = 0; b < B; b++) is_first_host[b] = 1;  // every sequence begins an episode
    rv_array_write(firsts, 0, T * B, is_first_host);

    rv_rssm_options options = {.size = sizeof options, .action_size = A, .token_size = E};  // size1m's
    rv_rssm rssm = rv_rssm_add(params, "", &options);
    rv_params_commit(params, seed);

    rv_graph_create(device, &graph);
    rv_tensor tokens = rv_normal(rv_random_state(graph, random), "tokens", 0, T * B, E);
    rv_tensor actions = rv_normal(rv_random_state(graph, random), "actions", 0, T * B, A);
    rv_tensor future_actions = rv_normal(rv_random_state(graph, random), "future actions", 0, H * B, A);
    rv_tensor is_first = rv_read(graph, firsts);

    rv_rssm_noise noise = {.state = rv_random_state(graph, random), .name = "posterior"};
    rv_rssm_state start = rv_rssm_start(graph, &rssm, B);
    rv_rssm_rollout seen = rv_rssm_observe(graph, &rssm, start, RV_NONE, tokens, actions, is_first, T, noise);
    rv_rssm_losses losses = rv_rssm_loss(graph, &rssm, seen.posterior, seen.prior, NULL);
    noise.name = "prior";
    rv_rssm_rollout dream = rv_rssm_imagine(graph, &rssm, seen.last, H, future_actions, noise);

    rv_store_part(result, 0, losses.dyn);
    rv_store_part(result, 1, rv_mean(rv_square(dream.state.deter), RV_ALL));
    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(result, 0, 1, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("%d weights; dyn %g; h^2 %g\n", (int)rv_params_size(params), (double)host[0], (double)host[1]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(result);
    rv_array_destroy(firsts);
    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || !(host[0] >= 1);
}
