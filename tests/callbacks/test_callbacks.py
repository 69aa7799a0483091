"""Callbacks: when they are called, what they do, what they print."""

import csv
import json

import numpy as np
import pytest

import cornu
from cornu import callbacks, layers

RNG = np.random.default_rng(0)
X = RNG.random((20, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def model(**compiled):
    built = cornu.Sequential([cornu.Input((4,)), layers.Dense(1)])
    built.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return built


def fit(*given, epochs=3, built=None, **arguments):
    built = built or model()
    history = built.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(given), **arguments)
    return built, history.history


class Batches(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, logs))


def test_hooks_come_in_order():
    recorder = callbacks.LambdaCallback()
    calls = []
    for name in dir(callbacks.Callback):
        if name.startswith("on_") and "_batch_" in name.replace("on_batch", "x"):
            setattr(recorder, name, lambda batch, logs=None, name=name: calls.append(name[3:]))
        elif name.startswith("on_epoch"):
            setattr(recorder, name, lambda epoch, logs=None, name=name: calls.append(name[3:]))
        elif name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            setattr(recorder, name, lambda logs=None, name=name: calls.append(name[3:]))
    fit(recorder, epochs=1, batch_size=10, validation_data=(X, Y))
    train = ["train_batch_begin", "train_batch_end"] * 2
    test = ["test_begin", *["test_batch_begin", "test_batch_end"], "test_end"]
    assert calls == [
        "train_begin",
        "epoch_begin",
        *train,
        test[0],
        *test[1:3] * 2,
        test[3],
        "epoch_end",
        "train_end",
    ]


def test_logs_of_batches_are_numbers():
    watcher = Batches()
    fit(watcher, epochs=1, batch_size=8)
    assert [batch for batch, _ in watcher.seen] == [0, 1, 2]
    assert all(type(logs["loss"]) is float for _, logs in watcher.seen)


def test_a_run_that_nobody_watches_reads_no_logs(monkeypatch):
    from cornu.callbacks import callback

    read = []

    def as_numbers(logs):
        read.extend([logs] if logs else [])
        return {name: float(value) for name, value in (logs or {}).items()}

    monkeypatch.setattr(callback, "as_numbers", as_numbers)
    fit(epochs=2, batch_size=2)
    assert len(read) == 3  # after each epoch, and when training ends


def test_params_and_model():
    watcher = Batches()
    built, _ = fit(watcher, epochs=2, batch_size=8)
    assert watcher.params == {"verbose": 0, "epochs": 2, "steps": 3}
    assert watcher.model is built
    assert built.history.epoch == [0, 1]


def test_early_stopping(capsys):
    stopping = callbacks.EarlyStopping(
        "loss", mode="max", patience=1, verbose=1, restore_best_weights=True
    )
    _, history = fit(stopping, epochs=8)
    assert len(history["loss"]) == 2
    assert stopping.stopped_epoch == 1
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 2: early stopping",
        "Restoring model weights from the end of the best epoch: 1.",
    ]


@pytest.mark.parametrize(
    ("monitor", "metrics", "direction"),
    [
        ("loss", None, "_less"),
        ("val_loss", None, "_less"),
        ("val_mae", ["mae"], "_less"),
        ("accuracy", ["accuracy"], "_greater"),
        ("val_auc", ["auc"], "_greater"),
        ("cosine_similarity", ["cosine_similarity"], "_greater"),
    ],
)
def test_directions(monitor, metrics, direction):
    stopping = callbacks.EarlyStopping(monitor)
    fit(stopping, epochs=1, built=model(metrics=metrics), validation_split=0.5)
    assert stopping.monitor_op.__name__ == direction


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="received monitor=foo, but Keras isn't able"):
        fit(callbacks.EarlyStopping("foo"))


def test_reduce_on_plateau(capsys):
    plateau = callbacks.ReduceLROnPlateau(
        "loss", mode="max", patience=1, verbose=1, factor=0.5, cooldown=1, min_lr=1e-3
    )
    _, history = fit(plateau, epochs=6)
    expected = [0.01, 0.01, 0.005, 0.0025, 0.00125, 0.001]
    assert history["learning_rate"] == pytest.approx(expected, rel=1e-5)
    assert "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.00499" in (
        capsys.readouterr().out
    )
    with pytest.raises(ValueError, match=r"factor >= 1\.0"):
        callbacks.ReduceLROnPlateau(factor=1.0)


