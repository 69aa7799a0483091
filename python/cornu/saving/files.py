"""`save_model`, `load_model`, `save_weights`, `load_weights`: which format a path means."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from cornu.saving import legacy_h5
from cornu.saving.serialization import deserialize_keras_object, serialize_keras_object
from cornu.saving.weights import load_assets, load_tree, save_assets, save_tree

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
# A config is text of this many bytes at most.
_MAX_CONFIG = 256 << 20
_KERAS_VERSION = "3.15.0"


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Saves a model: structure, weights, compilation and optimizer state.

    The file is replaced at once when all is written: a failure leaves the old one.

    Args:
        model: the model.
        filepath: a path that ends in `.keras` or `.h5` (Keras's older format), or an open binary
            file for the former.
        overwrite: whether an existing file is replaced; else a person is asked.
        zipped: True or None; kept for calls that pass it.

    Raises:
        ValueError: if the ending tells no format.
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    save_format = kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {list(kwargs)}")
    if save_format is not None:
        warnings.warn(
            "The `save_format` argument is deprecated: the format follows from the file's ending.",
            stacklevel=2,
        )
    if hasattr(filepath, "write"):
        _write_archive(model, filepath)
        return
    path = os.fspath(filepath)
    if path.endswith(".keras"):
        if _may_write(path, overwrite):
            with _replacing(path) as file:
                _write_archive(model, file)
    elif path.endswith((".h5", ".hdf5")):
        if _may_write(path, overwrite):
            with _replacing(path) as file:
                legacy_h5.save_model(model, file, include_optimizer)
    else:
        raise ValueError(
            "Invalid filepath extension for saving. Please add either a `.keras` extension for "
            "the native Keras format (recommended) or a `.h5` extension. Use "
            "`model.export(filepath)` if you want to export a SavedModel for use with "
            f"TFLite/TFServing/etc. Received: filepath={filepath}."
        )


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Loads a model that `save_model`, or Keras, wrote.

    Args:
        filepath: path of a `.keras` or `.h5` file, or an open binary file.
        custom_objects: your own classes and functions by the names that the file uses.
        compile: whether the model is compiled as it was.
        safe_mode: kept for calls that pass it: code in files is never run.

    Raises:
        ValueError: if the file is missing, broken, or of another format.
        TypeError: if the file names a class that is not known.
    """
    if hasattr(filepath, "read"):
        return _read_archive(filepath.read(), "<file>", custom_objects, compile, safe_mode)
    path = os.fspath(filepath)
    if path.endswith(".keras") and not os.path.isfile(path):
        raise ValueError(
            f"File not found: filepath={path}. "
            "Please ensure the file is an accessible `.keras` zip file."
        )
    kind = _kind(path)
    if kind == "keras":
        with open(path, "rb") as file:
            return _read_archive(file, path, custom_objects, compile, safe_mode)
    if kind == "h5":
        return legacy_h5.load_model(path, custom_objects, compile, safe_mode)
    if kind == "pointer":
        raise ValueError(
            f"{path} is a Git LFS pointer, not the model itself: run `git lfs pull` to fetch it."
        )
    if path.endswith(".keras"):
        raise ValueError(
            f"{path} is not a `.keras` file: it is no zip archive (broken or cut off?)"
        )
    if path.endswith((".h5", ".hdf5")):
        _open_h5(path)
    raise ValueError(
        f"File format not supported: filepath={path}. Cornu reads `.keras` files and whole-model "
        "`.h5` files."
    )


