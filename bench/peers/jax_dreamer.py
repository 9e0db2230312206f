"""One update of the course's Dreamer in JAX: one jitted function, its state donated.

The same work as torch_dreamer.py: windows and starts drawn, the world model's losses, imagined trajectories,
lambda-returns, actor and critic, three AdamW, the slow critic, a row of metrics; one backward pass for all three.
"""

import json
import math

import jax
import jax.numpy as jnp

from jax_imagine import act, arrays, faster, layer, predict
from jax_world_model import LOG_2PI, losses_of, mlp
from serve import agree

FIELDS = ["observation", "action", "reward", "next_observation"]
SETS = {"model": ("vae/", "dynamics/", "reward/"), "actor": ("policy/",), "critic": ("value/",)}
ROWS = 1024  # of the metrics


def value(w, latent):
    return layer(w, "value/out", jax.nn.silu(mlp(w, "value", latent)))


def imagine(w, latent, noise, unroll):
    """Latents with the first, rewards, log-probabilities: [steps, rows, ..]."""

    def step(latent, noise):
        action, u, log_std = act(w, latent, noise[0])
        log_prob = -(0.5 * noise[0] ** 2 + 0.5 * LOG_2PI + log_std).sum(1, keepdims=True)
        log_prob -= (2 * (math.log(2) - u - jax.nn.softplus(-2 * u))).sum(1, keepdims=True)
        mean, logvar, reward = predict(w, latent, action)
        latent = mean + jnp.exp(0.5 * logvar) * noise[1]
        return latent, (latent, reward, log_prob)

    latents, rewards, log_probs = jax.lax.scan(step, latent, noise, unroll=unroll)[1]
    return jnp.concatenate([latent[None], latents]), rewards, log_probs


def lambda_returns(rewards, values, gamma, lam, unroll):
    def step(after, now):
        after = now[0] + gamma * ((1 - lam) * now[1] + lam * after)
        return after, after

    return jax.lax.scan(step, values[-1], (rewards, values[1:]), reverse=True, unroll=unroll)[1]


