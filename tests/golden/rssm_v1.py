"""Writes tests/golden/dreamer/rssm_v1.safetensors: the Gaussian RSSM of PlaNet and Dreamer V1 on a GRU, in float64
(docs/audit.md holds its equations and the file's names).

    python tests/golden/rssm_v1.py        (PyTorch 2.x, safetensors)
"""

import math

import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from dreamer_v3 import Stops
from dreamer_v3_golden import normal, relative, uniform, write

STEPS, SEQUENCES, IMAGINED = 6, 3, 4
EMBEDDING, ACTION, HIDDEN, DETER, LATENT = 4, 2, 5, 7, 3
MIN_STD, FREE_NATS, BALANCE = 0.1, 1.0, 0.8

SHAPES = {
    "dyn/input/weight": (LATENT + ACTION, HIDDEN), "dyn/input/bias": (1, HIDDEN),
    "dyn/gru/w_x": (HIDDEN, 3 * DETER), "dyn/gru/w_h": (DETER, 3 * DETER),
    "dyn/gru/b_x": (1, 3 * DETER), "dyn/gru/b_h": (1, 3 * DETER),
    "prior/0/weight": (DETER, HIDDEN), "prior/0/bias": (1, HIDDEN),
    "prior/mean/weight": (HIDDEN, LATENT), "prior/mean/bias": (1, LATENT),
    "prior/std/weight": (HIDDEN, LATENT), "prior/std/bias": (1, LATENT),
    "post/0/weight": (DETER + EMBEDDING, HIDDEN), "post/0/bias": (1, HIDDEN),
    "post/mean/weight": (HIDDEN, LATENT), "post/mean/bias": (1, LATENT),
    "post/std/weight": (HIDDEN, LATENT), "post/std/bias": (1, LATENT),
}

sg = Stops()


def linear(w, name, *inputs):
    return torch.cat(inputs, 1) @ w[f"{name}/weight"] + w[f"{name}/bias"]


def core(w, h, z, a):
    named = {"weight_ih": w["dyn/gru/w_x"].T, "weight_hh": w["dyn/gru/w_h"].T,
             "bias_ih": w["dyn/gru/b_x"].reshape(-1), "bias_hh": w["dyn/gru/b_h"].reshape(-1)}
    cell = torch.nn.GRUCell(HIDDEN, DETER).to(h.dtype)
    return torch.func.functional_call(cell, named, (F.elu(linear(w, "dyn/input", z, a)), h))


def latent(w, name, *inputs):
    x = F.elu(linear(w, f"{name}/0", *inputs))
    return linear(w, f"{name}/mean", x), F.softplus(linear(w, f"{name}/std", x)) + MIN_STD


def kl(mean_p, std_p, mean_q, std_q):
    x = (std_p / std_q) ** 2 + ((mean_q - mean_p) / std_q) ** 2 - 1 + 2 * torch.log(std_q / std_p)
    return 0.5 * x.sum(1, keepdim=True)


def observe(w, batch):
    h, z, a = (batch[f"carry/{name}"] for name in ("deter", "stoch", "action"))
    deter, stoch, posterior, prior = [], [], [], []
    for t in range(STEPS):
        rows = slice(t * SEQUENCES, (t + 1) * SEQUENCES)
        keep = 1 - batch["is_first"][rows]
        h = core(w, h * keep, z * keep, a * keep)
        mean, std = latent(w, "post", h, batch["embedding"][rows])
        z, a = mean + std * batch["noise/posterior"][rows], batch["action"][rows]
        for values, value in ((deter, h), (stoch, z), (posterior, (mean, std)), (prior, latent(w, "prior", h))):
            values.append(value)
    join = lambda pairs, i: torch.cat([pair[i] for pair in pairs])
    return {"deter": torch.cat(deter), "stoch": torch.cat(stoch), "posterior_mean": join(posterior, 0),
            "posterior_std": join(posterior, 1), "prior_mean": join(prior, 0), "prior_std": join(prior, 1)}


def imagine(w, batch, h, z):
    """From the last observed state under given actions."""
    out = {"deter": [], "stoch": [], "prior_mean": [], "prior_std": []}
    for i in range(IMAGINED):
        rows = slice(i * SEQUENCES, (i + 1) * SEQUENCES)
        h = core(w, h, z, batch["imagination/action"][rows])
        mean, std = latent(w, "prior", h)
        z = mean + std * batch["noise/prior"][rows]
        for name, value in zip(out, (h, z, mean, std)):
            out[name].append(value)
    return {name: torch.cat(values) for name, values in out.items()}


def forward(w, batch):
    state = observe(w, batch)
    post, prior = [state["posterior_mean"], state["posterior_std"]], [state["prior_mean"], state["prior_std"]]
    state["kl"] = kl(*post, *prior)
    dyn = torch.clamp(kl(*map(sg, post), *prior), min=FREE_NATS).mean()
    rep = torch.clamp(kl(*post, *map(sg, prior)), min=FREE_NATS).mean()
    probe = sum((state[name] * batch[f"probe/{name}"]).sum(1).mean() for name in ("deter", "stoch"))
    losses = {"dyn": dyn, "rep": rep, "kl": BALANCE * dyn + (1 - BALANCE) * rep, "probe": probe}
    losses["total"] = losses["kl"] + probe
    last = slice(-SEQUENCES, None)
    image = imagine(w, batch, state["deter"][last], state["stoch"][last])
    out = {}
    for prefix, group in (("loss", losses), ("state", state), ("imagination", image)):
        out.update({f"{prefix}/{name}": value for name, value in group.items()})
    return out


