"""Where the graph of a model starts."""

import warnings
from typing import Any

from cornu.layers.layer import Layer
from cornu.ops.operation import Node
from cornu.ops.symbolic import KerasTensor
from cornu.tensor import standardize_dtype, standardize_shape


class InputLayer(Layer):
    """The layer that an input of a model belongs to.

    Args:
        shape: shape without the batch.
        batch_size: size of the batch, None for any.
        dtype: dtype, `floatx()` if None.
        sparse: whether the input is sparse.
        ragged: whether the input is ragged.
        batch_shape: shape with the batch, in place of `shape` and `batch_size`.
        input_tensor: a symbolic tensor to use as the input.
        optional: whether the input may be None.
        name: name of the layer and of the input.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            warnings.warn(
                "Argument `input_shape` is deprecated. Use `shape` instead.", stacklevel=2
            )
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        super().__init__(name=name)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to InputLayer: {kwargs}")
        if input_tensor is not None and not isinstance(input_tensor, KerasTensor):
            raise ValueError(
                "Argument `input_tensor` must be a KerasTensor. "
                f"Received invalid type: input_tensor={input_tensor} (of type "
                f"{type(input_tensor)})"
            )
        if shape is not None and batch_shape is not None:
            raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
        if batch_size is not None and batch_shape is not None:
            raise ValueError(
                "You cannot pass both `batch_size` and `batch_shape` at the same time."
            )
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        elif shape is None and batch_shape is None:
            raise ValueError("You must pass a `shape` argument.")
        if batch_shape is None:
            batch_shape = (batch_size, *standardize_shape(shape))
        self._batch_shape = standardize_shape(batch_shape)
        self._dtype = standardize_dtype(dtype)
        self.sparse, self.ragged = bool(sparse), bool(ragged)
        self.optional = optional
        if input_tensor is None:
            input_tensor = KerasTensor(
                self._batch_shape, self._dtype, self.sparse, self.ragged, name=name
            )
        Node(self, (), {}, input_tensor)
        self.built = True

    def call(self) -> None:
        """Computes nothing: the input is given."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_output": self.output}

    def __setstate__(self, state: dict[str, Any]) -> None:
        output = state.pop("_output")
        super().__setstate__(state)
        Node(self, (), {}, output)

    @property
    def dtype(self) -> str:
        """The dtype of the input."""
        return self._dtype

    @property
    def batch_shape(self) -> tuple:
        """The shape of the input with the batch."""
        return self._batch_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """Returns a symbolic tensor to build a model from.

    Args:
        shape: shape without the batch; None is an unknown size.
        batch_size: size of the batch, None for any.
        dtype: dtype, `floatx()` if None.
        sparse: whether the input is sparse.
        ragged: whether the input is ragged.
        batch_shape: shape with the batch, in place of `shape` and `batch_size`.
        name: name of the input.
        tensor: a symbolic tensor to use as the input.
        optional: whether the input may be None.

    >>> Input((32,)).shape
    (None, 32)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output
