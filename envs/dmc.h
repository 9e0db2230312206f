/* envs/dmc.h: what the tasks of the DeepMind Control Suite share: an episode that only time ends, after 1000 steps, one
 * action between -1 and 1, and rewards between 0 and 1 made of soft bounds.
 *
 * Tassa et al. (2018), arXiv:1801.00690. The motion is MuJoCo's, written out for each task: coordinates are float64, and
 * only what goes out (observation, reward) is rounded to float32. A task is one rv_dmc_task; envs/dmc.c makes a batch of it.
 */
#ifndef RV_ENVS_DMC_H
#define RV_ENVS_DMC_H

#include <math.h>

#include "reverie/env.h"

enum { RV_DMC_COORDINATES_MAX = 4 };

typedef struct rv_dmc_task {
    int coordinates, observed; /* how many numbers the state has, and the observation */
    double step_seconds;
    const char *const *observation_names, *const *action_names; /* [observed], [1] */
    const float *observation_low, *observation_high;            /* [observed] */
    void (*start)(uint64_t *random, double *at);    /* at [coordinates], drawn anew */
    double (*step)(double *at, double action);      /* moves at; the reward is that of where it led */
    void (*observe)(const double *at, float *observation);
} rv_dmc_task;

/* The functions of a task's table (reverie/env.h); its `create` names the task. */
int rv_dmc_create(const rv_dmc_task *task, const double *options, int64_t count, void **state);
void rv_dmc_destroy(void *state);
void rv_dmc_spaces(const void *state, rv_env_spaces *spaces);
void rv_dmc_reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation);
void rv_dmc_step(void *state, const float *action, float *next_observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated);
size_t rv_dmc_state_size(const void *state);
void rv_dmc_save(const void *state, void *bytes);
int rv_dmc_load(void *state, const void *bytes, float *observation);

enum { RV_DMC_MAX_STEPS, RV_DMC_OPTION_COUNT };
extern const rv_env_option rv_dmc_options[RV_DMC_OPTION_COUNT];

#define RV_DMC_TABLE(title, summary, make)                                                                             \
    {.abi = RV_ENV_ABI, .size = sizeof(rv_env_table), .name = title, .text = summary, .options = rv_dmc_options,       \
     .option_count = RV_DMC_OPTION_COUNT, .create = make, .destroy = rv_dmc_destroy, .spaces = rv_dmc_spaces,          \
     .reset = rv_dmc_reset, .step = rv_dmc_step, .state_size = rv_dmc_state_size, .save = rv_dmc_save, .load = rv_dmc_load}

/* ---- rewards: dm_control's `tolerance` (utils/rewards.py) ----------------------------------------------- */

/* 1 in the middle, 0.1 at a distance of one margin. */
static inline double rv_dmc_gaussian(double distance, double margin) {
    const double d = distance / margin;
    return pow(0.1, d * d);
}

/* 1 in the middle, 0 from a distance of one margin on. */
static inline double rv_dmc_quadratic(double distance, double margin) {
    const double d = distance / margin;
    return fmax(0.0, 1.0 - d * d);
}

/* No margin: 1 within the bounds, else 0. */
static inline double rv_dmc_within(double value, double low, double high) {
    return value >= low && value <= high ? 1.0 : 0.0;
}

/* ---- starts ----------------------------------------------------------------------------------------------- */

/* Normal with mean 0 and variance 1 (Box and Muller, 1958); two draws. */
static inline double rv_dmc_normal(uint64_t *random) {
    const double radius = sqrt(-2.0 * log(1.0 - rv_env_random_uniform(random, 0.0, 1.0)));
    return radius * cos(rv_env_random_uniform(random, 0.0, 2.0 * M_PI));
}

#endif
