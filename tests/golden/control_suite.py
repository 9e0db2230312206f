"""Writes dmc_cartpole.npy and dmc_pendulum.npy: trajectories of the Control Suite's tasks in float64, from the equations.

    python3 tests/golden/control_suite.py tests/golden       (needs numpy)

One row a state: the state, the action taken in it, and the rewards of where it led; the next row is where it led. The row
that ends a trajectory has NaN for an action. Actions are exact in float32.
    dmc_cartpole.npy   x, theta, x_dot, theta_dot, action, dense reward, sparse reward
    dmc_pendulum.npy   theta, theta_dot, action, reward
Accelerations are solved as the linear systems they come from, not in the closed form that the environments use.

Where mujoco and dm_control are installed, the simulators are asked as well: each step from each row's state, each reward
from dm_control's own task, and 150 steps on their own from each trajectory's start. mujoco 3.3.7 with dm_control 1.0.34
gave, as largest differences over max(1, |value|):
    cartpole   one step 2.2e-16, likewise in 1081 steps beyond the slider's limit; rewards 3.9e-16; 150 steps 1.1e-14
    pendulum   one step 2.2e-16; rewards 0; 150 steps 3.8e-12
"""
import math
import sys

import numpy

END = float("nan")

# ---- cart and pole ------------------------------------------------------------------------------------

CART, POLE, HALF, GRAVITY, STEP = 1.0, 0.1, 0.5, 9.81, 0.01
POLE_ITSELF = 0.009424592767295598  # moment of inertia of the capsule about its middle
SLIDER_DAMPING, HINGE_DAMPING = 5e-4, 2e-6
SLIDER, HINGE = numpy.array([1.0, 0.0]), numpy.array([0.0, 1.0])


def mass_matrix(theta):
    coupling = POLE * HALF * math.cos(theta)
    return numpy.array([[CART + POLE, coupling], [coupling, POLE_ITSELF + POLE * HALF**2]])


def limit_force(x, x_dot, free, mass):
    """MuJoCo's soft joint limit at +-1.8, its constraint of one dimension solved exactly; a force on the slider."""
    total = 0.0
    for sign in (1.0, -1.0):
        position = 1.8 + sign * x
        if position >= 0.0:
            continue
        y = min(-position / 0.001, 1.0)
        impedance = 0.9 + 0.05 * (2 * y**2 if y <= 0.5 else 1 - 2 * (1 - y) ** 2)
        b, k = 2 / (0.95 * 0.08), 1 / (0.95 * 0.08) ** 2
        reference = -b * sign * x_dot - k * impedance * position
        at_first_pose = numpy.linalg.solve(mass_matrix(0.0), SLIDER)[0]
        regulariser = (1 - impedance) / impedance * at_first_pose
        response = numpy.linalg.solve(mass, SLIDER)[0]
        total += sign * max(0.0, (reference - sign * free) / (response + regulariser))
    return total


def acceleration(position, velocity, control):
    x, theta = position
    x_dot, theta_dot = velocity
    mass = mass_matrix(theta)
    force = (10.0 * control - SLIDER_DAMPING * x_dot + POLE * HALF * theta_dot**2 * math.sin(theta)) * SLIDER
    force = force + (POLE * GRAVITY * HALF * math.sin(theta) - HINGE_DAMPING * theta_dot) * HINGE
    free = numpy.linalg.solve(mass, force)
    return numpy.linalg.solve(mass, force + limit_force(x, x_dot, free[0], mass) * SLIDER)


def cartpole_step(state, control):
    position, velocity = numpy.array(state[:2]), numpy.array(state[2:])
    v1, a1 = velocity, acceleration(position, velocity, control)
    v2 = velocity + STEP / 2 * a1
    a2 = acceleration(position + STEP / 2 * v1, v2, control)
    v3 = velocity + STEP / 2 * a2
    a3 = acceleration(position + STEP / 2 * v2, v3, control)
    v4 = velocity + STEP * a3
    a4 = acceleration(position + STEP * v3, v4, control)
    position = position + STEP / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    velocity = velocity + STEP / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
    return [*map(float, position), *map(float, velocity)]


def cartpole_rewards(state, control):
    x, theta, _, theta_dot = state
    upright = (math.cos(theta) + 1) / 2
    centred = (1 + 0.1 ** ((x / 2) ** 2)) / 2
    small = (4 + max(0.0, 1 - control**2)) / 5
    slow = (1 + 0.1 ** ((theta_dot / 5) ** 2)) / 2
    return upright * centred * small * slow, float(abs(x) <= 0.25 and math.cos(theta) >= 0.995)


# ---- pendulum -----------------------------------------------------------------------------------------


def pendulum_step(state, control):
    theta, speed = state
    inertia, damping, step = 0.25 + 0.001, 0.1, 0.02
    torque = 1.0 * 9.81 * 0.5 * math.sin(theta) - damping * speed + control
    speed = speed + step * torque / (inertia + step * damping)
    return [theta + step * speed, speed]


def pendulum_rewards(state, control):
    return (float(math.cos(state[0]) >= 0.9902680687415704),)


# ---- trajectories -------------------------------------------------------------------------------------


def exact(value):
    return round(max(-1.0, min(1.0, value)) * 1024) / 1024


def trajectory(state, policy, steps, step, rewards):
    rows = []
    for t in range(steps):
        control = exact(policy(t, state))
        after = step(state, control)
        gained = rewards(after, control)
        rows.append([*state, control, *gained])
        state = after
    rows.append([*state, END] + [0.0] * len(gained))
    return rows


