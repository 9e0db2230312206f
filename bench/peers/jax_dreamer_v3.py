"""One whole update of DreamerV3 in JAX: one jitted function, its state donated.

The equations are those of tests/golden/dreamer_v3.py, the work that of torch_dreamer_v3.py: observe, imagine, all losses,
one gradient, AGC and LaProp, the slow critic. A step draws its own noise; the batch stays. Observing and imagining are scans.
"""

import json
import math
import pathlib
import sys

import jax
import jax.numpy as jnp

from jax_imagine import arrays
from serve import agree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))
import dreamer_v3 as model  # its sizes, constants and bins

NOISE = ["noise/posterior", "noise/prior", "noise/action"]
BATCH = ["observation", "action", "reward", "is_first", "is_last", "is_terminal", "carry/deter", "carry/stoch", "carry/action"]
stop = jax.lax.stop_gradient


# ---- layers --------------------------------------------------------------------------------------------------------


def symlog(x):
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def rms_silu(x, scale):
    return jax.nn.silu(x * jax.lax.rsqrt((x * x).mean(1, keepdims=True) + model.EPSILON) * scale)


def linear(w, name, *inputs):
    return jnp.concatenate(inputs, 1) @ w[f"{name}/weight"] + w[f"{name}/bias"]


def layer(w, name, *inputs):
    return rms_silu(linear(w, name, *inputs), w[f"{name}/scale"])


def mlp(w, name, layers, *inputs):
    for i in range(layers):
        inputs = (layer(w, f"{name}/{i}", *inputs),)
    return inputs[0]


def block_linear(own, shared, weight, bias, blocks):
    rows = own.shape[0]
    x = own.reshape(rows, blocks, -1)
    if shared is not None:
        x = jnp.concatenate([x, jnp.broadcast_to(shared[:, None, :], (rows, blocks, shared.shape[1]))], 2)
    y = jnp.einsum("rgk,gkn->rgn", x, weight.reshape(blocks, x.shape[2], -1))
    return y.reshape(rows, -1) + bias


def core(c, w, h, z, a):
    a = a / stop(jnp.maximum(jnp.abs(a), 1.0))
    shared = jnp.concatenate([layer(w, "dyn/deter", h), layer(w, "dyn/stoch", z), layer(w, "dyn/action", a)], 1)
    v = rms_silu(block_linear(h, shared, w["dyn/hidden/weight"], w["dyn/hidden/bias"], c.blocks), w["dyn/hidden/scale"])
    y = block_linear(v, None, w["dyn/gates/weight"], w["dyn/gates/bias"], c.blocks).reshape(len(h), c.blocks, 3, -1)
    reset, candidate, update = (y[:, :, i].reshape(h.shape) for i in range(3))
    candidate = jnp.tanh(jax.nn.sigmoid(reset) * candidate)
    update = jax.nn.sigmoid(update - 1)
    return update * candidate + (1 - update) * h


def prior_of(w, h):
    return linear(w, "prior/logits", mlp(w, "prior", 2, h))


def posterior_of(w, h, tokens):
    return linear(w, "post/logits", mlp(w, "post", 1, h, tokens))


# ---- distributions -------------------------------------------------------------------------------------------------


def mixed_log(logits, classes, unimix):
    p = jax.nn.softmax(logits.reshape(len(logits), -1, classes), 2)
    return jnp.log((1 - unimix) * p + unimix / classes)


def drawn(p, uniforms):
    """One-hot by inverse CDF, without a gradient."""
    prefix = stop(p).cumsum(2)
    k = (prefix[:, :, :-1] / prefix[:, :, -1:] <= uniforms[:, :, None]).sum(2)
    return jax.nn.one_hot(k, p.shape[2])


def kl(log_p, log_q):
    return (jnp.exp(log_p) * (log_p - log_q)).sum((1, 2)).reshape(-1, 1)


def twohot_mean(logits, bins):
    """By pairs from the outside in: 0 for equal logits."""
    p, half = jax.nn.softmax(logits, 1), len(bins) // 2
    pairs = p[:, :half] * bins[:half] + (p * bins)[:, ::-1][:, :half]
    return pairs.sum(1, keepdims=True) + (p * bins)[:, half : half + 1]


def twohot_nll(logits, target, bins):
    below = jnp.clip((bins <= target).sum(1, keepdims=True) - 1, 0, len(bins) - 2)
    part = jnp.clip((target - bins[below]) / (bins[below + 1] - bins[below]), 0, 1)
    log_p = jax.nn.log_softmax(logits, 1)
    picked = lambda k: jnp.take_along_axis(log_p, k, 1)
    return -((1 - part) * picked(below) + part * picked(below + 1))


def policy_of(w, feature):
    x = mlp(w, "pol", 3, feature)
    return jnp.tanh(linear(w, "pol/mean", x)), 0.9 * jax.nn.sigmoid(linear(w, "pol/std", x) + 2) + 0.1


# ---- sequences -----------------------------------------------------------------------------------------------------


