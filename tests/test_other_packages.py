"""Packages that build on Keras run on Cornu, each in a process of its own."""

import os
import subprocess
import sys

import pytest

PROGRAMS = {
    "scikeras": """
import cornu
cornu.install_as_keras(tensorflow=True)
import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import GridSearchCV

def build(hidden, meta):
    model = keras.Sequential(
        [
            keras.layers.Input((meta["n_features_in_"],)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy")
    return model

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).standard_normal((60, 4)).astype("float32")
y = (x.sum(1) > 0).astype(int)
classifier = KerasClassifier(model=build, hidden=8, epochs=20, verbose=0)
search = GridSearchCV(classifier, {"hidden": [2, 8]}, cv=2).fit(x, y)
assert search.score(x, y) > 0.8
""",
    "keras_tuner": """
import tempfile
import cornu
cornu.install_as_keras()
import keras
import keras_tuner
import numpy as np

def build(hp):
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(hp.Int("units", 2, 8, step=2), activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.Adam(hp.Choice("rate", [0.1, 0.001]))
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).standard_normal((60, 4)).astype("float32")
y = (x.sum(1) > 0).astype(int)
tuner = keras_tuner.RandomSearch(
    build, objective="val_accuracy", max_trials=3, seed=0, directory=tempfile.mkdtemp()
)
tuner.search(x, y, epochs=10, validation_data=(x, y), verbose=0)
assert tuner.get_best_models()[0].evaluate(x, y, verbose=0)[1] > 0.8
""",
}


@pytest.mark.parametrize("package", PROGRAMS)
def test_package(package):
    # Finding the package loads nothing of it.
    if not any(os.path.isdir(os.path.join(path, package)) for path in sys.path):
        pytest.skip(f"{package} is not installed")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAMS[package]], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