def save_weights(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    **kwargs: Any,
) -> None:
    """Saves a model's weights, and its optimizer's state, without its structure.

    Args:
        model: the model.
        filepath: a path that ends in `.weights.h5`.
        overwrite: whether an existing file is replaced; else a person is asked.
        max_shard_size: gigabytes of a shard; one file is always written.

    Raises:
        ValueError: if the ending is another.
    """
    path = os.fspath(filepath)
    if not path.endswith(".weights.h5"):
        raise ValueError(f"The filename must end in `.weights.h5`. Received: filepath={path}")
    if _may_write(path, overwrite):
        with _replacing(path) as file:
            _write_weights(model, file)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Loads weights into a model of the same structure.

    Args:
        model: the model, built.
        filepath: a `.weights.h5`, `.keras` or whole-model `.h5` file.
        skip_mismatch: whether layers whose weights don't fit keep theirs, with a warning.
        by_name: whether layers of an `.h5` file are found by their names (keyword only).

    Raises:
        ValueError: if the weights don't fit the model.
    """
    by_name = kwargs.pop("by_name", False)
    kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}")
    path = os.fspath(filepath)
    if path.endswith(".keras"):
        with open(path, "rb") as file:
            archive = _open_archive(file, path)
            _read_weights(model, _member(archive, _WEIGHTS), skip_mismatch)
        return
    if path.endswith(".weights.h5"):
        if by_name:
            raise ValueError(f"Invalid keyword arguments: {{'by_name': {by_name}}}")
        _check_built(model)
        with _open_h5(path) as file:
            load_tree(model, file, os.path.getsize(path), skip_mismatch)
        return
    if path.endswith((".h5", ".hdf5")):
        legacy_h5.load_weights(model, path, skip_mismatch, by_name)
        return
    raise ValueError(
        f"File format not supported: filepath={path}. Keras 3 only supports V3 `.keras` and "
        "`.weights.h5` files, or legacy V1/V2 `.h5` files."
    )


def _check_built(model: Any) -> None:
    if not model.built:
        raise ValueError(
            "You are loading weights into a model that has not yet been built. Try building the "
            "model first by calling it on some data or by using `build()`."
        )


def _may_write(path: str, overwrite: bool) -> bool:
    if overwrite or not os.path.exists(path):
        return True
    answer = input(f"[WARNING] {path} already exists - overwrite? [y/n]")
    while answer.strip().lower() not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel).')
    return answer.strip().lower() == "y"


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[Any]:
    """Gives a new file that takes the place of `path` when all is written to it."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _kind(path: str) -> str | None:
    """Returns the format by a file's first bytes; None if they tell none."""
    if not os.path.isfile(path):
        if not os.path.exists(path) and path.endswith((".h5", ".hdf5")):
            raise FileNotFoundError(f"[Errno 2] No such file: {path}")
        return None
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        return "keras"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "h5"
    return "pointer" if start.startswith(b"version https://git-lfs") else None


def _open_h5(file: Any) -> Any:
    import h5py

    return h5py.File(file, "r")


def _write_weights(model: Any, file: Any) -> None:
    import h5py

    with h5py.File(file, "w") as h5:
        save_tree(model, h5)


def _read_weights(model: Any, data: bytes, skip_mismatch: bool = False) -> None:
    _check_built(model)
    with _open_h5(io.BytesIO(data)) as file:
        load_tree(model, file, len(data), skip_mismatch)


def _write_archive(model: Any, file: Any) -> None:
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any weights "
            "yet. Consider building the model first by calling it on some data.",
            stacklevel=4,
        )
    weights = io.BytesIO()
    _write_weights(model, weights)
    metadata = {
        "keras_version": _KERAS_VERSION,
        "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S"),
    }
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, json.dumps(serialize_keras_object(model)))
        archive.writestr(_WEIGHTS, weights.getbuffer())
        save_assets(model, archive)


def _open_archive(file: Any, path: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a `.keras` file, or it is broken: {error}") from error
    for info in archive.infolist():
        name = info.filename
        if name.startswith("/") or ".." in name.split("/") or "\\" in name:
            raise ValueError(f"{path} holds a member outside of the archive: {name!r}")
        if info.file_size > 100 * max(info.compress_size, 1 << 16):
            raise ValueError(f"{path}: the member {name!r} expands too far")
    return archive


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (KeyError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"The `.keras` file is broken, member {name!r}: {error}") from error


def _read_archive(file: Any, path: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    archive = _open_archive(io.BytesIO(file) if isinstance(file, bytes) else file, path)
    text = _member(archive, _CONFIG)
    if len(text) > _MAX_CONFIG:
        raise ValueError(f"{path}: the config has {len(text)} bytes")
    try:
        config = json.loads(text)
        if not compile:
            config["compile_config"] = None
        model = deserialize_keras_object(config, custom_objects=custom_objects, safe_mode=safe_mode)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: the config is broken: {error}") from error
    if hasattr(model, "load_own_variables"):
        try:
            _read_weights(model, _member(archive, _WEIGHTS))
        except OSError as error:
            raise ValueError(f"{path}: the weights are broken: {error}") from error
        load_assets(model, archive)
    return model
