"""What makes a model trainable: compile, fit, evaluate, predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cornu import config, ops, saving, tree
from cornu.callbacks.callback import as_numbers
from cornu.training import loops
from cornu.training.compile import CompileLoss, CompileMetrics
from cornu.training.data import unpack_x_y_sample_weight
from cornu.training.data.arrays import one_batch
from cornu.training.data.sequence import prepared

# Attributes that are no part of what a step computes: setting one traces nothing anew, and
# what it holds is not among the layers, variables and metrics of the model.
_STATE = frozenset(
    {
        "compiled",
        "history",
        "loss",
        "optimizer",
        "predict_function",
        "steps_per_execution",
        "stop_evaluating",
        "stop_predicting",
        "stop_training",
        "test_function",
        "train_function",
        "_compile_config",
        "_compile_loss",
        "_compile_metrics",
        "_initial_epoch",
        "_jit_compile",
        "_loss_tracker",
        "_run_eagerly",
        "_steps",
        "_validation_source",
    }
)

# The part of that which copies of a model don't get.
_OF_RUNS = frozenset(
    {
        "history",
        "predict_function",
        "test_function",
        "train_function",
        "_steps",
        "_validation_source",
    }
)


class Trainer:
    """The part of `Model` that trains; a step is traced into one plan."""

    compiled = False
    loss: Any = None
    optimizer: Any = None
    history: Any = None
    stop_evaluating = False
    stop_predicting = False
    stop_training = False
    steps_per_execution = 1
    train_function: Callable[[Iterator[Any]], Any] | None = None
    test_function: Callable[[Iterator[Any]], Any] | None = None
    predict_function: Callable[[Iterator[Any]], Any] | None = None
    _compile_config: dict[str, Any] | None = None
    _compile_loss: CompileLoss | None = None
    _compile_metrics: CompileMetrics | None = None
    _initial_epoch = 0
    _jit_compile: bool | str = "auto"
    _loss_tracker: Any = None
    _run_eagerly = False
    _steps: dict[str, Callable[..., Any]] | None = None
    _validation_source: Any = None

    def __getstate__(self) -> dict[str, Any]:
        # Steps are bound to the model that they were traced for.
        return {k: v for k, v in super().__getstate__().items() if k not in _OF_RUNS}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _STATE:
            object.__setattr__(self, name, value)
            if name == "optimizer":
                self.reset_functions()
        else:
            super().__setattr__(name, value)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Sets what the model is trained with.

        Args:
            optimizer: An optimizer, or its name.
            loss: A loss, its name or a function; or a structure of them like the outputs.
            loss_weights: The weight of each loss.
            metrics: A list of metrics; or a structure of lists like the outputs.
            weighted_metrics: The same, of metrics that sample weights apply to.
            run_eagerly: Whether steps run operation by operation, untraced.
            steps_per_execution: How many batches count as one step of a callback.
            jit_compile: Accepted; steps are always compiled unless `run_eagerly`, beside which
                True is taken back with a warning.
            auto_scale_loss: Whether a model in float16 gets a `LossScaleOptimizer`.

        Raises:
            ValueError: An identifier is unknown.

        >>> model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        """
        from cornu import metrics as metrics_module
        from cornu import optimizers

        if run_eagerly and jit_compile is True:
            warnings.warn(
                "With `run_eagerly=True` nothing is compiled: `jit_compile=True` is taken back.",
                stacklevel=2,
            )
            jit_compile = False
        config_of_call = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        optimizer = optimizers.get(optimizer)
        in_float16 = optimizer is not None and self.dtype_policy.name == "mixed_float16"
        scaled = isinstance(optimizer, optimizers.LossScaleOptimizer)
        if in_float16 and auto_scale_loss and not scaled:
            optimizer = optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
        names = getattr(self, "output_names", None)
        self.optimizer = optimizer
        self.loss = loss
        self._compile_loss = (
            None if loss is None else CompileLoss(loss, loss_weights, output_names=names)
        )
        self._compile_metrics = (
            CompileMetrics(metrics, weighted_metrics, name="compile_metrics", output_names=names)
            if metrics or weighted_metrics
            else None
        )
        self._loss_tracker = metrics_module.Mean(name="loss")
        self._run_eagerly = run_eagerly
        self._jit_compile = jit_compile
        self.steps_per_execution = steps_per_execution or 1  # old files have None
        self.stop_training = False
        self.compiled = True
        self._compile_config = config_of_call
        self.reset_functions()
        self.train_function = self.test_function = self.predict_function = None

    def reset_functions(self) -> None:
        """Forgets the traced steps, for instance after the model's code has changed."""
        self._steps = None

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run operation by operation, untraced."""
        return self._run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._run_eagerly = value
        self.reset_functions()

    @property
    def jit_compile(self) -> bool:
        """Whether steps are compiled; `"auto"` means they are unless `run_eagerly`."""
        return not self._run_eagerly if self._jit_compile == "auto" else bool(self._jit_compile)

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        self._jit_compile = value

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, the metrics that `compile` was given, the model's and its layers' own.

        What models inside count for their own training is no part of it.
        """
        found: list[Any] = []
        if self._loss_tracker is not None:
            found.append(self._loss_tracker)
        if self._compile_metrics is not None:
            found.append(self._compile_metrics)
        if self._compile_loss is not None:
            found.extend(self._compile_loss.metrics)
        found.extend(self._metrics)
        for layer in self._flatten_layers(include_self=False):
            if not isinstance(layer, Trainer):
                found.extend(layer._metrics)
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Resets the state of all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The present value of all metrics, by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, Mapping) else {metric.name: value})
        return results

    # What a step computes. A model may override each of these.

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The total loss of a batch, with the losses that layers and regularizers add.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: Outputs.
            sample_weight: Sample weights.
            training: Whether the model is being trained.
        """
        losses = []
        if self._compile_loss is not None:
            loss = self._compile_loss(y, y_pred, sample_weight)
            if loss is not None:
                losses.append(loss)
        losses.extend(ops.sum(ops.cast(loss, config.floatx())) for loss in self.losses)
        if not losses:
            if self._compile_loss is None and training:
                warnings.warn("The model does not have any loss to compute.", stacklevel=2)
            return ops.zeros((), dtype=config.floatx())
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics of `compile` with a batch, and gives the values of all metrics.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: Outputs.
            sample_weight: Sample weights.
        """
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _forward(self, x: Any, training: bool) -> Any:
        return self(x, training=training) if self._call_has_training_arg else self(x)

    def _track_loss(self, x: Any, loss: Any) -> None:
        size = next(ops.shape(leaf)[0] for leaf in tree.flatten(x) if leaf is not None)
        self._loss_tracker.update_state(loss, sample_weight=size)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Learns from a batch.

        Args:
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            The values that are logged.
        """
        from cornu.autodiff import GradientTape

        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            scaled = loss if self.optimizer is None else self.optimizer.scale_loss(loss)
        self._track_loss(x, loss)
        variables = self.trainable_weights
        if variables:
            gradients = tape.gradient(scaled, variables)
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluates a batch.

        Args:
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            The values that are logged.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=False)
        loss = self.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
        )
        self._track_loss(x, loss)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch.

        Args:
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`; targets count for nothing.
        """
        x, _, _ = unpack_x_y_sample_weight(data)
        return self._forward(x, training=False)

    # How a step runs.

    def _step(self, kind: str) -> Callable[[tuple[Any, ...]], Any]:
        """The step of this kind (`"train"`, `"test"`, `"predict"`), traced unless eager."""
        steps = self._steps
        if steps is None:
            steps = self._steps = {}
        step = steps.get(kind)
        if step is None:
            step = steps[kind] = loops.make_step(self, kind)
        return step

    def make_train_function(self, force: bool = False) -> Callable[[Iterator[Any]], Any]:
        """Sets `train_function`, which takes batches from an iterator and learns from them.

        `fit` and `train_on_batch` run it; a model may override this method, or be given a
        `train_function`, to run something else.

        Args:
            force: Whether a function that is there is replaced, and steps are traced anew.

        Returns:
            The function; it returns what is logged.
        """
        return self._make_function("train", force)

    def make_test_function(self, force: bool = False) -> Callable[[Iterator[Any]], Any]:
        """Sets `test_function`, which takes batches from an iterator and evaluates them.

        Args:
            force: Whether a function that is there is replaced, and steps are traced anew.

        Returns:
            The function; it returns what is logged.
        """
        return self._make_function("test", force)

    def make_predict_function(self, force: bool = False) -> Callable[[Iterator[Any]], Any]:
        """Sets `predict_function`, which takes batches from an iterator and predicts.

        Args:
            force: Whether a function that is there is replaced, and steps are traced anew.

        Returns:
            The function; it returns the outputs.
        """
        return self._make_function("predict", force)

    def _make_function(self, kind: str, force: bool) -> Callable[[Iterator[Any]], Any]:
        attribute = f"{kind}_function"
        if force:
            self.reset_functions()
        function = getattr(self, attribute)
        if function is None or force:
            function = loops.StepFunction(self, kind)
            setattr(self, attribute, function)
        return function

    def _function(self, kind: str) -> Callable[[Iterator[Any]], Any]:
        """The function that loops run; a model may make its own, and set or return it."""
        attribute = f"{kind}_function"
        made = getattr(self, f"make_{kind}_function")()
        if getattr(self, attribute) is None:
            setattr(self, attribute, made)
        return getattr(self, attribute)

    def _execute(self, kind: str, batch: Any) -> Any:
        """What the function of this kind makes of one batch."""
        self._function(kind)
        return loops.execute(self, kind, iter((batch,)))

    def _assert_compile_called(self, method_name: str | None = None) -> None:
        if not self.compiled:
            where = f" with `{method_name}()`" if method_name else ""
            raise ValueError(f"You must call `compile()` before using the model{where}.")

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> Any:
        """Trains the model.

        Args:
            x: Arrays in a structure like the inputs; or a `PyDataset`, a generator, a loader or
                an iterable of batches, which then hold the targets too.
            y: Targets, in a structure like the outputs.
            batch_size: Samples per batch, 32 by default.
            epochs: The number of the last epoch.
            verbose: 0 for nothing, 1 or `"auto"` for a progress bar, 2 for a line per epoch.
            callbacks: A list of callbacks.
            validation_split: The part of the samples, from the end, that validate.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or an iterable of batches.
            shuffle: Whether each epoch has its own order; `"batch"` keeps batches together.
            class_weight: The weight of each class of the targets.
            sample_weight: The weight of each sample.
            initial_epoch: The number of epochs already made.
            steps_per_epoch: Batches per epoch; by default all there are.
            validation_steps: Batches per validation; by default all there are.
            validation_batch_size: Samples per batch of validation.
            validation_freq: After how many epochs, or which epochs, to validate.

        Returns:
            A `History`.

        Raises:
            ValueError: The model is not compiled, or the data does not fit.

        >>> history = model.fit(x, y, epochs=2, verbose=0)
        """
        self._assert_compile_called("fit")
        return loops.fit(
            self,
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and metrics of the model on data.

        Args:
            x: As in `fit`.
            y: Targets, in a structure like the outputs.
            batch_size: Samples per batch, 32 by default.
            verbose: 0 for nothing, 1 or `"auto"` for a progress bar, 2 for a line.
            sample_weight: The weight of each sample.
            steps: How many batches; by default all there are.
            callbacks: A list of callbacks.
            return_dict: Whether the values come as a dict.

        Returns:
            The loss; with metrics, a list of the loss and their values, or a dict of them.

        Raises:
            ValueError: The model is not compiled, or the data does not fit.
        """
        self._assert_compile_called("evaluate")
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        logs = loops.evaluate(
            self,
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
        )
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs of the model, batch by batch.

        Args:
            x: As in `fit`.
            batch_size: Samples per batch, 32 by default.
            verbose: 0 for nothing, 1 or `"auto"` for a progress bar, 2 for a line.
            steps: How many batches; by default all there are.
            callbacks: A list of callbacks.

        Returns:
            Arrays in the structure of the outputs.

        >>> model.predict(x, verbose=0).shape
        (10, 1)
        """
        return loops.predict(
            self, x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Learns from one batch.

        Args:
            x: Inputs.
            y: Targets.
            sample_weight: The weight of each sample.
            class_weight: The weight of each class of the targets.
            return_dict: Whether the values come as a dict.

        Returns:
            The loss; with metrics, a list of the loss and their values, or a dict of them.

        Raises:
            ValueError: Both kinds of weights are given.
        """
        self._assert_compile_called("train_on_batch")
        if class_weight is not None and sample_weight is not None:
            raise ValueError(
                "Arguments `sample_weight` and `class_weight` cannot be specified at the same "
                f"time. Received: sample_weight={sample_weight}, class_weight={class_weight}"
            )
        batch = prepared((x, y, sample_weight), class_weight)
        self.reset_metrics()
        return self._logged(self._execute("train", batch), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and metrics of the model on one batch.

        Args:
            x: Inputs.
            y: Targets.
            sample_weight: The weight of each sample.
            return_dict: Whether the values come as a dict.

        Returns:
            The loss; with metrics, a list of the loss and their values, or a dict of them.
        """
        self._assert_compile_called("test_on_batch")
        batch = prepared((x, y, sample_weight), None)
        self.reset_metrics()
        return self._logged(self._execute("test", batch), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as arrays.

        Args:
            x: Inputs.
        """
        outputs = self._execute("predict", one_batch((x,)))
        return tree.map_structure(loops.as_array, outputs)

    def _logged(self, logs: dict[str, Any], return_dict: bool) -> Any:
        values = as_numbers(logs)
        return values if return_dict else self._in_order(values)

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Logs in the order of `metrics`; a single value stands alone."""
        names: list[str] = []
        for metric in self.metrics:
            inner = getattr(metric, "metrics", None)
            names.extend([part.name for part in inner] if inner else [metric.name])
        values = [logs[name] for name in names if name in logs]
        values.extend(logs[name] for name in sorted(logs) if name not in names)
        return values[0] if len(values) == 1 else values

    # Configs.

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile`, none if the model is not compiled."""
        if not self.compiled or self._compile_config is None:
            return {}
        given = {**self._compile_config, "optimizer": self.optimizer}
        given["jit_compile"] = self.jit_compile
        inner = getattr(self.optimizer, "inner_optimizer", None)
        if inner is not None and self._compile_config["optimizer"] is not self.optimizer:
            given["optimizer"] = inner
        return {name: _config_of(value) for name, value in given.items()}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles the model from what `get_compile_config` gave.

        Args:
            config: The arguments of `compile`.
        """
        from cornu import losses, metrics, optimizers

        if type(self).compile is not Trainer.compile:
            warnings.warn(
                "`compile()` was not called as part of model loading because the model's "
                "`compile()` method is custom. All subclassed Models that have `compile()` "
                "overridden should also override `get_compile_config()` and "
                "`compile_from_config(config)`. Alternatively, you can call `compile()` manually "
                "after loading.",
                stacklevel=2,
            )
            return
        restore = {
            "optimizer": optimizers.deserialize,
            "loss": losses.deserialize,
            "metrics": metrics.deserialize,
            "weighted_metrics": metrics.deserialize,
        }
        arguments = {name: _from_config(value, restore.get(name)) for name, value in config.items()}
        self.compile(**arguments)
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)


def _config_of(value: Any) -> Any:
    return tree.map_structure(
        lambda leaf: (
            leaf
            if leaf is None or isinstance(leaf, (str, int, float, bool))
            else saving.serialize_keras_object(leaf)
        ),
        value,
    )


def _from_config(value: Any, restore: Callable[[Any], Any] | None) -> Any:
    """An argument of `compile` from its config; a name stays a name."""
    if restore is None or value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping) and "class_name" in value:
        return restore(value)
    if isinstance(value, Mapping):
        return {key: _from_config(part, restore) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_from_config(part, restore) for part in value]
    return value
