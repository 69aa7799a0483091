"""NASNet: Zoph et al., 2018."""

from typing import Any

from cornu import layers
from cornu.applications.construction import (
    ARGUMENTS,
    HOME,
    Application,
    Files,
    named,
    same_padding,
)
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.models import Model
from cornu.naming import name_scope

# Filters at the end, blocks between reductions, filters of the stem, whether cells skip the
# reduction before them, the usual size, and the hashes of the files.
_VARIANTS = {
    "mobile": (1056, 4, 32, False, 224,
               "020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
    "large": (4032, 6, 96, True, 331,
              "11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
}  # fmt: skip


class _Cells:
    """Makes the cells of one model."""

    def __init__(self, app: Application) -> None:
        self.axis = -1 if app.axis == 3 else 1
        self.row = 1 if app.axis == 3 else 2

    def normalized(self, x: Any, name: str) -> Any:
        return layers.BatchNormalization(axis=self.axis, momentum=0.9997, epsilon=1e-3, name=name)(
            x
        )

    def conv(self, x: Any, filters: int, name: str) -> Any:
        return layers.Conv2D(
            filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
        )(x)

    def add(self, x: Any, y: Any, name: str | None = None) -> Any:
        return layers.add([x, y], name=name)

    def separable(self, x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
        """Two separable convolutions, the first with the strides."""
        with name_scope(f"separable_conv_block_{name}"):
            return self._separable(x, filters, size, name, strides)

    def _separable(self, x: Any, filters: int, size: int, name: str, strides: int) -> Any:
        for step, stride in ((1, strides), (2, 1)):
            x = layers.Activation("relu")(x)
            if stride == 2:
                border = same_padding(x, size, self.row)
                x = layers.ZeroPadding2D(border, name=f"separable_conv_{step}_pad_{name}")(x)
            x = layers.SeparableConv2D(
                filters, size, strides=stride, padding="valid" if stride == 2 else "same",
                use_bias=False, name=f"separable_conv_{step}_{name}",
            )(x)  # fmt: skip
            x = self.normalized(x, f"separable_conv_{step}_bn_{name}")
        return x

    def adjusted(self, p: Any, x: Any, filters: int, name: str) -> Any:
        """Brings the output of the cell before the last to the size of the last one's."""
        if p is None:
            return x
        kind = "projection" if p.shape[self.row] == x.shape[self.row] else "reduction"
        with name_scope("adjust_block"), name_scope(f"adjust_{kind}_block_{name}"):
            return self._adjusted(p, x, filters, name)

    def _adjusted(self, p: Any, x: Any, filters: int, name: str) -> Any:
        if p.shape[self.row] != x.shape[self.row]:
            p = layers.Activation("relu", name=f"adjust_relu_1_{name}")(p)
            halves = []
            for i in (1, 2):
                half = p
                if i == 2:  # the pixels between those of the first half
                    half = layers.ZeroPadding2D(((0, 1), (0, 1)))(half)
                    half = layers.Cropping2D(((1, 0), (1, 0)))(half)
                half = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_{i}_{name}")(
                    half
                )
                halves.append(self.conv(half, filters // 2, f"adjust_conv_{i}_{name}"))
            p = layers.concatenate(halves, axis=self.axis)
            return self.normalized(p, f"adjust_bn_{name}")
        if p.shape[self.axis] != filters:
            p = layers.Activation("relu")(p)
            p = self.conv(p, filters, f"adjust_conv_projection_{name}")
            p = self.normalized(p, f"adjust_bn_{name}")
        return p

    def started(self, x: Any, filters: int, kind: str, name: str) -> Any:
        x = layers.Activation("relu")(x)
        x = self.conv(x, filters, f"{kind}_conv_1_{name}")
        return self.normalized(x, f"{kind}_bn_1_{name}")

    def normal(self, x: Any, p: Any, filters: int, name: str) -> tuple[Any, Any]:
        """A cell that keeps the size; returns its output and its input."""

        def averaged(y: Any, side: str) -> Any:
            return layers.AveragePooling2D(
                3, strides=1, padding="same", name=f"normal_{side}_{name}"
            )(y)

        def separable(y: Any, size: int, side: str) -> Any:
            return self.separable(y, filters, size, f"normal_{side}_{name}")

        start = x
        p = self.adjusted(p, x, filters, name)
        h = self.started(x, filters, "normal", name)
        pairs = (
            lambda: (separable(h, 5, "left1"), separable(p, 3, "right1")),
            lambda: (separable(p, 5, "left2"), separable(p, 3, "right2")),
            lambda: (averaged(h, "left3"), p),
            lambda: (averaged(p, "left4"), averaged(p, "right4")),
            lambda: (separable(h, 3, "left5"), h),
        )
        parts = [p]
        for i, pair in enumerate(pairs, 1):
            with name_scope(f"block_{i}"):
                parts.append(self.add(*pair(), f"normal_add_{i}_{name}"))
        x = layers.concatenate(parts, axis=self.axis, name=f"normal_concat_{name}")
        return x, start

    def reduction(self, x: Any, p: Any, filters: int, name: str) -> tuple[Any, Any]:
        """A cell that halves the size; returns its output and its input."""

        def separable(y: Any, size: int, side: str, strides: int = 2) -> Any:
            return self.separable(y, filters, size, f"reduction_{side}_{name}", strides)

        def pooled(pooling: Any, side: str) -> Any:
            return pooling(3, strides=2, name=f"reduction_{side}_{name}")(padded)

        start = x
        p = self.adjusted(p, x, filters, name)
        h = self.started(x, filters, "reduction", name)
        padded = layers.ZeroPadding2D(same_padding(h, 3, self.row), name=f"reduction_pad_1_{name}")(
            h
        )
        with name_scope("block_1"):
            first = self.add(
                separable(h, 5, "left1"), separable(p, 7, "right1"), f"reduction_add_1_{name}"
            )
        with name_scope("block_2"):
            second = pooled(layers.MaxPooling2D, "left2")
            second = self.add(second, separable(p, 7, "right2"), f"reduction_add_2_{name}")
        with name_scope("block_3"):
            third = pooled(layers.AveragePooling2D, "left3")
            third = self.add(third, separable(p, 5, "right3"), f"reduction_add3_{name}")
        with name_scope("block_4"):
            fourth = layers.AveragePooling2D(
                3, strides=1, padding="same", name=f"reduction_left4_{name}"
            )(first)
            fourth = self.add(second, fourth)
        with name_scope("block_5"):
            fifth = separable(first, 3, "left4", 1)
            pool = pooled(layers.MaxPooling2D, "right5")
            fifth = self.add(fifth, pool, f"reduction_add4_{name}")
        x = layers.concatenate(
            [second, third, fourth, fifth], axis=self.axis, name=f"reduction_concat_{name}"
        )
        return x, start


def _build(app: Application, which: str) -> Model:
    last, count, stem, skip, size, *hashes = _VARIANTS[which]
    filters = last // 24
    image = app.input(size, 32, flat=True)
    cells = _Cells(app)
    x = layers.Conv2D(
        stem, 3, strides=2, use_bias=False, kernel_initializer="he_normal", name="stem_conv1"
    )(image)
    x = cells.normalized(x, "stem_bn1")

    def reduced(x: Any, p: Any, filters: int, name: str) -> tuple[Any, Any]:
        with name_scope(f"reduction_A_block_{name}"):
            return cells.reduction(x, p, filters, name)

    x, p = reduced(x, None, filters // 4, "stem_1")
    x, p = reduced(x, p, filters // 2, "stem_2")
    for stage in range(3):
        if stage:
            x, before = reduced(x, p, filters * 2**stage, f"reduce_{stage * count}")
            p = p if skip else before
        for i in range(count):
            number = stage * (count + 1) + i if stage < 2 else 2 * count + 1 + i
            with name_scope(f"normal_A_block_{number}"):
                x, p = cells.normal(x, p, filters * 2**stage, str(number))
    x = layers.Activation("relu")(x)
    prefix, remote = f"nasnet_{which}", f"NASNet-{which}"
    files = Files(
        f"{HOME}nasnet/",
        prefix,
        hashes,
        "_no_top",
        (f"{remote}.h5", f"{remote}-no-top.h5"),
    )
    return app.model(image, app.head(x, average=None), lambda: files)


_SHAPE = "        input_shape: shape of an image; needed if it is not the usual one.\n"
_ARGUMENTS = ARGUMENTS.replace(_SHAPE, "").replace("    Args:\n", "    Args:\n" + _SHAPE)


def _variant(which: str) -> Any:
    def make(
        input_shape: Any = None,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = f"nasnet_{which}",
    ) -> Model:
        app = Application(
            include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation, name,
        )  # fmt: skip
        return _build(app, which)

    return named(make, f"NASNet{which.title()}", f"Makes NASNet {which}.", _ARGUMENTS)


NASNetMobile, NASNetLarge = _variant("mobile"), _variant("large")
preprocess_input = preprocessing("tf")

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]
