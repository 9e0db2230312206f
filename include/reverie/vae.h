/* reverie/vae.h: variational autoencoder of vector observations (Kingma and Welling, 2014).
 *
 *     rv_sizes hidden = {2, {128, 64}};
 *     rv_vae vae = rv_vae_add(params, "vae", 4, 32, hidden, RV_SILU);
 *     rv_params_commit(params, seed);
 *     rv_gaussian posterior = rv_vae_encode(graph, &vae, observation);             // [B, 32] each
 *     rv_normal_sample latent = rv_vae_reparameterise(posterior, state, "latent", 0);
 *     rv_tensor reconstruction = rv_vae_decode(graph, &vae, latent.value);         // [B, 4]
 */
#ifndef REVERIE_VAE_H
#define REVERIE_VAE_H

#include "reverie/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A diagonal normal, mean and log of the variance [B, Z]; logvar is RV_NONE where it is a point. */
typedef struct rv_gaussian {
    rv_tensor mean, logvar;
} rv_gaussian;

typedef struct rv_vae {
    rv_mlp encoder, decoder;
    int64_t observation_size, latent_size;
    int linear_path; /* rv_vae_add_linear_path was called */
    rv_mlp encoder_path, decoder_path;
} rv_vae;

/* Encoder observation -> hidden -> 2 latent, decoder latent -> hidden reversed -> observation,
 * under "name/encoder/…" and "name/decoder/…". */
RV_API rv_vae rv_vae_add(rv_params *params, const char *name, int64_t observation_size, int64_t latent_size,
                         rv_sizes hidden, rv_activation activation);

/* Adds a linear layer beside the encoder's mean and beside the decoder, under "name/encoder_path/…" and
 * "name/decoder_path/…": what is near a linear map is then learnt at once and exactly, and the layers learn the rest. */
RV_API void rv_vae_add_linear_path(rv_params *params, const char *name, rv_vae *vae);

RV_API rv_gaussian rv_vae_encode(rv_graph *graph, const rv_vae *vae, rv_tensor observation);
/* mean + exp(logvar / 2) * noise, with log-probability and KL to the standard normal (rv_sample_normal). */
RV_API rv_normal_sample rv_vae_reparameterise(rv_gaussian posterior, rv_tensor state, const char *name, uint32_t t);
RV_API rv_tensor rv_vae_decode(rv_graph *graph, const rv_vae *vae, rv_tensor latent);
/* KL to the standard normal, [B, 1]. */
RV_API rv_tensor rv_vae_kl_divergence(rv_gaussian posterior);

#ifdef __cplusplus
}
#endif
#endif
