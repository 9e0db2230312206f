"""One whole update of DreamerV3 in PyTorch: the model is that of tests/golden, in float32; the optimiser works on all
weights at once (torch._foreach). A step draws its own noise, as ours does; the batch stays.

Compiled are the steps and layers that the loops over time call: the update as one graph takes torch.compile many minutes."""

import json
import pathlib
import sys

import torch

from serve import agree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))
import dreamer_v3 as model

NOISE = ["noise/posterior", "noise/prior", "noise/action"]
BATCH = ["observation", "action", "reward", "is_first", "is_last", "is_terminal", "carry/deter", "carry/stoch", "carry/action"]

PARTS = ["core", "prior_of", "posterior_of", "mixed_log", "mlp", "twohot_mean", "twohot_nll", "lambda_return"]
ORIGINAL = {name: getattr(model, name) for name in PARTS}
torch._dynamo.config.recompile_limit = 64  # one function serves many networks


class Trainer:
    def __init__(self, dump, device, compiled):
        settings = json.loads(dump.settings["settings"])
        torch.set_default_device(device)  # the model makes tensors of its own
        tensor = lambda name: torch.from_numpy(dump[name].copy()).to(device)
        self.config = model.preset(512, 64, 4, 64, settings["observation"], settings["action"])
        self.config.learning_rate = settings["learning_rate"]
        self.batch = {name: tensor(name) for name in BATCH}
        self.noise = {name: tensor(name) for name in NOISE}
        self.weights = {name: torch.from_numpy(value.copy()).to(device).requires_grad_(not name.startswith("slow/"))
                        for name, value in dump.under("before/").items()}
        self.trained = [self.weights[name] for name in model.trained(self.weights)]
        self.slow = [(name, name.replace("slow/", "val/")) for name in self.weights if name.startswith("slow/")]
        self.moments = [[torch.zeros_like(p) for p in self.trained] for _ in range(2)]
        self.returns, self.updates = torch.zeros(2), 0
        for name in PARTS:
            setattr(model, name, compiled(ORIGINAL[name]))

    def losses(self, weights, batch, noise, returns):
        out, returns = model.forward(self.config, weights, batch, noise, returns, model.Draws(0, None))
        return out["loss/total"], torch.stack([out[f"loss/{name}"] for name in model.SCALES]), returns

    def laprop(self, gradients):
        c, (first, second) = self.config, self.moments
        self.updates += 1
        norms, sizes = torch._foreach_norm(gradients), torch._foreach_norm(self.trained)
        clip = [torch.clamp(n / (c.agc * torch.clamp(p, min=c.agc_smallest)), min=1.0) for n, p in zip(norms, sizes)]
        g = torch._foreach_div(gradients, clip)
        torch._foreach_mul_(second, c.beta2)
        torch._foreach_addcmul_(second, g, g, 1 - c.beta2)
        root = torch._foreach_sqrt(torch._foreach_div(second, 1 - c.beta2**self.updates))
        torch._foreach_add_(root, c.optimiser_epsilon)
        torch._foreach_mul_(first, c.beta1)
        torch._foreach_addcdiv_(first, g, root, 1 - c.beta1)
        torch._foreach_add_(self.trained, first, alpha=-c.learning_rate / (1 - c.beta1**self.updates))
        for slow, online in self.slow:
            self.weights[slow].lerp_(self.weights[online], c.slow_rate)
        return torch.stack(norms).norm()

    def draw(self):
        return {name: torch.randn_like(x) if name == "noise/action" else torch.rand_like(x)
                for name, x in self.noise.items()}

    def step(self, noise=None):
        total, losses, self.returns = self.losses(self.weights, self.batch, noise or self.draw(), self.returns)
        gradients = torch.autograd.grad(total, self.trained)
        with torch.no_grad():
            norm = self.laprop(gradients)
        return losses.detach(), norm


def prepare(dump, device, compiled):
    trainer = Trainer(dump, device, compiled)
    losses, norm = trainer.step(trainer.noise)
    worst = max(agree("losses", dump["losses"], losses), agree("gradient norm", dump["gradient_norm"], norm))
    trainer.step()
    return trainer.step, f"losses and the gradient's norm agree to {worst:.2f} of 1e-4"
