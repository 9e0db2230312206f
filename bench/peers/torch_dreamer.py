"""One update of the course's Dreamer in PyTorch: what agents/dreamer_loss.c records.

Windows and starts drawn from a table in memory, the world model's losses, imagined trajectories, lambda-returns, actor and
critic, three AdamW with clipped gradients, the slow critic, a row of metrics. One backward pass serves all three: what
another loss must not move enters it detached.
"""

import json
import math

import torch
import torch.nn.functional as F
from torch import nn

from serve import agree
from torch_imagine import act, layer, mlp, predict, tensors

FIELDS = ["observation", "action", "reward", "next_observation"]
SETS = {"model": ("vae/", "dynamics/", "reward/"), "actor": ("policy/",), "critic": ("value/",)}
LOG_2PI = 1.8378770664093453
ROWS = 1024  # of the metrics


def encode(w, observation):
    return mlp(w, "vae/encoder", observation).chunk(2, dim=1)


def value(w, latent):
    return layer(w, "value/out", mlp(w, "value", latent, last=False))


class Trainer:
    def __init__(self, dump, device):
        self.settings = s = json.loads(dump.settings["settings"])
        tensor = lambda name: torch.from_numpy(dump[name].copy()).to(device)
        self.device = device
        columns = [tensor(f"data/{name}") for name in FIELDS]
        self.widths = [column.shape[1] for column in columns]
        self.data = torch.cat(columns, dim=1)  # one table, so that a batch is one gather
        self.mean, self.scale, self.change = (tensor(name).view(1, -1) for name in ("mean", "scale", "change"))
        self.weights = tensors(dump.under("before/"), device)
        self.names = {key: [n for n in self.weights if n.startswith(prefixes)] for key, prefixes in SETS.items()}
        self.slow = {name: self.weights[name].clone() for name in self.names["critic"]}
        steps = s["horizon"]
        self.shapes = [(s["batch"], s["latent"]), (steps, s["imagined"], self.widths[1]), (steps, s["imagined"], s["latent"])]
        self.discount = s["gamma"] ** torch.arange(steps, device=device).view(-1, 1, 1)
        self.metrics = torch.zeros(ROWS, 13, device=device)

    def draw(self):
        s, rows = self.settings, self.data.shape[0]
        batch = torch.randint(rows, (s["batch"],), device=self.device)
        start = torch.randint(rows, (s["imagined"],), device=self.device)
        return [batch, start, *(torch.randn(shape, device=self.device) for shape in self.shapes)]

    def model_losses(self, w, batch, noise):
        observation, action, reward, next_observation = self.data.index_select(0, batch).split(self.widths, dim=1)
        observation = (observation - self.mean) / self.scale
        mean, logvar = encode(w, observation)
        deviation = torch.exp(0.5 * logvar)
        latent = torch.addcmul(mean, deviation, noise)
        reconstruction = (mlp(w, "vae/decoder", latent) - observation).square().mean()
        kl = 0.5 * (deviation.square() + mean.square() - 1 - logvar).sum(1).mean()
        with torch.no_grad():
            target = encode(w, (next_observation - self.mean) / self.scale)[0]
        mean, logvar, predicted = predict(w, latent, action)
        dynamics = 0.5 * ((target - mean).square() * torch.exp(-logvar) + logvar + LOG_2PI).mean()
        reward_loss = (predicted - reward).square().mean()
        with torch.no_grad():  # a metric only
            decoded = mlp(w, "vae/decoder", mean) * self.scale + self.mean
            prediction = ((decoded - next_observation) / self.change).square().mean()
        total = reconstruction + self.settings["kl_weight"] * kl + dynamics + reward_loss
        return [total, reconstruction, kl, dynamics, reward_loss, prediction]

    def imagine(self, w, latent, noise_action, noise_latent):
        latents, rewards, log_probs = [latent], [], []
        for t in range(len(noise_action)):
            action, u, log_std = act(w, latent, noise_action[t])
            log_prob = -(0.5 * noise_action[t].square() + 0.5 * LOG_2PI + log_std).sum(1, keepdim=True)
            log_prob = log_prob - (2 * (math.log(2) - u - F.softplus(-2 * u))).sum(1, keepdim=True)
            mean, logvar, reward = predict(w, latent, action)
            latent = mean + torch.exp(0.5 * logvar) * noise_latent[t]
            for values, found in ((latents, latent), (rewards, reward), (log_probs, log_prob)):
                values.append(found)
        return torch.stack(latents), torch.stack(rewards), torch.stack(log_probs)

    def losses(self, weights, slow, batch, start, noise, noise_action, noise_latent):
        """Everything's sum, of which each set's gradient is that of its own loss; and the metrics without norms."""
        s = self.settings
        model = self.model_losses(weights, batch, noise)
        fixed = {name: w if name.startswith("policy/") else w.detach() for name, w in weights.items()}
        with torch.no_grad():
            seen = self.data.index_select(0, start)[:, : self.widths[0]]
            latent = encode(weights, (seen - self.mean) / self.scale)[0]
        latents, rewards, log_probs = self.imagine(fixed, latent, noise_action, noise_latent)
        values = value(slow, latents)
        returns, after = [], values[-1]
        for t in range(len(rewards) - 1, -1, -1):
            after = rewards[t] + s["gamma"] * ((1 - s["lambda"]) * values[t + 1] + s["lambda"] * after)
            returns.append(after)
        returns = torch.stack(returns[::-1])
        actor = -(self.discount * (returns - s["entropy_weight"] * log_probs)).mean()
        critic = (self.discount * (value(weights, latents[:-1].detach()) - returns.detach()).square()).mean()
        metrics = torch.stack([*model, actor, critic, -log_probs.mean(), returns.mean()])
        return model[0] + actor + critic, metrics.detach()


