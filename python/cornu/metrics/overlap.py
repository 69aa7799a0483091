"""Intersection over union of predicted and true regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cornu import config, ops
from cornu.metrics.metric import Metric


class _ConfusionMatrix(Metric):
    """A confusion matrix gathered over batches, `(num_classes, num_classes)`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", name="total_confusion_matrix", dtype=self.dtype
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Class numbers, or classes along `axis` unless `sparse_y_true`.
            y_pred: The same, by `sparse_y_pred`.
            sample_weight: One weight per class number, or what broadcasts to them.
        """
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        y_pred = ops.reshape(ops.cast(y_pred, "int32"), (-1,))
        counts = ops.one_hot(y_true, self.num_classes, dtype=config.floatx())
        if sample_weight is not None:
            # The matrix counts in whole numbers unless the metric's dtype is a float.
            sample_weight = ops.cast(ops.cast(sample_weight, self.dtype), counts.dtype)
            counts = counts * ops.reshape(sample_weight, (-1, 1))
        if self.ignore_class is not None:
            valid = ops.not_equal(y_true, self.ignore_class)
            counts = counts * ops.expand_dims(ops.cast(valid, counts.dtype), -1)
        predicted = ops.one_hot(y_pred, self.num_classes, dtype=counts.dtype)
        matrix = ops.matmul(ops.transpose(counts), predicted)
        self.total_cm.assign_add(ops.cast(matrix, self.dtype))

    def reset_state(self) -> None:
        self.total_cm.assign(ops.zeros(self.total_cm.shape, dtype=self.total_cm.dtype))


class IoU(_ConfusionMatrix):
    """The mean intersection over union of some classes.

    Args:
        num_classes: The number of classes.
        target_class_ids: The classes that count.
        name, dtype: As in `Metric`.
        ignore_class: A class whose elements count for nothing.
        sparse_y_true: Whether targets are class numbers, not one-hot.
        sparse_y_pred: Whether predictions are class numbers, not one per class.
        axis: The axis of the classes.

    Raises:
        ValueError: A class number is out of range.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"Target class id {max(target_class_ids)} is out of range, which is "
                f"[{0}, {num_classes})."
            )
        self.target_class_ids = list(target_class_ids)

    def result(self) -> Any:
        dtype = config.floatx()
        matrix = ops.cast(self.total_cm, dtype)
        diagonal = ops.sum(matrix * ops.eye(self.num_classes, dtype=dtype), axis=0)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - diagonal
        ids = ops.convert_to_tensor(self.target_class_ids, dtype="int32")
        diagonal, union = ops.take(diagonal, ids, axis=0), ops.take(union, ids, axis=0)
        seen = ops.sum(ops.cast(ops.not_equal(union, 0), dtype))
        return ops.divide_no_nan(ops.sum(diagonal / (union + config.epsilon())), seen)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }


class BinaryIoU(IoU):
    """The mean intersection over union of the classes 0 and 1.

    Args:
        target_class_ids: Which of 0 and 1 count.
        threshold: Predictions from it on are 1.
        name, dtype: As in `Metric`.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of labels 0 and 1, predictions and, where given, weights."""
        y_pred = ops.convert_to_tensor(y_pred)
        # Rounding of the threshold in a lower precision must not change a comparison.
        y_pred = ops.cast(y_pred >= ops.cast(self.threshold, y_pred.dtype), "int32")
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {
            "target_class_ids": self.target_class_ids,
            "threshold": self.threshold,
            "name": self.name,
            "dtype": self.dtype,
        }


class MeanIoU(IoU):
    """The mean intersection over union of all classes.

    Args:
        num_classes: The number of classes.
        name, dtype: As in `Metric`.
        ignore_class: A class whose elements count for nothing.
        sparse_y_true: Whether targets are class numbers, not one-hot.
        sparse_y_pred: Whether predictions are class numbers, not one per class.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            list(range(num_classes)),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["target_class_ids"]
        return config


class OneHotIoU(IoU):
    """The mean intersection over union of some classes, with one-hot targets.

    Args:
        num_classes: The number of classes.
        target_class_ids: The classes that count.
        name, dtype: As in `Metric`.
        ignore_class: A class whose elements count for nothing.
        sparse_y_pred: Whether predictions are class numbers, not one per class.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


class OneHotMeanIoU(MeanIoU):
    """The mean intersection over union of all classes, with one-hot targets.

    Args:
        num_classes: The number of classes.
        name, dtype: As in `Metric`.
        ignore_class: A class whose elements count for nothing.
        sparse_y_pred: Whether predictions are class numbers, not one per class.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        return config
