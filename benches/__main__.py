"""Measures Cornu and its peers in turns; prints the ratios and keeps them in the README.

`python -m benches` runs everything, `python -m benches LSTM matmul` what has such a word in its
name.
"""

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benches.processes import ROOT, Peer, best_peer, in_turns, peak, write_table

# Product sizes; a row per number of threads.
PRODUCTS = ([8, 8, 8], [256, 256, 256], [512, 512, 512], [1024, 1024, 1024], [2048, 2048, 2048])

# Workload, action, number of examples.
CASES = (
    ("tiny MLP", "predict", 1),
    ("tiny MLP", "call", 1),
    ("small MLP", "tape_step", 32),
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
            "U-Net",
            "ResNet50",
            "MobileNetV2",
            "EfficientNetB0",
        )
        for batch in (1, 32)
    ),
    *(
        (name, action, count)
        for name in (
            "MLP 784-512-512-10",
            "LeNet",
            "CIFAR CNN",
            "LSTM",
            "transformer",
            "ResNet50 64x64",
            "MobileNetV2 96x96",
        )
        for action, count in (("train_on_batch", 32), ("epoch", 640))
    ),
    ("digits CNN", "epoch", 1797),
)

# What is done in a process of its own, from its start: workload, action, number of examples, and
# the names of the rows: of the time, of the memory.
FRESH = (
    ("digits CNN", "five_epochs", 1797, {"times": "5 epochs from a fresh process"}),
    (
        "ResNet50",
        "first_prediction",
        1,
        {
            "times": "process start to first prediction",
            "bytes": "resident memory at the first prediction",
        },
    ),
    ("ResNet50", "three_steps", 16, {"bytes": "memory that training adds, batch 16"}),
)
FRESH_ROUNDS = 3

# Who is always measured, who else trains the models, and who else runs them.
LIBRARIES = ("cornu", "tf.keras")
PYTORCH = ("PyTorch", "compiled PyTorch")
TRAINERS = ("Keras on JAX", "Keras on PyTorch", *PYTORCH)
OTHERS = {"tape_step": PYTORCH[:1], "train_on_batch": TRAINERS, "epoch": TRAINERS}
RUNTIMES = ("ONNX Runtime", "OpenVINO", *PYTORCH)
# Of one example: with batches of large models, so many processes of TensorFlow fill the memory.
OF_ONE = (*RUNTIMES, "tf.function")
# Whose geometric means the table ends with: a peer, or the best of them.
BEST = "best peer"
MEANS = (
    ("predict, batch 1", BEST),
    ("predict, batch 1", "tf.keras"),
    ("predict, batch 1", "tf.function"),
    ("predict, batch 32", BEST),
    ("predict, batch 32", "tf.keras"),
    ("train_on_batch, batch 32", BEST),
    ("train_on_batch, batch 32", "tf.keras"),
    ("epoch", BEST),
    ("epoch", "tf.keras"),
)


@contextlib.contextmanager
def optional(library: str, what: str) -> Iterator[None]:
    """Lets a library that can't do something take no part, but for those that always do."""
    try:
        yield
    except RuntimeError:
        if library in LIBRARIES:
            raise
        print(f"{library} can't {what}", flush=True)


def product(name: str, size: list[int], threads: int) -> dict[str, Any]:
    """Measures a product."""
    with contextlib.ExitStack() as stack:
        peers = {}
        for library in ("cornu", "numpy", "TensorFlow", "PyTorch"):
            peer = stack.enter_context(Peer(library, threads))
            with optional(library, f"multiply {size}"):
                peer.ask("matmul", size=size)
                peers[library] = peer
        before = peak(peers["cornu"], threads)
        times, _ = in_turns(peers)
        reachable = max(before, peak(peers["cornu"], threads))
    rate = 2 * np.prod(size, dtype=float) / times["cornu"]
    return {"name": name, "times": times, "share": rate / reachable}


