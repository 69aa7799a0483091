"""The loops of `fit`, `evaluate` and `predict`, and the steps they run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np

from cornu import _cornu, compiled, config, ops, tree
from cornu.callbacks.callback import CallbackList, as_numbers
from cornu.scopes import eager_scope
from cornu.tensor import Tensor, holds_strings
from cornu.training.data import Source, make_source, unpack_x_y_sample_weight
from cornu.training.data.arrays import as_array as to_array
from cornu.training.data.arrays import in_model_dtype, is_array, train_validation_split


def make_step(model: Any, kind: str) -> Callable[[Any], Any]:
    """The function of a batch that runs `train_step`, `test_step` or `predict_step`.

    The first batch builds what is not built yet: the model, its optimizer, losses and metrics.
    """
    method = getattr(model, f"{kind}_step")
    # The steps of a model reach the same code; of a line in it that can't be traced one tells.
    told = next((other.told for other in (model._steps or {}).values()), set())
    traced = compiled.CompiledFunction(method, told=told)
    built = False

    def step(batch: Any) -> Any:
        nonlocal built
        if not built:
            build(model, batch, kind)
            built = True
        if model.run_eagerly:
            with eager_scope():
                result = method(_as_tensors(batch))
        else:
            result = traced(batch)
        if kind != "predict" and not isinstance(result, Mapping):
            raise TypeError(
                f"`{kind}_step` of model {model.name!r} must return a dict of what is logged. It "
                f"returned: {result} (of type {type(result)})"
            )
        return result

    def plan(batch: Any) -> Any:
        step(batch)
        return None if model.run_eagerly else traced.plan(batch)

    step.plan, step.told = plan, told
    return step


class StepFunction:
    """What `make_train_function` and the like set: it runs steps of the model on batches.

    Args:
        model: The model; each call runs `steps_per_execution` steps, as far as there are batches.
        kind: `"train"`, `"test"` or `"predict"`.
    """

    __slots__ = ("kind", "model")

    def __init__(self, model: Any, kind: str) -> None:
        self.model, self.kind = model, kind

    def __call__(self, batches: Iterable[Any]) -> Any:
        """Returns what the last step logs; of predictions, those of all steps."""
        step, batches = self.model._step(self.kind), iter(batches)
        result = step(next(batches))
        if self.model.steps_per_execution == 1:
            return result
        results = [result, *map(step, islice(batches, self.model.steps_per_execution - 1))]
        if self.kind != "predict":
            return results[-1]
        return tree.map_structure(lambda *parts: ops.concatenate(parts), *results)


def execute(model: Any, kind: str, batches: Iterator[Any]) -> Any:
    """What the model's function of this kind, or the one it was given, makes of batches."""
    function = getattr(model, f"{kind}_function") or model._function(kind)
    if type(function) is not StepFunction:
        batches = map(_as_tensors, batches)
    return function(batches)


def _as_tensors(batch: Any) -> Any:
    return tree.map_structure(_as_tensor, batch)


def _as_tensor(array: Any) -> Any:
    return array if array is None or holds_strings(array) else _cornu.tensor(array)


def _build_for(model: Any, source: Source, kind: str) -> None:
    """Builds what is not built yet, so that callbacks find it from the beginning."""
    parts = [model]
    if kind != "predict":
        parts += [model._compile_metrics, model._compile_loss]
    if kind == "train":
        parts.append(model.optimizer)
    if any(part is not None and not part.built for part in parts):
        batch = source.first()
        if batch is not None:
            build(model, batch, kind)


