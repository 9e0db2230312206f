"""The course's world model and its training step in JAX: one jitted function, its state donated.

The same work as torch_world_model.py: draw a batch and noise, losses, gradient, clip, AdamW, metrics.
"""

import json

import jax
import jax.numpy as jnp

from serve import agree

LOGVAR_MIN, LOGVAR_MAX = -10.0, 2.0
LOG_2PI = 1.8378770664093453
COLUMNS = ["observation", "action", "reward", "next_observation"]


def mlp(weights, name, x):
    layer = 0
    while f"{name}/{layer}/weight" in weights:
        if layer:
            x = jax.nn.silu(x)
        x = x @ weights[f"{name}/{layer}/weight"] + weights[f"{name}/{layer}/bias"]
        layer += 1
    return x


def losses_of(weights, mean, scale, kl_weight, observation, action, reward, next_observation, noise):
    """total, [total, reconstruction, kl, dynamics, reward]"""
    observation = (observation - mean) / scale
    posterior, logvar = jnp.split(mlp(weights, "vae/encoder", observation), 2, axis=1)
    deviation = jnp.exp(0.5 * logvar)
    latent = posterior + deviation * noise
    reconstruction = jnp.mean((mlp(weights, "vae/decoder", latent) - observation) ** 2)
    kl = 0.5 * (deviation**2 + posterior**2 - 1 - logvar).sum(1).mean()
    target = jnp.split(mlp(weights, "vae/encoder", (next_observation - mean) / scale), 2, axis=1)[0]
    joined = jnp.concatenate([latent, action], axis=1)
    change, next_logvar = jnp.split(mlp(weights, "dynamics", joined), 2, axis=1)
    next_logvar = jnp.clip(next_logvar, LOGVAR_MIN, LOGVAR_MAX)
    error = jax.lax.stop_gradient(target) - (latent + change)
    dynamics = 0.5 * (error**2 * jnp.exp(-next_logvar) + next_logvar + LOG_2PI).mean()
    reward_loss = jnp.mean((mlp(weights, "reward", joined) - reward) ** 2)
    total = reconstruction + kl_weight * kl + dynamics + reward_loss
    return total, jnp.stack([total, reconstruction, kl, dynamics, reward_loss])


def prepare(dump):
    settings = json.loads(dump.settings["settings"])
    columns = [dump[f"data/{name}"] for name in COLUMNS]
    data = jnp.concatenate(columns, axis=1)  # one table, so that a batch is one gather
    cuts = [sum(column.shape[1] for column in columns[: i + 1]) for i in range(3)]
    mean, scale = jnp.asarray(dump["mean"]).reshape(1, -1), jnp.asarray(dump["scale"]).reshape(1, -1)
    weights = {name: jnp.asarray(value).reshape(value.shape if name.endswith("weight") else (1, -1))
               for name, value in dump.under("before/").items()}
    gradient_of = jax.value_and_grad(losses_of, has_aux=True)

    def update(state, *batch):
        """One step on a given batch; state: weights, both moments, updates, metrics."""
        weights, first, second, updates, metrics = state
        (_, losses), gradient = gradient_of(weights, mean, scale, settings["kl_weight"], *batch)
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradient.values()))
        factor = jnp.minimum(1.0, settings["clip"] / (norm + 1e-6))
        updates = updates + 1
        beta1, beta2, rate = settings["beta1"], settings["beta2"], settings["learning_rate"]
        corrections = 1 - beta1**updates, jnp.sqrt(1 - beta2**updates)
        first = {n: beta1 * m + (1 - beta1) * (factor * gradient[n]) for n, m in first.items()}
        second = {n: beta2 * v + (1 - beta2) * (factor * gradient[n]) ** 2 for n, v in second.items()}
        weights = {n: w * (1 - rate * settings["weight_decay"])
                   - rate / corrections[0] * first[n] / (jnp.sqrt(second[n]) / corrections[1] + settings["eps"])
                   for n, w in weights.items()}
        metrics = metrics + jnp.concatenate([losses, norm[None]])
        return (weights, first, second, updates, metrics), losses, norm, gradient

    def step(state, key):
        key, use_index, use_noise = jax.random.split(key, 3)
        index = jax.random.randint(use_index, (settings["batch"],), 0, data.shape[0])
        batch = jnp.split(data[index], cuts, axis=1)
        noise = jax.random.normal(use_noise, (settings["batch"], settings["latent"]))
        return update(state, *batch, noise)[0], key

    zeros = lambda: {name: jnp.zeros_like(value) for name, value in weights.items()}
    state = (weights, zeros(), zeros(), jnp.float32(0), jnp.zeros(6))
    batch = [jnp.asarray(dump[f"batch/{name}"]) for name in [*COLUMNS, "noise"]]
    state, losses, norm, gradient = jax.jit(update)(state, *batch)
    worst = max(agree("losses", dump["losses"], losses), agree("gradient norm", dump["gradient_norm"], norm))
    for name, value in gradient.items():
        worst = max(worst, agree(f"gradient of {name}", dump[f"gradient/{name}"], value))
        agree(name, dump[f"after/{name}"], state[0][name], relative=1e-3)

    compiled = jax.jit(step, donate_argnums=(0, 1))
    held = [(state, jax.random.key(7))]

    def run():
        held[0] = compiled(*held[0])

    run.finish = lambda: jax.block_until_ready(held[0])  # steps may overlap with the host's part of the next
    run()
    run.finish()
    return run, f"losses and gradient agree to {worst:.2f} of 1e-4, weights after the step to 1e-3"
