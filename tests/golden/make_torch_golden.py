"""Writes tests/golden/torch.h: inputs, results and gradients of PyTorch in float64.

    python tests/golden/make_torch_golden.py        (PyTorch 2.x)

Inputs are rounded to float32 first, so that the library starts from the very same numbers. Every loss is
sum(result * weight). Matrices of linear layers are written transposed, as the library holds them.
"""

import pathlib

import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)
lines = []


def single(x):
    """The float32 that is nearest, as a double."""
    return float(torch.tensor(x, dtype=torch.float32).double())


def draw(*shape, scale=1.0, shift=0.0):
    return (torch.randn(*shape) * scale + shift).float().double()


def write(name, tensor):
    values = [repr(float(v)) for v in tensor.detach().reshape(-1)]
    lines.append(f"static const double {name}[{len(values)}] = {{")
    for first in range(0, len(values), 5):
        lines.append("    " + ", ".join(values[first : first + 5]) + ",")
    lines.append("};")


def case(name, function, inputs, transposed=()):
    """Writes inputs, weight, result and gradients of one function."""
    lines.append(f"\n/* {name} */")
    leaves = {key: value.clone().requires_grad_(True) for key, value in inputs.items()}
    result = function(**leaves)
    weight = draw(*result.shape)
    (result * weight).sum().backward()
    for key, leaf in leaves.items():
        turn = (lambda t: t.T) if key in transposed else (lambda t: t)
        write(f"{name}_{key}", turn(leaf))
        write(f"{name}_d_{key}", turn(leaf.grad))
    write(f"{name}_weight", weight)
    write(f"{name}_result", result)


def gru(x, h, w_x, w_h, b_x, b_h):
    cell = torch.nn.GRUCell(x.shape[1], h.shape[1])
    named = {"weight_ih": w_x, "weight_hh": w_h, "bias_ih": b_x.reshape(-1), "bias_hh": b_h.reshape(-1)}
    return torch.func.functional_call(cell, named, (x, h))


B, I, H, C = 3, 4, 5, 7
case("gru", gru,
     {"x": draw(B, I), "h": draw(B, H), "w_x": draw(3 * H, I, scale=0.5), "w_h": draw(3 * H, H, scale=0.5),
      "b_x": draw(1, 3 * H), "b_h": draw(1, 3 * H)}, transposed=("w_x", "w_h"))
case("linear", lambda x, w, b: F.silu(F.linear(x, w, b.reshape(-1))),
     {"x": draw(B, I), "w": draw(H, I), "b": draw(1, H)}, transposed=("w",))
case("pair", lambda a, b, w, bias: F.gelu(F.linear(torch.cat([a, b], 1), w, bias.reshape(-1)), approximate="tanh"),
     {"a": draw(B, I), "b": draw(B, C), "w": draw(H, I + C, scale=0.5), "bias": draw(1, H)}, transposed=("w",))
EPS = single(1e-3)
case("layer_norm", lambda x, scale, bias: F.silu(F.layer_norm(x, (C,), scale.reshape(-1), bias.reshape(-1), EPS)),
     {"x": draw(B, C, scale=2, shift=0.5), "scale": draw(1, C, scale=0.2, shift=1), "bias": draw(1, C)})
case("rms_norm", lambda x, scale: F.silu(F.rms_norm(x, (C,), scale.reshape(-1), EPS)),
     {"x": draw(B, C, scale=2), "scale": draw(1, C, scale=0.2, shift=1)})
case("gelu", lambda x: F.gelu(x, approximate="tanh"), {"x": draw(B, C, scale=2)})
case("elu", lambda x: F.elu(x), {"x": draw(B, C, scale=2)})
case("softplus", lambda x: F.softplus(x), {"x": draw(B, C, scale=3)})
case("softmax", lambda x: F.softmax(x, dim=1), {"x": draw(B, C, scale=2)})
case("log_softmax", lambda x: F.log_softmax(x, dim=1), {"x": draw(B, C, scale=2)})
case("bernoulli_nll",
     lambda logits, target: F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1, keepdim=True),
     {"logits": draw(B, C, scale=2), "target": torch.rand(B, C).float().double()})
case("gaussian_nll",
     lambda mean, logvar, target: -Normal(mean, torch.exp(logvar / 2)).log_prob(target).sum(1, keepdim=True),
     {"mean": draw(B, C), "logvar": draw(B, C, scale=0.5), "target": draw(B, C)})
case("kl_normal",
     lambda mean_p, logvar_p, mean_q, logvar_q: kl_divergence(
         Normal(mean_p, torch.exp(logvar_p / 2)), Normal(mean_q, torch.exp(logvar_q / 2))).sum(1, keepdim=True),
     {"mean_p": draw(B, C), "logvar_p": draw(B, C, scale=0.5), "mean_q": draw(B, C), "logvar_q": draw(B, C, scale=0.5)})
case("mse", lambda p, t: ((p - t) ** 2).mean(1, keepdim=True), {"p": draw(B, C), "t": draw(B, C)})

lines.append("\n/* AdamW, five steps with the gradient's norm clipped at 1 */")
STEPS, N = 5, 11
value = torch.nn.Parameter(draw(N))
gradients = torch.stack([draw(N, scale=s) for s in (0.1, 1.0, 3.0, 0.2, 1.0)])
optimiser = torch.optim.AdamW([value], lr=single(0.01), betas=(single(0.9), single(0.999)), eps=single(1e-8),
                              weight_decay=single(0.1))
write("adamw_value", value)
write("adamw_gradients", gradients)
values, norms = [], []
for gradient in gradients:
    value.grad = gradient.clone()
    norms.append(torch.nn.utils.clip_grad_norm_([value], 1.0))
    optimiser.step()
    values.append(value.detach().clone())
write("adamw_norms", torch.stack(norms))
write("adamw_values", torch.stack(values))
write("adamw_moment1", optimiser.state[value]["exp_avg"])
write("adamw_moment2", optimiser.state[value]["exp_avg_sq"])

head = [
    "/* tests/golden/torch.h: made by make_torch_golden.py with PyTorch "
    + torch.__version__.split("+")[0] + " in float64; do not edit. */",
    "#ifndef RV_TESTS_GOLDEN_TORCH_H",
    "#define RV_TESTS_GOLDEN_TORCH_H",
    "",
    f"enum {{ GOLDEN_B = {B}, GOLDEN_I = {I}, GOLDEN_H = {H}, GOLDEN_C = {C}, GOLDEN_STEPS = {STEPS}, GOLDEN_N = {N} }};",
]
path = pathlib.Path(__file__).with_name("torch.h")
path.write_text("\n".join(head + lines + ["", "#endif", ""]))
