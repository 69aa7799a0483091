"""The base of every callback, and the list that `fit` and the like call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Callback:
    """What is told about the course of `fit`, `evaluate` and `predict`; override its hooks.

    `self.params` is a dict with the keys `verbose`, `epochs` and `steps`; `self.model` is the
    model. The logs of a batch are the running values since the epoch's beginning.

    >>> class Printer(keras.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, logs["loss"])
    """

    params: dict[str, Any] | None = None
    _model: Any = None

    def __init__(self) -> None:
        self.params = None
        self._model = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes the parameters of the run."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Takes the model of the run."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model of the run."""
        return self._model

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Another name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after an epoch, with its metrics and those of validation (`val_...`)."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of training."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of training, with the running metrics."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `evaluate` or of validation, with the running metrics."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `predict`, with its `outputs`."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Called before training."""

    def on_train_end(self, logs: Any = None) -> None:
        """Called after training, with the logs of the last epoch."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Called before `evaluate` or validation."""

    def on_test_end(self, logs: Any = None) -> None:
        """Called after `evaluate` or validation, with its metrics."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Called before `predict`."""

    def on_predict_end(self, logs: Any = None) -> None:
        """Called after `predict`."""


_BATCH_HOOKS = tuple(
    f"on_{mode}_batch_{moment}"
    for mode in ("train", "test", "predict")
    for moment in ("begin", "end")
)


def _overrides(callback: Callback, hook: str) -> bool:
    return hook in vars(callback) or getattr(type(callback), hook, None) is not getattr(
        Callback, hook
    )


def _listens(callback: Callback, hook: str) -> bool:
    if not isinstance(callback, Callback):
        return hasattr(callback, hook)
    alias = hook.replace("_train_", "_")
    return _overrides(callback, hook) or (alias != hook and _overrides(callback, alias))


def as_numbers(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Logs in the order of their names, with scalars as Python floats; whatever is no scalar stays.

    A metric that gives a dict stands where its own name would.
    """
    numbers: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, Mapping):
            numbers.update(as_numbers(value))
        else:
            numbers[name] = _as_number(value)
    return numbers


def _as_number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


class CallbackList(Callback):
    """A list of callbacks that is called like one.

    A hook of a batch reaches only the callbacks that override it, so a run that nobody
    watches batch by batch never waits for the metrics of a batch.

    Args:
        callbacks: The callbacks.
        add_history: Whether a `History` is added if there is none.
        add_progbar: Whether a `ProgbarLogger` is added if there is none.
        model: The model of the run.
        **params: The parameters of the run.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = _flat(callbacks)
        self._add_default_callbacks(add_history, add_progbar)
        self._listeners = {hook: [] for hook in _BATCH_HOOKS}
        for callback in self.callbacks:
            self._listen(callback)
        self.set_params(params)
        if model is not None:
            self.set_model(model)

    def _add_default_callbacks(self, add_history: bool, add_progbar: bool) -> None:
        from cornu.callbacks.progress import History, ProgbarLogger

        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        progress = next((c for c in self.callbacks if isinstance(c, ProgbarLogger)), None)
        if progress is None and add_progbar:
            self.callbacks.append(ProgbarLogger())
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)

    def _listen(self, callback: Any) -> None:
        if not hasattr(callback, "set_params"):
            raise AttributeError(
                "`callbacks` must be instances of `Callback`, or one of them. Received: "
                f"{callback} (of type {type(callback).__name__})"
            )
        for hook, listeners in self._listeners.items():
            if _listens(callback, hook):
                listeners.append(callback)

    def append(self, callback: Callback) -> None:
        """Adds a callback."""
        self.callbacks.append(callback)
        self._listen(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def listens(self, hook: str) -> bool:
        """Whether any callback overrides this hook of a batch."""
        return bool(self._listeners[hook])

    def _batch(self, hook: str, batch: int, logs: Any) -> None:
        from cornu.callbacks.progress import ProgbarLogger

        numbers = None
        for callback in self._listeners[hook]:
            if isinstance(callback, ProgbarLogger):
                # The bar itself decides whether the metrics are looked at.
                getattr(callback, hook)(batch, logs=logs)
                continue
            if numbers is None:
                numbers = as_numbers(logs) if logs is not None else None
            getattr(callback, hook)(batch, logs=numbers)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_train_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_train_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_predict_batch_end", batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        logs = as_numbers(logs)
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = as_numbers(logs)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def _whole(self, hook: str, logs: Any) -> None:
        logs = as_numbers(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(logs)

    def on_train_begin(self, logs: Any = None) -> None:
        self._whole("on_train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._whole("on_train_end", logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._whole("on_test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._whole("on_test_end", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._whole("on_predict_begin", logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._whole("on_predict_end", logs)


def _flat(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, Iterable) and not isinstance(callbacks, Callback):
        return [one for several in callbacks for one in _flat(several)]
    return [callbacks]