def build(model: Any, batch: Any, kind: str) -> None:
    """Runs a step's computation without values, so that every variable exists."""
    leaves = tree.flatten(batch)
    specs = [((None, *a.shape[1:]), str(a.dtype)) for a in leaves if a is not None]

    def forward(*values: Any) -> list[Any]:
        given = iter(values)
        data = tree.pack_sequence_as(batch, [None if a is None else next(given) for a in leaves])
        x, y, _ = unpack_x_y_sample_weight(data)
        y_pred = model._forward(x, training=False)
        if kind != "predict":
            _build_metrics(model, y, y_pred)
        return [leaf for leaf in tree.flatten(y_pred) if leaf is not None]

    if any(map(holds_strings, leaves)):
        forward(*(_as_tensor(a) for a in leaves if a is not None))
    metrics_built = model._compile_metrics is None or model._compile_metrics.built
    loss_built = model._compile_loss is None or model._compile_loss.built
    if not (model.built and (kind == "predict" or (metrics_built and loss_built))):
        try:
            _cornu.abstract(forward, specs)
        except _cornu.TraceError:
            # The model asks for values, so it gets some.
            forward(*(_cornu.tensor(a) for a in leaves if a is not None))
        except Exception:
            if _has_own_step(model, kind):
                return  # it may have no use for `call`, and builds what it uses
            raise
    optimizer = model.optimizer
    # Steps of a model's own may build what its `call` does not reach.
    complete = all(layer.built for layer in model._flatten_layers())
    if kind == "train" and complete and optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_weights)


def _has_own_step(model: Any, kind: str) -> bool:
    """Whether the model overrides a step, or the function that runs it."""
    from cornu.training.trainer import Trainer

    name = f"{kind}_step"
    overrides = getattr(type(model), name) is not getattr(Trainer, name)
    return overrides or type(model._function(kind)) is not StepFunction


def _build_metrics(model: Any, y: Any, y_pred: Any) -> None:
    if y is None:
        return
    for part in (model._compile_metrics, model._compile_loss):
        if part is not None and not part.built:
            part.build(y, y_pred)


class _Epochs:
    """The batches of epoch after epoch, of as many steps as asked for."""

    def __init__(self, source: Source, steps: int | None) -> None:
        limit = config.max_steps_per_epoch()
        self.source = source
        known = source.num_batches
        self.steps = steps if limit is None else min(steps or known or limit, limit)
        self._running: Iterator[Any] | None = None
        self._seen = 0

    @property
    def num_batches(self) -> int | None:
        """The number of batches of an epoch, `None` if unknown."""
        return self.steps or self.source.num_batches

    def __iter__(self) -> Iterator[Any]:
        if self.steps is None:
            self.source.on_epoch_begin()
            yield from self.source
            self.source.on_epoch_end()
            return
        for _ in range(self.steps):
            known = self.source.num_batches
            if self._running is None or (known is not None and self._seen >= known):
                if self._running is not None:
                    self.source.on_epoch_end()
                self.source.on_epoch_begin()
                self._running, self._seen = iter(self.source), 0
            try:
                batch = next(self._running)
            except StopIteration:
                self._running = None
                warnings.warn(
                    "Your input ran out of data; interrupting epoch. Make sure that your dataset "
                    "or generator can generate at least `steps_per_epoch * epochs` batches. You "
                    "may need to use the `.repeat()` function when building your dataset.",
                    stacklevel=3,
                )
                return
            self._seen += 1
            yield batch


def _verbosity(verbose: int | str) -> int:
    return 1 if verbose == "auto" else int(verbose)


def _callbacks(
    callbacks: Any, model: Any, verbose: int, epochs: int, steps: int | None, history: bool
) -> CallbackList:
    if isinstance(callbacks, CallbackList):
        return callbacks
    return CallbackList(
        callbacks,
        add_history=history,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=steps,
    )


# The attribute of a model by which a callback ends a loop.
_STOP = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}


