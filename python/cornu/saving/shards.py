"""Weights in several HDF5 files, and a `.weights.json` that says what stands where."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from typing import Any

import numpy as np

from cornu.saving.archive import new_h5, open_h5, replacing
from cornu.saving.weights import Store, WeightsFile, load_tree, save_tree


def save_sharded(model: Any, path: str, max_shard_size: float, skipped: Any = ()) -> None:
    """Writes a model's weights as shards beside the file that lists them.

    Args:
        model: the model.
        path: of the list, `name.weights.json`; the shards are `name_00000.weights.h5` and so on.
        max_shard_size: gigabytes of a shard.
        skipped: objects whose weights are left out.

    Raises:
        ValueError: if one weight is larger than a shard.
    """
    path = _list_path(path, "Saving")
    shards = _Shards(os.path.basename(path).removesuffix(".json").removesuffix(".weights"))
    shards.limit = max_shard_size * 2**30
    folder = os.path.dirname(path)
    save_tree(model, shards, skipped)
    with contextlib.ExitStack() as stack:  # all is written before the first file is replaced
        for name, stores in shards.files.items():
            file = stack.enter_context(replacing(os.path.join(folder, name)))
            with new_h5(file) as h5:
                for vars_path, layer_name, arrays in stores:
                    store = Store(h5.require_group(vars_path))
                    if layer_name is not None:
                        store.group.attrs["name"] = layer_name
                    for key, value in arrays.items():
                        store[key] = value
        config = {
            "metadata": {"total_size": shards.total},
            "weight_map": {
                place: names[0] if len(names) == 1 else list(dict.fromkeys(names))
                for place, names in shards.places.items()
            },
        }
        file = stack.enter_context(replacing(path))
        file.write(json.dumps(config, indent=4).encode("utf-8"))


def load_sharded(model: Any, path: str, skip_mismatch: bool, skipped: Any) -> None:
    """Reads what `save_sharded` wrote.

    Raises:
        ValueError: if the list is broken, or the weights don't fit.
    """
    path = _list_path(path, "Loading")
    with open(path, encoding="utf-8") as file:
        try:
            places = json.load(file)["weight_map"]
            names = {
                place: found if isinstance(found, list) else [found]
                for place, found in places.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is no list of weights in shards: {error!r}") from error
    for name in {name for found in names.values() for name in found}:
        if not isinstance(name, str) or name != os.path.basename(name) or name in ("", ".", ".."):
            raise ValueError(f"{path} names a shard outside of its folder: {name!r}")
    with contextlib.ExitStack() as stack:
        stores = _StoredShards(os.path.dirname(path), names, stack)
        load_tree(model, stores, skip_mismatch, skipped)


def _list_path(path: str, what: str) -> str:
    if path.endswith(".json"):
        return path
    renamed = os.path.splitext(path)[0] + ".json"
    warnings.warn(
        f"{what} sharded weights requires `*.json` as the extension. The original path: {path} "
        f"will be renamed to {renamed}.",
        stacklevel=4,
    )
    return renamed


class _Shards:
    """Deals the weights of a tree out to shards, in the order in which they are saved."""

    limit: float

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, list[tuple[str, str | None, dict[str, Any]]]] = {}
        self.places: dict[str, list[str]] = {}
        self.used = self.total = 0.0
        self._add_file()

    def _add_file(self) -> None:
        self.file = f"{self.name}_{len(self.files):05}.weights.h5"
        self.files[self.file] = []
        self.used = 0.0

    def make(self, path: str, name: str | None) -> _ShardedStore:
        place = f"{path}/vars" if path else "vars"
        self.files[self.file].append((place, name, {}))
        return _ShardedStore(self, place)

    def add(self, place: str, key: str, value: Any) -> None:
        value = np.asarray(value)
        if value.nbytes > self.limit:
            raise ValueError(
                f"The size of {key} is {value.nbytes} bytes which exceeds the maximum shard size "
                f"of {self.limit:.0f} bytes. You can increase the `max_shard_size` parameter."
            )
        self.total += value.nbytes
        if self.used + value.nbytes > self.limit:
            self._add_file()
            self.files[self.file].append((place, None, {}))
        self.used += value.nbytes
        self.files[self.file][-1][2][key] = value
        self.places.setdefault(f"/{place}", []).append(self.file)


class _ShardedStore:
    def __init__(self, shards: _Shards, place: str) -> None:
        self.shards = shards
        self.place = place

    def __setitem__(self, key: str, value: Any) -> None:
        self.shards.add(self.place, key, value)


class _StoredShards:
    """Finds the weights of an object in the shards that the list names."""

    def __init__(self, folder: str, names: dict[str, list[str]], stack: Any) -> None:
        self.folder = folder
        self.names = names
        self.stack = stack
        self.open: dict[str, WeightsFile] = {}

    def _file(self, name: str) -> WeightsFile:
        if name not in self.open:
            path = os.path.join(self.folder, name)
            file = self.stack.enter_context(open_h5(path))
            self.open[name] = WeightsFile(file, os.path.getsize(path))
        return self.open[name]

    def get(self, path: str) -> dict[str, Any] | None:
        files = self.names.get(f"/{path}/vars" if path else "/vars")
        if files is None:
            return None
        found: dict[str, Any] = {}
        for name in files:
            store = self._file(name).get(path)
            found.update({} if store is None else store)
        return found

    def has(self, path: str) -> bool:
        return any(place.startswith(f"/{path}/") for place in self.names)
