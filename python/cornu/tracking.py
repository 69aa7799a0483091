"""Attributes whose elements a layer keeps account of: variables, layers, metrics, seeds.

A value says what it is by the attribute `_tracked_as` of its class. Lists, dicts and sets that
become attributes are replaced by ones that report what is put into them.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cornu.scopes import state


class Clock:
    """Counts what changed in the process (layers, optimizers, roles of variables).

    While it stands still, every plan is what it was.
    """

    now = 0


class Tracker:
    """Files values, each once, by what they are."""

    def __init__(self) -> None:
        self.trainable_variables: list[Any] = []
        self.non_trainable_variables: list[Any] = []
        self.layers: list[Any] = []
        self.metrics: list[Any] = []
        self.seed_generators: list[Any] = []
        self.locked_by: str | None = None
        self.version = 0

    def store(self, kind: str, value: Any) -> list:
        """Returns the list that a value of this kind belongs to."""
        if kind == "variable":
            trainable = any(value is other for other in self.trainable_variables)
            if trainable or (value.trainable and not self._holds_frozen(value)):
                return self.trainable_variables
            return self.non_trainable_variables
        return getattr(self, f"{kind}s")

    def _holds_frozen(self, value: Any) -> bool:
        return any(value is other for other in self.non_trainable_variables)

    def touch(self) -> None:
        """Notes that the owner, or what it holds, changed."""
        self.version += 1
        Clock.now += 1

    def touch_outside_calls(self) -> None:
        """Notes a change unless a call makes it, which is part of what is computed."""
        if state.call_context is None:
            self.touch()

    def age(self) -> int:
        """Returns a number that grows with each change of the owner and of its variables."""
        variables = *self.trainable_variables, *self.non_trainable_variables
        return self.version + sum(variable.changes for variable in variables)

    def lock(self, reason: str) -> None:
        """Refuses further variables and layers, for this reason."""
        self.locked_by = reason

    def unlock(self) -> None:
        """Accepts variables and layers again."""
        self.locked_by = None

    @contextlib.contextmanager
    def unlocked(self) -> Iterator[None]:
        """Inside, variables and layers are accepted."""
        reason, self.locked_by = self.locked_by, None
        try:
            yield
        finally:
            self.locked_by = reason

    def track(self, value: Any) -> Any:
        """Files `value` and what it contains; returns what should be the attribute."""
        kind = getattr(type(value), "_tracked_as", None)
        if kind is not None:
            self.add(kind, value)
            return value
        container = type(value)
        if container is tuple or (isinstance(value, tuple) and hasattr(value, "_fields")):
            items = [self.track(item) for item in value]
            return container(*items) if hasattr(value, "_fields") else tuple(items)
        wrapper = _CONTAINERS.get(container)
        return value if wrapper is None else wrapper(value, self)

    def add(self, kind: str, value: Any) -> None:
        """Files a value of a known kind.

        Raises:
            ValueError: if it is a variable or layer and the tracker is locked.
        """
        store = self.store(kind, value)
        if any(value is other for other in store):
            return
        if self.locked_by is not None and kind != "metric":
            raise ValueError(self.locked_by)
        store.append(value)
        self.touch()

    def untrack(self, value: Any) -> None:
        """Takes `value` and what it contains out of the lists."""
        kind = getattr(type(value), "_tracked_as", None)
        if kind is not None:
            store = self.store(kind, value)
            store[:] = [other for other in store if other is not value]
            self.touch()
        elif isinstance(value, list | tuple | set):
            for item in value:
                self.untrack(item)
        elif isinstance(value, dict):
            for item in value.values():
                self.untrack(item)


def _filed(value: Any, tracker: Tracker | None) -> Any:
    return value if tracker is None else tracker.track(value)


class TrackedList(list):
    """A list that reports what is put into it."""

    def __init__(self, values: Iterable = (), tracker: Tracker | None = None) -> None:
        self.tracker = tracker
        super().__init__(_filed(value, tracker) for value in values)

    def _touch(self) -> None:
        if self.tracker is not None:
            self.tracker.touch_outside_calls()

    def _track(self, value: Any) -> Any:
        self._touch()
        return _filed(value, self.tracker)

    def _untrack(self, value: Any) -> None:
        self._touch()
        if self.tracker is not None:
            self.tracker.untrack(value)

    def append(self, value: Any) -> None:
        super().append(self._track(value))

    def insert(self, index: Any, value: Any) -> None:
        super().insert(index, self._track(value))

    def extend(self, values: Iterable) -> None:
        super().extend([self._track(value) for value in values])

    def __iadd__(self, values: Iterable) -> "TrackedList":
        self.extend(values)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, [self._track(item) for item in value])
        else:
            super().__setitem__(index, self._track(value))

    def __delitem__(self, index: Any) -> None:
        self._untrack(self[index])
        super().__delitem__(index)

    def remove(self, value: Any) -> None:
        self._untrack(value)
        for index, item in enumerate(self):
            if item is value or item == value:
                super().__delitem__(index)
                return
        raise ValueError(f"{value} is not in the list")

    def pop(self, index: int = -1) -> Any:
        value = super().pop(index)
        self._untrack(value)
        return value

    def clear(self) -> None:
        self._untrack(list(self))
        super().clear()

    def sort(self, **order: Any) -> None:
        self._touch()
        super().sort(**order)

    def reverse(self) -> None:
        self._touch()
        super().reverse()

    def __imul__(self, count: Any) -> "TrackedList":
        self[:] = list(self) * count
        return self

    def __reduce__(self) -> tuple:
        return list, (list(self),)


class TrackedDict(dict):
    """A dict that reports what is put into it."""

    def __init__(self, values: Any = (), tracker: Tracker | None = None) -> None:
        self.tracker = tracker
        super().__init__({key: _filed(value, tracker) for key, value in dict(values).items()})

    _touch = TrackedList._touch
    _track = TrackedList._track
    _untrack = TrackedList._untrack

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, self._track(value))

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> "TrackedDict":
        self.update(other)
        return self

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __delitem__(self, key: Any) -> None:
        self._untrack(self[key])
        super().__delitem__(key)

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        self._untrack(value)
        return value

    def popitem(self) -> tuple:
        key, value = super().popitem()
        self._untrack(value)
        return key, value

    def clear(self) -> None:
        self._untrack(list(self.values()))
        super().clear()

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)


class TrackedSet(set):
    """A set that reports what is put into it."""

    def __init__(self, values: Iterable = (), tracker: Tracker | None = None) -> None:
        self.tracker = tracker
        super().__init__(_filed(value, tracker) for value in values)

    _touch = TrackedList._touch
    _track = TrackedList._track
    _untrack = TrackedList._untrack

    def add(self, value: Any) -> None:
        super().add(self._track(value))

    def _become(self, values: set) -> "TrackedSet":
        for value in self - values:
            self.discard(value)
        self.update(values)
        return self

    def __ior__(self, other: Any) -> "TrackedSet":
        return self._become(self | other)

    def __iand__(self, other: Any) -> "TrackedSet":
        return self._become(self & other)

    def __isub__(self, other: Any) -> "TrackedSet":
        return self._become(self - other)

    def __ixor__(self, other: Any) -> "TrackedSet":
        return self._become(self ^ other)

    def intersection_update(self, *others: Iterable) -> None:
        self._become(self.intersection(*others))

    def difference_update(self, *others: Iterable) -> None:
        self._become(self.difference(*others))

    def symmetric_difference_update(self, other: Iterable) -> None:
        self._become(self.symmetric_difference(other))

    def update(self, *others: Iterable) -> None:
        for other in others:
            for value in other:
                self.add(value)

    def remove(self, value: Any) -> None:
        super().remove(value)
        self._untrack(value)

    def discard(self, value: Any) -> None:
        super().discard(value)
        self._untrack(value)

    def pop(self) -> Any:
        value = super().pop()
        self._untrack(value)
        return value

    def clear(self) -> None:
        self._untrack(list(self))
        super().clear()

    def __reduce__(self) -> tuple:
        return set, (set(self),)


_CONTAINERS: dict[type, Callable] = {
    list: TrackedList,
    TrackedList: TrackedList,
    dict: TrackedDict,
    OrderedDict: TrackedDict,
    TrackedDict: TrackedDict,
    set: TrackedSet,
    TrackedSet: TrackedSet,
}
