"""What the benches ask of a process, on the smallest model."""

import numpy as np
import pytest
from benches.__main__ import CASES, FRESH, fresh, row
from benches.worker import ACTIONS, Worker
from benches.workloads import WORKLOADS

import cornu


def test_rows_name_what_there_is():
    for name, action, count, *_ in (*CASES, *FRESH):
        assert name in WORKLOADS and count > 0
        assert action in ACTIONS or hasattr(Worker, action)


def test_a_file_is_loaded_and_predicts(tmp_path):
    worker, request = Worker("cornu"), {"workload": "tiny MLP", "path": f"{tmp_path}/m.keras"}
    worker.save(**request)
    outputs, memory = worker.first_prediction(count=2, **request)
    assert np.shape(outputs) == (2, 4) and memory > 2**20


@pytest.mark.parametrize("action", ["five_epochs", "three_steps"])
def test_training_tells_its_memory(action):
    outputs, memory = getattr(Worker("cornu"), action)("tiny MLP", 8, "")
    assert outputs is None and memory >= 0


def test_the_unet_gives_classes_of_pixels():
    x, _ = WORKLOADS["U-Net"].data(1)
    outputs = WORKLOADS["U-Net"].build(cornu)(x)
    assert outputs.shape == (1, 128, 128, 2)


def test_less_memory_counts_as_less_time_does():
    measured = {"cornu": 2.0, "other": 3.0}
    rows = [row({"name": "case", kind: measured}) for kind in ("times", "bytes")]
    assert rows == ["| case | other | 1.50 |  |"] * 2


def test_a_fresh_process_is_measured_from_its_start(monkeypatch):
    monkeypatch.setattr("benches.__main__.FRESH_ROUNDS", 1)
    monkeypatch.setattr("benches.__main__.LIBRARIES", ("cornu",))
    titles = {"times": "first", "bytes": "memory"}
    results = list(fresh("tiny MLP", "first_prediction", 1, titles, threads=1))
    assert [result["name"] for result in results] == ["tiny MLP, first", "tiny MLP, memory"]
    assert results[0]["times"]["cornu"] > 0.05 and results[1]["bytes"]["cornu"] > 2**20