def cartpole(draw):
    def balance(_, s):
        return (s[0] + 2 * s[2] + 20 * s[1] + 4 * s[3]) / 10

    def creep(t, s):
        return balance(t, s) - math.copysign(0.0235 + 0.00002 * t, s[0])

    def noise(_, s):
        return draw.uniform(-1, 1)

    def waves(t, s):
        return math.sin(0.05 * t) + 0.3 * draw.uniform(-1, 1)

    small = [0.01 * draw.standard_normal() for _ in range(8)]
    starts = [
        ([small[0], math.pi + small[1], small[2], small[3]], waves, 500),         # hanging
        ([0.08, -0.03, small[4], small[5]], balance, 500),                        # upright, and held there
        ([-0.05, 0.03, small[6], small[7]], noise, 300),                          # upright, and dropped
        ([0.235, 0.0, 0.0, 0.0], creep, 300),                                      # out of what sparse rewards ask for
        ([-0.235, 0.0, 0.0, 0.0], creep, 300),
        ([0.0, math.pi, 0.0, 0.0], lambda t, s: 1.0, 400),                        # into the limit on one side
        ([0.0, math.pi, 0.0, 0.0], lambda t, s: -1.0, 400),                       # and on the other
        ([1.95, 0.4, 2.0, -15.0], noise, 300),                                    # beyond it, spinning
        ([-1.95, -2.0, -3.0, 12.0], noise, 300),
        ([1.7999, 1.0, 0.05, 1.0], lambda t, s: 1.0 if s[0] < 1.8003 else -1.0, 300),   # along its edge
        ([-1.7999, 2.0, -0.05, 1.0], lambda t, s: -1.0 if s[0] > -1.8003 else 1.0, 300),
    ]
    return [trajectory(state, policy, steps, cartpole_step, cartpole_rewards) for state, policy, steps in starts]


def pendulum(draw):
    def pump(_, s):
        if math.cos(s[0]) > 0.9:
            return -10 * math.sin(s[0]) - 2 * s[1]
        return math.copysign(1.0, s[1])

    def noise(_, s):
        return draw.uniform(-1, 1)

    def creep(_, s):
        return -4.905 * math.sin(s[0]) + math.copysign(0.01, s[0]) - 0.4 * s[1]

    starts = [
        ([math.pi - 0.1, 0.0], pump, 500),
        ([-2.5, 0.0], noise, 300),
        ([0.05, 0.0], pump, 300),
        ([7 * math.pi + 0.5, -20.0], noise, 300),  # turns are counted
        ([0.135, 0.0], creep, 100),                # out of what is rewarded
        ([-0.135, 0.0], creep, 100),
    ]
    return [trajectory(state, policy, steps, pendulum_step, pendulum_rewards) for state, policy, steps in starts]


# ---- the simulators -----------------------------------------------------------------------------------


def compare(domain, tasks, trajectories, coordinates):
    from dm_control import suite

    envs = [suite.load(domain, task) for task in tasks]
    worst, worst_beyond, beyond, worst_reward, worst_run = 0.0, 0.0, 0, 0.0, 0.0

    def put(physics, state):
        physics.set_state(numpy.array(state))
        physics.data.qacc_warmstart[:] = 0
        physics.forward()

    def state_of(physics):
        return [*map(float, physics.data.qpos), *map(float, physics.data.qvel)]

    def off(state, expected):
        return max(abs(p - q) / max(1.0, abs(q)) for p, q in zip(state, expected))

    for rows in trajectories:
        for now, after in zip(rows, rows[1:]):
            for i, env in enumerate(envs):
                put(env.physics, now[:coordinates])
                env.task.before_step(numpy.array([now[coordinates]]), env.physics)
                env.physics.step()
                worst_reward = max(worst_reward, abs(env.task.get_reward(env.physics) - now[coordinates + 1 + i]))
            error = off(state_of(envs[0].physics), after[:coordinates])
            if domain == "cartpole" and max(abs(now[0]), abs(after[0])) > 1.8:
                worst_beyond, beyond = max(worst_beyond, error), beyond + 1
            else:
                worst = max(worst, error)
        put(envs[0].physics, rows[0][:coordinates])
        for now, after in list(zip(rows, rows[1:]))[:150]:  # on its own, from the trajectory's start
            envs[0].task.before_step(numpy.array([now[coordinates]]), envs[0].physics)
            envs[0].physics.step()
            worst_run = max(worst_run, off(state_of(envs[0].physics), after[:coordinates]))
    print(f"{domain}: one step {worst:.2g}, beyond the limit {worst_beyond:.2g} ({beyond} steps), reward {worst_reward:.2g},"
          f" 150 steps on its own {worst_run:.2g}", file=sys.stderr)
    assert worst <= 4e-15 and worst_beyond <= 4e-15 and worst_reward <= 4e-15


def main(folder):
    carts, pendulums = cartpole(numpy.random.default_rng(1)), pendulum(numpy.random.default_rng(2))
    try:
        import dm_control, mujoco
    except ImportError:
        print("mujoco and dm_control are not installed: not compared", file=sys.stderr)
    else:
        print("mujoco", mujoco.__version__, file=sys.stderr)
        compare("cartpole", ["swingup", "swingup_sparse"], carts, 4)
        compare("cartpole", ["balance", "balance_sparse"], carts, 4)
        compare("pendulum", ["swingup"], pendulums, 2)
    for name, trajectories in (("cartpole", carts), ("pendulum", pendulums)):
        rows = numpy.array([row for rows in trajectories for row in rows])
        numpy.save(f"{folder}/dmc_{name}.npy", rows.astype("<f8"))
        print(name, rows.shape, "trajectories", len(trajectories), "rewards", rows[:, (5 if name == "cartpole" else 3):].sum(axis=0),
              "beyond", int((abs(rows[:, 0]) > 1.8).sum()))


if __name__ == "__main__":
    main(sys.argv[1])
