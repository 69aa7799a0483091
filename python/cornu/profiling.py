"""What a model's plans do, step by step, and how long each step takes."""

from __future__ import annotations

import html
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

_HEADER = ("step", "layer", "kernel", "result", "µs", "share", "GFLOP/s", "of peak")
# The picture, in pixels: a row, its text, the longest bar, and how many steps it shows.
_ROW, _LABEL, _BAR, _FIGURES, _MOST = 20, 420, 300, 300, 60
_WHAT = re.compile(r"(residual): true|(?:function|kind|activation|form): (?:Some\()?((?!None)\w+)")


class Step(NamedTuple):
    """A kernel call of a plan.

    Attributes:
        layer: path of the layer that it belongs to; empty for loss, gradients' sums, updates.
        kernel: the op, with its attributes and what is fused into it.
        outputs: dtypes and shapes of the results.
        seconds: best time of the measured runs, 0 if none was measured.
        flops: floating-point operations.
    """

    layer: str
    kernel: str
    outputs: str
    seconds: float
    flops: int


class Profile:
    """The steps of a plan; prints as a table, and notebooks show it as a picture.

    Args:
        steps: the steps in the order in which they run.
        peak: floating-point operations per second that the cores in use can do at most, 0 if it
            was not measured.
        memory: bytes that the plan's intermediate results take at most at a time, with the scratch
            of its kernels.
    """

    def __init__(self, steps: list[Step], peak: float = 0.0, memory: int = 0) -> None:
        self.steps = steps
        self.peak = peak
        self.memory = memory

    @property
    def seconds(self) -> float:
        """The time of all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def flops(self) -> int:
        """The floating-point operations of all steps."""
        return sum(step.flops for step in self.steps)

    def _figures(self, seconds: float, flops: int) -> tuple[str, str, str, str]:
        """Returns time, share of the whole, rate and its share of the peak, as far as known."""
        if not seconds:
            return "", "", "", ""
        rate = flops / seconds
        return (
            f"{seconds * 1e6:.1f}",
            f"{seconds / self.seconds:.1%}",
            f"{rate / 1e9:.1f}" if flops else "",
            f"{rate / self.peak:.1%}" if flops and self.peak else "",
        )

    def __str__(self) -> str:
        rows = [_HEADER]
        for number, step in enumerate(self.steps):
            texts = (
                _short(step.layer, 28),
                _short(_brief(step.kernel), 44),
                _short(step.outputs, 30),
            )
            rows.append((str(number), *texts, *self._figures(step.seconds, step.flops)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [
                cell.rjust(width) if column >= 4 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([*lines, self._summary()])

    def __repr__(self) -> str:
        return str(self)

    def _summary(self) -> str:
        extent = f"{len(self.steps)} steps, {self.memory / 1e6:.1f} MB"
        if not self.seconds:
            return extent
        time, _, rate, share = self._figures(self.seconds, self.flops)
        peak = f", {share} of the peak of {self.peak / 1e9:.0f}" if share else ""
        return f"{extent}, {time} µs, {rate or 0} GFLOP/s{peak}"

    def to_svg(self) -> str:
        """Returns a picture: a bar for each step, as long as its time, in the order of the plan.

        Of a long plan the 60 steps that take longest are shown, and the rest as one bar.
        """
        longest = sorted(range(len(self.steps)), key=lambda n: -self.steps[n].seconds)[:_MOST]
        rows = []
        for number in sorted(longest):
            step = self.steps[number]
            label = f"{number} {_brief(step.kernel)} {step.outputs}"
            rows.append((label, f"{step.layer}: {step.kernel}", step.seconds, step.flops))
        if len(self.steps) > _MOST:
            shown = set(longest)
            rest = [step for number, step in enumerate(self.steps) if number not in shown]
            label = f"{len(rest)} other steps"
            rows.append((label, label, sum(s.seconds for s in rest), sum(s.flops for s in rest)))
        scale = _BAR / max([seconds for *_, seconds, _ in rows] or [0.0]) if self.seconds else 0.0
        width, height = _LABEL + _BAR + _FIGURES, (len(rows) + 1) * _ROW + 10
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, sans-serif" font-size="12">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            f'<text x="8" y="{_ROW - 6}" font-weight="bold">{self._summary()}</text>',
        ]
        for place, (label, whole, seconds, flops) in enumerate(rows, start=1):
            time, share, rate, of_peak = self._figures(seconds, flops)
            rate = f" · {rate} GFLOP/s" if rate else ""
            of_peak = f" · {of_peak} of peak" if of_peak else ""
            figures = f"{time} µs · {share}{rate}{of_peak}" if time else ""
            top, end = place * _ROW, _LABEL + seconds * scale
            parts.append(
                f"<g><title>{html.escape(whole)}</title>"
                f'<text x="8" y="{top + 14}">{html.escape(_short(label, 66))}</text>'
                f'<rect x="{_LABEL}" y="{top + 3}" width="{seconds * scale:.1f}" '
                f'height="{_ROW - 6}" fill="#4878a8"/>'
                f'<text x="{end + 6:.1f}" y="{top + 14}" fill="#555">{figures}</text></g>'
            )
        return "\n".join([*parts, "</svg>"]) + "\n"

    _repr_svg_ = to_svg

    def to_trace(self) -> dict[str, Any]:
        """Returns the steps as events of Chrome's trace format, in the slices of their layers.

        The steps follow each other without gaps, each as long as its best time.
        """
        events: list[dict[str, Any]] = []
        start = 0.0
        for layer, steps in itertools.groupby(enumerate(self.steps), lambda pair: pair[1].layer):
            inner = []
            around = {"name": layer, "cat": "layer", "ph": "X", "ts": start, "pid": 0, "tid": 0}
            for number, step in steps:
                figures = zip(_HEADER[4:], self._figures(step.seconds, step.flops), strict=True)
                about = {"step": number, "kernel": step.kernel, "result": step.outputs}
                duration = step.seconds * 1e6
                event = {"name": _brief(step.kernel), "cat": "step", "ts": start, "dur": duration}
                inner.append(around | event | {"args": about | dict(figures)})
                start += duration
            if layer:
                events.append(around | {"dur": start - around["ts"]})
            events.extend(inner)
        return {"traceEvents": events, "displayTimeUnit": "ns"}

    def save(self, path: str | os.PathLike) -> None:
        """Writes a file: a trace for chrome://tracing and Perfetto, or the picture.

        Args:
            path: `"*.json"` for the trace, `"*.svg"` for the picture.

        Raises:
            ValueError: if the path has another ending, or no time was measured.
        """
        path = Path(path)
        if path.suffix not in (".json", ".svg"):
            raise ValueError(f"A profile is saved as .json or .svg. Received: path={str(path)!r}")
        if not self.seconds:
            raise ValueError("A profile without times (`repeats=0`) can't be saved.")
        text = json.dumps(self.to_trace()) if path.suffix == ".json" else self.to_svg()
        path.write_text(text, encoding="utf-8")


def _brief(kernel: str) -> str:
    """The name of an op and what it computes, without its sizes: `Conv Relu`, `Reduce Mean`."""
    name, brace, attributes = kernel.partition(" {")
    if not brace:
        return kernel
    return " ".join([name, *(found[found.lastindex or 0] for found in _WHAT.finditer(attributes))])


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def profile(model: Any, x: Any, y: Any = None, repeats: int = 10) -> Profile:
    """Returns the steps of a model's plan with their times.

    Weights, metrics and the optimizer's state are as before afterwards.

    Args:
        model: a model; compiled, if `y` is given.
        x: a batch of inputs.
        y: a batch of targets: the plan is that of a training step; else that of a prediction.
        repeats: how often the plan is run; each step's best time counts. 0 measures nothing.

    Raises:
        ValueError: if the model can't be traced and has no plan.

    >>> print(profile(model, x))
    >>> profile(model, x).save("trace.json")
    """
    from cornu import _cornu, tree

    data = (x,) if y is None else (x, y)
    kind = "predict" if y is None else "train"
    # A first call builds what is not built yet, such as the optimizer's slots.
    before = [(v, v.numpy()) for v in _state(model)]
    try:
        plan = model._step(kind).plan(data)
        if plan is None:
            raise ValueError(f"The model {model.name!r} runs eagerly: it has no plan")
        operands = [leaf for leaf in tree.flatten(data) if leaf is not None]
        rows, memory = plan.profile(*operands, repeats=repeats), plan.arena_bytes(*operands)
    finally:
        known = {id(variable) for variable, _ in before}
        for variable in _state(model):
            if id(variable) not in known:
                variable.assign(variable.numpy() * 0)
        for variable, value in before:
            variable.assign(value)
    return Profile(
        [Step(r["scope"], r["op"], r["outputs"], r["seconds"], r["flops"]) for r in rows],
        peak=_cornu.fma_peak() * _cornu.num_threads() if repeats else 0.0,
        memory=memory,
    )


def _state(model: Any) -> list[Any]:
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    return [v for v in (*variables, *model.metrics_variables) if v.dtype != "string"]
