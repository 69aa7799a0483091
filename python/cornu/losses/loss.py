"""The base of every loss: one value per sample, then weights, masks and a reduction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cornu import config, dtype_policies, ops, tree
from cornu.naming import auto_name

REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")


class Loss:
    """A loss function with a reduction; subclass it and write `call`.

    Args:
        name: Name of the loss.
        reduction: `"sum_over_batch_size"` (the same as `"mean"`), `"sum"`,
            `"mean_with_sample_weight"`, or `"none"` (or `None`) for one value per sample.
        dtype: The dtype, or a dtype policy whose compute dtype, the loss is computed in;
            `None` means `keras.config.floatx()`.

    >>> class Absolute(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(ops.abs(y_true - y_pred), axis=-1)
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"Invalid value for argument `reduction`. Expected one of {set(REDUCTIONS)}. "
                f"Received: reduction={reduction}"
            )
        self.name = name or auto_name(type(self).__name__)
        self.reduction = reduction
        self._dtype_policy = dtype_policies.get(dtype or config.floatx())
        self._dtype = self._dtype_policy.compute_dtype

    @property
    def dtype(self) -> str:
        """The dtype the loss is computed in."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss.

        Args:
            y_true: Ground truth, a tensor or a nested structure of them.
            y_pred: Predictions, in the same structure.
            sample_weight: Weights that broadcast with the values of `call`, or `None`.
        """
        mask = tree.map_structure(lambda x: getattr(x, "_keras_mask", None), y_pred)
        y_pred = tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), y_pred)
        y_true = tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), y_true)
        losses = self.call(y_true, y_pred)
        masks = [m for m in (mask, getattr(losses, "_keras_mask", None)) if _is_tensor_like(m)]
        return reduce_weighted_values(
            losses,
            sample_weight=sample_weight,
            mask=ops.logical_and(*masks) if len(masks) == 2 else next(iter(masks), None),
            reduction=self.reduction,
            dtype=self.dtype,
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample, before weights and reduction; a subclass writes it."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """The loss that `get_config` described."""
        return cls(**config)


def _is_tensor_like(mask: Any) -> bool:
    return hasattr(mask, "shape")


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Gives two tensors whose ranks differ by a last axis of size 1 the same rank."""
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and x1.shape[-1] == 1:
        if rank2 == 1 and expand_rank_1:
            x2 = ops.expand_dims(x2, axis=-1)
        else:
            x1 = ops.squeeze(x1, axis=-1)
    elif rank2 == rank1 + 1 and x2.shape[-1] == 1:
        if rank1 == 1 and expand_rank_1:
            x1 = ops.expand_dims(x1, axis=-1)
        else:
            x2 = ops.squeeze(x2, axis=-1)
    return x1, x2


def size_of(x: Any, dtype: str) -> Any:
    """The number of elements of `x`, as a scalar of `dtype`."""
    return ops.cast(ops.prod(ops.convert_to_tensor(ops.shape(x), dtype="int32")), dtype)


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """The weights, zero where `mask` is false.

    Under a mean the mask is scaled up, so that the mean is over the unmasked values alone.
    """
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * (size_of(mask, dtype) / (ops.sum(mask) + config.epsilon()))
    if sample_weight is None:
        return mask
    sample_weight = ops.cast(sample_weight, dtype)
    sample_weight, mask = squeeze_or_expand_to_same_rank(sample_weight, mask)
    return sample_weight * mask


def reduce_weighted_values(
    values: Any,
    reduction: str | None = "sum_over_batch_size",
    sample_weight: Any = None,
    mask: Any = None,
    dtype: str | None = None,
) -> Any:
    """Weights and masks `values`, then reduces them as a loss's `reduction` says."""
    dtype = dtype or config.floatx()
    values = ops.convert_to_tensor(values, dtype=dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    sample_weight = apply_mask(sample_weight, mask, dtype=dtype, reduction=reduction)
    if sample_weight is not None:
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        values = values * sample_weight
    return _reduce(values, sample_weight, reduction)


def _reduce(values: Any, sample_weight: Any, reduction: str | None) -> Any:
    if reduction in (None, "none") or (len(values.shape) == 0 and sample_weight is None):
        return values
    total = ops.sum(values)
    if reduction in ("sum_over_batch_size", "mean"):
        return ops.divide_no_nan(total, size_of(values, values.dtype))
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return ops.divide_no_nan(total, ops.sum(sample_weight))
    if reduction == "mean_with_sample_weight":
        return ops.divide_no_nan(total, size_of(values, values.dtype))
    return total
