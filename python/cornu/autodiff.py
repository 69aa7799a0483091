"""Gradients of what was computed."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from cornu import _cornu, tree
from cornu.scopes import state
from cornu.tensor import Tensor, convert_to_tensor
from cornu.variable import Variable, variable_of

_USED = (
    "A non-persistent GradientTape can only be used to compute one set of gradients or jacobians"
)


class GradientTape:
    """Records what is computed inside, for gradients.

    Trainable variables that are read inside are watched by themselves.

    Args:
        persistent: whether gradients and jacobians can be asked for more than once; then those
            that are computed inside the tape's own context are recorded too.
        watch_accessed_variables: whether variables that are read are watched.

    >>> x = Variable(3.0)
    >>> with GradientTape() as tape:
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_accessed_variables = watch_accessed_variables
        self._recording = False
        self._watched: list[int] = []  # ids of variables, once the tape was played
        self._tape = self._fresh()

    def _fresh(self) -> Any:
        return _cornu.Tape(persistent=True, watch_accessed_variables=self._watch_accessed_variables)

    def _start(self) -> None:
        if self._recording:
            raise ValueError(
                "Tape is still recording. This can happen if you try to re-enter an "
                "already-active tape."
            )
        if self._tape is None:
            self._tape = self._fresh()
        self._tape.start()
        self._recording = True

    def _stop(self) -> None:
        if not self._recording:
            raise ValueError("Tape is not recording.")
        self._tape.stop()
        self._recording = False

    def reset(self) -> None:
        """Forgets what was recorded and watched, and goes on recording.

        Raises:
            ValueError: if the tape is not recording.
        """
        self._stop()
        self._tape = None
        self._start()

    def __enter__(self) -> "GradientTape":
        self._start()
        state.tapes += 1
        return self

    def __exit__(self, *error: Any) -> None:
        state.tapes -= 1
        if self._recording:
            self._stop()

    def watch(self, tensor: Any) -> None:
        """Watches tensors or variables, in any structure.

        Raises:
            ValueError: if something else is given.
        """
        for value in tree.flatten(tensor):
            if not isinstance(value, Variable | Tensor):
                raise ValueError(
                    f"Passed in object {value} of type '{type(value).__name__}', not a tensor or "
                    "a variable."
                )
            if self._tape is None:
                raise RuntimeError(_USED)
            self._tape.watch(_source(value))

    def watched_variables(self) -> tuple[Variable, ...]:
        """Returns the variables that were read while watched, in the order of their creation."""
        if self._tape is not None:
            self._watched = self._tape.watched_variables()
        found = [variable_of(storage) for storage in sorted(self._watched)]
        return tuple(variable for variable in found if variable is not None)

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Stops recording on this tape inside; other tapes go on.

        Raises:
            RuntimeError: if the tape is not recording.

        >>> with GradientTape() as tape:
        ...     loss = v * v
        ...     with tape.stop_recording():
        ...         gradient = tape.gradient(loss, v)
        """
        if not self._recording:
            raise RuntimeError("Trying to stop recording a tape which is not recording.")
        self._stop()
        try:
            yield
        finally:
            self._start()

    @contextlib.contextmanager
    def _playing(self) -> Iterator[None]:
        """Around what plays the tape backward: afterwards it is used up unless persistent."""
        if self._tape is None:
            raise RuntimeError(_USED)
        if self._persistent:
            yield
            return
        if self._recording:
            self._stop()
        yield
        self._watched = self._tape.watched_variables()
        self._tape = None

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Returns the gradients of `target` with respect to `sources`, in their structure.

        Args:
            target: a tensor or a structure of tensors; what is no scalar is summed.
            sources: tensors or variables, in any structure.
            output_gradients: gradients of the targets, ones if None.
            unconnected_gradients: `"none"` gives None for a source that the target doesn't
                depend on, `"zero"` gives zeros.

        Raises:
            RuntimeError: if it was asked before and the tape is not persistent.
            ValueError: if `unconnected_gradients` is neither, or there is not one of
                `output_gradients` for each target.
        """
        zero = _wants_zeros(unconnected_gradients)
        flat = tree.flatten(sources)
        targets = [_target(t) for t in tree.flatten(target)]
        if output_gradients is not None:
            output_gradients = [
                None if g is None else convert_to_tensor(g) for g in tree.flatten(output_gradients)
            ]
            if len(output_gradients) != len(targets):
                raise ValueError(
                    f"Expected one of `output_gradients` for each of {len(targets)} targets, "
                    f"received {len(output_gradients)}."
                )
        with self._playing():
            gradients = self._tape.gradient(targets, [_source(s) for s in flat], output_gradients)
        if zero:
            gradients = [
                _zeros(s.shape, s) if g is None else g for g, s in zip(gradients, flat, strict=True)
            ]
        return tree.pack_sequence_as(sources, gradients)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Returns the derivatives of each entry of `target` by each entry of `sources`.

        The tape is played once for each entry of the target.

        Args:
            target: a tensor.
            sources: tensors or variables, in any structure.
            unconnected_gradients: `"none"` or `"zero"`, as for `gradient`.
            parallel_iterations: taken as TensorFlow's name, and not needed.
            experimental_use_pfor: taken as TensorFlow's name, and not needed.

        Returns:
            A tensor of the shape `target.shape + source.shape` for each source.

        Raises:
            RuntimeError: if the tape was played before and is not persistent.
            ValueError: if `unconnected_gradients` is neither.

        >>> x = Variable([1.0, 2.0])
        >>> with GradientTape() as tape:
        ...     y = x * x
        >>> tape.jacobian(y, x).numpy().tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        """
        del parallel_iterations, experimental_use_pfor
        zero = _wants_zeros(unconnected_gradients)
        target, flat = _target(target), tree.flatten(sources)
        shape = tuple(target.shape)
        columns = self._derivatives(target, flat, (), shape)
        jacobians = [
            _stacked(column, 0, (*shape, *source.shape))
            if any(part is not None for part in column)
            else (_zeros((*shape, *source.shape), source) if zero else None)
            for column, source in zip(columns, flat, strict=True)
        ]
        return tree.pack_sequence_as(sources, jacobians)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Tensor:
        """Returns the derivatives of each sample of `target` by the same sample of `source`.

        A sample of the target may depend on its own sample of the source alone. The tape is played
        once for each entry of a sample.

        Args:
            target: a tensor of shape `(batch, ...)` and at least two axes.
            source: a tensor or variable of shape `(batch, ...)` and at least two axes.
            unconnected_gradients: `"none"` or `"zero"`; either way zeros are returned.
            parallel_iterations: taken as TensorFlow's name, and not needed.
            experimental_use_pfor: taken as TensorFlow's name, and not needed.

        Returns:
            A tensor of the shape `target.shape + source.shape[1:]`.

        Raises:
            RuntimeError: if the tape was played before and is not persistent.
            ValueError: if there are too few axes, or batches of different sizes.
        """
        del parallel_iterations, experimental_use_pfor
        _wants_zeros(unconnected_gradients)
        target = _target(target)
        shape, source_shape = tuple(target.shape), tuple(source.shape)
        if min(len(shape), len(source_shape)) < 2 or shape[0] != source_shape[0]:
            raise ValueError(
                "`batch_jacobian` expects target and source to have at least two axes and equal "
                f"first axes. Received shapes: target={shape}, source={source_shape}"
            )
        (column,) = self._derivatives(target, [source], shape[:1], shape[1:])
        jacobian = (*shape, *source_shape[1:])
        if all(part is None for part in column):
            return _zeros(jacobian, source)
        return _stacked(column, 1, jacobian)

    def _derivatives(self, target: Tensor, sources: list, batch: tuple, shape: tuple) -> list:
        """Returns for each source the gradients of each entry of a target's part."""
        from cornu import ops

        count = math.prod(int(size) for size in shape)
        columns: list[list] = [[] for _ in sources]
        with self._playing():
            for entry in range(count):
                seed = ops.reshape(ops.one_hot(entry, count, dtype=target.dtype), shape)
                seed = ops.broadcast_to(seed, (*batch, *shape))
                found = self._tape.gradient([target], [_source(s) for s in sources], [seed])
                for column, gradient in zip(columns, found, strict=True):
                    column.append(gradient)
        return columns


def _wants_zeros(unconnected_gradients: str) -> bool:
    if unconnected_gradients not in ("none", "zero"):
        raise ValueError(
            f"Unknown value for unconnected_gradients: '{unconnected_gradients}'. Expected "
            "'none' or 'zero'."
        )
    return unconnected_gradients == "zero"


def _target(value: Any) -> Tensor:
    return convert_to_tensor(value.value if isinstance(value, Variable) else value)


def _source(value: Any) -> Any:
    return value._storage if isinstance(value, Variable) else value


def _zeros(shape: tuple, like: Any) -> Tensor:
    from cornu import ops

    return ops.zeros(shape, dtype=like.dtype)


def _stacked(parts: list, axis: int, shape: tuple) -> Tensor:
    from cornu import ops

    return ops.reshape(ops.stack(parts, axis), shape)
