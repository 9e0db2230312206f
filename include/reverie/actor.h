/* reverie/actor.h: what to do: a network that gives a distribution of actions.
 *
 *     rv_actor_options options = {.size = sizeof options, .kind = RV_ACTOR_BOUNDED_NORMAL, .inputs = D + Z,
 *                                 .action_size = A, .hidden = rv_sizes_of(3, 64)};
 *     rv_actor actor = rv_actor_add(params, "pol", &options);
 *     rv_params_commit(params, seed);
 *
 *     rv_tensor features[2] = {deter, stoch};                     // [B, D], [B, Z]
 *     rv_action drawn = rv_actor_sample(graph, &actor, features, 2, noise, "action", 0);
 *     rv_store(chosen, drawn.action);                             // [B, A]
 *     ...
 *     rv_actor_policy policy = rv_actor_forward(graph, &actor, features, 2);
 *     rv_tensor log_prob = rv_actor_log_prob(policy, rv_stop_gradient(drawn.action));   // [B, 1]
 *     rv_tensor entropy = rv_actor_entropy(policy);               // [B, 1]
 *
 * Kinds, with m and s the two heads' outputs, each over all A columns:
 * RV_ACTOR_BOUNDED_NORMAL, DreamerV3's (Hafner et al., 2023, heads.py: bounded_normal): Normal(tanh(m), std),
 *     std = (max_std - min_std) sigmoid(s + 2) + min_std. Actions are not squashed; the environment clips them.
 * RV_ACTOR_TANH_NORMAL, soft actor-critic's (Haarnoja et al., 2018): tanh(u), u ~ Normal(m, std), its log-probability
 *     with the correction -sum 2 (log 2 - u - softplus(-2 u)); log std = log min_std + log(max_std / min_std) sigmoid(s
 *     + c), c so that s = 0 gives initial_std.
 * RV_ACTOR_CATEGORICAL: one-hot, p = (1 - unimix) softmax(m) + unimix / classes.
 *
 * Like rv_mlp an actor is a plain description that owns nothing. Continuous actions are meant for [-1, 1];
 * rv_actor_to_env gives an environment's own units.
 */
#ifndef REVERIE_ACTOR_H
#define REVERIE_ACTOR_H

#include "reverie/dense.h"
#include "reverie/env.h"
#include "reverie/ops_dreamer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_actor_kind {
    RV_ACTOR_BOUNDED_NORMAL = 0,
    RV_ACTOR_TANH_NORMAL = 1,
    RV_ACTOR_CATEGORICAL = 2
} rv_actor_kind;

/* Zero means default: that of the bounded normal, after the bar that of the tanh-normal. */
typedef struct rv_actor_options {
    size_t size; /* sizeof(rv_actor_options) */
    rv_actor_kind kind;
    int64_t inputs;      /* columns of all features together; no default */
    int64_t action_size; /* columns of an action; no default */
    int64_t classes;     /* categorical: action_size, which is one variable; else it must divide it */
    rv_sizes hidden;     /* 3 layers of 64 */
    int plain;           /* 1: layers are Linear and activation; 0: with RMSNorm between */
    rv_activation activation; /* RV_SILU (RV_LINEAR = 0 counts as default) */
    float outscale;           /* 0.01 (below 0: heads start at zero) */
    float unimix;             /* 0.01 (below 0: none) */
    float min_std, max_std;   /* 0.1, 1 | exp(-5), exp(2) */
    float initial_std;        /* what s = 0 gives: 0.893 (sigmoid(2) between the two) | 1 */
    float mean_bound;         /* tanh-normal: 0, none; b: u's mean is b tanh(m / b) (Dreamer 1: 5) */
} rv_actor_options;

typedef struct rv_actor {
    rv_params *params;
    rv_actor_options options; /* defaults filled in */
    rv_mlp trunk;
    rv_layer head, std; /* mean or logits; std where there is one */
} rv_actor;

/* Adds layers "name/0" …, then "name/mean" and "name/std", or "name/logits": as in docs/audit.md. Mistakes, also in
 * the options, are kept by the set: rv_params_commit answers with them. */
RV_API rv_actor rv_actor_add(rv_params *params, const char *name, const rv_actor_options *options);

/* ---- distributions ----------------------------------------------------------------------------------------------- */

typedef struct rv_actor_policy {
    rv_actor_kind kind;
    int64_t classes;
    float unimix;
    rv_tensor mean, std; /* [B, A]; the tanh-normal's are of u */
    rv_tensor logits;    /* [B, A], before unimix */
} rv_actor_policy;

/* One to four features side by side, [B, inputs] together. */
RV_API rv_actor_policy rv_actor_forward(rv_graph *graph, const rv_actor *actor, const rv_tensor *features, int count);

/* An action [B, A] with its log-probability [B, 1] and the entropy [B, 1]: of a normal and of classes in closed
 * form, of a tanh-normal the estimate -log_prob from this one sample, which is unbiased. Gradients: a normal's
 * action is mean + std * noise, and they flow through it, log_prob and entropy to mean and std (reparameterised); a
 * categorical action is straight-through, its log_prob's gradient that with the draw held fixed. For a
 * score-function loss (REINFORCE, DreamerV3) ask rv_actor_log_prob of the stopped action. */
typedef struct rv_action {
    rv_tensor action, log_prob, entropy;
} rv_action;

/* `noise` is rv_random_state, for a draw by `name` and `t`; or the noise itself, f32: standard normals [B, A], for
 * classes uniforms [B, A / classes], and then name and t do not count. */
RV_API rv_action rv_actor_draw(rv_actor_policy policy, rv_tensor noise, const char *name, uint32_t t);

/* rv_actor_forward and rv_actor_draw. */
RV_API rv_action rv_actor_sample(rv_graph *graph, const rv_actor *actor, const rv_tensor *features, int count,
                                 rv_tensor noise, const char *name, uint32_t t);

/* Log-probability [B, 1] of actions [B, A]. A tanh-normal's are taken to lie within 1 - 1e-6 of 0. */
RV_API rv_tensor rv_actor_log_prob(rv_actor_policy policy, rv_tensor action);

/* Entropy [B, 1] in closed form; a tanh-normal has none: UNSUPPORTED. */
RV_API rv_tensor rv_actor_entropy(rv_actor_policy policy);

/* [B, A]: the mean, tanh of u's mean, the likeliest class as one-hot (without a gradient). */
RV_API rv_tensor rv_actor_mode(rv_actor_policy policy);

/* ---- an environment's actions, on the host ----------------------------------------------------------------------- */

/* Columns of an action that a policy needs for an environment: its own, or one for every choice. */
RV_API int64_t rv_actor_action_size(const rv_env_spaces *spaces);

/* Rows of policy's actions [rows, rv_actor_action_size] to the environment's [rows, action_size]: clipped to [-1, 1]
 * and stretched to its bounds; the first largest of every group of choices as its number. And back (without the
 * clip): numbers to one-hot groups. `from` and `to` must not overlap. NaN stays NaN. */
RV_API void rv_actor_to_env(const rv_env_spaces *spaces, int64_t rows, const float *from, float *to);
RV_API void rv_actor_from_env(const rv_env_spaces *spaces, int64_t rows, const float *from, float *to);

#ifdef __cplusplus
}
#endif
#endif
