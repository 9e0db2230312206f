"""DreamerV3 on vector observations in PyTorch, written from the equations (docs/audit.md holds them, with names and shapes).

Works in the type of the weights that it is given: float64 makes the golden files, float32 shows what rounding alone does.
Rows are time-major, r = t * B + b; matrices are [inputs, outputs].
"""

import dataclasses
import math

import numpy
import torch
import torch.nn.functional as F

EPSILON = 1e-4  # of RMSNorm


@dataclasses.dataclass
class Config:
    deter: int
    hidden: int
    stoch: int
    classes: int
    blocks: int
    units: int
    bins: int
    observation: int
    action: int
    discrete: bool = False
    unimix: float = 0.01         # of the latents, and of the categorical actor
    free_nats: float = 1.0
    horizon: int = 333           # discount 1 - 1 / horizon
    lam: float = 0.95
    entropy: float = 3e-4
    slow_weight: float = 1.0     # of the cross-entropy with the slow critic's prediction
    slow_rate: float = 0.02
    return_rate: float = 0.01
    learning_rate: float = 1e-3
    agc: float = 0.3
    agc_smallest: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    optimiser_epsilon: float = 1e-20


SCALES = {"rec": 1.0, "rew": 1.0, "con": 1.0, "dyn": 1.0, "rep": 0.1, "policy": 1.0, "value": 1.0, "repval": 0.3}
MODULES = ("enc", "dyn", "dec", "rew", "con", "pol", "val")  # prior/ and post/ belong to dyn


def preset(deter, hidden, classes, units, observation, action):
    return Config(deter, hidden, 32, classes, 8, units, 255, observation, action)


def shapes(c):
    """Every weight's [rows, cols], by name."""
    out, latent = {}, c.stoch * c.classes

    def linear(name, inputs, outputs):
        out[f"{name}/weight"], out[f"{name}/bias"] = (inputs, outputs), (1, outputs)

    def layer(name, inputs, outputs):
        linear(name, inputs, outputs)
        out[f"{name}/scale"] = (1, outputs)

    def mlp(name, inputs, layers):
        for i in range(layers):
            layer(f"{name}/{i}", c.units if i else inputs, c.units)

    group = c.deter // c.blocks
    mlp("enc", c.observation, 3)
    layer("dyn/deter", c.deter, c.hidden)
    layer("dyn/stoch", latent, c.hidden)
    layer("dyn/action", c.action, c.hidden)
    out["dyn/hidden/weight"] = (c.blocks * (group + 3 * c.hidden), group)
    out["dyn/hidden/bias"] = out["dyn/hidden/scale"] = (1, c.deter)
    out["dyn/gates/weight"], out["dyn/gates/bias"] = (c.blocks * group, 3 * group), (1, 3 * c.deter)
    layer("prior/0", c.deter, c.hidden)
    layer("prior/1", c.hidden, c.hidden)
    linear("prior/logits", c.hidden, latent)
    layer("post/0", c.deter + c.units, c.hidden)
    linear("post/logits", c.hidden, latent)
    mlp("dec", latent + c.deter, 3)
    linear("dec/out", c.units, c.observation)
    for name, layers, outputs in (("rew", 1, c.bins), ("con", 1, 1), ("pol", 3, 0), ("val", 3, c.bins), ("slow", 3, c.bins)):
        mlp(name, c.deter + latent, layers)
        if outputs:
            linear(f"{name}/out", c.units, outputs)
    for name in ("logits",) if c.discrete else ("mean", "std"):
        linear(f"pol/{name}", c.units, c.action)
    return out


def trained(names):
    return [name for name in names if not name.startswith("slow/")]


def sizes_by_module(c):
    sizes = dict.fromkeys(MODULES, 0)
    for name, (rows, cols) in shapes(c).items():
        module = name.split("/")[0]
        module = "dyn" if module in ("prior", "post") else module
        if module in sizes:
            sizes[module] += rows * cols
    return sizes


# ---- stop_gradient, which can be frozen so that differences of the loss are what its gradient is of --------------------


