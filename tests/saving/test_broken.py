"""Broken and hostile files end in an error that says what is wrong, and in nothing else."""

import base64
import io
import json
import marshal
import os
import pathlib
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import cornu
from cornu.saving.serialization import model_of_config
from reference import keras

LIBRARIES = (keras, cornu)
pytestmark = pytest.mark.filterwarnings("ignore")


def small():
    return cornu.Sequential([cornu.Input((4,)), cornu.layers.Dense(3, name="first")])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sound files, by their endings, as bytes."""
    folder, found = tmp_path_factory.mktemp("sound"), {}
    model = small()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    for ending in (".keras", ".h5", ".weights.h5"):
        path = folder / f"model{ending}"
        model.save_weights(path) if ending == ".weights.h5" else model.save(path)
        found[ending] = path.read_bytes()
    return found


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return file.getvalue()


def changed_h5(data, change):
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as h5:
        change(h5)
    return file.getvalue()


def replaced(h5, path, **options):
    """Puts another dataset, or a link, where one stood."""
    del h5[path]
    link = options.pop("link", None)
    if link is not None:
        h5[path] = link
    else:
        h5.create_dataset(path, **options)


# Configs


def layer_config(**changes):
    config = cornu.saving.serialize_keras_object(small())
    config["config"]["layers"][1].update(changes)
    return config


def argument_config(**changes):
    config = cornu.saving.serialize_keras_object(small())
    config["config"]["layers"][1]["config"].update(changes)
    return config


def named(module, name, class_name="function", config=None):
    config = name if config is None else config
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": class_name,
    }


LAMBDA = {
    "class_name": "__lambda__",
    "config": {
        "code": base64.b64encode(
            marshal.dumps(compile("open('/tmp/ran', 'w')", "x", "eval"))
        ).decode("ascii"),
        "defaults": None,
        "closure": None,
    },
}
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
BOMB = named("keras.utils", "get_file")

# Config, or its text; the error; whether Keras raises the same.
CONFIGS = {
    "no json": ("{", ValueError, True),
    "not text": (b"\xff\xfe", ValueError, True),
    "a list": ([], ValueError, False),
    "a number": (3, ValueError, False),
    "null": (None, ValueError, False),
    "too deep": (DEEP, ValueError, False),
    "no model": (argument_config()["config"]["layers"][1]["config"], ValueError, False),
    "unknown class": (layer_config(class_name="Nothing"), (TypeError, ValueError), True),
    "unknown module": (layer_config(module="this", class_name="Nothing"), TypeError, True),
    "no layer": (layer_config(**named("keras.losses", "x", "MeanSquaredError", {})), None, False),
    "os.system": (layer_config(**named("os", "system")), TypeError, True),
    "subprocess": (layer_config(module="subprocess", class_name="Popen"), TypeError, True),
    "builtins": (argument_config(activation=named("builtins", "eval")), TypeError, True),
    "getattr": (argument_config(activation=named("builtins", "getattr")), TypeError, True),
    "a helper": (argument_config(activation=BOMB), (TypeError, ValueError), True),
    "load_model": (
        argument_config(activation=named("keras.saving", "load_model")),
        (TypeError, ValueError),
        True,
    ),
    "unsafe": (
        argument_config(
            activation=named("keras.config", "enable_unsafe_deserialization"),
        ),
        (TypeError, ValueError),
        True,
    ),
    "dunder": (layer_config(class_name="__class__"), (TypeError, ValueError), True),
    "dotted": (layer_config(class_name="layers.Dense"), (TypeError, ValueError), True),
    "lambda": (argument_config(activation=LAMBDA), (TypeError, ValueError), True),
    "lambda layer": (
        layer_config(class_name="Lambda", config={"name": "x", "function": LAMBDA}),
        ValueError,
        True,
    ),
    "config is a list": (layer_config(config=[1]), TypeError, True),
    "config is null": (layer_config(config=None), TypeError, True),
    "class is a number": (layer_config(class_name=3), TypeError, False),
    "module is a list": (layer_config(module=["keras"]), TypeError, False),
    "units is text": (argument_config(units="many"), (TypeError, ValueError), False),
    "units is negative": (argument_config(units=-3), (TypeError, ValueError), True),
    "units is huge": (argument_config(units=10**15), None, False),
    "unknown argument": (argument_config(color="red"), TypeError, True),
    "unknown activation": (argument_config(activation="nothing"), (TypeError, ValueError), True),
    "slash in name": (argument_config(name="../../up"), (TypeError, ValueError), True),
    "layers is text": ({**layer_config(), "config": {"name": "x", "layers": "abc"}}, None, False),
    "shape is text": (layer_config(build_config={"input_shape": "abc"}), None, False),
}


JUNK = [
    *(None, -1, 0, "x", "", [], {}, [1, 2], True, 1.5, "../x", [[["a", 0, 0, {}]]]),
    *({"class_name": "Dense"}, {"class_name": "Dense", "config": {}}),
    *({"class_name": f"__{kind}__", "config": 3} for kind in ("slice", "bytes", "numpy")),
    *({"class_name": f"__{kind}__", "config": {}} for kind in ("tensor", "keras_tensor")),
    {"class_name": "__bytes__", "config": {"value": 3}},
]


def places(config, place=()):
    """Yields the place of each value in a config."""
    inner = config.items() if isinstance(config, dict) else ()
    for key, value in enumerate(config) if isinstance(config, list) else inner:
        yield (*place, key)
        yield from places(value, (*place, key))


@pytest.mark.parametrize("name", ["cnn", "nested", "tf_ops"])
def test_every_value_of_a_config_may_be_wrong(name):
    path = pathlib.Path(__file__).parent / "files" / f"{name}.h5"
    with h5py.File(path) as h5:
        text = h5.attrs["model_config"]
    new = cornu.saving.serialize_keras_object(cornu.saving.load_model(path, compile=False))
    rng = np.random.default_rng(1)
    for version, source in (("2.15", text), ("3.15", json.dumps(new))):
        for _ in range(10):
            config = json.loads(source)
            found = list(places(config))
            *way, last = found[rng.integers(len(found))]
            holder = config
            for key in way:
                holder = holder[key]
            holder[last] = JUNK[rng.integers(len(JUNK))]
            try:
                model_of_config(config, version, "the file", None, True)
            except (ValueError, TypeError, MemoryError) as error:
                assert str(error)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", CONFIGS)
def test_broken_configs(name, ending, files, tmp_path):
    config, error, like_keras = CONFIGS[name]
    text = config if isinstance(config, str | bytes) else json.dumps(config)
    path = tmp_path / f"model{ending}"
    if ending == ".keras":
        path.write_bytes(packed({**members(files[ending]), "config.json": text}))
    elif len(text) < 60_000:
        path.write_bytes(
            changed_h5(files[ending], lambda h5: h5.attrs.modify("model_config", text))
        )
    else:
        return  # HDF5 keeps no attribute of that size
    with pytest.raises(error or (TypeError, ValueError, MemoryError)) as caught:
        cornu.saving.load_model(path)
    assert len(str(caught.value)) > 20
    assert "this" not in sys.modules
    assert not os.path.exists("/tmp/ran")
    if like_keras and ending == ".keras":
        with pytest.raises(error):
            keras.saving.load_model(path)


# Archives


def _bomb(contents):
    return packed({**contents, "config.json": b" " * (64 << 20)}, compression=zipfile.ZIP_DEFLATED)


def _lying_size(contents):
    """Declares 4 GB less one byte for a member of a few."""
    data = packed(contents)
    size = struct.pack("<I", len(contents["config.json"]))
    return data.replace(size, b"\xfe\xff\xff\xff")


# What is made of the sound members; the error; part of the message; whether Keras raises the same.
ARCHIVES = {
    "no zip": (lambda m: b"hello" * 99, ValueError, "not a", True),
    "empty": (lambda m: b"", ValueError, "not a", True),
    "cut off": (lambda m: packed(m)[:-100], ValueError, "not a|broken", True),
    "cut in half": (lambda m: packed(m)[:3000], ValueError, "not a|broken", True),
    "a pointer": (lambda m: b"version https://git-lfs.github.com/spec/v1", ValueError, "LFS", True),
    "no config": (lambda m: packed({"a": b"b"}), KeyError, "config.json", True),
    "no weights": (
        lambda m: packed({k: v for k, v in m.items() if "weights" not in k}),
        ValueError,
        "model.weights.h5",
        True,
    ),
    "weights are none": (
        lambda m: packed({**m, "model.weights.h5": b"hello" * 999}),
        (ValueError, OSError),
        "weights",
        True,
    ),
    "weights are cut off": (
        lambda m: packed({**m, "model.weights.h5": m["model.weights.h5"][:2000]}),
        (ValueError, OSError),
        "weights",
        True,
    ),
    "traversal": (lambda m: packed({**m, "../evil": b"x"}), ValueError, "outside", False),
    "absolute": (lambda m: packed({**m, "/tmp/evil": b"x"}), ValueError, "outside", False),
    "backslash": (lambda m: packed({**m, "..\\evil": b"x"}), ValueError, "outside", False),
    "drive": (lambda m: packed({**m, "C:evil": b"x"}), ValueError, "outside", False),
    "bomb": (_bomb, ValueError, "declares", False),
    "lying size": (_lying_size, ValueError, "declares|broken", False),
    "damaged": (
        lambda m: packed(m).replace(b'"class_name": "Sequential"', b'"class_name": "Xequential"'),
        ValueError,
        "CRC",
        False,
    ),
    "damaged weights": (
        lambda m: packed(m).replace(m["model.weights.h5"][-64:], b"\x01" * 64),
        ValueError,
        "CRC.*weights|weights.*CRC",
        False,
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_broken_archives(name, files, tmp_path):
    make, error, message, like_keras = ARCHIVES[name]
    path = tmp_path / "model.keras"
    path.write_bytes(make(members(files[".keras"])))
    with pytest.raises(error, match=message):
        cornu.saving.load_model(path)
    if like_keras:
        with pytest.raises(error):
            keras.saving.load_model(path)
    assert os.listdir(tmp_path) == ["model.keras"]


def test_two_members_of_one_name(files, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(files[".keras"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", b"{}")
    with pytest.raises(ValueError, match="two members"):
        cornu.saving.load_model(path)


# Weights

KERNEL = "layers/dense/vars/0"
HUGE = {"shape": (1 << 20, 1 << 17), "chunks": (1, 1 << 17), "compression": "gzip"}


def _virtual(h5):
    layout = h5py.VirtualLayout((4, 3), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4, 3), "float32")
    del h5[KERNEL]
    h5.create_virtual_dataset(KERNEL, layout)


def _external(h5):
    replaced(h5, KERNEL, shape=(4, 3), dtype="float32", external=[("/etc/hostname", 0, 48)])


def _cycle(h5):
    del h5["layers/dense"]
    h5["layers/dense"] = h5["layers"]


def _grouped(h5):
    del h5[KERNEL]
    h5.create_group(KERNEL)


# Each with the change, part of the message, and whether Keras raises the same.
WEIGHTS = {
    "no kernel": (lambda h5: h5.pop(KERNEL), "expected 2 variables, but received 1", True),
    "no layer": (lambda h5: h5.pop("layers/dense"), "expected 2 variables", True),
    "wrong shape": (lambda h5: replaced(h5, KERNEL, data=np.ones((4, 4))), r"\(4, 4\)", True),
    "wrong rank": (lambda h5: replaced(h5, KERNEL, data=np.ones(12)), r"\(12,\)", True),
    "too many": (
        lambda h5: h5.create_dataset("layers/dense/vars/2", data=[1.0]),
        "expected 2 variables, but received 3",
        True,
    ),
    "text": (lambda h5: replaced(h5, KERNEL, data=np.full((4, 3), b"hello")), "numbers", False),
    "objects": (
        lambda h5: replaced(h5, KERNEL, shape=(4, 3), dtype=h5py.string_dtype()),
        "numbers",
        False,
    ),
    "nothing": (lambda h5: replaced(h5, KERNEL, data=h5py.Empty("float32")), "numbers", False),
    "records of two bytes": (
        lambda h5: replaced(h5, KERNEL, shape=(4, 3), dtype=[("a", "u1"), ("b", "u1")]),
        "numbers",
        False,
    ),
    "pairs": (lambda h5: replaced(h5, KERNEL, shape=(4,), dtype=("u1", (2,))), "numbers", False),
    "a group": (_grouped, "Dataset", True),
    "external link": (
        lambda h5: replaced(h5, KERNEL, link=h5py.ExternalLink("/etc/hostname", "/x")),
        "ExternalLink|lacks",
        True,
    ),
    "soft link": (
        lambda h5: replaced(h5, KERNEL, link=h5py.SoftLink("/layers/dense/vars/1")),
        "SoftLink",
        True,
    ),
    "link to a group": (
        lambda h5: replaced(h5, "layers/dense/vars", link=h5py.SoftLink("/optimizer/vars")),
        "SoftLink",
        True,
    ),
    "external storage": (_external, "external", True),
    "virtual": (_virtual, "virtual", True),
    "cycle": (_cycle, "expected 2 variables", True),
    "huge": (lambda h5: replaced(h5, KERNEL, dtype="float32", **HUGE), "declares", True),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_broken_weights(name, files, tmp_path):
    change, message, like_keras = WEIGHTS[name]
    data = changed_h5(files[".weights.h5"], change)
    path, whole = tmp_path / "model.weights.h5", tmp_path / "model.keras"
    path.write_bytes(data)
    whole.write_bytes(packed({**members(files[".keras"]), "model.weights.h5": data}))
    with pytest.raises(ValueError, match=message) as caught:
        small().load_weights(path)
    assert "first" in str(caught.value)
    with pytest.raises(ValueError, match=message):
        cornu.saving.load_model(whole)
    if like_keras:
        with pytest.raises(ValueError):
            keras.saving.load_model(whole)


OLD = "model_weights/first"


def _old_kernel(h5):
    return f"{OLD}/{h5[OLD].attrs['weight_names'][0]}"


def _renamed(h5):
    h5[OLD].attrs["weight_names"] = [b"../../optimizer_weights", b"x"]


def _huge_names(h5):
    h5["model_weights"].attrs["layer_names"] = [b"first"] * 3


# Each with the change, the error, part of the message, and whether Keras raises the same.
OLD_FILES = {
    "no config": (lambda h5: h5.attrs.pop("model_config"), ValueError, "config", True),
    "no weights": (lambda h5: h5.pop("model_weights"), KeyError, "model_weights", True),
    "no layer": (lambda h5: h5.pop(OLD), KeyError, "first", True),
    "layers too many": (_huge_names, ValueError, "expected 1 layers, found 3", True),
    "wrong shape": (
        lambda h5: replaced(h5, _old_kernel(h5), data=np.ones((2, 2))),
        ValueError,
        r"first.*\(4, 3\).*\(2, 2\)",
        True,
    ),
    "wrong number": (
        lambda h5: h5[OLD].attrs.create("weight_names", [b"a"]),
        (ValueError, KeyError),
        "first|lacks",
        True,
    ),
    "elsewhere": (_renamed, (ValueError, KeyError), "lacks|Invalid", True),
    "external link": (
        lambda h5: replaced(h5, OLD, link=h5py.ExternalLink("/etc/hostname", "/x")),
        (ValueError, KeyError),
        "ExternalLink",
        True,
    ),
    "soft link": (
        lambda h5: replaced(h5, OLD, link=h5py.SoftLink("/optimizer_weights")),
        ValueError,
        "SoftLink",
        True,
    ),
    "huge": (
        lambda h5: replaced(h5, _old_kernel(h5), dtype="float32", **HUGE),
        ValueError,
        "declares",
        True,
    ),
}


@pytest.mark.parametrize("name", OLD_FILES)
def test_broken_old_files(name, files, tmp_path):
    change, error, message, like_keras = OLD_FILES[name]
    path = tmp_path / "model.h5"
    path.write_bytes(changed_h5(files[".h5"], change))
    with pytest.raises(error, match=message):
        cornu.saving.load_model(path)
    if like_keras:
        with pytest.raises(error):
            keras.saving.load_model(path)


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_cut_off_h5(ending, files, tmp_path):
    path = tmp_path / f"model{ending}"
    for size in (0, 5, 100, 1000, len(files[ending]) - 200):
        path.write_bytes(files[ending][:size])
        for library in LIBRARIES:
            with pytest.raises(OSError):
                if ending == ".h5":
                    library.saving.load_model(path)
                else:
                    small().load_weights(path)


def test_every_byte_may_be_wrong(files, tmp_path):
    """A changed byte gives a model or a plain error, never a crash."""
    rng = np.random.default_rng(1)
    for ending in (".keras", ".h5"):
        path = tmp_path / f"model{ending}"
        for _ in range(10):
            data = bytearray(files[ending])
            for place in rng.integers(0, len(data), 3):
                data[place] = rng.integers(0, 256)
            path.write_bytes(data)
            try:
                cornu.saving.load_model(path)
            except (ValueError, TypeError, KeyError, OSError) as error:
                assert str(error)


# Paths and disks

PATHS = {
    "missing.keras": ValueError,
    "missing.h5": FileNotFoundError,
    "missing": ValueError,
    "folder": ValueError,
    "folder.keras": ValueError,
    "folder.h5": OSError,
    "text.txt": ValueError,
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_that_hold_no_model(name, tmp_path):
    path = tmp_path / name
    if name.startswith("folder"):
        path.mkdir()
    elif not name.startswith("missing"):
        path.write_text("hello")
    for library in LIBRARIES:
        with pytest.raises(PATHS[name]):
            library.saving.load_model(path)


@pytest.mark.parametrize("name", ["model.txt", "model", "model.weights.json"])
def test_paths_that_a_model_is_not_saved_to(name, tmp_path):
    with pytest.raises(ValueError, match="extension"):
        small().save(tmp_path / name)
    with pytest.raises(ValueError, match="must end in"):
        small().save_weights(tmp_path / name)


FULL_DISK = """
import resource, sys
import cornu
model = cornu.Sequential([cornu.Input((64,)), cornu.layers.Dense(512)])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
path = sys.argv[1]
try:
    model.save_weights(path) if path.endswith(".weights.h5") else model.save(path)