def _run_epoch(
    model: Any,
    batches: Iterable[Any],
    callbacks: CallbackList,
    mode: str,
    logs_of: Callable[[Any], Any] = lambda result: result,
) -> Any:
    """Runs a step per batch and gives the logs of the last one, `None` if there was none.

    Logs stay tensors until a callback looks at them. Callbacks are told of the first and the last
    batch that a call of the model's function has taken.
    """
    begins = callbacks.listens(f"on_{mode}_batch_begin")
    ends = callbacks.listens(f"on_{mode}_batch_end")
    on_begin = getattr(callbacks, f"on_{mode}_batch_begin")
    on_end = getattr(callbacks, f"on_{mode}_batch_end")
    logs = None
    number = -1

    def counted() -> Iterator[Any]:
        nonlocal number
        for batch in batches:
            number += 1
            yield batch

    running = counted()
    model._function(mode)
    for batch in running:
        if begins:
            on_begin(number)
        try:
            logs = logs_of(execute(model, mode, chain((batch,), running)))
        except StopIteration:  # a function of the model's own asks for more batches than there are
            break
        if ends:
            on_end(number, logs)
        if getattr(model, _STOP[mode]):
            break
    return logs


def fit(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: int | str,
    callbacks: Any,
    validation_split: float,
    validation_data: Any,
    shuffle: bool | str,
    class_weight: dict[int, float] | None,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: int | Iterable[int],
) -> Any:
    """See `Trainer.fit`."""
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = train_validation_split(
            (x, y, sample_weight), validation_split
        )
    validation = None
    if validation_data is not None:
        validation = _validation_source(validation_data, validation_batch_size or batch_size)
    verbose = _verbosity(verbose)
    limit = config.max_epochs()
    if limit is not None:
        epochs = min(epochs, limit)
    source = make_source(x, y, sample_weight, batch_size, shuffle, class_weight)
    batches = _Epochs(source, steps_per_epoch)
    callbacks = _callbacks(callbacks, model, verbose, epochs, batches.num_batches, history=True)
    model.stop_training = False
    model._initial_epoch = initial_epoch
    logs: dict[str, Any] = {}
    try:
        _build_for(model, source, "train")
        callbacks.on_train_begin()
        for epoch in range(model._initial_epoch, epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            last = _run_epoch(model, batches, callbacks, "train")
            if last is None and epoch == model._initial_epoch:
                raise ValueError("The data to train on has no batches.")
            if last is None:
                warnings.warn("Your input ran out of data; interrupting training.", stacklevel=3)
                break
            logs = _epoch_logs(model, last)
            if validation is not None and _validates(epoch, validation_freq):
                values = evaluate_source(model, validation, validation_steps, callbacks)
                logs.update({f"val_{name}": value for name, value in values.items()})
            callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
    finally:
        source.close()
        if validation is not None:
            validation.close()
    if model.optimizer is not None and model.optimizer.built and epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    callbacks.on_train_end(logs)
    return model.history


def _validation_source(data: Any, batch_size: int | None) -> Source:
    if isinstance(data, (tuple, list)) and not is_array(data):
        return make_source(*unpack_x_y_sample_weight(data), batch_size=batch_size)
    return make_source(data, batch_size=batch_size)


def _validates(epoch: int, validation_freq: int | Iterable[int]) -> bool:
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    if isinstance(validation_freq, (list, tuple, set, range)):
        return epoch + 1 in validation_freq
    raise ValueError(
        "Expected `validation_freq` to be a list or int. "
        f"Received: validation_freq={validation_freq} of the type {type(validation_freq)}."
    )


def _epoch_logs(model: Any, last: Any) -> dict[str, Any]:
    """The metrics of an epoch; a step that logs other names decides itself."""
    results = model.get_metrics_result()
    if isinstance(last, dict) and set(last) != set(results):
        results = last
    return dict(results)


def evaluate_source(
    model: Any, source: Source, steps: int | None, callbacks: CallbackList
) -> dict[str, Any]:
    """Runs `test_step` over a source and gives the metrics."""
    model.reset_metrics()
    model.stop_evaluating = False
    callbacks.on_test_begin()
    last = _run_epoch(model, _Epochs(source, steps), callbacks, "test")
    if last is None:
        raise ValueError("The data to evaluate on has no batches.")
    logs = as_numbers(_epoch_logs(model, last))
    callbacks.on_test_end(logs)
    return logs


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    verbose: int | str,
    sample_weight: Any,
    steps: int | None,
    callbacks: Any,
) -> dict[str, Any]:
    """See `Trainer.evaluate`."""
    source = make_source(x, y, sample_weight, batch_size)
    count = steps or source.num_batches
    callbacks = _callbacks(callbacks, model, _verbosity(verbose), 1, count, history=False)
    try:
        _build_for(model, source, "test")
        return evaluate_source(model, source, steps, callbacks)
    finally:
        source.close()


