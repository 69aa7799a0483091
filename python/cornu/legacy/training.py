"""Methods that models have in Keras 2."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cornu.training.compile import CompileMetrics


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(
        f"`Model.{name}` is deprecated and will be removed in a future version. "
        f"Please use {instead}.",
        stacklevel=3,
    )


class OldTraining:
    """What Keras 2's models have besides `fit`, `evaluate` and `predict`."""

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> Any:
        """Trains on the batches of a generator: `fit`, which takes generators itself."""
        _deprecated("fit_generator", "`Model.fit`, which supports generators")
        _set_workers(generator, max_queue_size, workers, use_multiprocessing)
        return self.fit(
            generator,
            steps_per_epoch=steps_per_epoch,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
            class_weight=class_weight,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
        )

    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int | str = 0,
    ) -> Any:
        """Evaluates the batches of a generator: `evaluate`, which takes generators itself."""
        _deprecated("evaluate_generator", "`Model.evaluate`, which supports generators")
        _set_workers(generator, max_queue_size, workers, use_multiprocessing)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int | str = 0,
    ) -> Any:
        """Predicts for the batches of a generator: `predict`, which takes generators itself."""
        _deprecated("predict_generator", "`Model.predict`, which supports generators")
        _set_workers(generator, max_queue_size, workers, use_multiprocessing)
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int | str = 0) -> np.ndarray:
        """Returns the outputs, which are the probabilities of classes."""
        _deprecated("predict_proba", "`model.predict()` instead")
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int | str = 0) -> np.ndarray:
        """Returns the most probable class of each sample; 0 or 1 if there is one output."""
        _deprecated("predict_classes", "`np.argmax(model.predict(x), axis=-1)` instead")
        outputs = self.predict(x, batch_size=batch_size, verbose=verbose)
        if outputs.shape[-1] > 1:
            return outputs.argmax(axis=-1)
        return (outputs > 0.5).astype("int32")

    def _make_train_function(self) -> None:
        _deprecated("_make_train_function", "`model.make_train_function()` instead")
        self.make_train_function()

    def _make_test_function(self) -> None:
        _deprecated("_make_test_function", "`model.make_test_function()` instead")
        self.make_test_function()

    def _make_predict_function(self) -> None:
        _deprecated("_make_predict_function", "`model.make_predict_function()` instead")
        self.make_predict_function()

    def compiled_loss(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        regularization_losses: Any = None,
    ) -> Any:
        """Returns the loss of `compile` plus others, and counts it in the mean loss."""
        loss = sum(regularization_losses or (), self._compile_loss(y_true, y_pred, sample_weight))
        self._track_loss(y_true, loss)
        return loss

    @property
    def compiled_metrics(self) -> Any:
        """The metrics of `compile`, as one."""
        return (
            CompileMetrics(None, None) if self._compile_metrics is None else self._compile_metrics
        )

    def reset_states(self) -> None:
        """Sets the states of all stateful layers back."""
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()


def _set_workers(generator: Any, size: int, workers: int, processes: bool) -> None:
    """Tells a dataset what its own constructor takes now."""
    if hasattr(generator, "use_multiprocessing"):
        generator.max_queue_size = size
        generator.workers = workers
        generator.use_multiprocessing = processes
