/* models/dynamics.c */
#include "reverie/dynamics.h"

rv_dynamics rv_dynamics_add(rv_params *params, const char *name, int64_t latent_size, int64_t action_size, rv_sizes hidden,
                            rv_activation activation, int flags) {
    int64_t outputs = flags & RV_DYNAMICS_STOCHASTIC ? 2 * latent_size : latent_size;
    return (rv_dynamics){.network = rv_mlp_add(params, name, latent_size + action_size, hidden, outputs, activation),
                         .latent_size = latent_size,
                         .action_size = action_size,
                         .flags = flags};
}

rv_gaussian rv_dynamics_predict(rv_graph *graph, const rv_dynamics *dynamics, rv_tensor latent, rv_tensor action) {
    rv_graph_push(graph, "dynamics");
    rv_tensor inputs[2] = {latent, action};
    rv_tensor out = rv_mlp_forward(graph, &dynamics->network, inputs, 2);
    rv_gaussian next = {out, RV_NONE};
    if (dynamics->flags & RV_DYNAMICS_STOCHASTIC) {
        next.mean = rv_slice_cols(out, 0, dynamics->latent_size);
        next.logvar = rv_clamp(rv_slice_cols(out, dynamics->latent_size, dynamics->latent_size), RV_DYNAMICS_LOGVAR_MIN,
                               RV_DYNAMICS_LOGVAR_MAX);
    }
    if (dynamics->flags & RV_DYNAMICS_RESIDUAL) next.mean = rv_add(latent, next.mean);
    rv_graph_pop(graph);
    return next;
}

rv_tensor rv_dynamics_loss(rv_gaussian next, rv_tensor target) {
    if (!next.logvar.graph) return rv_mse(next.mean, target);
    int64_t latents = rv_tensor_cols(next.mean);
    return rv_affine(rv_gaussian_nll(next.mean, next.logvar, target), latents > 0 ? 1.0f / (float)latents : 0, 0);
}
