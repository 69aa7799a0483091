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
# Bytes that are checked at a time.
_CHUNK = 1 << 18


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
        self._file = file
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
        with self._member(name) as member:
            return member.read()

    def open(self, name: str) -> Any:
        """Returns a member as an open binary file; one that is stored plainly is read in place.

        Raises:
            KeyError: if there is none of this name.
            ValueError: if it is broken.
        """
        info = self._zip.NameToInfo.get(name)
        if info is None or info.compress_type or not hasattr(self._file, "readinto"):
            return io.BytesIO(self.read(name))
        with self._member(name) as member:
            while member.read(_CHUNK):  # compares the checksum at the end
                pass
        # The name and more stand between a header of fixed length, here and there, and the data.
        self._file.seek(info.header_offset + 26)
        lengths = self._file.read(4)
        start = info.header_offset + 30
        start += sum(int.from_bytes(length, "little") for length in (lengths[:2], lengths[2:]))
        return _Part(self._file, start, info.file_size)

    @contextlib.contextmanager
    def _member(self, name: str) -> Iterator[Any]:
        if name not in self._names:
            raise KeyError(
                f"There is no item named {name!r} in the archive {self.path}, it has {self._names}"
            )
        try:
            with self._zip.open(name) as member:
                yield member
        except Exception as error:  # zlib, bz2 and lzma have errors of their own
            raise ValueError(f"{self.path} is broken, member {name!r}: {error}") from error


class _Part(io.RawIOBase):
    """Some bytes of an open binary file, as a file.

    Args:
        file: the whole.
        start: where the part starts.
        size: its bytes.
    """

    def __init__(self, file: Any, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._place)
        count = self._file.readinto(memoryview(buffer)[: max(self._size - self._place, 0)])
        self._place += count
        return count


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
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> Any:
        """Returns an open file."""
        return open(os.path.join(self.path, *name.split("/")), "rb")


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
