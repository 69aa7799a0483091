"""Symbolic tensors: a shape and a dtype without values, and where they come from."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from cornu import _cornu, tree
from cornu._cornu import any_symbolic as any_symbolic
from cornu.naming import auto_name
from cornu.scopes import SymbolicScope
from cornu.tensor import OPERATORS, standardize_dtype, standardize_shape


class KerasHistory(NamedTuple):
    """Where a symbolic tensor comes from: output `tensor_index` of a call of `operation`."""

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor:
    """A tensor of a model that is being described: it has a shape and a dtype, and no values.

    Args:
        shape: sizes; None is a size that is not known yet.
        dtype: name of the dtype.
        sparse: whether it stands for a sparse tensor.
        ragged: whether it stands for a ragged tensor.
        record_history: whether models can be built from it.
        name: a name, else one is made.

    >>> KerasTensor((None, 3))
    <KerasTensor shape=(None, 3), dtype=float32, sparse=False, ragged=False, name=keras_tensor>
    """

    __array_priority__ = 1000
    __array_ufunc__ = None

    def __init__(
        self,
        shape: Any,
        dtype: str = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.shape = standardize_shape(shape)
        self.dtype = standardize_dtype(dtype)
        self.sparse = bool(sparse)
        self.ragged = bool(ragged)
        self.name = name or auto_name("keras_tensor")
        self.record_history = record_history

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def reshape(self, newshape: Any) -> Any:
        """Returns `ops.reshape(self, newshape)`."""
        from cornu import ops

        return ops.reshape(self, newshape)

    def squeeze(self, axis: int | tuple[int, ...] | None = None) -> Any:
        """Returns `ops.squeeze(self, axis)`."""
        from cornu import ops

        return ops.squeeze(self, axis)

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse={self.sparse}, "
            f"ragged={self.ragged}, name={self.name}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        # Where it comes from is told by the graph that is copied with it, if there is one.
        return {key: value for key, value in self.__dict__.items() if key != "_keras_history"}

    def _no_value(self, action: str, error: type[Exception] = TypeError) -> Exception:
        return error(
            f"A KerasTensor is symbolic: it has a shape and a dtype but no values, so {action}. "
            "Use layers or `cornu.ops` functions on it, or put your code into the `call` method "
            "of a layer, where it runs on real values."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._no_value("it can't be converted to a numpy array", ValueError)

    def numpy(self) -> Any:
        """Raises ValueError: there are no values."""
        raise self._no_value("it can't be converted to a numpy array", ValueError)

    def __bool__(self) -> bool:
        raise self._no_value("it can't be used as a condition")

    def __int__(self) -> int:
        raise self._no_value("it can't be converted to a number", ValueError)

    __float__ = __int__

    def __index__(self) -> int:
        raise self._no_value("it can't be an index")

    def __iter__(self) -> Any:
        raise self._no_value("it can't be iterated over", NotImplementedError)

    def __len__(self) -> int:
        if self.ndim and isinstance(self.shape[0], int):
            return self.shape[0]
        raise self._no_value("it has no length")

    def __getitem__(self, key: Any) -> Any:
        from cornu import ops

        return ops.get_item(self, key)


def _install_operators() -> None:
    def binary(function: str, reflected: bool) -> Callable:
        def method(self: KerasTensor, other: Any) -> Any:
            from cornu import ops

            operands = (other, self) if reflected else (self, other)
            return getattr(ops, function)(*operands)

        return method

    def unary(function: str) -> Callable:
        def method(self: KerasTensor) -> Any:
            from cornu import ops

            return getattr(ops, function)(self)

        return method

    for operator, function in OPERATORS.items():
        setattr(KerasTensor, f"__{operator}__", binary(function, reflected=False))
        if operator not in ("eq", "ne", "lt", "le", "gt", "ge"):
            setattr(KerasTensor, f"__r{operator}__", binary(function, reflected=True))
    for operator, function in {"neg": "negative", "abs": "absolute"}.items():
        setattr(KerasTensor, f"__{operator}__", unary(function))
    KerasTensor.__invert__ = unary("logical_not")


# Identity, not value: symbolic tensors are keys of graphs.
_install_operators()
del KerasTensor.__eq__
KerasTensor.__hash__ = object.__hash__


def is_keras_tensor(x: Any) -> bool:
    """Returns whether `x` is a symbolic tensor."""
    return isinstance(x, KerasTensor)


def infer(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Returns what `function(*args, **kwargs)` gives for symbolic tensors, as symbolic tensors.

    The function runs abstractly: on tensors without values, whose unknown sizes stay unknown.
    Variables that it makes are real; what it assigns to variables is forgotten.
    """
    leaves = tree.flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, KerasTensor)]
    outputs: Any = None

    def run(*tensors: Any) -> list:
        nonlocal outputs
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            mask = getattr(leaves[place], "_keras_mask", None)
            if mask is not None and not isinstance(mask, KerasTensor):
                tensor._keras_mask = mask
            filled[place] = tensor
        call_args, call_kwargs = tree.pack_sequence_as((args, kwargs), filled)
        with SymbolicScope():
            outputs = function(*call_args, **call_kwargs)
        return [leaf for leaf in tree.flatten(outputs) if _is_tensor(leaf)]

    specs = iter(
        _cornu.abstract(run, [(leaves[place].shape, leaves[place].dtype) for place in places])
    )
    return tree.map_structure(
        lambda leaf: KerasTensor(*next(specs)) if _is_tensor(leaf) else leaf, outputs
    )


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, _cornu.Tensor)


def signature_of(function: Callable) -> inspect.Signature:
    """Returns the signature of a function that users may have wrapped."""
    return inspect.signature(function)
