#!/usr/bin/env python3
"""Writes ops.h: fused ops, their gradients and optimiser steps as PyTorch computes them in float64.

    python3 tests/golden/ops.py > tests/golden/ops.h

Inputs are rounded to float32 first, so that every device gets the same numbers.
"""
import torch
import torch.nn.functional as F

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)
lines = []


def keep(case, name, tensor):
    tensor = tensor.detach().reshape(tensor.shape[0] if tensor.dim() == 2 else 1, -1)
    values = ", ".join(repr(float(x)) for x in tensor.flatten())
    lines.append(f'{{"{case}", "{name}", {tensor.shape[0]}, {tensor.shape[1]}, (const double[]){{{values}}}}},')


def draw(case, name, rows, cols, scale=1.0, shift=0.0):
    tensor = (torch.randn(rows, cols) * scale + shift).float().double()
    keep(case, name, tensor)
    return tensor.requires_grad_()


def finish(case, outputs, inputs):
    """Outputs, and the gradients of the sum of every output times a drawn weight."""
    loss = 0
    for name, output in outputs.items():
        keep(case, name, output)
        loss = loss + (output * draw(case, "weight_" + name, *output.shape).detach()).sum()
    for (name, tensor), gradient in zip(inputs.items(), torch.autograd.grad(loss, list(inputs.values()))):
        keep(case, "d_" + name, gradient)


def gru_cell(batch, inputs, hidden):
    case = "gru_cell"
    x, h = draw(case, "x", batch, inputs), draw(case, "h", batch, hidden)
    w_x, w_h = draw(case, "w_x", inputs, 3 * hidden, 0.4), draw(case, "w_h", hidden, 3 * hidden, 0.4)
    b_x, b_h = draw(case, "b_x", 1, 3 * hidden, 0.3), draw(case, "b_h", 1, 3 * hidden, 0.3)
    cell = torch.nn.GRUCell(inputs, hidden)
    names = {"weight_ih": w_x.T, "weight_hh": w_h.T, "bias_ih": b_x[0], "bias_hh": b_h[0]}
    out = torch.func.functional_call(cell, names, (x, h))
    finish(case, {"next": out}, {"x": x, "h": h, "w_x": w_x, "w_h": w_h, "b_x": b_x, "b_h": b_h})


def norms(rows, cols):
    for case in ("layer_norm", "rms_norm"):
        x, scale, bias = draw(case, "x", rows, cols, 2.0, 0.5), draw(case, "scale", 1, cols), draw(case, "bias", 1, cols)
        if case == "layer_norm":
            y = F.silu(F.layer_norm(x, (cols,), scale[0], bias[0], 1e-3))
            finish(case, {"y": y}, {"x": x, "scale": scale, "bias": bias})
        else:
            y = F.silu(F.rms_norm(x, (cols,), scale[0], 1e-3))
            finish(case, {"y": y}, {"x": x, "scale": scale})


def linear(rows, first, second, outputs):
    case = "linear"
    a, b = draw(case, "a", rows, first), draw(case, "b", rows, second)
    w, bias = draw(case, "w", first + second, outputs, 0.5), draw(case, "bias", 1, outputs)
    finish(case, {"y": F.gelu(F.linear(torch.cat([a, b], 1), w.T, bias[0]), approximate="tanh")},
           {"a": a, "b": b, "w": w, "bias": bias})


def likelihoods(rows, cols):
    case = "likelihoods"
    mean, logvar, other, other_logvar, target = (draw(case, n, rows, cols) for n in "mean logvar other other_logvar target".split())
    normal = torch.distributions.Normal(mean, torch.exp(logvar / 2))
    second = torch.distributions.Normal(other, torch.exp(other_logvar / 2))
    outputs = {
        "gaussian": -normal.log_prob(target).sum(1, keepdim=True),
        "kl": torch.distributions.kl_divergence(normal, second).sum(1, keepdim=True),
        "mse": F.mse_loss(mean, target, reduction="none").mean(1, keepdim=True),
        "bernoulli": F.binary_cross_entropy_with_logits(mean, target, reduction="none").sum(1, keepdim=True),
    }
    finish(case, outputs, {"mean": mean, "logvar": logvar, "other": other, "other_logvar": other_logvar, "target": target})


def softmax(rows, cols):
    case = "softmax"
    x = draw(case, "x", rows, cols, 3.0)
    finish(case, {"y": F.softmax(x, 1), "log": F.log_softmax(x, 1)}, {"x": x})


def adamw(count, steps):
    """Betas and eps are the float32 numbers that a plan holds."""
    case = "adamw"
    f32 = lambda x: float(torch.tensor(x, dtype=torch.float32))
    value = draw(case, "value", 1, count)
    optimiser = torch.optim.AdamW([value], lr=f32(0.02), betas=(f32(0.9), f32(0.99)), eps=f32(1e-5), weight_decay=f32(0.1))
    for step in range(steps):
        value.grad = draw(case, f"gradient_{step}", 1, count, 0.2 if step == 1 else 2.0).detach().clone()
        torch.nn.utils.clip_grad_norm_([value], 1.5)
        optimiser.step()
        keep(case, f"value_{step}", value)
    keep(case, "m", optimiser.state[value]["exp_avg"])
    keep(case, "v", optimiser.state[value]["exp_avg_sq"])


