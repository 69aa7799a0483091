"""Variables: what layers, optimizers and metrics keep between calls."""

import contextlib
import functools
import operator
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cornu import _cornu
from cornu.naming import auto_name, checked_name, current_path
from cornu.scopes import state
from cornu.tensor import (
    OPERATORS,
    Tensor,
    check_memory,
    convert_to_tensor,
    is_float_dtype,
    standardize_dtype,
    standardize_shape,
)
from cornu.tracking import Clock

_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")
# By the identities that tapes know.
_VARIABLES: weakref.WeakValueDictionary[int, "Variable"] = weakref.WeakValueDictionary()


class Variable:
    """A tensor that keeps its place while its value changes.

    Args:
        initializer: the first value: an array, or an initializer (a callable of `shape` and
            `dtype`, or its name), which needs `shape`.
        shape: its shape.
        dtype: its dtype; that of the value, or `floatx()`, if None.
        trainable: whether it takes part in training.
        autocast: whether layers may read it in their compute dtype.
        aggregation: kept for distribution: `"none"`, `"mean"`, `"sum"` or
            `"only_first_replica"`.
        synchronization: kept for distribution.
        name: its name; the path is the names of the open scopes and it.

    >>> v = Variable([1.0, 2.0], name="scale")
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    __array_priority__ = 100
    changes = 0  # of its role: `trainable`, `regularizer`, `constraint`
    _first: Callable[[], Tensor] | None = None  # gives the first value, if that is put off
    _tracked_as = "variable"
    __hash__ = object.__hash__

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
        **kwargs: Any,
    ) -> None:
        del kwargs
        self._name = checked_name(auto_name(type(self).__name__) if name is None else name)
        path = current_path()
        self._path = f"{path}/{self._name}" if path else self._name
        self._check_choice("aggregation", aggregation, _AGGREGATIONS)
        self._check_choice("synchronization", synchronization, _SYNCHRONIZATIONS)
        self._aggregation = aggregation or "none"
        self._synchronization = synchronization or "none"
        self._layout = layout
        self._autocast = bool(autocast)
        self._regularizer: Callable | None = None
        self._constraint: Callable | None = None
        self._overwrite_with_gradient = False
        with _cornu.Suspended():  # a variable is real, though it is made in a trace
            value = self._first_value(initializer, shape, dtype)
        self._trainable = bool(trainable)
        if value is not None:
            self._keep(value)
            self._shape, self._dtype = tuple(self._storage.shape), self._storage.dtype
        self._casts = self._autocast and is_float_dtype(self._dtype)

    def _keep(self, value: Tensor) -> None:
        self.__dict__.pop("_first", None)
        self._storage = _cornu.Storage(value, trainable=self._trainable)
        _VARIABLES[self._storage.id] = self

    @functools.cached_property
    def _storage(self) -> Any:
        """The memory, made when it is first needed if the first value was put off."""
        assert self._first is not None
        with _cornu.Suspended():
            self._keep(self._first())
        return self._storage

    def _check_choice(self, argument: str, value: Any, choices: tuple) -> None:
        if value not in choices:
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected one of {set(choices)}. "
                f"Received: {argument}={value}"
            )

    def _first_value(self, initializer: Any, shape: Any, dtype: Any) -> Tensor | None:
        if isinstance(initializer, str):
            from cornu import initializers

            initializer = initializers.get(initializer)
        if not callable(initializer):
            if isinstance(initializer, Variable):
                initializer = initializer.value
            value = convert_to_tensor(initializer, dtype)
            if shape is not None and standardize_shape(shape) != tuple(value.shape):
                raise ValueError(
                    f"The value does not have the shape of the variable: shape={shape}, "
                    f"value.shape={tuple(value.shape)}"
                )
            return value
        if shape is None:
            raise ValueError(
                "When creating a Variable from an initializer, the `shape` argument should be "
                f"specified. Received: initializer={initializer} and shape={shape}"
            )
        shape = standardize_shape(shape)
        if None in shape:
            raise ValueError(
                "Shapes used to initialize variables must be fully-defined (no `None` "
                f"dimensions). Received: shape={shape} for variable path='{self._path}'"
            )
        dtype = standardize_dtype(dtype)
        check_memory(shape, dtype, f"variable {self._path!r}")
        if state.put_off is not None and getattr(initializer, "repeatable", False):
            state.put_off.append(self)
            self._first = lambda: self._drawn(initializer, shape, dtype)
            self._shape, self._dtype = shape, dtype
            return None
        return self._drawn(initializer, shape, dtype)

    def _drawn(self, initializer: Callable, shape: tuple[int, ...], dtype: str) -> Tensor:
        value = convert_to_tensor(initializer(shape, dtype=dtype), dtype)
        if tuple(value.shape) != shape:
            raise ValueError(
                f"The initializer {initializer} gave a value of shape {tuple(value.shape)} for "
                f"a variable of shape {shape}"
            )
        return value

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def path(self) -> str:
        """The names of the scopes that it was created in and its own, joined by slashes."""
        return self._path

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def dtype(self) -> str:
        """The dtype that it reads as: its own, or that of the autocast scope."""
        if self._casts and state.autocast_dtype is not None:
            return state.autocast_dtype
        return self._dtype

    @property
    def trainable(self) -> bool:
        """Whether it takes part in training."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if self._trainable != bool(value):
            self._trainable = bool(value)
            if self._first is None:
                self._storage.trainable = self._trainable
            self._note_change()

    def _note_change(self) -> None:
        self.changes += 1
        Clock.now += 1

    @property
    def autocast(self) -> bool:
        """Whether layers may read it in their compute dtype."""
        return self._autocast

    @property
    def aggregation(self) -> str:
        """How replicas would be combined."""
        return self._aggregation

    @property
    def synchronization(self) -> str:
        """When replicas would be combined."""
        return self._synchronization

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether an optimizer sets it to its gradient in place of an update."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"`overwrite_with_gradient` must be a boolean. Received: {value}")
        self._overwrite_with_gradient = value
        self._note_change()

    @property
    def regularizer(self) -> Callable | None:
        """A callable of the value that gives a loss, or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Callable | None) -> None:
        self._check_callable("regularizer", value)
        if value is not self._regularizer:
            self._regularizer = value
            self._note_change()

    @property
    def constraint(self) -> Callable | None:
        """A callable of the value that projects it after an update, or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Callable | None) -> None:
        self._check_callable("constraint", value)
        if value is not self._constraint:
            self._constraint = value
            self._note_change()

    @staticmethod
    def _check_callable(attribute: str, value: Any) -> None:
        if value is not None and not callable(value):
            raise ValueError(
                f"Invalid value for attribute `{attribute}`. Expected a callable or None. "
                f"Received: {attribute}={value}"
            )

    @property
    def value(self) -> Tensor:
        """The current value, in the dtype of the autocast scope."""
        value = None if state.stateless is None else state.stateless.get_current_value(self)
        if value is None:
            if self._first is not None and state.symbolic and _cornu.tracing():
                # Shapes are inferred without values.
                value = _broadcast_to(_any_value(self._dtype).read(), shape=self._shape)
            else:
                value = self._storage.read()
        if self._casts:
            dtype = state.autocast_dtype
            if dtype is not None and dtype != value.dtype:
                return _cast(value, dtype=dtype)
        return value

    def __tensor__(self) -> Tensor:
        return self.value

    def check_shape(self, value: Any) -> None:
        """Raises ValueError unless `value` has the shape of the variable."""
        if tuple(value.shape) != self._shape:
            raise ValueError(
                "The shape of the target variable and the shape of the target value in "
                f"`variable.assign(value)` must match. variable.shape={self._shape}, "
                f"Received: value.shape={tuple(value.shape)}. Target variable: {self}"
            )

    def assign(self, value: Any) -> Tensor:
        """Sets the value, cast to the dtype of the variable, and returns it.

        Raises:
            ValueError: if the shape differs.
            OverflowError: if the dtype does not hold a Python integer.
        """
        value = convert_to_tensor(value, self._dtype)
        self.check_shape(value)
        if state.stateless is not None:
            state.stateless.add_update((self, value))
        elif self._first is not None and not state.tapes and not _cornu.tracing():
            self._keep(value)
        else:
            self._storage.assign(value)
        return value

    def assign_add(self, value: Any) -> Tensor:
        """Adds to the value and returns the sum."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Tensor:
        """Subtracts from the value and returns the difference."""
        return self.assign(self - value)

    def numpy(self) -> np.ndarray:
        """Returns a copy of the value."""
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __repr__(self) -> str:
        try:
            value = f", value={self.numpy()}"
        except _cornu.TraceError:
            value = ""
        return f"<Variable path={self._path}, shape={self._shape}, dtype={self._dtype}{value}>"

    def __getitem__(self, key: Any) -> Tensor:
        return self.value[key]

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("A variable without axes has no length")
        return self._shape[0]

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        raise TypeError("A Keras Variable cannot be used as a boolean.")

    def __round__(self, ndigits: int = 0) -> Tensor:
        from cornu import ops

        return ops.round(self.value, ndigits)

    def __deepcopy__(self, memo: dict) -> "Variable":
        copy = self._detached_copy()
        memo[id(self)] = copy
        return copy

    def _detached_copy(self) -> "Variable":
        value = convert_to_tensor(np.array(self._storage.read()))
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._keep(value)
        return copy

    def __getstate__(self) -> dict:
        value = self._storage.numpy()
        attributes = {k: v for k, v in self.__dict__.items() if k != "_storage"}
        return {**attributes, "_value": value}

    def __setstate__(self, attributes: dict) -> None:
        value = attributes.pop("_value")
        self.__dict__.update(attributes)
        self._keep(convert_to_tensor(value))


_cast = _cornu.primitive("cast")
_broadcast_to = _cornu.primitive("broadcast_to")


@functools.cache
def _any_value(dtype: str) -> Any:
    """Returns the memory of a number that is never looked at."""
    with _cornu.Suspended():
        return _cornu.Storage(convert_to_tensor(0, dtype), trainable=False)


@contextlib.contextmanager
def first_values_put_off() -> Iterator[None]:
    """Variables that are made inside get their first values at the end, or when they are read.

    What is assigned inside, as weights from a file are, makes drawing a first value needless.
    Initializers that give something else at each call are called at once.
    """
    outer, state.put_off = state.put_off, []
    try:
        yield
        for variable in state.put_off:
            _ = variable._storage
    finally:
        state.put_off = outer


def variable_of(storage: int) -> Variable | None:
    """Returns the variable that the storage of this identity is of, None if it is gone."""
    return _VARIABLES.get(storage)


def _install_operators() -> None:
    def binary(function: Callable) -> Callable:
        def method(self: Variable, other: Any) -> Any:
            return function(self.value, other.value if isinstance(other, Variable) else other)

        return method

    def reflected(function: Callable) -> Callable:
        def method(self: Variable, other: Any) -> Any:
            return function(other, self.value)

        return method

    for name in OPERATORS:
        function = getattr(operator, f"__{name}__")
        setattr(Variable, f"__{name}__", binary(function))
        if name not in ("eq", "ne", "lt", "le", "gt", "ge"):
            setattr(Variable, f"__r{name}__", reflected(function))
    for name in ("neg", "pos", "abs", "invert"):
        function = getattr(operator, f"__{name}__")
        setattr(Variable, f"__{name}__", lambda self, function=function: function(self.value))


_install_operators()
Variable.__hash__ = object.__hash__


class StatelessScope:
    """Reads variables from given values and keeps their updates aside.

    Args:
        state_mapping: pairs of a variable and the value it has inside.
        collect_losses: whether losses of layers are kept in `losses` of the scope.
        initialize_variables: whether new variables get their first value inside.

    >>> v = Variable(1.0)
    >>> with StatelessScope([(v, 5.0)]) as scope:
    ...     v.assign_add(1.0)
    >>> float(scope.get_current_value(v)), float(v)
    (6.0, 1.0)
    """

    def __init__(
        self,
        state_mapping: Any = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses: list[Any] = []
        self.state_mapping: dict[int, Any] = {}
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ValueError(
                    "Invalid reference variable in StatelessScope: all keys in argument "
                    "`state_mapping` must be Variable instances. "
                    f"Received instead: {variable}"
                )
            value = convert_to_tensor(value, dtype=variable.dtype)
            variable.check_shape(value)
            self.state_mapping[id(variable)] = value

    def __enter__(self) -> "StatelessScope":
        self._outer = state.stateless
        state.stateless = self
        return self

    def __exit__(self, *error: Any) -> None:
        state.stateless = self._outer

    def add_loss(self, loss: Any) -> None:
        """Keeps a loss."""
        self.losses.append(loss)

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Keeps a new value: `update` is a pair of a variable and its value."""
        variable, value = update
        self.state_mapping[id(variable)] = value

    def get_current_value(self, variable: Any) -> Any:
        """Returns the value kept for `variable`, None if there is none."""
        return self.state_mapping.get(id(variable))
