/* models/vae.c */
#include "reverie/vae.h"

#include <stdio.h>

rv_vae rv_vae_add(rv_params *params, const char *name, int64_t observation_size, int64_t latent_size, rv_sizes hidden,
                  rv_activation activation) {
    char full[256];
    rv_vae vae = {.observation_size = observation_size, .latent_size = latent_size};
    snprintf(full, sizeof full, "%s/encoder", name);
    vae.encoder = rv_mlp_add(params, full, observation_size, hidden, 2 * latent_size, activation);
    rv_sizes reversed = hidden;
    for (int i = 0; i < hidden.count && i < RV_LAYERS_MAX; i++) reversed.size[i] = hidden.size[hidden.count - 1 - i];
    snprintf(full, sizeof full, "%s/decoder", name);
    vae.decoder = rv_mlp_add(params, full, latent_size, reversed, observation_size, activation);
    return vae;
}

rv_gaussian rv_vae_encode(rv_graph *graph, const rv_vae *vae, rv_tensor observation) {
    rv_graph_push(graph, "encode");
    rv_tensor both = rv_mlp_forward(graph, &vae->encoder, &observation, 1);
    rv_gaussian posterior = {rv_slice_cols(both, 0, vae->latent_size), rv_slice_cols(both, vae->latent_size, vae->latent_size)};
    rv_graph_pop(graph);
    return posterior;
}

rv_normal_sample rv_vae_reparameterise(rv_gaussian posterior, rv_tensor state, const char *name, uint32_t t) {
    return rv_sample_normal(posterior.mean, posterior.logvar, state, name, t);
}

rv_tensor rv_vae_decode(rv_graph *graph, const rv_vae *vae, rv_tensor latent) {
    rv_graph_push(graph, "decode");
    rv_tensor observation = rv_mlp_forward(graph, &vae->decoder, &latent, 1);
    rv_graph_pop(graph);
    return observation;
}

rv_tensor rv_vae_kl_divergence(rv_gaussian posterior) {
    rv_tensor standard = rv_fill(posterior.mean.graph, rv_tensor_rows(posterior.mean), rv_tensor_cols(posterior.mean), 0);
    return rv_kl_normal(posterior.mean, posterior.logvar, standard, standard);
}
