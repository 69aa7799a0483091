"""What layers do with their weights: make, collect, count, set and store them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from cornu.naming import name_scope
from cornu.tensor import is_float_dtype, standardize_dtype, standardize_shape
from cornu.variable import Variable

if TYPE_CHECKING:
    from cornu.tracking import Tracker


class Weighted:
    """The part of `Layer` that holds weights."""

    name: str
    built: bool
    _trainable: bool
    _tracker: "Tracker"
    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]

    def add_weight(
        self,
        *args: Any,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """Returns a new variable of the layer.

        Args:
            args: `shape`, `initializer`; or, as in tf.keras, `name`, `shape`, `dtype`,
                `initializer`.
            shape: its shape, without unknown sizes; `()` if None.
            initializer: how it starts: glorot uniform for floats and zeros for others if None.
            dtype: its dtype, that of the policy if None.
            trainable: whether it takes part in training.
            autocast: whether it reads in the compute dtype inside `call`.
            regularizer: penalty on it, a loss of the layer.
            constraint: projection after each update.
            aggregation: kept for distribution.
            overwrite_with_gradient: whether an optimizer sets it to its gradient.
            name: its name.
        """
        from cornu import constraints, initializers, regularizers

        self._check_super_called()
        names = ("shape", "initializer", "dtype", "trainable")
        if args and (isinstance(args[0], str) or (args[0] is None and len(args) > 1)):
            names = ("name", "shape", "dtype", "initializer", "regularizer", "trainable")
        given = dict(zip(names, args, strict=False))
        name, shape = given.get("name", name), given.get("shape", shape)
        dtype, initializer = given.get("dtype", dtype), given.get("initializer", initializer)
        trainable = given.get("trainable", trainable)
        regularizer = given.get("regularizer", regularizer)

        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if is_float_dtype(dtype) else "zeros"
        with name_scope(self.name, caller=self, override_parent=self._parent_path):
            variable = Variable(
                initializers.get(initializer),
                shape=() if shape is None else standardize_shape(_sizes(shape)),
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._track_variable(variable)
        if not self._trainable:
            variable.trainable = False
        return variable

    add_variable = add_weight

    def _track_variable(self, variable: Variable) -> None:
        self._tracker.add("variable", variable)

    def _untrack_variable(self, variable: Variable) -> None:
        self._tracker.unlock()
        self._tracker.untrack(variable)
        if self.built:
            self._lock_state()

    @property
    def trainable(self) -> bool:
        """Whether the variables take part in training; setting it sets the layers inside too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        self._trainable = value
        for variable in self._trainable_variables:
            variable.trainable = value
        for layer in self._layers:
            layer.trainable = value

    @property
    def variables(self) -> list[Variable]:
        """All variables: weights and the states of random generators."""
        seeds = [generator.state for generator in self._seed_generators]
        return self._collect("variables", seeds)

    @property
    def weights(self) -> list[Variable]:
        """The weights: trainable ones, then others, then those of the layers inside."""
        return self._collect("weights", [])

    def _collect(self, attribute: str, own: list[Variable]) -> list[Variable]:
        found: dict[int, Variable] = {}
        for variable in (*self._trainable_variables, *self._non_trainable_variables, *own):
            found.setdefault(id(variable), variable)
        for layer in self._layers:
            for variable in getattr(layer, attribute):
                found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that take part in training."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that don't take part in training."""
        if not self.trainable:
            return self.variables
        return [v for v in self.variables if not v.trainable]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that take part in training."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that don't take part in training."""
        if not self.trainable:
            return self.weights
        return [v for v in self.weights if not v.trainable]

    def get_weights(self) -> list[np.ndarray]:
        """Returns copies of the weights, in the order of `weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Sets the weights, in the order of `weights`.

        Raises:
            ValueError: if their number or a shape doesn't fit.
        """
        variables = self.weights
        if len(variables) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list "
                f"of length {len(weights)}, but the layer was expecting {len(variables)} weights."
            )
        for variable, value in zip(variables, weights, strict=True):
            shape = tuple(np.shape(value))
            if variable.shape != shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {shape}."
                )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Returns the number of scalars in the weights.

        Raises:
            ValueError: if the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                "built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(int(np.prod(variable.shape, dtype=np.int64)) for variable in self.weights)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Writes the layer's own variables into a dict-like store."""
        own = self._trainable_variables + self._non_trainable_variables
        for index, variable in enumerate(own):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Reads the layer's own variables from a dict-like store.

        Raises:
            ValueError: if the store has another number of variables.
        """
        own = self._trainable_variables + self._non_trainable_variables
        if len(store) != len(own):
            if len(own) == 0 and not self.built:
                raise ValueError(
                    f"Layer '{self.name}' was never built and thus it doesn't have any "
                    f"variables. However the weights file lists {len(store)} variables for "
                    "this layer.\nIn most cases, this error indicates that either:\n\n1. The "
                    "layer is owned by a parent layer that implements a `build()` method, but "
                    "calling the parent's `build()` method did NOT create the state of the "
                    f"child layer '{self.name}'. A `build()` method must create ALL state for "
                    "the layer, including the state of any children layers.\n\n2. You need to "
                    "implement the `def build_from_config(self, config)` method on layer "
                    f"'{self.name}', to specify how to rebuild it during loading. In this case, "
                    "you might also want to implement the method that generates the build "
                    "config at saving time, `def get_build_config(self)`."
                )
            raise ValueError(
                f"Layer '{self.name}' expected {len(own)} variables, but received {len(store)} "
                f"variables during loading. Expected: {[v.name for v in own]}"
            )
        for index, variable in enumerate(own):
            variable.assign(store[str(index)])


def _sizes(shape: Any) -> tuple:
    return (shape,) if isinstance(shape, int) else tuple(shape)
