"""`save_model`, `load_model`, `save_weights`, `load_weights`: which format a path means."""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from typing import Any

from cornu.saving import legacy_h5
from cornu.saving.archive import (
    FolderMembers,
    ZipMembers,
    new_h5,
    open_h5,
    replacing,
    write_folder,
    write_zip,
)
from cornu.saving.serialization import (
    ObjectSharingScope,
    model_of_config,
    parsed_config,
    serialize_keras_object,
)
from cornu.saving.shards import load_sharded, save_sharded
from cornu.saving.weights import WeightsFile, load_tree, save_tree, walk
from cornu.variable import first_values_put_off

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
_ASSETS = "assets"
# A config is text of this many bytes at most.
_MAX_CONFIG = 256 << 20
# What Orbax puts into its folders.
_ORBAX = ("orbax.checkpoint", "pytree.orbax-checkpoint", "checkpoint_metadata")
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
        zipped: False for a folder of the files that a `.keras` archive holds.

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
        write_zip(filepath, _members(model))
        return
    path = os.fspath(filepath)
    legacy = path.endswith((".h5", ".hdf5"))
    if zipped is False and path.endswith(".keras"):
        raise ValueError(
            "When using `zipped=False`, the `filepath` argument should not end in `.keras`. "
            f"Received: filepath={filepath}"
        )
    if not path.endswith(".keras") and not legacy and zipped is not False:
        raise ValueError(
            "Invalid filepath extension for saving. Please add either a `.keras` extension for "
            "the native Keras format (recommended) or a `.h5` extension. Use "
            "`model.export(filepath)` if you want to export a SavedModel for use with "
            f"TFLite/TFServing/etc. Received: filepath={filepath}."
        )
    if not _may_write(path, overwrite):
        return
    if zipped is False:
        write_folder(path, _members(model))
    else:
        with replacing(path) as file:
            if legacy:
                legacy_h5.save_model(model, file, include_optimizer)
            else:
                write_zip(file, _members(model))


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
        ImportError: if it is a checkpoint of Orbax.
        TypeError: if the file names a class that is not known.
    """
    options = custom_objects, compile, safe_mode
    if hasattr(filepath, "read"):
        return _read_model(ZipMembers(filepath, "<file>"), *options)
    path = os.fspath(filepath)
    if os.path.isdir(path) and os.path.isfile(os.path.join(path, _CONFIG)):
        return _read_model(FolderMembers(path), *options)
    if path.endswith(".keras") and not os.path.isfile(path):
        raise ValueError(
            f"File not found: filepath={path}. "
            "Please ensure the file is an accessible `.keras` zip file."
        )
    kind = _kind(path)
    if kind == "keras":
        with open(path, "rb") as file:
            return _read_model(ZipMembers(file, path), *options)
    if kind == "h5":
        return legacy_h5.load_model(path, *options)
    if kind == "pointer":
        raise ValueError(
            f"{path} is a Git LFS pointer, not the model itself: run `git lfs pull` to fetch it."
        )
    if path.endswith(".keras"):
        raise ValueError(
            f"{path} is not a `.keras` file: it is no zip archive (broken or cut off?)"
        )
    if path.endswith((".h5", ".hdf5")):
        with open_h5(path):
            pass
    raise _unknown_format(path, "`.keras` files and whole-model `.h5` files")


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
        filepath: a path that ends in `.weights.h5`, or in `.weights.json` for shards.
        overwrite: whether an existing file is replaced; else a person is asked.
        max_shard_size: gigabytes that one file holds at most; None means one file.
        objects_to_skip: objects whose weights are left out (keyword only).

    Raises:
        ValueError: if the ending is another, or the model has no weights yet.
    """
    skipped = kwargs.pop("objects_to_skip", None) or ()
    if kwargs:
        raise TypeError(f"save_weights() got unexpected keyword arguments: {list(kwargs)}")
    path = os.fspath(filepath)
    if max_shard_size is None and not path.endswith(".weights.h5"):
        raise ValueError(f"The filename must end in `.weights.h5`. Received: filepath={path}")
    if max_shard_size is not None and not path.endswith(("weights.h5", "weights.json")):
        raise ValueError(
            "The filename must end in `.weights.json` when `max_shard_size` is specified. "
            f"Received: filepath={path}"
        )
    if not _may_write(path, overwrite):
        return
    _check_built(model, "saving a model")
    if max_shard_size is not None:
        save_sharded(model, path, max_shard_size, skipped)
        return
    with replacing(path) as file:
        _write_weights(model, file, skipped)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Loads weights into a model of the same structure.

    Args:
        model: the model, built.
        filepath: a `.weights.h5`, `.weights.json`, `.keras` or whole-model `.h5` file.
        skip_mismatch: whether layers whose weights don't fit keep theirs, with a warning.
        by_name: whether layers of an `.h5` file are found by their names (keyword only).
        objects_to_skip: objects that keep their weights (keyword only).

    Raises:
        ValueError: if the weights don't fit the model.
        ImportError: if they are a checkpoint of Orbax.
    """
    by_name = kwargs.pop("by_name", None)
    skipped = kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}")
    path = os.fspath(filepath)
    own = path.endswith((".weights.h5", ".weights.json"))
    if skipped is not None and not own:
        raise ValueError(
            f"`objects_to_skip` only supports loading '.weights.h5' files. Received: {filepath}"
        )
    if by_name is not None and (own or path.endswith(".keras")):
        raise ValueError(
            f"`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: {filepath}"
        )
    if own or path.endswith(".keras"):
        _check_built(model, "loading weights into a model")
    if path.endswith(".keras"):
        with open(path, "rb") as file:
            _read_weights(model, ZipMembers(file, path), skip_mismatch)
    elif path.endswith(".weights.json"):
        load_sharded(model, path, skip_mismatch, skipped or ())
    elif own:
        with open_h5(path) as file:
            stores = WeightsFile(file, os.path.getsize(path))
            load_tree(model, stores, skip_mismatch, skipped or ())
    elif path.endswith((".h5", ".hdf5")):
        legacy_h5.load_weights(model, path, skip_mismatch, bool(by_name))
    else:
        raise _unknown_format(
            path,
            "weights from `.weights.h5`, `.weights.json` and `.keras` files, or whole-model `.h5` "
            "files",
        )


def _unknown_format(path: str, read: str) -> Exception:
    """Returns the error for a path of no format that is read."""
    if _is_of_orbax(path):
        return ImportError(
            f"{path} is a checkpoint of Orbax: only Keras on JAX with the package "
            "`orbax-checkpoint` reads it. Load it there and save it again, as a `.keras` or "
            "`.weights.h5` file."
        )
    return ValueError(f"File format not supported: filepath={path}. Cornu reads {read}.")


def _is_of_orbax(path: str) -> bool:
    """Whether a folder is a checkpoint of Orbax, or holds some with the steps as names."""
    if not os.path.isdir(path):
        return False
    steps = (os.path.join(path, name) for name in os.listdir(path) if name.isdigit())
    return any(
        os.path.exists(os.path.join(folder, mark)) for folder in (path, *steps) for mark in _ORBAX
    )


def _check_built(model: Any, what: str) -> None:
    if not model.built:
        raise ValueError(
            f"You are {what} that has not yet been built. Try building the model first by calling "
            "it on some data or by using `build()`."
        )


def _may_write(path: str, overwrite: bool) -> bool:
    if overwrite or not os.path.exists(path):
        return True
    answer = input(f"[WARNING] {path} already exists - overwrite? [y/n]")
    while answer.strip().lower() not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel).')
    return answer.strip().lower() == "y"


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


def _write_weights(model: Any, file: Any, skipped: Any = ()) -> None:
    with new_h5(file) as h5:
        save_tree(model, WeightsFile(h5), skipped)


def _read_weights(model: Any, members: Any, skip_mismatch: bool = False) -> None:
    if _WEIGHTS not in members.names():
        raise ValueError(
            f"Expected a {_WEIGHTS} file in {members.path}, which holds {members.names()}"
        )
    with members.open(_WEIGHTS) as member, open_h5(member) as file:
        load_tree(model, WeightsFile(file, member.seek(0, io.SEEK_END)), skip_mismatch)


def _members(model: Any) -> dict[str, bytes]:
    """Returns the files of a `.keras` archive by their names."""
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any weights "
            "yet. Consider building the model first by calling it on some data.",
            stacklevel=4,
        )
    metadata = {
        "keras_version": _KERAS_VERSION,
        "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S"),
    }
    with ObjectSharingScope():
        config = serialize_keras_object(model)
    weights = io.BytesIO()
    _write_weights(model, weights)
    return {
        _METADATA: json.dumps(metadata).encode("utf-8"),
        _CONFIG: json.dumps(config).encode("utf-8"),
        _WEIGHTS: weights.getvalue(),
        **_saved_assets(model),
    }


def _saved_assets(model: Any) -> dict[str, bytes]:
    """Returns the files that objects of the model, such as vocabularies, write themselves."""
    assets = {}
    for path, saveable in walk(model):
        if not hasattr(saveable, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            saveable.save_assets(folder)
            written = FolderMembers(folder)
            for name in sorted(written.names()):
                assets["/".join(filter(None, (_ASSETS, path, name)))] = written.read(name)
    return assets


def _load_assets(model: Any, members: Any) -> None:
    names = [name for name in members.names() if name.startswith(f"{_ASSETS}/")]
    for path, saveable in walk(model) if names else ():
        inside = "/".join(filter(None, (_ASSETS, path))) + "/"
        own = [name for name in names if name.startswith(inside) and not name.endswith("/")]
        if own and hasattr(saveable, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                write_folder(folder, {name[len(inside) :]: members.read(name) for name in own})
                saveable.load_assets(folder)


def _read_model(members: Any, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    text = members.read(_CONFIG)
    if len(text) > _MAX_CONFIG:
        raise ValueError(f"{members.path}: the config has {len(text)} bytes")
    config = parsed_config(text, members.path)
    if not compile:
        config["compile_config"] = None
    version: Any = _KERAS_VERSION
    if _METADATA in members.names():
        metadata = parsed_config(members.read(_METADATA), members.path)
        version = metadata.get("keras_version", version)
    with first_values_put_off():
        model = model_of_config(config, version, members.path, custom_objects, safe_mode)
        try:
            _read_weights(model, members)
        except OSError as error:
            raise ValueError(f"{members.path}: the weights are broken: {error}") from error
    _load_assets(model, members)
    return model
