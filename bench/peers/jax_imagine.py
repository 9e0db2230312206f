"""Imagined trajectories at the course's sizes in JAX: the actor in the loop, dynamics, reward, as bench/imagine.c records them.

One jitted function; its steps are a scan, or written out one after the other: what is faster here is what is timed.
"""

import math

import jax
import jax.numpy as jnp

from jax_world_model import LOGVAR_MAX, LOGVAR_MIN, mlp
from serve import agree, timed

LOG_STD_MIN, LOG_STD_SPAN = -5.0, 7.0                                # log std between -5 and 2 ...
LOG_STD_SHIFT = math.log(5 / 7) - math.log1p(-5 / 7)                 # ... and 0 where the head says 0


def arrays(found):
    return {name: jnp.asarray(value).reshape(value.shape if name.endswith("weight") else (1, -1))
            for name, value in found.items()}


def layer(w, name, x):
    return x @ w[f"{name}/weight"] + w[f"{name}/bias"]


def act(w, latent, noise):
    """A tanh-normal's action, with what log-probability and entropy need."""
    x = jax.nn.silu(mlp(w, "policy", latent))
    log_std = LOG_STD_SPAN * jax.nn.sigmoid(layer(w, "policy/std", x) + LOG_STD_SHIFT) + LOG_STD_MIN
    u = layer(w, "policy/mean", x) + jnp.exp(log_std) * noise
    return jnp.tanh(u), u, log_std


def predict(w, latent, action):
    """The next latent's mean and log-variance, the reward."""
    joined = jnp.concatenate([latent, action], axis=1)
    change, logvar = jnp.split(mlp(w, "dynamics", joined), 2, axis=1)
    return latent + change, jnp.clip(logvar, LOGVAR_MIN, LOGVAR_MAX), mlp(w, "reward", joined)


def imagine(w, latent, noise, unroll):
    """noise: actions' and latents', [steps, rows, ..]. Latents, actions, rewards: all steps below one another."""

    def step(latent, noise):
        action, _, _ = act(w, latent, noise[0])
        mean, logvar, reward = predict(w, latent, action)
        latent = mean + jnp.exp(0.5 * logvar) * noise[1]
        return latent, (latent, action, reward)

    out = jax.lax.scan(step, latent, noise, unroll=unroll)[1]
    return [x.reshape(-1, x.shape[2]) for x in out]


def faster(candidates):
    """Of some (name, step), the one with the least seconds a call; all are compiled already."""
    times = [min(timed(step, 0.05)[0] for _ in range(3)) for _, step in candidates]
    return candidates[times.index(min(times))]


def prepare(dump, gradient):
    w, start = arrays(dump.under("before/")), jnp.asarray(dump["start"])
    rows, steps = start.shape[0], len(dump["noise/action"]) // start.shape[0]
    noise = tuple(jnp.asarray(dump[f"noise/{name}"]).reshape(steps, rows, -1) for name in ("action", "latent"))
    actor = {name: value for name, value in w.items() if name.startswith("policy/")}

    def results(actor, w, start, noise, unroll):
        if not gradient:
            return imagine(w, start, noise, unroll), {}

        def loss(actor):
            out = imagine({**w, **actor}, start, noise, unroll)
            return -out[2].mean(), out

        found, out = jax.grad(loss, has_aux=True)(actor)
        return out, found

    def drawn(key, actor, w, start, unroll):
        key, *use = jax.random.split(key, 3)
        draws = tuple(jax.random.normal(k, x.shape) for k, x in zip(use, noise))
        return key, results(actor, w, start, draws, unroll)

    candidates, worst = [], 0.0
    for name, unroll in (("a scan", 1), ("unrolled", steps)):
        out, found = jax.jit(results, static_argnums=4)(actor, w, start, noise, unroll)
        worst = max(worst, *(agree(n, dump[n], value) for n, value in zip(["latent", "action", "reward"], out)))
        for n, value in found.items():
            worst = max(worst, agree(f"gradient of {n}", dump[f"gradient/{n}"], value))
        compiled, held = jax.jit(drawn, static_argnums=4, donate_argnums=0), [jax.random.key(7)]

        def step(compiled=compiled, held=held, unroll=unroll):
            held[0], out = compiled(held[0], actor, w, start, unroll)
            return jax.block_until_ready(out)

        step()
        candidates.append((name, step))
    name, step = faster(candidates)
    return step, f"{name} was faster; agrees to {worst:.2f} of 1e-4 given the same noise"
