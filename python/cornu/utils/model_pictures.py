"""Models as pictures of their layers: DOT text, SVG, or pixels; no other program is needed."""

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_SIDES = ("TB", "BT", "LR", "RL")
# Sizes in points: a line of text, a letter, what is around a text, the gaps between boxes.
_LINE, _LETTER, _PADDING, _GAP, _RANK_GAP = 18, 7.4, 12, 24, 36


@dataclass
class _Box:
    """A layer in the picture.

    Attributes:
        key: its name in the DOT text.
        lines: what stands in it.
        cluster: the nested models that it is in, from the outermost.
        sources: keys of the boxes that it takes inputs from.
    """

    key: str
    lines: list[str]
    cluster: tuple[str, ...] = ()
    sources: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        width = max(map(len, self.lines)) * _LETTER + 2 * _PADDING
        return width, len(self.lines) * _LINE + _PADDING


class Dot:
    """A graph of layers.

    Args:
        boxes: the layers.
        rankdir: `"TB"`, `"BT"`, `"LR"` or `"RL"`: where the graph goes.
        dpi: pixels per inch.
        splines: how `dot` draws edges.
        subgraph: whether the text is a part of another's.
    """

    def __init__(
        self, boxes: list[_Box], rankdir: str, dpi: int, splines: str, subgraph: bool
    ) -> None:
        self._boxes = boxes
        self._rankdir = rankdir
        self._dpi = dpi
        self._splines = splines
        self._subgraph = subgraph

    def to_string(self) -> str:
        """Returns the text in the language DOT, which Graphviz reads."""
        lines = ["subgraph cluster_model {" if self._subgraph else "digraph model {"]
        if not self._subgraph:
            lines.append(
                f'rankdir="{self._rankdir}"; dpi={self._dpi}; splines="{self._splines}"; '
                "concentrate=true;"
            )
        lines.append('node [shape=box, fontname="Helvetica"];')
        for box in self._boxes:
            label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
            node = f'{box.key} [label="{label}"];'
            for depth, name in reversed(list(enumerate(box.cluster))):
                quoted = name.replace("\\", "\\\\").replace('"', '\\"')
                node = f'subgraph "cluster_{depth}_{quoted}" {{ label="{quoted}"; {node} }}'
            lines.append(node)
        for box in self._boxes:
            lines.extend(f"{source} -> {box.key};" for source in box.sources)
        return "\n".join([*lines, "}"]) + "\n"

    __str__ = to_string

    def to_svg(self) -> str:
        """Returns the picture as SVG."""
        places, (width, height) = self._layout()
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, sans-serif" '
            'font-size="13">',
            '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" '
            'orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        ]
        for start, end in self._edges(places):
            parts.append(
                f'<path d="M{start[0]:.1f},{start[1]:.1f} L{end[0]:.1f},{end[1]:.1f}" '
                'stroke="black" fill="none" marker-end="url(#tip)"/>'
            )
        for box in self._boxes:
            x, y = places[box.key]
            w, h = box.size
            parts.append(
                f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" '
                f'height="{h:.1f}" fill="white" stroke="black"/>'
            )
            for number, line in enumerate(box.lines):
                top = y + (number - (len(box.lines) - 1) / 2) * _LINE + 4.5
                weight = ' font-weight="bold"' if number == 0 else ""
                parts.append(
                    f'<text x="{x:.1f}" y="{top:.1f}" text-anchor="middle"{weight}>'
                    f"{html.escape(line)}</text>"
                )
        return "\n".join([*parts, "</svg>"]) + "\n"

    def to_image(self) -> Any:
        """Returns the picture as an image of Pillow.

        Raises:
            ImportError: if Pillow is not installed.
        """
        from cornu.utils.images import pillow

        image_module = pillow()
        from PIL import ImageDraw, ImageFont

        scale = self._dpi / 72
        places, size = self._layout()
        image = image_module.new("RGB", tuple(int(scale * length) for length in size), "white")
        draw = ImageDraw.Draw(image)
        text = ImageFont.load_default(13 * scale)
        for start, end in self._edges(places):
            draw.line([(scale * x, scale * y) for x, y in (start, end)], "black", int(scale))
            x, y = (scale * coordinate for coordinate in end)
            draw.ellipse([x - 2 * scale, y - 2 * scale, x + 2 * scale, y + 2 * scale], "black")
        for box in self._boxes:
            x, y = places[box.key]
            w, h = box.size
            corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
            draw.rectangle([scale * c for c in corners], "white", "black", int(scale))
            for number, line in enumerate(box.lines):
                middle = y + (number - (len(box.lines) - 1) / 2) * _LINE
                draw.text((scale * x, scale * middle), line, "black", text, anchor="mm")
        return image

    def write(self, path: Any) -> None:
        """Writes the picture: text for `.dot`, SVG for `.svg`, else an image by Pillow."""
        path = os.fspath(path)
        ending = os.path.splitext(path)[1].lower()
        if ending not in (".dot", ".gv", ".svg"):
            self.to_image().save(path)
            return
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_svg() if ending == ".svg" else self.to_string())

    def _ranks(self) -> dict[str, int]:
        """Returns how many boxes at most stand before each."""
        ranks: dict[str, int] = {}
        for box in self._boxes:  # sources stand before
            ranks[box.key] = 1 + max((ranks.get(key, -1) for key in box.sources), default=-1)
        return ranks

    def _layout(self) -> tuple[dict[str, tuple[float, float]], tuple[float, float]]:
        """Returns the middles of the boxes and the size of the picture."""
        ranks = self._ranks()
        rows: dict[int, list[_Box]] = {}
        for box in self._boxes:
            rows.setdefault(ranks[box.key], []).append(box)
        across = 0 if self._rankdir in ("TB", "BT") else 1
        spans = {
            rank: sum(box.size[across] + _GAP for box in row) - _GAP for rank, row in rows.items()
        }
        breadth = max(spans.values(), default=0)
        along, places = float(_GAP), {}
        for rank in sorted(rows):
            depth = max(box.size[1 - across] for box in rows[rank])
            side = _GAP + (breadth - spans[rank]) / 2
            for box in rows[rank]:
                middle = side + box.size[across] / 2
                places[box.key] = (middle, along + depth / 2)
                side += box.size[across] + _GAP
            along += depth + _RANK_GAP
        length = along - _RANK_GAP + _GAP
        if self._rankdir in ("BT", "RL"):
            places = {key: (x, length - y) for key, (x, y) in places.items()}
        if across:
            return {key: (y, x) for key, (x, y) in places.items()}, (length, breadth + 2 * _GAP)
        return places, (breadth + 2 * _GAP, length)

    def _edges(
        self, places: dict[str, tuple[float, float]]
    ) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
        sizes = {box.key: box.size for box in self._boxes}
        across = 0 if self._rankdir in ("TB", "BT") else 1
        sign = 1 if self._rankdir in ("TB", "LR") else -1
        for box in self._boxes:
            for source in box.sources:
                ends = []
                for key, way in ((source, sign), (box.key, -sign)):
                    point = list(places[key])
                    point[1 - across] += way * sizes[key][1 - across] / 2
                    ends.append((point[0], point[1]))
                yield ends[0], ends[1]


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Dot:
    """Returns the graph of a model's layers.

    Args:
        model: a model, built.
        show_shapes: whether the shapes of inputs and outputs are told.
        show_dtype: whether the dtypes of outputs are told.
        show_layer_names: whether the names of layers are told.
        rankdir: where the graph goes: `"TB"` (down), `"BT"`, `"LR"` (right) or `"RL"`.
        expand_nested: whether the layers of models inside are shown.
        dpi: pixels per inch.
        subgraph: whether the text is a part of another's.
        show_layer_activations: whether activations are told.
        show_trainable: whether it is told if layers are trained.
        splines: how `dot` draws edges.

    Returns:
        An object with the methods `to_string()` (the language DOT), `to_svg()`, `to_image()` and
        `write(path)`.

    Raises:
        ValueError: if the model is not built, or an argument is unknown.

    >>> print(model_to_dot(model, show_shapes=True))
    """
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by "
            "calling the model on a batch of data."
        )
    if rankdir not in _SIDES:
        raise ValueError(f"`rankdir` must be one of {_SIDES}. Received: rankdir={rankdir}")

    def lines(layer: Any, inputs: Any, outputs: Any) -> list[str]:
        kind = type(layer).__name__
        told = [f"{layer.name} ({kind})" if show_layer_names else kind]
        if show_layer_activations and getattr(layer, "activation", None) is not None:
            name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
            told.append(f"Activation: {name}")
        if show_shapes:
            told += [f"Input shape: {_shapes(inputs)}"] if inputs else []
            told.append(f"Output shape: {_shapes(outputs)}")
        if show_dtype:
            told.append(f"Output dtype: {', '.join(sorted({x.dtype for x in outputs})) or '?'}")
        if show_trainable and hasattr(layer, "trainable"):
            told.append("Trainable" if layer.trainable else "Non-trainable")
        return told

    boxes = _Collector(lines, expand_nested)
    boxes.add(model)
    return Dot(boxes.found, rankdir, dpi, splines, subgraph)


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> None:
    """Writes the graph of a model's layers into a file.

    Args:
        model: a model, built.
        to_file: path; its ending says what is written: `.dot`, `.svg`, or an image that Pillow
            writes.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
            show_layer_activations, show_trainable, splines: as of `model_to_dot`.

    Raises:
        ValueError: if the model is not built, or an argument is unknown.
        ImportError: for an image, if Pillow is not installed.
    """
    dot = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
        **kwargs,
    )
    dot.write(to_file)


