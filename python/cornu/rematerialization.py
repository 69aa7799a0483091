"""Computing intermediate results again in the backward pass, in place of keeping them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

_MODES = (None, "full", "activations", "larger_than", "list_of_layers")


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.open: list[RematScope] = []


_scopes = _Scopes()


class RematScope:
    """Says which layers' results may be computed again when gradients are taken.

    Values and gradients are the same inside. A plan keeps what its backward half reads, so memory
    is not less: the scope is accepted so that programs run.

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
    """Returns `f`, whose intermediate results may be computed again when gradients are taken.

    Args:
        f: a function of tensors.
    """

    def rematerialized(*args: Any, **kwargs: Any) -> Any:
        return f(*args, **kwargs)

    return rematerialized