def predict(
    model: Any,
    x: Any,
    *,
    batch_size: int | None,
    verbose: int | str,
    steps: int | None,
    callbacks: Any,
) -> Any:
    """See `Trainer.predict`."""
    function = model.predict_function or model._function("predict")
    quiet = verbose == 0 and not callbacks and steps is None and type(function) is StepFunction
    if quiet and isinstance(x, np.ndarray) and x.ndim and 0 < len(x) <= (batch_size or 32):
        outputs = model._step("predict")(in_model_dtype(to_array(x)))
        if type(outputs) is Tensor:
            return outputs.numpy()
        return tree.map_structure(as_array, outputs)
    source = make_source(x, batch_size=batch_size)
    batches = _Epochs(source, steps)
    callbacks = _callbacks(
        callbacks, model, _verbosity(verbose), 1, batches.num_batches, history=False
    )
    collected = _Outputs(source.num_samples if steps is None else None)

    def taken(outputs: Any) -> dict[str, Any]:
        collected.add(outputs)
        return {"outputs": outputs}

    model.stop_predicting = False
    try:
        _build_for(model, source, "predict")
        callbacks.on_predict_begin()
        _run_epoch(model, batches, callbacks, "predict", taken)
    finally:
        source.close()
    callbacks.on_predict_end()
    return collected.result()


def as_array(output: Any) -> np.ndarray:
    """An output as an array of its own."""
    return output.numpy() if hasattr(output, "numpy") else np.array(output)


class _Outputs:
    """The outputs of all batches, in one array each.

    Args:
        num_samples: The number of samples, `None` if it is unknown.
    """

    def __init__(self, num_samples: int | None) -> None:
        self.num_samples = num_samples
        self._structure: Any = None
        self._whole: list[np.ndarray] | None = None
        self._parts: list[list[np.ndarray]] = []
        self._filled = 0

    def add(self, outputs: Any) -> None:
        """Takes in the outputs of a batch."""
        leaves = [np.asarray(leaf) for leaf in tree.flatten(outputs)]
        if self._structure is None:
            self._structure = outputs
            if self.num_samples is not None and all(leaf.ndim for leaf in leaves):
                self._whole = [
                    np.empty((self.num_samples, *leaf.shape[1:]), leaf.dtype) for leaf in leaves
                ]
        stop = self._filled + (leaves[0].shape[0] if leaves[0].ndim else 1)
        if (
            self._whole is not None
            and all(
                leaf.shape[1:] == array.shape[1:] and leaf.shape[0] == stop - self._filled
                for leaf, array in zip(leaves, self._whole, strict=True)
            )
            and stop <= self.num_samples
        ):
            for leaf, array in zip(leaves, self._whole, strict=True):
                array[self._filled : stop] = leaf
            self._filled = stop
            return
        if self._whole is not None:
            # Outputs that do not come sample by sample are joined as they are.
            self._parts = [[array[: self._filled].copy()] for array in self._whole]
            self._whole = None
        if not self._parts:
            self._parts = [[] for _ in leaves]
        for leaf, parts in zip(leaves, self._parts, strict=True):
            parts.append(leaf)

    def result(self) -> Any:
        """The arrays, in the structure of the outputs.

        Raises:
            ValueError: There was no batch.
        """
        if self._structure is None:
            raise ValueError("The data to predict on has no batches.")
        if self._whole is not None:
            arrays = [array[: self._filled] for array in self._whole]
        else:
            arrays = [_joined(parts) for parts in self._parts]
        return tree.pack_sequence_as(self._structure, arrays)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    if not parts[0].ndim:
        return np.stack(parts)
    return np.concatenate([part for part in parts if len(part) or len(parts) == 1])
