"""The picture of the figures."""

from pathlib import Path
from typing import Any

from benches.processes import best_peer


def write_plot(path: Path, results: list[dict[str, Any]]) -> None:
    """Draws how many times as fast as the best peer each row is, a line for each op."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "kernels"  # equal figures give equal files
    ops = list(dict.fromkeys(result["name"].split()[0] for result in results))
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.3 * len(ops)), layout="constrained")
    for threads in sorted({result["threads"] for result in results}):
        rows = [result for result in results if result["threads"] == threads]
        best = [result["best"] for result in rows]
        axes.scatter(
            [times[best_peer(times)] / times["cornu"] for times in best],
            [ops.index(result["name"].split()[0]) for result in rows],
            label=f"{threads} thread{'s' * (threads > 1)}",
            alpha=0.6,
            s=18,
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_yticks(range(len(ops)), ops)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as the best peer")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
