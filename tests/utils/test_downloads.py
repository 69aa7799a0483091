"""Files are fetched once, checked, and unpacked safely."""

import hashlib
import io
import os
import pathlib
import tarfile
import zipfile

import pytest

from cornu.utils import get_file


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    with tarfile.open(folder / "t.tar.gz", "w:gz") as archive:
        archive.add(folder / "a.txt", "inside/a.txt")
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.write(folder / "a.txt", "inside/a.txt")
    return folder


@pytest.fixture
def fetch(source, tmp_path):
    def fetch(name, of, **given):
        path = get_file(name, f"file://{source}/{of}", cache_dir=tmp_path / "cache", **given)
        return os.path.relpath(path, tmp_path / "cache"), pathlib.Path(path)

    return fetch


SHA256 = hashlib.sha256(b"hello").hexdigest()
MD5 = hashlib.md5(b"hello").hexdigest()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"file_hash": SHA256},
        {"file_hash": MD5},
        {"md5_hash": MD5},
        {"file_hash": SHA256, "hash_algorithm": "sha256"},
    ],
)
def test_files(fetch, source, given):
    name, path = fetch("b.txt", "a.txt", **given)
    assert name == "datasets/b.txt"
    assert path.read_text() == "hello"
    (source / "a.txt").write_text("changed")
    assert fetch("b.txt", "a.txt", **given)[1].read_text() == "hello"
    if not given:
        assert fetch("b.txt", "a.txt", force_download=True)[1].read_text() == "changed"


def test_places(fetch, source, tmp_path, monkeypatch):
    assert fetch(None, "a.txt", cache_subdir="s")[0] == "s/a.txt"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    path = get_file(origin=f"file://{source}/a.txt")
    assert path == str(tmp_path / "home" / "datasets" / "a.txt")


@pytest.mark.parametrize(
    "name, of, given, folder",
    [
        ("t.tar.gz", "t.tar.gz", {"extract": True}, "t_extracted"),
        ("t", "t.tar.gz", {"untar": True}, "t"),
        ("z.zip", "z.zip", {"extract": True}, "z_extracted"),
        ("target", "t.tar.gz", {"extract": True}, "target_extracted"),
        ("z.zip", "z.zip", {"extract": True, "archive_format": ["zip"]}, "z_extracted"),
    ],
)
def test_archives(fetch, name, of, given, folder):
    for _ in range(2):
        found, path = fetch(name, of, **given)
        assert found == f"datasets/{folder}"
        assert (path / "inside" / "a.txt").read_text() == "hello"


def test_a_file_that_is_another_is_not_kept(fetch, tmp_path):
    with pytest.raises(ValueError, match="corrupted"):
        fetch("b.txt", "a.txt", file_hash="0" * 64)
    assert os.listdir(tmp_path / "cache" / "datasets") == []


def test_a_broken_file_is_fetched_anew(fetch):
    _, path = fetch("b.txt", "a.txt")
    path.write_text("hel")
    assert fetch("b.txt", "a.txt", file_hash=SHA256)[1].read_text() == "hello"


@pytest.mark.parametrize(
    "name, given, error",
    [
        ("sub/a.txt", {}, ValueError),
        ("../a.txt", {}, ValueError),
        ("..", {}, ValueError),
        ("x.zip", {"extract": True, "archive_format": "rar"}, NotImplementedError),
    ],
)
def test_errors(fetch, name, given, error):
    with pytest.raises(error):
        fetch(name, "z.zip", **given)


def test_what_is_not_there(fetch):
    with pytest.raises(Exception, match="URL fetch failure"):
        fetch("x.txt", "none.txt")
    with pytest.raises(ValueError, match="origin"):
        get_file("x.txt")


def test_archives_write_nowhere_else(fetch, source, tmp_path):
    with zipfile.ZipFile(source / "evil.zip", "w") as archive:
        archive.writestr("../evil.txt", "x")
    with tarfile.open(source / "evil.tar", "w") as archive:
        member = tarfile.TarInfo("../evil.txt")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    for name in ("evil.zip", "evil.tar"):
        with pytest.raises((ValueError, tarfile.TarError)):
            fetch(name, name, extract=True)
    assert not list(tmp_path.rglob("evil.txt"))
