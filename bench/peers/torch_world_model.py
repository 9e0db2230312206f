"""The course's world model and its training step in PyTorch: what models/world_model.c and models/trainer.c do.

One step draws a batch of transitions and the posterior's noise, takes the losses and their gradient, clips
its global norm, steps AdamW and adds the losses to the running metrics.
"""

import json

import torch
from torch import nn

from serve import agree

LOGVAR_MIN, LOGVAR_MAX = -10.0, 2.0
LOG_2PI = 1.8378770664093453
COLUMNS = ["observation", "action", "reward", "next_observation"]


def mlp(sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class WorldModel(nn.Module):
    def __init__(self, weights, mean, scale):
        """weights: ours by name, [inputs, outputs]."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.encoder = self.load(weights, "vae/encoder")
        self.decoder = self.load(weights, "vae/decoder")
        self.dynamics = self.load(weights, "dynamics")
        self.reward = self.load(weights, "reward")

    @staticmethod
    def load(weights, name):
        """The layers name/0, name/1, ... as a network."""
        count = sum(key.startswith(f"{name}/") and key.endswith("/weight") for key in weights)
        matrices = [weights[f"{name}/{i}/weight"] for i in range(count)]
        network = mlp([matrices[0].shape[0]] + [matrix.shape[1] for matrix in matrices])
        with torch.no_grad():
            for i, matrix in enumerate(matrices):
                network[2 * i].weight.copy_(torch.from_numpy(matrix).T)
                network[2 * i].bias.copy_(torch.from_numpy(weights[f"{name}/{i}/bias"]).view(-1))
        return network

    def named(self):
        """(our name, parameter, transposed) of every weight."""
        for ours, network in [("vae/encoder", self.encoder), ("vae/decoder", self.decoder),
                              ("dynamics", self.dynamics), ("reward", self.reward)]:
            for i in range(0, len(network), 2):
                yield f"{ours}/{i // 2}/weight", network[i].weight, True
                yield f"{ours}/{i // 2}/bias", network[i].bias, False

    def forward(self, observation, action, reward, next_observation, noise, kl_weight):
        """The losses [total, reconstruction, kl, dynamics, reward]."""
        observation = (observation - self.mean) / self.scale
        mean, logvar = self.encoder(observation).chunk(2, dim=1)
        deviation = torch.exp(0.5 * logvar)
        latent = torch.addcmul(mean, deviation, noise)
        reconstruction = (self.decoder(latent) - observation).square().mean()
        kl = 0.5 * (deviation.square() + mean.square() - 1 - logvar).sum(1).mean()
        with torch.no_grad():
            next_observation = (next_observation - self.mean) / self.scale
            target = self.encoder(next_observation).chunk(2, dim=1)[0]
        joined = torch.cat([latent, action], dim=1)
        change, next_logvar = self.dynamics(joined).chunk(2, dim=1)
        next_logvar = next_logvar.clamp(LOGVAR_MIN, LOGVAR_MAX)
        error = target - (latent + change)
        dynamics = 0.5 * (error.square() * torch.exp(-next_logvar) + next_logvar + LOG_2PI).mean()
        reward_loss = (self.reward(joined) - reward).square().mean()
        total = reconstruction + kl_weight * kl + dynamics + reward_loss
        return torch.stack([total, reconstruction, kl, dynamics, reward_loss])


class Trainer:
    """What both forms of the step share."""

    def __init__(self, dump, device):
        settings = json.loads(dump.settings["settings"])
        tensor = lambda name: torch.from_numpy(dump[name].copy()).to(device)
        self.device = device
        columns = [tensor(f"data/{name}") for name in COLUMNS]
        self.widths = [column.shape[1] for column in columns]
        self.data = torch.cat(columns, dim=1)  # one table, so that a batch is one gather
        self.batch = settings["batch"]
        self.latent = settings["latent"]
        self.kl_weight = settings["kl_weight"]
        self.clip = settings["clip"]
        self.model = WorldModel(dump.under("before/"), tensor("mean"), tensor("scale")).to(device)
        self.parameters = list(self.model.parameters())
        self.options = dict(lr=settings["learning_rate"], betas=(settings["beta1"], settings["beta2"]),
                            eps=settings["eps"], weight_decay=settings["weight_decay"])
        self.metrics = torch.zeros(6, device=device)

    def draw(self):
        index = torch.randint(self.data.shape[0], (self.batch,), device=self.device)
        noise = torch.randn(self.batch, self.latent, device=self.device)
        return [*self.data.index_select(0, index).split(self.widths, dim=1), noise]


class Eager(Trainer):
    """Ops one by one; the fused AdamW is the fastest of torch's own here."""

    def __init__(self, dump, device):
        super().__init__(dump, device)
        self.optimizer = torch.optim.AdamW(self.parameters, fused=True, **self.options)

    def step(self, *batch):
        losses = self.model(*(batch or self.draw()), self.kl_weight)
        self.optimizer.zero_grad(set_to_none=True)
        losses[0].backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            self.metrics[:5] += losses
            self.metrics[5] += norm
        return losses.detach(), norm


class Compiled(Trainer):
    """Draw, gradient, clip and AdamW as one compiled function: twice as fast here as compiling the model and
    the optimiser apart, as the manuals do."""

    def __init__(self, dump, device, compiled):
        super().__init__(dump, device)
        self.names = [name for name, _ in self.model.named_parameters()]
        self.weights = [parameter.detach() for parameter in self.parameters]
        self.moments = [[torch.zeros_like(weight) for weight in self.weights] for _ in range(2)]
        self.updates = torch.zeros((), device=device)
        self.given = compiled(self.update)
        self.drawn = compiled(lambda *state: self.update(*state, *self.draw()))

    def loss(self, weights, *batch):
        losses = torch.func.functional_call(self.model, dict(zip(self.names, weights)), (*batch, self.kl_weight))
        return losses[0], losses.detach()

    def update(self, weights, first, second, updates, metrics, *batch):
        gradient, losses = torch.func.grad(self.loss, has_aux=True)(weights, *batch)
        norm = torch.stack([g.square().sum() for g in gradient]).sum().sqrt()
        scale = (self.clip / (norm + 1e-6)).clamp(max=1.0)
        updates.add_(1)
        beta1, beta2 = self.options["betas"]
        rate = self.options["lr"] / (1 - beta1**updates)
        correction = (1 - beta2**updates).sqrt()
        decay = 1 - self.options["lr"] * self.options["weight_decay"]
        for w, g, m, v in zip(weights, gradient, first, second):
            g = g * scale
            m.mul_(beta1).add_(g, alpha=1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            w.mul_(decay).sub_(rate * m / (v.sqrt() / correction + self.options["eps"]))
        metrics += torch.cat([losses, norm.view(1)])
        return losses, norm

    def step(self, *batch):
        with torch.no_grad():
            state = (self.weights, *self.moments, self.updates, self.metrics)
            return self.given(*state, *batch) if batch else self.drawn(*state)


def prepare(dump, device, eager, compiled):
    trainer = Eager(dump, device) if eager else Compiled(dump, device, compiled)
    batch = [torch.from_numpy(dump[f"batch/{name}"].copy()).to(device) for name in [*COLUMNS, "noise"]]
    found = {}
    if isinstance(trainer, Eager):
        trainer.model(*batch, trainer.kl_weight)[0].backward()
        found = {name: parameter.grad for name, parameter, _ in trainer.model.named()}
    losses, norm = trainer.step(*batch)
    worst = agree("losses", dump["losses"], losses)
    worst = max(worst, agree("gradient norm", dump["gradient_norm"], norm))
    for name, parameter, transposed in trainer.model.named():
        turn = lambda value: (value.detach().T if transposed else value.detach()).contiguous()
        if name in found:
            worst = max(worst, agree(f"gradient of {name}", dump[f"gradient/{name}"], turn(found[name])))
        agree(name, dump[f"after/{name}"], turn(parameter), relative=1e-3)
    trainer.step()
    return trainer.step, f"losses and gradient agree to {worst:.2f} of 1e-4, weights after the step to 1e-3"
