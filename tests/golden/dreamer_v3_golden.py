"""Writes the files in tests/golden/dreamer/ that DreamerV3 is held against (docs/audit.md), after checking the model itself.

    python tests/golden/dreamer_v3_golden.py        (PyTorch 2.x, safetensors)

    debug_weights, debug_batch, debug_expected           the smallest sizes, ten updates, whole tensors
    discrete_weights, discrete_batch, discrete_expected  the same with a categorical actor, three updates
    size1m_expected                                      ten updates, norms and 64 entries; its inputs are formulas below
"""

import dataclasses
import json
import math
import pathlib

import numpy
import torch
from safetensors.numpy import save

import dreamer_v3 as model
from dreamer_v3 import sg

FOLDER = pathlib.Path(__file__).with_name("dreamer")
MARGIN = 1e-3  # from every uniform to the next boundary between classes, so that float32 draws the same ones
SAMPLES = 64

# ---- inputs: u(name, i), 23 bits of splitmix64 seeded by FNV-1a, inside (0, 1) and exact in float32 ------------------

WORD = 2**64 - 1


def fnv1a(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & WORD
    return h


def u(name, count):
    with numpy.errstate(over="ignore"):
        i = numpy.arange(1, count + 1, dtype=numpy.uint64)
        x = numpy.uint64(fnv1a(name)) + i * numpy.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        x = x ^ (x >> numpy.uint64(31))
    return ((x >> numpy.uint64(41)).astype(numpy.float64) + 0.5) * 2.0**-23


def single(x, shape):
    return torch.from_numpy(x.astype(numpy.float32).reshape(shape)).double()


def uniform(name, shape, scale=1.0, offset=0.0):
    """offset + scale (2 u - 1), rounded to float32 once."""
    return single(offset + scale * (2.0 * u(name, math.prod(shape)) - 1.0), shape)


def normal(name, shape):
    """The sum of twelve uniforms, less 6."""
    draws = u(name, 12 * math.prod(shape)).reshape(-1, 12)
    return single(draws.sum(1) - 6.0, shape)


def make_weights(c, linear_fall, square_fall):
    """Heads over bins begin with a bias that falls by linear_fall d + square_fall d^2, d bins from the middle."""
    weights = {}
    for name, (rows, cols) in model.shapes(c).items():
        if name.endswith("/scale"):
            w = uniform(name, (rows, cols), 0.2, 1.0)
        elif name.endswith("/bias"):
            x = 0.1 * (2.0 * u(name, cols) - 1.0)
            if name in ("rew/out/bias", "val/out/bias", "slow/out/bias"):
                d = numpy.abs(numpy.arange(cols) - cols // 2).astype(numpy.float64)
                x = x - (linear_fall * d + square_fall * d * d)
            if name == "con/out/bias":
                x = x + 2.0
            w = single(x, (rows, cols))
        else:
            inputs = rows // c.blocks if name in ("dyn/hidden/weight", "dyn/gates/weight") else rows
            gain = 2.0 if "/logits/" in name else 1.0
            w = uniform(name, (rows, cols), gain * math.sqrt(3.0 / inputs))
        weights[name] = w
    return weights


def one_hot(name, rows, variables, classes):
    k = numpy.floor(u(name, rows * variables) * classes).astype(int)
    return torch.eye(classes, dtype=torch.float64)[k].reshape(rows, variables * classes)


def make_batch(c, T, B, reward_scale, firsts, lasts, terminals):
    """firsts, lasts, terminals: (sequence, step) of the rows where a flag is 1."""
    rows = T * B

    def flags(places):
        out = torch.zeros(rows, 1, dtype=torch.float64)
        for b, t in places:
            out[t * B + b] = 1
        return out

    action = lambda name, n: one_hot(name, n, 1, c.action) if c.discrete else uniform(name, (n, c.action), 1.5)
    return {
        "observation": uniform("observation", (rows, c.observation), 4.0),
        "action": action("action", rows),
        "reward": uniform("reward", (rows, 1), reward_scale),
        "is_first": flags(firsts), "is_last": flags(lasts), "is_terminal": flags(terminals),
        "carry/deter": uniform("carry/deter", (B, c.deter)),
        "carry/stoch": one_hot("carry/stoch", B, c.stoch, c.classes),
        "carry/action": action("carry/action", B),
    }


def make_noise(c, updates, rows, H):
    """All updates' noise, one below the other."""
    acting = (updates * (H + 1) * rows, 1 if c.discrete else c.action)
    posterior, prior = (updates * rows, c.stoch), (updates * H * rows, c.stoch)
    plain = lambda name, shape: single(u(name, math.prod(shape)), shape)
    return {
        "noise/posterior": plain("noise/posterior", posterior),
        "noise/prior": plain("noise/prior", prior),
        "noise/action": plain("noise/action", acting) if c.discrete else normal("noise/action", acting),
    }


def by_update(noise, updates):
    return [{name: x.reshape(updates, -1, x.shape[1])[i] for name, x in noise.items()} for i in range(updates)]


# ---- checks of the model ---------------------------------------------------------------------------------------------


def check_sizes():
    sizes = model.sizes_by_module(model.preset(512, 64, 4, 64, 24, 6))
    expected = {"enc": 10112, "dyn": 364416, "dec": 51096, "rew": 57663, "con": 41153, "pol": 50316, "val": 66111}
    assert sizes == expected, sizes
    assert sum(sizes.values()) == 640867
    for deter, hidden, classes, units, cartpole, pendulum in (
            (512, 64, 4, 64, 637446, 637188), (2048, 256, 16, 256, 9724422, 9723396),
            (3072, 384, 24, 384, 21762566, 21761028), (4096, 512, 32, 512, 38584838, 38582788),
            (6144, 768, 48, 768, 86581766, 86578692), (8192, 1024, 64, 1024, 153715206, 153711108),
            (12288, 1536, 96, 1536, 345391622, 345385476)):
        for observation, expected in ((5, cartpole), (3, pendulum)):
            total = sum(model.sizes_by_module(model.preset(deter, hidden, classes, units, observation, 1)).values())
            assert total == expected, (deter, observation, total)


def check_parts():
    """Second formulations of what is easily got wrong."""
    generator = numpy.random.default_rng(1)
    draw = lambda *shape: torch.from_numpy(generator.standard_normal(shape))
    # lambda-returns: the linear system that they solve
    T, N = 7, 5
    reward, on, trust, value = draw(T, N), torch.sigmoid(draw(T, N)), torch.sigmoid(draw(T, N)), draw(T, N)
    got = model.lambda_return(reward, on, trust, value)
    for n in range(N):
        system, right = torch.eye(T, dtype=torch.float64), torch.zeros(T, dtype=torch.float64)
        right[T - 1] = value[T - 1, n]
        for t in range(T - 1):
            system[t, t + 1] = -on[t + 1, n] * trust[t + 1, n]
            right[t] = reward[t + 1, n] + on[t + 1, n] * (1 - trust[t + 1, n]) * value[t + 1, n]
        assert torch.allclose(got[:, n], torch.linalg.solve(system, right)[:-1], rtol=1e-12, atol=1e-12)
    # two-hot: triangles over the bins
    for count in (5, 255):
        bins = model.bins_of(count)
        assert (bins == -bins[::-1]).all() and (numpy.diff(bins) > 0).all() and len(bins) == count
        target = numpy.concatenate([generator.standard_normal(40) * 10.0 ** generator.integers(-3, 10, 40), bins])
        triangles = numpy.stack([numpy.interp(target, bins, row) for row in numpy.eye(count)], 1)
        logits = draw(len(target), count)
        got = model.twohot_nll(logits, torch.from_numpy(target)[:, None], torch.from_numpy(bins))[:, 0]
        expected = -(torch.from_numpy(triangles) * torch.log_softmax(logits, 1)).sum(1)
        assert torch.allclose(got, expected, rtol=1e-12, atol=1e-12)
        assert (model.twohot_mean(torch.zeros(1, count, dtype=torch.float64), torch.from_numpy(bins)) == 0).all()
        inside = torch.softmax(logits, 1) @ torch.from_numpy(bins)
        assert torch.allclose(model.twohot_mean(logits, torch.from_numpy(bins))[:, 0], inside, rtol=1e-9)
    # the block linear: one matrix of which most is zero
    G, own, shared, n = 4, 3, 5, 2
    x, s, weight, bias = draw(6, G * own), draw(6, shared), draw(G * (own + shared), n), draw(1, G * n)
    whole = torch.zeros(G * own + shared, G * n, dtype=torch.float64)
    for g in range(G):
        block = weight[g * (own + shared) : (g + 1) * (own + shared)]
        whole[g * own : (g + 1) * own, g * n : (g + 1) * n] = block[:own]
        whole[G * own :, g * n : (g + 1) * n] = block[own:]
    expected = torch.cat([x, s], 1) @ whole + bias
    assert torch.allclose(model.block_linear(x, s, weight, bias, G), expected, rtol=1e-12, atol=1e-12)
    # actors: torch's own distributions; classes: NumPy's search
    logits, uniforms = draw(50, 6), torch.from_numpy(generator.random((50, 2)))
    p = model.mixed_log(logits, 3, 0.01).exp()
    onehot = model.Draws(0, None)(p, {"noise": uniforms}, "noise", 0)
    for r in range(50):
        for v in range(2):
            assert onehot[r, v].argmax() == numpy.searchsorted(p[r, v].cumsum(0).numpy(), float(uniforms[r, v]), "right")
    other = model.mixed_log(draw(50, 6), 3, 0.01)
    C = torch.distributions.Categorical
    expected = torch.distributions.kl_divergence(C(probs=p), C(probs=other.exp())).sum(1, keepdim=True)
    assert torch.allclose(model.kl(p.log(), other), expected, rtol=1e-10)


def check_policy(c, weights):
    feature = uniform("feature", (9, c.deter + c.stoch * c.classes))
    policy = model.Policy(c, weights, feature)
    if c.discrete:
        twin = torch.distributions.Categorical(probs=policy.log_p[:, 0].exp())
        action = one_hot("feature action", 9, 1, c.action)
        log_prob, entropy = twin.log_prob(action.argmax(1)), twin.entropy()
    else:
        twin = torch.distributions.Normal(policy.mean, policy.std)
        action = uniform("feature action", (9, c.action), 2.0)
        log_prob, entropy = twin.log_prob(action).sum(1), twin.entropy().sum(1)
    assert torch.allclose(policy.log_prob(action)[:, 0], log_prob, rtol=1e-12)
    assert torch.allclose(policy.entropy()[:, 0], entropy, rtol=1e-12)


def check_gradients(c, weights, batch, noise, returns):
    """Central differences, every stop_gradient and every draw held at its value; three entries of every weight, the largest
    gradient's among them."""
    w = {name: p.clone().requires_grad_(not name.startswith("slow/")) for name, p in weights.items()}
    sg.record()
    out, _ = model.forward(c, w, batch, noise, returns, model.Draws(0, None))
    grads = model.gradients(w, out["loss/total"])
    worst, step = 0.0, 1e-5

    def loss():
        sg.replay()
        with torch.no_grad():
            return float(model.forward(c, w, batch, noise, returns, model.Draws(0, None))[0]["loss/total"])

    assert loss() == out["loss/total"].item()
    for name, g in grads.items():
        assert g.abs().max() > 0, f"{name} has no gradient"
        flat, size = w[name].data.view(-1), g.numel()
        for i in {int(g.abs().argmax()), size // 2, size - 1}:
            kept = float(flat[i])
            ends = []
            for sign in (1, -1):
                flat[i] = kept + sign * step
                ends.append(loss())
            flat[i] = kept
            difference = (ends[0] - ends[1]) / (2 * step)
            error = abs(difference - float(g.view(-1)[i])) / float(g.abs().max())
            worst = max(worst, error)
            assert error < 2e-6, (name, i, difference, float(g.view(-1)[i]))
    sg.values = None
    return worst


def check_draws(c, history):
    for out in history:
        stoch = out["state/stoch"].reshape(-1, c.classes)
        assert ((stoch == 0) | (stoch == 1)).all() and (stoch.sum(1) == 1).all(), "not exactly one-hot"
        divergence = out["state/kl"]
        assert (divergence - c.free_nats).abs().min() > 1e-4, "a divergence at the kink: choose other inputs"


def relative(a, b):
    """|a - b| / |b| over a whole tensor."""
    b = b.double()
    error, size = float((a.double() - b).norm()), float(b.norm())
    return error / size if size else float("inf") if error else 0.0


def check_single(c, weights, batch, noises, returns, history, draws):
    """The same in float32: the same classes, and rounding alone stays well below the bound of 1e-4, over whole tensors and
    over the entries that are written. Gives the worst tensor of each kind."""
    half = lambda group: {name: x.float() for name, x in group.items()}
    twin = model.Draws(0, None)
    other = model.train(c, half(weights), half(batch), [half(noise) for noise in noises], returns.float(), twin)
    assert len(twin.classes) == len(draws.classes)
    assert all(torch.equal(a, b) for a, b in zip(twin.classes, draws.classes)), "float32 draws other classes"
    worst = {}
    for i, (a, b) in enumerate(zip(other, history)):
        for name in b:
            error = max(relative(a[name], b[name]), relative(sampled(a[name])[1:], sampled(b[name])[1:]))
            assert error < 3e-5, (name, i, error)
            kind = name.split("/")[0]
            worst[kind] = max(worst.get(kind, (0, "", 0)), (error, name, i))
    return worst


def check_sensitivity(c, weights, batch, noises, returns, history):
    """Each of these mistakes moves some tensor of the first two updates at least ten times as far as is allowed."""
    changes = {key: {key: value} for key, value in (
        ("unimix", 0.0), ("free_nats", 0.0), ("horizon", 300), ("lam", 0.9), ("entropy", 0.0), ("slow_weight", 0.9),
        ("slow_rate", 0.01), ("return_rate", 0.02), ("agc", 10.0), ("agc_smallest", 3.0), ("beta1", 0.8), ("beta2", 0.99),
        ("learning_rate", 9e-4))}
    zero = torch.zeros_like
    others = {
        "no resets": {"is_first": zero(batch["is_first"])},
        "cut off is terminal": {"is_terminal": batch["is_last"]},
        "only terminals are last": {"is_last": batch["is_terminal"]},
        "no carried h": {"carry/deter": zero(batch["carry/deter"])},
        "no carried z": {"carry/stoch": zero(batch["carry/stoch"])},
        "no carried action": {"carry/action": zero(batch["carry/action"])},
    }
    if not c.discrete:
        others["actions clipped to 0.9"] = {key: batch[key].clamp(-0.9, 0.9) for key in ("action", "carry/action")}
        others["actions not clipped"] = {key: batch[key] * 0.9 for key in ("action", "carry/action")}
    scales = dict(model.SCALES)
    least = (float("inf"), "")
    cases = [(name, change, batch, scales) for name, change in changes.items()]
    cases += [(name, {}, {**batch, **change}, scales) for name, change in others.items()]
    cases += [(f"scale of {name}", {}, batch, {**scales, name: 0.9 * scales[name]}) for name in scales]
    for name, change, data, scale in cases:
        model.SCALES.update(scale)
        other = model.train(dataclasses.replace(c, **change), weights, data, noises[:2], returns, model.Draws(0, None))
        model.SCALES.update(scales)
        moved = max(relative(a[key], b[key]) for a, b in zip(other, history) for key in b if key != "loss/total")
        assert moved > 1e-3, (name, moved)
        least = min(least, (moved, name))
    return least


def check_routing(by_loss, total):
    """The losses' gradients add up, and reach the weights that they should."""
    modules = lambda grads: {name.split("/")[0] for name, g in grads.items() if g.abs().max() > 0}
    reached = {loss: modules(grads) for loss, grads in by_loss.items()}
    world = {"enc", "dyn", "post"}
    assert reached == {"rec": world | {"dec"}, "rew": world | {"rew"}, "con": world | {"con"}, "dyn": world | {"prior"},
                       "rep": world, "policy": {"pol"}, "value": {"val"}, "repval": world | {"val"}}, reached
    for name, g in total.items():
        assert relative(sum(grads[name] for grads in by_loss.values()), g) < 1e-12


def check_cases(c, history):
    """What should happen in the golden data does."""
    divergence = torch.cat([out["state/kl"] for out in history])
    clipped = {name: relative(out[name], out["clipped" + name[len("gradient"):]]) for out in history[:1] for name in out
               if name.startswith("gradient/")}
    assert (divergence < c.free_nats).any() and (divergence > c.free_nats).any()
    assert any(x == 0 for x in clipped.values()) and any(x > 0.1 for x in clipped.values())


# ---- files -----------------------------------------------------------------------------------------------------------


def tensor_of(name, x, dtype):
    """As checkpoints hold weights: one row loses its first dimension."""
    x = x.detach().numpy().astype(dtype)
    return numpy.ascontiguousarray(x.reshape(-1) if x.ndim != 2 or x.shape[0] == 1 else x)


def sorted_metadata(file):
    """The writer puts its texts in another order at each run."""
    size = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[8 + size :]


def write(name, tensors, metadata, dtype):
    arrays = {key: x if isinstance(x, numpy.ndarray) else tensor_of(key, x, dtype) for key, x in tensors.items()}
    path = FOLDER / f"{name}.safetensors"
    path.write_bytes(sorted_metadata(save(arrays, metadata)))
    print(f"{path.name}: {path.stat().st_size} bytes, {len(arrays)} tensors")


def config_of(c):
    lines = [f"model.{key}: {getattr(c, key)}" for key in ("deter", "hidden", "stoch", "classes", "blocks", "units", "bins")]
    lines += [f"actor.kind: {'categorical' if c.discrete else 'bounded_normal'}", f"train.learning_rate: {c.learning_rate}",
              "train.warmup: 0"]
    return "\n".join(lines) + "\n"


def sampled(x):
    """The norm, then 64 entries evenly spread: number j (n - 1) / 63, rounded down."""
    flat = x.detach().reshape(-1)
    at = torch.arange(SAMPLES) * (len(flat) - 1) // (SAMPLES - 1)
    return torch.cat([flat.norm().reshape(1), flat[at]])


def write_whole(name, c, weights, batch, noise, returns, history, by_loss):
    metadata = {"reverie": "1", "kind": "dreamer_v3", "config": config_of(c)}
    write(f"{name}_weights", {**weights, "returns/low": returns[0], "returns/high": returns[1]}, metadata, numpy.float32)
    write(f"{name}_batch", {**batch, **noise}, {"reverie": "1"}, numpy.float32)
    expected = {f"update/{i}/{key}": x for i, out in enumerate(history) for key, x in out.items()}
    for loss, grads in by_loss.items():
        expected.update({f"update/0/gradient_of/{loss}/{key}": g for key, g in grads.items() if g.abs().max() > 0})
    write(f"{name}_expected", expected, {"reverie": "1", "kind": "dreamer_v3_audit"}, numpy.float64)


def write_sampled(name, c, weights, batch, noise, plain, history):
    """Weights: one row each, in the order of the metadata text "weights" (slow ones only where it says weight), float32;
    further tensors one by one."""
    names, tensors = sorted(weights), {}
    online = model.trained(names)
    rows = lambda group, of: numpy.stack([sampled(group(key)).numpy() for key in of]).astype(numpy.float32)
    tensors["weight"] = rows(lambda key: weights[key], names)
    for key, x in {**batch, **noise}.items():
        tensors[key] = sampled(x).numpy()
        changed = torch.nonzero((x != plain.get(key, x)).reshape(-1)).reshape(-1)
        if len(changed):
            tensors[f"{key}/redrawn_index"] = changed.numpy().astype(numpy.int32)
            tensors[f"{key}/redrawn_value"] = x.reshape(-1)[changed].numpy().astype(numpy.float32)
    for i, out in enumerate(history):
        last = i == len(history) - 1
        for kind in ("gradient", "moment2") + (("moment1",) if last else ()):
            tensors[f"update/{i}/{kind}"] = rows(lambda key: out[f"{kind}/{key}"], online)
        if last:
            tensors[f"update/{i}/weight"] = rows(lambda key: out[f"weight/{key}"], names)
        for key, x in out.items():
            if key.startswith(("loss", "returns")):
                tensors[f"update/{i}/{key}"] = x
            elif key.startswith(("state", "imagination", "replay")):
                tensors[f"update/{i}/{key}"] = sampled(x).numpy()
    metadata = {"reverie": "1", "kind": "dreamer_v3_audit", "config": config_of(c), "weights": "\n".join(names)}
    write(name, tensors, metadata, numpy.float64)


# ---- cases -----------------------------------------------------------------------------------------------------------


def run(name, c, T, B, H, updates, fall, reward_scale, returns, flags, whole):
    weights = make_weights(c, *fall)
    batch = make_batch(c, T, B, reward_scale, *flags)
    noise = make_noise(c, updates, T * B, H)
    plain = {key: x.clone() for key, x in noise.items()}
    noises = by_update(noise, updates)
    returns = torch.tensor(returns, dtype=torch.float64)
    check_policy(c, weights)
    again = numpy.random.default_rng(5)
    draws = model.Draws(MARGIN, lambda: float(numpy.float32(0.001 + 0.998 * again.random())))
    by_loss = {}

    def watch(update, w, out):
        if update == 0 and whole:
            by_loss.update({loss: model.gradients(w, scale * out[f"loss/{loss}"]) for loss, scale in model.SCALES.items()})

    history = model.train(c, weights, batch, noises, returns, draws, watch)
    check_draws(c, history)
    print(f"{name}: {sum(int((noise[k] != plain[k]).sum()) for k in noise)} uniforms drawn again")
    if whole:
        print(f"    gradients and differences: {check_gradients(c, weights, batch, noises[0], returns):.1e} apart")
        check_routing(by_loss, {name: history[0][f"gradient/{name}"] for name in model.trained(weights)})
        check_cases(c, history)
        moved, mistake = check_sensitivity(c, weights, batch, noises, returns, history)
        print(f"    the mistake that moves least: {mistake}, {moved:.1e}")
    worst = check_single(c, weights, batch, noises, returns, history, draws)
    for kind, (error, tensor, update) in sorted(worst.items()):
        print(f"    float32 differs by {error:.1e} in {tensor}, update {update}")
    if whole:
        write_whole(name, c, weights, batch, noise, returns, history, by_loss)
    else:
        write_sampled(f"{name}_expected", c, weights, batch, noise, plain, history)
    return history


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    check_sizes()
    check_parts()
    small = dict(deter=8, hidden=3, stoch=2, classes=4, blocks=4, units=8, bins=5, observation=5)
    # sequence 0 ends, and a new one begins; 1 is cut off; 2 ends with its last row
    flags = ([(0, 0), (0, 4), (1, 3)], [(0, 3), (1, 2), (2, 5)], [(0, 3), (2, 5)])
    debug = model.Config(**small, action=2)
    run("debug", debug, 6, 3, 4, 10, (0.0, 4.5), 300.0, (-400.0, 600.0), flags, True)
    flags = ([(0, 2), (1, 0)], [(0, 1), (1, 2)], [(0, 1)])
    discrete = model.Config(**small, action=3, discrete=True)
    run("discrete", discrete, 4, 2, 3, 3, (0.0, 4.5), 300.0, (-300.0, 300.0), flags, True)
    flags = ([(0, 0), (0, 5), (1, 7), (3, 3)], [(0, 4), (1, 6), (3, 2), (3, 7)], [(0, 4), (3, 7)])
    run("size1m", model.preset(512, 64, 4, 64, 24, 6), 8, 4, 15, 10, (0.25, 0.0), 1.0, (0.0, 0.0), flags, False)


if __name__ == "__main__":
    main()
