"""Weights of a tree of objects in an HDF5 file, laid out as Keras 3 does.

An object's own variables stand under `<path>/vars/<number>`; what it contains stands under the
attribute's name, and the members of a list or dict under their classes' names, counted.
"""

from __future__ import annotations

import math
import types
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from cornu.naming import to_snake_case

# A dataset may declare so many bytes for each byte of the file.
_EXPANSION = 1000
# The name of a list or dict in another.
_CONTAINER = "container"
_CONTAINERS = (list, tuple, dict)


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
    found = vars(saveable).keys() | _attributes_of_class(type(saveable))
    names = [name for name in found if name not in inherited and name[:2] != "__"]
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


def _attributes_of_class(cls: type) -> set[str]:
    """Returns the attributes that a class itself gives its objects, without methods."""
    return {
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if not isinstance(value, types.FunctionType)
    }


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


def _walk_container(
    container: Any, path: str, visited: set[int], entered: tuple[int, ...] = ()
) -> Iterator[tuple[str, Any]]:
    used: defaultdict[str, int] = defaultdict(int)
    if id(container) in entered:
        return
    entered = (*entered, id(container))
    members = container.values() if isinstance(container, dict) else container
    for member in members:
        saveable = _is_saveable(member)
        if not saveable and not isinstance(member, _CONTAINERS):
            continue
        # A layer that was visited before still takes part in the count of names.
        name = to_snake_case(type(member).__name__) if saveable else _CONTAINER
        count = used[name]
        used[name] += 1
        inner = f"{path}/{name}_{count}" if count else f"{path}/{name}"
        if saveable:
            yield from walk(member, inner, visited)
        else:
            yield from _walk_container(member, inner, visited, entered)


class Store(Mapping):
    """The dict that `save_own_variables` fills: arrays in a group of an HDF5 file.

    Args:
        group: the group.
        limit: bytes that an array which is read may declare.
    """

    def __init__(self, group: Any, limit: int | None = None) -> None:
        self.group = group
        self.limit = limit

    def __setitem__(self, key: str, value: Any) -> None:
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":
            # HDF5 has no bfloat16: two opaque bytes, and a word on what they are.
            self.group.create_dataset(key, data=array.view("V2")).attrs["dtype"] = "bfloat16"
        else:
            self.group.create_dataset(key, data=array)

    def __getitem__(self, key: str) -> np.ndarray:
        return read_array(self.group, key, self.limit)

    def __contains__(self, key: str) -> bool:
        return _follow(self.group, key) is not None

    def __len__(self) -> int:
        return len(self.group)

    def __iter__(self) -> Iterator[str]:
        return iter(self.group)


def read_array(group: Any, path: str, limit: int | None) -> np.ndarray:
    """Returns a plain stored array of a plausible size; two opaque bytes are a bfloat16.

    Args:
        group: where to look.
        path: the array's place in the group.
        limit: bytes that it may declare.

    Raises:
        ValueError: if the data are missing, elsewhere, larger than the file can hold, no numbers,
            or can't be read.
    """
    import h5py

    dataset = _follow(group, path)
    if dataset is None:
        raise ValueError(f"The HDF5 file lacks the weights {_place(group, path)}")
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(
            f"Invalid H5 file, expected Dataset, received {type(dataset)}: {_place(group, path)}"
        )
    stored = dataset.id  # asking `dataset` itself takes longer than reading
    storage = stored.get_create_plist()
    if storage.get_layout() == h5py.h5d.VIRTUAL or storage.get_external_count():
        raise ValueError(
            f"Not allowed: H5 file with external storage or virtual Dataset: {_place(group, path)}"
        )
    try:
        shape, dtype = stored.shape, stored.dtype
        bfloat16 = dtype == "V2" or dtype.name == "bfloat16"
        if shape is None or not (bfloat16 or dtype.kind in "biuf"):
            raise ValueError(
                f"The HDF5 dataset {dataset.name} holds {'nothing' if shape is None else dtype}, "
                "where numbers should be"
            )
        size = math.prod(shape) * dtype.itemsize
        if limit is not None and size > limit:
            raise ValueError(
                f"Not allowed: the HDF5 dataset {dataset.name} declares {size} bytes, more than a "
                "file of this size holds"
            )
        array = np.empty(shape, dtype)
        stored.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    except (OSError, RuntimeError, TypeError, MemoryError) as error:
        raise ValueError(f"The HDF5 dataset {dataset.name} can't be read: {error}") from error
    if bfloat16:
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)
    return array


def open_group(file: Any, path: str) -> Any:
    """Returns a group by its path, following no link out of the file; None if it is missing.

    Raises:
        ValueError: if a part of the path is a link, or something else than a group.
    """
    import h5py

    group = _follow(file, path)
    if group is not None and not isinstance(group, h5py.Group):
        raise ValueError(
            f"Invalid H5 file, expected Group but received {type(group)}: {_place(file, path)}"
        )
    return group


