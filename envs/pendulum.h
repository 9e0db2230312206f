/* envs/pendulum.h: the pendulum's state, and its inner loops, compiled once per instruction set. */
#ifndef RV_ENVS_PENDULUM_H
#define RV_ENVS_PENDULUM_H

#include <stdint.h>

enum { RV_PENDULUM_OBSERVED = 3 }; /* cos theta, sin theta, angular velocity */

typedef struct rv_pendulum {
    int64_t count;
    double gravity;
    int64_t max_steps;
    double *theta;     /* [count], radians from upright, in [-pi, pi] */
    double *theta_dot; /* [count] */
    uint64_t *random;  /* [count] */
    int64_t *end;      /* [count]: the clock when its episode is truncated */
    double *sine;      /* [count], of theta: what the observation showed drives the next step */
    int64_t clock;     /* steps of the batch so far */
    int64_t soonest;   /* least of end */
    void *memory;
} rv_pendulum;

typedef struct rv_pendulum_code {
    void (*step)(rv_pendulum *env, const float *action, float *observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated);
    /* Begins episodes in the rows of the mask (NULL: all), from seeds where there are any. */
    void (*reset)(rv_pendulum *env, const uint8_t *mask, const uint64_t *seed, float *observation);
    /* Observations of every row, and its sine. */
    void (*observe)(rv_pendulum *env, float *observation);
} rv_pendulum_code;

extern const rv_pendulum_code rv_pendulum_code_baseline;
#if defined(__x86_64__)
extern const rv_pendulum_code rv_pendulum_code_avx2, rv_pendulum_code_avx512;
#endif

#endif
