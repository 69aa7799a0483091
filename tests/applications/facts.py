"""What the models of Keras are: their structure, files and outputs, as `facts.json` tells them.

`python tests/applications/facts.py` writes the file anew with the real Keras.
"""

import hashlib
import inspect
import json
import zlib
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("facts.json")
# The smallest model of each family, made small, of which outputs are compared.
SMALL = {
    "ConvNeXtTiny": (32, {}),
    "DenseNet121": (32, {}),
    "EfficientNetB0": (32, {}),
    "EfficientNetV2B0": (32, {}),
    "InceptionResNetV2": (75, {}),
    "InceptionV3": (75, {}),
    "MobileNet": (32, {"alpha": 0.25}),
    "MobileNetV2": (32, {"alpha": 0.35}),
    "MobileNetV3Large": (32, {"alpha": 0.75}),
    "MobileNetV3Small": (33, {"minimalistic": True}),
    "NASNetMobile": (32, {}),
    "ResNet50": (32, {}),
    "ResNet50V2": (32, {}),
    "VGG16": (32, {"include_top": False, "pooling": "avg"}),
    "Xception": (71, {}),
}


def plain(value):
    """Returns a config without the shapes that layers were built for."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if key != "build_config"}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def digest(value):
    text = json.dumps(plain(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_top(name):
    """Returns the arguments that models without a classifier are compared with."""
    size = 331 if name == "NASNetLarge" else 224
    return {"input_shape": (size, size, 3)}


def structure(model):
    """Returns what makes a model, in a few words."""
    weights = [[weight.path, list(weight.shape)] for weight in model.weights]
    config = model.get_config()
    return {
        "name": model.name,
        "layers": len(config["layers"]),
        "parameters": int(sum(np.prod(shape, dtype="int64") for _, shape in weights)),
        "weights": digest(weights),
        "config": digest(config),
    }


def small(library, name):
    """Returns a small model with weights that depend on nothing but their names and shapes."""
    size, options = SMALL[name]
    if options.get("include_top", True):
        options = options | {"classes": 5}
    model = getattr(library.applications, name)(
        weights=None, input_shape=(size, size, 3), **options
    )
    values = []
    for weight in model.weights:
        rng = np.random.default_rng(zlib.crc32(weight.path.encode()))
        noise, shape = rng.standard_normal(tuple(weight.shape)), tuple(weight.shape)
        if weight.path.endswith("kernel"):
            values.append(noise / np.sqrt(max(np.prod(shape[:-1]), 1)))
        elif weight.path.endswith(("gamma", "variance")):
            values.append(1 + 0.1 * np.abs(noise))
        elif weight.path.endswith("count"):
            values.append(np.zeros(shape))
        else:
            values.append(0.1 * noise)
    model.set_weights(values)
    return model


def images(name):
    size = SMALL[name][0]
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")


def outputs(library, name):
    """Returns the first outputs of a small model for two images."""
    return np.asarray(small(library, name)(images(name) / 64))[:, :5]


def main():
    import keras
    from keras.src.backend import StatelessScope
    from keras.src.utils import file_utils

    calls = []

    def get_file(name, url, cache_subdir, file_hash=None):
        calls.append([name, url, cache_subdir, file_hash])

    file_utils.get_file = get_file
    load_weights, keras.Model.load_weights = keras.Model.load_weights, lambda *_, **__: None
    facts = {}
    public = [
        n for n in dir(keras.applications) if inspect.isfunction(getattr(keras.applications, n))
    ]
    for name in public:
        make, found = getattr(keras.applications, name), {}
        for top in (True, False):
            keras.utils.clear_session()
            calls.clear()
            with StatelessScope(initialize_variables=False):
                model = make(include_top=top, **({} if top else without_top(name)))
                found["top" if top else "no_top"] = structure(model) | {"file": calls[0]}
        facts[name] = found
        print(name)
    keras.Model.load_weights = load_weights
    for name in SMALL:
        keras.utils.clear_session()
        facts[name]["outputs"] = outputs(keras, name).round(7).tolist()
        print(name, facts[name]["outputs"][0])
    PATH.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
