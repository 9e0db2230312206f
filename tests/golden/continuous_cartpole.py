"""Writes continuous_cartpole.h: single steps of the cart and pole in float64, from the equations.

    python3 tests/golden/continuous_cartpole.py > tests/golden/continuous_cartpole.h

The equations of motion are solved as the linear system they come from (the two coupled equations of
cart and pole without friction), not in the closed form that the environment uses. Where gymnasium is
installed, the discrete environment is asked as well: its two actions are the full force either way.
"""
import math
import random
import sys

GRAVITY, CART, POLE, HALF, TAU = 9.8, 1.0, 0.1, 0.5, 0.02


def step(state, action, force):
    x, v, theta, w = state
    s, c = math.sin(theta), math.cos(theta)
    # [ M + m      m l c     ] [x'']   [ F + m l w^2 s ]
    # [ m l c      4/3 m l^2 ] [th''] = [ m g l s       ]
    a, b, d = CART + POLE, POLE * HALF * c, 4.0 / 3.0 * POLE * HALF * HALF
    f = force * max(-1.0, min(1.0, action)) + POLE * HALF * w * w * s
    g = POLE * GRAVITY * HALF * s
    determinant = a * d - b * b
    x_acceleration = (f * d - b * g) / determinant
    theta_acceleration = (a * g - b * f) / determinant
    return [x + TAU * v, v + TAU * x_acceleration, theta + TAU * w, w + TAU * theta_acceleration]


def check_against_gymnasium(cases):
    try:
        import gymnasium
        import numpy
    except ImportError:
        print("gymnasium is not installed: not compared", file=sys.stderr)
        return
    env = gymnasium.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    worst = 0.0
    for state, action, force, after in cases:
        if force != 10.0 or abs(action) != 1.0:
            continue
        env.state = numpy.array(state)
        env.steps_beyond_terminated = None
        _, reward, terminated, _, _ = env.step(1 if action > 0 else 0)
        worst = max(worst, max(abs(p - q) for p, q in zip(env.state, after)))
        assert reward == 1.0
        assert terminated == (abs(after[0]) > 2.4 or abs(after[2]) > 12 * 2 * math.pi / 360)
    print(f"largest difference from gymnasium {gymnasium.__version__}: {worst:.3g}", file=sys.stderr)
    assert worst < 1e-12


def main():
    draw = random.Random(5)
    cases = []
    for i in range(96):
        wide = i % 3 == 2
        state = [draw.uniform(-2.5, 2.5), draw.uniform(-3, 3), draw.uniform(-0.22, 0.22), draw.uniform(-3, 3)]
        if wide:
            state[2], state[3] = draw.uniform(-3, 3), draw.uniform(-10, 10)
        action = draw.choice([-1.0, 1.0]) if i % 2 == 0 else draw.randrange(-160, 161) / 128  # exact in float32
        force = 10.0 if i < 64 else 30.0
        cases.append((state, action, force, step(state, action, force)))
    check_against_gymnasium(cases)
    print("/* Made by continuous_cartpole.py: state, action, force, state after one step. */")
    for state, action, force, after in cases:
        before, later = (", ".join(map(float.hex, s)) for s in (state, after))
        print(f"{{{{{before}}}, {action.hex()}, {force.hex()}, {{{later}}}}},")


if __name__ == "__main__":
    main()
