"""Files cross between Cornu and the real Keras, both ways; `check_layer` does it layer by layer."""

import io
import json
import zipfile

import numpy as np
import pytest
from saved_models import MODELS, Saved, fill, own_classes

import cornu
from reference import fresh, keras

LIBRARIES = (keras, cornu)
ENDINGS = (".keras", ".h5", ".weights.h5")
pytestmark = pytest.mark.filterwarnings("ignore:.*not compiled", "ignore:.*not. compiled")


@pytest.fixture(autouse=True)
def own():
    fresh()
    for library in LIBRARIES:
        own_classes(library)


def assert_close(results, expected, tolerance=1e-5):
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("saved", MODELS, ids=str)
def test_models_cross(saved, ending, tmp_path):
    if ending not in saved.formats:
        with pytest.raises(NotImplementedError, match="Functional model or a Sequential model"):
            saved.make(cornu).save(tmp_path / f"model{ending}")
        return
    path = str(tmp_path / f"model{ending}")
    readers = {keras: (cornu,), cornu: (cornu,) if ending in saved.unread else LIBRARIES}
    for writer, its_readers in readers.items():
        model = fill(saved.make(writer))
        expected = saved.outputs(model)
        if ending == ".weights.h5":
            model.save_weights(path)
        else:
            model.save(path)
        for reader in its_readers:
            if ending == ".weights.h5":
                again = saved.make(reader)
                again.load_weights(path)
            else:
                again = reader.saving.load_model(path)
            assert_close(saved.outputs(again), expected, saved.tolerance)


