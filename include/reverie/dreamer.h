/* reverie/dreamer.h: an agent that learns in imagination, on the world model of world_model.h.
 *
 *     rv_env *env;
 *     rv_env_create("continuous_pendulum", 1, NULL, 0, &env);
 *     rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
 *     rv_agent *agent;
 *     rv_dreamer_create(device, env, &options, &agent);
 *     rv_agent_run(agent, options.steps);                          // acts and learns; agent.h has the rest
 *     rv_agent_destroy(agent);
 *     rv_env_destroy(env);
 *
 * A variational autoencoder turns observations into latents z; dynamics, reward and continue model predict from
 * (z, a); an actor chooses a from z, a critic values z. An update draws windows from the replay for the world model,
 * and further rows whose latents begin imagined trajectories of `horizon` steps, the actor in the loop. After Dreamer
 * (Hafner et al., 2020), with later papers' slow critic, return normaliser, symlog and two-hot values:
 *     R_t = r_t + g_t ((1 - lambda) v(z_{t+1}) + lambda R_{t+1}),  g_t = gamma P(going on),  v the slow critic,
 *     actor: -mean w_t (R_t / S + entropy_weight H_t), its gradient through dynamics and actions (reparameterised),
 *            or -mean w_t (log pi(a_t) (R_t - v_t) / S + ...) where it is REINFORCE; w_t = g_0 … g_{t-1},
 *     critic: mean w_t error(v(z_t), R_t), nothing flows back to latents or returns,
 *     S = max(1, 95 % quantile - 5 % quantile of R), a moving average.
 * Three AdamW with clipped gradients: world model, actor, critic; none of the losses moves another's weights.
 *
 * The first `prefill` steps act at random; from what they gave the world model's normalisers are set, once, and then
 * stay: they are part of a checkpoint. After that every `update_every` steps bring `updates_each` updates.
 */
#ifndef REVERIE_DREAMER_H
#define REVERIE_DREAMER_H

#include "reverie/actor.h"
#include "reverie/agent.h"
#include "reverie/critic.h"
#include "reverie/random.h"
#include "reverie/returns.h"
#include "reverie/world_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the actor learns what its actions bring. */
typedef enum rv_dreamer_gradient {
    RV_DREAMER_BY_KIND = 0,  /* REINFORCE for actions that are choices, else through the dynamics */
    RV_DREAMER_DYNAMICS = 1, /* through dynamics, reward and critic; of choices straight-through */
    RV_DREAMER_REINFORCE = 2 /* by log-probabilities, times the advantage over the critic */
} rv_dreamer_gradient;

/* Best begun from a recipe. Zero means the value of the recipe "default", but for flags, which are then off. */
typedef struct rv_dreamer_options {
    size_t size;                     /* sizeof(rv_dreamer_options) */
    rv_world_model_options model;    /* its observation_size and action_size are the environment's */
    rv_sizes actor_hidden, critic_hidden; /* layers with RMSNorm */
    int plain;                       /* 1: without RMSNorm */
    int64_t critic_bins;             /* odd, 3 or more: two-hot; below 0: one number .. */
    int symlog_value;                /* .. and 1: it is learnt as its symlog */
    int64_t steps;                   /* environment steps of the whole run: the replay has no more room than that */
    int64_t prefill;                 /* steps of random actions at first, at least `window` */
    int64_t replay;                  /* rows at most */
    int64_t update_every, updates_each;
    int64_t batch, window;           /* windows of transitions for the world model, 1 to RV_WINDOW_MAX each */
    float prediction_weight, kl_weight; /* as of rv_world_model_window_loss; below 0: none */
    int64_t imagined, horizon;       /* trajectories of an update, steps of each */
    int draw_latents;                /* 1: imagined latents are drawn, 0: the dynamics' means */
    rv_dreamer_gradient gradient;
    float gamma, lambda;             /* lambda below 0: 0 */
    float entropy_weight;            /* below 0: none */
    int raw_returns;                 /* 1: S = 1 */
    float slow_rate;                 /* of the slow critic; 1: it is the critic */
    float model_rate, actor_rate, critic_rate;   /* learning rates */
    int constant_rates;              /* 1: they stay; 0: they fall along half a cosine, to 0 at the run's last update */
    float model_clip, actor_clip, critic_clip;   /* bounds of the gradients' norms */
    uint64_t seed;                   /* of weights, noise, random actions and the environments (which get seed + i) */
} rv_dreamer_options;

