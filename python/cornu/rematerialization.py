"""Computing intermediate results again in the backward pass, in place of keeping them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from cornu import _cornu, tree
from cornu.scopes import state

_MODES = (None, "full", "activations", "larger_than", "list_of_layers")


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.open: list[RematScope] = []


_scopes = _Scopes()


class RematScope:
    """Says which of the layers made inside compute again, for gradients, what they don't keep.

    Values and gradients are the same; a step of training takes less memory and more time. What a
    layer takes and gives is kept, so that blocks of several layers gain most.

    Args:
        mode: `"full"`, `"activations"`, `"larger_than"`, `"list_of_layers"`, or None for nothing.
        output_size_threshold: for `"larger_than"`, the number of elements of an output.
        layer_names: for `"list_of_layers"`, the names of the layers.

    Raises:
        ValueError: if the mode is none of these.
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Sequence[str] | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(
                f"Invalid mode '{mode}'. Supported modes are: 'full', 'activations', "
                "'larger_than', 'list_of_layers', or None."
            )
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = layer_names or []

    def __enter__(self) -> RematScope:
        _scopes.open.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        _scopes.open.pop()


def current_scope() -> RematScope | None:
    """Returns the innermost open scope, None if there is none."""
    return _scopes.open[-1] if _scopes.open else None


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `f`, whose intermediate results are computed again when gradients are taken.

    In a traced step that a tape records, a call becomes one step, whose gradient is one step too;
    anywhere else it is a call of `f`. (Chen et al., 2016, Training Deep Nets with Sublinear Memory
    Cost.)

    Args:
        f: a function of tensors.

    >>> block = remat(lambda x: ops.sin(ops.exp(x)))
    """

    @functools.wraps(f)
    def rematerialized(*args: Any, **kwargs: Any) -> Any:
        # A stateless scope would keep what is assigned inside.
        if not (_cornu.tracing() and _cornu.recording()) or state.stateless is not None:
            return f(*args, **kwargs)
        from cornu.ops.core import as_one_step

        def masked() -> Any:
            outputs = f(*args, **kwargs)
            return outputs, tree.map_structure(
                lambda output: getattr(output, "_keras_mask", None), outputs
            )

        try:
            outputs, masks = as_one_step(masked)
        except _cornu.TraceError:  # it needs a value, or has a gradient of its own
            return f(*args, **kwargs)
        for output, mask in zip(tree.flatten(outputs), tree.flatten(masks), strict=True):
            if mask is not None:
                output._keras_mask = mask
        return outputs

    return rematerialized
