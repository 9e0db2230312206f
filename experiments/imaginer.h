/* experiments/imaginer.h: what a model imagines, beside what really happens, whatever kind of agent or model it is.
 *
 *     imaginer im = dreamer_imaginer(job.agent, &job.spaces);
 *     episodes real = {0};
 *     dream dream = {0};
 *     int code = imaginer_act(&im, env, steps, seed, &real);
 *     if (code == EXIT_OK) code = imaginer_dream(&im, &real, &(dream_options){...}, &dream);
 *     dream_free(&dream);
 *     episodes_free(&real);
 *
 * Rows are time-major: step t of row i is row t * rows + i. Actions are those of a policy (rv_actor_to_env gives the
 * environment's own), where there is one.
 */
#ifndef EXPERIMENTS_IMAGINER_H
#define EXPERIMENTS_IMAGINER_H

#include <stdbool.h>

#include "reverie/dataset.h"
#include "reverie/dreamer.h"
#include "reverie/dreamer_v3_agent.h"

/* What a kind of run records. B rows, of which `context` steps are seen. */
typedef struct imaginer_context {
    int64_t steps, rows;
    rv_tensor observation, action, is_first; /* [steps * B, ..]; the last action is not part of what was seen */
} imaginer_context;

/* H steps on. A sum of rewards counts reward t as often as going_on of the steps before it, multiplied. */
typedef struct imaginer_tensors {
    rv_tensor observation;      /* [H B, O]: what the steps lead to, decoded, in its own units */
    rv_tensor latent;           /* [(H + 1) B, Z]: first what the context led to */
    rv_tensor action;           /* [H B, A] */
    rv_tensor reward, going_on; /* [H B, 1]: for the action; discount and chance of going on after it */
} imaginer_tensors;

typedef struct imaginer {
    rv_device *device;
    const rv_env_spaces *spaces;
    int64_t observation_size, action_size;
    int64_t context; /* observations that it should see before it imagines: 1 where it remembers nothing */
    double gamma;    /* discount of a step */
    void *self;

    /* Records a step of the policy, with drawn actions; NULL: there is none. State that lasts is stored in `memory`,
     * which begins as zeros: [B, memory_size]. */
    int64_t memory_size;
    rv_tensor (*act)(void *self, rv_graph *graph, rv_tensor observation, rv_tensor is_first, rv_array *memory,
                     rv_tensor noise);

    /* Under actions [H B, A], or, where they are RV_NONE, under those of the policy. */
    imaginer_tensors (*imagine)(void *self, rv_graph *graph, const imaginer_context *context, rv_tensor actions,
                                int64_t steps, rv_tensor noise);
} imaginer;

/* Of an agent of that kind. */
imaginer dreamer_imaginer(rv_agent *agent, const rv_env_spaces *spaces);
imaginer dreamer_v3_imaginer(rv_agent *agent, const rv_env_spaces *spaces);

/* Without a policy; actions are the environment's own. */
imaginer sequence_imaginer(rv_sequence_model *model, const rv_env_spaces *spaces);

/* ---- what really happens -------------------------------------------------------------------------------------- */

typedef struct episodes {
    int64_t rows, steps, observation_size, action_size;
    float *observation; /* [(steps + 1) * rows, O] */
    float *action;      /* [steps * rows, A] */
    float *reward;      /* [steps * rows] */
    float *is_first;    /* [(steps + 1) * rows]: an episode begins with this observation */
} episodes;

/* Acts with the policy, drawn actions, in every environment of `env`, from `seed` on: environments of the run's
 * spaces. Prints what is wrong; an exit code. Free them after either. */
int imaginer_act(const imaginer *im, rv_env *env, int64_t steps, uint64_t seed, episodes *real);


/* The first `rows` of collected episodes that go on behind a context, `steps` transitions of each; what is behind an
 * earlier end is zero. */
int imaginer_take(const imaginer *im, const rv_dataset *data, int64_t rows, int64_t context, int64_t steps,
                  episodes *real);
void episodes_free(episodes *real);

/* How many steps from observation `from` on belong to the episode that it is of, and were acted. */
int64_t episodes_length(const episodes *real, int64_t row, int64_t from);

/* ---- what is imagined ------------------------------------------------------------------------------------------ */

typedef struct dream_options {
    int64_t context, steps;
    int64_t rows, samples; /* of the first `rows` episodes, `samples` times each: row i is of episode i / samples */
    bool policy;           /* imagined actions; else those really taken */
    uint64_t seed;         /* of the draws */
} dream_options;

typedef struct dream {
    int64_t rows, steps, observation_size, action_size, latent_size;
    float *observation, *latent, *action, *reward, *going_on; /* as imaginer_tensors has them */
} dream;

/* From the observation behind the context on. Prints what is wrong; an exit code. Free it after either. */
int imaginer_dream(const imaginer *im, const episodes *real, const dream_options *options, dream *dream);
void dream_free(dream *dream);

#endif
