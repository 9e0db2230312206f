/* envs/dmc_cartpole.c: the Control Suite's cart and pole: balance and swing-up, with dense and sparse rewards.
 *
 * dm_control's suite/cartpole.py and cartpole.xml: a cart of 1 kg on a slider, a pole of 0.1 kg and 1 m on its hinge, a
 * force of 10 N times the action, 0.01 s steps, Runge-Kutta of fourth order under a held force. theta is 0 upright.
 *     [M + m      m l cos  ] [x''    ]   [10 action - 5e-4 x' + m l theta'^2 sin]
 *     [m l cos    Ic + m l2] [theta''] = [m g l sin - 2e-6 theta'               ]
 * Beyond +-1.8 m MuJoCo's soft limit pushes the cart back (MuJoCo's documentation, chapter Computation: a constraint of
 * one dimension, which has a closed form).
 *
 * Reward, of where the step led and of the action that led there: dense, a product of being upright, in the middle, of
 * a small action and of a slow pole; sparse, 1 within 0.25 m of the middle and cos theta >= 0.995, else 0.
 */
#include "envs/dmc.h"
#include "envs/table.h"

enum { X, THETA, X_DOT, THETA_DOT, COORDINATES };
enum { POSITION, COSINE, SINE, VELOCITY, SPEED, OBSERVED };

static const double gravity = 9.81, full_force = 10.0, slider_damping = 5e-4, hinge_damping = 2e-6, tau = 0.01;
static const double mass_total = 1.1, mass_length = 0.05;         /* M + m in kg; m l in kg m, l half of the pole */
static const double pole_inertia = 0.009424592767295598 + 0.025;  /* at the hinge in kg m^2: a capsule's own, and m l^2 */

/* ---- motion -------------------------------------------------------------------------------------------------- */

/* The mass matrix of one angle, inverted. */
typedef struct inverse {
    double x_x, x_theta, theta_theta;
} inverse;

static inverse inverse_mass(double cosine) {
    const double coupling = mass_length * cosine;
    const double determinant = mass_total * pole_inertia - coupling * coupling;
    return (inverse){pole_inertia / determinant, -coupling / determinant, mass_total / determinant};
}

/* The force that the slider's soft limit adds, in N; 0 within +-1.8 m. `x_free` is the acceleration without it. MuJoCo
 * asks for the acceleration of a critically damped spring, and gets it but for what an impedance below 1 gives way:
 * solref 0.08 s and 1; solimp 0.9, 0.95, 0.001 m, midpoint 0.5, power 2. */
static double limit_force(double x, double x_dot, double x_free, double inverse_x) {
    const double reach = 1.8, width = 0.001, impedance_low = 0.9, impedance_high = 0.95, time_constant = 0.08;
    const double inverse_upright = 0.9733520544614128; /* inverse_mass(1).x_x: MuJoCo scales by the first pose's */
    const double side = x > 0.0 ? 1.0 : -1.0, left = reach - side * x;
    if (left >= 0.0) return 0.0;
    const double depth = fmin(-left / width, 1.0);
    const double shape = depth <= 0.5 ? 2.0 * depth * depth : 1.0 - 2.0 * (1.0 - depth) * (1.0 - depth);
    const double impedance = impedance_low + (impedance_high - impedance_low) * shape;
    const double damping = 2.0 / (impedance_high * time_constant);
    const double stiffness = 1.0 / (impedance_high * impedance_high * time_constant * time_constant);
    /* positive towards the middle, as `push` is */
    const double wanted = damping * side * x_dot - stiffness * impedance * left;
    const double give = (1.0 - impedance) / impedance * inverse_upright;
    const double push = (wanted + side * x_free) / (inverse_x + give);
    return push > 0.0 ? -side * push : 0.0;
}

/* d at / dt: the velocities, then the accelerations. */
static void rate_of_change(const double *at, double force, double *rate) {
    const double sine = sin(at[THETA]), cosine = cos(at[THETA]);
    const inverse inverse = inverse_mass(cosine);
    const double on_hinge = gravity * mass_length * sine - hinge_damping * at[THETA_DOT];
    double on_slider = force - slider_damping * at[X_DOT] + mass_length * at[THETA_DOT] * at[THETA_DOT] * sine;
    const double x_free = inverse.x_x * on_slider + inverse.x_theta * on_hinge;
    on_slider += limit_force(at[X], at[X_DOT], x_free, inverse.x_x);
    rate[X] = at[X_DOT];
    rate[THETA] = at[THETA_DOT];
    rate[X_DOT] = inverse.x_x * on_slider + inverse.x_theta * on_hinge;
    rate[THETA_DOT] = inverse.x_theta * on_slider + inverse.theta_theta * on_hinge;
}