def _shapes(tensors: Any) -> str:
    shapes = [str(tuple(tensor.shape)) for tensor in tensors]
    return ", ".join(shapes) if shapes else "?"


def _graph_of(model: Any) -> Any:
    """Returns the functional graph of a model, None if it has none."""
    from cornu.models import Sequential
    from cornu.models.functional import Functional

    if isinstance(model, Sequential):
        return model._functional
    return model if isinstance(model, Functional) else None


class _Collector:
    """Makes a box of each layer, in an order in which sources come first."""

    def __init__(self, lines: Any, expand_nested: bool) -> None:
        self.lines = lines
        self.expand_nested = expand_nested
        self.found: list[_Box] = []

    def add(self, model: Any, cluster: tuple[str, ...] = (), given: Any = None) -> list[list[str]]:
        """Adds the layers of a model.

        Args:
            model: the model.
            cluster: names of the models that it is in.
            given: keys of the boxes that each of its inputs comes from; None for the outermost.

        Returns:
            The keys of the boxes that each of its outputs comes from.
        """
        graph = _graph_of(model)
        if graph is None:
            return [[self._box(model, [], [], cluster, []).key]]
        sources: dict[int, list[str]] = {}
        layers: dict[int, _Box] = {}
        for number, tensor in enumerate(graph.inputs):
            if given is not None:
                sources[id(tensor)] = given[number] if number < len(given) else []
        for node in graph._nodes:
            if all(id(tensor) in sources for tensor in node.outputs):
                continue
            layer, inputs = node.operation, node.input_tensors
            keys = [sources.get(id(tensor), []) for tensor in inputs]
            if self.expand_nested and _graph_of(layer) is not None and not node.is_input:
                ends = self.add(layer, (*cluster, layer.name), keys)
            else:
                flat = list(dict.fromkeys(key for several in keys for key in several))
                box = layers.get(id(layer))
                if box is None:
                    box = self._box(layer, inputs, node.outputs, cluster, flat)
                    layers[id(layer)] = box
                else:  # a shared layer
                    box.sources += [key for key in flat if key not in (*box.sources, box.key)]
                ends = [[box.key]] * len(node.outputs)
            for tensor, end in zip(node.outputs, ends, strict=False):
                sources[id(tensor)] = end
        return [sources.get(id(tensor), []) for tensor in graph.outputs]

    def _box(
        self, layer: Any, inputs: Any, outputs: Any, cluster: tuple[str, ...], sources: list[str]
    ) -> _Box:
        key = f"layer_{len(self.found)}"
        box = _Box(key, self.lines(layer, inputs, outputs), cluster, sources)
        self.found.append(box)
        return box