class Eager(Trainer):
    """Ops one by one, torch's own optimiser in its fused form."""

    def __init__(self, dump, device):
        super().__init__(dump, device)
        s = self.settings
        self.weights = {name: w.requires_grad_() for name, w in self.weights.items()}
        self.parameters = {key: [self.weights[name] for name in names] for key, names in self.names.items()}
        self.optimizers = [torch.optim.AdamW(p, lr=s["learning_rate"], betas=(s["beta1"], s["beta2"]), eps=s["eps"],
                                             weight_decay=0, fused=True) for p in self.parameters.values()]
        self.updates = 0

    def step(self, *drawn):
        total, metrics = self.losses(self.weights, self.slow, *(drawn or self.draw()))
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        norms = [nn.utils.clip_grad_norm_(p, self.settings["clip"], foreach=True) for p in self.parameters.values()]
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.slow.values()), [self.weights[name] for name in self.slow], self.settings["slow_rate"])
            row = torch.cat([metrics, torch.stack(norms)])
            self.metrics[self.updates % ROWS] = row
        self.updates += 1
        return row


class Compiled(Trainer):
    """All of it as one compiled function, but for the draws, which would be the same calls in it."""

    def __init__(self, dump, device, compiled):
        super().__init__(dump, device)
        self.moments = [{name: torch.zeros_like(w) for name, w in self.weights.items()} for _ in range(2)]
        self.updates = torch.zeros((), device=device)
        self.run = compiled(self.update)

    def update(self, weights, slow, first, second, updates, ring, *drawn):
        s = self.settings
        gradient, metrics = torch.func.grad(self.losses, has_aux=True)(weights, slow, *drawn)
        row = (updates % ROWS).long().view(1)
        updates.add_(1)
        rate, correction = s["learning_rate"] / (1 - s["beta1"] ** updates), (1 - s["beta2"] ** updates).sqrt()
        norms = []
        for names in self.names.values():
            norm = torch.stack([gradient[name].square().sum() for name in names]).sum().sqrt()
            norms.append(norm)
            scale = (s["clip"] / (norm + 1e-6)).clamp(max=1.0)
            for name in names:
                g, m, v = gradient[name] * scale, first[name], second[name]
                m.mul_(s["beta1"]).add_(g, alpha=1 - s["beta1"])
                v.mul_(s["beta2"]).addcmul_(g, g, value=1 - s["beta2"])
                weights[name].sub_(rate * m / (v.sqrt() / correction + s["eps"]))
        for name, w in slow.items():
            w.lerp_(weights[name], s["slow_rate"])
        metrics = torch.cat([metrics, torch.stack(norms)])
        ring.index_copy_(0, row, metrics.view(1, -1))
        return metrics

    def step(self, *drawn):
        with torch.no_grad():
            state = (self.weights, self.slow, *self.moments, self.updates, self.metrics)
            return self.run(*state, *(drawn or self.draw()))


def prepare(dump, device, eager, compiled):
    trainer = Eager(dump, device) if eager else Compiled(dump, device, compiled)
    tensor = lambda name: torch.from_numpy(dump[name].copy()).to(device)
    rows = [tensor(f"rows/{name}").long().view(-1) for name in ("batch", "start")]
    noise = [tensor(f"noise/{name}").view(shape) for name, shape in zip(["posterior", "action", "latent"], trainer.shapes)]
    metrics = trainer.step(*rows, *noise)
    worst = agree("metrics", dump["metrics"], metrics)
    for name, w in trainer.weights.items():
        turned = w.detach().T.contiguous() if name.endswith("weight") else w
        agree(name, dump[f"after/{name}"], turned, relative=1e-3)
    trainer.step()
    return trainer.step, f"losses, returns and gradients' norms agree to {worst:.2f} of 1e-4, weights after the step to 1e-3"