@pytest.mark.parametrize("schedule", [lambda e, rate: rate * 0.5, lambda e: 0.01 * 0.5 ** (e + 1)])
def test_learning_rate_scheduler(schedule, capsys):
    _, history = fit(callbacks.LearningRateScheduler(schedule, verbose=1), epochs=2)
    assert history["learning_rate"] == pytest.approx([0.005, 0.0025], rel=1e-6)
    printed = capsys.readouterr().out
    assert "Epoch 1: LearningRateScheduler setting learning rate to 0.00" in printed
    with pytest.raises(ValueError, match="should be a float"):
        fit(callbacks.LearningRateScheduler(lambda epoch: "x"))


def test_terminate_on_nan(capsys):
    built = model()
    history = built.fit(X * np.nan, Y, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert len(history.history["loss"]) == 1
    assert "Batch 0: Invalid loss, terminating training" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="NaN or Inf loss"):
        built.fit(X * np.nan, Y, verbose=0, callbacks=[callbacks.TerminateOnNaN(True)])


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    fit(callbacks.CSVLogger(path), epochs=2, validation_split=0.5, validation_freq=2)
    rows = list(csv.reader(path.open()))
    assert rows[0] == ["epoch", "loss", "val_loss"]
    assert rows[1][2] == "NA"
    assert float(rows[2][2]) > 0
    fit(callbacks.CSVLogger(path, append=True), epochs=4, initial_epoch=2)
    assert [row[0] for row in csv.reader(path.open())] == ["epoch", "0", "1", "2", "3"]


def test_checkpoints(tmp_path, capsys):
    built, history = fit(
        callbacks.ModelCheckpoint(tmp_path / "m{epoch:02d}-{val_loss:.1f}.keras"),
        callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5", save_best_only=True, save_weights_only=True, verbose=1
        ),
        epochs=2,
        validation_split=0.5,
    )
    values = history["val_loss"]
    names = {f"m{i + 1:02d}-{value:.1f}.keras" for i, value in enumerate(values)}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "best.weights.h5"}
    assert "Epoch 1: val_loss improved from None to " in capsys.readouterr().out
    other = model()
    other.load_weights(tmp_path / "best.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], built.get_weights()[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {"filepath": "a.txt"},
        {"filepath": "a.h5", "save_weights_only": True},
        {"filepath": "a.keras", "save_freq": "x"},
    ],
)
def test_wrong_checkpoints(arguments):
    with pytest.raises(ValueError):
        callbacks.ModelCheckpoint(**arguments)


def test_backup_and_restore(tmp_path):
    class Fails(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("power cut")

    # Adam's averages are part of what goes on.
    adam = lambda: model(optimizer=cornu.optimizers.Adam(0.1))  # noqa: E731
    weights, straight = model().get_weights(), adam()
    straight.set_weights(weights)
    straight.fit(X, Y, epochs=4, verbose=0, shuffle=False)
    broken = adam()
    broken.set_weights(weights)
    with pytest.raises(RuntimeError, match="power cut"):
        backup = callbacks.BackupAndRestore(tmp_path / "backup")
        fit(backup, Fails(), epochs=4, built=broken, shuffle=False)
    metadata = json.loads((tmp_path / "backup" / "training_metadata.json").read_text())
    assert metadata == {"epoch": 2, "batch": 0}
    built = adam()
    fit(callbacks.BackupAndRestore(tmp_path / "backup"), epochs=4, built=built, shuffle=False)
    assert built.history.epoch == [2, 3]
    assert int(built.optimizer.iterations) == 4
    for weight, expected in zip(built.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert not (tmp_path / "backup").exists()


def test_moving_averages_are_swapped():
    built = model(optimizer=cornu.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    seen = []

    class Watch(callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            seen.append(built.get_weights()[0])

    fit(callbacks.SwapEMAWeights(), Watch(), epochs=1, built=built, validation_data=(X, Y))
    average = built.optimizer.averages()[0][1].numpy()
    np.testing.assert_allclose(seen[0], average, rtol=1e-6)
    with pytest.raises(ValueError, match="use_ema=True"):
        fit(callbacks.SwapEMAWeights())


def test_training_ends_with_averages_that_were_swapped_at_each_epoch(tmp_path):
    built = model(optimizer=cornu.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    path = tmp_path / "last.weights.h5"
    saving = callbacks.ModelCheckpoint(path, save_weights_only=True)
    fit(callbacks.SwapEMAWeights(swap_on_epoch=True), saving, epochs=2, built=built)
    trained = built.get_weights()
    built.load_weights(path)
    for weight, saved in zip(trained, built.get_weights(), strict=True):
        np.testing.assert_allclose(weight, saved, rtol=1e-6)


def test_an_unreachable_monitor_only_warns():
    with pytest.warns(UserWarning, match="Could not reach RemoteMonitor"):
        fit(callbacks.RemoteMonitor("http://127.0.0.1:9"), epochs=1)
