"""What the benches share: a process for each library, rounds in turns, results that are kept."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
ROUNDS, SECONDS = 5, 0.6
# Of calls that take longer than this together, in seconds, there are fewer rounds.
SLOW, SLOW_ROUNDS = 120, 3

# What tells the libraries how many threads to use; NPROC is JAX's.
_THREADS = [
    "CORNU_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "NPROC",
]


class Peer:
    """A worker process of one library.

    Args:
        library: its name.
        threads: how many it may use.
        module: what the process runs; it ends with `serve`.
    """

    def __init__(self, library: str, threads: int, module: str = "benches.worker") -> None:
        self.library, self.threads, self.module = library, threads, module
        self.start()

    def start(self) -> None:
        """Starts the process, also anew after an error ended it."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, self.library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                **dict.fromkeys(_THREADS, str(self.threads)),
                "PYTHONDONTWRITEBYTECODE": "",  # installed packages are compiled already
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "JAX_PLATFORMS": "cpu",
            },
        )

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, method: str, **arguments: Any) -> Any:
        """Returns the worker's answer."""
        self.process.stdin.write(json.dumps([method, arguments]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker failed on {method} {arguments}")
        return json.loads(line)


def serve(worker: Any) -> None:
    """Answers requests `[method, arguments]` until the input ends; an error ends the process."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        method, arguments = json.loads(line)
        answers.write(json.dumps(getattr(worker, method)(**arguments)) + "\n")
        answers.flush()


def timed(run: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Returns the shortest and the median time of as many calls as fit.

    At least three are made, of slow ones as many as fit into ten times `seconds`.
    """
    times: list[float] = []
    begin = end = time.perf_counter()
    while end - begin < seconds or (len(times) < 3 and end - begin < 10 * seconds):
        start = time.perf_counter()
        run()
        end = time.perf_counter()
        times.append(end - start)
    return min(times), statistics.median(times)


def in_turns(
    peers: dict[str, Peer], rounds: int = ROUNDS, seconds: float = SECONDS
) -> tuple[dict[str, float], dict[str, float]]:
    """Returns each peer's best and median time over interleaved rounds."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= SLOW_ROUNDS and time.perf_counter() - start > SLOW:
            break
        for name, peer in peers.items():
            times[name].append(peer.ask("measure", seconds=seconds))
    best = {name: min(best for best, _ in pairs) for name, pairs in times.items()}
    median = {name: float(np.median([m for _, m in pairs])) for name, pairs in times.items()}
    return best, median


def peak(ours: Peer, threads: int) -> float:
    """Returns the rate of multiply-adds that the threads can reach, in operations per second."""
    return max(ours.ask("peak") for _ in range(5)) * threads


def best_peer(times: dict[str, float]) -> str:
    """Returns who was quickest beside Cornu."""
    return min((name for name in times if name != "cornu"), key=times.__getitem__)


def write_table(path: Path, lines: list[str]) -> None:
    """Puts a table between its marks."""
    begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1])
