"""Callbacks that steer training."""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Callable
from typing import Any

from cornu.callbacks.callback import Callback
from cornu.utils.progbar import print_message


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: Functions of `(epoch, logs)`.
        on_train_begin, on_train_end: Functions of `(logs)`.
        on_train_batch_begin, on_train_batch_end: Functions of `(batch, logs)`.
        **kwargs: Any other hook by its name.

    >>> keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update(kwargs)
        self.__dict__.update((name, hook) for name, hook in hooks.items() if hook is not None)


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: A function of `(epoch, learning_rate)`, or of `(epoch)`.
        verbose: 1 to print what is done.

    >>> keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not hasattr(self.model.optimizer, "learning_rate"):
            raise ValueError('Optimizer must have a "learning_rate" attribute.')
        try:
            rate = self.schedule(epoch, float(self.model.optimizer.learning_rate))
        except TypeError:
            rate = self.schedule(epoch)
        try:
            rate = float(rate)
        except (TypeError, ValueError):
            raise ValueError(
                f"The output of the `schedule` function should be a float. Got: {rate}"
            ) from None
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            print_message(
                f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback):
    """Stops training when the loss is no finite number.

    Args:
        raise_error: Whether that raises a `RuntimeError`.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. "
                "Terminating training immediately."
            )
        print_message(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class SwapEMAWeights(Callback):
    """Evaluates and ends with the moving averages of the weights in place of the weights.

    Args:
        swap_on_epoch: Whether they are also swapped at the end of each epoch, as a saving of
            checkpoints would want.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        optimizer = getattr(model, "optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. "
                f"Received: use_ema={getattr(optimizer, 'use_ema', None)}"
            )
        self._optimizer = optimizer

    def _swap(self, swapped: bool) -> None:
        if self._swapped == swapped or not self._optimizer.built:
            return
        for variable, average in self._optimizer.averages():
            value = variable.numpy()
            variable.assign(average.value)
            average.assign(value)
        self._swapped = swapped

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.swap_on_epoch:
            return
        self._swap(True)
        if epoch == self.params["epochs"] - 1 or self.model.stop_training:
            # The end of training puts the averages in place of the weights: here, once more.
            for variable, average in self._optimizer.averages():
                average.assign(variable.value)

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap(False)


class BackupAndRestore(Callback):
    """Keeps a backup of model and optimizer, from which an interrupted `fit` goes on.

    Args:
        backup_dir: The folder of the backup, of this run alone.
        save_freq: `"epoch"`, or after how many batches to save.
        double_checkpoint: Whether the backup before the last is kept too.
        delete_checkpoint: Whether the backup is removed after training.

    Raises:
        ValueError: `backup_dir` is empty, or `save_freq` none of the above.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"Invalid value for argument `save_freq`. Received: save_freq={save_freq}. "
                "Expected either 'epoch' or an integer value."
            )
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._weights_path = os.path.join(self.backup_dir, "latest.weights.h5")
        self._metadata_path = os.path.join(self.backup_dir, "training_metadata.json")
        self._current_epoch = 0
        self._last_batch = 0
        self._batches_since_save = 0

    def on_train_begin(self, logs: Any = None) -> None:
        metadata = self._restore()
        if metadata is not None:
            self.model._initial_epoch = metadata["epoch"]

    def _restore(self) -> dict[str, Any] | None:
        """Loads the newest backup that is whole; the one before stands in for it."""
        for suffix in ("", "_prev"):
            weights, metadata = (
                _with_suffix(path, suffix) for path in (self._weights_path, self._metadata_path)
            )
            if not (os.path.exists(weights) and os.path.exists(metadata)):
                continue
            try:
                with open(metadata) as file:
                    values = json.load(file)
                self.model.load_weights(weights)
            except (OSError, ValueError, KeyError) as error:
                warnings.warn(f"The backup {weights} cannot be read: {error}", stacklevel=3)
                continue
            return values
        return None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch + 1
        self._last_batch = 0
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches_since_save += 1
        self._last_batch = batch
        if self._batches_since_save >= self.save_freq:
            self._batches_since_save = 0
            self._save()

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint:
            for path in (self._weights_path, self._metadata_path):
                if os.path.exists(path):
                    os.replace(path, _with_suffix(path, "_prev"))
        self.model.save_weights(self._weights_path, overwrite=True)
        # The metadata is written last, and at once: a crash leaves the backup before.
        temporary = self._metadata_path + ".tmp"
        with open(temporary, "w") as file:
            json.dump({"epoch": self._current_epoch, "batch": self._last_batch}, file)
        os.replace(temporary, self._metadata_path)

    def on_train_end(self, logs: Any = None) -> None:
        if not self.delete_checkpoint:
            return
        for path in (self._weights_path, self._metadata_path):
            for suffix in ("", "_prev"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(_with_suffix(path, suffix))
        with contextlib.suppress(OSError):
            os.rmdir(self.backup_dir)


def _with_suffix(path: str, suffix: str) -> str:
    stem, dot, ending = path.partition(".weights.h5" if path.endswith(".h5") else ".json")
    return f"{stem}{suffix}{dot}{ending}"