class Stops:
    def __init__(self):
        self.values, self.at = None, 0

    def record(self):
        self.values, self.at = [], None

    def replay(self):
        self.at = 0

    def __call__(self, x):
        if self.values is not None and self.at is not None:
            self.at += 1
            return self.values[self.at - 1]
        x = x.detach()
        if self.values is not None:
            self.values.append(x)
        return x


sg = Stops()


# ---- layers --------------------------------------------------------------------------------------------------------


def symlog(x):
    return torch.sign(x) * torch.log1p(torch.abs(x))


def bins_of(count):
    """symexp of even steps from -20 to 20, symmetric, rounded to float32."""
    half = numpy.expm1(20.0 * numpy.arange(1, count // 2 + 1) / (count // 2)).astype(numpy.float32).astype(numpy.float64)
    return numpy.concatenate([-half[::-1], [0.0], half])


def rms_silu(x, scale):
    return F.silu(x * torch.rsqrt((x * x).mean(1, keepdim=True) + EPSILON) * scale)


def linear(w, name, *inputs):
    return torch.cat(inputs, 1) @ w[f"{name}/weight"] + w[f"{name}/bias"]


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
        x = torch.cat([x, shared[:, None, :].expand(rows, blocks, shared.shape[1])], 2)
    y = torch.einsum("rgk,gkn->rgn", x, weight.reshape(blocks, x.shape[2], -1))
    return y.reshape(rows, -1) + bias


def core(c, w, h, z, a):
    """Steps 1 to 6 without the resets: the next h."""
    a = a / sg(torch.clamp(torch.abs(a), min=1.0))
    shared = torch.cat([layer(w, "dyn/deter", h), layer(w, "dyn/stoch", z), layer(w, "dyn/action", a)], 1)
    v = rms_silu(block_linear(h, shared, w["dyn/hidden/weight"], w["dyn/hidden/bias"], c.blocks), w["dyn/hidden/scale"])
    y = block_linear(v, None, w["dyn/gates/weight"], w["dyn/gates/bias"], c.blocks)
    reset, candidate, update = (part.reshape(h.shape) for part in y.reshape(len(h), c.blocks, 3, -1).unbind(2))
    candidate = torch.tanh(torch.sigmoid(reset) * candidate)
    update = torch.sigmoid(update - 1)
    return update * candidate + (1 - update) * h


def prior_of(w, h):
    return linear(w, "prior/logits", mlp(w, "prior", 2, h))


def posterior_of(w, h, tokens):
    return linear(w, "post/logits", mlp(w, "post", 1, h, tokens))


# ---- distributions -------------------------------------------------------------------------------------------------


def mixed_log(logits, classes, unimix):
    """log p of each variable: [R, variables, classes]."""
    p = F.softmax(logits.reshape(len(logits), -1, classes), 2)
    return torch.log((1 - unimix) * p + unimix / classes)


class Draws:
    """Classes by inverse CDF. Uniforms that come nearer than `margin` to a boundary are drawn again, in place."""

    def __init__(self, margin, again):
        self.margin, self.again = margin, again
        self.classes = []

    def __call__(self, p, uniforms, name, first_row):
        """p [R, variables, classes]; rows of uniforms[name] from first_row on. One-hot, exactly."""
        prefix = p.detach().cumsum(2)
        prefix = prefix[:, :, :-1] / prefix[:, :, -1:]
        u = uniforms[name][first_row : first_row + len(p)]
        near = lambda u: (prefix - u[:, :, None]).abs().min(2).values < self.margin
        for r, v in near(u).nonzero().tolist() if self.again else []:
            while near(u)[r, v]:
                u[r, v] = self.again()
        k = (prefix <= u[:, :, None]).sum(2)
        self.classes.append(k)
        return F.one_hot(k, p.shape[2]).to(p.dtype)


def straight_through(onehot, p):
    onehot = sg(onehot)
    return (onehot + (p - sg(p))).reshape(len(p), -1)


def kl(log_p, log_q):
    return (log_p.exp() * (log_p - log_q)).sum((1, 2)).reshape(-1, 1)


def twohot_mean(logits, bins):
    """Added from the outside in by pairs: exactly 0 for equal logits."""
    p, half = F.softmax(logits, 1), len(bins) // 2
    pairs = p[:, :half] * bins[:half] + (p * bins).flip(1)[:, :half]
    return pairs.sum(1, keepdim=True) + (p * bins)[:, half : half + 1]


def twohot_nll(logits, target, bins):
    below = torch.clamp((bins <= target).sum(1, keepdim=True) - 1, 0, len(bins) - 2)
    part = torch.clamp((target - bins[below]) / (bins[below + 1] - bins[below]), 0, 1)
    log_p = F.log_softmax(logits, 1)
    return -((1 - part) * log_p.gather(1, below) + part * log_p.gather(1, below + 1))


class Policy:
    """The actor's distribution in some states."""

    def __init__(self, c, w, feature):
        self.c, x = c, mlp(w, "pol", 3, feature)
        if c.discrete:
            self.logits = linear(w, "pol/logits", x)
            self.log_p = mixed_log(self.logits, c.action, c.unimix)
        else:
            self.mean = torch.tanh(linear(w, "pol/mean", x))
            self.std = 0.9 * torch.sigmoid(linear(w, "pol/std", x) + 2) + 0.1

    def sample(self, noise, first_row, draws):
        """Without a gradient."""
        if self.c.discrete:
            return draws(self.log_p.exp(), noise, "noise/action", first_row).reshape(-1, self.c.action)
        return self.mean + self.std * noise["noise/action"][first_row : first_row + len(self.mean)]

    def log_prob(self, action):
        if self.c.discrete:
            return (self.log_p[:, 0] * action).sum(1, keepdim=True)
        normal = ((action - self.mean) / self.std) ** 2 + 2 * torch.log(self.std) + math.log(2 * math.pi)
        return -0.5 * normal.sum(1, keepdim=True)

    def entropy(self):
        if self.c.discrete:
            return -(self.log_p.exp() * self.log_p).sum((1, 2)).reshape(-1, 1)
        return (torch.log(self.std) + 0.5 * math.log(2 * math.pi * math.e)).sum(1, keepdim=True)

    def outputs(self):
        return {"policy_logits": self.logits} if self.c.discrete else {"policy_mean": self.mean, "policy_std": self.std}


# ---- sequences -----------------------------------------------------------------------------------------------------


def observe(c, w, batch, noise, draws):
    B = len(batch["carry/deter"])
    tokens = mlp(w, "enc", 3, symlog(batch["observation"]))
    h, z, a = batch["carry/deter"], batch["carry/stoch"], batch["carry/action"]
    deter, stoch, logits = [], [], []
    for first in range(0, len(tokens), B):
        rows = slice(first, first + B)
        keep = 1 - batch["is_first"][rows]
        h = core(c, w, h * keep, z * keep, a * keep)
        logit = posterior_of(w, h, tokens[rows])
        p = mixed_log(logit, c.classes, c.unimix).exp()
        z = straight_through(draws(p, noise, "noise/posterior", first), p)
        a = batch["action"][rows]
        for values, value in ((deter, h), (stoch, z), (logits, logit)):
            values.append(value)
    deter, stoch, logits = torch.cat(deter), torch.cat(stoch), torch.cat(logits)
    return {"tokens": tokens, "deter": deter, "stoch": stoch, "posterior_logits": logits, "prior_logits": prior_of(w, deter)}


def imagine(c, w, h, z, steps, noise, draws):
    """steps transitions under the policy, and one more action; nothing carries a gradient."""
    N, deter, stoch, action, logits = len(h), [h], [z], [], []
    with torch.no_grad():
        for i in range(steps + 1):
            a = Policy(c, w, torch.cat([h, z], 1)).sample(noise, i * N, draws)
            action.append(a)
            if i == steps:
                break
            h = core(c, w, h, z, a)
            logit = prior_of(w, h)
            z = draws(mixed_log(logit, c.classes, c.unimix).exp(), noise, "noise/prior", i * N).reshape(N, -1)
            for values, value in ((deter, h), (stoch, z), (logits, logit)):
                values.append(value)
    out = {"deter": deter, "stoch": stoch, "action": action, "prior_logits": logits}
    return {name: sg(torch.cat(values)) for name, values in out.items()}


def lambda_return(reward, going_on, trust, value):
    """R_t = reward_{t+1} + going_on_{t+1} ((1 - trust_{t+1}) value_{t+1} + trust_{t+1} R_{t+1}), R_last = value_last.
    All [T, N], the result [T - 1, N]."""
    out = [value[-1]]
    for t in range(len(value) - 1, 0, -1):
        out.append(reward[t] + going_on[t] * ((1 - trust[t]) * value[t] + trust[t] * out[-1]))
    return torch.stack(out[:0:-1])


# ---- losses --------------------------------------------------------------------------------------------------------


def forward(c, w, batch, noise, returns, draws):
    """Everything that one update computes before its gradients. returns: low and high of the normaliser, before.
    Gives values by name (losses below "loss/") and the normaliser after."""
    B, rows = len(batch["carry/deter"]), len(batch["reward"])
    T, H = rows // B, len(noise["noise/prior"]) // rows
    bins = torch.tensor(bins_of(c.bins), dtype=batch["reward"].dtype)
    out, losses = {}, {}

    # the world model
    state = observe(c, w, batch, noise, draws)
    h, z = state["deter"], state["stoch"]
    feature = torch.cat([h, z], 1)
    reconstruction = linear(w, "dec/out", mlp(w, "dec", 3, z, h))
    reward_logits = linear(w, "rew/out", mlp(w, "rew", 1, feature))
    continue_logit = linear(w, "con/out", mlp(w, "con", 1, feature))
    going_on = (1 - batch["is_terminal"]) * (1 - 1 / c.horizon)
    losses["rec"] = ((reconstruction - symlog(batch["observation"])) ** 2).sum(1)
    losses["rew"] = twohot_nll(reward_logits, batch["reward"], bins)
    losses["con"] = F.softplus(continue_logit) - going_on * continue_logit
    post = mixed_log(state["posterior_logits"], c.classes, c.unimix)
    prior = mixed_log(state["prior_logits"], c.classes, c.unimix)
    divergence = kl(post, prior)
    losses["dyn"] = torch.clamp(kl(sg(post), prior), min=c.free_nats)
    losses["rep"] = torch.clamp(kl(post, sg(prior)), min=c.free_nats)
    state.update(reconstruction=reconstruction, reward=twohot_mean(reward_logits, bins),
                 going_on=torch.sigmoid(continue_logit), kl=divergence)

    # actor and critic in imagination, rows i * T * B + r
    image = imagine(c, w, h.detach(), z.detach(), H, noise, draws)
    seen = torch.cat([image["deter"], image["stoch"]], 1)
    policy = Policy(c, w, seen)
    value_logits = linear(w, "val/out", mlp(w, "val", 3, seen))
    image["reward"] = twohot_mean(linear(w, "rew/out", mlp(w, "rew", 1, seen)), bins)
    image["going_on"] = torch.sigmoid(linear(w, "con/out", mlp(w, "con", 1, seen)))
    image["value"] = twohot_mean(value_logits, bins)
    image["slow_value"] = twohot_mean(linear(w, "slow/out", mlp(w, "slow", 3, seen)), bins)
    image.update(policy.outputs(), log_prob=policy.log_prob(image["action"]), entropy=policy.entropy())
    steps = lambda x: x.reshape(H + 1, rows)
    reward, on, value, slow = (steps(image[name]) for name in ("reward", "going_on", "value", "slow_value"))
    target = lambda_return(reward, on, torch.full_like(on, c.lam), value)
    ends = torch.quantile(target.detach().reshape(-1), torch.tensor([0.05, 0.95], dtype=target.dtype))
    returns = (1 - c.return_rate) * returns + c.return_rate * ends
    scale = torch.clamp(returns[1] - returns[0], min=1.0)
    advantage = (target - value[:-1]) / scale
    weight = on.cumprod(0)[:-1]
    log_prob, entropy = steps(image["log_prob"])[:-1], steps(image["entropy"])[:-1]
    losses["policy"] = sg(weight) * -(log_prob * sg(advantage) + c.entropy * entropy)
    column = lambda x: x.reshape(-1, 1)
    logits = value_logits[: H * rows]
    nll = twohot_nll(logits, sg(column(target)), bins) + c.slow_weight * twohot_nll(logits, sg(column(slow[:-1])), bins)
    losses["value"] = sg(column(weight)) * nll
    image["return"], image["advantage"], image["weight"] = column(target), column(advantage), column(weight)

    # the critic on what was replayed, its features with gradient
    replayed_logits = linear(w, "val/out", mlp(w, "val", 3, feature))
    replayed_slow = twohot_mean(linear(w, "slow/out", mlp(w, "slow", 3, feature)), bins)
    by_step = lambda x: x.reshape(T, B)
    live = by_step((1 - batch["is_terminal"]) * (1 - 1 / c.horizon))
    trust = by_step(c.lam * (1 - batch["is_last"]))
    replayed = column(lambda_return(by_step(batch["reward"]), live, trust, target[0].reshape(T, B)))
    until = (T - 1) * B
    logits = replayed_logits[:until]
    nll = twohot_nll(logits, sg(replayed), bins) + c.slow_weight * twohot_nll(logits, sg(replayed_slow[:until]), bins)
    losses["repval"] = (1 - batch["is_last"][:until]) * nll
    replay = {"return": replayed, "value": twohot_mean(replayed_logits, bins), "slow_value": replayed_slow}

    losses = {name: losses[name].mean() for name in SCALES}
    losses["total"] = sum(SCALES[name] * losses[name] for name in SCALES)
    for prefix, group in (("loss", losses), ("state", state), ("imagination", image), ("replay", replay)):
        out.update({f"{prefix}/{name}": value for name, value in group.items()})
    out["returns/low"], out["returns/high"], out["returns/scale"] = returns[0], returns[1], scale
    return out, returns.detach()


def gradients(w, loss):
    names = trained(w)
    grads = torch.autograd.grad(loss, [w[name] for name in names], retain_graph=True, allow_unused=True)
    return {name: torch.zeros_like(w[name]) if g is None else g for name, g in zip(names, grads)}


class LaProp:
    """Gradients clipped weight by weight (AGC), then LaProp."""

    def __init__(self, c, w):
        self.c, self.updates = c, 0
        self.moment1 = {name: torch.zeros_like(w[name]) for name in trained(w)}
        self.moment2 = {name: torch.zeros_like(w[name]) for name in trained(w)}

    def step(self, w, grads):
        """The weights after; and the clipped gradients."""
        c, after, clipped = self.c, dict(w), {}
        self.updates += 1
        for name, g in grads.items():
            p = w[name].detach()
            most = c.agc * max(c.agc_smallest, float(p.norm()))
            g = clipped[name] = g / max(1.0, float(g.norm()) / most)
            v = self.moment2[name] = c.beta2 * self.moment2[name] + (1 - c.beta2) * g * g
            g = g / (torch.sqrt(v / (1 - c.beta2**self.updates)) + c.optimiser_epsilon)
            m = self.moment1[name] = c.beta1 * self.moment1[name] + (1 - c.beta1) * g
            after[name] = p - c.learning_rate * m / (1 - c.beta1**self.updates)
        for name in w:
            if name.startswith("slow/"):
                online = after["val/" + name[len("slow/"):]]
                after[name] = (1 - c.slow_rate) * w[name].detach() + c.slow_rate * online
        return after, clipped


def train(c, w, batch, noises, returns, draws, watch=None):
    """One update per noise, on one batch from one carry. Gives every update's values by name."""
    optimiser, history = LaProp(c, w), []
    for noise in noises:
        w = {name: p.detach().requires_grad_(not name.startswith("slow/")) for name, p in w.items()}
        out, returns = forward(c, w, batch, noise, returns, draws)
        grads = gradients(w, out["loss/total"])
        if watch:
            watch(len(history), w, out)
        w, clipped = optimiser.step(w, grads)
        groups = {"gradient": grads, "clipped": clipped, "weight": w,
                  "moment1": optimiser.moment1, "moment2": optimiser.moment2}
        out = {name: value.detach() for name, value in out.items()}
        for prefix, group in groups.items():
            out.update({f"{prefix}/{name}": value.detach().clone() for name, value in group.items()})
        history.append(out)
    return history
