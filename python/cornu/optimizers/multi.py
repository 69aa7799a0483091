"""Several optimizers, each for a part of the variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from cornu import saving
from cornu.optimizers.loss_scale import LossScaleOptimizer
from cornu.optimizers.optimizer import Optimizer
from cornu.variable import Variable


class OptimizerMap(MutableMapping):
    """Optimizers by the paths of variables.

    Args:
        default_optimizer: The optimizer of paths that have none.
        optimizer_map: Optimizers by path, or by a regular expression of the whole path.

    Raises:
        TypeError: An argument is no optimizer or no dict.

    >>> optimizers = OptimizerMap(SGD(), {"encoder/.*": Adam()})
    >>> optimizers["encoder/dense/kernel"].name
    'adam'
    """

    def __init__(
        self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None
    ) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                "default_optimizer must be a Keras Optimizer instance. "
                f"Received: {default_optimizer}"
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"optimizer_map must be a dictionary. Received: {optimizer_map}")
        self._default_optimizer = default_optimizer
        self._optimizer_map = optimizer_map or {}

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of paths that have none."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        found = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(f"Multiple optimizers assigned to variable {key}: {found}.")
        return self._optimizer_map[found[0]] if found else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if key in self._optimizer_map:
            raise ValueError(
                f"'{key}' already exists in the OptimizerMap with value "
                f"{self._optimizer_map[key]}. Please make sure to not use duplicated keys."
            )
        if not isinstance(key, str):
            raise ValueError(f"key must be a string. Received: {key}")
        _check_inner(optimizer)
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Variable) -> Optimizer:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {
            "default_optimizer": saving.serialize_keras_object(self._default_optimizer),
            "optimizer_map": saving.serialize_keras_object(self._optimizer_map),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> OptimizerMap:
        """The map that `get_config` described."""
        names = ("default_optimizer", "optimizer_map")
        return cls(
            *(
                saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
                for name in names
            )
        )


def _check_inner(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be a Keras Optimizer instance. Received: {optimizer}")
    if isinstance(optimizer, LossScaleOptimizer | MultiOptimizer):
        raise ValueError(f"optimizer cannot be {type(optimizer).__name__}.")


class MultiOptimizer(Optimizer, shows_base=False):
    """Hands each variable to an optimizer of its own.

    Args:
        optimizer_map: An `OptimizerMap`, or a function from a variable to its optimizer.
        loss_scale_factor: What the loss is multiplied with; that of all inner optimizers.
        name: Name of the optimizer.

    >>> MultiOptimizer(OptimizerMap(SGD(), {"encoder/.*": Adam()}))
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        self._inner_optimizers: list[Optimizer] = []
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._place: dict[int, Optimizer] = {}
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._adopt(optimizer)

    def _adopt(self, optimizer: Optimizer) -> None:
        if not any(optimizer is known for known in self._inner_optimizers):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self._inner_optimizers.append(optimizer)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "loss_scale_factor":
            for optimizer in self._inner_optimizers:
                optimizer.loss_scale_factor = value

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        for variable in var_list:
            optimizer = self._optimizer_map(variable)
            _check_inner(optimizer)
            self._adopt(optimizer)
            self._place[id(variable)] = optimizer
        for optimizer, variables in self._parted(var_list):
            optimizer.build(variables)
        super().build(var_list)

    def _parted(self, variables: Sequence[Variable]) -> list[tuple[Optimizer, list[Variable]]]:
        """The inner optimizers that have variables among these, each with its own."""
        parts = [
            (optimizer, [v for v in variables if self._place[id(v)] is optimizer])
            for optimizer in self._inner_optimizers
        ]
        return [part for part in parts if part[1]]

    @property
    def optimizers(self) -> list[Optimizer]:
        """The inner optimizers."""
        return self._inner_optimizers

    @property
    def variables(self) -> list[Variable]:
        return [*self._variables, *(v for o in self._inner_optimizers for v in o.variables)]

    @property
    def learning_rate(self) -> Any:
        """Not there: each inner optimizer has its own."""
        raise AttributeError(
            "Learning rate cannot be accessed on a MultiOptimizer. Access the learning rate on "
            "the individual sub-optimizers instead."
        )

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(
            "Learning rate cannot be set on a MultiOptimizer. Set the learning rate on the "
            "individual sub-optimizers instead."
        )

    @property
    def iterations(self) -> Any:
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        if not len(grads):
            return
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "When passing `grads` without `variables`, the optimizer must already be "
                    "built on a list of variables. Call `optimizer.build(trainable_variables)` "
                    "first."
                )
            trainable_variables = self._trainable_variables
        trainable_variables = list(trainable_variables)
        if not self.built:
            self.build(trainable_variables)
        if len(grads) != len(self._trainable_variables):
            raise ValueError(
                "Gradients must match trainable variables one-to-one. "
                f"Received {len(grads)} gradients and {len(self._trainable_variables)} variables."
            )
        self._check_variables_are_known(trainable_variables)
        gradient_of = {id(v): g for v, g in zip(trainable_variables, grads, strict=True)}
        for optimizer, variables in self._parted(trainable_variables):
            optimizer.apply([gradient_of[id(v)] for v in variables], variables)
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        for optimizer, variables in self._parted(var_list):
            optimizer.finalize_variable_values(variables)

    def get_config(self) -> dict[str, Any]:
        return {
            "optimizer_map": saving.serialize_keras_object(self._optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> MultiOptimizer:
        """The optimizer that `get_config` described."""
        config = dict(config)
        config["optimizer_map"] = saving.deserialize_keras_object(
            config["optimizer_map"], custom_objects=custom_objects
        )
        return cls(**config)
