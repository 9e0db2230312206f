/* models/rssm_loss.c: how far the posterior may go from the prior. */
#include <string.h>

#include "models/rssm.h"

static rv_latent stopped(const rv_rssm *rssm, rv_latent latent) {
    if (rssm->options.latent == RV_LATENT_CATEGORICAL) return (rv_latent){.logits = rv_stop_gradient(latent.logits)};
    return (rv_latent){.mean = rv_stop_gradient(latent.mean), .std = rv_stop_gradient(latent.std)};
}

static rv_tensor logvar(rv_latent latent) { return rv_affine(rv_log(latent.std), 2, 0); }

static rv_tensor divergence(const rv_rssm *rssm, rv_latent p, rv_latent q) {
    if (rssm->options.latent == RV_LATENT_GAUSSIAN) return rv_kl_normal(p.mean, logvar(p), q.mean, logvar(q));
    return rv_kl_categorical(p.logits, q.logits, rssm->options.classes, rssm->options.unimix);
}

static rv_tensor mean_beyond(rv_tensor kl, const rv_rssm_loss_options *options) {
    const float nats = options->free_nats;
    if (nats <= 0) return rv_mean(kl, RV_ALL);
    return options->free_mean ? rv_free_nats(rv_mean(kl, RV_ALL), nats) : rv_mean(rv_free_nats(kl, nats), RV_ALL);
}

rv_rssm_losses rv_rssm_loss(rv_graph *graph, const rv_rssm *rssm, rv_latent posterior, rv_latent prior,
                            const rv_rssm_loss_options *given) {
    if (!graph || !rssm) return (rv_rssm_losses){.kl = RV_NONE};
    rv_rssm_loss_options options = {0};
    if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (options.free_nats == 0) options.free_nats = 1;
    if (options.dyn_scale == 0) options.dyn_scale = 1;
    if (options.rep_scale == 0) options.rep_scale = 0.1f;
    if (options.dyn_scale < 0) options.dyn_scale = 0;
    if (options.rep_scale < 0) options.rep_scale = 0;
    rv_graph_push(graph, "kl");
    rv_rssm_losses losses = {.kl = divergence(rssm, posterior, prior),
                             .dyn = mean_beyond(divergence(rssm, stopped(rssm, posterior), prior), &options),
                             .rep = mean_beyond(divergence(rssm, posterior, stopped(rssm, prior)), &options)};
    losses.total = rv_add(rv_affine(losses.dyn, options.dyn_scale, 0), rv_affine(losses.rep, options.rep_scale, 0));
    rv_graph_pop(graph);
    return losses;
}
