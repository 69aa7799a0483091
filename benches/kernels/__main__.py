"""Measures operations with Cornu and its peers in turns; keeps the figures in KERNELS.md.

`python -m benches.kernels` runs everything, `python -m benches.kernels LSTM pool` the rows that
have such a word in their name, `--quick` in shorter rounds.
"""

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np

from benches.kernels.cases import CASES, Case
from benches.kernels.libraries import LIBRARIES
from benches.kernels.plot import write_plot
from benches.processes import ROOT, Peer, best_peer, in_turns, peak, write_table

RESULTS, TABLE, PLOT = (ROOT / "benches" / f for f in ("kernels.json", "KERNELS.md", "kernels.svg"))
TOLERANCE = 1e-3  # of the greatest value of an output


def differs(outputs: str, expected: str) -> bool:
    """Returns whether two files of outputs hold different values."""
    with np.load(outputs) as ours, np.load(expected) as theirs:
        return len(ours.files) != len(theirs.files) or any(
            ours[name].shape != theirs[name].shape
            or np.abs(ours[name] - theirs[name]).max() > TOLERANCE * np.abs(ours[name]).max()
            for name in ours.files
        )


def measured(
    case: Case, peers: dict[str, Peer], threads: int, lengths: dict[str, float]
) -> dict[str, Any]:
    """Measures a row with the peers that compute what we compute."""
    taking = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: f"{folder}/{name}.npz" for name in peers}
        for name, peer in peers.items():
            try:
                if not peer.ask("build", case=case.title, outputs=files[name]):
                    continue
            except RuntimeError as error:
                print(f"{LIBRARIES[name]}: {error}", flush=True)
                peer.start()
                continue
            if differs(files[name], files["cornu"]):
                print(f"{LIBRARIES[name]} computes something else in {case.title}", flush=True)
            else:
                taking[name] = peer
    if case.operations:
        before = peak(taking["cornu"], threads)
        best, median = in_turns(taking, **lengths)
        reachable = max(before, peak(taking["cornu"], threads))
    else:
        best, median = in_turns(taking, **lengths)
        reachable = taking["cornu"].ask("bandwidth", threads=threads)
    rate = (case.operations or case.traffic) / best["cornu"]
    return {
        "name": case.title,
        "threads": threads,
        "best": best,
        "median": median,
        "rate": rate,
        "unit": "GFLOP/s" if case.operations else "GB/s",
        "share": rate / reachable,
    }


def row(result: dict[str, Any]) -> str:
    """Returns a line of the table."""
    best, median = result["best"], result["median"]
    peer = best_peer(best)
    ratios = (f"{best[name] / best['cornu']:.2f}" if name in best else "" for name in LIBRARIES)
    cells = (
        result["name"],
        result["threads"],
        f"{result['rate'] / 1e9:.3g} {result['unit']}",
        f"{result['share']:.2f}",
        LIBRARIES[peer],
        f"**{best[peer] / best['cornu']:.2f}**",
        f"{median[best_peer(median)] / median['cornu']:.2f}",
        *list(ratios)[1:],
    )
    return f"| {' | '.join(map(str, cells))} |"


def table(results: Iterable[dict[str, Any]]) -> list[str]:
    """Returns the lines of the table."""
    columns = ["operation", "threads", "rate", "share", "best peer", "times as fast", "by medians"]
    columns += list(LIBRARIES.values())[1:]
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return [*head, *map(row, results)]


def main() -> None:
    """Runs what the arguments select, all without any; keeps each result as it comes."""
    parser = argparse.ArgumentParser(prog="python -m benches.kernels")
    parser.add_argument("words", nargs="*", help="of the names of the rows; all without any")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--threads", type=int, action="append", help="by default 1 and all")
    arguments = parser.parse_args()
    lengths = {"rounds": 3, "seconds": 0.03} if arguments.quick else {"rounds": 5, "seconds": 0.1}
    wanted = [
        case
        for case in CASES.values()
        if not arguments.words
        or any(word.lower() in case.title.lower() for word in arguments.words)
    ]
    known = {(kept["name"], kept["threads"]): kept for kept in json.loads(RESULTS.read_text())}
    libraries = [name for name in LIBRARIES if find_spec(name)]
    for name in LIBRARIES.keys() - libraries:
        print(f"{LIBRARIES[name]} is not installed")
    print("\n".join(table([])))
    for threads in sorted(set(arguments.threads or (1, len(os.sched_getaffinity(0))))):
        with contextlib.ExitStack() as stack:
            peers = {
                name: stack.enter_context(Peer(name, threads, "benches.kernels.worker"))
                for name in libraries
            }
            for case in wanted:
                result = measured(case, peers, threads, lengths)
                print(row(result), flush=True)
                known[case.title, threads] = result
                order = [key for title in CASES for key in sorted(known) if key[0] == title]
                kept = [known[key] for key in order]
                RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
                write_table(TABLE, table(kept))
    write_plot(PLOT, json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
