"""Weights files looked at, compared, edited."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from cornu.saving.archive import ZipMembers, new_h5, open_h5, replacing
from cornu.saving.weights import WeightsFile, walk

_VARIABLES = "vars"


class KerasFileEditor:
    """The weights of a file as nested dicts, to be edited and saved.

    Args:
        filepath: a `.keras` or `.weights.h5` file.

    Raises:
        ValueError: if the ending is another.

    >>> editor = KerasFileEditor("model.weights.h5")
    >>> editor.rename_object("layers/dense_2", "head")
    >>> editor.save("edited.weights.h5")
    """

    def __init__(self, filepath: Any) -> None:
        self.filepath = os.fspath(filepath)
        self.metadata: dict[str, Any] | None = None
        self.config: dict[str, Any] | None = None
        if self.filepath.endswith(".keras"):
            with open(self.filepath, "rb") as file:
                members = ZipMembers(file, self.filepath)
                data = members.read("model.weights.h5")
                self.config = json.loads(members.read("config.json"))
                self.metadata = json.loads(members.read("metadata.json"))
        elif self.filepath.endswith(".weights.h5"):
            with open(self.filepath, "rb") as file:
                data = file.read()
        else:
            raise ValueError(
                "Invalid filename: expected a `.keras` `.weights.h5` extension. "
                f"Received: filepath={filepath}"
            )
        self.object_metadata: dict[str, str] = {}
        with open_h5(io.BytesIO(data)) as h5:
            self.weights_dict = self._read(h5, WeightsFile(h5, len(data)), "")
        print(f"Keras file '{self.filepath}'")
        if self.metadata is not None:
            print(f"Model: {self.config['class_name']} name='{self.config['config'].get('name')}'")
            print(f"Saved with Keras {self.metadata.get('keras_version')}")
            print(f"Date saved: {self.metadata.get('date_saved')}")

    def _read(self, group: Any, file: WeightsFile, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        store = file.get(path)
        if store is not None:
            found.update({key: store[key] for key in store})
            if "name" in store.group.attrs:
                self.object_metadata[path] = str(store.group.attrs["name"])
        for name in group:
            if name == _VARIABLES:
                continue
            inner = f"{path}/{name}" if path else name
            # A link out of the file is refused before it is followed.
            if file.has(inner):
                found[name] = self._read(group[name], file, inner)
        return found

    # Looking

    def summary(self) -> None:
        """Prints the objects of the file with the shapes and dtypes of their weights."""

        def write(contents: dict[str, Any], depth: int, path: str) -> None:
            for name, value in contents.items():
                inner = f"{path}/{name}" if path else name
                indent = "    " * depth
                if isinstance(value, dict):
                    title = self.object_metadata.get(inner)
                    print(f"{indent}{name}" + (f" ('{title}')" if title else ""))
                    write(value, depth + 1, inner)
                else:
                    array = np.asarray(value)
                    print(f"{indent}{name}: shape={array.shape}, dtype={array.dtype}")

        print("Weights structure")
        write(self.weights_dict, 0, "")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Tells in what the file and the weights of a model differ.

        Args:
            reference_model: a built model.

        Returns:
            `status`, `"success"` or `"error"`, `error_count` and `match_count`.
        """
        print("Running comparison")
        wanted = dict(_flat(_weights_of(reference_model)))
        found = dict(_flat(self.weights_dict))
        problems = []
        names = ("reference model", "saved file")
        for (here, own), (there, other) in (
            ((names[0], wanted), (names[1], found)),
            ((names[1], found), (names[0], wanted)),
        ):
            problems += [
                f"Weight {path} present in {here}, missing from {there}"
                for path in own
                if path not in other
            ]
        both = [path for path in wanted if path in found]
        matches = 0
        for path in both:
            shapes = wanted[path].shape, found[path].shape
            if shapes[0] == shapes[1]:
                matches += 1
                continue
            problems.append(
                f"Weight shape mismatch for {path}: {shapes[0]} in reference model, {shapes[1]} "
                "in saved file"
            )
        for problem in problems:
            print(f"...{problem}")
        status = "error" if problems else "success"
        print(f"Comparison: {status}, {len(problems)} errors, {matches} matching weights")
        return {"status": status, "error_count": len(problems), "match_count": matches}

    # Editing

    def _find(self, name: str) -> tuple[dict[str, Any], str]:
        """Returns the dict that holds an object, and the object's name in it."""
        *folders, last = name.split("/")
        if folders:
            contents = self.weights_dict
            for folder in folders:
                contents = contents.get(folder, {})
            if last not in contents:
                raise ValueError(f"Path '{name}' not found in model.")
            return contents, last
        places = [contents for contents in _dicts(self.weights_dict) if last in contents]
        if len(places) > 1:
            raise ValueError(
                f"Name '{name}' occurs more than once in the model; try passing a complete path"
            )
        if not places:
            raise ValueError(
                f"Source name '{name}' does not appear in the model. Use `editor.summary()` to "
                "list all objects."
            )
        return places[0], last

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Renames an object.

        Args:
            object_name: its name, or its path if the name occurs more than once.
            new_name: a name without slashes.
        """
        if "/" in new_name:
            raise ValueError(
                "Argument `target_name` should be a leaf name, not a full path name. "
                f"Received: target_name='{new_name}'"
            )
        contents, name = self._find(object_name)
        contents[new_name] = contents.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Removes an object.

        Args:
            object_name: its name, or its path if the name occurs more than once.
        """
        contents, name = self._find(object_name)
        del contents[name]

    def add_object(self, object_path: str, weights: dict[str, Any]) -> None:
        """Adds an object.

        Args:
            object_path: its path; what stands before the last slash must be there.
            weights: arrays by name, `"0"`, `"1"`, ...
        """
        _check_weights(weights)
        *folders, last = object_path.split("/")
        contents = self.weights_dict
        for folder in folders:
            if folder not in contents:
                raise ValueError(f"Path '{'/'.join(folders)}' not found in model.")
            contents = contents[folder]
        contents[last] = dict(weights)

    def add_weights(self, object_name: str, weights: dict[str, Any]) -> None:
        """Adds weights to an object.

        Args:
            object_name: its name, or its path if the name occurs more than once.
            weights: arrays by name.
        """
        _check_weights(weights)
        contents, name = self._find(object_name)
        contents[name].update(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Removes a weight of an object.

        Args:
            object_name: its name, or its path if the name occurs more than once.
            weight_name: the name of the weight.
        """
        contents, name = self._find(object_name)
        if weight_name not in contents[name]:
            raise ValueError(
                f"Weight {weight_name} not found in object {object_name}. "
                f"Weights found: {list(contents[name])}"
            )
        del contents[name][weight_name]

    def save(self, filepath: Any) -> None:
        """Writes the weights.

        Args:
            filepath: a path that ends in `.weights.h5`.
        """
        path = os.fspath(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(
                "Invalid `filepath` argument: expected a `.weights.h5` extension. "
                f"Received: filepath={filepath}"
            )

        def write(contents: dict[str, Any], file: WeightsFile, place: str) -> None:
            own = {k: v for k, v in contents.items() if not isinstance(v, dict)}
            if own:
                store = file.make(place, self.object_metadata.get(place))
                for name, value in own.items():
                    store[name] = value
            for name, value in contents.items():
                if isinstance(value, dict):
                    write(value, file, f"{place}/{name}" if place else name)

        with replacing(path) as file, new_h5(file) as h5:
            write(self.weights_dict, WeightsFile(h5), "")

    def resave_weights(self, filepath: Any) -> None:
        """Writes the weights: `save`."""
        self.save(filepath)


def _check_weights(weights: Any) -> None:
    if not isinstance(weights, dict):
        raise ValueError(
            "Argument `weights` should be a dict where keys are weight names (usually '0', '1', "
            f"etc.) and values are NumPy arrays. Received: type(weights)={type(weights)}"
        )


def _dicts(contents: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield contents
    for value in contents.values():
        if isinstance(value, dict):
            yield from _dicts(value)


def _flat(contents: dict[str, Any], path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yields the weights with their paths."""
    for name, value in contents.items():
        inner = f"{path}/{name}"
        if isinstance(value, dict):
            yield from _flat(value, inner)
        else:
            yield inner, np.asarray(value)


def _weights_of(model: Any) -> dict[str, Any]:
    """The weights of a model, as its file would hold them."""
    found: dict[str, Any] = {}
    for path, saveable in walk(model):
        contents = found
        for folder in filter(None, path.split("/")):
            contents = contents.setdefault(folder, {})
        saveable.save_own_variables(contents)
    return found
