"""Layers that make one tensor of several, and their functional forms."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer


def _is_list_of_shapes(shape: Any) -> bool:
    return isinstance(shape, list | tuple) and bool(shape) and isinstance(shape[0], list | tuple)


def _check_lists(inputs: Any, mask: Any, separator: str = ":") -> None:
    if not isinstance(mask, list | tuple):
        raise ValueError(f"`mask` should be a list. Received{separator} mask={mask}")
    if not isinstance(inputs, list | tuple):
        raise ValueError(f"`inputs` should be a list. Received: inputs={inputs}")
    if len(mask) != len(inputs):
        raise ValueError(
            "The lists `inputs` and `mask` should have the same length. Received: "
            f"inputs={inputs} of length {len(inputs)}, and mask={mask} of length {len(mask)}"
        )


class _Merge(ConfiguredLayer):
    """A layer that folds a list of tensors elementwise, broadcasting them behind the batch."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not _is_list_of_shapes(input_shape):
            raise ValueError(
                "A merge layer should be called on a list of inputs. "
                f"Received: input_shape={input_shape} (not a list of shapes)"
            )
        batches = {shape[0] for shape in input_shape if shape} - {None}
        if len(batches) > 1:
            raise ValueError(
                "Cannot merge tensors with different batch sizes. "
                f"Received tensors with shapes {[tuple(shape) for shape in input_shape]}"
            )
        reduce(_broadcast, (tuple(shape[1:]) for shape in input_shape))

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Received: inputs={inputs}"
            )
        return self._merge(_align(inputs))

    def _merge(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        _check_lists(inputs, mask)
        if any(m is None for m in mask):
            return None
        return reduce(ops.logical_and if self._mask_all else ops.logical_or, mask)

    _mask_all = False


def _broadcast(first: tuple, second: tuple) -> tuple:
    """Returns the shape that two shapes without batch are broadcast to."""
    if len(first) < len(second):
        first, second = second, first
    merged = list(first[: len(first) - len(second)])
    for i, j in zip(first[len(merged) :], second, strict=True):
        if i is None or j is None:
            merged.append(None)
        elif i == j or 1 in (i, j):
            merged.append(j if i == 1 else i)
        else:
            raise ValueError(
                f"Inputs have incompatible shapes. Received shapes {first} and {second}"
            )
    return tuple(merged)


def _align(inputs: Sequence[Any]) -> list[Any]:
    """Gives all tensors the same rank by new axes behind the batch."""
    rank = max(len(x.shape) for x in inputs)

    def expand(x: Any) -> Any:
        missing = rank - len(x.shape)
        return ops.expand_dims(x, tuple(range(1, missing + 1))) if missing else x

    return [expand(x) for x in inputs]


class Add(_Merge):
    """The sum of a list of tensors.

    >>> layers.Add()([np.ones((2, 3)), np.ones((2, 3))]).shape
    (2, 3)
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs)


class Subtract(_Merge):
    """The first of two tensors minus the second."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(
                "A `Subtract` layer should be called on exactly 2 inputs. "
                f"Received: input_shape={input_shape}"
            )

    def _merge(self, inputs: list[Any]) -> Any:
        return ops.subtract(*inputs)


class Multiply(_Merge):
    """The product of a list of tensors, elementwise."""

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.multiply, inputs)


class Average(_Merge):
    """The mean of a list of tensors."""

    def _merge(self, inputs: list[Any]) -> Any:
        return ops.divide(reduce(ops.add, inputs), len(inputs))


class Maximum(_Merge):
    """The largest of a list of tensors, elementwise."""

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.maximum, inputs)


class Minimum(_Merge):
    """The smallest of a list of tensors, elementwise."""

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.minimum, inputs)


