"""The line protocol between bench/compare and whoever is measured.

    peer    -> hello TEXT         what it is, with versions
    compare -> case NAME FILE     the peer reads FILE (made by reverie-bench), does the same work once and compares
    peer    -> ready TEXT         they agree; or "skip TEXT", "differ TEXT"
    compare -> sample SECONDS     call it without a pause for so long
    peer    -> time SECONDS CALLS seconds a call
    compare -> quit

A sample begins with calls that are not counted, a third of the time: the caches held somebody else's data.
"""

import sys
import time

import numpy as np
from safetensors import safe_open


class Differ(Exception):
    """The peer's numbers are not ours: its time would mean nothing."""


class Skip(Exception):
    """The peer does not know this case."""


class Dump:
    """What reverie-bench wrote of a case: its numbers, its settings, its inputs and results."""

    def __init__(self, path):
        with safe_open(path, "numpy") as file:
            self.arrays = {name: file.get_tensor(name) for name in file.keys()}
            self.settings = dict(file.metadata() or {})

    def __getitem__(self, name):
        return self.arrays[name]

    def __contains__(self, name):
        return name in self.arrays

    def under(self, prefix):
        """Arrays whose names begin with prefix, by the rest of the name."""
        return {name[len(prefix):]: value for name, value in self.arrays.items() if name.startswith(prefix)}


def agree(name, ours, theirs, relative=1e-4):
    """Every element within relative * (|ours| + rms ours); returns the worst as a share of that."""
    if hasattr(theirs, "detach"):
        theirs = theirs.detach().cpu()
    ours, theirs = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
    if ours.shape != theirs.shape:
        raise Differ(f"{name}: {ours.size} elements against {theirs.size}")
    if ours.size == 0:
        return 0.0
    bound = relative * (np.abs(ours) + np.sqrt(np.mean(ours**2))) + 1e-30
    worst = np.max(np.abs(ours - theirs) / bound)
    if not worst <= 1:  # NaN differs too
        at = int(np.argmax(np.abs(ours - theirs) / bound))
        raise Differ(f"{name}[{at}]: ours {ours[at]:.9g}, theirs {theirs[at]:.9g}")
    return float(worst)


def timed(step, seconds):
    """Seconds a call over at least `seconds`, and the number of calls. A step that does not wait for its
    results has a `finish` that does."""
    finish = getattr(step, "finish", lambda: None)
    start = time.perf_counter()
    calls = 0
    while calls < 1 or time.perf_counter() - start < seconds / 3:
        step()
        calls += 1
    finish()
    each = (time.perf_counter() - start) / calls
    calls = max(1, int(seconds / each))
    start = time.perf_counter()
    for _ in range(calls):
        step()
    finish()
    return (time.perf_counter() - start) / calls, calls


def serve(hello, prepare):
    """prepare(case, dump) -> (step, text): a call to repeat, and what to say about it."""
    print(f"hello {hello}", flush=True)
    step = None
    for line in sys.stdin:
        verb, *rest = line.split()
        try:
            if verb == "case":
                step = None
                step, text = prepare(rest[0], Dump(rest[1]))
                answer = f"ready {text}"
            elif verb == "sample":
                each, calls = timed(step, float(rest[0]))
                answer = f"time {each:.9e} {calls}"
            elif verb == "quit":
                return
            else:
                answer = f"differ unknown verb {verb}"
        except Skip as reason:
            answer = f"skip {reason}"
        except Differ as reason:
            answer = f"differ {reason}"
        print(answer.replace("\n", " "), flush=True)
