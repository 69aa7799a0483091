"""Weights and files of a tree of objects, laid out as Keras 3 does.

An object's own variables stand under `<path>/vars/<number>`; what it contains stands under the
attribute's name, and the members of a list or dict under their classes' names, counted.
"""

from __future__ import annotations

import pathlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from cornu.naming import to_snake_case

# A dataset may declare so many bytes for each byte of the file.
_EXPANSION = 1000
# The folder of an archive that holds files of objects.
_ASSETS = "assets"
_CONTAINERS = (list, tuple, set, dict)


def _is_saveable(value: Any) -> bool:
    kind = getattr(type(value), "_tracked_as", None)
    return kind == "layer" or (kind != "metric" and hasattr(type(value), "save_own_variables"))


def _children(saveable: Any) -> Iterator[tuple[str, Any]]:
    """Yields what an object contains, by attribute, in the order in which Keras visits it."""
    from cornu.layers import Layer
    from cornu.models import Model, Sequential
    from cornu.models.functional import Functional

    if isinstance(saveable, Functional | Sequential):
        yield "layers", saveable.layers
    base = next(
        (cls for cls in (Sequential, Functional, Model, Layer) if isinstance(saveable, cls)), object
    )
    inherited = _attributes_of(base)
    names = [name for name in dir(saveable) if name not in inherited and name[:2] != "__"]
    if isinstance(saveable, Model):
        names += ["layers", "optimizer"]
    for name in sorted(set(names), key=lambda name: (name.startswith("_"), name)):
        try:
            value = getattr(saveable, name)
        except Exception:  # a property may need what is not there, as `output` does
            continue
        if _is_saveable(value) or isinstance(value, _CONTAINERS):
            yield name, value


def _attributes_of(base: type) -> frozenset[str]:
    """Returns the attributes that every object of a base class has: they contain nothing."""
    from cornu.models import Model
    from cornu.models.functional import Functional

    if base not in _inherited:
        blank = (Model if base is Functional else base)()  # a graph needs its inputs
        _inherited[base] = frozenset(dir(blank)) | frozenset(dir(base))
    return _inherited[base]


_inherited: dict[type, frozenset[str]] = {}


