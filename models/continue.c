/* models/continue.c */
#include "reverie/continue.h"

rv_continue rv_continue_add(rv_params *params, const char *name, int64_t latent_size, int64_t action_size, rv_sizes hidden,
                            rv_activation activation) {
    return (rv_continue){rv_mlp_add(params, name, latent_size + action_size, hidden, 1, activation)};
}

rv_tensor rv_continue_predict(rv_graph *graph, const rv_continue *going_on, rv_tensor latent, rv_tensor action) {
    rv_graph_push(graph, "continue");
    rv_tensor inputs[2] = {latent, action};
    rv_tensor logit = rv_mlp_forward(graph, &going_on->network, inputs, 2);
    rv_graph_pop(graph);
    return logit;
}

rv_tensor rv_continue_loss(rv_tensor logit, rv_tensor terminated) {
    return rv_bernoulli_nll(logit, rv_affine(terminated, -1, 1));
}