class Concatenate(ConfiguredLayer):
    """A list of tensors, one behind the other.

    Args:
        axis: the axis along which they are joined; all other sizes agree.

    >>> layers.Concatenate()([np.ones((2, 3)), np.ones((2, 4))]).shape
    (2, 7)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(axis=axis)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not _is_list_of_shapes(input_shape):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of at least 1 input. "
                f"Received: input_shape={input_shape}"
            )
        shapes = [tuple(shape) for shape in input_shape]
        ranks = {len(shape) for shape in shapes}
        rank = max(ranks)
        axis = self.axis + rank if self.axis < 0 else self.axis
        sizes = (
            [{shape[i] for shape in shapes} - {None} for i in range(rank) if i != axis]
            if (len(ranks) == 1)
            else [{0, 1}]
        )
        if any(len(found) > 1 for found in sizes):
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                f"concatenation axis. Received: input_shape={shapes}"
            )

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        _check_lists(inputs, mask, "")
        if all(m is None for m in mask):
            return None
        masks = []
        for x, m in zip(inputs, mask, strict=True):
            if m is None:
                m = ops.ones_like(x, dtype="bool")
            else:
                missing = len(x.shape) - len(m.shape)
                rank = len(m.shape)
                m = ops.expand_dims(m, tuple(range(rank, rank + missing))) if missing else m
                m = ops.logical_or(m, ops.zeros_like(x, dtype="bool"))
            masks.append(m)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)


class Dot(ConfiguredLayer):
    """The product of two tensors, summed over one axis of each, sample by sample.

    Args:
        axes: the axis of both, or one each; never the batch.
        normalize: whether the vectors along the axes are scaled to length one before, which makes
            the product the cosine of their angle.

    >>> layers.Dot(axes=(1, 2))([np.ones((2, 5)), np.ones((2, 3, 5))]).shape
    (2, 3)
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, list | tuple):
                raise TypeError(
                    "Invalid type for argument `axes`: it should be a list or an int. "
                    f"Received: axes={axes}"
                )
            if len(axes) != 2:
                raise ValueError(
                    "Invalid format for argument `axes`: it should contain two elements. "
                    f"Received: axes={axes}"
                )
            if not all(isinstance(axis, int) for axis in axes):
                raise ValueError(
                    "Invalid format for argument `axes`: list elements should be integers. "
                    f"Received: axes={axes}"
                )
        self._keep(axes=axes, normalize=normalize)
        self.supports_masking = True

    def _axes_of(self, first_rank: int, second_rank: int) -> tuple[int, int]:
        first, second = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return first % first_rank if first < 0 else first, (
            second % second_rank if second < 0 else second
        )

    def build(self, input_shape: Any) -> None:
        if not _is_list_of_shapes(input_shape) or len(input_shape) != 2:
            raise ValueError(
                "A `Dot` layer should be called on a list of 2 inputs. "
                f"Received: input_shape={input_shape}"
            )
        first, second = (tuple(shape) for shape in input_shape)
        i, j = self._axes_of(len(first), len(second))
        if None not in (first[i], second[j]) and first[i] != second[j]:
            raise ValueError(
                f"Incompatible input shapes: axis values {first[i]} (at axis {i}) != "
                f"{second[j]} (at axis {j}). Full input shapes: {first}, {second}"
            )

    def call(self, inputs: Any) -> Any:
        first, second = inputs
        axes = self._axes_of(len(first.shape), len(second.shape))
        if self.normalize:
            first, second = (
                ops.normalize(x, axis=axis) for x, axis in zip((first, second), axes, strict=True)
            )
        return batch_dot(first, second, axes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


def batch_dot(first: Any, second: Any, axes: tuple[int, int]) -> Any:
    """Returns the product of two tensors over an axis of each, sample by sample.

    Raises:
        ValueError: if an axis is that of the samples, or their numbers differ.
    """
    if 0 in axes:
        raise ValueError(
            "Cannot perform batch_dot over axis 0. If your inputs are not batched, add a dummy "
            "batch dimension to your inputs using keras.ops.expand_dims(x, 0)"
        )
    batches = (first.shape[0], second.shape[0])
    if all(isinstance(size, int) for size in batches) and batches[0] != batches[1]:
        raise ValueError(
            "Cannot do batch_dot on inputs with different batch sizes. Received inputs with "
            f"shapes {tuple(first.shape)} and {tuple(second.shape)}."
        )
    letters = iter("bcdefghijklmnopqrstuvwxy")
    left, right = (["a", *(next(letters) for _ in x.shape[1:])] for x in (first, second))
    left[axes[0]] = right[axes[1]] = "z"
    rest = [letter for letter in (*left[1:], *right[1:]) if letter != "z"]
    outputs = ops.einsum(f"{''.join(left)},{''.join(right)}->a{''.join(rest)}", first, second)
    return outputs if rest else ops.expand_dims(outputs, -1)


def _functional(layer: type, name: str, summary: str) -> Callable[..., Any]:
    def function(inputs: Any, **kwargs: Any) -> Any:
        return layer(**kwargs)(inputs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{summary}

    Args:
        inputs: list of tensors.
        **kwargs: of the layer `{layer.__name__}`.
    """
    return function


add = _functional(Add, "add", "Returns the sum of a list of tensors.")
subtract = _functional(Subtract, "subtract", "Returns the difference of two tensors.")
multiply = _functional(Multiply, "multiply", "Returns the product of a list of tensors.")
average = _functional(Average, "average", "Returns the mean of a list of tensors.")
maximum = _functional(Maximum, "maximum", "Returns the elementwise maximum of tensors.")
minimum = _functional(Minimum, "minimum", "Returns the elementwise minimum of tensors.")


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Returns a list of tensors joined along an axis, as `Concatenate` does."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Returns the product of two tensors over one axis of each, as `Dot` does."""
    return Dot(axes=axes, **kwargs)(inputs)
