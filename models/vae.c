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

void rv_vae_add_linear_path(rv_params *params, const char *name, rv_vae *vae) {
    char full[256];
    vae->linear_path = 1;
    snprintf(full, sizeof full, "%s/encoder_path", name);
    vae->encoder_path = rv_mlp_add(params, full, vae->observation_size, (rv_sizes){0}, vae->latent_size, RV_LINEAR);
    snprintf(full, sizeof full, "%s/decoder_path", name);
    vae->decoder_path = rv_mlp_add(params, full, vae->latent_size, (rv_sizes){0}, vae->observation_size, RV_LINEAR);
}

rv_gaussian rv_vae_encode(rv_graph *graph, const rv_vae *vae, rv_tensor observation) {
    rv_graph_push(graph, "encode");
    rv_tensor both = rv_mlp_forward(graph, &vae->encoder, &observation, 1);
    rv_gaussian posterior = {rv_slice_cols(both, 0, vae->latent_size), rv_slice_cols(both, vae->latent_size, vae->latent_size)};
    if (vae->linear_path) posterior.mean = rv_add(posterior.mean, rv_mlp_forward(graph, &vae->encoder_path, &observation, 1));
    rv_graph_pop(graph);
    return posterior;
}

rv_normal_sample rv_vae_reparameterise(rv_gaussian posterior, rv_tensor state, const char *name, uint32_t t) {
    return rv_sample_normal(posterior.mean, posterior.logvar, state, name, t);
}

rv_tensor rv_vae_decode(rv_graph *graph, const rv_vae *vae, rv_tensor latent) {
    rv_graph_push(graph, "decode");
    rv_tensor observation = rv_mlp_forward(graph, &vae->decoder, &latent, 1);
    if (vae->linear_path) observation = rv_add(observation, rv_mlp_forward(graph, &vae->decoder_path, &latent, 1));
    rv_graph_pop(graph);
    return observation;
}

rv_tensor rv_vae_kl_divergence(rv_gaussian posterior) {
    rv_tensor standard = rv_fill(posterior.mean.graph, rv_tensor_rows(posterior.mean), rv_tensor_cols(posterior.mean), 0);
    return rv_kl_normal(posterior.mean, posterior.logvar, standard, standard);
}
