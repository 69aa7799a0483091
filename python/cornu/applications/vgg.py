"""VGG: Simonyan and Zisserman, 2014."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing

# Layers of each block, and the hashes of the files with and without the classifier.
_VARIANTS = {
    16: (
        (2, 2, 3, 3, 3),
        ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    ),
    19: (
        (2, 2, 4, 4, 4),
        ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
    ),
}


def _variant(depth: int) -> Any:
    blocks, hashes = _VARIANTS[depth]

    def build(app: Application) -> Any:
        x = image = app.input(224, 32)
        for block, count in enumerate(blocks, 1):
            for i in range(1, count + 1):
                filters = min(64 * 2 ** (block - 1), 512)
                x = layers.Conv2D(
                    filters, 3, activation="relu", padding="same", name=f"block{block}_conv{i}"
                )(x)
            x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
        if app.include_top:
            x = layers.Flatten(name="flatten")(x)
            for name in ("fc1", "fc2"):
                x = layers.Dense(4096, activation="relu", name=name)(x)
            x = layers.Dense(app.classes, activation=app.activation(), name="predictions")(x)
        else:
            x = app.pooled(x)
        prefix = f"vgg{depth}_weights_tf_dim_ordering_tf_kernels"
        files = Files(f"{HOME}vgg{depth}/", prefix, hashes)
        return app.model(image, x, lambda: files)

    return standard(f"VGG{depth}", f"vgg{depth}", f"Makes VGG{depth}.", build)


VGG16, VGG19 = _variant(16), _variant(19)
preprocess_input = preprocessing("caffe")

__all__ = ["VGG16", "VGG19", "decode_predictions", "preprocess_input"]