def _place(group: Any, path: str) -> str:
    return f"{group.name.rstrip('/')}/{path}"


def _follow(group: Any, path: str) -> Any:
    import h5py

    for part in filter(None, path.split("/")):
        # Asking h5py whether a name is in a group would follow a link out of the file.
        links = group.id.links if isinstance(group, h5py.Group) else None
        if links is None or part == "." or not links.exists(part.encode("utf-8")):
            return None
        kind = links.get_info(part.encode("utf-8")).type
        if kind != h5py.h5l.TYPE_HARD:
            name = {h5py.h5l.TYPE_SOFT: "SoftLink", h5py.h5l.TYPE_EXTERNAL: "ExternalLink"}
            raise ValueError(
                f"Not allowed: H5 file with {name.get(kind, 'a link')}: {_place(group, part)}"
            )
        group = group[part]
    return group


def size_limit(size: int) -> int:
    """Returns how many bytes an array may declare in a file of `size` bytes."""
    return max(size, 1 << 16) * _EXPANSION


def _older_places(path: str) -> Iterator[str]:
    """Yields where the weights stood in the first files of this format."""
    folder, _, last = path.rpartition("/")
    if last in ("query_dense", "key_dense", "value_dense", "output_dense"):
        yield f"{folder}/_{last}"
    if path.startswith("layers/"):
        yield path.replace("layers", "_layer_checkpoint_dependencies")


class WeightsFile:
    """The weights of a tree of objects in one HDF5 file.

    Args:
        file: the open file.
        size: its bytes, if it is read.
    """

    def __init__(self, file: Any, size: int | None = None) -> None:
        self.file = file
        self.limit = None if size is None else size_limit(size)
        self._folders: dict[str, Any] = {"": file}

    def make(self, path: str, name: str | None) -> Store:
        """Returns an empty store for the object at a path."""
        group = self.file.create_group(f"{path}/vars" if path else "vars")
        if name is not None:
            group.attrs["name"] = name
        return Store(group)

    def get(self, path: str) -> Store | None:
        """Returns the store of the object at a path, None if there is none."""
        for place in (path, *_older_places(path)):
            folder = self._folder(place)
            group = None if folder is None else open_group(folder, "vars")
            if group is not None:
                return Store(group, self.limit)
        return None

    def has(self, path: str) -> bool:
        """Whether the file knows the path."""
        return self._folder(path) is not None

    def _folder(self, path: str) -> Any:
        if path not in self._folders:
            outer, _, name = path.rpartition("/")
            folder = self._folder(outer)
            self._folders[path] = None if folder is None else open_group(folder, name)
        return self._folders[path]


def save_tree(root: Any, stores: Any, skipped: Iterable[Any] = ()) -> None:
    """Writes the weights of an object and of all that it contains.

    Args:
        root: the object.
        stores: what makes the store of each object, as a `WeightsFile` does.
        skipped: objects that are left out, with all that they contain.
    """
    for path, saveable in walk(root, visited={id(value) for value in skipped}):
        name = getattr(saveable, "name", None)
        saveable.save_own_variables(stores.make(path, name if isinstance(name, str) else None))


def load_tree(
    root: Any, stores: Any, skip_mismatch: bool = False, skipped: Iterable[Any] = ()
) -> None:
    """Reads what `save_tree` wrote.

    Args:
        root: the object.
        stores: what finds the store of each object, as a `WeightsFile` does.
        skip_mismatch: whether objects whose weights don't fit keep theirs, with a warning.
        skipped: objects that keep theirs.

    Raises:
        ValueError: if the weights of some objects are missing or don't fit.
    """
    failed: list[tuple[Any, Exception]] = []
    for path, saveable in walk(root, visited={id(value) for value in skipped}):
        try:
            store = stores.get(path)
            saveable.load_own_variables({} if store is None else store)
        except Exception as error:
            missing = _missing_container(stores, path)
            if missing:
                # Keras once left out what stands in lists of lists.
                warnings.warn(
                    f"Skipping nested container at '{missing}': the file holds no such group. "
                    f"{saveable} keeps its weights.",
                    stacklevel=3,
                )
                continue
            failed.append((saveable, error))
    if not failed:
        return
    objects = [saveable for saveable, _ in failed]
    message = (
        f"A total of {len(failed)} objects could not be loaded. Example error message for object "
        f"{objects[0]}:\n\n{failed[0][1]}\n\nList of objects that could not be loaded:\n{objects}"
    )
    if not skip_mismatch:
        raise ValueError(message) from failed[0][1]
    warnings.warn(message, stacklevel=3)


def _missing_container(stores: Any, path: str) -> str | None:
    """Returns the first list in a list on the way to a path that the file doesn't know."""
    parts = path.split("/")
    for end, part in enumerate(parts, 1):
        if part.partition("_")[0] == _CONTAINER and not stores.has("/".join(parts[:end])):
            return "/".join(parts[:end])
    return None
