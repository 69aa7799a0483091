"""ResNet: He et al., 2015 (version 1) and 2016 (version 2, normalized before convolutions)."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing

# Blocks of each stage, and the hashes of the files with and without the classifier.
_VARIANTS = {
    "ResNet50": (
        (3, 4, 6, 3),
        ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    ),
    "ResNet101": (
        (3, 4, 23, 3),
        ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    ),
    "ResNet152": (
        (3, 8, 36, 3),
        ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    ),
    "ResNet50V2": (
        (3, 4, 6, 3),
        ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    ),
    "ResNet101V2": (
        (3, 4, 23, 3),
        ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    ),
    "ResNet152V2": (
        (3, 8, 36, 3),
        ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    ),
}


def _normalized(app: Application, x: Any, name: str, relu: str | None = None) -> Any:
    x = layers.BatchNormalization(axis=app.axis, epsilon=1.001e-5, name=name)(x)
    return layers.Activation("relu", name=relu)(x) if relu else x


def _block(app: Application, x: Any, filters: int, name: str, stride: int, project: bool) -> Any:
    """A block of version 1."""
    shortcut = x
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = _normalized(app, shortcut, f"{name}_0_bn")
    x = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = _normalized(app, x, f"{name}_1_bn", f"{name}_1_relu")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = _normalized(app, x, f"{name}_2_bn", f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = _normalized(app, x, f"{name}_3_bn")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _block_v2(app: Application, x: Any, filters: int, name: str, stride: int, project: bool) -> Any:
    """A block of version 2."""
    before = _normalized(app, x, f"{name}_preact_bn", f"{name}_preact_relu")
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(before)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(before)
    x = _normalized(app, x, f"{name}_1_bn", f"{name}_1_relu")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = _normalized(app, x, f"{name}_2_bn", f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([shortcut, x])


def _features(app: Application, x: Any, counts: tuple[int, ...], second: bool) -> Any:
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    if not second:
        x = _normalized(app, x, "conv1_bn", "conv1_relu")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, count in enumerate(counts):
        for i in range(1, count + 1):
            # Version 1 halves the image where a stage begins, version 2 where it ends.
            halves = (i == count and stage < 3) if second else (i == 1 and stage > 0)
            x = (_block_v2 if second else _block)(
                app, x, 64 * 2**stage, f"conv{stage + 2}_block{i}", 2 if halves else 1, i == 1
            )
    return _normalized(app, x, "post_bn", "post_relu") if second else x


def _variant(public: str) -> Any:
    counts, hashes = _VARIANTS[public]
    second, name = public.endswith("V2"), public.lower()

    def build(app: Application) -> Any:
        image = app.input(224, 32)
        x = _features(app, image, counts, second)
        x = app.head(x, no_top=("avg_pool", "max_pool"))
        prefix = f"{name}_weights_tf_dim_ordering_tf_kernels"
        files = Files(f"{HOME}resnet/", prefix, hashes)
        return app.model(image, x, lambda: files)

    return standard(public, name, f"Makes {public}.", build)


ResNet50, ResNet101, ResNet152 = map(_variant, ("ResNet50", "ResNet101", "ResNet152"))
ResNet50V2, ResNet101V2, ResNet152V2 = map(_variant, ("ResNet50V2", "ResNet101V2", "ResNet152V2"))
preprocess_input = preprocessing("caffe")

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]
