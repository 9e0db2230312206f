"""JAX as a peer of reverie-bench: python jax_peer.py GENERATOR THREADS [cuda]

Everything is one jitted function, buffers that it replaces are donated, and a step is over when its
results are there. GENERATOR of the noise: threefry (JAX's default) or rbg (faster).
"""

import math
import os
import sys

# XLA takes a thread for every core that it may use.
if len(sys.argv) < 4:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[2])])

import jax
import jax.numpy as jnp

import jax_dreamer
import jax_dreamer_v3
import jax_imagine
import jax_world_model
from serve import Skip, agree, serve

GENERATOR = sys.argv[1]
jax.config.update("jax_platforms", sys.argv[3] if len(sys.argv) > 3 else "cpu")
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_default_prng_impl", "threefry2x32" if GENERATOR == "threefry" else GENERATOR)


# ---- gru_cell --------------------------------------------------------------------------------------------


def gru_forward(x, h, w_x, w_h, b_x, b_h):
    """torch.nn.GRUCell; weights [inputs, 3H], gates reset, update, new."""
    from_x = jnp.split(x @ w_x + b_x, 3, axis=1)
    from_h = jnp.split(h @ w_h + b_h, 3, axis=1)
    reset = jax.nn.sigmoid(from_x[0] + from_h[0])
    update = jax.nn.sigmoid(from_x[1] + from_h[1])
    new = jnp.tanh(from_x[2] + reset * from_h[2])
    return (1 - update) * new + update * h


def gru_cell(dump, gradient):
    inputs = [jnp.asarray(dump[name]) for name in ["x", "h", "w_x", "w_h", "b_x", "b_h"]]
    inputs[4], inputs[5] = inputs[4].reshape(1, -1), inputs[5].reshape(1, -1)
    if not gradient:
        function, names = jax.jit(lambda *inputs: [gru_forward(*inputs)]), ["y"]
    else:
        dy = jnp.asarray(dump["dy"])
        function, names = jax.jit(lambda *inputs: jax.vjp(gru_forward, *inputs)[1](dy)), None
        names = ["dx", "dh", "dw_x", "dw_h", "db_x", "db_h"]

    def step():
        return jax.block_until_ready(function(*inputs))

    worst = max(agree(name, dump[name], value) for name, value in zip(names, step()))
    return step, f"agrees to {worst:.2f} of 1e-4"


# ---- sample_normal -----------------------------------------------------------------------------------------


def sample_from(mean, logvar, noise):
    deviation = jnp.exp(0.5 * logvar)
    columns = mean.shape[1]
    log_prob = -0.5 * (noise**2 + logvar).sum(1, keepdims=True) - 0.5 * columns * math.log(2 * math.pi)
    kl = 0.5 * (deviation**2 + mean**2 - 1 - logvar).sum(1, keepdims=True)
    return mean + deviation * noise, log_prob, kl


def sample_normal(dump):
    mean, logvar = jnp.asarray(dump["mean"]), jnp.asarray(dump["logvar"])
    found = jax.jit(sample_from)(mean, logvar, jnp.asarray(dump["noise"]))
    worst = max(agree(name, dump[name], value) for name, value in zip(["value", "log_prob", "kl"], found))

    def draw(key, mean, logvar):
        key, use = jax.random.split(key)
        return key, sample_from(mean, logvar, jax.random.normal(use, mean.shape))

    draw = jax.jit(draw, donate_argnums=0)
    key = [jax.random.key(7)]

    def step():
        key[0], out = draw(key[0], mean, logvar)
        return jax.block_until_ready(out)

    step()
    return step, f"agrees to {worst:.2f} of 1e-4 given the same noise"


def matmul(dump):
    a, b = jnp.asarray(dump["a"]), jnp.asarray(dump["b"])
    multiply = jax.jit(lambda a, b: a @ b)

    def step():
        return jax.block_until_ready(multiply(a, b))

    return step, f"agrees to {agree('y', dump['y'], step()):.2f} of 1e-4"


def prepare(case, dump):
    family = case.split("/")[0]
    if GENERATOR != "threefry" and family in ("gru_cell", "gru_cell_gradient", "matmul"):
        raise Skip("no noise in it: the same as with threefry")
    if family == "train_step":
        return jax_world_model.prepare(dump)
    if family == "dreamer_v3_update":
        return jax_dreamer_v3.prepare(dump)
    if family == "dreamer_update":
        return jax_dreamer.prepare(dump)
    if family in ("imagine", "imagine_gradient"):
        return jax_imagine.prepare(dump, gradient=family == "imagine_gradient")
    if family == "gru_cell":
        return gru_cell(dump, gradient=False)
    if family == "gru_cell_gradient":
        return gru_cell(dump, gradient=True)
    if family == "sample_normal":
        return sample_normal(dump)
    if family == "matmul":
        return matmul(dump)
    raise Skip(f"no {family} here")


serve(f"JAX {jax.__version__}", prepare)
