/* actor.h: an action drawn in some states, its log-probability, and the environment's units. */
#include <reverie/actor.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>

enum { B = 8, D = 16, Z = 8, A = 2 };

int main(void) {
    const uint64_t seed = 1;
    const float low[A] = {-2, 0}, high[A] = {2, 10};
    const rv_env_spaces spaces = {.size = sizeof spaces, .action_size = A, .action_low = low, .action_high = high};
    float acted[B * A], sent[B * A], likely[B], unsure[B];
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_array *chosen, *likelihood, *uncertainty;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_random_create(device, 7, &random);
    rv_params_create(device, &params);

    rv_actor_options options = {.size = sizeof options, .kind = RV_ACTOR_BOUNDED_NORMAL, .inputs = D + Z,
                                .action_size = A, .hidden = rv_sizes_of(3, 64)};
    rv_actor actor = rv_actor_add(params, "pol", &options);
    rv_params_commit(params, seed);

    rv_array_create(device, RV_F32, B, A, "chosen", &chosen);
    rv_array_create(device, RV_F32, B, 1, "log_prob", &likelihood);
    rv_array_create(device, RV_F32, B, 1, "entropy", &uncertainty);
    rv_graph_create(device, &graph);
    rv_tensor noise = rv_random_state(graph, random);
    rv_tensor deter = rv_normal(noise, "deter", 0, B, D), stoch = rv_normal(noise, "stoch", 0, B, Z);

    rv_tensor features[2] = {deter, stoch};                     // [B, D], [B, Z]
    rv_action drawn = rv_actor_sample(graph, &actor, features, 2, noise, "action", 0);
    rv_store(chosen, drawn.action);                             // [B, A]
    rv_actor_policy policy = rv_actor_forward(graph, &actor, features, 2);
    rv_tensor log_prob = rv_actor_log_prob(policy, rv_stop_gradient(drawn.action));   // [B, 1]
    rv_tensor entropy = rv_actor_entropy(policy);               // [B, 1]
    rv_store(likelihood, log_prob);
    rv_store(uncertainty, entropy);

    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(chosen, 0, B, acted);
    if (status == RV_OK) status = rv_array_read(likelihood, 0, B, likely);
    if (status == RV_OK) status = rv_array_read(uncertainty, 0, B, unsure);
    rv_actor_to_env(&spaces, B, acted, sent);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else {
        printf("action %.3f %.3f is %.3f %.3f to the environment; log_prob %.3f, entropy %.3f\n", (double)acted[0],
               (double)acted[1], (double)sent[0], (double)sent[1], (double)likely[0], (double)unsure[0]);
    }

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(chosen);
    rv_array_destroy(likelihood);
    rv_array_destroy(uncertainty);
    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_device_close(device);
    return status != RV_OK || !(sent[1] >= 0 && sent[1] <= 10);
}
