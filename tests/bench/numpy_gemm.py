"""GFLOP/s of x W^T in fp32 by the BLAS that numpy is built on (the packages of PyPI: OpenBLAS). Prints one JSON object.

usage: numpy_gemm.py THREADS MxNxK...
"""
import json
import os
import statistics
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = sys.argv[1]
import numpy  # noqa: E402  the number of threads is read when it is loaded

RUNS, SECONDS = 7, 0.2  # a run repeats the product for about so long


def gflops(m, n, k):
    random = numpy.random.default_rng(0)
    x = random.standard_normal((m, k), dtype=numpy.float32)
    w = random.standard_normal((n, k), dtype=numpy.float32)
    out = numpy.empty((m, n), numpy.float32)
    numpy.matmul(x, w.T, out=out)
    start = time.perf_counter()
    numpy.matmul(x, w.T, out=out)
    repeats = max(1, int(SECONDS / (time.perf_counter() - start)))
    rates = []
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(repeats):
            numpy.matmul(x, w.T, out=out)
        rates.append(2e-9 * m * n * k * repeats / (time.perf_counter() - start))
    return statistics.median(rates)


blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
print(json.dumps({"library": f"{blas['name']} {blas['version']}",
                  "gemm": {s: gflops(*map(int, s.split("x"))) for s in sys.argv[2:]}}))