except OSError as error:
    print("OSError", error)
"""
KILLED = """
import os, sys
import cornu
model = cornu.Sequential([cornu.Input((64,)), cornu.layers.Dense(512)])
os.fsync = lambda handle: os._exit(9)
path = sys.argv[1]
model.save_weights(path) if path.endswith(".weights.h5") else model.save(path)
"""


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_a_failed_save_leaves_the_old_file(ending, files, tmp_path):
    path = tmp_path / f"model{ending}"
    path.write_bytes(files[ending])
    run = {"capture_output": True, "text": True, "timeout": 120}
    full = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], **run, check=True)
    assert full.stdout.startswith("OSError")
    assert os.listdir(tmp_path) == [path.name]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], **run, check=False)
    assert killed.returncode == 9
    assert path.read_bytes() == files[ending]


def test_a_failing_layer_leaves_the_old_file(files, tmp_path):
    class Failing(cornu.layers.Layer):
        def save_own_variables(self, store):
            raise RuntimeError("no")

    path = tmp_path / "model.keras"
    path.write_bytes(files[".keras"])
    with pytest.raises(RuntimeError, match="no"):
        cornu.Sequential([cornu.Input((4,)), Failing()]).save(path)
    assert path.read_bytes() == files[".keras"]
    assert os.listdir(tmp_path) == ["model.keras"]
