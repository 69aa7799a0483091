"""Files that are fetched once and kept."""

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from cornu import config

_CHUNK = 1 << 16
# Seconds without an answer.
_TIMEOUT = 60


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """Returns the path of a file, which is fetched unless it is there already.

    Args:
        fname: name of the file; the last part of the address by default.
        origin: address of the file.
        untar: whether the file is a tar archive that is unpacked into a folder named `fname`.
        md5_hash: MD5 hash of the file; `file_hash` takes others too.
        file_hash: hash that the file must have.
        cache_subdir: folder inside the cache.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"` to tell them by the hash's length.
        extract: whether the file is an archive that is unpacked.
        archive_format: `"tar"`, `"zip"`, a list of them, or `"auto"` for both.
        cache_dir: the cache; `$KERAS_HOME`, else `~/.keras`, by default.
        force_download: whether a file that is there is fetched anew.

    Returns:
        The path of the file; of the folder that it was unpacked into, if it was.

    Raises:
        ValueError: if the address is missing, the name is a path, or the hash is another.
        Exception: if the file can't be fetched.

    >>> get_file("words.txt", "https://example.org/words.txt")
    '/home/me/.keras/datasets/words.txt'
    """
    if origin is None:
        raise ValueError('Please specify the "origin" argument (URL of the file to download).')
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    name = fname or os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name or name in (".", "..") or os.path.basename(name) != name:
        raise ValueError(
            "Paths are no longer accepted as the `fname` argument. To specify the file's parent "
            f"directory, use the `cache_dir` argument. Received: fname={fname}"
        )
    base = config.home() if cache_dir is None else Path(cache_dir).expanduser()
    folder = base / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = None
    if untar:
        unpacked, archive_format = folder / name, "tar"
        name += ".tar.gz"
    elif extract:
        stem = name
        for ending in (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip"):
            stem = stem.removesuffix(ending)
        stem = stem if stem != name else os.path.splitext(name)[0]
        unpacked = folder / f"{stem}_extracted"
    path = folder / name
    kept = path.exists() and not force_download
    if kept and file_hash is not None and not _has_hash(path, file_hash, hash_algorithm):
        print(
            "A local file was found, but it seems to be incomplete or outdated because the "
            f"{hash_algorithm} file hash does not match the original value of {file_hash} so we "
            "will re-download the data."
        )
        kept = False
    if not kept:
        _fetch(origin, path, file_hash, hash_algorithm)
    if unpacked is None:
        return str(path)
    if not kept or not unpacked.exists():
        _unpack(path, unpacked, archive_format)
    return str(unpacked)


def _has_hash(path: Path, file_hash: str, algorithm: str) -> bool:
    if algorithm == "auto":
        algorithm = "sha256" if len(file_hash) == 64 else "md5"
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == file_hash.lower()


def _fetch(origin: str, path: Path, file_hash: str | None, algorithm: str) -> None:
    """Fetches a file; the path holds all of it or what it held before."""
    from cornu.utils.progbar import Progbar

    print(f"Downloading data from {origin}")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            try:
                with urllib.request.urlopen(origin, timeout=_TIMEOUT) as answer:
                    size = answer.headers.get("Content-Length")
                    bar = Progbar(int(size) if size else None, unit_name="byte")
                    done = 0
                    while chunk := answer.read(_CHUNK):
                        file.write(chunk)
                        done += len(chunk)
                        bar.update(done)
            except urllib.error.HTTPError as error:
                raise Exception(
                    f"URL fetch failure on {origin}: {error.code} -- {error.msg}"
                ) from error
            except urllib.error.URLError as error:
                raise Exception(
                    f"URL fetch failure on {origin}: {error.errno} -- {error.reason}"
                ) from error
        if file_hash is not None and not _has_hash(Path(temporary), file_hash, algorithm):
            raise ValueError(
                f"Incomplete or corrupted file detected. The {algorithm} file hash does not match "
                f"the provided value of {file_hash}."
            )
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _unpack(archive: Path, folder: Path, archive_format: Any) -> None:
    """Unpacks an archive into a folder; a file that is none is left alone."""
    if archive_format is None:
        return
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format
    for kind in [formats] if isinstance(formats, str) else formats:
        if kind not in ("tar", "zip"):
            raise NotImplementedError(kind)
        if not (tarfile.is_tarfile(archive) if kind == "tar" else zipfile.is_zipfile(archive)):
            continue
        temporary = tempfile.mkdtemp(dir=folder.parent, prefix=".")
        try:
            if kind == "tar":
                with tarfile.open(archive) as file:
                    # Links, devices and paths that lead out of the folder are refused.
                    file.extractall(temporary, filter="data")
            else:
                with zipfile.ZipFile(archive) as file:
                    _check_names(file)
                    file.extractall(temporary)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        os.chmod(folder, 0o755)
        return


def _check_names(archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        if name.startswith("/") or ".." in name.replace("\\", "/").split("/"):
            raise ValueError(f"The archive holds a path that leads out of it: {name!r}")
