"""Distillation against Keras."""

import numpy as np
import pytest

import cornu
from reference import keras as real

RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 4)).astype("float32")
Y = RNG.integers(0, 3, 16)


def _model(library, units, name):
    model = library.Sequential(
        [
            library.Input((4,)),
            library.layers.Dense(units, activation="tanh", name="hidden"),
            library.layers.Dense(3, name="logits"),
        ],
        name=name,
    )
    sizes = [int(np.prod(w.shape)) for w in model.weights]
    model.set_weights(
        [np.sin(np.arange(n)).reshape(w.shape) for n, w in zip(sizes, model.weights, strict=True)]
    )
    return model


LOSSES = {
    "logits": lambda d: d.LogitsDistillation(temperature=2.0),
    "logits mse": lambda d: d.LogitsDistillation(loss="mse"),
    "features": lambda d: d.FeatureDistillation(
        loss="mse", teacher_layer_name="hidden", student_layer_name="hidden"
    ),
    "outputs": lambda d: d.FeatureDistillation(loss="cosine_similarity"),
    "both": lambda d: [d.LogitsDistillation(), d.FeatureDistillation()],
}


def _distiller(library, name, **kwargs):
    teacher, student = _model(library, 5, "teacher"), _model(library, 5, "student")
    student.set_weights([w * 0.5 for w in student.get_weights()])
    distiller = library.distillation.Distiller(
        teacher, student, LOSSES[name](library.distillation), **kwargs
    )
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller.compile(optimizer=library.optimizers.SGD(0.1), loss=loss, metrics=["accuracy"])
    return distiller


@pytest.mark.parametrize("name", LOSSES)
def test_training_is_that_of_keras(name):
    results = []
    for library in (cornu, real):
        distiller = _distiller(library, name, student_loss_weight=0.3)
        history = distiller.fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0)
        results.append((history.history, distiller.student.get_weights()))
        assert not distiller.teacher.trainable
    (ours, weights), (theirs, expected) = results
    for key in ("student_loss", "distillation_loss", "total_loss"):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-4)
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_weights_and_predictions():
    distiller = _distiller(cornu, "both", distillation_loss_weights=[0.25, 0.75])
    np.testing.assert_allclose(
        distiller.predict(X, verbose=0), distiller.student.predict(X, verbose=0)
    )


def test_config_round_trip(tmp_path):
    distiller = _distiller(cornu, "both")
    again = cornu.distillation.Distiller.from_config(distiller.get_config())
    assert again.distillation_losses[0].temperature == 3.0
    assert again.student_loss_weight == 0.5
    for loss in distiller.distillation_losses:
        copy = type(loss).from_config(loss.get_config())
        assert type(copy.loss) is type(loss.loss)


@pytest.mark.parametrize("library", [cornu, real])
def test_errors(library):
    d = library.distillation
    teacher, student = _model(library, 5, "teacher"), _model(library, 4, "student")
    loss = d.LogitsDistillation()
    for wrong in (
        lambda: d.Distiller("teacher", student, loss),
        lambda: d.Distiller(teacher, student, None),
        lambda: d.Distiller(teacher, student, loss, student_loss_weight=2.0),
        lambda: d.Distiller(teacher, student, [loss], distillation_loss_weights=[1.0, 2.0]),
        lambda: d.Distiller(teacher, student, d.FeatureDistillation(teacher_layer_name="none")),
        lambda: d.LogitsDistillation(temperature=0.0),
        lambda: d.FeatureDistillation(loss=None),
        lambda: d.Distiller(teacher, student, loss).compile(loss=None),
    ):
        with pytest.raises(ValueError):
            wrong()
