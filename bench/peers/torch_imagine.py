"""Imagined trajectories at the course's sizes in PyTorch: the actor in the loop, dynamics, reward, as bench/imagine.c records them.

Weights are plain tensors by our names, matrices turned as torch.nn.Linear keeps them.
"""

import math

import torch
import torch.nn.functional as F

from serve import agree

LOGVAR_MIN, LOGVAR_MAX = -10.0, 2.0
LOG_STD_MIN, LOG_STD_SPAN = -5.0, 7.0                                # log std between -5 and 2 ...
LOG_STD_SHIFT = math.log(5 / 7) - math.log1p(-5 / 7)                 # ... and 0 where the head says 0


def tensors(arrays, device="cpu"):
    """Our weights, each [outputs, inputs] or [outputs]."""
    return {name: torch.from_numpy((array.T if name.endswith("weight") else array.reshape(-1)).copy()).to(device)
            for name, array in arrays.items()}


def layer(w, name, x):
    return F.linear(x, w[f"{name}/weight"], w[f"{name}/bias"])


def mlp(w, name, x, last=True):
    """Layers name/0, name/1 ..; `last`: no activation after the last of them."""
    count = sum(key.startswith(f"{name}/") and key.endswith("/weight") and key[len(name) + 1].isdigit() for key in w)
    for i in range(count):
        x = layer(w, f"{name}/{i}", x)
        if i < count - 1 or not last:
            x = F.silu(x)
    return x


def act(w, latent, noise):
    """A tanh-normal's action, with what log-probability and entropy need."""
    x = mlp(w, "policy", latent, last=False)
    log_std = LOG_STD_SPAN * torch.sigmoid(layer(w, "policy/std", x) + LOG_STD_SHIFT) + LOG_STD_MIN
    u = layer(w, "policy/mean", x) + log_std.exp() * noise
    return torch.tanh(u), u, log_std


def predict(w, latent, action):
    """The next latent's mean and log-variance, the reward."""
    joined = torch.cat([latent, action], dim=1)
    change, logvar = mlp(w, "dynamics", joined).chunk(2, dim=1)
    return latent + change, logvar.clamp(LOGVAR_MIN, LOGVAR_MAX), mlp(w, "reward", joined)


def imagine(w, latent, noise_action, noise_latent):
    """noise [steps, rows, ..]. Latents, actions, rewards: all steps below one another."""
    latents, actions, rewards = [], [], []
    for t in range(noise_action.shape[0]):
        action, _, _ = act(w, latent, noise_action[t])
        mean, logvar, reward = predict(w, latent, action)
        latent = mean + torch.exp(0.5 * logvar) * noise_latent[t]
        for values, value in ((latents, latent), (actions, action), (rewards, reward)):
            values.append(value)
    return torch.cat(latents), torch.cat(actions), torch.cat(rewards)


def prepare(dump, device, eager, compiled, gradient):
    w = tensors(dump.under("before/"), device)
    start = torch.from_numpy(dump["start"].copy()).to(device)
    rows = start.shape[0]
    noise = [torch.from_numpy(dump[f"noise/{name}"].copy()).to(device).view(-1, rows, dump[f"noise/{name}"].size // len(dump["noise/action"]))
             for name in ("action", "latent")]
    actor = {name: value for name, value in w.items() if name.startswith("policy/")}
    rest = {name: value for name, value in w.items() if not name.startswith("policy/")}

    def loss(actor, *noise):
        out = imagine({**rest, **actor}, start, *noise)
        return -out[2].mean(), out

    def forward(*noise):
        if not gradient:
            with torch.no_grad():
                return imagine(w, start, *noise), {}
        if not eager:  # gradient and all as one compiled function
            with torch.no_grad():
                found, out = torch.func.grad(loss, has_aux=True)(actor, *noise)
            return out, found
        out = loss(leaves, *noise)
        return out[1], dict(zip(leaves, torch.autograd.grad(out[0], list(leaves.values()))))

    leaves = {name: value.clone().requires_grad_() for name, value in actor.items()}
    run = compiled(forward)
    drawn = lambda: run(*(torch.randn_like(x) for x in noise))  # compiled, it would be the same two calls
    out, found = run(*noise)
    worst = max(agree(name, dump[name], value) for name, value in zip(["latent", "action", "reward"], out))
    for name, value in found.items():
        turned = value.T.contiguous() if name.endswith("weight") else value
        worst = max(worst, agree(f"gradient of {name}", dump[f"gradient/{name}"], turned))
    drawn()
    return drawn, f"agrees to {worst:.2f} of 1e-4 given the same noise"