def gradients(w, batch):
    leaves = {**w, "embedding": batch["embedding"]}
    leaves = {name: p.clone().requires_grad_() for name, p in leaves.items()}
    out = forward({name: leaves[name] for name in w}, {**batch, "embedding": leaves["embedding"]})
    grads = torch.autograd.grad(out["loss/total"], list(leaves.values()))
    out.update({f"gradient/{name}": g for name, g in zip(leaves, grads)})
    return {name: value.detach() for name, value in out.items()}


def make_inputs():
    rows, ahead = STEPS * SEQUENCES, IMAGINED * SEQUENCES
    weights = {name: uniform(f"v1/{name}", shape, 0.3 if shape[0] == 1 else 1.5 * math.sqrt(3.0 / shape[0]))
               for name, shape in SHAPES.items()}
    is_first = torch.zeros(rows, 1, dtype=torch.float64)
    for b, t in ((0, 0), (1, 2), (2, 5), (0, 4)):
        is_first[t * SEQUENCES + b] = 1
    batch = {
        "embedding": uniform("v1/embedding", (rows, EMBEDDING), 2.0), "action": uniform("v1/action", (rows, ACTION)),
        "is_first": is_first, "carry/deter": uniform("v1/carry/deter", (SEQUENCES, DETER)),
        "carry/stoch": uniform("v1/carry/stoch", (SEQUENCES, LATENT)),
        "carry/action": uniform("v1/carry/action", (SEQUENCES, ACTION)),
        "noise/posterior": normal("v1/noise/posterior", (rows, LATENT)),
        "noise/prior": normal("v1/noise/prior", (ahead, LATENT)),
        "imagination/action": uniform("v1/imagination/action", (ahead, ACTION)),
        "probe/deter": uniform("v1/probe/deter", (rows, DETER)), "probe/stoch": uniform("v1/probe/stoch", (rows, LATENT)),
    }
    return weights, batch


def check(weights, batch, out):
    mean, std = "state/{}_mean", "state/{}_std"
    post, prior = (Normal(out[mean.format(name)], out[std.format(name)]) for name in ("posterior", "prior"))
    assert torch.allclose(out["state/kl"], kl_divergence(post, prior).sum(1, keepdim=True), rtol=1e-12)
    nats = out["state/kl"]
    assert (nats < FREE_NATS).any() and (nats > FREE_NATS).any() and (nats - FREE_NATS).abs().min() > 1e-3
    # steps without resets are torch's own GRU over the sequence
    gru = torch.nn.GRU(HIDDEN, DETER).double()
    x, h = uniform("v1/gru", (STEPS, SEQUENCES, HIDDEN), 0.5, 0.5), batch["carry/deter"]  # ELU is the identity above 0
    with torch.no_grad():
        for name, mine in (("weight_ih_l0", "w_x"), ("weight_hh_l0", "w_h"), ("bias_ih_l0", "b_x"), ("bias_hh_l0", "b_h")):
            getattr(gru, name).copy_(weights[f"dyn/gru/{mine}"].T.reshape(getattr(gru, name).shape))
    identity = {**weights, "dyn/input/weight": torch.eye(HIDDEN, dtype=torch.float64),
                "dyn/input/bias": torch.zeros(1, HIDDEN, dtype=torch.float64)}
    with torch.no_grad():
        expected = gru(x, h[None])[0]
        for t in range(STEPS):
            h = core(identity, h, x[t][:, :LATENT], x[t][:, LATENT:])
            assert torch.allclose(h, expected[t], rtol=1e-12, atol=1e-14)
    # central differences
    sg.record()
    forward(weights, batch)
    worst = 0.0
    for name, w in weights.items():
        g = out[f"gradient/{name}"]
        for i in range(0, w.numel(), max(1, w.numel() // 5)):
            moved, ends = w.clone(), []
            for sign in (1, -1):
                moved.view(-1)[i] = w.reshape(-1)[i] + sign * 1e-5
                sg.replay()
                ends.append(float(forward({**weights, name: moved}, batch)["loss/total"]))
            worst = max(worst, abs((ends[0] - ends[1]) / 2e-5 - float(g.reshape(-1)[i])) / float(g.abs().max()))
    sg.values = None
    assert worst < 1e-6, worst
    half = lambda group: {name: x.float() for name, x in group.items()}
    other = gradients(half(weights), half(batch))
    error = max(relative(other[name], out[name]) for name in out)
    assert error < 1e-5
    print(f"rssm_v1: gradients and differences {worst:.1e} apart, float32 differs by {error:.1e}")


def main():
    weights, batch = make_inputs()
    out = gradients(weights, batch)
    check(weights, batch, out)
    tensors = {**{f"weight/{name}": w for name, w in weights.items()}, **{f"batch/{name}": x for name, x in batch.items()},
               **{f"expected/{name}": x for name, x in out.items()}}
    write("rssm_v1", tensors, {"reverie": "1", "kind": "rssm_v1"}, "float64")


if __name__ == "__main__":
    main()
