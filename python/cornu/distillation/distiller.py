"""The model that trains a student beside its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cornu import losses, metrics, ops, saving, tree
from cornu.distillation.losses import DistillationLoss
from cornu.models import Model

_OUTPUTS = "final_output"


class Distiller(Model):
    """Trains a student on targets and on what a frozen teacher says.

    The loss is `student_loss_weight` times that of the targets, plus the rest times the weighted
    sum of the distillation losses.

    Args:
        teacher: a trained model.
        student: the model that is trained; predictions are its own.
        distillation_losses: a `DistillationLoss`, or a list of them.
        distillation_loss_weights: the weight of each; ones if None.
        student_loss_weight: weight of the loss of the targets, in [0, 1].
        name: name of the model.
        kwargs: arguments of `Model`.

    >>> distiller = Distiller(teacher, student, LogitsDistillation(temperature=3.0))
    >>> distiller.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    """

    def __init__(
        self,
        teacher: Model,
        student: Model,
        distillation_losses: DistillationLoss | Sequence[DistillationLoss],
        distillation_loss_weights: Sequence[float] | None = None,
        student_loss_weight: float = 0.5,
        name: str = "distiller",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check_models(teacher, student)
        if not isinstance(student_loss_weight, int | float):
            raise ValueError(
                f"student_loss_weight must be a number, got {type(student_loss_weight)}"
            )
        if not 0.0 <= student_loss_weight <= 1.0:
            raise ValueError(
                f"student_loss_weight must be between 0.0 and 1.0, got {student_loss_weight}"
            )
        if distillation_losses is None:
            raise ValueError(
                "'distillation_losses' cannot be `None`. Provide a distillation loss (e.g., "
                "LogitsDistillation or FeatureDistillation) or a list of distillation losses."
            )
        if not isinstance(distillation_losses, list | tuple):
            distillation_losses, distillation_loss_weights = [distillation_losses], None
        weights = distillation_loss_weights
        if weights is None:
            weights = [1.0] * len(distillation_losses)
        if len(weights) != len(distillation_losses):
            raise ValueError(
                f"Number of distillation_loss_weights ({len(weights)}) must match number of "
                f"distillation_losses ({len(distillation_losses)})"
            )
        for loss in distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        self.teacher, self.student = teacher, student
        self.distillation_losses = list(distillation_losses)
        self.distillation_loss_weights = list(weights)
        self.student_loss_weight = student_loss_weight
        self._student_loss: Any = None
        self._features = {
            kind: _extractor(
                model, [getattr(loss, f"{kind}_layer_name", None) for loss in distillation_losses]
            )
            for kind, model in (("teacher", teacher), ("student", student))
        }
        teacher.trainable = False
        self.student_loss_tracker = metrics.Mean(name="student_loss")
        self.distillation_loss_tracker = metrics.Mean(name="distillation_loss")
        self.total_loss_tracker = metrics.Mean(name="total_loss")

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Sets what the student is trained with.

        Args:
            optimizer: an optimizer, or its name.
            loss: the loss of the targets, in a structure like the outputs.
            metrics: a list of metrics.
            kwargs: more arguments of `Model.compile`.

        Raises:
            ValueError: if there is no loss, or `metrics` is no list.
        """
        if loss is None:
            raise ValueError("'loss' cannot be `None`.")
        if metrics is not None and not isinstance(metrics, list | tuple):
            raise ValueError(f"metrics must be a list or tuple, got {type(metrics)}")
        self._student_loss = tree.map_structure(losses.get, loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, **kwargs: Any) -> Any:
        return self.student(inputs, training=training, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if y_pred is None:
            y_pred = self(x, training=training)
        student_loss = ops.zeros(())
        if self.student_loss_weight > 0.0 and y is not None:
            parts = zip(
                tree.flatten(self._student_loss), tree.flatten(y), tree.flatten(y_pred), strict=True
            )
            values = [ops.mean(loss(target, output)) for loss, target, output in parts]
            student_loss = ops.sum(ops.stack(values))
        distillation_loss = ops.zeros(())
        if self.student_loss_weight < 1.0:
            distillation_loss = self._distance(x, y_pred)
        total = (
            self.student_loss_weight * student_loss
            + (1.0 - self.student_loss_weight) * distillation_loss
        )
        self.student_loss_tracker.update_state(student_loss)
        self.distillation_loss_tracker.update_state(distillation_loss)
        self.total_loss_tracker.update_state(total)
        return total

    def _distance(self, x: Any, y_pred: Any) -> Any:
        """The weighted sum of the distillation losses."""
        extract = self._features
        taught = (
            extract["teacher"](x, training=False)
            if extract["teacher"]
            else {_OUTPUTS: self.teacher(x, training=False)}
        )
        learnt = extract["student"](x, training=True) if extract["student"] else {_OUTPUTS: y_pred}
        total = ops.zeros(())
        weighted = zip(self.distillation_losses, self.distillation_loss_weights, strict=True)
        for loss, weight in weighted:
            place = getattr(loss, "teacher_layer_name", None)
            if place is None:
                pair = (taught[_OUTPUTS], y_pred)
            else:
                pair = (taught[place], learnt[loss.student_layer_name or _OUTPUTS])
            loss.validate_outputs(*pair)
            value = loss.compute_loss(*pair)
            if len(value.shape):
                raise ValueError(
                    f"Distillation loss {type(loss).__name__} returned a non-scalar loss with "
                    f"shape {tuple(value.shape)}. The compute_loss method must return a scalar "
                    "tensor."
                )
            total = total + weight * value
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "teacher": saving.serialize_keras_object(self.teacher),
            "student": saving.serialize_keras_object(self.student),
            "distillation_losses": [
                saving.serialize_keras_object(loss) for loss in self.distillation_losses
            ],
            "distillation_loss_weights": self.distillation_loss_weights,
            "student_loss_weight": self.student_loss_weight,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Distiller:
        """Returns the model that `get_config` described."""
        revive = saving.deserialize_keras_object
        config = dict(config)
        for name in ("teacher", "student", "distillation_losses"):
            config[name] = revive(config[name])
        return cls(**config)


def _check_models(teacher: Any, student: Any) -> None:
    for kind, model in (("Teacher", teacher), ("Student", student)):
        if not isinstance(model, Model):
            raise ValueError(f"{kind} must be a keras.Model, got {type(model)}")
    for end in ("inputs", "outputs"):
        ends = [getattr(model, end, None) for model in (teacher, student)]
        if None in ends:
            continue
        tree.assert_same_structure(*ends)
        for a, b in zip(*map(tree.flatten, ends), strict=True):
            sizes = zip(a.shape, b.shape, strict=False)
            fit = all(None in pair or pair[0] == pair[1] for pair in sizes)
            if len(a.shape) != len(b.shape) or not fit:
                raise ValueError(
                    f"Teacher and student {end[:-1]} shapes are incompatible. Teacher: {a.shape}, "
                    f"Student: {b.shape}. All dimensions must match."
                )
            if a.dtype != b.dtype:
                raise ValueError(
                    f"Teacher and student {end[:-1]} dtypes must match. Teacher: {a.dtype}, "
                    f"Student: {b.dtype}."
                )


def _extractor(model: Model, names: Sequence[str | None]) -> Model | None:
    """A model that gives the outputs of these layers beside the model's own; None for none."""
    wanted = {name: model.get_layer(name=name).output for name in names if name}
    if not wanted:
        return None
    return Model(
        model.inputs,
        {_OUTPUTS: model.output, **wanted},
        name=f"{model.name}_multi_feature_extractor",
    )