/* One step of the classical fourth-order method of Runge and Kutta. */
static void move(double *at, double force) {
    static const double ahead[] = {0.5, 0.5, 1.0}, share[] = {1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0};
    double rate[COORDINATES], sum[COORDINATES] = {0}, probe[COORDINATES];
    for (int c = 0; c < COORDINATES; c++) probe[c] = at[c];
    for (int stage = 0; stage < 4; stage++) {
        rate_of_change(probe, force, rate);
        for (int c = 0; c < COORDINATES; c++) {
            sum[c] += share[stage] * rate[c];
            if (stage < 3) probe[c] = at[c] + tau * ahead[stage] * rate[c];
        }
    }
    for (int c = 0; c < COORDINATES; c++) at[c] += tau * sum[c];
}

static double step_dense(double *at, double action) {
    move(at, full_force * action);
    const double upright = (1.0 + cos(at[THETA])) / 2.0;
    const double centred = (1.0 + rv_dmc_gaussian(at[X], 2.0)) / 2.0;
    const double small_action = (4.0 + rv_dmc_quadratic(action, 1.0)) / 5.0;
    const double slow = (1.0 + rv_dmc_gaussian(at[THETA_DOT], 5.0)) / 2.0;
    return upright * centred * small_action * slow;
}

static double step_sparse(double *at, double action) {
    move(at, full_force * action);
    return rv_dmc_within(at[X], -0.25, 0.25) * rv_dmc_within(cos(at[THETA]), 0.995, 1.0);
}

/* ---- starts and what is seen ------------------------------------------------------------------------------------ */

static void start_hanging(uint64_t *random, double *at) {
    for (int c = 0; c < COORDINATES; c++) at[c] = 0.01 * rv_dmc_normal(random);
    at[THETA] += M_PI;
}

static void start_upright(uint64_t *random, double *at) {
    at[X] = rv_env_random_uniform(random, -0.1, 0.1);
    at[THETA] = rv_env_random_uniform(random, -0.034, 0.034);
    at[X_DOT] = 0.01 * rv_dmc_normal(random);
    at[THETA_DOT] = 0.01 * rv_dmc_normal(random);
}

static void observe(const double *at, float *observation) {
    observation[POSITION] = (float)at[X];
    observation[COSINE] = (float)cos(at[THETA]);
    observation[SINE] = (float)sin(at[THETA]);
    observation[VELOCITY] = (float)at[X_DOT];
    observation[SPEED] = (float)at[THETA_DOT];
}

/* ---- tasks -------------------------------------------------------------------------------------------------------- */

static const char *const observation_names[OBSERVED] = {"cart position", "cos pole angle", "sin pole angle", "cart velocity",
                                                        "pole angular velocity"};
static const char *const action_names[] = {"push"};
static const float high[OBSERVED] = {INFINITY, 1.0f, 1.0f, INFINITY, INFINITY};
static const float low[OBSERVED] = {-INFINITY, -1.0f, -1.0f, -INFINITY, -INFINITY};

#define TASK(begin, reward)                                                                                            \
    {.coordinates = COORDINATES, .observed = OBSERVED, .step_seconds = 0.01, .observation_names = observation_names,   \
     .action_names = action_names, .observation_low = low, .observation_high = high,                                   \
     .start = begin, .step = reward, .observe = observe}

static const rv_dmc_task balance = TASK(start_upright, step_dense), balance_sparse = TASK(start_upright, step_sparse);
static const rv_dmc_task swingup = TASK(start_hanging, step_dense), swingup_sparse = TASK(start_hanging, step_sparse);

static int create_balance(const double *options, int64_t count, void **state) { return rv_dmc_create(&balance, options, count, state); }
static int create_balance_sparse(const double *options, int64_t count, void **state) { return rv_dmc_create(&balance_sparse, options, count, state); }
static int create_swingup(const double *options, int64_t count, void **state) { return rv_dmc_create(&swingup, options, count, state); }
static int create_swingup_sparse(const double *options, int64_t count, void **state) { return rv_dmc_create(&swingup_sparse, options, count, state); }

const rv_env_table rv_env_dmc_cartpole_balance =
    RV_DMC_TABLE("dmc_cartpole_balance", "hold a pole upright on a cart in the middle by pushing it with up to 10 N", create_balance);
const rv_env_table rv_env_dmc_cartpole_balance_sparse =
    RV_DMC_TABLE("dmc_cartpole_balance_sparse", "hold a pole upright on a cart; 1 within 0.25 m of the middle and close to upright, else 0", create_balance_sparse);
const rv_env_table rv_env_dmc_cartpole_swingup =
    RV_DMC_TABLE("dmc_cartpole_swingup", "swing a hanging pole up by pushing its cart with up to 10 N, and hold it", create_swingup);
const rv_env_table rv_env_dmc_cartpole_swingup_sparse =
    RV_DMC_TABLE("dmc_cartpole_swingup_sparse", "swing a hanging pole up; 1 within 0.25 m of the middle and close to upright, else 0", create_swingup_sparse);
