/* envs/dmc_pendulum.c: the Control Suite's pendulum, which a torque too weak to lift it swings up.
 *
 * dm_control's suite/pendulum.py and pendulum.xml: a mass of 1 kg at 0.5 m, a torque of the action in N m (gravity pulls
 * with up to 4.9), 0.02 s steps, Euler with the damping taken implicitly. theta is 0 upright and counts turns.
 *     I theta'' = m g l sin theta - b theta' + action
 * Starts at rest, anywhere. Reward 1 within 8 degrees of upright, else 0, of where the step led.
 */
#include "envs/dmc.h"
#include "envs/table.h"

enum { THETA, THETA_DOT, COORDINATES };
enum { COSINE, SINE, SPEED, OBSERVED };

static const double inertia = 0.251; /* kg m^2 at the hinge: the mass's 0.25, and 0.001 of its own */
static const double gravity = 9.81, mass = 1.0, length = 0.5, damping = 0.1, tau = 0.02;
static const double cosine_bound = 0.9902680687415704; /* of 8 degrees */

static void start(uint64_t *random, double *at) {
    at[THETA] = rv_env_random_uniform(random, -M_PI, M_PI);
    at[THETA_DOT] = 0.0;
}

static double step(double *at, double action) {
    const double torque = mass * gravity * length * sin(at[THETA]) - damping * at[THETA_DOT] + action;
    at[THETA_DOT] += tau * torque / (inertia + tau * damping);
    at[THETA] += tau * at[THETA_DOT];
    return rv_dmc_within(cos(at[THETA]), cosine_bound, 1.0);
}

static void observe(const double *at, float *observation) {
    observation[COSINE] = (float)cos(at[THETA]);
    observation[SINE] = (float)sin(at[THETA]);
    observation[SPEED] = (float)at[THETA_DOT];
}

static const char *const observation_names[OBSERVED] = {"cos angle", "sin angle", "angular velocity"};
static const char *const action_names[] = {"torque"};
static const float high[OBSERVED] = {1.0f, 1.0f, INFINITY}, low[OBSERVED] = {-1.0f, -1.0f, -INFINITY};

static const rv_dmc_task swingup = {
    .coordinates = COORDINATES, .observed = OBSERVED, .step_seconds = 0.02, .observation_names = observation_names,
    .action_names = action_names, .observation_low = low, .observation_high = high,
    .start = start, .step = step, .observe = observe,
};

static int create(const double *options, int64_t count, void **state) { return rv_dmc_create(&swingup, options, count, state); }

const rv_env_table rv_env_dmc_pendulum_swingup =
    RV_DMC_TABLE("dmc_pendulum_swingup", "swing a pendulum up and hold it within 8 degrees of upright with a torque of up to 1 N m", create);
