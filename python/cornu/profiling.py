"""What a model's plans do, step by step, and how long each step takes."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_WHAT = re.compile(r"(?:function|kind|activation): (?:Some\()?((?!None)\w+)")


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
    """The steps of a plan; prints as a table."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    @property
    def seconds(self) -> float:
        """The time of all steps."""
        return sum(step.seconds for step in self.steps)

    def __str__(self) -> str:
        header = ("step", "layer", "kernel", "result", "µs", "share", "GFLOP/s")
        rows = [header]
        for number, step in enumerate(self.steps):
            time = step.seconds
            rows.append(
                (
                    str(number),
                    _short(step.layer, 28),
                    _short(_brief(step.kernel), 44),
                    _short(step.outputs, 30),
                    f"{time * 1e6:.1f}" if time else "",
                    f"{time / self.seconds:.1%}" if time else "",
                    f"{step.flops / time / 1e9:.1f}" if time and step.flops else "",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = []
        for row in rows:
            cells = [
                cell.rjust(width) if column >= 4 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines.insert(1, "  ".join("─" * width for width in widths))
        if self.seconds:
            lines.append(f"{len(self.steps)} steps, {self.seconds * 1e6:.0f} µs")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def _brief(kernel: str) -> str:
    """The name of an op and what it computes, without its sizes: `Conv Relu`, `Reduce Mean`."""
    name, brace, attributes = kernel.partition(" {")
    if not brace:
        return kernel
    return " ".join([name, *_WHAT.findall(attributes)])


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
    """
    from cornu import tree

    data = (x,) if y is None else (x, y)
    kind = "predict" if y is None else "train"
    # A first call builds what is not built yet, such as the optimizer's slots.
    before = [(v, v.numpy()) for v in _state(model)]
    try:
        plan = model._step(kind).plan(data)
        if plan is None:
            raise ValueError(f"The model {model.name!r} runs eagerly: it has no plan")
        operands = [leaf for leaf in tree.flatten(data) if leaf is not None]
        rows = plan.profile(*operands, repeats=repeats)
    finally:
        known = {id(variable) for variable, _ in before}
        for variable in _state(model):
            if id(variable) not in known:
                variable.assign(variable.numpy() * 0)
        for variable, value in before:
            variable.assign(value)
    return Profile(
        [Step(r["scope"], r["op"], r["outputs"], r["seconds"], r["flops"]) for r in rows]
    )


def _state(model: Any) -> list[Any]:
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    return [v for v in (*variables, *model.metrics_variables) if v.dtype != "string"]
