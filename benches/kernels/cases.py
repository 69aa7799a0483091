"""The table of what `python -m benches.kernels` measures."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A row: an op on arrays of these shapes.

    Args:
        op: the name of the function that calls it, in each module of `libraries`.
        name: the rest of the row's name.
        inputs: the arrays of a call by name: their shapes.
        weights: likewise, of what a library may prepare before the calls, as a model's weights.
        options: further arguments.
        operations: additions and multiplications of a call; 0 where memory bounds the speed.
        traffic: bytes that a call must read and write, for such rows.
    """

    op: str
    name: str
    inputs: dict[str, Shape]
    weights: dict[str, Shape] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    operations: int = 0
    traffic: int = 0

    @property
    def title(self) -> str:
        """The row's name."""
        return f"{self.op} {self.name}"

    def arguments(self) -> dict[str, Any]:
        """Returns the arrays, always the same, and the options."""
        random = np.random.default_rng(zlib.crc32(self.title.encode()))
        arrays = {
            name: random.standard_normal(shape, dtype="float32")
            for name, shape in (self.inputs | self.weights).items()
        }
        for name, shape in self.weights.items():
            arrays[name] /= np.float32(prod(shape[:-1]) ** 0.5)  # outputs near one, as in networks
        if "variance" in arrays:
            arrays["variance"] **= 2
        return {**arrays, **self.options}


def sizes(*lengths: int) -> str:
    """Sizes as they are written in names."""
    return "x".join(map(str, lengths))


def products() -> Iterator[Case]:
    """Products of square matrices; dense layers without bias, their kernel prepared."""
    for n in (16, 32, 64, 256, 512, 1024, 2048):
        yield Case("matmul", f"{n}", {"a": (n, n), "b": (n, n)}, operations=2 * n**3)
    for rows in (1, 8, 32):
        for k, n in ((1024, 1024), (1024, 4096), (4096, 1024), (4096, 4096)):
            name = f"{rows} rows {sizes(k, n)}"
            shapes = {"x": (rows, k)}, {"kernel": (k, n)}
            yield Case("dense", name, *shapes, operations=2 * rows * k * n)


# Network, side, channels, kernel size, stride, filters. Strided images have their border already,
# as the networks pad them before the convolution, which is "valid" then.
CONVOLUTIONS = (
    ("ResNet50", 230, 3, 7, 2, 64),
    ("ResNet50", 56, 64, 1, 1, 64),
    ("ResNet50", 56, 64, 3, 1, 64),
    ("ResNet50", 56, 64, 1, 1, 256),
    ("ResNet50", 56, 256, 1, 2, 512),
    ("ResNet50", 28, 128, 3, 1, 128),
    ("ResNet50", 14, 256, 3, 1, 256),
    ("ResNet50", 14, 1024, 1, 1, 256),
    ("ResNet50", 7, 512, 3, 1, 512),
    ("MobileNetV2", 225, 3, 3, 2, 32),
    ("MobileNetV2", 112, 16, 1, 1, 96),
    ("MobileNetV2", 28, 192, 1, 1, 32),
    ("MobileNetV2", 7, 320, 1, 1, 1280),
    ("EfficientNetB0", 112, 32, 1, 1, 16),
    ("EfficientNetB0", 14, 80, 1, 1, 480),
    ("EfficientNetB0", 7, 192, 1, 1, 1152),
    ("U-Net", 128, 3, 3, 1, 64),
    ("U-Net", 128, 64, 3, 1, 64),
    ("U-Net", 64, 256, 3, 1, 128),
    ("U-Net", 32, 256, 3, 1, 256),
)

# The same without filters.
DEPTHWISE = (
    ("MobileNetV2", 112, 32, 3, 1),
    ("MobileNetV2", 113, 96, 3, 2),
    ("MobileNetV2", 56, 144, 3, 1),
    ("MobileNetV2", 15, 576, 3, 2),
    ("MobileNetV2", 7, 960, 3, 1),
    ("EfficientNetB0", 59, 144, 5, 2),
    ("EfficientNetB0", 28, 240, 5, 1),
    ("EfficientNetB0", 14, 672, 5, 1),
    ("EfficientNetB0", 17, 672, 5, 2),
    ("EfficientNetB0", 7, 1152, 5, 1),
)


def window(side: int, size: int, stride: int) -> tuple[dict[str, Any], int]:
    """Returns the options of a window that moves over an image, and the side of the result."""
    if stride > 1:
        return {"strides": stride, "padding": "valid"}, (side - size) // stride + 1
    return {"strides": 1, "padding": "same"}, side


def convolutions() -> Iterator[Case]:
    """Convolutions without bias and both their gradients, from the gradient of the output."""
    shapes = [(*row[:5], row[5], "conv2d") for row in CONVOLUTIONS]
    shapes += [(*row, 1, "depthwise_conv2d") for row in DEPTHWISE]
    for network, side, channels, size, stride, filters, op in shapes:
        options, result = window(side, size, stride)
        kernel = {"kernel": (size, size, channels, filters)}
        depthwise = op != "conv2d"
        for batch in (1, 8):
            x = {"x": (batch, side, side, channels)}
            gradient = {"gradient": (batch, result, result, channels if depthwise else filters)}
            operations = 2 * prod((batch, result, result, size, size, channels, filters))
            name = f"{network} {sizes(side, side, channels)} {size}x{size}/{stride}"
            name += f"{'' if depthwise else f' to {filters}'}, batch {batch}"
            yield Case(op, name, x, kernel, options, operations)
            # The gradient of the images needs their shape only, that of the kernel the images.
            of_input = {**options, "side": side}
            yield Case(f"{op}_input_gradient", name, gradient, kernel, of_input, operations)
            of_kernel = {**options, "size": size}
            yield Case(f"{op}_kernel_gradient", name, x | gradient, {}, of_kernel, operations)