def observe(c, w, batch, uniforms):
    B = len(batch["carry/deter"])
    tokens = mlp(w, "enc", 3, symlog(batch["observation"]))
    by_step = lambda x: x.reshape(-1, B, x.shape[1])
    actions = by_step(batch["action"])
    leading = jnp.concatenate([batch["carry/action"][None], actions[:-1]])

    def step(carry, now):
        h, z = carry
        token, action, first, u = now
        keep = 1 - first
        h = core(c, w, h * keep, z * keep, action * keep)
        logit = posterior_of(w, h, token)
        p = jnp.exp(mixed_log(logit, c.classes, c.unimix))
        z = (drawn(p, u) + (p - stop(p))).reshape(B, -1)
        return (h, z), (h, z, logit)

    inputs = (by_step(tokens), leading, by_step(batch["is_first"]), by_step(uniforms))
    out = jax.lax.scan(step, (batch["carry/deter"], batch["carry/stoch"]), inputs)[1]
    return [x.reshape(-1, x.shape[2]) for x in out]


def imagine(c, w, h, z, noise_action, uniforms):
    """States with the first, actions with one more; nothing carries a gradient."""
    N = len(h)
    noise_action, uniforms = noise_action.reshape(-1, N, noise_action.shape[1]), uniforms.reshape(-1, N, uniforms.shape[1])

    def choose(h, z, noise):
        mean, std = policy_of(w, jnp.concatenate([h, z], 1))
        return mean + std * noise

    def step(carry, now):
        h, z = carry
        a = choose(h, z, now[0])
        h = core(c, w, h, z, a)
        z = drawn(jnp.exp(mixed_log(prior_of(w, h), c.classes, c.unimix)), now[1]).reshape(N, -1)
        return (h, z), (h, z, a)

    last, (deter, stoch, action) = jax.lax.scan(step, (h, z), (noise_action[:-1], uniforms))
    deter, stoch = jnp.concatenate([h[None], deter]), jnp.concatenate([z[None], stoch])
    action = jnp.concatenate([action, choose(*last, noise_action[-1])[None]])
    return [x.reshape(-1, x.shape[2]) for x in (deter, stoch, action)]


def lambda_return(reward, going_on, trust, value):
    def step(after, now):
        reward, on, trust, value = now
        after = reward + on * ((1 - trust) * value + trust * after)
        return after, after

    return jax.lax.scan(step, value[-1], (reward[1:], going_on[1:], trust[1:], value[1:]), reverse=True)[1]


# ---- losses --------------------------------------------------------------------------------------------------------


def losses_of(c, w, batch, noise, returns):
    """The total; the losses of model.SCALES, and the returns' normaliser after."""
    B, rows = len(batch["carry/deter"]), len(batch["reward"])
    T, H = rows // B, len(noise["noise/prior"]) // rows
    bins, losses = jnp.asarray(model.bins_of(c.bins), jnp.float32), {}
    column = lambda x: x.reshape(-1, 1)

    h, z, posterior_logits = observe(c, w, batch, noise["noise/posterior"])
    feature = jnp.concatenate([h, z], 1)
    reconstruction = linear(w, "dec/out", mlp(w, "dec", 3, z, h))
    continue_logit = linear(w, "con/out", mlp(w, "con", 1, feature))
    going_on = (1 - batch["is_terminal"]) * (1 - 1 / c.horizon)
    losses["rec"] = ((reconstruction - symlog(batch["observation"])) ** 2).sum(1)
    losses["rew"] = twohot_nll(linear(w, "rew/out", mlp(w, "rew", 1, feature)), batch["reward"], bins)
    losses["con"] = jax.nn.softplus(continue_logit) - going_on * continue_logit
    post = mixed_log(posterior_logits, c.classes, c.unimix)
    prior = mixed_log(prior_of(w, h), c.classes, c.unimix)
    losses["dyn"] = jnp.maximum(kl(stop(post), prior), c.free_nats)
    losses["rep"] = jnp.maximum(kl(post, stop(prior)), c.free_nats)

    fixed = stop(w)
    deter, stoch, action = stop(imagine(c, fixed, stop(h), stop(z), noise["noise/action"], noise["noise/prior"]))
    seen = jnp.concatenate([deter, stoch], 1)
    mean, std = policy_of(w, seen)
    normal = ((action - mean) / std) ** 2 + 2 * jnp.log(std) + math.log(2 * math.pi)
    log_prob = -0.5 * normal.sum(1, keepdims=True)
    entropy = (jnp.log(std) + 0.5 * math.log(2 * math.pi * math.e)).sum(1, keepdims=True)
    value_logits = linear(w, "val/out", mlp(w, "val", 3, seen))
    head = lambda name, layers: linear(fixed, f"{name}/out", mlp(fixed, name, layers, seen))
    steps = lambda x: x.reshape(H + 1, rows)
    reward, on = steps(twohot_mean(head("rew", 1), bins)), steps(jax.nn.sigmoid(head("con", 1)))
    value, slow = steps(stop(twohot_mean(value_logits, bins))), steps(twohot_mean(head("slow", 3), bins))
    target = lambda_return(reward, on, jnp.full_like(on, c.lam), value)
    ends = jnp.quantile(target.reshape(-1), jnp.array([0.05, 0.95]))
    returns = (1 - c.return_rate) * returns + c.return_rate * ends
    advantage = (target - value[:-1]) / jnp.maximum(returns[1] - returns[0], 1.0)
    weight = on.cumprod(0)[:-1]
    losses["policy"] = weight * -(steps(log_prob)[:-1] * advantage + c.entropy * steps(entropy)[:-1])
    logits = value_logits[: H * rows]
    nll = twohot_nll(logits, column(target), bins) + c.slow_weight * twohot_nll(logits, column(slow[:-1]), bins)
    losses["value"] = column(weight) * nll

    replayed_logits = linear(w, "val/out", mlp(w, "val", 3, feature))
    replayed_slow = twohot_mean(linear(fixed, "slow/out", mlp(fixed, "slow", 3, stop(feature))), bins)
    by_step = lambda x: x.reshape(T, B)
    replayed = column(lambda_return(by_step(batch["reward"]), by_step(going_on), by_step(c.lam * (1 - batch["is_last"])),
                                    target[0].reshape(T, B)))
    until = (T - 1) * B
    logits = replayed_logits[:until]
    nll = twohot_nll(logits, replayed, bins) + c.slow_weight * twohot_nll(logits, replayed_slow[:until], bins)
    losses["repval"] = (1 - batch["is_last"][:until]) * nll

    losses = {name: losses[name].mean() for name in model.SCALES}
    total = sum(scale * losses[name] for name, scale in model.SCALES.items())
    return total, (jnp.stack([losses[name] for name in model.SCALES]), returns)


