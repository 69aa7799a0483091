"""Gradients of what was computed."""

from typing import Any

from cornu import _cornu, tree
from cornu.scopes import state
from cornu.tensor import Tensor, convert_to_tensor
from cornu.variable import Variable


class GradientTape:
    """Records what is computed inside, for gradients.

    Trainable variables that are read inside are watched by themselves.

    Args:
        persistent: whether `gradient` can be asked for more than once.
        watch_accessed_variables: whether variables that are read are watched.

    >>> x = Variable(3.0)
    >>> with GradientTape() as tape:
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._arguments = {
            "persistent": persistent,
            "watch_accessed_variables": watch_accessed_variables,
        }
        self.reset()

    def reset(self) -> None:
        """Forgets what was recorded."""
        self._tape = _cornu.Tape(**self._arguments)

    def __enter__(self) -> "GradientTape":
        self._tape.__enter__()
        state.tapes += 1
        return self

    def __exit__(self, *error: Any) -> None:
        state.tapes -= 1
        self._tape.__exit__(*error)

    def watch(self, tensor: Any) -> None:
        """Watches tensors or variables, in any structure.

        Raises:
            ValueError: if something else is given.
        """
        for value in tree.flatten(tensor):
            if isinstance(value, Variable):
                self._tape.watch(value._storage)
            elif isinstance(value, Tensor):
                self._tape.watch(value)
            else:
                raise ValueError(
                    f"Passed in object {value} of type '{type(value).__name__}', not a tensor or "
                    "a variable."
                )

    def stop_recording(self) -> Any:
        """Returns a context in which nothing is recorded."""
        return _cornu.StopRecording()

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
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f"Unknown value for unconnected_gradients: '{unconnected_gradients}'. Expected "
                "'none' or 'zero'."
            )
        flat = tree.flatten(sources)
        targets = [
            convert_to_tensor(t.value if isinstance(t, Variable) else t)
            for t in tree.flatten(target)
        ]
        if output_gradients is not None:
            output_gradients = [
                None if g is None else convert_to_tensor(g) for g in tree.flatten(output_gradients)
            ]
            if len(output_gradients) != len(targets):
                raise ValueError(
                    f"Expected one of `output_gradients` for each of {len(targets)} targets, "
                    f"received {len(output_gradients)}."
                )
        gradients = self._tape.gradient(
            targets,
            [s._storage if isinstance(s, Variable) else s for s in flat],
            output_gradients,
        )
        if unconnected_gradients == "zero":
            from cornu import ops

            gradients = [
                ops.zeros(s.shape, dtype=s.dtype) if g is None else g
                for g, s in zip(gradients, flat, strict=True)
            ]
        return tree.pack_sequence_as(sources, gradients)