def pooling() -> Iterator[Case]:
    """Pooling of images; strided ones have their border already."""
    for op, network, side, channels, size, stride in (
        ("max_pool", "ResNet50", 114, 64, 3, 2),
        ("max_pool", "VGG16", 56, 256, 2, 2),
        ("max_pool", "LeNet", 28, 6, 2, 2),
        ("max_pool", "U-Net", 128, 64, 2, 2),
        ("max_pool", "Inception", 35, 192, 3, 1),
        ("average_pool", "DenseNet121", 56, 128, 2, 2),
        ("average_pool", "Inception", 35, 192, 3, 1),
        ("average_pool", "ResNet50", 7, 2048, 7, 7),
    ):
        options, result = window(side, size, stride)
        for batch in (1, 8):
            x = (batch, side, side, channels)
            traffic = 4 * batch * channels * (side**2 + result**2)
            name = f"{network} {sizes(side, side, channels)} {size}x{size}/{stride}, batch {batch}"
            yield Case(op, name, {"x": x}, {}, {"size": size, **options}, traffic=traffic)


def resizing() -> Iterator[Case]:
    """Images of other sizes, between pixels by two lines."""
    for network, side, channels, result, batch in (
        ("images", 300, 3, 224, 8),
        ("U-Net", 64, 128, 128, 1),
        ("U-Net", 64, 128, 128, 8),
        ("FPN", 28, 256, 56, 1),
    ):
        x = (batch, side, side, channels)
        name = f"{network} {sizes(side, side, channels)} to {sizes(result, result)}, batch {batch}"
        traffic = 4 * batch * channels * (side**2 + result**2)
        yield Case("resize_bilinear", name, {"x": x}, {}, {"side": result}, traffic=traffic)


def normalization() -> Iterator[Case]:
    """Norms of the last axis, or of groups of it; inference but for `batch_norm_training`."""
    affine = ("gamma", "beta")
    for op, shape, weights, options in (
        ("batch_norm", (56, 56, 64), (*affine, "mean", "variance"), {}),
        ("batch_norm_training", (56, 56, 64), affine, {}),
        ("batch_norm_training", (14, 14, 512), affine, {}),
        ("layer_norm", (128, 256), affine, {}),
        ("layer_norm", (512, 768), affine, {}),
        ("group_norm", (32, 32, 128), affine, {"groups": 32}),
        ("rms_norm", (512, 768), ("scale",), {}),
    ):
        for batch in (1, 8):
            yield Case(
                op,
                f"{sizes(*shape)}, batch {batch}",
                {"x": (batch, *shape)},
                dict.fromkeys(weights, shape[-1:]),
                {"epsilon": 1e-3, **options},
                traffic=8 * batch * prod(shape),
            )


def elementwise() -> Iterator[Case]:
    """Softmax, GELU by the error function, relu(a * b + c), and steps of Adam."""
    for op, shape in (
        ("softmax", (32, 1000)),
        ("softmax", (4096, 128)),
        ("softmax", (4096, 1024)),
        ("gelu", (512, 768)),
        ("gelu", (512, 3072)),
    ):
        yield Case(op, sizes(*shape), {"x": shape}, traffic=8 * prod(shape))
    for n in (10**4, 10**6, 10**7):
        shapes = dict.fromkeys("abc", (n,))
        yield Case("multiply_add_relu", f"{n}", shapes, traffic=16 * n)
    for count, shape in ((200, (64,)), (50, (256, 256)), (8, (1024, 1024))):
        # The gradients, and the first values of the variables.
        shapes = {f"variable{i}": shape for i in range(count)}
        name = f"{count} variables {sizes(*shape)}"
        yield Case("adam", name, shapes, traffic=28 * count * prod(shape))


def recurrence() -> Iterator[Case]:
    """Layers of 100 steps that return all of them.

    Training is the layer and the gradients of its input and weights, from that of its output.
    """
    steps = 100
    for op, gates in (("lstm", 4), ("gru", 3)):
        for units in (64, 256):
            for batch in (1, 32):
                weights = {
                    "kernel": (units, gates * units),
                    "recurrent_kernel": (units, gates * units),
                    "bias": (2, gates * units) if op == "gru" else (gates * units,),
                }
                name = f"{steps} steps, {units} units, batch {batch}"
                x = {"x": (batch, steps, units)}
                operations = 2 * steps * batch * 2 * units * gates * units
                yield Case(op, name, x, weights, operations=operations)
                x = {**x, "gradient": x["x"]}
                yield Case(f"{op}_training", name, x, weights, operations=3 * operations)


def attention() -> Iterator[Case]:
    """Attention of 8 heads of 64 (batch, steps, heads, size), without a mask.

    Training is the op and the gradients of its inputs, from that of its output.
    """
    heads, size = 8, 64
    for steps in (128, 512, 2048):
        shapes = dict.fromkeys(("query", "key", "value"), (1, steps, heads, size))
        operations = 4 * heads * size * steps**2
        name = f"{steps} steps, {heads} heads of {size}"
        yield Case("attention", name, shapes, operations=operations)
        shapes = {**shapes, "gradient": shapes["query"]}
        yield Case("attention_training", name, shapes, operations=3 * operations)


FAMILIES = (
    products,
    convolutions,
    pooling,
    resizing,
    normalization,
    elementwise,
    recurrence,
    attention,
)
CASES = {case.title: case for family in FAMILIES for case in family()}
