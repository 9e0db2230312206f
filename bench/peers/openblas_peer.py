"""OpenBLAS as the yardstick of matmul: python openblas_peer.py THREADS (the C library through ctypes)."""

import ctypes
import ctypes.util
import sys

import numpy as np

from serve import Skip, agree, serve

path = ctypes.util.find_library("openblas")
blas = ctypes.CDLL(path) if path else None
if blas:
    blas.openblas_set_num_threads(int(sys.argv[1]))
    blas.openblas_get_config.restype = ctypes.c_char_p

ROW_MAJOR, NO_TRANSPOSE = 101, 111


def prepare(case, dump):
    if not blas:
        raise Skip("OpenBLAS is not installed (apt install libopenblas0-pthread)")
    if case.split("/")[0] != "matmul":
        raise Skip("only matmul here")
    a, b = (np.ascontiguousarray(dump[name]) for name in "ab")
    (m, k), n = a.shape, b.shape[1]
    y = np.full((m, n), np.nan, np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    arguments = (ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, m, n, k, one, a.ctypes.data_as(pointer), k,
                 b.ctypes.data_as(pointer), n, zero, y.ctypes.data_as(pointer), n)

    def step():
        blas.cblas_sgemm(*arguments)

    step()
    return step, f"agrees to {agree('y', dump['y'], y):.2f} of 1e-4"


serve(" ".join(blas.openblas_get_config().decode().split()[:2]) if blas else "OpenBLAS: not there", prepare)
