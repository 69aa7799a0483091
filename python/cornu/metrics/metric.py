"""The base of every metric: a state of variables, updated batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cornu import config, dtype_policies
from cornu.naming import auto_name, name_scope
from cornu.tensor import convert_to_tensor
from cornu.variable import StatelessScope, Variable


class Metric:
    """A value gathered over batches; subclass it, add variables, write `update_state` and `result`.

    Args:
        dtype: The dtype, or a dtype policy whose compute dtype, the metric is computed in;
            `None` means `keras.config.floatx()`.
        name: Name of the metric.

    >>> class Largest(Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.value = self.add_variable((), "zeros", name="value")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value.assign(ops.maximum(self.value, ops.max(y_pred)))
    ...     def result(self):
    ...         return self.value
    """

    _tracked_as = "metric"
    # Where the metric improves, `"up"` or `"down"`; `None` where that is unknown.
    _direction: ClassVar[str | None] = None

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(type(self).__name__)
        self._dtype_policy = dtype_policies.get(dtype or config.floatx())
        self._dtype = self._dtype_policy.compute_dtype
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []

    def reset_state(self) -> None:
        """Sets every variable to zero."""
        for variable in self.variables:
            variable.assign(_zeros(variable.shape, variable.dtype))

    def reset_states(self) -> None:
        """Sets the state back: Keras 2's name of `reset_state`."""
        self.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch into the state; a subclass writes it."""
        raise NotImplementedError

    def result(self) -> Any:
        """The metric's value, a scalar or a dict of scalars; a subclass writes it."""
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Updates the state and returns the result."""
        self._check_super_called()
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """The values that the variables have after `update_state`, given their values before."""
        with self._given(metric_variables) as scope:
            self.update_state(*args, **kwargs)
        return [_value_in(scope, variable) for variable in self.variables]

    def stateless_result(self, metric_variables: Any) -> Any:
        """The result for these values of the variables."""
        with self._given(metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """The values that the variables have after `reset_state`."""
        with StatelessScope() as scope:
            self.reset_state()
        return [_value_in(scope, variable) for variable in self.variables]

    def _given(self, metric_variables: Any) -> StatelessScope:
        if len(metric_variables) != len(self.variables):
            raise ValueError(
                "Argument `metric_variables` must be a list of tensors corresponding 1:1 to "
                f"{type(self).__name__}().variables. Received list with length "
                f"{len(metric_variables)}, but expected {len(self.variables)} variables."
            )
        return StatelessScope(
            state_mapping=list(zip(self.variables, metric_variables, strict=True))
        )

    @property
    def dtype(self) -> str:
        """The dtype the metric is computed in."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The metric's own variables, then those of the metrics it holds."""
        self._check_super_called()
        nested = [variable for metric in self._metrics for variable in metric.variables]
        return [*self._variables, *nested]

    def add_variable(
        self,
        shape: tuple[int, ...],
        initializer: Any,
        dtype: str | None = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Adds a variable to the state.

        Args:
            shape: Its shape.
            initializer: What it holds at first; `reset_state` sets zero.
            dtype: Its dtype, the metric's own by default.
            aggregation: How replicas are joined.
            name: Its name.
        """
        self._check_super_called()
        from cornu import initializers

        with name_scope(self.name.replace("/", ">"), caller=self):
            variable = Variable(
                initializer=initializers.get(initializer),
                shape=tuple(shape),
                dtype=dtype or self.dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        if not any(variable is known for known in self._variables):
            self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """Adds a variable to the state, zero by default; see `add_variable`."""
        return self.add_variable(shape, initializer or "zeros", dtype=dtype, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Keeps the variables and metrics that become attributes, alone or in a collection."""
        if name not in ("_variables", "_metrics") and "_metrics" in self.__dict__:
            items = value.values() if isinstance(value, Mapping) else value
            for item in items if isinstance(items, (list, tuple, type({}.values()))) else [items]:
                if isinstance(item, Metric):
                    known: list[Any] = self._metrics
                elif isinstance(item, Variable):
                    known = self._variables
                else:
                    continue
                if not any(item is other for other in known):
                    known.append(item)
        super().__setattr__(name, value)

    def _check_super_called(self) -> None:
        if "_metrics" not in self.__dict__:
            raise RuntimeError(
                "You forgot to call `super().__init__()` in the `__init__()` method. Go add it!"
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """The metric that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


@functools.lru_cache(maxsize=64)
def _zeros(shape: tuple[int, ...], dtype: str) -> Any:
    """A tensor of zeros, from the host: no step of a running trace, so it can be kept."""
    return convert_to_tensor(np.zeros(shape, "bool"), dtype)


def _value_in(scope: StatelessScope, variable: Variable) -> Any:
    value = scope.get_current_value(variable)
    return variable.value if value is None else value