def gru_sequence(case, steps, batch, inputs, hidden, resets):
    """torch.nn.GRU over a sequence; where an episode begins, its state is set to zero before the step."""
    x, h = draw(case, "x", steps * batch, inputs), draw(case, "h", batch, hidden)
    w_x, w_h = draw(case, "w_x", inputs, 3 * hidden, 0.4), draw(case, "w_h", hidden, 3 * hidden, 0.4)
    b_x, b_h = draw(case, "b_x", 1, 3 * hidden), draw(case, "b_h", 1, 3 * hidden)
    reset = torch.zeros(steps, batch, 1)
    for t, row in resets:
        reset[t, row] = 1
    keep(case, "reset", reset.reshape(-1, 1))
    weights = {"weight_ih_l0": w_x.T, "weight_hh_l0": w_h.T, "bias_ih_l0": b_x[0], "bias_hh_l0": b_h[0]}
    gru = torch.nn.GRU(inputs, hidden)
    run = lambda part, state: torch.func.functional_call(gru, weights, (part, state[None]))[0]
    sequence = x.reshape(steps, batch, inputs)
    if not resets:
        states = run(sequence, h)
    else:
        states, state = [], h
        for t in range(steps):
            state = run(sequence[t:t + 1], state * (1 - reset[t]))[0]
            states.append(state)
        states = torch.stack(states)
    finish(case, {"states": states.reshape(steps * batch, hidden)},
           {"x": x, "h": h, "w_x": w_x, "w_h": w_h, "b_x": b_x, "b_h": b_h})


def block_core(batch, blocks, deter, hidden):
    """DreamerV3's recurrent core, steps 3 to 6, from its equations."""
    case, each = "block_core", deter // blocks
    h = draw(case, "h", batch, deter)
    x = [draw(case, f"x{i}", batch, hidden) for i in range(3)]
    w, bias = draw(case, "w", deter + 3 * blocks * hidden, each, 0.4), draw(case, "bias", 1, deter)
    scale, gates = draw(case, "scale", 1, deter, 0.2, 1.0), draw(case, "gates", deter, 3 * each, 0.6)
    u = torch.cat([h.reshape(batch, blocks, each)] + [part[:, None].expand(batch, blocks, hidden) for part in x], -1)
    v = torch.einsum("bgi,gio->bgo", u, w.reshape(blocks, -1, each)).reshape(batch, deter) + bias
    v = F.silu(v / torch.sqrt((v * v).mean(-1, keepdim=True) + float(torch.tensor(1e-4, dtype=torch.float32))) * scale)
    y = torch.einsum("bgi,gio->bgo", v.reshape(batch, blocks, each), gates.reshape(blocks, each, 3 * each))
    reset, candidate, update = (part.reshape(batch, deter) for part in y.split(each, -1))
    update = torch.sigmoid(update - 1)
    following = update * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - update) * h
    inputs = {"h": h, "w": w, "bias": bias, "scale": scale, "gates": gates}
    finish(case, {"next": following}, inputs | {f"x{i}": part for i, part in enumerate(x)})


def laprop(sizes, group, steps):
    """One weight after the other: clipped by its norms, then LaProp. In a flat set each begins with a group of its own."""
    case = "laprop"
    f32 = lambda number: float(torch.tensor(number, dtype=torch.float32))
    beta1, beta2, eps, decay, agc, lr = (f32(number) for number in (0.9, 0.99, 1e-20, 0.1, 0.3, 0.02))
    room = [-(-size // group) * group for size in sizes]
    pad = lambda parts: torch.cat([F.pad(part, (0, space - len(part))) for part, space in zip(parts, room)])[None]
    keep(case, "owner", torch.cat([torch.full((space // group,), float(i)) for i, space in enumerate(room)])[:, None])
    weights = [torch.randn(size).float().double() * (1e-4 if i == 1 else 1) for i, size in enumerate(sizes)]
    weights = [weight.float().double() for weight in weights]
    keep(case, "value", pad(weights))
    m, v = [torch.zeros(size) for size in sizes], [torch.zeros(size) for size in sizes]
    for step in range(1, steps + 1):
        gradients = [(torch.randn(size) * (0.01 if i == 2 else 3.0)).float().double() for i, size in enumerate(sizes)]
        keep(case, f"gradient_{step}", pad(gradients))
        for i, (p, g) in enumerate(zip(weights, gradients)):
            g = g / max(1.0, float(g.norm()) / (agc * max(f32(1e-3), float(p.norm()))))
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            m[i] = beta1 * m[i] + (1 - beta1) * g / (torch.sqrt(v[i] / (1 - beta2 ** step)) + eps)
            weights[i] = p - lr * (m[i] / (1 - beta1 ** step) + decay * p)
        keep(case, f"value_{step}", pad(weights))
    keep(case, "m", pad(m))
    keep(case, "v", pad(v))


gru_cell(3, 5, 4)
norms(3, 6)
linear(4, 3, 2, 5)
likelihoods(3, 4)
softmax(3, 5)
adamw(9, 4)
gru_sequence("gru_sequence", 5, 2, 3, 4, [])
gru_sequence("gru_resets", 6, 3, 2, 4, [(0, 1), (2, 0), (3, 0), (5, 2)])
block_core(3, 2, 6, 2)
laprop([20, 7, 16], 8, 10)
print("/* Made by tests/golden/ops.py with PyTorch " + torch.__version__.split("+")[0] + " in float64. */")
print("\n".join(lines))
