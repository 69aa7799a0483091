"""What a `.keras` file is: named members, in a zip file or a folder."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

# A member may expand to so many times its stored size, above so many bytes.
_EXPANSION = 100
_ALWAYS_ALLOWED = 1 << 22


class ZipMembers:
    """The members of an open zip file, checked before anything is read.

    Args:
        file: open binary file.
        path: what errors call it.

    Raises:
        ValueError: if it is no zip file, or not one that a model is saved in.
    """

    def __init__(self, file: Any, path: str) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(file)
            self._names = [self._checked(info) for info in self._zip.infolist()]
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
            raise ValueError(
                f"{path} is not a `.keras` zip file, or it is broken: {error}"
            ) from error
        if len(set(self._names)) < len(self._names):
            raise ValueError(f"{path} holds two members of one name: {sorted(self._names)}")

    def _checked(self, info: zipfile.ZipInfo) -> str:
        name = info.filename
        if name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name:
            raise ValueError(f"{self.path} holds a member outside of the archive: {name!r}")
        if info.file_size > max(_ALWAYS_ALLOWED, _EXPANSION * info.compress_size):
            raise ValueError(
                f"Not allowed: ZIP member {name!r} of {self.path} declares {info.file_size} bytes "
                f"but only {info.compress_size} are stored"
            )
        return name

    def names(self) -> list[str]:
        """Returns the names of the members."""
        return self._names

    def read(self, name: str) -> bytes:
        """Returns what a member holds.

        Raises:
            KeyError: if there is none of this name.
            ValueError: if it is broken.
        """
        if name not in self._names:
            raise KeyError(
                f"There is no item named {name!r} in the archive {self.path}, it has {self._names}"
            )
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise ValueError(f"{self.path} is broken, member {name!r}: {error}") from error
        except Exception as error:  # zlib, bz2 and lzma have errors of their own
            raise ValueError(f"{self.path} is broken, member {name!r}: {error}") from error


class FolderMembers:
    """The files of a folder as members, with the methods of `ZipMembers`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Returns the paths of the files, relative to the folder."""
        found = []
        for folder, _, files in os.walk(self.path):
            found += [os.path.relpath(os.path.join(folder, name), self.path) for name in files]
        return [name.replace(os.sep, "/") for name in found]

    def read(self, name: str) -> bytes:
        """Returns what a file holds."""
        with open(os.path.join(self.path, *name.split("/")), "rb") as file:
            return file.read()


def write_zip(file: Any, members: dict[str, bytes]) -> None:
    """Writes members into an open binary file, uncompressed as Keras does."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_folder(path: str, members: dict[str, bytes]) -> None:
    """Writes members as files of a folder, each replaced at once."""
    for name, data in members.items():
        with replacing(os.path.join(path, *name.split("/"))) as file:
            file.write(data)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[Any]:
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


@contextlib.contextmanager
def new_h5(file: Any) -> Iterator[Any]:
    """Gives an HDF5 file whose bytes are written to an open binary file when all is in it.

    HDF5 itself writes to memory: it can't be left half done when a disk is full.
    """
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as h5:
        yield h5
    file.write(memory.getbuffer())


@contextlib.contextmanager
def open_h5(file: Any) -> Iterator[Any]:
    """Gives an HDF5 file that is open for reading.

    Raises:
        OSError: if it is none, broken, or missing.
    """
    import h5py

    with h5py.File(file, "r") as h5:
        try:
            yield h5
        except RuntimeError as error:  # what the library says of a broken structure
            raise OSError(f"The HDF5 file is broken: {error}") from error
