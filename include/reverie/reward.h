/* reverie/reward.h: the reward that an action earns in a latent.
 *
 *     rv_sizes hidden = {2, {64, 32}};
 *     rv_reward reward = rv_reward_add(params, "reward", 32, 1, hidden, RV_SILU);
 *     rv_params_commit(params, seed);
 *     rv_tensor r = rv_reward_predict(graph, &reward, latent, action);             // [B, 1]
 */
#ifndef REVERIE_REWARD_H
#define REVERIE_REWARD_H

#include "reverie/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_reward {
    rv_mlp network;
} rv_reward;

RV_API rv_reward rv_reward_add(rv_params *params, const char *name, int64_t latent_size, int64_t action_size,
                               rv_sizes hidden, rv_activation activation);

/* latent [B, Z], action [B, A] -> [B, 1]. */
RV_API rv_tensor rv_reward_predict(rv_graph *graph, const rv_reward *reward, rv_tensor latent, rv_tensor action);

#ifdef __cplusplus
}
#endif
#endif
