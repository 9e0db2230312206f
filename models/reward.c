/* models/reward.c */
#include "reverie/reward.h"

rv_reward rv_reward_add(rv_params *params, const char *name, int64_t latent_size, int64_t action_size, rv_sizes hidden,
                        rv_activation activation) {
    return (rv_reward){rv_mlp_add(params, name, latent_size + action_size, hidden, 1, activation)};
}

rv_tensor rv_reward_predict(rv_graph *graph, const rv_reward *reward, rv_tensor latent, rv_tensor action) {
    rv_graph_push(graph, "reward");
    rv_tensor inputs[2] = {latent, action};
    rv_tensor predicted = rv_mlp_forward(graph, &reward->network, inputs, 2);
    rv_graph_pop(graph);
    return predicted;
}
