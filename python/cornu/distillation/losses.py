"""How far a student is from its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cornu import losses, ops, saving, tree


class DistillationLoss:
    """A distance between the outputs of two models; a subclass writes `compute_loss`."""

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """Returns the loss, a scalar.

        Args:
            teacher_outputs: outputs of the teacher, in any structure.
            student_outputs: outputs of the student, in the same structure.
            kwargs: more arguments of a subclass.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `compute_loss`.")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raises a ValueError if the structures of the outputs differ."""
        tree.assert_same_structure(teacher_outputs, student_outputs)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raises a ValueError if the loss can't compare these models."""


class _WithLosses(DistillationLoss):
    """A distance made of a loss for each output; None leaves an output out."""

    def _keep_loss(self, loss: Any, message: str) -> None:
        found = tree.map_structure(lambda x: losses.get(x) if isinstance(x, str) else x, loss)
        if all(each is None for each in tree.flatten(found)):
            raise ValueError(message)
        self.loss = found

    def _sum(self, teacher_outputs: Any, student_outputs: Any) -> Any:
        pairs = zip(
            tree.flatten(self.loss),
            tree.flatten(teacher_outputs),
            tree.flatten(student_outputs),
            strict=True,
        )
        parts = [self._one(*each) for each in pairs if each[0] is not None]
        return ops.sum(ops.stack(parts))

    def _one(self, loss: Any, teacher: Any, student: Any) -> Any:
        return ops.mean(loss(teacher, student))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DistillationLoss:
        """Returns the loss that `get_config` described."""
        config = dict(config)
        config["loss"] = losses.deserialize(config["loss"])
        return cls(**config)


class FeatureDistillation(_WithLosses):
    """The distance between hidden features of two models.

    Args:
        loss: a loss or its name, or a structure of them like the features.
        teacher_layer_name: the teacher's layer; its outputs if None.
        student_layer_name: the student's layer; its outputs if None.

    Paper: Romero et al., FitNets: Hints for Thin Deep Nets (2014).
    """

    def __init__(
        self,
        loss: Any = "mse",
        teacher_layer_name: str | None = None,
        student_layer_name: str | None = None,
    ) -> None:
        self.teacher_layer_name = teacher_layer_name
        self.student_layer_name = student_layer_name
        self._keep_loss(
            loss,
            "The `loss` argument in `FeatureDistillation` must contain at least one non-`None` "
            "value.",
        )

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        names = (self.teacher_layer_name, self.student_layer_name)
        models = {"teacher": teacher, "student": student}
        if any(names):
            unknown = [kind for kind, m in models.items() if getattr(m, "inputs", None) is None]
            if unknown:
                raise ValueError(
                    "FeatureDistillation with specific layer names requires Functional or "
                    f"Sequential models. The {' and '.join(unknown)} model(s) appear to be "
                    "subclassed (no symbolic inputs/outputs)."
                )
        for (kind, model), name in zip(models.items(), names, strict=True):
            if name is not None:
                try:
                    model.get_layer(name=name)
                except ValueError as error:
                    raise ValueError(f"In {kind} model: {error}") from None

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        try:
            tree.assert_same_structure(self.loss, teacher_outputs)
        except ValueError as error:
            raise ValueError(
                f"Loss structure mismatch: the losses must be structured like the outputs. {error}"
            ) from None

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        return self._sum(teacher_outputs, student_outputs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        return {
            "loss": losses.serialize(self.loss),
            "teacher_layer_name": self.teacher_layer_name,
            "student_layer_name": self.student_layer_name,
        }


class LogitsDistillation(_WithLosses):
    """The distance between the logits of two models, softened by a temperature.

    Args:
        temperature: what logits are divided by.
        loss: a loss or its name, or a structure of them like the outputs. The Kullback-Leibler
            divergence compares probabilities and is scaled by the squared temperature.

    Paper: Hinton et al., Distilling the Knowledge in a Neural Network (2015).
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence") -> None:
        self._keep_loss(loss, "At least one loss must be non-`None`.")
        if not isinstance(temperature, int | float):
            raise ValueError(f"temperature must be a number, got {type(temperature)}")
        if temperature <= 0.0:
            raise ValueError("temperature must be positive.")
        self.temperature = temperature

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        return self._sum(teacher_outputs, student_outputs)

    def _one(self, loss: Any, teacher: Any, student: Any) -> Any:
        teacher, student = (ops.divide(x, self.temperature) for x in (teacher, student))
        if not isinstance(loss, losses.KLDivergence):
            return super()._one(loss, teacher, student)
        parts = super()._one(loss, ops.softmax(teacher, -1), ops.softmax(student, -1))
        return parts * self.temperature**2

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        return {"temperature": self.temperature, "loss": saving.serialize_keras_object(self.loss)}
