"""What a layer expects of its inputs."""

from typing import Any

from cornu import tree
from cornu.tensor import standardize_dtype, standardize_shape


class InputSpec:
    """The rank, sizes and dtype that an input must have.

    Args:
        dtype: dtype, or None for any.
        shape: shape, None for sizes that may be any; the batch is one of them.
        ndim: number of axes.
        max_ndim: most axes.
        min_ndim: fewest axes.
        axes: sizes by axis, as `{-1: 3}`.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or in excess.
        name: the key of this input in a dict of inputs.
        optional: whether the input may be None.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = standardize_dtype(dtype) if dtype is not None else None
        self.shape = standardize_shape(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.name = name
        self.optional = optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise TypeError(
                f"Argument `axes` must be a dict with integer keys. Received: axes={axes}"
            ) from None
        rank = self.ndim if self.ndim is not None else self.max_ndim
        if self.axes and rank is not None and max(self.axes) > rank - 1:
            raise ValueError(
                f"Axis {max(self.axes)} is greater than the maximum allowed value: {rank - 1}"
            )

    def __repr__(self) -> str:
        fields = {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
        }
        told = ", ".join(f"{name}={value}" for name, value in fields.items() if value)
        return f"InputSpec({told})"

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputSpec":
        """Returns a spec made from what `get_config` returned."""
        return cls(**config)


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Raises ValueError unless the inputs are what the specs say.

    Args:
        input_spec: an `InputSpec`, a structure of them, or None.
        inputs: tensors: one, a list, or a dict by the names of the specs.
        layer_name: the layer to name in the error.
    """
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict) and all(spec.name is not None for spec in specs):
        missing = [s.name for s in specs if s.name not in inputs and not s.optional]
        if missing:
            raise ValueError(
                f'Missing data for input "{missing[0]}". You passed a data dictionary with keys '
                f"{list(inputs)}. Expected the following keys: {[s.name for s in specs]}"
            )
        values = [inputs.get(spec.name) for spec in specs]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        from cornu.layers.calling import describe

        names = [spec.name for spec in specs]
        named = f" named input(s) with keys {names}" if None not in names else " input(s)"
        raise ValueError(
            f'Layer "{layer_name}" expects {len(specs)}{named}, but it received {len(values)} '
            f"input tensors. Inputs received: {describe(inputs)}"
        )
    for index, (x, spec) in enumerate(zip(values, specs, strict=True)):
        if spec is None or (x is None and spec.optional):
            continue
        if not hasattr(x, "shape"):
            raise ValueError(
                f"Inputs to a layer should be tensors. Got '{x}' (of type {type(x)}) as input "
                f"for layer '{layer_name}'."
            )
        problem = _mismatch(spec, x)
        if problem:
            raise ValueError(
                f"Input {index} with name '{spec.name}' of layer '{layer_name}' is incompatible "
                f"with the layer: {problem}"
            )


def _mismatch(spec: InputSpec, x: Any) -> str | None:
    """Returns what is wrong with the shape or dtype of `x`, None if nothing is."""
    shape = standardize_shape(x.shape)
    ndim = len(shape)
    if spec.ndim is not None and ndim != spec.ndim:
        excess = shape[-1] == 1 and ndim == spec.ndim + 1
        short = spec.shape is not None and spec.shape[-1] == 1 and ndim == spec.ndim - 1
        if spec.allow_last_axis_squeeze and (excess or short):
            return None
        return f"expected ndim={spec.ndim}, found ndim={ndim}. Full shape received: {shape}"
    if spec.max_ndim is not None and ndim > spec.max_ndim:
        return f"expected max_ndim={spec.max_ndim}, found ndim={ndim}"
    if spec.min_ndim is not None and ndim < spec.min_ndim:
        return f"expected min_ndim={spec.min_ndim}, found ndim={ndim}. Full shape received: {shape}"
    if spec.dtype is not None and x.dtype != spec.dtype:
        return f"expected dtype={spec.dtype}, found dtype={x.dtype}"
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            return (
                f"expected axis {axis} of input shape to have value {size}, but received input "
                f"with shape {shape}"
            )
    if spec.shape is not None:
        for expected, size in zip(spec.shape, shape, strict=True):
            if expected is not None and size is not None and size != expected:
                return f"expected shape={spec.shape}, found shape={shape}"
    return None
