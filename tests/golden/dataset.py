"""Writes golden/dataset/*.npz with NumPy, as datasets come from Python, and reads ours with NumPy.

    python3 tests/golden/dataset.py tests/golden/dataset            writes them
    python3 tests/golden/dataset.py --read tests/golden/dataset/saved.npz   checks one that rv_dataset_save wrote

All hold the same 12 steps (see values): three episodes, of which the first ends for good, the second is cut, the
third goes on to the end of the file.
"""
import io
import sys
import zipfile

import numpy as np

STEPS, OBSERVED, ACTED = 12, 3, 2


def values():
    t = np.arange(STEPS)
    observation = (t[:, None] + np.array([0, 0.25, -0.5])).astype(np.float32)
    action = (t[:, None] * np.array([1, -1])).astype(np.float32) / 8
    flags = {name: np.isin(t, at) for name, at in (("is_first", [0, 5, 9]), ("terminated", [4]), ("truncated", [8]))}
    return {"observation": observation, "action": action, "reward": (10 * t).astype(np.float32),
            "next_observation": observation + np.float32(1), **flags}


def zipped(path, arrays, method=zipfile.ZIP_STORED, streamed=False):
    """As numpy.savez writes, but with all arrays' bytes given; streamed: sizes stand behind the data."""
    target = io.BytesIO()

    class Pipe:  # cannot seek back
        def write(self, data):
            return target.write(data)

        def flush(self):
            pass

    with zipfile.ZipFile(Pipe() if streamed else target, "w", method) as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=True)
            with archive.open(name + ".npy", "w", force_zip64=True) as entry:
                entry.write(part.getvalue())
    with open(path, "wb") as file:
        file.write(target.getvalue())


def write(folder):
    v = values()
    np.savez(f"{folder}/stored.npz", **v)
    np.savez_compressed(f"{folder}/deflated.npz", **v)
    zipped(f"{folder}/streamed.npz", v, zipfile.ZIP_DEFLATED, streamed=True)
    zipfile.ZIP64_LIMIT, limit = 0, zipfile.ZIP64_LIMIT  # as if it were over 4 GiB
    zipped(f"{folder}/zip64.npz", v)
    zipfile.ZIP64_LIMIT = limit
    other = {k: a.astype(">f8") if a.dtype == np.float32 else a.astype(">i2") for k, a in v.items()}
    np.savez(f"{folder}/big_endian.npz", **other)
    columns = {k: np.asfortranarray(a) for k, a in v.items()}
    columns["first"] = columns.pop("is_first")
    columns["reward"] = columns["reward"].reshape(-1, 1).astype(np.int64)
    np.savez(f"{folder}/columns.npz", extra=np.array(["text"]), **columns)
    # what is refused
    np.savez(f"{folder}/bad_objects.npz", **{**v, "action": np.array([{}] * STEPS, dtype=object)})
    np.savez(f"{folder}/bad_text.npz", **{**v, "action": np.array(["a"] * STEPS)})
    np.savez(f"{folder}/bad_structure.npz", **{**v, "reward": np.zeros(STEPS, dtype=[("a", "<f4"), ("b", "<i4")])})
    broken = v["next_observation"].copy()
    broken[7, 1] = np.nan
    np.savez(f"{folder}/bad_nan.npz", **{**v, "next_observation": broken})
    np.savez(f"{folder}/bad_rows.npz", **{**v, "reward": v["reward"][:-1]})
    np.savez(f"{folder}/bad_columns.npz", **{**v, "next_observation": v["next_observation"][:, :2]})
    np.savez(f"{folder}/bad_flags.npz", **{**v, "terminated": v["reward"]})
    np.savez(f"{folder}/bad_first.npz", **{**v, "is_first": np.zeros(STEPS, dtype=bool)})
    np.savez(f"{folder}/bad_empty.npz", **{k: a[:0] for k, a in v.items()})
    np.savez(f"{folder}/bad_foreign.npz", weights=np.zeros(3), bias=np.zeros(2))
    zipped(f"{folder}/bad_method.npz", v, zipfile.ZIP_BZIP2)


def read(path):
    loaded = np.load(path)
    expected = values()
    expected["truncated"] = expected["truncated"].copy()
    assert sorted(loaded.files) == sorted(expected), loaded.files
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape, name
        assert np.array_equal(loaded[name], array), name
    assert zipfile.ZipFile(path).testzip() is None
    print(path, "reads as expected with NumPy", np.__version__)


if __name__ == "__main__":
    read(sys.argv[2]) if sys.argv[1] == "--read" else write(sys.argv[1])