# ---- an update -----------------------------------------------------------------------------------------------------


def laprop(c, weights, gradient, first, second, updates):
    weights, first, second = dict(weights), dict(first), dict(second)
    norms = {name: jnp.linalg.norm(g.reshape(-1)) for name, g in gradient.items()}
    for name, g in gradient.items():
        most = c.agc * jnp.maximum(jnp.linalg.norm(weights[name].reshape(-1)), c.agc_smallest)
        g = g / jnp.maximum(norms[name] / most, 1.0)
        second[name] = c.beta2 * second[name] + (1 - c.beta2) * g * g
        g = g / (jnp.sqrt(second[name] / (1 - c.beta2**updates)) + c.optimiser_epsilon)
        first[name] = c.beta1 * first[name] + (1 - c.beta1) * g
        weights[name] = weights[name] - c.learning_rate / (1 - c.beta1**updates) * first[name]
    return weights, first, second, jnp.linalg.norm(jnp.stack(list(norms.values())))


def prepare(dump):
    settings = json.loads(dump.settings["settings"])
    c = model.preset(512, 64, 4, 64, settings["observation"], settings["action"])
    c.learning_rate = settings["learning_rate"]
    all_weights = arrays(dump.under("before/"))
    slow = {name: w for name, w in all_weights.items() if name.startswith("slow/")}
    trained = {name: w for name, w in all_weights.items() if name not in slow}
    batch = {name: jnp.asarray(dump[name]) for name in BATCH}
    given = {name: jnp.asarray(dump[name]) for name in NOISE}

    def update(state, batch, noise):
        weights, slow, first, second, updates, returns = state
        loss = lambda weights: losses_of(c, {**weights, **slow}, batch, noise, returns)
        gradient, (losses, returns) = jax.grad(loss, has_aux=True)(weights)
        weights, first, second, norm = laprop(c, weights, gradient, first, second, updates + 1)
        slow = {name: w + c.slow_rate * (weights[name.replace("slow/", "val/")] - w) for name, w in slow.items()}
        return (weights, slow, first, second, updates + 1, returns), losses, norm

    def step(state, batch, key):
        key, *use = jax.random.split(key, 4)
        draw = {name: jax.random.normal if name == "noise/action" else jax.random.uniform for name in NOISE}
        noise = {name: draw[name](k, x.shape) for k, (name, x) in zip(use, given.items())}
        return update(state, batch, noise)[0], key

    zeros = lambda: {name: jnp.zeros_like(w) for name, w in trained.items()}
    state = (trained, slow, zeros(), zeros(), jnp.float32(0), jnp.zeros(2))
    state, losses, norm = jax.jit(update)(state, batch, given)
    worst = max(agree("losses", dump["losses"], losses), agree("gradient norm", dump["gradient_norm"], norm))
    compiled = jax.jit(step, donate_argnums=(0, 2))
    held = [(state, jax.random.key(7))]

    def run():
        held[0] = compiled(held[0][0], batch, held[0][1])

    run.finish = lambda: jax.block_until_ready(held[0])
    run()
    run.finish()
    return run, f"losses and the gradient's norm agree to {worst:.2f} of 1e-4"
