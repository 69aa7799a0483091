"""DenseNet: Huang et al., 2016."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing

# Layers of each block, and the hashes of the files with and without the classifier.
_VARIANTS = {
    121: (
        (6, 12, 24, 16),
        ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    ),
    169: (
        (6, 12, 32, 32),
        ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    ),
    201: (
        (6, 12, 48, 32),
        ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    ),
}


def _normalized(app: Application, x: Any, bn: str, relu: str) -> Any:
    x = layers.BatchNormalization(axis=app.axis, epsilon=1.001e-5, name=bn)(x)
    return layers.Activation("relu", name=relu)(x)


def _layer(app: Application, x: Any, name: str) -> Any:
    """Adds 32 channels to those there are."""
    y = _normalized(app, x, f"{name}_0_bn", f"{name}_0_relu")
    y = layers.Conv2D(128, 1, use_bias=False, name=f"{name}_1_conv")(y)
    y = _normalized(app, y, f"{name}_1_bn", f"{name}_1_relu")
    y = layers.Conv2D(32, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    return layers.Concatenate(axis=app.axis, name=f"{name}_concat")([x, y])


def _variant(depth: int) -> Any:
    counts, hashes = _VARIANTS[depth]

    def build(app: Application) -> Any:
        image = app.input(224, 32)
        x = layers.ZeroPadding2D(3)(image)
        x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
        x = _normalized(app, x, "conv1_bn", "conv1_relu")
        x = layers.ZeroPadding2D(1)(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
        for stage, count in enumerate(counts, 2):
            for i in range(1, count + 1):
                x = _layer(app, x, f"conv{stage}_block{i}")
            if stage < 5:
                name = f"pool{stage}"
                x = _normalized(app, x, f"{name}_bn", f"{name}_relu")
                half = x.shape[app.axis] // 2
                x = layers.Conv2D(half, 1, use_bias=False, name=f"{name}_conv")(x)
                x = layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)
        x = _normalized(app, x, "bn", "relu")
        x = app.head(x, no_top=("avg_pool", "max_pool"))
        prefix = f"densenet{depth}_weights_tf_dim_ordering_tf_kernels"
        files = Files(f"{HOME}densenet/", prefix, hashes)
        return app.model(image, x, lambda: files)

    return standard(f"DenseNet{depth}", f"densenet{depth}", f"Makes DenseNet{depth}.", build)


DenseNet121, DenseNet169, DenseNet201 = map(_variant, _VARIANTS)
preprocess_input = preprocessing("torch")

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
