"""Packages that build on Keras run on Cornu, each program in a process of its own."""

import pytest

from processes import run_python

SETUP = """
import os
import tempfile
import cornu
cornu.install_as_keras({how})
import keras
import numpy as np

assert keras is cornu
FOLDER = os.path.join(tempfile.mkdtemp(), "results")
keras.utils.set_random_seed(0)
X = np.random.default_rng(0).standard_normal((60, 4)).astype("float32")
SUMS = X.sum(1)
Y = (SUMS > 0).astype("int32")
"""

PROGRAMS = {
    "scikeras_classifier": """
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

def build(hidden, meta, compile_kwargs):
    model = keras.Sequential()
    model.add(keras.layers.Input((meta["n_features_in_"],)))
    model.add(keras.layers.Dense(hidden, activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile("adam" if not compile_kwargs else compile_kwargs["optimizer"], "bce")
    return model

classifier = KerasClassifier(
    build,
    hidden=8,
    optimizer="adam",
    optimizer__learning_rate=0.05,
    callbacks=keras.callbacks.EarlyStopping,
    callbacks__monitor="loss",
    epochs=20,
    random_state=0,
    verbose=0,
)
search = GridSearchCV(clone(classifier), {"hidden": [2, 8]}, cv=2).fit(X, Y)
assert search.score(X, Y) > 0.8
best = search.best_estimator_
assert best.predict_proba(X).shape == (60, 2)
assert abs(float(best.model_.optimizer.learning_rate) - 0.05) < 1e-6
before = best.current_epoch
best.partial_fit(X, Y)
assert best.current_epoch == before + 1
""",
    "scikeras_regressor": """
import copy
import pickle
from scikeras.wrappers import KerasRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def build():
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])

regressor = KerasRegressor(build, loss="mse", optimizer="sgd", epochs=40, verbose=0)
line = make_pipeline(StandardScaler(), regressor).fit(X, SUMS)
assert line.score(X, SUMS) > 0.9
fitted = line[-1]
for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.model_.optimizer.iterations == fitted.model_.optimizer.iterations
again.partial_fit(X, SUMS)
""",
    "keras_tuner": """
import keras_tuner

def build(hp):
    model = keras.Sequential()
    model.add(keras.layers.Input((4,)))
    model.add(keras.layers.Dense(hp.Int("units", 2, 8, step=2), activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    optimizer = keras.optimizers.Adam(hp.Choice("rate", [0.1, 0.001]))
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model

COMMON = {"objective": "val_accuracy", "seed": 0, "directory": FOLDER}
TUNERS = {
    keras_tuner.RandomSearch: {"max_trials": 3},
    keras_tuner.GridSearch: {"max_trials": 2},
    keras_tuner.BayesianOptimization: {"max_trials": 4, "num_initial_points": 2},
    keras_tuner.Hyperband: {"max_epochs": 4, "factor": 2},
}
for kind, options in TUNERS.items():
    tuner = kind(build, project_name=kind.__name__, **options, **COMMON)
    stop = keras.callbacks.EarlyStopping(patience=3)
    tuner.search(X, Y, epochs=10, validation_data=(X, Y), callbacks=[stop], verbose=0)
    best = tuner.get_best_models()[0]
    again = kind(build, project_name=kind.__name__, **options, **COMMON)  # finds its trials
    np.testing.assert_array_equal(
        again.get_best_models()[0].predict(X, verbose=0), best.predict(X, verbose=0)
    )
    model = tuner.hypermodel.build(tuner.get_best_hyperparameters()[0])
    model.fit(X, Y, epochs=30, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] > 0.8
""",
    "keras_tuner_applications": """
import keras_tuner
from keras_tuner import applications

images = np.zeros((2, 32, 32, 3), "float32")
for kind in (applications.HyperXception, applications.HyperResNet):
    hp = keras_tuner.HyperParameters()
    model = kind(input_shape=(32, 32, 3), classes=3).build(hp)
    assert model(images).shape == (2, 3) and model.loss == "categorical_crossentropy"
augment = applications.HyperImageAugment(input_shape=(32, 32, 3)).build(hp)
assert augment(images).shape == images.shape
""",
    "mlflow": """
import mlflow

mlflow.set_tracking_uri(f"file:{FOLDER}")
mlflow.keras.autolog()

def compiled():
    model = keras.Sequential()
    model.add(keras.layers.Input((4,)))
    model.add(keras.layers.Dense(8, activation="relu"))
    model.add(keras.layers.Dense(2))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    return model

model = compiled()
with mlflow.start_run() as run:
    history = model.fit(X, Y, epochs=20, batch_size=20, validation_data=(X, Y), verbose=0)
run = mlflow.get_run(run.info.run_id)
assert run.data.params["optimizer_name"] == "adam" and run.data.params["epochs"] == "20"
for name, values in history.history.items():
    logged = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
    logged = {each.step: each.value for each in logged}  # the model's own copies are among them
    assert logged == dict(enumerate(values))
place = f"models:/{run.outputs.model_outputs[0].model_id}"
wanted = model.predict(X, verbose=0)
np.testing.assert_array_equal(mlflow.keras.load_model(place).predict(X, verbose=0), wanted)
served = mlflow.pyfunc.load_model(place)
assert served.metadata.get_input_schema().inputs[0].shape == (-1, 4)
np.testing.assert_array_equal(served.predict(X), wanted)

mlflow.keras.autolog(disable=True)
with mlflow.start_run() as run:
    steps = mlflow.keras.MlflowCallback(log_every_epoch=False, log_every_n_steps=2)
    compiled().fit(X, Y, epochs=2, batch_size=20, callbacks=[steps], verbose=0)
logged = mlflow.MlflowClient().get_metric_history(run.info.run_id, "accuracy")
logged = sorted(each.step for each in logged)
assert logged == [2, 4, 6], logged
""",
}
# With the stand-in for TensorFlow too where a package looks for it.
HOW = {"scikeras_classifier": "tensorflow=True"}
# What keeps mlflow on this machine.
VARIABLES = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_package(name):
    run_python(SETUP.format(how=HOW.get(name, "")) + PROGRAMS[name], **VARIABLES)