def workload(name: str, action: str, count: int, threads: int) -> dict[str, Any]:
    """Measures an action of a model, after comparing the peers' outputs."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        request = {"workload": name, "action": action, "count": count}
        request["weights"] = f"{folder}/weights.npz"
        others = OTHERS.get(action) or (OF_ONE if count == 1 else RUNTIMES)
        peers = {
            library: stack.enter_context(Peer(library, threads))
            for library in (*LIBRARIES, *others)
        }

        def build(library: str) -> Any:
            with optional(library, f"build {name}"):
                return peers[library].ask("build", **request)

        # Ours first: it stores the weights that the others read.
        ours, *rest = peers
        outputs = {ours: build(ours)}
        with ThreadPoolExecutor(threads) as pool:
            outputs |= dict(zip(rest, pool.map(build, rest), strict=True))
        taking = {}
        for library, output in outputs.items():
            if output is None:
                continue
            if np.allclose(output, outputs["tf.keras"], atol=1e-4):
                taking[library] = peers[library]
            elif library == "cornu":
                raise AssertionError(f"{name}: outputs differ from those of tf.keras")
            else:
                print(f"{library} computes something else than {name}", flush=True)
        times, _ = in_turns(taking)
    unit = {"epoch": "epoch", "call": f"model(x), batch {count}"}.get(
        action, f"{action}, batch {count}"
    )
    return {"name": f"{name}, {unit}", "times": times}


def fresh(
    name: str, action: str, count: int, rows: dict[str, str], threads: int
) -> Iterable[dict[str, Any]]:
    """Measures an action from the start of a process: time, and memory at its end or added."""
    libraries = (*LIBRARIES, *(() if action == "first_prediction" else TRAINERS))
    found: dict[str, dict[str, list[float]]] = {
        kind: {library: [] for library in libraries} for kind in ("times", "bytes")
    }
    outputs = {}
    with tempfile.TemporaryDirectory() as folder:
        request = {"workload": name, "path": f"{folder}/model.keras"}
        if action == "first_prediction":
            with Peer("cornu", threads) as ours:
                ours.ask("save", **request)
        for _ in range(FRESH_ROUNDS):
            for library in libraries:
                start = time.perf_counter()
                with Peer(library, threads) as peer, optional(library, f"do {action} of {name}"):
                    outputs[library], memory = peer.ask(action, count=count, **request)
                    found["times"][library].append(time.perf_counter() - start)
                    found["bytes"][library].append(memory)
    for library, output in outputs.items():
        if output is not None:
            np.testing.assert_allclose(
                output, outputs["cornu"], atol=1e-4, err_msg=f"{name}, {library}"
            )
    for kind, title in rows.items():
        best = {library: min(values) for library, values in found[kind].items() if values}
        yield {"name": f"{name}, {title}", kind: best}


def row(result: dict[str, Any]) -> str:
    """Returns a line of the table: what was measured, the best peer, ratio, share of the peak."""
    measured = result.get("times") or result["bytes"]
    peer = best_peer(measured)
    share = f"{result['share']:.2f}" if "share" in result else ""
    return f"| {result['name']} | {peer} | {measured[peer] / measured['cornu']:.2f} | {share} |"


def ratios(results: Iterable[dict[str, Any]], action: str, peer: str) -> list[float]:
    """Returns how many times as fast as a peer each model was that both did this with."""
    found = []
    for result in results:
        times = result.get("times", {})
        against = best_peer(times) if times and peer == BEST else peer
        if result["name"].endswith(f", {action}") and against in times:
            found.append(times[against] / times["cornu"])
    return found


def mean_row(found: list[float], action: str, peer: str) -> str:
    """Returns a line of the table: a geometric mean."""
    ratio = statistics.geometric_mean(found)
    return f"| **{action}**, geometric mean of {len(found)} | {peer} | **{ratio:.2f}** | |"


def write_readme(results: Collection[dict[str, Any]]) -> None:
    """Writes the README's table."""
    head = ["| workload | best peer | times as fast | share of the peak |", "|---|---|---|---|"]
    means = [
        mean_row(found, action, peer)
        for action, peer in MEANS
        if (found := ratios(results, action, peer))
    ]
    write_table(ROOT / "README.md", [*head, *map(row, results), *means])


def main() -> None:
    """Runs what the arguments select, all without any; keeps each result as it comes."""
    words, threads = sys.argv[1:], len(os.sched_getaffinity(0))
    path = ROOT / "benches/results.json"
    known = {result["name"]: result for result in json.loads(path.read_text())}

    def wanted(name: str) -> bool:
        return not words or any(word in name for word in words)

    def keep(result: dict[str, Any]) -> None:
        known[result["name"]] = result
        print(row(result), flush=True)
        path.write_text(json.dumps(list(known.values()), indent=1) + "\n")
        write_readme(known.values())

    for size in PRODUCTS:
        for count in sorted({1, threads}):
            name = f"matmul {'x'.join(map(str, size))}, {count} thread{'s' * (count > 1)}"
            if wanted(name):
                keep(product(name, size, count))
    for name, action, count in CASES:
        if wanted(f"{name} {action}"):
            keep(workload(name, action, count, threads))
    for name, action, count, rows in FRESH:
        if wanted(f"{name} {action} {' '.join(rows.values())}"):
            for result in fresh(name, action, count, rows, threads):
                keep(result)


if __name__ == "__main__":
    main()
