"""Measures Cornu and its peers in turns; prints the ratios and keeps them in the README.

`python -m benches` runs everything, `python -m benches LSTM matmul` what has such a word in its
name.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROUNDS, SECONDS = 5, 0.6

# Product sizes; a row per number of threads.
PRODUCTS = ([256, 256, 256], [512, 512, 512], [1024, 1024, 1024], [2048, 2048, 2048])

# Workload, action, number of examples.
CASES = (
    ("tiny MLP", "predict", 1),
    ("tiny MLP", "call", 1),
    *(
        (name, "predict", batch)
        for name in (
            "MLP 784-512-512-10",
            "int8 MLP 1024-1024-10",
            "LeNet",
            "CIFAR CNN",
            "text CNN",
            "LSTM",
            "GRU",
            "transformer",
            "ResNet50",
            "MobileNetV2",
            "EfficientNetB0",
        )
        for batch in (1, 32)
    ),
    *(
        (name, "train_on_batch", 32)
        for name in (
            "MLP 784-512-512-10",
            "LeNet",
            "CIFAR CNN",
            "LSTM",
            "transformer",
            "ResNet50 64x64",
            "MobileNetV2 96x96",
        )
    ),
    ("digits CNN", "epoch", 1797),
)


# Who else trains the models, and who runs what tf.keras exports.
TRAINERS = ("Keras on JAX",)
RUNTIMES = ("ONNX Runtime", "OpenVINO")


class Peer:
    """A worker process of one library."""

    def __init__(self, library: str, threads: int) -> None:
        names = ("CORNU", "OMP", "OPENBLAS", "MKL", "TF_INTRAOP", "TF_INTEROP")
        count = {f"{name}_NUM_THREADS": str(threads) for name in names}
        count |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benches.worker", library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=HERE.parent,
            env={**os.environ, **count, "TF_CPP_MIN_LOG_LEVEL": "3"},
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


def in_turns(peers: dict[str, Peer]) -> dict[str, float]:
    """Returns each peer's best time over interleaved rounds."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, peer in peers.items():
            best[name] = min(best.get(name, np.inf), peer.ask("measure", seconds=SECONDS))
    return best


def product(size: list[int], threads: int) -> dict[str, Any]:
    """Measures a product."""
    with (
        Peer("cornu", threads) as ours,
        Peer("numpy", threads) as numpy,
        Peer("tf.keras", threads) as tensorflow,
    ):
        peers = {"cornu": ours, "numpy": numpy, "tensorflow": tensorflow}
        for peer in peers.values():
            peer.ask("matmul", size=size)
        peak = max(ours.ask("peak") for _ in range(5))
        times = in_turns(peers)
        peak = max(peak, *(ours.ask("peak") for _ in range(5))) * threads
    rate = 2 * np.prod(size, dtype=float) / times["cornu"]
    name = f"matmul {'x'.join(map(str, size))}, {threads} thread{'s' * (threads > 1)}"
    return {"name": name, "times": times, "share": rate / peak}


def workload(name: str, action: str, count: int, threads: int) -> dict[str, Any]:
    """Measures an action of a model, after comparing the peers' outputs."""
    trains = action in ("train_on_batch", "epoch")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        request = {"workload": name, "action": action, "count": count}
        request["weights"] = f"{folder}/weights.npz"
        peers: dict[str, Peer] = {}
        outputs = {}
        for library in ("cornu", "tf.keras", *(TRAINERS if trains else RUNTIMES)):
            peer = stack.enter_context(Peer(library, threads))
            try:
                outputs[library] = peer.ask("build", **request)
                peers[library] = peer
            except RuntimeError:
                if library in ("cornu", "tf.keras"):
                    raise
                print(f"{library} can't build {name}", flush=True)
        for library, output in outputs.items():
            np.testing.assert_allclose(
                output, outputs["cornu"], atol=1e-4, err_msg=f"{name}, {library}"
            )
        times = in_turns(peers)
    unit = {"epoch": "epoch", "call": f"model(x), batch {count}"}.get(
        action, f"{action}, batch {count}"
    )
    return {"name": f"{name}, {unit}", "times": times}


def row(result: dict[str, Any]) -> str:
    """Returns a line of the table: what was measured, the best peer, ratio, share of the peak."""
    times = result["times"]
    peer = min((name for name in times if name != "cornu"), key=times.__getitem__)
    share = f"{result['share']:.2f}" if "share" in result else ""
    return f"| {result['name']} | {peer} | {times[peer] / times['cornu']:.2f} | {share} |"


def write_readme(rows: list[str]) -> None:
    """Puts the table between its marks."""
    path = HERE.parent / "README.md"
    begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
    before, rest = path.read_text().split(begin)
    table = ["| workload | best peer | times as fast | share of the peak |", "|---|---|---|---|"]
    path.write_text(
        before + begin + "\n".join([*table, *rows]) + "\n" + end + rest.split(end, 1)[1]
    )


def main() -> None:
    """Runs what the arguments select, all without any; keeps each result as it comes."""
    words, threads = sys.argv[1:], len(os.sched_getaffinity(0))
    path = HERE / "results.json"
    known = {result["name"]: result for result in json.loads(path.read_text())}

    def wanted(name: str) -> bool:
        return not words or any(word in name for word in words)

    def keep(result: dict[str, Any]) -> None:
        known[result["name"]] = result
        print(row(result), flush=True)
        path.write_text(json.dumps(list(known.values()), indent=1) + "\n")
        write_readme([row(result) for result in known.values()])

    for size in PRODUCTS:
        for count in sorted({1, threads}):
            if wanted("matmul"):
                keep(product(size, count))
    for name, action, count in CASES:
        if wanted(f"{name} {action}"):
            keep(workload(name, action, count, threads))


if __name__ == "__main__":
    main()