typedef struct rv_dreamer_recipe {
    const char *name, *text;
    rv_dreamer_options options; /* every constant is written out; sizes of the environment and seed are 0 */
} rv_dreamer_recipe;

/* "default" is tuned, "course" has the constants of the course's notebook. NULL where there is none of that name; all
 * of them, the default first. */
RV_API const rv_dreamer_recipe *rv_dreamer_recipe_find(const char *name);
RV_API const rv_dreamer_recipe *rv_dreamer_recipe_list(int *count);

/* Makes everything and resets the environments, which the caller keeps alive and leaves to the agent. options NULL: the
 * recipe "default". On failure *agent still holds the message and must be destroyed (NULL only when not even that much
 * memory was there). Errors: INVALID_ARGUMENT, TOO_LARGE, OUT_OF_MEMORY, and those of environments and plans. */
RV_API rv_status rv_dreamer_create(rv_device *device, rv_env *env, const rv_dreamer_options *options,
                                   rv_agent **agent);

/* What its replay would take, bytes on the device, in `environments` of these spaces. Errors: as rv_replay_bytes. */
RV_API rv_status rv_dreamer_replay_bytes(const rv_dreamer_options *options, const rv_env_spaces *spaces,
                                         int64_t environments, int64_t *bytes);

/* In a checkpoint its weights are "model/…", "actor/…", "critic/…", "slow/…", "returns/…". */

/* ---- parts, the agent's own; NULL where it is of another kind ----------------------------------------------------- */

RV_API const rv_dreamer_options *rv_dreamer_options_get(rv_agent *agent); /* defaults filled in */
RV_API rv_world_model *rv_dreamer_model(rv_agent *agent);
RV_API rv_params *rv_dreamer_actor_params(rv_agent *agent);
RV_API rv_params *rv_dreamer_critic_params(rv_agent *agent);

/* Imagined trajectories from latents [B, Z], time-major: row t * B + b is step t of trajectory b. `noise` is
 * rv_random_state; drawn under "imagine/action" and "imagine/latent". */
typedef struct rv_imagination {
    rv_tensor latent;              /* [(H + 1) B, Z], the first B rows are the start */
    rv_tensor action;              /* [H B, A] */
    rv_tensor log_prob, entropy;   /* [H B, 1] of the actions */
    rv_tensor reward, going_on;    /* [H B, 1]: for the action; gamma times the probability of going on after it */
} rv_imagination;
RV_API rv_imagination rv_dreamer_imagine(rv_graph *graph, rv_agent *agent, rv_tensor latent, int64_t horizon,
                                         rv_tensor noise);

/* Losses of actor and critic on them, [1, 1] each, and the returns [B, H] they are made of. scale [1, 1] is S;
 * RV_NONE: from the moving average of the agent's own, to be kept by rv_returns_keep. */
typedef struct rv_dreamer_behaviour {
    rv_tensor actor, critic, returns;
    rv_tensor entropy; /* [1, 1], mean */
    rv_return_scale scale; /* where it was not given, nor raw_returns set */
} rv_dreamer_behaviour;
RV_API rv_dreamer_behaviour rv_dreamer_behaviour_loss(rv_graph *graph, rv_agent *agent, rv_imagination imagined,
                                                      rv_tensor scale);

#ifdef __cplusplus
}
#endif
#endif
