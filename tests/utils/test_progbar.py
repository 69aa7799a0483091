"""The progress bar, byte for byte as the real Keras draws it."""

import io
import sys
import time

import pytest

import cornu
from reference import keras


def drawn(progbar, arguments, seconds):
    now = [1000.0]
    output, stdout, clock = io.StringIO(), sys.stdout, time.time
    sys.stdout, time.time = output, lambda: now[0]
    try:
        bar = progbar(**arguments)
        now[0] += 1
        steps = arguments["target"] or 5
        for step in range(1, 6):
            now[0] += seconds
            bar.update(
                step * max(1, steps // 5),
                [("accuracy", 0.1 * step), ("loss", 12345.678 / step**8), ("rate", 1e-3)],
            )
        bar.update(steps, [("accuracy", 0.77), ("val_loss", 1e-7)], finalize=True)
    finally:
        sys.stdout, time.time = stdout, clock
    return output.getvalue()


@pytest.mark.parametrize("seconds", [5e-5, 0.003, 0.2, 70.0, 5000.0])
@pytest.mark.parametrize(
    "arguments",
    [
        {"target": 5},
        {"target": None},
        {"target": 0},
        {"target": 1},
        {"target": 3000},
        {"target": 5, "verbose": 0},
        {"target": 5, "verbose": 2},
        {"target": 5, "stateful_metrics": ["loss"]},
        {"target": 5, "unit_name": "sample", "width": 10},
    ],
)
def test_it_looks_as_in_keras(arguments, seconds):
    expected = drawn(keras.utils.Progbar, arguments, seconds)
    assert drawn(cornu.utils.Progbar, arguments, seconds) == expected


def test_add_goes_on_from_the_last_step(capsys):
    bar = cornu.utils.Progbar(4)
    bar.add(2, [("loss", 1.0)])
    bar.add(2, [("loss", 3.0)])
    assert "4/4" in capsys.readouterr().out
