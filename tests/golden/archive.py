"""Makes tests/golden/archive.npz, a small archive as NumPy writes it; tests/test_program_commands.c lists it."""
import pathlib

import numpy as np

np.savez(pathlib.Path(__file__).with_name("archive.npz"), reward=np.arange(5, dtype=np.float32),
         observation=np.array([[1, 2, 3], [np.nan, 1, 3]]), first=np.array([True, False]))
