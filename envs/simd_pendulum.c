/* envs/simd_pendulum.c: the pendulum's loops, plain C that compilers turn into vector code; compiled once per instruction set. */
#include "envs/pendulum.h"

#include <string.h>

#include "reverie/env.h"

#ifndef RV_ISA
#define RV_ISA baseline
#endif
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

#if defined(__FMA__)
#define FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
#define INLINE static inline __attribute__((always_inline))

static const double dt = 0.05, max_speed = 8.0;

/* An angle less its whole turns: in [-pi, pi]. Beside 1.5 * 2^52 a double holds whole numbers only. */
INLINE double wrap(double angle) {
    const double turns = FMA(angle, 0x1.45f306dc9c883p-3, 0x1.8p52) - 0x1.8p52;
    return FMA(turns, -0x1.921fb54442d18p+2, angle);
}

/* Sine and cosine of x in [-pi, pi], from those of its half: polynomials through the Chebyshev nodes of
 * [0, (pi/2)^2], off by less than 2e-16; both results within 1e-15. */
INLINE void sine_cosine(double x, double *sine, double *cosine) {
    const double half = 0.5 * x, y = half * half;
    double s = -0x1.9f241fcbfca1fp-41, c = 0x1.9f23c6262c74bp-45;
    c = FMA(c, y, -0x1.9350a43729003p-37);
    s = FMA(s, y, 0x1.60e727f4571e8p-33);
    c = FMA(c, y, 0x1.1eecdf3980b2ap-29);
    s = FMA(s, y, -0x1.ae63578ccf2acp-26);
    c = FMA(c, y, -0x1.27e4f97932bbcp-22);
    s = FMA(s, y, 0x1.71de380899061p-19);
    c = FMA(c, y, 0x1.a01a01994c340p-16);
    s = FMA(s, y, -0x1.a01a019a541c3p-13);
    c = FMA(c, y, -0x1.6c16c16c09b4ep-10);
    s = FMA(s, y, 0x1.1111111109f2dp-7);
    c = FMA(c, y, 0x1.55555555553c4p-5);
    s = FMA(s, y, -0x1.555555555547fp-3);
    c = FMA(c, y, -0x1.ffffffffffffbp-2);
    s = FMA(s, y * half, half);
    c = FMA(c, y, 1.0);
    const double twice = s + s;
    *sine = twice * c;
    *cosine = FMA(-twice, s, 1.0);
}

INLINE double clip(double x, double limit) { return __builtin_fabs(x) > limit ? __builtin_copysign(limit, x) : x; }

enum { BLOCK = 256 };

/* Steps `count` rows from `begin` on. The observation is gathered by column before it is written in rows. */
static void block(rv_pendulum *env, double pull, int64_t begin, int64_t count, const float *restrict action,
                  float *restrict observation, float *restrict reward) {
    double *restrict theta = env->theta + begin, *restrict theta_dot = env->theta_dot + begin, *restrict sines = env->sine + begin;
    float column[RV_PENDULUM_OBSERVED][BLOCK];
    for (int64_t i = 0; i < count; i++) {
        const double torque = (double)action[i], angle = theta[i], before = theta_dot[i];
        const double paid = FMA(-angle, angle, FMA(-0.1 * before, before, -0.001 * torque * torque));
        const double speed = clip(FMA(pull * dt, sines[i], FMA(3.0 * dt, torque, before)), max_speed);
        const double after = wrap(FMA(speed, dt, angle));
        double sine, cosine;
        sine_cosine(after, &sine, &cosine);
        theta[i] = after;
        theta_dot[i] = speed;
        sines[i] = sine;
        column[0][i] = (float)cosine;
        column[1][i] = (float)sine;
        column[2][i] = (float)speed;
        reward[i] = (float)paid;
    }
    for (int64_t i = 0; i < count; i++) {
        for (int d = 0; d < RV_PENDULUM_OBSERVED; d++) observation[i * RV_PENDULUM_OBSERVED + d] = column[d][i];
    }
}

static void step(rv_pendulum *env, const float *action, float *observation, float *reward, uint8_t *terminated,
                 uint8_t *truncated) {
    const int64_t count = env->count;
    const double pull = 3.0 * env->gravity / 2.0;
    for (int64_t begin = 0; begin < count; begin += BLOCK) {
        const int64_t end = begin + BLOCK < count ? begin + BLOCK : count;
        block(env, pull, begin, end - begin, action + begin, observation + begin * RV_PENDULUM_OBSERVED, reward + begin);
    }
    const size_t rows = (size_t)(count > 0 ? count : 0);
    env->clock++;
    memset(terminated, 0, rows);
    memset(truncated, 0, rows);
    if (env->clock < env->soonest) return;
    for (int64_t i = 0; i < count; i++) truncated[i] = env->clock >= env->end[i];
}

static void find_soonest(rv_pendulum *env) {
    env->soonest = INT64_MAX;
    for (int64_t i = 0; i < env->count; i++) env->soonest = env->end[i] < env->soonest ? env->end[i] : env->soonest;
}

INLINE void observe_row(rv_pendulum *env, int64_t i, float *observation) {
    double cosine;
    sine_cosine(env->theta[i], &env->sine[i], &cosine);
    observation[3 * i + 0] = (float)cosine;
    observation[3 * i + 1] = (float)env->sine[i];
    observation[3 * i + 2] = (float)env->theta_dot[i];
}

static void reset(rv_pendulum *env, const uint8_t *mask, const uint64_t *seed, float *observation) {
    const double pi = 0x1.921fb54442d18p+1;
    for (int64_t i = 0; i < env->count; i++) {
        if (mask && !mask[i]) continue;
        if (seed) env->random[i] = rv_env_random_seed(seed[i]);
        env->theta[i] = rv_env_random_uniform(&env->random[i], -pi, pi);
        env->theta_dot[i] = rv_env_random_uniform(&env->random[i], -1.0, 1.0);
        env->end[i] = env->clock + env->max_steps;
        observe_row(env, i, observation);
    }
    find_soonest(env);
}

static void observe(rv_pendulum *env, float *observation) {
    for (int64_t i = 0; i < env->count; i++) observe_row(env, i, observation);
    find_soonest(env);
}

const rv_pendulum_code PASTE(rv_pendulum_code, RV_ISA) = {step, reset, observe};
