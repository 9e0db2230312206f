"""PyTorch as a peer of reverie-bench: python torch_peer.py VARIANT THREADS [cuda]

VARIANT  eager     ops one by one, as most people run it
         compile   torch.compile, its default mode
         autotune  torch.compile(mode="max-autotune") with the C++ wrapper in place of the Python one
         graph     on cuda: compiled, then captured as a CUDA graph and replayed
"""

import math
import sys

import torch

import torch_dreamer
import torch_dreamer_v3
import torch_imagine
import torch_world_model
from serve import Skip, agree, serve

VARIANT, THREADS = sys.argv[1], int(sys.argv[2])
DEVICE = sys.argv[3] if len(sys.argv) > 3 else "cpu"
torch.set_num_threads(THREADS)
torch.set_float32_matmul_precision("highest")
torch._inductor.config.fallback_random = True  # its own generator on the CPU is ten times slower than randn
if VARIANT == "autotune":
    torch._inductor.config.cpp_wrapper = True


def compiled(function):
    """The function as this variant runs it."""
    if VARIANT == "eager":
        return function
    torch._dynamo.reset()
    mode = "max-autotune-no-cudagraphs" if VARIANT == "autotune" else None
    return torch.compile(function, dynamic=False, mode=mode)


def tensor(array):
    return torch.from_numpy(array.copy()).to(DEVICE)


def captured(step):
    """The step as a CUDA graph: everything it reads and writes stays where it is."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def ready(step, text):
    """On a GPU a call returns early: who times it waits at the end."""
    if DEVICE == "cpu":
        return step, text
    run = captured(step) if VARIANT == "graph" else step

    def call():
        run()

    call.finish = torch.cuda.synchronize
    return call, text


# ---- gru_cell: inputs x, h, weights as [inputs, 3H]; torch keeps the transposed ones ------------------


def gru_cell(dump, gradient):
    x, h = tensor(dump["x"]), tensor(dump["h"])
    cell = torch.nn.GRUCell(x.shape[1], h.shape[1]).to(DEVICE)
    with torch.no_grad():
        cell.weight_ih.copy_(tensor(dump["w_x"]).T)
        cell.weight_hh.copy_(tensor(dump["w_h"]).T)
        cell.bias_ih.copy_(tensor(dump["b_x"]).view(-1))
        cell.bias_hh.copy_(tensor(dump["b_h"]).view(-1))
    forward = compiled(cell)
    if not gradient:

        def step():
            with torch.no_grad():
                return forward(x, h)

        return step, f"agrees to {agree('y', dump['y'], step()):.2f} of 1e-4"

    x.requires_grad_(), h.requires_grad_()
    dy = tensor(dump["dy"])
    leaves = [x, h, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]

    def step():
        return torch.autograd.grad(forward(x, h), leaves, dy)

    found = step()
    worst = 0.0
    for name, value in zip(["dx", "dh", "dw_x", "dw_h", "db_x", "db_h"], found):
        value = value.T if name.startswith("dw") else value
        worst = max(worst, agree(name, dump[name], value.contiguous()))
    return step, f"agrees to {worst:.2f} of 1e-4"


# ---- sample_normal with log-prob and KL to the standard normal -----------------------------------------


def sample_from(mean, logvar, noise):
    """The fewest ops that we know: the noise itself is the standardised value."""
    deviation = torch.exp(0.5 * logvar)
    value = torch.addcmul(mean, deviation, noise)
    columns = mean.shape[1]
    sum_logvar = logvar.sum(1, keepdim=True)
    log_prob = -0.5 * (noise.square().sum(1, keepdim=True) + sum_logvar + columns * math.log(2 * math.pi))
    kl = 0.5 * ((deviation.square() + mean.square()).sum(1, keepdim=True) - sum_logvar - columns)
    return value, log_prob, kl


def sample_normal(dump):
    mean, logvar, noise = tensor(dump["mean"]), tensor(dump["logvar"]), tensor(dump["noise"])
    with torch.no_grad():
        found = sample_from(mean, logvar, noise)
        worst = max(agree(name, dump[name], value) for name, value in zip(["value", "log_prob", "kl"], found))
    draw = compiled(lambda mean, logvar: sample_from(mean, logvar, torch.randn_like(mean)))

    def step():
        with torch.no_grad():
            return draw(mean, logvar)

    step()
    return step, f"agrees to {worst:.2f} of 1e-4 given the same noise"


# ---- matmul --------------------------------------------------------------------------------------------


def matmul(dump):
    a, b = tensor(dump["a"]), tensor(dump["b"])
    multiply = compiled(lambda a, b: a @ b)

    def step():
        with torch.no_grad():
            return multiply(a, b)

    return step, f"agrees to {agree('y', dump['y'], step()):.2f} of 1e-4"


def prepare(case, dump):
    return ready(*prepared(case, dump))


def prepared(case, dump):
    family = case.split("/")[0]
    if family == "train_step":
        return torch_world_model.prepare(dump, DEVICE, VARIANT == "eager", compiled)
    if family == "dreamer_update":
        return torch_dreamer.prepare(dump, DEVICE, VARIANT == "eager", compiled)
    if family in ("imagine", "imagine_gradient"):
        return torch_imagine.prepare(dump, DEVICE, VARIANT == "eager", compiled, gradient=family == "imagine_gradient")
    if family == "dreamer_v3_update":
        return torch_dreamer_v3.prepare(dump, DEVICE, compiled)
    if family == "gru_cell":
        return gru_cell(dump, gradient=False)
    if family == "gru_cell_gradient":
        return gru_cell(dump, gradient=True)
    if family == "sample_normal":
        return sample_normal(dump)
    if family == "matmul":
        return matmul(dump)
    raise Skip(f"no {family} here")


serve(f"PyTorch {torch.__version__.split('+')[0]}", prepare)