def prepare(dump):
    s = json.loads(dump.settings["settings"])
    columns = [dump[f"data/{name}"] for name in FIELDS]
    data = jnp.concatenate(columns, axis=1)  # one table, so that a batch is one gather
    cuts = [sum(column.shape[1] for column in columns[: i + 1]) for i in range(3)]
    mean, scale, change = (jnp.asarray(dump[name]).reshape(1, -1) for name in ("mean", "scale", "change"))
    weights = arrays(dump.under("before/"))
    sets = {key: [name for name in weights if name.startswith(prefixes)] for key, prefixes in SETS.items()}
    shapes = [(s["batch"], s["latent"]), (s["horizon"], s["imagined"], columns[1].shape[1]),
              (s["horizon"], s["imagined"], s["latent"])]
    discount = s["gamma"] ** jnp.arange(s["horizon"]).reshape(-1, 1, 1)

    def prediction(w, observation, action, next_observation, noise):
        """A metric only; XLA finds what it shares with the losses."""
        posterior, logvar = jnp.split(mlp(w, "vae/encoder", (observation - mean) / scale), 2, axis=1)
        expected = predict(w, posterior + jnp.exp(0.5 * logvar) * noise, action)[0]
        decoded = mlp(w, "vae/decoder", expected) * scale + mean
        return jnp.mean(((decoded - next_observation) / change) ** 2)

    def losses(weights, slow, batch, start, noise, noise_action, noise_latent, unroll):
        fields = jnp.split(data[batch], cuts, axis=1)
        total, model = losses_of(weights, mean, scale, s["kl_weight"], *fields, noise)
        fixed = jax.lax.stop_gradient(weights)
        predicted = prediction(fixed, fields[0], fields[1], fields[3], noise)
        seen = (data[start][:, : cuts[0]] - mean) / scale
        latent = jnp.split(mlp(fixed, "vae/encoder", seen), 2, axis=1)[0]
        actor_weights = {name: w if name.startswith("policy/") else fixed[name] for name, w in weights.items()}
        latents, rewards, log_probs = imagine(actor_weights, latent, (noise_action, noise_latent), unroll)
        returns = lambda_returns(rewards, value(slow, latents), s["gamma"], s["lambda"], unroll)
        actor = -jnp.mean(discount * (returns - s["entropy_weight"] * log_probs))
        error = value(weights, jax.lax.stop_gradient(latents[:-1])) - jax.lax.stop_gradient(returns)
        critic = jnp.mean(discount * error**2)
        metrics = jnp.concatenate([model, jnp.stack([predicted, actor, critic, -log_probs.mean(), returns.mean()])])
        return total + actor + critic, metrics

    def update(state, *drawn, unroll):
        weights, slow, first, second, updates, ring = state
        (_, metrics), gradient = jax.value_and_grad(losses, has_aux=True)(weights, slow, *drawn, unroll)
        row = updates % ROWS
        updates = updates + 1
        corrections = 1 - s["beta1"]**updates, jnp.sqrt(1 - s["beta2"]**updates)
        norms = []
        weights, first, second = dict(weights), dict(first), dict(second)
        for names in sets.values():
            norms.append(jnp.sqrt(sum(jnp.sum(gradient[n] ** 2) for n in names)))
            factor = jnp.minimum(1.0, s["clip"] / (norms[-1] + 1e-6))
            for n in names:
                g = factor * gradient[n]
                first[n] = s["beta1"] * first[n] + (1 - s["beta1"]) * g
                second[n] = s["beta2"] * second[n] + (1 - s["beta2"]) * g**2
                weights[n] -= s["learning_rate"] / corrections[0] * first[n] / (jnp.sqrt(second[n]) / corrections[1] + s["eps"])
        slow = {n: w + s["slow_rate"] * (weights[n] - w) for n, w in slow.items()}
        metrics = jnp.concatenate([metrics, jnp.stack(norms)])
        return (weights, slow, first, second, updates, ring.at[row].set(metrics)), metrics

    def step(state, key, unroll):
        key, *use = jax.random.split(key, 6)
        rows = [jax.random.randint(k, (s[n],), 0, data.shape[0]) for k, n in zip(use, ("batch", "imagined"))]
        noise = [jax.random.normal(k, shape) for k, shape in zip(use[2:], shapes)]
        return update(state, *rows, *noise, unroll=unroll)[0], key

    def fresh():
        copy = lambda names: {name: jnp.array(weights[name]) for name in names}
        zeros = lambda: {name: jnp.zeros_like(w) for name, w in weights.items()}
        return copy(weights), copy(sets["critic"]), zeros(), zeros(), jnp.int32(0), jnp.zeros((ROWS, 13))

    rows = [jnp.asarray(dump[f"rows/{name}"].reshape(-1).astype("int32")) for name in ("batch", "start")]
    noise = [jnp.asarray(dump[f"noise/{name}"]).reshape(shape) for name, shape in zip(["posterior", "action", "latent"], shapes)]
    candidates, worst = [], 0.0
    for name, unroll in (("scans", 1), ("unrolled", s["horizon"])):
        state, metrics = jax.jit(update, static_argnames="unroll")(fresh(), *rows, *noise, unroll=unroll)
        worst = max(worst, agree("metrics", dump["metrics"], metrics))
        for n, w in state[0].items():
            agree(n, dump[f"after/{n}"], w, relative=1e-3)
        compiled = jax.jit(step, static_argnums=2, donate_argnums=(0, 1))
        held = [(fresh(), jax.random.key(7))]

        def run(compiled=compiled, held=held, unroll=unroll):
            held[0] = compiled(*held[0], unroll)

        run.finish = lambda held=held: jax.block_until_ready(held[0])  # steps may overlap with the host's part of the next
        run()
        run.finish()
        candidates.append((name, run))
    name, run = faster(candidates)
    return run, f"{name} was faster; losses, returns and gradients' norms agree to {worst:.2f} of 1e-4, weights after the step to 1e-3"
