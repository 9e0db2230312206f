"""Writes gymnasium_NAME.npy: 10,000 steps of Gymnasium's environments, with the exact states in float64.

    python3 tests/golden/gymnasium_steps.py tests/golden       (needs gymnasium and numpy; made with 1.4.0)

One row a state: the state, the action taken in it, and what it gave; the next row is where it led. The row
that ends an episode has NaN for an action. Actions are exact in float32 and given to Gymnasium in float64.
    gymnasium_pendulum.npy     theta, theta_dot, action, reward
    gymnasium_cartpole.npy     x, x_dot, theta, theta_dot, action, terminated
    gymnasium_continuous.npy   as cartpole; Gymnasium's own step, its force set to 10 times the action
Every other episode begins anywhere instead of at the environment's own start.
"""
import sys

import gymnasium
import numpy

STEPS = 10_000
END = float("nan")


def exact(rng, low, high):
    return float(rng.integers(int(low * 1024), int(high * 1024) + 1)) / 1024


def pendulum(rng):
    env = gymnasium.make("Pendulum-v1").unwrapped
    rows, steps, episode = [], 0, 0
    while steps < STEPS:
        env.reset(seed=episode)
        if episode % 2:
            env.state = numpy.array([rng.uniform(-3, 3) * numpy.pi, rng.uniform(-8, 8)])
        for _ in range(min(200, STEPS - steps)):
            action = exact(rng, -2.5, 2.5)  # beyond the bounds as well
            before = [float(v) for v in env.state]
            _, reward, terminated, _, _ = env.step(numpy.array([action], dtype=numpy.float64))
            assert not terminated
            rows.append([*before, action, float(reward)])
            steps += 1
        rows.append([*map(float, env.state), END, 0.0])
        episode += 1
    return numpy.array(rows)


def cartpole(rng, continuous):
    env = gymnasium.make("CartPole-v1").unwrapped
    rows, steps, episode = [], 0, 0
    while steps < STEPS:
        env.reset(seed=episode)
        if episode % 2:
            env.state = numpy.array([rng.uniform(-2.4, 2.4), rng.uniform(-3, 3), rng.uniform(-0.2, 0.2), rng.uniform(-3, 3)])
        terminated = False
        while not terminated and steps < STEPS:
            before = [float(v) for v in env.state]
            if continuous:
                action = exact(rng, -1, 1)
                env.force_mag = 10.0 * action
                _, reward, terminated, _, _ = env.step(1)
            else:
                action = int(rng.integers(2))
                _, reward, terminated, _, _ = env.step(action)
            assert reward == 1.0
            rows.append([*before, action, terminated])
            steps += 1
        rows.append([*map(float, env.state), END, 0.0])
        episode += 1
    return numpy.array(rows)


def main(folder):
    print("gymnasium", gymnasium.__version__, "numpy", numpy.__version__)
    for name, rows in (
        ("pendulum", pendulum(numpy.random.default_rng(1))),
        ("cartpole", cartpole(numpy.random.default_rng(2), False)),
        ("continuous", cartpole(numpy.random.default_rng(3), True)),
    ):
        numpy.save(f"{folder}/gymnasium_{name}.npy", rows.astype("<f8"))
        print(name, rows.shape, "ends", int(numpy.isnan(rows[:, -2]).sum()))


if __name__ == "__main__":
    main(sys.argv[1])
