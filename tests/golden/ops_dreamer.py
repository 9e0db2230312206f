#!/usr/bin/env python3
"""Writes ops_dreamer.h: categorical variables, two-hot heads and returns as PyTorch computes them in float64, and a
draw by Philox and the inverse of the distribution function.

    python3 tests/golden/ops_dreamer.py > tests/golden/ops_dreamer.h
"""
import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
lines = []
UNIMIX = float(torch.tensor(0.01, dtype=torch.float32))


def keep(case, name, tensor):
    values = ", ".join(repr(float(x)) for x in tensor.detach().flatten())
    lines.append(f'{{"{case}", "{name}", {tensor.shape[0]}, {tensor.shape[1]}, (const double[]){{{values}}}}},')


def given(case, name, tensor):
    """An input, rounded to float32 so that every device gets the same numbers."""
    tensor = tensor.float().double()
    keep(case, name, tensor)
    return tensor.requires_grad_()


def finish(case, outputs, inputs):
    """Outputs, and the gradients of the sum of every output times a drawn weight."""
    loss = 0
    for name, output in outputs.items():
        keep(case, name, output)
        loss = loss + (output * given(case, "weight_" + name, torch.randn(output.shape)).detach()).sum()
    for (name, _), gradient in zip(inputs.items(), torch.autograd.grad(loss, list(inputs.values()))):
        keep(case, "d_" + name, gradient)


def mixed(logits, classes):
    p = F.softmax(logits.reshape(len(logits), -1, classes), -1)
    return (1 - UNIMIX) * p + UNIMIX / classes


def categorical(rows, variables, classes):
    case = "categorical"
    logits, other = (given(case, n, torch.randn(rows, variables * classes)) for n in ("logits", "other"))
    onehot = given(case, "onehot", F.one_hot(torch.randint(classes, (rows, variables)), classes).reshape(rows, -1))
    p, q = (torch.distributions.Categorical(probs=mixed(x, classes)) for x in (logits, other))
    drawn = onehot.reshape(rows, variables, classes)
    outputs = {
        "log_prob": (p.probs.log() * drawn).sum((1, 2)),
        "entropy": p.entropy().sum(1),
        "kl": torch.distributions.kl_divergence(p, q).sum(1),
    }
    finish(case, {k: v[:, None] for k, v in outputs.items()}, {"logits": logits, "other": other, "onehot": onehot})


def philox(key, counter):
    """Philox4x32-10 of Salmon et al., 2011."""
    x, (k0, k1) = list(counter), key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(p1 >> 32) ^ x[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ x[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return x


def draw(rows, variables, classes, seed, t, name):
    """Straight-through: the value is one-hot, its gradient that of the probabilities."""
    case, stream = "draw", 0x811C9DC5
    for byte in name.encode():
        stream = (stream ^ byte) * 0x01000193 & 0xFFFFFFFF
    logits = given(case, "logits", torch.randn(rows, variables * classes) * 2)
    p = mixed(logits, classes)
    value = torch.zeros_like(p)
    for r in range(rows):
        for v in range(variables):
            word = philox((seed, 0), (r * ((variables + 3) // 4) + v // 4, t, 0, stream))[v % 4]
            u = ((word >> 8) + 0.5) / 2**24
            value[r, v, int((p[r, v].cumsum(0) <= u).sum())] = 1
    finish(case, {"value": (value + (p - p.detach())).reshape(rows, -1)}, {"logits": logits})


def twohot(rows, count):
    case = "twohot"
    half = torch.linspace(-20, 0, (count + 1) // 2)
    half = half.sign() * (half.abs().exp() - 1)
    bins = torch.cat([half, -half[:-1].flip(0)])[None]
    bins = given(case, "bins", bins).detach()
    logits = given(case, "logits", torch.randn(rows, count))
    target = given(case, "target", torch.tensor([[0.3], [-170.0], [5e3], [-1e9], [6e8], [0.0]])[:rows])
    x = target.clamp(bins.min(), bins.max())
    above = (bins <= x.detach()).sum(1, keepdim=True).clamp(1, count - 1)
    low, high = bins[0][above - 1], bins[0][above]
    part = (x - low) / (high - low)
    weights = torch.zeros(rows, count).scatter(1, above - 1, 1 - part).scatter(1, above, part)
    nll = -(weights * F.log_softmax(logits, 1)).sum(1, keepdim=True)
    finish(case, {"nll": nll}, {"logits": logits, "target": target})
    small = given(case, "small", torch.randn(rows, count))
    finish(case, {"mean": (F.softmax(small, 1) * bins).sum(1, keepdim=True)}, {"small": small})


def returns(rows, steps, lam):
    case, lam = "returns", float(torch.tensor(lam, dtype=torch.float32))
    reward, value = given(case, "reward", torch.randn(rows, steps)), given(case, "value", torch.randn(rows, steps + 1))
    going_on = given(case, "going_on", torch.rand(rows, steps))
    now, out = value[:, -1], []
    for t in reversed(range(steps)):
        now = reward[:, t] + going_on[:, t] * ((1 - lam) * value[:, t + 1] + lam * now)
        out.append(now)
    outputs = {"lambda": torch.stack(out[::-1], 1), "weight": going_on.cumprod(1)}
    finish(case, outputs, {"reward": reward, "value": value, "going_on": going_on})


categorical(4, 3, 5)
draw(9, 3, 4, 5, 2, "latent")
twohot(6, 9)
returns(3, 6, 0.95)
print("/* Made by tests/golden/ops_dreamer.py with PyTorch " + torch.__version__.split("+")[0] + " in float64. */")
print("\n".join(lines))
