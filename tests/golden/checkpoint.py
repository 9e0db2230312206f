#!/usr/bin/env python3
"""Writes checkpoint.safetensors with the reference implementation (pip: safetensors 0.8, numpy).

tests/test_checkpoint.c saves the same tensors and compares the bytes, and loads this file.
"""
import pathlib

import numpy as np
from safetensors.numpy import save


def ramp(start, shape):
    return (start + 0.25 * np.arange(np.prod(shape), dtype=np.float32)).reshape(shape).astype(np.float32)


tensors = {
    "agent/dense/weight": ramp(-3.0, (4, 3)),
    "agent/dense/weight/moment1": ramp(1.0, (4, 3)),
    "agent/dense/weight/moment2": ramp(2.0, (4, 3)),
    "agent/dense/bias": ramp(100.0, (5,)),
    "agent/dense/bias/moment1": ramp(0.5, (5,)),
    "agent/dense/bias/moment2": ramp(0.75, (5,)),
    "agent/updates": np.array([41], np.int32),
    "random": np.array([[7, -1, 12, 0]], np.int32),
    "frames": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "none": np.zeros((0, 2), np.float32),
    "Größe \"1\"": np.array([[1.5]], np.float32),
}
path = pathlib.Path(__file__).with_suffix(".safetensors")
path.write_bytes(save(tensors, {"reverie": "1"}))
