"""A process that runs cases with one library."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from benches.kernels.cases import CASES
from benches.processes import serve, timed

COPIED = 2**28  # bytes; more than caches hold


class Worker:
    """Answers requests; the last built case is what is measured."""

    def __init__(self, library: str) -> None:
        self.library = importlib.import_module(f"benches.kernels.libraries.{library}")

    def build(self, case: str, outputs: str) -> bool:
        """Prepares a case and writes what it computes to a file; returns whether it can."""
        self.call = None  # frees the last case first
        function = getattr(self.library, CASES[case].op, None)
        if function is None:
            return False
        self.call = function(**CASES[case].arguments())
        np.savez(outputs, *self.call.outputs())
        return True

    def measure(self, seconds: float) -> tuple[float, float]:
        """Returns the best and the median time of a call."""
        return timed(self.call.run, seconds)

    def peak(self) -> float:
        """Returns the rate of multiply-adds of one core, in operations per second."""
        from cornu import _cornu

        return _cornu.fma_peak()

    def bandwidth(self, threads: int) -> float:
        """Returns the rate at which arrays beyond the caches are copied, bytes read and written."""
        source, target = np.ones((2, threads, COPIED // 8 // threads))
        times = []
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(4):
                start = perf_counter()
                list(pool.map(np.copyto, target, source))
                times.append(perf_counter() - start)
        return 2 * COPIED / min(times)


if __name__ == "__main__":
    serve(Worker(sys.argv[1]))
