"""Nested structures of lists, tuples, dicts and namedtuples: `cornu.tree`.

The leaves of a dict come in the order of its sorted keys, those of an `OrderedDict` in its own
order. None is a leaf.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any


class MAP_TO_NONE:
    """What a function given to `traverse` returns to put None in the place of a node."""


def keys(structure: dict) -> list:
    """Returns the keys of a dict in the order of its leaves."""
    if isinstance(structure, OrderedDict):
        return list(structure)
    try:
        return sorted(structure)
    except TypeError:
        return list(structure)


def is_nested(structure: Any) -> bool:
    """Returns whether `structure` is a container and not a leaf."""
    return isinstance(structure, list | tuple | dict)


def _rebuild(structure: Any, parts: list) -> Any:
    """Returns a container like `structure` with other children, given in the order of leaves."""
    kind = type(structure)
    if kind is list or kind is tuple:
        return kind(parts)
    if isinstance(structure, dict):
        by_key = dict(zip(keys(structure), parts, strict=True))
        items = [(key, by_key[key]) for key in structure]
        if isinstance(structure, defaultdict):
            return defaultdict(structure.default_factory, items)
        return OrderedDict(items) if isinstance(structure, OrderedDict) else dict(items)
    if hasattr(structure, "_fields"):
        return kind(*parts)
    return list(parts) if isinstance(structure, list) else tuple(parts)


def children(structure: Any) -> list:
    """Returns what a container holds, in the order of leaves."""
    if isinstance(structure, dict):
        return [structure[key] for key in keys(structure)]
    return list(structure)


def _flatten_into(structure: Any, leaves: list) -> None:
    kind = type(structure)
    if kind is list or kind is tuple:
        for child in structure:
            _flatten_into(child, leaves)
    elif isinstance(structure, list | tuple | dict):
        for child in children(structure):
            _flatten_into(child, leaves)
    else:
        leaves.append(structure)


def flatten(structure: Any) -> list:
    """Returns the leaves of `structure`; a leaf gives a list of itself.

    >>> flatten({"b": 2, "a": (1, [3])})
    [1, 3, 2]
    """
    leaves: list = []
    _flatten_into(structure, leaves)
    return leaves


def flatten_with_path(structure: Any) -> list[tuple[tuple, Any]]:
    """Returns pairs of the path (keys and indices) and the leaf at its end.

    >>> flatten_with_path({"a": (1, [2])})
    [(('a', 0), 1), (('a', 1, 0), 2)]
    """
    if not is_nested(structure):
        return [((), structure)]
    steps = keys(structure) if isinstance(structure, dict) else range(len(structure))
    return [
        ((step, *path), leaf) for step in steps for path, leaf in flatten_with_path(structure[step])
    ]


def _check_alike(a: Any, b: Any) -> None:
    """Raises ValueError unless `b` is a container of the kind and the keys of `a`."""
    if isinstance(a, dict):
        if not isinstance(b, dict):
            raise ValueError(f"Expected an instance of dict, got {b}.")
        if set(a) != set(b):
            raise ValueError(
                f"Dictionary key mismatch: expected keys {keys(a)}, got keys {keys(b)}."
            )
        return
    expected = list if isinstance(a, list) else type(a)
    if not isinstance(b, expected):
        raise ValueError(f"Expected an instance of {expected.__name__}, got {b}.")
    if len(a) != len(b):
        raise ValueError(
            f"Arity mismatch: expected {len(a)} items, got {len(b)} in {expected.__name__} {b}."
        )


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """Returns a structure of `func(leaf, ...)` over structures that are alike.

    Args:
        func: called with one leaf of each structure.
        structures: one or more structures.
        none_is_leaf: whether `func` is called for None; otherwise None stays.

    Raises:
        TypeError: if `func` is not callable.
        ValueError: if there is no structure, or they differ.
    """
    if not callable(func):
        raise TypeError(f"`func` must be callable, got {func}")
    if not structures:
        raise ValueError("Must provide at least one structure")
    return _map(func, structures, none_is_leaf)


def _map(func: Callable, structures: tuple, none_is_leaf: bool) -> Any:
    first = structures[0]
    if not is_nested(first):
        if first is None and not none_is_leaf:
            return None
        for other in structures[1:]:
            if is_nested(other):
                raise ValueError(f"Expected a leaf, got {other}.")
        return func(*structures)
    for other in structures[1:]:
        _check_alike(first, other)
    columns = [
        [other[key] for key in keys(first)] if isinstance(first, dict) else list(other)
        for other in structures
    ]
    return _rebuild(first, [_map(func, row, none_is_leaf) for row in zip(*columns, strict=True)])


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """Returns a structure of `func(part, ...)` for the parts at the leaves of the first."""
    if not is_nested(shallow_structure):
        return func(*structures)
    for other in structures:
        _check_alike(shallow_structure, other)
    steps = (
        keys(shallow_structure)
        if isinstance(shallow_structure, dict)
        else range(len(shallow_structure))
    )
    return _rebuild(
        shallow_structure,
        [
            map_structure_up_to(shallow_structure[step], func, *(s[step] for s in structures))
            for step in steps
        ],
    )


def map_shape_structure(func: Callable, structure: Any) -> Any:
    """Returns a structure of `func(shape)`, where a list or tuple of sizes is one shape."""
    if is_shape(structure):
        return func(structure)
    if is_nested(structure):
        parts = [map_shape_structure(func, child) for child in children(structure)]
        return _rebuild(structure, parts)
    raise ValueError(f"Cannot map function to unknown object {structure}")


def is_shape(structure: Any) -> bool:
    """Returns whether `structure` is a list or tuple of sizes, each an integer or None."""
    return isinstance(structure, list | tuple) and all(
        size is None or (not isinstance(size, str) and hasattr(size, "__index__"))
        for size in structure
    )


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """Returns `structure` with nodes replaced by what `func(node)` returns, unless None.

    Args:
        func: called with containers and leaves; returns a replacement, None to keep the node
            and go on inside, or `MAP_TO_NONE` to put None in its place.
        structure: the structure.
        top_down: whether a container is seen before its children.
    """
    if top_down:
        replacement = func(structure)
        if replacement is not None:
            return None if replacement is MAP_TO_NONE else replacement
    if is_nested(structure):
        parts = [traverse(func, child, top_down) for child in children(structure)]
        structure = _rebuild(structure, parts)
    if not top_down:
        replacement = func(structure)
        if replacement is not None:
            return None if replacement is MAP_TO_NONE else replacement
    return structure


def pack_sequence_as(structure: Any, flat_sequence: Iterable) -> Any:
    """Returns a structure like `structure` with the leaves of `flat_sequence`.

    Raises:
        TypeError: if `flat_sequence` is no sequence.
        ValueError: if it has another number of leaves.
    """
    if isinstance(flat_sequence, str) or not isinstance(flat_sequence, Iterable):
        raise TypeError(f"`flat_sequence` must be a sequence, got {flat_sequence}")
    leaves = list(flat_sequence)
    expected = len(flatten(structure))
    if expected != len(leaves):
        raise ValueError(f"Expected {expected} leaves in `flat_sequence`, got {len(leaves)}.")
    remaining = iter(leaves)
    return _pack(structure, remaining)


def _pack(structure: Any, leaves: Iterable) -> Any:
    if not is_nested(structure):
        return next(leaves)
    return _rebuild(structure, [_pack(child, leaves) for child in children(structure)])


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raises ValueError unless `a` and `b` nest in the same way.

    `check_types` has no effect; it is accepted for compatibility.
    """
    if not is_nested(a):
        if is_nested(b):
            raise ValueError(
                f"Structures don't have the same nested structure: {a} is a leaf, {b} is not."
            )
        return
    _check_alike(a, b)
    for key in keys(a) if isinstance(a, dict) else range(len(a)):
        assert_same_structure(a[key], b[key])


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError unless the leaves of `a` and `b` have the same paths."""
    a_paths = {path for path, _ in flatten_with_path(a)}
    b_paths = {path for path, _ in flatten_with_path(b)}
    if a_paths != b_paths:
        raise ValueError(
            "`a` and `b` don't have the same paths."
            f" Only in `a`: {sorted(map(str, a_paths - b_paths))}."
            f" Only in `b`: {sorted(map(str, b_paths - a_paths))}."
        )


def lists_to_tuples(structure: Any) -> Any:
    """Returns `structure` with its lists made tuples."""
    if not is_nested(structure):
        return structure
    parts = [lists_to_tuples(child) for child in children(structure)]
    return tuple(parts) if isinstance(structure, list) else _rebuild(structure, parts)
