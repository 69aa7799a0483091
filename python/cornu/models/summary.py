"""The table that `model.summary()` prints."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from cornu import tree
from cornu.layers.layer import Layer
from cornu.models.functional import Functional
from cornu.models.sequential import Sequential
from cornu.ops.operation import Node, Operation

_WIDTH = 76
_COLUMNS = {  # where columns end, without and with the column of connections
    False: [0.45, 0.80, 1.0],
    True: [0.30, 0.56, 0.74, 1.0],
}
_TRAINABLE_WIDTH = 0.11


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: list[float] | None = None,
    print_fn: Callable | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Iterable[str] | None = None,
) -> None:
    """Prints the layers of a model; see `Model.summary`."""
    graph = model._functional if isinstance(model, Sequential) else model
    nodes = graph._nodes if isinstance(graph, Functional) else []
    connections = isinstance(model, Functional) and not _is_chain(model)
    positions = list(positions or _COLUMNS[connections])
    header = ["Layer (type)", "Output Shape", "Param #"]
    align = ["left", "left", "right"]
    if connections:
        header.append("Connected to")
        align.append("left")
    if show_trainable:
        header.append("Trainable")
        align.append("center")
        if len(positions) < len(header):
            positions.append(positions[-1] + _TRAINABLE_WIDTH)
            positions = [position / positions[-1] for position in positions]

    rows: list[list[str]] = []

    def add(layer: Operation, level: int) -> None:
        row = [_label(layer, level), _output_shape(layer), _parameters(layer)]
        if connections:
            row.append(_connected(layer, nodes) if level == 0 else "-")
        if show_trainable:
            trainable = "Y" if getattr(layer, "trainable", False) else "N"
            row.append(trainable if getattr(layer, "weights", []) else "-")
        rows.append(row)
        if expand_nested:
            for inner in getattr(layer, "layers", None) or ():
                add(inner, level + 1)

    for layer in _ranged(_rows_of(model), layer_range):
        add(layer, 0)

    width = line_length or _WIDTH
    text = "\n".join(
        [
            f'Model: "{model.name}"',
            *_table(header, rows, align, positions, width),
            *_totals(model),
            "",
        ]
    )
    if print_fn is None:
        print(text, end="", flush=True)
    else:
        print_fn(text)


def _rows_of(model: Any) -> list[Operation]:
    return model.operations if isinstance(model, Functional) else model.layers


def _is_chain(model: Functional) -> bool:
    """Returns whether each layer is called once, on the output of the one before."""
    if any(
        len(group) > 1 or len(group[0].parent_nodes) > 1 for group in model._nodes_by_depth.values()
    ):
        return False
    own = {id(node) for node in model._nodes}
    return all(sum(id(node) in own for node in layer._inbound_nodes) <= 1 for layer in model.layers)


def _ranged(layers: list[Operation], layer_range: Iterable[str] | None) -> list[Operation]:
    if not layer_range:
        return layers
    ends = list(layer_range)
    if len(ends) != 2:
        raise ValueError(f"layer_range must be a list or tuple of length 2. Received: {ends}")
    if not all(isinstance(end, str) for end in ends):
        raise ValueError(f"layer_range should contain string type only. Received: {ends}")
    names = [layer.name for layer in layers]
    first = [i for i, name in enumerate(names) if re.match(ends[0], name)]
    last = [i for i, name in enumerate(names) if re.match(ends[1], name)]
    if not first or not last:
        raise ValueError(
            f"Passed layer_names do not match the layer names in the model. Received: {layer_range}"
        )
    start, stop = sorted((min(first), max(last)))
    return layers[start : stop + 1]


def _label(layer: Operation, level: int) -> str:
    indent = "   " * level + "└ " if level else ""
    return f"{indent}{layer.name} ({type(layer).__name__})"


def _output_shape(layer: Operation) -> str:
    nodes = layer._inbound_nodes
    if nodes:
        shapes = [[x.shape for x in node.outputs] for node in nodes]
        unique = [shape for i, shape in enumerate(shapes) if shape not in shapes[:i]]
        flat = [shape for node_shapes in unique for shape in node_shapes]
        return ", ".join(str(shape) for shape in flat)
    shapes = getattr(layer, "_build_shapes_dict", None)
    if not shapes:
        return "?"
    try:
        shape = layer.compute_output_shape(*shapes.values())
    except Exception:
        return "?"
    return str(shape) if tree.is_shape(shape) else ", ".join(map(str, tree.flatten(shape)))


def _parameters(layer: Operation) -> str:
    if not isinstance(layer, Layer):
        return "0"
    if not layer.built:
        return "0 (unbuilt)"
    return f"{layer.count_params():,}"


def _connected(layer: Operation, nodes: list[Node]) -> str:
    own = {id(node) for node in nodes}
    parts = []
    for node in layer._inbound_nodes:
        if id(node) in own:
            for x in node.input_tensors:
                operation, node_index, tensor_index = x._keras_history
                parts.append(f"{operation.name}[{node_index}][{tensor_index}]")
    return ", ".join(parts) or "-"


# Totals


def _totals(model: Any) -> list[str]:
    trainable, frozen = _count(model.trainable_weights), _count(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    built = optimizer is not None and optimizer.built
    optimized = _count(optimizer.variables) if built else (0, 0)
    total = [sum(column) for column in zip(trainable, frozen, optimized, strict=True)]
    lines = [
        _total("Total", *total),
        _total("Trainable", *trainable),
        _total("Non-trainable", *frozen),
    ]
    if optimized[0]:
        lines.append(_total("Optimizer", *optimized))
    return lines


def _count(variables: list) -> tuple[int, int]:
    """Returns the numbers of scalars and of bytes in variables, each counted once."""
    unique = {id(variable): variable for variable in variables}.values()
    sizes = [math.prod(variable.shape) for variable in unique]
    widths = [_bytes(variable._dtype) for variable in unique]
    return sum(sizes), sum(n * w for n, w in zip(sizes, widths, strict=True))


def _bytes(dtype: str) -> int:
    bits = re.search(r"\d+", dtype)
    return int(bits[0]) // 8 if bits else 1


def _total(kind: str, count: int, size: int) -> str:
    return f" {kind} params: {count:,} ({_readable(size)})"


def _readable(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"


# Tables


def _table(
    header: list[str], rows: list[list[str]], align: list[str], positions: list[float], width: int
) -> list[str]:
    widths = _column_widths(positions, width)
    lines = ["┏" + "┳".join("━" * (w + 2) for w in widths) + "┓"]
    lines += _row(header, widths, align, "┃", bottom=True)
    lines.append("┡" + "╇".join("━" * (w + 2) for w in widths) + "┩")
    rule = "├" + "┼".join("─" * (w + 2) for w in widths) + "┤"
    for index, row in enumerate(rows):
        if index:
            lines.append(rule)
        lines += _row(row, widths, align, "│")
    lines.append("└" + "┴".join("─" * (w + 2) for w in widths) + "┘")
    return lines


def _column_widths(positions: list[float], width: int) -> list[int]:
    """Returns the widths of text columns, so that the table is `width` wide."""
    ends = [int(width * position) if position <= 1 else int(position) for position in positions]
    widths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    excess, columns = len(widths) * 3 + 1, len(widths)
    for index in range(columns):
        part = round(excess / (columns - index))
        widths[index] = max(widths[index] - part, 1)
        excess -= part
    return widths


def _row(
    cells: list[str], widths: list[int], align: list[str], border: str, bottom: bool = False
) -> list[str]:
    wrapped = [_wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    columns = []
    for lines, width, side in zip(wrapped, widths, align, strict=True):
        blank = [""] * (height - len(lines))
        lines = blank + lines if bottom else lines + blank
        place = {"left": str.ljust, "right": str.rjust, "center": str.center}[side]
        columns.append([f" {place(line, width)} " for line in lines])
    return [border + border.join(parts) + border for parts in zip(*columns, strict=True)]


def _wrap(text: str, width: int) -> list[str]:
    """Returns lines of whole words; a word that is too long ends in an ellipsis."""
    lines: list[str] = []
    line = ""
    for word in re.findall(r"\s*\S+", text):
        if line and len(line) + len(word) > width:
            lines.append(line)
            word = word.lstrip()
            line = ""
        line += word
    lines.append(line)
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