@pytest.mark.parametrize("saved", MODELS, ids=str)
def test_weights_are_laid_out_as_keras_does(saved, tmp_path):
    trees = []
    for library in LIBRARIES:
        fresh()
        model = saved.make(library)
        model.compile("adam", "mse", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
        path = str(tmp_path / "model.weights.h5")
        model.save_weights(path)
        trees.append(layout(path))
    assert trees[1] == trees[0]


def layout(path):
    """Returns the groups, their attributes, and shapes and types of the arrays of a file."""
    import h5py

    found = {}

    def note(name, item):
        attributes = dict(item.attrs)
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape, str(item.dtype), attributes
        else:
            found[name] = attributes

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("saved", MODELS, ids=str)
def test_configs_equal_keras(saved):
    configs = []
    for library in LIBRARIES:
        fresh()
        model = saved.make(library)
        configs.append(plain(json.loads(json.dumps(library.saving.serialize_keras_object(model)))))
    assert configs[1] == configs[0]


def plain(config):
    """Returns a config without what says nothing: numbers of objects, arguments left at None."""
    if isinstance(config, dict):
        config = {k: plain(v) for k, v in config.items() if k != "shared_object_id"}
        if isinstance(config.get("kwargs"), dict):
            given = config["kwargs"].items()
            config["kwargs"] = {k: v for k, v in given if v not in (None, False, [None, None])}
        return config
    return [plain(item) for item in config] if isinstance(config, list) else config


def test_a_shared_model_is_one_object_again(tmp_path):
    saved = next(saved for saved in MODELS if str(saved) == "shared_models")
    for writer in LIBRARIES:
        path = str(tmp_path / "model.keras")
        saved.make(writer).save(path)
        model = cornu.saving.load_model(path)
        assert model.get_layer("tower") is model.get_layer("p").get_layer("tower")


# Training goes on


def regression(library, optimizer):
    layers = library.layers
    inputs = library.Input((4,))
    x = layers.Dense(5, activation="tanh")(inputs)
    x = layers.BatchNormalization()(x)
    outputs = [layers.Dense(2, name="a")(x), layers.Dense(1, name="b")(x)]
    model = fill(library.Model(inputs, outputs))
    model.compile(
        optimizer(library),
        loss=[library.losses.LogCosh(), "mse"],
        metrics=[["mae", library.metrics.RootMeanSquaredError(name="root")], None],
        loss_weights=[1.0, 0.5],
    )
    return model


OPTIMIZERS = {
    "adam": lambda library: library.optimizers.Adam(0.05, amsgrad=True),
    "momentum": lambda library: library.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "schedule": lambda library: library.optimizers.RMSprop(
        library.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5), clipnorm=1.0
    ),
    "scaled": lambda library: library.optimizers.LossScaleOptimizer(
        library.optimizers.AdamW(0.05), initial_scale=4.0
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on(optimizer, ending, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((6, 4)).astype("float32")
    y = [rng.standard_normal((6, n)).astype("float32") for n in (2, 1)]
    path = str(tmp_path / f"model{ending}")
    for writer, reader in ((keras, cornu), (cornu, keras), (cornu, cornu)):
        fresh()
        model = regression(writer, OPTIMIZERS[optimizer])
        model.fit(x, y, epochs=2, batch_size=6, shuffle=False, verbose=0)
        if ending == ".weights.h5":
            again = regression(reader, OPTIMIZERS[optimizer])
            again.optimizer.build(again.trainable_variables)
            model.save_weights(path)
            again.load_weights(path)
        elif reader is keras and ending == ".h5":
            return  # Keras doesn't restore an optimizer from such a file
        else:
            model.save(path)
            again = reader.saving.load_model(path)
        assert int(np.asarray(again.optimizer.iterations)) == 2
        for each in (model, again):
            each.fit(x, y, epochs=2, batch_size=6, shuffle=False, verbose=0)
        assert_close(again.get_weights(), model.get_weights(), 1e-5)
        logs = [each.evaluate(x, y, verbose=0, return_dict=True) for each in (model, again)]
        assert list(logs[0]) == list(logs[1])
        assert_close(logs[1].values(), logs[0].values(), 1e-5)


def test_a_model_can_be_loaded_without_its_compilation(tmp_path):
    for writer in LIBRARIES:
        model = regression(writer, OPTIMIZERS["adam"])
        for ending in (".keras", ".h5"):
            path = str(tmp_path / f"model{ending}")
            model.save(path)
            assert not cornu.saving.load_model(path, compile=False).compiled


# Weights in parts


def stack(library, units=(3, 2), names=("first", "last"), **options):
    layers = [
        library.layers.Dense(n, name=name, **options) for n, name in zip(units, names, strict=True)
    ]
    return fill(library.Sequential([library.Input((4,)), *layers]))


def test_sharded_weights_cross(tmp_path):
    gigabyte = 2**30
    for size in (48, 60, 1000):
        for writer, reader in ((keras, cornu), (cornu, keras), (cornu, cornu)):
            path = tmp_path / f"{size}{writer.__name__}.weights.json"
            model = stack(writer)
            model.save_weights(path, max_shard_size=size / gigabyte)
            again = stack(reader)
            again.set_weights([0 * w for w in again.get_weights()])
            again.load_weights(path)
            assert_close(again.get_weights(), model.get_weights(), 0)
        lists = [
            (tmp_path / f"{size}{library.__name__}.weights.json").read_text()
            for library in LIBRARIES
        ]
        assert json.loads(lists[1].replace("cornu", "keras")) == json.loads(lists[0])


def test_sharded_weights_are_checked(tmp_path):
    path = tmp_path / "model.weights.json"
    for library in LIBRARIES:
        model = stack(library)
        with pytest.raises(ValueError, match="exceeds the maximum shard size"):
            model.save_weights(path, max_shard_size=1e-9)
        with pytest.raises(ValueError, match="must end in"):
            model.save_weights(tmp_path / "model.json", max_shard_size=1)
        with pytest.warns(UserWarning, match="renamed"):
            model.save_weights(tmp_path / "other.weights.h5", max_shard_size=1)
        assert (tmp_path / "other.weights.json").exists()
    for broken in ("[]", "{", '{"weight_map": 3}', '{"weight_map": {"/vars": "../x.weights.h5"}}'):
        path.write_text(broken)
        with pytest.raises(ValueError, match="shard"):
            stack(cornu).load_weights(path)


def _skip_named(library, path):
    model = stack(library, units=(3, 5), names=("first", "other"))
    model.load_weights(path, by_name=True)
    return model


def _skip_shape(library, path):
    model = stack(library, units=(3, 5))
    with pytest.warns(UserWarning, match="Skipping|could not be loaded"):
        model.load_weights(path, skip_mismatch=True)
    return model


def _skip_count_by_name(library, path):
    model = stack(library, use_bias=False)
    with pytest.warns(UserWarning, match="Skipping"):
        model.load_weights(path, by_name=True, skip_mismatch=True)
    return model


def _fit_exactly(library, path):
    model = stack(library)
    model.load_weights(path)
    return model


@pytest.mark.parametrize(
    "load, endings",
    [
        (_fit_exactly, ENDINGS),
        (_skip_shape, ENDINGS),
        (_skip_named, (".h5",)),
        (_skip_count_by_name, (".h5",)),
    ],
)
def test_weights_are_loaded_in_part_as_keras_does(load, endings, tmp_path):
    for ending in endings:
        for writer in LIBRARIES:
            path = str(tmp_path / f"model{ending}")
            model = stack(writer)
            model.set_weights([w + 1 for w in model.get_weights()])
            if ending == ".weights.h5":
                model.save_weights(path)
            else:
                model.save(path)
            expected, result = (load(library, path).get_weights() for library in LIBRARIES)
            assert_close(result, expected, 0)


BAD_CALLS = {
    "by_name with new weights": (".weights.h5", {"by_name": True}, ValueError),
    "by_name with an archive": (".keras", {"by_name": True}, ValueError),
    "unknown": (".weights.h5", {"color": 1}, ValueError),
    "objects_to_skip": (".h5", {"objects_to_skip": []}, ValueError),
    "another ending": (".txt", {}, ValueError),
    "missing": (".none.weights.h5", {}, FileNotFoundError),
    "missing archive": (".none.keras", {}, FileNotFoundError),
    "missing h5": (".none.h5", {}, FileNotFoundError),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_load_weights_refuses_what_keras_refuses(name, tmp_path):
    ending, arguments, error = BAD_CALLS[name]
    stack(cornu).save_weights(tmp_path / "model.weights.h5")
    for ending_of_model in (".keras", ".h5"):
        stack(cornu).save(tmp_path / f"model{ending_of_model}")
    for library in LIBRARIES:
        with pytest.raises(error):
            stack(library).load_weights(str(tmp_path / f"model{ending}"), **arguments)


def test_an_unbuilt_model_has_no_weights_to_load_or_save(tmp_path):
    path = str(tmp_path / "model.weights.h5")
    stack(cornu).save_weights(path)
    for library in LIBRARIES:
        unbuilt = library.Sequential([library.layers.Dense(3)])
        for call in (unbuilt.load_weights, unbuilt.save_weights):
            with pytest.raises(ValueError, match="not yet been built"):
                call(path)


def test_objects_can_be_left_out(tmp_path):
    path = str(tmp_path / "model.weights.h5")
    for library in LIBRARIES:
        model, again = stack(library), stack(library)
        library.saving.save_weights(model, path, objects_to_skip=[model.layers[1]])
        assert "layers/dense_1" not in layout(path)
        again.set_weights([0 * w for w in again.get_weights()])
        library.saving.load_weights(again, path, objects_to_skip=[again.layers[1]])
        assert_close(again.layers[0].get_weights(), model.layers[0].get_weights(), 0)
        assert not np.any(again.layers[1].get_weights()[0])


# Forms of a file


def test_an_archive_may_be_a_folder_or_an_open_file(tmp_path):
    saved = Saved(stack)
    for writer, reader in ((keras, cornu), (cornu, keras)):
        model = stack(writer)
        folder = tmp_path / writer.__name__
        model.save(folder, zipped=False)
        assert_close(saved.outputs(reader.saving.load_model(folder)), saved.outputs(model))
        with open(tmp_path / "file", "w+b") as file:
            writer.saving.save_model(model, file, zipped=False)
            file.seek(0)
            assert_close(saved.outputs(cornu.saving.load_model(file)), saved.outputs(model))
    with pytest.raises(ValueError, match="should not end in"):
        stack(cornu).save(tmp_path / "model.keras", zipped=False)


class Plain:
    """A file with no more than reading in it."""

    def __init__(self, data):
        file = io.BytesIO(data)
        self.read, self.seek, self.tell, self.seekable = (
            getattr(file, name) for name in ("read", "seek", "tell", "seekable")
        )


def repacked(data, **options):
    """The members behind other bytes, with fields that only their own headers have."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", **options) as new:
        for name in old.namelist():
            with new.open(name, "w", force_zip64=True) as member:
                member.write(old.read(name))
    return b"#!" * 50 + file.getvalue()


@pytest.mark.parametrize("opened", [io.BytesIO, Plain])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_found_wherever_they_lie(compression, opened):
    model = stack(cornu)
    file = io.BytesIO()
    cornu.saving.save_model(model, file)
    for data in (file.getvalue(), repacked(file.getvalue(), compression=compression)):
        again = cornu.saving.load_model(opened(data))
        for value, expected in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_weights_that_a_file_gives_are_not_drawn_before(ending, tmp_path, monkeypatch):
    model = cornu.Sequential([cornu.Input((4, 3)), cornu.layers.LSTM(2), cornu.layers.Dense(3)])
    path = tmp_path / f"model.{ending}"
    model.save(path)
    for initializer in ("VarianceScaling", "Orthogonal"):
        monkeypatch.delattr(f"cornu.initializers.{initializer}.__call__")
    again = cornu.saving.load_model(path)
    for value, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_members_of_an_archive_are_stored_as_keras_does(tmp_path):
    listings = []
    for library in LIBRARIES:
        path = tmp_path / f"{library.__name__}.keras"
        stack(library).save(path)
        with zipfile.ZipFile(path) as archive:
            listings.append([(info.filename, info.compress_type) for info in archive.infolist()])
            metadata = json.loads(archive.read("metadata.json"))
        assert set(metadata) == {"keras_version", "date_saved"}
    assert listings[1] == listings[0]


def test_files_are_told_by_what_they_hold(tmp_path):
    saved = Saved(stack)
    model = stack(cornu)
    model.save(tmp_path / "a.h5")
    model.save(tmp_path / "b.keras")
    (tmp_path / "a.h5").rename(tmp_path / "a.keras")
    (tmp_path / "b.keras").rename(tmp_path / "b.h5")
    for name in ("a.keras", "b.h5"):
        again = cornu.saving.load_model(tmp_path / name)
        assert_close(saved.outputs(again), saved.outputs(model), 0)