def walk(
    saveable: Any, path: str = "", visited: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yields every object that has weights of its own or contains such, with its path, once."""
    visited = set() if visited is None else visited
    if id(saveable) in visited:
        return
    visited.add(id(saveable))
    yield path, saveable
    for name, child in _children(saveable):
        inner = f"{path}/{name}" if path else name
        if _is_saveable(child):
            yield from walk(child, inner, visited)
        else:
            yield from _walk_container(child, inner, visited)


def _walk_container(container: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    used: defaultdict[str, int] = defaultdict(int)
    members = container.values() if isinstance(container, dict) else container
    for member in members:
        if not _is_saveable(member):
            continue
        # A layer that was visited before still takes part in the count of names.
        name = to_snake_case(type(member).__name__)
        count = used[name]
        used[name] += 1
        yield from walk(member, f"{path}/{name}_{count}" if count else f"{path}/{name}", visited)


class _Group:
    """An object's `vars` group as the dict that `save_own_variables` fills."""

    def __init__(self, group: Any, limit: int | None = None) -> None:
        self.group = group
        self.limit = limit

    def __setitem__(self, key: str, value: Any) -> None:
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":
            # HDF5 has no bfloat16: the bits, and a word on what they are.
            self.group.create_dataset(key, data=array.view(np.uint16)).attrs["dtype"] = "bfloat16"
        else:
            self.group.create_dataset(key, data=array)

    def __getitem__(self, key: str) -> np.ndarray:
        dataset = self.group[key]
        check_dataset(dataset, self.limit)
        array = np.asarray(dataset[()])
        if dataset.attrs.get("dtype") in ("bfloat16", b"bfloat16"):
            import ml_dtypes

            return array.view(ml_dtypes.bfloat16)
        return array

    def __contains__(self, key: str) -> bool:
        return key in self.group

    def __len__(self) -> int:
        return len(self.group)

    def keys(self) -> list[str]:
        """Returns the names of the variables."""
        return list(self.group)


def check_dataset(dataset: Any, limit: int | None) -> None:
    """Refuses what is no plain stored array of a plausible size.

    Raises:
        ValueError: if the data are elsewhere, or larger than the file can hold.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"The HDF5 file holds no dataset {dataset.name!r} where weights should be")
    if dataset.is_virtual or dataset.external:
        raise ValueError(
            f"Not allowed: H5 file Dataset with external storage or virtual data: {dataset.name}"
        )
    if limit is not None and dataset.nbytes > limit:
        raise ValueError(
            f"The HDF5 dataset {dataset.name} declares {dataset.nbytes} bytes, more than a file "
            "of this size holds"
        )


def open_group(file: Any, path: str) -> Any:
    """Returns a group by its path, following no link out of the file; None if it is missing.

    Raises:
        ValueError: if a part of the path is a link.
    """
    import h5py

    group = file
    for part in filter(None, path.split("/")):
        if part not in group:
            return None
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"Not allowed: a link in an HDF5 file: {group.name}/{part}")
        group = group[part]
    return group


def save_assets(root: Any, archive: Any) -> None:
    """Writes what objects keep in files of their own into an archive.

    Args:
        root: the object; those that it contains and that have a method `save_assets(folder)` are
            asked.
        archive: open zip archive.
    """
    for path, saveable in walk(root):
        if not hasattr(saveable, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            saveable.save_assets(folder)
            for file in sorted(pathlib.Path(folder).rglob("*")):
                if file.is_file():
                    name = file.relative_to(folder).as_posix()
                    archive.write(file, "/".join(filter(None, (_ASSETS, path, name))))


def load_assets(root: Any, archive: Any) -> None:
    """Gives objects with a method `load_assets(folder)` the files that `save_assets` kept.

    Args:
        root: the object.
        archive: open zip archive, whose names were checked.
    """
    names = [name for name in archive.namelist() if name.startswith(f"{_ASSETS}/")]
    if not names:
        return
    for path, saveable in walk(root):
        if not hasattr(saveable, "load_assets"):
            continue
        start = "/".join(filter(None, (_ASSETS, path))) + "/"
        own = [name for name in names if name.startswith(start) and not name.endswith("/")]
        if not own:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for name in own:
                file = pathlib.Path(folder, name.removeprefix(start))
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))
            saveable.load_assets(folder)


def save_tree(root: Any, file: Any) -> None:
    """Writes the weights of an object and of all that it contains into an open HDF5 file."""
    for path, saveable in walk(root):
        group = file.create_group(f"{path}/vars" if path else "vars")
        name = getattr(saveable, "name", None)
        if name is not None:
            group.attrs["name"] = name
        saveable.save_own_variables(_Group(group))


def load_tree(root: Any, file: Any, size: int, skip_mismatch: bool = False) -> None:
    """Reads what `save_tree` wrote.

    Args:
        root: the object.
        file: open HDF5 file.
        size: bytes of the file.
        skip_mismatch: whether objects whose weights don't fit keep theirs, with a warning.

    Raises:
        ValueError: if the weights of some objects are missing or don't fit.
    """
    failed: list[tuple[Any, Exception]] = []
    for path, saveable in walk(root):
        group = open_group(file, f"{path}/vars" if path else "vars")
        store: Any = {} if group is None else _Group(group, max(size, 1 << 16) * _EXPANSION)
        try:
            saveable.load_own_variables(store)
        except ValueError as error:
            if group is None and _is_optimizer(saveable):
                continue  # a file without optimizer is no failure
            failed.append((saveable, error))
    if not failed:
        return
    objects = [saveable for saveable, _ in failed]
    message = (
        f"A total of {len(failed)} objects could not be loaded. Example error message for object "
        f"{objects[0]}:\n\n{failed[0][1]}\n\nList of objects that could not be loaded:\n{objects}"
    )
    if not skip_mismatch:
        raise ValueError(message)
    import warnings

    warnings.warn(message, stacklevel=3)


def _is_optimizer(saveable: Any) -> bool:
    return getattr(type(saveable), "_tracked_as", None) is None and hasattr(saveable, "iterations")
